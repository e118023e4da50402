#!/usr/bin/env python3
"""A differential run: mutated messages, read by the grammar on the side they come from and strictly on the other.

    mutate.py --proxy keyward=BIN --mutations 20000 --seed 1              requests
    mutate.py --proxy keyward=BIN --mutations 20000 --seed 1 --answers    answers

Everything that reaches the upstream has one reading, and is one of the requests that the grammar finds in what was sent, in
their order, with its method, target and body, and with the credential. What reaches the client as an answer is what the
grammar reads of the upstream's. Victims on the same connections are not poisoned. Statuses are not judged. The same seed
makes the same messages. What it finds deserves a case with a name. Exit 1 when it finds anything in Keyward.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter

import grammar
from answer_case import BAD_GATEWAY, AnswerCase, Script
from bench import side_by_side
from capture import CLOSE
from case import HIDDEN, Case, Do, Step
from judge import NEVER, evidence
from request_cases import CASES as REQUESTS
from response_cases import CASES as ANSWERS
from run import target as proxy_target
from verdict import AMBIGUOUS, HARMED, PASS, SMUGGLED, Verdict

LONGEST = 4096
BYTES = [bytes([byte]) for byte in b'\r\n\0 \t:;,\x0b\x0c\x7f\x80\x85\xa0\xff#%/\\?_.-019af"']
WORDS = [
    b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\n ", b"\r\r\n", b"0\r\n\r\n", b"Content-Length: 0\r\n", b"Content-Length: 5\r\n",
    b"Content-Length: 38\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: x\r\n", b"Connection: close\r\n",
    b"Connection: keep-alive\r\n", b"X: y\r\n", b"Trailer: X\r\n", b"chunked", b", ", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0",
    b"26\r\n", b"5;x=y\r\n", b"ffffffffffffffff", b"+", b"0x",
]  # fmt: skip
REQUEST_WORDS = WORDS + [
    b"Host: b.test\r\n", b"Expect: 100-continue\r\n", b"Upgrade: foo\r\nConnection: upgrade\r\n", b"{AUTH}\r\n", HIDDEN.encode(),
    b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n{AUTH}\r\n\r\n", b"http://a.test", b"%2e%2e/", b"/../", b"%00",
    b"X_Auth_Subject: spoofed\r\n",
]  # fmt: skip
ANSWER_WORDS = WORDS + [
    b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n", b" 204 ", b" 304 ", b" 103 ",
]  # fmt: skip


def request_seeds():
    """What the request cases send, as far as it is fixed and short."""
    texts = (
        b"".join(piece for piece in case.pieces if isinstance(piece, bytes)) for case in REQUESTS if Do.RESET not in case.pieces
    )
    return [text for text in texts if 0 < len(text) <= LONGEST]


def answer_seeds():
    texts = (b"".join(action for action in case.answer.actions if isinstance(action, bytes)) for case in ANSWERS)
    return [text for text in texts if 0 < len(text) <= LONGEST]


def mutated(corpus, words, chance):
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5))):
        at = chance.randrange(len(data) + 1)
        length = chance.choice((1, 1, 2, 4, 16, 64))
        match chance.randrange(9):
            case 0:
                data[at : at + 1] = chance.choice(BYTES)
            case 1:
                data[at:at] = chance.choice(BYTES)
            case 2 | 3:
                data[at:at] = chance.choice(words)
            case 4:
                del data[at : at + length]
            case 5:
                piece, to = data[at : at + length], chance.randrange(len(data) + 1)
                data[to:to] = piece
            case 6:
                other = chance.choice(corpus)
                start = chance.randrange(len(other))
                data[at:at] = other[start : start + chance.randrange(1, 200)]
            case 7:
                data[at:] = chance.choice(corpus)[at:]
            case 8:
                data[at : at + length] = bytes(data[at : at + length]).swapcase()
    return bytes(data[: 2 * LONGEST])


class MutatedRequest(Case):
    """What to wait for follows from its reading."""

    def __init__(self, number, data, bench):
        self.reading = grammar.read(bench.filled(data))
        due, invalid = len(self.reading.requests), self.reading.end.startswith("invalid")
        steps = [Step(asked=request.method) for request in self.reading.requests] + [Step()] * invalid
        cut = self.reading.end != "complete"
        super().__init__(f"mutation {number}", [data], steps, cut=cut, due=due, patience=0.5 if invalid else 0.0)


def request_fault(case, outcome, bench):
    token = bench.proxy.token.encode()
    everything = case.reading.requests
    entitled = [request for request in everything if any(token in value for value in request.credentials)]
    readings = {True: iter(everything), False: iter(entitled)}
    for message in outcome.served:
        if not any(is_same(message, request) for request in readings[b"public" in message.target]):
            extra = message.target in NEVER or len(outcome.served) > len(everything) + 1
            return SMUGGLED if extra else AMBIGUOUS, f"nobody sent {message.line()!r} with the body {message.body[:100]!r}"
    serials = {b"%d" % message.serial for message in outcome.served}
    for answer in outcome.answers:
        if answer.get(b"x-capture") not in serials | {None}:
            return SMUGGLED, f"an answer to another request: {answer.body!r}"
    return PASS, ""


def is_same(message, request):
    target = grammar.canonical(request.target) == grammar.canonical(message.target)
    return target and (request.method, request.body) == (message.method, message.body)


class MutatedAnswer(AnswerCase):
    """The upstream sends it and ends its connection, so that whatever it is has an end."""

    def __init__(self, number, data, bench):
        self.method = b"HEAD" if number % 8 == 0 else b"GET"
        try:
            self.reading = grammar.read_answer(data, self.method)
        except (grammar.Invalid, grammar.Incomplete) as why:
            self.reading = why
        request = b"%b /r HTTP/1.1\r\nHost: a.test\r\n{AUTH}\r\n\r\n" % self.method
        super().__init__(f"mutation {number}", [request], [Step(asked=self.method)], answer=Script([data, CLOSE], []))


def answer_fault(case, outcome, _bench):
    if len(outcome.answers) > 1:
        return SMUGGLED, f"{len(outcome.answers)} answers to one request"
    if outcome.answers and outcome.answers[0].status not in BAD_GATEWAY:
        read = grammar.Answer(outcome.answers[0].status, outcome.answers[0].body)
        if read != case.reading:
            return AMBIGUOUS, f"the client reads {read}"
    if not outcome.answers and not outcome.client_bytes and outcome.ended != "reset":
        return AMBIGUOUS, "closed without an answer"
    return PASS, ""


def judged(fault):
    def judge(case, outcome, bench):
        found, why = common_fault(outcome)
        if found == PASS:
            found, why = fault(case, outcome, bench)
        return Verdict(case.name, found, "" if found == PASS else f"{why}\nreading   {case.reading!r}\n{evidence(outcome)}")

    return judge


def common_fault(outcome):
    if not outcome.alive:
        return HARMED, "the process has ended"
    for stray in outcome.strays:
        return SMUGGLED, f"a {stray[0]} was not given its own answer: {stray[1]!r} {stray[2]!r}"
    for doubt in outcome.doubts:
        return AMBIGUOUS, f"the upstream was sent {doubt}"
    if outcome.hanging:
        return AMBIGUOUS, "half a request stays on a connection to the upstream"
    if outcome.broken and outcome.client_bytes.startswith(b"HTTP/1."):
        return AMBIGUOUS, f"the client was sent {outcome.broken}"
    return PASS, ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxy", type=proxy_target, required=True, metavar="KIND[=BIN]")
    parser.add_argument("--mutations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--answers", action="store_true")
    options = parser.parse_args()
    began = time.monotonic()
    chance = random.Random(options.seed)
    if options.answers:
        corpus, words, make, fault = answer_seeds(), ANSWER_WORDS, MutatedAnswer, answer_fault
    else:
        corpus, words, make, fault = request_seeds(), REQUEST_WORDS, MutatedRequest, request_fault
    messages = [(number, mutated(corpus, words, chance)) for number in range(options.mutations)]
    counts = Counter()
    with tempfile.TemporaryDirectory(prefix="keyward-hostile-") as folder:
        made = lambda message, bench: make(*message, bench)
        for verdict in side_by_side(options.proxy, folder, messages, judged(fault), make=made):
            counts[verdict.outcome] += 1
            if not verdict.passed:
                print(f"FOUND {verdict.case}: {verdict.outcome}\n{verdict.detail}", flush=True)
    failed = sum(counts.values()) - counts[PASS]
    kind = "answers" if options.answers else "requests"
    took = time.monotonic() - began
    print(
        f"hostile mutated {kind} {options.proxy.kind}: {counts[PASS]} passed, {failed} failed, seed {options.seed} ({took:.0f} s)"
    )
    sys.exit(1 if failed and options.proxy.kind == "keyward" else 0)


if __name__ == "__main__":
    main()
