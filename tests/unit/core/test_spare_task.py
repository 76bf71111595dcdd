"""The task in reserve: what ends in its first step, and what goes on, meet an ordinary task."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import io
import sys
import weakref

import pytest

from ssgi_gateway.core.tasks import TaskScope
from tests.loops import settle

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="")


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
                task = self.scope.run(function())
                if task is not None:
                    self.scope.keep(task, self.ended.append)
                told.set_result(task)
            except BaseException as error:
                told.set_result(error)

        asyncio.get_running_loop().call_soon(call, context=self.scope.loop.fresh())
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
        kinds.append(isinstance(asyncio.current_task(), asyncio.Task))
        kinds.append(asyncio.current_task() in asyncio.all_tasks())

    before = asyncio.all_tasks()
    for _ in range(3):
        assert await bench.run(looks) is None
    assert kinds == [True, True] * 3
    assert not bench.scope.tasks
    assert bench.ended == []
    assert asyncio.all_tasks() == before, "one in reserve is nobody's"


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
    assert set(bench.scope.tasks) == {task}
    assert await task == 42
    assert tasks == [task] * 3
    await settle()
    assert bench.ended == [task]
    assert not bench.scope.tasks


@pytest.mark.parametrize("variables", [{}, {VARIABLE: "the server's"}])
async def test_the_same_one_serves_all_that_never_wait(variables, monkeypatch):
    """Each task that is made puts its first step into the loop's queue, without arguments; so does ``Bench``."""
    for variable, value in variables.items():
        variable.set(value)
    loop = asyncio.get_running_loop()
    bench = Bench()
    queued = []

    async def looks():
        assert asyncio.current_task() is not None

    def call_soon(callback, *args, context=None):
        queued.append(args)
        return type(loop).call_soon(loop, callback, *args, context=context)

    monkeypatch.setattr(loop, "call_soon", call_soon)
    for _ in range(100):
        assert await bench.run(looks) is None
    assert queued.count(()) == 100 + 1


@pytest.mark.parametrize("error", [KeyError("a"), asyncio.CancelledError("b")])
async def test_what_fails_at_once_is_raised(error):
    bench = Bench()

    async def fails():
        raise error

    for _ in range(2):
        assert type(await bench.run(fails)) is type(error)
    assert bench.ended == []


async def test_what_fails_later_is_reported():
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


async def test_callbacks_get_a_failure_and_it_is_not_logged(caplog):
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
async def test_a_task_that_was_used_is_not_lent_again(keep):
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


async def test_one_for_each_where_something_is_noted_on_every_task():
    bench = Bench()
    notes: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
    found = []

    async def notes_something():
        found.append(notes.get(asyncio.current_task()))
        notes[asyncio.current_task()] = "a note"

    for _ in range(20):
        await bench.run(notes_something)
    assert found == [None] * 20


async def test_an_attribute_of_one_is_not_seen_by_the_next():
    bench = Bench()
    found = []

    async def sets():
        found.append(getattr(asyncio.current_task(), "user", None))
        asyncio.current_task().user = "alice"

    for _ in range(3):
        await bench.run(sets)
    assert found == [None] * 3


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("leaves", [SystemExit, KeyboardInterrupt])
async def test_an_exit_is_an_error_of_the_application(leaves, waits):
    bench = Bench()

    async def exits():
        if waits:
            await asyncio.sleep(0)
        raise leaves(3)

    told = await bench.run(exits)
    if waits:
        await settle()
        [task] = bench.ended
        told = task.exception()
    assert isinstance(told, RuntimeError)
    assert str(told) == "the application called sys.exit()"
    assert isinstance(told.__cause__, leaves)


# -- what asyncio can tell of it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("waits", [False, True])
async def test_its_coroutine_and_its_stack_are_the_applications(waits):
    bench = Bench()
    seen = []

    def look():
        task = asyncio.current_task() if not seen else seen[0]
        seen.append(task)
        text = io.StringIO()
        task.print_stack(file=text)
        name = task.get_coro().__name__
        told.append((task in asyncio.all_tasks(), name, "application" in repr(task), text.getvalue()))

    async def application():
        look()
        if waits:
            await asyncio.sleep(0.001)

    told = []
    task = await bench.run(application)
    if waits:
        look()
        assert seen == [task, task]
        assert inspect.iscoroutine(task.get_coro())
        assert next(frame.f_code.co_name for frame in task.get_stack()) == "application"
        await task
    for listed, name, named, stack in told:
        assert (listed, name, named) == (True, "application", True)
        assert "in application" in stack


# -- what else may run meanwhile -------------------------------------------------------------------------------------


class Leftover:
    """In a cycle, with a finalizer that schedules something, as asyncio's StreamWriter has one."""

    def __init__(self, loop, called):
        self.me = self
        self.loop = loop
        self.called = called

    def __del__(self):
        self.loop.call_soon(self.called.append, 1)


async def test_what_a_finalizer_schedules_while_a_task_is_made_is_called_and_nothing_is_lost():
    loop = asyncio.get_running_loop()
    called, answered = [], []
    made = 0
    threshold = gc.get_threshold()

    async def application():
        await asyncio.sleep(0)
        answered.append(1)

    try:
        for step in range(7, 60, 2):
            gc.set_threshold(step, 3, 3)
            bench = Bench()
            for _ in range(3):
                for _ in range(3):
                    Leftover(loop, called)
                    made += 1
                await bench.run(application)
            await settle()
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    await settle()
    assert len(answered) == 27 * 3
    assert len(called) == made


async def test_in_debug_mode():
    loop = asyncio.get_running_loop()
    bench = Bench()
    loop.set_debug(True)
    try:

        async def application():
            await asyncio.sleep(0)
            return asyncio.current_task() in asyncio.all_tasks()

        async def at_once():
            return None

        for _ in range(3):
            assert await bench.run(at_once) is None
            assert await (await bench.run(application))
    finally:
        loop.set_debug(False)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="asyncio itself runs no loop within a task any more")
async def test_a_loop_within_the_loop_has_its_own_tasks():
    bench = Bench()

    async def inner():
        await asyncio.sleep(0)
        return asyncio.current_task().get_coro().__name__

    async def outer():
        loop = asyncio.new_event_loop()
        running, within = asyncio._get_running_loop(), []
        asyncio._set_running_loop(None)
        try:
            within.append(loop.run_until_complete(inner()))
        finally:
            asyncio._set_running_loop(running)
            loop.close()
        assert within == ["inner"]
        before = asyncio.current_task()
        await asyncio.sleep(0)
        assert asyncio.current_task() is before
        return "done"

    assert await (await bench.run(outer)) == "done"


async def test_nobody_cancels_the_one_in_reserve():
    bench = Bench()
    await seen(bench, [])
    await settle()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        assert task.get_name() != "ssgi-gateway request"


async def test_a_cancellation_while_it_is_lent_and_parked():
    """``cancel`` asks what the task waits for, which is the relay."""
    bench = Bench()
    await seen(bench, [])
    await settle()  # it has taken its first step, and waits for a coroutine

    async def cancels_itself():
        asyncio.current_task().cancel()
        await asyncio.sleep(3600)

    task = await bench.run(cancels_itself)
    await settle()
    assert task.cancelled()


async def test_a_result_is_not_lost_where_the_task_is_kept():
    bench = Bench()

    async def application():
        return (1, 2)

    task = bench.scope.spawn(application(), bench.ended.append)
    assert await task == (1, 2)


async def test_a_task_factory_is_called():
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


# -- greenlets, as SQLAlchemy runs synchronous code on an asyncio driver ---------------------------------------------


async def in_greenlet(function):
    """Run a function that may wait by ``wait_for_it``, in a greenlet; what it waits for is awaited out here."""
    greenlet = pytest.importorskip("greenlet")
    other = greenlet.greenlet(function)
    other.gr_context = contextvars.copy_context()
    awaited = other.switch()
    while not other.dead:
        try:
            value = await awaited
        except BaseException as error:
            awaited = other.throw(error)
        else:
            awaited = other.switch(value)
    return awaited


def wait_for_it(awaitable):
    """Have the parent greenlet await it."""
    return pytest.importorskip("greenlet").getcurrent().parent.switch(awaitable)


@pytest.mark.parametrize("waits", [True, False])
async def test_greenlets_have_the_current_task_of_their_coroutine(waits):
    pytest.importorskip("greenlet")
    bench = Bench()
    tasks = []
    values = []

    async def looks():
        VARIABLE.set("mine")
        tasks.append(asyncio.current_task())

        def within():
            tasks.append(asyncio.current_task())
            if waits:
                wait_for_it(asyncio.sleep(0))
                tasks.append(asyncio.current_task())
                gc.collect()
                wait_for_it(asyncio.sleep(0.001))
            return VARIABLE.get()

        values.append(await in_greenlet(within))
        tasks.append(asyncio.current_task())

    for number in range(3):
        tasks.clear()
        running = await bench.run(looks)
        assert (running is not None) == waits
        if running is not None:
            await running
        assert len(set(tasks)) == 1
        assert tasks[0] is not None
        assert values == ["mine"] * (number + 1)
    assert VARIABLE.get() == ""


async def test_a_greenlet_left_in_the_middle_of_a_first_step_costs_nobody_a_task():
    """One that is given up in the first step is thrown a GreenletExit when it is collected, wherever that is."""
    greenlet = pytest.importorskip("greenlet")
    bench = Bench()
    ended = []
    seen = []

    async def leaves():
        def within():
            try:
                greenlet.getcurrent().parent.switch("left")
            finally:
                ended.append(asyncio.current_task())

        other = greenlet.greenlet(within)
        assert other.switch() == "left"
        seen.append(asyncio.current_task())

    async def waits():
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        assert asyncio.current_task() is seen[-1]

    for _ in range(5):
        assert await bench.run(leaves) is None
        running = await bench.run(waits)
        await running
    gc.collect()
    assert len(ended) == 5
    assert not bench.scope.tasks
