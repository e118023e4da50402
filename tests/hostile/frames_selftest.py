#!/usr/bin/env python3
"""Shows that the suite `frames` can fail: runs it against proxies that do everything wrong in one of three manners.

    frames_selftest.py          exit 0 when every case fails where it must
"""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import frames
import naive
from frames_suite import Bench, all_cases
from http2_case import Ignored
from verdict import HARMED

SHARDS = 32


def main():
    frames.PATIENCE = 0.3
    wrong = []
    for manner, must_fail in ((naive.BELIEVING, refused), (naive.REFUSING, passed), (naive.SILENT, any_case)):
        verdicts = run(manner, [case for case in all_cases() if must_fail(case)])
        wrong += [f"{manner}: {verdict.case} passed, and must not" for verdict in verdicts if verdict.passed]
        wrong += [f"{manner}: {verdict.case} failed for its victims" for verdict in verdicts if verdict.outcome == HARMED]
        report(manner, verdicts, "that must fail")
    # And that it is the proxy that fails them: what is harmless passes through the one that forwards everything.
    harmless = [case for case in all_cases() if passed(case) and case.answer is None]
    verdicts = run(naive.BELIEVING, harmless)
    report(naive.BELIEVING, verdicts, "that are harmless")
    if sum(verdict.passed for verdict in verdicts) < len(verdicts) * 2 // 3:
        wrong.append("hardly anything passes")
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


def report(manner, verdicts, what):
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in Counter(verdict.outcome for verdict in verdicts).most_common())
    print(f"a {manner} proxy, {len(verdicts)} cases {what}: {outcomes}", flush=True)


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


def any_case(_):
    return True


if __name__ == "__main__":
    main()
