"""Cases after RFC 9113 sections 3.4 to 7: the preface, frames, streams, settings, flow control."""

from frames import (
    ACK, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, FRAME_MAX, GOAWAY, HEADER_TABLE_SIZE, HEADERS,
    INITIAL_WINDOW_SIZE, MALFORMED_FIELD, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE, PADDED, PING, PREFACE, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, UNKNOWN, WHOLE, WINDOW_MAX, WINDOW_UPDATE, WITH_PRIORITY, block, continuation, data,
    dependency, frame, goaway, headers, padded, ping, priority, rst_stream, settings, window_update,
)  # fmt: skip
from http2_case import IGNORED, PROTOCOL, Lawful, Passed, Reaches, case, gone, reset

PART, OWN = Reaches.PART, Reaches.WHOLE
SIZE = gone("FRAME_SIZE_ERROR")
PADDING = gone("PROTOCOL_ERROR", "FRAME_SIZE_ERROR")
ALLOWED = Lawful(MAX_FRAME_SIZE, FRAME_MAX + 1)
CLOSED = reset("STREAM_CLOSED")
# On a stream that both sides have closed, either section 5.1 or 5.1.1 is broken.
REUSED = reset("STREAM_CLOSED", "PROTOCOL_ERROR")
UNEXPECTED = gone("STREAM_CLOSED", "PROTOCOL_ERROR")


def cases():
    return [*preface(), *frames(), *blocks(), *states(), *identifiers(), *kinds(), *control(), *windows(), *continuations()]


def get(c, stream=1, flags=WHOLE, **pseudo):
    return headers(stream, block(c.head(**pseudo)), flags)


def whole(c, *around, stream=1):
    """A request with frames in front of it; returns its stream."""
    return c.say(stream, *around, get(c, stream))


def said(*pieces):
    """Sends them, and judges the connection."""
    return lambda c: c.send(*pieces) and None


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
    yield case("4.1", "the reserved bit of PING's stream id", said(ping(stream=1 << 31)), IGNORED, also=lambda c: b"keyward!" in c.pongs)
    largest = bytes(range(256)) * 64
    yield case("4.2", "DATA of 16,384 bytes", lambda c: c.request(method="POST", body=largest), Passed("POST", body=largest))
    too_much = largest + b"x"
    yield case("4.2", "DATA of 16,385 bytes", lambda c: c.request(method="POST", body=too_much), reset("FRAME_SIZE_ERROR"), ALLOWED, reaches=PART)
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
        yield case("4.3", f"a field block {what}", lambda c, octets=octets: c.say(1, headers(1, octets)), gone("COMPRESSION_ERROR"))
    yield case("4.3", "trailers that cannot be decoded", broken_trailers, gone("COMPRESSION_ERROR"), reaches=PART)
    between = {
        "PRIORITY": priority(1), "HEADERS of another stream": headers(3, b"\x82\x86\x84"), "PING": ping(), "SETTINGS": settings(),
        "WINDOW_UPDATE": window_update(0, 1), "DATA": data(1, b"x"), "RST_STREAM": rst_stream(1), "GOAWAY": goaway(),
        "CONTINUATION of another stream": continuation(3), "HEADERS of the same stream": headers(1, b"\x82\x86\x84"),
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
        "DATA": data(1, b"x"), "RST_STREAM": rst_stream(1), "WINDOW_UPDATE": window_update(1, 100), "CONTINUATION": continuation(1),
    }  # fmt: skip
    for what, octets in idle.items():
        yield case("5.1", f"{what} on an idle stream", said(octets), PROTOCOL)
    yield case("5.1", "PRIORITY on an idle stream", lambda c: whole(c, priority(1)), Passed())
    yield case("5.1", "DATA behind the end of the stream", lambda c: c.say(1, get(c), data(1, b"x")), CLOSED, reaches=OWN)
    yield case("5.1", "HEADERS behind the end of the stream", lambda c: c.say(1, get(c), get(c)), REUSED, reaches=OWN)
    yield case("5.1", "CONTINUATION behind the end of the stream", lambda c: c.say(1, get(c), continuation(1)), UNEXPECTED, reaches=OWN)
    yield case("5.1", "WINDOW_UPDATE behind the end of the stream", lambda c: c.say(1, get(c), window_update(1, 1)), Passed())
    yield case("5.1", "PRIORITY behind the end of the stream", lambda c: c.say(1, get(c), priority(1)), Passed())
    # What comes late may be dropped, but for what no stream could carry.
    late = {"DATA": (data(1, b"x"), CLOSED, IGNORED), "HEADERS": (None, REUSED, IGNORED), "CONTINUATION": (continuation(1), UNEXPECTED)}
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
    yield case("5.3", "PRIORITY that depends on itself", lambda c: whole(c, priority(1, 1)), Passed(), reset("PROTOCOL_ERROR"), gone("PROTOCOL_ERROR"))
    yield case("5.3", "PRIORITY in a circle", lambda c: whole(c, *[priority(n, n % 9 + 2, exclusive=True) for n in range(1, 41, 2)]), Passed())


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


def kinds():
    yield case("6.1", "DATA on stream 0", said(data(0, b"x")), PROTOCOL)
    yield case("6.1", "DATA with padding", lambda c: body(c, padded(b"body", 9), PADDED), Passed("POST", body=b"body"))
    yield case("6.1", "DATA that is padding alone", lambda c: body(c, padded(b"", 255), PADDED), Passed("POST", body=b""))
    yield case("6.1", "DATA with padding as long as the frame", lambda c: body(c, padded(b"body", 0, 5), PADDED), PADDING, reaches=PART)
    yield case("6.1", "DATA with padding longer than the frame", lambda c: body(c, padded(b"body", 0, 200), PADDED), PADDING, reaches=PART)
    yield case("6.1", "padded DATA without a length of padding", lambda c: body(c, b"", PADDED), PADDING, reaches=PART)
    yield case("6.1", "DATA in pieces, some of them empty", pieces, Passed("POST", body=b"abc"))
    yield case("6.2", "HEADERS on stream 0", lambda c: c.say(1, get(c, 0)) and None, PROTOCOL)
    yield case("6.2", "HEADERS with padding", lambda c: head(c, padded(block(c.head()), 7), PADDED), Passed())
    yield case("6.2", "HEADERS with priority", lambda c: head(c, dependency(0, 255, True) + block(c.head()), WITH_PRIORITY), Passed())
    both = PADDED | WITH_PRIORITY
    yield case("6.2", "HEADERS with padding and priority", lambda c: head(c, padded(dependency() + block(c.head()), 200), both), Passed())
    yield case("6.2", "HEADERS with padding longer than the frame", lambda c: head(c, padded(b"\x82\x86\x84", 0, 20), PADDED), PADDING)
    yield case("6.2", "HEADERS with padding into the priority", lambda c: head(c, padded(dependency(), 0, 3), both), PADDING)
    yield case("6.2", "HEADERS with priority of four bytes", lambda c: head(c, b"\0\0\0\0", WITH_PRIORITY), PADDING)
    yield case("6.2", "HEADERS without a length of padding", lambda c: head(c, b"", PADDED), PADDING)
    yield case("6.3", "PRIORITY on stream 0", said(priority(0)), PROTOCOL)
    for length in (4, 6):
        yield case("6.3", f"PRIORITY of {length} bytes", lambda c, n=length: whole(c, frame(PRIORITY, 0, 1, b"\0" * n)), reset("FRAME_SIZE_ERROR"))
    yield case("6.4", "RST_STREAM on stream 0", said(rst_stream(0)), PROTOCOL)
    for length in (3, 5):
        yield case("6.4", f"RST_STREAM of {length} bytes", lambda c, n=length: body(c, b"\0" * n, 0, RST_STREAM), SIZE, reaches=PART)
    yield case("6.6", "PUSH_PROMISE from a client", promise, PROTOCOL, reaches=OWN)
    yield case("7", "RST_STREAM with an unknown code", unknown_reset, IGNORED, reaches=PART)
    yield case("7", "GOAWAY with an unknown code", said(goaway(code=0xFF)), IGNORED, gone(*["NO_ERROR"]))


def body(c, payload, flags, kind=DATA):
    stream = c.upload()
    return c.say(stream, frame(kind, flags | (END_STREAM if kind == DATA else 0), stream, payload))


def pieces(c):
    stream = c.upload()
    return c.say(stream, *(data(stream, piece, 0) for piece in (b"", b"a", b"", b"", b"b", b"c")), data(stream))


def head(c, payload, flags):
    return c.say(1, frame(HEADERS, WHOLE | flags, 1, payload))


def promise(c):
    return c.say(1, get(c), frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + block(c.head()))) and None


def unknown_reset(c):
    c.say(c.upload(), rst_stream(1, 0xFF))


def control():
    yield case("6.5", "SETTINGS ACK with a payload", said(frame(SETTINGS, ACK, 0, b"\0\3\0\0\0\1")), SIZE)
    yield case("6.5", "SETTINGS on a stream", said(settings((MAX_CONCURRENT_STREAMS, 1), stream=1)), PROTOCOL)
    yield case("6.5", "SETTINGS of five bytes", said(frame(SETTINGS, 0, 0, b"\0\3\0\0\0")), SIZE)
    yield case("6.5", "SETTINGS ACK that nobody waits for", said(settings(flags=ACK)), IGNORED, PROTOCOL)
    wrong = {
        "ENABLE_PUSH of 2": (ENABLE_PUSH, 2, PROTOCOL),
        "INITIAL_WINDOW_SIZE of 2^31": (INITIAL_WINDOW_SIZE, 1 << 31, gone("FLOW_CONTROL_ERROR")),
        "MAX_FRAME_SIZE of 16,383": (MAX_FRAME_SIZE, FRAME_MAX - 1, PROTOCOL),
        "MAX_FRAME_SIZE of 2^24": (MAX_FRAME_SIZE, 1 << 24, PROTOCOL),
    }
    for what, (name, value, expected) in wrong.items():
        yield case("6.5.2", f"SETTINGS with {what}", said(settings((name, value))), expected)
    right = {
        "an unknown setting": [(0xFF, 7)], "none": [], "MAX_FRAME_SIZE of 2^24-1": [(MAX_FRAME_SIZE, (1 << 24) - 1)],
        "no streams of the server's": [(MAX_CONCURRENT_STREAMS, 0)], "a table of no size": [(HEADER_TABLE_SIZE, 0)],
        "a table of any size": [(HEADER_TABLE_SIZE, (1 << 32) - 1)], "a field list of 100 bytes": [(MAX_HEADER_LIST_SIZE, 100)],
        "ENABLE_PUSH": [(ENABLE_PUSH, 1)],
    }  # fmt: skip
    for what, pairs in right.items():
        yield case("6.5.2", f"SETTINGS with {what}", lambda c, pairs=pairs: changed(c, pairs), Passed())
    yield case("6.5.3", "each SETTINGS is acknowledged", said(settings(), settings((INITIAL_WINDOW_SIZE, 9)), settings()), IGNORED, also=lambda c: c.acknowledged == 4)
    yield case("6.7", "PING is answered with its payload", said(ping(b"\0\1\2\3\xff\xfe\xfd\xfc")), IGNORED, also=lambda c: b"\0\1\2\3\xff\xfe\xfd\xfc" in c.pongs)
    yield case("6.7", "PING that is an answer", said(ping(b"answered", ACK)), IGNORED, also=lambda c: b"answered" not in c.pongs)
    yield case("6.7", "PING on a stream", said(ping(stream=1)), PROTOCOL)
    for length in (0, 7, 9):
        yield case("6.7", f"PING of {length} bytes", said(frame(PING, 0, 0, b"x" * length)), SIZE)
    yield case("6.8", "GOAWAY on a stream", said(goaway(stream=1)), PROTOCOL)
    yield case("6.8", "GOAWAY of seven bytes", said(frame(GOAWAY, 0, 0, b"\0" * 7)), SIZE)


def changed(c, pairs):
    c.decoder.max_allowed_table_size = dict(pairs).get(HEADER_TABLE_SIZE, 4096)
    c.send(settings(*pairs))
    assert c.read(lambda: c.acknowledged == 2), "SETTINGS were not acknowledged"
    return c.request()


def windows():
    yield case("6.9", "WINDOW_UPDATE of 0 for the connection", said(window_update(0, 0)), PROTOCOL)
    yield case("6.9", "WINDOW_UPDATE of 0 for a stream", lambda c: c.say(c.upload(), window_update(1, 0)), reset("PROTOCOL_ERROR"), reaches=PART)
    for length in (3, 5):
        yield case("6.9", f"WINDOW_UPDATE of {length} bytes", said(frame(WINDOW_UPDATE, 0, 0, b"\0" * length)), SIZE)
    most = window_update(0, WINDOW_MAX)
    yield case("6.9.1", "a window of the connection above 2^31-1", said(most, most), gone("FLOW_CONTROL_ERROR"))
    yield case("6.9.1", "a window of a stream above 2^31-1", too_wide, reset("FLOW_CONTROL_ERROR"), reaches=PART)
    yield case("6.9.1", "the reserved bit of WINDOW_UPDATE", lambda c: whole(c, window_update(0, 1 | 1 << 31)), Passed())
    none = ((INITIAL_WINDOW_SIZE, 0),)
    yield case("6.9.1", "no byte of a body without credit", byte_for_byte, Passed(), first=none)
    yield case("6.9.2", "a later INITIAL_WINDOW_SIZE opens a stream", opened_later, Passed(), first=none)
    yield case("6.9.2", "a window that became negative", negative, Passed(), first=none)
    yield case("6.9.2", "INITIAL_WINDOW_SIZE that takes a stream above 2^31-1", above_by_settings, gone("FLOW_CONTROL_ERROR"), reaches=PART)
    yield case("6.9.2", "the last of two values in one SETTINGS holds", lambda c: last_holds(c), Passed(), first=none)


def too_wide(c):
    stream = c.upload()
    return c.say(stream, window_update(stream, WINDOW_MAX), window_update(stream, WINDOW_MAX))


def above_by_settings(c):
    stream = c.upload()
    # The stream has 65,535 and more; the setting adds what it is above that.
    c.say(stream, window_update(stream, WINDOW_MAX - 65535), settings((INITIAL_WINDOW_SIZE, 65535 + 1)))


def waiting(c):
    """A request whose answer has come but for its body."""
    c.credits = False
    stream = c.request()
    assert c.read(lambda: c.on(stream).status), "no answer"
    assert c.alive() and not c.on(stream).body and not c.on(stream).ended, "a body without credit"
    return stream


def byte_for_byte(c):
    stream = waiting(c)
    for due in (1, 2, 3):
        c.send(window_update(stream, 1))
        assert c.read(lambda due=due: len(c.on(stream).body) >= due), "credit of one byte gave none"
        assert c.alive() and len(c.on(stream).body) == due, f"{len(c.on(stream).body)} bytes with credit for {due}"
    return c.say(stream, window_update(stream, 1000))


def opened_later(c):
    stream = waiting(c)
    return c.say(stream, settings((INITIAL_WINDOW_SIZE, 1000)))


def last_holds(c):
    stream = waiting(c)
    return c.say(stream, settings((INITIAL_WINDOW_SIZE, 0), (INITIAL_WINDOW_SIZE, 1000)))


def negative(c):
    stream = waiting(c)
    # 4 bytes are sent, then the window is 4 - 4 - 3 = -3.
    c.send(settings((INITIAL_WINDOW_SIZE, 4)))
    assert c.read(lambda: len(c.on(stream).body) == 4), "credit for four bytes gave others"
    c.send(settings((INITIAL_WINDOW_SIZE, 1)), window_update(stream, 3))
    assert c.alive() and len(c.on(stream).body) == 4, "a body without credit"
    c.send(window_update(stream, 1))
    assert c.read(lambda: len(c.on(stream).body) == 5) and c.alive(), "a window of one gave none"
    assert len(c.on(stream).body) == 5, "a window of one gave more"
    return c.say(stream, window_update(stream, 1000))


def continuations():
    last = Passed(fields={"x-last": ["last"]})
    yield case("6.10", "a field block in four frames", lambda c: many(c, 4), last)
    # So many frames for so little are more than a server has to bear with.
    yield case("6.10", "a field block in forty frames", lambda c: many(c, 40), last, gone("ENHANCE_YOUR_CALM"))
    yield case("6.10", "a field block that ends with an empty CONTINUATION", empty_end, Passed())
    yield case("6.10", "a field block that begins with an empty HEADERS", lambda c: c.say(1, headers(1, b"", END_STREAM), continuation(1, block(c.head()))), Passed())
    yield case("6.10", "CONTINUATION on stream 0", lambda c: c.say(1, get(c, flags=END_STREAM), continuation(0)), PROTOCOL)
    yield case("6.10", "CONTINUATION behind END_HEADERS", lambda c: c.say(1, get(c, flags=END_HEADERS), continuation(1)), PROTOCOL, reaches=PART)
    yield case("6.10", "CONTINUATION behind the last CONTINUATION", twice_ended, PROTOCOL, reaches=PART)
    yield case("6.10", "CONTINUATION behind DATA", after_data, PROTOCOL, reaches=PART)
    yield case("8.1", "trailers in CONTINUATION frames", trailers_in_parts, Passed("POST", body=b"body"))


def many(c, count):
    whole = block(c.head(("x-last", "last")))
    size = len(whole) // count + 1
    first, *middle, last = [whole[n : n + size] for n in range(0, len(whole), size)]
    parts = [continuation(1, piece, 0) for piece in middle]
    return c.say(1, headers(1, first, END_STREAM), *parts, continuation(1, last))


def empty_end(c):
    return c.say(1, get(c, flags=END_STREAM), continuation(1, b"", 0), continuation(1))


def twice_ended(c):
    whole = block(c.head(method="POST"))
    return c.say(1, headers(1, whole[:9], 0), continuation(1, whole[9:]), continuation(1))


def after_data(c):
    stream = c.upload()
    return c.say(stream, data(stream, b"x", 0), continuation(stream))


def trailers_in_parts(c):
    stream = c.upload()
    trailers = block([("x-checksum", "abc")])
    return c.say(stream, data(stream, b"body", 0), headers(stream, trailers[:5], END_STREAM), continuation(stream, trailers[5:]))
