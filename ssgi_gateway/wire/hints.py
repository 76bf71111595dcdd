"""Names what a peer seems to speak when it does not speak what it should.

A port that is wired to the wrong directive (``proxy_pass`` for ``scgi_pass``, TLS for plain text) is the commonest
mistake there is; the one line in the log names it instead of "invalid byte". Only ever a hint: the bytes were refused
before this is called. Shared by every codec, so that all of them report the same.
"""

from __future__ import annotations

__all__ = ["answer_hint", "hint", "looks_like"]

_PROXY_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_MAX_METHOD = 24


def looks_like(data: bytes) -> str:
    """The protocol that ``data``, the first bytes of a connection or some of them, seems to belong to.

    Returns:
        ``"TLS"``, ``"FastCGI"``, ``"SCGI"``, ``"uwsgi"``, ``"HTTP"``, ``"HTTP/2"`` or ``"the PROXY protocol"``; ``""``
        for none.
    """
    if not data:
        return ""
    first = data[0]
    if first == 0x16 and data[1:2] in (b"", b"\x03"):  # a handshake record, RFC 8446 5.1
        return "TLS"
    if first == 1 and (len(data) < 2 or 1 <= data[1] <= 11):  # version 1, a record type of FastCGI 1.0 8
        return "FastCGI"
    if _is_uwsgi(data):
        return "uwsgi"
    if _PROXY_V2.startswith(data[: len(_PROXY_V2)]):
        return "the PROXY protocol"
    length, colon, _ = bytes(data[:16]).partition(b":")
    if length.isdigit() and (colon or len(data) < 16):
        return "SCGI"
    return _request_line(bytes(data[:_MAX_METHOD]))


def _is_uwsgi(data: bytes) -> bool:
    """Whether this is a uwsgi packet: modifier 0, the variables' size, 0, then the size and capitals of a name."""
    if len(data) < 4 or data[0] != 0 or not data[1] | data[2] or data[3] != 0:
        return False
    name = data[6 : 6 + int.from_bytes(data[4:6], "little")]
    return name == b"" or name.replace(b"_", b"A").isupper()


def _request_line(start: bytes) -> str:
    """Whether ``start`` begins like a request line: a method in capitals and a space, as far as there is any of it."""
    word, space, _ = start.partition(b" ")
    if not (word.isalpha() and word.isupper() and (space or len(start) < _MAX_METHOD)):
        return ""
    if word == b"PRI":  # the connection preface, RFC 9113 3.4
        return "HTTP/2"
    return "the PROXY protocol" if word == b"PROXY" else "HTTP"


def hint(data: bytes, protocol: str) -> str:
    """The end of an error message: what ``data`` looks like, when that is not the ``protocol`` spoken here.

    Returns:
        ``"; this looks like HTTP, and this address speaks SCGI"``, or ``""``.
    """
    name = looks_like(data)
    return f"; this looks like {name}, and this address speaks {protocol}" if name and name != protocol else ""


_ANSWERS = (
    (b"HTTP/1", "HTTP", "HTTP: write http://"),
    (b"\x15\x03", "TLS", "TLS: write https://"),  # an alert, RFC 8446 6
    (b"status:", "SCGI", "SCGI or FastCGI: write scgi:// or fcgi://"),
    (b"\1\6", "FastCGI", "FastCGI: write fcgi://"),  # STDOUT
    (b"\1\7", "FastCGI", "FastCGI: write fcgi://"),  # STDERR
    (b"\1\3", "FastCGI", "FastCGI: write fcgi://"),  # END_REQUEST
    (b"SSH-", "SSH", "SSH; is it another port?"),
)


def answer_hint(data: bytes, spoken: str) -> str:
    """The end of an error message: what a server seems to speak that did not answer as ``spoken`` wants it.

    Args:
        data: how its answer begins; nine bytes are enough.
        spoken: ``"HTTP"``, ``"SCGI"`` or ``"FastCGI"``.

    Returns:
        ``"; it speaks TLS: write https://"``, or ``""``.
    """
    if data[3:4] == b"\4" and data[5:9] == bytes(4):  # SETTINGS of stream 0, RFC 9113 3.4
        return "; it speaks HTTP/2: Client(http2='prior-knowledge')"
    for begin, name, words in _ANSWERS:
        if name != spoken and begin.lower() == bytes(data[: len(begin)]).lower():
            return f"; it speaks {words}"
    return ""
