"""A backend of WebSockets on PyPI's websockets.

    python3 websocket_server.py        listens on a free loopback port and prints it

The last word of the path says what it does: `echo`; `greet`, which speaks first; `fields`, which tells the handshake's before
it echoes; `close`, with `code` and `reason` of the query after the first message; `ping`, which tells when the client's pong has
come. `ended?id=…` is no WebSocket and tells how the one with that id ended.
"""

import asyncio
import http
import json
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

ENDED = {}
KNOWN = ["chat", "soap"]


def select(_, offered):
    return next((name for name in KNOWN if name in offered), None)


def asked(request):
    url = urlsplit(request.path)
    return url.path.rsplit("/", 1)[-1], {name: values[0] for name, values in parse_qs(url.query).items()}


def tell_ended(connection, request):
    what, query = asked(request)
    if what == "ended":
        return connection.respond(http.HTTPStatus.OK, json.dumps(ENDED.get(query["id"])))


async def handle(socket):
    what, query = asked(socket.request)
    try:
        if what == "greet":
            await socket.send("welcome")
        if what == "fields":
            await socket.send(json.dumps(list(socket.request.headers.raw_items())))
        if what == "ping":
            await (await socket.ping("are you there"))
            await socket.send("pong")
        async for message in socket:
            if what == "close":
                await socket.close(int(query["code"]), query["reason"])
                break
            await socket.send(message)
    except ConnectionClosed:
        pass
    finally:
        await socket.wait_closed()
        if "id" in query:
            ENDED[query["id"]] = [socket.close_code, socket.close_reason]


async def main():
    more = {"max_size": None, "process_request": tell_ended, "ping_interval": None}
    more |= {"subprotocols": KNOWN, "select_subprotocol": select}
    async with serve(handle, "127.0.0.1", 0, **more) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
