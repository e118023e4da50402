"""Rows of the incident table that no family above has, and smuggling as it was published."""

from case import CLOSED, HIDDEN, HIDDEN_REFUSED, NO, OK, Do, Group, carrying, get, message, post, to_bytes

BAD = NO(400)
SMUGGLED = message("GET /smuggled HTTP/1.1")


def groups():
    return [published(), credentials(), answers(), neighbours()]


def published():
    group = Group("published")
    zero = "0\r\n\r\n"
    group.add(
        "CL.TE",
        post(f"Content-Length: {len(zero + 'G')}\r\nTransfer-Encoding: chunked", f"{zero}G"),
        OK() | BAD,
        NO(400, 408, CLOSED),
        cut=True,
    )
    chunk = f"{len(HIDDEN):x}\r\n{HIDDEN}\r\n{zero}"
    group.add("TE.CL", post("Content-Length: 4\r\nTransfer-Encoding: chunked", chunk), OK(HIDDEN) | BAD)
    for coding in (
        "xchunked",
        " chunked\r\nTransfer-Encoding: x",
        "chunked\r\nTransfer-encoding: cow",
        "\tchunked",
        "x\r\nTransfer-Encoding:\tchunked",
    ):
        fields = f"Content-Length: 4\r\nTransfer-Encoding: {coding}"
        group.add(f"TE.TE {coding!r}", post(fields, chunk), OK(HIDDEN) | NO(400, 422, 501), HIDDEN_REFUSED)
    group.add("CL.0", post(f"Content-Length: {len(HIDDEN)}", HIDDEN) + get(), OK(HIDDEN), OK(method="GET"))
    group.add("0.CL", [get(fields=f"Content-Length : {len(HIDDEN)}", body=HIDDEN)], BAD, HIDDEN_REFUSED)
    group.add(
        "0.CL by a fold", get(fields=f"Content-Length:\r\n {len(HIDDEN)}", body=HIDDEN), OK(HIDDEN, "GET") | BAD, HIDDEN_REFUSED
    )
    group.add("TE.0", post("Transfer-Encoding: chunked", chunk) + get(), OK(HIDDEN), OK(method="GET"))
    group.add("a GET's body", carrying(SMUGGLED, line="GET /c HTTP/1.1"), OK(SMUGGLED, "GET") | BAD)
    group.add("a HEAD's body", carrying(SMUGGLED, line="HEAD /c HTTP/1.1"), OK(SMUGGLED, "HEAD") | BAD)
    group.add("a DELETE's body", carrying(SMUGGLED, line="DELETE /c HTTP/1.1"), OK(SMUGGLED, "DELETE"))
    group.add("an OPTIONS' body in chunks", carrying(SMUGGLED, "chunks", "OPTIONS /c HTTP/1.1"), OK(SMUGGLED, "OPTIONS"))
    expect = post(f"Content-Length: {len(HIDDEN)}\r\nExpect: 100-continue")
    group.add("Expect and the body at once", expect + HIDDEN, OK(HIDDEN))
    group.add(
        "Expect in disguise",
        post(f"Content-Length: {len(HIDDEN)}\r\nExpect: y 100-continue", HIDDEN),
        OK(HIDDEN) | NO(400, 417),
        HIDDEN_REFUSED,
    )
    group.add(
        "a header that hides a length from one side",
        post(f"X: y\x00Content-Length: 0\r\nContent-Length: {len(HIDDEN)}", HIDDEN),
        OK(HIDDEN) | BAD,
        HIDDEN_REFUSED,
    )
    group.add("Range of many parts", get(fields="Range: bytes=" + ",".join(f"{n}-{n}" for n in range(300))), OK(method="GET"))
    return group


def credentials():
    group = Group("credential")
    once = get(auth="")
    for name, auth in [
        ("two, both good", "{AUTH}\r\n{AUTH}\r\n"), ("a good and a bad", "{AUTH}\r\nAuthorization: Bearer x\r\n"),
        ("a bad and a good", "Authorization: Bearer x\r\n{AUTH}\r\n"), ("a good and an empty", "{AUTH}\r\nAuthorization:\r\n"),
    ]:  # fmt: skip
        group.add(name, get(auth=auth, body=HIDDEN), NO(400, 401, 403), HIDDEN_REFUSED)
    for name, auth in [
        ("none", ""), ("empty", "Authorization:\r\n"), ("nonsense", "Authorization: Bearer nonsense\r\n"),
        ("Basic", "Authorization: Basic YTpi\r\n"), ("a NUL", "Authorization: Bearer a\0b\r\n"),
        ("bytes outside ASCII", "Authorization: Bearer \xe4\r\n"), ("only the scheme", "Authorization: Bearer\r\n"),
        ("two words", "Authorization: Bearer a b\r\n"), ("a folded name", "Author_ization: x\r\n"),
        ("with a space before the colon", "Authorization : Bearer x\r\n"),
        ("in the proxy's field", "Proxy-Authorization: Bearer x\r\n"), ("in a cookie", "Cookie: Authorization=x\r\n"),
        ("in another field", "X-Authorization: Bearer x\r\n"),
    ]:  # fmt: skip
        group.add(name, get(auth=auth, body=HIDDEN), NO(400, 401, 403), HIDDEN_REFUSED)
    group.add(
        "is not told again (CVE-2022-29266 APISIX)", get(auth="Authorization: Bearer kw_sk_told\r\n"), NO(401), unsaid="told"
    )
    group.add(
        "is not told again, malformed (CVE-2022-29266 APISIX)",
        get(auth="Authorization: Bearer told told\r\n"),
        NO(400, 401),
        unsaid="told",
    )
    group.add("in the query", get("/c?access_token=x", auth=""), NO(400, 401, 403))
    group.control("each request needs its own", get() + once, OK(method="GET"), NO(401))
    group.control("a refused one first", once + get(), NO(401), OK(method="GET"))
    group.add("never forwarded", get(), OK(method="GET"), absent="Bearer")
    group.add("a folded one beside it", get(fields="Authorization_: spoofed"), OK(method="GET") | BAD)
    return group


def neighbours():
    group = Group("neighbour")
    other = get(host="Host: b.test\r\n")
    group.control(
        "another host is another request (CVE-2026-2836 Pingora)",
        get() + other,
        OK(method="GET", host="a.test"),
        OK(method="GET", host="b.test"),
    )
    return group


def answers():
    """The client's side of a connection stays in step."""
    group = Group("in step")
    gone = lambda fill: fill(to_bytes(get() * 3))
    group.add("leaves without reading its answers", [gone, Do.AWAIT_UPSTREAM, Do.RESET], *[OK(method="GET")] * 3, cut=True)
    group.add("ends its side behind a whole request", [get(), Do.HALF_CLOSE], OK(method="GET") | NO(400, CLOSED), cut=True)
    group.add(
        "ends its side behind a whole body",
        [post("Content-Length: 3", "abc"), Do.HALF_CLOSE],
        OK("abc") | NO(400, CLOSED),
        cut=True,
    )
    return group
