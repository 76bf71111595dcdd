"""Writes ssgi_gateway/hot.ld: which compiled functions run in every request, for the linker to lay them side by side.

    .venv/bin/python scripts/hot_functions.py        (valgrind has to be installed; about four minutes)

The library has more than 4,000 functions, and a request runs through some 200 of them. Scattered over five megabytes,
those of an ASGI request over FastCGI touched 126 pages of memory; side by side they touch 54, and a CPU has few of them
at hand. What it saves is in ARCHITECTURE.md. A function that is missing in the list, or is there and no longer exists,
costs nothing else.

Real requests are counted by callgrind: a function with an instruction that is executed at least once more for each
more request is one of them.
"""

from __future__ import annotations

import bisect
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "ssgi_gateway" / "hot.ld"
REQUESTS = 400
GATEWAY = (sys.executable, "-m", "ssgi_gateway")

Work = tuple[str, str, str, tuple[str, ...], tuple[str, ...]]
WORKS: tuple[Work, ...] = (  # application, its interface, listener, options of `serve`, options of `call`
    ("on_asgi:hello", "asgi", "fastcgi", (), ()),
    ("on_asgi:hello", "asgi", "http", (), ()),
    ("on_ssgi:hello", "ssgi", "fastcgi", (), ()),
    ("on_ssgi:hello", "ssgi", "scgi", (), ()),
    ("on_ssgi:hello", "ssgi", "http", (), ()),
    ("on_rsgi:hello", "rsgi", "fastcgi", (), ()),
    ("on_wsgi:hello", "wsgi", "fastcgi", ("--threads", "2"), ()),
    ("on_wsgi:hello", "wsgi", "scgi", ("--threads", "0"), ()),
    ("on_asgi:upload", "asgi", "fastcgi", (), ("-d", "name=value")),
    ("on_ssgi:echo", "ssgi", "websocket", (), ("--ws",)),
    ("on_asgi:echo", "asgi", "websocket", (), ("--ws",)),
)
"""What is run; the programs are the benchmark's."""

SCRIPT = """\
/* Written by scripts/hot_functions.py: what runs in every request, for the linker to lay side by side. setup.py passes
   it to linkers that know what to do with it; others go without. */
SECTIONS
{
  .text.hot_functions :
  {
%s
  }
}
INSERT AFTER .text;
"""


def main() -> None:
    """Run all of it and write the list."""
    build(())  # valgrind takes what is in a section of its own for nobody's
    [library] = ROOT.glob(f"ssgi_gateway/_compiled/modules.{sys.implementation.cache_tag}-*.so")
    functions = Functions(library)
    used: list[Counter[tuple[str, str]]] = []
    for work in WORKS:
        used.append(functions.executed(trace(*work, REQUESTS), trace(*work, 1), library.name))
        print(*work[:3], *work[4][:1], len(used[-1]), "functions", flush=True)
    # Those that the same works run lie together, and those of the first works come first.
    found = set().union(*used)
    order = sorted(found, key=lambda function: [-(function in counts) for counts in used] + [-total(used, function)])
    build(order)
    print(len(order), "in", TARGET.relative_to(ROOT))


def build(order: Iterable[tuple[str, str]]) -> None:
    """Write the list, functions by unit and name, and build the library by it."""
    TARGET.write_text(SCRIPT % "\n".join(f"    *{unit}.o(.text.{name})" for unit, name in order))
    subprocess.run((sys.executable, "setup.py", "-q", "build_ext", "--inplace"), cwd=ROOT, check=True)


def total(used: list[Counter[tuple[str, str]]], function: tuple[str, str]) -> int:
    """Instructions of a function in all works."""
    return sum(counts[function] for counts in used)


def trace(
    app: str, interface: str, listener: str, options: tuple[str, ...], call: tuple[str, ...], requests: int
) -> str:
    """What callgrind has counted while a server answered so many requests, or messages of one WebSocket."""
    with tempfile.TemporaryDirectory() as folder:
        socket, counts = Path(folder, "socket"), Path(folder, "counts")
        server = subprocess.Popen(
            ("valgrind", "--tool=callgrind", "--dump-instr=yes", f"--callgrind-out-file={counts}",
             *GATEWAY, "serve", app, "--interface", interface, f"--{listener}", f"unix:{socket}", "--workers", "0",
             "--codec", "compiled", "--chdir", str(ROOT / "benchmarks" / "apps"), *options),
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )  # fmt: skip
        try:
            while not socket.exists():
                if server.poll() is not None:
                    raise SystemExit(f"{app} did not start: {server.returncode}")
                time.sleep(0.1)
            if listener == "http":
                where = ("http://localhost/", "--unix-socket", str(socket))
            else:
                where = (f"--{listener}", f"unix:{socket}", "/")
            if "--ws" in call:
                command, messages = (*GATEWAY, "call", *where, *call), "x" * 32 + "\n"
            else:
                command, messages = (*GATEWAY, "call", *where, *call, "--keep", str(requests)), ""
            subprocess.run(
                command, input=messages * requests, text=True, cwd=ROOT, check=True, stdout=subprocess.DEVNULL
            )
        finally:
            server.terminate()
            server.wait()
        return counts.read_text()


class Functions:
    """Where the functions of the library lie.

    Args:
        library: with its symbols, as ``make build`` leaves it.
    """

    def __init__(self, library: Path) -> None:
        listing = subprocess.run(("readelf", "-sW", library), check=True, capture_output=True, text=True).stdout
        unit = ""
        found = []
        for line in listing.splitlines():
            fields = line.split()
            if len(fields) < 8:
                continue
            _, value, size, kind, _, _, _, name = fields[:8]
            if kind == "FILE":  # those of its symbols that no other file sees follow
                unit = name.removesuffix(".c")
            elif kind == "FUNC" and not name.endswith(".cold"):
                found.append((int(value, 16), int(size, 0), unit, name))
        self._found = sorted(found)
        self._starts = [start for start, *_ in self._found]

    def executed(self, counts: str, before: str, library: str) -> Counter[tuple[str, str]]:
        """Functions by unit and name, with how many of their instructions were executed for requests.

        Args:
            counts: callgrind's, of ``REQUESTS`` requests.
            before: the same of one, which has what is executed at the start.
            library: the name of the library's file.
        """
        executed: Counter[tuple[str, str]] = Counter()
        often = set()
        first = addresses(before, library)
        for address, times in addresses(counts, library).items():
            index = bisect.bisect(self._starts, address) - 1
            start, size, unit, name = self._found[index]
            times -= first[address]
            if index >= 0 and address < start + size and name.startswith(("__pyx_", "__Pyx_")):
                executed[unit, name] += times
                if times >= REQUESTS - 1:
                    often.add((unit, name))
        return Counter({function: executed[function] for function in often})


def addresses(counts: str, library: str) -> Counter[int]:
    """Addresses of instructions of a library, and how often each was executed (valgrind's "Callgrind Format")."""
    found: Counter[int] = Counter()
    files: dict[str, str] = {}
    inside = False
    address = 0
    of_call = False
    for line in counts.splitlines():
        if match := re.match(r"(c?)ob=(\(\d+\))\s*(.*)", line):
            called, number, name = match.groups()
            if name:
                files[number] = name
            if not called:
                inside = files[number].endswith(library)
        elif line.startswith("calls="):
            of_call = True  # the next line's cost is that of what was called
        elif line and (line[0].isdigit() or line[0] in "+-*"):
            position, _, cost = line.split()[:3]
            if position[0] == "+":
                address += int(position[1:], 0)
            elif position[0] == "-":
                address -= int(position[1:], 0)
            elif position != "*":
                address = int(position, 0)
            if inside and not of_call:
                found[address] += int(cost)
            of_call = False
    return found


if __name__ == "__main__":
    main()
