"""HTTP/1.1 as a server speaks it: heads and bodies in every cut, answers, and what is never a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.errors import RemoteProtocolError, RequestRejected
from ssgi_gateway.settings import WireLimits
from ssgi_gateway.wire.events import BodyReceived, HeadReceived, RequestAborted, RequestEnded
from ssgi_gateway.wire.http.codec import MAX_WAITING, HttpCodec
from ssgi_gateway.wire.http.date import DateLine
from ssgi_gateway.wire.response_head import ResponseHead
from tests.unit.wire.transcript import EOF, Refused, pieces_of, play, read

LOCAL, NEAR, FAR = ("192.0.2.1", 8000), ("127.0.0.1", 51234), ("203.0.113.9", 40000)
HOST = b"Host: example.com\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def make(client=FAR, date=None, **limits):
    return HttpCodec(WireLimits(**limits), LOCAL, client, ("127.0.0.1",), date)


def head(status=200, length=None, *fields):
    made = ResponseHead()
    made.set_status(status)
    made.add(fields)
    if length is not None:
        made.set_content_length(length)
    return made


def take(codec):
    """Every event there is."""
    found = []
    while (event := codec.next_event()) is not None:
        found.append(event)
    return found


def started(data, **options):
    """A codec that has told of one request."""
    codec = make(**options)
    codec.receive(data)
    assert isinstance(take(codec)[0], HeadReceived)
    return codec


def sent(codec, made, data=None, end=True):
    return b"".join(bytes(piece) for piece in codec.encode(made, data, end))


def variables_of(data, **options):
    codec = make(**options)
    codec.receive(data)
    return codec.next_event().variables


class TestHeads:
    def test_variables(self):
        data = b"GET /a%20b?c=d HTTP/1.1\r\nHost: example.com:80\r\nCookie: a=1\r\nX-Empty:\r\nCookie:  b=2 \t\r\n\r\n"
        transcript = read(make, data, trailing=GET)
        assert transcript.told[1:] == [RequestEnded()]
        assert dict(transcript.told[0].variables.items()) == {
            "REQUEST_METHOD": "GET",
            "REQUEST_URI": "/a%20b?c=d",
            "QUERY_STRING": "c=d",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REQUEST_SCHEME": "http",
            "HTTP_HOST": "example.com:80",
            "HTTP_COOKIE": "a=1; b=2",
            "HTTP_X_EMPTY": "",
            "SERVER_ADDR": "192.0.2.1",
            "SERVER_PORT": "8000",
            "REMOTE_ADDR": "203.0.113.9",
            "REMOTE_PORT": "40000",
        }

    def test_names_with_underscores_are_left_out(self):
        found = variables_of(b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 6.6.6.6\r\nContent_Length: 5\r\n\r\n")
        assert "HTTP_X_FORWARDED_FOR" not in found
        assert "HTTP_CONTENT_LENGTH" not in found

    @pytest.mark.parametrize("client", [NEAR, FAR])
    def test_forwarded_fields_count_from_trusted_peers_only(self, client):
        found = variables_of(
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\n\r\n",
            client=client,
        )
        trusted = client is NEAR
        assert found["REMOTE_ADDR"] == ("198.51.100.7" if trusted else client[0])
        assert found["REQUEST_SCHEME"] == ("https" if trusted else "http")

    def test_the_authority_of_an_absolute_target_stands_above_the_host(self):
        found = variables_of(b"GET http://other.example/x?y HTTP/1.1\r\nHost: example.com\r\n\r\n")
        assert found["HTTP_HOST"] == "other.example"

    def test_empty_lines_before_a_request_are_ignored(self):
        assert len(play(make(), [b"\r\n\r\n" + GET]).told) == 2

    def test_a_request_for_the_whole_server(self):
        assert variables_of(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")["REQUEST_URI"] == "*"

    @pytest.mark.parametrize("target", [b"/\xc3\xa9", b"/a b", b"/a\tb"])
    def test_a_target_is_visible_ascii(self, target):
        assert play(make(), [b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"]).told == [Refused(400)]


INVALID = {
    "bare LF at the end of the request line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "bare LF everywhere": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare LF in a field": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n",
    "bare CR in a field": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n",
    "bare CR behind the request line": b"GET / HTTP/1.1\rHost: a\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "BEL in a value": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x07b\r\n\r\n",
    "DEL in a value": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n",
    "NUL in a name": b"GET / HTTP/1.1\r\nHost: a\r\nX\0Y: b\r\n\r\n",
    "NUL in the target": b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "folded line": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    "folded line with a tab": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n",
    "first field begins with a space": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello",
    "tab before the colon": b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    "no name": b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    "quotes in a name": b'GET / HTTP/1.1\r\nHost: a\r\n"X": x\r\n\r\n',
    "umlaut in a name": b"GET / HTTP/1.1\r\nHost: a\r\nX\xfc: x\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\nX: a\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "the same Host twice": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "a Host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a Host with a user": b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "two Hosts in one": b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
    "absolute target without a host": b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
    "absolute target with a user": b"GET http://u@a/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "relative target": b"GET x HTTP/1.1\r\nHost: a\r\n\r\n",
    "authority for GET": b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "asterisk for GET": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "no target": b"GET  HTTP/1.1\r\nHost: a\r\n\r\n",
    "no version": b"GET /\r\nHost: a\r\n\r\n",
    "version in lower case": b"GET / http/1.1\r\nHost: a\r\n\r\n",
    "version with two digits": b"GET / HTTP/1.10\r\nHost: a\r\n\r\n",
    "version without a dot": b"GET / HTTP/11\r\nHost: a\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "space behind the version": b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "tab for a space": b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "colon in the method": b"GE:T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "space before the method": b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "no method": b" / HTTP/1.1\r\nHost: a\r\n\r\n",
    "Content-Length with a sign": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
    "negative Content-Length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello",
    "Content-Length with an underscore": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\nhellohello",
    "hexadecimal Content-Length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello",
    "empty Content-Length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nhello",
    "Content-Length in Arabic": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xd9\xa5\r\n\r\nhello",
    "two Content-Lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "the same Content-Length twice":
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "Content-Length as a list": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
    "Content-Length of twenty digits": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "CL.TE": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
    "TE.CL": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX",
    "Transfer-Encoding of HTTP/1.0": b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding as a list":
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding twice":
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding behind a control character":
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00",
    "SCGI": b"70:CONTENT_LENGTH\x000\x00",
    "FastCGI": b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01",
    "the PROXY protocol": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "nothing but empty lines": b"\r\n" * 20,
}  # fmt: skip

UNSUPPORTED = {
    501: (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    505: (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", b"GET / HTTP/0.9\r\n\r\n", b"GET / HTTP/3.1\r\nHost: a\r\n\r\n"),
    417: (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\n",),
}


class TestWhatIsRefused:
    @pytest.mark.parametrize("name", INVALID)
    def test_invalid_requests(self, name):
        """The kinds that gunicorn, llhttp, hyper and the papers on request smuggling collect."""
        transcript = play(make(), [INVALID[name]])
        assert transcript.told == [Refused(505 if name == "HTTP/2" else 400)]

    @pytest.mark.parametrize("name", INVALID)
    def test_invalid_requests_byte_by_byte(self, name):
        data = INVALID[name]
        transcript = play(make(), [data[i : i + 1] for i in range(len(data))])
        assert isinstance(transcript.told[-1], Refused), transcript
        assert len(transcript.told) == 1

    @pytest.mark.parametrize(("status", "data"), [(status, it) for status, all_ in UNSUPPORTED.items() for it in all_])
    def test_what_is_not_supported(self, status, data):
        assert play(make(), [data]).told == [Refused(status)]

    def test_after_a_refusal_nothing_is_read_and_the_answer_is_the_last(self):
        codec = make()
        codec.receive(b"GET / HTTP/1.1\r\n\r\n" + GET)
        with pytest.raises(RequestRejected):
            codec.next_event()
        codec.receive(GET)
        assert codec.next_event() is None
        answer = sent(codec, head(400, 3), b"bad")
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"Connection: close\r\n" in answer
        assert not codec.finish()

    def test_heads_are_bounded(self):
        big = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 2000
        assert play(make(max_head_size=1024), [big]).told == [Refused(431)]
        assert play(make(max_head_size=1024), [big + b"\r\n\r\n"]).told == [Refused(431)]
        many = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 30 + b"\r\n"
        assert play(make(max_variables=20), [many]).told == [Refused(431)]

    def test_the_words_name_what_the_bytes_look_like(self):
        assert "TLS" in play(make(), [INVALID["TLS"]]).words

    def test_a_head_that_breaks_off(self):
        assert play(make(), [GET[:-2], EOF]).told == [Refused(0)]
        assert play(make(), [EOF]).told == []


class TestBodies:
    def test_a_length(self):
        data = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello"
        transcript = read(make, data, trailing=GET)
        assert transcript.told[0].body_length == 5
        assert transcript.told[1:] == [BodyReceived(b"hello"), RequestEnded()]

    @pytest.mark.parametrize(
        "body",
        [
            b"5\r\nhello\r\n0\r\n\r\n",
            b"2\r\nhe\r\n003\r\nllo\r\n000\r\n\r\n",
            b"5;a=b;c\r\nhello\r\n0;x\r\nDigest: abc\r\nX: \r\n\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
        ],
    )
    def test_chunks(self, body):
        transcript = read(make, CHUNKED + body, trailing=GET)
        assert transcript.told[0].body_length == -1
        assert transcript.told[1:] == [BodyReceived(b"hello"), RequestEnded()]

    @pytest.mark.parametrize(
        "body",
        [
            b"x\r\n", b"\r\n", b"-1\r\n", b"+1\r\n", b"0x1\r\n", b" 1\r\na\r\n", b"1_0\r\n", b"11111111111111111\r\n",
            b"5\nhello\r\n", b"5\r\nhello\n", b"5\r\nhelloX\r\n", b"5\r\nhello\r\r\n", b"5;a\nb\r\nhello\r\n",
            b"5;\x00\r\nhello\r\n", b"5\r\r\n", b"5 5\r\n", b"0\r\nX\r\n\r\n", b"0\r\nX : y\r\n\r\n", b"0\r\n\n",
            b"0\r\nX: a\nb\r\n\r\n",
            b"0\r\n x: y\r\n\r\n", b"5;" + b"a" * 9000, b"0\r\n" + b"X: " + b"a" * 9000 + b"\r\n",
        ],
    )  # fmt: skip
    def test_what_is_no_chunk(self, body):
        for pieces in ([CHUNKED + body], [CHUNKED, *(body[i : i + 1] for i in range(len(body)))]):
            told = play(make(), pieces).told
            assert told[-1] == Refused(0)
            assert RequestEnded() not in told

    def test_extensions_and_trailers_are_bounded_by_the_body(self):
        tiny = b"1;" + b"a" * 8000 + b"\r\nx\r\n"
        assert play(make(), [CHUNKED + tiny * 20]).told[-1] == Refused(0)
        signed = (b"10000;chunk-signature=" + b"0" * 64 + b"\r\n" + bytes(65536) + b"\r\n") * 40
        assert RequestEnded() in play(make(), [CHUNKED + signed + b"0\r\n\r\n"]).told

    @given(st.data())
    def test_any_body_in_any_cut(self, data):
        body = data.draw(st.binary(max_size=300))
        pieces = data.draw(pieces_of(body)) if body else []
        wire = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"
        transcript = play(make(), data.draw(pieces_of(CHUNKED + wire + GET)))
        assert transcript.body == body
        assert transcript.told[-1] == RequestEnded()

    def test_a_client_that_disconnects(self):
        data = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhe"
        assert play(make(), [data, EOF]).told[-1] == RequestAborted()
        assert play(make(), [CHUNKED + b"5\r\nhe", EOF]).told[-1] == RequestAborted()
        assert play(make(), [GET, EOF]).told[-1] == RequestAborted()


class TestAnswers:
    def test_a_whole_answer(self):
        date = DateLine()
        date.line = b"Date: now\r\n"
        answer = sent(started(GET, date=date), head(200, 5, ("Content-Type", "text/plain")), b"hello")
        assert answer == (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nDate: now\r\n\r\nhello")

    def test_a_date_of_the_application_stays(self):
        date = DateLine()
        date.line = b"Date: now\r\n"
        assert sent(started(GET, date=date), head(200, 0, ("date", "then"))).lower().count(b"date:") == 1

    def test_an_answer_of_unknown_length_is_chunked(self):
        codec = started(GET)
        assert sent(codec, head(), b"hello", end=False).endswith(b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        assert sent(codec, None, b"x" * 20, end=False) == b"14\r\n" + b"x" * 20 + b"\r\n"
        assert sent(codec, None, b"", end=False) == b""
        assert sent(codec, None, b"end", end=True) == b"3\r\nend\r\n0\r\n\r\n"
        assert codec.finish()

    def test_to_http_1_0_it_ends_with_the_connection(self):
        codec = started(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = sent(codec, head(), b"hello")
        assert b"chunked" not in answer
        assert b"Connection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\nhello")
        assert not codec.finish()

    def test_http_1_0_may_keep_the_connection(self):
        codec = started(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        assert b"Connection: keep-alive\r\n" in sent(codec, head(200, 0))
        assert codec.finish()

    @pytest.mark.parametrize("request_", [b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", GET])
    @pytest.mark.parametrize("status", [204, 304, 200])
    def test_what_has_no_body_has_no_coding(self, request_, status):
        codec = started(request_)
        if status != 200 or request_ is not GET:
            assert sent(codec, head(status)).endswith(b"\r\n\r\n")
            assert codec.finish()

    @pytest.mark.parametrize("value", [b"close", b"Close", b"x, close", b"keep-alive,close"])
    def test_the_client_closes(self, value):
        codec = started(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: " + value + b"\r\n\r\n")
        assert b"Connection: close\r\n" in sent(codec, head(200, 0))
        assert not codec.finish()
        assert not codec.may_send_trailing

    def test_the_server_closes(self):
        codec = started(GET)
        codec.shut_down()
        assert b"Connection: close\r\n" in sent(codec, head(200, 0))
        assert not codec.finish()
        assert codec.may_send_trailing

    def test_an_early_answer_is_the_last(self):
        codec = started(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
        assert b"Connection: close\r\n" in sent(codec, head(413, 0))
        assert not codec.finish()

    def test_100_continue_is_sent_when_the_body_is_wanted_and_once(self):
        codec = started(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n")
        assert codec.invite() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert codec.invite() == b""

    @pytest.mark.parametrize("line", [b"GET / HTTP/1.1", b"POST / HTTP/1.0"])
    def test_100_continue_is_for_bodies_of_http_1_1(self, line):
        codec = started(line + b"\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
        assert codec.invite() == b""

    def test_no_100_continue_behind_the_answer(self):
        codec = started(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        codec.encode(head(), b"x", False)
        assert codec.invite() == b""

    def test_an_upgrade(self):
        codec = started(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nframes")
        made = head()
        made.switch_protocols([("Upgrade", "websocket"), ("Connection", "Upgrade")])
        answer = sent(codec, made, end=False)
        assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert answer.count(b"Connection") == 1
        assert b"chunked" not in answer
        assert codec.trailing_data() == b"frames"

    def test_426_names_what_it_needs(self):
        assert b"Upgrade: websocket\r\nConnection: Upgrade\r\n" in sent(started(GET), head(426, 0))


class TestPipelining:
    def test_one_at_a_time(self):
        codec = make()
        codec.receive(GET + b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" + GET)
        targets = []
        for _ in range(3):
            events = take(codec)
            targets.append(events[0].variables["REQUEST_URI"])
            assert events[-1] == RequestEnded()
            codec.encode(head(200, 0), None, True)
            assert codec.finish()
        assert targets == ["/", "/2", "/"]
        assert not codec.waiting()
        assert not codec.incomplete()

    def test_what_waits_is_counted_and_bounded(self):
        codec = started(GET)
        codec.receive(GET)
        assert not codec.full()
        codec.receive(bytes(MAX_WAITING))
        assert codec.full()
        assert codec.next_event() is None
        codec.encode(head(200, 0), None, True)
        assert codec.finish()
        assert codec.waiting()

    @given(st.data())
    def test_any_cut_gives_the_same_requests(self, data):
        wire = GET + CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + GET

        def react(codec, event):
            if event == RequestEnded():
                codec.encode(head(200, 0), None, True)
                assert codec.finish()

        assert play(make(), data.draw(pieces_of(wire)), react).told == play(make(), [wire], react).told


def test_broken_framing_is_an_error_of_the_connection():
    codec = started(CHUNKED)
    codec.receive(b"zz\r\n")
    with pytest.raises(RemoteProtocolError):
        codec.next_event()
    codec.receive(GET)
    assert codec.next_event() is None
