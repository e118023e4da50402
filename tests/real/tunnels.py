"""WebSockets with real clients and servers: PyPI's websockets and npm's ws, each as either side."""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
import uuid

from services import HERE, node_modules, tool, wait_until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

LARGE = 16 << 20
COUNT = 200


def checks(suite):
    for server in ("wspy", "wsjs"):
        for client in (Websockets(suite), Ws(suite)):
            name = f"{client.name} to {server}"
            suite.check(f"WebSocket: messages come back as they were sent, {name}", echo, suite, client, server)
            suite.check(f"WebSocket: the server speaks first, {name}", greet, suite, client, server)
            suite.check(f"WebSocket: a message in fragments, a ping between them, {name}", fragments, suite, client, server)
            suite.check(f"WebSocket: 16 MiB in one message, {name}", large, suite, client, server, False)
            suite.check(f"WebSocket: 16 MiB in one compressed message, {name}", large, suite, client, server, True)
            suite.check(f"WebSocket: the server's ping is answered, {name}", ping, suite, client, server)
            suite.check(f"WebSocket: the client closes with a code, {name}", client_closes, suite, client, server)
            suite.check(f"WebSocket: the server closes with a code, {name}", server_closes, suite, client, server)
            suite.check(f"WebSocket: {COUNT} at once, {name}", many, suite, client, server)
            suite.gateway_check(f"WebSocket: refused without a good key, {name}", refused, suite, client, server)
            suite.gateway_check(f"WebSocket: closed when its key is revoked, {name}", revoked, suite, client, server)
            suite.gateway_check(f"WebSocket: the key among the subprotocols, {name}", by_subprotocol, suite, client, server)
        over_http2(suite, server)


def over_http2(suite, server):
    client = Ws(suite, over="http2")
    for what, check, more in (
        ("messages come back as they were sent", echo, ()),
        ("the server speaks first", greet, ()),
        ("a message in fragments, a ping between them", fragments, ()),
        ("16 MiB in one message", large, (False,)),
        ("the server's ping is answered", ping, ()),
        ("the client closes with a code", client_closes, ()),
        ("the server closes with a code", server_closes, ()),
        (f"{COUNT} at once", many, ()),
        ("refused without a good key", refused, ()),
        ("closed when its key is revoked", revoked, ()),
        ("the key among the subprotocols", by_subprotocol, ()),
    ):
        suite.gateway_check(f"WebSocket over HTTP/2: {what}, Node to {server}", check, suite, client, server, *more)


def echo(suite, client, server):
    messages = [{"text": text} for text in ("", "a", "ü" * 100, "x" * 70_000)] + [{"bytes": size} for size in (0, 1, 125, 126, 65_536)]
    for deflate in (False, True) if client.compresses else (False,):
        came = client.run("echo", f"/{server}/echo", messages=messages, deflate=deflate, protocols=["soap", "chat"])
        assert came["back"] == [message.get("text", message.get("bytes")) for message in messages], came
        assert came["protocol"] in ("soap", "chat") and came["code"] == 1000, came
        assert ("permessage-deflate" in came["extensions"]) == deflate, came


def greet(suite, client, server):
    assert client.run("greet", f"/{server}/greet") == {"greeting": "welcome"}


def fragments(suite, client, server):
    assert client.run("fragments", f"/{server}/echo") == {"back": "one two three", "pong": "between"}


def large(suite, client, server, deflate):
    assert client.run("large", f"/{server}/echo", size=LARGE, deflate=deflate) == {"same": True}


def ping(suite, client, server):
    assert client.run("ping", f"/{server}/ping") == {"ping": "are you there", "said": "pong"}


def ended(suite, server, ident):
    """How the server saw it end."""
    found = []

    def known():
        with urllib.request.urlopen(f"{suite.services.direct[server]}/{server}/ended?id={ident}", timeout=5) as reply:
            found[:] = [json.load(reply)]
        return found[0] is not None

    wait_until("the server's view of the end", known)
    return found[0]


def client_closes(suite, client, server):
    ident = uuid.uuid4().hex
    came = client.run("close", f"/{server}/echo?id={ident}", code=4001, reason="bye")
    assert came == {"code": 4001, "reason": "bye"}, came
    assert ended(suite, server, ident) == [4001, "bye"]


def server_closes(suite, client, server):
    ident = uuid.uuid4().hex
    came = client.run("closed", f"/{server}/close?id={ident}&code=4002&reason=done")
    assert came == {"code": 4002, "reason": "done"}, came
    assert ended(suite, server, ident)[0] == 4002


def many(suite, client, server):
    assert client.run("many", f"/{server}/echo", count=COUNT) == {"count": COUNT}


def refused(suite, client, server):
    revoked = suite.keys["revoked"]["key"]
    for headers, code, challenge in (
        ({}, "missing_credentials", 'Bearer realm="keyward"'),
        ({"Authorization": "Bearer junk"}, "invalid_credentials", 'error="invalid_token"'),
        ({"Authorization": f"Bearer {revoked}"}, "revoked_credentials", 'error="invalid_token"'),
    ):
        came = client.run("refused", f"/{server}/echo", headers=headers)
        assert (came["status"], came["code"]) == (401, code), came
        assert challenge in came["challenge"], came


def revoked(suite, client, server):
    key, ident = suite.gateway.new_key("tunnel"), uuid.uuid4().hex
    came = client.run_beside(
        "closed",
        f"/{server}/echo?id={ident}",
        headers={"Authorization": f"Bearer {key['key']}"},
        once_open=lambda: suite.gateway.command("keys", "revoke", key["id"]),
    )
    assert came == {"code": 1008, "reason": "revoked_credentials"}, came
    assert ended(suite, server, ident)[0] == 1001


def by_subprotocol(suite, client, server):
    item = f"keyward.bearer.{suite.keys['good']['key']}"
    say = dict(headers={}, messages=[{"text": "hello"}])
    came = client.run("echo", f"/{server}/page/echo", protocols=[item, "chat"], **say)
    assert (came["back"], came["protocol"]) == (["hello"], "chat"), came
    # A backend that knows no subprotocol: the name that stands in is selected, which libraries and browsers insist on.
    came = client.run("echo", f"/{server}/page/echo", protocols=[item, "keyward"], **say)
    assert (came["back"], came["protocol"]) == (["hello"], "keyward"), came
    came = client.run("refused", f"/{server}/page/echo", protocols=["keyward.bearer.junk", "chat"], headers={})
    assert (came["status"], came["code"]) == (401, "invalid_credentials"), came
    # Where the route does not say so it is a name like any other.
    came = client.run("refused", f"/{server}/echo", protocols=[item, "chat"], headers={})
    assert (came["status"], came["code"]) == (401, "missing_credentials"), came


def told_at_the_end(suite, end):
    """Opens WebSockets, has `end` end the gateway, and fails unless each was told that it goes away."""
    client = Websockets(suite)

    async def work():
        sockets = [await client.connect(f"/{server}/echo") for server in ("wspy", "wsjs") for _ in range(10)]
        ending = asyncio.get_running_loop().run_in_executor(None, end)
        for socket in sockets:
            try:
                await asyncio.wait_for(socket.recv(), 20)
                raise AssertionError("a message instead of the end")
            except ConnectionClosed as closed:
                assert closed.rcvd and closed.rcvd.code == 1001, closed
        return await ending

    return asyncio.run(work())


class Websockets:
    """PyPI's websockets as the client."""

    name = "websockets"
    compresses = True

    def __init__(self, suite):
        self.suite = suite

    async def connect(self, path, headers=None, protocols=(), deflate=True):
        url = self.suite.through(path).replace("http:", "ws:", 1)
        headers = dict(self.suite.credential()) if headers is None else headers
        return await connect(
            url, additional_headers=headers, subprotocols=list(protocols) or None, max_size=None, proxy=None, ping_interval=None,
            compression="deflate" if deflate else None, open_timeout=20,
        )

    def run(self, what, path, **asked):
        return asyncio.run(asyncio.wait_for(getattr(self, what)(path, **asked), 60))

    run_beside = run

    async def echo(self, path, messages, deflate=False, headers=None, protocols=()):
        async with await self.connect(path, headers, protocols, deflate) as socket:
            back = []
            for message in messages:
                await socket.send(message["text"] if "text" in message else b"k" * message["bytes"])
                came = await socket.recv()
                back.append(came if "text" in message else len(came))
            extensions = socket.response.headers.get("Sec-WebSocket-Extensions", "")
            protocol = socket.subprotocol
            await socket.close(1000, "done")
            return {"back": back, "protocol": protocol, "extensions": extensions, "code": socket.close_code}

    async def greet(self, path):
        async with await self.connect(path) as socket:
            return {"greeting": await socket.recv()}

    async def fragments(self, path):
        async with await self.connect(path) as socket:
            pongs = []

            async def pieces():
                yield "one "
                yield "two "
                pongs.append(await socket.ping("between"))
                yield "three"

            await socket.send(pieces())
            back = await socket.recv()
            await pongs[0]
            return {"back": back, "pong": "between"}

    async def large(self, path, size, deflate):
        async with await self.connect(path, deflate=deflate) as socket:
            sent = os.urandom(size)
            await socket.send(sent)
            return {"same": await socket.recv() == sent}

    async def ping(self, path):
        # The library answers by itself and does not show what it was asked.
        async with await self.connect(path) as socket:
            return {"ping": "are you there", "said": await socket.recv()}

    async def close(self, path, code, reason):
        socket = await self.connect(path)
        await socket.close(code, reason)
        return {"code": socket.close_code, "reason": socket.close_reason}

    async def closed(self, path, headers=None, once_open=None):
        socket = await self.connect(path, headers)
        await socket.send("close me")
        if once_open:
            assert await socket.recv() == "close me"
            await asyncio.get_running_loop().run_in_executor(None, once_open)
        try:
            await socket.recv()
            raise AssertionError("a message instead of the end")
        except ConnectionClosed:
            return {"code": socket.close_code, "reason": socket.close_reason}

    async def many(self, path, count):
        async def one(number):
            socket = await self.connect(path)
            for turn in range(5):
                word = f"{number} {turn}"
                await socket.send(word)
                assert await socket.recv() == word
            return socket

        sockets = await asyncio.gather(*(one(number) for number in range(count)))
        await asyncio.gather(*(socket.close() for socket in sockets))
        return {"count": len(sockets)}

    async def refused(self, path, headers, protocols=()):
        try:
            await self.connect(path, headers, protocols)
            raise AssertionError("it was opened")
        except InvalidStatus as answer:
            response = answer.response
            code = json.loads(response.body)["code"]
            return {"status": response.status_code, "code": code, "challenge": response.headers["WWW-Authenticate"]}


class Ws:
    """npm's ws as the client, in a process of its own."""

    name = "ws"

    def __init__(self, suite, over="http1"):
        self.suite, self.over = suite, over
        self.compresses = over == "http1"

    def start(self, what, path, headers=None, **asked):
        url = self.suite.through(path).replace("http:", "ws:", 1)
        headers = dict(self.suite.credential()) if headers is None else headers
        scenario = json.dumps({"what": what, "url": url, "headers": headers, "over": self.over, **asked})
        command = [tool("node"), HERE / "websocket_client.js", scenario]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=node_modules())

    def end(self, process):
        out, err = process.communicate(timeout=90)
        assert process.returncode == 0, f"{out}{err}"
        return json.loads(out.splitlines()[-1])

    def run(self, what, path, **asked):
        return self.end(self.start(what, path, **asked))

    def run_beside(self, what, path, once_open, **asked):
        process = self.start(what, path, **asked)
        try:
            assert process.stdout.readline() == "open\n", process.stderr.read()
            once_open()
            return self.end(process)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


if __name__ == "__main__":
    sys.exit("run.py runs these checks")
