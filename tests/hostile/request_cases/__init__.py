"""Every request case, by family."""

from collections import Counter

from request_cases import bodies, chunks, connections, fields, framing, hosts, incidents, lines, sizes, starts, targets

MODULES = (framing, chunks, bodies, lines, fields, hosts, targets, starts, sizes, connections, incidents)
CASES = [case for module in MODULES for group in module.groups() for case in group.cases]

NAMES = Counter(case.name for case in CASES)
assert len(NAMES) == len(CASES), f"two cases have one name: {NAMES.most_common(3)}"
