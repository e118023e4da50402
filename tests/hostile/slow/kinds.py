"""The ways of being slow, and which limit of time ends each."""

from dataclasses import dataclass

# What one connection may cost a proxy, in bytes: one whose request is not there yet, and one whose exchange with the
# backend is under way.
WAITING = 16 * 1024
HEAD_WAITING = 24 * 1024  # hyper doubles its 8 KiB as soon as a first part of the fields is there
UNDER_WAY = 64 * 1024


@dataclass(frozen=True)
class Kind:
    name: str
    sends: str  # at once; {authorization} is filled in
    drips: bytes = b""  # then, a second apart
    reads: str = "all"  # all, a byte a second, or nothing
    waits_for: str = "first byte sent"  # from when its limit counts; "answer" for an idle connection
    limit: int = 1  # times the configured limit; 2 for what moves all the time, which only a limit of the whole request ends
    memory: int = WAITING

    def first_bytes(self, authorization):
        return self.sends.format(authorization=authorization).encode()


HEAD = "POST /slow HTTP/1.1\r\nHost: slow.test\r\nAuthorization: {authorization}\r\nContent-Length: 1000\r\n\r\n"
GET = "GET /{target} HTTP/1.1\r\nHost: slow.test\r\nAuthorization: {{authorization}}\r\n\r\n"

KINDS = (
    Kind("no first byte", ""),
    Kind("fields a byte a second", "GET /slow HTTP/1.1\r\nHost: slow.test\r\nX-Slow: ", drips=b"y", memory=HEAD_WAITING),
    Kind("fields without end", "GET /slow HTTP/1.1\r\nHost: slow.test\r\nX-Slow: y\r\n", memory=HEAD_WAITING),
    Kind("body a byte a second", HEAD, drips=b"y", limit=2, memory=UNDER_WAY),
    Kind("body that never comes", HEAD, memory=UNDER_WAY),
    Kind("answer read a byte a second", GET.format(target="big"), reads="a byte a second", memory=UNDER_WAY),
    Kind("answer never read", GET.format(target="big"), reads="nothing", memory=UNDER_WAY),
    Kind("idle after an answer", GET.format(target="idle"), waits_for="answer"),
)
