"""RSGI 1, as granian defines it."""

CHUNK = b"x" * 65536
HEADERS = [("content-type", "text/plain"), ("content-length", "13")]
TEXT = 2  # rsgi.WebsocketMessageType: close 0, bytes 1, string 2


async def hello(scope, protocol):
    protocol.response_bytes(200, HEADERS, b"Hello, world!")


async def upload(scope, protocol):
    total = 0
    async for chunk in protocol:
        total += len(chunk)
    protocol.response_str(200, [], str(total))


async def download(scope, protocol):
    left = int(scope.query_string.removeprefix("bytes="))
    transport = protocol.response_stream(200, [("content-length", str(left))])
    while left > len(CHUNK):
        await transport.send_bytes(CHUNK)
        left -= len(CHUNK)
    await transport.send_bytes(CHUNK[:left])


async def echo(scope, protocol):
    transport = await protocol.accept()
    while (message := await transport.receive()).kind:
        if message.kind == TEXT:
            await transport.send_str(message.data)
        else:
            await transport.send_bytes(message.data)
