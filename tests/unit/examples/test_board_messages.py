"""What the board takes from its visitors, and what it closes them for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.board.messages import (
    BOARD_HEIGHT,
    BOARD_WIDTH,
    COLORS,
    MAX_MESSAGE,
    MAX_NAME,
    MAX_POINTS,
    BadMessage,
    Clear,
    Cursor,
    Draw,
    Hello,
    Message,
    Ping,
    clean_name,
    parse,
)

DRAW = {"type": "draw", "stroke": 1, "width": 7, "points": [0, 0, BOARD_WIDTH, BOARD_HEIGHT]}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": "hello", "name": " Ada  L. ", "color": "blue"}, Hello("Ada L.", "blue")),
        (DRAW, Draw(1, 7, [0, 0, BOARD_WIDTH, BOARD_HEIGHT])),
        ({"type": "cursor", "point": [3, 4]}, Cursor([3, 4])),
        ({"type": "cursor", "point": None}, Cursor(None)),
        ({"type": "clear"}, Clear()),
        ({"type": "ping", "token": 9}, Ping(9)),
    ],
)
def test_the_options_on_the_page_are_understood(fields: dict[str, Any], message: Message) -> None:
    assert parse(json.dumps(fields)) == message


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "hello", "name": 5, "color": "blue"},
        {"type": "hello", "name": "Ada", "color": "url(//elsewhere)"},
        {"type": "hello", "name": "Ada", "color": ["blue"]},
        {**DRAW, "points": []},
        {**DRAW, "points": [1]},
        {**DRAW, "points": [1, 2, 3]},
        {**DRAW, "points": [1, 2] * (MAX_POINTS + 1)},
        {**DRAW, "points": [0, BOARD_HEIGHT + 1]},
        {**DRAW, "points": [-1, 0]},
        {**DRAW, "points": [True, False]},
        {**DRAW, "points": [1.5, 2.5]},
        {**DRAW, "points": "12"},
        {**DRAW, "width": 4000},
        {**DRAW, "width": True},
        {**DRAW, "stroke": "1.1"},
        {**DRAW, "stroke": 10**30},
        {"type": "cursor", "point": [1]},
        {"type": "cursor", "point": {"x": 1}},
        {"type": "ping"},
        {"type": "ping", "token": float("nan")},
        {"type": "shout"},
        {"type": ["draw"]},
        {},
        [],
        7,
    ],
)
def test_everything_else_is_refused(fields: object) -> None:
    with pytest.raises(BadMessage):
        parse(json.dumps(fields))


@pytest.mark.parametrize(
    "raw", [b"{}", "", "{", "[" * MAX_MESSAGE, "9" * MAX_MESSAGE, '{"type":"clear"}' + " " * MAX_MESSAGE]
)
def test_what_is_no_bounded_json_is_refused(raw: str | bytes) -> None:
    with pytest.raises(BadMessage):
        parse(raw)


def refusal(raw: str | bytes) -> str:
    try:
        parse(raw)
    except BadMessage as error:
        return str(error)
    return ""


@given(st.text() | st.binary())
def test_any_input_is_a_message_or_a_refusal_short_enough_for_a_close_frame(raw: str | bytes) -> None:
    assert len(refusal(raw).encode()) <= 123  # RFC 6455, section 5.5


@given(st.text())
def test_a_name_is_printable_short_and_stays_as_it_is(name: str) -> None:
    clean = clean_name(name)
    assert clean.isprintable()
    assert len(clean) <= MAX_NAME
    assert clean_name(clean) == clean


def test_a_name_cannot_turn_the_text_around_it() -> None:
    assert clean_name("\u202eevil\u2066\n\x00") == "evil"


def test_colours_are_names_that_a_style_sheet_can_have() -> None:
    assert all(color.isascii() and color.isalpha() for color in COLORS)
