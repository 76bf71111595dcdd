"""The opening handshake: what is let in, what is refused and how, and what is agreed on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.errors import RequestRejected
from ssgi_gateway.settings import WebSocketSettings
from ssgi_gateway.wire.cgi import parse_head
from ssgi_gateway.wire.variables import Variables
from ssgi_gateway.wire.websocket.deflate import DeflateParams
from ssgi_gateway.wire.websocket.handshake import (
    Upgrade,
    check_upgrade,
    negotiate_deflate,
    parse_extensions,
    require_upgrade,
    upgrade_headers,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3

GOOD = {
    "REQUEST_METHOD": "GET",
    "REQUEST_URI": "/chat",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "server.example.com",
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_KEY": KEY,
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
}


def head(**changes):
    """The handshake of RFC 6455 1.2 with some variables changed, or with ``None`` left out."""
    variables = {**GOOD, **changes}
    return parse_head(Variables([(k.encode(), v.encode("latin-1")) for k, v in variables.items() if v is not None]))


def refusal(origins=None, **changes):
    with pytest.raises(RequestRejected) as caught:
        check_upgrade(head(**changes), origins)
    return caught.value


class TestRequest:
    def test_rfc_6455_1_2(self):
        protocols = {"HTTP_SEC_WEBSOCKET_PROTOCOL": "chat, superchat", "HTTP_ORIGIN": "http://example.com"}
        upgrade = check_upgrade(head(**protocols))
        assert upgrade == Upgrade(KEY, ["chat", "superchat"], None)

    @pytest.mark.parametrize(
        "changes",
        [
            {"HTTP_UPGRADE": "WebSocket"},
            {"HTTP_UPGRADE": "h2c, websocket"},
            {"HTTP_CONNECTION": "keep-alive, upgrade"},
            {"HTTP_CONNECTION": None},
            {"HTTP_HOST": None},
            {"SERVER_PROTOCOL": None},
        ],
    )
    def test_also_good(self, changes):
        assert check_upgrade(head(**changes)).key == KEY

    @pytest.mark.parametrize(
        "key",
        [
            None,
            "",
            "x",
            KEY[:-1],
            KEY + "=",
            KEY.replace("=", "A"),
            "dGhlIHNhbXBsZSBub25jZQ",
            f"{KEY}, {KEY}",
            "ä" * 24,
        ],
    )
    def test_websocket_72_no_key_or_a_wrong_one(self, key):
        assert refusal(HTTP_SEC_WEBSOCKET_KEY=key).status == 400

    @pytest.mark.parametrize("version", [None, "12", "8", "14", "13, 8", "013", ""])
    def test_websocket_72_version_12(self, version):
        error = refusal(HTTP_SEC_WEBSOCKET_VERSION=version)
        assert error.status == 426
        assert ("Sec-WebSocket-Version", "13") in error.headers
        assert ("Upgrade", "websocket") in error.headers

    @pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "get"])
    def test_websocket_72_post(self, method):
        error = refusal(REQUEST_METHOD=method)
        assert error.status == 405
        assert error.headers == (("Allow", "GET"),)

    @pytest.mark.parametrize("version", ["1.0", "2.0", "3.0"])
    def test_websocket_72_http_1_0(self, version):
        assert refusal(SERVER_PROTOCOL=f"HTTP/{version}").status == 400

    def test_no_upgrade(self):
        error = refusal(HTTP_UPGRADE=None)
        assert error.status == 426
        assert error.headers == (("Upgrade", "websocket"), ("Connection", "Upgrade"))

    def test_another_upgrade(self):
        assert refusal(HTTP_UPGRADE="h2c").status == 400
        with pytest.raises(RequestRejected):
            require_upgrade(head(HTTP_UPGRADE="websockets").variables)

    @pytest.mark.parametrize("connection", ["keep-alive", "close", "", "upgraded", "Upgrade=1"])
    def test_websocket_72_connection_that_does_not_say_upgrade(self, connection):
        error = refusal(HTTP_CONNECTION=connection)
        assert (error.status, error.message) == (400, "a WebSocket handshake has Connection: Upgrade")

    def test_websocket_72_a_client_that_speaks_http_sends_connection(self):
        assert check_upgrade(head(), shows_connection=True).key == KEY
        with pytest.raises(RequestRejected) as caught:
            check_upgrade(head(HTTP_CONNECTION=None), shows_connection=True)
        assert caught.value.status == 400


class TestOrigin:
    ORIGINS = ("https://app.example.com", "http://localhost:3000", "same")

    @pytest.mark.parametrize(
        "origin",
        [
            "https://app.example.com",
            "https://APP.example.com:443",
            "http://localhost:3000",
            "http://server.example.com",
            "http://server.example.com:80",
            None,
        ],
    )
    def test_allowed(self, origin):
        assert check_upgrade(head(HTTP_ORIGIN=origin), self.ORIGINS).key == KEY

    @pytest.mark.parametrize(
        "origin",
        [
            "null",
            "https://evil.example",
            "http://app.example.com",
            "https://app.example.com:444",
            "https://app.example.com.evil.example",
            "https://server.example.com",
            "http://localhost",
            "https://app.example.com, https://evil.example",
            "https://app.example.com@evil.example",
            "same",
            "",
            "\xff",
        ],
    )
    def test_websocket_74_foreign_or_null_origin(self, origin):
        assert refusal(self.ORIGINS, HTTP_ORIGIN=origin).status == 403

    def test_websocket_74_absent_origin_is_no_browser(self):
        assert check_upgrade(head(), ("https://only.example",)).key == KEY

    def test_websocket_74_any_origin_without_the_setting(self):
        assert check_upgrade(head(HTTP_ORIGIN="null"), None).key == KEY

    def test_no_origin_at_all_may_be_the_setting(self):
        assert refusal((), HTTP_ORIGIN="http://server.example.com").status == 403

    def test_same_has_scheme_and_port(self):
        request = {"HTTP_HOST": "Example.com:8443", "HTTPS": "on"}
        assert check_upgrade(head(HTTP_ORIGIN="https://example.com:8443", **request), ("same",)).key == KEY
        assert refusal(("same",), HTTP_ORIGIN="http://example.com:8443", **request).status == 403
        assert refusal(("same",), HTTP_ORIGIN="https://example.com", **request).status == 403

    def test_same_is_the_servers_name_when_the_host_is_garbage(self):
        request = {"HTTP_HOST": 'a<b>"', "SERVER_NAME": "real.example", "SERVER_PORT": "8080"}
        assert check_upgrade(head(HTTP_ORIGIN="http://real.example:8080", **request), ("same",)).key == KEY
        assert refusal(("same",), HTTP_ORIGIN='http://a<b>"', **request).status == 403

    def test_same_is_nothing_when_the_host_is_unknown(self):
        assert refusal(("same",), HTTP_ORIGIN="http://", HTTP_HOST=None).status == 403
        assert refusal(("same",), HTTP_ORIGIN="None", HTTP_HOST=None).status == 403


class TestSubprotocols:
    def offered(self, value):
        return check_upgrade(head(HTTP_SEC_WEBSOCKET_PROTOCOL=value)).subprotocols

    def test_order_is_kept(self):
        assert self.offered("b,a ,\tc") == ["b", "a", "c"]

    def test_none(self):
        assert self.offered(None) == []
        assert self.offered("") == []

    def test_empty_members_are_ignored(self):
        assert self.offered(",a,,b,") == ["a", "b"]

    def test_case_matters(self):
        assert self.offered("a, A") == ["a", "A"]

    def test_a_slash_is_allowed_though_it_is_no_token(self):
        assert self.offered("swill/1, a/b") == ["swill/1", "a/b"]

    @pytest.mark.parametrize("value", ["a b", "a, b c", "a;b", 'a"b"', "a\x7f", "ä", "a, a", "chat,x,chat"])
    def test_refused(self, value):
        assert refusal(HTTP_SEC_WEBSOCKET_PROTOCOL=value).status == 400


class TestExtensions:
    @pytest.mark.parametrize(
        ("value", "parsed"),
        [
            ("", []),
            (" , ,", []),
            ("foo", [("foo", [])]),
            ("foo, bar; baz=2", [("foo", []), ("bar", [("baz", "2")])]),
            ("foo,,bar ; a ; b = c\t,", [("foo", []), ("bar", [("a", None), ("b", "c")])]),
            ('foo; a="b"', [("foo", [("a", "b")])]),
            (r'foo; a="\b\c"', [("foo", [("a", "bc")])]),
            ("Foo; Bar=Baz", [("foo", [("bar", "Baz")])]),
        ],
    )
    def test_parsed(self, value, parsed):
        assert parse_extensions(value) == parsed

    @pytest.mark.parametrize(
        "value",
        [";", "foo;", "foo; =1", "foo; a=", "foo bar", 'foo; a="b c"', 'foo; a=""', 'foo; a="b', 'foo; a="b,c"', "=",
         'foo; a="b"c', "foo; a=b=c", 'foo; a="b\\"', "\xe9"],
    )  # fmt: skip
    def test_malformed(self, value):
        with pytest.raises(RequestRejected) as caught:
            parse_extensions(value)
        assert caught.value.status == 400

    def test_a_malformed_header_is_refused_before_the_application_is_called(self):
        assert refusal(HTTP_SEC_WEBSOCKET_EXTENSIONS="permessage-deflate; ;").status == 400
        offered = "permessage-deflate; client_max_window_bits"
        assert check_upgrade(head(HTTP_SEC_WEBSOCKET_EXTENSIONS=offered)).extensions == offered

    @given(st.text(alphabet='a;=," \\\t', max_size=30))
    def test_anything_is_refused_or_survives_being_written_again(self, value):
        try:
            members = parse_extensions(value)
        except RequestRejected:
            return
        written = ", ".join(
            "; ".join([name, *(key if text is None else f"{key}={text}" for key, text in parameters)])
            for name, parameters in members
        )
        assert parse_extensions(written) == members

    def test_long_garbage_does_not_hang(self):
        """A regular expression that tries every split of these would not come back."""
        for garbage in (
            " \t" * 60000,
            "a" + " " * 100000 + "b",
            'a;b="' + "\\x" * 50000,
            "," * 100000,
            "a" + ";b" * 50000,
        ):
            try:
                parse_extensions(garbage)
            except RequestRejected:
                pass


class TestDeflate:
    SETTINGS = WebSocketSettings()

    def test_a_browsers_offer(self):
        params = negotiate_deflate("permessage-deflate; client_max_window_bits", self.SETTINGS)
        assert params == DeflateParams(client_max_window_bits=12)

    def test_the_first_offer_that_can_be_met(self):
        header = (
            "x-unknown, permessage-deflate; server_max_window_bits=8, "
            "permessage-deflate; server_no_context_takeover, permessage-deflate"
        )
        assert negotiate_deflate(header, self.SETTINGS) == DeflateParams(server_no_context_takeover=True)

    @pytest.mark.parametrize("header", [None, "", "permessage-bzip2", "permessage-deflate; what"])
    def test_none(self, header):
        assert negotiate_deflate(header, self.SETTINGS) is None

    def test_not_wanted(self):
        assert negotiate_deflate("permessage-deflate", WebSocketSettings(deflate=False)) is None

    def test_malformed(self):
        with pytest.raises(RequestRejected):
            negotiate_deflate("permessage-deflate; ;", self.SETTINGS)


class TestAnswer:
    def test_rfc_6455_1_3(self):
        assert upgrade_headers(Upgrade(KEY, []), "chat") == [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("Sec-WebSocket-Protocol", "chat"),
        ]

    def test_deflate(self):
        headers = dict(upgrade_headers(Upgrade(KEY, []), "", DeflateParams(client_max_window_bits=12)))
        assert "Sec-WebSocket-Protocol" not in headers
        assert headers["Sec-WebSocket-Extensions"] == "permessage-deflate; client_max_window_bits=12"


class TestFronts:
    @pytest.mark.parametrize("software", ["Apache/2.4.57 (Debian)", "Apache", "lighttpd/1.4.69", "lighttpd/1.4.73"])
    def test_a_web_server_that_makes_no_tunnel_is_named(self, software):
        refused = refusal(SERVER_SOFTWARE=software)
        assert refused.status == 501
        assert "--websocket" in refused.message

    @pytest.mark.parametrize("software", ["nginx/1.22.1", "lighttpd/1.4.74", "lighttpd/1.4.85", "lighttpd/1.5", ""])
    def test_one_that_does_is_served(self, software):
        assert check_upgrade(head(SERVER_SOFTWARE=software)).key == KEY


@pytest.mark.parametrize("space", ["\xa0", "\x85", "\x1c"])
def test_an_origin_with_what_only_looks_like_white_space_is_another(space):
    origin = f"http://example.com{space}"
    assert refusal(("http://example.com",), HTTP_ORIGIN=origin).status == 403
    assert refusal(("http://example.com",), HTTP_ORIGIN=f"{space}http://example.com").status == 403
