"""Where lines end, and white space where none belongs (RFC 9112 §2.2, §5)."""

from case import CLOSED, HIDDEN, HIDDEN_REFUSED, NO, OK, Group, get, message

BAD = NO(400)
GET_OK = OK(method="GET")

# Between two lines of a head, instead of CRLF.
ENDS = {
    "LF": "\n", "CR": "\r", "CR CR LF": "\r\r\n", "LF CR": "\n\r", "CR NUL LF": "\r\0\n", "VT": "\x0b", "FF": "\x0c",
    "NEL": "\x85", "NUL": "\0",
    "LS": "\xe2\x80\xa8", "CR space LF": "\r \n", "space CRLF": " \r\n", "tab CRLF": "\t\r\n", "NUL CRLF": "\0\r\n",
    "the bytes behind CR and LF": "\xe5\x98\x8d\xe5\x98\x8a",
}  # fmt: skip
FOLDS = {
    "space": "\r\n ",
    "tab": "\r\n\t",
    "spaces and tabs": "\r\n \t \t",
    "twice": "\r\n \r\n ",
    "with LF": "\n ",
    "before an end": "\r\n \r\n",
}


def groups():
    return [ends(), folds(), spaces(), empty_lines()]


def ends():
    group = Group("line end")
    for name, end in ENDS.items():
        # VT, FF and white space before CRLF are no ends: the line is longer than meant.
        group.add(
            f"{name} behind the request line",
            f"GET /c HTTP/1.1{end}Host: a.test\r\n{{AUTH}}\r\n\r\n{HIDDEN}",
            GET_OK | BAD | NO(505),
            HIDDEN_REFUSED,
        )
        group.add(
            f"{name} behind Host",
            f"GET /c HTTP/1.1\r\nHost: a.test{end}{{AUTH}}\r\n\r\n{HIDDEN}",
            GET_OK | BAD | NO(401),
            HIDDEN_REFUSED,
        )
        group.add(f"{name} between fields", get(fields=f"X-A: a{end}X-B: b", body=HIDDEN), GET_OK | BAD, HIDDEN_REFUSED)
        group.add(
            f"{name} before the empty line",
            f"GET /c HTTP/1.1\r\nHost: a.test\r\n{{AUTH}}{end}\r\n{HIDDEN}",
            GET_OK | BAD | NO(401, CLOSED),
            HIDDEN_REFUSED,
        )
        group.add(
            f"{name} as the empty line",
            f"GET /c HTTP/1.1\r\nHost: a.test\r\n{{AUTH}}\r\n{end}{HIDDEN}",
            GET_OK | BAD | NO(408, CLOSED),
            HIDDEN_REFUSED,
        )
    group.add("LF everywhere", f"GET /c HTTP/1.1\nHost: a.test\n{{AUTH}}\n\n{HIDDEN}", GET_OK | BAD, HIDDEN_REFUSED)
    group.add("CR everywhere", f"GET /c HTTP/1.1\rHost: a.test\r{{AUTH}}\r\r{HIDDEN}", BAD | NO(408, CLOSED), cut=True)
    group.add("LF LF in the middle of fields", get(fields=f"X-A: a\n\n{HIDDEN}"), GET_OK | BAD, HIDDEN_REFUSED)
    group.add("CR CR in the middle of fields", get(fields=f"X-A: a\r\r{HIDDEN}"), GET_OK | BAD, HIDDEN_REFUSED)
    group.add("LF CR LF in the middle of fields", get(fields=f"X-A: a\n\r\n{HIDDEN}"), GET_OK | BAD, HIDDEN_REFUSED)
    return group


def folds():
    """RFC 9112 §5.2: refused, or the fold becomes spaces."""
    group = Group("fold")
    for name, fold in FOLDS.items():
        group.add(f"{name}", get(fields=f"X-A: a{fold}b", body=HIDDEN), GET_OK | BAD, HIDDEN_REFUSED)
        group.add(f"{name}, a field in it", get(fields=f"X-A: a{fold}X-Auth-Subject: spoofed"), GET_OK | BAD)
        group.add(f"{name}, at once", get(fields=f"X-A:{fold}b"), GET_OK | BAD)
        group.add(f"{name}, in the credential", f"GET /c HTTP/1.1\r\nHost: a.test\r\n{{AUTH}}{fold}x\r\n\r\n", NO(400, 401))
        group.add(f"{name}, in Host", f"GET /c HTTP/1.1\r\nHost: a.test{fold}b.test\r\n{{AUTH}}\r\n\r\n", BAD)
        group.add(
            f"{name}, the first field", f"GET /c HTTP/1.1{fold}X-A: a\r\nHost: a.test\r\n{{AUTH}}\r\n\r\n", GET_OK | BAD | NO(505)
        )
        group.add(f"{name}, Host the first field", f"GET /c HTTP/1.1{fold}Host: a.test\r\n{{AUTH}}\r\n\r\n", BAD | NO(505))
    return group


def spaces():
    group = Group("white space")
    for name, line in [
        ("two spaces behind the method", "GET  /c HTTP/1.1"), ("two spaces behind the target", "GET /c  HTTP/1.1"),
        ("tabs", "GET\t/c\tHTTP/1.1"), ("a tab behind the method", "GET\t/c HTTP/1.1"),
        ("a tab behind the target", "GET /c\tHTTP/1.1"), ("a space before the method", " GET /c HTTP/1.1"),
        ("a tab before the target", "GET \t/c HTTP/1.1"), ("a tab before the method", "\tGET /c HTTP/1.1"),
        ("a space behind the version", "GET /c HTTP/1.1 "), ("a tab behind the version", "GET /c HTTP/1.1\t"),
        ("a vertical tab", "GET\x0b/c HTTP/1.1"), ("a form feed", "GET /c\x0cHTTP/1.1"),
        ("a no-break space", "GET\xa0/c HTTP/1.1"), ("a NUL", "GET\0/c HTTP/1.1"), ("a carriage return", "GET\r/c HTTP/1.1"),
    ]:  # fmt: skip
        group.add(name, message(line, body=HIDDEN), GET_OK | BAD | NO(501, 505), HIDDEN_REFUSED)
    group.add("a space in the target", message("GET /c /d HTTP/1.1", body=HIDDEN), BAD | NO(505), HIDDEN_REFUSED)
    group.add("a second version", message("GET /c HTTP/1.1 HTTP/1.1", body=HIDDEN), BAD | NO(505), HIDDEN_REFUSED)
    for name, field in [
        ("a space before the colon", "X-A : a"), ("a tab before the colon", "X-A\t: a"), ("a space before the name", " X-A: a"),
        ("a space in the name", "X A: a"), ("Host with a space before the colon", "Host : b.test"),
        ("the credential with a space before the colon", "Authorization : Bearer x"),
    ]:  # fmt: skip
        group.add(
            name, get(fields=field, body=HIDDEN), (GET_OK | NO(401) if field.startswith(" ") else NO()) | BAD, HIDDEN_REFUSED
        )
    for name, field in [
        ("none behind the colon", "X-A:a"),
        ("tabs around the value", "X-A:\ta\t"),
        ("many", f"X-A:{' ' * 200}a{' ' * 200}"),
        ("only spaces", "X-A:    "),
    ]:
        group.control(name, get(fields=field), GET_OK)
    return group


def empty_lines():
    """RFC 9112 §2.2: at least one empty line before a request is to be ignored."""
    group = Group("empty lines")
    for name, junk in [
        ("CRLF", "\r\n"),
        ("two CRLF", "\r\n\r\n"),
        ("ten CRLF", "\r\n" * 10),
        ("LF", "\n"),
        ("LF CRLF", "\n\r\n"),
    ]:
        group.add(f"{name} first", junk + get(), GET_OK | BAD)
    for name, junk in [
        ("CR", "\r"),
        ("a space", " "),
        ("CRLF and a space", "\r\n "),
        ("NUL", "\0"),
        ("a byte order mark", "\xef\xbb\xbf"),
        ("CR CR LF", "\r\r\n"),
    ]:
        group.add(f"{name} first", junk + get(body=HIDDEN), BAD | NO(501), HIDDEN_REFUSED)
    group.add("100,000 CRLF first", "\r\n" * 100_000 + get(), GET_OK | NO(400, 413, 431, CLOSED))
    group.add("only CRLF", "\r\n" * 20, NO(400, 408, CLOSED), cut=True)
    return group
