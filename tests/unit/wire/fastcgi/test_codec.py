import tracemalloc

import pytest

from ssgi_gateway.errors import LocalProtocolError
from ssgi_gateway.settings import WireLimits
from ssgi_gateway.wire.events import BodyReceived, HeadReceived, RequestEnded, RequestsInterleaved
from ssgi_gateway.wire.fastcgi.codec import MAX_FUTILE, FastcgiCodec
from ssgi_gateway.wire.fastcgi.records import (
    ABORT_REQUEST,
    BEGIN_REQUEST,
    DATA,
    END_REQUEST,
    GET_VALUES,
    GET_VALUES_RESULT,
    PARAMS,
    STDERR,
    STDIN,
    STDOUT,
    UNKNOWN_ROLE,
    UNKNOWN_TYPE,
    encode_pair,
)
from ssgi_gateway.wire.fastcgi.states import ABORTED as ABORTED_STATE
from ssgi_gateway.wire.fastcgi.states import ACTIONS, IDLE, REJECTED, STATES, TABLE, TRANSITIONS
from tests.unit.wire.blocks import Block
from tests.unit.wire.fastcgi_front import (
    ABORTED,
    ENDED,
    GET,
    GET_TOLD,
    HEAD,
    Front,
    answered,
    begin,
    converse,
    end_request,
    get,
    pairs,
    params,
    post,
    record,
    stdin,
)
from tests.unit.wire.flup_fastcgi import flup_pairs, flup_records
from tests.unit.wire.transcript import read


def broken(front):
    """The one message of a conversation that ended in a protocol error."""
    kind, message = front.told[-1]
    assert kind == "broken"
    assert front.codec.closing
    assert not front.codec.busy
    return message


# Transcripts. The first is what nginx 1.22 sends with its stock fastcgi_params and fastcgi_keep_conn.

NGINX_POST = (
    b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x01\x04\x00\x01\x01\xed\x03\x00"
    b"\x0c\x00QUERY_STRING\x0e\x04REQUEST_METHODPOST\x0c\nCONTENT_TYPEtext/plain\x0e\x02CONTENT_LENGTH11"
    b"\x0b\x03SCRIPT_NAME/up\x0b\x03REQUEST_URI/up\x0c\x03DOCUMENT_URI/up\r\x12DOCUMENT_ROOT/var/www/main/html"
    b"\x0f\x08SERVER_PROTOCOLHTTP/1.1\x0e\x04REQUEST_SCHEMEhttp\x11\x07GATEWAY_INTERFACECGI/1.1"
    b"\x0f\x0cSERVER_SOFTWAREnginx/1.22.1\x0b\x05REMOTE_ADDRunix:\x0b\x00REMOTE_PORT\x0b\x00REMOTE_USER"
    b"\x0b\x19SERVER_ADDRunix:/run/nginx/main.sock\x0b\x00SERVER_PORT\x0b\x0bSERVER_NAMEexample.org"
    b"\x0f\x03REDIRECT_STATUS200\t\x0bHTTP_HOSTexample.org\x13\x02HTTP_CONTENT_LENGTH11"
    b"\x11\nHTTP_CONTENT_TYPEtext/plain\x0f\x05HTTP_CONNECTIONclose\x00\x00\x00"
    b"\x01\x04\x00\x01\x00\x00\x00\x00\x01\x05\x00\x01\x00\x0b\x05\x00hello world\x00\x00\x00\x00\x00"
    b"\x01\x05\x00\x01\x00\x00\x00\x00"
)
NGINX_ANSWER = (
    b"\x01\x06\x00\x01\x00\x14\x00\x00Status: 200 OK\r\n\r\nok"
    b"\x01\x06\x00\x01\x00\x00\x00\x00"
    b"\x01\x03\x00\x01\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)


def test_what_nginx_sends_and_what_it_gets():
    front = converse(NGINX_POST)
    (kind, variables, length), *rest = front.told
    assert (kind, length) == ("head", 11)
    assert variables["REQUEST_METHOD"] == "POST"
    assert variables["SERVER_ADDR"] == "unix:/run/nginx/main.sock"
    assert variables["REMOTE_PORT"] == ""
    assert rest == [("body", b"hello world"), ENDED]
    assert front.answers == NGINX_ANSWER
    assert front.output == b""


def test_kept_connection_three_requests_with_nothing_between_them():
    front = converse(NGINX_POST + get(1) + get(65535))
    assert front.told[3:] == GET_TOLD * 2
    assert flup_records(front.answers) == answered() + answered() + answered(65535)


@pytest.mark.parametrize("request_id", [1, 2, 255, 256, 65535])
def test_any_request_id(request_id):
    front = converse(get(request_id))
    assert front.told == GET_TOLD
    assert flup_records(front.answers) == answered(request_id)


@pytest.mark.parametrize("padding", [0, 1, 7, 8, 255])
def test_inbound_padding_is_skipped(padding):
    front = converse(
        record(BEGIN_REQUEST, 1, bytes((0, 1, 1, 0, 0, 0, 0, 0)), padding)
        + record(PARAMS, 1, pairs(post(b"3")), padding)
        + record(PARAMS, 1, b"", padding)
        + record(STDIN, 1, b"abc", padding)
        + record(STDIN, 1, b"", padding)
        + get(2),
    )
    assert front.told == [
        ("head", {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "3"}, 3),
        ("body", b"abc"),
        ENDED,
        *GET_TOLD,
    ]


def test_no_params_at_all_is_a_request_without_variables():
    front = converse(begin() + record(PARAMS) + stdin())
    assert front.told == [("head", {}, -1), ENDED]


def test_repeated_variables_are_merged_not_refused():
    repeated = [*GET.items(), (b"HTTP_A", b"1"), (b"HTTP_A", b"2"), (b"REQUEST_URI", b"/2")]
    front = converse(begin() + params(repeated) + stdin())
    assert front.told[0][1] == {"REQUEST_METHOD": "GET", "REQUEST_URI": "/2", "HTTP_A": "1, 2"}


def answer_at_the_end(codec, event):
    if isinstance(event, RequestEnded):
        codec.encode(Block(HEAD), b"ok", True)
        codec.finish()


@pytest.mark.parametrize("trailing", [b"\x01", get(2), record(99, 0), b"GET / HTTP/1.1\r\n\r\n", bytes(100)])
@pytest.mark.parametrize("wire", [NGINX_POST, get(), get(flags=0), begin() + params(post(b"")) + stdin(b"a", b"b")])
def test_what_follows_does_not_change_earlier_events(wire, trailing):
    transcript = read(lambda: FastcgiCodec(WireLimits()), wire, trailing=trailing, react=answer_at_the_end)
    assert isinstance(transcript.told[0], HeadReceived)
    assert isinstance(transcript.told[-1], RequestEnded)


def test_nothing_was_sent_and_the_connection_ends():
    front = Front().eof()
    assert front.told == []
    assert front.codec.closing


# Framing, bad_inputs.md by its numbers


@pytest.mark.parametrize("version", [0, 2, 255])
def test_fastcgi_22_other_versions_close(version):
    front = converse(bytes((version,)) + get()[1:])
    assert broken(front) == f"a record header has FastCGI version {version}, not 1"
    front = converse(get() + bytes((version,)) + get()[1:])
    assert front.told[:-1] == GET_TOLD
    assert broken(front)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"70:CONTENT_LENGTH\x000\x00", "SCGI"),
        (b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", "the PROXY protocol"),
        (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11", "the PROXY protocol"),
    ],
)
def test_fastcgi_22_the_message_names_what_it_looks_like(start, name):
    assert f"; this looks like {name}, " in broken(converse(start))
    assert f"; this looks like {name}, " in broken(converse(start[:6], eof=True))


def test_fastcgi_23_a_flood_before_begin_closes_with_flat_memory():
    front = Front()
    flood = record(STDIN, 1, b"x" * 500)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    sent = 0
    while not front.told and sent < 100_000:
        front.send(flood)
        sent += 1
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert sent == MAX_FUTILE + 1
    assert broken(front) == f"{MAX_FUTILE + 1} records in a row belonged to no request"
    assert peak < 32768
    for _ in range(100):
        front.send(flood)
    assert len(front.told) == 1


def test_fastcgi_23_between_requests_the_same_bound_holds():
    front = Front().send(get())
    for _ in range(MAX_FUTILE):
        front.send(record(STDIN, 7, b"x"))
    front.send(get())
    assert front.told == GET_TOLD * 2
    for _ in range(MAX_FUTILE):
        front.send(record(PARAMS, 7, b"x"))
    assert front.told == GET_TOLD * 2
    assert broken(front.send(record(PARAMS, 7, b"x")))


def test_fastcgi_24_records_of_unknown_ids_are_ignored():
    stray = record(PARAMS, 7, pairs(GET)) + record(STDIN, 7, b"x" * 9) + record(STDIN, 7) + record(PARAMS, 7)
    body = record(STDIN, 1, b"abc")
    wire = stray + begin() + stray + params(post(b"6")) + stray + body + stray + body + record(STDIN) + stray
    front = converse(wire)
    assert front.told == [("head", {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "6"}, 6), ("body", b"abcabc"), ENDED]
    assert front.output == b""


@pytest.mark.parametrize("kind", range(1, 9))
def test_fastcgi_24_a_request_s_record_with_id_0_closes(kind):
    for content in (b"", b"12345678"):
        assert broken(converse(record(kind, 0, content))) == f"a record of type {kind} has the request id 0"
        assert broken(converse(begin() + record(kind, 0, content))) == f"a record of type {kind} has the request id 0"


def test_fastcgi_24_records_of_a_finished_request_are_ignored_without_limit():
    front = Front(early=True).send(begin() + params(post(b"")))
    assert flup_records(front.answers) == answered()
    assert not front.codec.busy
    assert not front.codec.incomplete()
    for _ in range(2 * MAX_FUTILE):
        front.send(record(STDIN, 1, b"the rest of an upload", padding=3))
    front.send(record(STDIN, 1) + get(1))
    assert front.told == [("head", {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": ""}, -1), *GET_TOLD[:1]]
    assert flup_records(front.answers) == answered() + answered()


def test_fastcgi_24_once_the_rest_has_come_to_its_end_nothing_more_is_expected():
    front = Front(early=True).send(begin() + params(post(b"")) + stdin(b"the rest"))
    assert broken(front.send(record(STDIN, 1, b"x")[:-1]).eof()) == "the connection ended inside a record"


def test_fastcgi_24_strays_do_not_disturb_a_request_in_progress():
    front = Front(answering=False).send(get(1))
    for _ in range(3 * MAX_FUTILE):
        front.send(record(STDIN, 2, b"x") + record(DATA, 1, b"x"))
    assert front.told == GET_TOLD
    assert front.answer()


def test_an_answer_in_the_middle_of_a_record_of_the_body():
    rest = record(STDIN, 1, b"\x01\x06" * 50, padding=5) + record(STDIN)
    for cut in range(len(rest)):
        front = Front(answering=False).send(begin() + params(post(b"")) + rest[:cut])
        told = list(front.told)
        assert front.answer()
        assert front.send(rest[cut:] + get()).told == [*told, *GET_TOLD]


def test_fastcgi_26_a_second_id_while_one_is_busy_is_reported_with_what_follows():
    head = begin(1) + params(post(b"2"))
    for progress in (begin(1), head, head + record(STDIN, 1, b"a"), get(1)):
        rest = begin(2) + params(GET, 2) + stdin(b"x", request_id=2)
        codec = FastcgiCodec(WireLimits())
        codec.receive(progress + rest)
        told = []
        while not told or told[-1] is not None:
            told.append(codec.next_event())
        assert told[-2:] == [RequestsInterleaved(rest), None]


def test_fastcgi_26_the_codec_goes_on_with_the_first_one():
    codec = FastcgiCodec(WireLimits())
    codec.receive(begin(1) + params(post(b"2")) + begin(2))
    assert [type(codec.next_event()) for _ in range(3)] == [HeadReceived, RequestsInterleaved, type(None)]
    codec.receive(stdin(b"ab", request_id=1))
    assert [codec.next_event(), codec.next_event()] == [BodyReceived(b"ab"), RequestEnded()]


def test_fastcgi_26_get_values_reports_it():
    asked = pairs({b"FCGI_MPXS_CONNS": b"", b"FCGI_MAX_REQS": b""})
    front = converse(record(GET_VALUES, 0, asked))
    said = pairs({b"FCGI_MAX_REQS": b"100", b"FCGI_MPXS_CONNS": b"1"})
    assert flup_records(front.output) == [(GET_VALUES_RESULT, 0, said)]


KINDS = {"STDIN": record(STDIN, 1, b"y"), "DATA": record(DATA, 1, b"y"), "unknown": record(200, 1, b"y")}


@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_of_an_answered_request_is_skipped_without_limit_while_the_next_is_read(kind):
    """The two builds did not agree on it (they were two sources)."""
    front = Front(early=True).send(begin() + params(post(b"")))
    front.send(begin(2) + record(PARAMS, 2, pairs(GET)))
    front.send(KINDS[kind] * (MAX_FUTILE + 1))
    front.send(record(PARAMS, 2) + stdin(request_id=2))
    assert front.told[1:] == GET_TOLD[:1]


@pytest.mark.parametrize("kind", ["DATA", "unknown"])
def test_with_the_same_id_they_are_the_new_requests_and_counted_before_its_head_is_complete(kind):
    front = Front(early=True).send(begin() + params(post(b"")) + begin() + record(PARAMS, 1, pairs(GET)))
    assert "in a row belonged to no request" in broken(front.send(KINDS[kind] * (MAX_FUTILE + 1)))


def test_the_rests_of_several_answered_requests_are_skipped():
    front = Front(early=True).send(b"".join(begin(i) + params(post(b""), i) for i in (1, 2, 3)))
    front.send(b"".join(record(STDIN, i, b"late") for i in (1, 2, 3)) * (MAX_FUTILE + 1))
    front.send(b"".join(record(STDIN, i) for i in (1, 2, 3)) + get(2))
    assert flup_records(front.answers)[-3:] == answered(2)


@pytest.mark.parametrize("role", [0, 2, 3, 99, 65535])
def test_fastcgi_27_other_roles_are_unknown(role):
    front = converse(begin(9, role) + params(GET, 9) + stdin(b"x", request_id=9) + get(1))
    assert front.told == GET_TOLD
    assert flup_records(front.output) == [end_request(9, UNKNOWN_ROLE)]
    front = converse(begin(9, role, flags=0) + params(GET, 9) + stdin(b"x", request_id=9) + get(1))
    assert front.told == []
    assert flup_records(front.output) == [end_request(9, UNKNOWN_ROLE)]
    assert front.codec.closing


@pytest.mark.parametrize("kind", [0, GET_VALUES_RESULT, 12, 99, 255])
def test_fastcgi_29_unknown_management_types(kind):
    front = converse(record(kind, 0, b"whatever", padding=5) + begin() + record(kind, 0) + params(GET) + stdin())
    assert front.told == GET_TOLD
    assert flup_records(front.output) == [(UNKNOWN_TYPE, 0, bytes((kind, 0, 0, 0, 0, 0, 0, 0)))] * 2


def test_fastcgi_29_unknown_type_itself_is_not_answered():
    front = converse(record(UNKNOWN_TYPE, 0, b"\x0b" + bytes(7)) + get())
    assert front.told == GET_TOLD
    assert front.output == b""


@pytest.mark.parametrize("kind", [0, END_REQUEST, STDOUT, STDERR, DATA, GET_VALUES, UNKNOWN_TYPE, 12, 255])
def test_fastcgi_29_types_that_mean_nothing_to_a_request_are_skipped(kind):
    odd = record(kind, 1, b"x" * 20, padding=4) + record(kind, 1)
    front = converse(odd + begin() + odd + params(post(b"1")) + odd + record(STDIN, 1, b"x") + odd + record(STDIN))
    assert front.told == [("head", {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "1"}, 1), ("body", b"x"), ENDED]
    assert front.output == b""


ASKED = {
    "all": (b"".join(encode_pair(name, b"") for name in (b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS")), 3),
    "empty": (b"", 0),
    "unknown": (encode_pair(b"FCGI_WHATEVER", b"") + encode_pair(b"FCGI_MAX_REQS", b""), 1),
    "repeated": (encode_pair(b"FCGI_MAX_CONNS", b"") * 500, 1),
    "with values": (encode_pair(b"FCGI_MAX_CONNS", b"1"), 1),
    "truncated": (encode_pair(b"FCGI_MAX_CONNS", b"") + encode_pair(b"FCGI_MAX_REQS", b"")[:-1], 1),
    "a length cut in two": (encode_pair(b"FCGI_MAX_CONNS", b"") + b"\x80\x00", 1),
    "garbage": (b"\xff" * 1000, 0),
    "as much as there can be": (b"\x00\x00" * 32767, 0),
}


@pytest.mark.parametrize("asked", ASKED)
def test_fastcgi_30_get_values_gets_one_bounded_reply(asked):
    content, found = ASKED[asked]
    wire = record(GET_VALUES, 0, content, padding=2) + get()
    front = converse(wire) if len(wire) < 20_000 else Front().send(wire)
    assert front.told == GET_TOLD
    ((kind, request_id, content),) = flup_records(front.output)
    assert (kind, request_id) == (GET_VALUES_RESULT, 0)
    values = {b"FCGI_MAX_CONNS": b"10000", b"FCGI_MAX_REQS": b"100", b"FCGI_MPXS_CONNS": b"1"}
    assert len(flup_pairs(content)) == found
    assert dict(flup_pairs(content)).items() <= values.items()


def test_fastcgi_30_the_values_are_the_server_s():
    codec = FastcgiCodec(WireLimits(max_multiplexed=5), max_connections=77)
    codec.receive(record(GET_VALUES, 0, pairs({b"FCGI_MAX_CONNS": b"", b"FCGI_MAX_REQS": b""})))
    assert codec.next_event() is None
    ((_, _, content),) = flup_records(codec.take_output())
    assert dict(flup_pairs(content)) == {b"FCGI_MAX_CONNS": b"77", b"FCGI_MAX_REQS": b"5"}
    assert codec.take_output() == b""


def test_fastcgi_30_endless_questions_close():
    front = Front().send(record(GET_VALUES, 0) * MAX_FUTILE)
    assert front.told == []
    assert broken(front.send(record(GET_VALUES, 0)))
    assert len(front.output) == 8 * MAX_FUTILE


HUGE = b"\xff\xff\xff\xff"


@pytest.mark.parametrize("pair", [HUGE + b"\x01N", b"\x01" + HUGE + b"N", HUGE + HUGE + b"N"])
def test_fastcgi_31_lengths_of_two_gigabytes(pair):
    front = Front()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    front.send(begin() + record(PARAMS, 1, pairs(GET) + pair) + record(PARAMS))
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert front.told == [("rejected", 400)]
    assert peak < 65536
    assert converse(begin() + record(PARAMS, 1, pairs(GET) + pair) + record(PARAMS)).told == [("rejected", 400)]


@pytest.mark.parametrize("long", [0, 200])
def test_fastcgi_32_a_pair_split_over_records_at_every_offset(long):
    variables = {b"REQUEST_METHOD": b"GET", b"HTTP_X" + b"N" * long: b"value" + b"v" * long}
    told = [("head", {name.decode(): value.decode() for name, value in variables.items()}, -1), ENDED]
    block = pairs(variables)
    for at in range(1, len(block)):
        wire = begin() + record(PARAMS, 1, block[:at]) + record(PARAMS, 1, block[at:], 3) + record(PARAMS) + stdin()
        assert Front().send(wire).told == told, at
    singles = b"".join(record(PARAMS, 1, block[at : at + 1]) for at in range(len(block)))
    assert converse(begin() + singles + record(PARAMS) + stdin()).told == told


def test_fastcgi_34_names_and_values_of_128_bytes_and_more():
    variables = {b"HTTP_" + b"N" * (size - 5): b"v" * size for size in (127, 128, 129, 16383, 40_000)}
    front = Front().send(
        begin() + record(PARAMS, 1, pairs(variables)[:65535]) + record(PARAMS, 1, pairs(variables)[65535:])
    )
    front.send(record(PARAMS) + stdin())
    assert front.told == [("head", {name.decode(): value.decode() for name, value in variables.items()}, -1), ENDED]


def test_fastcgi_35_params_above_the_limit_get_431():
    limits = WireLimits(max_head_size=1000)
    exact = pairs(GET)
    exact += pairs({b"HTTP_PAD": b"x" * (1000 - len(exact) - 13)})  # 13: two lengths (1 and 4 bytes) and the name
    assert len(exact) == 1000
    fits = begin() + record(PARAMS, 1, exact[:400]) + record(PARAMS, 1, exact[400:]) + record(PARAMS) + stdin()
    assert [told[0] for told in converse(fits, limits=limits).told] == ["head", "ended"]
    more = begin() + record(PARAMS, 1, exact) + record(PARAMS, 1, b"\x01") + record(PARAMS) + stdin(b"body") + get()
    front = converse(more, limits=limits)
    assert front.told == [("rejected", 431), *GET_TOLD]
    assert flup_records(front.answers) == answered() + answered()


def test_fastcgi_35_params_above_the_limit_are_not_kept():
    front = Front().send(begin())
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(1000):
        front.send(record(PARAMS, 1, b"x" * 65535))
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert front.told == [("rejected", 431)]
    assert peak < 1_000_000


def test_fastcgi_35_too_many_variables_get_431():
    limits = WireLimits(max_variables=10)
    assert converse(begin() + params({b"A%d" % n: b"" for n in range(10)}) + stdin(), limits=limits).told[1:] == [ENDED]
    front = converse(begin() + params({b"A%d" % n: b"" for n in range(11)}) + stdin() + get(), limits=limits)
    assert front.told == [("rejected", 431), *GET_TOLD]


def test_fastcgi_36_params_never_ended_stay_pending():
    front = Front().send(begin() + record(PARAMS, 1, pairs(GET)))
    assert front.codec.incomplete()  # which is what the server's head deadline asks for
    assert not front.codec.busy
    assert front.told == []


@pytest.mark.parametrize("name", [b"A=B", b"=", b"A\0", b"A\r", b"\nA", b""])
def test_fastcgi_38_names_that_cannot_be_get_400(name):
    front = converse(begin() + params([*GET.items(), (name, b"x")]) + stdin(b"body") + get())
    assert front.told == [("rejected", 400), *GET_TOLD]
    assert flup_records(front.answers) == answered() + answered()


def test_params_that_end_inside_a_pair_get_400():
    block = pairs(GET)
    for cut in range(1, len(block)):
        if cut == len(encode_pair(b"REQUEST_METHOD", b"GET")):
            continue
        front = Front().send(begin() + record(PARAMS, 1, block[:cut]) + record(PARAMS))
        assert front.told == [("rejected", 400)], cut


# The body


@pytest.mark.parametrize("variables", [post(b""), {b"REQUEST_METHOD": b"POST"}])
def test_fastcgi_40_without_content_length_the_body_runs_to_the_end_of_stdin(variables):
    front = converse(begin() + params(variables) + stdin(b"a", b"bc", b"def"))
    assert [told[0] for told in front.told] == ["head", "body", "ended"]
    assert front.told[0][2] == -1
    assert front.told[1] == ("body", b"abcdef")


@pytest.mark.parametrize("length", [b"+5", b" 5", b"5 ", b"1_0", b"-2", b"0x10", b"3,3", b"1e3", b"9" * 30, b"\xb2"])
def test_content_length_that_is_no_number_gets_400(length):
    front = converse(begin() + params(post(length)) + stdin(b"12345") + get())
    assert front.told == [("rejected", 400), *GET_TOLD]


def test_two_content_lengths_get_400():
    repeated = [*GET.items(), (b"CONTENT_LENGTH", b"1"), (b"CONTENT_LENGTH", b"2")]
    assert converse(begin() + params(repeated) + stdin(b"1")).told == [("rejected", 400)]


def test_a_body_that_ends_short_is_refused_and_the_connection_goes_on():
    front = converse(begin() + params(post(b"10")) + stdin(b"123", b"456") + get())
    assert front.told[1:] == [("body", b"123456"), ("rejected", 400), *GET_TOLD]
    assert flup_records(front.answers) == [*answered(), *answered()]


def test_a_body_that_was_announced_and_never_begins_is_none():
    """nginx: a subrequest without the body that its main request has (auth_request, mirror)."""
    front = converse(begin() + params(post(b"100")) + stdin() + get())
    assert front.told[1:] == [ENDED, *GET_TOLD]


def test_a_length_of_minus_one_is_no_length():
    """Caddy before 2.7: an upload whose length it does not know."""
    front = converse(begin() + params(post(b"-1")) + stdin(b"hello") + get())
    assert front.told == [("head", {"REQUEST_METHOD": "POST"}, -1), ("body", b"hello"), ENDED, *GET_TOLD]


@pytest.mark.parametrize("pieces", [(b"123", b"45", b"6"), (b"123456",), (b"1234", b"56"), (b"1234567890" * 10, b"x")])
def test_what_exceeds_content_length_is_ignored(pieces):
    front = converse(begin() + params(post(b"4")) + stdin(*pieces) + get())
    assert front.told[1:] == [("body", b"1234"), ENDED, *GET_TOLD]


def test_stdin_after_its_end_is_ignored():
    front = Front(answering=False).send(begin() + params(post(b"")) + stdin(b"a") + stdin(b"b") + record(DATA, 1))
    assert front.told[1:] == [("body", b"a"), ENDED]


def test_content_length_12_digits_and_no_body_allocates_nothing():
    front = Front().send(begin() + params(post(b"1000000000000")))
    assert front.told[0][2] == 1_000_000_000_000
    assert front.codec.busy


def test_a_long_body_passes_through_without_being_kept():
    front = Front(answering=False).send(begin() + params(post(b"")))
    chunk = (record(STDIN, 1, bytes(32768), padding=1) * 4)[:-7]
    codec = front.codec
    received = 0
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(200):  # 26 MB; each read ends inside a record, the next begins there
        for piece in (chunk[:65536], chunk[65536:], b"\xaa" * 7):
            codec.receive(piece)
            while (event := codec.next_event()) is not None:
                received += len(event.data)
                del event
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert received == 200 * 4 * 32768
    assert peak < 500_000


def test_a_body_is_reported_as_it_arrives_not_record_by_record():
    front = Front(answering=False).send(begin() + params(post(b"9")) + record(STDIN, 1, b"abcdefghi")[:12])
    assert front.told[1:] == [("body", b"abcd")]


def test_what_is_here_of_a_body_is_one_event_up_to_a_record_that_is_something_else():
    codec = Front(answering=False).send(begin() + params(post(b"12"))).codec
    records = (record(STDIN, 1, b"abc", padding=5), record(STDIN, 1, b"def"), record(STDIN, 1, b"ghi", padding=255))
    codec.receive(b"".join(records) + record(DATA, 1, b"!") + record(STDIN, 1, b"jkl")[:10])
    told = [codec.next_event() for _ in range(3)]
    codec.receive(b"l" + record(STDIN, 1, b"too much") * 2 + record(STDIN, 1))
    told += [codec.next_event() for _ in range(3)]
    assert told == [BodyReceived(b"abcdefghi"), BodyReceived(b"jk"), None, BodyReceived(b"l"), RequestEnded(), None]


# ABORT_REQUEST

ABORT = record(ABORT_REQUEST, 1)


def test_fastcgi_41_abort_before_the_end_of_params():
    front = converse(begin() + record(PARAMS, 1, pairs(GET)) + ABORT + record(PARAMS, 1) + stdin() + get(2))
    assert front.told == GET_TOLD
    assert flup_records(front.output) == [end_request(1)]
    front = converse(begin() + ABORT + get(1))
    assert front.told == GET_TOLD
    assert flup_records(front.output) == [end_request(1)]


def test_fastcgi_41_nothing_of_an_aborted_head_is_left_to_the_next():
    front = converse(begin() + record(PARAMS, 1, pairs({b"HTTP_SECRET": b"x"})) + ABORT + get(1))
    assert front.told == GET_TOLD


def test_fastcgi_41_abort_before_the_end_of_params_without_keep_conn():
    front = converse(begin(flags=0) + record(PARAMS, 1, pairs(GET)) + ABORT + get(2))
    assert front.told == []
    assert flup_records(front.output) == [end_request(1)]
    assert front.codec.closing


def test_fastcgi_41_abort_in_the_body():
    front = converse(begin() + params(post(b"10")) + record(STDIN, 1, b"123") + ABORT + stdin(b"4567890") + get(2))
    assert front.told[1:] == [("body", b"123"), ABORTED, *GET_TOLD]
    assert flup_records(front.answers) == [(STDOUT, 1, b""), end_request(1), *answered(2)]
    assert front.output == b""


def test_fastcgi_41_abort_in_the_response():
    front = Front(answering=False).send(get())
    front.answers += b"".join(front.codec.encode(Block(HEAD), b"half an", False))
    front.send(ABORT)
    assert front.told == [*GET_TOLD, ABORTED]
    assert front.codec.busy
    assert front.output == b""  # 5.4: the response to an abort is the application's, not the library's
    assert front.give_up()
    assert flup_records(front.answers) == [(STDOUT, 1, HEAD + b"half an"), (STDOUT, 1, b""), end_request(1)]
    assert not front.codec.busy
    assert front.send(get(3)).told == [*GET_TOLD, ABORTED, *GET_TOLD]


def test_fastcgi_41_after_an_abort_finish_alone_is_enough():
    front = Front(answering=False).send(get() + ABORT)
    assert front.codec.finish()
    assert flup_records(front.codec.take_output()) == [(STDOUT, 1, b""), end_request(1)]


def test_fastcgi_41_abort_is_reported_once():
    front = Front(answering=False).send(get() + ABORT * 3).eof()
    assert front.told == [*GET_TOLD, ABORTED]


@pytest.mark.parametrize("when", [b"", begin(), begin() + params(post(b""))])
def test_fastcgi_41_abort_of_an_unknown_id_is_ignored(when):
    front = converse(when + record(ABORT_REQUEST, 9), answering=False)
    assert ABORTED not in front.told
    assert front.output == b""


def test_fastcgi_41_abort_of_a_finished_request_is_ignored():
    front = converse(get() + ABORT + get())
    assert front.told == GET_TOLD * 2
    assert front.output == b""


def test_an_abort_while_a_rejected_request_is_answered():
    front = Front(answering=False).send(begin() + params(post(b"x")) + ABORT)
    assert front.told == [("rejected", 400), ABORTED]
    assert front.give_up()


# The connection's end


def test_fastcgi_42_keep_conn():
    kept, closed = Front(answering=False).send(get()), Front(answering=False).send(get(flags=0))
    assert kept.answer()
    assert not kept.codec.closing
    assert not closed.answer()
    assert closed.codec.closing
    # END_REQUEST is due in both cases (6.2); the close comes on top of it (5.1).
    assert flup_records(kept.answers) == flup_records(closed.answers) == answered()


def test_an_answer_breaks_off_without_an_end_and_unkept_with_what_is_no_record():
    kept, closed = Front(answering=False).send(get()), Front(answering=False).send(get(flags=0))
    for front in (kept, closed):
        front.codec.encode(Block(HEAD), b"half", False)
    assert kept.codec.abort_response() == b""
    assert closed.codec.abort_response() == bytes(8)  # the header of a record of version 0


def test_fastcgi_42_other_flags_mean_nothing():
    assert Front(answering=False).send(get(flags=0xFF)).answer()
    assert not Front(answering=False).send(get(flags=0xFE)).answer()


def test_fastcgi_42_what_follows_on_a_connection_that_is_not_kept_is_not_read():
    front = converse(get(flags=0) + get() + b"garbage")
    assert front.told == GET_TOLD
    assert not front.codec.incomplete()


def test_fastcgi_43_eof_inside_anything_before_the_head_closes():
    wire = record(BEGIN_REQUEST, 1, bytes((0, 1, 1, 0, 0, 0, 0, 0)), 5) + record(PARAMS, 1, pairs(GET), 5)
    for cut in range(1, len(wire) + 1):
        front = Front().send(wire[:cut])
        assert front.codec.incomplete()
        inside = broken(front.eof())
        assert inside in ("the connection ended inside a record", "the connection ended before the end of PARAMS")
    assert inside == "the connection ended before the end of PARAMS"


def test_fastcgi_43_eof_inside_the_body_is_an_abort():
    begun = begin() + params(post(b"9"))
    wire = record(STDIN, 1, b"123456789", 5) + record(STDIN, 1, b"", 5)
    for cut in range(len(wire)):
        front = Front(answering=False).send(begun + wire[:cut]).eof()
        assert front.told[-1] == ABORTED
        assert front.codec.busy
        assert not front.give_up()
        assert front.codec.closing


def test_fastcgi_43_eof_inside_padding_between_requests_closes():
    wire = get() + record(GET_VALUES, 0, b"", 200)
    for cut in range(len(get()) + 1, len(wire)):
        assert broken(Front().send(wire[:cut]).eof()) == "the connection ended inside a record"


def test_eof_after_the_request_is_a_client_that_disconnected():
    front = Front(answering=False).send(get()).eof()
    assert front.told == [*GET_TOLD, ABORTED]


def test_eof_in_the_same_read_as_the_request_still_reports_the_request_first():
    codec = FastcgiCodec(WireLimits())
    codec.receive(get())
    codec.receive(b"")
    names = [type(codec.next_event()).__name__ for _ in range(4)]
    assert names == ["HeadReceived", "RequestEnded", "RequestAborted", "NoneType"]


def test_a_half_closed_connection_can_still_be_answered():
    front = Front(answering=False).send(get()).eof()
    assert not front.answer()
    assert flup_records(front.answers) == answered()


def test_eof_after_the_answer_is_silent():
    front = Front().send(get()).eof()
    assert front.told == GET_TOLD
    assert front.codec.closing


def test_eof_between_the_answer_s_end_and_finish_is_silent():
    front = Front(answering=False).send(get())
    front.codec.encode(Block(HEAD), b"", True)
    front.eof()
    assert front.told == GET_TOLD
    assert not front.codec.finish()


def test_eof_in_the_discarded_rest_of_an_answered_request_is_silent():
    wire = begin() + params(post(b"")) + stdin(b"123456789")
    for cut in range(len(begin() + params(post(b""))), len(wire)):
        front = Front(early=True).send(wire[:cut])
        assert not front.codec.incomplete()
        assert [told[0] for told in front.eof().told] == ["head"]
        assert front.codec.closing


def test_fastcgi_44_data_to_a_responder_is_ignored():
    data = record(DATA, 1, b"x" * 100, padding=4) + record(DATA, 1)
    front = converse(data + begin() + data + params(post(b"1")) + data + stdin(b"x") + data + get())
    assert front.told[1:] == [("body", b"x"), ENDED, *GET_TOLD]
    assert front.output == b""


def test_fastcgi_46_an_idle_kept_connection_holds_nothing():
    front = Front().send(get() + record(GET_VALUES, 0))
    assert not front.codec.incomplete()  # so the server's idle deadline counts, not the head's
    assert not front.codec.busy
    slots = [name for cls in type(front.codec).__mro__ for name in getattr(cls, "__slots__", ())]
    held = [getattr(front.codec, name, None) for name in slots]  # compiled, they cannot be seen
    assert not any(value for value in held if isinstance(value, bytes | bytearray | list | dict))


# Order of records and of calls


def test_stdin_before_the_end_of_params_closes():
    for early in (record(STDIN, 1, b"x"), record(STDIN)):
        front = converse(begin() + record(PARAMS, 1, pairs(GET)) + early)
        assert broken(front) == "a STDIN record came before the end of PARAMS"


@pytest.mark.parametrize(
    "progress", [b"", record(PARAMS, 7, pairs(GET)), params(GET, 7), params(GET, 7) + stdin(request_id=7)]
)
def test_a_request_that_is_begun_twice_closes(progress):
    front = converse(begin(7) + progress + begin(7), answering=False)
    assert broken(front) == "request 7 was begun again before its end"


@pytest.mark.parametrize("content", [b"", b"\0\1\1\0\0\0\0", b"\0\1\1\0\0\0\0\0\0", b"\0\1" * 30])
def test_begin_request_of_another_size_closes(content):
    message = f"a BEGIN_REQUEST record has {len(content)} bytes of content, not 8"
    assert broken(converse(record(BEGIN_REQUEST, 1, content))) == message


@pytest.mark.parametrize("next_id", [1, 2])
def test_a_request_that_arrives_between_the_answer_s_end_and_finish_waits(next_id):
    front = Front(answering=False).send(get())
    front.codec.encode(Block(HEAD), b"", True)
    front.send(get(next_id))
    assert front.told == GET_TOLD
    assert front.output == b""
    assert front.codec.finish()
    front.codec.receive(record(GET_VALUES, 0))
    assert type(front.codec.next_event()).__name__ == "HeadReceived"


def test_the_calls_that_make_no_sense():
    codec = FastcgiCodec(WireLimits())
    with pytest.raises(LocalProtocolError, match="no request"):
        codec.encode(Block(HEAD), None, True)
    with pytest.raises(LocalProtocolError, match="not been encoded to its end"):
        codec.finish()
    codec.receive(get())
    codec.next_event()
    with pytest.raises(LocalProtocolError, match="not been encoded to its end"):
        codec.finish()
    codec.encode(Block(HEAD), None, True)
    with pytest.raises(LocalProtocolError, match="already"):
        codec.encode(None, b"more", False)
    codec.finish()
    with pytest.raises(LocalProtocolError):
        codec.finish()


def test_a_rejected_request_must_be_answered():
    front = Front(answering=False).send(begin() + params(post(b"x")))
    assert front.codec.busy
    with pytest.raises(LocalProtocolError):
        front.codec.finish()
    assert front.answer()


def test_the_names_of_get_values():
    codec = FastcgiCodec(WireLimits())
    assert (codec.protocol, codec.busy, codec.closing, codec.incomplete()) == ("fastcgi", False, False, False)
    assert codec.trailing_data() == b""


def test_every_state_of_the_table_is_reached_by_it():
    reached = {IDLE, REJECTED, ABORTED_STATE} | {state for row in TRANSITIONS.values() for _, state in row.values()}
    assert reached == set(TRANSITIONS) == set(range(len(STATES)))
    assert {action for row in TRANSITIONS.values() for action, _ in row.values()} == set(ACTIONS) - {"skip"}


def test_the_table_for_the_machine_is_the_same():
    said = {
        (entry >> 5, entry & 31): (ACTIONS[TABLE[entry] >> 3], TABLE[entry] & 7)
        for entry in range(len(TABLE))
        if TABLE[entry]
    }
    assert said == {(state, arrival): done for state, row in TRANSITIONS.items() for arrival, done in row.items()}
