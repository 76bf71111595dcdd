"""nginx, from 1.18 on; also Angie, OpenResty and others that have its scgi, fastcgi and uwsgi modules.

One file for ``sites-available``, complete in itself. What each parameter is for is explained where it stands; the rules
behind them are in ``docs/wire.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ssgi_gateway.server.address import Address

from .site import Site, comment, connectable, indent, join

__all__ = ["parameters", "render"]

SHIPPED: Final = Path(__file__).parents[1] / "nginx"
"""The files to be included, which are where the parameters stand; here they become part of one file."""


def render(site: Site) -> str:
    """The file."""
    return join(_head(site), _upstreams(site), _maps(), _redirect(site), _server(site))


def _head(site: Site) -> str:
    where = "sites-available/" + site.domain.replace("*", "wildcard")
    return comment(
        f"{site.origin}{site.mount} on ssgi-gateway, through nginx. Goes into http {{ }}; on Debian and Ubuntu:\n\n"
        f"    cp THIS_FILE /etc/nginx/{where}\n"
        f"    ln -sf ../{where} /etc/nginx/sites-enabled/\n"
        "    nginx -t && systemctl reload nginx\n\n"
        "The gateway:\n\n" + indent(site.command())
    )


def _server_line(address: Address) -> str:
    return f"    server {address if address.kind == 'unix' else connectable(address)};"


def _upstreams(site: Site) -> str:
    keep = (
        """

    # Idle connections that each nginx worker keeps, not a limit on those in use; works together with fastcgi_keep_conn.
    keepalive 16;"""
        if site.protocol == "fastcgi"
        else ""
    )
    text = f"upstream ssgi_gateway {{\n{_server_line(site.address)}{keep}\n}}"
    if site.has_direct:
        text += f"\n\nupstream ssgi_websocket {{\n{_server_line(site.direct)}\n}}"
    return text


def _maps() -> str:
    return shipped("http.conf")


def _redirect(site: Site) -> str:
    if not site.tls or site.port:
        return ""
    return f"""server {{
    listen 80;
    listen [::]:80;
    server_name {site.domain};
    return 301 https://$host$request_uri;
}}"""


def _server(site: Site) -> str:
    parts = [
        _listen(site),
        _tls(site),
        f"client_max_body_size {f'{site.upload}m' if site.upload else '0'};",
        *(_static(url, folder) for url, folder in site.static),
        _application(site),
        _websockets(site),
    ]
    return "server {\n" + indent(join(*parts)) + "\n}"


def _listen(site: Site) -> str:
    if not site.tls:
        return f"listen {site.listen};\nlisten [::]:{site.listen};\nserver_name {site.domain};"
    if site.version and site.version < (1, 25, 1):
        return f"listen {site.listen} ssl http2;\nlisten [::]:{site.listen} ssl http2;\nserver_name {site.domain};"
    return (
        f"listen {site.listen} ssl;\nlisten [::]:{site.listen} ssl;\n"
        'http2 on; # nginx before 1.25.1 wants "listen ... ssl http2;" in place of this line\n'
        f"server_name {site.domain};"
    )


def _tls(site: Site) -> str:
    if not site.tls:
        return ""
    chain, key = site.tls
    return f"""ssl_certificate     {chain};
ssl_certificate_key {key};
ssl_protocols TLSv1.2 TLSv1.3;
ssl_session_cache shared:ssgi_tls:10m;
ssl_session_timeout 1d;
ssl_session_tickets off;"""


def _static(url: str, folder: str) -> str:
    return f"""# Files, by nginx itself; the gateway is not asked.
location {url} {{
    alias {folder.rstrip("/")}/;
    expires 1h;
    access_log off;
}}"""


def _application(site: Site) -> str:
    inside = join(_upgrade_check(site), parameters(site.protocol), TUNING[site.protocol])
    if site.mount:
        # The application hears where it is mounted: SCRIPT_NAME is the mount, PATH_INFO the rest of the path.
        inside = join(inside, f"{site.protocol}_param SCRIPT_NAME {site.mount};")
    inside = join(inside, f"{site.protocol}_pass ssgi_gateway;")
    remark = {
        "scgi": "HTTP and WebSockets: the gateway answers 101 and nginx makes a tunnel of the connection.",
        "uwsgi": "HTTP and WebSockets: the gateway answers 101 and nginx makes a tunnel of the connection.",
        "fastcgi": "HTTP, over connections that are kept.",
    }[site.protocol]
    if site.websockets != "in-band":
        remark = "HTTP." if site.protocol != "fastcgi" else remark
    location = f"# {remark}\nlocation {site.mount}/ {{\n{indent(inside)}\n}}"
    if site.mount:
        location = f"location = {site.mount} {{\n    return 308 {site.mount}/$is_args$args;\n}}\n\n{location}"
    return location


def _upgrade_check(site: Site) -> str:
    if site.websockets != "same-path":
        return ""
    return """error_page 418 = @ssgi_websocket;
if ($ssgi_upgrade) {
    return 418;
}"""


def shipped(name: str) -> str:
    """The directives of a shipped file with their comments, without the page of comments at its head."""
    return (SHIPPED / name).read_text(encoding="utf-8").partition("\n\n")[2].strip("\n")


def parameters(protocol: str) -> str:
    """The ``scgi_param``, ``fastcgi_param`` or ``uwsgi_param`` lines."""
    if protocol != "uwsgi":
        return shipped(f"{protocol}.conf")
    lines = shipped("fastcgi.conf").replace("the end of FCGI_STDIN", "its own end").splitlines()
    return "\n".join(line.replace("fastcgi_param", "uwsgi_param") for line in lines if "GATEWAY_INTERFACE" not in line)


_TUNING: Final = """\
{buffering}

# Answers pass through memory only: a client that reads slowly holds the application back and does not fill a disk.
{p}_max_temp_file_size 0;

# The head of an answer must fit into the first buffer ("upstream sent too big header").
{p}_buffer_size 32k;
{p}_buffers 8 32k;

# Silence, not length: what a slow first answer or a quiet event stream may take.
{p}_connect_timeout 5s;
{p}_read_timeout 300s;
{p}_send_timeout 300s;"""

TUNING: Final = {
    "scgi": _TUNING.format(
        p="scgi",
        buffering="# Uploads are collected first: SCGI wants to know a body's length before its first byte.\n"
        "scgi_request_buffering on;",
    ),
    "fastcgi": _TUNING.format(
        p="fastcgi",
        buffering="# Connections are kept for the next request.\nfastcgi_keep_conn on;\n\n"
        '# "off" streams uploads to the application while they arrive, chunked ones too.\n'
        "fastcgi_request_buffering on;",
    ),
    "uwsgi": _TUNING.format(
        p="uwsgi",
        buffering="# Uploads are collected first: uwsgi wants to know a body's length before its first byte.\n"
        "uwsgi_request_buffering on;",
    ),
}


def _websockets(site: Site) -> str:
    if not site.has_direct:
        return ""
    place = "@ssgi_websocket" if site.websockets == "same-path" else site.websocket_path
    inside = join(shipped("websocket.conf"), "proxy_pass http://ssgi_websocket;")
    return f"# WebSockets, on the gateway's direct port.\nlocation {place} {{\n{indent(inside)}\n}}"
