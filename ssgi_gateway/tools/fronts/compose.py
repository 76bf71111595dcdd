"""Docker Compose: the application behind nginx, in two containers that share a folder of sockets."""

from __future__ import annotations

import os
from typing import Final

from ssgi_gateway.errors import ConfigurationError

from . import nginx
from .site import Site, comment, join

__all__ = ["files", "render"]

SOCKETS: Final = "/run/ssgi-gateway"

NGINX_IMAGE: Final = ("nginx:stable", (1, 28, 0))
"""The image, and the oldest version that may be in it."""


def render(site: Site) -> str:
    """The files, one after the other; the name of each stands above it."""
    return "\n".join(f"# {'-' * 10} {name} {'-' * 10}\n\n{text}" for name, text in files(site).items())


def files(site: Site) -> dict[str, str]:
    """The text of each file by its name.

    Raises:
        ConfigurationError: the two containers could not meet where the gateway listens.
    """
    for address in (site.address, *([site.direct] if site.has_direct else [])):
        if address.kind != "unix" or os.path.dirname(address.path) != SOCKETS:
            raise ConfigurationError(
                f"compose: the two containers share {SOCKETS}, so the gateway has to listen there and not on "
                f"{address}: take the address out of the settings, or write unix:{SOCKETS}/{site.protocol}.sock"
            )
    return {
        "compose.yaml": _compose(site),
        "nginx.conf": _nginx(site),
        "Dockerfile": _dockerfile(),
        ".dockerignore": _ignored(),
    }


def _nginx(site: Site) -> str:
    inside = site._replace(version=NGINX_IMAGE[1])
    text = nginx.render(inside)
    return comment(f"nginx in compose.yaml: {site.origin}{site.mount}") + text[text.index("\n\nupstream ") :]


def _compose(site: Site) -> str:
    return join(
        comment(
            f"{site.origin}{site.mount} on ssgi-gateway, in containers: nginx in front, the gateway behind it.\n\n"
            "    docker compose up --build --detach --wait\n\n"
            "The two meet on unix sockets in a volume they share; nothing of the gateway is on any network. Another\n"
            f"port: {'HTTPS' if site.tls else 'HTTP'}_PORT=8443 docker compose up. More workers: --workers below."
        ),
        f"name: {_project(site)}",
        "services:\n" + _gateway(site),
        _front(site),
        "volumes:\n  sockets:",
    )


def _project(site: Site) -> str:
    """A name that Compose takes: small letters, digits, ``-`` and ``_``."""
    letters = "".join(letter if letter.isalnum() else "-" for letter in site.domain.lower()).strip("-")
    return letters or "site"


def _gateway(site: Site) -> str:
    words = ["serve", site.app, f"--{site.protocol}={site.address}"]
    words += [f"--websocket={site.direct}"] if site.has_direct else []
    words += ["--websocket-origins=same"] if site.websockets != "off" else []
    words += [f"--root-path={site.mount}"] if site.mount else []
    command = "\n".join(f"      - {word}" for word in [*words, "--workers=auto"])
    return f"""\
  gateway:
    build: .
    command:
{command}
    environment:
      HEALTH: "--{site.protocol} {site.address} {site.mount}/"
    # What it asks is the image's: see HEALTH there.
    healthcheck:
      interval: 10s
      timeout: 5s
      start_period: 10s
      retries: 3
    volumes:
      - sockets:{SOCKETS}
    # Take this out where the application asks others: a database, an API.
    network_mode: none
    read_only: true
    tmpfs: [/tmp]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    # The gateway drains for up to 30 s after SIGTERM (--deadline-drain).
    stop_grace_period: 45s
    restart: unless-stopped"""


def _front(site: Site) -> str:
    if site.port:
        ports = [f'"${{{"HTTPS" if site.tls else "HTTP"}_PORT:-{site.port}}}:{site.port}"']
    else:
        ports = ['"${HTTP_PORT:-80}:80"', *(['"${HTTPS_PORT:-443}:443"'] if site.tls else [])]
    # Let's Encrypt's names are links to another folder of its own, so all of it has to be there.
    tls = sorted({_mounted(file) for file in site.tls or ()})
    folders = ["./nginx.conf:/etc/nginx/conf.d/default.conf:ro", f"sockets:{SOCKETS}"]
    folders += [f"{folder}:{folder}:ro" for folder in [*tls, *(folder.rstrip("/") for _, folder in site.static)]]
    listed = "\n".join(f"      - {port}" for port in ports)
    mounts = "\n".join(f"      - {folder}" for folder in folders)
    return f"""\
  nginx:
    image: {NGINX_IMAGE[0]}
    depends_on:
      gateway:
        condition: service_healthy
    ports:
{listed}
    volumes:
{mounts}
    restart: unless-stopped"""


def _mounted(file: str) -> str:
    return "/etc/letsencrypt" if file.startswith("/etc/letsencrypt/") else os.path.dirname(file)


def _dockerfile() -> str:
    return """\
# The application and the gateway; requirements.txt names what the application needs.

FROM python:3.14-slim AS build
# With a compiler there are compiled codecs, whatever wheels there are; the image below does not need one.
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends gcc libc6-dev \\
    && rm -rf /var/lib/apt/lists/*
COPY requirements.txt /src/
RUN pip wheel --no-cache-dir --wheel-dir /wheels "ssgi-gateway[uvloop]" -r /src/requirements.txt

FROM python:3.14-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \\
    pip install --no-cache-dir --no-index --find-links /wheels /wheels/*.whl

WORKDIR /app
COPY . .

# nginx' workers belong to group 101 in nginx' own images. The sockets are for the gateway's user and this group, and a
# new volume that is mounted here inherits the folder's owner and group.
RUN install --directory --owner=10001 --group=101 --mode=0750 /run/ssgi-gateway
USER 10001:101

ENV PYTHONUNBUFFERED=1
# A gateway that answers is healthy; an application with a page for it names that in HEALTH: /healthz.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ssgi-gateway call ${HEALTH} -fsm 2
ENTRYPOINT ["ssgi-gateway"]
"""


def _ignored() -> str:
    return ".git\n.venv\n**/__pycache__\ncompose.yaml\nnginx.conf\nDockerfile\n.dockerignore\n"
