"""The shared table: seats that outlive their workers, sums that never go back, what readers see."""

from __future__ import annotations

import os
import re
import socket

import pytest

from ssgi_gateway.observe import table as layout
from ssgi_gateway.observe.exposition import exposition
from ssgi_gateway.observe.reading import Reader, find, opened, table_of
from ssgi_gateway.observe.recorder import Recorder, bucket
from ssgi_gateway.observe.samples import ProcessSampler, threads
from ssgi_gateway.observe.snapshot import Snapshot, as_json
from ssgi_gateway.observe.table import Table, create
from tests.unit.server.peer import bench, request
from tests.unit.server.test_observing import UPGRADE


@pytest.fixture
def table():
    fd = create(4)
    made = Table(fd)
    yield made
    os.close(fd)


def snapshot(table: Table) -> Snapshot:
    reader = Reader(table.fd)
    try:
        return reader.snapshot()
    finally:
        reader.close()


def hello(*args):
    args[-1].send("hello")


def echo(*args):
    args[-1].accept()
    args[-1].on_receive(lambda ws, message: ws.send(message))


async def test_what_a_recorder_writes(table):
    seat = table.seat(2)
    seat.begin(os.getpid(), 3)
    seat.state = "ready"
    recorder = Recorder(seat, 0.5)
    with bench(hello, echo, observer=recorder) as b:
        for _ in range(3):
            _, peer = b.connect("scgi", request("POST", "/a", b"four"))
            await peer.read_all()
        _, peer = b.connect("websocket", UPGRADE)
        await peer.read_until(b"\r\n\r\n")
        peer.send(b"\x82\x82\0\0\0\0ab")
        await peer.read(4)
        now = snapshot(table)
        [worker] = now.workers
        assert (worker.number, worker.pid, worker.generation, worker.state) == (2, os.getpid(), 3, "ready")
        assert worker.websockets == 1
        assert worker.connections["websocket"] == 1
        assert now.process(worker).memory > 1 << 20
        peer.send(b"\x88\x82\0\0\0\0\x03\xe8")
        await peer.read_all()
        await b.wait(1)
        now = snapshot(table)
        assert now.requests("scgi", "2xx") == 3
        assert now.requests("websocket", "1xx") == 1
        assert now.total[layout.BYTES_IN] == 12
        assert now.total[layout.BYTES_OUT] == 15
        assert now.total[layout.MESSAGES_IN] == now.total[layout.MESSAGES_OUT] == 1
        assert now.total[layout.CLOSES] == 1
        assert now.total[layout.ACCEPTED] == 3
        assert sum(now.durations("scgi")[0]) == 3
        assert sum(now.total[layout.LAG : layout.LAG + len(layout.LAG_BOUNDS) + 1]) >= 1
        [worker] = now.workers
        assert worker.websockets == worker.in_progress == sum(worker.connections.values()) == 0
        assert worker.beat < 5
    assert snapshot(table).workers == [], "who has left is seen no more"
    assert snapshot(table).requests("scgi", "2xx") == 3, "what he did is"


def test_a_worker_that_hangs_before_its_first_tick_is_stuck(table):
    seat = table.seat(1)
    seat.begin(1)
    assert seat.words[layout.BEAT] == 0
    seat.state = "ready"
    assert snapshot(table).workers[0].state == "ready"
    seat.words[layout.BEAT] -= 4_000_000_000
    assert snapshot(table).workers[0].state == "stuck"


async def test_requests_in_progress_by_protocol(table):
    seat = table.seat(1)
    seat.begin(1)
    seen = []

    def app(*args):
        seen.append(exposition(snapshot(table)))
        args[-1].send("")

    with bench(app, observer=Recorder(seat, 0.5)) as b:
        _, peer = b.connect("scgi", request())
        await peer.read_all()
    assert 'ssgi_requests_in_progress{protocol="scgi"} 1\n' in seen[0]
    assert 'ssgi_requests_in_progress{protocol="http"} 0\n' in seen[0]
    assert 'ssgi_requests_in_progress{protocol="scgi"} 0\n' in exposition(snapshot(table))


def raises(*args):
    raise RuntimeError("on purpose")


def forgets(*args):
    pass


async def raises_behind_its_answer(*args):
    args[-1].send("fine")
    raise RuntimeError("on purpose")


def refuses(*args):
    args[-1].send_status(500)
    args[-1].send("as it likes")


@pytest.mark.parametrize(
    ("app", "count"), [(raises, 1), (forgets, 1), (raises_behind_its_answer, 1), (refuses, 0), (hello, 0)]
)
async def test_errors_of_the_application(table, app, count):
    with bench(app, observer=Recorder(table.seat(1), 0.5)) as b:
        _, peer = b.connect("scgi", request())
        await peer.read_all()
    assert f"ssgi_application_errors_total {count}\n" in exposition(snapshot(table))


async def test_errors_of_an_application_behind_its_websocket(table):
    def app(*args):
        args[-1].accept()
        args[-1].on_receive(raises)

    with bench(None, app, observer=Recorder(table.seat(1), 0.5)) as b:
        _, peer = b.connect("websocket", UPGRADE)
        await peer.read_until(b"\r\n\r\n")
        peer.send(b"\x82\x82\0\0\0\0ab")
        peer.send(b"\x88\x82\0\0\0\0\x03\xe8")
        await peer.read_all()
    assert "ssgi_application_errors_total 1\n" in exposition(snapshot(table))


async def test_what_nobody_reports_is_sampled(table):
    """At every tick, and at the end: what a worker cost belongs to its seat, whoever sits there next."""
    seat = table.seat(1)
    seat.begin(os.getpid())
    with bench(hello, observer=Recorder(seat, 0.5, [ProcessSampler(), threads(lambda: (3, 2, 8))])) as b:
        _, peer = b.connect("scgi", request())
        await peer.read_all()
        await b.wait(1)
        now = snapshot(table)
        [worker] = now.workers
        cost = now.cost(worker)
        assert cost.memory > 1 << 20
        assert 2 < cost.files <= len(os.listdir("/proc/self/fd")) + 20
        text = exposition(now)
    for name, value in (("wsgi_queue", 3), ("wsgi_threads_busy", 2), ("wsgi_threads", 8)):
        assert f"ssgi_{name} {value}\n" in text
    spent = seat.words[layout.CPU]
    assert spent >= round(cost.cpu * 1e9) > 0
    assert seat.words[layout.MEMORY] == seat.words[layout.THREADS] == 0, "he has gone"
    seat.begin(os.getpid())
    seat.state = "ready"
    now = snapshot(table)
    assert round(now.cost(now.workers[0]).cpu * 1e9) >= spent, "CPU time never goes back"


def test_a_worker_that_hangs_is_read_from_the_kernel(table):
    seat = table.seat(1)
    seat.begin(os.getpid())
    ProcessSampler()(seat.words)
    seat.state = "ready"
    seat.words[layout.MEMORY] = 1
    seat.words[layout.BEAT] -= 4_000_000_000
    now = snapshot(table)
    known = now.cost(now.workers[0])
    assert known.memory > 1 << 20
    assert known.cpu >= seat.words[layout.CPU] / 1e9


def test_cpu_time_of_a_silent_one_is_counted_on_top_of_those_before(table):
    seat = table.seat(1)
    seat.words[layout.CPU] = 7_000_000_000
    seat.begin(os.getpid())
    now = snapshot(table)
    seen = now.cost(now.workers[0]).cpu
    assert seen >= 7
    ProcessSampler()(seat.words)
    assert seat.words[layout.CPU] / 1e9 >= seen


def test_the_listeners_and_their_queues(table, tmp_path):
    with socket.create_server(("127.0.0.1", 0), backlog=5) as one, socket.socket(socket.AF_UNIX) as two:
        two.bind(str(tmp_path / "socket"))
        two.listen(6)
        table.set_listeners([("http", "127.0.0.1:80", one.fileno()), ("scgi", f"unix:{tmp_path}", two.fileno())])
        with socket.create_connection(one.getsockname()):
            assert snapshot(table).listeners() == [("http 127.0.0.1:80", 1, 5), (f"scgi unix:{tmp_path}"[:119], 0, 6)]
            assert 'ssgi_listen_queue{listener="http 127.0.0.1:80"} 1\n' in exposition(snapshot(table))
        table.set_listeners([])
        assert snapshot(table).listeners() == []
        table.set_listeners([("scgi", "x" * 500, two.fileno())] * 50)  # of one address they are one
        [listener] = snapshot(table).listeners()
        assert listener.name.startswith("scgi xxx")


async def test_the_call_that_runs_now_is_named(table):
    seen = []
    seat = table.seat(1)
    seat.begin(1)

    def app(*args):
        seen.append(snapshot(table).workers[0])
        args[-1].send("")

    with bench(app, observer=Recorder(seat, 0.5)) as b:
        for target in ("/short", "/" + "long" * 100, "/a%00b?q"):
            _, peer = b.connect("scgi", request(target=target))
            await peer.read_all()
    assert [it.call for it in seen[:2]] == ["GET /short", ("GET /" + "long" * 100)[: layout.CALL_SIZE]]
    assert all(it.running >= 0 and it.in_progress == 1 for it in seen)


@pytest.mark.parametrize(
    ("status", "name"), [(200, "2xx"), (302, "3xx"), (404, "4xx"), (500, "5xx"), (999, "5xx"), (499, "499")]
)
async def test_classes_of_status(table, status, name):
    recorder = Recorder(table.seat(1), 0.5)

    def app(*args):
        args[-1].send_status(status)
        args[-1].send("")

    with bench(app, observer=recorder) as b:
        _, peer = b.connect("scgi", request())
        await peer.read_all()
    assert snapshot(table).requests("scgi", name) == 1


def test_buckets():
    assert [bucket(layout.BOUNDS, it) for it in (0, 0.0005, 0.00051, 10, 10.1, 1e9)] == [0, 0, 1, 13, 14, 14]


def test_a_seat_that_is_given_up_is_not_forgotten(table):
    for number in (1, 2):
        seat = table.seat(number)
        seat.begin(100 + number)
        seat.words[layout.REQUESTS + 1] = number * 10
        seat.words[layout.DURATIONS] = (1 << 63) - 1  # no sum of seats may carry into its neighbour
    before = snapshot(table)
    table.fold(2)
    after = snapshot(table)
    assert before.requests("scgi", "2xx") == after.requests("scgi", "2xx") == 30
    assert [worker.number for worker in after.workers] == [1]


def test_the_header(table):
    table.set_text(layout.NAME_TEXT, "böard:app" * 100)
    table.words[layout.H_WANTED] = 3
    table.count_exit("memory")
    table.reload("running")
    assert snapshot(table).reload_state == "running"
    table.reload("failed", "no module named nothing")
    now = as_json(snapshot(table))
    assert now["name"].startswith("böard:app")
    assert now["wanted"] == 3
    assert now["exits"]["memory"] == 1
    assert now["reload"] == {"state": "failed", "words": "no module named nothing"}
    assert not now["ready"]


def test_it_can_be_found_and_is_sealed(table):
    path = table_of(os.getpid())
    assert path
    assert os.getpid() in find()
    with opened(path) as reader:
        assert reader.snapshot().pid == os.getpid()
    for change in (0, 1 << 30):
        with pytest.raises(PermissionError):
            os.ftruncate(table.fd, change)


def test_a_table_of_another_version_is_refused_in_words(table):
    table.words[layout.H_VERSION] = 99
    with pytest.raises(ValueError, match="layout 99, this program reads 1: use the one that is installed"):
        Reader(table.fd)


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(bytes(8192))
    with open(tmp_path / "file", "rb") as file, pytest.raises(ValueError, match="no table"):
        Reader(file.fileno())


def test_the_text_for_prometheus(table):
    seat = table.seat(1)
    seat.begin(os.getpid())
    seat.words[layout.DURATIONS : layout.DURATIONS + 3] = memoryview(
        bytes([5, *[0] * 7, 3, *[0] * 7, 1, *[0] * 7])
    ).cast("Q")
    text = exposition(snapshot(table))
    counts = re.findall(r'_bucket\{protocol="scgi",le="[^"]+"\} (\d+)', text)
    assert counts == ["5", "8"] + ["9"] * 13, "buckets hold what is below them"
    assert 'ssgi_request_duration_seconds_count{protocol="scgi"} 9' in text
    names = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    assert len(names) == len(set(names))
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in names)
    assert text.count("# HELP") == len(names)


def test_sixty_four_seats_are_read_at_once():
    """How long it takes is a row of the figures in docs/observability.md."""
    fd = create(64)
    table = Table(fd)
    for number in range(1, 65):
        table.seat(number).begin(os.getpid())
        table.seat(number).words[layout.REQUESTS] = number
    assert snapshot(table).requests("scgi", "1xx") == sum(range(65))
    os.close(fd)
