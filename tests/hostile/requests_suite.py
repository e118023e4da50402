"""Requests that two parsers could read differently, each followed by victims on the same connections to the upstream."""

import tempfile

import judge
from bench import side_by_side
from request_cases import CASES


def run(target, only):
    cases = [case for case in CASES if only in case.name]
    with tempfile.TemporaryDirectory(prefix="keyward-hostile-") as folder:
        yield from side_by_side(target, folder, cases, judge.request)
