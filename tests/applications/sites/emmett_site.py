"""Emmett, over RSGI and ASGI."""

from emmett import App, request, response, websocket

app = App(__name__)


@app.route("/")
async def index():
    response.content_type = "text/plain"
    return "hello"


@app.route("/size", methods=["post"])
async def size():
    return str(len(await request.body))


@app.websocket("/ws")
async def echo():
    await websocket.accept()
    while True:
        await websocket.send(await websocket.receive())
