"""A libtorrent peer for the tests and benchmarks, driven by its command line.

    lt_peer.py make DATA OUT.torrent --format v1|v2|hybrid [--piece BYTES] [--tracker URL]... [--web-seed URL]...
    lt_peer.py show FILE.torrent
    lt_peer.py run  SOURCE DIR [--port N] [--peer HOST:PORT]... [--seed] [--lsd] [--slow] [--exit]
                   [--encryption plain|handshake|preferred|required] [--utp] [--dht HOST:PORT|first]
    lt_peer.py node [--port N] [--dht HOST:PORT|first]

`make` and `show` print one line of JSON: the info-hashes and the magnet link. `run` prints `ready` when it
listens, `progress PART PEERS BYTES-SENT` ten times a second, and `complete` once when it has everything;
with --exit it ends there, else it serves until SIGTERM. Port mapping is off, local discovery unless --lsd
is given, the DHT unless --dht names a node to begin with (or says that this is the first): the peers it meets
are those of the tracker and of the command line.

`node` is a node of the DHT and nothing else. It prints `ready`, then `nodes N` when that changes, and does what
its standard input says, a line each: `put TEXT` (prints `put TARGET NODES`), `get TARGET` (prints
`item TARGET VALUE`), `peers INFO-HASH` (prints `peers INFO-HASH ADDR...`), `sign SECRET KEY SALT TEXT` (puts it
with the next number; prints `signed SALT NUMBER NODES`), `newest KEY SALT` (prints `newest SALT NUMBER VALUE`).
Keys are hexadecimal, and `-` is no salt. It ends with its input.

Works with Debian's python3-libtorrent 2.0 and with 2.1 from PyPI.
"""

import argparse
import json
import os
import select
import signal
import sys
import time

import libtorrent as lt


def say(line):
    print(line, flush=True)


def make(args):
    data = os.path.abspath(args.data)
    storage = lt.file_storage()
    lt.add_files(storage, data)
    flags = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only, "hybrid": 0}
    torrent = lt.create_torrent(storage, args.piece, flags[args.format])
    for tier, url in enumerate(args.tracker):
        torrent.add_tracker(url, tier)
    for url in args.web_seed:
        torrent.add_url_seed(url)
    lt.set_piece_hashes(torrent, os.path.dirname(data))
    with open(args.out, "wb") as out:
        out.write(lt.bencode(torrent.generate()))
    show(args.out)


def show(path):
    info = lt.torrent_info(path)
    hashes = info.info_hashes()
    say(json.dumps({
        "v1": str(hashes.v1) if hashes.has_v1() else None,
        "v2": str(hashes.v2) if hashes.has_v2() else None,
        "magnet": lt.make_magnet_uri(info),
        "pieces": info.num_pieces(),
    }))


def session(port, v6, lsd, encryption, dht=None, utp=False):
    interfaces = f"0.0.0.0:{port},[::]:{port}" if v6 else f"0.0.0.0:{port}"
    settings = {
        "listen_interfaces": interfaces,
        "enable_dht": False,
        "enable_lsd": lsd,
        "enable_upnp": False,
        "enable_natpmp": False,
        # One alone: each is another comparison.
        "enable_outgoing_utp": utp,
        "enable_incoming_utp": utp,
        "enable_outgoing_tcp": not utp,
        "enable_incoming_tcp": not utp,
        "announce_to_all_trackers": True,
        "announce_to_all_tiers": True,
        "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.status_notification,
    }
    if encryption:
        policy, level = {
            "plain": (lt.enc_policy.disabled, lt.enc_level.both),
            "handshake": (lt.enc_policy.forced, lt.enc_level.plaintext),
            "preferred": (lt.enc_policy.enabled, lt.enc_level.both),
            "required": (lt.enc_policy.forced, lt.enc_level.rc4),
        }[encryption]
        settings.update({
            "out_enc_policy": int(policy), "in_enc_policy": int(policy), "allowed_enc_level": int(level),
        })
    if dht:
        settings.update({
            "enable_dht": True,
            # Those that are named so are asked, and never kept.
            "dht_bootstrap_nodes": "",
            # It is told before it knows a node, and would wait for a quarter of an hour.
            "dht_announce_interval": 5,
            # All are neighbours on a private network.
            "dht_prefer_verified_node_ids": False,
            "dht_restrict_routing_ips": False,
            "dht_restrict_search_ips": False,
            "dht_ignore_dark_internet": False,
        })
        category = lt.alert.category_t
        settings["alert_mask"] |= category.dht_notification | category.dht_operation_notification
    return lt.session(settings)


def meet(ses, dht):
    """Tells a node that knows nobody where another one is; to be called again and again."""
    if dht and dht != "first" and ses.status().dht_nodes == 0:
        host, _, port = dht.rpartition(":")
        ses.add_dht_node((host, int(port)))


def salt_of(salt):
    return (salt.decode() if isinstance(salt, bytes) else salt) or "-"


def node(args):
    ses = session(args.port, False, False, None, args.dht)
    say("ready")
    known, buffered, met = -1, b"", 0.0
    while True:
        if time.monotonic() - met > 0.5:
            met = time.monotonic()
            meet(ses, args.dht)
        for alert in ses.pop_alerts():
            if isinstance(alert, lt.dht_put_alert):
                if any(alert.public_key):
                    say(f"signed {salt_of(alert.salt)} {alert.seq} {alert.num_success}")
                else:
                    say(f"put {alert.target} {alert.num_success}")
            elif isinstance(alert, lt.dht_mutable_item_alert):
                found = alert.item
                # Once for what was found so far, and once when all nodes have been asked.
                if found["value"] and found["authoritative"]:
                    say(f"newest {salt_of(found['salt'])} {found['seq']} {found['value'].decode()}")
            elif isinstance(alert, lt.dht_immutable_item_alert):
                value = alert.item
                value = value.get("value") if isinstance(value, dict) else value
                if value:
                    say(f"item {alert.target} {value.decode()}")
            elif isinstance(alert, lt.dht_get_peers_reply_alert):
                addrs = " ".join(f"{host}:{port}" for host, port in alert.peers())
                say(f"peers {alert.info_hash} {addrs}")
        nodes = ses.status().dht_nodes
        if nodes != known:
            known = nodes
            say(f"nodes {nodes}")
        if not select.select([0], [], [], 0.05)[0]:
            continue
        read = os.read(0, 65536)
        if not read:
            return
        *lines, buffered = (buffered + read).split(b"\n")
        for line in lines:
            verb, _, rest = line.decode().partition(" ")
            if verb == "put":
                ses.dht_put_immutable_item(rest)
            elif verb == "get":
                ses.dht_get_immutable_item(lt.sha1_hash(bytes.fromhex(rest)))
            elif verb == "sign":
                secret, key, salt, text = rest.split(" ", 3)
                salt = b"" if salt == "-" else salt.encode()
                ses.dht_put_mutable_item(bytes.fromhex(secret), bytes.fromhex(key), text.encode(), salt)
            elif verb == "newest":
                key, salt = rest.split(" ")
                ses.dht_get_mutable_item(bytes.fromhex(key), b"" if salt == "-" else salt.encode())
            elif verb == "peers":
                ses.dht_get_peers(lt.sha1_hash(bytes.fromhex(rest)))


def run(args):
    if args.source.startswith("magnet:"):
        params = lt.parse_magnet_uri(args.source)
    else:
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(args.source)
    params.save_path = args.dir
    flags = lt.torrent_flags
    params.flags &= ~(flags.auto_managed | flags.paused)
    if not args.dht:
        params.flags |= flags.disable_dht
    if not args.lsd:
        params.flags |= flags.disable_lsd
    if args.seed:
        params.flags |= flags.seed_mode

    ses = session(
        args.port, not args.no_v6, args.lsd, "required" if args.encrypted else args.encryption,
        args.dht,
        args.utp,
    )
    if args.slow:
        params.download_limit = 1000
    handle = ses.add_torrent(params)
    for peer in args.peer:
        host, _, port = peer.rpartition(":")
        handle.connect_peer((host.strip("[]"), int(port)))

    stopped = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.append(True))
    say("ready")

    complete = False
    said = 0.0
    while not stopped:
        ses.wait_for_alert(20)
        for alert in ses.pop_alerts():
            if alert.category() & lt.alert.category_t.error_notification:
                print(alert.message(), file=sys.stderr, flush=True)
        status = handle.status()
        if not complete and status.has_metadata and status.is_seeding:
            complete = True
            say("complete")
            if args.exit:
                break
        if time.monotonic() - said > 0.1:
            said = time.monotonic()
            meet(ses, args.dht)
            say(f"progress {status.progress:.4f} {status.num_peers} {status.total_payload_upload}")
        if complete:
            # Serving needs nothing from this thread.
            ses.wait_for_alert(50)


def main():
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    p = verbs.add_parser("make")
    p.add_argument("data")
    p.add_argument("out")
    p.add_argument("--format", choices=["v1", "v2", "hybrid"], default="v1")
    p.add_argument("--piece", type=int, default=0)
    p.add_argument("--tracker", action="append", default=[])
    p.add_argument("--web-seed", action="append", default=[])
    p = verbs.add_parser("show")
    p.add_argument("file")
    p = verbs.add_parser("run")
    p.add_argument("source")
    p.add_argument("dir")
    p.add_argument("--port", type=int, default=6881)
    p.add_argument("--peer", action="append", default=[])
    p.add_argument("--seed", action="store_true", help="trust the files; do not check them first")
    p.add_argument("--lsd", action="store_true", help="look for peers on the local network")
    p.add_argument("--slow", action="store_true", help="fetch next to nothing")
    p.add_argument("--exit", action="store_true")
    p.add_argument("--encryption", choices=["plain", "handshake", "preferred", "required"])
    p.add_argument("--no-v6", action="store_true")
    p.add_argument("--utp", action="store_true", help="uTP instead of TCP")
    p.add_argument("--encrypted", action="store_true", help="the same as --encryption required")
    p.add_argument("--dht", help="a node of the DHT to begin with, or `first`")
    p = verbs.add_parser("node")
    p.add_argument("--port", type=int, default=6881)
    p.add_argument("--dht", default="first", help="a node to begin with, or `first`")
    args = parser.parse_args()
    if args.verb == "make":
        make(args)
    elif args.verb == "show":
        show(args.file)
    elif args.verb == "node":
        node(args)
    else:
        run(args)


main()
