#!/usr/bin/env python3
"""The server behind the proxy: one thread, any number of connections. Prints its port.

    backend.py BIG [PORT]

`/big` answers with BIG bytes, everything else with the request's target. A body is read to its end before the answer.
"""

import re
import selectors
import socket
import sys

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


class Connection:
    def __init__(self, sock):
        self.sock, self.read, self.unsent, self.left = sock, b"", [], 0


class Backend:
    def __init__(self, big, port):
        body = b"x" * big
        self.big = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (big, body)
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)

    def serve(self):
        print(self.listener.getsockname()[1], flush=True)
        while True:
            for key, mask in self.selector.select():
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.turn(key.data, mask)

    def accept(self):
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(sock, selectors.EVENT_READ, Connection(sock))

    def turn(self, connection, mask):
        try:
            if mask & selectors.EVENT_READ:
                data = connection.sock.recv(65536)
                if not data:
                    raise ConnectionError
                connection.read += data
                self.answer(connection)
            self.write(connection)
        except BlockingIOError:
            pass
        except OSError:
            self.selector.unregister(connection.sock)
            connection.sock.close()

    def answer(self, connection):
        while True:
            end = connection.read.find(b"\r\n\r\n")
            if end < 0:
                return
            head, body = connection.read[: end + 2], connection.read[end + 4 :]
            if CHUNKED.search(head):
                last = body.find(b"0\r\n\r\n")
                if last < 0:
                    return
                connection.read = body[last + 5 :]
            else:
                length = LENGTH.search(head)
                length = int(length[1]) if length else 0
                if len(body) < length:
                    return
                connection.read = body[length:]
            target = head.split(b" ", 2)[1]
            answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(target), target)
            connection.unsent.append(memoryview(self.big if target.endswith(b"/big") else answer))

    def write(self, connection):
        waits = False
        while connection.unsent and not waits:
            first = connection.unsent[0]
            try:
                sent = connection.sock.send(first)
            except BlockingIOError:
                waits = True
            else:
                connection.unsent[0] = first[sent:]
                if not connection.unsent[0]:
                    connection.unsent.pop(0)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if waits else 0)
        self.selector.modify(connection.sock, events, connection)


if __name__ == "__main__":
    big, *port = map(int, sys.argv[1:])
    Backend(big, *(port or [0])).serve()
