"""Coroutine functions as tests: each runs in an event loop of its own.

A ``conftest.py`` that wants this for its directory imports ``pytest_pyfunc_call``, and calls ``parametrize`` in its
``pytest_generate_tests`` to have each of them run on every loop the server can run on (``loop_kind``), or both as a
task and as a row of callbacks (``stepping``): the server calls applications from callbacks of the loop, where no task
is current, and from tasks; and asyncio makes a difference.

The clock of these loops is the test's: ``advance`` puts it forward, so that a deadline of a minute takes no time.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

try:
    import uvloop
except ImportError:  # pragma: no cover
    uvloop = None

__all__ = ["DEADLINE", "advance", "parametrize", "pytest_pyfunc_call", "settle", "until"]

DEADLINE = 30.0
"""Seconds a test may take; it only bounds how long a failure takes."""


class AsyncioLoop(asyncio.SelectorEventLoop):
    """asyncio's own, with a clock that can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": AsyncioLoop}

if uvloop is not None:

    class UvLoop(uvloop.Loop):
        """uvloop, likewise."""

        ahead = 0.0

        def time(self) -> float:
            return super().time() + self.ahead

    LOOPS["uvloop"] = UvLoop


def advance(seconds: float) -> None:
    """Put the running loop's clock forward."""
    loop: Any = asyncio.get_running_loop()
    loop.ahead += seconds


async def settle() -> None:
    """Let everything happen that can happen without anything arriving from outside."""
    for _ in range(10):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go on until ``condition()`` holds; the test's deadline bounds it."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in the server
        await asyncio.sleep(0.001)


def parametrize(metafunc: pytest.Metafunc, name: str) -> None:
    """Give every coroutine function each ``loop_kind`` or each ``stepping``."""
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append(name)
        metafunc.parametrize(name, list(LOOPS) if name == "loop_kind" else ["task", "callbacks"])


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine function to its end; a failure in a callback of the loop is the test's failure."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    parameters = pyfuncitem.callspec.params if hasattr(pyfuncitem, "callspec") else {}
    names = pyfuncitem._fixtureinfo.argnames
    coroutine = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    with asyncio.Runner(loop_factory=LOOPS[parameters.get("loop_kind", "asyncio")]) as runner:
        runner.run(watched(coroutine, parameters.get("stepping", "task")))
    return True


async def watched(test: Coroutine[Any, Any, None], stepping: str) -> None:
    """The test, bounded by a clock that it cannot put forward."""
    loop = asyncio.get_running_loop()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    done = loop.create_task(test) if stepping == "task" else by_callbacks(loop, test)
    alarm = threading.Timer(DEADLINE, loop.call_soon_threadsafe, (done.cancel, f"took more than {DEADLINE:g} s"))
    alarm.daemon = True
    alarm.start()
    try:
        await done
    finally:
        alarm.cancel()
    for context in failures:
        raise AssertionError(context["message"]) from context.get("exception")


def by_callbacks(loop: asyncio.AbstractEventLoop, test: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
    """Take every step of ``test`` in a callback of the loop, so that no task is current in it."""
    done: asyncio.Future[None] = loop.create_future()

    def step(_: Any = None) -> None:
        try:
            waiting = test.send(None)
        except StopIteration:
            done.set_result(None)
        except BaseException as failure:
            done.set_exception(failure)
        else:
            if waiting is None:
                loop.call_soon(step)
            else:
                waiting._asyncio_future_blocking = False
                waiting.add_done_callback(step)

    loop.call_soon(step)
    return done
