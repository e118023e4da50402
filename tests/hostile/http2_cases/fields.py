"""Cases after RFC 9113 sections 8.2 and 8.3: what a field or a pseudo-field could become in HTTP/1.1 (CVE-2023-27491)."""

from frames import block, headers
from http2_case import MALFORMED, Passed, answered, case, reset

#: Where the message is well formed and the gateway still will not have it.
REFUSED = (reset("PROTOCOL_ERROR", "REFUSED_STREAM"), answered(400, 403, 404, 405, 414, 421, 501))
TOO_LARGE = (answered(400, 414, 431, 501), reset("PROTOCOL_ERROR", "REFUSED_STREAM", "ENHANCE_YOUR_CALM"))


def cases():
    return [*names(), *values(), *of_the_connection(), *cookies(), *pseudo(), *paths(), *authorities(), *methods_and_schemes()]


def field(name, value):
    return lambda c: c.request((name, value))


def names():
    bad = {
        "in upper case": "X-Upper", "in mixed case": "x-uPper", "with CR LF": "x\r\nx-smuggled",
        "with LF": "x\nx-smuggled", "with CR": "x\rx", "with NUL": "x\0x", "with a space": "x test",
        "that begins with a space": " x-test", "that ends with a space": "x-test ", "with a tab": "x\tx",
        "with a colon": "x:x", "that ends with a colon": "x-test:", "that is empty": "", "with a control byte": "x\x01x",
        "with DEL": "x\x7fx", "outside ASCII": "x-\xfc", "with quotes": 'x"x', "with a slash": "x/x",
        "with brackets": "x[0]", "that is a request": "x: 1\r\n\r\nGET /smuggled HTTP/1.1\r\nhost",
        "that is framing with a space": "transfer-encoding ", "of framing with a colon": "content-length: 5\r\nx",
    }  # fmt: skip
    for what, name in bad.items():
        yield case("8.2.1", f"a name {what}", field(name, "1"), *MALFORMED)
    for name, value in {
        "content_length": "5",
        "transfer_encoding": "chunked",
        "content.length": "5",
        "transfer.encoding": "chunked",
        "transfer-encoding_": "chunked",
    }.items():
        folds = name != "transfer-encoding_"
        passed = Passed(absent=(name,)) if folds else Passed()
        yield case("8.2.1", f"the name {name}, which some fold", field(name, value), *REFUSED, passed)
    yield case(
        "8.2.1",
        "a name of every character that is allowed",
        field("x!#$%&'*+-.^`|~019az", "1"),
        Passed(fields={"x!#$%&'*+-.^`|~019az": ["1"]}),
        *MALFORMED,
    )


def values():
    bad = {
        "with CR LF": "a\r\nX-Smuggled: 1", "with LF": "a\nX-Smuggled: 1", "with CR": "a\rX-Smuggled: 1", "with NUL": "a\0b",
        "that ends with CR LF": "a\r\n", "that begins with LF": "\na", "of CR LF alone": "\r\n", "of NUL alone": "\0",
        "with a folded line": "a\r\n b", "with a request": "a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: example.com\r\n\r\n",
        "with framing": "a\r\ntransfer-encoding: chunked", "with LF and framing": "a\ncontent-length: 50",
    }  # fmt: skip
    for what, value in bad.items():
        yield case("8.2.1", f"a value {what}", field("x-test", value), *MALFORMED)
    # RFC 9113 says malformed, RFC 9110 that such space is no part of the value: either has one reading.
    for what, value in {
        "begins with a space": " a",
        "ends with a space": "a ",
        "begins with a tab": "\ta",
        "ends with a tab": "a\t",
    }.items():
        yield case("8.2.1", f"a value that {what}", field("x-test", value), *MALFORMED, Passed(fields={"x-test": ["a"]}))
    for what, value in {"a control byte": "a\x01b", "DEL": "a\x7fb", "ESC": "a\x1b[0m"}.items():
        yield case("8.2.1", f"a value with {what}", field("x-test", value), *MALFORMED)
    for what, value in {
        "a tab inside": "a\tb",
        "bytes above ASCII": "gr\xfc\xdfe",
        "spaces inside": "a  b",
        "no byte": "",
        "8,000 bytes": "x" * 8000,
    }.items():
        passed = Passed(fields={"x-test": [value]})
        yield case(
            "8.2.1", f"a value with {what}", field("x-test", value), passed, *([answered(431, 400)] if len(value) > 100 else [])
        )
    yield case(
        "8.2",
        "one name with two values",
        lambda c: c.request(("x-test", "a"), ("x-test", "b")),
        Passed(fields={"x-test": ["a", "b"]}),
    )


def of_the_connection():
    for name, value in (
        ("connection", "close"), ("connection", "keep-alive"), ("connection", "x-test"), ("connection", "upgrade"),
        ("keep-alive", "timeout=5"), ("proxy-connection", "keep-alive"), ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"), ("transfer-encoding", ""), ("upgrade", "h2c"), ("upgrade", "websocket"),
        ("te", "gzip"), ("te", "trailers, deflate"), ("te", "trailers;q=0.5"), ("te", ""),
    ):  # fmt: skip
        unknown_coding = [answered(501)] if name == "transfer-encoding" else []
        yield case("8.2.2", f"{name}: {value}", field(name, value), *MALFORMED, *unknown_coding)
    yield case(
        "8.2.2",
        "transfer-encoding with DATA",
        lambda c: c.request(("transfer-encoding", "chunked"), method="POST", body=b"0\r\n\r\n"),
        *MALFORMED,
    )
    yield case("8.2.2", "te: trailers", field("te", "trailers"), Passed())
    yield case(
        "8.2.2", "http2-settings", field("http2-settings", "AAMAAABkAAQAAP__"), *MALFORMED, Passed(absent=("http2-settings",))
    )
    yield case(
        "8.2.2",
        "connection: close, upgrade and framing",
        lambda c: c.request(("connection", "close"), ("upgrade", "h2c"), ("http2-settings", "AA")),
        *MALFORMED,
    )


def cookies():
    crumbs = lambda *values: lambda c: c.request(*(("cookie", value) for value in values))
    yield case(
        "8.2.3", "cookie crumbs become one field", crumbs("a=1", "b=2", "c=3"), Passed(fields={"cookie": ["a=1; b=2; c=3"]})
    )
    yield case(
        "8.2.3",
        "cookie crumbs that are not neighbours",
        lambda c: c.request(("cookie", "a=1"), ("x-test", "1"), ("cookie", "b=2")),
        Passed(fields={"cookie": ["a=1; b=2"]}),
    )
    yield case("8.2.3", "one cookie field is not changed", crumbs("a=1; b=2"), Passed(fields={"cookie": ["a=1; b=2"]}))
    yield case("8.2.3", "a cookie crumb with CR LF", crumbs("a=1", "b=2\r\nX-Smuggled: 1"), *MALFORMED)


def pseudo():
    for name in ("method", "scheme", "path"):
        yield case("8.3.1", f"no :{name}", lambda c, name=name: c.request(**{name: None}), *MALFORMED)
        yield case(
            "8.3.1",
            f"two :{name} that are equal",
            lambda c, name=name: c.request(**{name: (dict(c.head()[:4])[f":{name}"],) * 2}),
            *MALFORMED,
        )
        yield case("8.3.1", f"an empty :{name}", lambda c, name=name: c.request(**{name: ""}), *MALFORMED)
    yield case(
        "8.3.1", "no pseudo-field at all", lambda c: c.request(method=None, scheme=None, path=None, authority=None), *MALFORMED
    )
    others = {
        "method": ("GET", "POST"),
        "scheme": ("http", "https"),
        "path": ("/smuggled", "/other"),
        "authority": ("example.com", "other.example"),
    }
    for name, two in others.items():
        yield case("8.3.1", f"two :{name} that differ", lambda c, name=name, two=two: c.request(**{name: two}), *MALFORMED)
    yield case("8.3.1", "two :authority that are equal", lambda c: c.request(authority=("example.com",) * 2), *MALFORMED)
    for name, value in {":path": "/smuggled", ":method": "GET", ":scheme": "http", ":authority": "example.com"}.items():
        yield case("8.3", f"{name} behind fields", lambda c, name=name, value=value: behind(c, name, value), *MALFORMED)
    for name in (":status", ":unknown", ":", "::path", ":Path", ":path "):
        yield case("8.3", f"the pseudo-field {name!r}", lambda c, name=name: among(c, name, "200"), *MALFORMED)


def behind(c, name, value):
    """The pseudo-field stands at the end, and only there."""
    fields = c.head()
    moved = [(other, text) for other, text in fields if other != name]
    return c.say(1, headers(1, block([*moved, ("x-test", "1"), (name, dict(fields)[name] if name == ":path" else value)])))


def among(c, name, value):
    fields = c.head()
    return c.say(1, headers(1, block([*fields[:4], (name, value), *fields[4:]])))


def paths():
    bad = {
        "with a space": "/a b", "with HTTP/1.1 behind": "/ HTTP/1.1\r\nX-Smuggled: 1\r\n\r\n",
        "with a space and a version": "/smuggled HTTP/1.1", "with CR LF": "/a\r\nX-Smuggled: 1", "with LF": "/a\nb",
        "with CR": "/a\rb", "with NUL": "/a\0b", "with a tab": "/a\tb", "with DEL": "/a\x7f",
        "with a control byte": "/a\x01", "with a space in the query": "/a?b c",
        "with CR LF in the query": "/a?b\r\nX-Smuggled: 1", "with a fragment": "/a#b",
        "with a fragment in the query": "/a?b#c", "without a slash": "a", "of a query alone": "?a=1", "of * for GET": "*",
        "with dot segments": "/public/../a", "with a dot segment": "/a/./b",
        "with escaped dot segments": "/public/%2e%2e/a", "with dots and a parameter": "/public/..;/a",
        "with NUL escaped": "/a%00b", "with CR LF escaped": "/a%0d%0aX-Smuggled:%201", "with a broken escape": "/a%zz",
        "with an escape cut off": "/a%2", "that names a host": "http://example.com/a",
        "that names another host": "http://other.example/a", "of a scheme alone": "http:",
        "of a userinfo": "@other.example/a", "of a backslash": "\\a",
    }  # fmt: skip
    for what, path in bad.items():
        yield case("8.3.1", f":path {what}", lambda c, path=path: c.request(path=path), *REFUSED)
    careful = {
        "with two slashes": "//other.example/a",
        "with a backslash": "/a\\..\\b",
        "with an escaped slash": "/a%2fb",
        "outside ASCII": "/gr\xfc\xdfe",
    }
    for what, path in careful.items():
        yield case("8.3.1", f":path {what}", lambda c, path=path: c.request(path=path), *REFUSED, Passed(target=path))
    good = ("/?", "/a?b=c&d=%20%C3%BC", "/a-b.c_d~e", "/a?/../b", "/a?http://other.example/", "/%C3%BC", "/a,b")
    for path in good:
        yield case("8.3.1", f":path of {path}", lambda c, path=path: c.request(path=path), Passed(target=path))
    yield case(
        "8.3.1",
        ":path of * for OPTIONS",
        lambda c: c.request(method="OPTIONS", path="*"),
        *REFUSED,
        Passed("OPTIONS", target="*"),
    )
    yield case(
        "8.3.1",
        ":path of 12,000 bytes",
        lambda c: c.request(path="/" + "a" * 12_000),
        Passed(target="/" + "a" * 12_000),
        *TOO_LARGE,
    )


def authorities():
    bad = {
        "with a userinfo": "user@example.com", "with user and password": "a:b@example.com",
        "with an empty userinfo": "@example.com", "with a path": "example.com/a", "with a query": "example.com?a",
        "with a fragment": "example.com#a", "with a space": "exam ple.com", "with CR LF": "example.com\r\nX-Smuggled: 1",
        "with LF": "example.com\nX-Smuggled: 1", "with NUL": "example.com\0", "with a tab": "example.com\t",
        "with a backslash": "example.com\\a", "of two hosts": "example.com,other.example", "with half a bracket": "[::1",
        "with a port that is none": "example.com:a", "with two ports": "example.com:80:81",
        "with a port too large": "example.com:99999", "that names a scheme": "http://example.com",
        "that ends with a space": "example.com ",
    }  # fmt: skip
    for what, authority in bad.items():
        yield case("8.3.1", f":authority {what}", lambda c, authority=authority: c.request(authority=authority), *REFUSED)
    host = lambda value: Passed(fields={"host": [value]})
    yield case(
        "8.3.1",
        ":authority becomes Host",
        lambda c: c.request(authority="a.example:8443"),
        host("a.example:8443"),
        host("a.example"),
    )
    yield case("8.3.1", ":authority of IPv6", lambda c: c.request(authority="[::1]:80"), host("[::1]:80"), host("[::1]"))
    yield case("8.3.1", "neither :authority nor host", lambda c: c.request(authority=None), *REFUSED)
    yield case("8.3.1", "an empty :authority", lambda c: c.request(authority=""), *REFUSED)
    yield case(
        "8.3.1", "host instead of :authority", lambda c: c.request(("host", "example.com"), authority=None), host("example.com")
    )
    yield case("8.3.1", "host that equals :authority", lambda c: c.request(("host", "example.com")), host("example.com"))
    yield case("8.3.1", "host that differs from :authority", lambda c: c.request(("host", "other.example")), *REFUSED)
    yield case(
        "8.3.1",
        "two host fields",
        lambda c: c.request(("host", "example.com"), ("host", "other.example"), authority=None),
        *REFUSED,
    )
    yield case(
        "8.3.1",
        "two host fields beside :authority",
        lambda c: c.request(("host", "example.com"), ("host", "example.com")),
        *REFUSED,
        host("example.com"),
    )
    yield case("8.3.1", "an empty host beside :authority", lambda c: c.request(("host", "")), *REFUSED)
    yield case(
        "8.3.1",
        "host with a userinfo instead of :authority",
        lambda c: c.request(("host", "user@example.com"), authority=None),
        *REFUSED,
    )
    yield case(
        "8.3.1", "host with CR LF", lambda c: c.request(("host", "example.com\r\nX-Smuggled: 1"), authority=None), *REFUSED
    )


def methods_and_schemes():
    bad = {
        "with a space": "GET /smuggled", "that is a request line": "GET /smuggled HTTP/1.1\r\nHost: example.com\r\n\r\nGET",
        "with CR LF": "GET\r\n", "with LF": "G\nT", "with NUL": "GET\0", "with a tab": "GET\t", "with a colon": "GET:",
        "outside ASCII": "G\xcaT", "that begins with a space": " GET", "with a slash": "GE/T",
    }  # fmt: skip
    for what, method in bad.items():
        yield case("8.3.1", f":method {what}", lambda c, method=method: c.request(method=method), *REFUSED)
    yield case("8.3.1", ":method in lower case", lambda c: c.request(method="get"), Passed("get"), *REFUSED)
    yield case("8.3.1", ":method of 10,000 bytes", lambda c: c.request(method="X" * 10_000), Passed("X" * 10_000), *TOO_LARGE)
    for what, scheme in {
        "with CR LF": "http\r\nX-Smuggled: 1",
        "with a space": "http x",
        "with slashes": "http://other.example/",
        "with NUL": "http\0",
        "with a colon": "http:",
    }.items():
        yield case("8.3.1", f":scheme {what}", lambda c, scheme=scheme: c.request(scheme=scheme), *REFUSED)
    for scheme in ("https", "ftp", "HTTP"):
        yield case("8.3.1", f":scheme of {scheme}", lambda c, scheme=scheme: c.request(scheme=scheme), Passed(), *REFUSED)
