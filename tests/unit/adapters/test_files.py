"""``http.response.pathsend`` and ``http.response.zerocopysend``."""

from __future__ import annotations

import asyncio
import os

import pytest

from ssgi_gateway.adapters.asgi.adapter import adapt
from ssgi_gateway.adapters.files import PIECE
from tests.unit.adapters.serving import in_loop, serving, wait_for

START = {"type": "http.response.start", "status": 200, "headers": []}


def content(size):
    """``size`` bytes that tell where they belong."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.fixture
def make(tmp_path):
    def make(size):
        path = tmp_path / f"{size}.bin"
        path.write_bytes(content(size))
        return path

    return make


def sending(*messages, headers=()):
    async def app(scope, receive, send):
        try:
            await send({**START, "headers": headers})
            for message in messages:
                await send(message)
        except Exception as error:
            app.raised.append(error)
            raise

    app.raised = []
    return app


async def answer_to(app, method="GET"):
    before = len(os.listdir("/proc/self/fd"))
    async with serving(adapt(app)) as served:
        answer = await served.request(method)
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # the default executor's threads may have their own
    return answer


def path_send(path):
    return {"type": "http.response.pathsend", "path": str(path)}


def zero_copy(file, **keys):
    return {"type": "http.response.zerocopysend", "file": file, **keys}


# -- pathsend ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5])
@pytest.mark.parametrize("declared", [True, False])
@in_loop
async def test_a_path_is_sent_whole_and_with_its_length(size, declared, make):
    headers = [(b"Content-Length", str(size).encode())] if declared else []
    answer = await answer_to(sending(path_send(make(size)), headers=headers))
    assert answer.body == content(size)
    assert answer.complete


@pytest.mark.parametrize("size", [5, 2 * PIECE])
@in_loop
async def test_head_of_a_path_has_the_length_and_no_body(size, make):
    answer = await answer_to(sending(path_send(make(size))), "HEAD")
    assert answer.header("content-length") == str(size)
    assert answer.body == b""


@in_loop
async def test_a_path_ends_the_response(make, caplog):
    app = sending(path_send(make(5)), {"type": "http.response.body", "body": b"more"})
    assert (await answer_to(app)).body == content(5)
    assert app.raised == []
    assert "sent after the response had ended" in caplog.text


@pytest.mark.parametrize("what", ["missing", "folder", "fifo"])
@in_loop
async def test_a_path_that_is_no_file_gives_a_500(what, tmp_path):
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    app = sending(path_send(path))
    assert (await answer_to(app)).status == 500
    (error,) = app.raised
    assert isinstance(error, OSError)
    assert not isinstance(error, ConnectionError)


@in_loop
async def test_a_declared_length_that_is_not_the_files_breaks_the_answer(make):
    app = sending(path_send(make(2 * PIECE)), headers=[(b"content-length", str(3 * PIECE).encode())])
    answer = await answer_to(app)
    assert answer.status == 200
    assert not answer.complete


@in_loop
async def test_a_client_that_disconnects_closes_the_file(make):
    path = make(64 * PIECE)
    started = asyncio.Event()
    raised = []

    async def app(scope, receive, send):
        await send(START)
        started.set()
        try:
            await send(path_send(path))
        except OSError as error:
            raised.append(error)

    def is_open():
        return any(
            os.path.realpath(f"/proc/self/fd/{fd}") == os.path.realpath(path) for fd in os.listdir("/proc/self/fd")
        )

    async with serving(adapt(app)) as served:
        client = await served.open()
        await started.wait()
        await client.read_head()
        assert is_open()
        await client.leave()
        await wait_for(lambda: raised, "the error")
    assert isinstance(raised[0], ConnectionAbortedError)
    assert not is_open()


# -- zerocopysend --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        ({}, slice(None)),
        ({"offset": 10}, slice(10, None)),
        ({"count": 7}, slice(0, 7)),
        ({"offset": 10, "count": 2 * PIECE}, slice(10, 10 + 2 * PIECE)),
        ({"offset": 0, "count": 0}, slice(0, 0)),
        ({"offset": 3 * PIECE}, slice(3 * PIECE, None)),
        ({"offset": 10 * PIECE}, slice(0, 0)),
        ({"count": 10 * PIECE}, slice(None)),
    ],
)
@in_loop
async def test_a_part_of_a_file(keys, part, make):
    size = 3 * PIECE + 5
    with make(size).open("rb") as file:
        answer = await answer_to(sending(zero_copy(file, **keys)))
        assert answer.body == content(size)[part]
        assert not file.closed
        os.fstat(file.fileno())


@in_loop
async def test_files_and_bodies_may_be_mixed(make):
    with make(100).open("rb") as file:
        answer = await answer_to(
            sending(
                {"type": "http.response.body", "body": b"<", "more_body": True},
                zero_copy(file, offset=10, count=5, more_body=True),
                {"type": "http.response.body", "body": b"|", "more_body": True},
                zero_copy(file, offset=50, count=5, more_body=True),
                {"type": "http.response.body", "body": b">"},
            )
        )
    whole = content(100)
    assert answer.body == b"<" + whole[10:15] + b"|" + whole[50:55] + b">"


@in_loop
async def test_without_an_offset_the_files_position_is_used_and_moved(make):
    with make(100).open("rb", buffering=0) as file:
        file.seek(20)
        answer = await answer_to(
            sending(zero_copy(file, count=10, more_body=True), zero_copy(file, count=10, more_body=False))
        )
        assert answer.body == content(100)[20:40]
        assert file.tell() == 40


@in_loop
async def test_with_an_offset_the_files_position_stays(make):
    with make(100).open("rb", buffering=0) as file:
        await answer_to(sending(zero_copy(file, offset=50)))
        assert file.tell() == 0


@in_loop
async def test_a_file_shorter_than_declared_breaks_the_answer(make):
    with make(100).open("rb") as file:
        app = sending(zero_copy(file, count=200), headers=[(b"content-length", b"200")])
        answer = await answer_to(app)
    assert answer.header("content-length") == "200"
    assert not answer.complete
    assert isinstance(app.raised[0], ValueError)
