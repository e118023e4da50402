"""A proxy from HTTP/2 to HTTP/1.1 that does it wrong, so that the suites can show that they notice.

`BELIEVING` forwards whatever it is sent, breaks no connection and no stream, and answers all it understands. `REFUSING` resets
every stream. `SILENT` says nothing. All of them serve good requests to `/victim-…` and `/prime`, so that it is the case that
fails.
"""

import contextlib
import socket
import threading

from frames import (
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, PREFACE, SETTINGS, WITH_PRIORITY, block, data,
    headers, ping, rst_stream, settings,
)  # fmt: skip
from hpack import Decoder
from hpack.exceptions import HPACKError

BELIEVING, REFUSING, SILENT = "believing", "refusing", "silent"
PATIENCE = 0.15  # seconds for an upstream that may never answer what it was sent


class Naive:
    kind, host, token = "naive", "127.0.0.1", ""

    def __init__(self, manner, upstream_port):
        self.manner, self.upstream_port = manner, upstream_port
        self.listener = socket.create_server((self.host, 0))
        self.port = self.h2_port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def alive(self):
        return True

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        with sock, contextlib.suppress(OSError):
            Client(self, sock).run()


class Client:
    def __init__(self, proxy, sock):
        self.proxy, self.sock = proxy, sock
        self.decoder = Decoder(max_header_list_size=1 << 30)
        self.blocks, self.heads, self.bodies, self.ended = {}, {}, {}, set()

    def run(self):
        buffer = b""
        self.sock.sendall(settings((3, 100)))
        while got := self.sock.recv(1 << 16):
            buffer = (buffer + got).replace(PREFACE, b"")
            if PREFACE.startswith(buffer[:24]):
                continue
            while len(buffer) >= 9 and len(buffer) >= 9 + int.from_bytes(buffer[:3], "big"):
                length = int.from_bytes(buffer[:3], "big")
                kind, flags, stream = buffer[3], buffer[4], int.from_bytes(buffer[5:9], "big") & (1 << 31) - 1
                payload, buffer = buffer[9 : 9 + length], buffer[9 + length :]
                self.take(kind, flags, stream, payload)

    def take(self, kind, flags, stream, payload):
        silent = self.proxy.manner == SILENT
        if kind == SETTINGS and not flags & ACK and not silent:
            self.sock.sendall(settings(flags=ACK))
        elif kind == PING and not flags & ACK and not silent:
            self.sock.sendall(ping(payload, ACK))
        elif kind in (HEADERS, CONTINUATION):
            payload = bare(payload, flags) if kind == HEADERS else payload
            self.blocks[stream] = self.blocks.get(stream, b"") + payload
            if kind == HEADERS and flags & END_STREAM:
                self.ended.add(stream)
            if flags & END_HEADERS:
                self.head(stream)
        elif kind == DATA:
            self.bodies[stream] = self.bodies.get(stream, b"") + bare(payload, flags & PADDED)
            if flags & END_STREAM:
                self.request(stream)

    def head(self, stream):
        whole = self.blocks.pop(stream)
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self.decoder.decode(whole, raw=True)]
        except HPACKError:
            fields = [(b":method", b"GET"), (b":path", b"/broken")]
        self.heads.setdefault(stream, fields)
        if stream in self.ended:
            self.request(stream)

    def request(self, stream):
        fields, body = self.heads.get(stream, []), self.bodies.get(stream, b"")
        known = dict(fields)
        path = known.get(b":path", b"/")
        if not path.startswith((b"/victim-", b"/prime")) and self.proxy.manner != BELIEVING:
            if self.proxy.manner == REFUSING:
                self.sock.sendall(rst_stream(stream, 1))
            return
        lines = [b"%s %s HTTP/1.1" % (known.get(b":method", b"GET"), path), b"host: " + known.get(b":authority", b"none")]
        lines += [name + b": " + value for name, value in fields if not name.startswith(b":")]
        if body and b"content-length" not in known:
            lines.append(b"content-length: %d" % len(body))
        status, answer = self.ask(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        answered = headers(stream, block([(":status", str(status))]), END_HEADERS | (0 if answer else END_STREAM))
        self.sock.sendall(answered + (data(stream, answer[:16384]) if answer else b""))

    def ask(self, request):
        """One upstream connection for each request; what comes within the time is the answer."""
        got = b""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.proxy.upstream_port)) as upstream:
            upstream.settimeout(PATIENCE)
            upstream.sendall(request)
            while True:
                got += upstream.recv(1 << 16)
                head, end, body = got.partition(b"\r\n\r\n")
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")]
                if end and length and len(body) >= int(length[0][16:]):
                    status = head.split(b" ")[1]
                    return int(status) if status.isdigit() else 200, body
        return 200, b"?"


def bare(payload, flags):
    """Without padding and priority, as far as they are there."""
    if flags & PADDED:
        payload = payload[1 : len(payload) - payload[0]] if payload else b""
    return payload[5:] if flags & WITH_PRIORITY else payload


class Lying(Naive):
    """Answers everything with what was not asked for."""

    def __init__(self):
        super().__init__(BELIEVING, 0)

    def serve(self, sock):
        with sock, contextlib.suppress(OSError):
            client = Client(self, sock)
            client.ask = lambda _: (200, b"/other/good/0")
            client.run()
