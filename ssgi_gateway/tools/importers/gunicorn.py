"""``gunicorn.conf.py``: assignments of plain values; and the command lines of gunicorn, uvicorn and their like."""

from __future__ import annotations

import ast
import operator
import re
import shlex
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any, Final

from ssgi_gateway.errors import ConfigurationError

from .rules import Imported, addresses, apply
from .servers import GUNICORN, PREFIXES, RULES, SERVERS, SHORT, SWITCHES
from .uwsgi import from_options

__all__ = ["from_command", "read"]


def read(text: str) -> Imported:
    """Understand a configuration file. It is a program; only assignments of plain values are taken from it.

    Raises:
        ConfigurationError: it is no Python.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ConfigurationError(f"line {error.lineno} is no Python: {error.msg}") from None
    imported = Imported()
    own = {name.id for name in ast.walk(tree) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load)}
    variables: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name not in own:
                apply(imported, GUNICORN, node.name, f"def {node.name}", "")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for name in _names(node):
                variables[name] = value = node.value or ast.Constant(None)
                if name in GUNICORN or name not in own:  # the program's own variables are no options
                    _assigned(imported, name, value, variables)
        else:
            for inner in ast.walk(node):
                for name in _names(inner):
                    variables.pop(name, None)  # which of its values holds is not known
                    if name in GUNICORN or name == "raw_env":
                        imported.note(
                            ast.unparse(inner), "no counterpart", "it depends on a condition: write its value"
                        )
    return imported


def _names(node: ast.AST) -> list[str]:
    """The names that an assignment gives a value to."""
    if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return []
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _assigned(imported: Imported, name: str, node: ast.expr, variables: Mapping[str, ast.expr]) -> None:
    option = f"{name} = {ast.unparse(node)}"
    if name == "workers" and "cpu_count" in ast.unparse(_inlined(node, variables)):
        imported.take(option, "workers", "auto")
        return
    try:
        value = evaluate(node, variables)
    except ValueError:
        if name in GUNICORN:
            imported.note(option, "no counterpart", "it is computed: write its value")
        elif not name.startswith("_"):
            imported.note(option, "no counterpart", "not known to this importer")
        return
    if name == "raw_env":
        _environment(imported, option, [value] if isinstance(value, str) else value)
        return
    if value is None:
        imported.note(option, "replaced", "it is unset, and so it is here")
        return
    for one in value if isinstance(value, list | tuple) and name in GUNICORN else [value]:
        apply(imported, GUNICORN, name, option, f"{one:03o}" if name == "umask" and isinstance(one, int) else str(one))


def _environment(imported: Imported, option: str, texts: Sequence[object]) -> None:
    pairs = [str(text).partition("=") for text in texts]
    imported.environment.update({key: text for key, _, text in pairs})
    imported.note(option, "replaced", "Environment= of the systemd service")


def _inlined(node: ast.expr, variables: Mapping[str, ast.expr], depth: int = 8) -> ast.expr:
    """``node``, where a name of the program's own is what it was given."""
    if isinstance(node, ast.Name) and node.id in variables and depth:
        return _inlined(variables[node.id], variables, depth - 1)
    return node


def evaluate(node: ast.expr, variables: Mapping[str, ast.expr], depth: int = 8) -> Any:
    """The value of an expression of plain values; of ``int(os.getenv("TIMEOUT", "60"))`` it is 60.

    A variable of the environment decides there; the setting has one of its own, which decides here.

    Raises:
        ValueError: it holds something else.
    """
    if not depth:
        raise ValueError

    def inner(node: ast.expr) -> Any:
        return evaluate(node, variables, depth - 1)

    if isinstance(node, ast.Name) and node.id in variables:
        return inner(variables[node.id])
    try:
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return _first_of(node.values, inner)
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](inner(node.left), inner(node.right))
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.FormattedValue) else part for part in node.values)
            return "".join(str(inner(part)) for part in parts)
        if isinstance(node, ast.Call) and not node.keywords:
            called, count = ast.unparse(node.func), len(node.args)
            if called in CONVERSIONS and count == 1:
                return CONVERSIONS[called](inner(node.args[0]))
            if called in ENVIRONMENT and count == 2:
                return inner(node.args[1])
    except TypeError:  # int(None), "a" * "b"
        raise ValueError from None
    return ast.literal_eval(node)


OPERATORS: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Mult: operator.mul,
}
CONVERSIONS: Final[Mapping[str, Callable[[Any], Any]]] = {"int": int, "float": float, "str": str}
ENVIRONMENT: Final = ("os.getenv", "os.environ.get", "getenv", "environ.get")


def _first_of(choices: Sequence[ast.expr], inner: Callable[[ast.expr], Any]) -> Any:
    """Of ``os.getenv("TIMEOUT") or 60`` it is 60: the environment's value is not known here."""
    for choice in choices[:-1]:
        with suppress(ValueError):
            if value := inner(choice):
                return value
    return inner(choices[-1])


def from_command(words: Sequence[str]) -> Imported:
    """Understand a command line: the server's name and its arguments.

    Raises:
        ConfigurationError: it starts none that is known.
    """
    words = list(words)
    while words and ("=" in words[0] or words[0] in PREFIXES):
        words.pop(0)
    if not words:
        raise ConfigurationError("the command starts no server that is known")
    server = words.pop(0).rpartition("/")[2]
    if server == "uwsgi":
        return from_options(_long_options(words))
    if server not in SERVERS:
        raise ConfigurationError(f"the command starts {server!r}; known are uwsgi, {', '.join(SERVERS)}")
    imported = Imported()
    host, port = "", ""
    short = {"-p": "port", "-b": "host", "-v": "verbosity"} if server == "daphne" else SHORT
    for name, value in _options(words, short, SWITCHES | {"ws"} if server == "granian" else SWITCHES):
        option = f"--{name.replace('_', '-')} {value}".strip()
        if name == "":
            app = value if ":" in value else f"{value}:{'app' if server == 'uvicorn' else 'application'}"
            imported.take(value, "app", app)
        elif name == "host" or (server == "daphne" and name == "bind"):
            host = value
        elif name == "port":
            port = value
        elif name in ("uds", "fd"):
            imported.take(option, "http", addresses(f"unix:{value}") if name == "uds" else [f"fd:{value}"])
        elif name == "env":
            _environment(imported, option, [value])
        else:
            apply(imported, RULES, name, option, value)
    if port or host:
        _listen(imported, host, port)
    return imported


def _listen(imported: Imported, host: str, port: str) -> None:
    text = f"{host or '127.0.0.1'}:{port or '8000'}"
    if "$" in text:  # for which the shell that starts the command has a value
        imported.note(f"--port {port}", "replaced", f'http: start it with --http "{text}", for the shell to fill in')
    else:
        imported.take(f"--host {host} --port {port}", "http", [text])


def _options(
    words: list[str], short: Mapping[str, str] = SHORT, switches: Set[str] = SWITCHES
) -> list[tuple[str, str]]:
    """Names without dashes, and values; an argument has no name."""
    found: list[tuple[str, str]] = []
    while words:
        word = words.pop(0)
        if re.fullmatch(r"-[a-zA-Z]\d+", word):  # -w4
            word, words = word[:2], [word[2:], *words]
        if not word.startswith("-"):
            found.append(("", word))
            continue
        flag, equals, value = word.partition("=")
        name = short.get(flag, flag.lstrip("-").replace("-", "_"))
        bare = name in switches or name.startswith("no_")
        if not equals and not bare and words and (not words[0].startswith("-") or words[0] == "-"):
            value = words.pop(0)
        found.append((name, value))
    return found


def _long_options(words: list[str]) -> list[tuple[str, str]]:
    return [(name.replace("_", "-"), value) for name, value in _options(words) if name]


def split(command: str) -> list[str]:
    """The words of a shell's command line."""
    return shlex.split(command)
