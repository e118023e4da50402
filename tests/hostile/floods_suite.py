"""Floods of HTTP/2, each beside a good client that must not notice.

A flood passes when every good request is answered, as fast as the slowest of them may be (`P99`), the proxy's memory grows by
no more than its `growth` over what it had when it was fresh, the upstream is not flooded in its turn, and the proxy lives.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

import proxies
from floods import floods
from verdict import HARMED, PASS, Verdict

HERE = Path(__file__).resolve().parent
SECONDS = 3.0
RATE = 100  # good requests a second
P99 = 200  # milliseconds; where the machine is not quiet, five times what the same client sees without a flood
SLOWER = 5
KEPT = 16 << 20  # with more than this left over, the next flood gets a fresh proxy
REACHED = 200  # requests of one flooding connection that the upstream may see
STUCK = 30  # seconds that an attacker may take beyond its time


def run(target, only=""):
    wanted = [flood for flood in floods() if only in flood.name]
    seconds = target.seconds or SECONDS
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keyward-floods-")))
        upstream, apart = stack.enter_context(Upstream()), stack.enter_context(Upstream())
        bench = None
        for number, flood in enumerate(wanted):
            if bench is None:
                bench = stack.enter_context(Bench(target, folder / str(number), upstream, apart))
            measured = bench.measure(flood, seconds)
            verdict = judged(flood, measured, target.timed)
            print(f"{'ok    ' if verdict.passed else 'FAILED'} floods {target.kind}: {flood.name}: {told(measured)}", flush=True)
            yield verdict
            if not verdict.passed or measured["growth"] > KEPT:
                # What one flood left behind neither counts against the next nor hides what that takes.
                bench.close()
                bench = None


def judged(flood, measured, timed):
    good = measured["good"]
    wrong = []
    if good["failed"] or not good["requests"]:
        wrong.append(f"{good['failed']} of {good['requests']} good requests failed: {good['why']}")
    limit = max(P99, SLOWER * measured["quiet"])
    if timed and good["p99"] > limit:
        wrong.append(f"the p99 of good requests is {good['p99']} ms, above {limit:.0f}")
    if measured["growth"] > flood.growth:
        wrong.append(f"the memory grew by {measured['growth'] >> 20} MiB")
    if flood.counted and measured["reached"] > REACHED:
        wrong.append(f"{measured['reached']} requests of one connection reached the upstream")
    if not measured["alive"]:
        wrong.append("the proxy has ended")
    if not measured["connections"]:
        wrong.append("there was no connection: this was no flood")
    return Verdict(flood.name, HARMED if wrong else PASS, "\n".join(wrong), "floods")


def told(measured):
    good = measured["good"]
    ends = ", ".join(f"{how} {count}" for how, count in measured["ends"].items())
    quiet = f" (quiet {measured['quiet']})" if measured["quiet"] else ""
    reached = f"upstream {measured['reached']} a connection, " if measured["reached"] else ""
    return (
        f"good {good['requests'] - good['failed']} of {good['requests']}, p99 {good['p99']} ms{quiet}, "
        f"memory {measured['growth'] / (1 << 20):+.1f} MiB, {reached}sent {measured['sent'] >> 10} KiB on "
        f"{measured['connections']} connections ({ends})"
    )


class Bench:
    """A fresh proxy, a good client, and what they are like without a flood.

    What the good client asks comes from an upstream `apart`: how long the flooded one takes is not the proxy's doing.
    """

    def __init__(self, target, folder, upstream, apart):
        self.stack = contextlib.ExitStack()
        self.upstream = upstream
        started = proxies.start(target.kind, folder, upstream.port, target.keyward, other_port=apart.port)
        self.proxy = self.stack.enter_context(started)
        self.good = self.stack.enter_context(Good(self.proxy))
        self.good.measure(0.3)
        self.quiet = self.good.measure(target.seconds or SECONDS)["p99"] if target.timed else 0
        self.fresh = self.proxy.memory()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stack.close()

    def measure(self, flood, seconds):
        before = self.upstream.counts()
        self.good.begin()
        with Peak(self.proxy) as peak:
            attack = self.attack(flood, seconds)
            good = self.good.end()
        counts = self.upstream.counts()
        reached = max([count - before.get(key, 0) for key, count in counts.items()], default=0)
        alive = self.proxy.alive()
        return dict(good=good, growth=peak.bytes - self.fresh, quiet=self.quiet, reached=reached, alive=alive, **attack)

    def attack(self, flood, seconds):
        words = [flood.name, self.proxy.host, self.proxy.h2_port, self.proxy.token, seconds]
        command = [sys.executable, HERE / "floods.py", *map(str, words)]
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=seconds + STUCK, preexec_fn=self.elsewhere)
        if done.returncode != 0:
            raise RuntimeError(f"the flood {flood.name} broke down")
        return json.loads(done.stdout)

    def elsewhere(self):
        """The attacker takes no processor from the proxy where there is another, nor from the good client."""
        os.nice(19)
        others = os.sched_getaffinity(0) - os.sched_getaffinity(self.proxy.pid)
        if others:
            os.sched_setaffinity(0, others)


class Peak:
    """The most memory that a proxy has while the `with` block lasts."""

    def __init__(self, proxy):
        self.proxy, self.bytes, self.over = proxy, proxy.memory(), threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.look()

    def watch(self):
        while not self.over.wait(0.05):
            self.look()

    def look(self):
        self.bytes = max(self.bytes, self.proxy.memory())


class Helper:
    """A process of ours that ends with its standard input."""

    def __init__(self, *words):
        command = [sys.executable, HERE / words[0], *map(str, words[1:])]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def line(self):
        words = self.process.stdout.readline()
        if not words:
            raise RuntimeError(f"{self.process.args[1]} broke down")
        return words


class Upstream(Helper):
    def __init__(self):
        super().__init__("flood_upstream.py")
        self.port = int(self.line())

    def counts(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/counts", timeout=30) as answer:
            return json.load(answer)


class Good(Helper):
    def __init__(self, proxy):
        super().__init__("good_client.py", proxy.host, proxy.h2_port, proxy.token, RATE)

    def say(self, words):
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()

    def begin(self):
        self.say("begin")

    def end(self):
        self.say("end")
        return json.loads(self.line())

    def measure(self, seconds):
        self.begin()
        threading.Event().wait(seconds)
        return self.end()
