"""Tasks and their scope: a strong reference, a parent that hears of the end."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc

import pytest

from ssgi_gateway.core.tasks import TaskScope, start
from tests.loops import settle


def scope() -> TaskScope:
    return TaskScope(asyncio.get_running_loop())


def ignore(task: asyncio.Task) -> None:
    """Nobody asks for the end."""


async def value():
    await asyncio.sleep(0)
    return 42


class Answer:
    """An awaitable that is no coroutine."""

    def __await__(self):
        yield
        return 42


# -- the scope -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [value, Answer, lambda: asyncio.ensure_future(value())])
async def test_whatever_can_be_awaited_becomes_a_task(make):
    task = scope().spawn(make(), ignore)
    assert isinstance(task, asyncio.Task)
    assert await task == 42


async def test_the_scope_holds_what_runs_and_nothing_else():
    tasks = scope()
    task = tasks.spawn(value(), ignore)
    assert set(tasks.tasks) == {task}
    await settle()
    assert not tasks.tasks


async def test_done_is_called_once_with_the_task():
    ended = []
    task = scope().spawn(value(), ended.append)
    assert ended == []
    await settle()
    assert ended == [task]


@pytest.mark.parametrize("error", [KeyError, asyncio.CancelledError])
async def test_done_is_called_for_a_failure_as_well(error):
    async def fails():
        await asyncio.sleep(0)
        raise error

    ended = []
    task = scope().spawn(fails(), ended.append)
    await settle()
    assert ended == [task]
    assert task.cancelled() if error is asyncio.CancelledError else isinstance(task.exception(), error)


async def test_a_coroutine_that_never_waits_is_done_and_reported_once():
    async def quick():
        return 1

    ended = []
    tasks = scope()
    task = tasks.spawn(quick(), ended.append)
    await settle()
    assert ended == [task]
    assert task.result() == 1
    assert not tasks.tasks


async def test_a_coroutine_that_fails_at_once_is_reported_once():
    async def fails():
        raise KeyError("at once")

    ended = []
    tasks = scope()
    task = tasks.spawn(fails(), ended.append)
    await settle()
    assert ended == [task]
    assert isinstance(task.exception(), KeyError)
    assert not tasks.tasks


async def test_a_task_nobody_else_holds_is_not_collected():
    told = []

    async def waits():
        await asyncio.sleep(0)
        told.append("alive")

    tasks = scope()
    tasks.spawn(waits(), ignore)
    gc.collect()
    await settle()
    assert told == ["alive"]


async def test_it_is_a_task_in_every_respect_from_its_first_step():
    seen = []

    async def looks():
        seen.append(asyncio.current_task())
        async with asyncio.timeout(30):
            await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        async with asyncio.TaskGroup() as group:
            group.create_task(value())

    task = scope().spawn(looks(), ignore)
    await task
    assert seen == [task, task]


async def test_it_can_be_cancelled_while_it_waits():
    task = scope().spawn(asyncio.sleep(3600), ignore)
    await settle()
    task.cancel()
    await settle()
    assert task.cancelled()


async def test_it_has_a_context_of_its_own():
    name = contextvars.ContextVar("name", default="nobody")

    async def sets():
        name.set("alice")
        await asyncio.sleep(0)
        return name.get()

    task = scope().spawn(sets(), ignore)
    assert name.get() == "nobody"
    assert await task == "alice"
    assert name.get() == "nobody"


async def test_the_loop_is_as_it_was_afterwards():
    loop = asyncio.get_running_loop()
    scope().spawn(value(), ignore)
    ran = []
    loop.call_soon(ran.append, 1)
    await settle()
    assert ran == [1]


async def test_a_task_may_start_a_task():
    tasks = scope()
    results = []

    async def outer():
        inner = tasks.spawn(value(), ignore)
        results.append(await inner)

    tasks.spawn(outer(), ignore)
    await settle()
    assert results == [42]


async def test_a_task_factory_of_the_applications_is_respected():
    loop = asyncio.get_running_loop()
    made = []

    def factory(loop, coroutine, **options):
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_task_factory(factory)
    try:
        coroutine = value()
        assert await scope().spawn(coroutine, ignore) == 42
    finally:
        loop.set_task_factory(None)
    assert made == [coroutine]


# -- what may be started -------------------------------------------------------------------------------------------


async def add(a, b):
    return a + b


class Service:
    async def add(self, a, b):
        return a + b

    async def __call__(self, a, b):
        return a + b


@pytest.mark.parametrize("handler", [add, Service().add, Service(), functools.partial(add), lambda a, b: add(a, b)])
async def test_a_coroutine_function_is_called_with_its_arguments(handler):
    awaitable = start(handler, (40, 2))
    assert await awaitable == 42


async def test_an_awaitable_is_what_it_is():
    waiting = asyncio.get_running_loop().create_future()
    assert start(waiting, ()) is waiting


def test_a_function_is_done_when_it_returns():
    told = []
    assert start(told.append, (1,)) is None
    assert told == [1]


def test_a_failure_of_the_call_is_the_callers():
    def fails():
        raise KeyError("at once")

    with pytest.raises(KeyError, match="at once"):
        start(fails, ())


@pytest.mark.parametrize("wrong", [None, 5, "name", [add]])
def test_anything_else_is_a_type_error(wrong):
    with pytest.raises(TypeError, match=f"got {type(wrong).__name__}"):
        start(wrong, ())


async def test_an_awaitable_takes_no_arguments():
    waiting = asyncio.get_running_loop().create_future()
    with pytest.raises(TypeError, match="pass the coroutine function instead"):
        start(waiting, (1,))
