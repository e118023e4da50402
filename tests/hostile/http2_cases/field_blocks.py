"""Cases after RFC 7541: the field block as octets."""

from frames import END_STREAM, HEADER_TABLE_SIZE, block, continuation, headers, integer, literal, string
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from http2_case import MALFORMED, Passed, answered, case, gone, reset

BROKEN = gone("COMPRESSION_ERROR")
HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


def cases():
    return [*broken(), *right(), *large()]


def sent(octets, before=b""):
    """A good request's block, and these octets behind it (or before)."""
    return lambda c: c.say(1, headers(1, before + block(c.head()) + octets))


def value(octets):
    """A field of ours whose value is these octets, length and all."""
    return b"\x00\x06x-test" + octets


def broken():
    cases = {
        "2.3.3": {
            "an indexed field beyond the tables": integer(70, 7, 0x80),
            "an indexed field beyond the tables, by far": integer(1 << 31, 7, 0x80),
            "a literal whose name is beyond the tables": integer(70, 6, 0x40) + string("x"),
            "the first entry of an empty dynamic table": integer(62, 7, 0x80),
        },
        "4.2": {
            "a new size of the table at the end of a block": b"\x20",
            "a new size of the table in the middle of a block": b"\x20" + literal("x-test", "1"),
        },
        "5.1": {
            "a number that needs more than 64 bits": b"\xff" + b"\xff" * 10 + b"\x7f",
            "a number that never ends": b"\xff" + b"\x80" * 200,
        },
        "5.2": {
            "a string longer than the block": value(b"\x7f\x80\x01abc"),
            "a string of 2^32 bytes": value(integer(1 << 32, 7) + b"abc"),
            "Huffman padding of more than seven bits": value(string(HUFFMAN.encode(b"a") + b"\xff", True)),
            "Huffman padding that is not of ones": value(string(b"\x18", True)),
            "a Huffman string with the end of string": value(string(b"\xff\xff\xff\xff", True)),
            "a Huffman string of padding alone": value(string(b"\xff", True)),
            "a Huffman name that is broken": b"\x00" + string(b"\xff\xff\xff\xff", True) + string("x"),
        },
        "6.1": {"an indexed field of index 0": b"\x80"},
        "6.2": {"a literal that ends behind its name": b"\x00\x06x-test", "a literal that ends behind its first octet": b"\x40"},
    }
    for section, table in cases.items():
        for name, octets in table.items():
            yield case(f"HPACK {section}", name, sent(octets), BROKEN)
    yield case("HPACK 6.3", "a table larger than was allowed", sent(b"", before=integer(4097, 5, 0x20)), BROKEN)
    yield case("HPACK 6.3", "a table of 2^32", sent(b"", before=integer(1 << 32, 5, 0x20)), BROKEN)
    yield case("HPACK 6.3", "entries are gone with the size of the table", emptied, BROKEN)
    yield case("HPACK 4.4", "an entry larger than the table empties it", too_large_entry, BROKEN)


def emptied(c):
    c.prime(literal("x-test", "1", 0x40))
    return c.say(3, headers(3, b"\x20" + block(c.head()) + integer(62, 7, 0x80)))


def too_large_entry(c):
    # The large one empties the table and is not in it.
    c.prime(literal("x-test", "1", 0x40) + literal("x-large", "x" * 5000, 0x40))
    return c.say(3, headers(3, block(c.head()) + integer(62, 7, 0x80)))


def right():
    test = lambda text: Passed(fields={"x-test": [text]})
    yield case("HPACK 5.2", "a Huffman string", sent(value(string(HUFFMAN.encode(b"abc%20~!"), True))), test("abc%20~!"))
    yield case("HPACK 5.2", "an empty Huffman string", sent(value(string(b"", True))), test(""))
    yield case(
        "HPACK 5.1",
        "a length in more octets than it needs",
        sent(value(b"\x7f\x80\x80\x80\x00" + b"x" * 127)),
        test("x" * 127),
        BROKEN,
    )
    yield case("HPACK 6.2.3", "a literal that is never indexed", sent(literal("x-test", "secret", 0x10)), test("secret"))
    yield case(
        "HPACK 6.2.1",
        "a name of the static table with another value",
        sent(integer(58, 4) + string("agent")),
        Passed(fields={"user-agent": ["agent"]}),
    )
    added = literal("x-test", "added", 0x40) + integer(62, 7, 0x80)
    yield case(
        "HPACK 2.3.2",
        "an entry that is used in the block that adds it",
        sent(added),
        Passed(fields={"x-test": ["added", "added"]}),
    )
    yield case("HPACK 2.3.2", "an entry that is used in a later request", later, Passed(fields={"x-test": ["added"]}))
    yield case("HPACK 4.3", "old entries make room for new ones", evicting, Passed(fields={"x-test": ["9"]}))
    sizes = integer(0, 5, 0x20) + integer(4096, 5, 0x20)
    yield case("HPACK 4.2", "two new sizes of the table before a block", sent(b"", before=sizes), Passed())
    yield case("HPACK 6.3", "a table of no size", sent(literal("x-test", "1", 0x40), before=b"\x20"), test("1"))
    yield case("HPACK 4.2", "answers fit the table that the client allows", shrunk, Passed(), first=((HEADER_TABLE_SIZE, 0),))
    yield case("HPACK 6.1", "static entries alone", static, Passed())


def later(c):
    c.prime(literal("x-test", "added", 0x40))
    return c.say(3, headers(3, block(c.head()) + integer(62, 7, 0x80)))


def evicting(c):
    # Each takes 32 + 6 + 1 of 128 octets: three stay.
    c.prime(b"".join(literal("x-test", str(n), 0x40) for n in range(10)), before=integer(128, 5, 0x20))
    return c.say(3, headers(3, block(c.head()) + integer(62, 7, 0x80)))


def shrunk(c):
    c.decoder.max_allowed_table_size = 0
    c.prime(b"")
    return c.request()


def static(c):
    """GET, http and / are entries; authority and credential are literals with names of the static table."""
    credential = b"".join(integer(23, 4) + string(value) for _, value in c.credential())
    path = integer(4, 4) + string(c.own)
    return c.say(1, headers(1, b"\x82\x86" + path + integer(1, 4) + string(c.authority) + credential))


def large():
    too_large = (
        *MALFORMED,
        answered(431, 400),
        reset("ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", "REFUSED_STREAM", "COMPRESSION_ERROR", "CANCEL", "INTERNAL_ERROR"),
    )
    yield case("10.5.1", "a value of 64 KiB", lambda c: parts(c, literal("x-test", "x" * 65536)), *too_large)
    yield case("10.5.1", "a name of 64 KiB", lambda c: parts(c, literal("x" * 65536, "1")), *too_large)
    yield case("10.5.1", "a field list of 1 MiB", lambda c: parts(c, literal("x-test", "x" * 1000) * 1024), *too_large)
    bomb = literal("x-bomb", "x" * 4000, 0x40) + b"\xbe" * 15000
    yield case("10.5.1", "60 MB of fields from 15,000 octets", lambda c: parts(c, bomb), *too_large)
    crumbs = b"".join(literal("cookie", f"c{n}={'x' * 100}") for n in range(10_000))
    yield case("CVE-2026-47774", "1 MB of cookie crumbs", lambda c: parts(c, crumbs), *too_large)
    crumb = literal("cookie", "c=" + "x" * 3990, 0x40) + b"\xbe" * 15000
    yield case("CVE-2026-47774", "60 MB of cookie crumbs from 15,000 octets", lambda c: parts(c, crumb), *too_large)
    yield case("10.5.1", "100,000 empty fields", lambda c: parts(c, b"\x00\x01a\x00" * 100_000), *too_large)


def parts(c, octets):
    """A request whose block goes on in CONTINUATION frames."""
    whole = block(c.head()) + octets
    pieces = [whole[n : n + 16384] for n in range(0, len(whole), 16384)]
    more = [continuation(1, piece, 0) for piece in pieces[1:]]
    return c.say(1, headers(1, pieces[0], END_STREAM), *more, continuation(1))
