"""One turn of the slow clients at one proxy: they come, are held until they are gone or should be, and what that took."""

import time
from collections import Counter
from dataclasses import dataclass

from slow.clients import Clients
from slow.watch import Watch

LIMIT = 6  # seconds, of every phase; twice that for a whole request. The slow come within half of it: a crowd, not a storm
SLACK = 2  # seconds that a limit may fire late, here where others run
STEPS = 500  # in which the slow come
LOOK = 0.5  # seconds between looks at the proxy's descriptors, which hold it up
LINGER = 5  # seconds that a client which was told may take to go


@dataclass
class Attack:
    """What became of the slow clients of one turn."""

    began: float
    ended: float
    open_most: int  # at once
    freed: float | None  # seconds after the last of them, until the proxy had let go of all but a few
    held: int  # connections of clients at the end
    lives: list  # seconds until each was told
    late: Counter  # how many of each kind were told too late
    memory: float  # bytes for each


def attack(proxy, kinds, count):
    """Opens `count` at `proxy` in half the limit, and waits until they are gone or should be."""
    limit = max(kind.limit for kind in kinds) * LIMIT
    open_most, freed, look_at = 0, None, LIMIT
    with Clients(proxy) as slow:
        watch = Watch(proxy)
        began = time.monotonic()
        come(slow, kinds, count, watch)
        complete = time.monotonic()
        while (waited := time.monotonic() - complete) < limit + LINGER + SLACK:
            slow.turn(0.1)
            open_most = max(open_most, slow.open_now())
            watch.look()
            all_told = slow.open_now() == 0
            if freed is None and (all_told or waited > look_at):
                look_at = waited + LOOK
                freed = waited if watch.has_let_go(count) else None
            # The last of them have come late, and have their time as well.
            if freed is not None and (all_told or waited > limit + SLACK):
                break
        ended, held = time.monotonic(), watch.clients()
        memory = (watch.memory_most - watch.memory_before) / max(1, open_most)
        return Attack(began, ended, open_most, freed, held, slow.lives(), slow.late(LIMIT, SLACK), memory)


def come(slow, kinds, count, watch):
    """Evenly: many who are sent a quarter of a megabyte at the same moment are a load, and not slow."""
    pace = max(1, count // STEPS)
    for number in range(count):
        slow.open(kinds[number % len(kinds)])
        if number % pace == pace - 1:
            slow.turn(LIMIT / 2 / STEPS)
            watch.look()
