"""Flask-Sock."""

from flask import Flask, request
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)


@app.post("/size")
def size():
    return str(len(request.get_data()))


@sock.route("/ws")
def echo(ws):
    while True:
        ws.send(ws.receive())
