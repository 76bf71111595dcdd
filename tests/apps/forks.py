"""Forks a child that outlives the answer."""

from __future__ import annotations

import os
import time


def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    pid = os.fork()
    if not pid:
        time.sleep(60)
        os._exit(0)
    res.send(f"forked {pid} ", True)
    res.send("and gone")
