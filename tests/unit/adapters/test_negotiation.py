"""From an application to what the server calls (SSGI 1.0, SSGIFramework)."""

from __future__ import annotations

import sys
import types

import pytest

from ssgi_gateway.adapters import negotiation
from ssgi_gateway.adapters.application import Application
from ssgi_gateway.adapters.negotiation import INTERFACES, Interface, resolve
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.settings import Settings


def ssgi_app(type, server_address, remote_address, method, path, query_string, get_header, res): ...


def other_app(type, server_address, remote_address, method, path, query_string, get_header, res): ...


async def asgi_app(scope, receive, send): ...


def wsgi_app(environ, start_response): ...


class Framework:
    def __init__(self, answer):
        self.answer = answer
        self.offered = None

    def get_supported(self, supported_interfaces):
        self.offered = supported_interfaces
        return self.answer


def refused(app, interface="auto") -> str:
    with pytest.raises(ConfigurationError) as info:
        resolve(app, interface)
    return str(info.value)


@pytest.fixture
def more_interfaces(monkeypatch):
    """The registry with entries such as adapters add: one each, nothing else to change."""
    made = []

    def adapt(app, settings):
        made.append(app)
        return lambda *arguments: app

    more = {"asgi": Interface("2.5", adapt), "wsgi": Interface("1.0", adapt, ("http",))}
    monkeypatch.setattr(negotiation, "INTERFACES", {"ssgi": INTERFACES["ssgi"], **more})
    return made


def pair(application: Application):
    return application.http, application.websocket


def test_an_ssgi_application_serves_both_as_it_is():
    assert pair(resolve(ssgi_app)) == (ssgi_app, ssgi_app)
    assert pair(resolve(ssgi_app, "ssgi")) == (ssgi_app, ssgi_app)


def test_a_framework_is_offered_what_is_implemented():
    framework = Framework({})
    resolve(framework)
    assert framework.offered == {name: interface.version for name, interface in INTERFACES.items()}
    assert framework.offered["ssgi"] == "1.0"


def test_the_offer_is_the_frameworks_own_copy():
    class Greedy:
        def get_supported(self, supported_interfaces):
            supported_interfaces.clear()
            return {}

    resolve(Greedy())
    assert "ssgi" in INTERFACES


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"http": ("ssgi", ssgi_app), "websockets": ("ssgi", other_app)}, (ssgi_app, other_app)),
        ({"http": ("ssgi", ssgi_app), "websocket": ("ssgi", other_app)}, (ssgi_app, other_app)),
        ({"http": ["ssgi", ssgi_app]}, (ssgi_app, None)),
        ({"http": ("ssgi", ssgi_app), "websockets": None}, (ssgi_app, None)),
        ({"http": ("ssgi", ssgi_app), "websockets": (None, other_app)}, (ssgi_app, None)),
        ({"http": ("ssgi", ssgi_app), "websockets": (None, None)}, (ssgi_app, None)),
        ({"websockets": ("ssgi", other_app)}, (None, other_app)),
        ({"http": None, "websockets": ("ssgi", other_app)}, (None, other_app)),
        ({"http": ("ssgi", ssgi_app), "websockets": None, "websocket": ("ssgi", other_app)}, (ssgi_app, None)),
        ({"http": ("ssgi", ssgi_app), "http3": ("ssgi", ssgi_app)}, (ssgi_app, None)),
        ({}, (None, None)),
    ],
)
def test_answers_of_a_framework(answer, expected):
    assert pair(resolve(Framework(answer))) == expected


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "returned None"),
        ([("http", ssgi_app)], "it returns a dict"),
        ({"http": ssgi_app}, "for 'http'; it wants (interface name, handler) or None"),
        ({"http": ("ssgi",)}, "it wants (interface name, handler)"),
        ({"http": "ssgi"}, "it wants (interface name, handler)"),
        ({"http": ("cgi", ssgi_app)}, "chose 'cgi' for 'http', which was not offered; there is ssgi, asgi"),
        ({"websockets": (["ssgi"], ssgi_app)}, "which was not offered; there is ssgi"),
        ({"http": ("ssgi", None)}, "gave None (NoneType) as the ssgi handler; it is not callable"),
        ({"http": ("ssgi", asgi_app)}, "asgi_app(scope, receive, send) cannot be called as SSGI"),
    ],
)
def test_answers_that_cannot_be_used(answer, said):
    assert said in refused(Framework(answer))


def test_http_and_websockets_may_use_different_interfaces(more_interfaces):
    framework = Framework({"http": ("wsgi", wsgi_app), "websockets": ("asgi", asgi_app)})
    application = resolve(framework)
    assert framework.offered == {"ssgi": "1.0", "asgi": "2.5", "wsgi": "1.0"}
    assert (application.http(), application.websocket()) == (wsgi_app, asgi_app)


def test_one_handler_for_both_is_adapted_once(more_interfaces):
    application = resolve(Framework({"http": ("asgi", asgi_app), "websockets": ("asgi", asgi_app)}))
    assert application.http is application.websocket
    assert more_interfaces == [asgi_app]


def test_one_method_for_both_is_one_handler(more_interfaces):
    class Own(Framework):
        def __init__(self):
            super().__init__({"http": ("asgi", self.handle), "websockets": ("asgi", self.handle)})

        async def handle(self, scope, receive, send): ...

    application = resolve(Own())
    assert application.http is application.websocket  # or its lifespan would be run twice
    assert len(more_interfaces) == 1


def test_wsgi_cannot_serve_websockets(more_interfaces):
    message = refused(Framework({"websockets": ("wsgi", wsgi_app)}))
    assert "chose 'wsgi' for 'websockets', which cannot serve websockets; there is ssgi, asgi, or None" in message


def test_an_added_interface_is_recognised_and_adapted(more_interfaces):
    application = resolve(asgi_app)
    assert application.http() is asgi_app
    assert application.http is application.websocket


def test_an_interface_without_websockets_serves_none(more_interfaces):
    application = resolve(wsgi_app)
    assert application.http() is wsgi_app
    assert application.websocket is None


def test_the_interface_setting_decides_where_shape_does_not(more_interfaces):
    async def hidden(*arguments): ...

    assert resolve(hidden, "asgi").http() is hidden
    assert "choose it with --interface: ssgi, asgi, wsgi" in refused(hidden)


def test_the_interface_setting_narrows_the_offer(more_interfaces):
    framework = Framework({"http": ("ssgi", ssgi_app)})
    assert "chose 'ssgi' for 'http', which was not offered; there is asgi" in refused(framework, "asgi")
    assert framework.offered == {"asgi": "2.5"}


def test_the_settings_choices_are_the_registrys():
    choices = Settings.FIELDS["interface"].metadata["choices"]
    assert choices == ("auto", *INTERFACES)


class RsgiApp:
    def __rsgi__(self, scope, protocol): ...


@pytest.mark.parametrize(
    ("app", "name"),
    [(asgi_app, "ASGI"), (wsgi_app, "WSGI"), (RsgiApp(), "RSGI")],
)
def test_what_is_recognised_and_not_implemented(app, name, monkeypatch):
    monkeypatch.setattr(negotiation, "INTERFACES", {"ssgi": INTERFACES["ssgi"]})
    message = refused(app)
    assert f"looks like {name}, which this version does not serve; it serves ssgi" in message


def create_app():
    return ssgi_app


class Application2:
    def get_supported(self, supported_interfaces):
        return {}


def five(a, b, c, d, e): ...


@pytest.mark.parametrize(
    ("app", "interface", "said"),
    [
        (create_app, "auto", "so it is a factory and no application; add () to call it"),
        (Application2, "auto", "Application2 is a class; name an instance of it, or add () to make one"),
        (five, "auto", "the interface of the function five(a, b, c, d, e) is not recognised"),
        ({"a": 1}, "auto", "{'a': 1} (dict) is no application"),
        (object(), "auto", "(object) is no application"),
        (ssgi_app, "sgi", "the interface 'sgi' is not implemented; there is ssgi"),
        (five, "ssgi", "function five(a, b, c, d, e) cannot be called as SSGI"),
        (7, "ssgi", "the int cannot be called as SSGI"),
    ],
)
def test_what_is_no_application(app, interface, said):
    assert said in refused(app, interface)


def test_a_get_supported_that_fails_shows_its_traceback():
    class Broken:
        def get_supported(self, supported_interfaces):
            return supported_interfaces["cgi"]

    message = refused(Broken())
    assert "get_supported() failed" in message
    assert "KeyError: 'cgi'" in message


def test_a_get_supported_that_is_async():
    class Async:
        async def get_supported(self, supported_interfaces):
            return {}

    assert "is not async" in refused(Async())


# -- applications that no server of this kind can serve --------------------------------------------------------------


def made_by(module, call=None):
    """An object as a package has it, with or without a ``__call__``."""
    kind = type("Application", (), {"__module__": module} | ({} if call is None else {"__call__": call}))
    return kind()


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("aiohttp.web_app", "brings its own server (aiohttp.web.run_app"),
        ("robyn", "Robyn brings its own server (app.start())"),
        ("tornado.web", "Tornado's Application brings its own server (app.listen())"),
        ("twisted.web.server", "served by Twisted"),
    ],
)
def test_what_brings_its_own_server_is_refused_in_words(module, words):
    assert words in refused(made_by(module))
    assert words in refused(made_by(module, lambda self: self))  # aiohttp's: it looks like a factory of itself


def test_a_subclass_of_it_too():
    class Shop(type(made_by("aiohttp.web_app"))):
        pass

    assert "aiohttp" in refused(Shop())


def test_aiohttps_own_application():
    web = pytest.importorskip("aiohttp.web")
    assert "it brings its own server (aiohttp.web.run_app" in refused(web.Application())


def test_such_an_object_that_is_an_asgi_application_is_served():
    async def call(self, scope, receive, send): ...

    assert resolve(made_by("robyn", call)).http is not None


def test_asgi_2_is_named():
    class Old:
        def __init__(self, scope): ...

        async def __call__(self, receive, send): ...

    assert "looks like ASGI 2" in refused(Old)
    assert "guarantee_single_callable" in refused(Old)
    assert "looks like ASGI 2" in refused(Old, "asgi")


@pytest.mark.parametrize("interface", ["wsgi", "asgi", "ssgi"])
def test_an_application_patched_by_gevent_is_refused(monkeypatch, interface):
    """On the loop's thread as well: a server whose threads and sockets are patched stands still and does not end."""
    patched = types.ModuleType("gevent.monkey")
    patched.is_module_patched = lambda name: name == "threading"
    monkeypatch.setitem(sys.modules, "gevent.monkey", patched)
    for threads in (0, 8):
        with pytest.raises(ConfigurationError, match="patched Python's threads"):
            resolve(lambda *_: None, interface, Settings(threads=threads))
