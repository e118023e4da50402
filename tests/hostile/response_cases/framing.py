"""Where an answer ends (RFC 9112 §6.3)."""

from answer_case import AnswerGroup, reads
from capture import CLOSE, RESET
from case import shown

END = "0\r\n\r\n"
CODED = f"3\r\nabc\r\n{END}"
ABC = reads("abc")


def answer(fields="", body="", line="HTTP/1.1 200 OK"):
    return f"{line}\r\n{fields}{CRLF if fields else ''}\r\n{body}"


CRLF = "\r\n"


def groups():
    return [controls(), lengths(), codings(), chunks(), no_bodies()]


def controls():
    group = AnswerGroup("plain")
    group.control("a length", answer("Content-Length: 3", "abc"), ABC)
    group.control("no body", answer("Content-Length: 0"), reads())
    group.control("chunks", answer("Transfer-Encoding: chunked", f"1\r\na\r\n2;x=y\r\nbc\r\n{END}"), ABC)
    group.control("trailers", answer("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\nX-Sum: y\r\n\r\n"), ABC)
    group.control("until the end of the connection", [answer("", "abc"), CLOSE], ABC)
    group.control("HTTP/1.0 until the end of the connection", [answer("", "abc", "HTTP/1.0 200 OK"), CLOSE], ABC)
    group.control("HTTP/1.0 with a length", [answer("Content-Length: 3", "abc", "HTTP/1.0 200 OK"), CLOSE], ABC)
    group.control("HTTP/1.0 kept alive", answer("Content-Length: 3\r\nConnection: keep-alive", "abc", "HTTP/1.0 200 OK"), ABC)
    group.control("closes", [answer("Content-Length: 3\r\nConnection: close", "abc"), CLOSE], ABC)
    group.control("204", answer(line="HTTP/1.1 204 No Content"), reads(status=204))
    group.control("304", answer("ETag: x", line="HTTP/1.1 304 Not Modified"), reads(status=304))
    group.control("304 with a length", answer("Content-Length: 3", line="HTTP/1.1 304 Not Modified"), reads(status=304))
    group.control("HEAD with a length", answer("Content-Length: 3"), reads(), method="HEAD")
    group.control("HEAD with chunks", answer("Transfer-Encoding: chunked"), reads(), method="HEAD")
    group.control("HEAD without either", answer(), reads(), method="HEAD")
    group.control("404", answer("Content-Length: 3", "abc", "HTTP/1.1 404 Not Found"), reads("abc", 404))
    group.control("500", answer("Content-Length: 3", "abc", "HTTP/1.1 500 Internal Server Error"), reads("abc", 500))
    group.control("a status of its own", answer("Content-Length: 3", "abc", "HTTP/1.1 299 Fine"), reads("abc", 299))
    group.control("byte by byte", list(answer("Transfer-Encoding: chunked", CODED)), ABC)
    group.control("a megabyte", answer("Content-Length: 1000000", "a" * 1_000_000), reads("a" * 1_000_000))
    group.control("10,000 chunks", answer("Transfer-Encoding: chunked", "1\r\na\r\n" * 10_000 + END), reads("a" * 10_000))
    return group


def lengths():
    group = AnswerGroup("length")
    for text in [
        "",
        "+3",
        "-3",
        "3.0",
        "3 4",
        "3;x",
        "0x3",
        "x",
        "3\x0b",
        '"3"',
        "3,4",
        "99999999999999999999",
        "18446744073709551619",
        "9223372036854775808",
        "3\0",
        "1e1",
        "\xb3",
    ]:
        group.add(shown(text), answer(f"Content-Length: {text}", "abc"))
    for text in ["003", "3, 3", "3,3,3"]:
        group.add(text, answer(f"Content-Length: {text}", "abc"), ABC)
    group.add("two that contradict", answer("Content-Length: 3\r\nContent-Length: 5", "abcde"))
    group.add("two that contradict, the longer first", answer("Content-Length: 5\r\nContent-Length: 3", "abcde"))
    group.add("two that agree", answer("Content-Length: 3\r\ncontent-length: 3", "abc"), ABC)
    group.add("one that folds", [answer("Content_Length: 3", "abcde"), CLOSE], reads("abcde"), hidden="ontent_")
    group.add("one that folds beside one", answer("Content_Length: 5\r\nContent-Length: 3", "abc"), ABC, hidden="ontent_")
    group.add("a space before the colon", answer("Content-Length : 3", "abc"), ABC)
    group.add("a fold", answer("Content-Length:\r\n 3", "abc"), ABC)
    group.add("in a fold", [answer("X: y\r\n Content-Length: 3", "abcde"), CLOSE], reads("abcde"))
    group.add("behind LF", answer("X: y\nContent-Length: 3", "abc"), ABC)
    group.add("behind CR", [answer("X: y\rContent-Length: 3", "abcde"), CLOSE], reads("abcde"))
    return group


def codings():
    group = AnswerGroup("coding")
    both = f"Content-Length: {len(CODED)}"
    # RFC 9112 §6.3: the coding counts and the length is removed, or the answer is refused.
    group.add("length, then coding (CVE-2026-2835 Pingora)", answer(f"{both}\r\nTransfer-Encoding: chunked", CODED), ABC)
    group.add("coding, then length (CVE-2026-2835 Pingora)", answer(f"Transfer-Encoding: chunked\r\n{both}", CODED), ABC)
    group.add("coding and a shorter length", answer("Content-Length: 3\r\nTransfer-Encoding: chunked", CODED), ABC)
    for text in [
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "identity, chunked",
        "x",
        "",
        "xchunked",
        "chunked;q=1",
        '"chunked"',
        "\x0bchunked",
        "chunked\0",
        "cow",
    ]:
        group.add(shown(text), [answer(f"Transfer-Encoding: {text}", CODED), CLOSE])
    for text in [",chunked", "chunked,", "CHUNKED", "\tchunked"]:
        group.add(shown(text), answer(f"Transfer-Encoding: {text}", CODED), ABC)
    group.add("two fields", answer("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CODED))
    group.add("two fields that differ", answer("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", CODED))
    group.add("HTTP/1.0", [answer("Transfer-Encoding: chunked", CODED, "HTTP/1.0 200 OK"), CLOSE], ABC)
    group.add("one that folds", [answer("Transfer_Encoding: chunked", CODED), CLOSE], reads(CODED), hidden="ransfer_")
    group.add(
        "one that folds beside a length", answer("Transfer_Encoding: chunked\r\nContent-Length: 3", "abc"), ABC, hidden="ransfer_"
    )
    group.add("a space before the colon", answer("Transfer-Encoding : chunked", CODED), ABC)
    group.add("a fold", answer("Transfer-Encoding:\r\n chunked", CODED), ABC)
    return group


def chunks():
    group = AnswerGroup("chunks")
    coded = lambda wire: answer("Transfer-Encoding: chunked", wire)
    for name, wire in [
        ("leading zeros", f"0003\r\nabc\r\n{END}"), ("an extension", f"3;a=\"b\"\r\nabc\r\n{END}"),
        ("a space behind the size", f"3 \r\nabc\r\n{END}"), ("zeros for the end", "3\r\nabc\r\n000\r\n\r\n"),
        ("an extension of 20,000 bytes", f"3;{'a' * 20_000}\r\nabc\r\n{END}"),
        ("a trailer of 20,000 bytes", f"3\r\nabc\r\n0\r\nX: {'y' * 20_000}\r\n\r\n"),
        ("trailers that frame", "3\r\nabc\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\n\r\n"),
        ("a trailer that folds", "3\r\nabc\r\n0\r\nContent_Length: 9\r\n\r\n"),
        ("1,000 trailers", "3\r\nabc\r\n0\r\n" + "X: y\r\n" * 1000 + "\r\n"), ("LF behind the data", f"3\r\nabc\n{END}"),
        ("LF behind the size", f"3\nabc\r\n{END}"),
    ]:  # fmt: skip
        accept = () if name.startswith("LF") else (ABC,)
        group.add(name, coded(wire), *accept)
    for name, wire in [
        ("no size", f"\r\nabc\r\n{END}"), ("nonsense", f"xyz\r\nabc\r\n{END}"), ("0x", f"0x3\r\nabc\r\n{END}"),
        ("a sign", f"+3\r\nabc\r\n{END}"), ("a minus", f"-3\r\nabc\r\n{END}"),
        ("over 64 bit", f"10000000000000003\r\nabc\r\n{END}"), ("all of 64 bit", f"ffffffffffffffff\r\nabc\r\n{END}"),
        ("data too long", f"3\r\nabcd\r\n{END}"), ("data too short", f"5\r\nabc\r\n{END}"),
        ("a second number", f"3 3\r\nabc\r\n{END}"), ("a NUL", f"3\0\r\nabc\r\n{END}"),
        ("a space before the size", f" 3\r\nabc\r\n{END}"), ("CR in the extension", f"3;a\rb\r\nabc\r\n{END}"),
        ("LF in the extension", f"3;a\nb\r\nabc\r\n{END}"), ("no coding", "abc"),
        ("an answer in its place", answer("Content-Length: 0")), ("a size without end", "1" * 5000),
        ("a NUL in a trailer", "3\r\nabc\r\n0\r\nX: \0\r\n\r\n"), ("a trailer that is none", "3\r\nabc\r\n0\r\nnonsense\r\n\r\n"),
        ("LF in the trailers", "3\r\nabc\r\n0\r\nX: y\n\r\n"),
    ]:  # fmt: skip
        group.add(name, [coded(wire), CLOSE])
    for cut in range(1, len(CODED)):
        for how in (CLOSE, RESET) if cut in (1, 5, 8) else (CLOSE,):
            group.add(f"cut off behind {CODED[:cut]!r}, {how.value}", [coded(CODED[:cut]), how])
    return group


def no_bodies():
    group = AnswerGroup("no body")
    poison = answer("Content-Length: 8", "poisoned")
    for status, reason in [(204, "No Content"), (304, "Not Modified")]:
        line = f"HTTP/1.1 {status} {reason}"
        for name, fields, body in [
            ("with a body", "", "abc"), ("with a length and its body", "Content-Length: 3", "abc"),
            ("with chunks", "Transfer-Encoding: chunked", CODED), ("with an answer behind it", "", poison),
            ("with a length and an answer for a body", f"Content-Length: {len(poison)}", poison),
        ]:  # fmt: skip
            group.add(f"{status} {name}", answer(fields, body, line), reads(status=status), hidden="poisoned")
    for name, fields, body in [
        ("with its body", "Content-Length: 3", "abc"), ("with chunks", "Transfer-Encoding: chunked", CODED),
        ("with an answer for a body", f"Content-Length: {len(poison)}", poison), ("with a body and no length", "", "abc"),
    ]:  # fmt: skip
        group.add(f"HEAD {name}", answer(fields, body), reads(), method="HEAD", hidden="poisoned")
    group.add(
        "205 with a body", answer("Content-Length: 3", "abc", "HTTP/1.1 205 Reset Content"), reads("abc", 205), reads("", 205)
    )
    return group
