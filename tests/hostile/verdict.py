"""What became of a case: the words that every suite uses, and the table that compares proxies."""

from collections import Counter
from dataclasses import dataclass

PASS = "pass"
AMBIGUOUS = "ambiguous forwarded"  # it reached the other side in a form that has more than one reading
SMUGGLED = "smuggled"  # something nobody was entitled to send reached the upstream, or another client got it
WRONG_STATUS = "wrong status"
FAILED_CONTROL = "failed control"  # what is harmless did not pass unchanged
HARMED = "harmed"  # good clients suffered, or the process did


@dataclass
class Verdict:
    case: str
    outcome: str
    detail: str = ""
    group: str = ""

    @property
    def passed(self):
        return self.outcome == PASS


@dataclass
class Target:
    """A proxy that a suite is to be run against."""

    kind: str
    keyward: str | None = None  # Keyward's binary
    slow: int = 2000  # slow clients of each kind
    seconds: float | None = None  # how long what is measured lasts; `None`: as the suite likes
    timed: bool = True  # whether times are judged


def table(results):
    """Markdown: suites by proxies. `results` maps (suite, kind) to verdicts."""
    suites = list(dict.fromkeys(suite for suite, _ in results))
    kinds = list(dict.fromkeys(kind for _, kind in results))
    lines = ["| suite | " + " | ".join(kinds) + " |", "| --- |" + " --- |" * len(kinds)]
    for suite in suites:
        cells = [cell(results.get((suite, kind))) for kind in kinds]
        lines.append(f"| {suite} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(verdicts):
    if verdicts is None:
        return "–"
    failures = Counter(verdict.outcome for verdict in verdicts if not verdict.passed)
    passed = sum(verdict.passed for verdict in verdicts)
    reasons = ", ".join(f"{count} {outcome}" for outcome, count in failures.most_common())
    return f"{passed} of {len(verdicts)}" + (f" ({reasons})" if reasons else "")
