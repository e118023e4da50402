"""A case in frames: what is sent, and what may come of it."""

from dataclasses import dataclass, field
from enum import Enum

from frames import CODES, WHOLE, block, headers
from http2_client import Connection, Stream


class Reaches(Enum):
    """What of a refused request may have reached the upstream."""

    NOTHING = "nothing"
    PART = "a part"  # the head and some of the body were right, and the message is then cut off
    WHOLE = "the whole"  # the request was whole and right; what came behind it was not


@dataclass
class Case:
    section: str  # of RFC 9113, or "HPACK" and that of RFC 7541, or an incident
    name: str
    act: callable  # sends, returns the stream that is judged, or None; may assert
    expected: tuple  # any of these
    first: tuple = ()  # the client's first SETTINGS
    opened: bool = True  # preface and SETTINGS are exchanged before `act`
    reaches: Reaches = Reaches.NOTHING
    also: callable = None  # what must hold of the connection besides
    answer: list = None  # what the upstream does, if not an echo
    early: list = None  # what it does as soon as it has the head of a request with a body


def case(section, name, act, *expected, **more):
    return Case(section, name, act, expected, **more)


@dataclass
class Seen:
    """What came of it. `requests` are those that reached the upstream."""

    connection: Connection
    stream: Stream
    requests: list
    own: bytes  # the target that the case asks for

    def told(self):
        """For people."""
        c, s = self.connection, self.stream
        parts = [f"status {s.status}"] if s.status else []
        parts += [f"RST_STREAM {s.reset}"] if s.reset else []
        parts += ["ended"] if s.ended else []
        parts += [f"GOAWAY {c.goaway}"] if c.goaway else []
        parts += [f"connection closed ({c.closed})"] if c.closed else []
        parts += [f"answered as HTTP/1: {c.text[:60]!r}"] if c.text else []
        parts += [f"{len(self.requests)} forwarded"] if self.requests else []
        return ", ".join(parts) or "nothing"


@dataclass(frozen=True)
class Gone:
    """A connection error: the connection is closed. What a GOAWAY before that says is for people (RFC 9113 section 5.4.1:
    SHOULD): as h2spec does, another code than the RFC names is counted, and not held against the server.
    """

    codes: frozenset
    forwards = False

    def holds(self, seen):
        return bool(seen.connection.closed)

    def other_code(self, seen):
        """The code that was told, if it is not the one that is due."""
        told = seen.connection.goaway
        return told if seen.connection.closed and told not in self.codes else ""

    def __str__(self):
        return f"a connection error ({' or '.join(sorted(self.codes))})"


@dataclass(frozen=True)
class Reset:
    """A stream error with one of these codes, which may be treated as one of the connection (section 5.4.2)."""

    codes: frozenset
    forwards = False

    def holds(self, seen):
        return seen.stream.reset in self.codes or Gone(self.codes).holds(seen)

    def other_code(self, seen):
        return "" if seen.stream.reset in self.codes else Gone(self.codes).other_code(seen)

    def __str__(self):
        return f"a stream error ({' or '.join(sorted(self.codes))})"


@dataclass(frozen=True)
class Answered:
    """An answer of the proxy's own."""

    statuses: frozenset
    forwards = False

    def holds(self, seen):
        return seen.stream.status in self.statuses

    def __str__(self):
        return f"status {' or '.join(map(str, sorted(self.statuses)))}"


@dataclass(frozen=True)
class Lawful:
    """The server's own settings allow it."""

    setting: int
    least: int
    forwards = True

    def holds(self, seen):
        return seen.connection.settings.get(self.setting, 0) >= self.least and not seen.connection.fatal

    def differences(self, _request, _own):
        return []

    def __str__(self):
        return "a server that allows it"


@dataclass(frozen=True)
class Ignored:
    """Nothing comes of it, and the connection goes on."""

    forwards = False

    def holds(self, seen):
        return seen.connection.alive() and not seen.stream.closed and not seen.connection.fatal

    def __str__(self):
        return "nothing"


@dataclass
class Passed:
    """It reaches the upstream as one request with exactly these parts, and the answer comes back."""

    method: str = "GET"
    target: str | None = None  # None: what the case asked for
    body: bytes = b""
    fields: dict = field(default_factory=dict)  # name: the values of all fields of that name
    absent: tuple = ()
    no_trailers: tuple = ()
    statuses: tuple = (200,)
    forwards = True

    def holds(self, seen):
        if seen.stream.status not in self.statuses or not seen.stream.ended or len(seen.requests) != 1:
            return False
        return not self.differences(seen.requests[0], seen.own)

    def differences(self, request, own):
        target = own if self.target is None else self.target.encode("latin-1")
        wrong = []
        for part, is_, due in (
            ("method", request.method, self.method.encode()),
            ("target", request.target, target),
            ("body", request.body, self.body),
        ):
            wrong += [f"{part} {is_[:80]!r} instead of {due[:80]!r}"] if is_ != due else []
        for name, values in {**self.fields, **{name: [] for name in self.absent}}.items():
            due = [encoded(value) for value in values]
            is_ = values_of(request.fields, name)
            wrong += [f"{name} {is_!r:.120} instead of {due!r:.120}"] if is_ != due else []
        wrong += [f"{name} in trailers" for name in self.no_trailers if values_of(request.trailers, name)]
        return wrong

    def __str__(self):
        return f"{self.method[:20]} passed"


@dataclass
class Told:
    """The upstream's answer reaches the client with exactly these parts. Trailers may be left out."""

    status: int = 200
    body: bytes = b""
    fields: dict = field(default_factory=dict)
    absent: tuple = ()
    trailers: list = field(default_factory=list)
    without: bytes = b"\0"  # no field name has this
    forwards = True

    def holds(self, seen):
        stream = seen.stream
        if (stream.status, stream.ended, bytes(stream.body)) != (self.status, True, self.body):
            return False
        due = {**self.fields, **{name: [] for name in self.absent}}
        is_ = {name: values_of(stream.fields, name) for name in due}
        same = all(is_[name] == [encoded(value) for value in values] for name, values in due.items())
        return same and stream.trailers in ([], self.trailers) and not any(self.without in name for name, _ in stream.fields)

    def differences(self, _request, _own):
        return []

    def __str__(self):
        return f"the answer {self.status} passed on"


@dataclass(frozen=True)
class Cut:
    """The answer ends in an error, so that nobody takes it for whole."""

    forwards = True

    def holds(self, seen):
        c, stream = seen.connection, seen.stream
        return not stream.ended and (stream.reset not in ("", "NO_ERROR") or bool(c.closed))

    def differences(self, _request, _own):
        return []

    def __str__(self):
        return "an answer that is cut off"


def encoded(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def values_of(fields, name):
    return [value for other, value in fields if other.lower() == name.encode("latin-1")]


def gone(*codes):
    return Gone(frozenset(known(codes)))


def reset(*codes):
    return Reset(frozenset(known(codes)))


def answered(*statuses):
    return Answered(frozenset(statuses))


def known(codes):
    for code in codes:
        assert code in CODES, code
    return codes


IGNORED = Ignored()
PROTOCOL = gone("PROTOCOL_ERROR")
# RFC 9113 section 8.1.1: a stream error of type PROTOCOL_ERROR, before which a response may be sent.
MALFORMED = (reset("PROTOCOL_ERROR"), answered(400))


def get(c, stream=1, flags=WHOLE, **pseudo):
    return headers(stream, block(c.head(**pseudo)), flags)


def whole(c, *around, stream=1):
    """A request with frames in front of it; returns its stream."""
    return c.say(stream, *around, get(c, stream))


def said(*pieces):
    """Sends them, and judges the connection."""
    return lambda c: c.send(*pieces) and None
