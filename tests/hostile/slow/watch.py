"""What a proxy's processes are seen doing from outside: descriptors, memory, processor time."""

import os
from pathlib import Path

from proxies import children


class Watch:
    """Keeps the most that was seen."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.descriptors_before, self.memory_before = self.descriptors(), proxy.memory()
        self.memory_most = self.memory_before

    def descriptors(self):
        return sum(count(pid) for pid in family(self.proxy))

    def look(self):
        self.memory_most = max(self.memory_most, self.proxy.memory())

    def has_let_go(self, of):
        """Whether hardly a descriptor is left of those that so many clients took."""
        return self.descriptors() <= self.descriptors_before + 16 + of // 50


def family(proxy):
    return [proxy.pid, *children(proxy.pid)]


def count(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        return 0


def processor_seconds(proxy):
    """Time that the processes have run, in user code and in the kernel."""
    ticks = 0
    for pid in family(proxy):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
