"""Mercurial's hgweb over a repository with one change."""

import os
import subprocess
import sys

from mercurial import hgweb

folder = os.path.join(os.environ["APP_FOLDER"], f"repository{os.getpid()}")
os.makedirs(folder)
with open(os.path.join(folder, "file"), "wb") as file:
    file.write(b"x" * 100_000)
command = os.path.join(os.path.dirname(sys.executable), "hg")
for words in (["init"], ["add", "file"], ["commit", "-u", "me", "-d", "0 0", "-m", "one"]):
    subprocess.run([command, *words], cwd=folder, check=True)
app = hgweb.hgweb(folder.encode())
