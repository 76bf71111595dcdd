"""The application's own metrics, where it uses prometheus_client: its multiprocess mode, with a file for each seat.

prometheus_client adds the numbers of several processes up from files in ``PROMETHEUS_MULTIPROC_DIR``, and names a file
by the process: every worker that was ever started leaves some, and reading them becomes slower and slower. Here a file
belongs to the number of a worker, so the next one with it goes on counting in the same file, and none is left. With
``prometheus_multiproc`` the directory is the supervisor's, in memory where the system has a file system for that;
without it, one that the environment names is used in the same way.

Nothing is imported for an application that does not import prometheus_client.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway import linux
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process import privileges

if TYPE_CHECKING:
    from ssgi_gateway.settings import Settings

__all__ = ["VARIABLE", "Directory", "sit_down"]

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
MODULE: Final = "prometheus_client.values"
"""The module that chooses where a metric keeps its value, when it is imported."""

_seat = 0


class Directory:
    """The supervisor's directory; it is removed at the end.

    Args:
        settings: ``prometheus_multiproc``, and the user who writes there.

    Raises:
        ConfigurationError: it cannot be made.
    """

    def __init__(self, settings: Settings) -> None:
        self.path = ""
        if settings.prometheus_multiproc and not os.environ.get(VARIABLE):
            import tempfile  # a supervisor that needs none of this stays small

            user, group = privileges.owner(settings)
            try:
                place = linux.SHARED_MEMORY if os.access(linux.SHARED_MEMORY, os.W_OK) else None
                self.path = tempfile.mkdtemp(prefix="ssgi-gateway-prometheus-", dir=place)
                if (user, group) != (-1, -1):  # systemd's units forbid the call, even where it changes nothing
                    os.chown(self.path, user, group)
            except OSError as error:
                raise ConfigurationError(f"--prometheus-multiproc: {error.filename}: {error.strerror}") from None
            os.environ[VARIABLE] = self.path

    def leave(self, seat: int) -> None:
        """A worker has ended: gauges of those who live are not for it any more (prometheus_client's ``live...``)."""
        folder = os.environ.get(VARIABLE)
        if folder:
            import glob

            for path in glob.glob(f"{glob.escape(folder)}/gauge_live*_{seat}.db"):
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def close(self) -> None:
        """Remove it."""
        if self.path:
            import shutil

            shutil.rmtree(self.path, ignore_errors=True)
            os.environ.pop(VARIABLE, None)
            self.path = ""


def sit_down(seat: int) -> None:
    """From now on this process counts for that seat; called before the application is imported, and after each fork."""
    global _seat
    _seat = seat
    if os.environ.get(VARIABLE) and not any(isinstance(it, _Finder) for it in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds one module, for which something is to be done when it is loaded."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _: ModuleType | None = None) -> Any:
        if name != MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_change(module: ModuleType) -> None:
                load(module)
                with contextlib.suppress(AttributeError):  # another version: files by process, as it has them
                    module.ValueClass = module.MultiProcessValue(lambda: _seat)  # type: ignore[attr-defined]

            spec.loader.exec_module = load_and_change  # type: ignore[method-assign]
        return spec
