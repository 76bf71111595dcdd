"""What happens between a request's opening frame and its end: hooks, decoding, the handler, the answer.

``serve`` is the whole of it, as one coroutine; ``serve_inline`` the same for what needs none of the rest: a procedure
that never waits, without hooks. Errors of every kind end in ``answer_failure``.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from typing import TYPE_CHECKING, Any

import msgspec

from .current import INNERMOST
from .errors import INTERNAL_MESSAGE, CloseConnection, Error, ErrorCode
from .frames import END_OF_STREAM, MESSAGE, encode
from .hooks import run, run_replacing
from .request import DISCONNECTED, Request, StreamingRequest, Tracked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .frames import RequestFrame

logger = logging.getLogger("ssgi_gateway.rpc")

FAIR = 64
"""Items of a stream after which others have a turn, if it did not wait for anything."""


def serve_inline(request: Request[Any], frame: RequestFrame) -> None:
    """Serve a request of a ``direct`` procedure, from beginning to end."""
    procedure = request.procedure
    token = INNERMOST.set(request)
    try:
        request.data = decode_item(request, frame.data)
        value = procedure.func(request) if procedure.arity == 1 else procedure.call(request)
        check = procedure.check
        if type(value) is not check.exact:
            value = check(value)
        response = request.response_so_far
        if response is None:
            payload = encode((request.seq, value, MESSAGE, None, None))
        else:
            response.sent = True
            payload = encode((request.seq, value, MESSAGE, response.leading, response.trailing))
        request.messages_out = 1
        if not request.over:
            request.connection.send_last(request, payload)
    except Exception as error:
        request.connection.run_task(request, answer_failure(request, error))
    finally:
        INNERMOST.reset(token)


async def serve(request: Request[Any], frame: RequestFrame, size: int) -> None:
    """Serve a request."""
    procedure = request.procedure
    hooks = procedure.hooks
    token = INNERMOST.set(request)
    begun = False
    try:
        begun = True
        if hooks.before_request:
            await run(hooks.before_request, request, request.response, frame)
        if hooks.before_request_metadata and frame.metadata is not None:
            request.metadata = await run_replacing(hooks.before_request_metadata, request, request.metadata)
        if frame.type == MESSAGE:
            item = decode_item(request, frame.data) if not hooks.item else await hooked_item(request, frame)
            if isinstance(request, StreamingRequest):
                request.data.put(item, size)
            else:
                request.data = item
        elif not request.streams:
            raise Error(code=ErrorCode.BAD_REQUEST, message="METADATA opens streaming requests only")
        if isinstance(request, StreamingRequest):
            request.ready = True
            request.connection.feed(request)
        if procedure.streams_out:
            await answer_stream(request)
        else:
            await answer_single(request)
    except asyncio.CancelledError as error:
        if not request.over:  # the request was not cancelled: it is the handler's own
            await answer_failure(request, error)
    except Exception as error:
        await answer_failure(request, error)
    finally:
        request.connection.end(request)
        if hooks.after_request and begun:
            await after_request(request)
        INNERMOST.reset(token)


async def after_request(request: Request[Any]) -> None:
    """Run the hooks of the end, each whatever the others do."""
    for hook in request.procedure.hooks.after_request:
        try:
            await run((hook,), request)
        except Exception:
            logger.exception("%s %s: an after_request hook failed", request.connection, request)


# -- items in ------------------------------------------------------------------------------------------------------


def decode_item(request: Request[Any], data: msgspec.Raw) -> Any:
    """An item, decoded as the procedure's type.

    Raises:
        Error: 422, with the path of what does not fit.
    """
    try:
        item = request.procedure.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise validation_error(error) from None
    request.messages_in += 1
    return item


async def hooked_item(request: Request[Any], frame: RequestFrame) -> Any:
    """The same, through the hooks."""
    hooks = request.procedure.hooks
    if hooks.before_request_data:
        await run(hooks.before_request_data, request, frame)
    item = decode_item(request, frame.data)
    return await run_replacing(hooks.before_request_message, request, item)


def put_item(request: StreamingRequest[Any], frame: RequestFrame, size: int) -> None:
    """Give a later item to the handler; one that does not fit ends the request."""
    try:
        item = decode_item(request, frame.data)
    except Error as error:
        request.connection.break_off(request, error.code, error.message, error.data)
    else:
        request.data.put(item, size)


async def feed(request: StreamingRequest[Any]) -> None:
    """Let what waits pass the hooks, one after the other and in order."""
    token = INNERMOST.set(request)
    try:
        while request.inbox and not request.over:
            entry = request.inbox[0]
            if entry is None:
                request.data.end()
            else:
                frame, size = entry
                item = (
                    await hooked_item(request, frame)
                    if request.procedure.hooks.item
                    else decode_item(request, frame.data)
                )
                if request.over:
                    break
                request.data.put(item, size)
            request.inbox.popleft()
    except asyncio.CancelledError:
        pass  # the request is over
    except Exception as error:
        request.cancelled = True
        await answer_failure(request, error)
        if request.task is not None:
            request.task.cancel()
    finally:
        request.feeding = False
        INNERMOST.reset(token)


def validation_error(error: Exception) -> Error:
    """What does not fit, as the client gets it: where (JSONPath, msgspec's), and why."""
    words, _, path = str(error).partition(" - at `")
    if not isinstance(error, msgspec.ValidationError):
        words, path = "not a value that can be decoded", ""
    entry = {"path": path[:-1] or "$", "description": words}
    return Error(code=ErrorCode.VALIDATION_ERROR, message="Validation Error", data={"errors": [entry]})


# -- answers out ---------------------------------------------------------------------------------------------------


async def answer_single(request: Request[Any]) -> None:
    """One MESSAGE."""
    procedure = request.procedure
    hooks = procedure.hooks
    if procedure.is_async:
        value = await procedure.call(request)
    elif procedure.inline:
        value = procedure.call(request)
    else:
        value = await request.connection.runtime.threads.run(procedure.call, request)
    if request.over:
        return
    check = procedure.check
    if type(value) is not check.exact:
        value = check(value)
    leading = trailing = None
    if request.response_so_far is not None or hooks.any:
        leading = await request.response.take()
        if hooks.before_response_message:
            value = await run_replacing(hooks.before_response_message, request, value)
        trailing = request.response.trailing
        if hooks.before_trailing_metadata:
            trailing = await run_replacing(hooks.before_trailing_metadata, request, trailing)
        if request.over:
            return
    payload = encode((request.seq, value, MESSAGE, leading, trailing))
    request.messages_out = 1
    request.connection.send_last(request, payload)


async def answer_stream(request: Request[Any]) -> None:
    """Any number of MESSAGEs and an END_OF_STREAM."""
    items = request.procedure.call(request)
    if not hasattr(items, "__aiter__"):
        items = await items  # an `async def` that returns an iterator
    connection = request.connection
    procedure = request.procedure
    hooks = procedure.hooks.before_response_message
    check, ready = procedure.check, connection.runtime.ready
    send, window, seq = connection.ws.send, request.window, request.seq
    first = request.response_so_far is not None or procedure.hooks.any
    try:
        async for value in items:
            if type(value) is not check.exact:
                value = checked(value, check)
            leading = None
            if first or request.response_so_far is not None:
                leading, first = await request.response.take(), False
            if hooks:
                value = await run_replacing(hooks, request, value)
            if window is not None and not window.spend():
                await wait_for_credit(request)
            if request.over:
                return
            payload = encode((seq, value, MESSAGE, leading, None))
            request.messages_out += 1
            request.bytes_out += len(payload)
            sent = send(payload)
            if sent is not ready:
                await sent
            elif not request.messages_out % FAIR:
                await asyncio.sleep(0)
            if request.over:
                return
    finally:
        await close_items(items)
    await end_stream(request, first)


async def close_items(items: Any) -> None:
    """Let a generator end now, whatever it was doing."""
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()


async def end_stream(request: Request[Any], first: bool) -> None:
    """The END_OF_STREAM, with the metadata that belongs to it."""
    procedure, connection = request.procedure, request.connection
    leading = await request.response.take() if first or request.response_so_far is not None else None
    trailing = None if request.response_so_far is None else request.response_so_far.trailing
    if procedure.hooks.before_trailing_metadata:
        trailing = await run_replacing(procedure.hooks.before_trailing_metadata, request, trailing)
    if not request.over:
        connection.send_last(request, encode((request.seq, None, END_OF_STREAM, leading, trailing)))


def checked(item: Any, check: Any) -> Any:
    """An item, as it is sent; ``tracked(id, value)`` is a map."""
    return {"id": item.id, "data": check(item.value)} if type(item) is Tracked else check(item)


async def wait_for_credit(request: Request[Any]) -> None:
    """Until the client lets one more MESSAGE pass, or the request is over."""
    window: Any = request.window
    while not request.over:
        request.credit = request.connection.loop.create_future()
        try:
            await request.credit
        finally:
            request.credit = None
        if window.spend():
            return


# -- failures ------------------------------------------------------------------------------------------------------


async def answer_failure(request: Request[Any], error: BaseException) -> None:
    """End a request with what its handler, a hook or a check raised."""
    connection = request.connection
    if request.over:
        if not isinstance(error, Error | asyncio.CancelledError):
            logger.error("%s %s: failed after its end", connection, request, exc_info=error)
        return
    handler = connection.app.find_error_handler(request.procedure, error)
    if handler is not None:
        error = await handled(handler, request, error)
    if request.over:
        return
    if isinstance(error, CloseConnection):
        request.outcome = DISCONNECTED
        connection.end(request)
        connection.close(error.close_code, error.reason)
    elif isinstance(error, Error):
        connection.answer_error(request, error.code, error.message, error.data)
    else:
        logger.error("%s %s: the procedure failed", connection, request, exc_info=error)
        data = None
        if connection.app.settings.debug:
            data = {"traceback": "".join(traceback.format_exception(error))}
        connection.answer_error(request, ErrorCode.INTERNAL_ERROR, INTERNAL_MESSAGE, data)


async def handled(handler: Any, request: Request[Any], error: BaseException) -> BaseException:
    """What an error handler makes of an exception; the exception itself where it returns ``None``."""
    try:
        result = handler(error, request)
        if inspect.isawaitable(result):
            result = await result
    except Exception as raised:
        return raised
    return result if isinstance(result, BaseException) else error


async def wait_for(tasks: Iterable[asyncio.Task[Any]], seconds: float, connection: Any) -> None:
    """Wait for cancelled handlers, but not for ever."""
    _, late = await asyncio.wait(tasks, timeout=seconds)
    if late:
        logger.error("%s: %d handlers still ran %s s after they were cancelled", connection, len(late), seconds)
