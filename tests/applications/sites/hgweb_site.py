"""Mercurial's hgweb over a repository with one change."""

import os

from mercurial import commands, hg, hgweb
from mercurial import ui as uis

folder = os.path.join(os.environ["APP_FOLDER"], f"repository{os.getpid()}").encode()
ui = uis.ui.load()
ui.setconfig(b"ui", b"username", b"me")
repository = hg.repository(ui, folder, create=True)
with open(os.path.join(folder, b"file"), "wb") as file:
    file.write(b"x" * 100_000)
commands.add(ui, repository, os.path.join(folder, b"file"))
commands.commit(ui, repository, message=b"one", date=b"0 0")
app = hgweb.hgweb(folder)
