"""Slow clients in thousands beside good ones: none of the good fails or waits long, the slow are ended on time, and
each costs little. Then descriptors that run out: no spin, no crash, and good clients as soon as there are some again.

How long the good wait is held against how long they wait at the same proxy while nobody else is there. The slow clients
and what they ask for stand for other machines, so they run on what the good, their backend and the proxy leave.

`--slow N` is how many there are of each kind, and below a thousand of all kinds together, for a quick look; `--untimed`
does not judge how long the good wait, which wants a machine of one's own.
"""

import contextlib
import os
import resource
import statistics
import tempfile
import time
from dataclasses import dataclass

from elsewhere import done_elsewhere
from proxies import start
from slow.attack import LIMIT, Attack, attack
from slow.beside import GoodClients, Seen, backend
from slow.kinds import KINDS
from slow.starved import starved
from verdict import HARMED, PASS, Verdict

RATE = 200  # requests of good clients a second
QUIET = 8  # seconds
ENOUGH = 1500  # requests of the good that a p99 is worth something of, on either side
FACTOR = 3  # times what they take without the slow
SETTLE = 0.5  # seconds alone, where times are not judged
WARM = 0.2  # seconds until the good are under way
THOUSAND = 1000
BIG = 256 * 1024  # bytes of an answer that is not read: more than sockets hold
NOT_ENDED = "slow ones stay"
LATE = "told too late"
TOO_DEAR = "memory"
WAITED = "good ones waited"

SETTINGS = {
    "keyward": """
timeouts:
  first_byte: {limit}s
  request_head: {limit}s
  idle: {limit}s
  request_body_idle: {limit}s
  response_head: {twice}s
  response_body_idle: {limit}s
  total: {twice}s
""",
    "nginx": """
    client_header_timeout {limit}s;
    client_body_timeout {limit}s;
    send_timeout {limit}s;
    keepalive_timeout {limit}s;
    proxy_read_timeout {twice}s;
""",
    "haproxy": """
    timeout client {limit}s
    timeout http-request {limit}s
    timeout http-keep-alive {limit}s
    timeout server {twice}s
""",
}


@dataclass
class Measured:
    """What the good saw, and what became of the slow."""

    quiet: Seen  # before the slow came
    beside: Seen  # while they were there
    attack: Attack
    alive: bool
    log: str


def run(target, only):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # What the good ask comes from a backend of theirs: how long the other takes is not the proxy's doing.
    with aside(target) as core, backend(BIG, for_attackers=True) as (_, port), backend(BIG) as (_, other_port):
        each = [[kind] for kind in KINDS] if target.slow >= THOUSAND else []
        for kinds in [*each, KINDS]:
            name = kinds[0].name if len(kinds) == 1 else "all kinds at once"
            if only in name:
                measured = measure(target, kinds, port, other_port, core)
                print(f"  slow {target.kind:8} {name:28} {told(measured, kinds)}", flush=True)
                for words, failure, holds, detail in facts(target, kinds, measured):
                    yield Verdict(f"{name}: {words}", PASS if holds else failure, detail, "slow")
        if only in "descriptors run out, or are taken away":
            yield from starved(target, port)


@contextlib.contextmanager
def aside(target):
    """Gives what the proxies run on, and keeps this process, and all that it starts meanwhile, off it if times are judged."""
    mine = sorted(os.sched_getaffinity(0))
    if not target.timed or len(mine) == 1:
        yield 1
        return
    os.sched_setaffinity(0, mine[1:])
    try:
        yield {mine[0]}
    finally:
        os.sched_setaffinity(0, mine)


def measure(target, kinds, port, other_port, core):
    """Lets the good ask the proxy alone first, and then beside the slow."""
    extra = SETTINGS[target.kind].format(limit=LIMIT, twice=2 * LIMIT)
    options = {"extra": extra, "cores": core, "other_port": other_port}
    with (
        tempfile.TemporaryDirectory(prefix="hostile-slow-") as folder,
        start(target.kind, folder, port, target.keyward, **options) as proxy,
        GoodClients(proxy, RATE) as good,
    ):
        time.sleep(QUIET if target.timed else SETTLE)
        quiet_until = time.monotonic()
        slow = done_elsewhere(attack, proxy, kinds, target.slow)
        good.stop()
        return Measured(
            quiet=good.between(good.began + WARM, quiet_until),
            beside=good.between(slow.began, slow.ended),
            attack=slow,
            alive=proxy.alive() and "panicked at" not in proxy.log(),
            log=proxy.log(),
        )


def told(measured, kinds):
    """One line for who reads along."""
    quiet, beside, attack = measured.quiet, measured.beside, measured.attack
    return (
        f"{attack.open_most:6} at once; good: {beside.count} requests, {len(beside.wrong)} failed, "
        f"p99 {quiet.p99 * 1e3:.1f} ms quiet, {beside.p99 * 1e3:.1f} ms beside; told after "
        f"{statistics.median(attack.lives) if attack.lives else float('nan'):.1f} s, "
        f"freed {f'{attack.freed:.1f} s' if attack.freed else 'not'} of {max(kind.limit for kind in kinds) * LIMIT} s; "
        f"{attack.memory / 1024:.1f} KiB each"
    )


def facts(target, kinds, measured):
    """What is judged: in words, the word for its failure, whether it holds, and the measure."""
    quiet, beside, attack = measured.quiet, measured.beside, measured.attack
    late = ", ".join(f"{count} of {kind}" for kind, count in attack.late.items())
    memory, allowed = attack.memory, sum(kind.memory for kind in kinds) / len(kinds)
    yield "the good succeed", HARMED, beside.count > 0 and not beside.wrong, "\n".join(beside.wrong[:5])
    yield "all were there", "refused", attack.open_most >= 0.95 * target.slow, f"{attack.open_most} at once"
    yield "the slow are told in time", LATE, not attack.late, late
    yield "the slow are ended", NOT_ENDED, attack.freed is not None, f"{attack.held} connections are held"
    yield "the slow cost little", TOO_DEAR, memory <= allowed, f"{memory:.0f} bytes each, {allowed:.0f} allowed"
    yield "it lives", HARMED, measured.alive, measured.log[-2000:]
    if target.timed:
        enough = min(quiet.count, beside.count) >= ENOUGH
        times = f"p99 of {beside.count} {beside.p99:.4f} s, of {quiet.count} without the slow {quiet.p99:.4f} s"
        yield "the good do not wait", WAITED, enough and beside.p99 <= FACTOR * quiet.p99, times
