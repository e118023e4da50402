"""Cases after RFC 9113 sections 6 and 7: each kind of frame, settings, flow control."""

from frames import (
    ACK, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, FRAME_MAX, GOAWAY, HEADERS, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE, PADDED, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS,
    WHOLE, WINDOW_MAX, WINDOW_UPDATE, WITH_PRIORITY, block, continuation, data, dependency, frame, goaway, headers, padded, ping,
    priority, rst_stream, settings, window_update,
)  # fmt: skip
from http2_case import IGNORED, PROTOCOL, Passed, Reaches, case, get, gone, reset, said, whole

PART, OWN = Reaches.PART, Reaches.WHOLE
SIZE = gone("FRAME_SIZE_ERROR")
PADDING = gone("PROTOCOL_ERROR", "FRAME_SIZE_ERROR")


def cases():
    return [*kinds(), *control(), *windows(), *continuations()]


def kinds():
    yield case("6.1", "DATA on stream 0", said(data(0, b"x")), PROTOCOL)
    yield case("6.1", "DATA with padding", lambda c: body(c, padded(b"body", 9), PADDED), Passed("POST", body=b"body"))
    yield case("6.1", "DATA that is padding alone", lambda c: body(c, padded(b"", 255), PADDED), Passed("POST", body=b""))
    yield case(
        "6.1", "DATA with padding as long as the frame", lambda c: body(c, padded(b"body", 0, 5), PADDED), PADDING, reaches=PART
    )
    yield case(
        "6.1",
        "DATA with padding longer than the frame",
        lambda c: body(c, padded(b"body", 0, 200), PADDED),
        PADDING,
        reaches=PART,
    )
    yield case("6.1", "padded DATA without a length of padding", lambda c: body(c, b"", PADDED), PADDING, reaches=PART)
    yield case("6.1", "DATA in pieces, some of them empty", pieces, Passed("POST", body=b"abc"))
    yield case("6.2", "HEADERS on stream 0", lambda c: c.say(1, get(c, 0)) and None, PROTOCOL)
    yield case("6.2", "HEADERS with padding", lambda c: head(c, padded(block(c.head()), 7), PADDED), Passed())
    yield case(
        "6.2", "HEADERS with priority", lambda c: head(c, dependency(0, 255, True) + block(c.head()), WITH_PRIORITY), Passed()
    )
    both = PADDED | WITH_PRIORITY
    yield case(
        "6.2", "HEADERS with padding and priority", lambda c: head(c, padded(dependency() + block(c.head()), 200), both), Passed()
    )
    yield case(
        "6.2", "HEADERS with padding longer than the frame", lambda c: head(c, padded(b"\x82\x86\x84", 0, 20), PADDED), PADDING
    )
    yield case("6.2", "HEADERS with padding into the priority", lambda c: head(c, padded(dependency(), 0, 3), both), PADDING)
    yield case("6.2", "HEADERS with priority of four bytes", lambda c: head(c, b"\0\0\0\0", WITH_PRIORITY), PADDING)
    yield case("6.2", "HEADERS without a length of padding", lambda c: head(c, b"", PADDED), PADDING)
    yield case("6.3", "PRIORITY on stream 0", said(priority(0)), PROTOCOL)
    for length in (4, 6):
        yield case(
            "6.3",
            f"PRIORITY of {length} bytes",
            lambda c, n=length: whole(c, frame(PRIORITY, 0, 1, b"\0" * n)),
            reset("FRAME_SIZE_ERROR"),
        )
    yield case("6.4", "RST_STREAM on stream 0", said(rst_stream(0)), PROTOCOL)
    for length in (3, 5):
        yield case(
            "6.4", f"RST_STREAM of {length} bytes", lambda c, n=length: body(c, b"\0" * n, 0, RST_STREAM), SIZE, reaches=PART
        )
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
    yield case(
        "6.5.3",
        "each SETTINGS is acknowledged",
        said(settings(), settings((INITIAL_WINDOW_SIZE, 9)), settings()),
        IGNORED,
        also=lambda c: c.acknowledged == 4,
    )
    yield case(
        "6.7",
        "PING is answered with its payload",
        said(ping(b"\0\1\2\3\xff\xfe\xfd\xfc")),
        IGNORED,
        also=lambda c: b"\0\1\2\3\xff\xfe\xfd\xfc" in c.pongs,
    )
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
    yield case(
        "6.9",
        "WINDOW_UPDATE of 0 for a stream",
        lambda c: c.say(c.upload(), window_update(1, 0)),
        reset("PROTOCOL_ERROR"),
        reaches=PART,
    )
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
    yield case(
        "6.9.2",
        "INITIAL_WINDOW_SIZE that takes a stream above 2^31-1",
        above_by_settings,
        gone("FLOW_CONTROL_ERROR"),
        reaches=PART,
    )
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
    yield case(
        "6.10",
        "a field block that begins with an empty HEADERS",
        lambda c: c.say(1, headers(1, b"", END_STREAM), continuation(1, block(c.head()))),
        Passed(),
    )
    yield case("6.10", "CONTINUATION on stream 0", lambda c: c.say(1, get(c, flags=END_STREAM), continuation(0)), PROTOCOL)
    yield case(
        "6.10",
        "CONTINUATION behind END_HEADERS",
        lambda c: c.say(1, get(c, flags=END_HEADERS), continuation(1)),
        PROTOCOL,
        reaches=PART,
    )
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
