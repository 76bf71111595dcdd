"""What the variables of a request mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.errors import RequestRejected
from ssgi_gateway.wire import cgi
from ssgi_gateway.wire.cgi import RequestHead, Variables, body_length, parse_head
from ssgi_gateway.wire.percent import unquote


def variables(**named):
    return Variables((name.encode(), value.encode("latin-1")) for name, value in named.items() if value is not None)


def parse(root_path=None, **named):
    return parse_head(variables(**{"REQUEST_METHOD": "GET", **named}), root_path)


def rejected(**named):
    with pytest.raises(RequestRejected) as refusal:
        parse(**named)
    assert "\n" not in refusal.value.message
    return refusal.value.status


def test_everything_is_importable_from_here():
    assert set(cgi.__all__) <= set(dir(cgi))


# -- whole requests, as stock configurations send them ---------------------------------------------------------------


def test_nginx_scgi_params():
    head = parse(
        REQUEST_URI="/a%20b?x=%20",
        QUERY_STRING="x=%20",
        DOCUMENT_URI="/a b",
        SERVER_PROTOCOL="HTTP/2.0",
        REQUEST_SCHEME="https",
        HTTPS="on",
        REMOTE_ADDR="2001:db8::1",
        REMOTE_PORT="50000",
        SERVER_PORT="443",
        SERVER_NAME="example.org",
    )
    assert (head.method, head.path, head.raw_path, head.query_string) == ("GET", "/a b", "/a%20b", "x=%20")
    assert (head.server_address, head.remote_address) == ("example.org:443", "[2001:db8::1]:50000")
    assert (head.scheme(), head.http_version(), head.root_path(), head.is_upgrade) == ("https", "2", "", False)


def test_nginx_fastcgi_params_have_the_path_for_a_script_name():
    head = parse(SCRIPT_NAME="/a b", DOCUMENT_URI="/a b", REQUEST_URI="/a%20b", SERVER_ADDR="::1", SERVER_PORT="80")
    assert (head.path, head.root_path(), head.server_address) == ("/a b", "", "[::1]:80")


def test_nginx_with_fastcgi_split_path_info():
    head = parse(SCRIPT_NAME="/app", PATH_INFO="/x y", DOCUMENT_URI="/app/x y", REQUEST_URI="/app/x%20y")
    assert (head.path, head.root_path()) == ("/app/x y", "/app")
    head = parse(SCRIPT_NAME="/app", PATH_INFO="", DOCUMENT_URI="/app", REQUEST_URI="/app")
    assert (head.path, head.root_path()) == ("/app", "")  # not to be told from a path: the setting decides


def test_apache_mod_proxy_fcgi():
    head = parse(SCRIPT_NAME="/a/b", SCRIPT_FILENAME="proxy:fcgi://127.0.0.1:9000/a/b", REQUEST_URI="/a/b")
    assert (head.path, head.root_path()) == ("/a/b", "")


def test_apache_rewriting_to_a_script():
    """``RewriteRule ^ app.fcgi/$0``: no client has ever seen that name."""
    sent = {"SCRIPT_NAME": "/app.fcgi", "PATH_INFO": "/a", "REQUEST_URI": "/a"}
    head = parse(**sent)
    assert (head.path, head.root_path()) == ("/a", "")
    assert parse("/mounted/", **sent).root_path() == "/mounted"


def test_plain_cgi():
    sent = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/cgi-bin/app", "REQUEST_URI": "/cgi-bin/app"}
    head = parse_head(Variables((name.encode(), value.encode()) for name, value in sent.items()), None, True)
    assert (head.path, head.root_path()) == ("/cgi-bin/app", "/cgi-bin/app")
    head = parse(SCRIPT_NAME="/cgi-bin/app", PATH_INFO="/x", REQUEST_URI="/cgi-bin/app/x?y")
    assert (head.path, head.root_path(), head.query_string) == ("/cgi-bin/app/x", "/cgi-bin/app", "y")


def test_mod_scgi_without_a_request_uri():
    head = parse(SCRIPT_NAME="/app", PATH_INFO="/x y/\xc3\xa9", QUERY_STRING="q")
    assert (head.path, head.raw_path, head.query_string) == ("/app/x y/é", "/app/x%20y/%C3%A9", "q")
    assert head.root_path() == "/app"


# -- the root path ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("setting", "root_path"), [("", ""), ("/", ""), ("/a", "/a"), ("/a/", "/a")])
def test_the_root_path_setting_overrides_also_when_empty(setting, root_path):
    head = parse(setting, SCRIPT_NAME="/sent", PATH_INFO="/x", REQUEST_URI="/sent/x")
    assert (head.root_path(), head.path) == (root_path, "/sent/x")


@pytest.mark.parametrize(
    ("script_name", "path", "root_path"),
    [
        ("/app", "/app", ""),
        ("/app", "/app/", "/app"),
        ("/app/", "/app/x", "/app"),
        ("/app", "/application", ""),
        ("/app", "/", ""),
        ("/", "/x", ""),
        ("", "/x", ""),
        ("/\xc3\xa9", "/%C3%A9/x", "/é"),
        ("/a b", "/a%20b/x", "/a b"),
    ],
)
def test_a_root_path_is_a_part_of_the_path(script_name, path, root_path):
    assert parse(SCRIPT_NAME=script_name, PATH_INFO="/x", REQUEST_URI=path).root_path() == root_path


# -- the path --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "path", "raw_path", "query"),
    [
        ("/", "/", "/", ""),
        ("/a?", "/a", "/a", ""),
        ("/a?b?c", "/a", "/a", "b?c"),
        ("/%3F?x", "/?", "/%3F", "x"),
        ("/%2520", "/%20", "/%2520", ""),
        ("//a//b", "//a//b", "//a//b", ""),
        ("/a/../b/.", "/a/../b/.", "/a/../b/.", ""),
        ("*", "*", "*", ""),
        ("http://example.org/a?b", "/a", "/a", "b"),
        ("HTTPS://u:p@[::1]:8443/a", "/a", "/a", ""),
        ("http://example.org", "/", "/", ""),
        ("http://example.org?b", "/", "/", "b"),
        ("http://example.org?b/c", "/", "/", "b/c"),
        ("http://example.org#f", "/", "/", ""),
        ("/http://example.org/a", "/http://example.org/a", "/http://example.org/a", ""),
        ("/a#b", "/a", "/a", ""),
        ("/a?b#c", "/a", "/a", "b"),
        ("/a#b?c", "/a", "/a", ""),
        ("#", "/", "/", ""),
        ("?b", "/", "/", "b"),
        ("/\xff", "/\udcff", "/\xff", ""),
        ("/%ff%zz%", "/\udcff%zz%", "/%ff%zz%", ""),
        ("/%c3%a9", "/é", "/%c3%a9", ""),
        ("/%e2%82", "/\udce2\udc82", "/%e2%82", ""),
    ],
)
def test_cgi_54_every_request_uri_has_a_path(uri, path, raw_path, query):
    head = parse(REQUEST_URI=uri)
    assert (head.path, head.raw_path, head.query_string) == (path, raw_path, query)
    assert head.variables["REQUEST_URI"] == uri


@pytest.mark.parametrize("uri", ["/%00", "/a%00b", "/\0", "http://h/%00"])
def test_cgi_54_a_nul_in_the_path_is_400(uri):
    assert rejected(REQUEST_URI=uri) == 400


@pytest.mark.parametrize("uri", ["a", "example.org:443", "*?x", "*/", "://h/a", "h2 p://h/a", " /"])
def test_cgi_54_what_is_no_path_is_400(uri):
    assert rejected(REQUEST_URI=uri) == 400


@pytest.mark.parametrize(
    ("named", "path"),
    [
        ({}, "/"),
        ({"DOCUMENT_URI": "/a b"}, "/a b"),
        ({"SCRIPT_NAME": "/s", "DOCUMENT_URI": "/d"}, "/s"),
        ({"SCRIPT_NAME": "/s/", "PATH_INFO": "/p"}, "/s/p"),
        ({"SCRIPT_NAME": "/", "PATH_INFO": "/p"}, "/p"),
        ({"SCRIPT_NAME": "", "PATH_INFO": "/p"}, "/p"),
        ({"PATH_INFO": "p"}, "/p"),
        ({"PATH_INFO": "/100%25"}, "/100%25"),
        ({"PATH_INFO": "/\xff"}, "/\udcff"),
    ],
)
@pytest.mark.parametrize("uri", [None, ""])
def test_cgi_54_without_a_request_uri_the_decoded_variables_serve(named, path, uri):
    head = parse(REQUEST_URI=uri, **named)
    assert head.path == path
    assert unquote(head.raw_path) == path


def test_the_query_string_is_the_web_servers_where_it_sends_one():
    assert parse(REQUEST_URI="/a?b", QUERY_STRING="rewritten").query_string == "rewritten"
    assert parse(REQUEST_URI="/a?b", QUERY_STRING="").query_string == ""
    assert parse(REQUEST_URI="/a?b%20\xff").query_string == "b%20\xff"


def test_cgi_56_line_ends_in_the_path_are_data():
    head = parse(REQUEST_URI="/%0d%0a%1b", DOCUMENT_URI="/\r\n\x1b", SCRIPT_NAME="/\r\n\x1b", HTTP_X="a\x1bb")
    assert (head.path, head.raw_path) == ("/\r\n\x1b", "/%0d%0a%1b")
    assert head.variables.header("x") == "a\x1bb"
    assert head.root_path() == ""
    assert len(repr(head).splitlines()) == 1


# -- the method, addresses, defaults ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [None, "", "GE T", "GET\r\n", "G\0", "(GET)"])
def test_cgi_49_no_request_method_is_400(method):
    assert rejected(REQUEST_METHOD=method, REQUEST_URI="/") == 400


@pytest.mark.parametrize("method", ["GET", "POST", "PROPFIND", "M-SEARCH", "get", "X!"])
def test_any_token_is_a_method(method):
    assert parse(REQUEST_METHOD=method).method == method


def test_cgi_52_the_port_the_host_header_lost_is_in_the_server_address():
    """Debian's stock parameters pass ``$host``."""
    head = parse(HTTP_HOST="example.org", SERVER_NAME="example.org", SERVER_PORT="8443")
    assert head.server_address == "example.org:8443"
    assert head.variables.header("host") == "example.org"


def test_cgi_53_broken_addresses_are_left_out():
    head = parse(SERVER_NAME="a", SERVER_PORT="abc", REMOTE_ADDR="unix:", REMOTE_PORT="")
    assert (head.server_address, head.remote_address) == ("a", "")
    assert parse(REMOTE_ADDR="", REMOTE_PORT="99999").remote_address == ""


def test_empty_values_have_safe_defaults():
    names = (
        "SERVER_PROTOCOL SERVER_NAME SERVER_PORT REMOTE_ADDR REMOTE_PORT HTTPS REQUEST_SCHEME QUERY_STRING HTTP_HOST"
    )
    head = parse(REQUEST_URI="/", **dict.fromkeys(names.split(), ""))
    assert (head.scheme(), head.http_version(), head.server_address, head.remote_address) == ("http", "1.1", "", "")


# -- upgrades --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"HTTP_UPGRADE": "websocket"}, True),
        ({"HTTP_UPGRADE": "WebSocket", "HTTP_CONNECTION": "Upgrade"}, True),
        ({"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "keep-alive, Upgrade"}, True),
        ({"HTTP_UPGRADE": "h2c, websocket"}, True),
        ({"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "keep-alive"}, False),
        ({"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": ""}, False),
        # A handshake with a mistake in it, which is refused in words.
        ({"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "close", "HTTP_SEC_WEBSOCKET_KEY": "x"}, True),
        ({"HTTP_UPGRADE": "websockets"}, False),
        ({"HTTP_UPGRADE": "h2c"}, False),
        ({"HTTP_UPGRADE": ""}, False),
        ({}, False),
        ({"HTTP_UPGRADE": "websocket", "REQUEST_METHOD": "POST"}, False),
    ],
)
def test_which_requests_ask_for_a_websocket(named, expected):
    assert parse(**named).is_upgrade is expected


# -- the body's length -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "length"), [(None, -1), ("", -1), ("0", 0), ("007", 7), ("1000000000000", 10**12)])
def test_the_length_of_the_body(text, length):
    assert body_length(variables(CONTENT_LENGTH=text)) == length


@pytest.mark.parametrize("text", ["+5", " 5", "1_0", "-1", "5 ", "0x5", "5,5", "1e3", "\xb2", "9" * 30])
def test_cgi_15_a_length_that_is_no_number_is_400(text):
    with pytest.raises(RequestRejected) as refusal:
        body_length(variables(CONTENT_LENGTH=text))
    assert refusal.value.status == 400


# -- properties ------------------------------------------------------------------------------------------------------

texts = st.text(st.characters(max_codepoint=255), max_size=30)


@given(texts, st.sampled_from(["/", "http://h/", ""]))
def test_any_request_uri_gives_a_path_or_400(text, prefix):
    try:
        head = parse(REQUEST_URI=prefix + text)
    except RequestRejected as refusal:
        status = refusal.status
    else:
        status = 200
        assert head.path[:1] == "/" or head.path == "*"
        assert head.path == unquote(head.raw_path)
        assert "\0" not in head.path
        assert not set(head.raw_path) & set("?#")
        assert head.path.encode("utf-8", "surrogateescape")
    assert status in (200, 400)


@given(
    st.dictionaries(st.sampled_from(["SCRIPT_NAME", "PATH_INFO", "DOCUMENT_URI", "REQUEST_URI"]), texts), st.booleans()
)
def test_the_path_begins_with_the_root_path(named, at_root):
    named = {name: "/" + text.replace("\0", "") for name, text in named.items()}
    if at_root and "SCRIPT_NAME" in named:
        named["REQUEST_URI"] = named["SCRIPT_NAME"] + named.get("REQUEST_URI", "")
    try:
        head = parse(**named)
    except RequestRejected:
        return
    assert head.path.startswith(head.root_path())
    assert not head.root_path().endswith("/")


def test_a_head_is_made_of_variables_alone():
    head = RequestHead(variables(REQUEST_METHOD="GET"))
    assert head.variables["REQUEST_METHOD"] == "GET"


def test_a_method_longer_than_any_is_501():
    assert parse(REQUEST_METHOD="M" * 64).method == "M" * 64
    assert rejected(REQUEST_METHOD="M" * 65, REQUEST_URI="/") == 501
