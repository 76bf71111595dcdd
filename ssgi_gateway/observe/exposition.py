"""The table as Prometheus reads it (text format 0.0.4): names, help, and numbers.

Base units, ``_total`` for counters, ``worker`` is the seat's number. Series are there from the beginning, with 0, so
that a rate sees the first of each. Most of the text is the same each time: it is made once, with a place for each
number, and a scrape fills these in.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Final

from ssgi_gateway import __version__
from ssgi_gateway.observe import table as layout
from ssgi_gateway.observe.snapshot import Snapshot
from ssgi_gateway.observe.table import BOUNDS, CLASSES, LAG_BOUNDS, LOGS, PROTOCOLS

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Values = Callable[[Snapshot], Sequence[float]]


def exposition(snapshot: Snapshot) -> str:
    """All metrics of a table."""
    numbers: list[float] = []
    for values in _VALUES:
        numbers.extend(values(snapshot))
    return "".join((_TEXT % tuple(numbers), _build(snapshot), _listeners(snapshot), _processes(snapshot)))


# -- text that is made once ----------------------------------------------------------------------------------------


def _labels(**labels: str) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inside}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _head(name: str, kind: str, words: str) -> str:
    return f"# HELP ssgi_{name} {words}\n# TYPE ssgi_{name} {kind}\n"


def _metric(name: str, kind: str, words: str, samples: Iterable[tuple[str, object]]) -> str:
    lines = "".join(f"ssgi_{name}{labels} {value}\n" for labels, value in samples)
    return f"{_head(name, kind, words)}{lines}" if lines else ""


_texts: Final[list[str]] = []
_VALUES: Final[list[Values]] = []
"""What fills in the places of ``_TEXT``, in its order."""


def _add(name: str, kind: str, words: str, labels: Iterable[str], values: Values) -> None:
    _texts.append(_metric(name, kind, words, ((label, "%s") for label in labels)))
    _VALUES.append(values)


def _gauge(name: str, words: str, value: Callable[[Snapshot], float]) -> None:
    _add(name, "gauge", words, ("",), lambda it: (value(it),))


def _counters(name: str, words: str, start: int, labels: Sequence[str] = ("",)) -> None:
    """Counters that lie one after the other in a seat."""
    end = start + len(labels)
    _add(name, "counter", words, labels, lambda it: it.total[start:end])


def _histogram(name: str, words: str, start: int, bounds: tuple[float, ...], labels: Sequence[str] = ("",)) -> None:
    """Histograms that lie one after the other in a seat."""
    count = len(bounds) + 1
    lines = [_head(name, "histogram", words)]
    for label in labels:
        inside = f"{label[1:-1]}," if label else ""
        lines += [f'ssgi_{name}_bucket{{{inside}le="{bound}"}} %s\n' for bound in (*bounds, "+Inf")]
        lines.append(f"ssgi_{name}_sum{label} %s\nssgi_{name}_count{label} %s\n")
    _texts.append("".join(lines))

    def values(snapshot: Snapshot) -> list[float]:
        numbers: list[float] = []
        for index in range(len(labels)):
            at = start + index * (count + 1)
            numbers += accumulate(snapshot.total[at : at + count])
            numbers += (snapshot.total[at + count] / 1e9, numbers[-1])
        return numbers

    _VALUES.append(values)


_BY_PROTOCOL: Final = [_labels(protocol=name) for name in PROTOCOLS]

_gauge("start_time_seconds", "When the server was started, in seconds since the epoch.", lambda it: it.started)
_add(
    "workers",
    "gauge",
    "Workers by what they do.",
    [_labels(state=it) for it in layout.STATES[1:]],
    lambda it: [[worker.state for worker in it.workers].count(state) for state in layout.STATES[1:]],
)
_gauge("workers_wanted", "Workers that there should be.", lambda it: it.wanted)
_gauge("generation", "Generation of the application: how often it was loaded.", lambda it: it.generation)
_add(
    "worker_exits_total",
    "counter",
    "Workers that have ended, by reason.",
    [_labels(reason=it) for it in layout.EXITS],
    lambda it: list(it.exits.values()),
)
_add(
    "reloads_total",
    "counter",
    "Reloads by their result.",
    [_labels(result=it) for it in ("ok", "failed")],
    lambda it: list(it.reloads.values()),
)
_gauge("last_reload_success", "1 unless the last reload failed.", lambda it: int(it.reload_state != "failed"))
_counters(
    "requests_total",
    "Requests that were answered, by class of status; 499: the client disconnected.",
    layout.REQUESTS,
    [_labels(protocol=protocol, status=class_) for protocol in PROTOCOLS for class_ in CLASSES],
)
_add(
    "requests_in_progress",
    "gauge",
    "Requests that are being served.",
    _BY_PROTOCOL,
    lambda it: it.gauges(layout.IN_PROGRESS, len(PROTOCOLS)),
)
_histogram(
    "request_duration_seconds", "From the head's arrival to the last write.", layout.DURATIONS, BOUNDS, _BY_PROTOCOL
)
_counters("request_bytes_total", "Bytes of requests' bodies.", layout.BYTES_IN)
_counters("response_bytes_total", "Bytes of answers' bodies.", layout.BYTES_OUT)
_add(
    "connections", "gauge", "Open connections.", _BY_PROTOCOL, lambda it: it.gauges(layout.CONNECTIONS, len(PROTOCOLS))
)
_counters("connections_accepted_total", "Connections that were accepted.", layout.ACCEPTED, _BY_PROTOCOL)
_counters("connections_refused_total", "Connections above --max-connections.", layout.REFUSED)
_counters("connections_handed_over_total", "Connections that were passed on to another worker.", layout.HANDED_OVER)
_gauge("websockets", "Open WebSockets.", lambda it: it.gauge(layout.WEBSOCKETS))
_counters(
    "websocket_messages_total",
    "WebSocket messages.",
    layout.MESSAGES_IN,
    [_labels(direction=it) for it in ("in", "out")],
)
_counters(
    "websocket_closes_total",
    "WebSockets that have ended, by close code.",
    layout.CLOSES,
    [_labels(code=str(code)) for code in (*layout.CLOSE_CODES, "other")],
)
_gauge("wsgi_queue", "Requests that wait for a thread of a WSGI application.", lambda it: it.gauge(layout.QUEUE))
_gauge("wsgi_threads_busy", "Threads at work for a WSGI application.", lambda it: it.gauge(layout.THREADS_BUSY))
_gauge("wsgi_threads", "Threads there are for a WSGI application.", lambda it: it.gauge(layout.THREADS))
_histogram("loop_lag_seconds", "By how much the event loop was late, twice a second.", layout.LAG, LAG_BOUNDS)
_counters("slow_requests_total", "Requests that took longer than --slow-request.", layout.SLOW)
_counters(
    "stuck_requests_total",
    "Requests that took longer than --request-timeout, by their end.",
    layout.STUCK,
    [_labels(outcome=it) for it in ("cancelled", "interrupted", "killed")],
)
_counters("application_errors_total", "What applications raised, or left without an answer.", layout.APPLICATION_ERRORS)
_counters(
    "protocol_errors_total", "What peers did against the rules of their protocol.", layout.PROTOCOL_ERRORS, _BY_PROTOCOL
)
_counters(
    "log_lines_dropped_total",
    "Log lines that were dropped because they were not read in time.",
    layout.DROPPED_LINES,
    [_labels(log=it) for it in LOGS],
)

_TEXT: Final = "".join(_texts)


# -- what has other labels each time -------------------------------------------------------------------------------


def _build(snapshot: Snapshot) -> str:
    codecs, _, loop = snapshot.text(layout.BUILD_TEXT).partition(" ")
    version = snapshot.text(layout.VERSION_TEXT) or __version__
    labels = _labels(version=version, python=platform.python_version(), codecs=codecs, loop=loop)
    return _metric("build_info", "gauge", "Constant 1, labelled with versions.", [(labels, 1)])


def _listeners(snapshot: Snapshot) -> str:
    """What the kernel knows of the listeners; left out where it does not."""
    queues = [(_labels(listener=it.name), it.waiting, it.limit) for it in snapshot.listeners()]
    return _metric(
        "listen_queue", "gauge", "Connections that wait to be accepted.", [(labels, n) for labels, n, _ in queues]
    ) + _metric(
        "listen_queue_limit", "gauge", "How many may wait before more are refused or have to try again.",
        [(labels, limit) for labels, _, limit in queues],
    )  # fmt: skip


def _processes(snapshot: Snapshot) -> str:
    """What each worker costs; left out where it is not known."""
    costs = [(f'{{worker="{worker.number}"}}', snapshot.cost(worker)) for worker in snapshot.workers]
    return (
        _metric("worker_resident_memory_bytes", "gauge", "Resident memory.",
                [(labels, it.memory) for labels, it in costs if it.memory is not None])
        + _metric("worker_cpu_seconds_total", "counter", "CPU time of the workers that have had this number.",
                  [(labels, it.cpu) for labels, it in costs if it.cpu is not None])
        + _metric("worker_open_fds", "gauge", "Open descriptors.",
                  [(labels, it.files) for labels, it in costs if it.files is not None])
    )  # fmt: skip
