"""gRPC with its own client and server through the gateway: every kind of call, its metadata, deadlines, cancellation, and how
it ends. Without the gateway the same calls go to the server directly."""

import concurrent.futures
import hashlib
import json
import threading

import grpc

from services import wait_until

SERVICE = "kw.Test"
LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 128 << 10),
          ("grpc.absolute_max_metadata_size", 256 << 10)]
# How long a call may take that is to succeed.
LONG = 60
MIB = 1 << 20
Code = grpc.StatusCode


class Client:
    """Calls by a method's name; with the good key unless told otherwise."""

    def __init__(self, suite, metadata=None, options=()):
        address = suite.through(f"/{SERVICE}").removeprefix("http://").split("/")[0]
        # Each its own connection.
        own = [("grpc.use_local_subchannel_pool", 1), *LIMITS, *options]
        self.channel = grpc.insecure_channel(address, options=own)
        self.metadata = metadata if metadata is not None else [(name.lower(), value) for name, value in suite.credential()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def unary(self, method, request=b"", metadata=(), timeout=LONG, **more):
        """The answer, and the call that it came by."""
        call = self.channel.unary_unary(f"/{SERVICE}/{method}")
        return call.with_call(request, metadata=[*self.metadata, *metadata], timeout=timeout, **more)

    def future(self, method, request=b"", timeout=LONG):
        return self.channel.unary_unary(f"/{SERVICE}/{method}").future(request, metadata=self.metadata, timeout=timeout)

    def down(self, method, request=b"", timeout=LONG):
        return self.channel.unary_stream(f"/{SERVICE}/{method}")(request, metadata=self.metadata, timeout=timeout)

    def up(self, method, requests, timeout=LONG):
        return self.channel.stream_unary(f"/{SERVICE}/{method}")(requests, metadata=self.metadata, timeout=timeout)

    def both(self, method, requests, timeout=LONG):
        return self.channel.stream_stream(f"/{SERVICE}/{method}")(requests, metadata=self.metadata, timeout=timeout)


def checks(suite):
    for name, check in [
        ("one message each way, with metadata before and behind", echoes),
        ("messages of every size", sizes),
        ("compressed messages", compressed),
        ("a stream down", down),
        ("a stream up", up),
        ("a stream up that is answered before its end", answered_early),
        ("streams both ways in step", in_step),
        ("a stream up goes on while the answer is not taken", apart),
        ("every status with its message and metadata", statuses),
        ("a failure behind messages", fails_late),
        ("a deadline reaches the server", deadline_passes),
        ("a deadline that passes takes the call back", deadline_ends),
        ("a stream's deadline takes it back", stream_deadline),
        ("a client that cancels takes its call back", client_cancels),
        ("a client that goes away takes its calls back", client_goes),
        ("a server that cancels", server_cancels),
        ("large metadata both ways", large_metadata),
        ("500 calls at once on one connection", many_calls),
        ("100 streams at once", many_streams),
        ("a client that keeps its connection alive by pings", pings),
    ]:
        suite.check(f"grpc: {name}", check, suite)
    suite.check("grpc: 64 MiB in one message each way", large_messages, suite)
    suite.check("grpc: 64 messages of 1 MiB each way", many_large_messages, suite)
    for name, key, code in [
        ("no credential", None, Code.UNAUTHENTICATED),
        ("a wrong key", "kw_sk_" + "a" * 38, Code.UNAUTHENTICATED),
        ("a revoked key", "revoked", Code.UNAUTHENTICATED),
        ("a missing scope", "scopeless", Code.PERMISSION_DENIED),
    ]:
        suite.gateway_check(f"grpc: refused: {name}", refused, suite, key, code)
    suite.gateway_check("grpc: refused: no route", no_route, suite)
    suite.gateway_check("grpc: refused: too much metadata", too_much_metadata, suite)
    suite.gateway_check("grpc: refused: a stream without a credential", refused_stream, suite)
    suite.gateway_check("grpc: the server learns who asks, and not the key", identity, suite)
    suite.gateway_check("grpc: few connections carry all of it", few_connections, suite)
    suite.check("grpc: a server that dies in the middle, and is there again", dies, suite)


def fails(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()}: {error.details()!r} instead of {code}"
        return error
    raise AssertionError(f"no {code}")


def pairs(metadata):
    return [(name, value) for name, value in metadata if name.startswith("x-") and name != "x-request-id"]


def echoes(suite):
    with Client(suite) as client:
        for request in [b"", b"x", bytes(range(256))]:
            answer, call = client.unary("Echo", request, [("x-sent-bin", bytes(range(256)))])
            assert answer == request
            assert call.code() == Code.OK
            assert pairs(call.initial_metadata()) == [("x-initial", "1"), ("x-initial-bin", bytes(range(256)))], call.initial_metadata()
            assert pairs(call.trailing_metadata()) == [("x-trailing", "2"), ("x-trailing-bin", b"\x00\xff")], call.trailing_metadata()


def sizes(suite):
    with Client(suite) as client:
        for size in [1, 5, 16_379, 16_384, 65_530, 65_535, 65_536, 131_072, MIB, 5 * MIB]:
            request = b"ab%d" % size * (size // 4)
            assert client.unary("Echo", request)[0] == request, size


def compressed(suite):
    with Client(suite) as client:
        for kind in [grpc.Compression.Gzip, grpc.Compression.Deflate]:
            request = b"compressible " * 50_000
            assert client.unary("Echo", request, compression=kind)[0] == request


def down(suite):
    with Client(suite) as client:
        for count, size in [(0, 0), (1, 0), (1000, 10), (1000, 5000), (20, MIB)]:
            messages = list(client.down("Down", b"%d %d" % (count, size)))
            assert [int.from_bytes(message[:4], "big") for message in messages] == list(range(count))
            assert all(len(message) == size + 4 for message in messages)


def up(suite):
    with Client(suite) as client:
        for count, size in [(0, 0), (1, 0), (1000, 10), (1000, 5000), (20, MIB)]:
            messages = [b"%08d" % number + bytes(size) for number in range(count)]
            expected = f"{count} {hashlib.sha256(b''.join(messages)).hexdigest()}"
            assert client.up("Up", iter(messages)).decode() == expected, (count, size)


def answered_early(suite):
    def endless():
        while not over.is_set():
            yield bytes(10_000)

    over = threading.Event()
    with Client(suite) as client:
        for _ in range(5):
            try:
                assert client.up("UpAnsweredEarly", endless()) == b"enough"
            finally:
                over.set()
            over.clear()


def in_step(suite):
    """Each message waits for the answer to the one before: nothing may be held back on the way."""
    answered = threading.Semaphore(1)

    def requests():
        for number in range(200):
            answered.acquire()
            yield b"%d" % number

    with Client(suite) as client:
        for number, answer in enumerate(client.both("Both", requests())):
            assert answer == b"<%d>" % number
            answered.release()
        assert number == 199


def apart(suite):
    """What the server says is not taken until it has got everything, 8 MiB of it."""
    all_sent = threading.Event()

    def requests():
        for _ in range(128):
            yield bytes(65_536)
        all_sent.set()

    with Client(suite, options=[("grpc.http2.lookahead_bytes", 65_536)]) as client:
        call = client.both("BothApart", requests())
        assert all_sent.wait(LONG), "the request stands still because the answer does"
        assert [len(next(call)), next(call)] == [MIB, b"%d" % (128 * 65_536)]


def statuses(suite):
    details = "say \"what\" 100 % ä\n日本語"
    with Client(suite) as client:
        for code in Code:
            if code == Code.OK:
                continue
            error = fails(code, lambda: client.unary("Fail", json.dumps([code.value[0], details]).encode()))
            assert error.details() == details, error.details()
            assert ("x-reason", "asked to") in pairs(error.trailing_metadata()), error.trailing_metadata()
        assert client.unary("Echo", b"well")[0] == b"well"


def fails_late(suite):
    with Client(suite) as client:
        call, got = client.down("DownAndFail"), []
        error = fails(Code.DATA_LOSS, lambda: got.extend(call))
        assert (got, error.details()) == ([b"first", b"second"], "no third")


def deadline_passes(suite):
    with Client(suite) as client:
        for timeout in [5, 30]:
            remaining = float(client.unary("TimeRemaining", timeout=timeout)[0])
            # The header rounds up.
            assert timeout - 4 < remaining < timeout + 0.1, remaining


def until_cancelled(suite, count):
    with Client(suite) as client:
        wait_until(f"{count} calls taken back at the server", lambda: int(client.unary("Cancelled")[0]) >= count)
        assert int(client.unary("Cancelled")[0]) == count


def cancelled_so_far(suite):
    with Client(suite) as client:
        return int(client.unary("Cancelled")[0])


def deadline_ends(suite):
    before = cancelled_so_far(suite)
    with Client(suite) as client:
        fails(Code.DEADLINE_EXCEEDED, lambda: client.unary("Hang", timeout=0.3))
        until_cancelled(suite, before + 1)
        assert client.unary("Echo", b"well")[0] == b"well"


def stream_deadline(suite):
    before = cancelled_so_far(suite)
    with Client(suite) as client:
        fails(Code.DEADLINE_EXCEEDED, lambda: sum(len(message) for message in client.down("DownForEver", timeout=0.3)))
    until_cancelled(suite, before + 1)


def client_cancels(suite):
    before = cancelled_so_far(suite)
    with Client(suite) as client:
        hanging = client.future("Hang")
        streaming = client.down("DownForEver")
        next(streaming)
        for call in [hanging, streaming]:
            call.cancel()
            assert call.code() == Code.CANCELLED
        until_cancelled(suite, before + 2)
        assert client.unary("Echo", b"well")[0] == b"well"


def client_goes(suite):
    before = cancelled_so_far(suite)
    with Client(suite) as client:
        calls = [client.down("DownForEver") for _ in range(5)]
        for call in calls:
            next(call)
    until_cancelled(suite, before + 5)


def server_cancels(suite):
    with Client(suite) as client:
        error = fails(Code.CANCELLED, lambda: client.unary("CancelsItself"))
        assert error.code() == Code.CANCELLED
        assert client.unary("Echo", b"well")[0] == b"well"


def large_metadata(suite):
    with Client(suite) as client:
        for size in [1000, 12_000, 20_000]:
            answer, call = client.unary("LargeMetadata", b"%d" % size, [("x-large-bin", b"c" * size)])
            assert int(answer) == size
            assert dict(call.initial_metadata())["x-large-bin"] == b"i" * size
            assert dict(call.trailing_metadata())["x-large-bin"] == b"t" * size


def many_calls(suite):
    with Client(suite) as client:
        calls = [client.future("Echo", b"%d" % number) for number in range(500)]
        assert [call.result() for call in calls] == [b"%d" % number for number in range(500)]


def many_streams(suite):
    def one(number):
        messages = [b"%d %d" % (number, message) for message in range(50)]
        return list(client.both("Both", iter(messages))) == [b"<" + message + b">" for message in messages]

    with Client(suite) as client, concurrent.futures.ThreadPoolExecutor(100) as pool:
        assert all(pool.map(one, range(100)))


def pings(suite):
    often = [("grpc.keepalive_time_ms", 1000), ("grpc.keepalive_timeout_ms", 5000), ("grpc.http2.max_pings_without_data", 0)]
    with Client(suite, options=often) as client:
        hanging = client.future("Hang", timeout=4)
        error = fails(Code.DEADLINE_EXCEEDED, hanging.result)
        assert error.code() == Code.DEADLINE_EXCEEDED
        assert client.unary("Echo", b"well")[0] == b"well"


def memory_grows_less_than(suite, most, work):
    """Runs the work and looks at the gateway's memory all along."""
    if not suite.gateway:
        return work()
    before = highest = suite.gateway.memory()
    over = threading.Event()

    def look():
        nonlocal highest
        while not over.wait(0.02):
            highest = max(highest, suite.gateway.memory())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        work()
    finally:
        over.set()
        looking.join()
    assert highest - before < most, f"it took {(highest - before) >> 20} MiB"


def large_messages(suite):
    def work():
        with Client(suite) as client:
            request = bytes(range(256)) * (64 * MIB // 256)
            assert client.unary("Digest", request)[0].decode() == hashlib.sha256(request).hexdigest()
            assert len(client.unary("Zeros", b"%d" % (64 * MIB))[0]) == 64 * MIB

    work()
    memory_grows_less_than(suite, 16 * MIB, work)


def many_large_messages(suite):
    def work():
        with Client(suite) as client:
            count, _ = client.up("Up", (bytes(MIB) for _ in range(64))).decode().split()
            assert count == "64"
            assert sum(len(message) for message in client.down("Down", b"64 %d" % MIB)) == 64 * (MIB + 4)

    memory_grows_less_than(suite, 16 * MIB, work)


def bearer(suite, key):
    if key is None:
        return []
    key = suite.keys[key]["key"] if key in suite.keys else key
    return [("authorization", f"Bearer {key}")]


def refused(suite, key, code):
    with Client(suite, bearer(suite, key)) as client:
        for method in ["Echo", "NoSuchMethod"]:
            error = fails(code, lambda: client.unary(method, b"x" * 100))
            assert error.details(), "it says what to do about it"
            assert any(name == "x-request-id" for name, _ in error.trailing_metadata() or error.initial_metadata())


def refused_stream(suite):
    def endless():
        while not over.is_set():
            yield bytes(10_000)

    over = threading.Event()
    with Client(suite, []) as client:
        for call in [lambda: client.up("Up", endless()), lambda: list(client.both("Both", endless())), lambda: list(client.down("Down"))]:
            try:
                fails(Code.UNAUTHENTICATED, call)
            finally:
                over.set()
            over.clear()


def no_route(suite):
    with Client(suite) as client:
        call = client.channel.unary_unary("/kw.Other/Echo")
        fails(Code.UNIMPLEMENTED, lambda: call(b"", metadata=client.metadata, timeout=LONG))
        fails(Code.UNIMPLEMENTED, lambda: client.unary("NoSuchMethod"))


def too_much_metadata(suite):
    """Fields that are not even read get the bare status, which the client has no code for."""
    with Client(suite) as client:
        error = fails(Code.UNKNOWN, lambda: client.unary("Metadata", metadata=[("x-large", "v" * 40_000)]))
        assert "431" in error.details(), error.details()
        assert client.unary("Echo", b"well")[0] == b"well"


def identity(suite):
    with Client(suite) as client:
        sent = [("x-auth-subject", "admin"), ("x-auth-scopes", "all"), ("x-forwarded-for", "1.2.3.4"), ("x-mine", "1")]
        seen = json.loads(client.unary("Metadata", metadata=sent)[0])
    fields = {name: [value for other, value in seen if other == name] for name, _ in seen}
    assert fields["x-auth-credential"] == [suite.keys["good"]["id"]], fields
    assert fields["x-auth-method"] == ["api_key"] and fields["x-mine"] == ["1"], fields
    assert fields["x-auth-subject"] != ["admin"] and len(fields["x-auth-subject"]) == 1, fields
    assert fields["x-forwarded-for"] == ["127.0.0.1"] and "authorization" not in fields, fields


def few_connections(suite):
    """A worker has a connection for every hundred calls at once, and no more."""
    with open(f"/proc/{suite.gateway.process.pid}/net/tcp") as table:
        port = f":{int(suite.services.grpc_port):04X}"
        ours = [line for line in table if line.split()[2].endswith(port) and line.split()[3] == "01"]
    assert len(ours) <= 24, f"{len(ours)} connections"


def dies(suite):
    with Client(suite) as client:
        assert client.unary("Echo", b"well")[0] == b"well"
        call = client.down("DownAndDie")
        assert next(call) == b"first"
        error = fails_somehow(lambda: list(call))
        assert error.code() in (Code.UNAVAILABLE, Code.INTERNAL), error
        error = fails_somehow(lambda: client.unary("Echo", b"gone"))
        assert error.code() in (Code.UNAVAILABLE, Code.INTERNAL), error
        suite.services.start_grpc(suite.services.grpc_port)

        def back():
            try:
                return client.unary("Echo", b"back")[0] == b"back"
            except grpc.RpcError:
                return False

        wait_until("the server that is there again", back)
        # In the middle of a call that has no answer yet.
        error = fails_somehow(lambda: client.unary("Die"))
        assert error.code() in (Code.UNAVAILABLE, Code.INTERNAL), error
        suite.services.start_grpc(suite.services.grpc_port)
        wait_until("the server that is there again", back)


def fails_somehow(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("it did not fail")
