"""The board's history stays bounded."""

from __future__ import annotations

from examples.board.room import History


def test_a_stroke_grows_under_its_id_and_keeps_its_colour() -> None:
    history = History()
    history.extend("1.1", "blue", 7, [1, 2])
    history.extend("2.1", "red", 3, [5, 6])
    history.extend("1.1", "green", 7, [3, 4])
    assert history.snapshot() == [
        {"id": "1.1", "color": "blue", "width": 7, "points": [1, 2, 3, 4]},
        {"id": "2.1", "color": "red", "width": 3, "points": [5, 6]},
    ]


def test_the_oldest_strokes_go_first() -> None:
    history = History(limit=6)
    for number in range(4):
        history.extend(f"1.{number}", "blue", 7, [number, number])
    assert [stroke["id"] for stroke in history.snapshot()] == ["1.1", "1.2", "1.3"]


def test_one_endless_stroke_is_bounded_too() -> None:
    history = History(limit=6)
    for number in range(100):
        history.extend("1.1", "blue", 7, [number, number])
        assert sum(len(stroke["points"]) for stroke in history.snapshot()) <= 6


def test_clear_forgets_everything() -> None:
    history = History(limit=6)
    history.extend("1.1", "blue", 7, [1, 1, 2, 2, 3, 3])
    history.clear()
    assert history.snapshot() == []
    history.extend("1.2", "blue", 7, [1, 1, 2, 2, 3, 3])
    assert [stroke["id"] for stroke in history.snapshot()] == ["1.2"]
