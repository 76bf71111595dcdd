"""Applications that tests write and change: a module in a folder of the test's own."""

from __future__ import annotations

from pathlib import Path

COUNTED = "from tests.apps.counted import app\n"
SLOW = "import time\ntime.sleep({seconds})\n" + COUNTED
BROKEN = "import nothing_like_this\n"
ENDLESS = "import time\ntime.sleep(3600)\n"
WAITING = """
import asyncio

async def connect_to_the_database():
    await asyncio.sleep(3600)

class App:
    async def startup(self, state):
        await connect_to_the_database()

    def __call__(self, type, server_address, remote_address, method, path, query_string, get_header, res):
        res.send("never")

app = App()
"""
FAILING = """
class App:
    async def startup(self, state):
        raise RuntimeError("the database is away")

    def __call__(self, type, server_address, remote_address, method, path, query_string, get_header, res):
        res.send("never")

app = App()
"""


class Site:
    """``site_app:app`` in a folder."""

    app = "site_app:app"

    def __init__(self, folder: Path, text: str = COUNTED) -> None:
        self._file = folder / "site_app.py"
        self.options = ("--pythonpath", str(folder))
        self.become(text)

    def become(self, text: str) -> None:
        """From the next load on."""
        self._file.write_text(text)
