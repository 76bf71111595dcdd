"""The recorded exchanges in ``vectors/``: what is played, and whether what came is right.

They were recorded from the original server (cstranex/swill at 33d1cf7); ``right_frames`` say what is right.
"""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path
from typing import Any

import msgspec

from .raw import RawWebSocket

FOLDER = Path(__file__).parent / "vectors"
ALL: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
APART = ("ts_", "handshake_", "close_in_", "error_in_", "exception_in_", "introspect")


def is_exchange(vector: dict[str, Any]) -> bool:
    """Whether it is frames of one connection that can be played as they are."""
    sends = any(entry["dir"] == "c>s" for entry in vector["frames"])
    return sends and vector.get("right_frames") is not None and not vector["name"].startswith(APART)


EXCHANGES = [name for name, vector in ALL.items() if is_exchange(vector)]
HANDSHAKES = [name for name in ALL if name.startswith("handshake_")]
RAISING = [name for name in ALL if name.startswith(("close_in_", "error_in_", "exception_in_"))]
TYPESCRIPT = [name for name in ALL if name.startswith("ts_")]


async def play(vector: dict[str, Any], ws: RawWebSocket) -> list[tuple[int, bytes]]:
    """Say what the client said; returns all that the server sent, up to the end of the connection."""
    right = vector["right_frames"]
    together: list[bytes] = []  # what follows each other at once, as "the handler is still busy" wants it
    for entry in vector["frames"]:
        if entry["dir"] == "c>s":
            together.append(ws.frame(bytes.fromhex(entry["hex"]), entry["opcode"], entry.get("fin", True)))
            continue
        ws.send_together(together)
        together.clear()
        if entry["dir"] == "wait":
            await asyncio.sleep(entry["ms"] / 1000)
        elif entry["dir"] == "expect":
            await ws.expect(min(entry["server_frames"], len(right)))
    ws.send_together(together)
    await ws.expect(len(right))
    if not any("close" in frame for frame in right):
        # What the server wrongly sends comes before the answer to a call that follows everything.
        ws.send(bytes.fromhex("93cdffffc0aa") + b"swill.ping")
        await ws.expect(len(right) + 1)
        assert ws.frames[-1][1].hex() == "95cdffffc000c0c0", ws.frames[-1]
        return ws.frames[:-1]
    return ws.frames


def difference(right: list[dict[str, Any]], got: list[tuple[int, bytes]]) -> str | None:
    """What is wrong with what came, if anything is."""
    if len(right) != len(got):
        return f"{len(got)} frames in place of {len(right)}: {[payload.hex() for _, payload in got]}"
    for number, (expected, (opcode, payload)) in enumerate(zip(right, got, strict=True)):
        if "hex" in expected:
            fits = opcode == 2 and payload.hex() == expected["hex"]
        elif "close" in expected:
            fits = opcode == 8 and payload[:2] == struct.pack("!H", expected["close"])
        else:
            fits = is_error(expected["error"], payload)
        if not fits:
            return f"frame {number}: {opcode} {payload.hex()} in place of {expected}"
    return None


def is_error(expected: dict[str, Any], payload: bytes) -> bool:
    """Whether it is an ERROR with that seq, code and data; the words are free."""
    seq, data, kind, leading, trailing = msgspec.msgpack.decode(payload)
    if (seq, kind, leading, trailing) != (expected["seq"], 3, None, None) or data["code"] != expected["code"]:
        return False
    return isinstance(data["message"], str) and ("data" not in expected or data.get("data") == expected["data"])
