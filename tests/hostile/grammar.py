"""Reads what a client sent by the grammar of RFC 9112, with the leniencies that it grants: what the client can be said to have
sent. Where the grammar has no reading, or two, it says so: from there on nothing may be forwarded whole.

It is the other side of the differential run: what `strict` reads at the upstream has to be what this read at the client.
"""

import re
from dataclasses import dataclass, field

from strict import TOKEN

LINE = re.compile(rb"(" + TOKEN + rb") ([!-~\x80-\xff]+) HTTP/1\.([01])")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*((?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)[ \t]*")
CHUNK = re.compile(rb"0*([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?")
LENGTH = re.compile(rb"[0-9]+")
STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t -~\x80-\xff]*)?")
ORIGIN = re.compile(rb"^https?://[^/?#]*", re.IGNORECASE)
ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
UNRESERVED = re.compile(rb"[A-Za-z0-9._~\-]")


class Invalid(Exception):
    """The grammar has no single reading."""


class Incomplete(Exception):
    """More has to come."""


@dataclass
class Request:
    method: bytes
    target: bytes
    credentials: list
    body: bytes = b""


@dataclass
class Reading:
    requests: list = field(default_factory=list)
    end: str = "complete"  # or "incomplete", or "invalid: …"


def read(data):
    """All requests of a connection, up to where there are none."""
    reading = Reading()
    at = 0
    try:
        while True:
            while data[at : at + 2] == b"\r\n":
                at += 2
            if at >= len(data):
                return reading
            request, at = read_one(data, at)
            reading.requests.append(request)
    except Incomplete:
        reading.end = "incomplete"
    except Invalid as why:
        reading.end = f"invalid: {why}"
    return reading


def read_one(data, at):
    head, at = lines_of(data, at)
    line = LINE.fullmatch(head[0])
    if not line:
        raise Invalid(f"request line {head[0][:80]!r}")
    method, target, version = line.groups()
    values = fields_of(head[1:])
    hosts, lengths, codings = (values.get(name, []) for name in (b"host", b"content-length", b"transfer-encoding"))
    if len(hosts) > 1 or not hosts and version == b"1":
        raise Invalid(f"{len(hosts)} hosts")
    request = Request(method, target, values.get(b"authorization", []))
    if codings:
        if [coding.lower() for coding in codings] != [b"chunked"] or lengths or version == b"0":
            raise Invalid(f"framing {codings} {lengths}")
        request.body, at = chunks_of(data, at)
        return request, at
    if len(lengths) > 1 or lengths and not LENGTH.fullmatch(lengths[0]):
        raise Invalid(f"lengths {lengths}")
    length = int(lengths[0]) if lengths else 0
    if len(data) < at + length:
        raise Incomplete
    request.body = data[at : at + length]
    return request, at + length


@dataclass
class Answer:
    status: int
    body: bytes


def read_answer(data, method):
    """The final answer that an upstream gave before it ended its connection. What is behind it is nobody's."""
    at = 0
    while True:
        head, at = lines_of(data, at)
        line = head and STATUS.fullmatch(head[0])
        if not line:
            raise Invalid(f"status line {head[:1]}")
        version, status = line.group(1), int(line.group(2))
        values = fields_of(head[1:])
        lengths, codings = values.get(b"content-length", []), values.get(b"transfer-encoding", [])
        if status >= 200:
            break
        if status == 101 or codings or any(length.strip(b"0") for length in lengths):
            raise Invalid(f"a {status} that is more than interim")
    if codings and ([coding.lower() for coding in codings] != [b"chunked"] or lengths or version == b"0"):
        raise Invalid(f"framing {codings} {lengths}")
    if len({length.lstrip(b"0") for length in lengths}) > 1 or any(not LENGTH.fullmatch(length) for length in lengths):
        raise Invalid(f"lengths {lengths}")
    if method == b"HEAD" or status in (204, 304):
        return Answer(status, b"")
    if codings:
        return Answer(status, chunks_of(data, at)[0])
    if not lengths:
        return Answer(status, data[at:])
    length = int(lengths[0])
    if len(data) < at + length:
        raise Incomplete
    return Answer(status, data[at : at + length])


def canonical(target):
    """The path and query of a target in the form of RFC 3986 §6.2.2."""
    path, mark, query = ORIGIN.sub(b"", target).partition(b"?")
    return ESCAPE.sub(plain, path or b"/") + mark + query


def plain(escape):
    byte = bytes([int(escape.group(1), 16)])
    return byte if UNRESERVED.fullmatch(byte) else escape.group(0).upper()


def lines_of(data, at):
    """A head's lines, and where it ends."""
    lines = []
    while True:
        line, at = line_at(data, at)
        if not line:
            return lines, at
        lines.append(line)


def line_at(data, at):
    end = data.find(b"\n", at)
    line = data[at : end if end >= 0 else len(data)]
    if end >= 0 and not line.endswith(b"\r"):
        raise Invalid(f"LF alone behind {line[-40:]!r}")
    text = line[:-1] if line.endswith(b"\r") else line
    if b"\r" in text:
        raise Invalid(f"CR alone in {line[:80]!r}")
    if end < 0:
        raise Incomplete
    return text, end + 1


def fields_of(lines):
    values = {}
    for line in lines:
        match = FIELD.fullmatch(line)
        if not match:
            raise Invalid(f"field line {line[:80]!r}")
        values.setdefault(match.group(1).lower(), []).append(match.group(2))
    return values


def chunks_of(data, at):
    pieces = []
    while True:
        line, at = line_at(data, at)
        match = CHUNK.fullmatch(line)
        if not match:
            raise Invalid(f"chunk size {line[:80]!r}")
        size = int(match.group(1), 16)
        if size == 0:
            trailers, at = lines_of(data, at)
            fields_of(trailers)
            return b"".join(pieces), at
        end = data[at + size : at + size + 2]
        if not b"\r\n".startswith(end):
            raise Invalid(f"{end!r} behind a chunk")
        if len(end) < 2:
            raise Incomplete
        pieces.append(data[at : at + size])
        at += size + 2
