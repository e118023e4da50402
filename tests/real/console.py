"""The console in a real browser (Debian's Chromium), and the identity endpoints with real libraries for tokens.

With PICTURES=FOLDER the browser keeps a picture of every page there, in two themes and three widths.
"""

import json
import os
import subprocess

import requests
from joserfc import jwt
from joserfc.jwk import KeySet
from services import HERE, node_modules, tool

EMAIL, PASSWORD = "browser@example.com", "correct horse battery"
PATIENCE = 240  # seconds for the whole run in the browser


def checks(suite):
    suite.gateway_check("identity: a token is one that joserfc takes by the key set", joserfc_takes, suite)
    suite.gateway_check("identity: a token is one that npm's jose takes by the key set", jose_takes, suite)
    suite.gateway_check("identity: it opens a route, and no more after the logout", opens, suite)
    suite.gateway_check("identity: a refresh token is good once", once, suite)
    if suite.gateway and "console" in (suite.only or "console"):
        in_the_browser(suite)


def login(suite):
    with_password(suite)
    answer = requests.post(f"{suite.gateway.base}/user/login", json={"email": EMAIL, "password": PASSWORD}, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


def with_password(suite):
    """The account, made once."""
    if EMAIL not in suite.gateway.command("accounts", "list", "--json"):
        words = ("accounts", "create", "--email", EMAIL, "--password-stdin")
        suite.gateway.command(*words, text=PASSWORD)
        # Never reached; the console tells them.
        suite.gateway.command("accounts", "set-limits", EMAIL, "--per-day", "1000000", "--in-flight", "100")


def joserfc_takes(suite):
    pair = login(suite)
    keys = requests.get(f"{suite.gateway.base}/.well-known/jwks.json", timeout=20).json()
    token = jwt.decode(pair["access_token"], KeySet.import_key_set(keys), algorithms=["EdDSA", "ES256", "Ed25519"])
    assert token.header["typ"] == "at+jwt", token.header
    claims = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": suite.gateway.base},
        aud={"essential": True, "value": suite.gateway.base},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        jti={"essential": True},
        client_id={"essential": True, "value": "keyward"},
    )
    claims.validate(token.claims)
    assert token.claims["exp"] - token.claims["iat"] == pair["expires_in"], token.claims


JOSE = """
const { createRemoteJWKSet, jwtVerify } = require("jose");
const [site, token] = process.argv.slice(1);
const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", site));
jwtVerify(token, keys, { issuer: site, audience: site, typ: "at+jwt", requiredClaims: ["sub", "client_id", "jti"] })
  .then(({ payload }) => console.log(JSON.stringify(payload)));
"""


def jose_takes(suite):
    pair = login(suite)
    command = [tool("node"), "-e", JOSE, suite.gateway.base, pair["access_token"]]
    done = subprocess.run(command, env=node_modules(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["client_id"] == "keyward", done.stdout


def opens(suite):
    pair = login(suite)
    bearer = {"authorization": f"Bearer {pair['access_token']}"}
    base = suite.gateway.base
    told = requests.post(f"{base}/user/token/validate", json={}, headers=bearer, timeout=20)
    assert (told.status_code, told.json()["token_type"]) == (200, "access_token"), told.text
    assert requests.post(f"{base}/user/logout", headers=bearer, timeout=20).status_code == 204
    for _ in range(3):
        told = requests.post(f"{base}/user/token/validate", json={}, headers=bearer, timeout=20)
        assert (told.status_code, told.json()["code"]) == (401, "revoked_credentials"), told.text


def once(suite):
    refresh = lambda token: requests.post(
        f"{suite.gateway.base}/user/token/refresh", json={"refresh_token": token}, timeout=20
    )
    first = login(suite)["refresh_token"]
    second = refresh(first).json()["refresh_token"]
    used = refresh(first)
    assert (used.status_code, used.json()["code"]) == (400, "invalid_grant"), used.text
    # Two have had it: the winner's is dead, too.
    assert refresh(second).status_code == 400


def in_the_browser(suite):
    with_password(suite)
    modules = node_modules()["NODE_PATH"].removesuffix("/node_modules")
    command = [tool("node"), HERE / "console.mjs", suite.gateway.base, EMAIL, PASSWORD, os.environ.get("PICTURES", ""), modules]
    environment = {**node_modules(), "CHROMIUM": tool("chromium")}
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    told.append({"name": "the browser's run ends", "passed": done.returncode == 0 and told, "detail": done.stderr})
    for one in told:
        suite.check(f"console: {one['name']}", holds, one)


def holds(one):
    assert one["passed"], one["detail"]
