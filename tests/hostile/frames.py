"""Frames of HTTP/2 and the primitives of HPACK, built byte by byte, so that they can break every rule."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
UNKNOWN = 0x16
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, WITH_PRIORITY = 0x4, 0x8, 0x20
WHOLE = END_STREAM | END_HEADERS
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
ENABLE_CONNECT_PROTOCOL = 8
CODES = (
    "NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR REFUSED_STREAM "
    "CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED"
).split()
FRAME_MAX = 1 << 14
WINDOW_MAX = (1 << 31) - 1


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """One frame; `length` overrides what is true."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def settings(*pairs, flags=0, stream=0):
    payload = b"".join(name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in pairs)
    return frame(SETTINGS, flags, stream, payload)


def ping(payload=b"keyward!", flags=0, stream=0):
    return frame(PING, flags, stream, payload)


def window_update(stream, more):
    return frame(WINDOW_UPDATE, 0, stream, more.to_bytes(4, "big"))


def rst_stream(stream, code=8):
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def goaway(last=0, code=0, debug=b"", stream=0):
    return frame(GOAWAY, 0, stream, last.to_bytes(4, "big") + code.to_bytes(4, "big") + debug)


def priority(stream, depends_on=0, weight=15, exclusive=False):
    return frame(PRIORITY, 0, stream, dependency(depends_on, weight, exclusive))


def dependency(depends_on=0, weight=15, exclusive=False):
    return (depends_on | exclusive << 31).to_bytes(4, "big") + bytes((weight,))


def headers(stream, block, flags=WHOLE):
    return frame(HEADERS, flags, stream, block)


def continuation(stream, block=b"", flags=END_HEADERS):
    return frame(CONTINUATION, flags, stream, block)


def data(stream, payload=b"", flags=END_STREAM):
    return frame(DATA, flags, stream, payload)


def padded(payload, padding, announced=None):
    """The payload of a frame with PADDED; `announced` overrides the length of the padding."""
    return bytes((padding if announced is None else announced,)) + payload + b"\0" * padding


def integer(number, bits, first=0):
    """RFC 7541 section 5.1, with the high bits of the first octet in `first`."""
    most = (1 << bits) - 1
    if number < most:
        return bytes((first | number,))
    out, number = bytearray((first | most,)), number - most
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def string(text, huffman=False):
    """RFC 7541 section 5.2. With `huffman`, `text` is the code already."""
    return integer(len(text), 7, 0x80 if huffman else 0) + as_bytes(text)


def literal(name, value, first=0x00):
    """A literal with a literal name: 0x00 is not indexed, 0x10 never, 0x40 added to the table."""
    return bytes((first,)) + string(as_bytes(name)) + string(as_bytes(value))


def block(fields):
    """A field block in which nothing is compressed and every byte is what it was."""
    return b"".join(literal(name, value) for name, value in fields)


def code_name(code):
    return CODES[code] if code < len(CODES) else f"code {code}"
