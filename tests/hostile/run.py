#!/usr/bin/env python3
"""Hostile messages over raw sockets, through a proxy, to an upstream that shows every byte it was sent.

    run.py --proxy keyward=target/debug/keyward                  every suite
    run.py --proxy keyward=BIN --proxy nginx --proxy haproxy --table
    run.py … --suite requests,responses                          these suites
    run.py … --only WORDS                                        cases whose name has WORDS
    run.py … --self-test                                         first, that the judges find what they are to find

A suite is a module `NAME_suite.py` with `run(target, only)`, which yields a `Verdict` for each case. Exit 1 when Keyward
fails a case; the others are compared, not judged.
"""

import argparse
import importlib
import sys
import time
import traceback
import unittest
from pathlib import Path

from proxies import KINDS
from verdict import Target, Verdict, table

HERE = Path(__file__).resolve().parent


def main():
    options = read_options()
    if options.self_test and not judges_judge():
        sys.exit("the judges do not find what they are to find")
    results = {}
    for suite in options.suite:
        for target in options.proxy:
            results[suite, target.kind] = run_suite(suite, target, options)
    if options.table:
        print(table(results))
    failed = any(not verdict.passed for (_, kind), verdicts in results.items() if kind == "keyward" for verdict in verdicts)
    empty = any(not verdicts for verdicts in results.values()) and not options.only
    sys.exit(1 if failed or empty else 0)


def run_suite(suite, target, options):
    began = time.monotonic()
    verdicts = []
    try:
        for verdict in importlib.import_module(f"{suite}_suite").run(target, options.only):
            verdicts.append(verdict)
            report(suite, target, verdict, options)
    except Exception as error:  # what a suite raises is its own failure, and the other suites still count
        traceback.print_exc()
        verdicts.append(Verdict("(the suite itself)", "broken", repr(error)))
    passed = sum(verdict.passed for verdict in verdicts)
    took = time.monotonic() - began
    print(f"hostile {suite} {target.kind}: {passed} passed, {len(verdicts) - passed} failed ({took:.0f} s)", flush=True)
    return verdicts


def judges_judge():
    tests = unittest.defaultTestLoader.discover(str(HERE), "test_*.py", top_level_dir=str(HERE))
    return tests.countTestCases() > 0 and unittest.TextTestRunner(verbosity=0).run(tests).wasSuccessful()


def report(suite, target, verdict, options):
    if verdict.passed:
        if options.verbose:
            print(f"ok     {suite} {target.kind}: {verdict.case}", flush=True)
    elif target.kind == "keyward" or not options.table:
        print(f"FAILED {suite} {target.kind}: {verdict.case}: {verdict.outcome}\n{indented(verdict.detail)}", flush=True)


def indented(text):
    return "\n".join("       " + line for line in text.splitlines())


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxy", action="append", type=target, required=True, metavar="KIND[=BIN]")
    parser.add_argument("--suite", type=lambda names: names.split(","), default=suites(), metavar="NAMES")
    parser.add_argument("--only", default="", metavar="WORDS")
    parser.add_argument("--slow", type=int, default=2000, metavar="N", help="slow clients of each kind; below 1000 of all together")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--seconds", type=float, help="how long each flood lasts")
    parser.add_argument("--untimed", action="store_true", help="measure times, and do not judge them")
    options = parser.parse_args()
    for proxy in options.proxy:
        proxy.seconds, proxy.slow, proxy.timed = options.seconds, options.slow, not options.untimed
    for suite in options.suite:
        if suite not in suites():
            parser.error(f"there is no suite {suite}: {', '.join(suites())}")
    return options


def suites():
    return sorted(path.stem.removesuffix("_suite") for path in HERE.glob("*_suite.py"))


def target(words):
    kind, _, binary = words.partition("=")
    if kind not in KINDS or (kind == "keyward") != bool(binary):
        raise argparse.ArgumentTypeError("give keyward=BIN, nginx or haproxy")
    return Target(kind, binary or None)


if __name__ == "__main__":
    main()
