"""Answers that two parsers could read differently, that are cut off, or that nobody asked for, each followed by victims on the
same connections to the upstream."""

import tempfile

import judge
from bench import side_by_side
from response_cases import CASES


def run(target, only):
    cases = [case for case in CASES if only in case.name]
    with tempfile.TemporaryDirectory(prefix="keyward-hostile-") as folder:
        yield from side_by_side(target, folder, cases, judge.answer)
