"""Names and values of fields (RFC 9110 §5), and names that fold onto others."""

from case import HIDDEN, HIDDEN_REFUSED, NO, OK, OWN_PORT, Group, get, shown

BAD = NO(400)
GET_OK = OK(method="GET")

NOT_IN_NAMES = '\0\x01\x07\x08\t\x0b\x0c\x1b\x1f "(),/;<=>?@[\\]{}\x7f\x80\x85\xa0\xad\xe9\xff'
NOT_IN_VALUES = [chr(byte) for byte in range(0x20) if byte not in (0x09, 0x0A)] + ["\x7f"]
TOKEN = "!#$%&'*+-^`|~0123456789abcXYZ"

# A proxy speaks for itself under these names: what a client says under them, or under a spelling that folds onto them, must
# not arrive.
OURS = ["X-Auth-Subject", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port"]
ALSO_OURS = ["X-Auth-Credential", "X-Auth-Client", "X-Auth-Scopes", "X-Auth-Method", "X-Auth-Assertion", "X-Request-Id"]
FAMILY = [
    "Forwarded", "X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Server", "X-Forwarded", "X-Real-IP",
    "X-Client-IP", "True-Client-IP", "X-Original-URL", "X-Original-URI", "X-Original-Host", "X-Rewrite-URL",
]  # fmt: skip


def groups():
    return [names(), values(), folding(), spoofing()]


def names():
    group = Group("name")
    group.control("every byte that may be in one", get(fields=f"{TOKEN}: y"), GET_OK, present=((TOKEN.lower().encode(), b"y"),))
    for byte in NOT_IN_NAMES:
        for name in (f"X{byte}Y", f"X-A{byte}"):
            group.add(f"{ord(byte):#04x} in {shown(name)}", get(fields=f"{name}: y", body=HIDDEN), GET_OK | BAD, HIDDEN_REFUSED)
    for name, field in [
        ("no colon", "X-A"), ("an empty line with a space", " "), ("only a colon", ":"), ("two colons", "X-A:: y"),
        ("a colon in it", "X-A:b: y"), ("no colon, then a request", HIDDEN.split("\r\n")[0]),
    ]:  # fmt: skip
        accept = GET_OK if field.startswith(("X-A:", " ")) else NO()
        group.add(name, get(fields=field, body=HIDDEN), accept | GET_OK | BAD, HIDDEN_REFUSED)
    for value in ("y", "", "Content-Length: 3"):
        field = f": {value}\r\nContent-Length: {len(HIDDEN)}"
        group.add(
            f"an empty one with {value!r} (CVE-2023-25725 HAProxy)",
            get(fields=field, body=HIDDEN),
            OK(HIDDEN, "GET") | BAD,
            HIDDEN_REFUSED,
        )
    group.add("an empty one before the credential (CVE-2023-25725 HAProxy)", get(auth=": y\r\n{AUTH}\r\n"), GET_OK | BAD)
    return group


def values():
    group = Group("value")
    for byte in NOT_IN_VALUES:
        group.add(f"{ord(byte):#04x}", get(fields=f"X-A: a{byte}b", body=HIDDEN), GET_OK | BAD, HIDDEN_REFUSED)
        group.add(f"{ord(byte):#04x} at the end", get(fields=f"X-A: a{byte}", body=HIDDEN), GET_OK | BAD, HIDDEN_REFUSED)
    for name, value in [
        ("bytes outside ASCII", "\xc3\xa4\xff\x80"),
        ("a tab inside", "a\tb"),
        ("every visible byte", "".join(map(chr, range(0x21, 0x7F)))),
    ]:
        group.control(name, get(fields=f"X-A: {value}"), GET_OK, present=((b"x-a", value.encode("latin-1")),))
    group.control("none", get(fields="X-A:"), GET_OK, present=((b"x-a", b""),))
    group.control("fields of one name", get(fields="X-A: a\r\nX-B: b\r\nx-a: c"), GET_OK)
    for name, value in [
        ("CR LF escaped", "a%0d%0aX-Auth-Subject: spoofed"), ("CR LF in Unicode", "a\xe5\x98\x8d\xe5\x98\x8aX-B: b"),
        ("a request", HIDDEN.replace("\r\n", " ")), ("a header in quotes", '"a\\r\\nX-B: b"'),
    ]:  # fmt: skip
        group.control(f"harmless: {name}", get(fields=f"X-A: {value}"), GET_OK)
    return group


def spellings(name):
    """What CGI and its kin read as `name`."""
    return [name.replace("-", "_"), name.upper().replace("-", "_"), name.replace("-", "."), name.replace("-", "_", 1)]


def folding():
    group = Group("folding name")
    for name in OURS:
        note = "CVE-2025-64484 oauth2-proxy" if "Forwarded" in name else "GHSA-f59h-q822-g45g Caddy"
        if name == "X-Forwarded-Proto":
            note = "CVE-2026-39858 Traefik"
        for spelling in dict.fromkeys(spellings(name)):
            group.add(f"{spelling} ({note})", get(fields=f"{spelling}: spoofed"), GET_OK | BAD, absent="spoofed")
    for name in ("Host", "Connection", "Expect", "Upgrade"):
        group.control(f"nothing folds onto {name}", get(fields=f"{name}x: y"), GET_OK)
    for spelling in (
        "X_Real_IP",
        "X_Original_URL",
        "X_Rewrite_URL",
        "X_Client_IP",
        "True_Client_IP",
        "X_Request_Id",
        "X_Forwarded_Prefix",
    ):
        group.add(spelling, get(fields=f"{spelling}: spoofed"), GET_OK | BAD, absent="spoofed")
    for spelling in ("Keep_Alive", "Proxy_Connection", "HTTP2_Settings"):
        group.add(spelling, get(fields=f"{spelling}: spoofed"), GET_OK | BAD)
    for field in ("My_Field: y", "my.field: y", "X_A: y", "Content_Type: y"):
        group.add(f"{field} folds onto nothing that matters", get(fields=field), GET_OK)
    return group


def spoofing():
    group = Group("spoofed")
    for name in OURS:
        group.add(name, get(fields=f"{name}: spoofed"), GET_OK, absent="spoofed")
        group.add(f"{name.lower()} twice", get(fields=f"{name.lower()}: spoofed\r\n{name}: spoofed"), GET_OK, absent="spoofed")
        note = "CVE-2024-45410 Traefik"
        for option in (name, name.lower(), f"close, {name}", f"keep-alive,{name.upper()}", f"{name}\r\nConnection: x"):
            kept = b"x-auth-subject" if "Auth" in name else name.lower().encode()
            group.add(
                f"Connection: {shown(option)} ({note})",
                get(fields=f"Connection: {option}"),
                GET_OK,
                present=((kept, AnyValue()),),
            )
    for name in ALSO_OURS:
        group.add(
            f"{name}: nobody else may say it (GHSA-7r4p-vjf4-gxv4 Caddy)",
            get(fields=f"{name}: spoofed"),
            GET_OK | BAD,
            absent="spoofed",
        )
        group.add(
            f"{name}, without a credential",
            get("/public/x", f"{name}: spoofed", auth=""),
            OK(method="GET", target="/public/x"),
            absent="spoofed",
        )
    group.add(
        "X-Auth-Subject, without a credential (GHSA-7r4p-vjf4-gxv4 Caddy)",
        get("/public/x", "X-Auth-Subject: spoofed", auth=""),
        OK(method="GET", target="/public/x"),
        absent="spoofed",
    )
    spoofed = "X-Forwarded-Proto: spoofed\r\nX-Forwarded-Port: spoofed"
    group.add(
        "the port is the listener's (CVE-2026-54764 Traefik)",
        get(fields=spoofed),
        GET_OK,
        absent="spoofed",
        present=((b"x-forwarded-port", OWN_PORT),),
    )
    notes = {
        "X-Forwarded-Prefix": " (CVE-2024-52003, CVE-2026-35051 Traefik)",
        "X-Forwarded-Uri": " (CVE-2026-40575 oauth2-proxy)",
    }
    for name in FAMILY:
        group.add(f"{name}{notes.get(name, '')}", get(fields=f"{name}: spoofed"), GET_OK, absent="spoofed")
    return group


class AnyValue:
    """Equal to every value that is there."""

    def __eq__(self, other):
        return other is not None

    __hash__ = None

    def __repr__(self):
        return "any"
