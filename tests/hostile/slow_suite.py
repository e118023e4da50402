"""Slow clients in thousands beside good ones: none of the good fails or waits long, the slow are ended on time, and
each costs little. Then descriptors that run out: no spin, no crash, and good clients as soon as there are some again.

`--slow N` is how many there are of each kind, and below a thousand of all kinds together, for a quick look; `--untimed`
does not judge how long the good wait, which wants a quiet machine.
"""

import resource
import statistics
import tempfile
import time

from proxies import start
from slow.beside import GoodClients, backend
from slow.clients import Clients
from slow.kinds import KINDS
from slow.starved import starved
from slow.watch import Watch
from verdict import HARMED, PASS, Verdict

LIMIT = 6  # seconds, of every phase; twice that for a whole request. The slow come within half of it: a crowd, not a storm
SLACK = 2  # seconds that a limit may fire late, here where others run
STEPS = 500  # in which the slow come
LINGER = 5  # seconds that a client which was told may take to go
RATE = 200  # requests of good clients a second
QUIET = 3  # seconds
THOUSAND = 1000
BIG = 256 * 1024  # bytes of an answer that is not read: more than sockets hold
NOT_ENDED = "slow ones stay"
LATE = "told too late"
TOO_DEAR = "memory"

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


def run(target, only):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # What the good ask comes from a backend of theirs: how long the other takes is not the proxy's doing.
    with backend(BIG) as (_, port), backend(BIG) as (_, apart):
        each = [[kind] for kind in KINDS] if target.slow >= THOUSAND else []
        for kinds in [*each, KINDS]:
            name = kinds[0].name if len(kinds) == 1 else "all kinds at once"
            if only in name:
                yield from beside_good_ones(target, name, kinds, port, apart)
        if only in "descriptors run out, or are taken away":
            yield from starved(target, port)


def settings(kind):
    return SETTINGS[kind].format(limit=LIMIT, twice=2 * LIMIT)


def beside_good_ones(target, name, kinds, port, apart):
    with tempfile.TemporaryDirectory(prefix="hostile-slow-") as folder:
        extra = settings(target.kind)
        with start(target.kind, folder, port, target.keyward, extra=extra, other_port=apart) as proxy:
            yield from judge(target, name, kinds, proxy)


def judge(target, name, kinds, proxy):
    with GoodClients(proxy, RATE) as good, Clients(proxy) as slow:
        time.sleep(QUIET if target.timed else 0.5)
        watch = Watch(proxy)
        began = time.monotonic()
        open_most, freed = attack(kinds, target.slow, slow, watch)
        ended, held = time.monotonic(), watch.clients()
        slow.close()
        good.stop()
        quiet, busy = good.between(good.began + 0.3, began), good.between(began, ended)
    each = (watch.memory_most - watch.memory_before) / max(1, open_most)
    lives, late = slow.lives(), slow.late(LIMIT, SLACK)
    limit = max(kind.limit for kind in kinds) * LIMIT
    print(
        f"  slow {proxy.kind:8} {name:28} {open_most:6} at once; good: {busy.count} requests, {len(busy.wrong)} failed, "
        f"p99 {quiet.p99 * 1e3:.1f} ms quiet, {busy.p99 * 1e3:.1f} ms beside; told after "
        f"{statistics.median(lives) if lives else float('nan'):.1f} s, freed "
        f"{f'{freed:.1f} s' if freed else 'not'} of {limit} s; {each / 1024:.1f} KiB each",
        flush=True,
    )
    bound = max(0.010, 3 * quiet.p99)
    allowed = sum(kind.memory for kind in kinds) / len(kinds)
    facts = [
        ("the good succeed", HARMED, busy.count > 0 and not busy.wrong, "\n".join(busy.wrong[:5])),
        ("all were there", "refused", open_most >= 0.95 * target.slow, f"{open_most} at once"),
        ("the slow are told in time", LATE, not late, ", ".join(f"{count} of {kind}" for kind, count in late.items())),
        ("the slow are ended", NOT_ENDED, freed is not None, f"{held} connections are held"),
        ("the slow cost little", TOO_DEAR, each <= allowed, f"{each:.0f} bytes each, {allowed:.0f} allowed"),
        ("it lives", HARMED, proxy.alive() and "panicked at" not in proxy.log(), proxy.log()[-2000:]),
    ]
    if target.timed:
        facts.append(("the good do not wait", HARMED, busy.p99 <= bound, f"p99 {busy.p99:.4f} s, {bound:.4f} allowed"))
    for words, failure, holds, detail in facts:
        yield Verdict(f"{name}: {words}", PASS if holds else failure, detail, "slow")


def attack(kinds, count, slow, watch):
    """Opens `count` in half the limit, and waits until they are gone or should be. Gives the most that were open at once,
    and how many seconds after the last of them the proxy had let go of all but a few."""
    open_most, freed = 0, None
    # Evenly: many who are sent a quarter of a megabyte at the same moment are a load, and not slow.
    pace = max(1, count // STEPS)
    for number in range(count):
        slow.open(kinds[number % len(kinds)])
        if number % pace == pace - 1:
            slow.turn(LIMIT / 2 / STEPS)
            watch.look()
    complete = time.monotonic()
    limit = max(kind.limit for kind in kinds) * LIMIT
    while (waited := time.monotonic() - complete) < limit + LINGER + SLACK:
        slow.turn(0.1)
        open_most = max(open_most, slow.open_now())
        watch.look()
        all_told = slow.open_now() == 0
        if freed is None and (all_told or waited > LIMIT) and watch.has_let_go(count):
            freed = waited
        # The last of them have come late, and have their time as well.
        if freed is not None and (all_told or waited > limit + SLACK):
            break
    return open_most, freed
