"""Recognition by shape, over the forms in which real frameworks and applications come."""

from __future__ import annotations

import functools

import pytest

from ssgi_gateway.adapters.shape import accepts, describe, is_async, recognise


def ssgi_sync(type, server_address, remote_address, method, path, query_string, get_header, res): ...


async def ssgi_async(kind, server, remote, method, path, query, header, response): ...


def ssgi_with_an_option(a, b, c, d, e, f, g, h, database=None): ...


async def asgi_function(scope, receive, send): ...


def asgi_wrapped(s, r, w): ...


def wsgi_function(environ, start_response): ...


def wsgi_other_names(e, s): ...


async def rsgi_function(scope, protocol): ...


async def rsgi_other_names(s, p): ...


def rsgi_sync_by_name(scope, proto): ...


class AsgiInstance:
    """Starlette, Litestar, Quart ..."""

    async def __call__(self, scope, receive, send): ...


class WsgiInstance:
    """Flask, Django, Falcon (which says `env`)."""

    def __call__(self, env, start_response): ...


class WsgiClass:
    """PEP 3333 allows a class: calling it makes an iterable."""

    def __init__(self, environ, start_response): ...

    async def __call__(self): ...


class RsgiInstance:
    """Emmett, BlackSheep: callable as ASGI, too."""

    def __rsgi__(self, scope, protocol): ...

    async def __call__(self, scope, receive, send): ...


class RsgiOnly:
    def __rsgi__(self, scope, protocol): ...


class SsgiInstance:
    async def __call__(self, type, server, remote, method, path, query, get_header, res): ...

    def method(self, type, server, remote, method, path, query, get_header, res): ...


def with_database(database, type, server, remote, method, path, query, get_header, res): ...


@functools.wraps(asgi_function)
async def decorated(*args, **kwargs): ...


@pytest.mark.parametrize(
    ("app", "name"),
    [
        (ssgi_sync, "ssgi"),
        (ssgi_async, "ssgi"),
        (ssgi_with_an_option, "ssgi"),
        (SsgiInstance(), "ssgi"),
        (SsgiInstance().method, "ssgi"),
        (functools.partial(with_database, object()), "ssgi"),
        (asgi_function, "asgi"),
        (asgi_wrapped, "asgi"),
        (AsgiInstance(), "asgi"),
        (decorated, "asgi"),
        (wsgi_function, "wsgi"),
        (wsgi_other_names, "wsgi"),
        (WsgiInstance(), "wsgi"),
        (WsgiClass, "wsgi"),
        (rsgi_function, "rsgi"),
        (rsgi_other_names, "rsgi"),
        (rsgi_sync_by_name, "rsgi"),
        (RsgiInstance(), "rsgi"),
        (RsgiOnly(), "rsgi"),
    ],
)
def test_recognises(app, name):
    assert recognise(app) == name


async def any_arguments(*args): ...


def two_or_three(environ_like, start, extra=None): ...


def five(a, b, c, d, e): ...


def keyword_only(scope, receive, send, *, database): ...


@pytest.mark.parametrize("app", [any_arguments, two_or_three, five, keyword_only, RsgiOnly, 7, "app", {}, print, dict])
def test_cannot_tell(app):
    assert recognise(app) is None


def test_names_decide_where_the_number_leaves_two_possibilities():
    def extended(environ, start_response, extra=None): ...

    assert recognise(extended) == "wsgi"


def test_accepts_what_hides_its_arguments():
    assert accepts(dict, 8)
    assert not accepts("no callable", 8)
    assert not accepts(five, 8)


def test_is_async():
    assert is_async(functools.partial(functools.partial(rsgi_function)))
    assert is_async(AsgiInstance())
    assert not is_async(WsgiInstance())
    assert not is_async(WsgiClass)


@pytest.mark.parametrize(
    ("app", "text"),
    [
        (five, "function five(a, b, c, d, e)"),
        (WsgiClass, "class WsgiClass(environ, start_response)"),
        (AsgiInstance(), "AsgiInstance called as (scope, receive, send)"),
        (7, "int"),
    ],
)
def test_describes_in_a_few_words(app, text):
    assert describe(app) == text
