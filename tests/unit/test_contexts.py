"""The server registers with the event loop by ``core/server_loop.py`` and in no other way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "ssgi_gateway"

REGISTERS = {"add_reader", "add_writer", "call_soon", "call_soon_threadsafe", "call_later", "call_at", "create_task",
             "add_done_callback", "ensure_future"}  # fmt: skip

ROOMS = ("core", "adapters", "server")

EXCEPTIONS = {
    ("core/server_loop.py", "*"): "it is the place",
    ("core/spare_task.py", "add_done_callback"): "is asyncio's protocol, or gives a context",
    ("core/tasks.py", "create_task"): "gives a context",
    ("adapters/asgi/lifespan.py", "create_task"): "gives a context",
    ("adapters/to_asgi/adapter.py", "ensure_future"): "in the task of the ASGI server's request",
    ("server/serve.py", "create_task"): "before any request",
    ("server/draining.py", "create_task"): "after the last request",
    ("server/adoption.py", "add_done_callback"): "outside of any request",
}


def registrations(path: Path) -> list[tuple[int, str, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in REGISTERS:
            found.append((node.lineno, ast.unparse(node.func.value), node.func.attr))
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_who_registers_with_the_loop_does_it_in_the_servers_context(room):
    for path in sorted((PACKAGE / room).rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for line, target, method in registrations(path):
            if (name, method) in EXCEPTIONS or (name, "*") in EXCEPTIONS:
                continue
            assert method not in ("add_done_callback", "ensure_future"), (
                f"{name}:{line}: say loop.when_done(future, callback), loop.create_task(coroutine)"
            )
            # gateway.loop, reactor.loop, scope.loop and pool.loop are ServerLoops.
            assert target.split(".")[-1] == "loop", f"{name}:{line}: {target}.{method}"


def test_there_is_nothing_in_the_list_that_is_not_there():
    for name, _ in EXCEPTIONS:
        assert (PACKAGE / name).exists(), name
