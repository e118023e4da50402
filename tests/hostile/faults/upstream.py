"""An upstream that does to each request what its target names: `/fault/N/…` runs script N, anything else is echoed."""

import contextlib
import re
import socket
import struct
import threading
import time

from faults.scripts import CLOSE, HANG, KEEP, READ_BODY, RESET

HANGS = 20  # seconds
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Upstream:
    def __init__(self, scripts=()):
        self.scripts = scripts
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.requests = []  # method and target of each, as it came
        self.open = set()
        self.ended = threading.Event()

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        # Closing alone would leave the thread in accept.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(HANGS)
            with self.lock:
                self.open.add(sock)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with sock:
            with contextlib.suppress(OSError):
                read = bytearray()
                while self.answer(sock, read):
                    pass
            with self.lock:
                self.open.discard(sock)

    def answer(self, sock, read):
        """Answers one request; whether another may follow."""
        while (end := read.find(b"\r\n\r\n")) < 0:
            more = sock.recv(65536)
            if not more:
                return False
            read += more
        head = bytes(read[: end + 2])
        del read[: end + 4]
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        with self.lock:
            self.requests.append((method, target))
        length = LENGTH.search(head)
        left = Left(sock, read, int(length[1]) if length else 0)
        parts = target.split("/")
        if parts[1] != "fault":
            left.take()
            body = target.encode()
            sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            return True
        return self.play(sock, left, self.scripts[int(parts[2])].steps)

    def play(self, sock, left, steps):
        for step in steps:
            if isinstance(step, bytes):
                sock.sendall(step)
            elif isinstance(step, float):
                time.sleep(step)
            elif step == READ_BODY:
                left.take()
            elif step == RESET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            elif step == HANG:
                self.ended.wait(HANGS)
                return False
            elif step == CLOSE:
                return False
            elif step == KEEP:
                left.take()
        return True

    def close_all(self):
        """Ends every connection, so that what one fault left behind is not taken for the next one's."""
        with self.lock:
            for sock in self.open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def count(self, method, target):
        with self.lock:
            return self.requests.count((method, target))


class Left:
    """What is left of a request's body."""

    def __init__(self, sock, read, length):
        self.sock, self.read, self.length = sock, read, length

    def take(self):
        while len(self.read) < self.length:
            more = self.sock.recv(65536)
            if not more:
                raise ConnectionError
            self.read += more
        del self.read[: self.length]
        self.length = 0
