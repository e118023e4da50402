"""Who a request is for: Host, the absolute form, and both (RFC 9112 §3.2)."""

from case import HIDDEN, HIDDEN_REFUSED, NO, OK, Group, message, shown

BAD = NO(400, 421)
GET_OK = OK(method="GET")

GOOD = [
    "a.test", "A.TEST", "a.test:80", "a.test:8080", "localhost", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:8080",
    "[2001:db8::1]", "a-b.test", "xn--bcher-kva.test", "1.test", "a" * 60 + ".test",
]  # fmt: skip
# Grammatical as a host, but what is meant is in doubt, or no server has it.
ODD = [
    "", "a.test.", "a.test:", "a.test:0", "a.test:080", "a_b.test", "a~b", "a!b", "a%20b", "a%2eb", "a'b", "a..test", ".a.test",
    "1", "0x7f000001", "[v1.a]", "a:65536", "a:99999999999", "a,b", "a.test,b.test", "*",
]  # fmt: skip
WRONG = [
    "a/b", "a.test/", "a b", "a.test b.test", "a@b", "user@a.test", "user:pass@a.test", "a#b", "a?b", "a\\b", "a.test, b.test",
    "http://a.test", "//a.test", "a:b", "a:+80", "a:-1", "a: 80", "a:80:80", "a:8o", "[::1", "::1", "[::1]x", "[]", "[1]",
    "[127.0.0.1]", "[fe80::1%eth0]", "a[::1]", "[[::1]]", "<a>", "\"a\"", "a\0", "\0a", "a\0b", "a\x01b", "a\x7f", "a\xff",
    "\xe9.test", "a\tb", "{a}", "a|b", "^", "`a`",
]  # fmt: skip


def groups():
    return [hosts(), several(), absolute()]


def asking(host, target="/c"):
    return message(f"GET {target} HTTP/1.1", host=host, body=HIDDEN)


def hosts():
    group = Group("Host")
    for host in GOOD:
        group.control(shown(host), asking(f"Host: {host}\r\n").removesuffix(HIDDEN), GET_OK)
    for host in ODD:
        group.add(f"odd: {shown(host)}", asking(f"Host: {host}\r\n"), GET_OK | BAD, HIDDEN_REFUSED)
    for host in WRONG:
        group.add(f"wrong: {shown(host)}", asking(f"Host: {host}\r\n"), BAD, HIDDEN_REFUSED)
    group.add("none", asking(""), BAD, HIDDEN_REFUSED)
    group.add("of 300 bytes", asking(f"Host: {'a' * 300}\r\n"), GET_OK | BAD, HIDDEN_REFUSED)
    group.add("of 20,000 bytes", asking(f"Host: {'a.' * 10_000}\r\n"), GET_OK | BAD | NO(431), HIDDEN_REFUSED)
    group.add("none in HTTP/1.0", message("GET /c HTTP/1.0", host=""), GET_OK | BAD, probe=False)
    group.add("wrong in HTTP/1.0", message("GET /c HTTP/1.0", host="Host: a/b\r\n"), BAD, probe=False)
    return group


def several():
    group = Group("several hosts")
    for name, fields in [
        ("different", "Host: a.test\r\nHost: b.test\r\n"), ("equal", "Host: a.test\r\nHost: a.test\r\n"),
        ("apart", "Host: a.test\r\nX: y\r\nhost: b.test\r\n"), ("the second empty", "Host: a.test\r\nHost:\r\n"),
        ("the first empty", "Host:\r\nHost: a.test\r\n"), ("three", "Host: a.test\r\n" * 3),
        ("the second behind a space", "Host: a.test\r\nHost : b.test\r\n"),
    ]:  # fmt: skip
        group.add(name, asking(fields), BAD, HIDDEN_REFUSED)
    for name, fields in [
        ("the second folded", "Host: a.test\r\n Host: b.test\r\n"),
        ("the second behind a vertical tab", "Host: a.test\r\n\x0bHost: b.test\r\n"),
        ("the second behind LF", "Host: a.test\nHost: b.test\r\n"), ("the second behind CR", "Host: a.test\rHost: b.test\r\n"),
    ]:  # fmt: skip
        group.add(name, asking(fields), BAD, HIDDEN_REFUSED)
    group.add("different in HTTP/1.0", message("GET /c HTTP/1.0", host="Host: a.test\r\nHost: b.test\r\n"), BAD, probe=False)
    return group


def absolute():
    group = Group("absolute form")
    for target in ("http://a.test/c", "HTTP://a.test/c", "http://A.TEST/c", "http://a.test:80/c"):
        group.add(target, asking("Host: a.test\r\n", target), GET_OK | BAD, HIDDEN_REFUSED)
    group.control("the same", message("GET http://a.test/c HTTP/1.1"), GET_OK)
    group.add("without a path", asking("Host: a.test\r\n", "http://a.test"), OK(method="GET", target="/") | BAD, HIDDEN_REFUSED)
    group.add(
        "a query alone", asking("Host: a.test\r\n", "http://a.test?x"), OK(method="GET", target="/?x") | BAD, HIDDEN_REFUSED
    )
    for name, host in [
        ("another Host", "Host: b.test\r\n"), ("another port", "Host: a.test:8080\r\n"), ("a wrong Host", "Host: a/b\r\n"),
        ("an empty Host", "Host:\r\n"), ("a name before it", "Host: x.a.test\r\n"), ("no Host", ""),
    ]:  # fmt: skip
        # RFC 9112 §3.2.2: the target counts; both may not disagree upstream.
        group.add(name, asking(host, "http://a.test/c"), OK(method="GET", host="a.test") | BAD, HIDDEN_REFUSED)
    group.add("two Hosts", asking("Host: a.test\r\nHost: b.test\r\n", "http://a.test/c"), BAD, HIDDEN_REFUSED)
    for target in [
        "http://user@a.test/c", "http://user:pass@a.test/c", "http://b.test@a.test/c", "http://a.test:x/c",
        "http://a.test:99999/c", "http:///c", "http:/c", "http:c", "http://a.test\\c", "http://a.test#/c", "http://a.test/c#d",
        "http://[::1/c", "ftp://a.test/c", "file:///c", "javascript:c", "ws://a.test/c", "gopher://a.test/c", "a.test",
        "a.test:80", "a.test/c", "://a.test/c", "http//a.test/c", "http://a b/c", "http://a%2etest/c", "http://a.test%00/c",
        "http://\xe4.test/c",
    ]:  # fmt: skip
        accept = OK(method="GET", target="/c") if target.startswith("ws:") else NO()
        group.add(f"wrong: {shown(target)}", asking("Host: a.test\r\n", target), accept | BAD | NO(404, 505), HIDDEN_REFUSED)
    group.add("https", asking("Host: a.test\r\n", "https://a.test/c"), GET_OK | BAD | NO(421), HIDDEN_REFUSED)
    return group
