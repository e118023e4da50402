#!/usr/bin/env python3
"""What fifty logins at once cost those who only use the gateway: the p99 of their requests, quiet and beside them.

    cargo build --release --bin keyward
    bash tests/setup
    target/real-venv/bin/python benches/logins.py --keyward target/release/keyward

Good clients ask two hundred times a second, half of them on new connections, while fifty others log in over and over, with
passwords that are right. Prints each round and the medians, and exits 1 when the p99 is more than twice what it is without.
"""

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "hostile"))

from crowd import Crowd  # noqa: E402
from proxies import start  # noqa: E402
from slow.beside import GoodClients, backend  # noqa: E402

PASSWORD = "correct horse battery"
RATE = 200
MOST = 2.0


class Logins(Crowd):
    """So many people who log in, over and over each."""

    def __init__(self, proxy, count):
        super().__init__(proxy, count)
        self.outcomes = []

    def run(self, number):
        connection = http.client.HTTPConnection(self.proxy.host, self.proxy.port, timeout=60)
        while not self.over.is_set():
            status, wait = login(connection, number)
            self.outcomes.append(status)
            self.over.wait(wait)
        connection.close()


def email(number):
    return f"person-{number}@example.com"


def login(connection, number):
    """The status, and how long to wait before the next."""
    body = json.dumps({"email": email(number), "password": PASSWORD})
    connection.request("POST", "/user/login", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status, int(answer.headers.get("Retry-After", 0))


def make_people(keyward, folder, proxy, count):
    """Accounts with passwords, each of which has logged in from here before."""
    for number in range(count):
        words = ["accounts", "create", "--email", email(number), "--password-stdin", "--config", f"{folder}/keyward.yaml"]
        subprocess.run([keyward, *words], input=PASSWORD, text=True, check=True, capture_output=True)
    connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=60)
    outcomes = {login(connection, number)[0] for number in range(count)}
    connection.close()
    if outcomes != {200}:
        sys.exit(f"logins were answered {outcomes}")


def round_of(proxy, logins, seconds):
    with GoodClients(proxy, RATE) as good:
        time.sleep(0.5 + seconds)
        began = time.monotonic()
        with Logins(proxy, logins) as busy:
            time.sleep(seconds)
            ended = time.monotonic()
        good.stop()
    return good.between(good.began + 0.5, began), good.between(began, ended), busy.outcomes


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--keyward", required=True, type=Path)
    words.add_argument("--logins", type=int, default=50, help="clients that log in at once [50]")
    words.add_argument("--rounds", type=int, default=5, help="[5]")
    words.add_argument("--seconds", type=float, default=4, help="of each half of a round [4]")
    given = words.parse_args()
    # Whatever its port is: an endpoint is known by its host.
    identity = 'identity: { public_url: "http://127.0.0.1:9" }\n'
    quiet, busy = [], []
    with backend(1024) as (_, port), tempfile.TemporaryDirectory(prefix="keyward-logins-") as folder:
        with start("keyward", folder, port, given.keyward, extra=identity, cores=None, other_port=port) as proxy:
            make_people(given.keyward.resolve(), folder, proxy, given.logins)
            for number in range(given.rounds):
                alone, beside, outcomes = round_of(proxy, given.logins, given.seconds)
                wrong = alone.wrong + beside.wrong
                if wrong or not outcomes.count(200):
                    sys.exit(f"{len(wrong)} good requests failed, {outcomes.count(200)} logins succeeded: {wrong[:3]}")
                quiet.append(alone.p99 * 1e3)
                busy.append(beside.p99 * 1e3)
                print(
                    f"round {number + 1}: p99 {quiet[-1]:.2f} ms quiet, {busy[-1]:.2f} ms beside {outcomes.count(200)} logins "
                    f"({len(outcomes) - outcomes.count(200)} were told to wait)"
                )
    ratio = statistics.median(busy) / statistics.median(quiet)
    print(f"\np99 {statistics.median(quiet):.2f} ms quiet, {statistics.median(busy):.2f} ms beside: {ratio:.2f} times, {MOST} allowed")
    sys.exit(0 if ratio <= MOST else 1)


if __name__ == "__main__":
    main()
