#!/usr/bin/env python3
"""A gRPC service on bytes, without generated code: every kind of call, each way to end it. Prints its port, or takes the
one that is given."""

import hashlib
import json
import os
import sys
import threading
import time
from concurrent import futures

import grpc

SERVICE = "kw.Test"
LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 128 << 10),
          ("grpc.absolute_max_metadata_size", 256 << 10), ("grpc.so_reuseport", 0)]


class Test:
    """One method each; `cancelled` counts the calls that their client, or somebody between, took back."""

    def __init__(self):
        self.cancelled = 0
        self.lock = threading.Lock()

    def watch(self, context):
        def ended():
            # A call that was answered is over, not taken back.
            if not answered.is_set():
                with self.lock:
                    self.cancelled += 1

        answered = threading.Event()
        context.add_callback(ended)
        return answered

    # One message each way

    def Echo(self, request, context):
        context.send_initial_metadata([("x-initial", "1"), ("x-initial-bin", bytes(range(256)))])
        context.set_trailing_metadata([("x-trailing", "2"), ("x-trailing-bin", b"\x00\xff")])
        return request

    def Metadata(self, request, context):
        pairs = [[name, value if isinstance(value, str) else value.hex()] for name, value in context.invocation_metadata()]
        return json.dumps(pairs).encode()

    def LargeMetadata(self, request, context):
        size = int(request)
        context.send_initial_metadata([("x-large-bin", b"i" * size)])
        context.set_trailing_metadata([("x-large-bin", b"t" * size)])
        return b"%d" % sum(len(value) for name, value in context.invocation_metadata() if name == "x-large-bin")

    def Digest(self, request, context):
        return hashlib.sha256(request).hexdigest().encode()

    def Zeros(self, request, context):
        return bytes(int(request))

    def TimeRemaining(self, request, context):
        return b"%f" % (context.time_remaining() or -1)

    def Fail(self, request, context):
        code, details = json.loads(request)
        context.set_trailing_metadata([("x-reason", "asked to")])
        context.abort(next(status for status in grpc.StatusCode if status.value[0] == code), details)

    def Hang(self, request, context):
        answered = self.watch(context)
        while context.is_active():
            time.sleep(0.01)
        answered.set()
        return b""

    def Cancelled(self, request, context):
        with self.lock:
            return b"%d" % self.cancelled

    def CancelsItself(self, request, context):
        context.cancel()
        return b""

    def Die(self, request, context):
        os._exit(9)

    # Streams

    def Down(self, request, context):
        count, size = map(int, request.split())
        for number in range(count):
            yield number.to_bytes(4, "big") + bytes(size)

    def DownAndFail(self, request, context):
        yield b"first"
        yield b"second"
        context.abort(grpc.StatusCode.DATA_LOSS, "no third")

    def DownForEver(self, request, context):
        self.watch(context)
        while True:
            yield bytes(1000)

    def DownAndDie(self, request, context):
        yield b"first"
        time.sleep(0.05)
        os._exit(9)

    def Up(self, requests, context):
        digest, count = hashlib.sha256(), 0
        for request in requests:
            digest.update(request)
            count += 1
        return f"{count} {digest.hexdigest()}".encode()

    def UpAnsweredEarly(self, requests, context):
        next(requests)
        return b"enough"

    def Both(self, requests, context):
        for request in requests:
            yield b"<" + request + b">"

    def BothApart(self, requests, context):
        """Takes everything, whether what it says is taken or not."""
        taken = []
        reading = threading.Thread(target=lambda: taken.extend(len(request) for request in requests))
        reading.start()
        yield bytes(1 << 20)
        reading.join()
        yield b"%d" % sum(taken)


def handlers(test):
    unary = ["Echo", "Metadata", "LargeMetadata", "Digest", "Zeros", "TimeRemaining", "Fail", "Hang", "Cancelled", "CancelsItself", "Die"]
    down = ["Down", "DownAndFail", "DownForEver", "DownAndDie"]
    kinds = {
        grpc.unary_unary_rpc_method_handler: unary,
        grpc.unary_stream_rpc_method_handler: down,
        grpc.stream_unary_rpc_method_handler: ["Up", "UpAnsweredEarly"],
        grpc.stream_stream_rpc_method_handler: ["Both", "BothApart"],
    }
    methods = {name: make(getattr(test, name)) for make, names in kinds.items() for name in names}
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else "0"
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=200), options=LIMITS, compression=None)
    server.add_generic_rpc_handlers([handlers(Test())])
    port = server.add_insecure_port(f"127.0.0.1:{wanted}")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
