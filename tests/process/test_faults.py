"""What a machine does to a server: no descriptors, no processes, no disk, a stopped worker, a terminal that closes."""

from __future__ import annotations

import contextlib
import os
import pty
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ssgi_gateway.observe.reading import opened, table_of
from ssgi_gateway.process import report
from tests.harness.client import request
from tests.harness.gateway import ROOT
from tests.harness.process import Process, wait_until
from tests.process.conftest import children
from tests.process.load import Load
from tests.unit.server.requests import GET, ended, fastcgi, stdout

pytestmark = [pytest.mark.nginx]

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def to(path: str) -> bytes:
    """A request over SCGI."""
    head = f"CONTENT_LENGTH\0000\0SCGI\0001\0REQUEST_METHOD\0GET\0REQUEST_URI\0{path}\0".encode()
    return b"%d:%s," % (len(head), head)


REQUEST = to("/x")


def ask(path: Path, target: str = "/x") -> bytes:
    """A request over SCGI; its answer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall(to(target))
        answer = b""
        while data := client.recv(65536):
            answer += data
    return answer


def serve(folder: Path, *options: str, before: str = "", app: str = "tests.apps.troubles:app") -> Process:
    """A server with workers, after what ``before`` does to the shell that starts it."""
    words = f"exec {sys.executable} -m ssgi_gateway serve {app} --scgi unix:{folder}/s {' '.join(options)}"
    process = Process(["bash", "-c", f"{before}\n{words}"], folder / "log", env={"PYTHONPATH": str(ROOT)}, cwd=ROOT)
    process.wait_for(lambda: "scgi_pass" in process.text(), "the start")
    return process


def test_few_descriptors(fleet):
    """64 of them: accepting pauses, and everybody is answered in the end."""
    it = fleet(2, "--max-connections", "1000")
    for pid in [it.pid, *it.wait_for_workers(2)]:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, 64))
    load = Load(it.nginx.address("scgi"), "POST", clients=16)
    held = []
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(150):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.connect(str(it.gateway.scgi[0]))
                held.append(client)
            it.gateway.wait_for_log("no connection could be accepted: Too many open files")
    finally:
        seen = load.stop()
    seen.check(it.counts.read_bytes())
    assert seen.total >= 16


@root
def test_no_more_processes(tmp_path):
    """RLIMIT_NPROC: a line, a pause, another try; never an end. Root has no such limit, so workers are another's."""
    # Room for the template, one worker and the process between them; the second worker finds none.
    server = serve(tmp_path, "--user", "65533", "--workers", "2", before="ulimit -u 3", app="tests.apps.small:app")
    try:
        server.wait_for(lambda: "Resource temporarily unavailable; trying again" in server.text(), "a fork that fails")
        assert ask(tmp_path / "s").endswith(b"Hello")
        server.send_signal(signal.SIGTTOU)
        server.wait_for(lambda: "workers wanted: 1" in server.text(), "one worker less")
        assert ask(tmp_path / "s").endswith(b"Hello")
        assert len(ready(server.pid)) == 1
        assert server.stop() == 0
    finally:
        server.kill()


def ready(pid: int) -> list[int]:
    return [it[1] for it in report.read(pid)["workers"] if it[3] == "ready"]


def test_a_log_on_a_full_disk(tmp_path):
    """Lines are lost and requests are not."""
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    words = [sys.executable, "-m", "ssgi_gateway", "serve", "tests.apps.troubles:app", "--scgi", f"unix:{tmp_path}/s"]
    with open("/dev/full", "w") as full:
        server = subprocess.Popen(
            [*words, "--workers", "2", "--slow-request", "0.2", "--access-log", "/dev/full"],
            cwd=ROOT, stderr=full, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    try:
        wait_until(lambda: answers(tmp_path / "s"), "the start")
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: report.read(server.pid)["reloads"]["ok"] == 1, "a reload")
        assert ask(tmp_path / "s").count(b"Status: 200") == 1
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()


def answers(path: Path) -> bool:
    try:
        return ask(path).count(b"Status: 200") == 1
    except OSError:
        return False


def test_an_interpreter_that_is_away_fails_a_reload_and_no_more(tmp_path):
    """exec fails: a package manager replaces Python right now. Those that serve go on, and the next reload works."""
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    python = home / "bin" / "python"
    python.symlink_to(os.path.realpath(sys.executable))
    (home / "pyvenv.cfg").write_text(f"home = {os.path.dirname(os.path.realpath(sys.executable))}\n")
    server = Process(
        [str(python), "-m", "ssgi_gateway", "serve", "tests.apps.small:app", "--scgi", f"unix:{tmp_path}/s"],
        tmp_path / "log", cwd=ROOT, env={"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])},
    )  # fmt: skip
    try:
        server.wait_for(lambda: "scgi_pass" in server.text(), "the start")
        wait_until(lambda: ready(server.pid), "a worker")
        before = ready(server.pid)
        python.rename(home / "bin" / "away")
        server.send_signal(signal.SIGHUP)
        server.wait_for(lambda: "the reload failed" in server.text(), "a reload that fails")
        assert f"{python}: No such file or directory" in server.text()
        server.send_signal(signal.SIGUSR2)
        server.wait_for(lambda: "the supervisor is not replaced" in server.text(), "a replacement that fails")
        assert ready(server.pid) == before
        assert ask(tmp_path / "s").endswith(b"Hello")
        (home / "bin" / "away").rename(python)
        server.send_signal(signal.SIGHUP)
        server.wait_for(lambda: "reloaded: generation" in server.text(), "a reload that works")
        assert server.stop() == 0
    finally:
        server.kill()


def test_nothing_can_be_written(tmp_path):
    """A container whose root is read-only, with no place of its own for anything: no socket, no pid file, no log."""
    serving = [sys.executable, "-m", "ssgi_gateway", "serve", "tests.apps.small:app", "--scgi", "127.0.0.1:0"]
    script = 'mount -o remount,bind,ro / && ! touch /read-only 2>/dev/null && exec "$@"'
    words = ["unshare", "--mount", "bash", "-c", script, "bash"]
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here")
    server = Process([*words, *serving, "--workers", "2"], tmp_path / "log", cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    try:
        server.wait_for(lambda: "scgi_pass 127.0.0.1:" in server.text(), "the start")
        wait_until(lambda: len(ready(server.pid)) == 2, "two workers")
        host, _, port = server.text().partition("scgi_pass ")[2].partition(";")[0].rpartition(":")
        with socket.create_connection((host, int(port)), 30) as client:
            client.sendall(REQUEST)
            assert client.recv(65536).endswith(b"Hello")
        server.send_signal(signal.SIGHUP)
        server.wait_for(lambda: "reloaded: generation 2 serves" in server.text(), "a reload")
        server.send_signal(signal.SIGUSR2)
        server.wait_for(lambda: "the supervisor was replaced in place" in server.text(), "a replacement")
        assert server.stop() == 0
        assert "ERROR" not in server.text()
    finally:
        server.kill()


FAKETIME = next(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "")


@pytest.mark.skipif(not FAKETIME, reason="needs faketime")
def test_a_clock_that_is_set_changes_nothing(tmp_path):
    """Ages, deadlines and back-offs are of the monotonic clock: a year forth or back is none of them."""
    now = tmp_path / "now"
    now.write_text("+0")
    server = Process(
        [sys.executable, "-m", "ssgi_gateway", "serve", "tests.apps.troubles:app", "--scgi", f"unix:{tmp_path}/s",
         "--workers", "2", "--worker-max-age", "1000", "--request-timeout", "100", "--slow-request", "100"],
        tmp_path / "log", cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "LD_PRELOAD": FAKETIME, "DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1",
             "FAKETIME_TIMESTAMP_FILE": str(now)},
    )  # fmt: skip
    try:
        server.wait_for(lambda: "scgi_pass" in server.text(), "the start")
        wait_until(lambda: len(ready(server.pid)) == 2, "two workers")
        before = ready(server.pid)
        nap = threading.Thread(target=ask, args=(tmp_path / "s", "/naps"))
        nap.start()
        for jump in ("+1y", "-1y", "+2y"):
            now.write_text(jump)
            for _ in range(20):
                assert ask(tmp_path / "s").count(b"Status: 200") == 1
        nap.join()
        time.sleep(1.1)  # two looks at what has become old
        assert ready(server.pid) == before
        server.send_signal(signal.SIGHUP)
        server.wait_for(lambda: "reloaded: generation 2 serves" in server.text(), "a reload")
        assert server.stop() == 0
        assert "WARNING" not in server.text()
    finally:
        server.kill()


def test_one_more_that_the_application_refuses(tmp_path, fleet):
    """SIGTTIN for what keeps sessions in one process: refused in its words, as ``--workers 2`` is; the one goes on."""
    (tmp_path / "chat.py").write_text(
        "from ssgi_gateway import rpc as swill\napp = swill.Swill(__name__, sessions=swill.MemorySessions())\n"
    )
    it = fleet(1, "--pythonpath", str(tmp_path), app="chat:app")
    before = it.workers()
    it.signal(signal.SIGTTIN)
    line = it.gateway.wait_for_log("no more workers than the 1 there are: ")
    assert "MemorySessions keeps sessions in one process, and there are 2 workers" in line
    assert it.wait_for_workers(1) == before
    assert report.read(it.pid)["wanted"] == 1


def test_a_stopped_worker_holds_nobody_else_up(fleet):
    it = fleet(2)
    stopped, _ = it.wait_for_workers(2)
    os.kill(stopped, signal.SIGSTOP)
    try:
        # Until it has really stopped it may be woken for a connection, which then waits until another one wakes others.
        wait_until(lambda: Path(f"/proc/{stopped}/stat").read_text().rpartition(")")[2].split()[0] == "T", "its stop")
        pids = {request(it.nginx.address("scgi"), "GET", f"/{number}").body.split()[1] for number in range(1, 30)}
        assert pids.isdisjoint({str(stopped).encode()})
    finally:
        os.kill(stopped, signal.SIGCONT)


def test_a_kept_connection_of_a_stopped_worker_is_seen_and_waits_for_it(fleet):
    """Nothing else can have it: its requests wait until the web server gives up; ``status`` shows who is stuck."""
    it = fleet(2)
    it.wait_for_workers(2)
    with socket.socket(socket.AF_UNIX) as kept:
        kept.settimeout(30)
        kept.connect(str(it.gateway.fastcgi[0]))
        stopped = int(over(kept, "/1").split()[1])
        os.kill(stopped, signal.SIGSTOP)
        try:
            kept.sendall(fastcgi(variables={**GET, b"REQUEST_URI": b"/2"}))
            wait_until(lambda: shown(it.pid, stopped) == "stuck", "its state")
            for number in range(3, 20):
                assert request(it.nginx.address("scgi"), "GET", f"/{number}").status == 200
        finally:
            os.kill(stopped, signal.SIGCONT)
        assert over(kept, None).split() == [b"2", b"%d" % stopped], "it goes on where it was"
    wait_until(lambda: shown(it.pid, stopped) == "ready", "its state")
    assert set(it.counts.read_bytes()[1:20]) == {1}


def over(connection: socket.socket, target: str | None) -> bytes:
    """The body of an answer on a kept FastCGI connection; to ``target``, or to what was sent before."""
    if target is not None:
        connection.sendall(fastcgi(variables={**GET, b"REQUEST_URI": target.encode()}))
    received = b""
    while not ended(received):
        data = connection.recv(65536)
        assert data, "the connection ended"
        received += data
    return stdout(received).partition(b"\r\n\r\n")[2]


def shown(supervisor: int, pid: int) -> str:
    """The state of a worker as ``status`` and the page show it."""
    with opened(table_of(supervisor)) as reader:
        return next((it.state for it in reader.snapshot().workers if it.pid == pid), "")


@pytest.mark.parametrize("how", ["closed", "interrupted", "resized"])
def test_a_terminal(tmp_path, how):
    """^C stops it at once, closing the terminal stops it, another size does nothing."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(ROOT)
        words = ["serve", "tests.apps.troubles:app", "--scgi", f"unix:{tmp_path}/s", "--workers", "2"]
        os.execv(sys.executable, [sys.executable, "-m", "ssgi_gateway", *words])
    closed = False
    try:
        wait_until(lambda: answers(tmp_path / "s"), "the start")
        wait_until(lambda: len(ready(pid)) == 2, "two workers")
        if how == "closed":
            os.close(terminal)
            closed = True
        elif how == "interrupted":
            os.write(terminal, b"\x03")
        else:
            os.kill(pid, signal.SIGWINCH)
            os.kill(pid, signal.SIGTTIN)
            wait_until(lambda: len(ready(pid)) == 3, "a third worker")
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if not closed:
                drained(terminal)
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                break
            time.sleep(0.01)
        assert ended, "it still runs"
        assert os.waitstatus_to_exitcode(status) == 0
        pid = 0
    finally:
        if not closed:
            os.close(terminal)
        if pid:
            os.kill(pid, signal.SIGKILL)


def drained(terminal: int) -> None:
    """Read what was written to the terminal, so that nobody waits for it."""
    os.set_blocking(terminal, False)
    with contextlib.suppress(OSError):
        os.read(terminal, 65536)


@root
def test_rights_are_dropped_by_everybody_but_the_supervisor(tmp_path):
    server = serve(
        tmp_path, "--user", "nobody", "--workers", "1", "--pid-file", f"{tmp_path}/pid", app="tests.apps.small:app"
    )
    try:
        wait_until(lambda: ready(server.pid), "a worker")
        assert int((tmp_path / "pid").read_text()) == server.pid
        assert uids(server.pid) == {0}
        for child in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split():
            assert uids(int(child)) == {65534}
            assert not set(groups(int(child))) & set(os.getgroups()), "no supplementary group of root's is left"
        control = [fd for fd in Path(f"/proc/{server.pid}/fd").iterdir() if "socket:" in os.readlink(fd)]
        reached = subprocess.run(
            ["setpriv", "--reuid", "65534", "--clear-groups", "ls", str(control[0])], capture_output=True, check=False
        )
        assert reached.returncode, "nobody else reaches the descriptors of the supervisor"
        assert ask(tmp_path / "s").endswith(b"Hello")
        assert server.stop() == 0
        assert not (tmp_path / "pid").exists()
        assert not (tmp_path / "s").exists()
    finally:
        server.kill()


def test_the_kernel_takes_a_worker_first(fleet):
    """``oom_score_adj``: everybody's is above the supervisor's, which nobody could start again."""
    it = fleet(2)
    it.wait_for_workers(2)
    assert {oom_score(child) for child in children(it.pid)} == {min(1000, oom_score(it.pid) + 100)}


def test_out_of_memory_a_worker_ends_and_the_log_has_the_reason(tmp_path):
    with small_cgroup() as members:
        server = serve(tmp_path, "--workers", "2", before=f"echo $$ > {members}")
        try:
            wait_until(lambda: len(ready(server.pid)) == 2, "two workers")
            while "the kernel's, for its cgroup is out of memory" not in server.text():
                assert server.returncode is None
                with contextlib.suppress(OSError):
                    ask(tmp_path / "s", "/leaks")
            wait_until(lambda: len(ready(server.pid)) == 2, "two workers")
            assert b"Status: 200" in ask(tmp_path / "s")
            assert server.stop() == 0
        finally:
            server.kill()


def oom_score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


VERSION_1 = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
VERSION_2 = Path("/sys/fs/cgroup"), "memory.max"


@contextlib.contextmanager
def small_cgroup():
    """A cgroup with 250 MiB, within this process' own; its file of members."""
    places = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if not names or "memory" in names.split(","):
            root, limit = VERSION_1 if names else VERSION_2
            places.append((root / path.lstrip("/"), limit))
    for folder, limit in places:
        small = folder / f"ssgi-test-{os.getpid()}"
        try:
            small.mkdir()
        except OSError:
            continue
        try:
            (small / limit).write_text(str(250 << 20))
        except OSError:  # no such controller here
            small.rmdir()
            continue
        try:
            yield small / "cgroup.procs"
        finally:
            for pid in (small / "cgroup.procs").read_text().split():
                with contextlib.suppress(OSError):
                    (folder / "cgroup.procs").write_text(pid)
            small.rmdir()
        return
    pytest.skip("no cgroups here")


def test_a_crash_leaves_its_stack_in_the_log(fleet):
    it = fleet(1, app="tests.apps.troubles:app")
    with contextlib.suppress(AssertionError, OSError):
        ask(it.gateway.scgi[0], "/segfaults")
    it.gateway.wait_for_log("Fatal Python error: Segmentation fault")
    it.gateway.wait_for_log(" in segfaults")
    it.gateway.wait_for_log("ended: killed by SIGSEGV")


def uids(pid: int) -> set[int]:
    line = Path(f"/proc/{pid}/status").read_text().partition("\nUid:")[2].partition("\n")[0]
    return set(map(int, line.split()))


def groups(pid: int) -> list[int]:
    line = Path(f"/proc/{pid}/status").read_text().partition("\nGroups:")[2].partition("\n")[0]
    return [int(word) for word in line.split()]


@root
def test_after_a_rotation_workers_write_where_only_the_supervisor_may(tmp_path):
    """They are nobody and the folder is root's: SIGUSR1 has the supervisor open the file, and pass it on."""
    folder = tmp_path / "logs"
    folder.mkdir(mode=0o755)
    server = serve(tmp_path, "--user", "nobody", "--workers", "1", "--access-log", str(folder / "access"))
    try:
        wait_until(lambda: ready(server.pid), "a worker")
        for number in range(2):
            ask(tmp_path / "s", f"/before-{number}")
            wait_until(lambda n=number: f"/before-{n} " in (folder / "access").read_text(), "a line")
            (folder / "access").rename(folder / f"access.{number}")
            server.send_signal(signal.SIGUSR1)
            wait_until((folder / "access").exists, "a new file")
            wait_until(lambda n=number: follows(tmp_path / "s", folder / "access", f"/after-{n}-"), "a line in it")
        os.kill(ready(server.pid)[0], signal.SIGKILL)
        server.wait_for(lambda: "killed by SIGKILL" in server.text(), "its end")
        wait_until(lambda: ready(server.pid), "a worker from the template, which is older than the file")
        wait_until(lambda: follows(tmp_path / "s", folder / "access", "/another-"), "a line of it")
        assert (folder / "access").stat().st_uid == 0
        assert server.stop() == 0
        assert "cannot be opened" not in server.text()
    finally:
        server.kill()


def follows(path: Path, log: Path, name: str) -> bool:
    """Whether a request is written down there; one that came before the message is still in the old file."""
    target = f"{name}{time.monotonic_ns()}"
    ask(path, target)
    time.sleep(0.6)  # it is written twice a second
    return f"{target} " in log.read_text()


def test_an_application_that_forks_does_not_hold_its_client(fleet):
    """The end of a streamed answer is the server's, whatever its child goes on doing."""
    it = fleet(1, app="tests.apps.forks:app")
    began = time.monotonic()
    answer = request(it.nginx.address("scgi"), "GET", "/")
    assert answer.body.startswith(b"forked")
    assert time.monotonic() - began < 20  # the child sleeps for 60
    os.kill(int(answer.body.split()[1]), signal.SIGKILL)


def test_preload_refuses_threads(tmp_path):
    """The message names them, and the module that nobody would have thought of."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").write_text("from . import telemetry\n")
    (tmp_path / "lib" / "telemetry.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), name='poller', daemon=True).start()\n"
    )
    (tmp_path / "threads.py").write_text("import lib\nfrom tests.apps.small import app\n")
    done = subprocess.run(
        [sys.executable, "-m", "ssgi_gateway", "serve", "threads:app", "--scgi", f"unix:{tmp_path}/s", "--preload",
         "--pythonpath", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "--preload: the application started 1 thread while it was imported: poller" in done.stderr
    assert "by the import of lib.telemetry; " in done.stderr


def test_preload_serves_and_reloads(fleet):
    it = fleet(2, "--preload")
    assert request(it.nginx.address("scgi"), "GET", "/1").status == 200
    it.reload(2)
    assert request(it.nginx.address("scgi"), "GET", "/2").status == 200


@pytest.mark.parametrize("how", ["absolute", "relative", "entered"])
def test_a_link_is_resolved_anew(tmp_path, how):
    """``current`` leads to another release, and the one of the start is removed, as those who deploy do.

    ``--chdir current``, or ``cd current`` before the start; a replaced supervisor finds it as well.
    """
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "release.py").write_text(
            f"def app(kind, server, remote, method, path, query, get_header, res): res.send('{name}')\n"
        )
    (tmp_path / "current").symlink_to("one")
    options = [] if how == "entered" else ["--chdir", str(tmp_path / "current") if how == "absolute" else "current"]
    place = tmp_path / "current" if how == "entered" else tmp_path
    words = [sys.executable, "-P", "-m", "ssgi_gateway", "serve", "release:app", "--scgi", f"unix:{tmp_path}/s"]
    server = Process(
        [*words, "--access-log", "access", *options], tmp_path / "log", cwd=place,
        env={"PYTHONPATH": str(ROOT), "PWD": str(place)},
    )  # fmt: skip
    try:
        server.wait_for(lambda: "scgi_pass" in server.text(), "the start")
        assert ask(tmp_path / "s").endswith(b"one")
        (tmp_path / "next").symlink_to("two")
        os.replace(tmp_path / "next", tmp_path / "current")
        (tmp_path / "one").rename(tmp_path / "away")
        server.send_signal(signal.SIGHUP)
        server.wait_for(lambda: "generation 2 serves" in server.text(), "a reload")
        server.send_signal(signal.SIGUSR2)
        server.wait_for(lambda: "was replaced in place" in server.text(), "a replacement")
        server.send_signal(signal.SIGHUP)
        server.wait_for(lambda: "generation 3 serves" in server.text(), "another reload")
        wait_until(lambda: len(children(server.pid, "worker")) == 1, "the old worker's end")
        assert ask(tmp_path / "s").endswith(b"two")
        server.wait_for(lambda: (tmp_path / "two" / "access").stat().st_size, "a line of the new release's log")
        assert server.stop() == 0
    finally:
        server.kill()


STARTS = """
import concurrent.futures, multiprocessing, subprocess, time

pools = []

def app(kind, server, remote, method, path, query, get_header, res):
    if path == "/pool":
        pools.append(concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")))
        pools[-1].submit(time.sleep, 3600)
        res.send(" ".join(map(str, pools[-1]._processes)))
    else:
        res.send(str(subprocess.Popen(["sleep", "3600"]).pid))
"""


@pytest.mark.parametrize(
    ("path", "how", "stays"), [("/pool", "reload", False), ("/popen", "kill", False), ("/popen", "reload", True)]
)
def test_what_a_worker_has_started(tmp_path, path, how, stays):
    """It does not outlive a worker that did not end in order: one that was killed, or whose pool held its end up."""
    (tmp_path / "starts.py").write_text(STARTS)
    options = ("--pythonpath", str(tmp_path), "--deadline-drain", "1")
    server = serve(tmp_path, *options, app="starts:app")
    started = 0
    try:
        [worker] = children(server.pid, "worker")
        started = int(ask(tmp_path / "s", path).rpartition(b"\n")[2])
        assert Path(f"/proc/{started}").exists()
        if how == "kill":
            os.kill(worker, signal.SIGKILL)
        else:
            server.send_signal(signal.SIGHUP)
        wait_until(lambda: children(server.pid, "worker") not in ([], [worker]), "another worker")
        wait_until(lambda: worker not in children(server.pid), "the end of the first")
        if stays:
            assert Path(f"/proc/{started}").exists()
        else:
            wait_until(lambda: not Path(f"/proc/{started}").exists(), "the end of what it has started")
        assert server.stop() == 0
    finally:
        server.kill()
        if started:
            with contextlib.suppress(OSError):
                os.kill(started, signal.SIGKILL)
