"""One proxy between one raw client and one capturing upstream: runs a case, lets a victim follow on every pooled
connection, and gathers what became of it.

Cases run one after the other on a bench, so that everything the upstream captured belongs to the case; several benches
run side by side.
"""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import capture
import proxies
from case import Do
from client import Client

SHARDS = 4

#: Seconds without any answer after which a proxy is taken to wait for more. Only a case that fails gets there.
SILENCE = {"keyward": 20.0}
SILENCE_OF_OTHERS = 2.0
#: Seconds that an answer is given to come before its request is whole; who reads a body whole before it forwards it has none.
EARLY = 0.5


@dataclass
class Outcome:
    """What became of a case."""

    fill: object  # puts the good credential into bytes
    sent: list = field(default_factory=list)
    answers: list = field(default_factory=list)
    served: list = field(default_factory=list)  # whole requests that the upstream took, victims and probes left out
    doubts: list = field(default_factory=list)
    ended: str | None = None
    broken: str | None = None  # why what the client got is no answer
    silent: bool = False  # the proxy waited for more
    strays: list = field(default_factory=list)  # victims and probes that did not get their own answer
    hanging: list = field(default_factory=list)  # half requests that stayed on an open connection
    client_bytes: bytes = b""
    upstream_bytes: list = field(default_factory=list)
    alive: bool = True


class Bench:
    def __init__(self, target, folder, extra=""):
        self.kind = target.kind
        self.silence = SILENCE.get(target.kind, SILENCE_OF_OTHERS)
        self.stack = contextlib.ExitStack()
        self.upstream = self.stack.enter_context(capture.Upstream())
        self.proxy = self.stack.enter_context(proxies.start(target.kind, folder, self.upstream.port, target.keyward, extra=extra))
        self.authorization = f"Authorization: {self.proxy.authorization}".encode()
        self.rounds = 0

    def close(self):
        self.stack.close()

    def filled(self, data):
        return data.replace(b"{AUTH}", self.authorization)

    def get(self, target):
        return self.filled(b"GET %s HTTP/1.1\r\nHost: a.test\r\n{AUTH}\r\n\r\n" % target)

    def run(self, case):
        """Runs a case: its pieces, the answers to its steps, a probe behind them, victims."""
        self.rounds += 1
        self.upstream.fresh(case.answer, case.answer_early)
        outcome = Outcome(self.filled)
        with Client(self.proxy) as client:
            self.attack(client, case, outcome)
            outcome.ended, outcome.broken = client.ended, client.broken
            outcome.client_bytes = bytes(client.received)
        for gate in case.late:
            self.upstream.open(gate)
        self.let_victims_follow(outcome)
        self.gather(outcome)
        return outcome

    def attack(self, client, case, outcome):
        if not self.send(client, case, outcome):
            return
        for number, asked in enumerate(case.asked[len(outcome.answers) :], len(outcome.answers)):
            answer = client.answer(case.patience if case.cut and number >= case.due else self.silence, asked)
            if not answer:
                break
            outcome.answers.append(answer)
            if says_close(answer):
                client.read_to_end(self.silence)
        if client.broken or client.ended:
            return self.read_what_is_left(client, case, outcome)
        missing = len(outcome.answers) < len(case.asked) and not case.cut
        if missing or case.cut or not case.probe:
            outcome.silent = missing
            self.read_on(client, case, outcome)
            client.half_close()
            client.read_to_end(self.silence)
            self.read_what_is_left(client, case, outcome)
        else:
            self.probe(client, outcome)

    def send(self, client, case, outcome):
        """Sends the pieces; whether the connection is still of use."""
        for piece in case.pieces:
            if not isinstance(piece, Do):
                data = piece(self.filled) if callable(piece) else self.filled(piece)
                outcome.sent.append(data)
                client.send(data, self.silence)
            elif piece == Do.AWAIT_CONTINUE:
                answer = client.continuation(self.silence)
                if answer and answer.status >= 200:
                    outcome.answers.append(answer)
                    return True
            elif piece == Do.AWAIT_ANSWER:
                answer = client.answer(self.silence, case.asked[len(outcome.answers)])
                if not answer:
                    return True
                outcome.answers.append(answer)
            elif piece == Do.AWAIT_EARLY_ANSWER:
                answer = client.answer(EARLY, case.asked[len(outcome.answers)])
                outcome.answers += [answer] if answer else []
            elif piece == Do.AWAIT_UPSTREAM:
                self.await_upstream()
            elif piece == Do.HALF_CLOSE:
                client.half_close()
            elif piece == Do.RESET:
                client.reset()
                return False
        return True

    def await_upstream(self):
        """Until the upstream has part of a request."""
        deadline = time.monotonic() + self.silence
        while time.monotonic() < deadline:
            if any(self.upstream.call(lambda: [c.received for c in self.upstream.connections if c.received])):
                return
            time.sleep(0.002)

    @staticmethod
    def read_on(client, case, outcome):
        """Answers to what no answer has to come to."""
        while answer := client.answer(case.patience):
            outcome.answers.append(answer)

    @staticmethod
    def read_what_is_left(client, case, outcome):
        def asked():
            return case.asked[len(outcome.answers)] if len(outcome.answers) < len(case.asked) else b"GET"

        while answer := client.take_answer(asked()):
            if answer.status >= 200:
                outcome.answers.append(answer)

    def probe(self, client, outcome):
        """A further request on the same connection gets its own answer, behind those to what had been sent before, or the
        connection ends."""
        target = b"/probe/%d" % self.rounds
        client.send(self.get(target), self.silence)
        while answer := client.answer(self.silence):
            if answer.body.startswith(b"GET %s " % target):
                return
            outcome.answers.append(answer)
        if client.broken or not client.ended or client.rest():
            outcome.strays.append(("probe", b"", bytes(client.received[-400:])))

    def let_victims_follow(self, outcome):
        """As many requests at once as there are connections to the upstream, each from a client of its own."""
        self.await_no_half_request(outcome)
        count = max(1, min(8, len(self.upstream.open_connections())))
        self.upstream.hold(count)
        with contextlib.ExitStack() as stack:
            victims = []
            for number in range(count):
                target = b"/victim/%d-%d" % (self.rounds, number)
                victim = stack.enter_context(Client(self.proxy))
                victim.send(self.get(target), self.silence)
                victims.append((target, victim))
            for target, victim in victims:
                answer = victim.answer(self.silence)
                if not answer or not answer.body.startswith(b"GET %s " % target):
                    outcome.strays.append(("victim", answer.line() if answer else b"", bytes(victim.received[-400:])))
        self.upstream.hold(0)

    def await_no_half_request(self, outcome):
        """The sender is gone: what it left half sent may not stay on a connection."""
        deadline = time.monotonic() + self.silence

        def half():
            return [c.rest() for c in self.upstream.connections if c.is_open and c.rest() and not c.early]

        while hanging := self.upstream.call(half):
            if time.monotonic() > deadline:
                outcome.hanging = hanging
                return
            time.sleep(0.002)

    def gather(self, outcome):
        def work():
            for connection in self.upstream.connections:
                if connection.doubt:
                    outcome.doubts.append(connection.doubt)
                if connection.received:
                    outcome.upstream_bytes.append(bytes(connection.received))
                outcome.served += [request for request in connection.requests if not is_ours(request)]

        self.upstream.call(work)
        outcome.served.sort(key=lambda request: request.serial)
        outcome.alive = self.proxy.alive()


#: Targets of the requests that follow a case.
OURS = (b"/victim/", b"/probe/")


def is_ours(request):
    return request.target.startswith(OURS) and request.method == b"GET" and not request.body


def says_close(answer):
    return any(name.lower() == b"connection" and b"close" in value.lower() for name, value in answer.fields)


def side_by_side(target, folder, cases, judge, extra="", make=lambda case, _bench: case):
    """Runs the cases on several benches and yields what `judge(case, outcome, bench)` says of each, in their order. `make`
    makes a case of what stands for it, on its bench."""
    numbered = list(enumerate(cases))
    shards = [numbered[number::SHARDS] for number in range(SHARDS)]
    verdicts = {}

    def work(number, shard):
        bench = Bench(target, Path(folder) / str(number), extra)
        try:
            for place, thing in shard:
                case = make(thing, bench)
                verdicts[place] = judge(case, bench.run(case), bench)
        finally:
            bench.close()

    with ThreadPoolExecutor(SHARDS) as pool:
        for running in [pool.submit(work, number, shard) for number, shard in enumerate(shards) if shard]:
            running.result()
    for place, _ in numbered:
        yield verdicts[place]
