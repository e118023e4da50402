"""WebSockets that a page in a real browser (Debian's Chromium) opens, its key among the subprotocols."""

import json
import subprocess

from services import HERE, node_modules, tool

PATIENCE = 60  # seconds for one page


def checks(suite):
    for server in ("wspy", "wsjs"):
        suite.gateway_check(f"page: its WebSocket opens and ends with its key, {server}", opens_and_ends, suite, server)
        suite.gateway_check(f"page: its WebSocket opens to a backend of no subprotocol, {server}", opens_without_any, suite, server)
        suite.gateway_check(f"page: it sees that a wrong key opens nothing, {server}", opens_nothing, suite, server)


class Page:
    """One page with one WebSocket."""

    def __init__(self, suite, server, key, name="chat"):
        url = f"{suite.gateway.base}/{server}/page/fields".replace("http:", "ws:", 1)
        modules = node_modules()["NODE_PATH"].removesuffix("/node_modules")
        command = [tool("node"), str(HERE / "page_websocket.mjs"), url, key, modules, name]
        environment = {**node_modules(), "CHROMIUM": tool("chromium")}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def opened(self):
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)["opened"]

    def end(self):
        """The last that it saw."""
        out, err = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, f"{out}{err}"
        return json.loads(out.splitlines()[-1])


def opens_and_ends(suite, server):
    key = suite.gateway.new_key("page")
    with Page(suite, server, key["key"]) as page:
        opened = page.opened()
        assert (opened["protocol"], opened["back"]) == ("chat", "from the page"), opened
        fields = {name.lower(): value for name, value in json.loads(opened["first"])}
        assert fields["sec-websocket-protocol"] == "chat", fields
        assert key["key"] not in opened["first"] and "keyward.bearer" not in opened["first"], fields
        assert fields["x-auth-credential"] == key["id"], fields
        suite.gateway.command("keys", "revoke", key["id"])
        closed = page.end()["closed"]
    assert closed == {"code": 1008, "reason": "revoked_credentials", "clean": True}, closed


def opens_without_any(suite, server):
    """A browser ends a connection where it offered subprotocols and none was selected: the name that stands in is."""
    key = suite.gateway.new_key("page")
    with Page(suite, server, key["key"], "keyward") as page:
        opened = page.opened()
        assert (opened["protocol"], opened["back"]) == ("keyward", "from the page"), opened
        names = [name.lower() for name, _ in json.loads(opened["first"])]
        assert "sec-websocket-protocol" not in names, names
        suite.gateway.command("keys", "revoke", key["id"])
        page.end()


def opens_nothing(suite, server):
    for key in ("junk", suite.keys["revoked"]["key"]):
        with Page(suite, server, key) as page:
            # A page is not told the status of a refusal.
            assert page.end() == {"failed": {"code": 1006, "opened": False}}
