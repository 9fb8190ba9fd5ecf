#!/usr/bin/python3
"""AutoNAT v2 between QuDAG and go-libp2p: each asks the other to dial it back, over loopback.

TEST: timeout=420 waits

Skipped where go-libp2p cannot be got; see peers.py.
"""

import os
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import peers
from peers import Peer

OURS = "/ip4/127.0.0.1/udp/0/quic-v1,/ip4/127.0.0.3/udp/0/quic-v1"
ANSWER_S = 60


def ours(name, listen):
    return Peer([*peers.COMMAND["ours"], "--pq", "prefer", "--dht", "/interop/kad/1.0.0", "--ns", "test", "--reachable", "yes", "--listen", listen], name)


def go(name, listen="/ip4/127.0.0.1/udp/0/quic-v1"):
    return Peer([*peers.COMMAND["go"], "--autonat", "yes", "--kad", "off", "--listen", listen], name)


def until_logged(peer, what, times):
    end = time.monotonic() + ANSWER_S
    while peer.logged().count(what) < times:
        assert time.monotonic() < end, f"{peer.name}: not {times} times {what!r}: {peer.logged()[-3000:]}"
        time.sleep(0.2)


def go_dials_us():
    """Our two addresses, of which the second is of another host than the link comes from: it costs bytes."""
    us, them = ours("asks", OURS), go("serves")
    us.ok("connect", them.addr)
    until_logged(us, "autonat.answer word=yes", 2)
    assert "autonat.answer word=no" not in us.logged()


def we_dial_go():
    """It asks no server twice within two minutes: one for each question."""
    them = go("asks", "/ip4/127.0.0.1/udp/0/quic-v1,/ip4/127.0.0.3/udp/0/quic-v1")
    here, other = (a.split("/p2p/")[0] for a in them.addrs)
    questions = {
        here: "Public",
        other: "Public",  # for its price
        "/ip4/127.0.0.1/udp/9/quic-v1": "refused",  # a port of services
        "/ip4/127.0.0.1/udp/65001/quic-v1": "Private",  # nobody is there
    }
    for addr, answer in questions.items():
        them.ok("connect", ours("serves", "/ip4/127.0.0.1/udp/0/quic-v1").addr)
        got = them.ok("reach", addr)
        assert got == answer, f"{addr}: {got}, not {answer}"


def main():
    if peers.get_all(("go",)):
        sys.exit(peers.SKIP)
    with tempfile.TemporaryDirectory() as folder:
        Peer.folder = folder
        peers.build_ours(folder)
        try:
            for case in (go_dials_us, we_dial_go):
                case()
                print(f"{case.__name__}: ok", flush=True)
            for peer in Peer.all:
                peer.quit()
        finally:
            for peer in Peer.all:
                peer.kill()


if __name__ == "__main__":
    os.environ.setdefault("GOFLAGS", "-mod=readonly -buildvcs=false")
    main()
