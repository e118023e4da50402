"""What the scripted upstream does to a request, and what the client may be told.

A script is a list of steps: bytes to send, seconds to wait, or one of the words below.
"""

from dataclasses import dataclass

CLOSE, RESET, HANG, KEEP, READ_BODY = "close", "reset", "hang", "keep", "read the body"

# What the client may see.
REFUSED = "refused"  # 502, 503 or 504
CUT = "cut"  # an answer that is visibly not whole
WHOLE = "whole"  # 200 with the body `hello`


@dataclass(frozen=True)
class Fault:
    name: str
    steps: tuple
    seen: tuple
    slow: bool = False  # ended by a limit of time
    methods: tuple = ("GET", "POST")  # `empty POST` has no body
    pause: float = 0.0  # seconds before others ask


OK = b"HTTP/1.1 200 OK\r\n"
FIVE = OK + b"content-length: 5\r\n\r\n"
HELLO = FIVE + b"hello"
CHUNKS = OK + b"transfer-encoding: chunked\r\n\r\n"
POISON = OK + b"content-length: 6\r\n\r\npoison"

EVERY = ("GET", "POST", "empty POST")

NO_ANSWER = [
    Fault("closes at once", (CLOSE,), (REFUSED,), methods=EVERY),
    Fault("resets at once", (RESET,), (REFUSED,), methods=EVERY),
    Fault("reads and closes", (READ_BODY, CLOSE), (REFUSED,), methods=EVERY),
    Fault("reads and resets", (READ_BODY, RESET), (REFUSED,), methods=EVERY),
    Fault("never answers", (READ_BODY, HANG), (REFUSED,), slow=True),
    Fault("never reads the body", (HANG,), (REFUSED,), slow=True, methods=("POST",)),
    Fault("half a status line, then closes", (b"HTTP/1.1 2", CLOSE), (REFUSED,)),
    Fault("half a status line, then resets", (b"HTTP/1.1 2", 0.1, RESET), (REFUSED,)),
    Fault("half a status line, then hangs", (b"HTTP/1.1 2", HANG), (REFUSED,), slow=True, methods=("POST",)),
    Fault("half the fields, then closes", (OK + b"x: y\r\n", CLOSE), (REFUSED,)),
    Fault("half the fields, then resets", (OK + b"x: y\r\n", 0.1, RESET), (REFUSED,)),
    Fault("half the fields, then hangs", (OK + b"x: y\r\n", HANG), (REFUSED,), slow=True, methods=("POST",)),
    Fault("fields a byte at a time", (*(step for byte in OK for step in (bytes([byte]), 0.3)), HANG), (REFUSED,), slow=True, methods=("GET",)),
]

GARBAGE = [
    Fault(f"answers {name}", (READ_BODY, text, CLOSE), (REFUSED,))
    for name, text in [
        ("with another protocol", b"SSH-2.0-OpenSSH_9.6\r\n"),
        ("with a TLS alert", bytes.fromhex("15030100020230")),
        ("with NULs", bytes(200)),
        ("with noise", bytes(range(255, 0, -1)) * 4),
        ("in HTTP/2", bytes.fromhex("000000040000000000")),
        ("in HTTP/7.1", b"HTTP/7.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
        ("with a status of letters", b"HTTP/1.1 abc\r\ncontent-length: 5\r\n\r\nhello"),
        ("with a field without a colon", OK + b"nonsense\r\ncontent-length: 5\r\n\r\nhello"),
        ("with two lengths", OK + b"content-length: 5\r\ncontent-length: 50\r\n\r\nhello"),
        ("with a length that is no number", OK + b"content-length: -5\r\n\r\nhello"),
        ("with a megabyte of fields", OK + b"x: " + b"y" * (1 << 20) + b"\r\ncontent-length: 5\r\n\r\nhello"),
        ("that it switches protocols", b"HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
    ]
]

BODY = [
    Fault("half a body, then closes", (FIVE + b"he", CLOSE), (CUT, REFUSED)),
    Fault("half a body, then resets", (FIVE + b"he", 0.1, RESET), (CUT, REFUSED)),
    Fault("half a body, then hangs", (FIVE + b"he", HANG), (CUT, REFUSED), slow=True, methods=("POST",)),
    Fault("fields alone, then hangs", (FIVE, HANG), (CUT, REFUSED), slow=True, methods=("GET",)),
    Fault("half a chunk, then closes", (CHUNKS + b"5\r\nhe", CLOSE), (CUT, REFUSED)),
    Fault("half a chunk, then hangs", (CHUNKS + b"5\r\nhe", HANG), (CUT, REFUSED), slow=True, methods=("POST",)),
    Fault("no last chunk", (CHUNKS + b"5\r\nhello\r\n", CLOSE), (CUT, REFUSED)),
    Fault("no last chunk, then resets", (CHUNKS + b"5\r\nhello\r\n", 0.1, RESET), (CUT, REFUSED)),
    Fault("a chunk of no size", (CHUNKS + b"5\r\nhello\r\nzz\r\n", 0.1, CLOSE), (CUT, REFUSED)),
    Fault("until it closes", (READ_BODY, OK + b"connection: close\r\n\r\nhello", CLOSE), (WHOLE,)),
    Fault("until it closes, and resets", (OK + b"connection: close\r\n\r\nhel", 0.1, RESET), (CUT, REFUSED)),
]

TOO_MUCH = [
    Fault("more than it promised", (HELLO + b"more", KEEP), (WHOLE, REFUSED)),
    Fault("a second answer behind it", (HELLO + POISON, KEEP), (WHOLE, REFUSED)),
    Fault("a second answer a moment later", (HELLO, 0.1, POISON, KEEP), (WHOLE,), pause=0.3),
    Fault("a second answer behind the last chunk", (CHUNKS + b"5\r\nhello\r\n0\r\n\r\n" + POISON, KEEP), (WHOLE, REFUSED)),
    Fault("a whole answer, then closes unannounced", (READ_BODY, HELLO, CLOSE), (WHOLE,)),
    Fault("a whole answer, then resets", (HELLO, 0.1, RESET), (WHOLE,)),
    Fault("fifty interim answers", (b"HTTP/1.1 100 x\r\nlink: y\r\n\r\n" * 50 + HELLO, KEEP), (WHOLE, REFUSED)),
    Fault("an answer before the body was sent", (HELLO, KEEP), (WHOLE,), methods=("POST",)),
]

GROUPS = {"no answer": NO_ANSWER, "garbage": GARBAGE, "no whole body": BODY, "too much": TOO_MUCH}
