"""The command as users run it: a process of its own, its output, its exit status."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import ssgi_gateway
from ssgi_gateway.cli.main import NOT_READ, main

ROOT = Path(ssgi_gateway.__file__).parent.parent

APP = """
def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    res.send("hello")

def create_app():
    return app

def wsgi(environ, start_response): ...

class Framework:
    def __init__(self, answer): self.answer = answer
    def get_supported(self, supported_interfaces): return self.answer

http_only = Framework({"http": ("ssgi", app)})
nothing = Framework({})
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A directory with applications, in which commands run; the tests' own variables do not reach them."""
    (tmp_path / "sample.py").write_text(APP)
    (tmp_path / "broken.py").write_text("import not_installed_at_all")
    for name in [name for name in os.environ if name.startswith("SSGI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SSGI_WORKERS", "0")  # tests of workers say so
    return tmp_path


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "ssgi_gateway", *words]


def run(project, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **environ}
    return subprocess.run(command(*words), cwd=project, env=environment, capture_output=True, text=True, timeout=60)


def refused(project, *words: str, **environ: str) -> str:
    """The error of a command that cannot be run: one line, status 2, nothing on standard output."""
    done = run(project, *words, **environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ssgi-gateway: ")
    return done.stderr


# -- what can be asked -----------------------------------------------------------------------------------------------


def test_version_shows_what_is_in_use(project):
    done = run(project, "--version")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"ssgi-gateway {ssgi_gateway.__version__}"
    assert re.fullmatch(r"codecs: (compiled|portable \(.+\))", lines[1])
    assert re.fullmatch(r"event loop: (uvloop \S+|asyncio \(.+\))", lines[2])
    assert len(lines) == 4


@pytest.mark.parametrize(
    "words", [["--version"], ["--help"], ["config", "nginx", "sample:app"], ["doctor", "--help"]], ids=" ".join
)
@pytest.mark.parametrize("buffered", [True, False])
def test_a_command_whose_reader_has_gone_ends_quietly(project, words, buffered):
    """As in ``ssgi-gateway ... | head -1``; by argparse help ends with 0 if it notices while it writes."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as output:
        environment = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
        done = subprocess.run(
            command(*words), cwd=project, env=environment, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.stderr == ""
    assert done.returncode in ((NOT_READ, 0) if "--help" in words else (NOT_READ,))


def test_standard_output_that_cannot_be_written_is_reported(project):
    with open("/dev/full", "wb") as output:
        done = subprocess.run(
            command("--version"), cwd=project, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert (done.returncode, done.stderr) == (1, "ssgi-gateway: standard output: No space left on device\n")


@pytest.mark.parametrize("closed", ["0<&-", ">&-", "2>&-", "0<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_trouble(project, closed):
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *command("config", "nginx", "sample:app")]
    done = subprocess.run(shell, cwd=project, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (">&-" not in closed.replace("2>&-", ""))


def test_version_honours_the_codec_of_the_environment(project):
    assert run(project, "--version", SSGI_CODEC="portable").stdout.splitlines()[1] == "codecs: portable"
    assert "SSGI_CODEC: 'x' is not one of auto, portable, compiled" in refused(project, "--version", SSGI_CODEC="x")


def test_help_fits_and_is_grouped(project):
    done = run(project, "serve", "--help", COLUMNS="100")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 120
    headings = [line for line in lines if re.fullmatch(r"[a-zA-Z ]+:", line)]
    assert headings == [
        "options:", "application:", "where to listen:", "processes:", "connections:", "logs and metrics:",
        "request heads:", "WebSockets:", "deadlines:", "flow control:", "addresses:", "example:",
    ]  # fmt: skip
    assert any(line.startswith("  --[no-]websocket-deflate ") for line in lines)
    assert "  --file-header X-Accel-Redirect|X-Sendfile" in lines  # without the empty one that means none


def test_help_of_the_command_itself(project):
    done = run(project, "--help")
    assert done.returncode == 0
    assert "serve" in done.stdout


def test_the_console_script_is_the_same_command():
    text = (ROOT / "pyproject.toml").read_text()
    assert 'ssgi-gateway = "ssgi_gateway.__main__:main"' in text
    assert main(["--version"]) == 0


WITHOUT_NEED = {"argparse", "bz2", "dataclasses", "difflib", "hashlib", "http", "shutil", "tomllib"}
"""Modules that a start used to load, or would, for what most starts never do."""


def test_a_start_loads_nothing_without_need(project):
    (project / "loaded.py").write_text(f"import sys\nraise SystemExit(sorted({WITHOUT_NEED} & set(sys.modules)))\n")
    assert refused(project, "serve", "loaded:app", "--scgi", "127.0.0.1:0").endswith("SystemExit: []\n")


def test_what_the_application_makes_is_searched_for_garbage(project):
    (project / "loaded.py").write_text("import gc\nraise SystemExit((gc.isenabled(), gc.get_freeze_count() > 1000))\n")
    assert "SystemExit: (True, True)" in refused(project, "serve", "loaded:app", "--scgi", "127.0.0.1:0")


# -- what is refused -------------------------------------------------------------------------------------------------

LISTEN = ("--scgi", "127.0.0.1:0")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no command was given; see ssgi-gateway --help"),
        (("sevre",), "there is no command 'sevre'; did you mean serve?"),
        (("xyzzy",), "there is no command 'xyzzy'; there is serve"),
        (("sample:app", *LISTEN), "to serve this application write: ssgi-gateway serve sample:app"),
        (("--verison",), "there is no option --verison; did you mean --version?"),
        (("serve", "sample:app", "--sgci", "/x"), "there is no option --sgci; did you mean --scgi"),
        (("serve", "--sgci=/x", "sample:app"), "there is no option --sgci; did you mean --scgi"),
        (("serve", "sample:app", *LISTEN, "more"), "'more' is one argument too many"),
        (("serve", "sample:app", "--back", "3"), "there is no option --back; did you mean --backlog?"),
        (("serve", "sample:app", "--scgi"), "argument --scgi: expected one argument"),
        (("serve", "sample:app"), "nowhere to listen; give --scgi, --fastcgi, --uwsgi, --websocket or --http"),
        (("serve", *LISTEN), "no application was given; write module:attribute or module:factory()"),
        (("serve", "sample:app", "--scgi", "9000"), "--scgi: '9000' is not an address; write :9000"),
        (("serve", "sample:app", *LISTEN, "--backlog", "x"), "--backlog: 'x' is not a whole number"),
        (("serve", "sample:app", *LISTEN, "--interface", "sgi"), "--interface: 'sgi' is not one of auto, ssgi"),
        (("serve", "sample:app", *LISTEN, "--chdir", "./absent"), "--chdir: ./absent: No such file or directory"),
        (("serve", "sample:app", *LISTEN, "--pythonpath", "/absent"), "--pythonpath: there is no directory /absent"),
        (("serve", "sample:app", *LISTEN, "--config", "absent.toml"), "--config: absent.toml cannot be read"),
        (("serve", "sample:ap", *LISTEN), "has no attribute 'ap'; did you mean app?"),
        (("serve", "sampel:app", *LISTEN), "there is no module 'sampel'"),
        (("serve", "sample:create_app", *LISTEN), "so it is a factory and no application; add () to call it"),
        (("serve", "sample:nothing", *LISTEN), "the application serves neither HTTP nor WebSockets"),
        (
            ("serve", "sample:http_only", "--websocket", ":0"),
            "give --scgi, --fastcgi, --uwsgi or --http",
        ),
        (("serve", "sample:app", "--scgi", "/x/y/z.sock"), "there is no directory /x/y; create it first"),
        (("serve", "sample:app", "--scgi", "fd:987"), "fd:987 is not open"),
        (
            ("serve", "sample:app", "--scgi", "unix:./a", "--fastcgi", "./a"),
            "a is taken by --scgi; each needs its own address",
        ),
        (
            ("serve", "sample:app", "--scgi", ":9000", "--scgi", ":9000"),
            "--scgi: :9000 is taken by --scgi; each needs its own address",
        ),
    ],
)
def test_one_clear_line(project, words, said):
    message = refused(project, *words)
    assert said in message
    assert message.count("\n") == 1


def test_faults_96_an_import_error_shows_its_traceback_and_ends(project):
    message = refused(project, "serve", "broken:app", *LISTEN)
    assert "broken was found, but importing it failed" in message
    assert "No module named 'not_installed_at_all'" in message
    assert str(project / "broken.py") in message
    assert "ssgi_gateway/cli" not in message


HOOKS = """
class Framework:
    def __call__(self, type, server_address, remote_address, method, path, query_string, get_header, res): ...
class Startup(Framework):
    async def startup(self, state): raise LookupError("no database")
class Exits(Framework):
    async def startup(self, state): raise SystemExit(3)
class BeforeLoop(Framework):
    def before_loop(self, loop): raise LookupError("no database")
class Rsgi:
    def __rsgi_init__(self, loop): raise LookupError("no database")
    async def __rsgi__(self, scope, protocol): ...
"""


@pytest.mark.parametrize("kind", ["Startup", "BeforeLoop", "Rsgi"])
def test_an_application_that_raises_while_it_starts_shows_its_traceback_and_ends(project, kind):
    (project / "hooks.py").write_text(HOOKS)
    done = run(project, "serve", f"hooks:{kind}()", "--scgi", "./a.sock")
    assert done.returncode == 2
    message = done.stderr.partition("\nssgi-gateway: ")[2]
    assert message.startswith("the application failed to start:\n\nTraceback")
    assert message.rstrip().endswith("LookupError: no database")
    assert f'"{project}/hooks.py"' in message
    assert "negotiation.py" not in message
    assert not (project / "a.sock").exists()


@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_application_that_ends_the_process_while_it_starts_is_named(project, workers):
    (project / "hooks.py").write_text(HOOKS)
    done = run(project, "serve", "hooks:Exits()", "--scgi", "./a.sock", "--workers", workers)
    assert done.returncode == 2
    message = done.stderr.rpartition("ssgi-gateway: ")[2]
    assert message.startswith("the application ended the process while it started:\n\nTraceback")
    assert message.count("  File ") == 1, message
    assert message.endswith("SystemExit: 3\n")
    assert not (project / "a.sock").exists()


def test_what_opened_before_an_error_is_closed_and_removed(project):
    refused(project, "serve", "sample:app", "--scgi", "./a.sock", "--fastcgi", "fd:987")
    assert not (project / "a.sock").exists()


def test_the_port_that_platforms_set_is_for_dev_alone(project):
    assert "nowhere to listen; give --scgi" in refused(project, "serve", "sample:app", PORT="8000")


def test_a_variable_that_is_almost_a_setting_is_mentioned(project):
    message = refused(project, "serve", "sample:app", "--log-format", "text", SSGI_SGCI="/x")
    assert "warning: SSGI_SGCI in the environment is not a setting; did you mean SSGI_SCGI" in message


# -- serving ---------------------------------------------------------------------------------------------------------


class Serving:
    """A running command whose table has been printed."""

    def __init__(self, project, *words: str, **environ: str) -> None:
        self.process = subprocess.Popen(
            command(*words),
            cwd=project,
            env={**os.environ, "SSGI_LOG_FORMAT": "text", **environ},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if len(self.lines) > 1 and self.lines[-1].endswith(";") and self.seen_all(words, environ):
                return
        pytest.fail(f"it ended with {self.process.wait()}: {self.lines}")

    def seen_all(self, words, environ) -> bool:
        wanted = sum(word in ("--scgi", "--fastcgi", "--websocket") for word in words) or 1
        return sum(line.endswith(";") for line in self.lines) >= wanted

    def rows(self) -> list[list[str]]:
        return [re.split(r"\s{2,}", line.strip()) for line in self.lines if line.endswith(";")]

    def stop(self, number=signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def serving(project):
    started = []

    def start(*words: str, **environ: str) -> Serving:
        started.append(Serving(project, *words, **environ))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


def ask_scgi(family, where) -> bytes:
    head = b"CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00REQUEST_URI\x00/\x00"
    with socket.socket(family) as client:
        client.settimeout(30)
        client.connect(where)
        client.sendall(b"%d:%s," % (len(head), head))
        answer = b""
        while data := client.recv(65536):
            answer += data
    return answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_on_every_listener_and_drains(project, serving, number):
    words = ("--scgi", "./a.sock", "--scgi", "127.0.0.1:0", "--fastcgi", "./b.sock", "--websocket", "127.0.0.1:0")
    server = serving("serve", "sample:create_app()", *words)
    rows = server.rows()
    assert [row[0] for row in rows] == ["SCGI", "SCGI", "FastCGI", "WebSocket"]
    assert rows[0][1:] == [f"unix:{project}/a.sock", "HTTP, WebSockets", f"scgi_pass unix:{project}/a.sock;"]
    host, _, port = rows[1][1].rpartition(":")
    assert b"Status: 200 OK\r\n\r\n" in ask_scgi(socket.AF_UNIX, str(project / "a.sock"))
    assert ask_scgi(socket.AF_INET, (host, int(port))).endswith(b"\r\n\r\nhello")
    assert server.stop(number) == 0
    assert not (project / "a.sock").exists()
    assert not (project / "b.sock").exists()


def test_everything_from_the_environment_and_a_file(project, serving):
    (project / "ssgi.toml").write_text('codec = "portable"\nscgi = "./file.sock"\nsocket_mode = "600"')
    server = serving("serve", SSGI_APP="sample:app", SSGI_SCGI="./environment.sock", SSGI_CONFIG="ssgi.toml")
    assert "(portable codecs, " in server.lines[0]
    assert server.rows()[0][1] == f"unix:{project}/environment.sock"
    assert (project / "environment.sock").stat().st_mode & 0o777 == 0o600
    assert server.stop() == 0


def test_another_directory_is_entered_first(project, serving):
    """The application, and a relative address, are looked for there; the configuration file where one was."""
    place = project / "elsewhere"
    place.mkdir()
    (place / "there.py").write_text(APP)
    (project / "ssgi.toml").write_text('chdir = "elsewhere"')
    for words in (("--chdir", "elsewhere"), ("--config", "ssgi.toml")):
        server = serving("serve", "there:app", "--scgi", "./a.sock", *words)
        assert server.rows()[0][1] == f"unix:{place}/a.sock"
        assert ask_scgi(socket.AF_UNIX, str(place / "a.sock")).endswith(b"hello")
        assert server.stop() == 0


def test_directories_for_modules_come_before_the_current_one(project, serving):
    for name, more in (("first", "\nimport only_second"), ("second", "")):
        (project / name).mkdir()
        (project / name / "sample.py").write_text(APP.replace('"hello"', f'"{name}"') + more)
        (project / name / f"only_{name}.py").write_text("")
    words = ("--pythonpath", "first", "--pythonpath", "second")
    server = serving("serve", "sample:app", "--scgi", "./a.sock", *words)
    assert ask_scgi(socket.AF_UNIX, str(project / "a.sock")).endswith(b"first")
    assert server.stop() == 0
    server = serving("serve", "sample:app", "--scgi", "./a.sock", SSGI_PYTHONPATH="second,first")
    assert ask_scgi(socket.AF_UNIX, str(project / "a.sock")).endswith(b"second")
    assert server.stop() == 0
    message = refused(project, "serve", "only_frist:app", *LISTEN, *words)
    assert f"there is no module 'only_frist' in {project}/first, {project}/second, {project} and on" in message
    assert "did you mean only_first?" in message


DOTENV = """
import os
assert "ONLY_IN_DOTENV" not in os.environ
from sample import app
"""


def test_a_dotenv_file_is_not_touched(project, serving):
    """Whoever wants one reads it himself: it is for the project, the shell or systemd, each with rules of its own."""
    (project / "uses.py").write_text(DOTENV)
    written = "SSGI_SCGI=./dotenv.sock\nONLY_IN_DOTENV=1\n"
    (project / ".env").write_text(written)
    assert "nowhere to listen" in refused(project, "serve", "uses:app")
    server = serving("serve", "uses:app", "--scgi", "./a.sock")
    assert [row[1] for row in server.rows()] == [f"unix:{project}/a.sock"]
    assert server.stop() == 0
    assert (project / ".env").read_text() == written


STOPPED_EARLY = """
import os, signal, sys, time
from ssgi_gateway import engine
from ssgi_gateway.cli.main import main

class Module:
    def run(settings, application, listeners, control):
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        time.sleep(60)

engine.module = lambda name, codec: Module
sys.exit(main(["serve", "sample:app", "--scgi", "./a.sock"]))
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_before_serving_leaves_no_socket_behind(project, name):
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_EARLY, name], cwd=project, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "scgi_pass" in done.stderr
    assert not (project / "a.sock").exists()


def test_an_interrupt_while_the_application_loads(project):
    (project / "slow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\napp = None")
    done = run(project, "serve", "slow:app", *LISTEN)
    assert (done.returncode, done.stderr) == (130, "")


def test_no_websocket_listener_opens_where_none_is_served(project, serving):
    """SSGI 1.0: ``None`` for WebSockets means that no WebSocket listener opens."""
    server = serving("serve", "sample:http_only", "--scgi", "./a.sock", SSGI_WEBSOCKET="./ws.sock")
    assert server.lines[0] == "ssgi-gateway: the application serves no WebSockets, so --websocket is not opened"
    assert [row[:3] for row in server.rows()] == [["SCGI", f"unix:{project}/a.sock", "HTTP"]]
    assert not (project / "ws.sock").exists()
    assert server.stop() == 0


def test_a_second_server_leaves_the_first_alone(project, serving):
    server = serving("serve", "sample:app", "--scgi", "./a.sock")
    message = refused(project, "serve", "sample:app", "--scgi", "./a.sock")
    assert f"it is already served by process {server.process.pid}; stop that first" in message
    assert ask_scgi(socket.AF_UNIX, str(project / "a.sock")).endswith(b"hello")
    assert server.stop() == 0


def test_the_socket_of_a_killed_server_is_taken_over(project, serving):
    serving("serve", "sample:app", "--scgi", "./a.sock").stop(signal.SIGKILL)
    assert (project / "a.sock").exists()
    server = serving("serve", "sample:app", "--scgi", "./a.sock")
    assert ask_scgi(socket.AF_UNIX, str(project / "a.sock")).endswith(b"hello")
    assert server.stop() == 0
