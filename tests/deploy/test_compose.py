"""deploy's compose files: what they name is there, their parts agree, nginx and the gateway accept what they are given.

Containers themselves are not started: that takes a docker daemon, and is what ``make compose-test`` does. Where the
client has ``docker compose``, it reads the files too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ssgi_gateway.settings.sources import options
from ssgi_gateway.tools.fronts import Site
from ssgi_gateway.tools.fronts import compose as compose_files
from tests.harness import DEPLOY, check_configuration, nginx_version
from tests.harness.gateway import ROOT
from tests.harness.nginx import free_port, main_configuration
from tests.harness.process import DEADLINE

FOLDER = ROOT / "deploy"
COMPOSE = FOLDER / "compose.yaml"
DRAIN = next(option.default for option in options() if option.name == "deadline_drain")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


def mounts(service: dict[str, Any]) -> list[tuple[str, str]]:
    """Source and target of each of its volumes."""
    return [(source, target) for source, target, *_ in (text.split(":") for text in service.get("volumes", []))]


def test_what_it_names_is_there(compose: dict[str, Any]) -> None:
    build = compose["services"]["gateway"]["build"]
    context = (FOLDER / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).is_file()
    for service in compose["services"].values():
        for source, target in mounts(service):
            assert target.startswith("/")
            if source.startswith("."):
                assert (FOLDER / source).exists(), source
            else:
                assert source in compose["volumes"]
        for other in service.get("depends_on", {}):
            assert other in compose["services"]


def test_the_sockets_are_where_nginx_looks_for_them(compose: dict[str, Any]) -> None:
    services = compose["services"]
    folder = dict(mounts(services["gateway"]))["sockets"]
    assert dict(mounts(services["nginx"]))["sockets"] == folder
    assert folder in (FOLDER / "Dockerfile").read_text()
    wanted = set(re.findall(r"server unix:(\S+);", (DEPLOY / "upstreams.conf").read_text()))
    given = {word.partition("=unix:")[2] for word in services["gateway"]["command"] if "=unix:" in word}
    assert given == wanted
    assert {str(Path(socket).parent) for socket in given} == {folder}


def test_the_gateway_starts_with_the_words_it_is_given(compose: dict[str, Any], tmp_path: Path) -> None:
    # All but the last step: the folder of the sockets is missing, and the gateway says so. Anything that is wrong with
    # an option or with the application would be said instead.
    missing = tmp_path / "missing"
    words = [word.replace("/run/ssgi-gateway", str(missing)) for word in compose["services"]["gateway"]["command"]]
    told = subprocess.run(
        [sys.executable, "-m", "ssgi_gateway", *words],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE,
    )  # fmt: skip
    assert told.returncode == 2
    assert str(missing) in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.nginx
def test_nginx_accepts_its_configuration(compose: dict[str, Any], tmp_path: Path) -> None:
    site = (FOLDER / "compose-nginx.conf").read_text()
    targets = {target: source for source, target in mounts(compose["services"]["nginx"])}
    assert targets["/etc/nginx/conf.d/default.conf"] == "./compose-nginx.conf"
    for target, link in {"/etc/nginx/ssgi": "ssgi", "/srv/board": "board"}.items():
        (tmp_path / link).symlink_to((FOLDER / targets[target]).resolve())
    (tmp_path / "certificate").mkdir()
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=tmp_path / "certificate", check=True, capture_output=True)
    assert "http2 on;" in site
    if nginx_version() < (1, 25, 1):  # the nginx of the image is newer, and warns of the other spelling
        site = site.replace("listen 443 ssl;", "listen 443 ssl http2;").replace("http2 on;", "")
    site = site.replace("listen 443 ", f"listen 127.0.0.1:{free_port()} ").replace("/srv/board", f"{tmp_path}/board")
    (tmp_path / "nginx.conf").write_text(main_configuration(site))
    assert "[warn]" not in check_configuration(tmp_path, tmp_path / "nginx.conf")


def test_the_image_gets_what_the_build_needs() -> None:
    # The ignore file starts from nothing: what the build reads has to be let in again.
    allowed = {line[1:] for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    readme = {project["readme"]} if "readme" in project else set()
    assert {"pyproject.toml", "setup.py", "ssgi_gateway", "examples", *project["license-files"]} | readme <= allowed


ALL = sorted([COMPOSE, FOLDER / "compose-scaled.yaml", FOLDER / "compose" / "compose.yaml"])


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(FOLDER)))
def test_each_file_is_of_a_shape_that_compose_takes(path: Path) -> None:
    """The parts of its specification (https://compose-spec.io) that the files use."""
    content = yaml.safe_load(path.read_text())
    assert content.keys() <= {"name", "services", "volumes", "networks"}
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", content["name"])
    for name, service in content["services"].items():
        assert service.keys() <= {
            "build", "image", "command", "entrypoint", "user", "environment", "volumes", "networks", "network_mode",
            "ports", "depends_on", "healthcheck", "read_only", "tmpfs", "cap_drop", "security_opt",
            "stop_grace_period", "restart",
        }, name  # fmt: skip
        assert "image" in service or "build" in service
        assert not {"networks", "network_mode"} <= service.keys()
        for port in service.get("ports", []):
            assert re.fullmatch(r"(127\.0\.0\.1:)?\$\{[A-Z_]+:-\d+\}:\d+", port), "another port has to be possible"
        for source, _ in mounts(service):
            assert source.startswith((".", "/")) or source in content["volumes"]
        for other, about in service.get("depends_on", {}).items():
            assert other in content["services"]
            if about["condition"] == "service_healthy" and "build" not in content["services"][other]:
                assert "test" in content["services"][other]["healthcheck"]  # otherwise the image has one
        for key in ("interval", "timeout", "start_period"):
            assert re.fullmatch(r"\d+s", service.get("healthcheck", {}).get(key, "1s"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_stop_outlasts_the_drain(path: Path) -> None:
    service = yaml.safe_load(path.read_text())["services"]["gateway"]
    assert int(service["stop_grace_period"].rstrip("s")) > DRAIN


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(FOLDER)))
def test_the_health_check_calls_where_the_gateway_listens(path: Path) -> None:
    service = yaml.safe_load(path.read_text())["services"]["gateway"]
    image = re.search(r'^ENV HEALTH="(.*)"$', (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    assert image
    protocol, address, _ = service.get("environment", {}).get("HEALTH", image[1]).split()
    assert f"{protocol}={address.replace('127.0.0.1:', ':')}" in service["command"]


@pytest.mark.nginx
def test_nginx_accepts_what_config_compose_prints(tmp_path: Path) -> None:
    site = Site(tls=None, static=(), port=free_port())
    text = compose_files.files(site)["nginx.conf"]
    (tmp_path / "nginx.conf").write_text(main_configuration(text, shared=False))
    assert "[warn]" not in check_configuration(tmp_path, tmp_path / "nginx.conf")


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(FOLDER)))
def test_docker_compose_reads_it(path: Path) -> None:
    docker = shutil.which("docker")
    known = docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0
    if not docker or not known:
        pytest.skip("there is no docker compose here")
    command = [docker, "compose", "-f", str(path), "config", "--quiet"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert told.returncode == 0, told.stderr
