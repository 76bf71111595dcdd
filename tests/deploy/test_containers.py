"""deploy/compose-scaled.yaml and deploy/kubernetes: options that exist, files that are there, nginx that accepts.

Starting them takes a Docker daemon and is left to whoever has one.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ssgi_gateway.settings.sources import options, plain_words
from tests.harness import DEPLOY, check_configuration, nginx_version
from tests.harness.client import request
from tests.harness.gateway import ROOT, Gateway
from tests.harness.nginx import Nginx, free_port, main_configuration, stock_file
from tests.harness.websocket import WebSocketClient

FOLDER = ROOT / "deploy"
KUBERNETES = sorted((FOLDER / "kubernetes").glob("*.yaml"))


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def gateways(path: Path) -> list[dict[str, Any]]:
    """The containers that run the gateway."""
    found = [
        container
        for document in documents(path)
        if document.get("kind") == "Deployment"
        for container in document["spec"]["template"]["spec"]["containers"]
    ]
    return [container for container in found if container["name"] == "gateway"]


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_the_gateway_takes_the_arguments(path: Path) -> None:
    [gateway] = gateways(path)
    assert gateway["args"][0] == "serve"
    given = plain_words(gateway["args"][1:])
    assert given is not None, "argparse would have something to say about them"
    assert given.keys() <= {option.name for option in options()}


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_a_pod_outlives_the_delay_and_the_drain(path: Path) -> None:
    [gateway] = gateways(path)
    given = plain_words(gateway["args"][1:]) or {}
    drain = next(option.default for option in options() if option.name == "deadline_drain")
    deployment = next(document for document in documents(path) if document["kind"] == "Deployment")
    grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > float(given["stop_delay"]) + drain


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_probes_ask_the_status_listener(path: Path) -> None:
    [gateway] = gateways(path)
    ports = {port["name"]: port["containerPort"] for port in gateway["ports"]}
    given = plain_words(gateway["args"][1:]) or {}
    assert given["status"].endswith(f":{ports['status']}")
    for probe, page in (("livenessProbe", "/live"), ("readinessProbe", "/ready"), ("startupProbe", "/ready")):
        assert gateway[probe]["httpGet"] == {"path": page, "port": "status"}


@pytest.mark.nginx
def test_nginx_accepts_the_sidecars_configuration(tmp_path: Path) -> None:
    [config] = [it for it in documents(FOLDER / "kubernetes" / "sidecar.yaml") if it["kind"] == "ConfigMap"]
    text = config["data"]["default.conf"].replace("listen 8080", f"listen 127.0.0.1:{free_port()}")
    shutil.copy(stock_file("scgi_params"), tmp_path)
    (tmp_path / "nginx.conf").write_text(main_configuration(text, shared=False))
    assert "[warn]" not in check_configuration(tmp_path, tmp_path / "nginx.conf")


def started(path: Path, directory: Path, app: str) -> Gateway:
    """The gateway with the arguments of the pod, on addresses of this machine."""
    [gateway] = gateways(path)
    own = ("--scgi=", "--http=", "--status=", "--stop-")
    words = [word.replace("10.0.0.0/8", "127.0.0.0/8") for word in gateway["args"][2:] if not word.startswith(own)]
    listening = {"scgi": ["unix"]} if path.stem == "sidecar" else {"http": ["tcp"]}
    return Gateway(app, directory, options=[*words, "--status=127.0.0.1:0"], **listening)


def asked_for(gateway: Gateway, page: str) -> int:
    """The status of a page of the status listener."""
    host, _, port = gateway.wait_for_log("status page").partition("http://")[2].partition("/")[0].rpartition(":")
    return request((host, int(port)), "GET", page).status


@pytest.mark.nginx
def test_the_sidecar_serves_and_believes_its_ingress(tmp_path: Path) -> None:
    path = FOLDER / "kubernetes" / "sidecar.yaml"
    [config] = [it for it in documents(path) if it["kind"] == "ConfigMap"]
    maps, _, rest = config["data"]["default.conf"].partition("server {\n    listen 8080;")
    with started(path, tmp_path, "tests.apps.behaviour:app") as gateway:
        assert asked_for(gateway, "/live") == asked_for(gateway, "/ready") == 200
        shutil.copy(stock_file("scgi_params"), tmp_path)
        to_gateway = maps.replace("/run/ssgi-gateway/scgi.sock", str(gateway.address("scgi", "unix")))
        body = rest.rstrip().removesuffix("}").replace("10.0.0.0/8", "127.0.0.0/8")
        with Nginx(tmp_path, {"pod": body}, to_gateway) as nginx:
            ingress = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "192.0.2.7")]
            told = request(nginx.address("pod"), "GET", "/a?b=c", ingress, host="example.org").json()
            assert (told["path"], told["query_string"]) == ("/a", "b=c")
            assert told["extensions"]["scheme"] == "https"
            assert told["remote_address"] == "192.0.2.7"
            assert told["headers"]["host"] == ["example.org"]
            plain = request(nginx.address("pod"), "GET", "/").json()
            assert plain["extensions"]["scheme"] == "http"
            with WebSocketClient(nginx.address("pod"), "/ws/echo") as client:
                client.send("hello")
                assert client.receive() == "hello"


def test_the_gateway_alone_serves_and_believes_its_ingress(tmp_path: Path) -> None:
    path = FOLDER / "kubernetes" / "http.yaml"
    with started(path, tmp_path, "tests.apps.behaviour:app") as gateway:
        assert asked_for(gateway, "/live") == asked_for(gateway, "/ready") == 200
        ingress = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "192.0.2.7")]
        told = request(gateway.address("http", "tcp"), "GET", "/a?b=c", ingress, host="example.org").json()
        assert (told["path"], told["remote_address"]) == ("/a", "192.0.2.7")
        assert told["extensions"]["scheme"] == "https"


@pytest.fixture
def scaled() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "compose-scaled.yaml").read_text())
    return loaded


def test_the_scaled_gateways_words_are_options(scaled: dict[str, Any]) -> None:
    words = scaled["services"]["gateway"]["command"]
    given = plain_words(words[1:])
    assert given is not None
    assert given.keys() <= {option.name for option in options()}
    assert given["app"] == "examples.chat.app:app"


def test_nobody_outside_reaches_a_gateway_or_redis(scaled: dict[str, Any]) -> None:
    assert scaled["networks"]["inside"]["internal"] is True
    for name, service in scaled["services"].items():
        assert ("ports" in service) == (name == "nginx")
        assert "inside" in service["networks"]


@pytest.mark.nginx
def test_nginx_accepts_the_scaled_configuration(tmp_path: Path) -> None:
    text = (FOLDER / "compose-scaled-nginx.conf").read_text()
    (tmp_path / "ssgi").symlink_to(DEPLOY)
    text = re.sub(r"listen 80;", f"listen 127.0.0.1:{free_port()};", text)
    if nginx_version() < (1, 27, 3):  # the image's nginx asks again while it runs; older ones cannot
        text = text.replace("server gateway:4000 resolve;", "server 127.0.0.1:4000;")
    (tmp_path / "nginx.conf").write_text(main_configuration(text, shared=False))
    assert "[warn]" not in check_configuration(tmp_path, tmp_path / "nginx.conf")
