"""Faults of one upstream: only its route suffers, the client is told in time and never takes half an answer for a whole
one, a POST is sent once, and nothing that was left behind reaches another request.
"""

import contextlib
import errno
import itertools
import signal
import socket
import tempfile
import time

from faults.beside import Beside
from faults.client import Client
from faults.scripts import GROUPS, REFUSED
from faults.upstream import Upstream
from proxies import free_port, start
from slow.beside import backend
from verdict import FAILED_CONTROL, HARMED, PASS, SMUGGLED, WRONG_STATUS, Verdict

LIMIT = 1  # seconds, of each phase
SLACK = 1.5  # seconds that a limit may fire late, here where others run
SETTLES = 0.03  # seconds after which a proxy has heard that a connection ended
BODY = b"x" * 65536
REPEATED = "sent twice"
TAKEN = "taken for whole"
LATE = "told too late"
NUMBERS = itertools.count()

SETTINGS = {
    "keyward": f"""
timeouts:
  connect: {LIMIT}s
  response_head: {LIMIT}s
  response_body_idle: {LIMIT}s
""",
    "nginx": f"proxy_connect_timeout {LIMIT}s; proxy_read_timeout {LIMIT}s; proxy_send_timeout {LIMIT}s;",
    "haproxy": f"timeout connect {LIMIT}s\n    timeout server {LIMIT}s",
}


def run(target, only):
    faults = [(group, fault) for group, list_ in GROUPS.items() for fault in list_]
    with Upstream([fault for _, fault in faults]) as upstream, proxy_to(target, upstream.port) as proxy:
        for number, (group, fault) in enumerate(faults):
            for method in fault.methods:
                case = f"{method}: {fault.name}"
                if only in case:
                    outcome, detail = scripted(proxy, upstream, number, fault, method)
                    yield Verdict(case, outcome, detail, group)
    yield from (verdict for verdict in of_processes(target) if only in verdict.case)


@contextlib.contextmanager
def proxy_to(target, port):
    """The proxy in front of one upstream that fails and one that does not."""
    with Upstream() as other, tempfile.TemporaryDirectory(prefix="hostile-faults-") as folder:
        with start(target.kind, folder, port, target.keyward, extra=SETTINGS[target.kind], other_port=other.port) as proxy:
            yield proxy


def scripted(proxy, upstream, number, fault, method):
    """Outcome and detail of one fault."""
    upstream.close_all()
    time.sleep(SETTLES)
    client = Client(proxy)
    if wrong := victims(proxy, 1):
        return FAILED_CONTROL, wrong
    target = f"/fault/{number}/{next(NUMBERS)}"
    with Beside(proxy) as beside:
        seen = client.ask(method.split()[-1], target, BODY if method == "POST" else None)
    client.close()
    time.sleep(fault.pause)
    if seen.word() not in fault.seen:
        return TAKEN if seen.status == 200 and seen.whole else WRONG_STATUS, str(seen)
    if seen.took > (LIMIT + SLACK if fault.slow else SLACK):
        return LATE, str(seen)
    if harm := beside.harm(seen.took):
        return HARMED, harm
    if (sent := upstream.count(method.split()[-1], target)) > (2 if method == "GET" else 1):
        return REPEATED, f"{sent} times"
    return poisoned(proxy, upstream)


def poisoned(proxy, upstream):
    """What others see afterwards: a POST once or never, every GET its own answer."""
    target = f"/post/{next(NUMBERS)}"
    client = Client(proxy)
    seen = client.ask("POST", target, b"abc")
    client.close()
    if (sent := upstream.count("POST", target)) > 1:
        return REPEATED, f"{sent} times, after it"
    if seen.status == 200 and seen.body != target.encode():
        return SMUGGLED, str(seen)
    if seen.status != 200 and seen.word() != REFUSED:
        return WRONG_STATUS, str(seen)
    if wrong := victims(proxy, 4):
        return SMUGGLED if "poison" in wrong else HARMED, wrong
    return PASS, ""


def victims(proxy, count):
    """Others, on connections of their own and on one that stays; what was wrong with the first that failed."""
    kept = Client(proxy)
    try:
        for turn in range(count):
            client = kept if turn % 2 else Client(proxy)
            target = f"/victim/{next(NUMBERS)}"
            seen = client.ask("GET", target)
            if client is not kept:
                client.close()
            if (seen.status, seen.body) != (200, target.encode()):
                return f"{target}: {seen}"
        return ""
    finally:
        kept.close()


def of_processes(target):
    """Faults of the whole upstream: nobody listens, it stands still, it takes no more connections."""
    port = free_port()
    with proxy_to(target, port) as proxy:
        # HAProxy tries a connection four times by default.
        yield from judge(proxy, "nobody listens", 4 * LIMIT)
        with backend(0, port) as (process, _):
            yield judge_victims(proxy, "it is there")
            process.send_signal(signal.SIGSTOP)
            yield from judge(proxy, "it stands still", LIMIT)
            process.send_signal(signal.SIGCONT)
            yield judge_victims(proxy, "it goes on")
        yield from judge(proxy, "it died", 4 * LIMIT)
        with full(port):
            yield from judge(proxy, "its queue is full", 4 * LIMIT)
        with backend(0, port):
            yield judge_victims(proxy, "it is there again")


def judge(proxy, what, limit):
    for method in ("GET", "POST"):
        client = Client(proxy)
        with Beside(proxy) as beside:
            seen = client.ask(method, f"/process/{next(NUMBERS)}", BODY if method == "POST" else None)
        client.close()
        outcome, detail = PASS, ""
        if seen.word() != REFUSED:
            outcome, detail = WRONG_STATUS, str(seen)
        elif seen.took > limit + SLACK:
            outcome, detail = LATE, str(seen)
        elif harm := beside.harm(seen.took):
            outcome, detail = HARMED, harm
        yield Verdict(f"{method}: {what}", outcome, detail, "process")


def judge_victims(proxy, what):
    wrong = victims(proxy, 6)
    return Verdict(f"others: {what}", HARMED if wrong else PASS, wrong, "process")


@contextlib.contextmanager
def full(port):
    """A listener that accepts nothing, with its queue full: further connections are neither made nor refused."""
    with socket.create_server(("127.0.0.1", port), backlog=0) as listener, contextlib.ExitStack() as waiting:
        for _ in range(8):
            sock = waiting.enter_context(socket.socket())
            sock.setblocking(False)
            assert sock.connect_ex(listener.getsockname()) in (0, errno.EINPROGRESS)
        time.sleep(0.1)
        yield
