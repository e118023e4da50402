"""Request targets (RFC 9112 §3.2, RFC 3986): what the proxy decides by is what the upstream gets."""

from case import CLOSED, HIDDEN, HIDDEN_REFUSED, NO, OK, Group, get, message, shown

BAD = NO(400)
# Without a credential: refused, or not found, or wanting one.
KEPT_OUT = NO(400, 401, 403, 404)

ESCAPING = [
    "/public/../admin", "/public/../../admin", "/public/./../admin", "/public/x/../../admin", "/public/%2e%2e/admin",
    "/public/%2E%2E/admin", "/public/.%2e/admin", "/public/%2e./admin", "/public/..%2fadmin", "/public/..%2Fadmin",
    "/public/%2e%2e%2fadmin", "/public%2f../admin", "/public%2f..%2fadmin", "/public/..;/admin", "/public/..;x=y/admin",
    "/public/x/..;/..;/admin", "/public/.;/..;/admin", "/public/%2e%2e;/admin", "/public/..%3b/admin", "/public/..\\admin",
    "/public\\..\\admin", "/public/..%5cadmin", "/public%5c..%5cadmin", "/public/%252e%252e/admin",
    "/public/%252e%252e%252fadmin", "/public/..%252fadmin", "/public/%c0%ae%c0%ae/admin", "/public/..%c0%afadmin",
    "/public/..%00/admin", "/public/%00/../admin", "/public/../admin%00", "/public/../admin?x", "/public/../admin#/public/",
    "/public/..", "/public/../", "/public/%2e%2e", "/public/..%20/admin", "/public/.. /admin", "/public//../admin",
    "/public//..//admin", "/public/..//admin", "/public/%u002e%u002e/admin", "//public/../admin", "/x/../public/../admin",
    "/public/.../../admin", "/public/..%0d%0a/admin", "/public/..\t/admin", "/public/\xc0\xae\xc0\xae/admin",
]  # fmt: skip
ESCAPES = "CVE-2021-29492 Envoy, GHSA-gm3x-23wp-hc2c Traefik"
NOTES = {
    "/public/../admin": "GHSA-p224-6x5r-fjpm Oathkeeper, CVE-2019-9901 Envoy",
    "/public/..%2fadmin": ESCAPES,
    "/public/..%5cadmin": ESCAPES,
    "/public/..%3b/admin": ESCAPES,
    "/public/..%00/admin": ESCAPES,
    "/admin%3f/public/": ESCAPES,
    "/admin%23/public/": ESCAPES,
    "/public/..;/admin": "CVE-2026-73551 Envoy",
    "/public/.;/..;/admin": "CVE-2026-73553 Envoy",
    "/public/..;x=y/admin": "CVE-2026-73511 Envoy",
    "/public/../admin#/public/": "CVE-2026-41059 oauth2-proxy, CVE-2021-32779 Envoy",
}
OUTSIDE = [
    "/admin#/public/", "/admin?/public/", "/admin?x=/public/../public/", "/admin%3f/public/", "/admin%23/public/",
    "/admin;/public/", "/admin/public/", "/PUBLIC/x", "/Public/x", "/publicx", "/publi%63x", "//public/x", "/%2fpublic/x",
    "/./public/x", "/x/../public/x", "/;/public/x", "/public.html", "/admin/..;/public/x", "/%70ublic/../admin", "\\public\\x",
    "/\\public/x", "/admin/%2e%2e/public/x", "http://a.test/public/../admin", "http://a.test/admin?/public/", "/admin\0/public/",
    "*", "/public;x/../admin", "/public%3b/../admin", "public/x", "./public/x", "../public/x",
]  # fmt: skip
# Bytes that a path cannot have (RFC 3986 §3.3), or whose meaning servers differ on: refused or passed exactly as sent.
QUIRKS = [
    "//", "/c//d", "/c;x=y", "/c;x/d", "/c%2fd", "/c%2Fd", "/c%5cd", "/c%3bd", "/c%25", "/c%2541", "/c\\d", "/c%ff", "/c%c3%28",
    "/c%20d", "/c|d", '/c"d', "/c<d>", "/c{d}", "/c^d", "/c`d", "/c[d]",
]  # fmt: skip
SAME = [
    ("/c", "/c"), ("/", "/"), ("/c/", "/c/"), ("/c?x=y", "/c?x=y"), ("/c?", "/c?"), ("/c?x=/../y", "/c?x=/../y"),
    ("/c?x=%00", "/c?x=%00"), ("/c?a?b", "/c?a?b"), ("/a.b/c..d/...", "/a.b/c..d/..."), ("/c:d@e", "/c:d@e"),
    ("/c,d=e&f+g$h!i*j'k(l)m", "/c,d=e&f+g$h!i*j'k(l)m"), ("/~c-d_e", "/~c-d_e"), ("/%E4%B8%AD", "/%E4%B8%AD"),
    ("/c?x=%2e%2e%2f", "/c?x=%2e%2e%2f"), ("/c?//", "/c?//"), ("/c?x;y", "/c?x;y"),
]  # fmt: skip
CANONICAL = [("/%63", "/c"), ("/%7ec", "/~c"), ("/c%2Dd", "/c-d"), ("/%e4%b8%ad", "/%E4%B8%AD"), ("/%41", "/A")]
WRONG = [
    "/c#d", "/c?x#y", "/#", "#", "/c%", "/c%4", "/c%zz", "/c%u0041", "/c\0d", "/c%00", "/c%00d", "/c%0a", "/c%0dd", "/c%7f",
    "/c%1f", "/c\x01", "/c\x7f", "/c\x80", "/c\xe4", "/c\xff", "/c?\0", "/c?\x01", "/c?\x7f", "", "c", "?", "?x", ".", "..", "*",
    "/..", "/.", "/c/..", "/c/.", "/./c", "/../c", "/c/./d", "/c/../d", "/%2e%2e/c", "/%2e/c", "/c/%2e", "/..;/c", "/c%2f..%2fd",
    "/%2e%2e%2f", "/%252e%252e/c", "/..%5cc", "/..\\c", "a.test:80", "/c\x0bd", "/c\x0cd", "/c\td",
]  # fmt: skip


def groups():
    return [bypass(), same(), wrong(), forms()]


def bypass():
    group = Group("past the credential")
    group.control("the public path", get("/public/x", auth=""), OK(method="GET", target="/public/x"), escapes=True)
    group.control("another path", get("/admin", auth=""), NO(401), escapes=True)
    for target in ESCAPING + OUTSIDE:
        note = f" ({NOTES[target]})" if target in NOTES else ""
        inside = OK(method="GET", target=target)
        group.add(
            f"{shown(target)}{note}", get(target, auth="", body=HIDDEN), inside | KEPT_OUT | NO(405), HIDDEN_REFUSED, escapes=True
        )
    for name, fields in [
        ("X-Forwarded-Uri (CVE-2026-40575 and issue 3506 oauth2-proxy)", "X-Forwarded-Uri: /public/x"),
        ("X-Original-URL", "X-Original-URL: /public/x"), ("X-Rewrite-URL", "X-Rewrite-URL: /public/x"),
        ("X-Forwarded-Proto and Host (GHSA-vhr5-ggp3-qq85 Oathkeeper)", "X-Forwarded-Proto: https\r\nX-Forwarded-Host: public"),
        ("x-envoy-original-path (CVE-2023-27487 Envoy)", "x-envoy-original-path: /public/x"),
        ("a health check's user agent (CVE-2026-34457 oauth2-proxy)", "User-Agent: kube-probe/1.30"),
        ("a load balancer's user agent (CVE-2026-34457 oauth2-proxy)", "User-Agent: GoogleHC/1.0"),
        ("X-HTTP-Method-Override", "X-HTTP-Method-Override: OPTIONS"),
        ("its prefix (CVE-2026-35051 Traefik)", "X-Forwarded-Prefix: /public"),
        ("a credential of its own", "X-Auth-Subject: root"),
    ]:  # fmt: skip
        group.add(name, get("/admin", fields, auth=""), NO(401), escapes=True)
    group.add("the query matches (CVE-2025-54576 oauth2-proxy)", get("/admin?x=/public/x", auth=""), NO(401), escapes=True)
    group.add("the path in another case (CVE-2026-27587 Caddy)", get("/ADMIN", auth=""), NO(401), escapes=True)
    group.add(
        "the host in another case (CVE-2026-27588 Caddy)", get("/admin", auth="", host="Host: A.TEST\r\n"), NO(401), escapes=True
    )
    return group


def same():
    group = Group("target")
    for sent, seen in SAME:
        group.control(shown(sent), get(sent), OK(method="GET", target=seen))
    for sent, canonical in CANONICAL:
        group.control(f"{sent} is {canonical}", get(sent), OK(method="GET", target=sent) | OK(method="GET", target=canonical))
    for sent in QUIRKS:
        group.add(
            f"odd: {shown(sent)}",
            get(sent, body=HIDDEN),
            OK(method="GET", target=sent) | OK(method="GET", target=upper(sent)) | BAD,
            HIDDEN_REFUSED,
        )
    return group


def upper(target):
    """Escapes in their canonical case."""
    head, *escapes = target.split("%")
    return head + "".join(f"%{escape[:2].upper()}{escape[2:]}" for escape in escapes)


def wrong():
    group = Group("wrong target")
    for target in WRONG:
        group.add(shown(target), get(target, body=HIDDEN), BAD | NO(403, 404, 405, 505), HIDDEN_REFUSED)
    return group


def forms():
    group = Group("form")
    refused = NO(400, 403, 404, 405, 501)
    group.add(
        "OPTIONS *",
        message("OPTIONS * HTTP/1.1", body=HIDDEN),
        OK(method="OPTIONS", target="*") | refused | NO(200, 204),
        HIDDEN_REFUSED,
    )
    group.add(
        "OPTIONS * with a body",
        message("OPTIONS * HTTP/1.1", "Content-Length: 3", "abc"),
        OK("abc", "OPTIONS", "*") | refused | NO(200, 204),
    )
    group.add("DELETE *", message("DELETE * HTTP/1.1", body=HIDDEN), refused, HIDDEN_REFUSED)
    for name, line in [
        ("CONNECT", "CONNECT a.test:80 HTTP/1.1"), ("CONNECT without a port", "CONNECT a.test HTTP/1.1"),
        ("CONNECT without a target (CVE-2026-73547 Envoy)", "CONNECT  HTTP/1.1"),
        ("CONNECT with a path (CVE-2026-73547 Envoy)", "CONNECT /c HTTP/1.1"),
        ("CONNECT with a URL", "CONNECT http://a.test/ HTTP/1.1"), ("connect in small letters", "connect a.test:80 HTTP/1.1"),
    ]:  # fmt: skip
        group.add(name, message(line, body=HIDDEN), refused | NO(505), HIDDEN_REFUSED)
    group.add(
        "CONNECT, early data behind it (CVE-2026-73548 Envoy)",
        message("CONNECT a.test:80 HTTP/1.1", "Content-Length: 0", HIDDEN * 2),
        refused,
        HIDDEN_REFUSED,
        HIDDEN_REFUSED,
    )
    group.add("an authority", message("GET a.test:80 HTTP/1.1", body=HIDDEN), refused, HIDDEN_REFUSED)
    group.add("no target", message("GET HTTP/1.1", body=HIDDEN), BAD | NO(505, CLOSED), HIDDEN_REFUSED)
    group.add("no target, two spaces", message("GET  HTTP/1.1", body=HIDDEN), BAD | NO(505, CLOSED), HIDDEN_REFUSED)
    return group
