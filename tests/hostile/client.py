"""A client that sends exactly the bytes it is given, and reads answers strictly."""

import contextlib
import select
import socket
import struct
import time

import strict


class Client:
    """One connection to a proxy."""

    def __init__(self, proxy):
        self.sock = socket.create_connection((proxy.host, proxy.port), timeout=10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.received = bytearray()
        self.parsed = 0
        self.ended = None  # "closed" or "reset", by the proxy
        self.broken = None  # why what came is no answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data, seconds):
        """Sends all of it, reading meanwhile; stops when the proxy ends the connection. Whether all was sent."""
        view = memoryview(data)
        deadline = time.monotonic() + seconds
        while view and self.ended != "reset" and time.monotonic() < deadline:
            readable, writable, _ = select.select(
                [] if self.ended else [self.sock], [self.sock], [], max(0, deadline - time.monotonic())
            )
            if readable:
                self.read_some()
            if writable:
                try:
                    view = view[self.sock.send(view[: 1 << 18]) :]
                except BlockingIOError:
                    continue
                except OSError:
                    self.read_some()
                    self.ended = self.ended or "reset"
                    return False
        return not view

    def read_some(self):
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            self.ended = "reset"
            return
        if data:
            self.received += data
        else:
            self.ended = "closed"

    def read_more(self, seconds):
        """Waits for more; whether anything came, the end included."""
        if self.ended:
            return False
        readable, _, _ = select.select([self.sock], [], [], max(0, seconds))
        if readable:
            self.read_some()
        return bool(readable)

    def half_close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.ended = "reset"

    def take_answer(self, asked=b"GET"):
        """The next whole answer that has come already, interim ones included; `None` without one."""
        if self.broken or self.parsed >= len(self.received):
            return None
        try:
            answer = strict.read_answer(self.received, self.parsed, asked, self.ended == "closed")
        except strict.Doubt as doubt:
            self.broken = str(doubt)
            return None
        if answer:
            self.parsed = answer.end
        return answer

    def answer(self, seconds, asked=b"GET"):
        """The next final answer; `None` when the connection ends, breaks, or stays silent for `seconds` before it."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.take_answer(asked)
            if answer and answer.status >= 200:
                return answer
            if answer:
                continue
            if self.broken or self.ended or not self.read_more(deadline - time.monotonic()):
                # What came with the end may be an answer that the end completes.
                return self.take_answer(asked) if self.ended else None

    def continuation(self, seconds):
        """Waits for `100 Continue`; the final answer if that comes instead."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.take_answer()
            if answer or self.broken or not self.read_more(deadline - time.monotonic()):
                return answer

    def read_to_end(self, seconds):
        """Reads until the proxy ends the connection; whether it did."""
        deadline = time.monotonic() + seconds
        while not self.ended and self.read_more(deadline - time.monotonic()):
            pass
        return self.ended is not None

    def rest(self):
        return bytes(self.received[self.parsed :])
