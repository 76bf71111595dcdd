"""The request's headers as an application reads them: one at a time, and the mapping only when it is read.

SSGI 1.0, ``get_header``: case-insensitive names, latin-1 values, repeated headers joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..wire.variables import Variables


class Headers(Mapping[str, str]):
    """All headers, read-only, lower-case names; look-ups take any case."""

    __slots__ = ("_values",)

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values = dict(pairs)

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def get_all(self, name: str) -> list[str]:
        """Every value of ``name``; web servers join repeated headers, so mostly one or none."""
        value = self._values.get(name.lower())
        return [] if value is None else [value]

    def __repr__(self) -> str:
        return f"Headers({self._values!r})"


class GetHeader:
    """The ``get_header`` of one request."""

    __slots__ = ("_all", "_expired", "_variables")

    def __init__(self, variables: Variables) -> None:
        self._variables = variables
        self._all: Headers | None = None
        self._expired = False

    def __call__(self, name: str | None = None) -> str | Headers | None:
        """``get_header("Host")`` is a value or ``None``; ``get_header()`` is the read-only mapping of all.

        Raises:
            RuntimeError: in strict mode, after the lifetime that SSGI promises has ended.
        """
        if self._expired:
            raise RuntimeError(
                "headers were read after the application's call had returned without run_async; SSGI promises them "
                "only until then (strict mode)"
            )
        if name is not None:
            return self._variables.header(name)
        if self._all is None:
            self._all = Headers(self._variables.headers())
        return self._all

    def expire(self) -> None:
        """Strict mode: the promised lifetime is over."""
        self._expired = True
