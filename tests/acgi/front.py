"""The client in nginx's place: an HTTP/1.1 server that passes everything on by ``ssgi_gateway.client``.

``python -m tests.acgi.front (scgi|fastcgi) ADDRESS`` prints the port it listens on. The behaviour suite then asks the
gateway through it, as it does through nginx: bodies stream both ways, upgrades become tunnels, a client that
disconnects ends its exchange, a broken answer is a 502 or a connection that is cut.
"""

from __future__ import annotations

import asyncio
import sys
from http import HTTPStatus

import h11

from ssgi_gateway.client import Client, Timeouts
from ssgi_gateway.errors import LocalProtocolError
from ssgi_gateway.server.address import Address
from ssgi_gateway.wire.client.request import Request, Url

HOP_BY_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
READ = 65536
READ_ON = 2.0
"""Seconds for the rest of a request whose answer is complete; after that its connection is closed."""


class Front:
    """One client connection after the other, each with its requests."""

    def __init__(self, protocol, address):
        self.scheme = "scgi" if protocol == "scgi" else "fcgi"
        self.watching = {}
        self.client = Client(**{protocol: str(address)}, timeouts=Timeouts(read=120, write=120))

    async def serve(self, reader, writer):
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        try:
            while await self.one(connection, reader, writer):
                connection.start_next_cycle()
        except (h11.RemoteProtocolError, LocalProtocolError):
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def one(self, connection, reader, writer):
        """One request; gives whether another may follow."""
        event = await next_event(connection, reader)
        if type(event) is not h11.Request:
            return False
        request = self.request(event, writer)
        exchange = self.client.exchange_of(request)
        exchange.begin()
        upload = asyncio.ensure_future(self.upload(connection, reader, exchange, event, writer))
        answer = asyncio.ensure_future(self.answer(connection, reader, writer, exchange, event))
        try:
            await asyncio.wait([upload, answer], return_when=asyncio.FIRST_COMPLETED)
            if exchange.tunnel:
                await asyncio.wait([answer])  # it reads itself
            elif upload.done() and upload.exception() is None:
                # The request is complete: what comes now is the next one, or the client that disconnects.
                left = self.watching[exchange] = asyncio.ensure_future(watch(connection, reader))
                try:
                    await asyncio.wait([left, answer], return_when=asyncio.FIRST_COMPLETED)
                    if exchange.tunnel:
                        await asyncio.wait([answer])  # it reads itself
                finally:
                    del self.watching[exchange]
                    left.cancel()
                    await asyncio.wait([left])
            elif upload.done():
                return False
            if not answer.done():
                return False
            # An answer over SCGI is complete with its length, and may be before its short request is.
            await asyncio.wait([upload], timeout=READ_ON)
            return bool(answer.result()) and upload.done() and upload.exception() is None
        finally:
            for task in (upload, answer):
                task.cancel()
            await asyncio.wait([upload, answer])
            exchange.abandon()

    def request(self, event, writer):
        headers = [(name, value) for name, value in event.headers if name not in HOP_BY_HOP]
        upgrade = [value for name, value in event.headers if name == b"upgrade"]
        if upgrade:
            headers += [(b"upgrade", upgrade[0]), (b"connection", b"upgrade")]
        host = next((value for name, value in headers if name == b"host"), b"").decode("latin-1")
        name, _, port = host.rpartition(":")
        peer, local = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
        cgi = {
            "REMOTE_ADDR": peer[0],
            "REMOTE_PORT": str(peer[1]),
            "SERVER_PORT": str(local[1]),
            "SERVER_NAME": name or host,
            "SERVER_PROTOCOL": f"HTTP/{event.http_version.decode()}",
        }
        del port
        target = event.target.decode("latin-1")
        length = any(name == b"content-length" for name, _ in headers)
        more = length or any(name == b"transfer-encoding" for name, _ in event.headers)
        url = Url(self.scheme, host, 0, "", target, host)
        return Request(event.method.decode(), url, headers, b"", more, {"cgi": cgi})

    async def upload(self, connection, reader, exchange, head, writer):
        if connection.they_are_waiting_for_100_continue:
            writer.write(connection.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")))
        while True:
            event = await next_event(connection, reader)
            if type(event) is h11.Data:
                await exchange.send(bytes(event.data), True)
            elif type(event) is h11.EndOfMessage or event is h11.PAUSED:
                if exchange.request.more:
                    await exchange.send(b"", False)
                return
            else:
                raise ConnectionResetError("the client disconnected")

    async def answer(self, connection, reader, writer, exchange, head):
        """Pass the answer on; gives whether the connection may be kept."""
        from ssgi_gateway.client.exchange import Connected, Failed
        from ssgi_gateway.wire.client.events import AnswerEnded, AnswerReceived, BodyArrived

        headed = False
        while True:
            event = await exchange.next()
            kind = type(event)
            if kind is Connected:
                continue
            if kind is AnswerReceived:
                headed = True
                if event.tunnel:
                    await self.tunnel(connection, reader, writer, exchange, event)
                    return False
                headers = [(name, value) for name, value in event.headers if name not in HOP_BY_HOP]
                head_sent = h11.Response(status_code=event.status, headers=headers, reason=reason(event.status))
                writer.write(connection.send(head_sent))
                if not event.more:
                    writer.write(connection.send(h11.EndOfMessage()))
                    await writer.drain()
                    return connection.our_state is h11.DONE
            elif kind is BodyArrived:
                writer.write(connection.send(h11.Data(data=event.data)))
                await writer.drain()
            elif kind is AnswerEnded:
                writer.write(connection.send(h11.EndOfMessage()))
                await writer.drain()
                return connection.our_state is h11.DONE
            elif kind is Failed:
                if not headed:
                    body = b"502"
                    writer.write(connection.send(h11.Response(status_code=502, headers=[("content-length", "3")])))
                    writer.write(connection.send(h11.Data(data=body)) + connection.send(h11.EndOfMessage()))
                    await writer.drain()
                    return False
                writer.transport.abort()  # it must not look complete
                return False

    async def tunnel(self, connection, reader, writer, exchange, event):
        if exchange in self.watching:
            self.watching[exchange].cancel()
            await asyncio.wait([self.watching[exchange]])
        writer.write(connection.send(h11.InformationalResponse(status_code=101, headers=event.headers)))
        rest = connection.trailing_data[0]
        if rest:
            await exchange.send_tunnel(bytes(rest), True)

        async def upstream():
            while data := await reader.read(READ):
                await exchange.send_tunnel(data, True)

        async def downstream():
            from ssgi_gateway.client.exchange import Failed

            while type(piece := await exchange.next()) is not Failed:
                writer.write(piece.data)
                await writer.drain()

        tasks = [asyncio.ensure_future(upstream()), asyncio.ensure_future(downstream())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def reason(status):
    """ACGI's messages have no reason phrase."""
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"Unknown"


async def watch(connection, reader):
    """Ends when the client disconnects; what it sends meanwhile is kept for the next request."""
    while data := await reader.read(READ):
        connection.receive_data(data)


async def next_event(connection, reader):
    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA:
            return event
        connection.receive_data(await reader.read(READ))


async def main(protocol, text):
    front = Front(protocol, Address.parse(text))
    server = await asyncio.start_server(front.serve, "127.0.0.1", 0)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
