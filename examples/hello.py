# mypy: allow-untyped-defs


def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    res.send_headers([("content-type", "text/plain; charset=utf-8")])
    res.send(f"Hello, {remote_address}. You asked for {path}\n")
