"""Slow clients: one epoll, as many connections as there are descriptors for."""

import collections
import errno
import select
import socket
import time

DRIP = 1.0  # seconds between bytes
WINDOW = 4096  # bytes that a client takes without reading them
# Bytes of a segment on Ethernet. Of the loopback's own, 64 KiB, the kernel takes megabytes off a proxy at once.
SEGMENT = 1460


class Client:
    """One connection. It is told of its end by a FIN or a reset; every second one then stays all the same."""

    __slots__ = ("kind", "sock", "began", "told", "drips_at", "stays", "refused")

    def __init__(self, kind, sock, stays):
        self.kind, self.sock, self.stays = kind, sock, stays
        self.began = self.told = self.drips_at = None
        self.refused = False

    def life(self):
        return self.told - self.began


class Clients:
    def __init__(self, proxy):
        self.proxy = proxy
        self.epoll = select.epoll()
        self.by_descriptor = {}
        self.all = []
        self.dripping = collections.deque()  # the next to do so first

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def open(self, kind):
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if kind.reads != "all":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        client = Client(kind, sock, stays=len(self.all) % 2 == 0)
        self.all.append(client)
        self.by_descriptor[sock.fileno()] = client
        code = sock.connect_ex((self.proxy.host, self.proxy.port))
        if code not in (0, errno.EINPROGRESS):
            return self.ended(client)
        self.epoll.register(sock, select.EPOLLOUT)

    def turn(self, seconds):
        """Lives for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for descriptor, mask in self.epoll.poll(min(left, 0.05), 4096):
                if client := self.by_descriptor.get(descriptor):
                    self.stir(client, mask)
            self.drip()

    def stir(self, client, mask):
        if client.began is None:
            return self.connected(client)
        if mask & (select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP):
            return self.ended(client)
        if client.kind.reads == "all":
            try:
                if not client.sock.recv(65536):
                    return self.ended(client)
            except BlockingIOError:
                return
            except OSError:
                return self.ended(client)
            if client.kind.waits_for == "answer":
                client.began = time.monotonic()

    def connected(self, client):
        first = client.kind.first_bytes(self.proxy.authorization)
        client.began = time.monotonic()
        try:
            client.sock.send(first)
        except OSError:
            client.refused = True
            return self.ended(client)
        if client.kind.drips or client.kind.reads == "a byte a second":
            client.drips_at = client.began + DRIP
            self.dripping.append(client)
        reading = select.EPOLLIN if client.kind.reads == "all" else 0
        self.epoll.modify(client.sock, reading | select.EPOLLRDHUP)

    def drip(self):
        now = time.monotonic()
        while self.dripping and self.dripping[0].drips_at <= now:
            client = self.dripping.popleft()
            if client.told is not None:
                continue
            client.drips_at += DRIP
            self.dripping.append(client)
            try:
                if client.kind.drips:
                    client.sock.send(client.kind.drips)
                else:
                    client.sock.recv(1)
            except BlockingIOError:
                pass
            except OSError:
                self.ended(client)

    def ended(self, client):
        if client.told is None:
            client.told = time.monotonic()
            client.refused |= client.began is None
            self.by_descriptor.pop(client.sock.fileno(), None)
            try:
                self.epoll.unregister(client.sock)
            except (OSError, ValueError):
                pass
            if not client.stays:
                client.sock.close()

    def open_now(self):
        return sum(client.began is not None and client.told is None for client in self.all)

    def lives(self):
        """Seconds from when the limit began to count to when each was told, for those that were."""
        return sorted(client.life() for client in self.all if client.told and not client.refused)

    def late(self, limit, slack):
        """How many of each kind were not told in time, of those that read what they are told."""
        late = collections.Counter()
        for client in self.all:
            in_time = client.told is not None and client.life() <= client.kind.limit * limit + slack
            if client.kind.reads == "all" and client.began is not None and not in_time:
                late[client.kind.name] += 1
        return late

    def close(self):
        for client in self.all:
            client.sock.close()
        self.epoll.close()
