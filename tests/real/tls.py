"""TLS with real clients and servers, and what two scanners find: with certificates that openssl made."""

import asyncio
import json
import shutil
import ssl
import socket
import subprocess
import sys
from pathlib import Path

import requests
from services import tool, wait_until
from websockets.asyncio.client import connect

FILE = "/files/data.json"
# What a scanner says of the test's own authority: nobody knows it, and it revokes nothing.
OF_THE_AUTHORITY = {"cert_chain_of_trust", "cert_revocation", "cert_crlDistributionPoints", "cert_ocspURL"}
GRAVE = {"MEDIUM", "HIGH", "CRITICAL"}


class Authority:
    """Certificates as an operator would make them."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir()
        self.ca = self.folder / "ca.pem"
        self.openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "365",
            "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem",
        )  # fmt: skip

    def openssl(self, *words):
        subprocess.run([tool("openssl"), *words], cwd=self.folder, check=True, capture_output=True)

    def issue(self, name):
        """`name.pem` and `name.key`, for this machine; each replaced at once."""
        made = "new"
        self.openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", f"{made}.key", "-out", f"{made}.csr",
        )  # fmt: skip
        self.openssl(
            "x509", "-req", "-in", f"{made}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "200",
            "-copy_extensions", "copy", "-out", f"{made}.pem",
        )  # fmt: skip
        for kind in ("key", "pem"):
            shutil.move(self.folder / f"{made}.{kind}", self.folder / f"{name}.{kind}")


def checks(suite):
    suite.gateway_check("TLS: curl by HTTP/1.1 and HTTP/2, as the backend answers", by_curl, suite)
    suite.gateway_check("TLS: requests, small and 200 MB", by_requests, suite)
    suite.gateway_check("TLS: Python by 1.2 and 1.3, and sessions that are taken up again", by_python, suite)
    suite.gateway_check("TLS: a WebSocket", by_websockets, suite)
    suite.gateway_check("TLS: an nginx that is an upstream by TLS", to_nginx, suite)
    for backend in ("py", "node"):
        suite.gateway_check(f"TLS: a backend by TLS, in {backend}", to_backend, suite, backend)
    suite.gateway_check("TLS: Node by HTTP/1.1 and HTTP/2", by_node, suite)
    suite.gateway_check("TLS: h2load", by_h2load, suite)
    suite.gateway_check("TLS: HTTP in clear is told to speak HTTPS", in_clear, suite)
    suite.gateway_check("TLS: a renewal is shown, and who is connected stays so", renewed, suite)
    suite.gateway_check("TLS: sslyze finds nothing", by_sslyze, suite)
    suite.gateway_check("TLS: testssl.sh finds nothing above LOW", by_testssl, suite)


def base(suite):
    return f"https://localhost:{suite.gateway.secure}"


def by_curl(suite):
    direct = suite.curl.fetch(suite.direct(FILE))
    for version, told in (("--http1.1", "1.1"), ("--http2", "2")):
        command = [tool("curl"), "-q", "-sS", "--noproxy", "*", version, "--cacert", suite.authority.ca]
        command += ["-H", f"Authorization: Bearer {suite.keys['good']['key']}", "-w", "%{http_version} %{http_code}"]
        command += ["-o", suite.services.folder / "curl.out", base(suite) + FILE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.stdout == f"{told} 200", (done.stdout, done.stderr)
        assert (suite.services.folder / "curl.out").read_bytes() == direct.body
    command = [tool("curl"), "-q", "-sS", "--noproxy", "*", base(suite) + FILE]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 60, "it trusts whom it does not know"


def by_requests(suite):
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(suite.authority.ca)
        session.headers["Authorization"] = f"Bearer {suite.keys['good']['key']}"
        assert session.get(base(suite) + FILE).content == requests.get(suite.direct(FILE)).content
        large = session.get(base(suite) + "/files/200mb.bin")
        assert large.content == (suite.services.folder / "www/files/200mb.bin").read_bytes()
        body = b"x" * (8 << 20)
        echoed = session.post(base(suite) + "/py/echo", data=body).json()
        headers = {name.lower(): value for name, value in echoed["headers"]}
        assert headers["x-forwarded-proto"] == "https" and headers["content-length"] == str(len(body)), headers


def by_python(suite):
    for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        context = ssl.create_default_context(cafile=suite.authority.ca)
        context.minimum_version = context.maximum_version = version
        session = None
        for reused in (False, True, True):
            with socket.create_connection(("127.0.0.1", suite.gateway.secure), 20) as plain:
                with context.wrap_socket(plain, server_hostname="localhost", session=session) as secured:
                    secured.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    answer = b"".join(iter(lambda: secured.recv(65536), b""))
                    assert answer.startswith(b"HTTP/1.1 4"), answer[:100]
                    assert (secured.version(), secured.session_reused) == (name, reused), (secured.version(), secured.session_reused)
                    session = secured.session


def by_websockets(suite):
    async def talk():
        context = ssl.create_default_context(cafile=suite.authority.ca)
        headers = {"Authorization": f"Bearer {suite.keys['good']['key']}"}
        url = f"wss://localhost:{suite.gateway.secure}/wspy/echo"
        async with connect(url, ssl=context, additional_headers=headers, max_size=None, proxy=None) as socket:
            for message in ("hello", "x" * (4 << 20)):
                await socket.send(message)
                assert await socket.recv() == message

    asyncio.run(asyncio.wait_for(talk(), 60))


def to_nginx(suite):
    for client in suite.clients:
        reply = client.fetch(suite.gateway.base + "/sealed/data.json", headers=suite.credential())
        direct = client.fetch(suite.direct(FILE))
        assert (reply.status, reply.sha256) == (200, direct.sha256), reply
    reply = suite.fetch(suite.curl, "/sealed/200mb.bin")
    assert reply.sha256 == suite.curl.fetch(suite.direct("/files/200mb.bin")).sha256
    reply = suite.fetch(suite.curl, "/unsealed/data.json")
    assert reply.status == 502 and b"upstream_unreachable" in reply.body, reply


def to_backend(suite, backend):
    body = b"y" * 300_000
    for client in suite.clients:
        for _ in range(7):  # node ends each connection after five
            url = f"{suite.gateway.base}/sealed/{backend}/echo"
            reply = client.fetch(url, "POST", [*suite.credential(), ("Content-Type", "application/octet-stream")], body)
            told = json.loads(reply.body)
            assert (reply.status, told["method"]) == (200, "POST"), reply
            raw = told.get("rawHeaders")
            pairs = zip(raw[::2], raw[1::2]) if raw else told["headers"]
            headers = {name.lower(): value for name, value in pairs}
            assert headers["content-length"] == str(len(body)) and "authorization" not in headers, headers


NODE = """
const [base, ca, key] = process.argv.slice(1), fs = require("fs"), h2 = require("http2"), https = require("https");
const authorization = `Bearer ${key}`, options = { ca: fs.readFileSync(ca) };
https.get(`${base}/files/data.json`, { ...options, headers: { authorization } }, (answer) => {
    let one = 0;
    answer.on("data", (piece) => (one += piece.length)).on("end", () => {
        const session = h2.connect(base, options), request = session.request({ ":path": "/files/data.json", authorization });
        let two = 0, status;
        request.on("response", (fields) => (status = fields[":status"]));
        request.on("data", (piece) => (two += piece.length)).on("end", () => {
            console.log(JSON.stringify([answer.statusCode, one, status, two]));
            session.close();
        });
    });
});
"""


def by_node(suite):
    command = [tool("node"), "-e", NODE, base(suite), suite.authority.ca, suite.keys["good"]["key"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    length = len(suite.curl.fetch(suite.direct(FILE)).body)
    assert done.stdout and json.loads(done.stdout) == [200, length, 200, length], (done.stdout, done.stderr)


def by_h2load(suite):
    for protocols in ("h2", "http/1.1"):
        command = [tool("h2load"), "-n", "2000", "-c", "8", "-m", "10", f"--npn-list={protocols}"]
        command += ["-H", f"authorization: Bearer {suite.keys['good']['key']}", base(suite) + FILE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, (done.stdout, done.stderr)
        assert "status codes: 2000 2xx" in done.stdout, done.stdout


def in_clear(suite):
    reply = suite.curl.fetch(f"http://localhost:{suite.gateway.secure}/")
    assert reply.status == 400 and b"https://" in reply.body, reply


def renewed(suite):
    context = ssl.create_default_context(cafile=suite.authority.ca)

    def shown():
        with socket.create_connection(("127.0.0.1", suite.gateway.secure), 20) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as secured:
                return secured.getpeercert()["serialNumber"]

    before = shown()
    with socket.create_connection(("127.0.0.1", suite.gateway.secure), 20) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as kept:
            suite.authority.issue("gateway")
            wait_until("the new certificate", lambda: shown() != before)
            kept.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert kept.recv(12) == b"HTTP/1.1 404", "the connection did not outlive the renewal"


def by_sslyze(suite):
    out = suite.services.folder / "sslyze.json"
    scans = "sslv2 sslv3 tlsv1 tlsv1_1 tlsv1_2 tlsv1_3 compression early_data openssl_ccs fallback heartbleed robot reneg ems".split()
    command = [Path(sys.executable).parent / "sslyze", "--json_out", out, *(f"--{scan}" for scan in scans)]
    command.append(f"localhost:{suite.gateway.secure}")
    subprocess.run(command, capture_output=True, timeout=120)
    (scan,) = json.loads(out.read_text())["server_scan_results"]
    found = {name: part["result"] for name, part in scan["scan_result"].items() if part["status"] == "COMPLETED"}
    spoken = {name for name, result in found.items() if name.endswith("cipher_suites") and result["accepted_cipher_suites"]}
    assert spoken == {"tls_1_2_cipher_suites", "tls_1_3_cipher_suites"}, spoken
    for name in spoken:
        suites = [one["cipher_suite"]["name"] for one in found[name]["accepted_cipher_suites"]]
        assert all("GCM" in suite or "CHACHA20" in suite for suite in suites), suites
    assert not found["heartbleed"]["is_vulnerable_to_heartbleed"]
    assert not found["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"]
    assert found["robot"]["robot_result"].startswith("NOT_VULNERABLE"), found["robot"]
    assert not found["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"]
    assert found["session_renegotiation"]["supports_secure_renegotiation"]
    assert not found["tls_compression"]["supports_compression"]
    assert not found["tls_1_3_early_data"]["supports_early_data"]
    assert found["tls_fallback_scsv"]["supports_fallback_scsv"]
    assert found["tls_extended_master_secret"]["supports_ems_extension"]


def by_testssl(suite):
    out = suite.services.folder / "testssl.json"
    # What it would look for in answers (-h) is the backends' matter.
    command = [tool("testssl"), "--quiet", "--color", "0", "--warnings", "off", "--jsonfile", out]
    command += ["-p", "-s", "-f", "-P", "-S", "-U", f"https://localhost:{suite.gateway.secure}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    findings = json.loads(out.read_text())
    assert len(findings) > 50, done.stdout
    grave = [one for one in findings if one["severity"] in GRAVE and one["id"] not in OF_THE_AUTHORITY]
    assert not grave, "\n".join(f"{one['id']} {one['severity']}: {one['finding']}" for one in grave)
