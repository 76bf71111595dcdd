"""Which interface an application has, judged by its shape.

::

    __rsgi__                       RSGI, before __call__: such an object may be callable as something else, too
    3 positional arguments         ASGI    (scope, receive, send)
    8                              SSGI    (type, server_address, ..., res)
    2, async                       RSGI    (scope, protocol)
    2, not async                   WSGI    (environ, start_response)

The names of the arguments decide where they are the usual ones, their number where it leaves one possibility;
optional arguments and ``*args`` leave several, and then the answer is "cannot tell". Frameworks with
``get_supported`` name it themselves and never come here. Nothing is called.
"""

from __future__ import annotations

import functools
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import inspect

__all__ = ["accepts", "describe", "is_async", "recognise", "shown"]

_NAMES: Final = {
    ("scope", "receive", "send"): "asgi",
    ("environ", "start_response"): "wsgi",
    ("env", "start_response"): "wsgi",
    ("scope", "protocol"): "rsgi",
    ("scope", "proto"): "rsgi",
    ("type", "server_address", "remote_address", "method", "path", "query_string", "get_header", "res"): "ssgi",
}

CO_VARARGS: Final = 0x04  # as in ``inspect``, which is slow to import
CO_VARKEYWORDS: Final = 0x08
CO_COROUTINE: Final = 0x80

_COUNTS: Final = (2, 3, 8)
"""How many arguments the interfaces pass."""


def recognise(app: Any) -> str | None:
    """The name of the interface that ``app`` has, or ``None`` where its shape does not show it."""
    return _usual(app) or _from_signature(app)


def _usual(app: Any) -> str | None:
    """Of a function with exactly the usual arguments."""
    if not _is_plain(app) or app.__defaults__:
        return None
    code = app.__code__
    return _NAMES.get(code.co_varnames[: code.co_argcount])


def _is_plain(app: Any) -> bool:
    """Whether it is a function of Python that nothing is hidden behind and that takes a fixed number of arguments.

    ``inspect`` would have the same result at a cost in every worker: 300 pages of memory of its own.
    """
    if type(app) is not FunctionType or app.__dict__:
        return False
    code = app.__code__
    return not code.co_kwonlyargcount and not code.co_flags & (CO_VARARGS | CO_VARKEYWORDS)


def _from_signature(app: Any) -> str | None:
    import inspect

    if not inspect.isclass(app) and hasattr(app, "__rsgi__"):
        return "rsgi"
    signature = _signature(app)
    if signature is None:
        return None
    parameters = list(signature.parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = tuple(p.name for p in parameters if p.kind in positional)
    for count in _COUNTS:
        if names[:count] in _NAMES and accepts(app, count):
            return _NAMES[names[:count]]
    fitting = [count for count in _COUNTS if accepts(app, count)]
    if len(fitting) != 1:
        return None
    if fitting == [2]:
        return "rsgi" if is_async(app) else "wsgi"
    return "asgi" if fitting == [3] else "ssgi"


def accepts(app: Any, count: int) -> bool:
    """Whether ``app`` can be called with ``count`` positional arguments; ``True`` where that cannot be known."""
    if _is_plain(app):
        code = app.__code__
        return bool(code.co_argcount - len(app.__defaults__ or ()) <= count <= code.co_argcount)
    signature = _signature(app)
    if signature is None:
        return callable(app)
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def is_async(app: Any) -> bool:
    """Whether calling ``app`` gives a coroutine: ``async def``, a partial of one, or an async ``__call__``."""
    if app is None or isinstance(app, type):
        return False  # calling a class makes an instance, whatever its instances do
    if _is_plain(app):
        return bool(app.__code__.co_flags & CO_COROUTINE)
    while isinstance(app, functools.partial):
        app = app.func
    if getattr(app, "_is_coroutine", None) is not None:
        return True  # compiled by Cython, whose functions inspect does not know
    import inspect

    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, "__call__", None))  # noqa: B004


def describe(app: Any) -> str:
    """``app`` in a few words, for a message: what it is, its name, its arguments."""
    import inspect

    kind = "class" if inspect.isclass(app) else "function" if inspect.isroutine(app) else type(app).__name__
    name = getattr(app, "__qualname__", "")
    signature = _signature(app)
    if signature is None:
        return f"{kind} {name}".rstrip()
    return f"{kind} {name}{signature}" if name else f"{kind} called as {signature}"


def _signature(app: Any) -> inspect.Signature | None:
    """The arguments of a call to ``app``; ``None`` for what is not callable or hides them (callables of C)."""
    if not callable(app):
        return None
    import inspect

    try:
        return inspect.signature(app)
    except (TypeError, ValueError):
        return None


def shown(value: Any) -> str:
    """A value in a message: its type, and itself where that is short."""
    text = repr(value)
    return f"{text} ({type(value).__name__})" if len(text) <= 60 else f"an object of type {type(value).__name__}"
