#!/usr/bin/env python3
"""The suite `slow` can fail: each measure is judged, and its instruments see slow clients that cost the good ones dear.

python3 -m unittest tests/hostile/test_slow.py
"""

import selectors
import socket
import threading
import time
import unittest
from collections import Counter
from dataclasses import replace

from slow.attack import Attack
from slow.beside import GoodClients, Seen
from slow.clients import Clients
from slow.kinds import KINDS
from slow_suite import ENOUGH, Measured, facts
from verdict import Target

SLOW = 100
FAST, DEAR = 0.001, 0.031
TIMED, UNTIMED = (Target("keyward", slow=SLOW, timed=timed) for timed in (True, False))
SILENT = [KINDS[0]]
CALM = Measured(
    quiet=Seen(ENOUGH, [], 0.01),
    beside=Seen(ENOUGH, [], 0.03),
    attack=Attack(0, 9, open_most=SLOW, freed=6.1, held=0, lives=[6.1], late=Counter(), memory=16 << 10),
    alive=True,
    log="",
)
COST = 0.0005  # seconds of each turn, for each connection that has sent nothing


class Judge(unittest.TestCase):
    def test_each_measure_is_judged(self):
        for name, changed in {
            "": CALM,
            "the good succeed": replace(CALM, beside=Seen(ENOUGH, ["500 "], 0.03)),
            "all were there": self.attacked(open_most=SLOW // 2),
            "the slow are told in time": self.attacked(late=Counter({"no first byte": 1})),
            "the slow are ended": self.attacked(freed=None),
            "the slow cost little": self.attacked(memory=(16 << 10) + 1),
            "it lives": replace(CALM, alive=False),
            "the good do not wait": replace(CALM, beside=Seen(ENOUGH, [], DEAR)),
        }.items():
            with self.subTest(name):
                self.assertEqual(self.failures(changed), [name] if name else [])

    def test_what_takes_ten_times_as_long_does_so_however_short_both_are(self):
        short = replace(CALM, quiet=Seen(ENOUGH, [], FAST / 2), beside=Seen(ENOUGH, [], 5 * FAST))
        self.assertEqual(self.failures(short), ["the good do not wait"])

    def test_a_p99_of_few_requests_is_none(self):
        for few in ({"quiet": Seen(ENOUGH - 1, [], 0.01)}, {"beside": Seen(ENOUGH - 1, [], 0.01)}):
            self.assertEqual(self.failures(replace(CALM, **few)), ["the good do not wait"])

    def test_times_are_not_judged_where_nobody_wants_it(self):
        self.assertEqual(self.failures(replace(CALM, beside=Seen(100, [], 9)), UNTIMED), [])

    def attacked(self, **changed):
        return replace(CALM, attack=replace(CALM.attack, **changed))

    def failures(self, measured, target=TIMED):
        return [name for name, _, holds, _ in facts(target, SILENT, measured) if not holds]


class Instruments(unittest.TestCase):
    def test_the_good_are_seen_to_wait_where_the_slow_are_and_not_beside_it(self):
        with Burdened() as proxy, Burdened() as other, GoodClients(proxy, 200) as good:
            spans = [self.attacked(at) for at in (other, proxy)]
            good.stop()
        apart, beside = (good.between(*span) for span in spans)
        self.assertEqual([apart.wrong, beside.wrong], [[], []])
        self.assertGreater(beside.p99, 3 * apart.p99)

    def attacked(self, proxy):
        with Clients(proxy) as slow:
            for _ in range(SLOW):
                slow.open(SILENT[0])
            slow.turn(0.2)
            began = time.monotonic()
            slow.turn(1)
            self.assertEqual(slow.open_now(), SLOW)
            return began, time.monotonic()


class Burdened:
    """A server of one thread that answers with the target, and in each turn works for every connection that says nothing."""

    host, authorization = "127.0.0.1", ""

    def __enter__(self):
        self.listener = socket.create_server((self.host, 0), backlog=SLOW)
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.silent, self.runs = set(), True
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.runs = False
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def serve(self):
        while self.runs:
            for key, _ in self.selector.select(0.05):
                if key.fileobj is self.listener:
                    sock, _ = self.listener.accept()
                    self.selector.register(sock, selectors.EVENT_READ)
                    self.silent.add(sock)
                else:
                    self.turn(key.fileobj)

    def turn(self, sock):
        try:
            head = sock.recv(4096)
        except OSError:
            head = b""
        self.silent.discard(sock)
        if not head:
            self.selector.unregister(sock)
            return sock.close()
        time.sleep(COST * len(self.silent))
        target = head.split(b" ", 2)[1]
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(target), target))


if __name__ == "__main__":
    unittest.main()
