"""``unit.json``: the configuration of NGINX Unit, of which one Python application is taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ssgi_gateway.errors import ConfigurationError

from .rules import Imported, Rules, address, apply, ignored, listed, replaced, taken

__all__ = ["RULES", "read"]

RULES: Final[Rules] = {
    "path": taken("pythonpath", listed),
    "working_directory": taken("chdir"),
    "home": replaced("start the ssgi-gateway that is installed in this virtual environment"),
    "protocol": taken("interface"),
    "threads": taken("threads", int),
    "thread_stack_size": ignored("the system's"),
    "user": taken("user"),
    "group": taken("group"),
    "prefix": taken("root-path", lambda text: text.rstrip("/")),
    "processes": taken("workers", int),
    "processes.max": taken("workers", int),
    "processes.spare": ignored("the supervisor keeps the number of workers"),
    "processes.idle_timeout": ignored("the supervisor keeps the number of workers"),
    "limits.requests": taken("worker.max-requests", int),
    "limits.timeout": taken("request-timeout", float),
    "stdout": replaced("standard output goes where the service's goes"),
    "stderr": replaced("standard error goes where the service's goes"),
    "isolation": replaced("systemd's: deploy/systemd has a service with them"),
}
"""What each option of an application is here."""

SETTINGS: Final[Rules] = {
    "http.header_read_timeout": taken("deadlines.head", float),
    "http.body_read_timeout": taken("deadlines.body", float),
    "http.send_timeout": taken("deadlines.write", float),
    "http.idle_timeout": taken("deadlines.keep-alive", float),
    "http.max_body_size": taken("max-body-size", int),
    "http.discard_unsafe_fields": ignored("the web server says which fields it passes on"),
    "http.server_version": ignored("the web server's"),
    "http.log_route": ignored("access-log"),
    "http.websocket.read_timeout": taken("websockets.ping-timeout", float),
    "listen_threads": ignored("every worker accepts on every socket"),
    "http.websocket.max_frame_size": taken("websockets.max-frame-size", int),
    "http.websocket.keepalive_interval": taken("websockets.ping-interval", float),
}


def read(content: dict[str, Any], application: str = "") -> Imported:
    """Understand a configuration; ``application`` is the one to take, where there are several of Python.

    Raises:
        ConfigurationError: it has no such application, or several and none was named.
    """
    applications = content.get("applications", {})
    python = {name: app for name, app in applications.items() if str(app.get("type", "")).startswith("python")}
    wanted = {name: app for name, app in python.items() if application in ("", name)}
    if len(wanted) != 1:
        names = ", ".join(python) or "none"
        raise ConfigurationError(
            f"one gateway serves one application, and there are {len(python)} of Python: {names}"
            + ("; choose one with --application NAME" if len(python) > 1 else "")
        )
    [(name, app)] = wanted.items()
    imported = Imported()
    _application(imported, app)
    for option, value in _flat(content.get("settings", {})):
        apply(imported, SETTINGS, option, f"settings.{option} = {value!r}", str(value))
    for listener, about in content.get("listeners", {}).items():
        _listener(imported, listener, about, _leads_to(content, str(about.get("pass", ""))), name)
    for other in applications:
        if other != name:
            imported.note(f"applications.{other}", "no counterpart", "a gateway of its own, if it is Python")
    for section in ("routes", "upstreams", "certificates", "access_log"):
        if section in content:
            imported.note(section, "replaced", "the web server's: ssgi-gateway config nginx")
    return imported


def _application(imported: Imported, app: dict[str, Any]) -> None:
    module, callable_ = app.get("module", "wsgi"), app.get("callable", "application")
    imported.take(f"module = {module!r}", "app", f"{module}:{callable_}{'()' if app.get('factory') else ''}")
    imported.environment.update(app.get("environment", {}))
    for option, value in _flat({key: value for key, value in app.items() if key not in _SPECIAL}):
        for one in value if isinstance(value, list) else [value]:
            apply(imported, RULES, option, f"{option} = {one!r}", str(one))


_SPECIAL: Final = ("type", "module", "callable", "factory", "environment", "targets")


def _leads_to(content: dict[str, Any], passed: str) -> set[str]:
    """The applications that a listener, or a route, passes requests to."""
    kind, _, name = passed.partition("/")
    if kind == "applications":
        return {name.partition("/")[0]}
    if kind != "routes":
        return set()
    routes = content.get("routes", [])
    steps = routes if isinstance(routes, list) else routes.get(name, [])
    actions = [step.get("action", {}) for step in steps]
    actions += [action["fallback"] for action in actions if "fallback" in action]
    return {found for action in actions for found in _leads_to(content, str(action.get("pass", "")))}


def _listener(imported: Imported, listener: str, about: dict[str, Any], leads_to: set[str], name: str) -> None:
    option = f"listener {listener!r}"
    if name in leads_to:
        imported.take(option, "http", [address(listener)])
    else:
        imported.note(option, "no counterpart", f"it passes to {about.get('pass', '')!r}, which is not {name}")
    if "tls" in about:
        imported.note(f"{option}: tls", "replaced", "the web server does TLS: ssgi-gateway config nginx --tls CERT,KEY")


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Options of tables within tables, with dots between their names."""
    for key, value in table.items():
        if isinstance(value, dict) and key != "isolation":
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
