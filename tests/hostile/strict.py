"""A strict reader of HTTP/1: what has exactly one reading for every parser, or a doubt that says why not.

It is independent of any proxy's parser and far narrower than RFC 9112: CRLF alone ends a line, one framing field in
canonical form, chunks without extensions, one Host, no field name that folds onto one that matters, no control bytes,
no dot segment. What a proxy forwards has to pass this; so has what it answers.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([!-~]+) HTTP/1\.([01])")
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
VISIBLE = rb"[\x21-\x7e\x80-\xff]"
VALUE = rb"(?:" + VISIBLE + rb"(?:[\t\x20-\x7e\x80-\xff]*" + VISIBLE + rb")?)?"
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*(" + VALUE + rb")[ \t]*")
# RFC 3986 §3.2.2 without the comma, which would make two of one.
NAME = rb"(?:[A-Za-z0-9._~!$&'()*+;=\-]|%[0-9A-Fa-f]{2})*"
LITERAL = rb"\[(?:[0-9A-Fa-f:.]+|v[0-9A-Fa-f]+\.[A-Za-z0-9._~:\-]+)\]"
HOST = re.compile(rb"(?:" + NAME + rb"|" + LITERAL + rb")(?::([0-9]{0,5}))?")
LENGTH = re.compile(rb"0|[1-9][0-9]{0,18}")
CHUNK_SIZE = re.compile(rb"[1-9A-Fa-f][0-9A-Fa-f]{0,14}")
BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
LINE_END = re.compile(rb"(?<!\r)\n|\r(?!\n)")

HEAD_MAX = 256 * 1024

#: Names that decide where a message ends, who it is for, or who is asking; a spelling that folds onto one is a doubt.
FOLDING = {
    b"authorization", b"connection", b"content-length", b"expect", b"forwarded", b"host", b"http2-settings", b"keep-alive",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"true-client-ip", b"upgrade", b"x-client-ip", b"x-real-ip",
    b"x-auth-assertion", b"x-auth-client", b"x-auth-credential", b"x-auth-method", b"x-auth-scopes", b"x-auth-subject",
    b"x-request-id",
}  # fmt: skip
FOLDING_FAMILIES = (b"x-forwarded-", b"x-original-", b"x-rewrite-")
#: Fields that mean nothing, or something dangerous, in trailers.
NEVER_TRAILERS = FOLDING | {b"content-encoding", b"content-type", b"content-range", b"cookie", b"set-cookie"}


class Doubt(Exception):
    """More than one reading, or none."""


@dataclass
class Message:
    start: int
    end: int
    version: int  # the minor one
    fields: list
    body: bytes = b""
    trailers: list = field(default_factory=list)
    method: bytes = b""
    target: bytes = b""
    status: int = 0

    def get(self, name):
        """The value of the only field `name`; `None` without one."""
        values = [value for other, value in self.fields if other.lower() == name]
        return values[0] if values else None

    def line(self):
        return b"%s %s" % (self.method, self.target) if self.method else b"%d" % self.status


@dataclass
class Head:
    """A head without what follows it."""

    message: Message
    length: int | None  # None: no Content-Length
    chunked: bool

    @property
    def has_body(self):
        return self.chunked or bool(self.length)


def read_request_head(data, start=0):
    """The head of the request at `start`; `None` while it is incomplete."""
    lines, end = head_lines(data, start)
    if lines is None:
        return None
    line = REQUEST_LINE.fullmatch(lines[0])
    if not line:
        raise Doubt(f"request line {lines[0][:200]!r}")
    method, target, version = line.groups()
    message = Message(start, end, int(version), read_fields(lines[1:]), method=method, target=target)
    check_target(message)
    check_host(message)
    check_connection(message)
    return Head(message, *framing(message))


def read_request(data, start=0):
    """The whole request at `start`; `None` while it is incomplete."""
    head = read_request_head(data, start)
    if head is None:
        return None
    return read_body(data, head.message, head.length or 0, head.chunked)


def read_answer_head(data, start=0, asked=b"GET"):
    """The head of the answer at `start` to a request with the method `asked`; `None` while it is incomplete. A body that
    ends with its connection has no length and is not chunked."""
    lines, end = head_lines(data, start)
    if lines is None:
        return None
    line = STATUS_LINE.fullmatch(lines[0])
    if not line:
        raise Doubt(f"status line {lines[0][:200]!r}")
    version, status, _ = line.groups()
    message = Message(start, end, int(version), read_fields(lines[1:]), status=int(status))
    length, chunked = framing(message)
    if message.status < 200 or message.status == 204:
        if length or chunked:
            raise Doubt(f"a {message.status} with a body")
        length, chunked = 0, False
    elif message.status == 304 or asked == b"HEAD":
        length, chunked = 0, False
    return Head(message, length, chunked)


def read_answer(data, start=0, asked=b"GET", closed=False):
    """The whole answer at `start`; `None` while it is incomplete. `closed`: its connection ended in an orderly way."""
    head = read_answer_head(data, start, asked)
    if head is None:
        return None
    if head.length is None and not head.chunked:
        head.message.body = bytes(data[head.message.end :])
        head.message.end = len(data)
        return head.message if closed else None
    return read_body(data, head.message, head.length or 0, head.chunked)


def head_lines(data, start):
    end = data.find(b"\r\n\r\n", start)
    block = bytes(data[start : end if end >= 0 else start + HEAD_MAX])
    # The last CR of what is incomplete may be followed by an LF yet.
    stray = LINE_END.search(block if end >= 0 else block.removesuffix(b"\r"))
    if stray:
        at = stray.start()
        raise Doubt(f"a bare CR or LF in {block[max(0, at - 40) : at + 40]!r}")
    if end < 0:
        if len(block) >= HEAD_MAX:
            raise Doubt("a head without end")
        if block.startswith(b"\r\n"):
            raise Doubt("an empty line before a message")
        return None, 0
    return block.split(b"\r\n"), end + 4


def read_fields(lines):
    fields = []
    for line in lines:
        match = FIELD.fullmatch(line)
        if not match:
            raise Doubt(f"field line {line[:200]!r}")
        name, value = match.groups()
        folded = fold(name)
        if folded != name.lower() and (folded in FOLDING or folded.startswith(FOLDING_FAMILIES)):
            raise Doubt(f"the name {name!r} folds onto {folded!r}")
        fields.append((name, value))
    return fields


def fold(name):
    """A field name as CGI and its kin read it."""
    return name.lower().replace(b"_", b"-").replace(b".", b"-")


def the_only(message, name):
    values = [value for other, value in message.fields if other.lower() == name]
    if len(values) > 1:
        raise Doubt(f"{len(values)} fields {name.decode()}")
    return values[0] if values else None


def framing(message):
    length, coding = the_only(message, b"content-length"), the_only(message, b"transfer-encoding")
    if length is not None and coding is not None:
        raise Doubt("Content-Length and Transfer-Encoding")
    if coding is not None:
        if coding.lower() != b"chunked":
            raise Doubt(f"Transfer-Encoding {coding!r}")
        if message.version == 0:
            raise Doubt("Transfer-Encoding in HTTP/1.0")
        return None, True
    if length is None:
        return None, False
    if not LENGTH.fullmatch(length) or int(length) >= 1 << 63:
        raise Doubt(f"Content-Length {length!r}")
    return int(length), False


def check_target(message):
    target = message.target
    if target == b"*" and message.method == b"OPTIONS":
        return
    if target.lower().startswith(b"http://"):
        authority, slash, rest = target[7:].partition(b"/")
        if authority.lower() != (message.get(b"host") or b"").lower():
            raise Doubt(f"the target {target[:200]!r} names another host than {message.get(b'host')!r}")
        target = slash + rest
    if not target.startswith(b"/"):
        raise Doubt(f"the target {target[:200]!r} is no path")
    if b"#" in target:
        raise Doubt(f"a fragment in the target {target[:200]!r}")
    path = target.partition(b"?")[0]
    if BROKEN_ESCAPE.search(path):
        raise Doubt(f"a broken escape in {path[:200]!r}")
    if any(byte < 0x20 or byte == 0x7F for byte in unquote_to_bytes(path)):
        raise Doubt(f"a control byte in {path[:200]!r}")
    if dot_segments(path):
        raise Doubt(f"a dot segment in {path[:200]!r}")


def loosest_segments(path):
    """The segments of a path as the most careless server reads it: decoded as often as there are escapes, split at both
    slashes, parameters dropped."""
    while (decoded := unquote_to_bytes(path)) != path:
        path = decoded
    return [segment.partition(b";")[0] for segment in path.replace(b"\\", b"/").split(b"/")]


def dot_segments(path):
    return any(segment in (b".", b"..") for segment in loosest_segments(path))


def check_host(message):
    host = the_only(message, b"host")
    if host is None:
        raise Doubt("no Host")
    match = HOST.fullmatch(host)
    if not match or int(match.group(1) or 0) > 65535:
        raise Doubt(f"Host {host[:200]!r}")


def check_connection(message):
    for name, value in message.fields:
        lower = name.lower()
        if lower == b"connection":
            options = {option.strip().lower() for option in value.split(b",")}
            if not options <= {b"", b"close", b"keep-alive", b"upgrade", b"te"}:
                raise Doubt(f"Connection {value!r}")
        elif lower == b"upgrade" and b"h2" in value.lower():
            raise Doubt(f"Upgrade {value!r}")
        elif lower in (b"http2-settings", b"proxy-connection"):
            raise Doubt(f"{name!r} is forwarded")
        elif lower == b"expect" and value.lower() != b"100-continue":
            raise Doubt(f"Expect {value!r}")
        elif lower == b"te" and value.lower() != b"trailers":
            raise Doubt(f"TE {value!r}")


def read_body(data, message, length, chunked):
    if not chunked:
        if len(data) < message.end + length:
            return None
        message.body = bytes(data[message.end : message.end + length])
        message.end += length
        return message
    at = message.end
    pieces = []
    while True:
        line = chunk_line(data, at)
        if line is None:
            return None
        at += len(line) + 2
        if line == b"0":
            break
        if not CHUNK_SIZE.fullmatch(line):
            raise Doubt(f"chunk size {line[:200]!r}")
        size = int(line, 16)
        behind = bytes(data[at + size : at + size + 2])
        if not b"\r\n".startswith(behind):
            raise Doubt(f"{behind!r} behind a chunk of {size} bytes")
        if len(behind) < 2:
            return None
        pieces.append(bytes(data[at : at + size]))
        at += size + 2
    return read_trailers(data, message, at, b"".join(pieces))


def chunk_line(data, at):
    end = data.find(b"\n", at, at + 100)
    if end < 0:
        if len(data) >= at + 100:
            raise Doubt(f"chunk size {bytes(data[at : at + 100])!r}")
        return None
    line = bytes(data[at:end])
    if not line.endswith(b"\r"):
        raise Doubt(f"a chunk size {line!r} ends with LF alone")
    return line[:-1]


def read_trailers(data, message, at, body):
    if data[at : at + 2] == b"\r\n":
        end, lines = at + 2, []
    elif b"\r\n".startswith(bytes(data[at : at + 2])):
        return None
    else:
        lines, end = head_lines(data, at)
        if lines is None:
            return None
    message.trailers = read_fields(lines)
    for name, _ in message.trailers:
        if fold(name) in NEVER_TRAILERS or fold(name).startswith(FOLDING_FAMILIES):
            raise Doubt(f"the trailer {name!r}")
    message.body, message.end = body, end
    return message
