"""The system calls: what two loops in one process have to themselves."""

from __future__ import annotations

import socket
import threading
import time

from ssgi_gateway.server import system

ROUNDS = 3000
SIZE = 16384


def test_two_threads_that_read_do_not_meet_in_a_buffer():
    wrong = []

    def work(letter):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        sent = letter * SIZE
        for _ in range(ROUNDS):
            theirs.sendall(sent)
            got = b""
            while len(got) < SIZE:
                got += system.receive(ours.fileno()) or b""
                time.sleep(0)  # the others' turn
            if got != sent:
                wrong.append(letter)
                break
        ours.close()
        theirs.close()

    threads = [threading.Thread(target=work, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
