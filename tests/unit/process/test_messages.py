"""Messages between processes: words, descriptors, the end."""

from __future__ import annotations

import os

from ssgi_gateway.process.messages import MAX_WORD, pair


def test_words_and_descriptors_arrive():
    one, other = pair()
    reading, writing = os.pipe()
    assert one.send("fork", "3", "any\ntext, \N{SNOWMAN}", descriptors=[writing])
    words, [received] = other.receive()
    assert words == ["fork", "3", "any\ntext, \N{SNOWMAN}"]
    assert not os.get_inheritable(received)
    os.write(received, b"x")
    assert os.read(reading, 1) == b"x"
    for fd in (reading, writing, received):
        os.close(fd)
    one.close()
    other.close()


def test_nothing_is_waiting_and_then_the_end():
    one, other = pair()
    assert other.receive() is None
    one.close()
    assert other.receive() == ([], [])
    assert not other.send("ready")
    other.close()
    other.close()


def test_of_a_long_text_the_end_is_kept():
    one, other = pair()
    one.send("failed", "2", "x" * 1_000_000 + "the reason")
    words, _ = other.receive()
    assert len(words[2]) <= MAX_WORD
    assert words[2].endswith("the reason")
    one.close()
    other.close()


def test_who_does_not_read_is_not_waited_for():
    one, other = pair()
    sent = 0
    while one.send("worn", "x" * 1000):
        sent += 1
        assert sent < 100_000
    one.close()
    other.close()
