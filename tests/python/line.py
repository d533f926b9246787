"""A line between two hosts for datagrams, for measuring uTP where the kernel has no netem.

    line.py LISTEN-PORT HOST:PORT RATE-MBIT DELAY-MS QUEUE-MS LOSS-PERCENT

What comes to LISTEN-PORT goes on to HOST:PORT, and what comes back goes to whom it heard last. Each way
has the rate, the delay, a queue of so many milliseconds and its own losses.
"""

import collections
import random
import select
import socket
import sys
import time

# Bytes of Ethernet, IPv4 and UDP around each payload.
HEADERS = 46


def main():
    port, target, rate, delay, queue, loss = sys.argv[1:]
    host, _, target_port = target.rpartition(":")
    target = (host, int(target_port))
    rate, delay, queue = float(rate) * 1e6 / 8, float(delay) / 1e3, float(queue) / 1e3
    loss = float(loss) / 100
    sides = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for offset, side in enumerate(sides):
        side.setblocking(False)
        side.bind(("0.0.0.0", int(port) + offset))
    client = None
    under_way = [collections.deque(), collections.deque()]
    free = [0.0, 0.0]
    while True:
        now = time.monotonic()
        due = min((way[0][0] for way in under_way if way), default=now + 1)
        readable, _, _ = select.select(sides, [], [], max(0.0, min(due - now, 1.0)))
        now = time.monotonic()
        for side in readable:
            at = sides.index(side)
            for _ in range(256):
                try:
                    data, sender = side.recvfrom(65535)
                except BlockingIOError:
                    break
                if at == 0:
                    client = sender
                begins = max(free[at], now)
                if random.random() < loss or begins - now > queue:
                    continue
                free[at] = begins + (len(data) + HEADERS) / rate
                under_way[at].append((free[at] + delay, data))
        now = time.monotonic()
        for at, way in enumerate(under_way):
            to = target if at == 0 else client
            while way and way[0][0] <= now:
                sides[1 - at].sendto(way.popleft()[1], to)


main()
