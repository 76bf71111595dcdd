"""An examination: requests through the web server's public address, compared with what arrives.

What the web server is, its first answer shows; the directives are then those of that one. The rules about a request's
variables are ``observe.diagnosis``'s, which the running gateway applies as well. The probes are in ``requests`` and
``connections``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from ssgi_gateway.observe.diagnosis import APACHE, CADDY, HAPROXY, LIGHTTPD, NGINX, Finding, diagnose, front_of

from . import connections, requests
from .client import Answer, Target, Unreachable

if TYPE_CHECKING:
    from .stand_in import StandIn

__all__ = ["PROBES", "Examination"]

Probe = Callable[["Examination"], Iterator[Finding]]


class Examination:
    """What the probes share.

    Args:
        target: the site.
        upload: bytes of the upload that has to pass.
        websocket: the path of a WebSocket; empty when the site has none.
        stand_in: the probe's process, to be restarted, and read for what it logged.
    """

    def __init__(
        self, target: Target, upload: int = 2 << 20, websocket: str = "/", stand_in: StandIn | None = None
    ) -> None:
        self.stand_in = stand_in
        self.target = target
        self.upload = upload
        self.websocket = websocket
        self.front = ""
        self.protocol = ""

    def run(self) -> Iterator[Finding]:
        """All findings, in the order of the probes.

        Raises:
            Unreachable: the first request came to nothing.
        """
        answer = self.target.ask("/doctor/first?asked=1")
        yield from self.arrival(answer)
        if answer.facts is None:
            return
        # Alone, because it counts connections.
        yield from self._probe(connections.kept_connections)
        # Side by side: some of them wait, and the site is closed meanwhile.
        with ThreadPoolExecutor(len(PROBES)) as pool:
            for found in pool.map(self._probe, PROBES):
                yield from found
        yield from self._probe(connections.restart)

    def _probe(self, probe: Probe) -> list[Finding]:
        try:
            return list(probe(self))
        except Unreachable as error:
            name = probe.__name__.replace("_", "-")
            broken = "the web server broke the connection off"
            return [Finding(f"no-answer-to-{name}", str(error), broken, "Its error log has the reason")]

    def arrival(self, answer: Answer) -> Iterator[Finding]:
        """Whether a request comes through at all, and what its variables give away."""
        self.front = front_of(answer.headers.get("server", ""))
        facts = answer.facts
        if not isinstance(facts, dict) or "environ" not in facts:
            yield self._not_arrived(answer)
            return
        environ = facts["environ"]
        self.protocol = facts["protocol"]
        self.front = front_of(environ.get("SERVER_SOFTWARE", "")) or self.front
        yield from diagnose(environ, self.protocol)
        wanted = "https" if self.target.secure else "http"
        if facts["scheme"] != wanted and not any("scheme" in kind for kind in _kinds(environ, self.protocol)):
            yield self.finding(
                "scheme-wrong", f"the request came over {wanted}, and the application receives {facts['scheme']}",
                "cookies lose Secure, links have the wrong scheme",
                {NGINX: "add HTTPS $https if_not_empty", "": "pass HTTPS=on, or REQUEST_SCHEME"},
            )  # fmt: skip
        if facts["root_path"] not in ("", self.target.path):
            yield self.finding(
                "root-path-wrong", f"the application receives a mount point, {facts['root_path']}",
                "links have that twice, and paths are not found",
                {
                    LIGHTTPD: '"fix-root-scriptname" => "enable"',
                    APACHE: "ProxyPass in place of SetHandler",
                    NGINX: "leave SCRIPT_NAME and PATH_INFO out, or set SCRIPT_NAME to the mount",
                    "": "start the gateway with --root-path",
                },
            )  # fmt: skip
        host = environ.get("HTTP_HOST", "")
        if host and host != self.target.authority:
            yield self.finding(
                "host-changed", f"{self.target.authority!r} was requested, and {host!r} arrived",
                "links, redirects and checks of the origin are wrong",
                {NGINX: "HTTP_HOST $http_host if_not_empty", APACHE: "ProxyPreserveHost On", "": "keep Host"},
            )  # fmt: skip

    def _not_arrived(self, answer: Answer) -> Finding:
        seen = f"{answer.status} from {answer.headers.get('server', 'an unknown server')}, and nothing arrived here"
        complaints = self.stand_in.complaints() if self.stand_in is not None else []
        if complaints:
            return self.finding(
                "not-understood", f"{seen}; the gateway's message: {'; '.join(complaints)}",
                "the web server speaks something else on this socket, or leaves out what the protocol needs",
                {
                    NGINX: "scgi_pass for --scgi, fastcgi_pass for --fastcgi, proxy_pass for --websocket; a location "
                    "with a *_param of its own needs the include in itself, too",
                    APACHE: "scgi:// for --scgi, fcgi:// for --fastcgi",
                    HAPROXY: "proto fcgi at the server's line",
                    "": "compare the protocol of each address in its configuration with the gateway's",
                },
            )  # fmt: skip
        if answer.status in (502, 503, 504):
            return self.finding(
                "not-connected", seen, "the web server cannot reach the gateway's address",
                {"": "Compare the address in its configuration with those below; its error log shows what it tried"},
            )  # fmt: skip
        if answer.status == 200 and not answer.body and self.front == CADDY:
            return self.finding(
                "php-fastcgi", seen, "php_fastcgi looks for files and answers nothing for everything else",
                {CADDY: "use reverse_proxy ADDRESS { transport fastcgi }"},
            )  # fmt: skip
        if answer.status in (301, 302, 307, 308):
            where = answer.headers.get("location", "")
            return self.finding(
                "redirected", f"{seen}; it leads to {where}", "another address is meant",
                {"": f"Try: ssgi-gateway doctor {where}"},
            )  # fmt: skip
        return self.finding(
            "answered-by-another", seen, "this address is not led to the gateway",
            {"": "Look for the site's server block or virtual host, and the location that matches"},
        )  # fmt: skip

    def finding(self, kind: str, seen: str, why: str, fixes: dict[str, str]) -> Finding:
        """A finding with the fix for the web server that is there."""
        fix = fixes.get(self.front) or fixes.get("") or "; ".join(f"{name}: {text}" for name, text in fixes.items())
        return Finding(kind, seen, why, fix)


def _kinds(environ: dict[str, str], protocol: str) -> set[str]:
    return {finding.kind for finding in diagnose(environ, protocol)}


PROBES: Final[tuple[Probe, ...]] = (
    requests.authorization,
    requests.paths,
    requests.uploads,
    connections.events,
    requests.answers,
    requests.request_heads,
    requests.names,
    connections.websocket,
    connections.leaving,
)
"""Those that can run side by side."""
