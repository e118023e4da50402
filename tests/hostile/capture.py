"""An upstream that keeps every byte it is sent, connection by connection, and answers as it is told.

One thread, one selector. A case tells what to answer (`answer`), runs, and then calls `sync`: when that returns, all that
had arrived has been read. Answers are lists of actions: bytes to send, a `Gate` to wait for, `CLOSE`, `RESET`.
"""

import collections
import contextlib
import selectors
import socket
import struct
import threading
from enum import Enum

import strict


class End(Enum):
    """How an upstream ends a connection."""

    CLOSE = "close"
    RESET = "reset"


CLOSE, RESET = End.CLOSE, End.RESET
VICTIM = b"/victim/"  # targets whose answers `hold` holds back
PATIENCE = 30  # seconds that the loop may take for what takes it microseconds


class Gate:
    """Holds an answer back until the case opens it."""

    def __init__(self):
        self.is_open = False


class Connection:
    """What one connection of the proxy brought."""

    def __init__(self, number, sock):
        self.number, self.sock = number, sock
        self.received = bytearray()
        self.parsed = 0
        self.requests = []
        self.doubt = None
        self.ended = None  # how the proxy, or we, ended it
        self.actions = collections.deque()
        self.unsent = b""
        self.continued = False
        self.early = False  # the request that is coming was answered before its end

    @property
    def is_open(self):
        return self.ended is None

    def rest(self):
        """Bytes that are no whole request."""
        return bytes(self.received[self.parsed :])


class Upstream:
    """Listens from its construction on; `answer(connection, request)` gives the actions for one request.

    `answer_early(connection, head)` may give actions as soon as the head of a request with a body is there; `None`: wait
    for the body.
    """

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.connections = []
        self.answer = echo
        self.answer_early = no_early_answer
        self.serial = 0
        self.held, self.hold_until = [], 0
        self.calls = collections.deque()
        self.waker, self.woken = socket.socketpair()
        self.selector = selectors.DefaultSelector()
        for sock in (self.listener, self.woken):
            sock.setblocking(False)
            self.selector.register(sock, selectors.EVENT_READ)
        self.running = True
        self.thread = threading.Thread(target=self.loop, name="upstream", daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call(self.stop)
        self.thread.join(PATIENCE)
        for sock in (self.listener, self.waker, self.woken):
            sock.close()

    # What a case calls

    def call(self, work):
        """Runs `work` in the loop and returns what it returns."""
        done = threading.Event()
        outcome = []
        self.calls.append((work, done, outcome))
        with contextlib.suppress(OSError):
            self.waker.send(b"x")
        if not done.wait(PATIENCE):
            raise RuntimeError("the upstream's loop stands still")
        return outcome[0]

    def sync(self):
        """Returns once everything that has arrived is read."""
        self.call(lambda: None)

    def open(self, gate):
        def work():
            gate.is_open = True
            for connection in self.connections:
                self.act(connection)

        self.call(work)

    def hold(self, count):
        """The next `count` victims are answered together."""

        def work():
            self.held, self.hold_until = [], count

        self.call(work)

    def fresh(self, answer=None, answer_early=None):
        """Forgets what was captured, and sets how to answer; connections that are open stay."""

        def work():
            self.answer, self.answer_early = answer or echo, answer_early or no_early_answer
            self.connections = [connection for connection in self.connections if connection.is_open]
            for connection in self.connections:
                del connection.received[: connection.parsed]
                connection.parsed, connection.requests = 0, []

        self.call(work)

    def open_connections(self):
        return self.call(lambda: [connection for connection in self.connections if connection.is_open])

    def close_connections(self):
        """Ends every connection, so that the next case starts with new ones."""

        def work():
            for connection in self.connections:
                if connection.is_open:
                    self.end(connection, "closed by us")

        self.call(work)

    # The loop

    def loop(self):
        while self.running:
            events = self.selector.select()
            while any(key.fileobj is not self.woken for key, _ in events):
                for key, mask in events:
                    self.serve(key, mask)
                events = self.selector.select(0)
            # Nothing is left to read: what a case asked for can be done.
            with contextlib.suppress(BlockingIOError):
                self.woken.recv(4096)
            while self.calls:
                work, done, outcome = self.calls.popleft()
                try:
                    outcome.append(work())
                finally:
                    done.set()

    def serve(self, key, mask):
        if key.fileobj is self.listener:
            with contextlib.suppress(BlockingIOError):
                sock, _ = self.listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = Connection(self.number(), sock)
                self.connections.append(connection)
                self.selector.register(sock, selectors.EVENT_READ, connection)
        elif key.data is not None and key.data.is_open:
            if mask & selectors.EVENT_WRITE:
                self.act(key.data)
            if mask & selectors.EVENT_READ and key.data.is_open:
                self.read(key.data)

    def number(self):
        self.serial += 1
        return self.serial

    def read(self, connection):
        try:
            data = connection.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            return self.end(connection, f"reset by the proxy ({error.strerror})")
        if not data:
            return self.end(connection, "closed by the proxy")
        connection.received += data
        self.parse(connection)
        self.act(connection)

    def parse(self, connection):
        try:
            while connection.doubt is None and connection.parsed < len(connection.received):
                request = strict.read_request(connection.received, connection.parsed)
                if request is None:
                    self.greet(connection)
                    return
                connection.parsed = request.end
                request.serial = self.number()
                connection.requests.append(request)
                if not connection.early:
                    self.reply(connection, request)
                connection.continued = connection.early = False
        except strict.Doubt as doubt:
            connection.doubt = str(doubt)
            connection.actions += [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", CLOSE]

    def greet(self, connection):
        """What is due to a request of which only the head has come."""
        head = strict.read_request_head(connection.received, connection.parsed)
        if head is None or connection.early:
            return
        actions = self.answer_early(connection, head.message)
        if actions is not None:
            connection.early = True
            connection.actions += actions
        elif head.message.get(b"expect") and not connection.continued:
            connection.continued = True
            connection.actions.append(b"HTTP/1.1 100 Continue\r\n\r\n")

    def reply(self, connection, request):
        if request.target.startswith(VICTIM):
            self.held.append((connection, echo(connection, request)))
            if len(self.held) >= self.hold_until:
                held, self.held = self.held, []
                for other, actions in held:
                    other.actions += actions
                    self.act(other)
            return
        connection.actions += self.answer(connection, request)

    def act(self, connection):
        """Does what can be done of a connection's actions."""
        while connection.is_open:
            if connection.unsent:
                try:
                    sent = connection.sock.send(connection.unsent)
                except BlockingIOError:
                    self.selector.modify(connection.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)
                    return
                except OSError as error:
                    return self.end(connection, f"broken ({error.strerror})")
                connection.unsent = connection.unsent[sent:]
                continue
            if not connection.actions:
                break
            action = connection.actions[0]
            if isinstance(action, Gate) and not action.is_open:
                break
            connection.actions.popleft()
            if action is CLOSE:
                return self.end(connection, "closed by us")
            if action is RESET:
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return self.end(connection, "reset by us")
            if isinstance(action, bytes):
                connection.unsent = action
        if connection.is_open:
            self.selector.modify(connection.sock, selectors.EVENT_READ, connection)

    def end(self, connection, how):
        connection.ended = how
        self.selector.unregister(connection.sock)
        connection.sock.close()

    def stop(self):
        self.running = False
        for connection in self.connections:
            if connection.is_open:
                self.end(connection, "closed by us")


def echo(_, request):
    """An answer that tells which request it answers."""
    body = b"%s %d" % (request.line(), len(request.body))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Capture: %d\r\n\r\n" % (len(body), request.serial)
    return [head if request.method == b"HEAD" else head + body]


def early_answer(status=b"200 OK", *then, fields=b""):
    """For `answer_early`: an answer that does not wait for the body."""
    head = b"HTTP/1.1 %b\r\nContent-Length: 5\r\nX-Capture: early\r\n%b\r\nearly" % (status, fields)
    return lambda _connection, _head: [head, *then]


def no_early_answer(_connection, _head):
    return None
