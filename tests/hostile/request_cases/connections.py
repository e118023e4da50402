"""Connection, Expect, Upgrade, TE: what concerns one connection alone (RFC 9110 §7.6.1, §7.8, §10.1.1)."""

from case import CLOSED, HIDDEN, HIDDEN_REFUSED, NO, OK, Do, Group, get, message, post

GET_OK = OK(method="GET")
BAD = NO(400)
N = len(HIDDEN)


def groups():
    return [hop_by_hop(), expectations(), upgrades()]


def hop_by_hop():
    group = Group("hop by hop")
    for field in [
        "Connection: X-Secret\r\nX-Secret: spoofed", "connection: x-secret , close\r\nX-Secret: spoofed",
        "Connection: a\r\nConnection: X-Secret\r\nX-Secret: spoofed", "X-Secret: spoofed\r\nConnection: X-SECRET",
        "Connection: ,,X-Secret,\r\nX-Secret: spoofed", "Keep-Alive: spoofed", "Proxy-Connection: spoofed",
        "Proxy-Authorization: spoofed", "Proxy-Authenticate: spoofed", "HTTP2-Settings: spoofed", "TE: spoofed",
        "TE: trailers, spoofed", "Trailer: spoofed", "Upgrade: spoofed",
    ]:  # fmt: skip
        group.add(field.replace("\r\n", ", "), get(fields=field), GET_OK | BAD, absent="spoofed")
    for option in [
        "Content-Length",
        "content-length",
        "Host",
        "Transfer-Encoding",
        "close, Content-Length",
        "Authorization",
        "Cookie",
        "X-Request-Id",
        ":path",
        '"Host"',
        "a b",
        "a;b",
        "",
    ]:
        field = f"Connection: {option}\r\nContent-Length: {N}"
        group.add(f"Connection: {option}", post(field, HIDDEN), OK(HIDDEN) | BAD, HIDDEN_REFUSED)
    group.add(
        "Connection: Host, chunked",
        post("Connection: Host, Transfer-Encoding\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"),
        OK("abc") | BAD,
    )
    for option in ["close", "keep-alive", "Close", "keep-alive, close", "close, keep-alive", "TE, close"]:
        group.control(f"Connection: {option}", get(fields=f"Connection: {option}"), GET_OK, probe="close" not in option.lower())
    group.add(
        "Connection of 200 options", get(fields="Connection: " + ", ".join(f"x-{n}" for n in range(200))), GET_OK | NO(400, 431)
    )
    group.add("Connection: close, and a request behind it", get(fields="Connection: close", body=HIDDEN), GET_OK, HIDDEN_REFUSED)
    group.add(
        "Proxy-Connection: close, and a request behind it",
        get(fields="Proxy-Connection: close", body=HIDDEN),
        GET_OK,
        HIDDEN_REFUSED,
    )
    group.add(
        "Max-Forwards: 0 on OPTIONS", message("OPTIONS /c HTTP/1.1", "Max-Forwards: 0"), OK(method="OPTIONS") | NO(200, 204)
    )
    return group


def expectations():
    group = Group("Expect")
    head = post("Content-Length: 3\r\nExpect: 100-continue")
    group.control("waits", [head, Do.AWAIT_CONTINUE, "abc"], OK("abc"))
    group.control("does not wait", head + "abc", OK("abc"))
    group.control("in another case", [head.replace("100-continue", "100-Continue"), Do.AWAIT_CONTINUE, "abc"], OK("abc"))
    chunked = post("Transfer-Encoding: chunked\r\nExpect: 100-continue")
    group.control("waits, chunks", [chunked, Do.AWAIT_CONTINUE, "3\r\nabc\r\n0\r\n\r\n"], OK("abc"))
    group.add("without a body", get(fields="Expect: 100-continue", body=HIDDEN), GET_OK | NO(417), HIDDEN_REFUSED)
    group.add("with an empty body", post("Content-Length: 0\r\nExpect: 100-continue", HIDDEN), OK() | NO(417), HIDDEN_REFUSED)
    for coding in ("Content-Length: 3", "Transfer-Encoding: chunked"):
        refused = post(f"{coding}\r\nExpect: 100-continue", auth="")
        group.control(f"refused before it is told to go on, {coding}", [refused, Do.AWAIT_CONTINUE], NO(401), probe=False)
        group.add(
            f"refused, and a request instead of the body, {coding}",
            [refused, Do.AWAIT_CONTINUE, HIDDEN],
            NO(401),
            HIDDEN_REFUSED,
            probe=False,
        )
    group.add(
        "too long for it",
        [post(f"Content-Length: {1 << 40}\r\nExpect: 100-continue"), Do.AWAIT_CONTINUE],
        NO(400, 408, 413, CLOSED),
        cut=True,
    )
    group.add("waits, then ends", [head, Do.AWAIT_CONTINUE], NO(400, 408, CLOSED), cut=True)
    for value in [
        "x",
        "",
        "100-continue, x",
        "100-continue;q=1",
        "200-ok",
        "100-continue\r\nExpect: x",
        "100 continue",
        '"100-continue"',
        "100-continue\0",
        'x="100-continue"',
    ]:
        field = f"Content-Length: {N}\r\nExpect: {value}"
        group.add(f"{value!r}", post(field, HIDDEN), OK(HIDDEN) | NO(400, 417), HIDDEN_REFUSED)
    group.add("twice", post("Content-Length: 3\r\nExpect: 100-continue\r\nExpect: 100-continue", "abc"), OK("abc") | NO(400, 417))
    group.add(
        "HTTP/1.0", post("Content-Length: 3\r\nExpect: 100-continue", "abc", line="POST /c HTTP/1.0"), OK("abc"), probe=False
    )
    return group


def upgrades():
    """CVE-2026-2833 and its kin: nothing behind a request to change the protocol passes before the 101."""
    group = Group("Upgrade")
    websocket = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    )
    for name, fields in [
        ("foo", "Connection: Upgrade\r\nUpgrade: foo"), ("websocket", websocket), ("without Connection", "Upgrade: foo"),
        ("empty", "Connection: Upgrade\r\nUpgrade:"), ("two", "Connection: Upgrade\r\nUpgrade: foo\r\nUpgrade: websocket"),
        ("a list", "Connection: Upgrade\r\nUpgrade: foo, websocket"), ("TLS", "Connection: Upgrade\r\nUpgrade: TLS/1.0"),
        ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade: HTTP/1.1"), ("HTTP/2.0", "Connection: Upgrade\r\nUpgrade: HTTP/2.0"),
    ]:  # fmt: skip
        first = GET_OK | NO(400, 403, 426, 501)
        group.add(
            f"{name}, answered 200 (CVE-2026-2833 Pingora, CVE-2024-23326 Envoy)",
            get(fields=fields, body=HIDDEN),
            first,
            HIDDEN_REFUSED,
        )
        group.add(
            f"{name}, two requests behind it (CVE-2025-64763 Envoy)",
            get(fields=fields, body=HIDDEN * 2),
            first,
            HIDDEN_REFUSED,
            HIDDEN_REFUSED,
        )
        group.add(
            f"{name}, with a body",
            post(f"{fields}\r\nContent-Length: {N}", HIDDEN),
            OK(HIDDEN) | NO(400, 403, 426, 501),
            HIDDEN_REFUSED,
        )
        group.add(f"{name}, without a credential", get(fields=fields, auth="", body=HIDDEN), NO(400, 401), HIDDEN_REFUSED)
        group.add(f"{name}, in HTTP/1.0", message("GET /c HTTP/1.0", fields, HIDDEN), first, HIDDEN_REFUSED, probe=False)
    settings = "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
    for upgrade in ("h2c", "H2C", "websocket, h2c", "h2c, websocket", "h2", "h2c/1", " h2c"):
        for connection in ("Upgrade, HTTP2-Settings", "Upgrade"):
            fields = f"Connection: {connection}\r\nUpgrade: {upgrade}\r\n{settings}"
            group.add(
                f"{upgrade}, Connection: {connection}",
                get(fields=fields, body=HIDDEN),
                GET_OK | NO(400, 403, 426, 501),
                HIDDEN_REFUSED,
            )
    return group
