#!/usr/bin/env python3
"""How much Keyward takes: time from start to ready, memory idle and with idle connections.

    cargo build --release --bin keyward --example seed
    python3 benches/footprint.py --keyward target/release/keyward --seed target/release/examples/seed

Makes a store with 100,000 keys, measures, prints a table in Markdown, and exits 1 when a target is missed. Needs Python 3,
Linux, and permission to have as many open files as connections; sqlite3, where it is installed, shows the query plan.
"""

import argparse
import os
import platform
import resource
import selectors
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

STARTS = 5
READY_TARGET = 1.0  # seconds
IDLE_TARGET = 20.0  # MB
CONNECTED_TARGET = 180.0  # MB, with 10,000 connections
PATIENCE = 60  # seconds anything may take
AT_ONCE = 64  # connections that are being made at a time
MB = 1000 * 1000

LOOK_UP = """EXPLAIN QUERY PLAN
SELECT latest.seq, k.*, a.* FROM (SELECT coalesce(max(seq), 0) AS seq FROM audit_log) AS latest
LEFT JOIN api_keys AS k ON k.digest = '0' LEFT JOIN accounts AS a ON a.id = k.account_id;"""


class Backend(threading.Thread):
    """Answers every request on every connection with two bytes."""

    ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]

    def run(self):
        selector = selectors.DefaultSelector()
        selector.register(self.listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is self.listener:
                    selector.register(self.listener.accept()[0], selectors.EVENT_READ)
                elif b"\r\n\r\n" in (got := self.read(key.fileobj)):
                    key.fileobj.sendall(self.ANSWER)
                elif not got:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()

    @staticmethod
    def read(connection):
        try:
            return connection.recv(65536)
        except OSError:
            return b""


class Gateway:
    """`keyward serve` in a folder of its own, with or without a filled store."""

    def __init__(self, binary, folder, backend):
        self.binary, self.folder = binary, Path(folder)
        self.folder.mkdir()
        self.public, self.admin = free_port(), free_port()
        self.config = self.folder / "keyward.yaml"
        # Connections stay as long as the measurement takes, not as long as a time-out allows.
        self.config.write_text(
            f'listeners: [{{ name: public, address: "127.0.0.1:{self.public}" }}]\n'
            f'admin: {{ address: "127.0.0.1:{self.admin}" }}\n'
            "store: { sqlite: { path: keyward.db } }\n"
            f'upstreams: [{{ name: api, endpoints: [{{ url: "http://127.0.0.1:{backend}" }}] }}]\n'
            "routes: [{ name: all, match: { path_prefix: / }, upstream: api }]\n"
            "timeouts: { idle: 30m }\n"
            "log: { access: off }\n"
        )

    def start(self):
        """Starts it and returns the seconds until it was ready."""
        began = time.perf_counter()
        with open(self.folder / "log", "ab") as log:
            command = [self.binary, "serve", "--config", self.config]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while ask(self.admin, "/readyz")[0] != 200:
            if self.process.poll() is not None or time.perf_counter() - began > PATIENCE:
                sys.exit(f"keyward is not ready: {(self.folder / 'log').read_text()}")
            time.sleep(0.001)
        return time.perf_counter() - began

    def resident(self):
        """Its memory in bytes, once it has stopped to change."""
        last, deadline = -1, time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            now = self.status("VmRSS")
            if now == last:
                return now
            last = now
            time.sleep(1)
        sys.exit("the memory does not come to rest")

    def status(self, name):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        sys.exit(f"/proc does not tell {name}")

    def connections(self):
        for line in ask(self.admin, "/metrics")[1].splitlines():
            if line.startswith('keyward_connections{listener="public"}'):
                return float(line.split()[1])
        sys.exit("keyward_connections is not among the metrics")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, path):
    """Status and body of one GET; status 0 when nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
            answer = b""
            while got := connection.recv(65536):
                answer += got
    except OSError:
        return 0, ""
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split(" ", 2)[1]), body


def connect(port, keys):
    """One connection for each key, all idle after one request that was let through."""
    selector, waiting, done = selectors.DefaultSelector(), iter(keys), []
    for _ in range(AT_ONCE):
        begin(selector, port, waiting)
    while selector.get_map():
        ready = selector.select(PATIENCE)
        if not ready:
            sys.exit(f"no answer within {PATIENCE} s, after {len(done)} connections")
        for event, _ in ready:
            answer = event.fileobj.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200 "):
                sys.exit(f"a request was not let through: {answer!r}")
            selector.unregister(event.fileobj)
            done.append(event.fileobj)
            begin(selector, port, waiting)
    return done


def begin(selector, port, waiting):
    key = next(waiting, None)
    if key is not None:
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
        connection.sendall(f"GET / HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n".encode())
        selector.register(connection, selectors.EVENT_READ)


def with_connections(gateway, keys):
    """Memory before, and with one idle connection for each key."""
    gateway.start()
    before = gateway.resident()
    open_ones = connect(gateway.public, keys)
    after = gateway.resident()
    if gateway.connections() != len(keys):
        sys.exit(f"{gateway.connections()} connections are open, not {len(keys)}")
    for connection in open_ones:
        connection.close()
    gateway.stop()
    return before, after


def allow_files(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        sys.exit(f"{wanted} open files are needed, and the hard limit is {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def query_plan(database):
    if not shutil.which("sqlite3"):
        return "(sqlite3 is not installed)"
    done = subprocess.run(["sqlite3", "-readonly", database, LOOK_UP], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def row(what, value, target=None, met=None):
    verdict = "" if met is None else (" met" if met else " **missed**")
    print(f"| {what} | {value} | {target or '–'}{verdict} |")
    return met is not False


def report(empty, filled, plan, keys):
    start, idle = statistics.median(filled["starts"]), filled["idle"]
    print(f"\n{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}; "
          f"store with {keys} keys: {filled['bytes'] / MB:.0f} MB\n")
    print("| what | measured | target |\n| --- | --- | --- |")
    met = [
        row("start to ready, empty store", f"{statistics.median(empty['starts']) * 1000:.0f} ms"),
        row(f"start to ready, {keys} keys", f"{start * 1000:.0f} ms", "< 1 s", start < READY_TARGET),
        row("idle, empty store", f"{empty['idle'] / MB:.1f} MB", "< 20 MB", empty["idle"] / MB < IDLE_TARGET),
        row(f"idle, {keys} keys", f"{idle / MB:.1f} MB", "< 20 MB", idle / MB < IDLE_TARGET),
    ]
    for count, (before, after) in filled["connected"].items():
        each = (after - before) / count / 1024
        limited = count == 10_000
        met.append(row(f"{count} idle connections", f"{after / MB:.1f} MB, {each:.1f} KiB each",
                       "< 180 MB" if limited else None, after / MB < CONNECTED_TARGET if limited else None))
    print("\nThe cold look-up:\n\n```\n" + plan + "\n```")
    return all(met)


def measure_idle(gateway):
    starts = []
    for left in reversed(range(STARTS)):
        starts.append(gateway.start())
        if not left:
            idle = gateway.resident()
        gateway.stop()
    return {"starts": starts, "idle": idle}


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--keyward", required=True, type=Path, help="the binary to measure")
    words.add_argument("--seed", required=True, type=Path, help="the example that fills a store")
    words.add_argument("--keys", type=int, default=100_000, help="keys in the store [100000]")
    words.add_argument("--connections", type=int, nargs="+", default=[1_000, 10_000], help="[1000 10000]")
    given = words.parse_args()
    if given.keys < max(given.connections):
        words.error("every connection has a key of its own: there must be as many keys")
    allow_files(max(given.connections) + 200)
    backend = Backend()
    backend.start()
    with tempfile.TemporaryDirectory(prefix="keyward-footprint-") as folder:
        empty = Gateway(given.keyward.resolve(), f"{folder}/empty", backend.port)
        filled = Gateway(given.keyward.resolve(), f"{folder}/filled", backend.port)
        print(f"making {given.keys} keys …", file=sys.stderr)
        made = subprocess.run([given.seed.resolve(), filled.config, str(given.keys)], stdout=subprocess.PIPE, check=True)
        keys = made.stdout.decode().split()
        of_empty, of_filled = measure_idle(empty), measure_idle(filled)
        of_filled["connected"] = {count: with_connections(filled, keys[:count]) for count in given.connections}
        database = filled.folder / "keyward.db"
        of_filled["bytes"] = database.stat().st_size
        met = report(of_empty, of_filled, query_plan(database), given.keys)
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
