"""What is written down of workers that have ended."""

from __future__ import annotations

import os

import pytest

from ssgi_gateway.observe import table as layout
from ssgi_gateway.process.account import Account


@pytest.fixture
def account():
    made = Account("site:app")
    yield made
    made.close()
    os.close(made.table.fd)


def ended(seconds: float) -> int:
    """A child that has computed for so long and has ended, which nobody has waited for yet."""
    pid = os.fork()
    if not pid:
        while sum(os.times()[:2]) < seconds:
            pass
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


def test_cpu_time_that_a_worker_had_no_time_to_write_down(account):
    words = account.table.seat(3).words
    words[layout.CPU] = 5_000_000_000
    pid = ended(0.1)
    account.table.seat(3).begin(pid)
    account.settle(pid)
    os.waitpid(pid, 0)
    assert words[layout.CPU] > 5_050_000_000
    assert account.table.seat(4).words[layout.CPU] == 0


def test_what_it_has_written_down_itself_is_not_counted_again(account):
    pid = ended(0.0)
    account.table.seat(3).begin(pid)
    words = account.table.seat(3).words
    words[layout.CPU] = 9_000_000_000
    account.settle(pid)
    assert words[layout.CPU] == 9_000_000_000
    os.waitpid(pid, 0)
    account.settle(pid)  # somebody who is not known any more
    assert words[layout.CPU] == 9_000_000_000
