"""What an HTTP/1.1 upstream answers, and what of it a client of HTTP/2 may be told."""

from capture import CLOSE, RESET
from frames import data
from http2_case import Cut, Reaches, Told, answered, case

#: The answer has more than one reading, or none.
BAD = (answered(502, 500),)
#: Nobody takes this for an answer of the upstream's.
NONE = (answered(502, 503, 504), Cut())


def cases():
    return [*bodies(), *fields(), *statuses(), *broken(), *early()]


def answer(head, body=b"", *more, line=b"HTTP/1.1 200 OK"):
    """Raw bytes: status line, field lines, body; then actions."""
    lines = [line, *head]
    return [b"".join(one + b"\r\n" for one in lines) + b"\r\n" + body, *more]


def get(section, name, actions, *expected, method="GET", **more):
    whole = dict(reaches=Reaches.WHOLE, **more)
    return case(section, name, lambda c: c.request(method=method), *expected, answer=actions, **whole)


def bodies():
    length = lambda n: b"Content-Length: %d" % n
    chunked = b"Transfer-Encoding: chunked"
    yield get(
        "8.1", "an answer with a length", answer([length(5)], b"body!"), Told(body=b"body!", fields={"content-length": ["5"]})
    )
    yield get("8.1", "an answer without a body", answer([length(0)]), Told(body=b""))
    yield get(
        "8.1",
        "an answer in chunks",
        answer([chunked], b"5\r\nbody!\r\n1\r\n.\r\n0\r\n\r\n"),
        Told(body=b"body!.", absent=("transfer-encoding",)),
    )
    yield get(
        "8.1", "an answer in chunks with extensions", answer([chunked], b"5;a=b\r\nbody!\r\n0\r\n\r\n"), Told(body=b"body!"), *BAD
    )
    yield get(
        "8.1",
        "an answer with trailers",
        answer([chunked, b"Trailer: X-Checksum"], b"5\r\nbody!\r\n0\r\nX-Checksum: abc\r\n\r\n"),
        Told(body=b"body!", trailers=[(b"x-checksum", b"abc")]),
    )
    hop = b"5\r\nbody!\r\n0\r\nConnection: close\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\nX-Checksum: abc\r\n\r\n"
    yield get(
        "8.2.2",
        "trailers of the connection",
        answer([chunked], hop),
        Told(body=b"body!", trailers=[(b"x-checksum", b"abc")]),
        *BAD,
        Cut(),
    )
    pseudo = b"5\r\nbody!\r\n0\r\n:status: 500\r\n\r\n"
    yield get("8.3", "a pseudo-field in trailers", answer([chunked], pseudo), Told(body=b"body!", trailers=[]), *BAD, Cut())
    yield get("8.1", "an answer that ends with its connection", answer([], b"body!", CLOSE), Told(body=b"body!"))
    yield get("8.1", "an answer of HTTP/1.0", answer([length(5)], b"body!", CLOSE, line=b"HTTP/1.0 200 OK"), Told(body=b"body!"))
    noise = bytes(n * n % 251 for n in range(500_000))
    yield get("6.9", "an answer of 500,000 bytes", answer([length(len(noise))], noise), Told(body=noise))
    yield get(
        "8.1",
        "an answer to HEAD with a length",
        answer([length(5)]),
        Told(body=b"", fields={"content-length": ["5"]}),
        method="HEAD",
    )
    yield get(
        "8.1", "an answer to HEAD in chunks", answer([chunked]), Told(body=b"", absent=("transfer-encoding",)), method="HEAD"
    )
    behind = b"body!HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
    yield get("8.1", "an answer with another behind it", answer([length(5)], behind), Told(body=b"body!"), *BAD, Cut())
    yield get(
        "8.1", "an answer without a body, with another behind it", answer([length(0)], behind[5:]), Told(body=b""), *BAD, Cut()
    )
    yield get(
        "8.1", "chunks with another answer behind them", answer([chunked], b"0\r\n\r\n" + behind[5:]), Told(body=b""), *BAD, Cut()
    )


def fields():
    length = b"Content-Length: 0"
    gone = {
        "Connection": b"Connection: close", "Keep-Alive": b"Keep-Alive: timeout=5",
        "Proxy-Connection": b"Proxy-Connection: close", "Upgrade": b"Upgrade: h2c",
    }  # fmt: skip
    for name, line in gone.items():
        yield get("8.2.2", f"{name} of an answer", answer([length, line]), Told(absent=(name.lower(),)))
    named = [length, b"Connection: X-Hop, close", b"X-Hop: 1", b"X-Other: 2"]
    yield get("8.2.2", "a field that Connection names", answer(named), Told(absent=("x-hop",), fields={"x-other": ["2"]}))
    yield get("8.2.1", "names in upper case", answer([length, b"X-UPPER: Value"]), Told(fields={"x-upper": ["Value"]}))
    yield get(
        "8.2",
        "two of one name",
        answer([length, b"Set-Cookie: a=1", b"Set-Cookie: b=2"]),
        Told(fields={"set-cookie": ["a=1", "b=2"]}),
    )
    yield get("8.2.1", "a value between spaces", answer([length, b"X-Test: \t a  b \t "]), Told(fields={"x-test": ["a  b"]}))
    yield get("8.2.1", "a value above ASCII", answer([length, b"X-Test: gr\xfc\xdfe"]), Told(fields={"x-test": [b"gr\xfc\xdfe"]}))
    yield get(
        "8.2.1",
        "a folded line",
        answer([length, b"X-Test: a", b" b"]),
        *BAD,
        Told(fields={"x-test": ["a b"]}),
        Told(fields={"x-test": ["a   b"]}),
        Told(fields={"x-test": ["a  b"]}),
    )
    bad = {
        "NUL in a value": b"X-Test: a\0b", "CR in a value": b"X-Test: a\rb", "a control byte in a value": b"X-Test: a\x01b",
        "a space in a name": b"X Test: 1", "a space behind a name": b"X-Test : 1", "a line without a colon": b"X-Test",
        "an empty name": b": 1", "a pseudo-field": b":status: 500", "a name above ASCII": b"X-\xfc: 1",
    }  # fmt: skip
    for what, line in bad.items():
        yield get(
            "8.2.1",
            f"{what} of an answer",
            answer([length, line]),
            *BAD,
            Told(absent=("x-test", ":status", "x test", "x-test ", ""), without=b"X-\xfc"),
        )
    yield get(
        "8.2.1",
        "LF alone as an end of line",
        answer([length, b"X-Test: a\nX-Other: 2"]),
        *BAD,
        Told(fields={"x-test": ["a"], "x-other": ["2"]}),
    )
    two = [b"Content-Length: 5", b"Content-Length: 6"]
    yield get("8.1.1", "two lengths that differ", answer(two, b"body!", CLOSE), *BAD, Cut())
    both = [b"Content-Length: 3", b"Transfer-Encoding: chunked"]
    yield get(
        "8.1.1",
        "a length beside chunks",
        answer(both, b"5\r\nbody!\r\n0\r\n\r\n", CLOSE),
        *BAD,
        Told(body=b"body!", absent=("content-length",)),
    )
    for value in (b"-1", b"+5", b"0x5", b"five", b"5, 6", b"99999999999999999999"):
        yield get("8.1.1", f"the length {value.decode()}", answer([b"Content-Length: " + value], b"body!", CLOSE), *BAD, Cut())
    for value in (b"gzip, chunked", b"chunked, chunked", b"identity", b"xchunked"):
        yield get(
            "8.1.1",
            f"the coding {value.decode()}",
            answer([b"Transfer-Encoding: " + value], b"5\r\nbody!\r\n0\r\n\r\n", CLOSE),
            *BAD,
            Cut(),
        )


def statuses():
    for status in (201, 301, 404, 503):
        line = b"HTTP/1.1 %d Reason" % status
        yield get(
            "8.3.2", f"the status {status}", answer([b"Content-Length: 5"], b"body!", line=line), Told(status, body=b"body!")
        )
    for status in (204, 304):
        line = b"HTTP/1.1 %d Reason" % status
        yield get("8.1", f"{status} has no body", answer([b"X-Test: 1"], line=line), Told(status, body=b""))
    final = answer([b"Content-Length: 5"], b"body!")[0]
    for status in (100, 103):
        interim = b"HTTP/1.1 %d Interim\r\nX-Interim: 1\r\n\r\n" % status
        yield get("8.1", f"{status} before the answer", [interim + final], Told(body=b"body!", absent=("x-interim",)))
    many = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 20
    yield get("8.1", "103 twenty times before the answer", [many + final], Told(body=b"body!"), *BAD)
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    yield get("8.6", "101 that nobody asked for", [switch + final, CLOSE], *BAD)
    for line in (
        b"HTTP/1.1 99 Low",
        b"HTTP/1.1 2000 Long",
        b"HTTP/1.1 abc OK",
        b"HTTP/2 200",
        b"HTTP/1.1",
        b"200 OK",
        b"ICY 200 OK",
        b"\0\0\0",
    ):
        yield get("8.3.2", f"the status line {line.decode()!r}", answer([b"Content-Length: 5"], b"body!", CLOSE, line=line), *BAD)


def broken():
    yield get("8.1", "an answer that is cut off", answer([b"Content-Length: 10"], b"body!", CLOSE), Cut(), *BAD)
    yield get("8.1", "an answer that is cut off by a reset", answer([b"Content-Length: 10"], b"body!", RESET), Cut(), *BAD)
    chunked = [b"Transfer-Encoding: chunked"]
    yield get("8.1", "chunks that are cut off", answer(chunked, b"5\r\nbody!\r\n", CLOSE), Cut(), *BAD)
    yield get("8.1", "a chunk that is cut off", answer(chunked, b"9\r\nbody!", CLOSE), Cut(), *BAD)
    yield get("8.1", "trailers that are cut off", answer(chunked, b"5\r\nbody!\r\n0\r\nX-Che", CLOSE), Cut(), *BAD)
    for size in (b"x", b"-5", b"0x5", b"5 5", b"", b"fffffffffffffffff"):
        yield get(
            "8.1", f"chunks of the size {size.decode()!r}", answer(chunked, size + b"\r\nbody!\r\n0\r\n\r\n", CLOSE), Cut(), *BAD
        )
    yield get("8.1", "no answer at all", [CLOSE], *NONE)
    yield get("8.1", "a reset instead of an answer", [RESET], *NONE)
    yield get("8.1", "half a head", [b"HTTP/1.1 200 OK\r\nContent-Le", CLOSE], *NONE)
    yield get("10.5.1", "an answer with a field of 1 MiB", answer([b"X-Test: " + b"x" * (1 << 20)], b"", CLOSE), *BAD, Cut())


def early():
    """The upstream answers when it has the head. A proxy that buffers gives it none before the body's end."""
    told = Told(body=b"body!")
    for what, piece, *more in (("", b"x"), (" and closes", b"x" * 9000, CLOSE)):
        head = [b"Content-Length: 5"] + ([b"Connection: close"] if more else [])
        actions = answer(head, b"body!", *more)
        name = f"an upstream that answers before the end of the request{what}"
        whole = dict(answer=actions, early=actions, reaches=Reaches.WHOLE)
        yield case("8.1", name, lambda c, piece=piece: upload_meanwhile(c, piece), told, **whole)


def upload_meanwhile(c, piece):
    stream = c.upload()
    c.send(data(stream, piece, 0))
    if not c.read(lambda: c.on(stream).closed, 1):
        c.send(data(stream))
    return stream
