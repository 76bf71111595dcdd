"""Apache httpd 2.4, from 2.4.47 on where it serves WebSockets (``upgrade=websocket`` of mod_proxy)."""

from __future__ import annotations

from ssgi_gateway.server.address import Address

from .site import Site, comment, connectable, indent, join

__all__ = ["render"]


def render(site: Site) -> str:
    """The file: one virtual host."""
    return join(_head(site), _redirect(site), _host(site))


def _head(site: Site) -> str:
    modules = ["proxy", f"proxy_{'fcgi' if site.protocol == 'fastcgi' else 'scgi'}", "headers"]
    modules += ["proxy_http"] if site.has_direct else []
    modules += ["rewrite"] if site.websockets == "same-path" else []
    modules += ["ssl", "http2"] if site.tls else []
    return comment(
        f"{site.origin}{site.mount} on ssgi-gateway, through Apache 2.4. On Debian and Ubuntu:\n\n"
        f"    a2enmod {' '.join(modules)}\n"
        f"    cp THIS_FILE /etc/apache2/sites-available/{site.domain}.conf\n"
        f"    a2ensite {site.domain} && apache2ctl configtest && systemctl reload apache2\n\n"
        "The gateway:\n\n" + indent(site.command("apache"))
    )


def _redirect(site: Site) -> str:
    if not site.tls or site.port:
        return ""
    return f"""<VirtualHost *:80>
    ServerName {site.domain}
    Redirect permanent "/" "{site.origin}/"
</VirtualHost>"""


def _host(site: Site) -> str:
    parts = [
        f"ServerName {site.domain}\nUseCanonicalName Off",
        _tls(site),
        "# Never a forward proxy.\nProxyRequests Off",
        "# a%2Fb is a path like any other for the application; without this Apache answers 404 by itself.\n"
        "AllowEncodedSlashes NoDecode",
        "# The application's own 404 and 500 pages pass as they are.\nProxyErrorOverride Off",
        _limit(site),
        UNSET,
        *(_static(url, folder) for url, folder in site.static),
        _websockets(site),
        _application(site),
    ]
    return f"<VirtualHost *:{site.listen}>\n{indent(join(*parts))}\n</VirtualHost>"


def _limit(site: Site) -> str:
    # mod_proxy_fcgi does not ask for it: see Site.needed.
    if site.protocol == "fastcgi":
        return "# The largest upload is the gateway's to limit (--max-body-size): LimitRequestBody is not for FastCGI."
    return (
        "# The largest upload in bytes, 0 for no limit (2.4.53 and later: 1 GiB unless set).\n"
        f"LimitRequestBody {site.upload << 20}"
    )


def _tls(site: Site) -> str:
    if not site.tls:
        return ""
    chain, key = site.tls
    return f"""Protocols h2 http/1.1
SSLEngine on
SSLCertificateFile    {chain}
SSLCertificateKeyFile {key}
SSLProtocol -all +TLSv1.2 +TLSv1.3"""


def _static(url: str, folder: str) -> str:
    folder = folder.rstrip("/")
    return f"""# Files by Apache itself. "!" comes before the lines that proxy: the first match counts.
Alias "{url}" "{folder}/"
<Directory "{folder}">
    Require all granted
    Options -Indexes
</Directory>
ProxyPass "{url}" "!\""""


def backend(scheme: str, address: Address, path: str) -> str:
    """A ProxyPass target: of a unix socket, or of a port."""
    if address.kind == "unix":
        return f"unix:{address.path}|{scheme}://localhost{path}"
    return f"{scheme}://{connectable(address)}{path}"


def _websockets(site: Site) -> str:
    if not site.has_direct:
        return (
            "# Apache cannot tunnel an upgrade over SCGI or FastCGI, so none reaches the gateway.\n"
            "RequestHeader unset Upgrade"
        )
    path = site.websocket_path
    target = backend("http", site.direct, path)
    if site.websockets == "same-path":
        plain = backend("http", site.direct, "")
        return f"""# WebSockets, on the gateway's direct port, whatever their path.
<Proxy "{plain}">
    ProxySet upgrade=websocket
</Proxy>
RewriteEngine On
RewriteCond %{{HTTP:Upgrade}} ^websocket$ [NC]
RewriteRule ^{site.mount}/(.*)$ "{plain}{site.mount}/$1" [P,L]
{FORWARDED.format(where="/")}"""
    return f"""# WebSockets, on the gateway's direct port. Elsewhere Apache could not tunnel an upgrade.
ProxyPass "{path}" "{target}" upgrade=websocket
{FORWARDED.format(where=path)}
RequestHeader unset Upgrade "expr=! %{{REQUEST_URI}} =~ m|^{path}|\""""


UNSET = """# What a client writes there itself is not passed on. To what it proxies over HTTP Apache adds its own.
RequestHeader unset X-Forwarded-For
RequestHeader unset X-Forwarded-Host
RequestHeader unset X-Forwarded-Proto
RequestHeader unset Forwarded
RequestHeader unset Proxy"""

FORWARDED = """<Location "{where}">
    ProxyPreserveHost On
    RequestHeader set X-Forwarded-Proto "expr=%{{REQUEST_SCHEME}}"
</Location>"""


def _application(site: Site) -> str:
    path = f"{site.mount}/"
    if site.protocol == "fastcgi":
        target = backend("fcgi", site.address, path)
        proxy = f"""# HTTP over FastCGI.
#   enablereuse=on   connections are kept
#   flushpackets=on  server-sent events arrive at once
#   timeout=300      silence, not length
ProxyPass "{path}" "{target}" enablereuse=on flushpackets=on retry=0 timeout=300"""
    else:
        target = backend("scgi", site.address, path)
        proxy = f"""# HTTP over SCGI. Chunked uploads are answered 411 by Apache here; FastCGI takes them.
ProxyPass "{path}" "{target}" retry=0 timeout=300"""
    slash = (
        f'# Without its slash the mount is no path of the application.\nRedirectMatch 308 "^{site.mount}$" "{path}"\n\n'
    )
    return f"""{slash if site.mount else ""}{proxy}
<Location "{path}">
    # Authorization reaches the application.
    CGIPassAuth On
    # Since 2.4.59 Apache drops Content-Length from CGI-like answers (CVE-2024-24795): no length for HEAD, no progress
    # for downloads, and a broken answer looks whole. The gateway checks the length that it sends.
    SetEnv ap_trust_cgilike_cl yes
</Location>"""
