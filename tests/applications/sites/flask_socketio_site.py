"""Flask-SocketIO in threads."""

from flask import Flask
from flask_socketio import SocketIO

app = Flask(__name__)
server = SocketIO(app, async_mode="threading", cors_allowed_origins="*")


@server.on("echo")
def echo(data):
    return data
