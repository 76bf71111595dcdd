"""What variables give away: a table of requests, and the configurations that are right."""

from __future__ import annotations

import pytest

from ssgi_gateway.observe.diagnosis import FIXES, RULES, Finding, diagnose, fix_for, front_of

NGINX = {
    "REQUEST_METHOD": "GET", "REQUEST_URI": "/a?b=c", "QUERY_STRING": "b=c", "DOCUMENT_URI": "/a", "SERVER_PORT": "443",
    "SERVER_NAME": "example.org", "REQUEST_SCHEME": "https", "HTTPS": "on", "REMOTE_ADDR": "192.0.2.1",
    "HTTP_HOST": "example.org", "SERVER_SOFTWARE": "nginx/1.22.1", "HTTP_X_FORWARDED_FOR": "192.0.2.1",
}  # fmt: skip


def kinds(protocol: str = "scgi", **changes: str | None) -> list[str]:
    variables = {name: value for name, value in {**NGINX, **changes}.items() if value is not None}
    return [finding.kind for finding in diagnose(variables, protocol)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"SERVER_PORT": "80", "REQUEST_SCHEME": "http", "HTTPS": None},
        {"HTTP_HOST": "example.org:8443", "SERVER_PORT": "8443"},
        {"HTTP_HOST": "[::1]:8443", "SERVER_PORT": "8443"},
        {"HTTP_HOST": None},
        {"REQUEST_URI": "/caf\xe9?b=c"},
        {"REQUEST_URI": "/a", "QUERY_STRING": ""},
        {"SCRIPT_NAME": "/a"},
        {"REMOTE_ADDR": "10.0.0.7", "HTTP_X_FORWARDED_FOR": "10.0.0.7"},
        {"HTTP_UPGRADE": "websocket"},
        {"HTTP_UPGRADE": "websocket", "SERVER_SOFTWARE": "lighttpd/1.4.79"},
        {"HTTP_X_FORWARDED_PROTO": "https"},
    ],
)
def test_what_is_right_finds_nothing(changes):
    assert kinds(**changes) == []


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("host-without-port", {"HTTP_HOST": "example.org", "SERVER_PORT": "8443"}),
        ("script-name-is-the-first-segment", {
            "SCRIPT_NAME": "/a", "PATH_INFO": "/b", "SCRIPT_FILENAME": "/w/a", "SERVER_SOFTWARE": "lighttpd/1.4.69"}),
        ("uri-decoded", {"REQUEST_URI": "/a b?b=c"}),
        ("uri-decoded", {"REQUEST_URI": "/a\x01?b=c"}),
        ("uri-without-query", {"REQUEST_URI": "/a"}),
        ("no-request-uri", {"REQUEST_URI": None}),
        ("no-remote-address", {"REMOTE_ADDR": ""}),
        ("no-server-port", {"SERVER_PORT": None}),
        ("scheme-unknown", {"HTTPS": None, "REQUEST_SCHEME": None}),
        ("scheme-of-another-front", {
            "HTTPS": None, "REQUEST_SCHEME": "http", "SERVER_PORT": "80", "HTTP_X_FORWARDED_PROTO": "https",
            "REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "10.0.0.1"}),
        ("address-of-a-proxy", {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}),
        ("upgrade-in-band", {"HTTP_UPGRADE": "websocket", "SERVER_SOFTWARE": "Apache/2.4.71 (Debian)"}),
        ("upgrade-in-band", {"HTTP_UPGRADE": "WebSocket", "SERVER_SOFTWARE": "lighttpd/1.4.69"}),
    ],
)  # fmt: skip
def test_each_sign_is_seen(kind, changes):
    assert kinds(**changes) == [kind]


def test_every_rule_has_a_fix_and_every_fix_a_rule():
    assert RULES.keys() == FIXES.keys()
    for kind in RULES:
        for front in ("nginx", "apache", "lighttpd", "caddy", "haproxy", "h2o", ""):
            assert all(fix_for(kind, front))


def test_a_finding_is_one_sentence_with_its_fix():
    [finding] = diagnose({**NGINX, "REQUEST_URI": "/a b?b=c"}, "scgi")
    assert isinstance(finding, Finding)
    assert str(finding).endswith("set REQUEST_URI to $request_uri, not to $uri or $document_uri")


@pytest.mark.parametrize(
    ("software", "front"),
    [("nginx/1.30.0", "nginx"), ("Apache/2.4.71 (Debian)", "apache"), ("lighttpd/1.4.69", "lighttpd"),
     ("Caddy", "caddy"), ("HAProxy 2.6.12", "haproxy"), ("h2o/2.2.5", "h2o"), ("gunicorn", ""), ("", "")],
)  # fmt: skip
def test_web_servers_are_distinguished(software, front):
    assert front_of(software) == front
