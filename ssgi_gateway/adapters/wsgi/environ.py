"""``environ``: a WSGI application's view of a request (PEP 3333, "environ Variables").

It is the web server's variables as they came, without what no application may meet (``wire.variables``), and:

* SCRIPT_NAME and PATH_INFO are made of the client's path, not of what the web server calls them: nginx's stock
  ``fastcgi_params`` have the whole path as SCRIPT_NAME. They are "bytes-as-unicode": each character is one byte.
* SERVER_NAME, SERVER_PORT, SERVER_PROTOCOL and QUERY_STRING are always there, the first three never empty.
* ``wsgi.input`` ends by itself, and ``wsgi.input_terminated`` is true: without a CONTENT_LENGTH there may be a body.

The compiled build has its own ``build_environ``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.adapters.wsgi.file import FileWrapper

from ...wire.addresses import DEFAULT_PORTS

if TYPE_CHECKING:
    from ...wire.cgi import RequestHead

__all__ = ["base_environ", "build_environ", "bytes_as_unicode", "name_and_port"]

WSGI_VERSION: Final = (1, 0)


def base_environ(multithread: bool, multiprocess: bool, errors: Any) -> dict[str, Any]:
    """What is the same for every request.

    Args:
        multithread: whether two threads of this process may be in the application at the same time.
        multiprocess: the same of processes.
        errors: the text stream that is ``wsgi.errors``.
    """
    return {
        "wsgi.version": WSGI_VERSION,
        "wsgi.errors": errors,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
    }


def build_environ(request: RequestHead, base: dict[str, Any], stream: Any) -> dict[str, Any]:
    """The ``environ`` of one request; ``stream`` is its ``wsgi.input``."""
    # PEP 3333 has these names for the server's own; what a web server calls so would be taken for it.
    environ: dict[str, Any] = {name: value for name, value in request.variables.items() if not name.startswith("wsgi.")}
    environ.update(base)
    scheme = request.scheme()
    path = request.path
    root_path = request.root_path()
    if root_path and path.startswith(root_path) and path[len(root_path) : len(root_path) + 1] in ("", "/"):
        path = path[len(root_path) :]
    environ["wsgi.input"] = stream
    environ["wsgi.url_scheme"] = scheme
    environ["SCRIPT_NAME"] = root_path if root_path.isascii() else bytes_as_unicode(root_path)
    environ["PATH_INFO"] = path if path.isascii() else bytes_as_unicode(path)
    environ["QUERY_STRING"] = request.query_string
    # PEP 3333: SERVER_NAME and SERVER_PORT "can never be empty strings, and so are always required".
    if not environ.get("SERVER_NAME"):
        environ["SERVER_NAME"] = name_and_port(request.server_address)[0]
    if not environ.get("SERVER_PORT"):
        environ["SERVER_PORT"] = name_and_port(request.server_address)[1] or DEFAULT_PORTS[scheme]
    if not environ.get("SERVER_PROTOCOL"):
        environ["SERVER_PROTOCOL"] = f"HTTP/{request.http_version()}"
    return environ


def bytes_as_unicode(text: str) -> str:
    """PEP 3333, "Unicode Issues": strings that "contain only code points representable in ISO-8859-1"."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


@lru_cache(64)
def name_and_port(server_address: str) -> tuple[str, str]:
    """SERVER_NAME and SERVER_PORT where the web server names none, as nginx does without a ``server_name``.

    Returns:
        The name, never empty; the port, ``""`` where it is not known.
    """
    host, colon, port = server_address.rpartition(":")
    if not colon or "]" in port or "/" in server_address:
        host, port = server_address, ""
    if "/" in host:
        host = ""  # a unix socket's path
    return host or "localhost", port
