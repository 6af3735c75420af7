"""How much of a processor a student's code had: who had one and was late, was late by itself and not by neighbours."""

import time
from contextlib import suppress
from threading import Event, Thread

import psutil


class ProcessorTime:
    """Looks once in a while at all processes that this one has started, directly or not."""

    def __init__(self, every: float = 0.5):
        self.every, self.began, self.used, self.done = every, time.monotonic(), {}, Event()
        Thread(target=self.watch, daemon=True).start()

    def watch(self) -> None:
        here = psutil.Process()
        while not self.done.wait(self.every):
            with suppress(psutil.Error):
                for each in here.children(recursive=True):
                    times = each.cpu_times()
                    self.used[each.pid, each.create_time()] = times.user + times.system

    def share(self) -> float:
        """Seconds of a processor for each second since the beginning; looking ends here."""
        self.done.set()
        return sum([*self.used.values()]) / max(time.monotonic() - self.began, 1e-9)
