#!/usr/bin/env python3
"""Shows that the suite `floods` can fail: that its instruments see what they measure, and that each measure is judged.

    floods_selftest.py          exit 0 when all of it is noticed
"""

import subprocess
import sys
import urllib.request

import naive
import proxies
from floods import Flood
from floods_suite import GROWTH, P99, REACHED, SLOWER, Good, Peak, Upstream, judged

COUNTED, PLAIN = Flood("counted", None, counted=True), Flood("plain", None)
GOOD = {"requests": 100, "failed": 0, "why": [], "p99": 5.0}
CALM = {"good": GOOD, "growth": 1 << 20, "quiet": 4.0, "reached": 10, "alive": True, "connections": 1}
#: A process that grows as soon as it is told to.
GROWS = "import sys; sys.stdin.readline(); grown = bytearray(b'x' * (100 << 20)); print(len(grown), flush=True); sys.stdin.readline()"


def main():
    wrong = [*of_the_judge(), *of_the_good_client(), *of_memory(), *of_the_upstream()]
    print("\n".join(wrong) or "the judge of floods notices what it must")
    sys.exit(1 if wrong else 0)


def of_the_judge():
    rows = [
        (COUNTED, {}, True, True),
        (PLAIN, {"good": {**GOOD, "failed": 1}}, True, False),
        (PLAIN, {"good": {**GOOD, "requests": 0}}, True, False),
        (PLAIN, {"good": {**GOOD, "p99": P99 + 1.0}}, True, False),
        (PLAIN, {"good": {**GOOD, "p99": P99 + 1.0}}, False, True),
        (PLAIN, {"good": {**GOOD, "p99": P99 + 1.0}, "quiet": P99 / SLOWER + 1}, True, True),
        (PLAIN, {"growth": GROWTH + 1}, False, False),
        (COUNTED, {"reached": REACHED + 1}, False, False),
        (PLAIN, {"reached": REACHED + 1}, False, True),
        (PLAIN, {"alive": False}, False, False),
        (PLAIN, {"connections": 0}, False, False),
    ]
    for flood, changed, timed, passes in rows:
        if judged(flood, {**CALM, **changed}, timed).passed != passes:
            yield f"{flood.name} with {changed}, timed: {timed}: not {'passed' if passes else 'failed'}"


def of_the_good_client():
    """Against a server that resets it, one that lies to it and one that says nothing."""
    with Upstream() as upstream:
        for manner, path_of_good in ((naive.REFUSING, False), (naive.BELIEVING, True)):
            with naive.Naive(manner, upstream.port) as proxy, Good(proxy) as good:
                told = good.measure(0.5)
                failed = told["failed"]
                if not told["requests"] or (failed == 0) != path_of_good or (failed not in (0, told["requests"])):
                    yield f"the good client saw at a {manner} server: {told}"
    with naive.Lying() as proxy, Good(proxy) as good:
        told = good.measure(0.5)
        if not told["requests"] or told["failed"] != told["requests"]:
            yield f"the good client took a wrong answer for its own: {told}"


def of_memory():
    with subprocess.Popen([sys.executable, "-c", GROWS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        proxy = Sized(process.pid)
        before = proxy.memory()
        with Peak(proxy) as peak:
            process.stdin.write(b"\n")
            process.stdin.flush()
            process.stdout.readline()
            process.stdin.close()
        if peak.bytes - before < 90 << 20:
            yield f"a growth of 100 MiB was seen as {(peak.bytes - before) >> 20}"


class Sized:
    def __init__(self, pid):
        self.pid = pid

    def memory(self):
        return proxies.resident(self.pid)


def of_the_upstream():
    with Upstream() as upstream:
        before = upstream.counts()
        for _ in range(7):
            urllib.request.urlopen(f"http://127.0.0.1:{upstream.port}/flood/key-1/", timeout=10).read()
        counts = upstream.counts()
    if before or counts != {"key-1": 7}:
        yield f"seven requests were counted as {counts}"


if __name__ == "__main__":
    main()
