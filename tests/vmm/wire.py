# SPDX-License-Identifier: ISC
"""A wire between a guest and a tap that loses frames and has them overtake one another."""
import os
import random
import select
import socket
import threading

from monitor import open_tap

LARGEST = 70000
HOLD_S = 0.003


class Wire:
    """`end` is for the guest. One frame in `loses` is lost; one in `holds` waits for the next one to
    overtake it, or for a while. Large frames count as one: what is lost is often a whole window, which
    the guest sends again only after a second."""

    def __init__(self, tap, loses=250, holds=8, seed=1):
        self.tap, self.loses, self.holds = open_tap(tap, True), loses, holds
        self.random, self.harmed = random.Random(seed), 0
        self.near, self.end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for side in (self.near, self.end):
            side.setblocking(False)
            side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self.ways = {self.tap: self.near.fileno(), self.near.fileno(): self.tap}
        self.held = dict.fromkeys(self.ways)
        self.stop_read, self.stop_write = os.pipe()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        os.close(self.stop_write)
        self.thread.join()
        for file in (self.tap, self.stop_read, self.near.detach(), self.end.detach()):
            os.close(file)

    def _write(self, source, frame):
        try:
            os.write(self.ways[source], frame)
        except (BlockingIOError, ConnectionError):
            self.harmed += 1

    def _let_go(self, source):
        frame, self.held[source] = self.held[source], None
        if frame:
            self._write(source, frame)

    def _pass_on(self, source):
        frame = os.read(source, LARGEST)
        if self.random.randrange(self.loses) == 0:
            self.harmed += 1
        elif not self.held[source] and self.random.randrange(self.holds) == 0:
            self.held[source] = frame
            self.harmed += 1
        else:
            self._write(source, frame)
            self._let_go(source)

    def _run(self):
        while True:
            ready, _, _ = select.select([*self.ways, self.stop_read], [], [], HOLD_S)
            if self.stop_read in ready:
                return
            for source in self.ways:
                if source in ready:
                    self._pass_on(source)
                elif not ready:
                    self._let_go(source)
