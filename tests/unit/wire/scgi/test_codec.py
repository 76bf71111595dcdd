"""SCGI requests as they come, in every cut, and answers as they go."""

from __future__ import annotations

import io
import subprocess
import sys
import tracemalloc
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.errors import ConfigurationError, LocalProtocolError, RemoteProtocolError, RequestRejected
from ssgi_gateway.settings import WireLimits
from ssgi_gateway.wire.cgi import ResponseHead, Variables, parse_head
from ssgi_gateway.wire.events import BodyReceived, HeadReceived, RequestAborted, RequestEnded
from ssgi_gateway.wire.scgi import codec as scgi
from ssgi_gateway.wire.scgi.codec import ScgiCodec
from tests.unit.wire.transcript import CLOSED, EOF, Refused, pieces_of, play, read

types.StringTypes = (str, bytes)  # flup 1.0.3 looks for it, and Python 3 has it not

from flup.client.scgi_app import SCGIApp  # noqa: E402

GET = [
    ("CONTENT_LENGTH", "0"),
    ("SCGI", "1"),
    ("REQUEST_METHOD", "GET"),
    ("REQUEST_URI", "/a%20b?x=1"),
    ("HTTP_HOST", "example.org"),
]
POST = [("CONTENT_LENGTH", "5"), ("SCGI", "1"), ("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/")]


def make(limits=None):
    return ScgiCodec(limits or WireLimits())


def netstring(block):
    return str(len(block)).encode() + b":" + block + b","


def request(pairs, body=b""):
    """The reference encoder: the SCGI specification's one paragraph."""
    strings = [text if isinstance(text, bytes) else text.encode("latin-1") for pair in pairs for text in pair]
    return netstring(b"".join(string + b"\0" for string in strings)) + body


def head(pairs, length=0):
    return HeadReceived(Variables((name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs), length)


def replaced(pairs, **values):
    """``pairs`` with other values, or without those that are None; new names at the end."""
    kept = [(name, values.pop(name, value)) for name, value in pairs]
    return [(name, value) for name, value in [*kept, *values.items()] if value is not None]


# -- requests that are fine ----------------------------------------------------------------------------------------


def test_a_request_without_a_body():
    transcript = read(make, request(GET), trailing=b"GET / HTTP/1.1\r\n")
    assert transcript.told == [head(GET), RequestEnded()]


def test_a_request_with_a_body():
    transcript = read(make, request(POST, b"hello"), trailing=b"3:abc,")
    assert transcript.told == [head(POST, 5), BodyReceived(b"hello"), RequestEnded()]


def test_the_specifications_own_example():
    wire = (
        b"70:CONTENT_LENGTH\x0027\0SCGI\x001\0REQUEST_METHOD\0POST\0REQUEST_URI\0/deepthought\0,"
        b"What is the answer to life?"
    )
    told = read(make, wire).told
    assert told[0].body_length == 27
    assert parse_head(told[0].variables).path == "/deepthought"
    assert told[1:] == [BodyReceived(b"What is the answer to life?"), RequestEnded()]


def test_what_stock_nginx_sends():
    """Recorded from nginx 1.22 with Debian's scgi_params."""
    wire = request(
        [
            ("CONTENT_LENGTH", "0"),
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/buf/a%20b?x=1"),
            ("QUERY_STRING", "x=1"),
            ("CONTENT_TYPE", ""),
            ("DOCUMENT_URI", "/buf/a b"),
            ("DOCUMENT_ROOT", "/usr/share/nginx/html"),
            ("SCGI", "1"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REQUEST_SCHEME", "http"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("REMOTE_PORT", "57788"),
            ("SERVER_PORT", "18181"),
            ("SERVER_NAME", "_"),
            ("HTTP_HOST", "127.0.0.1"),
            ("HTTP_X_A", "1"),
            ("HTTP_X_A", "2"),
        ]
    )
    event, ended = read(make, wire).told
    assert ended == RequestEnded()
    seen = parse_head(event.variables)
    assert (seen.path, seen.raw_path, seen.query_string) == ("/buf/a b", "/buf/a%20b", "x=1")
    assert seen.remote_address == "127.0.0.1:57788"
    assert event.variables.headers() == [("host", "127.0.0.1"), ("x-a", "1, 2")]


def test_values_of_any_bytes_but_nul():
    everything = bytes(range(1, 256))
    told = read(make, request([*GET, (b"HTTP_X", everything)])).told
    assert told[0].variables.header("x").encode("latin-1") == everything


# -- framing -------------------------------------------------------------------------------------------------------


def test_scgi_01_connect_and_close_is_silent():
    codec = make()
    assert play(codec, [EOF]).told == []
    assert not codec.incomplete()
    assert play(codec, [EOF, EOF]).told == []


@pytest.mark.parametrize("wire", [b"7", b"70:", b"70:SCGI\x001\0", request(GET)[:-1]])
def test_scgi_02_the_end_inside_a_head_closes(wire):
    transcript = read(make, wire, eof=True)
    assert transcript.told == [CLOSED]
    assert f"ended {len(wire)} bytes into a head" in transcript.words


def test_scgi_03_letters_close_at_the_first():
    codec = make()
    codec.receive(b"x" * 9000)
    with pytest.raises(RemoteProtocolError, match="the byte b'x' in the length"):
        codec.next_event()
    assert not codec.incomplete()
    assert play(make(), [b"x"]).told == [CLOSED]
    assert read(make, b"1x").told == [CLOSED]


@pytest.mark.parametrize("wire", [b"0:,", b":,", b"00:", b"012:", b"0x"])
def test_scgi_05_empty_and_zero_lengths_close(wire):
    assert read(make, wire).told == [CLOSED]


@pytest.mark.parametrize("length", [b"+70", b"-1", b" 70", b"7_0", b"70 ", b"7\xb2", b"0b1", b"1e3", b"7\0"])
def test_scgi_07_lengths_python_would_take_close(length):
    assert read(make, length + b":").told == [CLOSED]


@pytest.mark.parametrize("wire", [b"131073:", b"9" * 5000, b"1000000000000:CONTENT_LENGTH"])
def test_scgi_08_a_head_over_the_limit_is_431_before_it_is_kept(wire):
    transcript = read(make, wire)
    assert transcript.told == [Refused(431)]
    assert "131072 bytes" in transcript.words


def test_scgi_08_the_limit_itself_is_accepted_and_one_more_is_not():
    wire = request(GET)
    size = int(wire.partition(b":")[0])
    assert read(lambda: make(WireLimits(max_head_size=size)), wire).told == [head(GET), RequestEnded()]
    assert read(lambda: make(WireLimits(max_head_size=size - 1)), wire).told == [Refused(431)]


def test_scgi_08_a_refusal_is_answered():
    codec = make()
    codec.receive(b"999999:")
    with pytest.raises(RequestRejected):
        codec.next_event()
    answer = ResponseHead()
    answer.set_status(431)
    wire = b"".join(codec.encode(answer, b"too large\n", True))
    assert wire == b"Status: 431 Request Header Fields Too Large\r\n\r\ntoo large\n"


def test_scgi_09_no_comma_closes():
    wire = request(GET)
    assert read(make, wire[:-1] + b"\0").told == [CLOSED]
    assert read(make, wire[:-1] + b"x,").told == [CLOSED]


@pytest.mark.parametrize("pairs", [[*GET, GET[0]], replaced(GET, CONTENT_LENGTH=None)])
def test_scgi_09_no_comma_closes_whatever_else_there_is_to_mend_or_refuse(pairs):
    assert read(make, request(pairs)[:-1] + b".").told == [CLOSED]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (b"CONTENT_LENGTH\x000\0SCGI\x001\0REQUEST_METHOD\0", "has no value"),
        (b"CONTENT_LENGTH\x000\0SCGI\x001", "does not end with a NUL"),
        (b"CONTENT_LENGTH\x000\0SCGI\x001\0A", "does not end with a NUL"),
        (b"CONTENT_LENGTH\x000\0SCGI\x001\0\0value\0", "has no name"),
        (b"CONTENT_LENGTH\x000\0SCGI\x001\0\0\0\0\0", "has no name"),
        (b"\0", "has no value"),
    ],
)
def test_scgi_10_blocks_that_are_no_pairs_close(block, words):
    transcript = read(make, netstring(block))
    assert transcript.told == [CLOSED]
    assert words in transcript.words


@pytest.mark.parametrize("version", [None, "", "2", "01", "1 "])
def test_scgi_11_another_version_or_none_closes(version):
    assert read(make, request(replaced(GET, SCGI=version))).told == [CLOSED]


def test_scgi_12_a_missing_content_length_is_400():
    transcript = read(make, request(replaced(GET, CONTENT_LENGTH=None)))
    assert transcript.told == [Refused(400)]
    assert transcript.words == "CONTENT_LENGTH is missing"
    assert read(make, request(replaced(GET, CONTENT_LENGTH=""))).told == [Refused(400)]


def test_scgi_12_content_length_need_not_come_first():
    pairs = [*GET[1:], GET[0]]
    assert read(make, request(pairs)).told == [head(pairs), RequestEnded()]


def test_scgi_13_content_length_twice_equal_is_accepted():
    wire = request([*POST, ("CONTENT_LENGTH", "5")], b"hello")
    assert read(make, wire).told == [head(POST, 5), BodyReceived(b"hello"), RequestEnded()]


def test_scgi_13_content_length_twice_different_is_400():
    transcript = read(make, request([*POST, ("CONTENT_LENGTH", "4")], b"hello"))
    assert transcript.told == [Refused(400)]
    assert transcript.words == "CONTENT_LENGTH was sent twice: '5' and '4'"


def test_scgi_13_an_empty_content_length_beside_the_real_one_is_ignored():
    """nginx sends both on every GET under ``scgi_param CONTENT_LENGTH $content_length``."""
    assert read(make, request([*GET, ("CONTENT_LENGTH", "")])).told == [head(GET), RequestEnded()]
    assert read(make, request([("CONTENT_LENGTH", ""), *GET])).told == [head(GET), RequestEnded()]


def test_scgi_14_repeated_headers_are_joined_and_other_variables_overridden():
    pairs = [
        *GET,
        ("HTTP_X", "1"),
        ("HTTP_COOKIE", "a=1"),
        ("HTTP_X", "2"),
        ("HTTP_COOKIE", "b=2"),
        ("HTTP_X", "3"),
        ("REQUEST_METHOD", "HEAD"),
    ]
    variables = read(make, request(pairs)).told[0].variables
    assert variables.header("X") == "1, 2, 3"
    assert variables.header("cookie") == "a=1; b=2"
    assert variables["REQUEST_METHOD"] == "HEAD"
    assert list(variables) == [
        "CONTENT_LENGTH",
        "SCGI",
        "REQUEST_METHOD",
        "REQUEST_URI",
        "HTTP_HOST",
        "HTTP_X",
        "HTTP_COOKIE",
    ]


@pytest.mark.parametrize("length", ["+3", "-1", " 3", "1_0", "0x10", "3,3", "1e3", "3 ", "\xb3", "9" * 19, "9" * 5000])
def test_scgi_15_a_content_length_that_is_no_number_is_400(length):
    transcript = play(make(), [request(replaced(POST, CONTENT_LENGTH=length), b"abc")])
    assert transcript.told == [Refused(400)]
    assert "CONTENT_LENGTH is" in transcript.words
    assert len(transcript.words) < 200


def test_scgi_17_a_huge_content_length_allocates_nothing():
    codec = make()
    wire = request(replaced(POST, CONTENT_LENGTH=str(10**12)))
    tracemalloc.start()
    codec.receive(wire)
    assert codec.next_event().body_length == 10**12
    assert codec.next_event() is None
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert codec.incomplete()


def test_scgi_17_a_long_body_is_passed_on_as_it_comes():
    codec = make()
    codec.receive(request(replaced(POST, CONTENT_LENGTH=str(10**12))))
    codec.next_event()
    piece = b"x" * 65536
    tracemalloc.start()
    for _ in range(200):
        codec.receive(piece)
        assert codec.next_event().data == piece
        assert codec.next_event() is None
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_scgi_18_a_short_body_is_an_abort_and_never_padded():
    transcript = read(make, request(POST, b"hel"), eof=True)
    assert transcript.told == [head(POST, 5), BodyReceived(b"hel"), RequestAborted()]
    assert read(make, request(POST), eof=True).told == [head(POST, 5), RequestAborted()]


def test_the_end_after_the_request_is_a_client_that_disconnected():
    codec = make()
    assert play(codec, [request(GET), EOF, EOF]).told == [head(GET), RequestEnded(), RequestAborted()]
    assert codec.busy
    assert not codec.incomplete()


def test_the_end_after_the_answer_is_no_event():
    codec = make()
    play(codec, [request(GET)])
    codec.encode(ResponseHead(), b"", True)
    assert codec.finish() is False
    assert play(codec, [EOF]).told == []


def test_scgi_19_bytes_behind_the_body_are_ignored():
    codec = make()
    transcript = play(codec, [request(POST, b"hello" + b"x" * 100), b"y" * 100_000, request(GET)])
    assert transcript.told == [head(POST, 5), BodyReceived(b"hello"), RequestEnded()]


@pytest.mark.parametrize("size", [0, 1, 300, 5000])
def test_scgi_20_every_cut_has_the_same_events(size):
    pairs = [*replaced(POST, CONTENT_LENGTH=str(size)), ("HTTP_COOKIE", "c" * 200)]
    body = bytes(i % 251 for i in range(size))
    transcript = read(make, request(pairs, body), trailing=b"\0\xff,:")
    assert transcript.body == body
    assert transcript.told[-1] == RequestEnded()


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
        (b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", "the PROXY protocol"),
        (b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c", "the PROXY protocol"),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", "TLS"),
        (b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0", "FastCGI"),
    ],
)
def test_scgi_21_other_protocols_close_under_their_names(wire, name):
    transcript = play(make(), [wire])
    assert transcript.told == [CLOSED]
    assert transcript.words.endswith(f"; this looks like {name}, and this address speaks SCGI")
    assert read(make, wire[:40]).told == [CLOSED]


# -- limits and fronts ---------------------------------------------------------------------------------------------


def test_scgi_59_too_many_variables_are_431():
    pairs = [*GET, *((f"HTTP_X{i}", "") for i in range(995))]
    assert len(play(make(), [request(pairs)]).told[0].variables) == 1000
    transcript = play(make(), [request([*pairs, ("HTTP_ONE", "more")])])
    assert transcript.told == [Refused(431)]
    assert "more than 1000" in transcript.words


def test_scgi_59_ten_thousand_variables_and_a_megabyte_of_headers_are_431():
    many = request([*GET, *((f"X{i}", "") for i in range(10_000))])
    assert play(make(), [many]).told == [Refused(431)]
    large = request([*GET, *((f"HTTP_X{i}", "v" * 10_000) for i in range(100))])
    assert play(make(), [large]).told == [Refused(431)]
    assert play(make(), [bytes([byte]) for byte in large]).told == [Refused(431)]


def test_scgi_38_names_that_are_none_are_400():
    for name in ("A=B", "A\rB", "A\nB"):
        assert read(make, request([*GET, (name, "x")])).told == [Refused(400)]


@pytest.mark.parametrize("length", ["0", "9058"])
def test_scgi_unbuffered_uploads_of_older_nginx_are_411(length):
    """``scgi_request_buffering off`` before nginx 1.29.6, as recorded: CONTENT_LENGTH is what had been read by then."""
    pairs = [*replaced(POST, CONTENT_LENGTH=length), ("HTTP_CONTENT_LENGTH", "300000")]
    transcript = read(make, request(pairs, b"x" * int(length)))
    assert transcript.told == [Refused(411)]
    assert "scgi_request_buffering on" in transcript.words
    assert "FastCGI" in transcript.words


def test_scgi_48_the_clients_framing_is_no_news_when_it_agrees():
    pairs = [*POST, ("HTTP_CONTENT_LENGTH", "5"), ("HTTP_CONTENT_TYPE", "text/plain")]
    assert read(make, request(pairs, b"hello")).told == [head(POST, 5), BodyReceived(b"hello"), RequestEnded()]


@pytest.mark.parametrize("body", [b"", b"hello"])
def test_scgi_chunked_uploads_are_framed_by_content_length(body):
    """nginx buffers these whatever it is told, empty ones included."""
    pairs = replaced(POST, CONTENT_LENGTH=str(len(body)))
    transcript = read(make, request([*pairs, ("HTTP_TRANSFER_ENCODING", "chunked")], body))
    assert transcript.told[0] == head(pairs, len(body))
    assert transcript.body == body


def test_scgi_47_proxy_goes_no_further():
    variables = read(make, request([*GET, ("HTTP_PROXY", "evil:1")])).told[0].variables
    assert "HTTP_PROXY" not in variables
    assert variables.header("Proxy") is None


# -- properties ----------------------------------------------------------------------------------------------------

texts = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=40)
names = st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True).filter(
    lambda name: name not in ("SCGI", "CONTENT_LENGTH") and not name.startswith("HTTP_")
)


@given(st.dictionaries(names, texts, max_size=20), st.binary(max_size=300), st.data())
def test_round_trips_in_arbitrary_cuts(others, body, data):
    pairs = [("CONTENT_LENGTH", str(len(body))), ("SCGI", "1"), *others.items()]
    pieces = data.draw(pieces_of(request(pairs, body)))
    transcript = play(make(), pieces)
    assert dict(transcript.told[0].variables.items()) == dict(pairs)
    assert transcript.told[0].body_length == len(body)
    assert transcript.body == body
    assert transcript.told[-1] == RequestEnded()


@given(st.binary(max_size=60), st.data())
def test_any_bytes_tell_the_same_in_any_cut(wire, data):
    assert play(make(), data.draw(pieces_of(wire))) == play(make(), [wire] if wire else [])


@given(st.lists(st.sampled_from([b"1", b"0", b":", b",", b"\0", b"SCGI\x001\0", b"CONTENT_LENGTH\0", b"x"])), st.data())
def test_nearly_right_bytes_tell_the_same_in_any_cut(parts, data):
    wire = netstring(b"".join(parts)) if data.draw(st.booleans()) else b"".join(parts)
    assert play(make(), data.draw(pieces_of(wire))) == play(make(), [wire] if wire else [])


class FlupClient(SCGIApp):
    """flup's client, written by others, on a wire that is two buffers."""

    def __init__(self, answer):
        super().__init__(connect=("", 0))
        self.request = b""
        self._answer = answer

    def _getConnection(self):
        return self

    def makefile(self, mode):
        return io.BytesIO(self._answer) if mode == "rb" else SentTo(self)

    def close(self):
        """The client closes its socket once it has the two files."""


class SentTo(io.BytesIO):
    """Hands over what was written when it is closed, as a socket's file does."""

    def __init__(self, client):
        super().__init__()
        self._client = client

    def close(self):
        self._client.request = self.getvalue()
        super().close()


@given(st.binary(max_size=200), st.dictionaries(st.sampled_from(["HTTP_A", "SERVER_NAME", "PATH_INFO"]), texts))
def test_flups_client_is_understood_and_understands(body, others):
    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body)), **others}
    answer = ResponseHead()
    answer.set_status(404)
    answer.add([("X-Answer", "yes")])
    client = FlupClient(b"".join(started().encode(answer, b"gone", True)))
    heads = []
    content = client({**environ, "wsgi.input": io.BytesIO(body)}, lambda *head: heads.append(head))
    transcript = play(make(), [client.request])
    assert dict(transcript.told[0].variables.items()) == {**environ, "SCGI": "1"}
    assert transcript.body == body
    assert transcript.told[-1] == RequestEnded()
    assert heads == [(b"404 Not Found", [(b"x-answer", b"yes")])]
    assert content == [b"gone"]


# -- answers -------------------------------------------------------------------------------------------------------


def started(pairs=GET):
    codec = make()
    play(codec, [request(pairs)])
    return codec


def test_a_small_answer_is_one_piece():
    codec = started()
    answer = ResponseHead()
    answer.add([("Content-Type", "text/plain")])
    assert codec.encode(answer, b"hello", True) == [b"Content-Type: text/plain\r\nStatus: 200 OK\r\n\r\nhello"]


def test_a_streamed_answer_is_its_pieces():
    codec = started()
    block = ResponseHead().encode_cgi()
    assert codec.encode(ResponseHead(), None, False) == [block]
    assert codec.encode(None, b"one", False) == [b"one"]
    assert codec.encode(None, b"", False) == []
    assert codec.encode(None, None, False) == []
    assert codec.encode(None, bytearray(b"two"), False) == [b"two"]
    assert codec.encode(None, None, True) == []


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_large_payload_is_not_copied(kind):
    data = kind(b"x" * 100_000)
    block = ResponseHead().encode_cgi()
    pieces = started().encode(ResponseHead(), data, True)
    assert pieces[0] == block
    assert pieces[1] is data or pieces[1].obj is memoryview(data).obj
    assert [len(piece) for piece in pieces] == [len(block), 100_000]


def test_a_payload_of_wider_elements_is_counted_in_bytes():
    data = memoryview(b"x" * 80_000).cast("d")
    (piece,) = make_answering().encode(None, data, False)
    assert len(piece) == 80_000
    assert make_answering().encode(None, memoryview(b"12345678").cast("d"), False) == [b"12345678"]


def make_answering():
    codec = started()
    codec.encode(ResponseHead(), None, False)
    return codec


def test_an_upgrade_turns_into_a_tunnel():
    codec = started()
    answer = ResponseHead()
    answer.switch_protocols([("Upgrade", "websocket"), ("Connection", "Upgrade")])
    assert codec.encode(answer, None, False) == [
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nStatus: 101 Switching Protocols\r\n\r\n"
    ]
    assert codec.encode(None, b"\x81\x02hi", False) == [b"\x81\x02hi"]
    assert codec.supports_upgrade
    assert codec.encode(None, None, True) == []


def test_pieces_out_of_order_are_refused():
    with pytest.raises(LocalProtocolError):
        started().encode(None, b"body first", False)
    codec = make_answering()
    with pytest.raises(LocalProtocolError):
        codec.encode(ResponseHead(), None, False)
    codec.encode(None, None, True)
    with pytest.raises(LocalProtocolError):
        codec.encode(None, b"late", False)
    with pytest.raises(LocalProtocolError):
        codec.encode(None, None, True)


def test_a_request_that_nobody_answers_ends_without_a_word():
    codec = started()
    codec.receive(EOF)
    assert codec.next_event() == RequestAborted()
    assert codec.encode(None, None, True) == []


# -- the connection ------------------------------------------------------------------------------------------------


def test_busy_and_pending_from_the_first_byte_to_the_last():
    codec = make()
    assert (codec.busy, codec.incomplete()) == (False, False)
    wire = request(POST)
    codec.receive(wire[:1])
    assert (codec.busy, codec.incomplete()) == (False, True)
    codec.receive(wire[1:])
    codec.next_event()
    assert (codec.busy, codec.incomplete()) == (True, True)
    codec.encode(ResponseHead(), b"early", True)
    assert codec.finish() is False
    assert (codec.busy, codec.incomplete()) == (False, False)
    assert play(codec, [b"hello", EOF]).told == []
    assert codec.take_output() == b""
    assert (codec.protocol, codec.serves_http) == ("scgi", True)


def test_a_refusal_is_raised_again_and_nothing_after_it_is_read():
    codec = make()
    for piece in (b"x", request(GET), EOF):
        codec.receive(piece)
        with pytest.raises(RemoteProtocolError, match="the byte b'x'"):
            codec.next_event()


def test_the_table_leads_everywhere_and_out():
    states = set(scgi.TRANSITIONS)
    assert {following for row in scgi.TRANSITIONS.values() for following in row.values()} <= states
    reached = {scgi.IDLE}
    for _ in states:
        reached |= {following for state in reached for following in scgi.TRANSITIONS[state].values()}
    assert reached == states
    for state in states:
        assert scgi.TRANSITIONS[state][scgi.FINISHED] == scgi.CLOSED


@pytest.mark.portable
def test_what_sioscgi_itself_refuses_closes_as_well():
    """Nothing we know gets this far; a stricter sioscgi would."""
    codec = make()
    play(codec, [request(POST)])
    codec._reader.receive_data(EOF)
    assert play(codec, [b"hello"]).told == [CLOSED]


@pytest.mark.portable
def test_sioscgi_is_imported_when_a_codec_is_made_and_not_before():
    program = (
        "import sys, ssgi_gateway.wire.scgi.codec as s; before = 'sioscgi' in sys.modules\n"
        "from ssgi_gateway.settings import WireLimits; s.ScgiCodec(WireLimits())\n"
        "print(before, 'sioscgi' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]


@pytest.mark.portable
def test_without_sioscgi_the_error_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sioscgi", None)
    with pytest.raises(ConfigurationError, match="pip install 'sioscgi"):
        scgi._Sioscgi()
