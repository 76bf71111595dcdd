"""socketify's own interface. Usage: serve_socketify.py PORT|unix:PATH"""

import os
import sys

from socketify import App, AppListenOptions, CompressOptions

where = sys.argv[1]


def hello(res, req):
    res.write_header("content-type", "text/plain")
    res.end(b"Hello, world!")


app = App()
app.get("/*", hello)
app.ws("/*", {"compression": CompressOptions.DISABLED, "message": lambda ws, message, opcode: ws.send(message, opcode)})
os.umask(0)
app.listen(AppListenOptions(domain=where.removeprefix("unix:")) if where.startswith("unix:") else int(where))
app.run()
