"""Processes beside the proxy: its backend, and the good clients with what they saw."""

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from elsewhere import be_elsewhere

HERE = Path(__file__).resolve().parent


@contextlib.contextmanager
def backend(big, port=0, for_attackers=False):
    """Runs the server behind while the block lasts; gives its process and its port."""
    command = [sys.executable, HERE / "backend.py", str(big), str(port)]
    aside = be_elsewhere if for_attackers else None
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=aside)
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


@dataclass
class Seen:
    """What the good clients saw in some time."""

    count: int
    wrong: list
    p99: float  # seconds


class GoodClients:
    def __init__(self, proxy, rate):
        words = [proxy.host, str(proxy.port), proxy.authorization, str(rate)]
        self.process = subprocess.Popen(
            [sys.executable, HERE / "good.py", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.began = time.monotonic()
        self.told = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.told is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        told, _ = self.process.communicate(timeout=60)
        self.told = json.loads(told)

    def between(self, start, end):
        """Of the requests that were due in that time."""
        requests = [(took, wrong) for due, took, wrong in self.told if start <= due < end]
        times = sorted(took for took, _ in requests)
        p99 = times[min(len(times) - 1, len(times) * 99 // 100)] if times else float("inf")
        return Seen(len(requests), [wrong for _, wrong in requests if wrong], p99)
