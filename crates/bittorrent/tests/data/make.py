"""Makes the torrents in this folder with libtorrent: python3 -m venv v && v/bin/pip install
libtorrent==2.1.1 && v/bin/python make.py. The test builds.rs makes the same files and torrents."""
import os
import tempfile
import libtorrent as lt

Flags = lt.create_torrent


def content(size, seed):
    return bytes((i * seed * 7 + i // 256 * seed + seed) & 255 for i in range(size))


def write(base, path, size, seed):
    path = os.path.join(base, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content(size, seed))
    os.chmod(path, 0o755 if path.endswith("run") else 0o644)


def make(base, name, target, piece_size, flags):
    files = lt.list_files(os.path.join(base, name), lambda path: True, flags | Flags.symlinks)
    torrent = lt.create_torrent(files, piece_size, flags | Flags.symlinks)
    torrent.set_creator("libtorrent 2.1.1")
    torrent.set_comment("made for comparison")
    torrent.set_creation_date(1_700_000_000)
    torrent.add_tracker("http://one.example/announce", 0)
    torrent.add_tracker("udp://two.example:6969/announce", 1)
    torrent.add_url_seed("http://seed.example/")
    lt.set_piece_hashes(torrent, base)
    with open(os.path.join(os.path.dirname(__file__), target), "wb") as out:
        out.write(lt.bencode(torrent.generate()))


with tempfile.TemporaryDirectory() as base:
    write(base, "one.bin", 150_000, 3)
    write(base, "tiny.txt", 5, 2)
    write(base, "box/B", 3, 13)
    write(base, "box/a.txt", 100, 7)
    write(base, "box/b/empty", 0, 1)
    write(base, "box/b/two.txt", 20_000, 5)
    write(base, "box/c.bin", 65_536, 9)
    write(base, "box/run", 33_000, 11)
    os.symlink("b/two.txt", os.path.join(base, "box/link"))
    for name in ["one.bin", "tiny.txt", "box"]:
        stem = name.split(".")[0]
        make(base, name, f"{stem}-hybrid-16k.torrent", 16_384, 0)
        make(base, name, f"{stem}-v2-64k.torrent", 65_536, Flags.v2_only)
        if name != "box":  # libtorrent orders the files of a v1 torrent otherwise
            make(base, name, f"{stem}-v1-32k.torrent", 32_768, Flags.v1_only)
