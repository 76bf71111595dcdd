"""Every setting of a Swill application, documented once.

They are keyword arguments of ``Swill``; a value in its configuration (``app.config["swill.max_requests"]``) has
precedence. What belongs to the connection itself (message size, pings, compression, how long a peer may take nothing)
is the gateway's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["RpcSettings"]


def setting(default: Any, help: str, minimum: float | None = None) -> Any:
    """One setting; ``minimum`` is the smallest number allowed."""
    return field(default=default, metadata={"help": help, "minimum": minimum})


@dataclass(frozen=True, slots=True)
class RpcSettings:
    """Bounds and switches."""

    debug: bool = setting(
        False, "Development: tracebacks in errors, results checked as a client would decode them, the page `/_swill/`."
    )
    introspection: bool = setting(True, "Whether `swill.introspect` and `swill.schema` exist.")
    max_requests: int = setting(256, "Open requests of one connection; a further one is answered with 429.", 1)
    max_queue: int = setting(
        64,
        "Items of a streaming request that its handler has not taken; then reading stops, for the whole connection.",
        1,
    )
    max_queue_bytes: int = setting(1048576, "The same in bytes.", 1)
    max_timeout: float | None = setting(
        None, "Seconds any request may take; a longer deadline of a client is cut.", 0.001
    )
    max_subscriptions: int = setting(100, "Subscriptions of one connection; a further one is answered with 429.", 1)
    max_bad_frames: int = setting(16, "Frames that are none; so many end the connection with 1008.", 1)
    max_session_connections: int = setting(
        100, "Connections of one session in one worker; a further one is closed with 1013.", 1
    )
    max_body: int = setting(1048576, "Bytes of a call's body over HTTP; a larger one is answered with 413.", 1)
    max_message: int = setting(
        1048576, "What `swill.hello` names as the largest message; it is the gateway's setting that decides.", 1
    )
    threads: int = setting(8, "Threads that run procedures written with `def`.", 1)
    thread_queue: int = setting(64, "Requests that may wait for a thread; further ones are answered with 503.", 0)
    closing_timeout: float = setting(
        30.0,
        "Seconds that cancelled handlers of a lost connection have before `after_connection` runs without them.",
        0.01,
    )
    origins: tuple[str, ...] | None = setting(
        None,
        "Origins that may connect, as `https://host[:port]`; others get 403. `same` stands for the request's own host. "
        "Not given: any, and with sessions `same`, as a cookie would let any site's page call.",
    )

    def __post_init__(self) -> None:
        for entry in fields(self):
            value, minimum = getattr(self, entry.name), entry.metadata["minimum"]
            if minimum is None or value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or value < minimum:
                raise ValueError(f"{entry.name} is a number, at least {minimum}; not {value!r}")
        origins = self.origins
        if origins is not None:
            object.__setattr__(self, "origins", (origins,) if isinstance(origins, str) else tuple(origins))

    @classmethod
    def of(cls, given: Mapping[str, Any], config: Mapping[str, Any]) -> RpcSettings:
        """From keyword arguments and the ``swill`` section of a configuration.

        Raises:
            TypeError: there is no setting of that name.
            ValueError: a value is out of its bounds.
        """
        known = {entry.name for entry in fields(cls)}
        unknown = set(given) - known
        if unknown:
            raise TypeError(f"Swill has no setting {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
        return cls(**{**given, **{name: value for name, value in config.items() if name in known}})
