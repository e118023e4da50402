"""Runs checks: one line each, a count of both outcomes."""

import time
import traceback

from clients import Curl, Httpx, Requests


class Suite:
    def __init__(self, services, gateway, only=""):
        self.services, self.gateway, self.only = services, gateway, only
        self.passed = self.failed = self.left_out = 0
        self.clients = [Curl(), Requests(), Httpx()]
        self.curl = self.clients[0]
        self.keys = {}

    def make_keys(self):
        self.keys["good"] = self.gateway.new_key("good", "--scopes", "files:read")
        self.keys["scopeless"] = self.gateway.new_key("scopeless")
        self.keys["expired"] = self.gateway.new_key("expired", "--scopes", "files:read", "--expires-in", "1s")
        self.keys["revoked"] = self.gateway.new_key("revoked", "--scopes", "files:read")
        self.gateway.command("keys", "revoke", self.keys["revoked"]["id"])

    def check(self, name, work, *arguments):
        """Runs one check; whatever it raises is its failure."""
        if self.only not in name:
            return
        began = time.monotonic()
        try:
            work(*arguments)
        except Exception as error:
            self.failed += 1
            print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
            if not isinstance(error, AssertionError):
                traceback.print_exc()
        else:
            self.passed += 1
            print(f"ok     {name} ({time.monotonic() - began:.2f} s)", flush=True)

    def gateway_check(self, name, work, *arguments):
        """The same, for what only the gateway does."""
        if self.gateway:
            self.check(name, work, *arguments)
        elif self.only in name:
            self.left_out += 1

    def direct(self, path):
        return self.services.direct[path.split("/")[1].split("?")[0]] + path

    def through(self, path):
        return self.gateway.base + path if self.gateway else self.direct(path)

    def credential(self):
        return [("Authorization", f"Bearer {self.keys['good']['key']}")] if self.gateway else []

    def fetch(self, client, path, method="GET", headers=(), body=None, **more):
        """Through the gateway, with a good key."""
        return client.fetch(self.through(path), method, [*self.credential(), *headers], body, **more)

    def same(self, client, path, method="GET", headers=(), body=None):
        """Fails unless the gateway answers what the backend answers. A body that is a function is called for each."""
        make = body if callable(body) else lambda: body
        direct = client.fetch(self.direct(path), method, list(headers), make())
        through = self.fetch(client, path, method, headers, make())
        ours, theirs = through.comparable(), direct.comparable()
        for part, expected in theirs.items():
            assert ours[part] == expected, f"{part}: {shortened(ours[part])} instead of {shortened(expected)}"
        return through


def shortened(value):
    text = repr(value)
    return text if len(text) < 1200 else text[:1200] + "…"
