"""Cases after RFC 9113 sections 8.1 to 8.5: messages, their length, their trailers, CONNECT."""

from frames import END_HEADERS, WHOLE, block, data, headers
from http2_case import MALFORMED, Passed, Reaches, answered, case, reset

PART = Reaches.PART
CLOSED = reset("STREAM_CLOSED", "PROTOCOL_ERROR")
# No resource of the upstream's answers to CONNECT, and the proxy opens no tunnels to elsewhere.
NO_TUNNEL = (*MALFORMED, answered(400, 403, 404, 405, 501), reset("PROTOCOL_ERROR", "REFUSED_STREAM", "CONNECT_ERROR", "CANCEL"))


def cases():
    return [*messages(), *lengths(), *trailers(), *connects()]


def messages():
    for method in ("GET", "OPTIONS", "DELETE", "X-CUSTOM"):
        yield case("8.1", f"{method} without a body", lambda c, m=method: c.request(method=m), Passed(method))
    yield case(
        "8.1",
        "HEAD is answered without a body",
        lambda c: c.request(method="HEAD"),
        Passed("HEAD"),
        also=lambda c: not c.on(1).body,
    )
    for method in ("POST", "PUT", "GET", "DELETE"):
        yield case(
            "8.1", f"{method} with a body", lambda c, m=method: c.request(method=m, body=b"body"), Passed(method, body=b"body")
        )
    yield case("8.1", "POST without a body", lambda c: c.request(method="POST"), Passed("POST"))
    yield case("8.1", "POST whose body is an empty DATA", lambda c: c.request(method="POST", body=b""), Passed("POST"))
    noise = bytes(n * n % 251 for n in range(300_000))
    yield case("8.1", "POST of 300,000 bytes in frames of 1,000", lambda c: large(c, noise), Passed("POST", body=noise))
    yield case(
        "8.1",
        "a body that looks like a request",
        lambda c: c.request(method="POST", body=SMUGGLED),
        Passed("POST", body=SMUGGLED),
    )
    yield case(
        "8.1",
        "a body that looks like chunks",
        lambda c: c.request(method="POST", body=b"0\r\n\r\n" + SMUGGLED),
        Passed("POST", body=b"0\r\n\r\n" + SMUGGLED),
    )
    yield case("8.1", "Expect: 100-continue", lambda c: expecting(c), Passed("POST", body=b"body"))
    yield case("8.4", "an answer of PUSH_PROMISE is never made", lambda c: c.request(), Passed(), also=lambda c: 5 not in c.kinds)


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: example.com\r\n\r\n"


def large(c, noise):
    stream = c.upload(("content-length", str(len(noise))))
    c.pour(stream, noise, 1000)
    return c.say(stream, data(stream))


def expecting(c):
    stream = c.upload(("expect", "100-continue"), ("content-length", "4"))
    c.read(lambda: c.on(stream).interim or c.on(stream).closed, 1)
    return c.say(stream, data(stream, b"body"))


def lengths():
    """What HTTP/1.1 would be told of the body's length, against what DATA says."""
    post = lambda announced, body=b"body!", **more: (
        lambda c: c.request(("content-length", announced), method="POST", body=body, **more)
    )
    yield case(
        "8.1.1", "content-length that is right", post("5"), Passed("POST", body=b"body!", fields={"content-length": ["5"]})
    )
    yield case("8.1.1", "less DATA than announced", post("6"), *MALFORMED, reaches=PART)
    yield case("8.1.1", "more DATA than announced", post("4"), *MALFORMED, reaches=PART)
    yield case(
        "8.1.1", "more DATA than announced, in a second frame", lambda c: in_two(c, "5"), *MALFORMED, reaches=Reaches.WHOLE
    )
    yield case("8.1.1", "less DATA than announced, in two frames", lambda c: in_two(c, "11"), *MALFORMED, reaches=PART)
    yield case("8.1.1", "content-length without DATA", lambda c: c.request(("content-length", "5"), method="POST"), *MALFORMED)
    yield case("8.1.1", "content-length of GET without DATA", lambda c: c.request(("content-length", "5")), *MALFORMED)
    yield case("8.1.1", "content-length of 0 with DATA", post("0"), *MALFORMED, reaches=PART)
    yield case(
        "8.1.1", "content-length of 0 without DATA", lambda c: c.request(("content-length", "0"), method="POST"), Passed("POST")
    )
    yield case("8.1.1", "DATA that ends in trailers before the announced length", short_with_trailers, *MALFORMED, reaches=PART)
    wrong = {
        "negative": "-5", "with a plus": "+5", "hexadecimal": "0x5", "no number": "five", "empty": "", "a list": "5, 5",
        "a list of two": "5,6", "with a space inside": "5 5", "with a fraction": "5.0", "with an exponent": "5e0",
        "above 2^64": "18446744073709551621", "above 2^63": "9223372036854775808", "in other digits": "\xb2",
        "with underscore": "0_5", "with NUL": "5\0", "with CR LF": "5\r\nx: y",
    }  # fmt: skip
    for what, text in wrong.items():
        yield case("8.1.1", f"content-length {what}", post(text), *MALFORMED, answered(413))
    one = Passed("POST", body=b"body!", fields={"content-length": ["5"]})
    yield case("8.1.1", "content-length with leading zeros", post("005"), *MALFORMED, one)
    twice = lambda a, b: lambda c: c.request(("content-length", a), ("content-length", b), method="POST", body=b"body!")
    yield case("8.1.1", "two content-length that are equal", twice("5", "5"), *MALFORMED, one)
    yield case("8.1.1", "two content-length that differ", twice("5", "6"), *MALFORMED)
    yield case("8.1.1", "two content-length, the second empty", twice("5", ""), *MALFORMED)
    coded = [("content-length", "5"), ("transfer-encoding", "chunked")]
    yield case(
        "8.2.2", "content-length and transfer-encoding", lambda c: c.request(*coded, method="POST", body=b"body!"), *MALFORMED
    )


def in_two(c, announced):
    stream = c.upload(("content-length", announced))
    return c.say(stream, data(stream, b"body!", 0), data(stream, b"more!"))


def short_with_trailers(c):
    stream = c.upload(("content-length", "9"))
    return c.say(stream, data(stream, b"body", 0), headers(stream, block([("x-checksum", "abc")])))


def trailers():
    good = Passed("POST", body=b"body")
    yield case("8.1", "trailers", ended_by(("x-checksum", "abc")), good)
    yield case(
        "8.1", "trailers without a body", lambda c: c.say(c.upload(), headers(1, block([("x-checksum", "abc")]))), Passed("POST")
    )
    yield case("8.1", "trailers that are empty", ended_by(), good, *MALFORMED)
    yield case(
        "CVE-2026-73513",
        "trailers without END_STREAM",
        ended_by(("x-checksum", "abc"), flags=END_HEADERS),
        *MALFORMED,
        reaches=PART,
    )
    yield case("CVE-2026-73513", "HEADERS without END_STREAM twice, without a body", twice_begun, *MALFORMED, reaches=PART)
    yield case(
        "8.1",
        "DATA behind trailers without END_STREAM",
        lambda c: behind(c, END_HEADERS, data(1, b"x")),
        *MALFORMED,
        reaches=PART,
    )
    yield case("8.1", "DATA behind trailers", lambda c: behind(c, WHOLE, data(1, b"x")), CLOSED, reaches=Reaches.WHOLE)
    yield case(
        "8.1",
        "HEADERS behind trailers",
        lambda c: behind(c, WHOLE, headers(1, block([("x-more", "1")]))),
        CLOSED,
        reaches=Reaches.WHOLE,
    )
    pseudo = {":path": "/smuggled", ":method": "GET", ":status": "200", ":authority": "other.example", ":unknown": "1"}
    for name, value in pseudo.items():
        yield case("8.1", f"{name} in trailers", ended_by((name, value)), *MALFORMED, reaches=PART)
    for name, value in {"X-Upper": "1", "x test": "1", "": "1", "x\r\ny": "1", "x:y": "1", 'x"y': "1"}.items():
        yield case("8.2.1", f"trailers with the name {name!r}", ended_by((name, value)), *MALFORMED, reaches=PART)
    for value in ("a\r\nX-Smuggled: 1", "a\nb", "a\0b", "a\rb", "\r\n\r\nGET /smuggled HTTP/1.1\r\n"):
        yield case("8.2.1", f"trailers with the value {value!r}", ended_by(("x-test", value)), *MALFORMED, reaches=PART)
    framing = {"connection": "close", "transfer-encoding": "chunked", "keep-alive": "1", "upgrade": "h2c"}
    for name, value in framing.items():
        yield case("8.2.2", f"{name} in trailers", ended_by((name, value)), *MALFORMED, reaches=PART)
    for name, value in {
        "content-length": "100",
        "host": "other.example",
        "authorization": "Bearer x",
        "te": "trailers",
        "content_length": "9",
        "x-auth-subject": "other",
        "x_auth_subject": "other",
        "x-forwarded-for": "10.0.0.1",
    }.items():
        dropped = Passed("POST", body=b"body", no_trailers=(name,))
        yield case("RFC 9110 6.5.1", f"{name} in trailers", ended_by((name, value)), *MALFORMED, dropped, reaches=PART)


def ended_by(*fields, flags=WHOLE):
    def act(c):
        stream = c.upload()
        return c.say(stream, data(stream, b"body", 0), headers(stream, block(fields), flags))

    return act


def twice_begun(c):
    stream = c.upload()
    return c.say(stream, headers(stream, block(c.head(method="POST")), END_HEADERS))


def behind(c, flags, octets):
    stream = c.upload()
    return c.say(stream, data(stream, b"body", 0), headers(stream, block([("x-checksum", "abc")]), flags), octets)


def connects():
    yield case("8.5", "CONNECT", lambda c: tunnel(c, authority="example.com:80"), *NO_TUNNEL)
    yield case(
        "8.5", "CONNECT with DATA", lambda c: tunnel(c, b"GET /smuggled HTTP/1.1\r\n\r\n", authority="example.com:80"), *NO_TUNNEL
    )
    yield case("8.5", "CONNECT to another host", lambda c: tunnel(c, authority="127.0.0.1:22"), *NO_TUNNEL)
    yield case("CVE-2026-73547", "CONNECT without anything", lambda c: tunnel(c, authority=None), *NO_TUNNEL)
    yield case("8.5", "CONNECT with a port alone", lambda c: tunnel(c, authority=":80"), *NO_TUNNEL)
    yield case("8.5", "CONNECT with an empty authority", lambda c: tunnel(c, authority=""), *NO_TUNNEL)
    yield case("8.5", "CONNECT with path and scheme", lambda c: c.say(c.upload(method="CONNECT")), *NO_TUNNEL)
    yield case("8.5", "CONNECT with a path", lambda c: tunnel(c, path="/smuggled"), *NO_TUNNEL)
    yield case("8.5", "CONNECT with END_STREAM", lambda c: c.request(method="CONNECT", scheme=None, path=None), *NO_TUNNEL)
    yield case("8.5", "CONNECT in lower case", lambda c: c.request(method="connect", scheme=None, path=None), *NO_TUNNEL)
    protocol = lambda value, **pseudo: (
        lambda c: c.say(
            c.stream(), headers(1, block([*c.head(**pseudo)[:4], (":protocol", value), *c.credential()]), END_HEADERS)
        )
    )
    full = dict(method="CONNECT")
    yield case("RFC 8441", ":protocol with GET", protocol("websocket"), *MALFORMED)
    yield case("RFC 8441", ":protocol that nobody knows", protocol("unknown", **full), *NO_TUNNEL)
    yield case("RFC 8441", ":protocol that is empty", protocol("", **full), *NO_TUNNEL)
    yield case("RFC 8441", ":protocol with CR LF", protocol("websocket\r\nX-Smuggled: 1", **full), *NO_TUNNEL)
    yield case("RFC 8441", ":protocol with a space", protocol("websocket x", **full), *NO_TUNNEL)
    yield case("RFC 8441", ":protocol of h2c", protocol("h2c", **full), *NO_TUNNEL)
    bare = lambda c: c.say(
        c.stream(),
        headers(
            1,
            block([(":method", "CONNECT"), (":authority", c.authority), (":protocol", "websocket"), *c.credential()]),
            END_HEADERS,
        ),
    )
    yield case("RFC 8441", ":protocol without path and scheme", bare, *NO_TUNNEL)
    for length in ("5", "200", "4000"):
        opens = [("sec-websocket-version", "13"), ("content-length", length)]
        asks = lambda c, opens=opens: c.say(
            c.stream(),
            headers(1, block([*c.head(**full)[:4], (":protocol", "websocket"), *opens, *c.credential()]), END_HEADERS),
        )
        yield case("RFC 8441", f":protocol with a body of {length} bytes announced and none sent", asks, *NO_TUNNEL)


def tunnel(c, octets=b"", **pseudo):
    stream = c.upload(**{"method": "CONNECT", "scheme": None, "path": None, **pseudo})
    return c.say(stream, data(stream, octets, 0) if octets else b"")
