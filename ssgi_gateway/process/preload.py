"""Whether an application may be imported before the fork: a thread that its import starts is in no worker.

Threads do not survive a fork, and the locks that they hold do. It is mostly a library
that starts one, and not the application itself, so the message names the module.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from ssgi_gateway import linux
from ssgi_gateway.errors import ConfigurationError

__all__ = ["Threads"]


class Threads:
    """Watches imports for threads that they start; a context manager."""

    def __init__(self) -> None:
        self._import: Callable[..., Any] = builtins.__import__
        self._count = linux.count_threads()
        self._modules: list[str] = []  # whose import has started some, the innermost of each

    def __enter__(self) -> Threads:
        builtins.__import__ = self._watched  # type: ignore[assignment]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        builtins.__import__ = self._import

    def _watched(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> Any:
        known = len(sys.modules)
        found = self._import(name, globals, locals, fromlist, level)
        if len(sys.modules) != known and (count := linux.count_threads()) > self._count:
            self._count = count
            package = (globals or {}).get("__package__") or ""
            whole = f"{package}.{name}".rstrip(".") if level else name
            parts = [f"{whole}.{part}" for part in fromlist or () if f"{whole}.{part}" in sys.modules]
            self._modules.append(" or ".join(parts) or whole)
        return found

    def refuse(self) -> None:
        """See whether there are any now.

        Raises:
            ConfigurationError: there are.
        """
        count = linux.count_threads() - 1
        if not count:
            return
        import threading

        names = [f"{it.name} ({getattr(it, '_target', None) or type(it).__name__})" for it in threading.enumerate()[1:]]
        by = f", by the import of {', '.join(self._modules)}" if self._modules else ""
        raise ConfigurationError(
            f"--preload: the application started {count} thread{'s' if count > 1 else ''} while it was imported: "
            f"{', '.join(names) or 'of a library in C'}{by}; no worker would have them. Start them in the "
            "application's startup, or do without --preload"
        )
