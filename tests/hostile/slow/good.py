#!/usr/bin/env python3
"""Good clients at a steady rate, half of them on connections that stay, half on new ones.

    good.py HOST PORT AUTHORIZATION RATE

Runs until its standard input ends; then prints, as JSON, for each request when it was due, how many seconds after that
its answer was complete, and what was wrong with it, if anything was.
"""

import http.client
import json
import socket
import sys
import threading
import time

THREADS = 4
PATIENCE = 10  # seconds


class Good:
    def __init__(self, host, port, authorization, rate):
        self.address = (host, port)
        self.fields = {"Authorization": authorization}
        self.pause = THREADS / rate
        self.stop = threading.Event()
        self.told = []

    def run(self):
        threads = [threading.Thread(target=self.client, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        self.stop.set()
        for thread in threads:
            thread.join()
        json.dump(sorted(self.told), sys.stdout)

    def client(self, number):
        kept = self.connect()
        due = time.monotonic() + self.pause * number / THREADS
        turn = 0
        while not self.stop.wait(max(0, due - time.monotonic())):
            turn += 1
            target = f"/other/good/{number}/{turn}"
            connection = kept if turn % 2 else self.connect()
            try:
                connection.request("GET", target, headers=self.fields)
                answer = connection.getresponse()
                body = answer.read().decode()
                wrong = "" if (answer.status, body) == (200, target) else f"{answer.status} {body[:80]}"
            except (OSError, http.client.HTTPException) as error:
                wrong = repr(error)
                connection.close()
            self.told.append((due, time.monotonic() - due, wrong))
            if connection is not kept:
                connection.close()
            due += self.pause

    def connect(self):
        """Opened with its first request; opened again when the server has closed it, as every client does."""
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE)
        connection.connect = lambda: connect(connection)
        return connection


def connect(connection):
    connection.sock = socket.create_connection((connection.host, connection.port), connection.timeout)
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


if __name__ == "__main__":
    host, port, authorization, rate = sys.argv[1:]
    Good(host, int(port), authorization, float(rate)).run()
