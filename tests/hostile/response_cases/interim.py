"""Interim answers, and changes of protocol that nobody asked for (RFC 9110 §15.2)."""

from answer_case import AnswerGroup, reads
from capture import CLOSE
from case import get

from response_cases.framing import answer

OK = answer("Content-Length: 3", "abc")
ABC = reads("abc")
POISON = answer("Content-Length: 8", "poisoned")


def groups():
    return [interim(), switching()]


def interim():
    group = AnswerGroup("interim")
    for status in (100, 102, 103, 110, 199):
        group.control(f"{status} first", answer(line=f"HTTP/1.1 {status} Interim") + OK, ABC)
    group.control("several", answer("Link: </a>", line="HTTP/1.1 103 Early Hints") * 3 + OK, ABC)
    early = answer("Link: </a>", line="HTTP/1.1 103 Early Hints")
    for count in (100, 1000, 100_000):
        group.add(f"{count} of them", early * count + OK, ABC)
    group.add("100,000 of them and no answer", [early * 100_000, CLOSE])
    group.add("no answer behind it", [early, CLOSE])
    group.add("with a length", answer("Content-Length: 3", "abc", "HTTP/1.1 103 Early Hints") + OK)
    group.add("with chunks", answer("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 103 Early Hints") + OK)
    group.add(
        "with an answer for a body",
        answer(f"Content-Length: {len(POISON)}", POISON, "HTTP/1.1 100 Continue") + OK,
        hidden="poisoned",
    )
    group.add("in HTTP/1.0", answer(line="HTTP/1.0 100 Continue") + OK, ABC)
    group.add("of 60,000 bytes", answer(f"X: {'y' * 60_000}", line="HTTP/1.1 103 Early Hints") + OK, ABC)
    group.add("without end", [early.removesuffix("\r\n"), CLOSE])
    group.add("with LF", answer(line="HTTP/1.1 103 Early Hints").replace("\r\n", "\n") + OK, ABC)
    group.add("with a NUL", answer("X: \0", line="HTTP/1.1 103 Early Hints") + OK, ABC)
    group.add("CRLF between", answer(line="HTTP/1.1 103 Early Hints") + "\r\n" + OK, ABC)
    return group


def switching():
    """CVE-2026-2833 Pingora, CVE-2024-23326 Envoy: only an upgrade that was asked for, and that the route allows, is one."""
    group = AnswerGroup("101")
    line = "HTTP/1.1 101 Switching Protocols"
    switch = answer("Connection: Upgrade\r\nUpgrade: foo", line=line)
    group.add("unasked", switch, hidden="101 ")
    group.add("unasked, then an answer", switch + OK, ABC, hidden="101 ")
    group.add("unasked, then another's answer", switch + POISON, hidden="poisoned")
    group.add("unasked, then the end", [switch, CLOSE], hidden="101 ")
    group.add("without fields", answer(line=line), hidden="101 ")
    group.add("without fields, then an answer", answer(line=line) + OK, ABC, hidden="101 ")
    group.add("with a length", answer("Content-Length: 8", "poisoned", line), hidden="poisoned")
    group.add("to h2c", answer("Connection: Upgrade\r\nUpgrade: h2c", line=line) + "\0\0\0\x04\0\0\0\0\0", hidden="101 ")
    group.add("to HEAD", switch, method="HEAD", hidden="101 ")
    asks = get("/r", "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__")
    group.add(
        "to a client that asked for h2c",
        answer("Connection: Upgrade\r\nUpgrade: h2c", line=line),
        request=asks,
        refused=True,
        hidden="101 ",
    )
    return group
