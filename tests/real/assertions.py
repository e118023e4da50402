"""A backend that checks `X-Auth-Assertion` with a library, and what it makes of forgeries."""

import base64
import json
import time

from joserfc import jwt
from joserfc.jwk import OKPKey


def checks(suite):
    suite.gateway_check("assertion: a backend checks who is asking", checked, suite)
    suite.gateway_check("assertion: none for whoever asks the backend itself", alone, suite)
    suite.gateway_check("assertion: a client's own is replaced", replaced, suite)
    suite.gateway_check("assertion: one for another upstream is refused", of_another, suite)
    suite.gateway_check("assertion: forged ones are refused", forged, suite)
    suite.gateway_check("assertion: signed by a new key after a rotation of keys", rotated, suite)


def published(suite):
    """The key set, where the backend reads it."""
    text = suite.gateway.command("signing-keys", "jwks")
    suite.services.jwks.write_text(text)
    return json.loads(text)


def assertion(suite, path):
    """What the gateway says to the backend of `path` about the good key, as the backend that echoes shows it."""
    body = json.loads(suite.fetch(suite.curl, path).body)
    return dict((name.lower(), value) for name, value in body["headers"])["x-auth-assertion"]


def directly(suite, token):
    return suite.curl.fetch(suite.direct("/asserted/x"), headers=[("X-Auth-Assertion", token)])


def checked(suite):
    keys = published(suite)["keys"]
    assert all("d" not in key and key["use"] == "sig" for key in keys), keys
    for client in suite.clients:
        reply = suite.fetch(client, "/asserted/x")
        claims = json.loads(reply.body)
        assert reply.status == 200, claims
        assert claims["credential"] == suite.keys["good"]["id"], claims
        assert (claims["aud"], claims["scope"], claims["method"]) == ("asserted", "files:read", "api_key"), claims
        assert 0 < claims["exp"] - time.time() <= 60 and claims["exp"] - claims["iat"] == 60, claims


def alone(suite):
    reply = suite.curl.fetch(suite.direct("/asserted/x"))
    assert (reply.status, json.loads(reply.body)) == (401, {"refused": "no assertion"}), reply


def replaced(suite):
    reply = suite.fetch(suite.curl, "/asserted/x", headers=[("X-Auth-Assertion", "a.b.c")])
    assert reply.status == 200 and json.loads(reply.body)["aud"] == "asserted", reply


def of_another(suite):
    token = assertion(suite, "/py/asserted")
    reply = directly(suite, token)
    assert reply.status == 401, reply
    assert json.loads(reply.body)["refused"] == "InvalidClaimError", reply.body


def forged(suite):
    kid = next(key["kid"] for key in published(suite)["keys"])
    claims = {"iss": suite.gateway.base, "aud": "asserted", "sub": "root", "exp": int(time.time()) + 60}
    key = OKPKey.generate_key("Ed25519", {"kid": kid, "alg": "EdDSA"})
    header = {"alg": "EdDSA", "typ": "keyward-assertion+jwt", "kid": kid}
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    stolen = assertion(suite, "/py/asserted").split(".")
    for token in (
        jwt.encode(header, claims, key, algorithms=["EdDSA"]),
        f"{part({**header, 'alg': 'none'})}.{part(claims)}.",
        f"{stolen[0]}.{part(claims)}.{stolen[2]}",
    ):
        assert directly(suite, token).status == 401, token


def rotated(suite):
    before = {key["kid"] for key in published(suite)["keys"]}
    suite.gateway.command("signing-keys", "rotate")
    after = {key["kid"] for key in published(suite)["keys"]}
    assert before < after and len(after) == len(before) + 2, (before, after)
    # The old one goes on until the new one is known to everybody.
    assert suite.fetch(suite.curl, "/asserted/x").status == 200
