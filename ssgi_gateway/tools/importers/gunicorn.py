"""``gunicorn.conf.py``: assignments of plain values; and the command lines of gunicorn, uvicorn and their like."""

from __future__ import annotations

import ast
import operator
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from ssgi_gateway.errors import ConfigurationError

from .rules import PROXY, Imported, Rules, addresses, apply, ignored, listed, number, replaced, seconds, taken
from .uwsgi import from_options

__all__ = ["RULES", "SERVERS", "from_command", "read"]

HOOKS: Final = ignored("hooks of the server: an application's own start and end (lifespan, startup) take their place")
TLS: Final = replaced("the web server does TLS: ssgi-gateway config nginx --tls CERT,KEY")
LOGS: Final = replaced("the server's own lines go to standard error; log-level and log-format are settings")

SERVER_HOOKS: Final = (
    "on_starting", "on_reload", "when_ready", "pre_fork", "post_fork", "post_worker_init", "worker_int", "worker_abort",
    "pre_exec", "pre_request", "post_request", "child_exit", "worker_exit", "nworkers_changed", "on_exit",
    "ssl_context",
)  # fmt: skip

DIRTY: Final = (
    "dirty_apps", "dirty_workers", "dirty_timeout", "dirty_threads", "dirty_graceful_timeout", "on_dirty_starting",
    "dirty_post_fork", "dirty_worker_init", "dirty_worker_exit",
)  # fmt: skip
TASKS: Final = ignored("a queue of tasks of its own: Celery, RQ, Dramatiq")

HTTP2: Final = (
    "http_protocols", "http2_max_concurrent_streams", "http2_initial_window_size", "http2_max_frame_size",
    "http2_max_header_list_size",
)  # fmt: skip

RULES: Final[Rules] = {
    "bind": taken("http", addresses),
    "workers": taken("workers", number),
    "threads": taken("threads", number),
    "worker_class": replaced("the application's interface is recognised by its shape; WSGI runs in threads"),
    "worker_connections": taken("max-connections", number),
    "max_requests": taken("worker.max-requests", number),
    "max_requests_jitter": replaced("max-requests has a jitter of its own, so that no two workers go at once"),
    "limit_max_requests": taken("worker.max-requests", number),
    "timeout": replaced("request-timeout: cancels or interrupts the one request, and the others go on"),
    "graceful_timeout": taken("deadlines.drain", seconds),
    "timeout_graceful_shutdown": taken("deadlines.drain", seconds),
    "keepalive": taken("deadlines.keep-alive", seconds),
    "timeout_keep_alive": taken("deadlines.keep-alive", seconds),
    "backlog": taken("backlog", number),
    "chdir": taken("chdir"),
    "app_dir": taken("pythonpath", listed),
    "pythonpath": taken("pythonpath", listed),
    "user": taken("user"),
    "group": taken("group"),
    "umask": taken("umask"),
    "pidfile": taken("pid-file"),
    "pid": taken("pid-file"),
    "accesslog": taken("access-log"),
    "access_logfile": taken("access-log"),
    "preload_app": taken("preload", lambda text: text.lower() not in ("false", "0", "none")),
    "preload": taken("preload", lambda text: True),
    "root_path": taken("root-path"),
    "wsgi_app": taken("app"),
    "interface": taken("interface"),
    "ws_max_size": taken("websockets.max-message-size", number),
    "ws_max_queue": taken("websockets.max-queue", number),
    "ws_ping_interval": taken("websockets.ping-interval", seconds),
    "ws_ping_timeout": taken("websockets.ping-timeout", seconds),
    "loglevel": taken("log-level", str.lower),
    "log_level": taken("log-level", str.lower),
    "reload": replaced("ssgi-gateway dev"),
    "reload_dir": replaced("ssgi-gateway dev"),
    "debug": replaced("ssgi-gateway dev"),
    "factory": replaced("write the application as module:factory()"),
    "daemon": replaced("systemd: deploy/systemd has a service"),
    "errorlog": LOGS,
    "log_file": LOGS,
    "error_logfile": LOGS,
    "capture_output": LOGS,
    "logconfig": LOGS,
    "log_config": LOGS,
    "logconfig_dict": LOGS,
    "access_log_format": replaced("access-log is in the combined format, or JSON"),
    "access_log": replaced("access-log"),
    "certfile": TLS,
    "keyfile": TLS,
    "ssl_certfile": TLS,
    "ssl_keyfile": TLS,
    "ca_certs": TLS,
    "forwarded_allow_ips": ignored(PROXY),
    "secure_scheme_headers": ignored(PROXY),
    "proxy_headers": ignored(PROXY),
    "proxy_protocol": ignored(PROXY),
    "proxy_allow_ips": ignored(PROXY),
    "limit_request_line": ignored("the web server's limit: large_client_header_buffers of nginx"),
    "limit_request_fields": taken("limits.max-variables", number),
    "limit_request_field_size": ignored("the web server's limit: large_client_header_buffers of nginx"),
    "limit_concurrency": taken("max-connections", number),
    "worker_tmp_dir": ignored("workers report that they live without files"),
    "sendfile": ignored("files go by sendfile(2) always, or by the web server: file-header"),
    "reuse_port": ignored("workers share one listener"),
    "proc_name": ignored("workers say what they are"),
    "statsd_host": replaced("status = ADDR: metrics for Prometheus"),
    "statsd_prefix": replaced("status = ADDR: metrics for Prometheus"),
    "listen": taken("http", addresses),
    "verbosity": replaced("log-level"),
    "no_control_socket": ignored("there is none; signals and ssgi-gateway reload control the server"),
    "config": ignored("import that file as well"),
    "loop": ignored("uvloop where it is installed, asyncio otherwise"),
    "http": ignored("the codec is chosen by what is installed"),
    "ws": ignored("WebSockets are always served"),
    "lifespan": ignored("lifespan is always offered"),
    "no_access_log": ignored("there is none unless access-log is given"),
    "use_colors": ignored("colours at a terminal"),
    "server_header": ignored("the web server's"),
    "date_header": ignored("the web server's"),
    "env_file": replaced("EnvironmentFile= of the systemd service"),
    **dict.fromkeys(SERVER_HOOKS, HOOKS),
    **dict.fromkeys(DIRTY, TASKS),
    **dict.fromkeys(HTTP2, ignored("HTTP/2 is the web server's")),
    "asgi_loop": ignored("uvloop where it is installed, asyncio otherwise"),
}
"""What each of gunicorn's settings is here, and each of uvicorn's, hypercorn's and granian's options by that name."""

SHORT: Final = {
    "-b": "bind", "-w": "workers", "-k": "worker_class", "-t": "timeout", "-D": "daemon", "-p": "pidfile", "-u": "user",
    "-g": "group", "-n": "proc_name", "-c": "config", "-e": "env",
}  # fmt: skip

SWITCHES: Final = frozenset((
    "preload", "reload", "daemon", "factory", "proxy_headers", "no_access_log", "use_colors", "capture_output",
    "sendfile", "reuse_port", "debug",
))  # fmt: skip

PREFIXES: Final = ("exec", "python", "python3", "-m", "poetry", "run", "uv", "pipenv")
"""Words before the server's name."""

SERVERS: Final = ("gunicorn", "uvicorn", "hypercorn", "granian", "daphne", "waitress-serve")
"""Whose command lines are understood."""


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
                apply(imported, RULES, node.name, f"def {node.name}", "")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for name in _names(node):
                variables[name] = value = node.value or ast.Constant(None)
                if name in RULES or name not in own:  # the program's own variables are no options
                    _assigned(imported, name, value, variables)
        else:
            for inner in ast.walk(node):
                for name in _names(inner):
                    variables.pop(name, None)  # which of its values holds is not known
                    if name in RULES or name == "raw_env":
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
        if name in RULES:
            imported.note(option, "no counterpart", "it is computed: write its value")
        elif not name.startswith("_"):
            imported.note(option, "no counterpart", "not known to this importer")
        return
    if name == "raw_env":
        pairs = [str(text).partition("=") for text in ([value] if isinstance(value, str) else value)]
        imported.environment.update({key: text for key, _, text in pairs})
        imported.note(option, "replaced", "Environment= of the systemd service")
        return
    if value is None:
        imported.note(option, "replaced", "it is unset, and so it is here")
        return
    for one in value if isinstance(value, list | tuple) and name in RULES else [value]:
        apply(imported, RULES, name, option, f"{one:03o}" if name == "umask" and isinstance(one, int) else str(one))


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
    """Of ``os.getenv("TIMEOUT") or 60`` it is 60: what the environment says is not known here."""
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
    for name, value in _options(
        words, {"-p": "port", "-b": "host", "-v": "verbosity"} if server == "daphne" else SHORT
    ):
        option = f"--{name.replace('_', '-')} {value}".strip()
        if name == "":
            app = value if ":" in value else f"{value}:{'app' if server == 'uvicorn' else 'application'}"
            imported.take(value, "app", app)
        elif name == "host" or (server == "daphne" and name == "bind"):
            host = value
        elif name == "port":
            port = value
        elif name == "uds":
            imported.take(option, "http", addresses(f"unix:{value}"))
        elif name == "fd":
            imported.take(option, "http", [f"fd:{value}"])
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


def _options(words: list[str], short: Mapping[str, str] = SHORT) -> list[tuple[str, str]]:
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
        if not equals and name not in SWITCHES and words and (not words[0].startswith("-") or words[0] == "-"):
            value = words.pop(0)
        found.append((name, value))
    return found


def _long_options(words: list[str]) -> list[tuple[str, str]]:
    return [(name.replace("_", "-"), value) for name, value in _options(words) if name]


def split(command: str) -> list[str]:
    """The words of a shell's command line."""
    return shlex.split(command)
