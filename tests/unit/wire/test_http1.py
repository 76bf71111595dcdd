"""The direct port: HTTP/1.1 heads become variables, everything else becomes an answer in words."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.errors import RemoteProtocolError, RequestRejected
from ssgi_gateway.settings import WireLimits
from ssgi_gateway.wire.cgi import parse_head
from ssgi_gateway.wire.events import HeadReceived, RequestAborted, RequestEnded
from ssgi_gateway.wire.http1 import MAX_TRAILING, UpgradeCodec, address_variables
from ssgi_gateway.wire.response_head import ResponseHead
from ssgi_gateway.wire.websocket.handshake import check_upgrade, upgrade_headers
from tests.unit.wire.transcript import CLOSED, Refused, Transcript, pieces_of, play, read

LOCAL, NEAR, FAR = ("192.0.2.1", 9001), ("127.0.0.1", 51234), ("203.0.113.9", 40000)
TRUSTED = ("127.0.0.1", "unix")

LINES = (
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)


def request(*more, line="GET /chat HTTP/1.1", without=()):
    """The handshake of RFC 6455 1.2, with lines added or those that start with ``without`` left out."""
    lines = [item for item in LINES if item.partition(":")[0] not in without]
    return "\r\n".join([line, *lines, *more, "", ""]).encode("latin-1")


def make(client=FAR, server=LOCAL, **limits):
    return UpgradeCodec(WireLimits(**limits), server, client, TRUSTED)


def head_of(data, **options):
    transcript = play(make(**options), [data])
    assert [type(event) for event in transcript.told] == [HeadReceived, RequestEnded]
    return transcript.told[0].variables


def refusal(data, **options):
    """The refusal of ``data``; it is answered once, and then nothing more is read."""
    codec = make(**options)
    codec.receive(data)
    with pytest.raises(RequestRejected) as caught:
        codec.next_event()
    codec.receive(request())
    assert codec.next_event() is None
    assert not codec.busy
    return caught.value


class TestHead:
    def test_variables(self):
        data = request("Cookie: a=1", "Cookie: b=2", "X-Raw: \xff\x01", line="GET /a%20b?c=d HTTP/1.1")
        transcript = read(make, data, trailing=b"\x81")
        assert transcript.told[1:] == [RequestEnded()]
        variables = transcript.told[0].variables
        assert dict(variables.items()) == {
            "REQUEST_METHOD": "GET",
            "REQUEST_URI": "/a%20b?c=d",
            "QUERY_STRING": "c=d",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REQUEST_SCHEME": "http",
            "HTTP_HOST": "server.example.com",
            "HTTP_UPGRADE": "websocket",
            "HTTP_CONNECTION": "Upgrade",
            "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
            "HTTP_SEC_WEBSOCKET_VERSION": "13",
            "HTTP_COOKIE": "a=1; b=2",
            "HTTP_X_RAW": "\xff\x01",
            "SERVER_ADDR": "192.0.2.1",
            "SERVER_PORT": "9001",
            "REMOTE_ADDR": "203.0.113.9",
            "REMOTE_PORT": "40000",
        }
        head = parse_head(variables)
        assert (head.path, head.query_string, head.is_upgrade) == ("/a b", "c=d", True)
        assert (head.server_address, head.remote_address) == ("192.0.2.1:9001", "203.0.113.9:40000")

    def test_nothing_of_what_follows_is_lost(self):
        for cut in (0, 1, 5):
            codec = make()
            codec.receive(request() + b"frames"[:cut])
            assert isinstance(codec.next_event(), HeadReceived)
            codec.receive(b"frames"[cut:])
            assert codec.next_event() == RequestEnded()
            assert codec.trailing_data() == b"frames"

    def test_what_follows_is_bounded(self):
        codec = make()
        codec.receive(request())
        while codec.next_event() is not None:
            pass
        codec.receive(bytes(MAX_TRAILING))
        assert codec.next_event() is None
        codec.receive(b"x")
        with pytest.raises(RemoteProtocolError, match="before the WebSocket handshake was answered"):
            codec.next_event()

    def test_names_with_underscores_are_left_out(self):
        """Case 57: as variables ``X_Forwarded_For`` and ``X-Forwarded-For`` would be one."""
        variables = head_of(request("X_Forwarded_For: 6.6.6.6", "X-Forwarded-For: 1.1.1.1"), client=NEAR)
        assert variables["HTTP_X_FORWARDED_FOR"] == variables["REMOTE_ADDR"] == "1.1.1.1"

    def test_proxy_never_arrives(self):
        assert "HTTP_PROXY" not in head_of(request("Proxy: http://evil.example"))

    def test_an_absolute_target(self):
        variables = head_of(request(line="GET http://server.example.com/chat?x HTTP/1.1"))
        assert variables["REQUEST_URI"] == "http://server.example.com/chat?x"
        assert parse_head(variables).path == "/chat"

    @pytest.mark.parametrize("length", ["0", "00"])
    def test_a_declared_empty_body_is_no_body(self, length):
        assert head_of(request(f"Content-Length: {length}"))["HTTP_UPGRADE"] == "websocket"

    def test_it_names_what_it_is(self):
        codec = make()
        assert (codec.protocol, codec.serves_http, codec.supports_upgrade) == ("websocket", False, True)


class TestAddresses:
    def test_ipv6(self):
        pairs = address_variables("REMOTE", ("fe80::1%eth0", 5, 0, 2))
        assert pairs == [(b"REMOTE_ADDR", b"fe80::1"), (b"REMOTE_PORT", b"5")]

    def test_unix(self):
        assert address_variables("SERVER", "/run/x.sock") == [(b"SERVER_ADDR", b"/run/x.sock")]
        assert address_variables("SERVER", b"\0abstract") == [(b"SERVER_ADDR", b"\0abstract")]
        assert address_variables("REMOTE", "") == []

    def test_behind_a_unix_socket(self):
        head = parse_head(head_of(request("X-Forwarded-For: 198.51.100.7"), client="", server="/run/x.sock"))
        assert (head.server_address, head.remote_address) == ("/run/x.sock", "198.51.100.7")


class TestForwarded:
    SAID = (
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-For: 198.51.100.7",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: e.org",
    )

    def test_a_trusted_peer_is_believed(self):
        head = parse_head(head_of(request(*self.SAID), client=NEAR))
        assert (head.remote_address, head.scheme(), head.server_address) == ("198.51.100.7", "https", "e.org:443")
        assert head.variables.header("host") == "e.org"

    def test_others_are_not(self):
        head = parse_head(head_of(request(*self.SAID), client=FAR))
        assert (head.remote_address, head.scheme()) == ("203.0.113.9:40000", "http")
        assert head.variables.header("host") == "server.example.com"

    def test_a_trusted_peer_without_the_fields(self):
        assert parse_head(head_of(request(), client=NEAR)).remote_address == "127.0.0.1:51234"

    def test_the_same_origin_is_that_of_the_front(self):
        variables = head_of(request(*self.SAID, "Origin: https://e.org"), client=NEAR)
        assert check_upgrade(parse_head(variables), ("same",)).key


class TestRefused:
    @pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST / HTTP/1.1", "GET / HTTP/1.0", "OPTIONS * HTTP/1.1"])
    def test_a_plain_request_is_426(self, line):
        error = refusal(request(line=line, without=("Upgrade", "Connection")))
        assert error.status == 426
        assert "WebSockets are served here" in error.message
        assert dict(error.headers) == {"Upgrade": "websocket", "Connection": "Upgrade"}

    def test_another_upgrade_is_400(self):
        assert refusal(request("Upgrade: h2c", without=("Upgrade",))).status == 400

    def test_websocket_72_post(self):
        assert refusal(request(line="POST /chat HTTP/1.1")).status == 405

    @pytest.mark.parametrize("said", [(), ("Connection: close",), ("Connection: keep-alive", "Connection: TE")])
    def test_websocket_72_no_connection_with_upgrade(self, said):
        error = refusal(request(*said, without=("Connection",)))
        assert error.status == 400
        assert "Connection: Upgrade" in error.message

    def test_websocket_72_connection_in_two_lines(self):
        assert head_of(request("Connection: keep-alive"))["HTTP_CONNECTION"] == "Upgrade, keep-alive"

    def test_websocket_72_two_hosts(self):
        assert refusal(request("Host: other.example")).status == 400

    def test_websocket_72_no_host(self):
        assert refusal(request(without=("Host",))).status == 400

    def test_websocket_72_http_1_0(self):
        variables = head_of(request(line="GET /chat HTTP/1.0"))
        with pytest.raises(RequestRejected) as caught:
            check_upgrade(parse_head(variables))
        assert caught.value.status == 400

    @pytest.mark.parametrize("line", ["GET /chat HTTP/2.0", "GET /chat HTTP/0.9", "GET /chat HTTP/1.2"])
    def test_another_version(self, line):
        assert refusal(request(line=line)).status == 400

    @pytest.mark.parametrize(
        "data",
        [
            b"hello\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET /a b HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nSpace : x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
            b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ],
    )
    def test_malformed_is_400(self, data):
        assert read(make, data).told == [Refused(400)]

    @pytest.mark.parametrize("body", ["Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: 10"])
    def test_a_body_is_400(self, body):
        assert refusal(request(body) + b"0\r\n\r\n").status == 400

    @pytest.mark.parametrize(
        ("data", "name"),
        [
            (bytes.fromhex("16 03 01 02 00 01 00 01 fc 03 03"), "TLS"),
            (bytes.fromhex("01 01 00 01 00 08 00 00 00 01 00 00 00 00 00 00"), "FastCGI"),
            (b"70:CONTENT_LENGTH\x000\x00SCGI\x001\x00", "SCGI"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n\r\n", "the PROXY protocol"),
        ],
    )
    def test_another_protocol_is_named(self, data, name):
        transcript = read(make, data)
        assert transcript.told == [Refused(400)]
        assert f"looks like {name}," in transcript.words

    def test_the_largest_head_that_fits(self):
        size = len(request())
        assert head_of(request(), max_head_size=size)["REQUEST_URI"] == "/chat"
        for pieces in ([request()], [request()[:50], request()[50:]]):
            transcript = play(make(max_head_size=size - 1), pieces)
            assert transcript.told == [Refused(431)]

    def test_a_head_without_end_is_refused_on_the_way(self):
        endless = [b"GET / HTTP/1.1\r\nX: ", *[b"x" * 100] * 1000]
        transcript = play(make(max_head_size=2000), endless)
        assert transcript.told == [Refused(431)]
        assert "2000 bytes" in transcript.words

    def test_too_many_fields(self):
        assert refusal(request(*["A: b"] * 100), max_variables=100).status == 431


class TestEnd:
    def test_before_anything(self):
        codec = make()
        assert not codec.incomplete()
        codec.receive(b"")
        assert codec.next_event() is None

    def test_inside_the_head(self):
        data = request()[:-1]
        assert read(make, data, eof=True).told == [CLOSED]
        codec = make()
        codec.receive(data)
        assert codec.next_event() is None
        assert codec.incomplete()

    def test_before_the_answer(self):
        codec = make()
        assert [type(event) for event in play(codec, [request()]).told] == [HeadReceived, RequestEnded]
        assert codec.incomplete()
        assert play(codec, [b""]).told == [RequestAborted()]

    def test_with_the_request(self):
        told = read(make, request(), eof=True).told
        assert told[1:] == [RequestEnded(), RequestAborted()]

    def test_after_the_answer(self):
        codec = make()
        play(codec, [request()])
        assert codec.busy
        assert codec.finish() is False
        assert not codec.busy
        assert play(codec, [b"late", b""]) == Transcript([])


class TestAnswer:
    """h11's client reads what is sent."""

    @staticmethod
    def exchange(*pieces):
        client = h11.Connection(h11.CLIENT)
        headers = [tuple(line.split(": ")) for line in LINES]
        client.send(h11.Request(method="GET", target="/chat", headers=headers))
        client.send(h11.EndOfMessage())
        for piece in pieces:
            client.receive_data(bytes(piece))
        client.receive_data(b"")
        return client

    def test_101(self):
        codec = make()
        variables = play(codec, [request()]).told[0].variables
        head = ResponseHead()
        head.add([("X-App", "1")])
        head.switch_protocols(upgrade_headers(check_upgrade(parse_head(variables)), "chat"))
        (sent,) = codec.encode(head, None, False)
        client = self.exchange(sent, b"frames")
        answer = client.next_event()
        assert isinstance(answer, h11.InformationalResponse)
        assert (answer.status_code, answer.reason) == (101, b"Switching Protocols")
        headers = dict(answer.headers)
        assert headers[b"sec-websocket-accept"] == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert headers[b"connection"] == b"Upgrade"
        assert headers[b"x-app"] == b"1"
        assert client.next_event() is h11.PAUSED
        assert client.trailing_data == (b"frames", True)

    def answer(self, status, body):
        head = ResponseHead()
        head.set_status(status)
        head.add([("Content-Type", "text/plain")])
        codec = make()
        pieces = [*codec.encode(head, body[:3], False), *codec.encode(None, body[3:], True)]
        client = self.exchange(*pieces)
        response, received = client.next_event(), b""
        while isinstance(event := client.next_event(), h11.Data):
            received += event.data
        assert isinstance(event, h11.EndOfMessage)
        assert received == body
        return response

    def test_refusal(self):
        response = self.answer("403 Not You", b"no entry")
        assert (response.status_code, response.reason) == (403, b"Not You")
        assert dict(response.headers) == {b"connection": b"close", b"content-type": b"text/plain"}

    def test_426_names_what_to_upgrade_to(self):
        headers = dict(self.answer(426, b"try a WebSocket").headers)
        assert headers[b"upgrade"] == b"websocket"
        assert headers[b"connection"] == b"Upgrade, close"

    def test_a_body_is_not_copied(self):
        body = bytes(100000)
        assert make().encode(None, body, True)[0] is body
        assert make().encode(None, None, True) == []


HEADS = st.lists(
    st.sampled_from(
        [line.encode() + b"\r\n" for line in (*LINES, "GET /chat HTTP/1.1", "X: y")] + [b"\r\n", b"\r", b" "]
    )
    | st.binary(max_size=6),
    max_size=12,
).map(b"".join)


@given(data=st.data(), stream=HEADS | st.just(request() + b"more"))
def test_any_bytes_in_any_split_are_the_same_events_and_the_same_error(data, stream):
    whole = play(make(), [stream])
    assert play(make(), data.draw(pieces_of(stream))) == whole


def test_a_peer_that_has_disconnected_already_is_trusted_with_nothing():
    """It has no address any more, and looked like a unix socket's."""
    variables = head_of(request("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https"), client=("", 0))
    assert (variables.get("REMOTE_ADDR"), variables.get("HTTPS")) == (None, None)
    assert head_of(request("X-Forwarded-For: 6.6.6.6"), client="")["REMOTE_ADDR"] == "6.6.6.6"
