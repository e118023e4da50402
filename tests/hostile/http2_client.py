"""A client of HTTP/2 that sends what it is told to, right or wrong, and records what comes back.

What comes is read by hyperframe and hpack, which keep the rules: a server that breaks them fails the case.
"""

import socket
import time
from collections import Counter
from dataclasses import dataclass, field

from frames import (
    ACK, END_HEADERS, FRAME_MAX, INITIAL_WINDOW_SIZE, PREFACE, WHOLE, block, code_name, data, headers, ping, settings,
    window_update,
)  # fmt: skip
from hpack import Decoder
from hpack.exceptions import HPACKError
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import Frame

#: RFC 9113 section 8.2.2: no message of HTTP/2 has them.
OF_THE_CONNECTION = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
MALFORMED_FIELD = (("te", "gzip"),)
PATIENCE = 5  # seconds until a peer that says nothing is taken at its word


@dataclass
class Stream:
    """What came back on one stream."""

    interim: list = field(default_factory=list)  # statuses
    status: int = 0
    fields: list = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: list = field(default_factory=list)
    ended: bool = False
    reset: str = ""  # the name of the code

    @property
    def closed(self):
        return self.ended or bool(self.reset)


class Connection:
    """One connection. It answers PING and SETTINGS and gives credit, unless `answers` and `credits` are taken away."""

    def __init__(self, address, token="", first=(), authority="example.com"):
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.token, self.first, self.authority, self.own = token, first, authority, "/"
        self.answers = self.credits = True
        self.spent = False  # no further request is possible
        self.decoder = Decoder(max_header_list_size=1 << 20)
        self.buffer = b""
        self.partial = None  # a field block without END_HEADERS: (stream, flags, bytes)
        self.streams, self.next = {}, 1
        self.given = Counter()  # WINDOW_UPDATE, by stream
        self.kinds = []  # of the frames that came
        self.settings, self.greeted, self.acknowledged, self.pongs = {}, False, 0, []
        self.goaway, self.closed, self.broken, self.text = "", "", "", b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # Sending

    def open(self):
        """Preface and SETTINGS both ways."""
        self.send(PREFACE, settings(*self.first))
        self.read(lambda: self.greeted and self.acknowledged)
        return self

    def send(self, *pieces):
        """Sends; a peer that has closed or reads nothing more is no error here."""
        try:
            self.socket.settimeout(PATIENCE)
            self.socket.sendall(b"".join(pieces))
        except OSError as error:
            self.broken = self.broken or type(error).__name__
        return not self.broken

    def say(self, stream, *pieces):
        """Sends, and returns the stream that it is about."""
        self.next = max(self.next, stream + 1 + stream % 2)
        self.send(*pieces)
        return stream

    def stream(self):
        """The next id of ours."""
        self.next += 2
        return self.next - 2

    def head(self, *more, path=..., method="GET", scheme="http", authority=...):
        """A request's fields: None leaves a pseudo-field out, a tuple repeats it; then the credential, then `more`."""
        path = self.own if path is ... else path
        authority = self.authority if authority is ... else authority
        fields = []
        for name, value in ((":method", method), (":scheme", scheme), (":authority", authority), (":path", path)):
            values = value if isinstance(value, tuple) else () if value is None else (value,)
            fields += [(name, value) for value in values]
        return fields + self.credential() + list(more)

    def credential(self):
        return [("authorization", f"Bearer {self.token}")] if self.token else []

    def malformed(self):
        """The fields of a request that is malformed (RFC 9113 section 8.2.2), and not one of the case's."""
        return self.head(*MALFORMED_FIELD, path="/prime")

    def prime(self, octets, before=b""):
        """A good request to elsewhere with these octets in its field block, and its answer."""
        stream = self.stream()
        self.send(headers(stream, before + block(self.head(path="/prime")) + octets))
        self.settle(stream)
        assert self.on(stream).status == 200, "a good request before the case was not answered"

    def request(self, *more, body=None, **pseudo):
        """A whole request; returns its stream."""
        stream = self.stream()
        head = headers(stream, block(self.head(*more, **pseudo)), END_HEADERS if body is not None else WHOLE)
        self.send(head, data(stream, body) if body is not None else b"")
        return stream

    def upload(self, *more, flags=END_HEADERS, **pseudo):
        """The head of a POST whose body is still to come; returns its stream."""
        stream = self.stream()
        self.send(headers(stream, block(self.head(*more, **{"method": "POST", **pseudo})), flags))
        return stream

    def pour(self, stream, octets, piece=FRAME_MAX):
        """DATA as far as the peer's windows allow, in frames of at most `piece` bytes; whether all was sent."""
        sent = 0
        while sent < len(octets):
            room = min(65535 + self.given[0], self.settings.get(INITIAL_WINDOW_SIZE, 65535) + self.given[stream]) - sent
            if room > 0:
                part = octets[sent : sent + min(piece, room)]
                sent += len(part)
                if not self.send(data(stream, part, 0)):
                    return False
                continue
            before = dict(self.given)
            if not self.read(lambda: dict(self.given) != before or self.on(stream).closed) or self.on(stream).closed:
                return False
        return True

    # Receiving

    def on(self, stream):
        return self.streams.setdefault(stream, Stream())

    def read(self, until, seconds=None):
        """Reads until `until()` holds, the peer closes or the time is over; returns whether it holds."""
        deadline = time.monotonic() + (PATIENCE if seconds is None else seconds)
        while not until():
            left = deadline - time.monotonic()
            if self.closed or left <= 0:
                return False
            try:
                self.socket.settimeout(left)
                got = self.socket.recv(1 << 16)
            except TimeoutError:
                return False
            except OSError:
                self.closed = "reset"
                continue
            if not got:
                self.closed = "end"
            self.feed(got)
        return True

    def settle(self, stream, seconds=None):
        """Reads until the stream is closed by an answer or a reset, or the connection is."""
        over = lambda: self.closed or self.on(stream).closed
        self.read(over, seconds)
        if self.fatal:
            # RFC 9113 section 5.4.1: after the GOAWAY the connection is closed.
            self.read(lambda: self.closed, seconds)

    @property
    def fatal(self):
        return self.goaway not in ("", "NO_ERROR")

    def alive(self):
        """Whether a PING comes back."""
        mark = b"%08d" % (len(self.pongs) + 1)
        self.send(ping(mark))
        return self.read(lambda: mark in self.pongs)

    def feed(self, got):
        self.buffer += got
        if not self.kinds and self.buffer.startswith(b"HTTP/1."):
            self.text += self.buffer
            self.buffer = b""
        while len(self.buffer) >= 9:
            try:
                seen, length = Frame.parse_frame_header(memoryview(self.buffer[:9]))
                if len(self.buffer) < 9 + length:
                    return
                if length > FRAME_MAX:
                    raise ValueError(f"a frame of {length} bytes")
                seen.parse_body(memoryview(self.buffer[9 : 9 + length]))
                self.buffer = self.buffer[9 + length :]
                self.kinds.append(seen.type)
                self.take(seen)
            except (HyperframeError, HPACKError, ValueError) as error:
                raise AssertionError(f"the proxy's own frames are wrong: {type(error).__name__}: {error}") from error

    def take(self, seen):
        getattr(self, f"take_{type(seen).__name__}", lambda _: None)(seen)

    def take_SettingsFrame(self, seen):
        if "ACK" in seen.flags:
            self.acknowledged += 1
            return
        self.settings.update(seen.settings)
        self.greeted = True
        if self.answers:
            self.send(settings(flags=ACK))

    def take_PingFrame(self, seen):
        if "ACK" in seen.flags:
            self.pongs.append(seen.opaque_data)
        elif self.answers:
            self.send(ping(seen.opaque_data, ACK))

    def take_WindowUpdateFrame(self, seen):
        self.given[seen.stream_id] += seen.window_increment

    def take_GoAwayFrame(self, seen):
        self.goaway = code_name(seen.error_code)

    def take_RstStreamFrame(self, seen):
        stream = self.on(seen.stream_id)
        stream.reset = stream.reset or code_name(seen.error_code)

    def take_DataFrame(self, seen):
        stream = self.on(seen.stream_id)
        stream.body += seen.data
        stream.ended |= "END_STREAM" in seen.flags
        if self.credits and seen.flow_controlled_length:
            self.send(window_update(0, seen.flow_controlled_length))
            if not stream.ended:
                self.send(window_update(seen.stream_id, seen.flow_controlled_length))

    def take_HeadersFrame(self, seen):
        self.partial = (seen.stream_id, "END_STREAM" in seen.flags, bytes(seen.data))
        self.finish_block(seen)

    def take_ContinuationFrame(self, seen):
        stream, ends, begun = self.partial
        self.partial = (stream, ends, begun + bytes(seen.data))
        self.finish_block(seen)

    def finish_block(self, seen):
        if "END_HEADERS" not in seen.flags:
            return
        number, ends, whole = self.partial
        fields = [(bytes(name), bytes(value)) for name, value in self.decoder.decode(whole, raw=True)]
        check_fields(fields, self.on(number))
        stream, status = self.on(number), int(dict(fields).get(b":status", 0))
        if 100 <= status < 200:
            stream.interim.append(status)
        elif stream.status:
            stream.trailers = fields
        else:
            stream.status, stream.fields = status, fields
        stream.ended |= ends


def check_fields(fields, stream):
    """RFC 9113 section 8.2 of what a server sends."""
    names = [name for name, _ in fields]
    if stream.status == 0 and names[:1] != [b":status"]:
        raise ValueError(f"an answer begins with {names[:1]}")
    for name, value in fields if stream.status else fields[1:]:
        if name != name.lower() or not name or set(name) & set(b" :\r\n\0\t") or set(value) & set(b"\r\n\0"):
            raise ValueError(f"the field {name!r}: {value!r}")
        if name in OF_THE_CONNECTION:
            raise ValueError(f"the field {name!r} of the connection")
