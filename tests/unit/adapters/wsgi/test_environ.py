"""WSGI: ``environ``."""

from __future__ import annotations

import sys

import pytest

from ssgi_gateway.settings import Settings
from tests.unit.adapters.wsgi_serving import ask, hello, run, served


def environ_of(settings, *args, **kwargs):
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        return hello(environ, start_response)

    answer = ask(app, settings, *args, **kwargs)
    assert answer.status == 200, answer
    return seen


def test_environ_is_a_dict_with_everything(settings):
    environ = environ_of(
        settings, "POST", "/a%20b/c?x=%20y", [("X-Some-Header", "one"), ("Host", "example.org")], b"body"
    )
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/c",
        "QUERY_STRING": "x=%20y",
        "CONTENT_LENGTH": "4",
        "SERVER_NAME": "example.org",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "50007",
        "HTTP_X_SOME_HEADER": "one",
        "HTTP_HOST": "example.org",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.run_once": False,
        "wsgi.multithread": settings.threads > 1,
        "wsgi.multiprocess": False,
        "wsgi.input_terminated": True,
    }
    assert {name: environ.get(name) for name in expected} == expected
    assert environ["wsgi.errors"] is sys.stderr


def test_paths_are_bytes_as_unicode(settings):
    environ = environ_of(settings, "GET", "/%C3%BC/\u00c3\u00bc/%ff")
    assert environ["PATH_INFO"].encode("latin-1") == b"/\xc3\xbc/\xc3\xbc/\xff"


@pytest.mark.parametrize(
    ("root_path", "target", "script_name", "path_info"),
    [
        ("/app", "/app/x", "/app", "/x"),
        ("/app", "/app", "/app", ""),
        ("/app/", "/app/", "/app", "/"),
        ("/app", "/apple", "/app", "/apple"),
        ("/\u00fc", "/%C3%BC/x", "/\u00c3\u00bc", "/x"),
        ("", "/app/x", "", "/app/x"),
        (None, "/", "", "/"),
    ],
)
def test_script_name_and_path_info(root_path, target, script_name, path_info):
    environ = environ_of(Settings(threads=0, root_path=root_path), "GET", target)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


def test_a_script_name_from_the_web_server():
    variables = [("SCRIPT_NAME", "/app"), ("PATH_INFO", "/rewritten")]
    environ = environ_of(Settings(threads=0), "GET", "/app/x", variables=variables)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/app", "/x")


def test_what_no_application_may_meet_is_not_there(settings):
    headers = [
        ("Proxy", "evil"),
        ("Content-Type", "text/plain"),
        ("Content-Length", "4"),
        ("Transfer-Encoding", "chunked"),
    ]
    environ = environ_of(settings, "POST", "/", headers, b"body", variables=[("CONTENT_TYPE", "text/plain")])
    for name in ("HTTP_PROXY", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"):
        assert name not in environ
    assert environ["CONTENT_TYPE"] == "text/plain"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SERVER_NAME": "", "SERVER_PORT": "", "SERVER_PROTOCOL": ""}, ("localhost", "80", "HTTP/1.1")),
        (
            {"SERVER_NAME": "", "SERVER_PORT": "", "HTTPS": "on", "REQUEST_SCHEME": "https"},
            ("localhost", "443", "HTTP/1.1"),
        ),
        ({"SERVER_NAME": "", "SERVER_ADDR": "192.0.2.1"}, ("192.0.2.1", "8080", "HTTP/1.1")),
        ({"SERVER_NAME": "", "SERVER_ADDR": "2001:db8::1"}, ("[2001:db8::1]", "8080", "HTTP/1.1")),
        ({"SERVER_PORT": ""}, ("example.org", "80", "HTTP/1.1")),
    ],
)
def test_server_name_port_and_protocol_are_never_empty(variables, expected):
    environ = environ_of(Settings(threads=0), variables=variables.items())
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"], environ["SERVER_PROTOCOL"]) == expected


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("threads", [0, 2])
def test_an_environ_has_nothing_of_the_requests_before(threads, trusted):
    """Whatever is kept from one request to the next: names that come and go, other orders, other values."""
    settings = Settings(threads=threads, trust_remote_user=trusted)
    requests = [
        {},
        {},
        {"SERVER_SOFTWARE": "one"},
        {"SERVER_SOFTWARE": "two", "HTTPS": "on"},
        {"SERVER_SOFTWARE": "two", "HTTPS": ""},
        {"SERVER_SOFTWARE": ""},
        {"HTTP_X": "a", "SERVER_SOFTWARE": "two", "HTTP_Y": "b"},
        {"SERVER_SOFTWARE": "two", "HTTP_Y": "c", "HTTP_" + "LONG" * 30: "d" * 300},
        {"REMOTE_USER": "u" * 300},
        {"REMOTE_USER": "v" * 300},
        {"REMOTE_USER": ""},
        {"REMOTE_USER": "w", "REMOTE_PORT": "50008"},
        {"REMOTE_USER": "\xe4"},
        {"REMOTE_USER": "\xfc"},
        {"\xe4": "\xf6"},
        {"\xfc": "\xf6"},
        {"wsgi.input": "x", "wsgi.errors": "y", "wsgi.z": "z"},
        {"SERVER_NAME": "", "SERVER_ADDR": "192.0.2.1"},
        {"SERVER_NAME": "", "SERVER_ADDR": "192.0.2.2"},
        {"SERVER_NAME": "", "SERVER_PORT": "", "SERVER_PROTOCOL": ""},
        {"SERVER_NAME": "", "SERVER_PORT": "", "SERVER_PROTOCOL": "", "HTTPS": "on"},
        {"SCRIPT_NAME": "/a", "PATH_INFO": "/b"},
        {"PATH_INFO": "/b", "SCRIPT_NAME": ""},
        {},
    ]
    seen = []

    def app(environ, start_response):
        seen.append(dict(environ))
        environ.clear()
        environ["SERVER_NAME"] = environ["LEFT"] = "behind"
        return hello(environ, start_response)

    async def together():
        async with served(app, settings) as server:
            for variables in requests:
                assert (await server.request("GET", "/a/x?q", variables=variables.items())).status == 200

    run(together())
    for variables, environ in zip(requests, seen, strict=True):
        alone = environ_of(settings, "GET", "/a/x?q", variables=variables.items())
        assert environ.pop("wsgi.input").read() == alone.pop("wsgi.input").read() == b""
        assert environ == alone
        expected = {name: value for name, value in variables.items() if name.startswith(("HTTP_", "REMOTE_"))}
        user = variables.get("REMOTE_USER") if trusted else None
        expected["REMOTE_USER"] = user or None
        assert {name: environ.get(name) for name in expected} == expected
        assert "REMOTE_USER" not in environ or user
