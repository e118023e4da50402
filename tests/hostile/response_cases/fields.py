"""Fields of answers: bytes, sizes, and what belongs to the upstream's connection alone."""

from answer_case import AnswerGroup, reads
from capture import CLOSE
from case import shown

from response_cases.framing import answer

ABC = reads("abc")


def groups():
    return [odd(), large(), hop_by_hop()]


def with_field(field):
    return answer(f"{field}\r\nContent-Length: 3", "abc")


def odd():
    group = AnswerGroup("field")
    group.control("several cookies", with_field("Set-Cookie: a=b\r\nSet-Cookie: c=d"), ABC)
    group.control("bytes outside ASCII", with_field("X: \xc3\xa4\xff"), ABC)
    group.control("an empty value", with_field("X:"), ABC)
    for field in [
        "X: a\0b", "X: a\rb", "X: a\r", "X: a\x01b", "X: a\x7fb", "X: a\x0bb", "X\0: a", "X Y: a", "X : a", "X\t: a", " X: a",
        ": a", "X", "X\xe9: a", "X(: a", "X@: a", "=X: a", "X: a\r\n b", "X: a\r\n\tb", "X: a\nY: b", "X: a\r\r\nY: b",
        "X: a\n\rY: b", "\x0bX: a", "X;: a", "X: a\r\n ",
    ]:  # fmt: skip
        group.add(shown(field), with_field(field), ABC)
    # Whoever takes LF for the end of a line reads the rest as the body.
    group.add("LF LF ends them", [answer("X: a\n\nY: b"), CLOSE], reads("Y: b\r\n\r\n"), reads())
    return group


def large():
    group = AnswerGroup("large fields")
    group.control("3 KiB", with_field(f"X: {'y' * 3000}"), ABC)
    group.control("60 fields", with_field("\r\n".join(f"X-{n}: y" for n in range(60))), ABC)
    for size in (32_000, 64_000, 70_000, 1_000_000):
        group.add(f"a value of {size} bytes", with_field(f"X: {'y' * size}"), ABC)
        group.add(f"a name of {size} bytes", with_field(f"{'X' * size}: y"), ABC)
        group.add(f"a line of {size} bytes without a colon", with_field("X" * size), ABC)
    for count in (100, 127, 128, 129, 1000, 10_000):
        group.add(f"{count} fields", with_field("\r\n".join(f"X-{n}: y" for n in range(count))), ABC)
    return group


def hop_by_hop():
    group = AnswerGroup("hop by hop")
    for field in [
        "Connection: X-Near\r\nX-Near: inside", "X-Near: inside\r\nConnection: x-near",
        "Connection: close, X-Near\r\nX-Near: inside", "Keep-Alive: inside", "Proxy-Authenticate: inside",
        "Proxy-Connection: inside", "Upgrade: inside", "TE: inside", "Trailer: inside", "Proxy-Authentication-Info: inside",
    ]:  # fmt: skip
        group.add(field.replace("\r\n", ", "), with_field(field), ABC, hidden="inside")
    group.add("Connection names a length", with_field("Connection: Content-Length"), ABC)
    group.add("Connection names a cookie", with_field("Connection: Set-Cookie\r\nSet-Cookie: inside"), ABC, hidden="inside")
    group.add("the id of the request is the proxy's", with_field("X-Request-Id: inside"), ABC)
    for name in ("Keep_Alive", "Proxy_Connection", "X_Request_Id"):
        group.add(f"{name} folds", with_field(f"{name}: inside"), ABC, hidden="inside")
    return group
