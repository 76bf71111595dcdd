"""A server that runs out of descriptors, in a process of its own: ``python -m tests.unit.server.exhausted BUILD LOOP``.

A client is waiting to be accepted while no descriptor is left; a second later there are some again. Writes what the
second cost of the processor, and what the client got, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import socket
import sys
import time

from ssgi_gateway import engine
from ssgi_gateway.settings import Settings

__all__: list[str] = []

VARIABLES = (
    "CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00REQUEST_URI\x00/\x00"
    "SERVER_PORT\x0080\x00REMOTE_ADDR\x00127.0.0.1\x00"
)
REQUEST = f"{len(VARIABLES)}:{VARIABLES},".encode()


def app(*args: object) -> None:
    args[-1].send("hello")  # type: ignore[attr-defined]


async def main(build: str) -> None:
    loop = asyncio.get_running_loop()
    settings = Settings()
    gateway = engine.module("server.gateway", build).Gateway(loop, app, None, settings)
    codec = engine.module("wire.scgi.codec", build).ScgiCodec
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        listener.setblocking(False)
        client.setblocking(False)
        acceptor = engine.module("server.acceptor", build).Acceptor(
            gateway, listener, lambda fd: codec(settings.limits)
        )
        acceptor.start()
        with socket.socket() as spare:  # what the loop itself needs is open by now
            await loop.sock_connect(spare, listener.getsockname())
        await asyncio.sleep(0.1)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        filler = []
        try:
            while True:
                filler.append(socket.socket())
        except OSError:
            pass
        await loop.sock_connect(client, listener.getsockname())
        await loop.sock_sendall(client, REQUEST)
        before = time.process_time()
        await asyncio.sleep(1)
        used = time.process_time() - before
        for sock in filler:
            sock.close()
        answer = await asyncio.wait_for(loop.sock_recv(client, 1000), 20)
    gateway.stop()
    print(json.dumps({"seconds": used, "answer": answer.decode()}))


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    if sys.argv[2] == "uvloop":
        import uvloop

        uvloop.run(main(sys.argv[1]))
    else:
        asyncio.run(main(sys.argv[1]))
