"""Why a call failed, and curl's number for it."""

from __future__ import annotations

import errno
import socket
from typing import Final

from ssgi_gateway.errors import ClientError, LocalProtocolError, RemoteProtocolError

__all__ = ["CallFailed", "failed", "failed_tls"]

URL, NAME, CONNECT, PARTIAL, STATUS, WRITE, READ, TIME = 3, 6, 7, 18, 22, 23, 26, 28
TLS, REDIRECTS, NOTHING, RECEIVE, CERTIFICATE, PROXY = 35, 47, 52, 56, 60, 5
SEND: Final = 55
REWIND: Final = 65
ENCODING: Final = 61
CA: Final = 77


class CallFailed(Exception):  # noqa: N818 - what happened, with curl's number
    """The call ends here.

    Args:
        status: curl's exit status.
        message: what to print; empty for nothing.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def failed(error: Exception, answered: bool, started: bool) -> CallFailed:
    """What an error means.

    Args:
        error: from the socket or the codec.
        answered: the head of the answer was complete.
        started: a byte of the answer had come.
    """
    if isinstance(error, CallFailed):
        return error
    if isinstance(error, LocalProtocolError):
        return CallFailed(URL, str(error))
    if isinstance(error, TimeoutError):
        return CallFailed(TIME, str(error) or "timed out")
    if isinstance(error, RemoteProtocolError | ClientError):
        if not started:
            return CallFailed(NOTHING, f"{error}; the server's log may say why, or it speaks another protocol")
        return CallFailed(PARTIAL if answered else RECEIVE, str(error))
    if isinstance(error, socket.gaierror):
        return CallFailed(NAME, f"no address for the host ({error.strerror})")
    if isinstance(error, OSError):
        if type(error).__name__ == "SSLEOFError":
            words = "the peer closed the connection without a close_notify of TLS, so the answer may have been cut"
            return CallFailed(PARTIAL if answered else RECEIVE if started else NOTHING, words)
        if type(error).__name__.startswith("SSL"):
            return failed_tls(error)
        if error.errno in (errno.ECONNRESET, errno.EPIPE):
            hint = "" if answered else "; the server's log may say why"
            return CallFailed(RECEIVE, f"the peer closed the connection ({error.strerror}){hint}")
        return CallFailed(RECEIVE, str(error))
    raise error


def failed_tls(error: OSError) -> CallFailed:
    """What an error of TLS, or of the connection during its handshake, means."""
    if type(error).__name__ == "SSLCertVerificationError":
        why = getattr(error, "verify_message", "") or str(error)
        return CallFailed(CERTIFICATE, f"the certificate is not trusted: {why}; --cacert FILE trusts its issuer")
    reason = getattr(error, "reason", "") or ""
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return CallFailed(TLS, "TLS: the peer speaks no TLS here; is it http:// and not https://?")
    if type(error).__name__ == "SSLEOFError" or isinstance(error, ConnectionError):
        return CallFailed(TLS, "TLS: the peer closed the connection during the handshake; does it speak TLS here?")
    return CallFailed(TLS, f"TLS: {error}")
