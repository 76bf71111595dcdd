"""``init`` on a bare machine: what it writes, its two commands typed, and a page is served, by each web server.

With a real systemd, in a copy of this machine (``make service-test``): units are started with all that they forbid.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.process import wait_until

from .machine import Machine

FRONTS = {"nginx": "nginx", "apache": "apache2", "lighttpd": "lighttpd", "caddy": "caddy", "haproxy": "haproxy"}
"""The service of each, and the name of its program."""

APPLICATION = """
import os
def app(environ, start_response):
    if environ["PATH_INFO"] == "/a":
        with open("visits", "a") as file:  # its own folder is writable, as SQLite wants it
            file.write("x")
    start_response("200 OK", [("content-type", "text/plain")])
    return [f"{environ['wsgi.url_scheme']} {environ['PATH_INFO']} {os.getuid() != 0}".encode()]
"""
CURL = "curl --silent --show-error --max-time 20 --cacert /etc/ssl/site/cert.pem"
CERTIFICATE = """\
mkdir -p /etc/ssl/site && cd /etc/ssl/site &&
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \\
    -days 2 -subj /CN=shop.example -addext subjectAltName=DNS:shop.example -keyout key.pem -out cert.pem 2>&1 &&
chmod 644 key.pem && echo 127.0.0.1 shop.example >>/etc/hosts
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with Machine(tmp_path) as running:
        running.application("/srv/shop", "shop", {"shop.py": APPLICATION, "static/app.css": "body {}\n"})
        running.run(CERTIFICATE)
        yield running


def written(machine: Machine, command: str) -> list[str]:
    """What a command of the shop's user prints, as lines."""
    return machine.run(command, user="shop", home="/srv/shop").splitlines()


@pytest.mark.parametrize("front", FRONTS)
def test_the_two_commands_serve_a_page(machine: Machine, front: str) -> None:
    if shutil.which(FRONTS[front], path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip(f"{FRONTS[front]} is not installed")
    machine.run(f"systemctl start {FRONTS[front]}")
    said = written(
        machine,
        f"ssgi-gateway init shop:app --yes --front {front} --domain shop.example "
        "--tls /etc/ssl/site/cert.pem,/etc/ssl/site/key.pem",
    )
    commands = [line.partition("sudo ")[2] for line in said if line.startswith("  sudo ")]
    assert len(commands) == 2
    for command in commands:
        machine.run(f"cd /srv/shop && {command}")

    wait_until(lambda: machine.run(f"{CURL} https://shop.example/a", check=False) == "https /a True", "the page")
    # A reload returns before the old workers have stopped to accept.
    redirect = f"{CURL} -o /dev/null -w '%{{http_code}} %{{redirect_url}}' http://shop.example/a"
    wait_until(lambda: re.fullmatch(r"30[18] https://shop\.example/a", machine.run(redirect)), "a redirect")
    if front != "haproxy":  # which serves no files
        assert machine.run(f"{CURL} -w '%{{content_type}}' https://shop.example/static/app.css").startswith(
            "body {}\ntext/css"
        )
    users = machine.run(f"ps -C {FRONTS[front]} -o user=").split()
    assert set(users) - {"root"}, "only its first process may be root"

    assert machine.status("systemctl reload shop.example") == 0
    machine.run("echo 'import nonsense' >>/srv/shop/shop.py")
    assert machine.status("systemctl reload shop.example") != 0, "the new application does not start"
    assert machine.run(f"{CURL} https://shop.example/a") == "https /a True", "the old one goes on"
    machine.run("sed -i /nonsense/d /srv/shop/shop.py && systemctl restart shop.example")
    wait_until(lambda: machine.run(f"{CURL} https://shop.example/a", check=False) == "https /a True", "the page")

    assert "Nothing is wrong" in machine.run("cd /srv/shop && .venv/bin/ssgi-gateway doctor")
    machine.run("systemctl stop shop.example")
    examine = "cd /srv/shop && SSL_CERT_FILE=/etc/ssl/site/cert.pem .venv/bin/ssgi-gateway doctor https://shop.example"
    assert "Nothing is wrong" in machine.run(examine)
    assert machine.run("ls /run/ssgi-gateway") == "", "the doctor has removed the folder that it made"
    assert "0 loaded units" in machine.run("systemctl --failed --no-pager")


def test_sockets_of_systemd_wait_while_the_service_restarts(machine: Machine) -> None:
    machine.run("mkdir /srv/units && chown shop: /srv/units")
    written(machine, "ssgi-gateway config systemd shop:app --output /srv/units")
    machine.run(
        "cp /srv/units/* /etc/systemd/system/ && systemctl enable --now ssgi-gateway.socket ssgi-gateway.service 2>&1"
    )
    call = "/srv/shop/.venv/bin/ssgi-gateway call --scgi unix:/run/ssgi-gateway/scgi.sock"
    assert machine.run(f"{call} /a") == "http /a True"
    asked = f"systemctl restart ssgi-gateway & for n in 1 2 3 4 5 6; do {call} /$n || exit 1; echo; done; wait"
    assert machine.run(asked).split() == [word for n in "123456" for word in ("http", f"/{n}", "True")]
    assert machine.status("systemctl reload ssgi-gateway") == 0


def test_several_applications_by_one_template(machine: Machine) -> None:
    machine.run("mkdir /srv/units && chown shop: /srv/units && chown -R www-data: /srv/shop")
    machine.run("printf 'app = \"shop:app\"\\n' >/srv/shop/ssgi-gateway.toml")
    machine.run("/srv/shop/.venv/bin/ssgi-gateway config systemd --instances --output /srv/units")
    machine.run("cp /srv/units/* /etc/systemd/system/ && systemctl enable --now ssgi-gateway@shop.socket 2>&1")
    call = "/srv/shop/.venv/bin/ssgi-gateway call --scgi unix:/run/ssgi-gateway/shop/scgi.sock"
    assert machine.run(f"{call} /b") == "http /b True"
    assert machine.run(f"{call} /a") == "Internal Server Error\n", "www-data writes to no application's folder"
    assert machine.status("systemctl reload ssgi-gateway@shop") == 0
