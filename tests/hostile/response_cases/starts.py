"""Status lines (RFC 9112 §4), and what is no answer at all."""

from answer_case import AnswerGroup, reads
from capture import CLOSE
from case import shown

from response_cases.framing import answer

ABC = reads("abc")


def groups():
    return [lines(), strangers()]


def lines():
    group = AnswerGroup("status line")
    for line in ["HTTP/1.1 200 ", "HTTP/1.1 200 OK and more: words", "HTTP/1.1 200 \xc3\x96k", "HTTP/1.0 200 OK"]:
        actions = answer("Content-Length: 3", "abc", line)
        group.control(shown(line), [actions, CLOSE] if "1.0" in line else actions, ABC)
    for line in [
        "HTTP/1.1 200",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 200  OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/1.9 200 OK",
        "HTTP/1.1 200 \tOK",
    ]:
        group.add(f"lenient: {shown(line)}", answer("Content-Length: 3", "abc", line), ABC)
    for line in [
        "HTTP/2.0 200 OK", "HTTP/2 200 OK", "HTTP/2 200", "HTTP/3.0 200 OK", "HTTP/0.9 200 OK", "HTTP/1 200 OK",
        "HTTP/1.10 200 OK", "HTTP/11 200 OK", "http/1.1 200 OK", "HTTPS/1.1 200 OK", "ICY 200 OK", "HTTP/1.1200 OK", "HTTP/1.1",
        "HTTP/1.1 ", "HTTP/1.1 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 2x0 OK", "HTTP/1.1 +200 OK",
        "HTTP/1.1 -200 OK", "HTTP/1.1 0200 OK", "HTTP/1.1 000 OK", "HTTP/1.1 099 OK", "HTTP/1.1 200OK", "HTTP/1.1 \xb200 OK",
        "HTTP/1.1 200 O\0K", "HTTP/1.1 200 O\rK", "HTTP/1.1 200 O\x01K", "HTTP/1.1 200 O\x7fK", " HTTP/1.1 200 OK",
        "\tHTTP/1.1 200 OK", "\0HTTP/1.1 200 OK", "xHTTP/1.1 200 OK", "HTTP /1.1 200 OK", "HTTP/ 1.1 200 OK", "HTTP/-1.1 200 OK",
        "HTTP/1.1\0 200 OK", "GET / HTTP/1.1", "\xef\xbb\xbfHTTP/1.1 200 OK",
    ]:  # fmt: skip
        # A reason's odd bytes may be left out; the rest is no status line.
        accept = (ABC,) if line.startswith("HTTP/1.1 200 O") else ()
        group.add(shown(line), [answer("Content-Length: 3", "abc", line), CLOSE], *accept)
    for status in (600, 999):
        group.add(f"status {status}", answer("Content-Length: 3", "abc", f"HTTP/1.1 {status} Odd"), reads("abc", status))
    group.add("LF behind it", answer("Content-Length: 3", "abc", "HTTP/1.1 200 OK\nX: y"), ABC)
    group.add("LF everywhere", answer("Content-Length: 3\nX: y", "").replace("\r\n", "\n") + "abc", ABC)
    group.add("CR everywhere", [answer("Content-Length: 3").replace("\r\n", "\r") + "abc", CLOSE])
    group.add("CRLF before it", "\r\n" + answer("Content-Length: 3", "abc"), ABC)
    group.add("LF before it", "\n" + answer("Content-Length: 3", "abc"), ABC)
    group.add("100,000 CRLF before it", "\r\n" * 100_000 + answer("Content-Length: 3", "abc"), ABC)
    group.add("a reason of 60,000 bytes", answer("Content-Length: 3", "abc", f"HTTP/1.1 200 {'O' * 60_000}"), ABC)
    group.add("a reason of a megabyte", answer("Content-Length: 3", "abc", f"HTTP/1.1 200 {'O' * 1_000_000}"), ABC)
    return group


def strangers():
    group = AnswerGroup("stranger")
    for name, data in [
        ("HTTP/0.9", "<html>hello</html>"), ("a TLS alert", "\x15\x03\x01\0\x02\x02\x28"),
        ("HTTP/2 frames", "\0\0\x12\x04\0\0\0\0\0" + "\0" * 18), ("SSH", "SSH-2.0-OpenSSH_9.2\r\n"), ("only NUL", "\0" * 1000),
        ("only LF", "\n" * 1000), ("only CRLF", "\r\n" * 1000), ("noise", "".join(map(chr, range(255, 0, -1)))),
        ("a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ("fields first", "Content-Length: 3\r\n\r\nabc"),
        ("a megabyte of a letter", "x" * 1_000_000), ("a body first", "abc" + answer("Content-Length: 3", "abc")),
        ("a chunk first", "3\r\nabc\r\n0\r\n\r\n"),
    ]:  # fmt: skip
        group.add(name, [data, CLOSE])
    return group
