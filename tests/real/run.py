#!/usr/bin/env python3
"""Real clients through the real gateway to real servers, compared byte for byte with what the servers answer directly.

    run.py --keyward target/debug/keyward     everything
    run.py --direct                           without the gateway: shows that the drivers themselves hold
    run.py … --only WORDS                     checks whose name has WORDS
"""

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

import assertions
import console
import forwarding
import grpc_calls
import page
import refusals
import tls
import tunnels
from services import Gateway, Services
from suite import Suite


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--keyward", metavar="BIN")
    options.add_argument("--direct", action="store_true")
    options.add_argument("--only", default="", metavar="WORDS")
    options = options.parse_args()
    if bool(options.keyward) == options.direct:
        sys.exit("give --keyward BIN or --direct")

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="keyward-real-") as folder, Services(folder) as services:
        # nginx starts as root and serves as another user on some machines.
        Path(folder).chmod(0o755)
        gateway = None if options.direct else Gateway(services, options.keyward)
        authority = tls.Authority(Path(folder) / "tls")
        for name in ("gateway", "nginx"):
            authority.issue(name)
        services.start_backends(gateway.base if gateway else "")
        suite = Suite(services, gateway, options.only)
        suite.authority = authority
        try:
            if gateway:
                gateway.prepare()
                suite.make_keys()
                gateway.serve()
            forwarding.checks(suite)
            tunnels.checks(suite)
            grpc_calls.checks(suite)
            assertions.checks(suite)
            console.checks(suite)
            page.checks(suite)
            tls.checks(suite)
            refusals.checks(suite)
        except Exception:
            traceback.print_exc()
            suite.failed += 1
            if gateway:
                print("--- the gateway's last words ---", services.log("keyward")[-4000:], sep="\n")
    left_out = f", {suite.left_out} left out that need the gateway" if suite.left_out else ""
    print(f"real: {suite.passed} passed, {suite.failed} failed{left_out} ({time.monotonic() - began:.0f} s)")
    sys.exit(1 if suite.failed or not suite.passed else 0)


if __name__ == "__main__":
    main()
