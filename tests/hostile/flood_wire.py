"""The sending end of a flood: connections that say much, read or do not, and are opened again when they are ended."""

import select
import socket
import threading
import time
from collections import Counter

from frames import ACK, GOAWAY, PREFACE, RST_STREAM, SETTINGS, block, code_name, settings

REOPEN = 1000  # times that one attacker comes back
PAUSE = 0.02  # seconds before it does


class Attacker:
    """What one flood knows: where to, until when, and what has come of it."""

    def __init__(self, name, host, port, token, seconds):
        self.name, self.address, self.token = name, (host, port), token
        self.until = time.monotonic() + seconds
        self.lock = threading.Lock()
        self.opened, self.sent, self.ends = 0, 0, Counter()

    def left(self):
        return max(0.0, self.until - time.monotonic())

    def pause(self, seconds):
        time.sleep(min(seconds, self.left()))

    def wire(self, first=(), reads=True, greets=True, receive=None):
        """A new connection, and the number that its requests are counted under."""
        with self.lock:
            self.opened += 1
            number = self.opened
        wire = Wire(self, number, reads, receive)
        if greets:
            wire.send(PREFACE + settings(*first))
        return wire

    def note(self, sent, how):
        with self.lock:
            self.sent += sent
            self.ends[how] += 1

    def repeat(self, make, rounds=100_000, begin=None, side_by_side=1, reopen=REOPEN, **wire):
        """On each of some connections: `begin(wire)`, then `make(wire, n)` over and over. Both give bytes."""

        def work():
            for _ in range(reopen + 1):
                try:
                    with self.wire(**wire) as w:
                        if begin:
                            w.send(begin(w))
                        n = 0
                        while n < rounds and self.left() and w.send(make(w, n)):
                            n += 1
                        if not w.ended:
                            w.linger()
                except OSError as error:
                    self.note(0, type(error).__name__)
                if not self.left():
                    return
                self.pause(PAUSE)

        self.each(work, side_by_side)

    def each(self, work, side_by_side):
        threads = [threading.Thread(target=work) for _ in range(side_by_side)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def crowd(self, count, begin, **wire):
        """Many connections that say `begin(wire)` and no more."""
        wires = []
        try:
            for _ in range(count):
                if not self.left():
                    break
                try:
                    w = self.wire(**wire)
                except OSError as error:
                    self.note(0, type(error).__name__)
                    continue
                wires.append(w)
                w.send(begin(w))
            self.pause(self.left())
        finally:
            for w in wires:
                w.close()


class Wire:
    def __init__(self, attacker, number, reads, receive):
        self.attacker, self.number, self.reads = attacker, number, reads
        self.sock = socket.socket()
        if receive:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self.sock.settimeout(5)
        self.sock.connect(attacker.address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.ended, self.said, self.sent = "", "", 0
        self.buffer, self.skip, self.resets = b"", 0, 0
        self.next = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()
        self.attacker.note(self.sent, self.said or self.ended or "stayed")

    def stream(self):
        self.next += 2
        return self.next - 2

    def head(self, *more, method="GET", path=None):
        """A request's field block, its credential in it; the path is counted under this connection."""
        path = path or f"/flood/{self.attacker.name.replace(' ', '_')}-{self.number}/"
        fields = [(":method", method), (":scheme", "http"), (":authority", "flood.example"), (":path", path)]
        return block([*fields, ("authorization", f"Bearer {self.attacker.token}"), *more])

    def send(self, octets):
        """Sends all of it, reading meanwhile if it reads at all; whether the connection goes on."""
        view = memoryview(octets)
        while view and not self.ended and self.attacker.left():
            events = self.wait(select.POLLOUT | (select.POLLIN if self.reads else 0))
            if events & ~select.POLLOUT:
                self.read()
            if events & select.POLLOUT and not self.ended:
                try:
                    sent = self.sock.send(view[: 1 << 18])
                except BlockingIOError:
                    continue
                except OSError as error:
                    self.ended = error.strerror
                    break
                self.sent += sent
                view = view[sent:]
        return not self.ended and not view

    def linger(self):
        """Stays to the end, reading if it reads at all."""
        while self.attacker.left() and not self.ended:
            if self.reads and self.wait(select.POLLIN):
                self.read()
            elif not self.reads:
                self.attacker.pause(0.05)

    def wait(self, events):
        """What of these there is, before the time is over; errors come with reading."""
        poll = select.poll()
        poll.register(self.sock, events)
        return next((found for _, found in poll.poll(self.attacker.left() * 1000)), 0)

    def read(self):
        try:
            got = self.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            self.ended = error.strerror
            return
        if not got:
            self.ended = "closed"
        self.skim(got)

    def skim(self, got):
        """Notes what ends things, and acknowledges SETTINGS; the rest is thrown away."""
        self.buffer += got
        while True:
            gone = min(self.skip, len(self.buffer))
            self.buffer, self.skip = self.buffer[gone:], self.skip - gone
            if self.skip or len(self.buffer) < 9:
                return
            length, kind, flags = int.from_bytes(self.buffer[:3], "big"), self.buffer[3], self.buffer[4]
            if kind == GOAWAY and len(self.buffer) < 17:
                return
            if kind == GOAWAY:
                self.said = f"GOAWAY {code_name(int.from_bytes(self.buffer[13:17], 'big'))}"
            elif kind == RST_STREAM:
                self.resets += 1
            elif kind == SETTINGS and not flags & ACK:
                # Best effort: a peer that does not read gets none.
                try:
                    self.sock.send(settings(flags=ACK))
                except OSError:
                    pass
            self.skip = 9 + length
