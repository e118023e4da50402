"""Answers that end before their end, at every place."""

from answer_case import AnswerGroup, reads
from capture import CLOSE, RESET
from case import get, message, post

from response_cases.framing import answer

WHOLE = answer("Content-Length: 10\r\nX-A: b", "0123456789")


def groups():
    return [cut(), resets()]


def cut():
    group = AnswerGroup("cut off")
    places = sorted(
        {0, 1, 4, 5, 8, 9, 10, 12, 13, 15, 16, 17, 18, 25, 32, 35, 36, 37, 38, 41, 44, 45, 46, 47, 48, 50, len(WHOLE) - 1}
    )
    for place in places:
        for how in (CLOSE, RESET):
            group.add(f"behind {WHOLE[:place][-12:]!r} ({place}), {how.value}", [WHOLE[:place], how])
    for how in (CLOSE, RESET):
        group.add(
            f"nothing at all, POST, {how.value}",
            ["", how],
            request=post("Content-Length: 3", "abc").replace("/c", "/r"),
            method="POST",
            attempts=1,
        )
        group.add(f"nothing at all, GET, {how.value}", ["", how])
        group.add(f"nothing at all, GET with a body, {how.value}", ["", how], request=get("/r", "Content-Length: 3", body="abc"))
    return group


def resets():
    group = AnswerGroup("unfinished")
    group.add("a body without length, reset", [answer("", "abc"), RESET])
    group.add("HTTP/1.0, a body without length, reset", [answer("", "abc", "HTTP/1.0 200 OK"), RESET])
    old = message("GET /r HTTP/1.0")
    coded = answer("Transfer-Encoding: chunked", "3\r\nabc\r\n")
    for how in (CLOSE, RESET):
        group.add(f"chunks for an HTTP/1.0 client, {how.value}", [coded, how], request=old)
        group.add(f"a length for an HTTP/1.0 client, {how.value}", [answer("Content-Length: 10", "abc"), how], request=old)
    group.add("a body without length for an HTTP/1.0 client, reset", [answer("", "abc"), RESET], request=old)
    kept = message("GET /r HTTP/1.0", "Connection: keep-alive") + get("/c")
    whole = answer("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n")
    group.add("chunks for an HTTP/1.0 client that sent another request", whole, reads("abc"), request=kept)
    group.control("a body without length for an HTTP/1.0 client", [answer("", "abc"), CLOSE], reads("abc"), request=old)
    return group
