"""The chunked coding of a request's body (RFC 9112 §7.1)."""

from case import CLOSED, HIDDEN, HIDDEN_REFUSED, NO, OK, Group, post, shown

N = f"{len(HIDDEN):x}"
END = "0\r\n\r\n"
BAD = NO(400, 413)
# The sender waits for nothing that could come: whoever reads on refuses when it ends.
UNFINISHED = NO(400, 408, CLOSED)

GOOD = [
    ("one chunk", f"3\r\nabc\r\n{END}", "abc"),
    ("many chunks", "".join("1\r\n%c\r\n" % byte for byte in range(65, 91)) + END, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ("no chunk", END, ""),
    ("upper-case hex", f"A\r\n0123456789\r\n{END}", "0123456789"),
    ("lower-case hex", f"a\r\n0123456789\r\n{END}", "0123456789"),
    ("data like a coding's end", f"a\r\n0\r\n\r\nabcde\r\n{END}", "0\r\n\r\nabcde"),
    ("data like a request", f"{N}\r\n{HIDDEN}\r\n{END}", HIDDEN),
    ("an extension", f"3;a\r\nabc\r\n{END}", "abc"),
    ("an extension with a value", f"3;a=b\r\nabc\r\n{END}", "abc"),
    ("an extension in quotes", f'3;a="b;c \\" d"\r\nabc\r\n{END}', "abc"),
    ("extensions", '3;a=b;c;d="e"\r\nabc\r\n0;f=g\r\n\r\n', "abc"),
    ("a trailer", "3\r\nabc\r\n0\r\nX-Sum: y\r\n\r\n", "abc"),
    ("trailers", "3\r\nabc\r\n0\r\nX-Sum: y\r\nX-Sum: z\r\nX-More: w\r\n\r\n", "abc"),
]
# Grammatical or widely taken, and to be brought into one form or refused.
ODD = [
    ("leading zeros", f"00000003\r\nabc\r\n{END}", "abc"), ("many leading zeros", f"{'0' * 300}3\r\nabc\r\n{END}", "abc"),
    ("zeros for the end", "3\r\nabc\r\n0000\r\n\r\n", "abc"), ("a space behind the size", f"3 \r\nabc\r\n{END}", "abc"),
    ("a tab behind the size", f"3\t\r\nabc\r\n{END}", "abc"), ("spaces behind the end", "3\r\nabc\r\n0  \r\n\r\n", "abc"),
    ("space before the extension", f"3 ;a=b\r\nabc\r\n{END}", "abc"),
    ("spaces around the value", f"3; a = b\r\nabc\r\n{END}", "abc"), ("an empty extension", f"3;\r\nabc\r\n{END}", "abc"),
    ("a control byte in the extension", f"3;a=\x01\r\nabc\r\n{END}", "abc"),
    ("a NUL in the extension", f"3;a=\0\r\nabc\r\n{END}", "abc"),
    ("bytes outside ASCII in the extension", f"3;a=\xff\r\nabc\r\n{END}", "abc"),
    ("an unfinished quote", f'3;a="b\r\nabc\r\n{END}', "abc"),
    ("an extension of 1,000 bytes", f"3;{'a' * 1000}\r\nabc\r\n{END}", "abc"),
    ("an extension of 20,000 bytes", f"3;{'a' * 20000}\r\nabc\r\n{END}", "abc"),
    ("1,000 extensions", f"3{';a=b' * 1000}\r\nabc\r\n{END}", "abc"),
    ("an extension on each of 2,000 chunks", ("1;" + "x" * 20 + "\r\na\r\n") * 2000 + END, "a" * 2000),
    ("a trailer without a value", "3\r\nabc\r\n0\r\nX:\r\n\r\n", "abc"),
    ("100 trailers", "3\r\nabc\r\n0\r\n" + "X: y\r\n" * 100 + "\r\n", "abc"),
    ("a trailer of 20,000 bytes", f"3\r\nabc\r\n0\r\nX: {'y' * 20000}\r\n\r\n", "abc"),
]  # fmt: skip
# What may never reach the upstream as a field of its own.
TRAILERS = [
    f"Content-Length: {len(HIDDEN)}", "Transfer-Encoding: chunked", "Host: spoofed.test", "Authorization: Bearer spoofed",
    "X-Auth-Subject: spoofed", "X_Auth_Subject: spoofed", "X-Forwarded-For: spoofed", "X_Forwarded_For: spoofed",
    "Forwarded: for=spoofed", "Connection: spoofed", "Upgrade: spoofed", "Content_Length: spoofed", "Transfer_Encoding: spoofed",
    "Cookie: spoofed", "Trailer: spoofed", "TE: spoofed", "Expect: spoofed", "X-Request-Id: spoofed", "X-Real-IP: spoofed",
]  # fmt: skip
BAD_TRAILERS = [
    "X y", "X : y", ": y", " X: y", "X: y\r\n z", "X: y\0", "X\0: y", "X: y\rZ: w", "X\xff: y", "X: y\x01",
    "GET /hidden HTTP/1.1", "=y",
]  # fmt: skip
BROKEN = [
    ("size ends with LF", f"3\nabc\r\n{END}"),
    ("size ends with CR", f"3\rabc\r\n{END}"),
    ("size ends with CR CR LF", f"3\r\r\nabc\r\n{END}"),
    ("size ends with LF CR", f"3\n\rabc\r\n{END}"),
    ("data ends with LF", f"3\r\nabc\n{END}"),
    ("data ends with CR", f"3\r\nabc\r{END}"),
    ("data ends with nothing", f"3\r\nabc{END}"),
    ("data ends with two other bytes (SPILL.TERM)", f"3\r\nabcXX{N}\r\n{HIDDEN}\r\n{END}"),
    ("data is longer than its size", f"3\r\nabcd\r\n{END}"),
    ("data is shorter than its size", f"5\r\nabc\r\n{END}"),
    ("LF in the extension (TERM.EXT)", f"2;\nxx\r\n{N}\r\n0\r\n\r\n{HIDDEN}\r\n{END}"),
    ("CR in the extension", f"2;\rxx\r\n{N}\r\n0\r\n\r\n{HIDDEN}\r\n{END}"),
    ("LF in a quoted extension", f'3;a="\n"\r\nabc\r\n{END}'),
    ("CR in a quoted extension", f'3;a="\r"\r\nabc\r\n{END}'),
    ("CRLF in a quoted extension", f'3;a="\r\n"\r\nabc\r\n{END}'),
    ("the end ends with LF", "3\r\nabc\r\n0\n\r\n"),
    ("empty line", f"\r\n3\r\nabc\r\n{END}"),
    ("empty line between chunks", f"3\r\nabc\r\n\r\n{END}"),
    ("a sign", f"+3\r\nabc\r\n{END}"),
    ("a minus", f"-3\r\nabc\r\n{END}"),
    ("minus one", f"-1\r\nabc\r\n{END}"),
    ("minus zero", "-0\r\n\r\n" + HIDDEN),
    ("0x", f"0x3\r\nabc\r\n{END}"),
    ("0X", f"0X3\r\nabc\r\n{END}"),
    ("h", f"3h\r\nabc\r\n{END}"),
    ("no digit", f"x\r\nabc\r\n{END}"),
    ("a digit behind a space", f"3 3\r\nabc\r\n{END}"),
    ("a space before the size", f" 3\r\nabc\r\n{END}"),
    ("a tab before the size", f"\t3\r\nabc\r\n{END}"),
    ("a vertical tab before the size", f"\x0b3\r\nabc\r\n{END}"),
    ("an underscore", f"0_3\r\nabc\r\n{END}"),
    ("a dot", f"3.0\r\nabc\r\n{END}"),
    ("a comma", f"3,3\r\nabc\r\n{END}"),
    ("quotes", f'"3"\r\nabc\r\n{END}'),
    ("a NUL behind the size", f"3\0\r\nabc\r\n{END}"),
    ("a NUL before the size", f"\x003\r\nabc\r\n{END}"),
    ("a full-width digit", f"\xef\xbc\x93\r\nabc\r\n{END}"),
    ("a no-break space", f"3\xa0\r\nabc\r\n{END}"),
    ("an equals sign", f"3=\r\nabc\r\n{END}"),
    ("only an extension", f";a\r\nabc\r\n{END}"),
    ("over 32 bit", f"100000003\r\nabc\r\n{END}"),
    ("over 64 bit", f"10000000000000003\r\nabc\r\n{END}"),
    ("all of 64 bit", f"ffffffffffffffff\r\nabc\r\n{END}"),
    ("all of 63 bit", f"7fffffffffffffff\r\nabc\r\n{END}"),
    ("just under 64 bit with its CRLF", f"fffffffffffffffe\r\nabc\r\n{END}"),
    ("200 digits", f"{'f' * 200}\r\nabc\r\n{END}"),
    ("no coding at all", HIDDEN),
]


def groups():
    return [good(), trailers(), broken()]


def coded(body, fields=""):
    return post(f"{fields}Transfer-Encoding: chunked", body)


def good():
    group = Group("chunks")
    for name, wire, body in GOOD:
        group.control(name, coded(wire), OK(body))
    group.control("a request behind the end", coded(f"3\r\nabc\r\n{END}{HIDDEN}"), OK("abc"), NO(401))
    for name, wire, body in ODD:
        group.add(name, coded(wire + HIDDEN), OK(body) | BAD | NO(431), HIDDEN_REFUSED)
    return group


def trailers():
    group = Group("trailers")
    for field in TRAILERS:
        group.add(field, coded(f"3\r\nabc\r\n0\r\n{field}\r\n\r\n{HIDDEN}"), OK("abc") | BAD, HIDDEN_REFUSED, absent="spoofed")
        name, _, _ = field.partition(":")
        group.add(
            f"{field} announced",
            coded(f"3\r\nabc\r\n0\r\n{field}\r\n\r\n", f"Trailer: {name}\r\n"),
            OK("abc") | BAD,
            absent="spoofed",
        )
    for field in BAD_TRAILERS:
        group.add(shown(field), coded(f"3\r\nabc\r\n0\r\n{field}\r\n\r\n{HIDDEN}"), OK("abc") | BAD, HIDDEN_REFUSED)
    return group


def broken():
    group = Group("broken chunks")
    # Found by mutation: whoever takes LF for the end of a line sees the hidden request, whoever does not sees a trailer.
    for name, wire in [
        ("an LF ends the trailers", f"0\r\n\n{HIDDEN}"),
        ("an LF and a CRLF end the trailers", f"0\r\n\n\r\n{HIDDEN}"),
        ("a trailer ends with LF", f"0\r\nX: y\n\r\n\r\n{HIDDEN}"),
        ("a trailer and the trailers end with LF", f"0\r\nX: y\n\n{HIDDEN}"),
        ("the second trailer ends with LF", f"0\r\nX: y\r\nZ: w\n\r\n{HIDDEN}"),
    ]:
        group.add(name, coded(f"3\r\nabc\r\n{wire}"), BAD | NO(408, CLOSED), HIDDEN_REFUSED, cut=True)
    for name, wire in BROKEN:
        group.add(name, coded(wire + HIDDEN), BAD | NO(408, CLOSED), HIDDEN_REFUSED, cut=True)
    for name, wire in [
        ("cut off in the size", "3"),
        ("cut off before LF", "3\r"),
        ("cut off in the data", "5\r\nabc"),
        ("cut off behind the data", "3\r\nabc"),
        ("cut off before the end", "3\r\nabc\r\n"),
        ("cut off in the end", "3\r\nabc\r\n0"),
        ("cut off behind the end's line", "3\r\nabc\r\n0\r\n"),
        ("cut off in the last CRLF", "3\r\nabc\r\n0\r\n\r"),
        ("cut off in a trailer", "3\r\nabc\r\n0\r\nX: y"),
        ("cut off behind a trailer", "3\r\nabc\r\n0\r\nX: y\r\n"),
        ("no body at all", ""),
    ]:
        group.add(name, coded(wire), UNFINISHED, cut=True)
    return group
