#!/usr/bin/python3
"""QuDAG and js-libp2p in both directions over QUIC: identify, ping, the DHT, and the policy between them.

TEST: timeout=900 waits

    js_test.py [NAME...]     the tests whose names contain one of these

Skipped, and said so, where peers.py cannot get js-libp2p.
"""

import hashlib
import os
import re
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import peers
from peers import ANSWER_S, Peer

KAD = ["--dht", "/ipfs/kad/1.0.0", "--ns", "test"]


def ours(pq, *more, name="ours"):
    return Peer([*peers.COMMAND["ours"], "--pq", pq, *KAD, *more], f"{name}-{pq}")


def js(kad="server"):
    return Peer([*peers.COMMAND["js"], "--kad", kad], f"js-{kad}")


def meet(dialler, other):
    """Links the two and waits until each has the other in its routing table."""
    dialler.ok("connect", other.addr)
    for a, b in ((dialler, other), (other, dialler)):
        a.until("agent", b.id, wanted="/ipfs/kad/1.0.0")
        a.until("table", b.id, wanted="OK")


BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def distance(peer, key):
    """Between a peer id in its base58 text, of an Ed25519 key, and a key: xor of the SHA-256 of both."""
    number = 0
    for c in peer:
        number = number * 58 + BASE58.index(c)
    a, b = (hashlib.sha256(x).digest() for x in (number.to_bytes(38, "big"), key.encode()))
    return int.from_bytes(a, "big") ^ int.from_bytes(b, "big")


# ---------------------------------------------------------------- the tests, in this order


def ours_dials_js_and_both_identify_and_ping():
    us, them = ours("prefer"), js()
    us.ok("connect", them.addr)
    assert us.until("agent", them.id, wanted="OK ").startswith("OK js-interop/1|")
    assert them.ok("agent", us.id).startswith("qudag|")
    assert "/ipfs/ping/1.0.0" in them.ok("agent", us.id)
    assert 0 < int(us.ok("ping", them.id)) < 5_000_000
    them.ok("ping", us.id)
    us.quit(), them.quit()


def js_dials_ours_and_both_identify_and_ping():
    us, them = ours("prefer"), js()
    them.ok("connect", us.addr)
    assert them.ok("agent", us.id).startswith("qudag|")
    assert us.until("agent", them.id, wanted="OK ").startswith("OK js-interop/1|")
    them.ok("ping", us.id)
    assert 0 < int(us.ok("ping", them.id)) < 5_000_000
    us.quit(), them.quit()


def js_accepts_our_observed_address_and_signed_record():
    us, them = ours("prefer"), js()
    them.ok("connect", us.addr)
    observed, certified = them.ok("certified", us.id).split("|")
    assert re.fullmatch(r"/ip4/127\.0\.0\.1/udp/\d+/quic-v1", observed), observed
    assert certified and us.addr.startswith(certified), (certified, us.addr)
    us.quit(), them.quit()


def a_link_to_js_is_reported_as_classical():
    us, them = ours("prefer"), js()
    us.ok("connect", them.addr)
    assert us.ok("links").strip() == f"{them.id}/out/x25519/ecdsa/00/pin0"
    us.quit(), them.quit()


def js_keeps_what_ours_stored():
    us, them = ours("prefer"), js()
    meet(us, them)
    assert int(us.ok("put", "/test/ours", "from-ours")) >= 2, "ourselves, and js"
    assert them.ok("get", "/test/ours").startswith("from-ours ")
    assert us.fails("get", "/test/nothing").startswith("QUDAG_ENOTFOUND")
    us.quit()
    second = ours("prefer", name="second")
    meet(second, them)
    assert second.ok("get", "/test/ours").strip() == "from-ours"
    second.quit(), them.quit()


def ours_keeps_what_js_stored():
    us, them = ours("prefer"), js()
    meet(them, us)
    them.ok("put", "/test/js", "from-js")
    assert them.fails("get", "/test/nothing")
    them.quit()
    assert us.ok("get", "/test/js").strip() == "from-js"
    second = js("client")
    second.ok("connect", us.addr)
    second.ok("table", us.id)
    assert second.ok("get", "/test/js") == f"from-js {us.id}"
    second.quit(), us.quit()


def values_of_a_namespace_nobody_opened_are_refused_by_ours():
    us, them = ours("prefer"), js()
    meet(them, us)
    them.fails("put", "/other/key", "x")
    assert us.fails("get", "/other/key")
    them.ok("ping", us.id)
    us.quit(), them.quit()


def providers_are_found_through_the_other_implementation():
    us, them = ours("prefer"), js()
    meet(us, them)
    assert int(us.ok("provide", "cat")) >= 2
    them.ok("provide", "dog")
    second = ours("prefer", name="second")  # knows js only
    meet(second, them)
    assert us.id in second.ok("find", "cat").split()
    third = js("client")  # knows ours only
    third.ok("connect", us.addr)
    third.ok("table", us.id)
    assert them.id in third.ok("find", "dog").split()
    for p in (us, them, second, third):
        p.quit()


def peers_are_found_through_the_other_implementation():
    us, them, second, third = ours("prefer"), js(), ours("prefer", name="second"), js()
    meet(us, them)
    meet(second, them)
    found = second.ok("findpeer", us.id)
    assert us.addr.split("/p2p/")[0] in found, found
    meet(third, us)
    found = third.ok("findpeer", them.id)
    assert them.addr.split("/p2p/")[0] in found, found
    for p in (us, them, second, third):
        p.quit()


def a_newer_value_of_either_replaces_the_one_the_other_stored():
    us, them = ours("prefer"), js()
    meet(us, them)
    us.ok("put", "/test/both", "from-ours")
    them.ok("put", "/test/both", "from-js")
    assert us.ok("get", "/test/both").strip() == "from-js"
    second = ours("prefer", name="second")
    meet(second, them)
    second.ok("put", "/test/both", "from-second")
    third = js("client")
    third.ok("connect", us.addr)
    third.ok("table", us.id)
    assert third.ok("get", "/test/both").split()[0] == "from-second"
    for p in (us, them, second, third):
        p.quit()


def the_closest_to_a_key_are_found_by_both_in_a_network_of_both():
    # Each knows one neighbour at first; the rest comes from the answers of both implementations.  Our nodes look around by
    # themselves after a start, so that who asks may be dialled by whom it dials: of the two links js-libp2p closes one,
    # together with a request that is on its way there.  js does not ask again; ours does where the other link stands by
    # then, and leaves the peer out of that lookup where it does not (seen at a load of 20).  The next lookup has a link.
    chain = [ours("prefer", name="one"), js(), ours("prefer", name="two"), js(), ours("prefer", name="three"), js()]
    for a, b in zip(chain, chain[1:]):
        meet(a, b)
    for asker in (chain[0], chain[-1]):
        for key in ("a", "some-key", "/test/k"):
            near = sorted((p.id for p in chain if p is not asker), key=lambda peer, k=key: distance(peer, k))
            for _ in range(3):
                found = [f for f in asker.ok("closest", key).split() if f != asker.id]
                if found == near:
                    break
            assert found == near, f"{asker.name}, {key}: {found}, not {near}"
    for p in chain:
        p.quit()


def under_require_js_is_refused_with_a_reason_in_both_directions():
    us, them = ours("require"), js()
    why = us.fails("connect", them.addr)
    assert why == "QUDAG_EPOLICY the link does not meet the post-quantum policy", why
    assert "why=TLS alert 40" in us.logged()
    seen = len(us.logged())
    assert "error 40" in them.fails("connect", us.addr)
    assert "no common group, signature or cipher under our policy" in us.logged()[seen:]
    assert us.ok("links").strip() == "" and us.id not in them.ok("links")
    # And the node goes on: its own kind gets in, js goes on too.
    second, plain = ours("require", name="second"), ours("prefer", name="plain")
    second.ok("connect", us.addr)
    assert "X25519MLKEM768/mldsa65/11" in us.ok("links")
    plain.ok("connect", them.addr)
    for p in (us, them, second, plain):
        p.quit()


def a_peer_once_post_quantum_is_not_taken_as_classical():
    keys = os.path.join(Peer.folder, "keys")
    us, other = ours("prefer"), ours("prefer", "--seed", keys, name="other")
    us.ok("connect", other.addr)
    assert f"{other.id}/out/X25519MLKEM768/mldsa65/11/" in us.ok("links")
    other.quit()
    us.until("links", wanted="OK")
    weak = ours("off", "--seed", keys, name="other")
    assert weak.id == other.id and weak.addr != other.addr
    end = time.monotonic() + ANSWER_S
    while us.ok("links").strip() and time.monotonic() < end:
        time.sleep(0.05)
    assert us.fails("connect", weak.addr).startswith("QUDAG_EPOLICY")
    assert "peer was post-quantum before and is not now" in us.logged()
    # Dialled by it: the link may come up at first, but must not stay or carry anything.
    weak.ask("connect", us.addr)
    assert weak.fails("ping", us.id)
    assert us.ok("links").strip() == ""
    assert "pins_refused=" in us.ok("stats")
    # A classical node never seen before is welcome under prefer.
    fresh = ours("off", name="fresh")
    fresh.ok("connect", us.addr)
    fresh.ok("ping", us.id)
    for p in (us, weak, fresh):
        p.quit()


def who_comes_in_a_pinned_name_does_not_spoil_dials_to_its_owner():
    keys = os.path.join(Peer.folder, "keys2")
    us, other = ours("prefer"), ours("prefer", "--seed", keys, name="other")
    port = other.addr.split("/")[4]
    us.ok("connect", other.addr)
    us.ok("ping", other.id)
    other.quit()
    us.until("links", wanted="OK")
    weak = ours("off", "--seed", keys, name="weak")
    for _ in range(4):  # without the ML-DSA key: refused, each time
        weak.ask("connect", us.addr)
        time.sleep(0.7)
    assert us.until("stats", wanted="pins_refused=").split("pins_refused=")[1].split()[0] != "1"
    weak.quit()
    other = ours("prefer", "--seed", keys, "--port", port, name="other")
    us.ok("ping", other.id)  # at once: no backoff
    us.quit(), other.quit()


TESTS = [
    ours_dials_js_and_both_identify_and_ping,
    js_dials_ours_and_both_identify_and_ping,
    js_accepts_our_observed_address_and_signed_record,
    a_link_to_js_is_reported_as_classical,
    js_keeps_what_ours_stored,
    ours_keeps_what_js_stored,
    values_of_a_namespace_nobody_opened_are_refused_by_ours,
    providers_are_found_through_the_other_implementation,
    peers_are_found_through_the_other_implementation,
    a_newer_value_of_either_replaces_the_one_the_other_stored,
    the_closest_to_a_key_are_found_by_both_in_a_network_of_both,
    under_require_js_is_refused_with_a_reason_in_both_directions,
    a_peer_once_post_quantum_is_not_taken_as_classical,
    who_comes_in_a_pinned_name_does_not_spoil_dials_to_its_owner,
]


def run(test):
    start, Peer.all = time.monotonic(), []
    try:
        test()
        print(f"ok    {test.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
        return True
    except AssertionError as err:
        print(f"FAIL  {test.__name__}: {err}", flush=True)
        for p in Peer.all:
            print(f"--- {p.name}\n{p.logged()[-1500:]}")
        return False
    finally:
        for p in Peer.all:
            p.kill()


def main():
    try:
        peers.get("js")
    except peers.Missing as why:
        print(f"SKIP: {why}")
        return peers.SKIP
    wanted = [t for t in TESTS if not sys.argv[1:] or any(a in t.__name__ for a in sys.argv[1:])]
    with tempfile.TemporaryDirectory() as Peer.folder:
        peers.build_ours(Peer.folder)
        failed = sum(not run(test) for test in wanted)
    print(f"{len(wanted) - failed} of {len(wanted)} passed")
    return 1 if failed else 0


sys.exit(main())
