"""How a case of a hostile answer is written: what the upstream does, and what the client may read of it.

An answer passes when it is read one way and that is among `reads`; when the proxy says 502; or when it is visibly cut: its
framing says that more should have come. Whatever happens, the requests behind it get their own answers.
"""

from dataclasses import dataclass, field

from capture import Gate, echo
from case import Case, Step, get, to_bytes

BAD_GATEWAY = (502, 504)


@dataclass(frozen=True)
class Read:
    """What a client may read of an answer."""

    body: bytes = b""
    status: int = 200


def reads(body="", status=200):
    return Read(to_bytes(body), status)


@dataclass
class AnswerCase(Case):
    reads: tuple = ()
    hidden: bytes = b""  # must not reach the client
    refused: bool = False  # the request itself may be refused
    attempts: int = 2  # requests that the upstream may see: one more when a connection that was used turns out to be dead


@dataclass
class AnswerGroup:
    name: str
    cases: list = field(default_factory=list)

    def add(self, name, actions, *reads, request=None, method="GET", **more):
        request = request or get("/r").replace("GET", method, 1)
        actions = actions if isinstance(actions, list) else [actions]
        actions = [to_bytes(action) for action in actions]
        steps = [Step(asked=method.encode())] + [Step()] * (request.count("HTTP/1.") - 1)
        more["hidden"] = to_bytes(more.get("hidden", b""))
        more["late"] = [action for action in actions if isinstance(action, Gate)]
        # A probe's answer would wait behind the gate.
        more["probe"] = not more["late"]
        full = f"{self.name}: {name}"
        answer = Script(actions, more["late"])
        self.cases.append(AnswerCase(full, [to_bytes(request)], steps, answer=answer, group=self.name, reads=reads, **more))

    def control(self, name, actions, *reads, **more):
        self.add(name, actions, *reads, control=True, **more)


class Script:
    """Answers the first request for the case as the case says, and every other with an echo."""

    def __init__(self, actions, gates):
        self.actions, self.gates = actions, gates

    def __call__(self, connection, request):
        for gate in self.gates:
            gate.is_open = False
        return list(self.actions) if request.target == b"/r" else echo(connection, request)
