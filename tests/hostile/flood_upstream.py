"""An HTTP/1.1 upstream for floods: fast, with bounded memory, and it counts who asked.

flood_upstream.py      listens on a free loopback port and prints it; ends with its standard input

/other/…        the target as the body
/flood/KEY/…    the same, counted under KEY
…/late          the same after two seconds
/large/BYTES    as many bytes, as fast as they are read
/stalled/…      reads no more and never answers
/counts         JSON of the counts by KEY
"""

import asyncio
import json
import os
import re
import sys
from collections import Counter

HEAD_MAX = 1 << 18
LATE = 2  # seconds
COUNTS = Counter()
PIECE = b"x" * (1 << 16)
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"


class Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(high=1 << 16)
        self.buffer = b""
        self.asked = None  # the method and target of a request whose body is still to come
        self.skip = 0  # bytes of its body that are; `None`: chunks until the last one
        self.busy = False  # an answer is not out yet
        self.large = 0  # bytes of it that are to come
        self.full = False

    def data_received(self, got):
        self.buffer += got
        self.go_on()

    def go_on(self):
        while not self.busy and not self.transport.is_closing() and self.step():
            pass

    def step(self):
        """Takes the next head, part of a body or end of one from the buffer; whether there was one."""
        if self.asked is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self.buffer) > HEAD_MAX:
                    self.transport.close()
                return False
            head, self.buffer = self.buffer[:end], self.buffer[end + 4 :]
            self.begin(head)
        elif self.skip is None:
            end = (b"\r\n" + self.buffer).find(LAST_CHUNK)
            if end < 0:
                self.buffer = self.buffer[-len(LAST_CHUNK) :]
                return False
            self.buffer = self.buffer[end + len(LAST_CHUNK) - 2 :]
            self.end()
        else:
            gone = min(self.skip, len(self.buffer))
            self.buffer, self.skip = self.buffer[gone:], self.skip - gone
            if self.skip:
                return False
            self.end()
        return True

    def begin(self, head):
        method, target, _ = head.split(b"\r\n", 1)[0].split(b" ")
        kind, _, rest = target[1:].partition(b"/")
        if kind == b"flood":
            COUNTS[rest.partition(b"/")[0].decode("latin-1")] += 1
        if kind == b"stalled":
            self.busy = True
            return self.transport.pause_reading()
        length = LENGTH.search(head)
        self.asked = method, target
        self.skip = None if CHUNKED.search(head) else int(length[1]) if length else 0

    def end(self):
        (method, target), self.asked = self.asked, None
        if target.endswith(b"/late"):
            self.busy = True
            asyncio.get_running_loop().call_later(LATE, self.answer, method, target)
        else:
            self.answer(method, target)

    def answer(self, method, target):
        self.busy = False
        kind, _, rest = target[1:].partition(b"/")
        if kind == b"large":
            self.busy, self.large = True, int(rest)
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.large)
            return self.stream()
        body = json.dumps(COUNTS).encode() if kind == b"counts" else target
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(head if method == b"HEAD" else head + body)
        self.go_on()

    def stream(self):
        while self.large and not self.full and not self.transport.is_closing():
            piece = PIECE[: self.large]
            self.large -= len(piece)
            self.transport.write(piece)
        if not self.large and self.busy:
            self.busy = False
            self.go_on()

    def pause_writing(self):
        self.full = True

    def resume_writing(self):
        self.full = False
        if self.busy and self.large:
            self.stream()


async def main():
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    # Whoever still waits is no reason to stay.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
