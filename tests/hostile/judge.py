"""Says what an outcome means: what reached the upstream has one reading and is what the client sent, or nothing did and
the status is right."""

import strict
from case import CLOSED, NOT_HTTP1, Do
from verdict import AMBIGUOUS, FAILED_CONTROL, HARMED, PASS, SMUGGLED, WRONG_STATUS, Verdict


def request(case, outcome, _bench=None):
    """The verdict on a request case."""
    found, why = first_fault(case, outcome)
    if found in (WRONG_STATUS, AMBIGUOUS) and case.control and not outcome.doubts:
        found = FAILED_CONTROL
    return Verdict(case.name, found, "" if found == PASS else f"{why}\n{evidence(outcome)}", case.group)


def first_fault(case, outcome):
    """The worst that happened."""
    if not outcome.alive:
        return HARMED, "the process has ended"
    for stray in outcome.strays:
        return SMUGGLED, f"a {stray[0]} was not given its own answer: {stray[1]!r} {stray[2]!r}"
    used, fault = walk(case, outcome)
    for message in outcome.served:
        if message.serial not in used and not is_one_of(message, case.steps, outcome.fill):
            return SMUGGLED, f"an extra request reached the upstream: {message.line()!r} with {len(message.body)} bytes"
        if case.escapes and not is_public(message.target):
            return SMUGGLED, f"without a credential, outside /public: {message.line()!r}"
    for doubt in outcome.doubts:
        return AMBIGUOUS, f"the upstream was sent {doubt}"
    if case.absent and any(case.absent in data for data in outcome.upstream_bytes):
        return AMBIGUOUS, f"{case.absent!r} reached the upstream"
    if outcome.hanging:
        return AMBIGUOUS, f"half a request stays on a connection to the upstream: {outcome.hanging[0][:200]!r}"
    for message in outcome.served:
        if message.serial not in used:
            return AMBIGUOUS, f"forwarded though not answered so: {message.line()!r}"
    for name, value in case.present:
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
        and message.target in (sent.target, b"http://a.test" + sent.target)
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
