"""WsgiDAV over a folder of its own."""

import os

from wsgidav.wsgidav_app import WsgiDAVApp

folder = os.path.join(os.environ["APP_FOLDER"], f"dav{os.getpid()}")
os.makedirs(folder)
app = WsgiDAVApp({
    "provider_mapping": {"/": folder}, "simple_dc": {"user_mapping": {"*": True}}, "verbose": 1,
    "logging": {"enable": False},
})  # fmt: skip
