"""Several gateways in one process, each with a loop and a thread of its own: what is remembered is mixed up nowhere.

Where threads share no interpreter lock this is also where a race would crash.
"""

from __future__ import annotations

import asyncio
import threading

from tests.unit.server.peer import bench, request, split_answer
from tests.unit.server.requests import fastcgi, fastcgi_answer

THREADS = 4
REQUESTS = 150

ids: list[str] = []


def show(kind, server, remote, method, path, query, get_header, res):
    """Answer with what a request says, and lines of a head that no other request has."""
    ids.append(res.extensions["request_id"])
    res.send_status(400 + int(query) % 50)
    res.send_headers([("X-Number", query), (f"X-{query}", path)])
    res.send(f"{server} {remote} {method} {path} {query} {get_header('host')}")


def variables(thread: int, number: int) -> dict[str, str]:
    return {
        "SERVER_NAME": f"site{thread}.example",
        "SERVER_ADDR": f"192.0.2.{thread}",
        "SERVER_PORT": str(8000 + number % 7),
        "REMOTE_ADDR": f"198.51.100.{thread}",
        "REMOTE_PORT": str(1024 + number),
        "QUERY_STRING": str(number),
        "HTTP_HOST": f"host{number % 5}.site{thread}.example:{8000 + number % 7}",
    }


async def talk(thread: int) -> None:
    with bench(show) as b:
        for number in range(REQUESTS):
            path = f"/{thread}/{number}"
            given = variables(thread, number)
            if number % 2:
                wire = request("GET", f"{path}?{number}", **given)
                _, peer = b.connect("scgi", wire)
                answer = await peer.read_all()
            else:
                head = {"REQUEST_METHOD": "GET", "REQUEST_URI": f"{path}?{number}", **given}
                encoded = {name.encode(): value.encode() for name, value in head.items()}
                _, peer = b.connect("fastcgi", fastcgi(variables=encoded))
                answer = await fastcgi_answer(peer)
            peer.close()
            status, headers, body = split_answer(answer)
            server, remote = f"{given['SERVER_NAME']}:{given['SERVER_PORT']}", f"198.51.100.{thread}:{1024 + number}"
            assert body.decode() == f"{server} {remote} GET {path} {number} {given['HTTP_HOST']}"
            assert status.split()[1] == str(400 + number % 50)
            assert (headers["x-number"], headers[f"x-{number}"]) == (str(number), path)


def test_gateways_in_threads_answer_their_own_requests():
    ids.clear()
    failures = []
    ready = threading.Barrier(THREADS)

    def run(thread: int) -> None:
        try:
            ready.wait()
            asyncio.run(talk(thread))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(1, THREADS + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    assert len(set(ids)) == len(ids) == THREADS * REQUESTS, "each request has an id of its own"
