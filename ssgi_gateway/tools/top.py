"""``ssgi-gateway top``, ``status`` and ``stacks``: a running server, seen from a terminal.

They read its table through ``/proc``, so they need no listener and no settings: the same user, or root.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.cli import arguments
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe import stacks as stacks_module
from ssgi_gateway.observe import table as layout
from ssgi_gateway.observe.reading import Reader, find, opened, table_of
from ssgi_gateway.observe.request_lines import duration, has_colours
from ssgi_gateway.observe.snapshot import Snapshot, as_json

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["render", "stacks", "status", "top"]

_STATES: Final = {"ready": "32", "starting": "36", "retiring": "33", "stuck": "31;1"}
_BARS: Final = " ▁▂▃▄▅▆▇█"
CLEAR: Final = "\x1b[H\x1b[2J"
ALTERNATE: Final = "\x1b[?1049h\x1b[?25l"
BACK: Final = "\x1b[?1049l\x1b[?25h"
KEPT: Final = 120


def top(words: list[str]) -> int:
    """``ssgi-gateway top``: until q or ^C."""
    parser = _parser("top", "Watch a running server.")
    parser.add_argument("--interval", type=float, default=1.0, metavar="SECONDS", help="Between two pictures. [1]")
    parser.add_argument("--once", action="store_true", help="One picture, after one interval.")
    given = arguments.read(parser, words)
    interval = max(given.interval, 0.1)
    with _server(given) as reader:
        before = reader.snapshot()
        for worker in before.workers:
            before.process(worker)  # now, for the CPU time between the two
        rates: list[float] = []
        if given.once or not sys.stdout.isatty():
            time.sleep(interval)
            print(render(reader.snapshot(), before, interval, rates, shutil.get_terminal_size(), False))
            return 0
        with _screen():
            while True:
                began = time.monotonic()
                if _pressed(interval) in ("q", "Q", "\x03", "\x1b"):
                    return 0
                now = reader.snapshot()
                seconds = time.monotonic() - began
                rates.append(_requests(now, before) / seconds)
                del rates[:-KEPT]
                size = shutil.get_terminal_size()
                picture = render(now, before, seconds, rates, size, has_colours(sys.stdout))
                _show(CLEAR + picture.replace("\n", "\r\n"))
                before = now


def status(words: list[str]) -> int:
    """``ssgi-gateway status``: 0 when it is ready, 1 when it is not."""
    parser = _parser("status", "Show the state of a running server.")
    parser.add_argument("--json", action="store_true", help="As --status ADDR serves it at /status.")
    given = arguments.read(parser, words)
    with _server(given) as reader:
        now = reader.snapshot()
    status = as_json(now)
    if given.json:
        print(json.dumps(status, indent=2))
    else:
        print("\n".join([*_head(now, None, 0.0, False), "", *_workers(now, None, 1.0, 100, False)]))
        if now.reload_state == "failed":
            print(f"\nthe last reload failed: {now.text(layout.LAST_WORDS)}")
    return 0 if status["ready"] else 1


def stacks(words: list[str]) -> int:
    """``ssgi-gateway stacks``: what every worker is doing; 1 if one could not be asked."""
    parser = _parser("stacks", "Show the stacks of a running server's threads and tasks.")
    parser.add_argument("--worker", type=int, metavar="NUMBER", help="Of this worker only.")
    given = arguments.read(parser, words)
    with _server(given) as reader:
        now = reader.snapshot()
    failed = 0
    for worker in now.workers:
        if given.worker not in (None, worker.number):
            continue
        with contextlib.suppress(OSError):
            text = stacks_module.ask(worker.pid)
            call = f", {worker.call} for {duration(worker.running)}" if worker.running else ""
            print(
                f"== worker {worker.number}, process {worker.pid}, {worker.state}{call} ==\n{text or '(not there)'}\n"
            )
            failed |= not text
    return failed


# -- which server ------------------------------------------------------------------------------------------------


def _parser(name: str, words: str) -> Any:
    parser = arguments.parser(f"ssgi-gateway {name}", words)
    arguments.add_supervisor_options(parser)
    return parser


@contextlib.contextmanager
def _server(given: Namespace) -> Iterator[Reader]:
    """The table of the server that the options name, or of the only one there is.

    Raises:
        ConfigurationError: there is none, there are several, or it may not be read.
    """
    from ssgi_gateway.cli.reload import supervisor_of

    if given.pid is None and not given.pid_file and not os.environ.get("SSGI_PID_FILE"):
        found = find()
        if not found:
            raise ConfigurationError(
                "no server runs here that this user may look at; that of a service with another user or group: as root"
            )
        if len(found) > 1:
            raise ConfigurationError(f"several servers run here; give --pid, one of {_named(found)}")
        pid = found[0]
    else:
        pid = supervisor_of(given.pid, given.pid_file)
    path = table_of(pid)
    if not path:
        raise ConfigurationError(f"process {pid} is no server that this user may look at, or it runs with --no-metrics")
    try:
        with opened(path) as reader:
            yield reader
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _named(pids: list[int]) -> str:
    """Servers as a person knows them: ``4711 (shop:app), 4712 (board:app)``."""
    words = []
    for pid in pids:
        name = ""
        with contextlib.suppress(OSError, ValueError), opened(table_of(pid)) as reader:
            name = printable(reader.snapshot().text(layout.NAME_TEXT))
        words.append(f"{pid} ({name})" if name else str(pid))
    return ", ".join(words)


# -- the picture -------------------------------------------------------------------------------------------------


def render(
    now: Snapshot, before: Snapshot | None, seconds: float, rates: list[float], size: os.terminal_size, coloured: bool
) -> str:
    """One picture, of at most the terminal's lines and columns.

    Args:
        now: the table.
        before: the table ``seconds`` ago.
        seconds: between the two.
        rates: requests a second, the newest last, for the little chart.
        size: of the terminal.
        coloured: whether it may have colours.
    """
    lines = [*_head(now, before, seconds, coloured), "", *_chart(rates, size.columns, coloured)]
    lines += _workers(now, before, seconds, size.columns, coloured)
    if now.reload_state == "failed":
        lines += [
            "",
            _paint("31", "the last reload failed: " + _last_line(now.text(layout.LAST_WORDS))[:200], coloured),
        ]
    return "\n".join(lines[: size.lines - 1])


def _head(now: Snapshot, before: Snapshot | None, seconds: float, coloured: bool) -> list[str]:
    word = "stopping" if now.stopping else "ready" if now.ready else "not ready"
    state = _paint("32;1" if word == "ready" else "31;1", word, coloured)
    ready = sum(worker.state == "ready" for worker in now.workers)
    name, version = now.text(layout.NAME_TEXT), now.text(layout.VERSION_TEXT)
    first = f"{_paint('1', name, coloured)}  {state}  ssgi-gateway {version}, process {now.pid}, up {_age(now.started)}"
    workers = f"{ready} of {now.wanted} workers ready, generation {now.generation}, reloads {now.reloads['ok']}"
    if now.reloads["failed"]:
        workers += f" and {now.reloads['failed']} failed"
    total = sum(now.total[layout.REQUESTS : layout.BYTES_IN])
    if before is None:
        return [first, workers, f"{total} requests, {_errors(now)} errors, {_websockets(now)} WebSockets"]
    rate = _requests(now, before) / seconds
    buckets = [a - b for a, b in zip(now.all_durations()[0], before.all_durations()[0], strict=True)]
    half, most = (_quantile(buckets, share) for share in (0.5, 0.99))
    third = (
        f"{rate:,.0f} requests a second, half within {half}, 99 % within {most}; "
        f"{_errors(now) - _errors(before)} errors; {_websockets(now)} WebSockets"
    )
    return [first, workers, third]


def _chart(rates: list[float], columns: int, coloured: bool) -> list[str]:
    if not rates:
        return []
    shown = rates[-min(columns - 2, KEPT) :]
    highest = max(*shown, 1.0)
    bars = "".join(_BARS[min(8, round(rate / highest * 8))] for rate in shown)
    return [_paint("36", bars, coloured), ""]


def _workers(now: Snapshot, before: Snapshot | None, seconds: float, columns: int, coloured: bool) -> list[str]:
    fields = f"{'pid':>8} {'req/s':>8} {'busy':>5} {'ws':>6} {'memory':>8} {'cpu':>5} {'age':>7}  request"
    heading = f"{'':>3} {'state':9}{fields}"
    lines = [_paint("2", heading[:columns], coloured)]
    for worker in now.workers:
        process = now.process(worker)
        memory = "" if process.memory is None else f"{process.memory >> 20} MiB"
        rate, cpu = f"{worker.requests}", ""
        same = (it for it in (before.workers if before else ()) if (it.number, it.pid) == (worker.number, worker.pid))
        old = next(same, None)
        if before is not None and old is not None:
            rate = f"{(worker.requests - old.requests) / seconds:,.0f}"
            then = before.process(old).cpu
            if process.cpu is not None and then is not None:
                cpu = f"{100 * max(0.0, process.cpu - then) / seconds:.0f}%"
        call = f"{worker.call} ({duration(worker.running)})" if worker.running > 0.1 else worker.call
        state = _paint(_STATES.get(worker.state, "0"), f"{worker.state:9}", coloured)
        right = (
            f"{worker.pid:>8} {rate:>8} {worker.in_progress:>5} {worker.websockets:>6} {memory:>8} {cpu:>5} "
            f"{_span(worker.age):>7}  {printable(call)}"
        )
        lines.append(f"{worker.number:>3} {state}{right[: max(0, columns - 13)]}")
    return lines


def _last_line(text: str) -> str:
    """Of a traceback that is what was raised; the text may be empty, and cut."""
    return (text.rstrip().splitlines() or ["it gave no reason"])[-1]


def printable(text: str) -> str:
    """A call on one line of a terminal, whatever its request line was."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _requests(now: Snapshot, before: Snapshot) -> int:
    return sum(now.total[layout.REQUESTS : layout.BYTES_IN]) - sum(before.total[layout.REQUESTS : layout.BYTES_IN])


def _errors(now: Snapshot) -> int:
    return sum(now.requests(protocol, "5xx") for protocol in layout.PROTOCOLS)


def _websockets(now: Snapshot) -> int:
    return sum(worker.websockets for worker in now.workers)


def _quantile(buckets: list[int], share: float) -> str:
    """The bound of the bucket in which so many of the requests have been answered."""
    left = sum(buckets) * share
    if not left:
        return "-"
    for bound, count in zip(layout.BOUNDS, buckets, strict=False):
        left -= count
        if left <= 0:
            return duration(bound)
    return f"more than {duration(layout.BOUNDS[-1])}"


def _age(started: float) -> str:
    return _span(max(0.0, time.time() - started))


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _paint(colour: str, text: str, coloured: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if coloured else text


# -- the terminal ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _screen() -> Iterator[None]:
    """The terminal's other screen, and keys as they are pressed."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd) if sys.stdin.isatty() else None
    try:
        if before is not None:
            tty.setcbreak(fd)
        _show(ALTERNATE)
        yield
    except KeyboardInterrupt:
        pass
    finally:
        _show(BACK)
        if before is not None:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _pressed(seconds: float) -> str:
    """Wait so long, or until a key is pressed."""
    if not sys.stdin.isatty():
        time.sleep(seconds)
        return ""
    if select.select([sys.stdin], [], [], seconds)[0]:
        return os.read(sys.stdin.fileno(), 1).decode("latin-1") or "q"
    return ""


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
