"""Command line, environment and file: what each says, and which one is heard."""

from __future__ import annotations

import argparse
import os
import tempfile
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgi_gateway.cli.arguments import parse_serve
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.settings import Settings
from ssgi_gateway.settings.sources import (
    add_options,
    combine,
    from_command_line,
    from_environment,
    from_file,
    options,
    plain_words,
    read_all,
    unknown_variables,
)
from ssgi_gateway.settings.values import AUTO


def command_line(*words: str):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return from_command_line(vars(parser.parse_args(words)))


@pytest.fixture
def file(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "ssgi.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return from_file(str(path))

    return write


def refused(*sources) -> str:
    with pytest.raises(ConfigurationError) as info:
        combine(*sources)
    message = str(info.value)
    assert "\n" not in message
    return message


# -- each source reaches every setting -------------------------------------------------------------------------------


def example(option) -> tuple[str, object]:
    """Some value other than the default: how it is written, and what it is."""
    if option.kind is bool:
        return ("0", False) if option.default else ("1", True)
    if option.metadata["choices"]:
        return option.metadata["choices"][-1], option.metadata["choices"][-1]
    if option.kind is int:
        examples = {"octal": ("640", 0o640), "umask": ("027", 0o27), "workers": ("auto", AUTO)}
        return examples.get(option.metadata["unit"], ("70001", 70001))
    if option.kind is float:
        return "3.5", 3.5
    return ("/x", ("/x",)) if option.repeatable else ("/x", "/x")


def value_at(settings, path):
    for name in path:
        settings = getattr(settings, name)
    return settings


@pytest.mark.parametrize("option", options(), ids=lambda o: o.name)
def test_every_setting_from_the_environment(option):
    written, value = example(option)
    environ = {"SSGI_FLOW_HIGH_WATER": "90000", "SSGI_FLOW_LOW_WATER": "1", option.variable: written}
    assert value_at(combine(from_environment(environ)), option.path) == value


@pytest.mark.parametrize("option", options(), ids=lambda o: o.name)
def test_every_setting_from_the_command_line(option):
    written, value = example(option)
    words = ["--flow-high-water", "90000", "--flow-low-water", "1"]
    if option.kind is bool:
        words.append(option.flag if value else option.flag.replace("--", "--no-", 1))
    else:
        words += [written] if option.name == "app" else [option.flag, written]
    assert value_at(combine(command_line(*words)), option.path) == value


@pytest.mark.parametrize("option", options(), ids=lambda o: o.name)
def test_every_setting_from_a_file(option, file):
    written, value = example(option)
    lines = {"flow.high_water": 90000, "flow.low_water": 1, ".".join(option.path): f"'{written}'"}
    text = "\n".join(f"{key} = {content}" for key, content in lines.items())
    assert value_at(combine(file(text)), option.path) == value


# -- which one is heard ----------------------------------------------------------------------------------------------


def test_the_command_line_wins_then_the_environment_then_the_file(file):
    written = file('app = "file:app"\ncodec = "portable"\nbacklog = 1\n[deadlines]\nhead = 1\nbody = 1')
    environ = from_environment({"SSGI_APP": "environment:app", "SSGI_BACKLOG": "2", "SSGI_DEADLINE_HEAD": "2"})
    settings = combine(command_line("line:app", "--deadline-head", "3"), environ, written)
    assert settings.app == "line:app"
    assert settings.deadlines.head == 3.0
    assert settings.backlog == 2
    assert settings.deadlines.body == 1.0
    assert settings.codec == "portable"
    assert settings.max_connections == Settings().max_connections


def test_a_list_replaces_the_one_before(file):
    settings = combine(
        command_line("--scgi", "/a", "--scgi", "/b"), from_environment({"SSGI_SCGI": "/c"}), file('scgi = "/d"')
    )
    assert settings.scgi == ("/a", "/b")


def test_a_bad_value_that_is_overridden_is_no_error():
    assert combine(command_line("--backlog", "7"), from_environment({"SSGI_BACKLOG": "x"})).backlog == 7


SOURCES = ("command line", "environment", "file")
SEPARATE = [option for option in options() if option.path[0] not in ("flow", "status")]
"""Those that no other setting contradicts."""


@st.composite
def writings(draw):
    """Some settings, and in which sources each of them is written."""
    chosen = draw(st.lists(st.sampled_from(SEPARATE), unique_by=lambda it: it.name, max_size=12))
    return [(it, draw(st.sets(st.sampled_from(SOURCES), min_size=1))) for it in chosen]


@settings(max_examples=100, deadline=None)
@given(writings())
def test_any_settings_in_any_sources(written):
    """Each has its value of the first source that names it, is said to come from there, and leaves the others alone.

    What later sources say of it is not even looked at.
    """
    line: dict[str, object] = {}
    environ: dict[str, str] = {}
    tables: dict[str, list[str]] = {}
    expected: dict[str, tuple[object, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/ssgi.toml"
        for option, sources in written:
            text, value = example(option)
            first = next(it for it in SOURCES if it in sources)
            key = ".".join(option.path)
            label = {"command line": option.flag, "environment": option.variable, "file": f"{path}: {key}"}[first]
            expected[option.name] = (value, label)
            if "command line" in sources:
                line[option.name] = value if option.kind is bool else [text] if option.repeatable else text
            if "environment" in sources:
                environ[option.variable] = text if first == "environment" else "what is this?"
            if "file" in sources:
                shown = text if first == "file" else "what is this?"
                tables.setdefault(".".join(option.path[:-1]), []).append(f"{option.path[-1]} = '{shown}'")
        lines = [*tables.pop("", [])]
        for name, rows in tables.items():
            lines += [f"[{name}]", *rows]
        with open(path, "w") as out:
            out.write("\n".join(lines))
        with mock.patch.dict(os.environ, environ, clear=True):
            found, origins, files = read_all({**line, "config": path})
    assert origins == {name: label for name, (_, label) in expected.items()}
    assert files == [path]
    for option in options():
        wanted = expected[option.name][0] if option.name in expected else value_at(Settings(), option.path)
        assert value_at(found, option.path) == wanted, option.name


@pytest.mark.parametrize("option", options(), ids=lambda o: o.name)
def test_a_name_with_a_letter_less_is_an_error_that_names_one_like_it(option, file):
    """In the file and on the command line; in the environment, which may hold what is others', it is a warning."""

    def shorter(name: str) -> str:
        return name[:-2] + name[-1]

    names = {it.name for it in options()}
    if shorter(option.name) in names:
        pytest.skip("that is one as well")
    text = f"[{option.path[0]}]\n" if len(option.path) > 1 else ""
    with pytest.raises(ConfigurationError, match="is not a setting; did you mean") as info:
        file(f"{text}{shorter(option.path[-1])} = 1")
    assert "\n" not in str(info.value)
    if option.flag.startswith("--"):
        with pytest.raises(ConfigurationError, match=r"there is no option \S+; did you mean --"):
            parse_serve([shorter(option.flag), "1"])
    [warning] = unknown_variables({shorter(option.variable): "1"})
    assert "did you mean SSGI_" in warning


# -- the command line ------------------------------------------------------------------------------------------------


def test_an_empty_root_path_is_a_root_path():
    assert combine(command_line("--root-path", "")).root_path == ""
    assert combine(command_line()).root_path is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--max-head-size", "64q"), "--max-head-size: '64q' is not a size; write bytes"),
        (("--deadline-head", "0"), "--deadline-head: 0.0 is too small; write 0.01 or more"),
        (("--codec", "portabel"), "--codec: 'portabel' is not one of auto, portable, compiled; did you mean portable?"),
        (("--socket-mode", "rw"), "--socket-mode: 'rw' is no permissions"),
        (("--no-metrics", "--status", ":0"), "--status shows what --metrics counts; do not turn that off"),
        (("--flow-low-water", "1m"), "--flow-low-water (1048576) must be less than --flow-high-water (262144)"),
        (("--root-path", "shop"), "--root-path: 'shop' does not begin with a slash"),
        (("--root-path", "/shop/"), "or ends with one; write it like /shop"),
    ],
)
def test_bad_values_name_the_option(words, said):
    assert said in refused(command_line(*words))


def test_the_help_names_every_option_once_under_its_heading():
    parser = argparse.ArgumentParser(prog="x")
    add_options(parser)
    text = parser.format_help()
    for option in options():
        assert text.count(f"  {option.flag}") >= 1, option.flag
        assert option.section + ":" in text
    assert "[128k]" in text
    assert "[0660]" in text


WORDS = st.one_of(
    st.sampled_from([name for o in options() for name in (o.flag, o.flag.replace("--", "--no-", 1))]),
    st.sampled_from(["--config", "--help", "-h", "--version", "-v", "--", "-", "--back", "sample:app", "", "7", "-7"]),
    st.sampled_from(["--scgi=/a", "--scgi=", "--scgi=-", "--strict=1", "--no-strict="]),
    st.sampled_from(["APP", "a b", "-a b", "--a b", "=", "a=b"]),
    st.text(alphabet="-=a 1", max_size=4),
)


@settings(max_examples=1000)
@given(st.lists(WORDS, max_size=6))
def test_plain_words_say_what_the_parser_makes_of_them(words):
    said = plain_words(words)
    if said is not None:
        assert said == vars(parse_serve(list(words)))


@pytest.mark.parametrize("option", options(), ids=lambda o: o.name)
def test_every_setting_in_plain_words(option):
    written, value = example(option)
    words = ["sample:app", "--config=x", "--flow-high-water", "90000", "--flow-low-water=1"]
    if option.kind is bool:
        words.append(option.flag if value else option.flag.replace("--", "--no-", 1))
    else:
        words += [option.flag, written] if option.name != "app" else []
        words[0] = written if option.name == "app" else "sample:app"
    said = plain_words(words)
    assert said["config"] == "x"
    assert value_at(combine(from_command_line(said)), option.path) == value


@pytest.mark.parametrize("words", ["--help", "--scgi", "--scgi -x", "--sgci /x", "a:b c:d", "--strict=1", "-- a:b"])
def test_what_has_to_be_talked_about_is_not_plain(words):
    assert plain_words(words.split()) is None


# -- the environment -------------------------------------------------------------------------------------------------


def test_lists_are_written_with_commas():
    assert combine(from_environment({"SSGI_SCGI": "unix:/a, 127.0.0.1:1"})).scgi == ("unix:/a", "127.0.0.1:1")


def test_an_empty_variable_is_not_given_except_for_texts():
    settings = combine(from_environment({"SSGI_BACKLOG": "", "SSGI_CODEC": " ", "SSGI_SCGI": "", "SSGI_ROOT_PATH": ""}))
    assert settings.backlog == Settings().backlog
    assert settings.codec == "auto"
    assert settings.scgi == ()
    assert settings.root_path == ""


def test_bad_values_name_the_variable():
    assert refused(from_environment({"SSGI_BACKLOG": "many"})) == "SSGI_BACKLOG: 'many' is not a whole number"


def test_a_variable_that_is_almost_a_setting_is_a_warning():
    environ = {"SSGI_BACKLGO": "1", "SSGI_CONFIG": "x", "SSGI_CODEC": "auto", "SSGI_GATEWAY_PURE": "1", "HOME": "/"}
    assert unknown_variables(environ) == [
        "SSGI_BACKLGO in the environment is not a setting; did you mean SSGI_BACKLOG?"
    ]


# -- the file --------------------------------------------------------------------------------------------------------


def test_a_file_in_full(file):
    settings = combine(
        file(
            """
            app = "board:app"
            scgi = ["unix:/run/a.sock", "127.0.0.1:9000"]
            fastcgi = "/run/b.sock"
            socket-mode = 0o600
            development = true

            [websockets]
            max_message_size = "16m"
            deflate = false
            origins = ["https://example.org"]

            [deadlines]
            drain = 5
            """
        )
    )
    assert settings.scgi == ("unix:/run/a.sock", "127.0.0.1:9000")
    assert settings.fastcgi == ("/run/b.sock",)
    assert settings.socket_mode == 0o600
    assert settings.development is True
    assert settings.websockets.max_message_size == 16 << 20
    assert settings.websockets.deflate is False
    assert settings.websockets.origins == ("https://example.org",)
    assert settings.deadlines.drain == 5.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("backlgo = 1", "ssgi.toml: backlgo is not a setting; did you mean backlog?"),
        ("[deadlines]\nhaed = 1", "ssgi.toml: deadlines.haed is not a setting; did you mean head?"),
        ("[deadline]\nhead = 1", "ssgi.toml: deadline is not a setting; did you mean deadlines?"),
        ("deadlines = 3", "ssgi.toml: deadlines is a group of settings; write [deadlines] and its settings below"),
        ("app = ", "ssgi.toml is not TOML"),
        (b"app = '\xff'", "ssgi.toml is not TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(file, text, said):
    with pytest.raises(ConfigurationError) as info:
        file(text)
    assert said in str(info.value)


def test_bad_values_name_the_file_and_the_key(file):
    message = refused(file("[deadlines]\nhead = 'soon'"))
    assert "ssgi.toml: deadlines.head: 'soon' is not a number of seconds" in message


def test_a_table_where_a_value_belongs(file):
    assert "ssgi.toml: backlog: {'x': 1} is not a whole number" in refused(file("[backlog]\nx = 1"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match=r"absent\.toml cannot be read: No such file or directory"):
        from_file(str(tmp_path / "absent.toml"))


def test_a_file_of_which_nobody_may_see_whether_it_has_settings_is_not_passed_over(tmp_path):
    with (
        mock.patch("builtins.open", side_effect=PermissionError(13, "Permission denied")),
        pytest.raises(ConfigurationError, match=r"pyproject\.toml cannot be read: Permission denied"),
    ):
        read_all({"chdir": str(tmp_path)})
