"""Large and many: refused, or passed whole; never cut to another meaning."""

from case import CLOSED, HIDDEN, HIDDEN_REFUSED, NO, OK, Group, get, post

GET_OK = OK(method="GET")
# A proxy that stops reading may reset the connection before its answer is read.
TOO_LARGE = NO(400, 413, 414, 431, CLOSED)
K, M = 1 << 10, 1 << 20


def groups():
    return [targets(), fields(), bodies()]


def targets():
    group = Group("large target")
    group.control("1 KiB", get("/" + "c" * K), OK(method="GET", target="/" + "c" * K))
    for size, name in [(8 * K, "8 KiB"), (16 * K - 10, "almost 16 KiB"), (64 * K, "64 KiB"), (M, "1 MiB")]:
        for kind, target in [("path", "/" + "c" * size), ("query", "/c?" + "q" * size), ("segments", "/" + "c/" * (size // 2))]:
            group.add(f"{name} {kind}", get(target, body=HIDDEN), OK(method="GET", target=target) | TOO_LARGE, HIDDEN_REFUSED)
    target = "/" + "%63" * 2000
    group.add(
        "2,000 escapes", get(target), OK(method="GET", target=target) | OK(method="GET", target="/" + "c" * 2000) | TOO_LARGE
    )
    return group


def fields():
    group = Group("large fields (CVE-2021-40346 HAProxy)")
    group.control("4 KiB", get(fields=f"X-A: {'y' * 4 * K}"), GET_OK, present=((b"x-a", b"y" * 4 * K),))
    group.control("50 fields", get(fields="\r\n".join(f"X-{n}: y" for n in range(50))), GET_OK, present=((b"x-49", b"y"),))
    for size, name in [(16 * K, "16 KiB"), (32 * K, "32 KiB"), (64 * K, "64 KiB"), (M, "1 MiB")]:
        group.add(f"a value of {name}", get(fields=f"X-A: {'y' * size}", body=HIDDEN), GET_OK | TOO_LARGE, HIDDEN_REFUSED)
        group.add(f"a name of {name}", get(fields=f"{'X' * size}: y", body=HIDDEN), GET_OK | TOO_LARGE, HIDDEN_REFUSED)
        group.add(f"a line of {name} without a colon", get(fields="X" * size, body=HIDDEN), GET_OK | TOO_LARGE, HIDDEN_REFUSED)
        group.add(
            f"a credential of {name}",
            get(auth=f"Authorization: Bearer {'y' * size}\r\n", body=HIDDEN),
            TOO_LARGE | NO(401),
            HIDDEN_REFUSED,
        )
    # The overflow of CVE-2021-40346: a name of 270 bytes reads as one of 14 with what follows it.
    name = "Content-Length0" + "a" * 255
    group.add(
        "a name whose length overflows a byte",
        post(f"{name}:\r\nContent-Length: {len(HIDDEN)}", HIDDEN),
        OK(HIDDEN) | TOO_LARGE,
        HIDDEN_REFUSED,
    )
    for size in (255, 256, 257, 270, 511, 512, 65_535, 65_536, 65_537):
        name = ("Content-Length-" + "a" * size)[:size]
        group.add(
            f"a name of {size} bytes, then a length",
            post(f"{name}: 0\r\nContent-Length: {len(HIDDEN)}", HIDDEN),
            OK(HIDDEN) | TOO_LARGE,
            HIDDEN_REFUSED,
        )
    for count in (99, 101, 128, 200, 1000, 5000):
        lines = "\r\n".join(f"X-{n}: y" for n in range(count))
        group.add(f"{count} fields", get(fields=lines, body=HIDDEN), GET_OK | TOO_LARGE, HIDDEN_REFUSED)
    group.add(
        "1,000 fields before a length",
        post("X: y\r\n" * 1000 + f"Content-Length: {len(HIDDEN)}", HIDDEN),
        OK(HIDDEN) | TOO_LARGE,
        HIDDEN_REFUSED,
    )
    cookies = "\r\n".join(f"Cookie: c{n}={'y' * 100}" for n in range(5000))
    group.add(
        "half a megabyte of cookies (CVE-2026-47774 Envoy)", get(fields=cookies, body=HIDDEN), GET_OK | TOO_LARGE, HIDDEN_REFUSED
    )
    group.add("1,000 empty values", get(fields="\r\n".join(["X:"] * 1000), body=HIDDEN), GET_OK | TOO_LARGE, HIDDEN_REFUSED)
    return group


def bodies():
    group = Group("large body")
    body = "".join(chr(32 + n % 90) for n in range(300 * K))
    group.control("300 KiB", post(f"Content-Length: {len(body)}", body), OK(body))
    chunks = "".join(f"{2048:x}\r\n{body[at : at + 2048]}\r\n" for at in range(0, len(body), 2048))
    group.control("300 KiB in chunks", post("Transfer-Encoding: chunked", f"{chunks}0\r\n\r\n"), OK(body))
    ones = "".join(f"1\r\n{byte}\r\n" for byte in body[: 5 * K])
    group.control("5,000 chunks of one byte", post("Transfer-Encoding: chunked", f"{ones}0\r\n\r\n"), OK(body[: 5 * K]))
    huge = "y" * (11 * M)
    group.add("11 MiB", post(f"Content-Length: {len(huge)}", huge), OK(huge) | TOO_LARGE)
    group.add(
        "11 MiB in a chunk", post("Transfer-Encoding: chunked", f"{len(huge):x}\r\n{huge}\r\n0\r\n\r\n"), OK(huge) | TOO_LARGE
    )
    many = f"{64 * K:x}\r\n{'y' * 64 * K}\r\n" * 176
    group.add("11 MiB in chunks", post("Transfer-Encoding: chunked", f"{many}0\r\n\r\n"), OK(huge) | TOO_LARGE)
    group.add("11 GiB announced", post(f"Content-Length: {11 << 30}", HIDDEN), TOO_LARGE | NO(408), cut=True)
    return group
