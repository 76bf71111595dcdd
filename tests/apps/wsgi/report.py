"""A WSGI application that reports its request: for programs that a web server starts itself."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """What arrived, and what this process is."""
    print("printed by the application")
    data = environ["wsgi.input"].read()
    facts = {
        "path": environ["SCRIPT_NAME"] + environ["PATH_INFO"],
        "root": environ["SCRIPT_NAME"],
        "query": environ["QUERY_STRING"],
        "method": environ["REQUEST_METHOD"],
        "authorization": environ.get("HTTP_AUTHORIZATION"),
        "host": environ.get("HTTP_HOST"),
        "length": len(data),
        "announced": environ.get("CONTENT_LENGTH"),
        "sha256": hashlib.sha256(data).hexdigest(),
        "run_once": environ["wsgi.run_once"],
        "multithread": environ["wsgi.multithread"],
        "home": os.environ.get("HOME"),
        "threads": len(os.listdir("/proc/self/task")),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(facts).encode()]
