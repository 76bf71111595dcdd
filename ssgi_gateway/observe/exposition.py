"""The table as Prometheus reads it (text format 0.0.4): names, help, and numbers.

Base units, ``_total`` for counters, ``worker`` is the seat's number. Series are there from the beginning, with 0, so
that a rate sees the first of each.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from typing import Final

from ssgi_gateway import __version__
from ssgi_gateway.observe import table as layout
from ssgi_gateway.observe.reading import Snapshot
from ssgi_gateway.observe.table import BOUNDS, CLASSES, LAG_BOUNDS, PROTOCOLS

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Samples = Iterable[tuple[str, float]]
"""Labels as they are written, and the value."""


def exposition(snapshot: Snapshot) -> str:
    """All metrics of a table."""
    total = snapshot.total
    parts = [
        _metric("build_info", "gauge", "Constant 1, labelled with versions.", [
            (_labels(version=snapshot.text(layout.VERSION_TEXT) or __version__, python=platform.python_version()), 1),
        ]),
        _metric("start_time_seconds", "gauge", "When the server was started, in seconds since the epoch.",
                [("", snapshot.started)]),
        _metric("workers", "gauge", "Workers by what they do.",
                [(_labels(state=s), sum(it.state == s for it in snapshot.workers)) for s in layout.STATES[1:]]),
        _metric("workers_wanted", "gauge", "Workers that there should be.", [("", snapshot.wanted)]),
        _metric("generation", "gauge", "Generation of the application: how often it was loaded.",
                [("", snapshot.generation)]),
        _metric("worker_exits_total", "counter", "Workers that have ended, by reason.",
                [(_labels(reason=reason), count) for reason, count in snapshot.exits.items()]),
        _metric("reloads_total", "counter", "Reloads by their result.",
                [(_labels(result=result), count) for result, count in snapshot.reloads.items()]),
        _metric("last_reload_success", "gauge", "1 unless the last reload failed.",
                [("", int(snapshot.reload_state != "failed"))]),
        _metric("requests_total", "counter", "Requests that were answered, by class of status; 499: the client left.", [
            (_labels(protocol=protocol, status=class_), snapshot.requests(protocol, class_))
            for protocol in PROTOCOLS for class_ in CLASSES
        ]),
        _metric("requests_in_progress", "gauge", "Requests that are being served.",
                [("", sum(worker.in_progress for worker in snapshot.workers))]),
        _histograms(snapshot),
        _metric("request_bytes_total", "counter", "Bytes of requests' bodies.", [("", total[layout.BYTES_IN])]),
        _metric("response_bytes_total", "counter", "Bytes of answers' bodies.", [("", total[layout.BYTES_OUT])]),
        _metric("connections", "gauge", "Open connections.", [
            (_labels(protocol=protocol), sum(worker.connections[protocol] for worker in snapshot.workers))
            for protocol in PROTOCOLS
        ]),
        _metric("connections_accepted_total", "counter", "Connections that were accepted.",
                _by_protocol(total, layout.ACCEPTED)),
        _metric("connections_refused_total", "counter", "Connections above --max-connections.",
                [("", total[layout.REFUSED])]),
        _metric("connections_handed_over_total", "counter", "Connections that were passed on to another worker.",
                [("", total[layout.HANDED_OVER])]),
        _metric("websockets", "gauge", "Open WebSockets.", [("", sum(w.websockets for w in snapshot.workers))]),
        _metric("websocket_messages_total", "counter", "WebSocket messages.", [
            (_labels(direction="in"), total[layout.MESSAGES_IN]),
            (_labels(direction="out"), total[layout.MESSAGES_OUT]),
        ]),
        _metric("websocket_closes_total", "counter", "WebSockets that have ended, by close code.", [
            (_labels(code=str(code)), total[layout.CLOSES + index])
            for index, code in enumerate((*layout.CLOSE_CODES, "other"))
        ]),
        _lag(total),
        _metric("slow_requests_total", "counter", "Requests that took longer than --slow-request.",
                [("", total[layout.SLOW])]),
        _metric("stuck_requests_total", "counter", "Requests that took longer than --request-timeout, by their end.", [
            (_labels(outcome=outcome), total[layout.STUCK + index])
            for index, outcome in enumerate(("cancelled", "interrupted", "killed"))
        ]),
        _metric("protocol_errors_total", "counter", "What peers did against the rules of their protocol.",
                _by_protocol(total, layout.PROTOCOL_ERRORS)),
        _metric("log_lines_dropped_total", "counter", "Log lines that nobody took in time.",
                [("", total[layout.DROPPED_LINES])]),
        _processes(snapshot),
    ]  # fmt: skip
    return "".join(parts)


def _labels(**labels: str) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inside}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return repr(float(value)) if isinstance(value, float) and not value.is_integer() else str(int(value))


def _metric(name: str, kind: str, words: str, samples: Samples) -> str:
    name = f"ssgi_{name}"
    lines = "".join(f"{name}{labels} {_number(value)}\n" for labels, value in samples)
    return f"# HELP {name} {words}\n# TYPE {name} {kind}\n{lines}" if lines else ""


def _by_protocol(total: list[int], start: int) -> Samples:
    return [(_labels(protocol=protocol), total[start + index]) for index, protocol in enumerate(PROTOCOLS)]


def _histograms(snapshot: Snapshot) -> str:
    name = "ssgi_request_duration_seconds"
    lines = [f"# HELP {name} From the head's arrival to the last write.\n# TYPE {name} histogram\n"]
    for protocol in PROTOCOLS:
        buckets, seconds = snapshot.durations(protocol)
        lines.append(_histogram(name, f'protocol="{protocol}",', BOUNDS, buckets, seconds))
    return "".join(lines)


def _histogram(name: str, label: str, bounds: tuple[float, ...], buckets: list[int], seconds: float) -> str:
    lines = []
    count = 0
    for bound, more in zip((*map(str, bounds), "+Inf"), buckets, strict=True):
        count += more
        lines.append(f'{name}_bucket{{{label}le="{bound}"}} {count}\n')
    inside = f"{{{label.rstrip(',')}}}" if label else ""
    lines.append(f"{name}_sum{inside} {seconds!r}\n{name}_count{inside} {count}\n")
    return "".join(lines)


def _lag(total: list[int]) -> str:
    name = "ssgi_loop_lag_seconds"
    count = len(LAG_BOUNDS) + 1
    buckets = total[layout.LAG : layout.LAG + count]
    head = f"# HELP {name} By how much the event loop was late, twice a second.\n# TYPE {name} histogram\n"
    return head + _histogram(name, "", LAG_BOUNDS, buckets, total[layout.LAG + count] / 1e9)


def _processes(snapshot: Snapshot) -> str:
    """What the kernel knows; left out where it may not be asked."""
    memory, cpu, files = [], [], []
    for worker in snapshot.workers:
        labels = _labels(worker=str(worker.number))
        process = snapshot.process(worker)
        if process.memory is not None:
            memory.append((labels, process.memory))
        if process.cpu is not None:
            cpu.append((labels, process.cpu))
        if process.files is not None:
            files.append((labels, process.files))
    return (
        _metric("worker_resident_memory_bytes", "gauge", "Resident memory.", memory)
        + _metric("worker_cpu_seconds_total", "counter", "CPU time of the worker that sits there now.", cpu)
        + _metric("worker_open_fds", "gauge", "Open descriptors.", files)
    )
