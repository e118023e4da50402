#!/usr/bin/env python3
"""What a flood of unknown keys costs those who only use the gateway: the p99 of their requests, quiet and beside it.

    cargo build --release --bin keyward
    bash tests/setup
    target/real-venv/bin/python benches/junk.py --keyward target/release/keyward

Good clients ask two hundred times a second, half of them on new connections, while thousands of keys a second come that
nobody made but whose checksums are right, so that only a look-up can tell: from one address, and from a hundred thousand
(behind a trusted proxy). They stand for other machines, so they are sent on what the gateway and the good leave of this one.
Prints each round and the medians, and exits 1 when the p99 is more than twice what it is without, a good request failed, the
flood did not come as it should, one address had more looked up than it may, or what is good was pushed out of the cache.
"""

import argparse
import secrets
import socket
import statistics
import string
import sys
import tempfile
import time
import urllib.request
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "hostile"))

from crowd import Crowd  # noqa: E402
from elsewhere import be_elsewhere  # noqa: E402
from proxies import start  # noqa: E402
from slow.beside import GoodClients, backend  # noqa: E402

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
RATE = 200
MOST = 2.0
SENDERS = 4
PIECE = 20  # requests in one write
ADDRESSES = 100_000


def junk():
    """A key like one of Keyward's, which it did not make."""
    text = "kw_sk_" + "".join(secrets.choice(DIGITS) for _ in range(32))
    rest, sum_ = zlib.crc32(text.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        sum_ = DIGITS[digit] + sum_
    return text + sum_


class Flood(Crowd):
    """So many keys a second; each comes once. They are made before, and sent from elsewhere."""

    def __init__(self, proxy, rate, addresses, seconds):
        super().__init__(proxy, SENDERS)
        self.addresses, self.answers = addresses, {}
        self.pieces = [self.piece(number * PIECE) for number in range(round(rate * seconds / PIECE))]
        self.period = SENDERS * PIECE / rate

    def piece(self, first):
        return "".join(self.request(number) for number in range(first, first + PIECE)).encode()

    def request(self, number):
        number %= self.addresses
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        return f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {junk()}\r\nX-Forwarded-For: {address}\r\n\r\n"

    def run(self, number):
        be_elsewhere()
        connection = socket.create_connection((self.proxy.host, self.proxy.port), timeout=30)
        answers = connection.makefile("rb")
        due = time.monotonic() + self.period * number / SENDERS
        for piece in self.pieces[number::SENDERS]:
            self.over.wait(max(0, due - time.monotonic()))
            if self.over.is_set():
                break
            connection.sendall(piece)
            for _ in range(PIECE):
                status = read(answers)
                self.answers[status] = self.answers.get(status, 0) + 1
            due += self.period
        connection.close()


def read(answers):
    """The status of one answer, which is read to its end."""
    status, length = int(answers.readline().split()[1]), 0
    for line in iter(answers.readline, b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    answers.read(length)
    return status


def metrics(proxy):
    with urllib.request.urlopen(f"http://{proxy.host}:{proxy.admin_port}/metrics", timeout=10) as answer:
        lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


LOOKED_UP = 'keyward_limit_decisions_total{outcome="allowed",policy="failures"}'
REFUSED = 'keyward_limit_decisions_total{outcome="refused",policy="failures"}'
CACHED = 'keyward_cache_entries{cache="positive"}'


def round_of(proxy, rate, addresses, seconds):
    flood = Flood(proxy, rate, addresses, seconds)
    with GoodClients(proxy, RATE) as good:
        time.sleep(0.5 + seconds)
        began, before = time.monotonic(), metrics(proxy)
        with flood:
            time.sleep(seconds)
            ended = time.monotonic()
        after = metrics(proxy)
        good.stop()
    counts = [int(after[name] - before[name]) for name in (LOOKED_UP, REFUSED)]
    seen = [good.between(*times) for times in ((good.began + 0.5, began), (began, ended))]
    return seen, flood.answers, counts, after[CACHED]


def told(times):
    return "{:.2f} ms quiet, {:.2f} ms beside".format(*times)


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--keyward", required=True, type=Path)
    words.add_argument("--rate", type=int, default=3000, help="unknown keys a second [3000]")
    words.add_argument("--rounds", type=int, default=3, help="of each kind [3]")
    words.add_argument("--seconds", type=float, default=4, help="of each half of a round [4]")
    given = words.parse_args()
    failed = []
    options = {"extra": "trusted_proxies: [127.0.0.1]\n", "cores": None}
    with (
        backend(1024) as (_, port),
        tempfile.TemporaryDirectory(prefix="keyward-junk-") as folder,
        start("keyward", folder, port, given.keyward, other_port=port, **options) as proxy,
    ):
        for name, addresses in [("one address", 1), (f"{ADDRESSES:,} addresses", ADDRESSES)]:
            times = []
            for _ in range(given.rounds):
                seen, answers, (looked_up, refused), cached = round_of(proxy, given.rate, addresses, given.seconds)
                wrong, came = [fault for part in seen for fault in part.wrong], sum(answers.values())
                times.append([part.p99 * 1e3 for part in seen])
                print(
                    f"{name}: p99 {told(times[-1])} {came} unknown keys: {looked_up} looked up, {refused} not; "
                    f"answers {answers}"
                )
                if wrong:
                    failed.append(f"{len(wrong)} good requests failed: {wrong[:3]}")
                if came < 0.95 * given.rate * given.seconds:
                    failed.append(f"{came} unknown keys came in {given.seconds} s")
                if set(answers) - {401, 429}:
                    failed.append(f"junk was answered {answers}")
                if not cached:
                    failed.append("what is good is cached no more")
                # A minute's worth at once, what comes back meanwhile, and what was under way when it was used up.
                if addresses == 1 and looked_up > 300 + 5 * given.seconds + SENDERS * PIECE:
                    failed.append(f"{looked_up} were looked up for one address")
            medians = [statistics.median(column) for column in zip(*times)]
            ratio = medians[1] / medians[0]
            print(f"{name}: p99 {told(medians)}: {ratio:.2f} times, {MOST} allowed\n")
            if ratio > MOST:
                failed.append(f"{name}: {ratio:.2f} times")
    sys.exit("\n".join(failed) or 0)


if __name__ == "__main__":
    main()
