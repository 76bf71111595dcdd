"""Import strings: ``module:attribute`` to the object it names.

::

    module            a module, dotted; ``--pythonpath`` and then the current directory are searched first
    :attribute        an attribute of it, dotted to reach further
    ()                at the end: the attribute is a factory, which is called; its result is used
    (1, root="/x")    the same, with arguments: Python's literals, positional and by name

The error for a mistyped one names what was looked for, where, and what there is instead. A module that is not
there and a module that fails while it is imported are different mistakes, and the second one shows its own traceback,
without this project's frames. This module does not know what an application is. What a plain ``module:attribute`` does
not need is imported where it is needed: a CGI program is started for each request.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

__all__ = ["EXITED", "NO_APPLICATION", "failure", "load"]

_WANTED: Final = "write module:attribute or module:factory()"
EXITED: Final = "the application ended the process while it started"
NO_APPLICATION: Final = f"no application was given; {_WANTED}"

_NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_IMPORT_STRING = re.compile(rf"(?P<module>{_NAME}):(?P<attribute>{_NAME})(?P<call>\(.*\))?", re.DOTALL)

_PACKAGE = os.path.dirname(os.path.dirname(__file__))
_OWN_FRAMES = (
    *(os.path.join(_PACKAGE, each, "") for each in ("adapters", "cli", "process", "server")),
    "build/mirror/ssgi_gateway/", importlib.__file__, "<frozen importlib", "uvloop/",
)  # fmt: skip
"""Frames that explain nothing: of what loads and starts applications, and the import machinery's."""


def load(import_string: str, directory: str | os.PathLike[str] | None = None, pythonpath: Sequence[str] = ()) -> Any:
    """The object that ``import_string`` names.

    Args:
        import_string: ``module:attribute``, ``module:attribute.attribute``, ``module:factory()`` or
            ``module:factory("literal", name=1)``.
        directory: put first on ``sys.path``; the current directory when not given.
        pythonpath: put before it, in this order.

    Raises:
        ConfigurationError: it is malformed, there is no such module, attribute or directory, or importing or calling
            it failed.
    """
    match = _IMPORT_STRING.fullmatch(import_string.strip())
    if match is None:
        raise ConfigurationError(_explain_malformed(import_string))
    args, named = _arguments(match["call"], import_string) if match["call"] else ([], {})
    module = _import(match["module"], _search(os.path.abspath(directory or os.getcwd()), pythonpath))
    found = _attribute(module, match["attribute"])
    return _call(found, f"{match['module']}:{match['attribute']}", args, named) if match["call"] else found


def _arguments(call: str, import_string: str) -> tuple[list[Any], dict[str, Any]]:
    """What stands between the parentheses; parsed and never evaluated, so only literals can."""
    import ast

    try:
        parsed = ast.parse(f"factory{call}", mode="eval").body
        if not isinstance(parsed, ast.Call) or not isinstance(parsed.func, ast.Name):
            raise ValueError
        args = [ast.literal_eval(argument) for argument in parsed.args]
        if any(keyword.arg is None for keyword in parsed.keywords):
            raise ValueError
        return args, {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in parsed.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise ConfigurationError(
            f"{import_string!r}: the arguments of a factory are Python's literals, as in module:factory('a', size=1); "
            "anything else belongs into a function of a module of your own"
        ) from None


def _search(directory: str, pythonpath: Sequence[str]) -> list[str]:
    """Put the places to search first on ``sys.path``; returns them in their order."""
    if directory not in sys.path:
        sys.path.insert(0, directory)
    wanted = [os.path.abspath(place) for place in pythonpath]
    for place in wanted:
        if not os.path.exists(place):
            raise ConfigurationError(f"--pythonpath: there is no directory {place}")
    # Where one is on the path already, further back, what is in between must not win.
    sys.path[:0] = wanted
    return list(dict.fromkeys([*wanted, directory]))


def _explain_malformed(import_string: str) -> str:
    if not import_string.strip():
        return NO_APPLICATION
    module, colon, attribute = import_string.strip().partition(":")
    if re.search(r"\.py$|/", module):
        dotted = re.sub(r"\.py$", "", module).strip("./").replace("/", ".")
        return f"{import_string!r} names a file; name the module: {dotted}:{attribute or 'app'}"
    if not colon or not attribute:
        return f"{import_string!r} names no object of the module; write {module}:app or {module}:create()"
    return f"{import_string!r} is not an import string; {_WANTED}"


def _import(name: str, places: list[str]) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # The name shows which mistake it is: our module, or a parent of it, is missing; or one that it imports.
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise ConfigurationError(_explain_missing(name, error.name, places)) from None
        raise ConfigurationError(failure(f"{name} was found, but importing it failed", error)) from error
    except (Exception, SystemExit) as error:
        raise ConfigurationError(failure(f"{name} was found, but importing it failed", error)) from error


def _explain_missing(name: str, missing: str, places: list[str]) -> str:
    import difflib  # only a start that fails needs these
    import pkgutil

    parent, _, last = missing.rpartition(".")
    where = f"in {', '.join(places)} and on the rest of Python's path"
    searched: Iterable[str] | None = places
    if parent:
        package = sys.modules[parent]  # imported on the way to what is missing
        searched = getattr(package, "__path__", None)
        if searched is None:
            return f"there is no module {missing!r}: {parent} ({_origin(package)}) is a module and has no submodules"
        where = "in " + ", ".join(searched)
    near = difflib.get_close_matches(last, [module.name for module in pkgutil.iter_modules(searched)], n=3)
    hint = _suggestion([f"{parent}.{module}" if parent else module for module in near])
    wanted = f" (wanted: {name})" if missing != name else ""
    return f"there is no module {missing!r} {where}{wanted}{hint}"


def _attribute(module: ModuleType, path: str) -> Any:
    found: Any = module
    shown = module.__name__
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            where = f"module {shown!r} ({_origin(module)})" if found is module else repr(shown)
            raise ConfigurationError(f"{where} has no attribute {name!r}{_alternatives(found, name)}") from None
        except Exception as error:
            raise ConfigurationError(failure(f"reading {name!r} of {shown!r} failed", error)) from error
        shown = f"{shown}:{name}" if shown == module.__name__ else f"{shown}.{name}"
    return found


def _alternatives(owner: Any, wanted: str) -> str:
    """What there is in place of ``wanted``: close names, else what the module itself defines and can be called."""
    import difflib  # only a start that fails needs it

    names = [name for name in dir(owner) if not name.startswith("__")]
    near = difflib.get_close_matches(wanted, names, n=3)
    if near:
        return _suggestion(near)
    home = getattr(owner, "__name__", None)
    defined = [name for name in names if not name.startswith("_") and _defined_in(home, getattr(owner, name, None))]
    return f"; it has {', '.join(defined[:8])}" if defined else ""


def _defined_in(home: str | None, value: Any) -> bool:
    return callable(value) and home in (getattr(value, "__module__", None), type(value).__module__)


def _call(factory: Any, name: str, args: list[Any], named: dict[str, Any]) -> Any:
    if not callable(factory):
        raise ConfigurationError(
            f"{name} is {_kind(factory)} and cannot be called; write {name} without () if it is the application"
        )
    import inspect

    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        pass  # some callables of C have none
    else:
        try:
            signature.bind(*args, **named)
        except TypeError as error:
            if args or named:
                raise ConfigurationError(f"{name}{signature} cannot be called like that: {error}") from None
            raise ConfigurationError(
                f"{name}{signature} cannot be called without arguments; write {name} without () if it is the "
                f"application, or give it its arguments, as in {name}('literal', name=1)"
            ) from None
    try:
        made = factory(*args, **named)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(failure(f"the factory {name}() failed", error)) from error
    if inspect.iscoroutine(made):
        made.close()  # or Python warns that it was never awaited
        raise ConfigurationError(f"the factory {name}() is async; a factory is called before the event loop runs")
    if made is None:
        raise ConfigurationError(f"the factory {name}() returned None; it has to return the application")
    return made


def failure(what: str, error: BaseException) -> str:
    """A message of ``what`` failed and the traceback of ``error``, from the first frame that is the user's."""
    import traceback

    shown = traceback.TracebackException.from_exception(error)
    frames = [frame for frame in shown.stack if not frame.filename.startswith(_OWN_FRAMES)]
    shown.stack = traceback.StackSummary.from_list(frames)
    text = "".join(shown.format()).rstrip()
    return f"{what}:\n\n{text}"


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _origin(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "no file"


def _suggestion(names: list[str]) -> str:
    return f"; did you mean {' or '.join(names)}?" if names else ""
