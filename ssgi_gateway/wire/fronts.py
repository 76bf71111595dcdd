"""What web servers differ in that a person has to configure: known by SERVER_SOFTWARE, measured, for log lines."""

from __future__ import annotations

__all__ = ["head_limit"]

# Bytes of an answer's head that each takes, and what to change; measured with the versions of docs/wire.md.
_LIMITS = {
    "Apache": (8190, "Apache refuses a line of more than 8190 bytes in it"),
    "lighttpd": (65535, "lighttpd refuses more than 64 KiB"),
    "HAProxy": (15360, "HAProxy refuses more than tune.bufsize less tune.maxrewrite (15 KiB unless raised)"),
    "h2o": (65535, "h2o refuses more than some 64 KiB"),
    "Caddy": (1048576, "Caddy refuses more than 1 MiB"),
}


def head_limit(software: str, protocol: str, size: int) -> str:
    """What a web server makes of an answer's head, in words for the log.

    Args:
        software: SERVER_SOFTWARE, such as ``Apache/2.4.57 (Debian)``; empty where it is not sent (nginx over SCGI).
        protocol: ``scgi``, ``fastcgi`` ...: how nginx's directive begins.
        size: of the head, in bytes, above one page.

    Returns:
        ``""`` where it is known to take that much.
    """
    for name, (limit, problem) in _LIMITS.items():
        if software.startswith(name):
            return problem if size > limit else ""
    return (
        f"nginx refuses more than one page unless {protocol}_buffer_size is raised (upstream sent too big header)"
        if protocol in ("scgi", "fastcgi", "uwsgi")
        else ""
    )
