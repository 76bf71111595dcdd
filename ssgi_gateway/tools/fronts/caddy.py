"""Caddy 2: HTTP over FastCGI, WebSockets on the gateway's direct port. TLS is Caddy's own unless files are given."""

from __future__ import annotations

from ssgi_gateway.server.address import Address

from .site import Site, comment, connectable, indent, join

__all__ = ["render"]

TAB = "\t"


def render(site: Site) -> str:
    """The Caddyfile."""
    parts = [
        _tls(site),
        f"request_body {{\n\tmax_size {site.upload}MiB\n}}" if site.upload else "",
        UNSET,
        *(_static(url, folder) for url, folder in site.static),
        _websockets(site),
        _application(site),
    ]
    return join(_head(site), f"{_address(site)} {{\n{indent(join(*parts), TAB)}\n}}")


def _head(site: Site) -> str:
    return comment(
        f"{site.origin}{site.mount} on ssgi-gateway, through Caddy 2. On Debian and Ubuntu:\n\n"
        "    cp -b THIS_FILE /etc/caddy/Caddyfile\n"
        "    caddy validate --config /etc/caddy/Caddyfile && systemctl reload caddy\n\n"
        "The gateway:\n\n" + indent(site.command()) + "\n\n"
        "Not php_fastcgi: that one looks for index.php and splits paths at .php."
    )


def _address(site: Site) -> str:
    if site.tls:
        return site.domain if not site.port else f"{site.domain}:{site.port}"
    # A name of "_" is nginx's word for any; a port alone is Caddy's.
    return f"http://{'' if site.domain == '_' else site.domain}:{site.listen}"


def _tls(site: Site) -> str:
    if not site.tls or site.tls[0].startswith("/etc/letsencrypt/"):
        return ""  # Caddy gets and renews certificates itself
    return f"# Caddy's user has to be able to read both: chgrp caddy, chmod 640.\ntls {site.tls[0]} {site.tls[1]}"


UNSET = """\
# What a client writes there itself is not passed on: Caddy sets the real ones, and before 2.11 lets these through.
request_header -X_Forwarded_For
request_header -X_Forwarded_Proto
request_header -X_Forwarded_Host
request_header -Forwarded
request_header -Proxy"""


def _static(url: str, folder: str) -> str:
    return f"""# Files by Caddy itself.
handle_path {url}* {{
	root * {folder}
	file_server
}}"""


def upstream(address: Address) -> str:
    """An upstream as ``reverse_proxy`` takes it."""
    return f"unix/{address.path}" if address.kind == "unix" else connectable(address)


def _websockets(site: Site) -> str:
    if not site.has_direct:
        return ""
    path = "" if site.websocket_path == "/" else f"\tpath {site.websocket_path}*\n"
    return f"""# WebSockets, on the gateway's direct port.
@websocket {{
{path}	header Connection *Upgrade*
	header Upgrade websocket
}}
handle @websocket {{
	reverse_proxy {upstream(site.direct)}
}}"""


def _application(site: Site) -> str:
    # Without it a body whose length is not known is refused: 411, or 400 by Caddy 2.6, which announces it as -1.
    buffered = (
        "\t\t# Chunked uploads get a length, in memory up to this size; above it they are refused.\n"
        "\t\trequest_buffers 16MiB\n"
        if site.version >= (2, 7)
        else ""
    )
    slash = f"@slash path {site.mount}\nredir @slash {site.mount}/?{{query}} 308\n\n" if site.mount else ""
    return f"""{slash}handle {f"{site.mount}/*" if site.mount else ""} {{
	reverse_proxy {upstream(site.address)} {{
		transport fastcgi
		# Events and long answers pass as they come.
		flush_interval -1
{buffered}	}}
}}""".replace("handle  {", "handle {")
