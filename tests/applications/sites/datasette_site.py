"""Datasette over a small database."""

import os
import sqlite3

from datasette.app import Datasette

path = os.path.join(os.environ["APP_FOLDER"], f"data{os.getpid()}.db")
with sqlite3.connect(path) as database:
    database.execute("create table fix (number integer primary key, name text)")
    database.executemany("insert into fix values (?, ?)", [(n, f"name {n}") for n in range(3000)])
os.rename(path, os.path.join(os.path.dirname(path), "data.db"))
app = Datasette([os.path.join(os.path.dirname(path), "data.db")]).app()
