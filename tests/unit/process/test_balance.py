"""Who gives a connection away: one that has clearly more to do than the others, while there is something to do."""

from __future__ import annotations

import pytest

from ssgi_gateway.process.balance import BUSY, Balance


def test_more_than_the_others_between_two_ticks():
    balance = Balance()
    balance.surplus(50_000, {2: 0})
    assert balance.surplus(51_000, {2: 100}) == pytest.approx(1 - 550 / 1000)
    assert not balance.surplus(52_000, {2: 1_000})
    assert not balance.surplus(52_200, {2: 3_000})


def test_where_little_is_to_be_done_one_may_do_it():
    balance = Balance()
    balance.surplus(0, {2: 0})
    assert not balance.surplus(BUSY - 1, {2: 0})
    assert balance.surplus(2 * BUSY, {2: 0})


def test_nobody_else():
    balance = Balance()
    balance.surplus(0, {})
    assert not balance.surplus(10_000, {})


def test_who_sits_down_counts_anew():
    balance = Balance()
    balance.surplus(0, {2: 9_000, 3: 0})
    assert not balance.surplus(300, {2: 10, 3: 900}), "less than the average, in which he counts for nothing"
    assert balance.surplus(1300, {2: 700, 3: 910})
