"""FastAPI: lifespan state, uploads, background tasks, streams, files, cookies, WebSockets."""

import asyncio
from contextlib import asynccontextmanager

from brotli_asgi import BrotliMiddleware
from fastapi import BackgroundTasks, FastAPI, Request, UploadFile, WebSocket
from fastapi.responses import FileResponse, StreamingResponse

done: list[str] = []


@asynccontextmanager
async def lifespan(app):
    yield {"database": "open"}


app = FastAPI(lifespan=lifespan)
app.add_middleware(BrotliMiddleware, minimum_size=100)


@app.get("/")
async def index(request: Request):
    return {"database": request.state.database, "path": request.url.path, "scheme": request.url.scheme}


@app.post("/upload")
async def upload(file: UploadFile):
    return {"name": file.filename, "size": len(await file.read())}


@app.post("/work")
async def work(tasks: BackgroundTasks):
    tasks.add_task(done.append, "mail")
    return {"accepted": True}


@app.get("/done")
def how_many():
    return len(done)


@app.get("/stream")
async def stream():
    async def pieces():
        for number in range(5):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(pieces(), media_type="text/event-stream")


@app.get("/file")
async def file():
    return FileResponse(__file__)


@app.get("/cookies")
def cookies():
    answer = StreamingResponse(iter([b"two"]))
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2")
    return answer


@app.websocket("/ws")
async def echo(ws: WebSocket):
    await ws.accept()
    async for message in ws.iter_text():
        await ws.send_text(message)
