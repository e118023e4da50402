#!/usr/bin/env python3
"""The suite `floods` can fail: its instruments see what they measure, and each measure is judged.

python3 -m unittest tests/hostile/test_floods.py
"""

import subprocess
import sys
import unittest
import urllib.request

import naive
import proxies
from floods import GROWTH, Flood
from floods_suite import P99, REACHED, SLOWER, Good, Peak, Upstream, judged

COUNTED, PLAIN = Flood("counted", None, counted=True), Flood("plain", None)
SMALL = Flood("small", None, growth=GROWTH // 2)
GOOD = {"requests": 100, "failed": 0, "why": [], "p99": 5.0}
CALM = {"good": GOOD, "growth": 1 << 20, "quiet": 4.0, "reached": 10, "alive": True, "connections": 1}
#: A process that grows as soon as it is told to.
GROWS = (
    "import sys; sys.stdin.readline(); grown = bytearray(b'x' * (100 << 20)); print(len(grown), flush=True); sys.stdin.readline()"
)


class Judge(unittest.TestCase):
    def test_each_measure_is_judged(self):
        slow = {**GOOD, "p99": P99 + 1.0}
        for flood, changed, timed, passes in (
            (COUNTED, {}, True, True),
            (PLAIN, {"good": {**GOOD, "failed": 1}}, True, False),
            (PLAIN, {"good": {**GOOD, "requests": 0}}, True, False),
            (PLAIN, {"good": slow}, True, False),
            (PLAIN, {"good": slow}, False, True),
            (PLAIN, {"good": slow, "quiet": P99 / SLOWER + 1}, True, True),
            (PLAIN, {"growth": GROWTH}, False, True),
            (PLAIN, {"growth": GROWTH + 1}, False, False),
            (SMALL, {"growth": GROWTH // 2 + 1}, False, False),
            (COUNTED, {"reached": REACHED + 1}, False, False),
            (PLAIN, {"reached": REACHED + 1}, False, True),
            (PLAIN, {"alive": False}, False, False),
            (PLAIN, {"connections": 0}, False, False),
        ):
            with self.subTest(changed=changed, timed=timed):
                self.assertEqual(judged(flood, {**CALM, **changed}, timed).passed, passes)


class Instruments(unittest.TestCase):
    def test_the_good_client_fails_at_servers_that_do(self):
        with Upstream() as upstream:
            self.assertEqual(self.share_that_fails(naive.Naive(naive.BELIEVING, upstream.port)), 0)
            self.assertEqual(self.share_that_fails(naive.Naive(naive.REFUSING, upstream.port)), 1)
        self.assertEqual(self.share_that_fails(naive.Lying()), 1)

    def test_the_good_client_hears_what_is_said_at_once(self):
        with Upstream() as upstream, naive.Naive(naive.BELIEVING, upstream.port) as proxy, Good(proxy) as good:
            good.say("begin\nend\nbegin\nend")
            self.assertEqual([good.line()[:12] for _ in range(2)], ['{"requests":'] * 2)

    def share_that_fails(self, server):
        with server as proxy, Good(proxy) as good:
            told = good.measure(0.5)
        self.assertGreater(told["requests"], 10)
        return told["failed"] / told["requests"]

    def test_growth_is_seen(self):
        with subprocess.Popen([sys.executable, "-c", GROWS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            proxy = Sized(process.pid)
            before = proxy.memory()
            with Peak(proxy) as peak:
                process.stdin.write(b"\n")
                process.stdin.flush()
                process.stdout.readline()
                process.stdin.close()
        self.assertGreater(peak.bytes - before, 90 << 20)

    def test_what_reaches_the_upstream_is_counted(self):
        with Upstream() as upstream:
            self.assertEqual(upstream.counts(), {})
            for _ in range(7):
                urllib.request.urlopen(f"http://127.0.0.1:{upstream.port}/flood/key-1/", timeout=10).read()
            self.assertEqual(upstream.counts(), {"key-1": 7})


class Sized:
    def __init__(self, pid):
        self.pid = pid

    def memory(self):
        return proxies.resident(self.pid)


if __name__ == "__main__":
    unittest.main()
