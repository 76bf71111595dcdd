"""HAProxy, from 2.2 on: HTTP over FastCGI, WebSockets on the gateway's direct port. It serves no files itself."""

from __future__ import annotations

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server.address import Address

from .site import Site, comment, connectable, indent, join

__all__ = ["render"]


def render(site: Site) -> str:
    """The whole file.

    Raises:
        ConfigurationError: files are to be served.
    """
    if site.static:
        raise ConfigurationError("HAProxy serves no files: leave --static out, and let the application or a CDN do it")
    return join(
        _head(site), GLOBAL.format(group=site.group), FCGI_APP, _frontend(site), _backend(site), _websockets(site)
    )


def _head(site: Site) -> str:
    return comment(
        f"{site.origin}{site.mount} on ssgi-gateway, through HAProxy 2.2 or later: a whole file.\n\n"
        f"{_certificate(site)}"
        "    cp -b THIS_FILE /etc/haproxy/haproxy.cfg\n"
        "    haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy\n\n"
        "The gateway:\n\n" + indent(site.command("haproxy")) + "\n\n"
        "Chunked uploads that do not fit into one buffer are answered 400 by HAProxy itself. It has no limit for\n"
        "uploads, so the gateway has one."
    )


GLOBAL = """\
global
    # Who HAProxy is after its start; the gateway's sockets belong to this group.
    user haproxy
    group {group}
    log /dev/log local0
    # The largest head and the unit of buffering; requests with more than this in header fields are 400.
    tune.bufsize 32768
    tune.http.maxhdr 200

defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    # WebSockets.
    timeout tunnel 1h
    option http-no-delay
    # The gateway is told when a client disconnects; otherwise the application learns of it when it answers.
    option abortonclose"""

FCGI_APP = """\
fcgi-app gateway
    # HAProxy wants one; nothing is read from it.
    docroot /var/empty
    # A connection for each request. HAProxy says nothing when the client of a kept one disconnects, and gives the
    # connection to another client while the first request is still being served.
    no option keep-conn
    # Left out unless asked for.
    pass-header authorization
    # HAProxy's SCRIPT_NAME is the whole decoded path; a DOCUMENT_URI that equals it says so.
    set-param DOCUMENT_URI %[path,url_dec]
    # HAProxy's own has the Host header's port in it.
    set-param SERVER_NAME %[req.hdr(host),host_only]
    # HAProxy makes REMOTE_USER and AUTH_TYPE of any Authorization header, unchecked. With these two lines there
    # is a user only where this file says so: http-request set-var(txn.user) http_auth_user if { http_auth(users) }
    set-param REMOTE_USER %[var(txn.user)]
    set-param AUTH_TYPE %[var(txn.auth_type)]
    log-stderr global"""


def _frontend(site: Site) -> str:
    lines = ["frontend site"]
    if site.tls:
        lines += [
            "    # One file with the chain and the key, made again whenever the certificate is renewed.",
            f"    bind :{site.listen} ssl crt {_pem(site.tls)} alpn h2,http/1.1",
            f"    bind :::{site.listen} v6only ssl crt {_pem(site.tls)} alpn h2,http/1.1",
        ]
        if not site.port:
            lines += [
                "    bind :80",
                "    bind :::80 v6only",
                "    http-request redirect scheme https code 301 unless { ssl_fc }",
            ]
    else:
        lines += [f"    bind :{site.listen}", f"    bind :::{site.listen} v6only"]
    if site.has_direct:
        place = "" if site.websockets == "same-path" else f" {{ path_beg {site.websocket_path} }}"
        lines.append(f"    use_backend websockets if {{ hdr(Upgrade) -i websocket }}{place}")
    if site.mount:
        slash, ours = f"{{ path {site.mount} }}", f"{{ path_beg {site.mount}/ }}"
        ours += f" or {{ path_beg {site.websocket_path} }}" if site.has_direct else ""
        lines += [
            f"    http-request redirect code 308 location {site.mount}/?%[query] if {slash} {{ query -m found }}",
            f"    http-request redirect code 308 location {site.mount}/ if {slash}",
            "    # Nothing else is served here.",
            f"    http-request return status 404 unless {ours}",
            "    default_backend application",
        ]
    else:
        lines.append("    default_backend application")
    return "\n".join(lines)


def _certificate(site: Site) -> str:
    """The step that makes the one file of the two."""
    if not site.tls or site.tls[0] == site.tls[1]:
        return ""
    return f"    (umask 077; cat {' '.join(site.tls)} >{_pem(site.tls)})\n"


def _pem(tls: tuple[str, str]) -> str:
    """The one file that HAProxy reads: where the two are the same file already, that."""
    chain, key = tls
    return chain if chain == key else "/etc/haproxy/site.pem"


def server(address: Address) -> str:
    """An address as a ``server`` line takes it."""
    return address.path if address.kind == "unix" else connectable(address)


def _backend(site: Site) -> str:
    return f"""backend application
    # A client's "Proxy:" header is not HTTP_PROXY (httpoxy, CVE-2016-5385).
    http-request del-header Proxy
    # What a client wrote there itself is not passed on.
    http-request del-header X-Forwarded-For
    http-request del-header X-Forwarded-Proto
    http-request del-header X-Forwarded-Host
    http-request del-header Forwarded
    use-fcgi-app gateway
    # Over TCP a refused connection is tried again, a second apart: a restart of the gateway costs time and no errors.
    # Over a unix socket HAProxy answers 503 at once.
    retries 5
    server gateway {server(site.address)} proto fcgi"""


def _websockets(site: Site) -> str:
    if not site.has_direct:
        return ""
    return f"""backend websockets
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request del-header Forwarded
    server gateway {server(site.direct)}"""
