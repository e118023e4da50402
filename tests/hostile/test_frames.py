#!/usr/bin/env python3
"""The suite `frames` can fail: it runs against proxies that do everything wrong, in one manner after the other.

python3 -m unittest tests/hostile/test_frames.py
"""

import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import http2_client
import naive
from frames_suite import Bench
from http2_case import Ignored
from http2_cases import CASES
from verdict import HARMED

SHARDS = 32
PATIENCE = 0.3  # seconds; what says nothing at once says nothing at all


class EveryCaseCanFail(unittest.TestCase):
    def setUp(self):
        self.addCleanup(setattr, http2_client, "PATIENCE", http2_client.PATIENCE)
        http2_client.PATIENCE = PATIENCE

    def test_what_must_be_refused_fails_when_it_is_forwarded(self):
        self.must_fail(naive.BELIEVING, refused, 300)

    def test_what_must_pass_fails_when_it_is_refused(self):
        self.must_fail(naive.REFUSING, passed, 100)

    def test_nothing_passes_when_nothing_is_said(self):
        self.must_fail(naive.SILENT, lambda case: True, 500)

    def test_it_is_the_proxy_that_fails_them(self):
        """What is harmless passes, for the most part, through one that forwards everything."""
        verdicts = run(naive.BELIEVING, [case for case in CASES if passed(case) and case.answer is None])
        self.assertGreater(sum(verdict.passed for verdict in verdicts), len(verdicts) * 2 // 3, outcomes(verdicts))

    def must_fail(self, manner, which, at_least):
        verdicts = run(manner, [case for case in CASES if which(case)])
        self.assertGreaterEqual(len(verdicts), at_least)
        self.assertEqual([verdict.case for verdict in verdicts if verdict.passed], [], outcomes(verdicts))
        # Not for what happens to others: they are served.
        self.assertEqual([verdict.case for verdict in verdicts if verdict.outcome == HARMED], [], outcomes(verdicts))


def outcomes(verdicts):
    return str(Counter(verdict.outcome for verdict in verdicts))


def run(manner, cases):
    with ThreadPoolExecutor(SHARDS) as pool:
        shards = pool.map(lambda shard: judged(manner, shard), [cases[n::SHARDS] for n in range(SHARDS)])
    return [verdict for shard in shards for verdict in shard]


def judged(manner, cases):
    with Bench(lambda port: naive.Naive(manner, port)) as bench:
        return [bench.judged(case) for case in cases]


def refused(case):
    return not any(expected.forwards or isinstance(expected, Ignored) for expected in case.expected)


def passed(case):
    return all(expected.forwards for expected in case.expected)


if __name__ == "__main__":
    unittest.main()
