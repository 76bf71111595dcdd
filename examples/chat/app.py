"""A chat: rooms, presence, history that survives a reconnection, typing by a stream, files with progress.

It runs on any number of workers of one machine (``LocalPubSub``), and with ``REDIS_URL`` on as many machines as one
likes. Start it with ``make chat``. The page is in ``static/``, its source in ``web/``, its client generated from this
module.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from ssgi_gateway import rpc as swill

HERE = Path(__file__).parent
FILES = Path(os.environ.get("CHAT_FILES") or Path(tempfile.gettempdir()) / f"swill-chat-{os.getuid()}")
FILES.mkdir(mode=0o700, parents=True, exist_ok=True)

HEARTBEAT = 10.0
"""Seconds between two signs of life of who is in a room; after 2.5 such times without one he has left."""

PLAY = os.environ.get("CHAT_PLAY") == "1"
"""Whether visitors may kill the worker that serves them, to see that nothing happens."""

MAX_FILE = 32 * 1024 * 1024

redis = os.environ.get("REDIS_URL")
app = swill.Swill(
    __name__,
    pubsub=swill.RedisPubSub(redis) if redis else swill.LocalPubSub(os.environ.get("CHAT_SOCKET")),
    debug=os.environ.get("CHAT_DEBUG") == "1",
)
app.use(swill.AccessLog())
app.static("/files", FILES, headers={"Content-Security-Policy": "sandbox"})
app.static("/", HERE / "static")

chat = swill.Module("chat")

Name = Annotated[str, Meta(min_length=1, max_length=40)]
RoomName = Annotated[str, Meta(pattern="^[a-z0-9-]{1,32}$")]


class Person(Struct, frozen=True):
    """Somebody. The id is of one tab, the color one of the page's, 0 to 11."""

    id: str
    name: Name
    color: Annotated[int, Meta(ge=0, le=11)] = 0


class Room(Struct):
    """A room and what it is for."""

    name: RoomName
    about: str


class File(Struct):
    """A file that was sent."""

    name: str
    size: int
    url: str


class Message(Struct):
    """What somebody said, or the file he sent. Times are seconds since 1970."""

    who: Person
    time: float
    text: str = ""
    file: File | None = None


class Say(Struct):
    """What is to be said, and where."""

    room: RoomName
    text: Annotated[str, Meta(min_length=1, max_length=4000)]


class Typing(Struct):
    """Whether somebody is writing."""

    who: Person
    typing: bool


class Piece(Struct):
    """A piece of a file; the first one says what file it is."""

    data: bytes = b""
    room: RoomName | None = None
    name: Annotated[str, Meta(max_length=200)] = ""
    size: int = 0


class Progress(Struct):
    """How much of a file has arrived."""

    received: int
    size: int


class Worker(Struct):
    """Who serves a visitor, and whether he may kill it."""

    host: str
    pid: int
    mortal: bool


class Presence(Struct):
    """A sign of life: ``here``, ``gone``, or the question ``who`` else there is."""

    kind: str
    who: Person


ROOMS = [
    Room("lobby", "Where everybody comes in"),
    Room("coffee", "Nothing of importance"),
    Room("code", "What are you building?"),
    Room("music", "What is playing?"),
]


@app.topic("room.{room}", type=Message, history=200, ttl=86400)
def may_listen(connection: swill.Connection, room: str) -> bool:
    """What is said in a room; the last 200 messages of a day are kept."""
    return any(known.name == room for known in ROOMS)


@app.topic("typing.{room}", type=Typing)
def may_watch(connection: swill.Connection, room: str) -> bool:
    """Who is writing in a room."""
    return True


@app.topic("presence.{room}", type=Presence)
def may_not(connection: swill.Connection, room: str) -> bool:
    """Signs of life, between workers: clients get the list by ``chat.present``."""
    return False


def me(request: swill.Request) -> Person:
    """Whose request it is."""
    who = request.connection.state.get("who")
    if who is None:
        raise swill.Error(code=401, message="say who you are first: chat.enter")
    return who


@chat.handle(idempotent=True)
async def enter(request: swill.Request[Person]) -> list[Room]:
    """Say who you are; the answer is the list of rooms. Again after each reconnection."""
    request.connection.state["who"] = request.data
    return ROOMS


@chat.handle()
async def say(request: swill.Request[Say]) -> str:
    """Say something in a room."""
    said = request.data
    return await app.publish(f"room.{said.room}", Message(me(request), time.time(), said.text))


@chat.handle(inline=True, idempotent=True)
def where(request: swill.Request) -> Worker:
    """Which worker serves this connection."""
    return Worker(socket.gethostname(), os.getpid(), PLAY)


@chat.handle()
async def kill(request: swill.Request) -> None:
    """Kill that worker, with all connections it has; another one takes over."""
    if not PLAY:
        raise swill.Error(code=403, message="nobody is killed here")
    asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGKILL)


@chat.handle(idempotent=True)
async def present(request: swill.Request[RoomName]) -> AsyncIterator[list[Person]]:
    """Be in a room, and see who else is: the list, and again whenever it changes."""
    who, topic = me(request), f"presence.{request.data}"
    seen: dict[Person, float] = {}
    async with app.subscribe(topic) as signs:
        await app.publish(topic, Presence("who", who))
        beat = asyncio.create_task(keep_beating(topic, who))
        try:
            yield [who]
            shown = {who}
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT):
                        heard(await anext(signs), seen)
                now = time.monotonic()
                people = {who, *(person for person, at in seen.items() if now - at < 2.5 * HEARTBEAT)}
                if people != shown:
                    shown = people
                    yield sorted(people, key=lambda person: (person.name.lower(), person.id))
        finally:
            beat.cancel()
            with suppress(swill.PubSubUnavailable):
                await app.publish(topic, Presence("gone", who))


def heard(sign: Presence, seen: dict[Person, float]) -> None:
    """Note a sign of life."""
    if sign.kind == "gone":
        seen.pop(sign.who, None)
    else:
        seen[sign.who] = time.monotonic()


async def keep_beating(topic: str, who: Person) -> None:
    """Say that somebody is here: now and then, and whenever somebody new asks."""
    async with app.subscribe(topic) as signs:
        await app.publish(topic, Presence("here", who))
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT):
                    while (await anext(signs)).kind != "who":
                        pass
            except TimeoutError:
                pass
            with suppress(swill.PubSubUnavailable):
                await app.publish(topic, Presence("here", who))


@chat.handle()
async def typing(request: swill.StreamingRequest[bool]) -> None:
    """Tell a room, named in the metadata, while you are writing: ``true`` and ``false`` as it changes."""
    who, topic = me(request), f"typing.{request.metadata.get('room', '')}"
    is_typing = False
    try:
        async for is_typing in request.data:
            await app.publish(topic, Typing(who, is_typing))
    finally:
        if is_typing:
            await app.publish(topic, Typing(who, False))


@chat.handle()
async def upload(request: swill.StreamingRequest[Piece]) -> AsyncIterator[Progress]:
    """Send a file to a room, piece by piece, and see how much of it has arrived."""
    who = me(request)
    pieces = aiter(request.data)
    first = await anext(pieces)
    if first.room is None or not first.name or not 0 < first.size <= MAX_FILE:
        raise swill.Error(code=413, message=f"a file has a name, a room, and at most {MAX_FILE >> 20} MiB")
    name = re.sub(r"[^\w.-]+", "_", first.name, flags=re.ASCII).strip("._") or "file"
    place = FILES / secrets.token_urlsafe(12).replace("-", "x").replace("_", "y")
    place.mkdir()
    received = 0
    with open(place / name, "wb") as file:  # noqa: ASYNC230 - small writes into the page cache
        async for piece in pieces:
            received += len(piece.data)
            if received > first.size:
                raise swill.Error(code=400, message="this is more than was said")
            file.write(piece.data)
            yield Progress(received, first.size)
    if received != first.size:
        raise swill.Error(code=400, message="this is less than was said")
    found = File(first.name, received, f"files/{place.name}/{name}")
    await app.publish(f"room.{first.room}", Message(who, time.time(), file=found))


app.include(chat, prefix="chat.")
