"""systemd: the gateway as a service, and its sockets.

Where the settings have listeners, the service opens its sockets itself. Where they do not, systemd does, in units
of their own: such sockets stay while the service restarts, and connections wait in them.
"""

from __future__ import annotations

from typing import Final

from ssgi_gateway.server.address import Address

from .site import Site, comment, join

__all__ = ["files", "render"]

UNITS: Final = "/etc/systemd/system"


def render(site: Site) -> str:
    """All units, one after the other; the name of each stands above it."""
    return "\n".join(f"# {'-' * 10} {UNITS}/{name} {'-' * 10}\n\n{text}" for name, text in files(site).items())


def files(site: Site) -> dict[str, str]:
    """The text of each unit by the name of its file."""
    found = {f"{_name(site)}.service": _service(site)}
    if site.activated:
        found[_socket_name(site)] = _socket(site, site.protocol, site.address)
        if site.has_direct:
            found[_socket_name(site, "-websocket")] = _socket(site, "websocket", site.direct)
    return found


def _name(site: Site, suffix: str = "") -> str:
    return f"{site.name}{suffix}@" if site.instances else f"{site.name}{suffix}"


def _socket_name(site: Site, suffix: str = "", instance: str = "") -> str:
    return f"{_name(site, suffix)}{instance}.socket"


def _sockets(site: Site, instance: str) -> str:
    """The socket units as other units and people write them; ``instance`` stands behind the ``@``."""
    names = [_socket_name(site, instance=instance)] if site.activated else []
    if site.activated and site.has_direct:
        names.append(_socket_name(site, "-websocket", instance))
    return " ".join(names)


def _service(site: Site) -> str:
    return join(
        _head(site), _unit(site), _what(site), _life(site), _limits(site), "[Install]\nWantedBy=multi-user.target"
    )


def _head(site: Site) -> str:
    example = "shop" if site.instances else ""
    started = f"{_sockets(site, example)} {_name(site)}{example}.service".strip()
    what = (
        f"Several web applications on one machine, each in a folder of its own with .venv and its settings:\n"
        f"{site.folder.replace('%i', 'NAME')}."
        if site.instances
        else "One web application as a service. The application's settings are in ssgi-gateway.toml or pyproject.toml\n"
        f"([tool.ssgi-gateway]) in {site.folder}."
    )
    names = " ".join(file_names(site))
    where = "" if not site.activated else "\n\nThe web server reaches it at " + str(_address(site, site.address))
    where = where.replace("%i", example)
    return comment(
        f"{what}\n\n"
        f"    cp {names} {UNITS}/\n"
        "    systemctl daemon-reload\n"
        f"    systemctl enable --now {started}\n"
        f"    systemctl reload {_name(site)}{example}    "
        "fails, with the reason in the journal, if the new application does not start"
        f"{where}\ndocs/operations.md explains the rest."
    )


def file_names(site: Site) -> list[str]:
    """The names of the files."""
    return [f"{_name(site)}.service", *_sockets(site, "").split()]


def _unit(site: Site) -> str:
    sockets = _sockets(site, "%i" if site.instances else "")
    title = "Web application %i (ssgi-gateway)" if site.instances else "Web application (ssgi-gateway)"
    if not sockets:
        return f"[Unit]\nDescription={title}\nAfter=network.target"
    return f"[Unit]\nDescription={title}\nRequires={sockets}\nAfter=network.target {sockets}"


def _what(site: Site) -> str:
    program = site.program or f"{site.folder}/.venv/bin/ssgi-gateway"
    words = [program, "serve", *(["--config", site.config] if site.config else [])]
    if site.activated:
        words += [] if site.instances else [site.app]
        words += ["--workers", "auto"]
        words += ["--websocket-origins", "same"] if site.websockets != "off" else []
        words += ["--root-path", site.mount] if site.mount else []
    return f"""[Service]
# What it is, where, and who runs it. The web server's group is the sockets' group, and so may connect.
WorkingDirectory={site.folder}
ExecStart={" ".join(words)}
ExecReload={program} reload --pid $MAINPID
User={site.user}
Group={site.group}"""


def _life(site: Site) -> str:
    return """\
# READY comes when the first worker serves. The supervisor is replaced in place, so the process id stays what it is.
Type=notify
NotifyAccess=main
WatchdogSec=30
# 2 says that something that was written is wrong; to try again would not help.
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=2
# SIGTERM goes to the supervisor only; longer than --deadline-drain, which is 30 seconds.
KillMode=mixed
TimeoutStopSec=45
TimeoutStartSec=90
# A worker without memory is replaced; it does not end the service.
OOMPolicy=continue
LimitNOFILE=65536
UMask=0027"""


def _limits(site: Site) -> str:
    place = "ssgi-gateway/%i" if site.instances else "ssgi-gateway"
    runtime = _runtime_directory(site) or place
    at_home = site.folder.startswith(("/home/", "/root"))
    own = (
        f"""
# Its own folder, for what it keeps there (SQLite, uploads). Without this line that is read-only as well.
ReadWritePaths={site.folder}"""
        if site.user != "www-data"
        else ""
    )
    return f"""\
# What it does not need it does not get. Writable are its state and runtime folders: /var/lib/{place} and
# /run/{runtime}.
StateDirectory={place}
RuntimeDirectory={runtime}
RuntimeDirectoryPreserve={"yes" if site.activated else "no"}{own}
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome={"read-only" if at_home else "yes"}
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
PrivateDevices=yes
PrivateTmp=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM"""


def _runtime_directory(site: Site) -> str:
    """Below /run, where the sockets are; empty where they are not there."""
    address = _address(site, site.address)
    folder = address.path.rpartition("/")[0] if address.kind == "unix" else ""
    return folder.removeprefix("/run/") if folder.startswith("/run/") else ""


def _address(site: Site, address: Address) -> Address:
    """That of one instance, where there are several: a folder of its own."""
    if not site.instances or address.kind != "unix":
        return address
    folder, _, name = address.path.rpartition("/")
    return address._replace(path=f"{folder}/%i/{name}")


def _socket(site: Site, protocol: str, address: Address) -> str:
    address = _address(site, address)
    listen = address.path if address.kind == "unix" else str(address).removeprefix(":")
    whose = "the web application %i" if site.instances else "a web application"
    service = f"{_name(site)}{'%i' if site.instances else ''}.service"
    owner = (
        f"# Who may connect: the web server's group.\nSocketUser=root\nSocketGroup={site.group}\nSocketMode=0660\n"
        if address.kind == "unix"
        else ""
    )
    other = "" if protocol == site.protocol else f"Service={service}\n"
    return join(
        comment(
            f"A socket of {_name(site)}.service: it stays while that restarts, and connections wait in it. Its\n"
            f"name is what is spoken there. The service needs no --{protocol} then."
        ),
        f"[Unit]\nDescription={protocol} socket of {whose} (ssgi-gateway)",
        f"[Socket]\nListenStream={listen}\nFileDescriptorName={protocol}\n{other}{owner}Backlog=2048",
        "[Install]\nWantedBy=sockets.target",
    )
