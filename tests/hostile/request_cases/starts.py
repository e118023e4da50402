"""Methods, versions, and beginnings that are no HTTP at all."""

from case import CLOSED, HIDDEN, HIDDEN_REFUSED, NO, NOT_HTTP1, OK, Group, message, shown

BAD = NO(400)
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
WORDS = ["PROPFIND", "PURGE", "FOO", "get", "Get", "QUERY", "M-SEARCH", "GET_", "X.Y", "GET'", "!#$%&'*+-.^_`|~", "G" * 20, "PRI"]
NO_METHODS = [
    "GE T", "GET/", "GET:", "(GET)", "G@T", "G[T", '"GET"', "G\\T", "G{T}", "G;T", "G,T", "G=T", "G?T", "G<T>", "G\x01T", "G\0T",
    "\0GET", "G\x7fT", "G\x80T", "G\xe9T", "\xffGET", "",
]  # fmt: skip
HIGHER = ["HTTP/1.2", "HTTP/1.9"]
NO_VERSIONS = [
    "HTTP/0.9", "HTTP/2.0", "HTTP/2", "HTTP/3.0", "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/1.10", "HTTP/1.01", "HTTP/01.1",
    "HTTP/1.1.1", "HTTP/1,1", "HTTP/11", "HTTP 1.1", "http/1.1", "Http/1.1", "HTTPS/1.1", "HTTP/1.1x", "HTTP/x.y", "HTTP/-1.1",
    "HTTP/+1.1", "HTTP/1.-1", "HTTP/1.\xb9", "HTTP/9.9", "HTTP/10.1", "HTTP/4294967297.1", "HTTP/1.4294967297", "HTTP\\1.1",
    "HTTP//1.1", "ICY/1.1", "RTSP/1.0", "SIP/2.0", "HTTP/1.1\0", "\0HTTP/1.1", "HTTP/1.1;x", "",
]  # fmt: skip
TLS = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\x00" * 64
PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = "\0\0\0\x04\0\0\0\0\0"


def groups():
    return [methods(), versions(), strangers()]


def methods():
    group = Group("method")
    for word in METHODS:
        group.control(word, message(f"{word} /c HTTP/1.1"), OK(method=word))
        group.control(f"{word} with a body", message(f"{word} /c HTTP/1.1", "Content-Length: 3", "abc"), OK("abc", word))
    group.control("HEAD", message("HEAD /c HTTP/1.1", body=HIDDEN), OK(method="HEAD"), NO(401))
    group.add(
        "HEAD with a body",
        message("HEAD /c HTTP/1.1", f"Content-Length: {len(HIDDEN)}", HIDDEN),
        OK(HIDDEN, "HEAD") | BAD,
        HIDDEN_REFUSED,
    )
    for word in WORDS:
        group.add(shown(word), message(f"{word} /c HTTP/1.1", body=HIDDEN), OK(method=word) | NO(400, 405, 501), HIDDEN_REFUSED)
    for word in NO_METHODS:
        group.add(f"none: {shown(word)}", message(f"{word} /c HTTP/1.1", body=HIDDEN), NO(400, 405, 501), HIDDEN_REFUSED)
    for length in (100, 1000, 10_000):
        group.add(
            f"of {length} bytes",
            message(f"{'M' * length} /c HTTP/1.1", body=HIDDEN),
            OK(method="M" * length) | NO(400, 405, 414, 431, 501),
            HIDDEN_REFUSED,
        )
    group.add("TRACE", message("TRACE /c HTTP/1.1", body=HIDDEN), OK(method="TRACE") | NO(400, 403, 405, 501), HIDDEN_REFUSED)
    group.add(
        "TRACE with a body",
        message("TRACE /c HTTP/1.1", f"Content-Length: {len(HIDDEN)}", HIDDEN),
        OK(HIDDEN, "TRACE") | NO(400, 403, 405, 501),
        HIDDEN_REFUSED,
    )
    group.add("TRACK", message("TRACK /c HTTP/1.1", body=HIDDEN), OK(method="TRACK") | NO(400, 405, 501), HIDDEN_REFUSED)
    return group


def versions():
    group = Group("version")
    get_ok = OK(method="GET")
    group.control("HTTP/1.0", message("GET /c HTTP/1.0"), get_ok, probe=False)
    group.add("HTTP/1.0, and a request behind it", message("GET /c HTTP/1.0", body=HIDDEN), get_ok, HIDDEN_REFUSED, probe=False)
    group.control("HTTP/1.0 kept alive", message("GET /c HTTP/1.0", "Connection: keep-alive"), get_ok, probe=False)
    for version in HIGHER:
        group.add(version, message(f"GET /c {version}", body=HIDDEN), get_ok | NO(400, 505), HIDDEN_REFUSED)
    for version in NO_VERSIONS:
        group.add(
            f"none: {shown(version)}",
            message(f"GET /c {version}".rstrip(" "), body=HIDDEN),
            NO(400, 501, 505, NOT_HTTP1, CLOSED),
            HIDDEN_REFUSED,
        )
    group.add("HTTP/0.9", "GET /hidden\r\n", NO(400, 401, 505, CLOSED, NOT_HTTP1), probe=False, cut=True)
    group.add(
        "HTTP/0.9 with fields", "GET /hidden\r\nHost: a.test\r\n{AUTH}\r\n\r\n", NO(400, 401, 505, CLOSED, NOT_HTTP1), probe=False
    )
    group.add(
        "HTTP/0.9, a POST", f"POST /hidden\r\n\r\n{HIDDEN}", NO(400, 401, 505, CLOSED, NOT_HTTP1), HIDDEN_REFUSED, probe=False
    )
    return group


def strangers():
    group = Group("stranger")
    none = NO(400, 408, 501, 505, CLOSED, NOT_HTTP1)
    for name, data in [
        ("a TLS hello", TLS), ("a TLS hello and a request", TLS + HIDDEN),
        ("an answer", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("the PROXY protocol", f"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n{HIDDEN}"),
        ("the PROXY protocol's second version", "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0" + HIDDEN), ("SSH", "SSH-2.0-OpenSSH_9.2\r\n"),
        ("SMTP", "EHLO a.test\r\n"), ("Redis", "*1\r\n$4\r\nPING\r\n"), ("only NUL", "\0" * 100), ("only LF", "\n" * 100),
        ("noise", "".join(map(chr, range(255, 0, -1)))), ("a chunk", f"3\r\nabc\r\n0\r\n\r\n{HIDDEN}"),
        ("fields first", f"Host: a.test\r\n{{AUTH}}\r\n\r\n{HIDDEN}"), ("a body first", f'{{"a": 1}}\r\n{HIDDEN}'),
        ("a status line first", f"HTTP/1.1 200 OK\r\n{HIDDEN}"),
    ]:  # fmt: skip
        group.add(name, data, none, HIDDEN_REFUSED, probe=False, cut=True)
    for name, data in [
        ("HTTP/2's preface", PREFACE), ("HTTP/2's preface and settings", PREFACE + SETTINGS),
        ("HTTP/2's preface and a request", PREFACE + HIDDEN), ("half of HTTP/2's preface", PREFACE[:16]),
        ("HTTP/2's preface and HTTP/1", PREFACE[:-8] + message("GET /c HTTP/1.1")),
        ("HTTP/2's preface with fields", "PRI * HTTP/2.0\r\nHost: a.test\r\n{AUTH}\r\n\r\n"),
        ("HTTP/2's preface with LF", PREFACE.replace("\r\n", "\n")),
        ("HTTP/2's preface behind a request", message("GET /c HTTP/1.1", "Connection: keep-alive") + PREFACE + SETTINGS),
        ("HTTP/2's settings alone", SETTINGS),
    ]:  # fmt: skip
        first = OK(method="GET") if "behind" in name else none
        group.add(name, data, first, none, probe=False, cut=True)
    return group
