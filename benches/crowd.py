"""Many clients at once, each in a thread of its own, while a `with` block lasts."""

import threading


class Crowd:
    """`run(number)` is one client's life; it ends soon after `self.over` is set."""

    def __init__(self, proxy, count):
        self.proxy, self.over = proxy, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
