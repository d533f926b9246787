"""libtorrent at work for the benchmarks that are no transfers, driven by its command line.

    lt_bench.py check FILE.torrent DIR [--threads N]   `checked WALL CPU` (seconds), and ends
    lt_bench.py make  DATA TORRENTS                    a torrent for each file of a folder
    lt_bench.py many  DATA TORRENTS                    `seeding` when all of them do; until SIGTERM
    lt_bench.py seed  FILE.torrent DIR --peers N       `ready`, with room for N peers; until SIGTERM

Files that are there are trusted but for `check`. DHT, local discovery, port mapping and uTP are off.
"""

import argparse
import os
import resource
import signal
import time

import libtorrent as lt


def say(line):
    print(line, flush=True)


def session(**more):
    settings = {
        "listen_interfaces": "0.0.0.0:6881",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        "alert_mask": 0,
    }
    settings.update(more)
    return lt.session(settings)


def params(torrent, folder):
    added = lt.add_torrent_params()
    added.ti = lt.torrent_info(torrent)
    added.save_path = folder
    flags = lt.torrent_flags
    added.flags &= ~(flags.auto_managed | flags.paused)
    added.flags |= flags.disable_dht | flags.disable_lsd | flags.seed_mode
    return added


def wait_for_seeding(handle):
    while not handle.status().is_seeding:
        time.sleep(0.005)


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def check(args):
    more = {"hashing_threads": args.threads} if args.threads else {}
    ses = session(**more)
    handle = ses.add_torrent(params(args.torrent, args.dir))
    wait_for_seeding(handle)
    start, used = time.monotonic(), cpu()
    handle.force_recheck()
    while handle.status().is_seeding:
        time.sleep(0.0005)
    wait_for_seeding(handle)
    say(f"checked {time.monotonic() - start:.4f} {cpu() - used:.4f}")


def make(args):
    os.makedirs(args.torrents, exist_ok=True)
    for name in sorted(os.listdir(args.data)):
        storage = lt.file_storage()
        lt.add_files(storage, os.path.join(args.data, name))
        torrent = lt.create_torrent(storage, 0, lt.create_torrent.v1_only)
        lt.set_piece_hashes(torrent, args.data)
        with open(os.path.join(args.torrents, name + ".torrent"), "wb") as out:
            out.write(lt.bencode(torrent.generate()))


def many(args):
    ses = session(active_limit=-1, active_seeds=-1)
    names = sorted(os.listdir(args.torrents))
    handles = [
        ses.add_torrent(params(os.path.join(args.torrents, name), args.data)) for name in names
    ]
    for handle in handles:
        wait_for_seeding(handle)
    say("seeding")
    serve()


def seed(args):
    ses = session(connections_limit=args.peers * 2, unchoke_slots_limit=-1)
    handle = ses.add_torrent(params(args.torrent, args.dir))
    handle.set_max_connections(args.peers * 2)
    wait_for_seeding(handle)
    say("ready")
    serve()


def serve():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        signal.pause()


def main():
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    p = verbs.add_parser("check")
    p.add_argument("torrent")
    p.add_argument("dir")
    p.add_argument("--threads", type=int, default=0)
    for verb in ("make", "many"):
        p = verbs.add_parser(verb)
        p.add_argument("data")
        p.add_argument("torrents")
    p = verbs.add_parser("seed")
    p.add_argument("torrent")
    p.add_argument("dir")
    p.add_argument("--peers", type=int, default=500)
    args = parser.parse_args()
    {"check": check, "make": make, "many": many, "seed": seed}[args.verb](args)


main()
