"""What watches a server: its seat in the shared table, and the observers of its settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ssgi_gateway import engine
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe import samples
from ssgi_gateway.observe.sink import Sink
from ssgi_gateway.observe.table import BUILD_TEXT, Seat, Table, own_table

from ..observe.access_log import FIELDS, AccessLog
from ..observe.hooks import HookObserver
from ..observe.observer import Observer, together
from ..observe.recorder import Recorder
from ..observe.request_lines import RequestLines
from .reactor import SWEEP

if TYPE_CHECKING:
    from ssgi_gateway.adapters.application import Application
    from ssgi_gateway.server.control import Control
    from ssgi_gateway.settings import Settings

    from .listeners import Listener

__all__ = ["describe", "load_hooks", "observer_of", "own_seat"]


def own_seat(settings: Settings, control: Control) -> Seat | None:
    """Where this process writes down what it does: at the supervisor's table, or at one of its own."""
    if control.seat is not None or control.shared or not settings.metrics:
        return control.seat
    table = own_table(settings.app)
    os.close(table.fd)  # The map has a descriptor of its own, by which readers find the table; it ends with the server.
    return table.seat(1)


def describe(table: Table, listeners: Sequence[Listener], settings: Settings) -> None:
    """Write down what this server is and where it listens; where there is a supervisor, that does it."""
    words = (engine.describe(settings.codec), engine.event_loop())
    table.set_text(BUILD_TEXT, " ".join(it.partition(" (")[0] for it in words))
    table.set_listeners((it.protocol, str(it.address), it.socket.fileno()) for it in listeners)


def observer_of(
    settings: Settings, seat: Seat | None, hooks: HookObserver | None, control: Control, application: Application
) -> Observer | None:
    """All that watch this server, as one observer; ``None`` where none does.

    Raises:
        ConfigurationError: a log cannot be opened.
    """
    found: list[Observer] = [*control.observers]
    if seat is not None:
        samplers: list[Callable[[Any], object]] = [samples.ProcessSampler(), samples.server_log]
        if (load := application.thread_load()) is not None:
            samplers.append(samples.threads(load))
        found.append(Recorder(seat, SWEEP, samplers))
    if settings.access_log:
        style, fields = settings.access_log_format, settings.access_log_fields
        check_fields(fields)
        control.sink = sink = Sink(settings.access_log, "--access-log", control.log)
        found.append(AccessLog(sink, style, fields, seat, 0 if seat is None else seat.number))
    elif settings.development:
        found.append(RequestLines())
    if hooks is not None and hooks.watches:
        found.append(hooks)
    return together(found)


def load_hooks(settings: Settings) -> HookObserver | None:
    """The observer that calls what the setting ``hooks`` names.

    Raises:
        ConfigurationError: it cannot be loaded.
    """
    if not settings.hooks:
        return None
    from ssgi_gateway.adapters import loading

    loaded = loading.load(settings.hooks, pythonpath=settings.pythonpath)
    return HookObserver(loaded() if isinstance(loaded, type) else loaded)


def check_fields(fields: tuple[str, ...]) -> None:
    """Whether an access log can have these fields.

    Raises:
        ConfigurationError: one is none.
    """
    for name in fields:
        if name not in FIELDS:
            raise ConfigurationError(f"--access-log-fields: there is no {name!r}; there is {', '.join(FIELDS)}")
