"""h2o 2.2: HTTP over FastCGI, WebSockets on the gateway's direct port. With a warning."""

from __future__ import annotations

from ssgi_gateway.server.address import Address

from .site import Site, comment, indent, join

__all__ = ["WARNING", "render"]

WARNING = """\
Think twice: h2o 2.2.5, the version that distributions have, crashes (segmentation fault) when an application answers an
upload early, from about 400 kB on. Later versions were not tried."""


def render(site: Site) -> str:
    """The whole file."""
    return join(_head(site), _hosts(site))


def _head(site: Site) -> str:
    return comment(
        f"{site.origin}{site.mount} on ssgi-gateway, through h2o 2.2: a whole file. On Debian and Ubuntu:\n\n"
        "    cp -b THIS_FILE /etc/h2o/h2o.conf\n"
        "    h2o -t -c /etc/h2o/h2o.conf && systemctl restart h2o\n\n"
        f"{WARNING}\n\nThe gateway:\n\n" + indent(site.command())
    )


def _hosts(site: Site) -> str:
    listen = f"port: {site.listen}"
    if site.tls:
        chain, key = site.tls
        listen += f"\nssl:\n  certificate-file: {chain}\n  key-file: {key}"
    paths = "\n".join([*(_static(url, folder) for url, folder in site.static), _websockets(site), _application(site)])
    whole = f"# Who h2o is after its start; the gateway's sockets belong to its group.\nuser: {site.group}\n"
    whole += f"limit-request-body: {site.upload << 20}\n" if site.upload else ""
    return (
        f'{whole}hosts:\n{_redirect(site)}  "{site.domain}":\n    listen:\n{indent(listen, " " * 6)}\n    paths:\n'
        f"{indent(paths, ' ' * 6)}"
    ).replace("\n\n", "\n")


def _redirect(site: Site) -> str:
    if not site.tls or site.port:
        return ""
    return f"""\
  "{site.domain}:80":
    listen:
      port: 80
    paths:
      "/":
        redirect:
          status: 301
          url: "{site.origin}/"
"""


def _static(url: str, folder: str) -> str:
    return f'"{url.rstrip("/")}":\n  file.dir: {folder}'


def _websockets(site: Site) -> str:
    if not site.has_direct:
        return ""
    path = (site.websocket_path if site.websockets != "same-path" else "/ws/").rstrip("/")
    where = f"[unix:{site.direct.path}]" if site.direct.kind == "unix" else str(site.direct)
    return f"""\
# h2o chooses by path alone, so WebSockets have one of their own.
"{path}":
  proxy.reverse.url: "http://{where}{path}"
  proxy.websocket: ON
  proxy.preserve-host: ON
  proxy.timeout.io: 300000"""


def _application(site: Site) -> str:
    address: Address = site.address
    connect = (
        f"port: {address.path}\n    type: unix"
        if address.kind == "unix"
        else f"host: {address.host or '127.0.0.1'}\n    port: {address.port}\n    type: tcp"
    )
    return f"""\
"{site.mount or "/"}":
  fastcgi.connect:
    {connect}
  fastcgi.timeout.io: 300000
  fastcgi.timeout.keepalive: 30000"""
