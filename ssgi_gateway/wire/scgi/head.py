"""The head of an SCGI request, checked before sioscgi reads it, and made into one that it reads as we do.

Stricter than sioscgi where it would let through what is no SCGI, and more lenient where web servers are: the rules are
at the head of ``wire.scgi.codec``. Nothing here keeps state.
"""

from __future__ import annotations

from typing import Final

from ssgi_gateway.errors import RemoteProtocolError, RequestRejected
from ssgi_gateway.wire.hints import hint

from ..cgi import read_content_length
from ..grammar import parse_length
from ..variables import merge_repeated

__all__ = ["normalize", "read_length"]

_DIGITS: Final = b"0123456789"


def read_length(data: bytes, limit: int) -> tuple[int, int]:
    """Read the length of the netstring, as far as it is there.

    The outcome does not depend on how much of the rest has arrived: the first byte that decides, decides.

    Args:
        data: the connection's first bytes.
        limit: bytes a head may have.

    Returns:
        The length, and where the variables begin; ``(0, 0)`` when the length goes on.

    Raises:
        RemoteProtocolError: this cannot become a length.
        RequestRejected: 431, it is over the limit.
    """
    prefix = data[: len(str(limit)) + 1]
    digits = prefix[: len(prefix) - len(prefix.lstrip(_DIGITS))]
    if digits[:1] == b"0" and digits != b"0":
        raise RemoteProtocolError("the head's length begins with a zero")
    if digits and int(digits) > limit:
        raise RequestRejected(431, f"the request variables exceed {limit} bytes")
    end = prefix[len(digits) : len(digits) + 1]
    if not end:
        return 0, 0
    if end != b":" or not digits:
        raise RemoteProtocolError(f"the byte {end!r} in the length of the head{hint(data, 'SCGI')}")
    if digits == b"0":
        raise RemoteProtocolError("the head is empty")
    return int(digits), len(digits) + 1


def normalize(block: bytes, max_variables: int) -> bytes:
    """Check the variables and merge repeated ones.

    Args:
        block: NUL-terminated names and values in turn, at least one byte.
        max_variables: how many there may be, repeats counted.

    Returns:
        The variables as one block, each name once; ``block`` itself if that is how they came.

    Raises:
        RemoteProtocolError: no SCGI.
        RequestRejected: 400, 411 or 431.
    """
    strings = block.count(b"\0")
    if block[-1] != 0:
        raise RemoteProtocolError("the head does not end with a NUL")
    if strings % 2:
        raise RemoteProtocolError("the last variable of the head has no value")
    if strings > 2 * max_variables:
        raise RequestRejected(431, f"there are more than {max_variables} request variables")
    fields = block.split(b"\0")
    names, values = fields[0:-1:2], fields[1::2]
    variables = dict(zip(names, values, strict=True))
    if b"" in variables:
        raise RemoteProtocolError("a variable of the head has no name")
    if variables.get(b"SCGI") != b"1":
        raise RemoteProtocolError("the variable SCGI is missing or not 1")
    bodiless = False
    if 2 * len(variables) != strings:
        pairs = list(zip(names, values, strict=True))
        bodiless = (b"CONTENT_LENGTH", b"") in pairs
        variables = merge_repeated(pairs, keep_length=True)
        block = b"".join([b"%b\0%b\0" % pair for pair in variables.items()])
    _check_length(variables, bodiless)
    return block


def _check_length(variables: dict[bytes, bytes], bodiless: bool) -> None:
    """Check CONTENT_LENGTH, and that no header declares a longer body.

    Args:
        variables: the request's.
        bodiless: the configuration has an empty CONTENT_LENGTH beside the web server's own. That is how a subrequest
            shows that the body of its headers is not its own (nginx: auth_request, mirror).

    Raises:
        RequestRejected: 400 or 411.
    """
    text = variables.get(b"CONTENT_LENGTH")
    if text is None:
        raise RequestRejected(400, "CONTENT_LENGTH is missing")
    length = read_content_length(text.decode("latin-1"))
    declared = variables.get(b"HTTP_CONTENT_LENGTH")
    if declared is not None and not bodiless and parse_length(declared.decode("latin-1")) > length:
        raise RequestRejected(
            411,
            f"CONTENT_LENGTH is {length} where the client sent {declared.decode('latin-1')} bytes: set "
            "scgi_request_buffering on (nginx before 1.29.6 loses the rest without it), or use FastCGI",
        )
