"""pypiserver over a folder of its own, as its page says for gunicorn: a factory with an argument."""

import os

folder = os.path.join(os.environ["APP_FOLDER"], f"packages{os.getpid()}")
os.makedirs(folder)


def create():
    import pypiserver

    return pypiserver.app(roots=[folder], authenticate=[], password_file=".")


app = create()
