#!/usr/bin/python3
"""QuDAG beside go-libp2p, rust-libp2p and js-libp2p in one run: handshakes, bytes, and memory of idle links.

    tests/interop/interop_bench.py [--runs N] [--mib N] [--handshakes N] [--links N] [--only KIND]

Two processes of one implementation on loopback, one run of each after the other, then again; medians of these.  Each
lives with two threads' worth of processors at most, as the machine has them; nothing is pinned.  Ours is measured with
classical TLS ("off", what the others have, but for go's hybrid key exchange) and post-quantum on both sides
("require").  An idle link: what the resident memory of both processes grows by, divided by two and by the links.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import peers
from peers import Peer

QUIC, TCP = "/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"
# name: implementation, our policy
KINDS = {"ours, off": ("ours", "off"), "ours, require": ("ours", "require"), "go": ("go", ""), "rust": ("rust", ""), "js": ("js", "")}
WAYS = {"QUIC": (QUIC, "both"), "TCP, TLS, yamux": (TCP, "tls")}
SECONDS = 300


def peer(kind, way, name):
    what, pq = KINDS[kind]
    listen, security = WAYS[way]
    more = ["--pq", pq] if what == "ours" else ["--sec", security, "--kad", "off"]
    return Peer([*peers.COMMAND[what], "--listen", listen, *more], f"{what}-{name}")


def pair(kind, way):
    return peer(kind, way, "a"), peer(kind, way, "b")


def end(*all_peers):
    for p in all_peers:
        p.kill()


def handshakes(kind, way, a):
    one, other = pair(kind, way)
    one.ok("handshakes", other.addr, 5)  # what is made once
    us = int(one.ok("handshakes", other.addr, a.handshakes, seconds=SECONDS))
    end(one, other)
    return {"handshakes/s": a.handshakes * 1e6 / us}


def stream(kind, way, a):
    one, other = pair(kind, way)
    one.ok("connect", other.addr)
    one.ok("pour", other.id, 8 << 20)
    before = one.cpu_s(), other.cpu_s()
    us = int(one.ok("pour", other.id, a.mib << 20, seconds=SECONDS))
    gb = (a.mib << 20) / 1e9
    cpu = (one.cpu_s() - before[0]) / gb, (other.cpu_s() - before[1]) / gb
    end(one, other)
    return {"MB/s": gb * 1e9 / us, "CPU s/GB, sends": cpu[0], "CPU s/GB, takes": cpu[1]}


def idle_links(kind, way, a):
    """Many dial one: what it takes at the one that is dialled."""
    one = peer(kind, way, "a")
    all_peers = [peer(kind, way, "b") for _ in range(a.links)]
    warm = all_peers.pop()
    warm.ok("connect", one.addr)
    time.sleep(1)
    before = one.rss()
    for p in all_peers:
        p.ok("connect", one.addr)
    time.sleep(2)
    grown = (one.rss() - before) / len(all_peers) / 1024
    end(one, warm, *all_peers)
    return {"KiB of an idle link": grown}


def run(a):
    found = {}
    for turn in range(a.runs):
        for kind in KINDS:
            if KINDS[kind][0] not in peers.COMMAND or (a.only and KINDS[kind][0] != a.only):
                continue
            for way in WAYS:
                for measure in (handshakes, stream, *((idle_links,) if turn == 0 and a.links > 1 else ())):
                    try:
                        result = measure(kind, way, a)
                    except AssertionError as err:
                        print(f"{kind}, {way}, {measure.__name__}: {str(err)[:200]}", file=sys.stderr)
                        continue
                    finally:
                        Peer.all.clear()
                    for name, value in result.items():
                        found.setdefault((way, kind), {}).setdefault(name, []).append(value)
        print(f"turn {turn + 1} of {a.runs}, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return found


def table(found):
    names = list(dict.fromkeys(n for row in found.values() for n in row))
    print("| | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
    for (way, kind), row in sorted(found.items(), key=lambda r: (list(WAYS).index(r[0][0]), list(KINDS).index(r[0][1]))):
        cells = [f"{statistics.median(row[n]):.{1 if 'CPU' in n else 0}f}" if n in row else "" for n in names]
        print(f"| {way}: {kind} | " + " | ".join(cells) + " |")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--mib", type=int, default=512)
    p.add_argument("--handshakes", type=int, default=200)
    p.add_argument("--links", type=int, default=9, help="that are idle at one peer; 0: not measured")
    p.add_argument("--only", choices=("ours", *peers.GET))
    a = p.parse_args()
    peers.get_all()
    with tempfile.TemporaryDirectory() as Peer.folder:
        peers.build_ours(Peer.folder)
        table(run(a))


main()
