"""Asks the portable and the compiled object the same, and demands the same answers.

An answer is what a call returned, or the error it raised. Events count as equal when all that can be seen of them is,
the order of the variables included. Errors count as equal when their class is and, for errors of the peer, the status
or close code and the words too: an operator reads them, whichever build runs. What this side did wrong (``ValueError``,
``LocalProtocolError``) need not be told in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from ssgi_gateway import engine
from ssgi_gateway.errors import RemoteProtocolError, RequestRejected, WebSocketError

__all__ = ["BUILDS", "Disagreement", "Each", "Pair", "Seen", "agree", "both", "outcome"]

BUILDS: Final = ("portable", "compiled")

_DETAIL: Final = re.compile(r"'.*'|[0-9]+")

Seen = Callable[[str, Any], Any]
"""Makes what was returned comparable; it is told of which build it is."""


class Disagreement(AssertionError):  # noqa: N818 - nobody erred yet
    """The two builds did not say the same; the message has the conversation so far."""


def both(module: str, name: str) -> tuple[Any, Any]:
    """What is called ``name`` in a hot module, of the portable and of the compiled build."""
    portable, compiled = (getattr(engine.module(module, build), name) for build in BUILDS)
    return portable, compiled


def outcome(call: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
    """What a call comes to, in a form that compares."""
    try:
        return ("returned", call(*arguments))
    except RequestRejected as error:
        return ("rejected", error.status, error.message, error.headers)
    except WebSocketError as error:
        return ("websocket error", error.code, error.reason)
    except RemoteProtocolError as error:
        return ("remote error", str(error))
    except Exception as error:
        return ("error", type(error).__name__)


def agree(answers: Iterable[Any], said: list[str]) -> Any:
    """The answer that both gave.

    Args:
        answers: the portable one and the compiled one.
        said: what led to them.

    Raises:
        Disagreement: they are not the same.
    """
    portable, compiled = answers
    if portable != compiled:
        conversation = "\n  ".join(said[-40:])
        raise Disagreement(f"\n  {conversation}\nportable: {_short(portable)}\ncompiled: {_short(compiled)}")
    return portable


def _short(answer: Any) -> str:
    text = repr(answer)
    return text if len(text) <= 3000 else f"{text[:2000]} ... {text[-900:]}"


def _gist(answer: tuple[Any, ...]) -> str:
    """What kind of answer it is."""
    kind, *rest = answer
    what = rest[0] if rest else ""
    if kind == "returned":
        return str(what[0]) if isinstance(what, tuple) and what else str(bool(what))
    return f"{kind} {_DETAIL.sub('', str(rest[-1]))}"


class Each(NamedTuple):
    """An argument of which either build has one of its own class."""

    portable: Any
    compiled: Any


class Pair:
    """Two objects of the same purpose.

    Args:
        portable: one of them.
        compiled: the other one.

    Attributes:
        traits: which kind of answer followed which: of two conversations with the same one is enough.
    """

    def __init__(self, portable: Any, compiled: Any) -> None:
        self._sides = (portable, compiled)
        self._said: list[str] = []
        self._last = ""
        self.traits: set[tuple[str, str]] = set()

    def ask(self, question: str, *arguments: Any, seen: Seen = lambda build, value: value) -> tuple[Any, ...]:
        """Call the method ``question`` of both.

        Args:
            question: its name.
            arguments: the same for both, or an ``Each``; unchanged by the call.
            seen: what is compared of the value that is returned.

        Returns:
            The ``outcome``.

        Raises:
            Disagreement: they did not answer the same.
        """
        self._said.append(f"{question}{arguments!r}"[:400])

        def answer(build: str, side: Any) -> Any:
            own = [getattr(it, build) if isinstance(it, Each) else it for it in arguments]
            return seen(build, getattr(side, question)(*own))

        answers = [outcome(answer, build, side) for build, side in zip(BUILDS, self._sides, strict=True)]
        agreed: tuple[Any, ...] = agree(answers, self._said)
        trait = f"{question} {_gist(agreed)}"
        self.traits.add((self._last, trait))
        self._last = trait
        return agreed

    def look(self, *attributes: str) -> None:
        """Compare attributes.

        Raises:
            Disagreement: they are not the same.
        """
        for name in attributes:
            agree([outcome(getattr, side, name) for side in self._sides], [*self._said, name])
