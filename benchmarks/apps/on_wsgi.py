"""WSGI 1.0.1 (PEP 3333)."""

CHUNK = b"x" * 65536
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "13")]


def hello(environ, start_response):
    start_response("200 OK", HEADERS)
    return [b"Hello, world!"]


def upload(environ, start_response):
    total = 0
    body = environ["wsgi.input"]
    while chunk := body.read(len(CHUNK)):
        total += len(chunk)
    text = str(total).encode()
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]


def download(environ, start_response):
    left = int(environ["QUERY_STRING"].removeprefix("bytes="))
    start_response("200 OK", [("Content-Length", str(left))])
    return pieces(left)


def pieces(left):
    while left > len(CHUNK):
        yield CHUNK
        left -= len(CHUNK)
    yield CHUNK[:left]
