"""The supervisor's listeners, through changes of the settings and of the program."""

from __future__ import annotations

import json
import os
import socket

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process.sockets import Listeners
from ssgi_gateway.settings import Settings


def settings(tmp_path, *names: str, **more) -> Settings:
    return Settings(scgi=tuple(f"unix:{tmp_path}/{name}" for name in names), **more)


def there(tmp_path) -> set[str]:
    return set(os.listdir(tmp_path))


def test_a_reload_opens_before_and_closes_after(tmp_path):
    held = Listeners.open(settings(tmp_path, "a", "b"))
    kept = next(iter(held)).socket
    held.prepare(settings(tmp_path, "a", "c"))
    assert there(tmp_path) == {"a", "b", "c"}
    assert next(iter(held)).socket is kept
    held.commit()
    assert there(tmp_path) == {"a", "c"}
    held.close()
    assert there(tmp_path) == set()


def test_a_reload_that_fails_leaves_what_was(tmp_path):
    held = Listeners.open(settings(tmp_path, "a"))
    held.prepare(settings(tmp_path, "c"))
    held.prepare(settings(tmp_path, "d"))  # before the first has worked
    held.roll_back()
    assert there(tmp_path) == {"a"}
    assert [str(it.address) for it in held] == [f"unix:{tmp_path}/a"]
    held.close()


def test_what_cannot_be_opened_changes_nothing(tmp_path):
    held = Listeners.open(settings(tmp_path, "a"))
    with pytest.raises(ConfigurationError, match="there is no directory"):
        held.prepare(settings(tmp_path, "b", "none/x"))
    assert there(tmp_path) == {"a"}
    assert len(list(held)) == 1
    held.close()


def test_a_successor_has_the_same_ones_and_removes_the_files(tmp_path):
    held = Listeners.open(settings(tmp_path, "a", websocket=("127.0.0.1:0",)))
    dumped = json.loads(json.dumps(held.dump()))
    for listener in held:
        dumped_fd = os.dup(listener.socket.fileno())
        for entry in dumped:
            if entry[3] == listener.socket.fileno():
                entry[3] = dumped_fd
        listener.cleanup = lambda: None
    addresses = [str(it.address) for it in held]
    held.close()
    taken = Listeners.load(dumped)
    assert [str(it.address) for it in taken] == addresses
    taken.close()
    assert there(tmp_path) == set()


def test_those_of_a_protocol_that_nobody_serves(tmp_path):
    held = Listeners.open(settings(tmp_path, "a", websocket=(f"unix:{tmp_path}/w",)))
    assert held.drop("websocket")
    assert not held.drop("websocket")
    assert there(tmp_path) == {"a"}
    held.close()


def test_a_file_that_somebody_has_removed_is_made_again(tmp_path):
    """By the next reload; until then nobody could have come that way. One that fails leaves it as it was."""
    held = Listeners.open(settings(tmp_path, "a", "b"))
    before = [it.socket for it in held]
    (tmp_path / "a").unlink()
    held.prepare(settings(tmp_path, "a", "b"))
    held.roll_back()
    assert [it.socket for it in held] == before
    assert there(tmp_path) == {"b"}
    held.prepare(settings(tmp_path, "a", "b"))
    held.commit()
    assert [it.socket is other for it, other in zip(held, before, strict=True)] == [False, True]
    for name in ("a", "b"):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{tmp_path}/{name}")
    held.close()
    assert there(tmp_path) == set()
