"""A backend that believes nobody but Keyward's signature: it checks `X-Auth-Assertion` and answers with who is asking.

    python3 assertion.py JWKS ISSUER AUDIENCE      listens on a free loopback port and prints it

JWKS is a file or the URL of Keyward's key set, ISSUER its `identity.public_url`, AUDIENCE the name that this upstream has
in its configuration. The route has `assertion: true`. Needs joserfc, the JOSE of Authlib's author.
"""

import json
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

TYPE = "keyward-assertion+jwt"
ALGORITHMS = ["EdDSA", "ES256"]


class Refused(Exception):
    """There is no word of Keyward on who is asking."""


class Checker:
    def __init__(self, jwks, issuer, audience):
        self.jwks, self.keys, self.read_at = jwks, None, 0
        one_of = lambda value: {"essential": True, "value": value}
        # No leeway: both clocks are the operator's, and Keyward sends a new one after half of its life.
        self.claims = jwt.JWTClaimsRegistry(iss=one_of(issuer), aud=one_of(audience), exp={"essential": True}, sub={"essential": True})

    def check(self, assertion):
        """The claims of an assertion that holds; raises Refused otherwise."""
        if not assertion:
            raise Refused("no assertion")
        try:
            token = self.decode(assertion)
            # A token of another kind may be signed with a key of the same set.
            if token.header.get("typ") != TYPE:
                raise Refused("not an assertion")
            self.claims.validate(token.claims)
        except (JoseError, ValueError) as error:
            raise Refused(type(error).__name__) from error
        return token.claims

    def decode(self, assertion):
        try:
            return jwt.decode(assertion, self.key_set(), algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            # Perhaps by a key that is newer than the set; asked at most every ten seconds.
            if time.monotonic() - self.read_at < 10:
                raise
            return jwt.decode(assertion, self.key_set(again=True), algorithms=ALGORITHMS)

    def key_set(self, again=False):
        if self.keys is None or again:
            self.keys, self.read_at = KeySet.import_key_set(json.loads(self.read())), time.monotonic()
        return self.keys

    def read(self):
        if self.jwks.startswith(("http://", "https://")):
            with urllib.request.urlopen(self.jwks, timeout=5) as answer:
                return answer.read(1 << 20)
        return Path(self.jwks).read_bytes()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    checker = None

    def do_GET(self):
        try:
            status, answer = 200, self.checker.check(self.headers.get("X-Auth-Assertion"))
        except Refused as refused:
            status, answer = 401, {"refused": str(refused)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Handler.checker = Checker(*sys.argv[1:4])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
