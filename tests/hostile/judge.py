"""Says what an outcome means: what reached the upstream has one reading and is what the client sent, or nothing did and
the status is right."""

import re

import strict
from answer_case import BAD_GATEWAY, Read
from bench import OURS
from case import CLOSED, NOT_HTTP1, OWN_PORT, Do
from verdict import AMBIGUOUS, FAILED_CONTROL, HARMED, PASS, SMUGGLED, WRONG_STATUS, Verdict

#: Targets of requests that are part of something else.
NEVER = (b"/hidden", b"/smuggled")
TARGETS = re.compile(rb"^[A-Z]+ (\S+) HTTP/1\.", re.MULTILINE)
#: What the absolute form has before the path; a strict reader has held it against Host.
ORIGIN = re.compile(rb"^http://a\.test(?::80)?(?=/)", re.IGNORECASE)


def request(case, outcome, bench=None):
    """The verdict on a request case."""
    found, why = first_fault(case, outcome, bench)
    if found in (WRONG_STATUS, AMBIGUOUS) and case.control and not outcome.doubts:
        found = FAILED_CONTROL
    return Verdict(case.name, found, "" if found == PASS else f"{why}\n{evidence(outcome)}", case.group)


def answer(case, outcome, _bench=None):
    """The verdict on a case of a hostile answer."""
    found, why = answer_fault(case, outcome)
    if case.control and found not in (PASS, HARMED):
        found = FAILED_CONTROL
    return Verdict(case.name, found, "" if found == PASS else f"{why}\n{evidence(outcome)}", case.group)


def answer_fault(case, outcome):
    if not outcome.alive:
        return HARMED, "the process has ended"
    for stray in outcome.strays:
        return SMUGGLED, f"a {stray[0]} was not given its own answer: {stray[1]!r} {stray[2]!r}"
    if len(outcome.answers) > len(case.steps):
        return SMUGGLED, f"{len(outcome.answers)} answers to {len(case.steps)} requests"
    for other in outcome.answers[1:]:
        if not other.body.startswith(b"GET /c "):
            return SMUGGLED, f"the request behind it was answered {other.status} {other.body!r}"
    tries = sum(message.target == b"/r" for message in outcome.served)
    if tries > case.attempts:
        return AMBIGUOUS, f"the request was sent {tries} times"
    if case.hidden and case.hidden in outcome.client_bytes:
        return AMBIGUOUS, f"{case.hidden!r} reached the client"
    if outcome.broken:
        return AMBIGUOUS, f"the client was sent {outcome.broken}"
    if not outcome.answers:
        return unanswered(case, outcome)
    first = outcome.answers[0]
    if first.status in BAD_GATEWAY:
        return (WRONG_STATUS, f"it is answered {first.status}") if case.control else (PASS, "")
    if case.refused and first.status in (400, 403, 426, 501) or Read(first.body, first.status) in case.reads:
        return PASS, ""
    return AMBIGUOUS, f"it is read as {first.status} with {shortened(first.body, 200)}"


def unanswered(case, outcome):
    if outcome.silent:
        return WRONG_STATUS, "the client waits for more"
    if case.control:
        return WRONG_STATUS, f"cut ({outcome.ended})"
    # What began and did not end is visibly cut; a reset is, too.
    if outcome.client_bytes or outcome.ended == "reset":
        return PASS, ""
    return WRONG_STATUS, "closed without an answer"


def first_fault(case, outcome, bench):
    """The worst that happened."""
    if not outcome.alive:
        return HARMED, "the process has ended"
    for stray in outcome.strays:
        return SMUGGLED, f"a {stray[0]} was not given its own answer: {stray[1]!r} {stray[2]!r}"
    used, fault = walk(case, outcome)
    unfit = [m for m in outcome.served if m.serial not in used and not is_one_of(m, case.steps, outcome.fill)]
    for message in unfit:
        if message.target in NEVER:
            return SMUGGLED, f"a part of another request reached the upstream: {message.line()!r}"
    if len(outcome.served) > len(case.asked):
        return SMUGGLED, f"{len(outcome.served)} requests reached the upstream: {[m.line() for m in outcome.served]}"
    for target in TARGETS.findall(b"\n".join(outcome.upstream_bytes)) if case.escapes else []:
        if not is_public(ORIGIN.sub(b"", target)) and not target.startswith(OURS):
            return SMUGGLED, f"without a credential, outside /public: {target!r}"
    for doubt in outcome.doubts:
        return AMBIGUOUS, f"the upstream was sent {doubt}"
    if case.absent and any(case.absent in data for data in outcome.upstream_bytes):
        return AMBIGUOUS, f"{case.absent!r} reached the upstream"
    if outcome.hanging:
        return AMBIGUOUS, f"half a request stays on a connection to the upstream: {outcome.hanging[0][:200]!r}"
    for message in outcome.served:
        if message.serial not in used:
            return AMBIGUOUS, f"forwarded though not answered so: {message.line()!r}"
    if case.unsaid and case.unsaid in outcome.client_bytes:
        return AMBIGUOUS, f"{case.unsaid!r} is told to the client"
    for name, value in case.present:
        value = b"%d" % bench.proxy.port if value is OWN_PORT else value
        for message in outcome.served:
            if message.get(name) != value:
                return AMBIGUOUS, f"{name!r} is {message.get(name)!r}, not {value!r}"
    return fault or (PASS, "")


def walk(case, outcome):
    """Holds each answer against its step. Gives the serials of the requests that were rightly served, and the fault."""
    by_serial = {message.serial: message for message in outcome.served}
    if Do.RESET in case.pieces:
        return {message.serial for message in outcome.served if is_one_of(message, case.steps, outcome.fill)}, None
    used = set()
    for number, step in enumerate(case.steps):
        if number >= len(outcome.answers):
            if CLOSED in step.refuse:
                used |= {message.serial for message in outcome.served if is_one_of(message, [step], outcome.fill)}
            return used, missing(case, outcome, number, step)
        answer = outcome.answers[number]
        serial = answer.get(b"x-capture")
        if serial is None:
            if answer.status not in step.refuse:
                allowed = sorted(status for status in step.refuse if status > 0)
                return used, (WRONG_STATUS, f"answer {number + 1} is {answer.status}, not {allowed or 'a success'}")
            continue
        if serial == b"early":
            used |= {message.serial for message in outcome.served if is_one_of(message, [step], outcome.fill)}
            continue
        message = by_serial.get(int(serial))
        if message is None:
            return used, (SMUGGLED, f"answer {number + 1} belongs to another request: {answer.body!r}")
        if not step.accept:
            return used, (AMBIGUOUS, f"forwarded what is to be refused: {message.line()!r}")
        if not is_one_of(message, [step], outcome.fill):
            return used, (AMBIGUOUS, f"not what the client sent: {message.line()!r} {message.get(b'host')!r} {message.body!r}")
        used.add(message.serial)
    extra = outcome.answers[len(case.steps) :]
    if extra:
        return used, (WRONG_STATUS, f"{len(extra)} answers more than requests: {[answer.status for answer in extra]}")
    return used, None


def missing(case, outcome, number, step):
    """A step without an answer: right where the connection ended and the case lets it."""
    if step.optional:
        return None
    if outcome.silent:
        return WRONG_STATUS, f"no answer {number + 1}: the proxy waits for more"
    if outcome.broken and NOT_HTTP1 not in step.refuse:
        return WRONG_STATUS, f"answer {number + 1} is none: {outcome.broken}"
    if case.control:
        return WRONG_STATUS, f"no answer {number + 1} (the connection was {outcome.ended})"
    if number > 0 or CLOSED in step.refuse or outcome.broken:
        return None
    return WRONG_STATUS, f"{outcome.ended} without an answer"


def is_one_of(message, steps, fill):
    return any(matches(message, sent, fill) for step in steps for sent in step.accept)


def matches(message, sent, fill):
    return (
        message.method == sent.method
        and ORIGIN.sub(b"", message.target) == sent.target
        and message.body == fill(sent.body)
        and sent.host in (None, message.get(b"host"))
    )


def is_public(target):
    """Whether even the most careless server finds this path under /public."""
    kept = []
    for segment in strict.loosest_segments(target.partition(b"?")[0]):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    return kept[:1] == [b"public"]


def evidence(outcome):
    """The exact bytes."""
    lines = [f"sent      {shortened(data)}" for data in outcome.sent]
    lines += [f"upstream  {shortened(data)}" for data in outcome.upstream_bytes]
    lines.append(f"answered  {shortened(outcome.client_bytes)} ({outcome.ended or 'left open'})")
    return "\n".join(lines)


def shortened(data, limit=1500):
    text = repr(data)[1:]
    return text if len(text) <= limit else f"{text[: limit // 2]} …{len(data)} bytes… {text[-limit // 2 :]}"
