"""What descriptor 0 is, when a web server has started this process: a listening socket, or one request.

mod_fcgid, lighttpd's ``bin-path`` and spawn-fcgi start a FastCGI program with the listener as descriptor 0; mod_cgi,
mod_cgid and others start a program for each request, with its variables in the environment (RFC 3875). Only the kernel
shows which: mod_cgid's descriptor 0 is a connected socket whose getpeername(2) succeeds, so it is SO_ACCEPTCONN
that is read, and then the environment.

Such a process belongs to the web server. It prints nothing at its start, because standard error is the site's error
log; it is one process without a thread; and it ends sooner than the web server loses patience (mod_fcgid: 3 s).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.wire.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ssgi_gateway.settings import Settings

__all__ = ["CGI", "DEFAULTS", "LISTENER", "adjust", "is_all_there_is", "started_as"]

LISTENER: Final = "listener"
CGI: Final = "cgi"

DEFAULTS: Final[Mapping[str, Any]] = {"workers": "0", "threads": "0", "deadline_drain": "2.5"}
"""The defaults of a process that a web server started."""


def is_all_there_is(settings: Settings, environ: Mapping[str, str]) -> bool:
    """Whether neither a setting nor a service manager (``process.systemd``) names where to listen."""
    return not any(getattr(settings, protocol) for protocol in PROTOCOLS) and "LISTEN_FDS" not in environ


def started_as(environ: Mapping[str, str]) -> str:
    """``LISTENER``, ``CGI``, or an empty text when no web server started this process.

    Args:
        environ: the environment. ``FCGI_FORCE_CGI=Y`` in it is CGI whatever descriptor 0 is, as for flup.
    """
    if not environ.get("FCGI_FORCE_CGI", "N").upper().startswith("Y") and _is_listener(0):
        return LISTENER
    return CGI if "GATEWAY_INTERFACE" in environ or "REQUEST_METHOD" in environ else ""


def _is_listener(fd: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return False
        import socket  # a CGI program is started for each request, and mostly without one

        with socket.socket(fileno=os.dup(fd)) as copy:
            return bool(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # closed, or no socket
        return False


def adjust() -> None:
    """Make up for what web servers leave out: HOME, and a standard output that is not the answer."""
    if not os.environ.get("HOME"):
        import pwd  # only here

        try:
            os.environ["HOME"] = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            pass  # a user without an entry
    # What an application prints is for the log. lighttpd gives /dev/null, mod_fcgid its error log.
    os.dup2(2, 1)
