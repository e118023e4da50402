"""What a proxy's processes are seen doing from outside: descriptors, memory, processor time."""

import contextlib
import os
from pathlib import Path

from proxies import children


class Watch:
    """Keeps the most that was seen."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.clients_before, self.memory_before = self.clients(), proxy.memory()
        self.memory_most = self.memory_before

    def clients(self):
        """Connections of clients that its processes hold; those that are kept to the backend do not count."""
        there = {f"socket:[{inode}]" for inode in sockets_on(self.proxy.port)}
        return sum(target in there for pid in family(self.proxy) for target in open_files(pid))

    def look(self):
        self.memory_most = max(self.memory_most, self.proxy.memory())

    def has_let_go(self, of):
        """Whether hardly a connection is left of so many."""
        return self.clients() <= self.clients_before + 16 + of // 50


def family(proxy):
    return [proxy.pid, *children(proxy.pid)]


def open_files(pid):
    """What each descriptor of a process stands for."""
    targets = []
    with contextlib.suppress(FileNotFoundError):
        for descriptor in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                targets.append(os.readlink(descriptor.path))
    return targets


def sockets_on(port):
    """The inodes of all sockets whose own end has this port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [fields[9] for fields in lines if int(fields[1].rsplit(":", 1)[1], 16) == port]


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
