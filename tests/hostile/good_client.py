"""A good client of HTTP/2, at a steady rate, in a process of its own.

    good_client.py HOST PORT TOKEN RATE

Each `begin` on standard input starts a measurement, each `end` closes it and prints one line of JSON: how many requests were
answered rightly, which failed and why, and how long they took in milliseconds. Requests are sent when they are due, whether
or not those before them are answered, and their time counts from then. Every tenth has a connection of its own.
"""

import json
import os
import selectors
import socket
import sys
import time

from frames import (
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, WHOLE, block,
    code_name, headers, ping, settings, window_update,
)  # fmt: skip
from hpack import Decoder

OWN_CONNECTION = 10  # every how many requests
AT_ONCE = 20  # requests on one connection, far below what any server allows
TIMEOUT = 10  # seconds after which a request has failed


class Connection:
    def __init__(self, client):
        self.client = client
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect_ex(client.address)
        self.unsent, self.buffer, self.decoder = PREFACE + settings(), b"", Decoder(1 << 20)
        self.next, self.waiting, self.leaving, self.open = 1, {}, False, True
        self.block = b""
        client.selector.register(self.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def ask(self, due, number):
        path = f"/other/good/{number}"
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", "good.example"), (":path", path)]
        credential = [("authorization", f"Bearer {self.client.token}")]
        self.waiting[self.next] = [due, number, 0, b""]
        self.send(headers(self.next, block(fields + credential), WHOLE))
        self.next += 2

    def send(self, octets):
        self.unsent += octets
        if self.open:
            self.client.selector.modify(self.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def ready(self, mask):
        try:
            if mask & selectors.EVENT_WRITE:
                self.unsent = self.unsent[self.sock.send(self.unsent) :] if self.unsent else b""
                if not self.unsent:
                    self.client.selector.modify(self.sock, selectors.EVENT_READ, self)
            if mask & selectors.EVENT_READ:
                got = self.sock.recv(1 << 16)
                if not got:
                    return self.lose("the connection was closed")
                self.feed(got)
        except BlockingIOError:
            pass
        except OSError as error:
            self.lose(f"the connection: {error.strerror}")

    def feed(self, got):
        self.buffer += got
        while self.open and len(self.buffer) >= 9 and len(self.buffer) >= 9 + int.from_bytes(self.buffer[:3], "big"):
            length = int.from_bytes(self.buffer[:3], "big")
            kind, flags, stream = self.buffer[3], self.buffer[4], int.from_bytes(self.buffer[5:9], "big")
            payload, self.buffer = self.buffer[9 : 9 + length], self.buffer[9 + length :]
            self.take(kind, flags, stream, payload)

    def take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            self.send(settings(flags=ACK))
        elif kind == PING and not flags & ACK:
            self.send(ping(payload, ACK))
        elif kind == GOAWAY:
            self.go(int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big"))
        elif kind == RST_STREAM:
            self.finish(stream, f"RST_STREAM {code_name(int.from_bytes(payload, 'big'))}")
        elif kind in (HEADERS, CONTINUATION):
            self.block += payload
            if flags & END_HEADERS:
                fields, self.block = dict(self.decoder.decode(self.block, raw=True)), b""
                if stream in self.waiting:
                    self.waiting[stream][2] = int(fields.get(b":status", 0))
        elif kind == DATA:
            if stream in self.waiting:
                self.waiting[stream][3] += payload
            if payload:
                self.send(window_update(0, len(payload)))
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.finish(stream)

    def finish(self, stream, why=""):
        if stream not in self.waiting:
            return
        due, number, status, body = self.waiting.pop(stream)
        if not why and (status, body) != (200, b"/other/good/%d" % number):
            why = f"status {status} {body[:80]!r}"
        self.client.done(due, why)
        if not self.waiting and (self.leaving or self.client.lasting is not self):
            self.close()

    def go(self, last, code):
        """RFC 9113 section 6.8: what is above `last` was not taken, and is sent again."""
        self.leaving = True
        if code:
            return self.lose(f"GOAWAY {code_name(code)}")
        for stream in [stream for stream in self.waiting if stream > last]:
            due, number, _, _ = self.waiting.pop(stream)
            self.client.again(due, number)
        if not self.waiting:
            self.close()

    def lose(self, why):
        for stream in list(self.waiting):
            self.finish(stream, why)
        self.close()

    def close(self):
        if self.open:
            self.open = False
            self.client.selector.unregister(self.sock)
            self.sock.close()


class Client:
    def __init__(self, address, token, rate):
        self.address, self.token, self.rate = address, token, rate
        self.selector = selectors.DefaultSelector()
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        self.running, self.due = True, None  # when the next request is
        self.lasting, self.count = None, 0
        self.times, self.failures = [], []
        self.connections = []

    def run(self):
        while self.running:
            wait = 1 if self.due is None else max(0, self.due - time.monotonic())
            for key, mask in self.selector.select(wait):
                if key.data is not None:
                    key.data.ready(mask)
                else:
                    self.hear(os.read(sys.stdin.fileno(), 4096))
            while self.due is not None and self.due <= time.monotonic():
                self.count += 1
                self.again(self.due, self.count)
                self.due += 1 / self.rate

    def hear(self, words):
        """Takes what came on standard input: several lines may come at once."""
        self.running = bool(words)
        for line in words.split():
            if line == b"begin":
                self.times, self.failures, self.due = [], [], time.monotonic()
            else:
                self.due = None
                self.settle()

    def again(self, due, number):
        if number % OWN_CONNECTION == 0:
            self.connected().ask(due, number)
            return
        lasting = self.lasting
        if lasting is None or not lasting.open or lasting.leaving or len(lasting.waiting) >= AT_ONCE:
            self.lasting = self.connected()
        self.lasting.ask(due, number)

    def connected(self):
        self.connections = [connection for connection in self.connections if connection.open]
        self.connections.append(Connection(self))
        return self.connections[-1]

    def done(self, due, why):
        self.times.append((time.monotonic() - due) * 1000)
        if why:
            self.failures.append(why)

    def settle(self):
        """Waits for what is on its way, then says how it went."""
        deadline = time.monotonic() + TIMEOUT
        while any(connection.waiting for connection in self.connections) and time.monotonic() < deadline:
            for key, mask in self.selector.select(0.1):
                if key.data is not None:
                    key.data.ready(mask)
        for connection in list(self.connections):
            if connection.open and connection.waiting:
                connection.lose(f"no answer within {TIMEOUT} s")
        times = sorted(self.times) or [0]
        at = lambda part: round(times[min(len(times) - 1, int(len(times) * part))], 2)
        told = {"requests": len(self.times), "failed": len(self.failures), "why": self.failures[:5]}
        print(json.dumps({**told, "p50": at(0.5), "p99": at(0.99), "max": round(times[-1], 2)}), flush=True)


if __name__ == "__main__":
    Client((sys.argv[1], int(sys.argv[2])), sys.argv[3], float(sys.argv[4])).run()
