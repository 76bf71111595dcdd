"""``doctor``: what it says of addresses, of a site's certificate, and of itself where it cannot examine."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import threading

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server.address import Address
from ssgi_gateway.settings import Settings
from ssgi_gateway.tools.doctor import sockets, stand_in
from ssgi_gateway.tools.doctor.command import main
from tests.harness.certificate import make_certificate


def test_the_folder_of_a_service_is_made_for_the_examination_and_removed(tmp_path):
    """systemd removes RuntimeDirectory= when a service stops, and the gateway has to be stopped."""
    address = Address("unix", path=str(tmp_path / "ssgi-gateway" / "shop" / "scgi.sock"))
    with stand_in.probing([("scgi", address)], Settings(), "secret"):
        assert sockets.is_served(address)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(tmp_path):
    address = Address("unix", path=str(tmp_path / "scgi.sock"))
    with stand_in.probing([("scgi", address)], Settings(), "secret"):
        pass
    assert tmp_path.is_dir()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    address = Address("unix", path=str(tmp_path / "file" / "shop" / "scgi.sock"))
    with (
        pytest.raises(ConfigurationError, match=r"file/shop, where the gateway listens, .* run the doctor as root"),
        stand_in.probing([("scgi", address)], Settings(), "secret"),
    ):
        pass


def test_a_missing_socket_is_reported_with_what_is_missing(tmp_path):
    [found] = sockets.examine(Address("unix", path=str(tmp_path / "scgi.sock")))
    assert found.fix.startswith("Start the gateway")
    [found] = sockets.examine(Address("unix", path=str(tmp_path / "none" / "scgi.sock")))
    assert found.fix.startswith(f"Create {tmp_path}/none")


def test_who_may_not_connect_cannot_tell(tmp_path, monkeypatch):
    def refused(self, address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refused)
    with pytest.raises(ConfigurationError, match=r"may not connect to .*; run the doctor as root"):
        sockets.is_served(Address("unix", path=str(tmp_path / "scgi.sock")))


def test_a_certificate_that_is_not_good_is_named_as_such(tmp_path, capsys):
    chain = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain / "cert.pem", chain / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            with listening.accept()[0] as accepted, contextlib.suppress(OSError):
                context.wrap_socket(accepted, server_side=True)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://localhost:{listening.getsockname()[1]}/"
        status = main([url, "--scgi", f"unix:{tmp_path}/scgi.sock", "--json"])
        thread.join()
    found = json.loads(capsys.readouterr().out)
    assert status == 1
    assert "certificate-bad" in [finding["kind"] for finding in found]
    assert not os.path.exists(tmp_path / "scgi.sock")
