"""The Python that docs/client.md shows, run as it stands, with a real server in example.org's place."""

from __future__ import annotations

import asyncio
import inspect
import json
import re

import pytest

from ssgi_gateway import client
from tests.acgi.servers import gateway
from tests.harness.gateway import ROOT

PAGE = (ROOT / "docs" / "client.md").read_text()
BLOCKS = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)


async def app(scope, receive, send):
    """Whatever is asked; `/chat` echoes and closes after the first message of a client that has said something."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"]})
        await send({"type": "websocket.close", "code": 1000})
        return
    query = dict(pair.split("=") for pair in scope["query_string"].decode().split("&") if pair)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(query).encode()})


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with gateway("tests.acgi.test_shown:app", tmp_path_factory.mktemp("shown"), "http") as address:
        yield f"{address}:"


def names_of(block, address):
    """What a block defines. Its urls lead to the server; a name is one whichever scheme it has."""
    code = re.sub(r"https://example\.org", f"http://{address}", block)
    code = re.sub(r"wss://example\.org", f"ws://{address}", code)
    names = {}
    exec(compile(code, "docs/client.md", "exec", dont_inherit=True), names)
    return names


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.strip().splitlines()[-1].strip()[:40])
def test_what_the_page_shows_runs(block, served, capsys):
    names = names_of(block, served)

    async def run():
        async with client.Client() as c:
            for name, shown in list(names.items()):
                if name in ("main", "chat") and inspect.iscoroutinefunction(shown):
                    await (shown(c) if inspect.signature(shown).parameters else shown())
            if "authorized" in names:
                assert (await names["c"].request("GET", f"http://{served}/")).status == 200
                await names["c"].aclose()

    asyncio.run(asyncio.wait_for(run(), 30))
    for name, shown in names.items():
        if name.startswith("test_"):
            shown(app)
    said = capsys.readouterr().out
    if "print(r.status" in block:
        assert "200 1.1 application/json" in said
    if "close_code" in block:
        assert said == "1000 \n"
