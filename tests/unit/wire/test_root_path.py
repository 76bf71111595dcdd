"""Where an application is mounted, by what every web server that was tried sends; one rule for all of them."""

from __future__ import annotations

import pytest

from ssgi_gateway.wire.cgi import parse_head
from ssgi_gateway.wire.percent import quote
from ssgi_gateway.wire.variables import Variables

CASES = {
    # what: (the client's path, what is sent, whether the web server has started this program, the root path)
    "nginx scgi_params": ("/a/b", {}, False, ""),
    "nginx fastcgi_params": ("/a b", {"SCRIPT_NAME": "/a b", "DOCUMENT_URI": "/a b"}, False, ""),
    "nginx + fastcgi-php.conf": ("/a", {"SCRIPT_NAME": "/a", "DOCUMENT_URI": "/a", "PATH_INFO": ""}, False, ""),
    "nginx PATH_INFO=script": ("/a", {"SCRIPT_NAME": "/a", "DOCUMENT_URI": "/a", "PATH_INFO": "/a"}, False, ""),
    "nginx Flask at /": ("/a", {"SCRIPT_NAME": "", "DOCUMENT_URI": "/a", "PATH_INFO": "/a"}, False, ""),
    "nginx Flask below": (
        "/shop/a",
        {"SCRIPT_NAME": "/shop", "DOCUMENT_URI": "/shop/a", "PATH_INFO": "/a"},
        False,
        "/shop",
    ),
    "nginx SCRIPT_NAME /shop": ("/shop/a", {"SCRIPT_NAME": "/shop", "DOCUMENT_URI": "/shop/a"}, False, "/shop"),
    "nginx SCRIPT_NAME /shop at /shop/": ("/shop/", {"SCRIPT_NAME": "/shop", "DOCUMENT_URI": "/shop/"}, False, "/shop"),
    "nginx SCRIPT_NAME /app elsewhere": ("/x", {"SCRIPT_NAME": "/app", "DOCUMENT_URI": "/x"}, False, ""),
    # Over SCGI nginx has no SCRIPT_NAME of its own: this one was written. Over FastCGI it may be the whole path.
    "nginx SCRIPT_NAME /shop at /shop, SCGI": (
        "/shop",
        {"SCGI": "1", "SCRIPT_NAME": "/shop", "DOCUMENT_URI": "/shop"},
        False,
        "/shop",
    ),
    "nginx SCRIPT_NAME /shop at /shop, FastCGI": (
        "/shop",
        {"SCRIPT_NAME": "/shop", "DOCUMENT_URI": "/shop"},
        False,
        "",
    ),
    "nginx SCGI, PATH_INFO as well": (
        "/a",
        {"SCGI": "1", "SCRIPT_NAME": "/a", "DOCUMENT_URI": "/a", "PATH_INFO": "/a"},
        False,
        "",
    ),
    "Apache SCGI": ("/a", {"SCGI": "1", "SCRIPT_NAME": "/a"}, False, ""),
    "nginx no uri": ("/a", {"SCRIPT_NAME": "/a"}, False, ""),
    "Apache ProxyPass": ("/a", {"SCRIPT_NAME": "/a", "SCRIPT_FILENAME": "proxy:fcgi://l/a"}, False, ""),
    "Apache GENERIC": ("/a/b", {"SCRIPT_NAME": "/a/b", "SCRIPT_FILENAME": "/a/b"}, False, ""),
    "Apache NoDecode": ("/x/y", {"SCRIPT_NAME": "/x%2Fy", "SCRIPT_FILENAME": "/x%2Fy"}, False, ""),
    "Apache SetEnvIf SCRIPT_NAME": (
        "/g/a",
        {"SCRIPT_NAME": "/g", "PATH_INFO": "/g/a?q", "SCRIPT_FILENAME": "/g/a"},
        False,
        "/g",
    ),
    "HAProxy": ("/a", {"SCRIPT_NAME": "/a", "SCRIPT_FILENAME": "/w/a"}, False, ""),
    "HAProxy path-info": ("/shop/a", {"SCRIPT_NAME": "/shop", "PATH_INFO": "/a"}, False, "/shop"),
    "lighttpd fix-root": ("/a", {"SCRIPT_NAME": "", "PATH_INFO": "/a"}, False, ""),
    "lighttpd /app": ("/app/a", {"SCRIPT_NAME": "/app", "PATH_INFO": "/a"}, False, "/app"),
    "lighttpd rewrite to a script": ("/site/x", {"SCRIPT_NAME": "/app.fcgi", "PATH_INFO": "/x"}, True, "/site"),
    "Caddy": ("/a", {"SCRIPT_NAME": "", "PATH_INFO": "/a", "DOCUMENT_URI": ""}, False, ""),
    "Caddy split": ("/a", {"SCRIPT_NAME": "/a", "PATH_INFO": "", "DOCUMENT_URI": "/a"}, False, ""),
    "Caddy handle_path": ("/strip/a", {"SCRIPT_NAME": "", "PATH_INFO": "/a", "DOCUMENT_URI": ""}, False, "/strip"),
    "Caddy env, not stripped": ("/env/a", {"SCRIPT_NAME": "/env", "PATH_INFO": "/env/a"}, False, "/env"),
    "Caddy env, stripped": ("/env/a", {"SCRIPT_NAME": "/env", "PATH_INFO": "/a"}, False, "/env"),
    "h2o": ("/a", {"SCRIPT_NAME": "", "PATH_INFO": "/a"}, False, ""),
    "mod_fcgid, script itself": (
        "/app.fcgi",
        {"SCRIPT_NAME": "/app.fcgi", "SCRIPT_FILENAME": "/w/app.fcgi"},
        True,
        "/app.fcgi",
    ),
    "mod_fcgid, path info": ("/app.fcgi/a", {"SCRIPT_NAME": "/app.fcgi", "PATH_INFO": "/a"}, True, "/app.fcgi"),
    ".htaccess at the root": ("/a", {"SCRIPT_NAME": "/app.fcgi", "PATH_INFO": "/a"}, True, ""),
    ".htaccess in a folder": ("/project/a", {"SCRIPT_NAME": "/project/app.fcgi", "PATH_INFO": "/a"}, True, "/project"),
    ".htaccess in a folder, its root": (
        "/project/",
        {"SCRIPT_NAME": "/project/app.fcgi", "PATH_INFO": "/"},
        True,
        "/project",
    ),
    ".htaccess without the path": ("/r/a", {"SCRIPT_NAME": "/app.fcgi"}, True, ""),
    "OpenBSD httpd, no such folder": (
        "/a/b",
        {"SCRIPT_NAME": "", "PATH_INFO": "/a/b", "DOCUMENT_URI": "/a/b"},
        False,
        "",
    ),
    "OpenBSD httpd, old: decoded, whole": (
        "/a",
        {"SCRIPT_NAME": "/a", "DOCUMENT_URI": "/a", "PATH_INFO": ""},
        False,
        "",
    ),
    "Cherokee /app": ("/app/a", {"SCRIPT_NAME": "/app", "PATH_INFO": "/a"}, False, "/app"),
    "a slash at the end": ("/app/a", {"SCRIPT_NAME": "/app/", "PATH_INFO": "/a"}, False, "/app"),
    "a slash at the end, at the mount": ("/app/", {"SCRIPT_NAME": "/app/", "PATH_INFO": ""}, False, ""),
    "a mount beyond ASCII": ("/\xe9/x", {"SCRIPT_NAME": "/\xc3\xa9"}, False, "/\xe9"),
    "a prefix that is no segment": ("/application", {"SCRIPT_NAME": "/app"}, False, ""),
    # nginx's uwsgi_params: PATH_INFO is the whole path, without the segments that the client's had.
    "nginx uwsgi_params": ("/a/b", {"DOCUMENT_URI": "/a/b", "PATH_INFO": "/a/b"}, False, ""),
    "nginx uwsgi_params, a dot segment": ("/a/../b", {"PATH_INFO": "/b"}, False, ""),
    "nginx uwsgi_params, one dot": ("/./b", {"PATH_INFO": "/b"}, False, ""),
    "an end that is not cut off": ("/a/b", {"SCRIPT_NAME": "", "PATH_INFO": "b"}, False, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_where_the_application_is_mounted(case):
    path, sent, started, root_path = CASES[case]
    variables = {"REQUEST_METHOD": "GET", "REQUEST_URI": quote(path), **sent}
    head = parse_head(Variables((k.encode(), v.encode("latin-1")) for k, v in variables.items()), None, started)
    assert (head.path, head.root_path()) == (path, root_path)
