"""WebSockets of a WSGI application, by Flask-Sock."""

from __future__ import annotations

import time

from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)


@app.get("/")
def index():
    return "hello"


@sock.route("/echo")
def echo(ws):
    while True:
        ws.send(ws.receive())


@sock.route("/once")
def once(ws):
    ws.send(f"once {ws.receive()}")


class SlowToClose:
    """A socket whose Close frames take their time, as those of a thread that is not scheduled."""

    def __init__(self, inner):
        self._inner = inner

    def send(self, data):
        if data[0] == 0x88:
            time.sleep(0.05)
        return self._inner.send(data)

    def __getattr__(self, name):
        return getattr(self._inner, name)


@sock.route("/late")
def late(ws):
    ws.sock = SlowToClose(ws.sock)
    ws.receive()
