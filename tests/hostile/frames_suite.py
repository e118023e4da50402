"""HTTP/2 in frames, after RFC 9113, RFC 7541 and what became incidents, and what reaches an HTTP/1.1 upstream of it.

A case passes when the peer is told what the RFCs say, nothing of more than one reading was forwarded, and good requests on
the same connection, where it goes on, and on a new one are answered as theirs.
"""

import contextlib
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import capture
import proxies
from frames import window_update
from http2_client import Connection, Stream
from http2_case import Gone, Reaches, Reset, Seen
from http2_cases import CASES
from verdict import AMBIGUOUS, FAILED_CONTROL, HARMED, PASS, SMUGGLED, WRONG_STATUS, Verdict

SHARDS = 4
#: Names of what a case hides in other things; none of them may arrive as a request or a field.
HIDDEN = (b"/smuggled", b"\nx-smuggled", b"\rx-smuggled")


def run(target, only=""):
    cases = [case for case in CASES if only in f"{case.section}: {case.name}"]
    with tempfile.TemporaryDirectory(prefix="keyward-frames-") as folder:
        verdicts = side_by_side(target, Path(folder), cases)
    other_codes = sum(verdict.passed and bool(verdict.detail) for verdict in verdicts)
    print(f"hostile frames {target.kind}: {other_codes} errors were told with another code than the RFC names")
    return verdicts


def side_by_side(target, folder, cases):
    def work(number):
        start = lambda port: proxies.start(target.kind, folder / str(number), port, target.keyward)
        with Bench(start) as bench:
            return {n: bench.judged(cases[n]) for n in range(number, len(cases), SHARDS)}

    verdicts = {}
    with ThreadPoolExecutor(SHARDS) as pool:
        for done in [pool.submit(work, number) for number in range(min(SHARDS, len(cases)))]:
            verdicts.update(done.result())
    return [verdicts[n] for n in range(len(cases))]


class Bench:
    """One proxy before one capturing upstream, for one case after the other. `start(upstream_port)` gives the proxy."""

    def __init__(self, start):
        self.stack = contextlib.ExitStack()
        self.upstream = self.stack.enter_context(capture.Upstream())
        self.proxy = self.stack.enter_context(start(self.upstream.port))
        self.address = (self.proxy.host, self.proxy.h2_port)
        self.rounds = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def judged(self, case):
        name = f"{case.section}: {case.name}"
        try:
            outcome, detail = self.outcome(case)
        except OSError as error:
            outcome, detail = HARMED, f"{type(error).__name__}: {error}"
        if not self.proxy.alive():
            outcome, detail = HARMED, f"the proxy has ended: {self.proxy.log()[-2000:]}"
        return Verdict(name, outcome, detail, case.section)

    def outcome(self, case):
        self.rounds += 1
        self.upstream.fresh(*answers(case))
        with Connection(self.address, self.proxy.token, case.first) as c:
            c.own = f"/case-{self.rounds}"
            try:
                if case.opened:
                    c.open()
                seen = self.attack(case, c)
                wrong = self.judge(case, seen)
                late = self.victim_on(c, case)
            except AssertionError as error:
                wrong, late = (WRONG_STATUS, str(error)), None
        # The sender is gone: nothing of its messages may stay half sent, and nobody else may suffer.
        worse = self.judge_bytes(case) or self.victim() or self.judge_bytes(case)
        if worse:
            self.upstream.close_connections()
        return worse or wrong or late or (PASS, other_code(case, seen))

    def attack(self, case, c):
        stream = case.act(c)
        if stream is None:
            # What is judged is the connection: either it ends, or it still answers.
            c.alive()
            seen = Stream()
        else:
            seen = c.on(stream)
        if stream is not None:
            c.settle(stream)
        elif c.fatal:
            c.read(lambda: c.closed)
        seen = Seen(c, seen, self.requests(), c.own.encode())
        if not any(expected.holds(seen) for expected in case.expected):
            # The end of the connection may come behind that of the stream.
            c.read(lambda: c.closed, 1)
        return seen

    def requests(self):
        """The whole requests that the upstream was sent by the case."""

        def work():
            connections = self.upstream.connections
            return [request for connection in connections for request in connection.requests if not is_ours(request)]

        return self.upstream.call(work)

    def judge(self, case, seen):
        met = [expected for expected in case.expected if expected.holds(seen)]
        if not met:
            return self.missed(case, seen)
        if case.also and not case.also(seen.connection):
            return WRONG_STATUS, f"what must hold of the connection does not: {seen.told()}"
        if not any(expected.forwards for expected in met) and seen.requests and case.reaches is not Reaches.WHOLE:
            return SMUGGLED, f"it was refused and forwarded: {[request.line() for request in seen.requests]}"
        return None

    def missed(self, case, seen):
        due = " or ".join(str(expected) for expected in case.expected)
        forwarding = [expected for expected in case.expected if expected.forwards]
        lines = [f"{seen.told()} instead of {due}"]
        for request in seen.requests:
            lines.append(
                f"forwarded: {request.line()[:200]!r} {request.fields!r:.500} {request.body[:100]!r} {request.trailers!r:.200}"
            )
            lines += [f"  {wrong}" for expected in forwarding for wrong in expected.differences(request, seen.own)]
        outcome = FAILED_CONTROL if len(forwarding) == len(case.expected) else WRONG_STATUS
        return outcome, "\n".join(lines)

    def victim_on(self, c, case):
        """A good request on the connection of the case, unless that has ended or can carry no more."""
        if c.closed or c.goaway or c.broken or c.spent or not c.greeted:
            return None
        c.credits = c.answers = True
        stream = c.request(path=f"/victim-{self.rounds}")
        c.send(window_update(stream, 1 << 16))
        wrong = self.told_apart(c, stream, "on the same connection")
        # An error of the stream may be one of the connection (RFC 9113 section 5.4.2), a little later.
        return None if c.fatal and any(isinstance(expected, (Gone, Reset)) for expected in case.expected) else wrong

    def victim(self):
        with Connection(self.address, self.proxy.token) as c:
            stream = c.open().request(path=f"/victim-{self.rounds}")
            return self.told_apart(c, stream, "on another connection")

    def told_apart(self, c, stream, where):
        c.settle(stream)
        answer = c.on(stream)
        if answer.status == 200 and answer.ended and answer.body == f"GET /victim-{self.rounds} 0".encode():
            return None
        # A connection that is told to go away in good order may end before its last request.
        if c.goaway == "NO_ERROR" and not answer.status:
            return None
        seen = Seen(c, answer, [], b"")
        return HARMED, f"a good request {where} got {seen.told()} {bytes(answer.body[:200])!r}"

    def judge_bytes(self, case):
        """Everything that the upstream was sent has one reading; half a message is cut off."""
        deadline = time.monotonic() + 5

        def look():
            connections = self.upstream.connections
            doubts = [connection.doubt for connection in connections if connection.doubt]
            hidden = [bytes(c.received[-500:]) for c in connections for request in c.requests if has_hidden(request)]
            halves = [connection.rest() for connection in connections if connection.rest()]
            waiting = [connection.rest() for connection in connections if connection.rest() and connection.is_open]
            return doubts, hidden, halves, waiting

        while True:
            doubts, hidden, halves, waiting = self.upstream.call(look)
            if doubts:
                return AMBIGUOUS, f"the upstream was sent {doubts[0]}"
            if hidden:
                return SMUGGLED, f"the upstream was sent {hidden[0]!r}"
            if halves and case.reaches is Reaches.NOTHING:
                return AMBIGUOUS, f"part of a refused request was forwarded: {halves[0][:300]!r}"
            if not waiting:
                return None
            if time.monotonic() > deadline:
                return HARMED, f"half a message stays on an open connection: {waiting[0][:300]!r}"
            time.sleep(0.005)


def answers(case):
    """What the upstream says to the case, and an echo to the victims."""

    def whole(connection, request):
        return capture.echo(connection, request) if case.answer is None or is_ours(request) else list(case.answer)

    def early(_connection, head):
        return None if case.early is None or is_ours(head) else list(case.early)

    return whole, early


def other_code(case, seen):
    """That an error was told with a code which is not the one that is due; empty if it was, or there was none."""
    met = [expected for expected in case.expected if expected.holds(seen)]
    others = [expected.other_code(seen) for expected in met if isinstance(expected, (Gone, Reset))]
    return f"{others[0]} instead of {met[0]}" if others and all(others) else ""


def is_ours(request):
    return request.target.startswith((b"/victim-", b"/prime")) and request.method == b"GET" and not request.body


def has_hidden(request):
    fields = b"".join(b"\n" + name.lower() for name, _ in request.fields + request.trailers)
    return any(words in fields or words == request.target[: len(words)] for words in HIDDEN)
