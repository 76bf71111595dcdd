"""The pages of the web servers as a stranger follows them: their blocks are run, to a request that is served.

``tests/unit/test_documentation.py`` looks at what pages name; here is what happens when somebody does what they say.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssgi_gateway.cli import commands
from ssgi_gateway.settings.sources import options, plain_words
from ssgi_gateway.tools import config
from ssgi_gateway.tools.doctor import command as doctor
from ssgi_gateway.tools.doctor import trial
from tests.harness.client import request
from tests.harness.gateway import ROOT, Gateway
from tests.harness.nginx import Nginx, stock_file
from tests.harness.process import DEADLINE, Process
from tests.harness.websocket import WebSocketClient

from .test_shared_hosting import PYTHON, SITE_PACKAGES, apache, lighttpd, needs_others

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]
"""


def blocks(page: str, language: str, holds: str = "") -> list[str]:
    """The page's blocks of a language with these words in it."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in found if holds in block]


def command_lines(page: Path) -> Iterator[list[str]]:
    """The words behind ``ssgi-gateway`` in each line of the page's shell blocks."""
    for block in re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").replace("$PWD", "/srv/mysite").splitlines():
            words = shlex.split(line.partition(" | ")[0], comments=True)
            for at, word in enumerate(words):
                if word.rpartition("/")[2] == "ssgi-gateway" and words[at - 1] != "install":
                    yield words[at + 1 :]
                    break


LINES = [
    pytest.param(words, id=f"{page.name}-{' '.join(words)[:40]}") for page in PAGES for words in command_lines(page)
]


@pytest.mark.parametrize("words", LINES)
def test_every_command_that_is_shown_is_one(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With options that it takes: a page's line is typed as it stands there."""
    name, rest = words[0], words[1:]
    if name == "serve":
        given = plain_words(rest)
        assert given is not None, "argparse would have something to say about them"
        assert given.keys() <= {option.name for option in options()}
    elif name == "config":
        assert config.main([word for word in rest if word not in ("--output", ".")]) == 0
        assert capsys.readouterr().out
    elif name == "doctor":
        doctor.parser_of_options().parse_args(rest)
    else:
        assert commands.find(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pages-") as name:  # which Apache's children may look into
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.nginx
def test_nginx_recipes(folder: Path) -> None:
    """The three of docs/nginx.md, with nginx's own parameter files, to one gateway."""
    page = (DOCS / "nginx.md").read_text().partition("## Recipes")[2]
    over_scgi, upstream, over_fastcgi, direct = re.findall(r"^```nginx\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[:4]
    [serve] = [words for words in command_lines(DOCS / "nginx.md") if "--fastcgi" in words]
    kinds = {word.removeprefix("--"): ["unix"] for word in serve if word.startswith("--")}
    with Gateway("tests.apps.behaviour:app", folder, **kinds) as gateway:

        def to_gateway(text: str) -> str:
            for kind in kinds:
                text = text.replace(f"/run/ssgi-gateway/{kind}.sock", str(gateway.address(kind, "unix")))
            return text

        (folder / "nginx").mkdir()
        for name in ("scgi_params", "fastcgi_params"):
            (folder / "nginx" / name).symlink_to(stock_file(name))
        named = {"scgi": over_scgi, "fastcgi": over_fastcgi, "websocket": direct}
        named = {name: to_gateway(text) for name, text in named.items()}
        with Nginx(folder / "nginx", named, to_gateway(upstream)) as nginx:
            for name in ("scgi", "fastcgi"):
                told = request(nginx.address(name), "GET", "/a%2Fb?c=d").json()
                assert (told["path"], told["query_string"], told["extensions"]["protocol"]) == ("/a/b", "c=d", name)
            for name in ("scgi", "websocket"):
                with WebSocketClient(nginx.address(name), "/ws/echo") as client:
                    client.send("hello")
                    assert client.receive() == "hello"


@needs_others
def test_a_shared_host(folder: Path) -> None:
    """``.htaccess`` and ``app.fcgi`` of docs/shared-hosting.md, in folders as its first block lays them."""
    rules, script, _ = blocks("shared-hosting.md", "text")
    served, app, venv = (folder / name for name in ("public_html", "app", "venv"))
    for place in (served, app / "mysite", venv / "bin"):
        place.mkdir(parents=True)
    (app / "mysite" / "wsgi.py").write_text(APPLICATION)
    command = venv / "bin" / "ssgi-gateway"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT}:{SITE_PACKAGES} exec {PYTHON} -m ssgi_gateway "$@"\n')
    (served / ".htaccess").write_text(rules)
    (served / "app.fcgi").write_text(script)
    (served / "style.css").write_text("body {}")
    for file in (command, served / "app.fcgi"):
        file.chmod(0o755)
    assert trial.examine(served / "app.fcgi") == []
    (folder / "fcgid").mkdir()
    (folder / "fcgid").chmod(0o777)
    directory = f'<Directory "{served}">\nAllowOverride All\nOptions +ExecCGI\nRequire all granted\n</Directory>'
    with apache(folder, [f'DocumentRoot "{served}"', directory]) as address:
        assert request(address, "GET", "/a/b?c=d").body == b"|/a/b"
        assert request(address, "GET", "/style.css").body == b"body {}"


def script_of(folder: Path) -> Path:
    """A script as a user writes one, for an application beside it."""
    (folder / "site_app.py").write_text(APPLICATION)
    path = folder / "app.fcgi"
    environ = f"PYTHONPATH={ROOT}:{SITE_PACKAGES}"
    path.write_text(
        f"#!/bin/sh\ncd {folder} || exit 1\n{environ} exec {PYTHON} -m ssgi_gateway serve site_app:application\n"
    )
    path.chmod(0o755)
    return path


@needs_others
def test_lighttpd_starts_it(folder: Path) -> None:
    [_, _, lines] = blocks("shared-hosting.md", "text")
    lines = lines.replace("/srv/mysite/app.fcgi", str(script_of(folder))).replace("/run/lighttpd/", f"{folder}/")
    with lighttpd(folder, f'server.modules = ( "mod_fastcgi" )\n{lines}') as address:
        assert request(address, "GET", "/a/b").body == b"|/a/b"


@needs_others
def test_spawn_fcgi_starts_it(folder: Path) -> None:
    [line] = blocks("shared-hosting.md", "sh", "spawn-fcgi")
    words = shlex.split(line.replace("/srv/mysite/app.fcgi", str(script_of(folder))).replace("/run/", f"{folder}/"))
    if shutil.which(words[0]) is None:
        if os.environ.get("SSGI_REQUIRE_SERVERS"):
            pytest.fail("spawn-fcgi is not installed, and scripts/test.sh should have")
        pytest.skip("spawn-fcgi is not installed")
    process = Process(words, folder / "output.log")
    try:
        process.wait_for(lambda: (folder / "mysite.sock").exists(), "the socket")
        asked = [sys.executable, "-m", "ssgi_gateway", "call", "--fastcgi", f"unix:{folder}/mysite.sock", "/a/b"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=DEADLINE, cwd=ROOT, check=False)
        assert done.stdout == "|/a/b", done.stderr
    finally:
        process.stop()


@pytest.mark.parametrize("changed", [True, False], ids=["one-import", "unchanged"])
def test_a_script_for_flup(folder: Path, changed: bool) -> None:
    """The import that docs/shared-hosting.md shows, its last line, and its command for a script as it was."""
    [text] = blocks("shared-hosting.md", "python", "WSGIServer")
    ours, _, before = text.strip().partition("    # was: ")
    body = APPLICATION + "WSGIServer(application).run()\n"
    script, old = folder / "app.fcgi", folder / "script.fcgi"
    old.write_text(f"{before}\n{body}")
    if changed:
        script.write_text(f"#!{sys.executable}\n{ours}\n{body}")
    else:
        [line] = blocks("shared-hosting.md", "sh", "ssgi_gateway.flup")
        script.write_text("#!/bin/sh\nexec " + line.replace("python", sys.executable, 1))
    script.chmod(0o755)
    assert trial.examine(script) == []
