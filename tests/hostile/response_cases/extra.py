"""Bytes behind an answer: they never answer the next request."""

from answer_case import AnswerGroup, reads
from capture import CLOSE, Gate
from case import get

from response_cases.framing import END, answer

POISON = answer("Content-Length: 8", "poisoned")
FIRST = {
    "a length": (answer("Content-Length: 3", "abc"), "GET", reads("abc")),
    "an empty body": (answer("Content-Length: 0"), "GET", reads()),
    "chunks": (answer("Transfer-Encoding: chunked", f"3\r\nabc\r\n{END}"), "GET", reads("abc")),
    "204": (answer(line="HTTP/1.1 204 No Content"), "GET", reads(status=204)),
    "304": (answer(line="HTTP/1.1 304 Not Modified"), "GET", reads(status=304)),
    "HEAD": (answer("Content-Length: 3"), "HEAD", reads()),
}
JUNK = {
    "an answer": POISON,
    "two answers": POISON * 2,
    "an answer in chunks": answer("Transfer-Encoding: chunked", f"8\r\npoisoned\r\n{END}"),
    "half an answer": POISON[:30],
    "an interim answer": "HTTP/1.1 100 Continue\r\n\r\n",
    "CRLF": "\r\n",
    "a byte": "x",
    "a NUL": "\0",
    "100,000 bytes": "x" * 100_000,
}


def groups():
    return [at_once(), later(), pipelined()]


def at_once():
    group = AnswerGroup("behind")
    for first, (text, method, seen) in FIRST.items():
        for junk, data in JUNK.items():
            group.add(f"{junk} behind {first}", text + data, seen, method=method, hidden="poisoned")
    return group


def later():
    """Unasked, on a connection that waits for its next request."""
    group = AnswerGroup("later")
    for first, (text, method, seen) in FIRST.items():
        for junk in ("an answer", "half an answer", "a byte"):
            group.add(f"{junk} behind {first}", [text, Gate(), JUNK[junk]], seen, method=method, hidden="poisoned")
    group.add("the end of the connection", [FIRST["a length"][0], Gate(), CLOSE], reads("abc"))
    group.add("an answer and the end of the connection", [FIRST["a length"][0], Gate(), POISON, CLOSE], reads("abc"))
    return group


def pipelined():
    group = AnswerGroup("pipelined")
    both = get("/r") + get("/c")
    for first in ("a length", "chunks", "204"):
        text, _, seen = FIRST[first]
        group.add(f"two answers to the first of two requests, {first}", text + POISON, seen, request=both, hidden="poisoned")
    group.control("two requests", FIRST["a length"][0], reads("abc"), request=both)
    return group
