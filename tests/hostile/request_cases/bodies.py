"""Bodies that come in pieces, late, early, too long or not at all, and what stands behind them."""

from capture import CLOSE, RESET, early_answer
from case import CLOSED, HIDDEN, HIDDEN_REFUSED, NO, OK, Do, Group, carrying, get, message, post, to_bytes

UNFINISHED = NO(400, 408, CLOSED)
N = len(HIDDEN)
#: With a good credential: whoever takes it for a request forwards it.
SMUGGLED = message("GET /smuggled HTTP/1.1")
ANY = OK(SMUGGLED) | NO(200, 400, 401, 413, 502, 503, CLOSED)


def groups():
    return [pieces(), behind(), unread(), answered_early()]


def pieces():
    group = Group("pieces")
    whole = post("Content-Length: 26", "abcdefghijklmnopqrstuvwxyz")
    coded = post("Transfer-Encoding: chunked", "3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n")
    for name, text, body in [("length", whole, "abcdefghijklmnopqrstuvwxyz"), ("chunks", coded, "abc0123456789abcdef")]:
        for step in (1, 7, 61):
            head, auth, rest = text.partition("{AUTH}")
            cut = [head[i : i + step] for i in range(0, len(head), step)] + [auth]
            cut += [rest[i : i + step] for i in range(0, len(rest), step)]
            group.control(f"{name}, {step} bytes at a time", cut, OK(body))
    for left in (1, 10, 26):
        group.add(f"length cut off {left} bytes before its end", whole[:-left], UNFINISHED, cut=True)
        group.add(f"length reset {left} bytes before its end", [whole[:-left], Do.AWAIT_UPSTREAM, Do.RESET], cut=True)
    group.add("chunks reset before their end", [coded[:-5], Do.AWAIT_UPSTREAM, Do.RESET], cut=True)
    group.add("a hidden request is all that came of the body", post("Content-Length: 1000", HIDDEN), UNFINISHED, cut=True)
    group.add("the head cut off", post("Content-Length: 3")[:-3], UNFINISHED, cut=True)
    group.add("the head cut off in its name", "GET / HTTP/1.1\r\nHos", UNFINISHED, cut=True)
    group.add("the head cut off in its line", "GET /hid", UNFINISHED, cut=True)
    group.add("the head cut off behind its line", "GET /hidden HTTP/1.1\r\n", UNFINISHED, cut=True)
    group.add("the head reset", [post("X: y")[:-2], Do.RESET], cut=True)
    group.add("nothing at all", "", NO(400, 408, CLOSED), cut=True)
    return group


def behind():
    group = Group("behind")
    one = get("/c")
    group.control("three in a row", one * 3, *[OK(method="GET")] * 3)
    group.control("ten in a row", one * 10, *[OK(method="GET")] * 10)
    group.control("bodies in a row", post("Content-Length: 3", "abc") * 3, *[OK("abc")] * 3)
    group.control("chunks in a row", post("Transfer-Encoding: chunked", "1\r\na\r\n0\r\n\r\n") * 3, *[OK("a")] * 3)
    group.control(
        "a HEAD between", one + message("HEAD /c HTTP/1.1") + one, OK(method="GET"), OK(method="HEAD"), OK(method="GET")
    )
    group.control("one without a credential between", one + HIDDEN + one, OK(method="GET"), NO(401), OK(method="GET"))
    group.control("the last one closes", one + get("/c", "Connection: close"), OK(method="GET"), OK(method="GET"))
    group.add("behind one that closes", get("/c", "Connection: close") + one, OK(method="GET"), OK(method="GET"))
    group.add("hidden behind one that closes", get("/c", "Connection: close") + HIDDEN, OK(method="GET"), HIDDEN_REFUSED)
    for name, junk in [
        ("a word", "junk"), ("a line", "junk\r\n"), ("a line and a request", f"junk\r\n{HIDDEN}"), ("a NUL", "\0"),
        ("a NUL and a request", f"\0{HIDDEN}"), ("a space and a request", f" {HIDDEN}"),
        ("a chunk", f"3\r\nabc\r\n0\r\n\r\n{HIDDEN}"), ("a field", f"X: y\r\n\r\n{HIDDEN}"), ("half a request", HIDDEN[:-4]),
        ("an answer", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ]:  # fmt: skip
        group.add(f"junk: {name}", post("Content-Length: 3", f"abc{junk}"), OK("abc"), NO(400, 405, 408, 501, CLOSED), cut=True)
        group.add(f"junk behind no body: {name}", f"{one}{junk}", OK(method="GET"), NO(400, 405, 408, 501, CLOSED), cut=True)
    for name, junk in [("CRLF", "\r\n"), ("two CRLF", "\r\n\r\n"), ("LF", "\n"), ("CRLF and a space", "\r\n ")]:
        second = NO(400) if name.endswith("space") else NO(401, 400)
        group.add(f"{name} before the next", post("Content-Length: 3", f"abc{junk}{HIDDEN}"), OK("abc"), second, probe=False)
    return group


def unread():
    """What is left of a refused request's body never becomes the next request."""
    group = Group("unread body (CVE-2025-4366 Pingora)")
    for coding in ("length", "chunks"):
        for refused, line, auth, statuses in [
            ("no credential", "POST /c HTTP/1.1", "", (401,)),
            ("wrong credential", "POST /c HTTP/1.1", "Authorization: Bearer nonsense\r\n", (401,)),
            ("malformed credential", "POST /c HTTP/1.1", "Authorization: Bearer a b\r\n", (400, 401)),
            ("ambiguous path", "POST /c/%2e%2e/d HTTP/1.1", "", (400, 401)),
            ("CONNECT", "CONNECT a.test:80 HTTP/1.1", "", (400, 401, 405, 501)),
        ]:
            piece = carrying(SMUGGLED, coding, line, auth=auth)
            group.add(f"{refused}, {coding}", piece, NO(*statuses))
            behind = lambda fill, piece=piece: piece(fill) + to_bytes(HIDDEN)
            group.add(f"{refused}, {coding}, and a request behind it", behind, NO(*statuses), HIDDEN_REFUSED)
    late = [post(f"Content-Length: {N}", auth=""), Do.AWAIT_ANSWER, HIDDEN]
    group.add("no credential, the body comes later", late, NO(401), HIDDEN_REFUSED)
    return group


def answered_early():
    """The upstream answers before it has read the body: its connection is out of step until all of that was sent."""
    group = Group("answered early")
    whole = carrying(SMUGGLED, "length")
    for name, early in [
        ("200 and goes on reading", early_answer()),
        ("413 and closes", early_answer(b"413 Content Too Large", CLOSE, fields=b"Connection: close\r\n")),
        ("200 and closes without a word", early_answer(b"200 OK", CLOSE)),
        ("200 and resets", early_answer(b"200 OK", RESET)),
        ("401 and goes on reading", early_answer(b"401 Unauthorized")),
    ]:
        for cut in (1, 40):
            first = lambda fill, cut=cut: whole(fill)[:-cut]
            rest = lambda fill, cut=cut: whole(fill)[-cut:]
            group.add(f"{name}, {cut} bytes later", [first, Do.AWAIT_EARLY_ANSWER, rest], ANY, probe=False, answer_early=early)
            group.add(f"{name}, the last {cut} bytes never come", first, ANY, cut=True, answer_early=early)
    return group
