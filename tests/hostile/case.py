"""How a case is written: the bytes, and for each message in them what may become of it.

Text stands for bytes (Latin-1). `{AUTH}` becomes a field with a good credential. A step says what may become of one message:
`OK(body)` it reaches the upstream as that and is answered from there; `NO(400)` the proxy answers with one of these and
nothing of it arrives whole; `OK(…) | NO(…)` either is right. Steps behind the first may be missing when the proxy has closed
the connection, except in controls; `HIDDEN_REFUSED` also when what stands behind a message was taken for a part of it.
"""

from dataclasses import dataclass, field
from enum import Enum
from itertools import takewhile


class Do(Enum):
    """What a client may do between its bytes."""

    AWAIT_CONTINUE = "await 100 Continue"
    AWAIT_ANSWER = "await the answer to the next step"
    AWAIT_EARLY_ANSWER = "await the answer for a while"
    AWAIT_UPSTREAM = "await the arrival of something at the upstream"
    HALF_CLOSE = "end the sending side"
    RESET = "reset the connection"


#: Among the statuses of `NO`: the connection ends without an answer.
CLOSED = 0
#: Among the statuses of `NO`: what comes is no answer of HTTP/1 (HTTP/0.9, frames of HTTP/2).
NOT_HTTP1 = -1

#: A request that nobody may take for one unless it stands where one may; then it has no credential.
HIDDEN = "GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n"
UNAUTHORIZED = (401,)
#: In `present`: the port that the proxy listens on.
OWN_PORT = "own port"


@dataclass(frozen=True)
class Sent:
    """A request as the upstream may see it. `None`: whatever it is."""

    body: bytes = b""
    method: bytes = b"POST"
    target: bytes = b"/c"
    host: bytes | None = None


@dataclass(frozen=True)
class Step:
    accept: tuple = ()
    refuse: frozenset = frozenset()
    asked: bytes = b"GET"  # the method, as far as reading the answer needs it
    optional: bool = False

    def __or__(self, other):
        asked = other.asked if other.asked != b"GET" else self.asked
        return Step(self.accept + other.accept, self.refuse | other.refuse, asked)


def OK(body="", method="POST", target="/c", host=None):
    sent = Sent(to_bytes(body), to_bytes(method), to_bytes(target), None if host is None else to_bytes(host))
    return Step((sent,), asked=b"HEAD" if method == "HEAD" else b"GET")


def NO(*statuses):
    return Step(refuse=frozenset(statuses))


HIDDEN_REFUSED = Step(refuse=frozenset((*UNAUTHORIZED, 400)), optional=True)


@dataclass
class Case:
    name: str
    pieces: list
    steps: list
    control: bool = False  # harmless: it has to pass
    cut: bool = False  # it is incomplete: its sender ends before an answer is due
    due: int = 0  # so many answers have to come even so
    patience: float = 0.15  # seconds that what is cut off is given before its sender ends
    probe: bool = True  # whether another request may follow on the connection
    absent: bytes = b""  # must not occur in what the upstream sees of the case
    present: tuple = ()  # fields, as (name, value), that the upstream sees
    unsaid: bytes = b""  # must not occur in what the client is told
    escapes: bool = False  # no path outside /public may arrive
    answer: object = None  # what the upstream answers; by default an echo
    answer_early: object = None
    late: list = field(default_factory=list)  # gates of the upstream's to open once the client has its answer
    group: str = ""

    @property
    def asked(self):
        """The methods of the messages that have to be answered."""
        return [step.asked for step in self.steps if not step.optional]


@dataclass
class Group:
    """Cases of one kind; adding to it makes them."""

    name: str
    cases: list = field(default_factory=list)

    def add(self, name, pieces, *steps, **more):
        pieces = pieces if isinstance(pieces, list) else [pieces]
        more["absent"] = to_bytes(more.get("absent", b""))
        more["unsaid"] = to_bytes(more.get("unsaid", b""))
        pieces = [to_bytes(piece) for piece in pieces]
        more.setdefault("due", sum(1 for _ in takewhile(lambda step: not step.optional and CLOSED not in step.refuse, steps)))
        self.cases.append(Case(f"{self.name}: {name}", pieces, list(steps), group=self.name, **more))

    def control(self, name, pieces, *steps, **more):
        self.add(name, pieces, *steps, control=True, **more)


def to_bytes(text):
    return text.encode("latin-1") if isinstance(text, str) else text


def message(line="POST /c HTTP/1.1", fields="", body="", host="Host: a.test\r\n", auth="{AUTH}\r\n"):
    """A request whose last fields are `fields`, lines without their last CRLF."""
    return f"{line}\r\n{host}{auth}{fields}{CRLF if fields else ''}\r\n{body}"


CRLF = "\r\n"


def post(fields="", body="", **more):
    return message(fields=fields, body=body, **more)


def get(target="/c", fields="", **more):
    return message(f"GET {target} HTTP/1.1", fields, **more)


def carrying(body, coding="length", line="POST /c HTTP/1.1", fields="", auth="{AUTH}\r\n", host="Host: a.test\r\n"):
    """A piece: a request whose body may have `{AUTH}` in it, which is filled in before the body is counted."""

    def piece(fill):
        filled = fill(to_bytes(body))
        if coding == "length":
            framing, wire = b"Content-Length: %d" % len(filled), filled
        else:
            framing, wire = b"Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(filled), filled)
        head = b"%b\r\n%b%b%b%b\r\n\r\n" % tuple(map(to_bytes, (line, host, auth, fields and fields + CRLF, framing)))
        return fill(head) + wire

    return piece


def shown(text, limit=60):
    """A name for a case from the text that makes it."""
    data = text if isinstance(text, bytes) else text.encode("latin-1")
    line = repr(data)[2:-1]
    return line if len(line) <= limit else f"{line[: limit - 20]}…({len(data)} bytes)"
