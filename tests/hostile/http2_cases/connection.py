"""Cases after RFC 9113 sections 3.4 to 5.5: the preface, frames, field blocks, streams."""

from frames import (
    END_STREAM, FRAME_MAX, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, PREFACE, SETTINGS, UNKNOWN, WHOLE, WINDOW_MAX, WITH_PRIORITY,
    block, continuation, data, dependency, frame, goaway, headers, ping, priority, rst_stream, settings, window_update,
)  # fmt: skip
from http2_client import MALFORMED_FIELD
from http2_case import IGNORED, PROTOCOL, Lawful, Passed, Reaches, case, get, gone, reset, said, whole

PART, OWN = Reaches.PART, Reaches.WHOLE
SIZE = gone("FRAME_SIZE_ERROR")
ALLOWED = Lawful(MAX_FRAME_SIZE, FRAME_MAX + 1)
CLOSED = reset("STREAM_CLOSED")
# On a stream that both sides have closed, either section 5.1 or 5.1.1 is broken.
REUSED = reset("STREAM_CLOSED", "PROTOCOL_ERROR")
UNEXPECTED = gone("STREAM_CLOSED", "PROTOCOL_ERROR")


def cases():
    return [*preface(), *frames(), *blocks(), *states(), *identifiers()]


def preface():
    bare = dict(opened=False)
    yield case("3.4", "a preface whose end is wrong", said(PREFACE[:-6] + b"XX\r\n\r\n", settings()), PROTOCOL, **bare)
    yield case("3.4", "PING before SETTINGS", said(PREFACE, ping()), PROTOCOL, **bare)
    yield case("3.4", "a request before SETTINGS", lambda c: c.say(1, PREFACE, get(c)), PROTOCOL, **bare)
    yield case("3.4", "the preface twice", said(PREFACE, settings(), PREFACE), gone("PROTOCOL_ERROR", "FRAME_SIZE_ERROR"), **bare)
    yield case("3.4", "a request right behind the preface", lambda c: c.say(1, PREFACE, settings(), get(c)), Passed(), **bare)
    yield case("3.4", "preface and request byte by byte", byte_by_byte, Passed(), **bare)
    yield case("3.4", "the server begins with SETTINGS", whole, Passed(), also=lambda c: c.kinds[0] == SETTINGS)
    yield case("6.5.3", "SETTINGS that are never acknowledged", unacknowledged, Passed(), **bare)


def byte_by_byte(c):
    for byte in PREFACE + settings() + get(c):
        c.send(bytes((byte,)))
    return c.say(1)


def unacknowledged(c):
    c.answers = False
    return c.open().request()


def frames():
    yield case("4.1", "a frame of unknown type", said(frame(UNKNOWN, 0, 0, b"12345678")), IGNORED)
    yield case("4.1", "a frame of unknown type on an open stream", unknown_inside, Passed("POST", body=b"body"))
    yield case("4.1", "undefined flags of PING", said(ping(flags=0xFE)), IGNORED, also=lambda c: b"keyward!" in c.pongs)
    yield case("4.1", "undefined flags of HEADERS", lambda c: c.say(1, get(c, flags=WHOLE | 0xD2)), Passed())
    yield case("4.1", "undefined flags of DATA", odd_data, Passed("POST", body=b"body"))
    yield case("4.1", "the reserved bit of the stream id", lambda c: c.say(1, get(c, 1 | 1 << 31)), Passed())
    yield case(
        "4.1", "the reserved bit of PING's stream id", said(ping(stream=1 << 31)), IGNORED, also=lambda c: b"keyward!" in c.pongs
    )
    largest = bytes(range(256)) * 64
    yield case("4.2", "DATA of 16,384 bytes", lambda c: c.request(method="POST", body=largest), Passed("POST", body=largest))
    too_much = largest + b"x"
    yield case(
        "4.2",
        "DATA of 16,385 bytes",
        lambda c: c.request(method="POST", body=too_much),
        reset("FRAME_SIZE_ERROR"),
        ALLOWED,
        reaches=PART,
    )
    filler = [("x-filler", "x" * 6000), ("x-filler", "y" * 6000), ("x-filler", "z" * 6000)]
    yield case("4.2", "HEADERS of more than 16,384 bytes", lambda c: c.request(*filler), SIZE, ALLOWED)
    yield case("4.2", "SETTINGS of more than 16,384 bytes", said(settings(*[(0xFFFF, 1)] * 2731)), SIZE, ALLOWED)
    yield case("4.2", "an unknown frame of 16,385 bytes", said(frame(UNKNOWN, 0, 0, b"x" * (FRAME_MAX + 1))), SIZE, ALLOWED)
    yield case("4.2", "CONTINUATION of 16,385 bytes", large_continuation, SIZE, ALLOWED)


def unknown_inside(c):
    stream = c.upload()
    return c.say(stream, frame(UNKNOWN, 0xFF, stream, b"1234"), data(stream, b"body"))


def odd_data(c):
    stream = c.upload()
    return c.say(stream, data(stream, b"body", END_STREAM | 0xF6))


def large_continuation(c):
    filler = block([("x-filler", "x" * FRAME_MAX)])
    return c.say(1, get(c, flags=END_STREAM), continuation(1, filler))


def blocks():
    broken = {
        "with an index that is none": b"\x82\x86\x84\xff\xff\xff\xff\xff\xff\xff",
        "that ends inside a string": b"\x82\x86\x84\x00\x05abc",
        "that ends inside a number": b"\x82\x86\x84\x00\x7f\x80",
    }
    for what, octets in broken.items():
        yield case(
            "4.3", f"a field block {what}", lambda c, octets=octets: c.say(1, headers(1, octets)), gone("COMPRESSION_ERROR")
        )
    yield case("4.3", "trailers that cannot be decoded", broken_trailers, gone("COMPRESSION_ERROR"), reaches=PART)
    between = {
        "PRIORITY": priority(1), "HEADERS of another stream": headers(3, b"\x82\x86\x84"), "PING": ping(),
        "SETTINGS": settings(), "WINDOW_UPDATE": window_update(0, 1), "DATA": data(1, b"x"), "RST_STREAM": rst_stream(1),
        "GOAWAY": goaway(), "CONTINUATION of another stream": continuation(3),
        "HEADERS of the same stream": headers(1, b"\x82\x86\x84"),
    }  # fmt: skip
    for what, octets in between.items():
        yield case("4.3", f"{what} inside a field block", lambda c, octets=octets: inside(c, octets), PROTOCOL)
    yield case("5.5", "a frame of unknown type inside a field block", lambda c: inside(c, frame(UNKNOWN, 0, 0, b"x")), PROTOCOL)
    yield case("4.3", "a refused request still counts for the table", refused_counts, Passed(fields={"x-kept": ["kept"]}))


def inside(c, octets):
    whole = block(c.head())
    return c.say(1, headers(1, whole[:30], END_STREAM), octets, continuation(1, whole[30:]))


def broken_trailers(c):
    stream = c.upload()
    return c.say(stream, data(stream, b"body", 0), headers(stream, b"\xff\xff\xff\xff\xff\xff"))


def refused_counts(c):
    entry = b"\x40\x06x-kept\x04kept"
    c.send(headers(1, block(c.malformed()) + entry))
    c.settle(1)
    assert c.on(1).closed or c.closed, "the malformed request was not refused"
    return c.say(3, headers(3, block(c.head()) + b"\xbe"))


def states():
    idle = {
        "DATA": data(1, b"x"), "RST_STREAM": rst_stream(1), "WINDOW_UPDATE": window_update(1, 100),
        "CONTINUATION": continuation(1),
    }  # fmt: skip
    for what, octets in idle.items():
        yield case("5.1", f"{what} on an idle stream", said(octets), PROTOCOL)
    yield case("5.1", "PRIORITY on an idle stream", lambda c: whole(c, priority(1)), Passed())
    yield case("5.1", "DATA behind the end of the stream", lambda c: c.say(1, get(c), data(1, b"x")), CLOSED, reaches=OWN)
    yield case("5.1", "HEADERS behind the end of the stream", lambda c: c.say(1, get(c), get(c)), REUSED, reaches=OWN)
    yield case(
        "5.1", "CONTINUATION behind the end of the stream", lambda c: c.say(1, get(c), continuation(1)), UNEXPECTED, reaches=OWN
    )
    yield case("5.1", "WINDOW_UPDATE behind the end of the stream", lambda c: c.say(1, get(c), window_update(1, 1)), Passed())
    yield case("5.1", "PRIORITY behind the end of the stream", lambda c: c.say(1, get(c), priority(1)), Passed())
    # What comes late may be dropped, but for what no stream could carry.
    late = {
        "DATA": (data(1, b"x"), CLOSED, IGNORED),
        "HEADERS": (None, REUSED, IGNORED),
        "CONTINUATION": (continuation(1), UNEXPECTED),
    }
    for what, (octets, *expected) in late.items():
        yield case("5.1", f"{what} after RST_STREAM", lambda c, octets=octets: after_reset(c, octets), *expected, reaches=PART)
        yield case("5.1", f"{what} on a closed stream", lambda c, octets=octets: after_end(c, octets), *expected, reaches=OWN)
    for what, octets in {"WINDOW_UPDATE": window_update(1, 1), "RST_STREAM": rst_stream(1), "PRIORITY": priority(1)}.items():
        yield case("5.1", f"{what} on a closed stream", lambda c, octets=octets: after_answer(c, octets), Passed())


def after_reset(c, octets):
    c.upload()
    c.send(rst_stream(1), octets or get(c))
    return 1


def after_end(c, octets):
    c.settle(c.request())
    # What came back is not the answer to what comes now.
    c.streams.clear()
    return c.say(1, octets or get(c))


def after_answer(c, octets):
    c.settle(c.request())
    c.send(octets)
    assert c.alive(), "the connection was ended"
    return 1


def identifiers():
    yield case("5.1.1", "an even stream id", lambda c: c.say(2, get(c, 2)), PROTOCOL)
    yield case("5.1.1", "a stream id below the last", lambda c: c.say(5, get(c, 5), get(c, 3)) and 3, REUSED, reaches=OWN)
    yield case("5.1.1", "a stream id far above the last", lambda c: c.say(1001, get(c, 1001)), Passed())
    yield case("5.1.1", "the highest stream id", highest, Passed())
    yield case("5.1.2", "a stream more than is allowed", crowd, reset("PROTOCOL_ERROR", "REFUSED_STREAM"), reaches=PART)
    yield case("5.1.2", "as many streams as are allowed, again and again", crowds, Passed())
    yield case("5.3", "HEADERS that depend on themselves", lambda c: depending(c, 1), Passed(), reset("PROTOCOL_ERROR"))
    yield case("5.3", "HEADERS that depend on a stream that is none", lambda c: depending(c, 77), Passed())
    yield case(
        "5.3",
        "PRIORITY that depends on itself",
        lambda c: whole(c, priority(1, 1)),
        Passed(),
        reset("PROTOCOL_ERROR"),
        gone("PROTOCOL_ERROR"),
    )
    yield case(
        "5.3",
        "PRIORITY in a circle",
        lambda c: whole(c, *[priority(n, n % 9 + 2, exclusive=True) for n in range(1, 41, 2)]),
        Passed(),
    )


def highest(c):
    c.spent = True
    return c.say(WINDOW_MAX, get(c, WINDOW_MAX))


def crowd(c):
    limit = c.settings.get(MAX_CONCURRENT_STREAMS)
    assert limit and limit <= 1000, f"no limit on streams is announced: {limit}"
    for _ in range(limit):
        c.upload()
    c.spent = True
    return c.upload()


def crowds(c):
    """Closed streams do not count."""
    limit = c.settings.get(MAX_CONCURRENT_STREAMS)
    assert limit and limit <= 1000, f"no limit on streams is announced: {limit}"
    for _ in range(3):
        # Malformed, so that hardly anything reaches the upstream.
        crowd = [c.request(*MALFORMED_FIELD, path="/prime") for _ in range(limit)]
        c.read(lambda: all(c.on(stream).closed for stream in crowd))
    return c.request()


def depending(c, other):
    return c.say(1, headers(1, dependency(other) + block(c.head()), WHOLE | WITH_PRIORITY))
