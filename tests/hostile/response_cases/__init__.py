"""Every case of an answer, by family."""

from collections import Counter

from response_cases import ends, extra, fields, framing, interim, starts

MODULES = (framing, ends, extra, interim, starts, fields)
CASES = [case for module in MODULES for group in module.groups() for case in group.cases]

NAMES = Counter(case.name for case in CASES)
assert len(NAMES) == len(CASES), f"two cases have one name: {NAMES.most_common(3)}"
