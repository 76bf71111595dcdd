"""From what the user named to what the server calls: one SSGI callable for HTTP and one for WebSockets.

``INTERFACES`` lists what this server implements; everything else here follows from it: what a framework's
``get_supported`` is offered (SSGI 1.0, ``SSGIFramework``), the values of ``--interface``, and what the messages name.
An interface is added by one entry. HTTP and WebSockets may use different interfaces, but a handler that serves both
through the same one is adapted once, so that it has one life.

Below this module nothing knows what kind of application it serves. Every mistake is found here, at start, and ends
as a ``ConfigurationError`` that names the alternatives.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from ssgi_gateway import engine
from ssgi_gateway.adapters import shape
from ssgi_gateway.adapters.application import Application, SSGICallable
from ssgi_gateway.adapters.loading import failure
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.settings import Settings
from ssgi_gateway.ssgi import SSGI_VERSION

__all__ = ["INTERFACES", "Interface", "get_supported", "resolve"]

HTTP: Final = "http"
WEBSOCKETS: Final = "websockets"


class Interface(NamedTuple):
    """One interface that applications may have.

    Args:
        version: what ``get_supported`` is given.
        adapt: turns an application of this interface into an SSGI callable; raises ``ConfigurationError``.
        protocols: which of ``http`` and ``websockets`` it can serve.
    """

    version: str
    adapt: Callable[[Any, Settings], SSGICallable]
    protocols: tuple[str, ...] = (HTTP, WEBSOCKETS)


def _adapt_ssgi(app: Any, settings: Settings) -> SSGICallable:
    """An SSGI application is one already; what cannot be one is refused now and not at each request."""
    if not shape.accepts(app, 8):
        raise ConfigurationError(
            f"the {shape.describe(app)} cannot be called as SSGI: an SSGI application takes eight arguments (type, "
            "server_address, remote_address, method, path, query_string, get_header, res)"
        )
    return app  # type: ignore[no-any-return]


def _adapt_other(package: str, app: Any, settings: Settings) -> SSGICallable:
    """By the adapter below ``adapters/``, of the build in use."""
    adapted: SSGICallable = engine.module(f"adapters.{package}.adapter", settings.codec).adapt(app, settings)
    return adapted


INTERFACES: dict[str, Interface] = {
    "ssgi": Interface(SSGI_VERSION, _adapt_ssgi),
    "asgi": Interface("2.5", partial(_adapt_other, "asgi")),
    "rsgi": Interface("1.6", partial(_adapt_other, "rsgi")),
    "wsgi": Interface("1.0", partial(_adapt_other, "wsgi"), (HTTP,)),
}
"""What this server implements, the preferred one first."""


def resolve(app: Any, interface: str = "auto", settings: Settings | None = None) -> Application:
    """What the server calls for ``app``.

    Args:
        app: a framework with ``get_supported``, or an application of one of the ``INTERFACES``.
        interface: ``auto`` lets the framework choose or looks at the shape. A name decides where shape cannot, and is
            the only one that a framework is offered.
        settings: for the adapters.

    Raises:
        ConfigurationError: it is no application, its interface is not implemented, or it cannot be recognised.
    """
    if interface != "auto" and interface not in INTERFACES:
        raise ConfigurationError(f"the interface {interface!r} is not implemented; there is {_listed(INTERFACES)}")
    if is_patched():
        raise ConfigurationError(
            "the application has patched Python's threads and sockets by gevent or eventlet (monkey.patch_all), also "
            "those of the process that serves it, which would stand still and not end; serve it without the patch, or "
            "by gunicorn's worker for gevent or eventlet"
        )
    asked = getattr(app, "get_supported", None)
    if callable(asked):
        if inspect.isclass(app):
            raise ConfigurationError(f"{app.__name__} is a class; name an instance of it, or add () to make one")
        offered = INTERFACES if interface == "auto" else {interface: INTERFACES[interface]}
        return get_supported(asked, offered, app, settings)
    name = _recognise(app) if interface == "auto" else interface
    if name not in INTERFACES:
        raise ConfigurationError(
            f"the {shape.describe(app)} looks like {name.upper()}, which this version does not serve; it serves "
            f"{_listed(INTERFACES)}. If it is one of these after all, set --interface"
        )
    settings = settings or Settings()
    adapted = INTERFACES[name].adapt(app, settings)
    if name == "wsgi":
        # WSGI knows no WebSockets; libraries for it do, where they are given the connection and a thread.
        threaded = hasattr(adapted, "thread_load")  # on the loop's thread one would keep all others waiting
        return Application(adapted, adapted if threaded and settings.wsgi_websockets else None)
    serves = INTERFACES[name].protocols
    return Application(adapted if HTTP in serves else None, adapted if WEBSOCKETS in serves else None)


def is_patched() -> bool:
    """Whether ``threading`` is not Python's own any more."""
    for name, kind in (("gevent.monkey", "is_module_patched"), ("eventlet.patcher", "is_monkey_patched")):
        asked = getattr(sys.modules.get(name), kind, None)
        if asked is not None and asked("thread" if "eventlet" in name else "threading"):
            return True
    return False


def get_supported(
    asked: Callable[[dict[str, str]], Any],
    offered: Mapping[str, Interface],
    framework: Any = None,
    settings: Settings | None = None,
) -> Application:
    """Let a framework choose how it is called.

    Args:
        asked: its ``get_supported``.
        offered: the interfaces it may choose from.
        framework: itself, for its hooks.
        settings: for the adapters.

    Raises:
        ConfigurationError: it failed, or answered with what was not offered or is no answer at all.
    """
    try:
        answer = asked({name: interface.version for name, interface in offered.items()})
    except Exception as error:
        raise ConfigurationError(failure("get_supported() failed", error)) from error
    if not isinstance(answer, Mapping):
        if inspect.iscoroutine(answer):
            answer.close()  # or Python warns that it was never awaited
        raise ConfigurationError(
            f"get_supported() returned {shape.shown(answer)}; it returns a dict such as "
            '{"http": ("ssgi", handler), "websockets": None} and is not async'
        )
    adapters = _Adapters(offered, settings or Settings())
    # SSGI 1.0: "websocket" is accepted as a spelling.
    websockets = answer[WEBSOCKETS] if WEBSOCKETS in answer else answer.get("websocket")
    return Application(
        _chosen(HTTP, answer.get(HTTP), adapters),
        _chosen(WEBSOCKETS, websockets, adapters),
        framework,
    )


class _Adapters:
    """Adapts a handler once for each interface, whatever it is chosen for."""

    def __init__(self, offered: Mapping[str, Interface], settings: Settings) -> None:
        self.offered = offered
        self._settings = settings
        self._adapted: list[tuple[str, Any, SSGICallable]] = []

    def adapt(self, name: str, handler: Any) -> SSGICallable:
        for known, before, adapted in self._adapted:
            if known == name and _same(before, handler):
                return adapted
        adapted = self.offered[name].adapt(handler, self._settings)
        self._adapted.append((name, handler, adapted))
        return adapted


def _same(one: Any, other: Any) -> bool:
    """Whether two handlers are one; ``framework.handle`` is another object each time it is written."""
    return one is other or (inspect.ismethod(one) and inspect.ismethod(other) and one == other)


def _chosen(protocol: str, choice: Any, adapters: _Adapters) -> SSGICallable | None:
    """The callable for one protocol of a framework's answer, or ``None`` for "not served"."""
    if choice is None:
        return None
    if not isinstance(choice, tuple | list) or len(choice) != 2:
        raise ConfigurationError(
            f"get_supported() returned {shape.shown(choice)} for {protocol!r}; "
            "it wants (interface name, handler) or None"
        )
    name, handler = choice
    if name is None:
        return None
    name = str(name)
    able = [other for other, interface in adapters.offered.items() if protocol in interface.protocols]
    if name not in able:
        problem = f"cannot serve {protocol}" if name in adapters.offered else "was not offered"
        raise ConfigurationError(
            f"get_supported() chose {name!r} for {protocol!r}, which {problem}; there is {_listed(able)}, or None"
        )
    if not callable(handler) and not hasattr(handler, "__rsgi__"):
        raise ConfigurationError(
            f"get_supported() gave {shape.shown(handler)} as the {name} handler; it is not callable"
        )
    return adapters.adapt(name, handler)


OWN_SERVERS: Final = {
    "aiohttp": "aiohttp's Application is no ASGI or WSGI application; it brings its own server (aiohttp.web.run_app, "
    "or gunicorn with aiohttp's worker)",
    "robyn": "Robyn brings its own server (app.start()); its applications have no interface that other servers know",
    "tornado": "Tornado's Application brings its own server (app.listen()); it is no ASGI or WSGI application",
    "twisted": "Twisted's resources are served by Twisted (twist web); they are no ASGI or WSGI applications",
}
"""By the package of their class, applications that no server but their own can serve."""


def _refuse_own_servers(app: Any) -> None:
    """Refuse an application that only its own package can serve, and name that.

    Raises:
        ConfigurationError: it is one of these.
    """
    for kind in (app if isinstance(app, type) else type(app)).__mro__:
        package = (kind.__module__ or "").partition(".")[0]
        if package in OWN_SERVERS and not hasattr(app, "__rsgi__") and not shape.accepts(app, 3):
            raise ConfigurationError(OWN_SERVERS[package])


def _recognise(app: Any) -> str:
    """The interface's name, or the reason why it cannot be recognised."""
    _refuse_own_servers(app)
    if inspect.isclass(app) and shape.accepts(app, 1) and inspect.iscoroutinefunction(vars(app).get("__call__")):
        raise ConfigurationError(
            f"the {shape.describe(app)} looks like ASGI 2, which was replaced in 2019: wrap it in "
            "asgiref.compatibility.guarantee_single_callable, and serve what that returns"
        )
    if not callable(app) and not hasattr(app, "__rsgi__"):
        raise ConfigurationError(f"{shape.shown(app)} is no application: it cannot be called and has no get_supported")
    name = shape.recognise(app)
    if name is not None:
        return name
    if shape.accepts(app, 0) and not any(shape.accepts(app, count) for count in (2, 3, 8)):
        raise ConfigurationError(
            f"the {shape.describe(app)} takes no arguments, so it is a factory and no application; "
            "add () to call it, as in module:factory()"
        )
    raise ConfigurationError(
        f"the interface of the {shape.describe(app)} is not recognised by its arguments; choose it with --interface: "
        f"{_listed(INTERFACES)}; in tests with TestClient(app, interface=...)"
    )


def _listed(names: Any) -> str:
    return ", ".join(names) or "none"
