"""The access log: one line a request, whatever the request holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssgi_gateway.core.request_id import choose
from ssgi_gateway.observe.access_log import FIELDS, AccessLog
from ssgi_gateway.observe.sink import Sink
from tests.unit.server.peer import bench, request


def hello(*args):
    args[-1].send("hello, world!")


async def lines_of(path: Path, *requests: bytes, style: str = "combined", fields: tuple[str, ...] = (), app=hello):
    """The log of these requests."""
    log = AccessLog(Sink(str(path), "--access-log"), style, fields, None, 3)
    with bench(app, observer=log) as b:
        for data in requests:
            _, peer = b.connect("scgi", data)
            await peer.read_all()
    return path.read_text("latin-1").splitlines(keepends=True)  # noqa: ASYNC240 - nothing else runs


async def test_a_line_is_in_the_combined_format_with_the_seconds_behind_it(tmp_path):
    data = request(target="/a?b", REMOTE_ADDR="192.0.2.7", REMOTE_PORT="4711", HTTP_USER_AGENT="curl/8")
    [line] = await lines_of(tmp_path / "log", data)
    assert line.startswith("192.0.2.7 - - [")
    before, seconds = line.rsplit(" ", 1)
    assert before.endswith('] "GET /a?b HTTP/1.1" 200 13 "-" "curl/8"')
    assert 0 <= float(seconds) < 30


@pytest.mark.parametrize(
    ("address", "port", "host"), [("2001:db8::1", "80", "2001:db8::1"), ("192.0.2.7", "", "192.0.2.7"), ("", "", "-")]
)
async def test_an_address_is_shown_without_its_port(tmp_path, address, port, host):
    [line] = await lines_of(tmp_path / "log", request(REMOTE_ADDR=address, REMOTE_PORT=port))
    assert line.split(" ")[0] == host


@pytest.mark.parametrize("style", ["combined", "json"])
async def test_bad_inputs_56_a_line_stays_a_line_and_a_field_a_field(tmp_path, style):
    agent = 'a" "b\\\r\n\x1b[31m\xff'
    [line] = await lines_of(tmp_path / "log", request(HTTP_USER_AGENT=agent), style=style)
    if style == "json":
        assert json.loads(line)["agent"] == agent
    else:
        assert r'"a\x22 \x22b\x5c\x0d\x0a\x1b[31m\xff"' in line


@pytest.mark.parametrize("style", ["combined", "json"])
async def test_every_character_wherever_it_stands(tmp_path, style):
    """The compiled build looks at eight bytes at once."""
    agents = ["a" * before + "".join(map(chr, range(1, 256))) + "z" * (8 - before) for before in range(9)]
    agents += ["a" * before + chr(code) for before in (0, 7, 8) for code in (31, 32, 34, 92, 126, 127, 128, 255)]
    requests = [request(HTTP_USER_AGENT=agent) for agent in agents]
    lines = await lines_of(tmp_path / "log", *requests, style=style)
    if style == "json":
        assert [json.loads(line)["agent"] for line in lines] == agents
    else:
        escaped = [
            "".join(c if " " <= c < "\x7f" and c not in '"\\' else f"\\x{ord(c):02x}" for c in it) for it in agents
        ]
        assert [line.rpartition('"')[0].rpartition(' "')[2] for line in lines] == escaped


@pytest.mark.parametrize("style", ["combined", "json"])
async def test_a_field_that_has_nothing_in_it(tmp_path, style):
    fields = tuple(name for name in FIELDS if name not in ("ts", "id", "seconds"))
    [line] = await lines_of(tmp_path / "log", request(), style=style, fields=fields)
    if style == "json":
        said = json.loads(line)
        assert (said["query"], said["referer"], said["agent"], said["bytes_in"]) == ("", "", "", 0)
    else:
        assert line.partition('"-" "-" ')[2] == "- GET / - HTTP/1.1 200 0 13 scgi 3 - - False\n".replace(
            "- GET", f"{line.split(' ')[0]} GET", 1
        )


async def test_lines_are_written_when_there_are_many(tmp_path):
    path = tmp_path / "log"
    log = AccessLog(Sink(str(path), "--access-log"))
    with bench(hello, observer=log) as b:
        for _ in range(20):
            _, peer = b.connect("scgi", request(HTTP_USER_AGENT="a" * 8000))
            await peer.read_all()
        before_the_end = path.read_text().count("\n")
    assert before_the_end >= 8
    assert path.read_text().count("\n") == 20


async def test_json_has_every_field(tmp_path):
    data = request("POST", "/a?b=c", b"four", REMOTE_ADDR="192.0.2.7", HTTP_REFERER="r", HTTP_X_REQUEST_ID="abc-1")
    [line] = await lines_of(tmp_path / "log", data, style="json")
    said = json.loads(line)
    assert tuple(said) == FIELDS
    del said["ts"], said["seconds"]
    assert said == {
        "id": "abc-1", "remote": "192.0.2.7", "method": "POST", "path": "/a", "query": "b=c", "proto": "HTTP/1.1",
        "status": 200, "bytes_in": 4, "bytes": 13, "protocol": "scgi", "worker": 3, "referer": "r", "agent": "",
        "aborted": False,
    }  # fmt: skip


async def test_fields_by_setting(tmp_path):
    [line] = await lines_of(tmp_path / "log", request(), style="json", fields=("status", "path"))
    assert line == '{"status":200,"path":"/"}\n'
    [line] = await lines_of(tmp_path / "other", request(HTTP_X_REQUEST_ID="x1"), fields=("protocol", "worker", "id"))
    assert line.endswith('"-" "-" scgi 3 x1\n')


@pytest.mark.parametrize("given", ["a" * 129, "a\nb", "a b", "\xfc", "", '"', None])
def test_an_id_that_could_do_harm_is_replaced(given):
    made = choose(given)
    assert made != given
    assert len(made) == 16
    assert int(made, 16) >= 0
    assert choose(given) != made


def test_an_id_of_the_front_stays():
    assert choose("a" * 128) == "a" * 128
    assert choose("7f00.1-A_b") == "7f00.1-A_b"


async def test_one_id_in_every_place(tmp_path, caplog):
    seen = []

    def app(*args):
        seen.append(args[-1].extensions["request_id"])
        raise RuntimeError("oh")

    log = AccessLog(Sink(str(tmp_path / "log"), "--access-log"), "json", ("id",))
    with bench(app, observer=log) as b:
        _, peer = b.connect("scgi", request())
        await peer.read_all()
    [line] = (tmp_path / "log").read_text().splitlines()
    [record] = [it for it in caplog.records if "raised" in it.getMessage()]
    assert {json.loads(line)["id"], record.request_id} == set(seen)


async def test_answers_carry_the_id_with_the_setting(tmp_path):
    with bench(hello, request_id_header="X-Request-ID") as b:
        _, peer = b.connect("scgi", request(HTTP_X_REQUEST_ID="abc"))
        assert b"X-Request-ID: abc\r\n" in await peer.read_all()
