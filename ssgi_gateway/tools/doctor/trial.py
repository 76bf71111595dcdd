"""A script for a shared host, started as a web server does, with a listening socket as descriptor 0, for one request.

What keeps it from serving is on its standard error, which on such hosts is a log that its owner often may not read.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Final

from ssgi_gateway.client import Client, ClientError, Timeouts
from ssgi_gateway.observe.diagnosis import Finding

__all__ = ["examine"]

PATIENCE: Final = 30.0
"""Seconds for an answer; mod_fcgid waits 40 (FcgidIOTimeout)."""

ENDING: Final = 2.0
"""Seconds between the end of a connection and that of its process."""

LINES: Final = 12
"""How much of its output is shown: the end of a traceback."""

WHY: Final = "the web server answers 500, and has the reason in its error log only"


def examine(path: Path, patience: float = PATIENCE) -> list[Finding]:
    """Start the script, send ``GET /`` and report what is wrong with what comes of it.

    Args:
        path: of a script that can be started (``script.examine`` found nothing).
        patience: seconds for an answer.
    """
    return asyncio.run(_examine(path.absolute(), patience))


async def _examine(path: Path, patience: float) -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="ssgi-gateway-") as folder, tempfile.TemporaryFile() as output:
        address = f"{folder}/sock"
        async with _started(path, address, output) as process:
            answer = asyncio.ensure_future(_ask(address))
            ended = asyncio.ensure_future(process.wait())
            try:
                await asyncio.wait((answer, ended), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if not answer.done() and not ended.done():
                    return [_silent(path, patience, output)]
                outcome = answer.result() if answer.done() else ""
                if isinstance(outcome, str):  # nothing of use: because it has ended, or ends now?
                    await asyncio.wait((ended,), timeout=ENDING)
                    if ended.done():
                        return [_ends(path, ended.result(), output)]
                return _judge(outcome, output)
            finally:
                answer.cancel()
                with suppress(asyncio.CancelledError):
                    await answer


@asynccontextmanager
async def _started(path: Path, address: str, output: IO[bytes]) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process, in its script's folder, with the environment that mod_fcgid gives."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        process = await asyncio.create_subprocess_exec(
            path, stdin=listening.fileno(), stdout=output, stderr=output, cwd=path.parent, start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath), "SSGI_LOG_FORMAT": "text"},  # for people
        )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.wait()


async def _ask(address: str) -> int | str:
    """The status of the answer; what was wrong with it where it is none."""
    async with Client(fastcgi=f"unix:{address}", timeouts=Timeouts(read=2 * PATIENCE)) as client:
        try:
            answer = await client.request("GET", "http://localhost/")
            await answer.read()
        except ClientError as error:
            return str(error)
        return answer.status


def _judge(answer: int | str, output: IO[bytes]) -> list[Finding]:
    if isinstance(answer, str):
        seen = f"what it answers to GET / cannot be understood: {answer}{_end_of(output)}"
        return [Finding("script-answer", seen, WHY, "Let it serve FastCGI on descriptor 0, and print nothing else")]
    if answer >= 500:
        seen = f"it answers GET / with {answer}{_end_of(output)}"
        return [Finding("script-error", seen, "so it does for visitors", "Fix the application")]
    return []


def _ends(path: Path, status: int, output: IO[bytes]) -> Finding:
    how = f"is killed by signal {-status}" if status < 0 else f"ends with status {status}"
    seen = f"started with nothing but PATH in its environment, {path} {how}{_end_of(output)}"
    return Finding("script-ends", seen, WHY, "Fix what it reports; if that is nothing: is its last command the server?")


def _silent(path: Path, patience: float, output: IO[bytes]) -> Finding:
    return Finding(
        "script-silent", f"{path} runs, and answers nothing within {patience:g} s{_end_of(output)}",
        "the web server waits for it as long, and answers 500",
        "Let it serve what comes on descriptor 0: exec .../ssgi-gateway serve module:app, or WSGIServer(app).run()",
    )  # fmt: skip


def _end_of(output: IO[bytes]) -> str:
    """Its output, as the end of a sentence."""
    output.seek(0)
    lines = output.read().decode("utf-8", "replace").strip().splitlines()[-LINES:]
    return ":\n" + "\n".join(f"      {line}" for line in lines) if lines else ""
