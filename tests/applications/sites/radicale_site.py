"""Radicale, a calendar without passwords."""

import os

from radicale import config
from radicale.app import Application

settings = config.load()
settings.update({
    "auth": {"type": "none"},
    "storage": {"filesystem_folder": os.path.join(os.environ["APP_FOLDER"], f"calendar{os.getpid()}")},
}, "test")  # fmt: skip
app = Application(settings)
