# mypy: allow-untyped-defs


async def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    body = await res.get_data()
    res.send_headers([("content-type", "text/plain; charset=utf-8")])
    await res.send(f"Hello. You sent {len(body.getvalue()) if body else 0} bytes to {path}\n")
