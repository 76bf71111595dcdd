"""For this project itself."""

CHUNK = b"x" * 65536
HEADERS = [("content-type", "text/plain"), ("content-length", "13")]


def hello(type, server_address, remote_address, method, path, query_string, get_header, res):
    res.send_headers(HEADERS)
    res.send(b"Hello, world!")


async def upload(type, server_address, remote_address, method, path, query_string, get_header, res):
    total = 0
    while (chunk := await res.get_chunk()) is not None:
        total += chunk.getbuffer().nbytes
    await res.send(str(total))


async def download(type, server_address, remote_address, method, path, query_string, get_header, res):
    left = int(query_string.removeprefix("bytes="))
    res.send_headers([("content-length", str(left))])
    while left > len(CHUNK):
        await res.send(CHUNK, True)
        left -= len(CHUNK)
    await res.send(CHUNK[:left])


def echo(type, server_address, remote_address, method, path, query_string, get_header, res):
    res.on_receive(answer)
    res.accept()


def answer(ws, message):
    ws.send(message)


class Deaf:
    """Hooks (--hooks) that are about no request."""

    def start(self):
        pass

    def stop(self):
        pass
