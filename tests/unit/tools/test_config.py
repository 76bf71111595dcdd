"""``config``: from answers to a site, and to a file; the real web servers are in tests/fronts."""

from __future__ import annotations

import grp
import re

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.tools import config
from ssgi_gateway.tools.fronts import KINDS, Site


def text_of(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert config.main(list(words)) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("front", KINDS)
def test_each_web_server_has_a_file(front, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = text_of(front, "mysite.asgi:application", capsys=capsys)
    assert "mysite.asgi:application" in text
    assert text.endswith("\n")
    assert "None" not in text


def test_addresses_are_those_of_the_settings(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ssgi-gateway.toml").write_text('app = "a:b"\nfastcgi = ["127.0.0.1:9000"]\nwebsocket = [":9001"]\n')
    text = text_of("nginx", capsys=capsys)
    assert "server 127.0.0.1:9000;" in text
    assert "server 127.0.0.1:9001;" in text
    assert "fastcgi_pass" in text


def test_the_version_decides_how_http2_is_written(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "listen 443 ssl http2;" in text_of("nginx", "--front-version", "1.22.1", capsys=capsys)
    assert "http2 on;" in text_of("nginx", "--front-version", "1.27.0", capsys=capsys)


def test_lighttpd_gets_in_band_websockets_where_it_can_tunnel_them(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new = text_of("lighttpd", "--protocol", "scgi", "--front-version", "1.4.79", capsys=capsys)
    old = text_of("lighttpd", "--protocol", "scgi", "--front-version", "1.4.69", capsys=capsys)
    assert "proxy.server" not in new
    assert "proxy.server" in old


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ngin"], "did you mean nginx?"),
        (["caddy", "--protocol", "scgi"], "Caddy reaches the gateway over fastcgi"),
        (["nginx", "--protocol", "fastcgi", "--websockets", "in-band"], "cannot go in-band over FastCGI"),
        (["apache", "--websockets", "in-band"], "cannot go in-band through Apache"),
        (["nginx", "--static", "static"], "is not /URL=DIRECTORY"),
        (["haproxy", "--static", "/s=/srv"], "HAProxy serves no files"),
        (["nginx", "--mount", "shop"], "is not a path such as /shop"),
        (["nginx", "--domain", "a b"], "is not a host name"),
        (["nginx", "--tls", "cert.pem"], "is not CERT,KEY"),
        (["nginx", "--static", "/s=/srv/a;b"], "give a meaning to"),
        (["nginx", "--front-version", "new"], "is not a version"),
        (["nginx", "--websocket-path", "/ws/", "--websockets", "off"], "contradicts"),
        (["nginx", "--websocket-path", "ws"], "is not a path such as /ws/"),
        (["nginx", "--upload", "x"], "upload"),
        (["nginx", "--upload-size", "-1"], "is no size"),
        (["nginx", "--port", "70000"], "is no port"),
        (["systemd", "--user", "a b"], "give a meaning to"),
        (["systemd", "--output", "none"], "not a folder"),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_line(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as raised:
        config.main(words)
    assert message in str(raised.value)


def test_a_site_names_its_gateways_command():
    site = Site(app="a:b", websockets="same-path", mount="/shop")
    command = site.command()
    assert "ssgi-gateway serve a:b" in command
    assert "--websocket unix:/run/ssgi-gateway/websocket.sock" in command
    assert "--root-path /shop" in command


def test_a_service_leaves_its_sockets_to_systemd_where_no_setting_has_any(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = text_of("systemd", "a:b", "--protocol", "fastcgi", "--user", "shop", capsys=capsys)
    assert "ListenStream=/run/ssgi-gateway/fastcgi.sock\nFileDescriptorName=fastcgi" in text
    assert "Requires=ssgi-gateway.socket ssgi-gateway-websocket.socket" in text
    assert f"WorkingDirectory={tmp_path}\n" in text
    assert "User=shop\n" in text
    (tmp_path / "ssgi-gateway.toml").write_text('app = "a:b"\nscgi = ["unix:/run/shop/scgi.sock"]\n')
    text = text_of("systemd", capsys=capsys)
    assert "ListenStream" not in text
    assert "RuntimeDirectory=shop\n" in text
    assert "serve\n" in text


def test_a_service_gets_the_settings_that_were_named(capsys, tmp_path, monkeypatch):
    """A file that is found by its name alone needs no word: the service starts where it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ssgi-gateway.toml").write_text('app = "a:b"\nscgi = ["unix:/run/shop/scgi.sock"]\n')
    assert "/ssgi-gateway serve\n" in text_of("systemd", capsys=capsys)
    named = tmp_path / "other.toml"
    named.write_text('app = "a:b"\nscgi = ["unix:/run/shop/scgi.sock"]\n')
    assert f"/ssgi-gateway serve --config {named}\n" in text_of("systemd", "--config", "other.toml", capsys=capsys)


@pytest.mark.parametrize(
    ("front", "lines"),
    [
        ("lighttpd", ['server.username = "www-data"', 'server.groupname = "www-data"']),
        ("haproxy", ["    user haproxy", "    group haproxy"]),
        ("h2o", ["user: www-data"]),
    ],
)
def test_a_whole_file_names_the_servers_user(front, lines):
    """It replaces the distribution's, and without these lines all of the server would be root's."""
    group = "haproxy" if front == "haproxy" else "www-data"
    text = KINDS[front].render(Site(protocol="fastcgi", websockets="same-path", static=(), group=group))
    assert set(lines) <= set(text.splitlines())


def test_the_sockets_belong_to_the_group_of_the_web_server(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    there = {"haproxy", "caddy"}

    def getgrnam(name):
        if name not in there:
            raise KeyError(name)
        return grp.struct_group((name, "x", 1, []))

    monkeypatch.setattr(grp, "getgrnam", getgrnam)
    assert "--socket-owner :haproxy" in text_of("haproxy", capsys=capsys)
    assert "--socket-owner :caddy" in text_of("caddy", capsys=capsys)
    assert "--socket-owner :www-data" in text_of("nginx", capsys=capsys), "none is installed: what Debian calls it"
    assert "--socket-owner :web" in text_of("nginx", "--web-group", "web", capsys=capsys)
    assert "SocketGroup=web\n" in text_of("systemd", "--web-group", "web", capsys=capsys)


@pytest.mark.parametrize("front", ["lighttpd", "haproxy", "apache", "nginx", "h2o"])  # Caddy does by itself
def test_a_site_with_tls_answers_on_port_80_with_a_redirect(front):
    text = KINDS[front].render(Site(protocol="fastcgi", websockets="same-path", static=()))
    assert re.search(r"(?i)redirect|return 301", text)


def test_several_files_are_written_into_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config.main(["compose", "a:b", "--domain", "shop.example", "--output", "."]) == 0
    names = ["compose.yaml", "nginx.conf", "Dockerfile", ".dockerignore"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    (tmp_path / "Dockerfile").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"Dockerfile is there already and differs"):
        config.main(["compose", "a:b", "--domain", "shop.example", "--output", "."])


def test_containers_that_could_not_meet_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ssgi-gateway.toml").write_text('app = "a:b"\nscgi = [":4000"]\n')
    with pytest.raises(ConfigurationError, match="take the address out of the settings"):
        config.main(["compose"])


def test_output_is_written_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config.main(["nginx", "--output", "site.conf"]) == 0
    (tmp_path / "site.conf").write_text("mine")
    with pytest.raises(ConfigurationError, match="differs"):
        config.main(["nginx", "--output", "site.conf"])
