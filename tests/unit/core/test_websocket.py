"""SSGIWebSocket (SSGI 1.0): each rule of each member, in each status."""

from __future__ import annotations

import array
import asyncio
import enum
import time

import pytest

from ssgi_gateway.core.websocket import SHARE
from ssgi_gateway.ssgi import SSGIWebSocket, WebSocketStatus
from tests.loops import settle, until
from tests.unit.core.talk import END, LIMIT, MORE, head, websocket

PENDING, REJECTED, CLOSED, ACCEPTED = WebSocketStatus


def accepted(limit: int = LIMIT):
    ws, channel = websocket(limit=limit)
    ws.accept()
    channel.said.clear()
    return ws, channel


def rejected():
    ws, channel = websocket()
    ws.reject()
    channel.said.clear()
    return ws, channel


def closed():
    ws, channel = accepted()
    ws.close()
    channel.said.clear()
    return ws, channel


def ended():
    ws, channel = accepted()
    ws.ended(1001, "")
    return ws, channel


def left():
    ws, channel = websocket()
    channel.leave()
    return ws, channel


AFTERWARDS = pytest.mark.parametrize("state", [accepted, rejected, closed, ended, left])
OVER = pytest.mark.parametrize("state", [rejected, closed, ended, left])


async def test_it_has_every_member_of_the_interface():
    ws, _ = websocket()
    assert isinstance(ws, SSGIWebSocket)


@pytest.mark.parametrize(
    ("state", "status", "number"),
    [
        (lambda: websocket(), PENDING, 0),
        (rejected, REJECTED, 1),
        (closed, CLOSED, 2),
        (ended, CLOSED, 2),
        (accepted, ACCEPTED, 3),
    ],
)
async def test_status_is_an_int_enum(state, status, number):
    ws, _ = state()
    assert ws.status is status
    assert ws.status == number


async def test_extensions_have_the_offered_subprotocols_and_the_scheme():
    ws, channel = websocket(("chat", "superchat"))
    assert channel.described == 0
    assert ws.extensions["subprotocols"] == ["chat", "superchat"]
    assert ws.extensions["scheme"] == "ws"
    assert ws.extensions is ws.extensions
    assert channel.described == 1


# -- accept --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "protocol", "chosen"),
    [
        (("a", "b"), None, "a"),
        ((), None, ""),
        (("a", "b"), "b", "b"),
        (("a", "b"), "", ""),
        ((), "", ""),
    ],
    ids=["None picks the first", "None of none", "one of them", "empty picks none", "empty of none"],
)
async def test_accept_picks_the_subprotocol(offered, protocol, chosen):
    ws, channel = websocket(offered)
    assert await ws.accept(protocol) is True
    assert channel.said == [("101", chosen, {})]


async def test_accept_starts_at_once_awaited_or_not():
    ws, channel = websocket()
    ws.accept()
    assert channel.said == [("101", "", {})]
    assert ws.status is ACCEPTED


@pytest.mark.parametrize("offered", [(), ("a", "b")])
async def test_accept_of_what_was_not_offered_is_a_value_error_and_changes_nothing(offered):
    ws, channel = websocket(offered)
    with pytest.raises(ValueError, match="'c' was not offered"):
        ws.accept("c")
    assert channel.said == []
    assert ws.status is PENDING
    assert await ws.accept("") is True


class Protocol(str, enum.Enum):  # noqa: UP042 - of these str() is not the value
    CHAT = "chat"


async def test_accept_takes_a_class_of_str():
    ws, channel = websocket(("chat",))
    ws.accept(Protocol.CHAT)
    ((_, chosen, _),) = channel.said
    assert type(chosen) is str
    assert chosen == "chat"


async def test_accept_takes_more_headers():
    ws, channel = websocket()
    ws.accept(headers=[("X-A", "1")])
    assert channel.said == [("101", "", {"X-A": "1"})]


@AFTERWARDS
async def test_accept_is_false_unless_pending(state):
    ws, channel = state()
    status = ws.status
    assert await ws.accept() is False
    assert ws.status is status
    assert channel.said == []


async def test_accept_is_false_when_the_peer_turns_out_to_be_gone():
    ws, channel = websocket()
    told = []
    ws.on_close(lambda _, code, reason: told.append(code))
    channel.breaks = True
    assert await ws.accept() is False
    assert ws.status is not ACCEPTED
    assert told == [1006]
    assert await ws.send("x") is False


# -- reject --------------------------------------------------------------------------------------------------------


async def test_reject_is_a_403_without_a_body():
    ws, channel = websocket()
    assert await ws.reject() is True
    assert channel.said == [head("403 Forbidden", "Content-Length: 0"), END]
    assert ws.status is REJECTED


@pytest.mark.parametrize(
    ("payload", "sent"),
    [("né", "né".encode()), (b"no", b"no"), (bytearray(b"no"), b"no"), (memoryview(b"no")[::-1], b"on")],
)
async def test_reject_is_a_complete_answer(payload, sent):
    ws, channel = websocket()
    await ws.reject("451 Not here", payload, {"Content-Type": "text/plain"})
    lines = ("Content-Type: text/plain", f"Content-Length: {len(sent)}")
    assert channel.said == [head("451 Not here", *lines), sent, END]


@pytest.mark.parametrize("empty", [None, "", b"", bytearray()])
async def test_reject_without_a_payload(empty):
    ws, channel = websocket()
    await ws.reject(404, empty)
    assert channel.said == [head("404 Not Found", "Content-Length: 0"), END]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((99,), ValueError),
        ((101,), ValueError),
        (("4 0 3",), ValueError),
        ((403, "no", [("X-A", "a\r\nb")]), ValueError),
        ((403, "no", [("X A", "a")]), ValueError),
        ((403, "no", [("Content-Length", "5")]), ValueError),
        ((403, 5), TypeError),
        ((403, ["no"]), TypeError),
    ],
)
async def test_reject_with_anything_invalid_raises_and_changes_nothing(arguments, error):
    ws, channel = websocket()
    with pytest.raises(error):
        ws.reject(*arguments)
    assert channel.said == []
    assert ws.status is PENDING


@pytest.mark.parametrize(("status", "line"), [(204, "204 No Content"), (304, "304 Not Modified")])
async def test_reject_with_a_status_that_has_no_body_sends_none(status, line):
    ws, channel = websocket()
    await ws.reject(status, "not wanted")
    assert channel.said == [head(line), END]


@AFTERWARDS
async def test_reject_is_false_unless_pending(state):
    ws, channel = state()
    assert await ws.reject(404, "no") is False
    assert channel.said == []


async def test_reject_ends_it_and_no_close_is_reported():
    ws, _ = websocket()
    told = []
    ws.on_close(lambda *args: told.append(args))
    ws.reject()
    ws.ended(1006, "")
    assert told == []


# -- send ----------------------------------------------------------------------------------------------------------


class Word(str, enum.Enum):  # noqa: UP042 - of these str() is not the value
    YES = "yes"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("é", "é"),
        ("", ""),
        (Word.YES, "yes"),
        (b"\0\1", b"\0\1"),
        (b"", b""),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        (array.array("H", [1, 2]), array.array("H", [1, 2]).tobytes()),
        (memoryview(b""), b""),
    ],
)
async def test_send_str_is_a_text_message_and_bytes_a_binary_one(payload, message):
    ws, channel = accepted()
    assert await ws.send(payload) is True
    assert channel.said == [message]
    assert type(channel.said[0]) is type(message)


@pytest.mark.parametrize("wrong", [None, 5, ["a"], {}])
async def test_send_anything_else_is_a_type_error(wrong):
    ws, channel = accepted()
    with pytest.raises(TypeError):
        ws.send(wrong)
    assert channel.said == []


async def test_send_while_pending_is_a_runtime_error():
    ws, _ = websocket()
    with pytest.raises(RuntimeError, match="before accept"):
        ws.send("x")


@OVER
async def test_send_when_it_is_over_is_false(state):
    ws, channel = state()
    assert await ws.send("x") is False
    assert channel.said == []


async def test_send_resolves_when_the_peer_can_take_more():
    ws, channel = accepted()
    channel.room = False
    waiting = asyncio.ensure_future(ws.send("x"))
    await settle()
    assert not waiting.done()
    channel.take()
    assert await waiting is True


@pytest.mark.parametrize("how", ["leaves", "closes", "is closed"])
async def test_send_is_false_when_it_is_over_meanwhile(how):
    ws, channel = accepted()
    channel.room = False
    waiting = asyncio.ensure_future(ws.send("x"))
    await settle()
    if how == "leaves":
        channel.leave()
    elif how == "closes":
        ws.ended(1000, "")
    else:
        ws.close()
    channel.take()
    assert await waiting is False


async def test_send_is_false_when_the_peer_turns_out_to_be_gone():
    ws, channel = accepted()
    channel.breaks = True
    assert await ws.send("x") is False
    assert ws.status is CLOSED


# -- close ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "frame"),
    [
        ((), (1000, "")),
        ((1001,), (1001, "")),
        ((4999, "bye"), (4999, "bye")),
        ((3000, None), (3000, "")),
        ((1014, "x" * 123), (1014, "x" * 123)),
        ((1000, "é" * 61), (1000, "é" * 61)),
        ((1000, Word.YES), (1000, "yes")),
    ],
)
async def test_close_begins_the_handshake(arguments, frame):
    ws, channel = accepted()
    assert await ws.close(*arguments) is True
    assert channel.said == [("close", *frame)]
    assert ws.status is CLOSED


class Code(enum.IntEnum):
    GOING_AWAY = 1001


async def test_close_takes_a_class_of_int():
    ws, channel = accepted()
    ws.close(Code.GOING_AWAY)
    assert channel.said == [("close", 1001, "")]


@pytest.mark.parametrize("code", [0, -1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536, 10**30])
async def test_close_an_invalid_code_is_a_value_error_and_it_stays_open(code):
    ws, channel = accepted()
    with pytest.raises(ValueError, match=str(code)):
        ws.close(code)
    assert channel.said == []
    assert ws.status is ACCEPTED


@pytest.mark.parametrize("reason", ["x" * 124, "é" * 62])
async def test_close_too_long_a_reason_is_a_value_error_and_it_stays_open(reason):
    ws, _ = accepted()
    with pytest.raises(ValueError, match="123"):
        ws.close(1000, reason)
    assert ws.status is ACCEPTED


async def test_close_while_pending_is_a_403():
    ws, channel = websocket()
    assert await ws.close() is True
    assert channel.said == [head("403 Forbidden", "Content-Length: 0"), END]
    assert ws.status is REJECTED


@OVER
async def test_close_when_it_is_over_has_no_effect(state):
    ws, channel = state()
    status = ws.status
    assert await ws.close(4000) is False
    assert channel.said == []
    assert ws.status is status


# -- on_receive ----------------------------------------------------------------------------------------------------


async def test_on_receive_gets_the_socket_the_message_and_its_arguments():
    ws, _ = accepted()
    told = []
    ws.on_receive(lambda *args: told.append(args), 1, "two")
    assert ws.deliver("text") is True
    assert ws.deliver(b"bytes") is True
    assert told == [(ws, "text", 1, "two"), (ws, b"bytes", 1, "two")]


class Broken:
    """Every attribute raises, and what asks for one does not expect it."""

    def __getattr__(self, name):
        raise ZeroDivisionError(name)


async def test_what_a_handler_returns_may_raise_when_it_is_looked_at(caplog):
    ws, _ = accepted()
    ws.on_receive(lambda *args: Broken())
    ws.deliver("one")
    assert "ZeroDivisionError" in caplog.text
    assert ws.status is not WebSocketStatus.ACCEPTED


@pytest.mark.parametrize("wrong", [None, "handler", 5])
async def test_on_receive_takes_a_callable(wrong):
    ws, _ = accepted()
    with pytest.raises(TypeError, match=type(wrong).__name__):
        ws.on_receive(wrong)


async def test_on_receive_the_latest_handler_counts():
    ws, _ = accepted()
    told = []
    ws.on_receive(lambda ws, message: told.append(("first", message)))
    ws.deliver("a")
    ws.on_receive(lambda ws, message: told.append(("second", message)))
    ws.deliver("b")
    assert told == [("first", "a"), ("second", "b")]


async def test_on_receive_may_return_what_send_returned():
    ws, channel = accepted()
    ws.on_receive(lambda ws, message: ws.send(message))
    assert ws.deliver("a") is True
    assert channel.said == ["a"]
    assert not channel.scope.tasks


class Slow:
    """An async handler that waits to be let go, message by message."""

    def __init__(self, ws):
        self.began = []
        self.ended = []
        self.gates = []
        ws.on_receive(self.handle)

    async def handle(self, ws, message):
        self.began.append(message)
        gate = asyncio.Event()
        self.gates.append(gate)
        await gate.wait()
        self.ended.append(message)

    async def let_go(self):
        self.gates.pop(0).set()
        await settle()


async def test_while_an_async_handler_runs_no_message_can_be_taken():
    ws, channel = accepted()
    slow = Slow(ws)
    assert ws.deliver("a") is False
    assert ws.busy() is True
    await settle()
    assert slow.began == ["a"]
    assert channel.said == []
    await slow.let_go()
    assert ws.busy() is False
    assert channel.said == [MORE], "reading goes on"


async def test_messages_are_handled_one_at_a_time_and_in_order():
    ws, _ = accepted()
    slow = Slow(ws)
    for message in "abc":  # more than the server delivers at once
        ws.deliver(message)
    await settle()
    for index, message in enumerate("abc"):
        assert slow.began == list("abc"[: index + 1])
        assert slow.ended == list("abc"[:index])
        await slow.let_go()
        assert slow.ended[-1] == message
    assert slow.ended == ["a", "b", "c"]


async def test_reading_goes_on_only_when_all_that_waits_is_handled():
    ws, channel = accepted()
    slow = Slow(ws)
    ws.deliver("a")
    ws.deliver("b")
    await settle()
    await slow.let_go()
    assert channel.said == []
    await slow.let_go()
    assert channel.said == [MORE]


async def test_an_async_handler_that_does_not_wait_takes_messages_at_once():
    ws, _ = accepted()
    told = []

    async def handler(ws, message):
        told.append(message)

    ws.on_receive(handler)
    for message in "abc":
        ws.deliver(message)
        await settle()
    assert told == ["a", "b", "c"]
    assert ws.busy() is False


async def test_messages_before_a_handler_wait_for_it_in_order():
    ws, channel = accepted()
    told = []
    assert ws.deliver("a") is True
    assert ws.deliver(b"b") is True
    ws.on_receive(lambda ws, message: told.append(message))
    assert told == ["a", b"b"]
    assert ws.deliver("c") is True
    assert told == ["a", b"b", "c"]
    assert channel.said == [MORE]


async def test_messages_before_a_handler_wait_in_a_bounded_queue():
    ws, _ = accepted(limit=3)
    assert [ws.deliver(message) for message in "abc"] == [True, True, False]
    assert ws.busy() is True
    ws.on_receive(lambda ws, message: None)
    assert ws.busy() is False


async def test_messages_before_a_handler_are_bounded_in_bytes_as_well():
    ws, _ = accepted(limit=1000)
    assert ws.deliver(bytes(200_000)) is True
    assert ws.deliver(bytes(100_000)) is False
    assert ws.busy() is True


async def test_any_number_of_messages_meets_an_async_handler_that_ends_at_once():
    """No call inside the other for each message: a queue of 15,000 took the C stack, and one of 200 Python's."""
    count, told = 20_000, []
    ws, _ = accepted(limit=count + 1)

    async def handler(ws, message):
        told.append(message)

    for number in range(count):
        ws.deliver(str(number))
    ws.on_receive(handler)
    await until(lambda: len(told) == count)
    assert told == [str(number) for number in range(count)]
    assert ws.status is ACCEPTED


async def test_messages_that_waited_leave_the_loop_to_others_in_between():
    ws, _ = accepted(limit=1000)
    told, turns = [], []
    for number in range(100):
        ws.deliver(str(number))

    def handler(ws, message):
        told.append(message)
        until = time.perf_counter() + SHARE / 5
        while time.perf_counter() < until:
            pass

    def turn():
        turns.append(len(told))
        if len(told) < 100:
            loop.call_soon(turn)

    loop = asyncio.get_running_loop()
    ws.on_receive(handler)
    assert ws.deliver("last") is True
    loop.call_soon(turn)
    await until(lambda: len(told) == 101)
    assert told == [*(str(number) for number in range(100)), "last"]
    assert len(set(turns)) >= 5


async def test_take_gives_what_waits_and_has_more_come_at_half_of_it():
    ws, channel = accepted(limit=4)
    woken = []
    ws.on_waiting(lambda: woken.append(1))
    assert ws.take() is None
    assert [ws.deliver(message) for message in "abcd"] == [True, True, True, False]
    assert len(woken) == 4
    assert [ws.take(), channel.said] == ["a", []]
    assert [ws.take(), channel.said] == ["b", [MORE]]
    assert [ws.take(), ws.take(), ws.take(), channel.said] == ["c", "d", None, [MORE]]


async def test_take_after_the_end_gives_what_came_before_it():
    ws, _ = accepted()
    ws.on_waiting(lambda: None)
    ws.deliver("a")
    ws.ended(1000, "")
    assert [ws.take(), ws.take()] == ["a", None]


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit, BaseException, ValueError])
async def test_a_handler_that_raises_anything_closes_with_1011(error):
    ws, channel = accepted()

    def handler(ws, message):
        raise error

    ws.on_receive(handler)
    ws.deliver("a")
    assert ws.busy() is False
    assert ("close", 1011, "") in channel.said


async def test_messages_that_waited_meet_an_async_handler_one_at_a_time():
    ws, channel = accepted()
    for message in "abc":
        ws.deliver(message)
    slow = Slow(ws)
    await settle()
    assert slow.began == ["a"]
    await slow.let_go()
    assert slow.began == ["a", "b"]
    assert channel.said == []


async def test_a_handler_that_registers_another_finishes_first():
    ws, _ = accepted()
    for message in "abc":
        ws.deliver(message)
    told = []

    def second(ws, message):
        told.append(f"second {message}")

    def first(ws, message):
        told.append(f"first {message} begins")
        ws.on_receive(second)
        told.append(f"first {message} ends")

    ws.on_receive(first)
    assert told == ["first a begins", "first a ends", "second b", "second c"]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_handler_that_fails_closes_with_1011_and_is_logged(is_async, caplog):
    def handler(ws, message):
        raise KeyError("in the handler")

    async def async_handler(ws, message):
        await asyncio.sleep(0)
        raise KeyError("in the handler")

    ws, channel = accepted()
    ws.on_receive(async_handler if is_async else handler)
    ws.deliver("a")
    await settle()
    assert channel.said == [("close", 1011, "")]
    assert ws.status is CLOSED
    assert "KeyError: 'in the handler'" in caplog.text
    assert [record.getMessage() for record in caplog.records] == ["GET /: the application raised"]


async def test_what_waits_behind_a_failure_is_dropped():
    ws, _ = accepted()
    told = []

    def handler(ws, message):
        told.append(message)
        raise KeyError

    for message in "abc":
        ws.deliver(message)
    ws.on_receive(handler)
    assert told == ["a"]


async def test_what_waits_behind_our_close_is_dropped():
    ws, _ = accepted()
    told = []

    def handler(ws, message):
        told.append(message)
        ws.close()

    for message in "abc":
        ws.deliver(message)
    ws.on_receive(handler)
    assert told == ["a"]


async def test_what_arrived_before_the_peers_close_still_reaches_a_late_handler():
    ws, channel = accepted()
    told = []
    ws.deliver("a")
    ws.ended(1000, "")
    ws.on_receive(lambda ws, message: told.append(message))
    assert told == ["a"]
    assert channel.said == []


async def test_a_handler_may_close():
    ws, channel = accepted()
    ws.on_receive(lambda ws, message: ws.close(4000, message))
    ws.deliver("bye")
    assert channel.said == [("close", 4000, "bye")]


# -- on_close ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1005, ""), (1006, ""), (4000, "bye")])
async def test_on_close_gets_the_code_and_the_reason_once(code, reason):
    ws, _ = accepted()
    told = []
    ws.on_close(lambda *args: told.append(args), "more")
    ws.ended(code, reason)
    ws.ended(1006, "again")
    assert told == [(ws, code, reason, "more")]
    assert ws.status is CLOSED


async def test_on_close_several_handlers_each_once_sync_and_async():
    ws, _ = accepted()
    told = []

    async def later(ws, code, reason):
        await asyncio.sleep(0)
        told.append(("async", code))

    ws.on_close(later)
    ws.on_close(lambda ws, code, reason: told.append(("sync", code)))
    ws.ended(1000, "")
    await settle()
    assert told == [("sync", 1000), ("async", 1000)]


async def test_on_close_when_it_is_over_already_is_called_at_once():
    ws, _ = accepted()
    ws.ended(1001, "away")
    told = []
    ws.on_close(lambda *args: told.append(args))
    assert told == [(ws, 1001, "away")]


async def test_on_close_waits_for_the_end_of_our_own_close():
    ws, _ = accepted()
    told = []
    ws.on_close(lambda ws, code, reason: told.append(code))
    ws.close(4000)
    assert told == []
    ws.ended(4000, "")
    assert told == [4000]


async def test_on_close_a_peer_that_disconnects_before_the_decision_is_a_1006():
    ws, channel = websocket()
    told = []
    ws.on_close(lambda ws, code, reason: told.append(code))
    channel.leave()
    assert told == [1006]
    assert channel.said == []


async def test_on_close_a_handler_that_fails_is_logged_and_hurts_no_other(caplog):
    ws, _ = accepted()
    told = []

    def wrong(*_):
        raise KeyError("in on_close")

    ws.on_close(wrong)
    ws.on_close(lambda *args: told.append("right"))
    ws.ended(1000, "")
    assert told == ["right"]
    assert "KeyError: 'in on_close'" in caplog.text


async def test_on_close_sends_nothing_any_more():
    ws, channel = accepted()
    results = []
    ws.on_close(lambda ws, *_: results.append(ws.send("too late")))
    ws.ended(1000, "")
    assert [await result for result in results] == [False]
    assert channel.said == []


# -- the tasks of a WebSocket --------------------------------------------------------------------------------------


async def forever(note):
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        note.append("cancelled")
        raise


async def test_the_end_cancels_the_tasks_without_a_handler(caplog):
    ws, channel = accepted()
    note = []
    ws.run_async(forever, note)
    ws.on_receive(lambda ws, message: forever(note))
    ws.deliver("a")
    await settle()
    ws.ended(1006, "")
    await settle()
    assert note == ["cancelled", "cancelled"]
    assert caplog.records == []
    assert not channel.scope.tasks


async def test_the_end_leaves_the_tasks_with_a_handler():
    ws, _ = accepted()
    note = []
    ws.on_close(lambda *_: note.append("told"))
    task = ws.run_async(forever, note)
    await settle()
    ws.ended(1006, "")
    await settle()
    assert note == ["told"]
    assert not task.done()
    ws.cancel()


async def test_a_call_that_fails_after_its_accept_closes_with_1011(caplog):
    async def app(*args):
        args[-1].accept()
        await asyncio.sleep(0)
        raise KeyError

    ws, channel = websocket()
    ws.run(app, "websocket", False)
    await settle()
    assert channel.said == [("101", "", {}), ("close", 1011, "")]
    assert "KeyError" in caplog.text


async def test_a_call_may_go_on_for_as_long_as_the_websocket():
    gate = asyncio.Event()

    async def app(*args):
        ws = args[-1]
        await ws.accept()
        await ws.send("a")
        await gate.wait()
        await ws.send("b")

    ws, channel = websocket()
    ws.run(app, "websocket", False)
    await settle()
    gate.set()
    await settle()
    assert channel.said == [("101", "", {}), "a", "b"]


async def test_a_call_may_decide_later():
    gate = asyncio.Event()

    async def app(*args):
        await gate.wait()
        args[-1].reject(404)

    ws, channel = websocket()
    ws.run(app, "websocket", False)
    await settle()
    assert channel.said == []
    gate.set()
    await settle()
    assert channel.said == [head("404 Not Found", "Content-Length: 0"), END]
