#!/usr/bin/env python3
"""The suites can fail: what an upstream would have captured of a proxy that forwards too much, each found.

python3 -m unittest tests/hostile/test_judge.py
"""

import socket
import unittest

import capture
import grammar
import judge
import mutate
import strict
from answer_case import AnswerGroup, reads
from bench import Bench, Outcome
from case import CLOSED, HIDDEN, HIDDEN_REFUSED, NO, OK, Do, Group, get, post
from request_cases import CASES as REQUESTS
from response_cases import CASES as ANSWERS
from verdict import AMBIGUOUS, FAILED_CONTROL, HARMED, PASS, SMUGGLED, WRONG_STATUS, Target, cell

HEAD = b"POST /c HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

CLEAR = [
    HEAD + b"\r\n",
    HEAD + b"Content-Length: 0\r\n\r\n",
    HEAD + b"Content-Length: 3\r\n\r\nabc",
    CHUNKED + b"0\r\n\r\n",
    CHUNKED + b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
    CHUNKED + b"3\r\nabc\r\n0\r\nX-Sum: y\r\n\r\n",
    HEAD + b"X-A: \xc3\xa4\tb\r\nX-B:\r\nmy_field: z\r\nmy.field: z\r\n\r\n",
    HEAD + b"Connection: keep-alive\r\nExpect: 100-continue\r\nTE: trailers\r\n\r\n",
    b"GET /a/b;c?d=/../e&f=%00 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    b"GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
]
DOUBTFUL = [
    HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
    HEAD + b"Content-Length: 3, 3\r\n\r\n",
    HEAD + b"Content-Length: 03\r\n\r\n",
    HEAD + b"Content-Length: +3\r\n\r\n",
    HEAD + b"Content-Length:\r\n\r\n",
    HEAD + b"Content-Length: 9223372036854775808\r\n\r\n",
    HEAD + b"Content_Length: 3\r\n\r\n",
    HEAD + b"Transfer.Encoding: chunked\r\n\r\n",
    HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /c HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /c HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    b"POST /c HTTP/1.1\r\nHost: a\r\nX: y\rZ: w\r\n\r\n",
    b"POST /c HTTP/1.1\r\nHost: a\r\r\n\r\n",
    HEAD + b"X: y\r\n z\r\n\r\n",
    HEAD + b" X: y\r\n\r\n",
    HEAD + b"X : y\r\n\r\n",
    HEAD + b": y\r\n\r\n",
    HEAD + b"X\r\n\r\n",
    HEAD + b"X: a\0b\r\n\r\n",
    HEAD + b"X: a\x01b\r\n\r\n",
    HEAD + b"X: a\x0b\r\n\r\n",
    HEAD + b"X\xe9: a\r\n\r\n",
    HEAD + b"X_Auth_Subject: root\r\n\r\n",
    HEAD + b"X_Forwarded_Anything: y\r\n\r\n",
    HEAD + b"Connection: x-auth-subject\r\n\r\n",
    HEAD + b"Upgrade: h2c\r\n\r\n",
    HEAD + b"HTTP2-Settings: AAMAAABk\r\n\r\n",
    HEAD + b"Expect: x\r\n\r\n",
    HEAD + b"TE: gzip\r\n\r\n",
    HEAD + b"Host: b\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a:70000\r\n\r\n",
    b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
    b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
    b"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a/%2E%2e/b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a/..;x/b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a/..%5cb HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a/%252e%252e%252fb HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    CHUNKED + b"03\r\nabc\r\n0\r\n\r\n",
    CHUNKED + b"3;a=b\r\nabc\r\n0\r\n\r\n",
    CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    CHUNKED + b"3\r\nabc\n0\r\n\r\n",
    CHUNKED + b"00\r\n\r\n",
    CHUNKED + b"0\r\n\nGET / HTTP/1.1\r\n\r\n",
    CHUNKED + b"0\r\nContent-Length: 3\r\n\r\n",
    CHUNKED + b"0\r\nHost: b\r\n\r\n",
    CHUNKED + b"0\r\nX-Forwarded-For: ::1\r\n\r\n",
    CHUNKED + b"0\r\nX: y\n\r\n",
    CHUNKED + b"0\r\nX: \0\r\n\r\n",
    b"X" * strict.HEAD_MAX,
]
DOUBTFUL_ANSWERS = [
    b"HTTP/1.1 200\r\n\r\n",
    b"HTTP/2.0 200 OK\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 200 O\0K\r\n\r\n",
    b" HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 003\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent_Length: 3\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\nX: y\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    b"<html>\r\n\r\n",
]


class Reader(unittest.TestCase):
    def test_what_is_clear_is_read_whole(self):
        for data in CLEAR:
            with self.subTest(data):
                self.assertEqual(strict.read_request(data).end, len(data))
                for cut in range(len(data)):
                    self.assertIsNone(strict.read_request(data[:cut]), data[:cut])

    def test_what_is_doubtful_is_found(self):
        for data in DOUBTFUL:
            with self.subTest(data[:200]), self.assertRaises(strict.Doubt):
                self.fail(strict.read_request(data))

    def test_answers(self):
        for data in DOUBTFUL_ANSWERS:
            with self.subTest(data), self.assertRaises(strict.Doubt):
                self.fail(strict.read_answer(data))
        self.assertEqual(strict.read_answer(b"HTTP/1.1 200 OK\r\n\r\nabc", closed=True).body, b"abc")
        self.assertIsNone(strict.read_answer(b"HTTP/1.1 200 OK\r\n\r\nabc"))
        self.assertEqual(strict.read_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", asked=b"HEAD").body, b"")


class NoProxy:
    """Stands where a proxy would: a test sends the upstream what a bad one would have sent."""

    token = "t0ken"
    authorization = "Bearer t0ken"

    @staticmethod
    def alive():
        return True


class Bed(unittest.TestCase):
    ONE = HEAD + b"Content-Length: 3\r\n\r\nabc"
    REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"

    def setUp(self):
        self.bench = Bench.__new__(Bench)
        self.bench.upstream = self.upstream = capture.Upstream()
        self.bench.proxy, self.bench.silence = NoProxy, 0.3
        self.bench.authorization = b"Authorization: Bearer t0ken"
        self.addCleanup(self.upstream.__exit__)

    def outcome(self, *connections, answers=None, keep=False, **more):
        """What a proxy that sends these bytes, on a connection each, would leave behind; by default it passes all answers."""
        self.upstream.fresh()
        outcome = Outcome(self.bench.filled, **more)
        passed = b""
        for data in connections:
            with socket.create_connection(("127.0.0.1", self.upstream.port)) as proxy:
                proxy.sendall(data)
                self.upstream.sync()
                if keep:
                    self.bench.await_no_half_request(outcome)
                proxy.shutdown(socket.SHUT_WR)
                while piece := proxy.recv(65536):
                    passed += piece
        outcome.client_bytes = passed if answers is None else b"".join(answers)
        at = 0
        while at < len(outcome.client_bytes) and (answer := strict.read_answer(outcome.client_bytes, at, closed=True)):
            outcome.answers.append(answer)
            at = answer.end
        self.bench.gather(outcome)
        return outcome


class Requests(Bed):
    def case(self, *steps, pieces="", **more):
        group = Group("test")
        group.add("case", pieces, *steps, **more)
        return group.cases[0]

    def verdict(self, case, outcome):
        return judge.request(case, outcome).outcome

    def test_what_was_sent_passes_and_so_does_a_refusal(self):
        either = self.case(OK("abc") | NO(400))
        self.assertEqual(self.verdict(either, self.outcome(self.ONE)), PASS)
        self.assertEqual(self.verdict(either, self.outcome(answers=[self.REFUSAL])), PASS)
        optional = self.case(OK("abc"), HIDDEN_REFUSED)
        self.assertEqual(self.verdict(optional, self.outcome(self.ONE)), PASS)

    def test_what_has_two_readings_is_found(self):
        for data in (
            b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"Content-Length: 3, 3\r\n\r\n",
            b"X: a\0\r\n\r\n",
        ):
            outcome = self.outcome(HEAD + data + b"0\r\n\r\n")
            self.assertEqual(self.verdict(self.case(OK() | NO(400)), outcome), AMBIGUOUS)
        self.assertEqual(self.verdict(self.case(OK("abc"), control=True), self.outcome(HEAD + b"X: \0\r\n\r\n")), AMBIGUOUS)

    def test_what_was_to_be_refused_is_found_though_it_is_clear(self):
        self.assertEqual(self.verdict(self.case(NO(400)), self.outcome(self.ONE)), AMBIGUOUS)

    def test_another_request_than_was_sent_is_found(self):
        for sent in (OK("abd"), OK("abc", method="PUT"), OK("abc", target="/d"), OK("abc", host="b")):
            self.assertEqual(self.verdict(self.case(sent), self.outcome(self.ONE)), AMBIGUOUS)

    def test_a_request_that_nobody_sent_is_smuggled(self):
        hidden = HIDDEN.encode()
        for connections in [(self.ONE + hidden,), (self.ONE, hidden), (hidden,), (self.ONE, self.ONE)]:
            outcome = self.outcome(*connections)
            outcome.answers = outcome.answers[:1]
            self.assertEqual(self.verdict(self.case(OK("abc")), outcome), SMUGGLED, connections)
        refused = self.outcome(hidden, answers=[self.REFUSAL])
        self.assertEqual(self.verdict(self.case(NO(400)), refused), SMUGGLED)

    def test_a_request_in_the_body_is_smuggled_when_the_upstream_splits_it_off(self):
        outcome = self.outcome(HEAD + b"Content-Length: 0\r\n\r\n" + HIDDEN.encode())
        self.assertEqual(self.verdict(self.case(OK(HIDDEN), HIDDEN_REFUSED), outcome), SMUGGLED)

    def test_a_poisoned_victim_is_found(self):
        poisoned = self.outcome(self.ONE, strays=[("victim", b"200", b"GET /hidden 0")])
        self.assertEqual(self.verdict(self.case(OK("abc") | NO(400)), poisoned), SMUGGLED)

    def test_a_victim_behind_half_a_request_is_a_request_that_nobody_sent(self):
        half = b"GET /hidden HTTP/1.1\r\nHost: a\r\nX: "
        outcome = self.outcome(half + b"GET /victim/1-0 HTTP/1.1\r\nX: y\r\n\r\n", answers=[self.REFUSAL])
        self.assertEqual(self.verdict(self.case(NO(400)), outcome), SMUGGLED)

    def test_half_a_request_that_stays_is_found(self):
        half = HEAD + b"Content-Length: 9\r\n\r\nabc"
        self.assertEqual(self.verdict(self.case(NO(400), cut=True), self.outcome(half, answers=[self.REFUSAL])), PASS)
        stays = self.outcome(half, answers=[self.REFUSAL], keep=True)
        self.assertEqual(self.verdict(self.case(NO(400), cut=True), stays), AMBIGUOUS)

    def test_a_whole_request_behind_a_refusal_is_found(self):
        outcome = self.outcome(self.ONE, answers=[self.REFUSAL])
        self.assertEqual(self.verdict(self.case(OK("abc") | NO(400)), outcome), AMBIGUOUS)

    def test_statuses(self):
        self.assertEqual(self.verdict(self.case(NO(401)), self.outcome(answers=[self.REFUSAL])), WRONG_STATUS)
        self.assertEqual(self.verdict(self.case(OK("abc")), self.outcome(answers=[self.REFUSAL])), WRONG_STATUS)
        self.assertEqual(self.verdict(self.case(NO(400)), self.outcome(answers=[self.REFUSAL] * 2)), WRONG_STATUS)
        self.assertEqual(self.verdict(self.case(NO(400)), self.outcome(ended="closed")), WRONG_STATUS)
        self.assertEqual(self.verdict(self.case(NO(400)), self.outcome(silent=True)), WRONG_STATUS)
        self.assertEqual(self.verdict(self.case(NO(400)), self.outcome(broken="HTTP/0.9")), WRONG_STATUS)
        self.assertEqual(self.verdict(self.case(NO(400, CLOSED)), self.outcome(ended="closed")), PASS)

    def test_whoever_refuses_everything_fails_the_controls(self):
        control = self.case(OK("abc"), OK("abc"), control=True)
        for outcome in (
            self.outcome(answers=[self.REFUSAL]),
            self.outcome(ended="closed"),
            self.outcome(silent=True),
            self.outcome(self.ONE, ended="closed"),
        ):
            self.assertEqual(self.verdict(control, outcome), FAILED_CONTROL)
        self.assertEqual(self.verdict(control, self.outcome(self.ONE + self.ONE)), PASS)
        for group, cases in (("requests", REQUESTS), ("responses", ANSWERS)):
            self.assertGreater(sum(case.control for case in cases), 30, group)

    def test_what_may_not_arrive_and_what_has_to(self):
        spoofed = self.outcome(b"GET /c HTTP/1.1\r\nHost: a\r\nX-Auth-Subject: spoofed\r\n\r\n")
        self.assertEqual(self.verdict(self.case(OK(method="GET"), absent="spoofed"), spoofed), AMBIGUOUS)
        self.assertEqual(self.verdict(self.case(OK(method="GET"), present=((b"x-auth-subject", b"me"),)), spoofed), AMBIGUOUS)
        self.assertEqual(self.verdict(self.case(OK(method="GET"), present=((b"x-auth-subject", b"spoofed"),)), spoofed), PASS)

    def test_a_path_outside_the_public_one_is_found(self):
        for target, found in [("/admin", SMUGGLED), ("/publicx", SMUGGLED), ("/public/x", PASS), ("/public/..;/admin", SMUGGLED)]:
            outcome = self.outcome(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode())
            self.assertEqual(self.verdict(self.case(OK(method="GET", target=target), escapes=True), outcome), found, target)

    def test_a_process_that_ended_is_found(self):
        self.assertEqual(self.verdict(self.case(NO(400)), self.outcome_of_a_crash()), HARMED)

    def outcome_of_a_crash(self):
        outcome = self.outcome(answers=[self.REFUSAL])
        outcome.alive = False
        return outcome

    def test_a_client_that_reads_nothing_is_owed_nothing(self):
        case = self.case(OK("abc"), pieces=[post(), Do.RESET], cut=True)
        self.assertEqual(self.verdict(case, self.outcome(self.ONE, answers=[])), PASS)
        self.assertEqual(self.verdict(case, self.outcome(HIDDEN.encode(), answers=[])), SMUGGLED)


class Answers(Bed):
    OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"

    def answer(self, *reads, **more):
        group = AnswerGroup("test")
        group.add("case", "", *reads, **more)
        return group.cases[0]

    def found(self, case, *answers, **more):
        return judge.answer(case, self.outcome(answers=list(answers), **more)).outcome

    def test_answers_are_judged(self):
        one, none = self.answer(reads("abc")), self.answer()
        bad = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
        self.assertEqual(self.found(one, self.OK), PASS)
        self.assertEqual(self.found(one, bad), PASS)
        self.assertEqual(self.found(none, self.OK), AMBIGUOUS)
        self.assertEqual(self.found(self.answer(reads("ab")), self.OK), AMBIGUOUS)
        self.assertEqual(self.found(one, self.OK, self.OK), SMUGGLED)
        self.assertEqual(self.found(one, self.OK, strays=[("victim", b"200", b"poisoned")]), SMUGGLED)
        self.assertEqual(self.found(one, broken="status line b'HTTP/2 200'"), AMBIGUOUS)
        self.assertEqual(self.found(self.answer(reads("abc"), hidden="abc"), self.OK), AMBIGUOUS)
        self.assertEqual(self.found(one, ended="closed"), WRONG_STATUS)
        self.assertEqual(self.found(one, silent=True), WRONG_STATUS)
        self.assertEqual(self.found(one, ended="reset"), PASS)
        self.assertEqual(self.found(one, self.OK[:-1], ended="closed"), PASS)
        control = self.answer(reads("abc"), control=True)
        self.assertEqual(self.found(control, bad), FAILED_CONTROL)
        self.assertEqual(self.found(control, self.OK[:-1], ended="closed"), FAILED_CONTROL)

    def test_an_answer_to_the_next_request_is_found(self):
        both = self.answer(reads("abc"), request=get("/r") + get("/c"))
        own = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nGET /c 0"
        self.assertEqual(self.found(both, self.OK, own), PASS)
        self.assertEqual(self.found(both, self.OK, self.OK), SMUGGLED)

    def test_a_request_that_is_sent_again_is_found(self):
        again = b"POST /r HTTP/1.1\r\nHost: a\r\n\r\n"
        case = self.answer(method="POST", attempts=1)
        outcome = self.outcome(again, again, answers=[b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"])
        self.assertEqual(judge.answer(case, outcome).outcome, AMBIGUOUS)


class Differential(Bed):
    def found(self, sent, *forwarded):
        case = mutate.MutatedRequest(1, sent, self.bench)
        return mutate.judged(mutate.request_fault)(case, self.outcome(*forwarded), self.bench).outcome

    def test_what_is_forwarded_is_held_against_what_was_sent(self):
        sent = post("Content-Length: 3", "abc").encode()
        own = self.ONE
        self.assertEqual(self.found(sent, own), PASS)
        self.assertEqual(self.found(sent), PASS)
        self.assertEqual(self.found(sent, own.replace(b"abc", b"abd")), AMBIGUOUS)
        self.assertEqual(self.found(sent, own.replace(b"/c", b"/d")), AMBIGUOUS)
        self.assertEqual(self.found(sent, own.replace(b"POST", b"PUT")), AMBIGUOUS)
        self.assertEqual(self.found(sent, own.replace(b"\r\nHost", b"\nHost")), AMBIGUOUS)
        self.assertEqual(self.found(sent.replace(b"{AUTH}", b"X: y"), own), AMBIGUOUS)
        self.assertEqual(self.found(sent, own, own, own), SMUGGLED)
        self.assertEqual(self.found(sent, own, HIDDEN.encode()), SMUGGLED)
        self.assertEqual(self.found(post("Content-Length: 3\r\nContent-Length: 4", "abcd").encode(), own), AMBIGUOUS)

    def test_the_grammar_reads_what_it_has_to(self):
        requests = post("Content-Length: 03", "abc") + post("Transfer-Encoding: chunked", "03 ;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n")
        requests = requests.replace("{AUTH}", "X: y")
        reading = grammar.read(requests.encode())
        self.assertEqual(([request.body for request in reading.requests], reading.end), ([b"abc", b"abc"], "complete"))
        self.assertEqual(grammar.read(requests[:-1].encode()).end, "incomplete")
        for sent in (
            post("Content-Length: 3\r\nTransfer-Encoding: chunked"),
            post("X: y\nZ: w"),
            post("Host: b.test"),
            post(" X: y"),
        ):
            self.assertTrue(grammar.read(sent.replace("{AUTH}", "X: y").encode()).end.startswith("invalid"), sent)

    def test_answers_are_held_against_what_the_upstream_sent(self):
        sent = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
        case = mutate.MutatedAnswer(1, sent, self.bench)
        faults = mutate.judged(mutate.answer_fault)
        for answers, found in [
            ([sent], PASS),
            ([sent, sent], SMUGGLED),
            ([sent.replace(b"abc", b"abd")], AMBIGUOUS),
            ([], AMBIGUOUS),
        ]:
            self.assertEqual(faults(case, self.outcome(answers=answers, ended="closed"), self.bench).outcome, found, answers)
        doubtful = mutate.MutatedAnswer(1, sent.replace(b"h: 3", b"h: +3"), self.bench)
        self.assertEqual(faults(doubtful, self.outcome(answers=[sent]), self.bench).outcome, AMBIGUOUS)


class Incidents(unittest.TestCase):
    """Every row of the incident table that concerns HTTP/1 has a case that is named for it."""

    ROWS = """
        CVE-2026-2833 CVE-2026-73548 CVE-2025-64763 CVE-2024-23326 CVE-2026-2835 CVE-2026-2836 CVE-2025-4366 RUSTSEC-2021-0020
        CVE-2021-40346 CVE-2023-25725 CVE-2026-47774 CVE-2026-73547 CVE-2025-64484 CVE-2026-39858 GHSA-f59h-q822-g45g
        GHSA-7r4p-vjf4-gxv4 CVE-2024-45410 CVE-2024-52003 CVE-2026-35051 CVE-2026-54764 CVE-2026-40575 GHSA-vhr5-ggp3-qq85
        CVE-2023-27487 CVE-2025-54576 CVE-2026-41059 CVE-2021-32779 CVE-2026-34457 GHSA-p224-6x5r-fjpm CVE-2019-9901
        CVE-2021-29492 GHSA-gm3x-23wp-hc2c CVE-2026-73511 CVE-2026-73551 CVE-2026-73553 CVE-2026-27587 CVE-2022-29266
    """.split()

    def test_each_has_a_case(self):
        names = "\n".join(case.name for case in REQUESTS + ANSWERS)
        self.assertEqual([row for row in self.ROWS if row not in names], [])


class Table(unittest.TestCase):
    def test_a_cell_counts(self):
        group = [
            judge.Verdict("a", PASS),
            judge.Verdict("b", SMUGGLED),
            judge.Verdict("c", SMUGGLED),
            judge.Verdict("d", AMBIGUOUS),
        ]
        self.assertEqual(cell(group), "1 of 4 (2 smuggled, 1 ambiguous forwarded)")
        self.assertEqual(cell(None), "–")
        self.assertEqual(Target("nginx").keyward, None)


if __name__ == "__main__":
    unittest.main()
