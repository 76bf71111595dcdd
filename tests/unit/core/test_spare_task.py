"""The task in reserve: what ends in its first step, and what goes on, meet an ordinary task."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref

import pytest

from ssgi_gateway.core.tasks import EAGER, MAX_SPENT, TaskScope
from tests.loops import settle

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="")

in_reserve = pytest.mark.skipif(EAGER, reason="from Python 3.12 asyncio begins tasks at once")


class Bench:
    """A scope; coroutines are run from a callback of the loop, as the server does."""

    def __init__(self):
        self.scope = TaskScope(asyncio.get_running_loop())
        self.ended = []

    async def run(self, function):
        """What ``run`` returned or raised for the coroutine of ``function``."""
        told = asyncio.get_running_loop().create_future()

        def call():
            try:
                told.set_result(self.scope.run(function(), self.ended.append))
            except BaseException as error:
                told.set_result(error)

        asyncio.get_running_loop().call_soon(call, context=contextvars.Context())
        return await told


async def seen(bench, seen):
    """The current task of a coroutine that ends at once."""

    async def looks():
        seen.append(asyncio.current_task())

    assert await bench.run(looks) is None


async def test_what_never_waits_has_a_current_task_and_leaves_none():
    bench = Bench()
    kinds = []

    async def looks():
        kinds.append(type(asyncio.current_task()))

    for _ in range(3):
        assert await bench.run(looks) is None
    assert [kind.__name__ for kind in kinds] == ["Task"] * 3
    assert bench.scope.tasks == set()
    assert bench.ended == []
    assert len(asyncio.all_tasks()) <= 2


async def test_what_waits_goes_on_in_the_task_it_began_in():
    bench = Bench()
    tasks = []

    async def waits():
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())
        assert asyncio.current_task() in asyncio.all_tasks()
        await asyncio.sleep(0.001)
        tasks.append(asyncio.current_task())
        return 42

    task = await bench.run(waits)
    assert bench.scope.tasks == {task}
    assert await task == 42
    assert tasks == [task] * 3
    await settle()
    assert bench.ended == [task]
    assert bench.scope.tasks == set()


@in_reserve
async def test_the_same_one_serves_all_that_never_wait():
    bench = Bench()
    ordinary = []

    async def looks():
        ordinary.append(asyncio.current_task() in asyncio.all_tasks())

    for _ in range(2 * MAX_SPENT):
        await bench.run(looks)
    assert not any(ordinary), "an ordinary one was made, because those in reserve were spent"


# asyncio's own eager tasks let an exit through before anybody has the task, and then complain that nobody asked it.
@pytest.mark.parametrize("error", [KeyError("a"), asyncio.CancelledError("b"), *([] if EAGER else [SystemExit(3)])])
async def test_what_fails_at_once_is_raised(error):
    bench = Bench()

    async def fails():
        raise error

    for _ in range(2):
        assert type(await bench.run(fails)) is type(error)
    assert bench.ended == []


async def test_what_fails_later_is_told():
    bench = Bench()

    async def fails():
        await asyncio.sleep(0)
        raise KeyError

    task = await bench.run(fails)
    await settle()
    assert bench.ended == [task]
    assert isinstance(task.exception(), KeyError)


async def test_variables_of_one_are_not_seen_by_the_next():
    bench = Bench()
    values = []

    async def sets():
        values.append(VARIABLE.get())
        VARIABLE.set("mine")
        values.append(VARIABLE.get())

    for _ in range(3):
        await bench.run(sets)
    assert values == ["", "mine"] * 3


async def test_variables_stay_in_a_coroutine_that_waits():
    bench = Bench()

    async def sets():
        VARIABLE.set("mine")
        await asyncio.sleep(0)
        return VARIABLE.get()

    assert await (await bench.run(sets)) == "mine"


@pytest.mark.parametrize("waits", [False, True])
async def test_callbacks_of_the_first_step_are_called(waits):
    bench = Bench()
    called = []

    async def registers():
        asyncio.current_task().add_done_callback(called.append)
        if waits:
            await asyncio.sleep(0)

    await bench.run(registers)
    await settle()
    assert len(called) == 1
    assert called[0].done()
    assert called[0].exception() is None


async def test_callbacks_hear_of_a_failure_and_nobody_else_is_told_of_it(caplog):
    bench = Bench()
    called = []

    async def registers():
        asyncio.current_task().add_done_callback(called.append)
        raise KeyError

    assert isinstance(await bench.run(registers), KeyError)
    await settle()
    assert isinstance(called[0].exception(), KeyError)
    called.clear()
    del bench
    gc.collect()
    assert caplog.records == []


@pytest.mark.parametrize("keep", ["reference", "weak reference", "name", "callback", "cancel"])
async def test_a_task_that_somebody_used_is_not_lent_again(keep):
    bench = Bench()
    kept = []

    async def uses():
        task = asyncio.current_task()
        if keep == "reference":
            kept.append(task)
        elif keep == "weak reference":
            kept.append(weakref.ref(task))
        elif keep == "name":
            task.set_name("mine")
        elif keep == "callback":
            task.add_done_callback(lambda _: None)
        else:
            task.cancel()
        names.append(task.get_name())
        cancelling.append(task.cancelling())

    names, cancelling = [], []
    await bench.run(uses)
    kept_first = kept[0] if keep == "reference" else None
    await bench.run(uses)
    assert cancelling == ([1, 1] if keep == "cancel" else [0, 0])
    if keep == "reference":
        assert kept[1] is not kept_first
        assert kept_first.done()


async def test_a_cancellation_in_the_first_step_reaches_what_is_waited_for():
    bench = Bench()
    waited_for = asyncio.get_running_loop().create_future()
    told = []

    async def cancels_itself():
        asyncio.current_task().cancel()
        try:
            await waited_for
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    task = await bench.run(cancels_itself)
    await settle()
    assert told == ["cancelled"]
    assert task.cancelled()
    assert waited_for.cancelled()


async def test_a_cancellation_in_the_first_step_reaches_a_pause():
    bench = Bench()

    async def cancels_itself():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    task = await bench.run(cancels_itself)
    await settle()
    assert task.cancelled()


async def test_a_cancellation_later():
    bench = Bench()

    async def waits():
        await asyncio.get_running_loop().create_future()

    task = await bench.run(waits)
    task.cancel()
    await settle()
    assert task.cancelled()
    assert bench.ended == [task]


async def test_a_timeout_that_begins_in_the_first_step():
    bench = Bench()

    async def times_out():
        async with asyncio.timeout(0.001):
            await asyncio.get_running_loop().create_future()

    async def in_time():
        async with asyncio.timeout(10):  # noqa: ASYNC100 - it is entered and left in the first step
            pass
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        return "in time"

    with pytest.raises(TimeoutError):
        await (await bench.run(times_out))
    assert await (await bench.run(in_time)) == "in time"


async def test_a_group_of_tasks_that_begins_in_the_first_step():
    bench = Bench()
    told = []

    async def child(number):
        told.append(number)
        await asyncio.sleep(0)
        if number == 2:
            raise KeyError

    async def parent():
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(child(number))

    with pytest.raises(ExceptionGroup):
        await (await bench.run(parent))
    assert told == [0, 1, 2]


async def test_what_is_no_future_and_waited_for_is_an_error_in_the_coroutine():
    class Wrong:
        def __await__(self):
            yield "no future"

    bench = Bench()

    async def waits():
        try:
            await Wrong()
        except RuntimeError as error:
            return str(error)

    assert "no future" in await (await bench.run(waits))


async def test_an_awaitable_that_is_no_coroutine():
    class Answer:
        def __await__(self):
            yield
            return 42

    bench = Bench()
    assert await (await bench.run(Answer)) == 42


@in_reserve
async def test_it_is_given_up_for_those_who_leave_something_on_every_task():
    bench = Bench()
    notes: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

    ordinary = []

    async def notes_something():
        task = asyncio.current_task()
        notes[task] = "a note"
        ordinary.append(task in asyncio.all_tasks())

    for _ in range(MAX_SPENT):
        await bench.run(notes_something)
    assert (ordinary[0], ordinary[-1]) == (False, True)


async def test_a_task_factory_is_asked():
    bench = Bench()
    loop = asyncio.get_running_loop()
    made = []

    def factory(loop, coroutine, **options):
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    async def waits():
        await asyncio.sleep(0)

    loop.set_task_factory(factory)
    try:
        await (await bench.run(waits))
    finally:
        loop.set_task_factory(None)
    assert len(made) == 1


async def test_nothing_is_reported_when_it_was_never_begun(caplog):
    bench = Bench()
    await seen(bench, [])
    del bench
    gc.collect()
    assert caplog.records == []
