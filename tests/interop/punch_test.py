#!/usr/bin/python3
"""DCUtR with go-libp2p and rust-libp2p: a peer behind a router and another behind another one know each other through a relay,
and have a direct link soon after.

TEST: timeout=600 waits

    punch_test.py [go|rust ...]

Each as A, who dials, and as B, who is dialled, through a relay of ours and through one of theirs.  Skipped, and said so, where
namespaces cannot be made, or an implementation cannot be got.
"""

import os
import pathlib
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]
import hosts  # noqa: E402
import peers  # noqa: E402
from peers import Peer  # noqa: E402

WITHIN_S = 30  # go-libp2p looks for its public address every 5 s
PORT = 4433
KAD = ["--dht", "/interop/kad/1.0.0"]


class Home(hosts.Behind):
    """its router keeps ports and takes answers only: what a punch can pass"""

    RULES = hosts.Behind.RULES.replace("masquerade random", "masquerade")


def start(place, kind, name, *more):
    listen = f"/ip4/0.0.0.0/udp/{PORT}/quic-v1"
    command = list(peers.COMMAND[kind])
    if kind == "ours":
        command += ["--pq", "prefer", *KAD, "--listen", listen]
    else:
        command += ["--listen", listen, "--kad", "off", "--punch", "yes"]
    return Peer(place.command(*command, *more), f"{name}-{kind}")


def links(peer, other):
    """what |peer| says of each of its links with |other|"""
    return [w for w in peer.ok("links").split() if w.startswith(other.id)]


def is_relayed(link):
    return "relayed" in link or "circuit" in link


def direct(peer, other):
    return [w for w in links(peer, other) if not is_relayed(w)]


def case(number, places, dialler, dialled, relay_kind):
    """A |dialler|, B |dialled|, a relay of that kind -> seconds until both have a direct link"""
    relay_at, home_a, home_b = places
    relay = start(relay_at, relay_kind, f"{number}-relay", "--relay", "yes")
    b = start(home_b, dialled, f"{number}-b")
    a = start(home_a, dialler, f"{number}-a")
    at_relay = f"/ip4/{relay_at.v4}/udp/{PORT}/quic-v1/p2p/{relay.id}"
    try:
        a.ok("connect", at_relay)
        address = b.ok("reserve", at_relay)
        time.sleep(6)  # until all know where the relay sees them
        begun = time.monotonic()
        a.ok("connect", address)
        a.ok("open", b.id)
        relayed = time.monotonic() - begun
        while not (direct(a, b) and direct(b, a)):
            assert time.monotonic() - begun < WITHIN_S, f"only {links(a, b)}, {links(b, a)}"
            time.sleep(0.05)
        took = time.monotonic() - begun
        a.ok("streams", b.id, 10)
        print(f"ok: A {dialler}, B {dialled}, relay {relay_kind}: a stream after {relayed:.1f} s, direct after {took:.1f} s", flush=True)
    except AssertionError:
        if os.environ.get("KEEP_LOGS"):
            for p in (a, b, relay):
                print(f"--- {p.name}\n{p.logged()[-3000:]}")
        raise
    finally:
        for p in (a, b, relay):
            p.kill()


def main():
    hosts.enter()
    wanted = sys.argv[1:] or ["go", "rust"]
    missing = peers.get_all(tuple(wanted))
    with tempfile.TemporaryDirectory() as folder:
        Peer.folder = folder
        peers.build_ours(folder)
        places = hosts.Far(1), Home(2), Home(3)
        number, failed = 0, []
        for other in (w for w in wanted if w not in missing):
            for dialler, dialled in (("ours", other), (other, "ours")):
                for relay in ("ours", other):
                    if (dialler, relay) == ("rust", "rust"):
                        continue  # it limits its circuits: streams of programs do not run over them, so that ours names nobody
                    number += 1
                    try:
                        case(number, places, dialler, dialled, relay)
                    except AssertionError as e:
                        failed.append(f"A {dialler}, B {dialled}, relay {relay}: {e}")
                        print(f"FAIL: {failed[-1]}", flush=True)
        if failed:
            return 1
    return 0 if len(missing) < len(wanted) else peers.SKIP


if __name__ == "__main__":
    try:
        sys.exit(main())
    except hosts.Missing as e:
        print(f"SKIP: {e}")
        sys.exit(peers.SKIP)
