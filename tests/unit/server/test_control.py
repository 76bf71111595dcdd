"""Control: stopping, and what is told."""

from __future__ import annotations

import asyncio

from ssgi_gateway.server.control import Control


def test_stop_ends_the_wait_and_may_be_called_again():
    async def main():
        control = Control()
        waiting = asyncio.ensure_future(control.stopped())
        await asyncio.sleep(0)
        assert not control.stopping
        assert not waiting.done()
        control.stop()
        control.stop()
        assert control.stopping
        await waiting

    asyncio.run(main())


def test_stop_before_anybody_waits():
    async def main():
        control = Control()
        control.stop()
        await control.stopped()

    asyncio.run(main())
