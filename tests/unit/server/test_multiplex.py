"""Several FastCGI requests in progress on one connection: each is an exchange of its own."""

from __future__ import annotations

import asyncio

import pytest

from ssgi_gateway.wire.fastcgi.records import ABORT_REQUEST, END_REQUEST, GET_VALUES, OVERLOADED, STDIN, STDOUT
from tests.loops import settle, until
from tests.unit.server.peer import bench
from tests.unit.wire.fastcgi_front import begin, end_request, pairs, params, record, stdin
from tests.unit.wire.flup_fastcgi import flup_records


def get(target: str, request_id: int, flags: int = 1) -> bytes:
    variables = {b"REQUEST_METHOD": b"GET", b"REQUEST_URI": target.encode()}
    return begin(request_id, flags=flags) + params(variables, request_id) + stdin(request_id=request_id)


def post_head(target: str, request_id: int) -> bytes:
    variables = {b"REQUEST_METHOD": b"POST", b"REQUEST_URI": target.encode()}
    return begin(request_id) + params(variables, request_id)


class Answers:
    """What a web server hears on one connection, by request."""

    def __init__(self, peer):
        self.peer = peer
        self.raw = b""

    def records(self):
        self.raw += self.peer.take()
        whole, at = 0, 0
        while at + 8 <= len(self.raw):
            at += 8 + int.from_bytes(self.raw[at + 4 : at + 6], "big") + self.raw[at + 6]
            whole = at if at <= len(self.raw) else whole
        return flup_records(self.raw[:whole])

    def body(self, request_id):
        text = b"".join(data for kind, number, data in self.records() if kind == STDOUT and number == request_id)
        return text.partition(b"\r\n\r\n")[2]

    def ends(self):
        return [number for kind, number, _ in self.records() if kind == END_REQUEST]

    async def ended(self, *ids):
        await until(lambda: sorted(self.ends()) == sorted(ids))


class Held:
    """An application whose answers wait for the test."""

    def __init__(self):
        self.gates = {}
        self.aborted = []

    async def __call__(self, kind, server, client, method, path, query, get_header, res):
        gate = self.gates[path] = asyncio.Event()
        res.on_aborted(self.aborted.append, path)
        res.on_aborted(gate.set)
        await gate.wait()
        res.send(f"answer to {path}")

    async def called(self, *paths):
        await until(lambda: self.gates.keys() >= set(paths))


async def test_nothing_is_left_of_a_second_request_behind_an_answer_that_broke_off():
    """The connection was ending already, and took up another request that nobody would ever end."""

    def app(kind, server, client, method, path, query, get_header, res):
        res.send("half", True)
        raise RuntimeError("broken")

    with bench(app) as server:
        _, peer = server.connect("fastcgi", get("/cut", 1) + get("/behind", 3))
        await peer.read_all()
        peer.close()
        await settle()
        assert not server.gateway.connections


async def test_a_second_request_is_served_while_the_first_is_worked_on():
    """HAProxy: CANT_MPX_CONN was an empty answer for an innocent client."""
    app = Held()
    with bench(app) as server:
        _, peer = server.connect("fastcgi", get("/slow", 1))
        answers = Answers(peer)
        await app.called("/slow")
        peer.send(get("/quick", 3) + get("/third", 5))
        await app.called("/quick", "/third")
        app.gates["/quick"].set()
        await answers.ended(3)
        assert answers.body(3) == b"answer to /quick"
        app.gates["/third"].set()
        app.gates["/slow"].set()
        await answers.ended(1, 3, 5)
        assert [answers.body(1), answers.body(5)] == [b"answer to /slow", b"answer to /third"]
        peer.send(get("/again", 1))
        await app.called("/again")
        app.gates["/again"].set()
        await answers.ended(1, 1, 3, 5)
        assert not peer.ended


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
async def test_heads_and_bodies_may_be_interleaved_and_cut_anywhere(size):
    async def app(*args):
        res = args[-1]
        data = await res.get_data()
        res.send(data.read() if data else b"nothing")

    one = [post_head("/1", 1), record(STDIN, 1, b"a" * 50, 3), record(STDIN, 1, b"b" * 50), record(STDIN, 1)]
    two = [begin(2), get("/2", 2)[16:]]
    three = [post_head("/3", 3), record(STDIN, 3, b"c" * 10), record(STDIN, 3)]
    wire = one[0] + two[0] + one[1] + three[0] + two[1] + three[1] + one[2] + three[2] + one[3]
    with bench(app) as server:
        _, peer = server.connect("fastcgi")
        for at in range(0, len(wire), size):
            peer.send(wire[at : at + size])
            await asyncio.sleep(0)
        answers = Answers(peer)
        await answers.ended(1, 2, 3)
        assert [answers.body(i) for i in (1, 2, 3)] == [b"a" * 50 + b"b" * 50, b"nothing", b"c" * 10]


async def test_an_abort_is_of_its_own_request():
    app = Held()
    with bench(app) as server:
        _, peer = server.connect("fastcgi", get("/1", 1) + get("/2", 2))
        answers = Answers(peer)
        await app.called("/1", "/2")
        peer.send(record(ABORT_REQUEST, 1))
        await answers.ended(1)
        assert app.aborted == ["/1"]
        app.gates["/2"].set()
        await answers.ended(1, 2)
        assert answers.body(2) == b"answer to /2"


async def test_the_end_of_the_connection_aborts_them_all():
    app = Held()
    with bench(app) as server:
        _, peer = server.connect("fastcgi", get("/1", 1) + get("/2", 2) + get("/3", 3))
        await app.called("/1", "/2", "/3")
        peer.close()
        await until(lambda: server.idle)
        assert sorted(app.aborted) == ["/1", "/2", "/3"]


async def test_more_requests_than_the_bound_are_refused_as_overloaded():
    app = Held()
    with bench(app, limits={"max_multiplexed": 2}) as server:
        _, peer = server.connect("fastcgi", b"".join(get(f"/{i}", i) for i in (1, 2, 3)))
        answers = Answers(peer)
        await app.called("/1", "/2")
        await until(lambda: end_request(3, OVERLOADED) in answers.records())
        app.gates["/1"].set()
        await answers.ended(1, 3)
        peer.send(get("/4", 3))
        await app.called("/4")


async def test_one_that_nobody_reads_does_not_hold_the_others_up():
    async def app(kind, server, client, method, path, query, get_header, res):
        if path == "/unread":
            gate = asyncio.Event()
            res.on_aborted(gate.set)
            await gate.wait()
        else:
            data = await res.get_data()
            res.send(str(len(data.read())))

    with bench(app, flow=(16384, 4096)) as server:
        _, peer = server.connect("fastcgi", post_head("/unread", 1) + post_head("/read", 2))
        await peer.send_all(b"".join(record(STDIN, 1, bytes(4096)) for _ in range(4)))
        await peer.send_all(b"".join(record(STDIN, 2, bytes(4096)) for _ in range(20)) + record(STDIN, 2))
        answers = Answers(peer)
        await answers.ended(2)
        assert answers.body(2) == b"81920"


async def test_what_waits_for_one_is_bounded_and_arrives():
    gate = asyncio.Event()

    async def app(kind, server, client, method, path, query, get_header, res):
        if path == "/late":
            await gate.wait()
        data = await res.get_data()
        res.send(str(len(data.read()) if data else 0))

    with bench(app, flow=(16384, 4096)) as server:
        _, peer = server.connect("fastcgi", post_head("/late", 1) + post_head("/", 2))
        sent = 0
        await settle()
        while sent < 5_000_000 and (more := peer.send_some(record(STDIN, 1, bytes(65528)))):
            sent += more
            await settle()
            if more < 65536:
                break
        assert sent < 5_000_000  # the peer has to wait
        gate.set()
        rest = 65536 - sent % 65536
        if rest != 65536:
            await peer.send_all(bytes(rest))
        await peer.send_all(record(STDIN, 1) + record(STDIN, 2))
        answers = Answers(peer)
        await answers.ended(1, 2)
        assert answers.body(1) == str((sent + 65535) // 65536 * 65528).encode()


async def test_a_long_answer_leaves_room_for_a_short_one():
    async def app(kind, server, client, method, path, query, get_header, res):
        if path == "/long":
            for _ in range(200):
                await res.send(bytes(65536), has_more=True)
            res.send(b"end")
        else:
            res.send(b"short")

    with bench(app, flow=(65536, 16384)) as server:
        _, peer = server.connect("fastcgi", get("/long", 1) + begin(2), room=65536)
        await settle()
        peer.send(get("/short", 2)[16:])
        answers = Answers(peer)
        await until(lambda: 2 in answers.ends())
        assert 1 not in answers.ends()
        assert answers.body(2) == b"short"
        await answers.ended(1, 2)
        assert len(answers.body(1)) == 200 * 65536 + 3


async def test_an_answer_that_breaks_off_ends_nobody_elses_and_never_looks_complete():
    app = Held()

    async def both(*args):
        if args[4] != "/broken":
            return await app(*args)
        args[-1].send(b"half", has_more=True)
        await asyncio.sleep(0)
        raise RuntimeError

    with bench(both) as server:
        _, peer = server.connect("fastcgi", get("/1", 1) + get("/broken", 2))
        answers = Answers(peer)
        await until(lambda: answers.body(2) == b"half")
        await settle()
        app.gates["/1"].set()
        await answers.ended(1)
        await until(lambda: (answers.records(), peer.ended)[1])
        assert answers.ends() == [1]
        assert answers.body(1) == b"answer to /1"


async def test_a_request_that_does_not_want_the_connection_kept_ends_it_with_the_last():
    app = Held()
    with bench(app) as server:
        _, peer = server.connect("fastcgi", get("/1", 1) + get("/2", 2, flags=0))
        answers = Answers(peer)
        await app.called("/1", "/2")
        app.gates["/2"].set()
        await answers.ended(2)
        assert not peer.ended
        app.gates["/1"].set()
        await answers.ended(1, 2)
        await until(lambda: (answers.records(), peer.ended)[1])


async def test_questions_about_the_server_are_answered_between():
    app = Held()
    with bench(app) as server:
        _, peer = server.connect("fastcgi", get("/1", 1) + get("/2", 2))
        await app.called("/1", "/2")
        peer.send(record(GET_VALUES, 0, pairs({b"FCGI_MPXS_CONNS": b""})))
        answers = Answers(peer)
        await until(lambda: any(data == pairs({b"FCGI_MPXS_CONNS": b"1"}) for _, _, data in answers.records()))


async def test_a_head_that_is_never_finished_ends_by_its_deadline_alone():
    app = Held()
    with bench(app, deadlines={"head": 10.0}) as server:
        _, peer = server.connect("fastcgi", get("/1", 1) + begin(2))
        await app.called("/1")
        await server.wait(12)
        answers = Answers(peer)
        app.gates["/1"].set()
        await answers.ended(1)
        assert answers.body(1) == b"answer to /1"


async def test_what_is_no_fastcgi_ends_the_connection():
    app = Held()
    with bench(app) as server:
        _, peer = server.connect("fastcgi", get("/1", 1) + get("/2", 2))
        await app.called("/1", "/2")
        peer.send(b"GET / HTTP/1.1\r\n\r\n")
        await until(lambda: server.idle)
        assert sorted(app.aborted) == ["/1", "/2"]


async def test_an_early_answer_leaves_the_rest_of_its_upload_to_be_skipped():
    async def app(*args):
        args[-1].send(args[4])

    with bench(app) as server:
        _, peer = server.connect("fastcgi", begin(1) + post_head("/2", 2) + get("/1", 1)[16:])
        answers = Answers(peer)
        await answers.ended(1, 2)
        for _ in range(1500):
            await peer.send_all(record(STDIN, 2, b"late"))
        await peer.send_all(record(STDIN, 2) + get("/3", 3))
        await answers.ended(1, 2, 3)
        assert answers.body(3) == b"/3"


async def test_an_idle_connection_ends_by_its_deadline():
    app = Held()
    with bench(app, deadlines={"idle": 20.0}) as server:
        _, peer = server.connect("fastcgi", get("/1", 1) + get("/2", 2))
        answers = Answers(peer)
        await app.called("/1", "/2")
        await server.wait(30)
        app.gates["/1"].set()
        app.gates["/2"].set()
        await answers.ended(1, 2)
        await server.wait(30)
        await until(lambda: server.idle)


async def test_a_drain_lets_all_of_them_end():
    app = Held()
    with bench(app) as server:
        _, peer = server.connect("fastcgi", get("/1", 1) + get("/2", 2))
        answers = Answers(peer)
        await app.called("/1", "/2")
        server.gateway.draining = True
        for one in tuple(server.gateway.connections):
            one.protocol.shut_down()
        app.gates["/1"].set()
        app.gates["/2"].set()
        await answers.ended(1, 2)
        await until(lambda: (answers.records(), peer.ended)[1])


async def test_above_max_connections_an_idle_connection_makes_room_for_a_request_as_for_a_connection(caplog):
    app = Held()
    with bench(app, max_connections=2) as server:
        _, idle = server.connect("fastcgi")
        await settle()
        _, peer = server.connect("fastcgi", get("/one", 1))
        answers = Answers(peer)
        await app.called("/one")
        peer.send(get("/two", 3))
        await app.called("/two")
        assert await idle.read_all() == b""
        peer.send(get("/three", 5))
        await answers.ended(5)
        assert [data[4] for kind, number, data in answers.records() if (kind, number) == (END_REQUEST, 5)] == [
            OVERLOADED
        ]
        assert "max_connections" in caplog.text
        for gate in app.gates.values():
            gate.set()
        await answers.ended(1, 3, 5)
        peer.close()
