"""What is refused is told to real clients as the contract says; and what the gateway leaves behind."""

import json
import re
import time

import tunnels
from services import wait_until

REALM = r'Bearer realm="[^"]*"'


def checks(suite):
    path = "/files/one.txt"
    bearer = lambda name: [("Authorization", f"Bearer {suite.keys[name]['key']}")]
    cases = [
        # name, fields (made late: there are no keys without a gateway), path, status, code, challenge
        ("no credential", lambda: [], path, 401, "missing_credentials", REALM),
        ("an empty Authorization", lambda: [("Authorization", "")], path, 401, "missing_credentials", REALM),
        ("another scheme", lambda: [("Authorization", "Digest username=x")], path, 401, "missing_credentials", REALM),
        ("a wrong key", lambda: [("Authorization", "Bearer kw_sk_" + "a" * 38)], path, 401, "invalid_credentials", REALM + ', error="invalid_token".*'),
        ("junk", lambda: [("Authorization", "Bearer junk")], path, 401, "invalid_credentials", REALM + ', error="invalid_token".*'),
        ("Bearer alone", lambda: [("Authorization", "Bearer")], path, 400, "invalid_request", REALM + ', error="invalid_request".*'),
        ("two words", lambda: [("Authorization", "Bearer a b")], path, 400, "invalid_request", REALM + ', error="invalid_request".*'),
        ("two fields", lambda: bearer("good") * 2, path, 400, "invalid_request", REALM + ', error="invalid_request".*'),
        ("a revoked key", lambda: bearer("revoked"), path, 401, "revoked_credentials", REALM + ', error="invalid_token".*'),
        ("a missing scope", lambda: bearer("scopeless"), path, 403, "insufficient_scope", REALM + ', error="insufficient_scope", scope="files:read".*'),
        ("no route", lambda: bearer("good"), "/nowhere", 404, "no_route", None),
        ("a wrong method", lambda: bearer("good"), "/py/reads", 405, "method_not_allowed", None),
        ("dot segments", lambda: bearer("good"), "/files/../py/echo", 400, "ambiguous_path", None),
        ("escaped dot segments", lambda: bearer("good"), "/files/%2e%2E/py/echo", 400, "ambiguous_path", None),
        ("an escaped slash", lambda: bearer("good"), "/files/a%2fb", 400, "ambiguous_path", None),
    ]
    for name, headers, target, status, code, challenge in cases:
        suite.gateway_check(f"refused: {name}", refused, suite, headers, target, status, code, challenge)
    suite.gateway_check("refused: an expired key, which says when it ended", expired, suite)
    suite.gateway_check("refused: HEAD without a credential has no body", bodiless, suite)
    suite.gateway_check("refused: as HTML to a browser", negotiated, suite, "text/html,application/xhtml+xml,*/*;q=0.8", "text/html")
    suite.gateway_check("refused: as text to who asks for it", negotiated, suite, "text/plain", "text/plain")
    suite.gateway_check("refused: as JSON to who asks for JSON", negotiated, suite, "application/json", "application/problem+json")
    suite.gateway_check("refused: as JSON to who asks for nonsense", negotiated, suite, "nonsense", "application/problem+json")
    suite.gateway_check("refused: an upload without a credential is answered at once", upload, suite)
    for size in (100_000, 1_000_000):
        for path in ("/py/sink", "/user/api-keys"):
            name = f"refused: an upload of {size} bytes to {path} over HTTP/2, twenty times"
            suite.gateway_check(name, upload_over_http2, suite, path, size)
    suite.gateway_check("a bare key passes", bare, suite)
    suite.gateway_check("a public route needs no credential and passes none on", public, suite)
    suite.gateway_check("the backend learns who asks, and not the key", identity, suite)
    suite.gateway_check("a key revoked beside the server is refused within a second", revoked_beside, suite)
    suite.gateway_check("a key made beside the server passes within a second", made_beside, suite)
    suite.gateway_check("the gateway ends with exit code 0 on SIGTERM, and WebSockets are told", ends_well, suite)
    suite.gateway_check("no panic and no secret in any output", clean_logs, suite)


def ask(suite, headers, path, **more):
    return suite.curl.fetch(suite.gateway.base + path, headers=headers, **more)


def problem(reply, status, code):
    assert reply.status == status, f"{reply.status} instead of {status}: {reply.body[:500]!r}"
    assert reply.header("content-type") == "application/problem+json", reply.headers
    assert reply.header("cache-control") == "no-store", reply.headers
    body = json.loads(reply.body)
    identity = reply.header("x-request-id")
    assert body["detail"] and body["title"], body
    expected = {"status": status, "code": code, "type": f"urn:keyward:error:{code}", "request_id": identity, "instance": f"urn:uuid:{identity}"}
    got = {name: body.get(name) for name in expected}
    assert got == expected, f"{got} instead of {expected}"
    return body


def refused(suite, headers, path, status, code, challenge):
    method = "DELETE" if code == "method_not_allowed" else "GET"
    reply = suite.curl.fetch(suite.gateway.base + path, method, headers())
    problem(reply, status, code)
    given = reply.header("www-authenticate")
    assert (given is None) == (challenge is None), f"challenge {given!r}"
    assert challenge is None or re.fullmatch(challenge, given), f"challenge {given!r}"
    if status == 405:
        assert set(reply.header("allow").replace(",", " ").split()) == {"GET", "HEAD"}, reply.headers


def expired(suite):
    key = suite.keys["expired"]
    headers = [("Authorization", f"Bearer {key['key']}")]
    wait_until("the key's end", lambda: ask(suite, headers, "/files/one.txt").status == 401, 5)
    reply = ask(suite, headers, "/files/one.txt")
    body = problem(reply, 401, "expired_credentials")
    assert key["expires_at"] in body["detail"], (body["detail"], key["expires_at"])
    assert re.fullmatch(REALM + ', error="invalid_token", error_description=".*expired.*"', reply.header("www-authenticate")), reply.headers


def bodiless(suite):
    reply = suite.curl.fetch(suite.gateway.base + "/files/one.txt", "HEAD")
    assert (reply.status, reply.size, reply.header("content-type")) == (401, 0, "application/problem+json"), reply


def negotiated(suite, accept, kind):
    reply = ask(suite, [("Accept", accept)], "/files/one.txt")
    assert reply.status == 401 and re.fullmatch(REALM, reply.header("www-authenticate")), reply
    assert reply.header("content-type").split(";")[0] == kind, reply.headers
    assert reply.body, "an empty body"
    if kind == "text/html":
        assert reply.body.lstrip()[:9].lower() == b"<!doctype", reply.body
    if kind == "text/plain":
        assert reply.body.strip().count(b"\n") == 0, reply.body


def upload(suite):
    began = time.monotonic()
    reply = suite.curl.fetch(suite.gateway.base + "/py/sink", "POST", [("Expect", "100-continue")], b"x" * 5_000_000, more=["--expect100-timeout", "60"])
    problem(reply, 401, "missing_credentials")
    assert reply.interim == [], f"1xx answers: {reply.interim}"
    assert time.monotonic() - began < 5, "the refusal waited for the body"


def upload_over_http2(suite, path, size):
    for _ in range(20):
        reply = suite.curl.fetch(suite.gateway.base + path, "POST", [], b"x" * size, more=["--http2-prior-knowledge"])
        problem(reply, 401, "missing_credentials")


def bare(suite):
    assert ask(suite, [("Authorization", suite.keys["good"]["key"])], "/files/one.txt").body == b"1"


def backend_headers(reply):
    assert reply.status == 200, reply
    headers = [(name.lower(), value) for name, value in json.loads(reply.body)["headers"]]
    assert "authorization" not in dict(headers), headers
    return headers


def public(suite):
    spoofed = [("X-Auth-Subject", "admin"), ("X_Auth_Subject", "admin"), ("Authorization", "Bearer junk")]
    headers = backend_headers(ask(suite, spoofed, "/py/public/echo"))
    assert not [name for name, _ in headers if name.replace("_", "-").startswith("x-auth-")], headers


def identity(suite):
    key = suite.keys["good"]
    spoofed = [("X-Auth-Subject", "admin"), ("X-Auth-Client", "mine"), ("X-Forwarded-For", "1.2.3.4"), ("X-Real-IP", "1.2.3.4")]
    headers = dict(backend_headers(ask(suite, suite.credential() + spoofed, "/py/echo")))
    assert headers["x-auth-credential"] == key["id"], headers
    assert headers["x-auth-scopes"] == "files:read" and headers["x-auth-method"] == "api_key", headers
    assert headers["x-auth-subject"] not in ("", "admin") and "x-auth-client" not in headers, headers
    assert headers["x-forwarded-for"] == "127.0.0.1" and headers["x-forwarded-proto"] == "http", headers
    assert headers["x-forwarded-host"] == headers["host"] and headers["x-forwarded-port"] == str(suite.gateway.port), headers
    assert "x-real-ip" not in headers, headers


def revoked_beside(suite):
    key = suite.gateway.new_key("beside", "--scopes", "files:read")
    headers = [("Authorization", f"Bearer {key['key']}")]
    wait_until("the new key's first use", lambda: ask(suite, headers, "/files/one.txt").status == 200, 1)
    suite.gateway.command("keys", "revoke", key["id"])
    wait_until("the refusal", lambda: ask(suite, headers, "/files/one.txt").status == 401, 1)
    problem(ask(suite, headers, "/files/one.txt"), 401, "revoked_credentials")


def made_beside(suite):
    key = suite.gateway.new_key("new", "--scopes", "files:read")
    headers = [("Authorization", f"Bearer {key['key']}")]
    wait_until("the new key's first use", lambda: ask(suite, headers, "/files/one.txt").status == 200, 1)


def ends_well(suite):
    status = tunnels.told_at_the_end(suite, lambda: suite.services.end(suite.gateway.process))
    assert status == 0, "exit code"


def clean_logs(suite):
    log = suite.services.log("keyward")
    assert "panicked at" not in log, log[log.index("panicked at"):][:1000]
    for name, key in suite.keys.items():
        assert key["key"] not in log, f"the secret of the {name} key was logged"
    assert log.count("\n") > 100, "no access log"
