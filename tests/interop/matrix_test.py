#!/usr/bin/python3
"""QuDAG against go-libp2p, rust-libp2p and js-libp2p: every transport, each dialling and dialled, and a table of it.

TEST: timeout=1200 waits

    matrix_test.py [go|rust|js|quic|tls|noise|dial|dialled ...]     only these rows and columns

All cells run by default: four to six minutes on two processors, most of it waiting.

Skipped as a whole, and in part, where an implementation cannot be got; see peers.py.  Cells of the table: "ok", "ok one
way" where the other implementation has no way to do the rest, "FAIL", "-" left out.
"""

import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
import peers
from peers import SLOW_S, Peer

OTHERS = ("go", "rust", "js")
QUIC, TCP = "/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"
# the column's name: listening address, and what the other is limited to
TRANSPORTS = {"quic": (QUIC, "both"), "tls": (TCP, "tls"), "noise": (TCP, "noise")}
KAD = ["--dht", "/interop/kad/1.0.0"]
STREAMS = 1000
MIB = int(os.environ.get("INTEROP_MIB", "8" if os.environ.get("QUDAG_SANITIZED") == "1" else "100"))
IDLE_S = 45  # longer than the idle timeouts of all of them, 10 to 30 s
DEATH_S = 90  # a dead peer is noticed by then
WORKERS = 2


class OneWay(Exception):
    """It works, as far as the other implementation has a way to do it."""


class Pair:
    """Ours and another, linked: a column and a direction of the table."""

    def __init__(self, other, transport, direction):
        self.other, self.transport, self.direction = other, transport, direction
        self.name = f"{other}-{transport}-{direction}"
        self.result = {}
        self.us = self.them = None

    def make(self, whose, name, *more):
        """Another process of the pair's transport, "us" or "them"."""
        listen, security = TRANSPORTS[self.transport]
        if whose == "us":
            return Peer([*peers.COMMAND["ours"], "--pq", "prefer", *KAD, "--ns", "test", "--listen", listen, *more], f"ours-{name}")
        more = [*KAD, *more] if self.other == "js" else more
        return Peer([*peers.COMMAND[self.other], "--listen", listen, "--sec", security, *more], name)

    def start(self):
        self.us, self.them = self.make("us", self.name), self.make("them", self.name)
        self.dialler, self.listener = (self.us, self.them) if self.direction == "dial" else (self.them, self.us)

    def both_ways(self):
        return (self.us, self.them), (self.them, self.us)


# ---------------------------------------------------------------- the cases: rows of the table


def connect(p):
    p.dialler.ok("connect", p.listener.addr)


def identify(p):
    assert f"{p.other}-interop/1|" in p.us.until("agent", p.them.id, wanted="OK ")
    agent = p.them.ok("agent", p.us.id)
    assert agent.startswith("qudag|") and "/ipfs/ping/1.0.0" in agent, agent


def ping(p):
    for a, b in p.both_ways():
        assert 0 <= int(a.ok("ping", b.id)) < 5_000_000  # js counts in ms


def kad_values(p):
    for a, b in p.both_ways():
        a.until("table", b.id, wanted="OK")
    p.us.ok("put", "/test/ours", "from-ours")
    assert p.them.ok("get", "/test/ours").split()[0] == "from-ours"
    p.them.ok("put", "/test/theirs", "from-theirs")
    assert p.us.ok("get", "/test/theirs").split()[0] == "from-theirs"
    for a, _ in p.both_ways():
        a.fails("get", "/test/nothing")


def kad_providers(p):
    p.us.ok("provide", "cat")
    p.them.ok("provide", "dog")
    assert p.us.id in p.them.ok("find", "cat").split()
    assert p.them.id in p.us.ok("find", "dog").split()


def many_streams(p):
    for a, b in p.both_ways():
        assert a.ok("streams", b.id, STREAMS, seconds=SLOW_S).strip() == str(STREAMS)


def bulk(p):
    sums = {p.dialler.ok(verb, p.listener.id, MIB << 20, seconds=SLOW_S).strip() for verb in ("send", "fetch")}
    assert len(sums) == 1, sums
    assert p.listener.ok("send", p.dialler.id, 1 << 20).strip() not in sums


def half_close(p):
    for a, b in p.both_ways():
        a.ok("half", b.id)
        b.until("seen", wanted="OK 100001")


# Over QUIC rust-libp2p can only drop a stream, which ends it in good order.  A reset looks like an end to js-libp2p over
# QUIC, and to rust-libp2p over yamux.
CANNOT_RESET = {("rust", "quic")}
CANNOT_SEE_RESET = {("js", "quic"), ("rust", "tls"), ("rust", "noise")}


def reset(p):
    """Streams that either side resets, opened by either; |a| opens."""
    column, left_out = (p.other, p.transport), 0
    for a, b in p.both_ways():
        by_opener, by_other = (CANNOT_RESET, CANNOT_SEE_RESET) if a is p.them else (CANNOT_SEE_RESET, CANNOT_RESET)
        if column in by_opener:
            left_out += 1
        else:
            before = int(b.ok("resets"))
            a.ok("reset", b.id)
            b.until("resets", wanted=f"OK {before + 1}")
        if column in by_other:
            left_out += 1
        else:
            a.ok("refuse", b.id)
    ping(p)
    if left_out > 0:
        raise OneWay


def long_idle_begin(p):
    for a, b in p.both_ways():
        a.ok("open", b.id)


def long_idle(p):
    for a, _ in p.both_ways():
        a.ok("use")  # over the link that they began with
    links = p.us.ok("links").count(p.them.id)
    assert links in (1, 2), f"{links} links"  # a second stands by where a peer that had no processor was dialled anew


def death(p):
    """One is killed, the one that was dialled; the other notices, and takes or dials a new one."""
    alive, dead = p.dialler, p.listener
    dead.die()
    end = time.monotonic() + DEATH_S
    while dead.id in alive.ok("links"):
        assert time.monotonic() < end, f"{alive.name} still has the link {DEATH_S} s after"
        time.sleep(0.2)
    again = Pair(p.other, p.transport, p.direction)
    again.name += "-again"
    again.start()
    alive.ok("connect", again.listener.addr)
    alive.ok("ping", again.listener.id)


def relayed(p, whose, *pairs):
    """A relay, "us" or "them", and pairs of source and target that know each other by its address only."""
    name = f"{p.name}-relay-{whose}"
    made = [relay := p.make(whose, name, "--relay", "yes")]
    limited = whose == "them" and p.other == "rust"  # in time, always: ours runs no protocol of a program over it
    try:
        for i, (source, target) in enumerate(pairs):
            # without a DHT theirs have no reason to dial each other past the relay
            ends = [(p.make(who, f"{name}-{what}{i}", *([] if who == "us" else ["--kad", "off"])))
                    for who, what in ((source, "source"), (target, "target"))]
            made += ends
            a, b = ends
            address = b.ok("reserve", relay.addr)
            assert "/p2p-circuit/" in address, address
            a.ok("connect", address)
            if source == "us":
                assert any(link.startswith(b.id) and link.endswith("/relayed") for link in a.ok("links").split())
            a.ok("ping", b.id)
            if limited:
                continue
            for x, y in ((a, b), (b, a)):
                x.ok("send", y.id, 1 << 17)
    finally:
        for peer in made:
            peer.kill()


def relay_theirs(p):
    """Dialled, the peer behind the relay is theirs too."""
    relayed(p, "them", ("us", "us") if p.direction == "dial" else ("us", "them"))


def relay_ours(p):
    """We dial theirs through ours; dialled: they dial ours, and (but for rust) one of theirs, through ours."""
    if p.direction == "dial":
        relayed(p, "us", ("us", "them"))
    elif p.other == "rust":
        # two of them close every other circuit as soon as it is there, through a relay of their own, too
        relayed(p, "us", ("them", "us"))
    else:
        relayed(p, "us", ("them", "us"), ("them", "them"))


ACTIVE = {
    "connect": connect, "identify": identify, "ping": ping, "kad values": kad_values, "kad providers": kad_providers,
    f"{STREAMS} streams": many_streams, f"{MIB} MiB each way": bulk, "half-close": half_close, "reset": reset,
}
LATER = {"long idle": long_idle, "abrupt death": death, "relay theirs": relay_theirs, "relay ours": relay_ours}


# ---------------------------------------------------------------- running them


def do(p, name, case):
    if name in p.result or p.result.get("connect", "ok") != "ok":
        return
    start = time.monotonic()
    try:
        case(p)
        p.result[name] = "ok"
    except OneWay:
        p.result[name] = "ok one way"
    except (AssertionError, OSError, ValueError) as err:
        p.result[name] = "FAIL"
        print(f"FAIL  {p.name}, {name}: {err}", flush=True)
    if os.environ.get("VERBOSE"):
        print(f"      {p.name}, {name}: {time.monotonic() - start:.1f} s", flush=True)


def active(p):
    start = time.monotonic()
    try:
        p.start()
    except AssertionError as err:
        print(f"FAIL  {p.name} did not start: {err}", flush=True)
        p.result["connect"] = "FAIL"
        return
    for name, case in ACTIVE.items():
        do(p, name, case)
    do(p, "idle streams", long_idle_begin)
    bad = [name for name, result in p.result.items() if result == "FAIL"]
    print(f"{p.name}: {'FAIL' if bad else 'ok'} ({time.monotonic() - start:.1f} s)", flush=True)


def run(pairs):
    real = [p for p in pairs if not p.result]
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(active, real))
    print(f"now all are idle for {IDLE_S} s", flush=True)
    time.sleep(IDLE_S)
    with ThreadPoolExecutor(len(real) or 1) as pool:
        list(pool.map(lambda p: do(p, "long idle", long_idle), real))
        list(pool.map(lambda p: do(p, "abrupt death", death), real))
    with ThreadPoolExecutor(WORKERS) as pool:
        for name in ("relay theirs", "relay ours"):
            list(pool.map(lambda p: do(p, name, LATER[name]), real))


def table(pairs):
    rows = [*ACTIVE, *LATER]
    columns = list(dict.fromkeys((p.other, p.transport) for p in pairs))
    print(f"\n{'':18}{'':9}" + "".join(f"{o + ' ' + t:>12}" for o, t in columns))
    for row in rows:
        for direction in ("dial", "dialled"):
            cells = []
            for column in columns:
                p = next((p for p in pairs if (p.other, p.transport) == column and p.direction == direction), None)
                cells.append(p.result.get(row, "-") if p else "-")
            print(f"{row:18}{direction:9}" + "".join(f"{c:>12}" for c in cells))


def main():
    words = set(sys.argv[1:])
    chosen = [o for o in OTHERS if o in words or not words & set(OTHERS)]
    missing = peers.get_all(chosen)
    if len(missing) == len(chosen):
        return peers.SKIP

    pairs = []
    for other in chosen:
        for transport in TRANSPORTS:
            for direction in ("dial", "dialled"):
                if all(not words & set(group) or word in words
                       for group, word in ((TRANSPORTS, transport), (("dial", "dialled"), direction))):
                    pairs.append(p := Pair(other, transport, direction))
                    if other in missing:
                        p.result = dict.fromkeys([*ACTIVE, *LATER], "skipped")
    with tempfile.TemporaryDirectory() as Peer.folder:
        try:
            peers.build_ours(Peer.folder)
            run(pairs)
        finally:
            for p in Peer.all:
                p.kill()
    table(pairs)
    failed = sum(result == "FAIL" for p in pairs for result in p.result.values())
    print(f"{failed} failed" if failed else "all that can be is ok")
    return 1 if failed else 0


sys.exit(main())
