"""lighttpd 1.4; from 1.4.74 on it tunnels WebSockets over SCGI."""

from __future__ import annotations

from typing import Final

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server.address import Address

from .site import Site, comment, connectable, indent, join

__all__ = ["IN_BAND_SINCE", "render"]

IN_BAND_SINCE: Final = (1, 4, 74)
"""The first version that makes a tunnel of a CGI-like answer of 101."""


def render(site: Site) -> str:
    """The whole file.

    Raises:
        ConfigurationError: WebSockets are to be in-band, and this version cannot tunnel them.
    """
    if site.websockets == "in-band" and site.version and site.version < IN_BAND_SINCE:
        raise ConfigurationError(
            f"lighttpd {'.'.join(map(str, site.version))} cannot carry WebSockets over SCGI (1.4.74 and later can); "
            "say --websocket-path /ws/ or --websockets same-path, and they go to the gateway's direct port"
        )
    return join(_head(site), _server(site), _redirect(site), BEHAVIOUR, FORWARDED, _static(site), _routes(site))


def _head(site: Site) -> str:
    return comment(
        f"{site.origin}{site.mount} on ssgi-gateway, through lighttpd 1.4: a whole file. On Debian and Ubuntu:\n\n"
        "    cp -b THIS_FILE /etc/lighttpd/lighttpd.conf\n"
        "    lighttpd -tt -f /etc/lighttpd/lighttpd.conf && systemctl restart lighttpd\n\n"
        "The gateway:\n\n" + indent(site.command("lighttpd"))
    )


def _server(site: Site) -> str:
    modules = ["mod_setenv", "mod_fastcgi" if site.protocol == "fastcgi" else "mod_scgi"]
    modules += ["mod_openssl"] if site.tls else []
    modules += ["mod_proxy"] if site.has_direct else []
    modules += ["mod_alias"] if site.static else []
    modules += ["mod_redirect"] if _redirects(site) or site.mount else []
    listed = ", ".join(f'"{name}"' for name in modules)
    root = site.static[0].folder if site.static else "/var/www"
    lines = [
        f"server.modules = ( {listed} )",
        "# Who lighttpd is after its start; the gateway's sockets belong to this group.",
        f'server.username = "{site.group}"',
        f'server.groupname = "{site.group}"',
        f'server.document-root = "{root}"',
        f"server.port = {site.listen}",
        "# The largest upload in KiB, 0 for no limit.",
        f"server.max-request-size = {site.upload << 10}",
    ]
    if site.tls:
        chain, key = site.tls
        inside = f'ssl.engine = "enable"\nssl.pemfile = "{chain}"\nssl.privkey = "{key}"'
        lines += [_socket_block(f":{site.listen}", inside), _socket_block(f"[::]:{site.listen}", inside)]
    else:
        lines.append(f'$SERVER["socket"] == "[::]:{site.listen}" {{ }}')
    return "\n".join(lines)


def _redirects(site: Site) -> bool:
    """Whether a port of its own leads to the one with TLS."""
    return bool(site.tls) and not site.port


def _redirect(site: Site) -> str:
    if not _redirects(site):
        return ""
    inside = f'url.redirect = ( "" => "{site.origin}${{url.path}}${{qsa}}" )'
    return "\n".join(_socket_block(where, inside) for where in (":80", "[::]:80"))


def _socket_block(where: str, inside: str) -> str:
    return f'$SERVER["socket"] == "{where}" {{\n{indent(inside)}\n}}'


BEHAVIOUR: Final = """\
# Answers pass as they come; otherwise lighttpd collects the whole answer first, and server-sent events never arrive.
server.stream-response-body = 1
# Uploads are collected on disk first; with 1 chunked ones are answered 411.
server.stream-request-body = 0
# All header lines of a request together; 8192 unless set, above it 431.
server.max-request-field-size = 32768
# %2F is part of a name and not a separator.
server.http-parseopts = (
    "header-strict" => "enable", "host-strict" => "enable", "url-normalize" => "enable",
    "url-normalize-unreserved" => "enable", "url-ctrls-reject" => "enable", "url-path-2f-decode" => "disable",
    "url-path-dotseg-remove" => "enable", "url-query-20-plus" => "disable"
)"""


FORWARDED: Final = """\
# What a client writes there itself is not passed on; lighttpd takes an underscore in a name for a hyphen.
setenv.set-request-header = (
    "X-Forwarded-For" => "", "X-Forwarded-Proto" => "", "X-Forwarded-Host" => "", "Forwarded" => "",
    "X_Forwarded_For" => "", "X_Forwarded_Proto" => "", "X_Forwarded_Host" => "", "Proxy" => ""
)"""


TYPES: Final = """\
# What they are: lighttpd before 1.4.71 knows no types of its own, and browsers take no style sheet without one.
mimetype.assign = (
    ".html" => "text/html; charset=utf-8", ".css" => "text/css; charset=utf-8", ".txt" => "text/plain; charset=utf-8",
    ".js" => "text/javascript; charset=utf-8", ".mjs" => "text/javascript; charset=utf-8",
    ".json" => "application/json", ".map" => "application/json", ".webmanifest" => "application/manifest+json",
    ".xml" => "application/xml", ".wasm" => "application/wasm", ".pdf" => "application/pdf", ".svg" => "image/svg+xml",
    ".png" => "image/png", ".jpg" => "image/jpeg", ".jpeg" => "image/jpeg", ".gif" => "image/gif",
    ".webp" => "image/webp", ".avif" => "image/avif", ".ico" => "image/x-icon", ".woff" => "font/woff",
    ".woff2" => "font/woff2", ".ttf" => "font/ttf", ".mp3" => "audio/mpeg", ".mp4" => "video/mp4",
    ".webm" => "video/webm", "" => "application/octet-stream"
)"""


def _static(site: Site) -> str:
    pairs = ", ".join(f'"{url}" => "{folder.rstrip("/")}/"' for url, folder in site.static)
    return f"# Files by lighttpd itself.\nalias.url = ( {pairs} )\n{TYPES}" if pairs else ""


def _routes(site: Site) -> str:
    branches = [(f'$HTTP["url"] =~ "^{url}"', "# lighttpd serves these.") for url, _ in site.static]
    if site.websockets == "same-path":
        # A condition on a header field, which lighttpd matches before it chooses who handles the request.
        branches.append(('$REQUEST_HEADER["upgrade"] =~ "(?i)^websocket$"', _direct(site)))
    elif site.has_direct:
        branches.append((f'$HTTP["url"] =~ "^{site.websocket_path}"', _direct(site)))
    application = _application(site)
    if site.mount:
        slash = f'url.redirect = ( "" => "{site.origin}{site.mount}/${{qsa}}" )\nurl.redirect-code = 308'
        branches.append((f'$HTTP["url"] == "{site.mount}"', slash))
        branches.append((f'$HTTP["url"] =~ "^{site.mount}/"', application))
        return _chain(branches)
    return _chain(branches) + (f" else {{\n{indent(application)}\n}}" if branches else f"{application}")


def _chain(branches: list[tuple[str, str]]) -> str:
    return " else ".join(f"{condition} {{\n{indent(inside)}\n}}" for condition, inside in branches)


def _socket(address: Address) -> str:
    if address.kind == "unix":
        return f'"socket" => "{address.path}"'
    host, _, port = connectable(address).rpartition(":")
    return f'"host" => "{host.strip("[]")}", "port" => {port}'


def _direct(site: Site) -> str:
    return f"""# WebSockets, on the gateway's direct port.
proxy.server = ( "" => (( {_socket(site.direct)} )) )
proxy.header = ( "upgrade" => "enable" )"""


def _application(site: Site) -> str:
    upgrade = ',\n    # An answer of 101 makes a tunnel of the connection.\n    "upgrade" => "enable"'
    return f"""{site.protocol}.server = ( "/" => ((
    {_socket(site.address)},
    # The application answers for every path, whether or not a file of that name exists.
    "check-local" => "disable",
    # Do not turn visitors away for seconds after one refused connection (a restart).
    "disable-time" => 0,
    # Otherwise the first segment of the path would be SCRIPT_NAME.
    "fix-root-scriptname" => "enable"{upgrade if site.websockets == "in-band" else ""}
)) )"""
