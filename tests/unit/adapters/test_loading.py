"""Import strings, and what people who mistype them are told."""

from __future__ import annotations

import importlib
import sys

import pytest

from ssgi_gateway.adapters.loading import load
from ssgi_gateway.errors import ConfigurationError


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Writes modules into a directory of their own and forgets them afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)

    def write(**modules: str):
        for name, source in modules.items():
            path = tmp_path.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(source)
        importlib.invalidate_caches()
        return tmp_path

    yield write
    for name in set(sys.modules) - known:
        del sys.modules[name]


def refused(import_string: str) -> str:
    with pytest.raises(ConfigurationError) as info:
        load(import_string)
    return str(info.value)


APP = """
class Site:
    class inner:
        handler = 7
def app(): return "called"
def create_app(): return ["made"]
site = Site()
"""


@pytest.mark.parametrize(
    ("import_string", "expected"),
    [("sample:site.inner.handler", 7), ("sample:create_app()", ["made"]), (" sample:app() ", "called")],
)
def test_names_an_object(project, import_string, expected):
    project(sample=APP)
    assert load(import_string) == expected


def test_a_function_is_not_called_without_parentheses(project):
    project(sample=APP)
    assert load("sample:app") is sys.modules["sample"].app


def test_the_current_directory_comes_first_and_once(project):
    here = project(sample=APP)
    load("sample:app")
    load("sample:site")
    assert sys.path[0] == str(here)
    assert sys.path.count(str(here)) == 1


def test_another_directory_can_be_named(project, tmp_path):
    project(elsewhere__sample2="app = 3")
    assert load("sample2:app", tmp_path / "elsewhere") == 3


def test_a_submodule(project):
    project(package____init__="", package__sub="app = 4")
    assert load("package.sub:app") == 4


@pytest.mark.parametrize(
    ("import_string", "said"),
    [
        ("", "no application was given; write module:attribute or module:factory()"),
        ("sample", "write sample:app or sample:create()"),
        ("sample:", "write sample:app or sample:create()"),
        ("sample.py", "name the module: sample:app"),
        ("sub/sample.py:web", "name the module: sub.sample:web"),
        ("./sample.py:web", "name the module: sample:web"),
        ("sample:create(open('x'))", "the arguments of a factory are Python's literals"),
        ("sample:create(x)", "the arguments of a factory are Python's literals"),
        ("sample:create(*[1])", "the arguments of a factory are Python's literals"),
        ("sample:create(**{'a': 1})", "the arguments of a factory are Python's literals"),
        ("sample:create()()", "the arguments of a factory are Python's literals"),
        ("sample:create(1", "is not an import string"),
        ("sam ple:app", "not an import string"),
        ("sample:app:more", "not an import string"),
        ("sample:app()x", "not an import string"),
        ("..sample:app", "not an import string"),
        ("sample:a-b", "not an import string"),
    ],
)
def test_malformed_strings_say_what_to_write(project, import_string, said):
    assert said in refused(import_string)


def test_a_missing_module_names_the_place_and_what_is_like_it(project):
    here = project(sample=APP)
    message = refused("sampel:app")
    assert "there is no module 'sampel'" in message
    assert str(here) in message
    assert "did you mean sample?" in message
    assert "Traceback" not in message


def test_a_missing_submodule_names_the_package(project):
    here = project(package____init__="", package__views="")
    message = refused("package.view:app")
    assert "there is no module 'package.view'" in message
    assert str(here / "package") in message
    assert "did you mean package.views?" in message


def test_a_missing_parent_is_the_one_that_is_named(project):
    project(sample=APP)
    message = refused("absent.web.views:app")
    assert "there is no module 'absent'" in message
    assert "wanted: absent.web.views" in message


def test_a_module_is_no_package(project):
    project(sample=APP)
    assert "sample.py) is a module and has no submodules" in refused("sample.web:app")


def test_faults_96_a_missing_import_inside_is_not_a_missing_module(project):
    here = project(sample="import not_installed_at_all\napp = 1")
    message = refused("sample:app")
    assert "sample was found, but importing it failed" in message
    assert "No module named 'not_installed_at_all'" in message
    assert f'File "{here}/sample.py", line 1' in message
    assert "importlib" not in message
    assert "loading.py" not in message


def test_a_missing_import_inside_that_begins_like_the_module(project):
    project(sample="import sample_extras")
    assert "importing it failed" in refused("sample:app")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def app(:\n", "SyntaxError"),
        ("raise SystemExit('no database')", "SystemExit: no database"),
        ("from os import no_such_name", "cannot import name 'no_such_name'"),
    ],
)
def test_faults_96_an_error_inside_shows_its_traceback(project, source, said):
    project(sample=source)
    message = refused("sample:app")
    assert message.startswith("sample was found, but importing it failed:\n\n")
    assert said in message
    assert "sample.py" in message


def test_an_interrupt_is_not_swallowed(project):
    project(sample="raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load("sample:app")


def test_a_missing_attribute_suggests_close_names(project):
    project(sample=APP)
    message = refused("sample:creat_app")
    assert "module 'sample' (" in message
    assert "sample.py) has no attribute 'creat_app'; did you mean create_app?" in message


def test_a_missing_attribute_with_nothing_close_lists_what_is_defined(project):
    project(sample="import json\nfrom os.path import join\nLIMIT = 3\n" + APP)
    assert refused("sample:zzzz").endswith("; it has Site, app, create_app")


def test_a_missing_attribute_further_down(project):
    project(sample=APP)
    assert "'sample:site' has no attribute 'iner'; did you mean inner?" in refused("sample:site.iner")


def test_a_failing_property_shows_its_traceback(project):
    project(sample="class S:\n    @property\n    def app(self): return 1 / 0\nsite = S()")
    message = refused("sample:site.app")
    assert "reading 'app' of 'sample:site' failed" in message
    assert "ZeroDivisionError" in message


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("create = 5", "sample:create is an int and cannot be called; write sample:create without ()"),
        ("def create(settings): ...", "sample:create(settings) cannot be called without arguments"),
        ("def create(): raise KeyError('DATABASE_URL')", "KeyError: 'DATABASE_URL'"),
        ("async def create(): ...", "sample:create() is async"),
        ("def create(): ...", "sample:create() returned None"),
        ("def create(): raise SystemExit(3)", "the factory sample:create() failed"),
    ],
)
def test_factories_that_cannot_be_used(project, source, said):
    project(sample=source)
    assert said in refused("sample:create()")


def test_a_factory_without_a_signature_is_called(project):
    project(sample="create = dict")
    assert load("sample:create()") == {}


# -- factories with arguments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "made"),
    [
        ("create('/x')", ("/x", 1)),
        ("create('/x', size=2)", ("/x", 2)),
        ("create(root=['a', {'b': None}], size=-1.5)", (["a", {"b": None}], -1.5)),
        ("create( '/x(:y)' , )", ("/x(:y)", 1)),
    ],
)
def test_a_factory_is_called_with_literals(project, call, made):
    project(sample="def create(root, size=1): return (root, size)")
    assert load(f"sample:{call}") == made


def test_arguments_that_do_not_fit(project):
    project(sample="def create(root, size=1): return (root, size)")
    assert "cannot be called like that: got an unexpected keyword argument 'depth'" in refused(
        "sample:create(1, depth=2)"
    )
