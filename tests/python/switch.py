"""An Ethernet switch whose hosts are far from each other: delays, losses, and cables that are cut.

Usage: switch.py COUNT SEED. It makes taps far1 to farCOUNT in the namespace it runs in, says "ready", and
then passes frames on. Two hosts are always 10 to 100 ms from each other, as far as their numbers and the
seed say (so nothing overtakes anything). Commands on standard input, a line each:

    lose PERCENT        of all frames that pass from now on, drawn at random
    split N             hosts 1 to N see each other, and the others each other
    heal                all see each other again
    cut N               host N sees nobody any more, and nobody sees it

Each is answered by a line "done". It ends with its standard input.
"""

import fcntl
import heapq
import os
import random
import selectors
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
FRAME_BYTES_MAX = 2048
# Frames on their way; what comes beyond is lost, as in any queue.
UNDER_WAY_MAX = 100_000
MILLISECONDS = (10, 100)


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def main():
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(seed)
    taps = [tap(f"far{number}") for number in range(1, count + 1)]
    delay = {}
    for one in range(count):
        for other in range(one):
            delay[one, other] = delay[other, one] = chance.uniform(*MILLISECONDS) / 1000
    where = {}
    lost, side, cut = 0.0, None, set()
    # When, which (so that nothing overtakes), to whom, what.
    under_way, turn = [], 0
    watch = selectors.DefaultSelector()
    for port, fd in enumerate(taps):
        watch.register(fd, selectors.EVENT_READ, port)
    watch.register(sys.stdin, selectors.EVENT_READ, None)
    print("ready", flush=True)
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        for key, _ in watch.select(wait):
            if key.data is None:
                words = sys.stdin.readline().split()
                if not words:
                    return
                if words[0] == "lose":
                    lost = float(words[1]) / 100
                elif words[0] == "split":
                    side = int(words[1])
                elif words[0] == "heal":
                    side = None
                elif words[0] == "cut":
                    cut.add(int(words[1]) - 1)
                print("done", flush=True)
                continue
            port = key.data
            while True:
                try:
                    frame = os.read(key.fd, FRAME_BYTES_MAX)
                except BlockingIOError:
                    break
                except OSError:
                    # The host is gone, and its tap with it.
                    watch.unregister(key.fd)
                    break
                where[frame[6:12]] = port
                to = where.get(frame[0:6])
                ports = range(count) if to is None else (to,)
                now = time.monotonic()
                for other in ports:
                    if other == port or other in cut or port in cut:
                        continue
                    if side is not None and (other < side) != (port < side):
                        continue
                    if chance.random() < lost or len(under_way) >= UNDER_WAY_MAX:
                        continue
                    turn += 1
                    heapq.heappush(under_way, (now + delay[port, other], turn, other, frame))
        now = time.monotonic()
        while under_way and under_way[0][0] <= now:
            _, _, port, frame = heapq.heappop(under_way)
            try:
                os.write(taps[port], frame)
            except OSError:
                # Its queue is full, or the host is gone.
                pass


main()
