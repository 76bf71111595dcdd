"""``init``: what it guesses, asks and writes, and that it replaces nothing."""

from __future__ import annotations

import io
import os
import pwd

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.settings.sources import combine, from_file
from ssgi_gateway.tools import init
from ssgi_gateway.tools.fronts import FRONTS


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({}, ""),
        ({"app.py": "from flask import Flask\napp = Flask(__name__)\n"}, "app:app"),
        ({"main.py": "async def app(scope, receive, send): ...\n"}, "main:app"),
        ({"wsgi.py": "application = object()\n"}, "wsgi:application"),
        ({"app.py": "def create_app():\n    pass\n"}, "app:create_app()"),
        ({"manage.py": "", "mysite/asgi.py": "", "mysite/wsgi.py": ""}, "mysite.asgi:application"),
        ({"manage.py": "", "mysite/wsgi.py": ""}, "mysite.wsgi:application"),
        ({"main.py": "x = 1\n", "app.py": "app = 1\n"}, "app:app"),
        ({"app.py": "def create_app(config=None, *args):\n    pass\n"}, "app:create_app()"),
        ({"app.py": "def create_app(config):\n    pass\n"}, ""),
        ({"app/main.py": "app = FastAPI()\n", "app/__init__.py": ""}, "app.main:app"),
        ({"shop/__init__.py": "def create_app():\n    pass\n"}, "shop:create_app()"),
        ({"tests/test_app.py": "app = 1\n", "main.py": "app.run()\n"}, ""),
    ],
)
def test_the_application_is_guessed(folder, files, wanted):
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    assert init.guess_application(folder) == wanted


def test_on_a_shared_host_django_is_called_over_wsgi(folder):
    (folder / "mysite").mkdir()
    for name in ("manage.py", "mysite/asgi.py", "mysite/wsgi.py"):
        (folder / name).write_text("")
    assert init.main(["--yes", "--front", "htaccess"]) == 0
    assert (folder / "app.fcgi").read_text().endswith(" serve mysite.wsgi:application\n")


def test_without_questions_it_writes_three_files_that_fit(folder, capsys):
    assert init.main(["shop:app", "--yes", "--front", "nginx", "--domain", "shop.example"]) == 0
    settings = combine(from_file("ssgi-gateway.toml"))
    assert settings.app == "shop:app"
    assert settings.scgi == ("unix:/run/ssgi-gateway/shop.example/scgi.sock",)
    assert settings.websockets.origins == ("same",)
    assert "server unix:/run/ssgi-gateway/shop.example/scgi.sock;" in (folder / "shop.example.nginx.conf").read_text()
    unit = (folder / "shop.example.service").read_text()
    assert f"WorkingDirectory={folder}\n" in unit
    assert "RuntimeDirectory=ssgi-gateway/shop.example\n" in unit
    said = capsys.readouterr().out.partition("The next two commands:")[2]
    assert "cp shop.example.service /etc/systemd/system/ && systemctl enable --now shop.example'" in said
    assert "cp shop.example.nginx.conf /etc/nginx/sites-available/shop.example && ln -sf" in said
    assert said.count("\n  sudo") == 2


@pytest.mark.parametrize("front", FRONTS)
def test_each_web_server_gets_two_commands(folder, capsys, front):
    assert init.main(["shop:app", "--yes", "--front", front]) == 0
    said = capsys.readouterr().out.partition("The next two commands")[2]
    commands = [line for line in said.splitlines() if line.startswith("  ")]
    assert len(commands) == 2
    assert "THIS_FILE" not in said


def test_a_certificate_that_is_not_there_is_reported(folder, capsys):
    assert init.main(["shop:app", "--yes", "--front", "nginx", "--domain", "shop.example"]) == 0
    assert "certbot certonly --standalone -d shop.example" in capsys.readouterr().out


def test_what_keeps_the_web_server_from_its_files_is_reported(folder, capsys, monkeypatch):
    """A home of mode 700 is what Debian makes, and 403 for each style sheet is what comes of it."""
    home = folder / "home"
    (home / "static").mkdir(parents=True)
    home.chmod(0o700)
    nobody = pwd.struct_passwd(("www-data", "x", 65534, 65534, "", "/", "/bin/false"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [nobody])
    monkeypatch.setattr(os, "getgrouplist", lambda name, group: [group])
    words = ["shop:app", "--yes", "--front", "nginx"]
    assert init.main([*words, "--static", f"/static={home}/static", "--static", f"/media={home}/media"]) == 0
    said = capsys.readouterr().out.partition("The next two commands")[2]
    assert f"www-data may not look into {home} (mode 700), so /static/ is answered 403: chmod o+x {home}\n" in said
    assert f"There is no folder {home}/media yet; /media/ is answered 404 until there is." in said


def test_a_service_of_a_home_can_write_there_and_nowhere_else(folder, monkeypatch):
    words = ["shop:app", "--yes", "--front", "nginx", "--project", "/home/anna/shop", "--user", "anna"]
    assert init.main(words) == 0
    unit = (folder / "example.org.service").read_text()
    assert "ProtectHome=read-only\n" in unit
    assert "ReadWritePaths=/home/anna/shop\n" in unit


def test_again_is_the_same_and_a_changed_file_is_left_alone(folder):
    words = ["shop:app", "--yes", "--front", "nginx"]
    assert init.main(words) == init.main(words) == 0
    (folder / "ssgi-gateway.toml").write_text('app = "mine:app"\n')
    with pytest.raises(ConfigurationError, match="differs"):
        init.main(words)
    assert (folder / "ssgi-gateway.toml").read_text() == 'app = "mine:app"\n'


def answer(monkeypatch, *lines):
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_questions_are_answered_by_lines_and_enter_takes_what_is_usual(folder, monkeypatch):
    answer(monkeypatch, "shop:app", "caddy", "shop.example", "", "-", "yes")
    assert init.main([]) == 0
    assert "shop.example {" in (folder / "Caddyfile").read_text()


def test_without_questions_and_an_application_nothing_is_made_up(folder):
    with pytest.raises(ConfigurationError, match="no application was found here; name it"):
        init.main(["--yes", "--front", "nginx"])
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("front", ["systemd", "ngin"])
def test_what_is_no_web_server_is_refused(front):
    with pytest.raises(ConfigurationError, match=f"no web server '{front}' is known, but nginx, apache"):
        init.main(["shop:app", "--yes", "--front", front])


def test_no_writes_nothing(folder, monkeypatch, capsys):
    answer(monkeypatch, "shop:app", "nginx", "shop.example", "no", "-", "no")
    assert init.main([]) == 1
    assert list(folder.iterdir()) == []
    assert "Nothing was written." in capsys.readouterr().out


def test_answers_that_end_are_an_error_that_names_what_to_do(monkeypatch):
    answer(monkeypatch)
    with pytest.raises(ConfigurationError, match="--yes"):
        init.main([])


def test_an_application_that_is_none_is_refused():
    with pytest.raises(ConfigurationError, match="is not module:attribute"):
        init.main(["shop.py", "--yes"])


def test_on_a_shared_host_it_writes_a_script_that_the_web_server_starts(folder, capsys):
    """No service, no sockets, no certificate: there is nobody to give them to."""
    assert init.main(["shop:app", "--yes", "--front", "htaccess"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == [".htaccess", "app.fcgi"]
    script = folder / "app.fcgi"
    assert script.stat().st_mode & 0o777 == 0o755
    assert script.read_text().startswith("#!/bin/sh\n")
    assert f"cd {folder} || exit 1\n" in script.read_text()
    assert script.read_text().endswith("/ssgi-gateway serve shop:app\n")
    assert "RewriteRule" in (folder / ".htaccess").read_text()
    said = capsys.readouterr().out.partition("The next two commands")[2]
    assert "cp -p .htaccess app.fcgi ~/public_html/" in said
    assert "doctor --script ~/public_html/app.fcgi" in said
    assert "systemctl" not in said
    assert "certbot" not in said
    script.write_text("mine\n")
    with pytest.raises(ConfigurationError, match="differs"):
        init.main(["shop:app", "--yes", "--front", "htaccess"])
