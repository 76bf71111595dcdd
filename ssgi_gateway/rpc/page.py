"""The page ``/_swill/``, in development: procedures to try, streams live, metadata, the bytes of each frame.

One file without network: ``page.html`` beside this module, with the path of connections filled in.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import Swill

__all__ = ["page"]


def page(app: Swill) -> str:
    """The page's text."""
    text = files(__package__).joinpath("page.html").read_text("utf-8")
    settings = json.dumps({"path": app.path, "name": app.name}).replace("<", "\\u003c")
    return text.replace("/*SETTINGS*/{}", settings)
