"""The assembler of messages, without a codec around it."""

from __future__ import annotations

import pytest
from wsproto.frame_protocol import Frame, Opcode, RsvBits

from ssgi_gateway.errors import WebSocketError
from ssgi_gateway.settings import WebSocketSettings
from ssgi_gateway.wire.websocket.deflate import DeflateParams, Inflater
from ssgi_gateway.wire.websocket.message import NO_RSV, RSV1, MessageAssembler, max_fragments, max_wire_size

NONE, FIRST = RsvBits(False, False, False), RsvBits(True, False, False)


def assembler(deflate=False, **limits):
    return MessageAssembler(WebSocketSettings(**limits), Inflater(DeflateParams()) if deflate else None)


def judge(message, opcode, length, rsv=NONE):
    return message.frame_inbound_header(None, opcode, rsv, length)


def test_it_is_never_negotiated():
    assert assembler().offer() is False


def test_a_whole_message_is_passed_on_uncopied():
    payload = bytes(1000)
    message = assembler()
    judge(message, Opcode.BINARY, 1000)
    assert message.add(Frame(Opcode.BINARY, payload, True, True)) is payload


def test_a_header_may_be_judged_twice():
    """wsproto parses it again when its masking key arrives later."""
    message = assembler(max_message_size=10)
    for _ in range(2):
        judge(message, Opcode.TEXT, 6)
    assert message.add(Frame(Opcode.TEXT, b"abcdef", True, False)) is None
    for _ in range(2):
        judge(message, Opcode.CONTINUATION, 4)
    assert message.add(Frame(Opcode.CONTINUATION, b"ghij", True, True)) == "abcdefghij"


def test_control_frames_are_none_of_its_business():
    message = assembler(max_message_size=1, max_frame_size=1)
    judge(message, Opcode.TEXT, 1)
    message.add(Frame(Opcode.TEXT, b"a", True, False))
    assert judge(message, Opcode.PING, 125) == NO_RSV


@pytest.mark.parametrize("deflate", [False, True])
def test_rsv1_is_for_the_first_frame_and_only_with_deflate(deflate):
    message = assembler(deflate)
    assert judge(message, Opcode.TEXT, 0) == (RSV1 if deflate else NO_RSV)
    message.add(Frame(Opcode.TEXT, b"", True, False))
    assert judge(message, Opcode.CONTINUATION, 0) == NO_RSV


def test_the_fragments_that_are_allowed():
    message = assembler(max_message_size=160)
    count = max_fragments(160)
    assert count == 1034
    for index in range(count):
        judge(message, Opcode.CONTINUATION if index else Opcode.BINARY, 0)
        assert message.add(Frame(Opcode.BINARY, b"", True, False)) is None
    with pytest.raises(WebSocketError, match="1034 fragments"):
        judge(message, Opcode.CONTINUATION, 0)


def test_a_compressed_message_may_be_longer_on_the_wire_than_the_limit():
    judge(assembler(True, max_message_size=1000), Opcode.TEXT, max_wire_size(1000), FIRST)
    with pytest.raises(WebSocketError, match="1000 bytes"):
        judge(assembler(True, max_message_size=1000), Opcode.TEXT, max_wire_size(1000) + 1, FIRST)
    with pytest.raises(WebSocketError, match="1000 bytes"):
        judge(assembler(True, max_message_size=1000), Opcode.TEXT, 1001)


def test_the_count_starts_again_with_every_message():
    message = assembler(max_message_size=10)
    for _ in range(3):
        judge(message, Opcode.BINARY, 5)
        message.add(Frame(Opcode.BINARY, b"12345", True, False))
        judge(message, Opcode.CONTINUATION, 5)
        assert message.add(Frame(Opcode.CONTINUATION, b"67890", True, True)) == b"1234567890"
