"""A short use of each application. What one returns has to be the same on every route, or to be explained."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from typing import Any

from tests.harness.process import wait_until

from .serving import Client, seen

CHUNKS = 6
PIECE = b"y" * 65536


def chunked() -> Any:
    """A body of unknown length."""
    for _ in range(CHUNKS):
        yield PIECE


def echo(client: Client, path: str) -> list[Any]:
    """A WebSocket that says what it is told."""
    said = []
    with client.websocket(path) as ws:
        for message in ("hello", "grüße", "x" * 50_000):
            ws.send(message)
            said.append(ws.recv(60))
    return said


def fastapi(client: Client) -> list[Any]:
    http = client.http
    before = http.get("/done").json()
    said = [
        seen(http.get("/")),
        seen(http.post("/upload", files={"file": ("ä b.bin", b"y" * 3_000_000)})),
        seen(http.post("/work")),
        wait_until(lambda: http.get("/done").json() - before, "the work behind the answer", 60) or "done",
        seen(http.get("/stream")),
        seen(http.get("/file", headers={"accept-encoding": "br"})),
        seen(http.get("/file", headers={"accept-encoding": "identity", "range": "bytes=5-20"})),
        seen(http.head("/file", headers={"accept-encoding": "identity"})),
        seen(http.get("/cookies")),
        seen(http.get("/openapi.json")),
        seen(http.get("/nowhere")),
        seen(http.post("/upload", content=chunked(), headers={"content-type": "text/plain"})),
    ]
    return [*said, *echo(client, "/ws")]


def datasette(client: Client) -> list[Any]:
    http = client.http
    said = [seen(http.get("/data.json"), body=False), seen(http.get("/data/fix.csv?_stream=1&_size=max"))]
    rows = http.get("/data/fix.json?_size=5").json()["rows"]
    return [*said, rows, seen(http.get("/data/fix"), body=False), http.get("/data/none").status_code]


def mcp(client: Client) -> list[Any]:
    """Twenty clients at once."""
    from mcp import ClientSession

    try:
        from mcp.client.streamable_http import streamable_http_client as streams
    except ImportError:
        from mcp.client.streamable_http import streamablehttp_client as streams

    async def one(number: int) -> str:
        async with streams(f"{client.url}/mcp") as ends, ClientSession(ends[0], ends[1]) as session:
            await session.initialize()
            return (await session.call_tool("add", {"a": number, "b": 1})).content[0].text

    async def all_() -> list[str]:
        return await asyncio.wait_for(asyncio.gather(*(one(number) for number in range(20))), 120)

    return asyncio.run(all_())


def socketio(client: Client) -> list[Any]:
    import requests
    import socketio

    said = []
    for transports in (["polling"], ["websocket"], ["polling", "websocket"]):
        with requests.Session() as session:
            peer = socketio.Client(http_session=session)
            peer.connect(client.url, transports=transports, wait_timeout=30)
            said.append((peer.call("echo", {"a": "ä" * 500}, timeout=30), peer.transport()))
            socket = peer.eio.ws
            peer.disconnect()
            if socket is not None:
                socket.shutdown()  # it leaves its socket to the collector
    return said


def strawberry(client: Client) -> list[Any]:
    said: list[Any] = [client.http.post("/", json={"query": "{hello}"}).json()]
    with client.websocket("/", subprotocols=["graphql-transport-ws"]) as ws:
        ws.send(json.dumps({"type": "connection_init"}))
        said.append(json.loads(ws.recv(60)))
        query = {"query": "subscription { count(target: 3) }"}
        ws.send(json.dumps({"type": "subscribe", "id": "1", "payload": query}))
        said += [json.loads(ws.recv(60)) for _ in range(4)]
    return said


def django(client: Client) -> list[Any]:
    http = client.http
    page = http.get("/admin/login/")
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page.text)
    form = {"csrfmiddlewaretoken": token[1], "username": "admin", "password": "pw", "next": "/admin/"}  # type: ignore[index]
    http.cookies.set("csrftoken", page.cookies["csrftoken"], domain="127.0.0.1")
    login = http.post("/admin/login/", data=form, headers={"origin": client.url, "referer": client.url})
    http.cookies.set("sessionid", login.cookies["sessionid"], domain="127.0.0.1")
    home = http.get("/admin/")
    return [
        page.status_code,
        (login.status_code, login.headers["location"]),
        (home.status_code, "Site administration" in home.text),
        seen(http.post("/body", content=b"x" * 300_000)),
        seen(http.post("/body", content=chunked(), headers={"content-type": "application/octet-stream"})),
        seen(http.post("/body", files={"f": ("a", b"x" * 500_000)})),
        seen(http.get("/nowhere"), body=False),
    ]


def token_of(page: Any, name: str) -> str:
    """A form's token."""
    found = re.search(rf'name="{name}" value="(\w+)"', page.text)
    assert found, page.text[:2000]
    return found[1]


def wagtail(client: Client) -> list[Any]:
    """A page, the administration, and a document that goes up and comes down again."""
    http = client.http
    same = {"origin": client.url, "referer": client.url}
    said = [seen(http.get("/")), http.get("/admin/").headers["location"], http.get("/nothing/").status_code]
    page = http.get("/admin/login/")
    form = {"csrfmiddlewaretoken": token_of(page, "csrfmiddlewaretoken"), "username": "admin", "password": "pw"}
    login = http.post("/admin/login/", data={**form, "next": "/admin/"}, headers=same)
    home = http.get("/admin/")
    said += [(login.status_code, login.headers["location"]), (home.status_code, "admin" in home.text)]
    page = http.get("/admin/documents/add/")
    form = {"csrfmiddlewaretoken": token_of(page, "csrfmiddlewaretoken"), "title": "one", "tags": "", "collection": "1"}
    added = http.post("/admin/documents/add/", data=form, files={"file": ("one.txt", PIECE * 8)}, headers=same)
    listed = http.get("/admin/documents/")
    where = re.search(r'href="(/documents/\d+/[^"]+)"', listed.text)
    assert where, listed.text[:2000]
    document = http.get(where[1])
    return [
        *said,
        (added.status_code, added.headers.get("location")),
        document.status_code,
        document.content == PIECE * 8,
    ]


def trac(client: Client) -> list[Any]:
    """A ticket, an attachment of it, a search, and a page that has not changed."""
    http = client.http
    said: list[Any] = [(http.get("/ticket/1").status_code, "the first one" in http.get("/ticket/1").text)]
    page = http.get("/newticket")
    form = {"__FORM_TOKEN": token_of(page, "__FORM_TOKEN"), "field_summary": "another", "field_type": "defect"}
    made = http.post("/newticket", data={**form, "submit": "Create ticket"})
    where = re.sub(r"^https?://[^/]+", "", made.headers["location"])
    said += [made.status_code, "another" in http.get(where).text]
    form = {"__FORM_TOKEN": form["__FORM_TOKEN"], "action": "new", "realm": "ticket", "id": "1"}
    name = f"a{re.sub(r'.*:', '', client.url)}.bin"
    added = http.post("/attachment/ticket/1/", data=form, files={"attachment": (name, PIECE * 4)})
    raw = http.get(f"/raw-attachment/ticket/1/{name}")
    said += [added.status_code, raw.status_code, raw.content == PIECE * 4]
    unchanged = http.get(
        f"/raw-attachment/ticket/1/{name}", headers={"if-modified-since": raw.headers["last-modified"]}
    )
    said += [unchanged.status_code, http.post("/newticket", data={"submit": "x"}).status_code]
    return [*said, "the first one" in http.get("/search?q=first").text, http.get("/nowhere").status_code]


def channels(client: Client) -> list[Any]:
    return [*django(client), *echo(client, "/ws")]


def wsgidav(client: Client) -> list[Any]:
    http = client.http
    data = b"z" * 400_000
    return [
        http.put("/a.bin", content=data).status_code,
        http.put("/b.bin", content=chunked()).status_code,
        len(http.get("/b.bin").content),
        seen(http.get("/a.bin", headers={"range": "bytes=10-19"}), body=True)[0],
        http.request("MKCOL", "/folder").status_code,
        http.request("MOVE", "/a.bin", headers={"destination": f"{client.url}/folder/a.bin"}).status_code,
        http.request("PROPFIND", "/folder", headers={"depth": "1"}).text.count("<D:response>"),
        http.get("/folder/a.bin").content == data,
        http.delete("/folder").status_code,
        http.delete("/b.bin").status_code,
        http.get("/folder/a.bin").status_code,
    ]


EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//x//x//
BEGIN:VEVENT
UID:{0}
DTSTAMP:20260101T000000Z
DTSTART:20260102T000000Z
SUMMARY:event {0}
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")

CALENDAR = b"""<?xml version="1.0"?><mkcol xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><set><prop>
<resourcetype><collection/><C:calendar/></resourcetype><displayname>c</displayname></prop></set></mkcol>"""


def radicale(client: Client) -> list[Any]:
    http = client.http
    where = f"/user/c{re.sub(r'.*:', '', client.url)}/"
    said = [http.request("MKCOL", where, content=CALENDAR).status_code]
    said += [
        http.put(f"{where}{n}.ics", content=EVENT.format(n), headers={"content-type": "text/calendar"}).status_code
        for n in range(5)
    ]
    said.append(http.request("PROPFIND", where, headers={"depth": "1"}).text.count("getetag"))
    said.append(http.get(f"{where}3.ics").text.count("event 3"))
    return [*said, http.delete(where).status_code, http.get(where).status_code]


def pypiserver(client: Client) -> list[Any]:
    http = client.http
    name = f"thing{re.sub(r'.*:', '', client.url)}"
    upload = http.post(
        "/",
        data={":action": "file_upload", "name": name, "version": "1.0"},
        files={"content": (f"{name}-1.0.tar.gz", gzip.compress(b"x" * 200_000))},
    )
    index = http.get(f"/simple/{name}/")
    return [
        upload.status_code,
        (index.status_code, index.text.count(f"{name}-1.0.tar.gz") > 0),
        http.get(f"/packages/{name}-1.0.tar.gz").status_code,
        http.get("/packages/none-1.0.tar.gz").status_code,
    ]


def hgweb(client: Client) -> list[Any]:
    http = client.http
    return [
        (http.get("/").status_code, "one" in http.get("/log").text),
        len(http.get("/raw-file/tip/file").content),
        http.get("/?cmd=capabilities").status_code,
        http.get("/archive/tip.zip").status_code,
        http.get("/nothing/here").status_code,
    ]


def flask_sock(client: Client) -> list[Any]:
    http = client.http
    sizes = [seen(http.post("/size", content=b"x" * 300_000)), seen(http.post("/size", content=chunked()))]
    return [*sizes, *echo(client, "/ws")]


def emmett(client: Client) -> list[Any]:
    http = client.http
    said = [http.get("/").text, http.post("/size", content=b"x" * 300_000).text, http.get("/none").status_code]
    return [*said, *echo(client, "/ws")]


# -- in a browser ----------------------------------------------------------------------------------------------------


def gradio(client: Client, page: Any) -> list[Any]:
    page.get_by_label("Name").fill("Ann", timeout=60_000)
    page.get_by_role("button", name="Greet").click()
    page.wait_for_function("[...document.querySelectorAll('textarea')].some(t => t.value == 'Hello Ann!')")
    return ["Hello Ann!"]


def nicegui(client: Client, page: Any) -> list[Any]:
    page.get_by_text("count 0").wait_for()
    for _ in range(3):
        page.get_by_role("button", name="Plus").click()
    page.get_by_text("count 3").wait_for()
    return ["count 3"]


def streamlit(client: Client, page: Any) -> list[Any]:
    page.get_by_text("count 0").wait_for()
    page.get_by_role("button", name="Plus").click()
    page.get_by_text("count 1").wait_for()
    return ["count 1"]


def dash(client: Client, page: Any) -> list[Any]:
    page.get_by_text("you said a").wait_for()
    page.locator("#i").fill("bcd")
    page.get_by_text("you said bcd").wait_for()
    return ["bcd"]
