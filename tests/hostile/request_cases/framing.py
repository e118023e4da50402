"""Content-Length and Transfer-Encoding, alone and together, in every disguise (RFC 9112 §6)."""

from case import CLOSED, CRLF, HIDDEN, HIDDEN_REFUSED, NO, OK, Group, post, shown

N = len(HIDDEN)
EMPTY = "0\r\n\r\n"
CODED = f"3\r\nabc\r\n{EMPTY}"

GOOD_LENGTHS = [f"Content-Length: {N}", f"content-length:{N}", f"CONTENT-LENGTH: \t {N} \t", f"cOnTeNt-LeNgTh:\t{N}"]
# Grammatical, and yet more than one spelling of a number: to be brought into one form, or refused.
ODD_LENGTHS = [
    f"Content-Length: 00{N}",
    f"Content-Length: {N:020}",
    f"Content-Length: {N}, {N}",
    f"Content-Length: {N},{N},{N}",
    f"Content-Length: {N}\r\nContent-Length: {N}",
    f"Content-Length: {N}\r\nX: y\r\ncontent-length: {N}",
    f"Content-Length: {N}\r\nContent-Length: 00{N}",
]
BAD_LENGTHS = [
    "", " ", "+@", "-@", "-0", "+0", "@.0", "@e0", "0x@", "0X26", "0b1", "0o46", "1_0", "@ @", "@;x", "@ x", "x@", '"@"', "'@'",
    "@,", ",@", "@, ", "@,0", "0,@", "@, x", "three", "@\x0b", "\x0b@", "@\x0c", "@\0", "\0@", "@\x1f", "\xa0@", "@\xa0", "@\x85",
    "\xb3", "\xd9\xa3", "@%20", "@\\r\\n", "@#", "@/1", "@-@", "=@", ":@", "@:", "Infinity", "NaN", "1e1",
]  # fmt: skip
HUGE_LENGTHS = [
    "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", f"{2**64 + N}",
    f"{2**32 + N}", "9" * 26, "9" * 400, f"{'0' * 400}{N}",
]  # fmt: skip
CONTRADICTING_LENGTHS = [
    f"Content-Length: {N}\r\nContent-Length: 0",
    f"Content-Length: 0\r\nContent-Length: {N}",
    f"Content-Length: 3\r\nContent-Length: {N}",
    f"Content-Length: {N}\r\nX: y\r\nCONTENT-LENGTH: 3",
    f"Content-Length: {N}, 0",
    f"Content-Length: 0\r\nContent-Length: 0, {N}",
    f"Content-Length: {N}\r\nContent-Length:",
    f"Content-Length:\r\nContent-Length: {N}",
    f"Content-Length: {N}\r\nContent-Length: x",
]
# No field of that name, for whoever reads strictly: refused, or the body is the next request.
DISGUISED_LENGTHS = [
    "Content-Length : @", "Content-Length\t: @", " Content-Length: @", "\tContent-Length: @", "X: y\r\n Content-Length: @",
    "X: y\r\n\tContent-Length: @", "X: y\rContent-Length: @", "Content-Length\0: @", "Content-Length\xa0: @",
    "Content-Length\xad: @", "\xef\xbb\xbfContent-Length: @", "Content-Length\x0b: @", "\x0bContent-Length: @",
    "Content\x2d\x00Length: @", "Content Length: @", "Content-Length=@", "Content-Length @", "Content-Length;: @",
    '"Content-Length": @', "Content-Lengt\xe8: @", "X: y\0Content-Length: @",
]  # fmt: skip

GOOD_CODINGS = ["chunked", "CHUNKED", "Chunked", "\t chunked \t"]
ODD_CODINGS = ["chunked,", ",chunked", ", chunked ,", "chunked,,"]
BAD_CODINGS = [
    "", "identity", "identity, chunked", "chunked, identity", "gzip", "gzip, chunked", "chunked, gzip", "deflate, chunked",
    "chunked, chunked", "chunked,chunked", "chunked chunked", "chunked x", "x, chunked", "chunked, x", "xchunked", "chunkedx",
    "chunke", "cow", "chunked;q=1", "chunked;", ";chunked", "chunked; foo", '"chunked"', "'chunked'", "(chunked)", "chunked:",
    ":chunked", "chunked\0", "\0chunked", "\x0bchunked", "chunked\x0b", "\x0cchunked", "chun\xc5\xbfed", "chun\xe2\x84\xaaed",
    "\xa0chunked", "chunked\xa0", "chunked\x85", "chunk\xed", "chunked%20", "trailers", "chunked, trailers", "\\chunked",
    "chunked\\", "7", "chunked\x7f", "chunked\x1f", "0chunked", "chunked=1", "*", "null",
]  # fmt: skip
DISGUISED_CODINGS = [
    "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked",
    "X: y\r\n Transfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked", "Transfer-Encoding\0: chunked",
    "Transfer-Encoding\xa0: chunked", "Transfer-Encoding\x0b: chunked", "\x0bTransfer-Encoding: chunked",
    "Transfer Encoding: chunked", "Transfer-Encoding: x\rTransfer-Encoding: chunked", "Transfer-Encoding=chunked",
    "Transfer\x2d\xadEncoding: chunked", "\0Transfer-Encoding: chunked", "X: y\0Transfer-Encoding: chunked",
]  # fmt: skip
SEVERAL_CODINGS = [
    ("chunked", "chunked"), ("chunked", "identity"), ("identity", "chunked"), ("x", "chunked"), ("chunked", "x"),
    ("gzip", "chunked"), ("", "chunked"), ("chunked", ""), ("chunked", "CHUNKED"),
]  # fmt: skip

BAD = NO(400)
# HAProxy says 422 where RFC 9112 §6.1 has 501.
BAD_CODING = NO(400, 422, 501)
# What begins with white space may become part of the field before it, which here is the credential.
OR_FOLDED = NO(401)
TOO_LONG = NO(400, 413)


def groups():
    return [lengths(), codings(), both(), old_versions()]


def lengths():
    group = Group("length")
    for text in GOOD_LENGTHS:
        group.control(shown(text), post(text, HIDDEN), OK(HIDDEN))
    group.control("0", post("Content-Length: 0", HIDDEN), OK(), NO(401))
    group.control("none", post("", HIDDEN), OK(), NO(401))
    group.control("a GET with one", post(f"Content-Length: {N}", HIDDEN, line="GET /c HTTP/1.1"), OK(HIDDEN, "GET"))
    for text in ODD_LENGTHS:
        group.add(shown(text), post(text, HIDDEN), OK(HIDDEN) | BAD, HIDDEN_REFUSED)
    for text in BAD_LENGTHS:
        field = f"Content-Length: {text.replace('@', str(N))}"
        group.add(shown(field), post(field, HIDDEN), BAD, HIDDEN_REFUSED)
    for text in HUGE_LENGTHS:
        field = f"Content-Length: {text}"
        own = OK(HIDDEN) if text.endswith(str(N)) and text.startswith("0") else NO()
        # The last two that 64 bit have are answered 431 by hyper, which Keyward is built on.
        too_long = TOO_LONG | NO(431) if text == str(2**64 - 1) else TOO_LONG
        group.add(shown(field), post(field, HIDDEN), own | too_long | NO(408, CLOSED), HIDDEN_REFUSED, cut=not own.accept)
    for text in CONTRADICTING_LENGTHS:
        group.add(shown(text), post(text, HIDDEN), BAD, HIDDEN_REFUSED)
    for text in DISGUISED_LENGTHS:
        field = text.replace("@", str(N))
        group.add(shown(f"disguised {field}"), post(field, HIDDEN), OK() | BAD | OR_FOLDED, HIDDEN_REFUSED)
    group.add("obs-fold", post(f"Content-Length:\r\n {N}", HIDDEN), OK(HIDDEN) | BAD, HIDDEN_REFUSED)
    group.add("obs-fold behind it", post(f"Content-Length: {N}\r\n ", HIDDEN), OK(HIDDEN) | BAD, HIDDEN_REFUSED)
    group.add("obs-fold splits it", post("Content-Length: 3\r\n 8", HIDDEN), BAD, HIDDEN_REFUSED)
    group.add("LF before it", post(f"X: y\nContent-Length: {N}", HIDDEN), OK(HIDDEN) | BAD, HIDDEN_REFUSED)
    group.add("LF behind it", post(f"Content-Length: {N}\n", HIDDEN), OK(HIDDEN) | BAD, HIDDEN_REFUSED)
    return group


def codings():
    group = Group("coding")
    for text in GOOD_CODINGS:
        group.control(shown(text), post(f"Transfer-Encoding: {text}", CODED + HIDDEN), OK("abc"), NO(401))
    group.control("on a GET", post("Transfer-Encoding: chunked", CODED, line="GET /c HTTP/1.1"), OK("abc", "GET"))
    group.control("any case of the name", post("tRANSFER-eNCODING:chunked", EMPTY + HIDDEN), OK(), NO(401))
    for text in ODD_CODINGS:
        field = f"Transfer-Encoding: {text}"
        group.add(shown(text), post(field, CODED + HIDDEN), OK("abc") | BAD_CODING, HIDDEN_REFUSED)
    for text in BAD_CODINGS:
        field = f"Transfer-Encoding: {text}"
        group.add(shown(text), post(field, EMPTY + HIDDEN), BAD_CODING, HIDDEN_REFUSED)
    for text in DISGUISED_CODINGS:
        group.add(shown(f"disguised {text}"), post(text, HIDDEN), OK() | BAD_CODING | OR_FOLDED, HIDDEN_REFUSED)
    for first, second in SEVERAL_CODINGS:
        for between in ("", "X: y\r\n"):
            fields = f"Transfer-Encoding: {first}\r\n{between}Transfer-Encoding: {second}"
            name = f"two fields, {first!r} and {second!r}{' apart' if between else ''} (RUSTSEC-2021-0020 hyper)"
            group.add(name, post(fields, EMPTY + HIDDEN), BAD_CODING, HIDDEN_REFUSED)
    group.add("obs-fold", post("Transfer-Encoding:\r\n chunked", CODED), OK("abc") | BAD)
    group.add("obs-fold behind it", post("Transfer-Encoding: chunked\r\n ", CODED), OK("abc") | BAD)
    group.add("obs-fold adds to it", post("Transfer-Encoding: chunked\r\n , x", EMPTY + HIDDEN), BAD_CODING, HIDDEN_REFUSED)
    group.add("LF before it", post("X: y\nTransfer-Encoding: chunked", CODED), OK("abc") | BAD)
    return group


def both():
    """RFC 9112 §6.1: the coding alone counts, or the request is refused; never are both forwarded."""
    group = Group("both (CVE-2026-2835 Pingora)")
    body = EMPTY + HIDDEN
    length = f"Content-Length: {len(body)}"
    for text in ("chunked", "CHUNKED", "\tchunked"):
        group.add(
            shown(f"length, {text}"), post(f"{length}\r\nTransfer-Encoding: {text}", body), OK() | BAD_CODING, HIDDEN_REFUSED
        )
        group.add(
            shown(f"{text}, length"), post(f"Transfer-Encoding: {text}\r\n{length}", body), OK() | BAD_CODING, HIDDEN_REFUSED
        )
    group.add("length 0", post("Content-Length: 0\r\nTransfer-Encoding: chunked", CODED), OK("abc") | BAD)
    group.add(
        "length too short",
        post("Content-Length: 3\r\nTransfer-Encoding: chunked", CODED + HIDDEN),
        OK("abc") | BAD,
        HIDDEN_REFUSED,
    )
    group.add("length is nonsense", post("Content-Length: x\r\nTransfer-Encoding: chunked", body), OK() | BAD, HIDDEN_REFUSED)
    group.add("two lengths", post(f"{length}\r\n{length}\r\nTransfer-Encoding: chunked", body), OK() | BAD, HIDDEN_REFUSED)
    for text in BAD_CODINGS[:20] + ODD_CODINGS[:2]:
        fields = f"{length}\r\nTransfer-Encoding: {text}"
        accept = OK() if text in ODD_CODINGS else NO()
        group.add(shown(f"length, bad {text}"), post(fields, body), accept | BAD_CODING, HIDDEN_REFUSED)
    for text in DISGUISED_CODINGS:
        for fields in (f"Content-Length: {N}\r\n{text}", f"{text}\r\nContent-Length: {N}"):
            group.add(shown(f"disguised {fields}", 90), post(fields, HIDDEN), OK(HIDDEN) | BAD_CODING | OR_FOLDED, HIDDEN_REFUSED)
    for name in ("Transfer_Encoding", "Transfer.Encoding", "TRANSFER_ENCODING", "transfer.encoding"):
        group.add(f"{name} folds", post(f"Content-Length: {N}\r\n{name}: chunked", HIDDEN), OK(HIDDEN) | BAD)
    for name in ("Content_Length", "Content.Length", "CONTENT_LENGTH", "content.length"):
        group.add(f"{name} folds", post(f"{name}: 3\r\nTransfer-Encoding: chunked", CODED), OK("abc") | BAD)
        group.add(f"{name} folds, alone", post(f"{name}: {N}", HIDDEN), OK() | BAD, HIDDEN_REFUSED)
        group.add(f"{name} folds, beside another", post(f"{name}: 0\r\nContent-Length: {N}", HIDDEN), OK(HIDDEN) | BAD)
    return group


def old_versions():
    group = Group("HTTP/1.0 framing (CVE-2026-2835 Pingora)")
    line = "POST /c HTTP/1.0"
    group.control("a length", post("Content-Length: 3", "abc", line=line), OK("abc"), probe=False)
    group.add("chunked", post("Transfer-Encoding: chunked", CODED, line=line), OK("abc") | BAD_CODING, probe=False)
    fields = f"Content-Length: {len(EMPTY + HIDDEN)}{CRLF}Transfer-Encoding: chunked"
    for more in ("", "\r\nConnection: keep-alive"):
        group.add(
            f"both{' kept alive' if more else ''}",
            post(fields + more, EMPTY + HIDDEN, line=line),
            OK() | BAD_CODING,
            HIDDEN_REFUSED,
        )
        group.add(
            f"a body that ends with the connection{' kept alive' if more else ''}",
            [post(more.strip(), HIDDEN, line=line)],
            OK() | NO(400, 411),
            HIDDEN_REFUSED,
        )
    group.add("several lengths", post("Content-Length: 3\r\nContent-Length: 4", "abcd", line=line), BAD)
    return group
