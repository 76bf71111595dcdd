"""A WSGI application."""


def app(environ, start_response):
    """Say hello."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"Hello from {environ['PATH_INFO']}, {environ['REMOTE_ADDR']}.\n".encode()]
