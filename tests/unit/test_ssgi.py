"""The interface module: importable alone, named as the draft names things, usable by mypy and by isinstance."""

from __future__ import annotations

import ast
import collections.abc
import enum
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from ssgi_gateway import ssgi
from ssgi_gateway.ssgi import (
    Headers,
    SSGIFramework,
    SSGIHttpResponse,
    SSGIWebSocket,
    WebSocketStatus,
)

SOURCE = Path(ssgi.__file__)


def test_imports_nothing_of_the_project_and_nothing_third_party():
    imported = set()
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import ties the interface to this project"
            imported.add((node.module or "").partition(".")[0])
    assert imported <= sys.stdlib_module_names


def test_the_file_alone_is_enough(tmp_path):
    (tmp_path / "copied.py").write_text(SOURCE.read_text())
    code = "import copied, sys; print(copied.SSGI_VERSION, 'ssgi_gateway' in sys.modules, 'asyncio' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1.0", "False", "False"]


def test_everything_public_is_exported_and_documented():
    for name in ssgi.__all__:
        value = getattr(ssgi, name)
        if inspect.isclass(value) and value.__module__ == ssgi.__name__:
            assert value.__doc__, name
            for member, attribute in vars(value).items():
                if not member.startswith("_") and (inspect.isfunction(attribute) or isinstance(attribute, property)):
                    assert inspect.getdoc(attribute), f"{name}.{member}"


@pytest.mark.parametrize(
    ("name", "value"), [("PENDING", 0), ("REJECTED", 1), ("CLOSED", 2), ("ACCEPTED", 3)]
)  # fmt: skip
def test_websocket_statuses_are_the_drafts_numbers(name, value):
    assert WebSocketStatus[name] == value
    assert isinstance(WebSocketStatus[name], enum.IntEnum)


def test_there_are_four_statuses():
    assert len(WebSocketStatus) == 4


@pytest.mark.parametrize(
    ("protocol", "members"),
    [
        (
            SSGIHttpResponse,
            "aborted extensions send_status send_headers send send_chunk get_data get_chunk on_aborted run_async",
        ),
        (SSGIWebSocket, "status extensions accept reject send close on_receive on_close run_async"),
        (SSGIFramework, "get_supported"),
    ],
)
def test_members_are_those_of_the_specification(protocol, members):
    declared = {name for name in vars(protocol) if not name.startswith("_")}
    assert declared == set(members.split())


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (SSGIHttpResponse.send_status, {"status_code": 200}),
        (SSGIHttpResponse.send, {"payload": None, "has_more": False}),
        (SSGIHttpResponse.send_chunk, {"chunk": inspect.Parameter.empty, "total_size": False}),
        (SSGIWebSocket.accept, {"protocol": None}),
        (SSGIWebSocket.reject, {"status_code": 403, "payload": None, "headers": None}),
        (SSGIWebSocket.close, {"code": 1000, "reason": None}),
    ],
)
def test_parameters_and_defaults_are_those_of_the_specification(function, parameters):
    found = dict(inspect.signature(function).parameters)
    del found["self"]
    assert {name: parameter.default for name, parameter in found.items()} == parameters


def test_the_call_has_eight_positional_arguments_in_the_drafts_order():
    parameters = list(inspect.signature(ssgi.SSGIApplication.__call__).parameters.values())[1:]
    assert [p.name for p in parameters] == [
        "type", "server_address", "remote_address", "method", "path", "query_string", "get_header", "res",
    ]  # fmt: skip
    assert {p.kind for p in parameters} == {inspect.Parameter.POSITIONAL_ONLY}


def test_a_framework_is_recognised_without_inheriting():
    class Framework:
        def get_supported(self, supported_interfaces):
            return {"http": None}

    assert isinstance(Framework(), SSGIFramework)
    assert not isinstance(object(), SSGIFramework)


def test_a_framework_that_inherits_must_implement_it():
    class Forgot(SSGIFramework):
        pass

    with pytest.raises(TypeError, match="get_supported"):
        Forgot()


def test_headers_is_met_by_a_mapping_with_get_all():
    class Real(collections.abc.Mapping):
        def __getitem__(self, name):
            return {"host": "a"}[name]

        def __iter__(self):
            return iter(["host"])

        def __len__(self):
            return 1

        def get_all(self, name):
            return [self[name]]

    assert isinstance(Real(), Headers)
    assert not isinstance({}, Headers)


USES = """
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from io import BytesIO
from typing import Any

from ssgi_gateway.ssgi import (
    CallType, GetHeader, Served, SSGIApplication, SSGIFramework, SSGIHttpResponse, SSGIWebSocket, WebSocketStatus,
)


def draft(type: str, server_address: str, remote_address: str, method: str, path: str, query_string: str,
          get_header: GetHeader, res: SSGIHttpResponse | SSGIWebSocket) -> None: ...


async def http(type: CallType, server: str, remote: str, method: str, path: str, query: str, get_header: GetHeader,
               res: SSGIHttpResponse) -> None:
    host: str | None = get_header("host")
    names: list[str] = list(get_header().keys()) + get_header(None).get_all("cookie")
    res.send_status("404 Not Found")
    res.send_headers({"x": host or ""})
    res.send_headers([("a", "b")])
    more: bool = await res.send("x", has_more=True)
    sent, ended = await res.send_chunk(b"x", 10)
    body: BytesIO | None = await res.get_data()

    async def number(n: int) -> int:
        return n

    task: asyncio.Task[int] = res.run_async(number, 3)


async def websocket(type: CallType, server: str, remote: str, method: str, path: str, query: str,
                    get_header: GetHeader, res: SSGIWebSocket) -> None:
    if res.status is WebSocketStatus.PENDING and await res.accept():
        res.on_receive(lambda ws, message: ws.send(message))
        await res.close(1000, "enough")


class Typed:
    def get_supported(self, supported_interfaces: dict[str, str]) -> dict[str, tuple[str, SSGIApplication]]:
        return {"http": ("ssgi", http), "websockets": ("ssgi", websocket)}


class Wide:
    def get_supported(self, supported_interfaces: Mapping[str, str]) -> Mapping[str, Served]:
        return {"http": None}


class Draft:
    def get_supported(self, supported_interfaces: dict) -> dict:  # type: ignore[type-arg]
        return {}


applications: list[SSGIApplication] = [draft, http, websocket]
frameworks: list[SSGIFramework] = [Typed(), Wide(), Draft()]
"""


def test_applications_and_frameworks_type_check(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "uses.py").write_text(USES)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir", str(tmp_path), "uses.py"]
    environment = {"MYPYPATH": str(SOURCE.parent.parent), "PATH": ""}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_core_objects_meet_the_protocols():
    from ssgi_gateway.core.response import HttpResponse
    from ssgi_gateway.core.websocket import WebSocket

    for implementation, protocol in ((HttpResponse, SSGIHttpResponse), (WebSocket, SSGIWebSocket)):
        for name in vars(protocol):
            if name.startswith("_"):
                continue
            assert hasattr(implementation, name), f"{implementation.__name__} lacks {name}"
            wanted = getattr(protocol, name)
            if inspect.isfunction(wanted):
                names = [p for p in inspect.signature(wanted).parameters if p != "args"]
                offered = list(inspect.signature(getattr(implementation, name)).parameters)
                assert offered[: len(names)] == names, f"{implementation.__name__}.{name}"
