#!/usr/bin/python3
"""QuDAG and js-libp2p in both directions over QUIC: identify, ping, the DHT, and the policy between them.

TEST: timeout=900 waits

    js_test.py [NAME...]     the tests whose names contain one of these
    js_test.py --install     only gets what they need

Skipped, and said so, where there is no npm, or its registry cannot be reached or takes longer than INSTALL_S, and the
packages are not there from before.  They go to build/interop; Node is brought from there too when the host has none that
is new enough.
"""

import fcntl
import hashlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.environ.get("QUDAG_SRC", os.path.dirname(os.path.dirname(HERE)))
BUILD = os.environ.get("QUDAG_BUILD", os.path.join(TOP, "build", "out"))
KEEP = os.path.join(TOP, "build", "interop")
NODE_WANTED, NODE_PACKAGE = 22, "node@24.21.0"
SKIP = 77
INSTALL_S = 240  # in all: Node and the packages; the test's timeout leaves room for two who install, and the tests
ANSWER_S = 60
KAD = ["--dht", "/ipfs/kad/1.0.0", "--ns", "test"]


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(SKIP)


# ---------------------------------------------------------------- what the test needs


def version_of(node):
    try:
        text = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        return int(re.match(r"v(\d+)", text).group(1))
    except (OSError, subprocess.CalledProcessError, AttributeError):
        return 0


def npm(folder, until, *args):
    """npm install there; skips the test when it fails: without a registry there is nothing to test against."""
    command = ["npm", "install", "--no-audit", "--no-fund", *args]
    with open(os.path.join(folder, "npm.log"), "w+", encoding="utf-8", errors="replace") as log:
        # a group of its own: npm's children would go on, and hold on to the folder
        run = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            code = run.wait(max(1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            skip(f"npm did not finish within {INSTALL_S} s; is its registry reachable?")
        if code != 0:
            log.seek(0)
            skip("npm failed; is its registry reachable?\n" + log.read()[-1000:])


def node_program(until):
    for node in ("node", os.path.join(KEEP, "node", "node_modules", "node", "bin", "node")):
        if version_of(node) >= NODE_WANTED:
            return shutil.which(node)
    folder = os.path.join(KEEP, "node")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "package.json"), "w", encoding="ascii") as f:
        f.write('{ "private": true }\n')
    npm(folder, until, NODE_PACKAGE)
    if version_of(node) < NODE_WANTED:
        skip(f"no Node of version {NODE_WANTED} or later")
    return node


def js_folder(until):
    """The packages beside copies of our scripts; installed anew only when package.json changed."""
    folder, mark = os.path.join(KEEP, "js"), os.path.join(KEEP, "js", ".installed")
    with open(os.path.join(HERE, "js", "package.json"), encoding="utf-8") as f:
        wanted = f.read()
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "peer.js"):
        shutil.copy(os.path.join(HERE, "js", name), folder)
    if os.path.exists(mark):
        with open(mark, encoding="utf-8") as f:
            if f.read() == wanted:
                return folder
    npm(folder, until)
    with open(mark, "w", encoding="utf-8") as f:
        f.write(wanted)
    return folder


def install():
    """Node, and the folder with the packages; who installs at the same time is waited for"""
    if shutil.which("npm") is None:
        skip("npm is not installed, so there is no js-libp2p to talk to")
    os.makedirs(KEEP, exist_ok=True)
    with open(os.path.join(KEEP, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        until = time.monotonic() + INSTALL_S
        return node_program(until), js_folder(until)


def our_peer(folder):
    out = os.path.join(folder, "peer")
    sanitize = ["-fsanitize=address,undefined"] if os.environ.get("QUDAG_SANITIZED") == "1" else []
    include = ["-I" + os.path.join(root, "include") for root in (TOP, BUILD)]
    library = os.path.join(BUILD, "src", "libqudag.a")
    cc = os.environ.get("CC", "cc").split()
    flags = ["-std=c17", "-O1", "-g", "-D_GNU_SOURCE", *sanitize, *include]
    subprocess.run([*cc, *flags, "-o", out, os.path.join(HERE, "peer.c"), library, "-pthread", "-lm"], check=True)
    return out


# ---------------------------------------------------------------- peers


class Peer:
    """A process with a node in it; ask() sends a command and returns its answer."""

    all = []
    ours = js = folder = None

    def __init__(self, command, name):
        self.name = name
        self.log = open(os.path.join(Peer.folder, f"{len(Peer.all)}-{name}.log"), "w+", encoding="utf-8", errors="replace")
        self.run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.rest = b""
        Peer.all.append(self)
        self.id = self.addr = None
        while (line := self.line()) != "READY":
            word, value = line.split(" ", 1)
            assert word != "FAIL", f"{name}: {value}"
            if word == "PEER":
                self.id = value
            elif word == "ADDR":
                self.addr = value

    def line(self):
        end = time.monotonic() + ANSWER_S
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.run.stdout], [], [], left)[0]:
                raise AssertionError(f"{self.name} did not answer within {ANSWER_S} s")
            got = os.read(self.run.stdout.fileno(), 65536)
            if not got:
                raise AssertionError(f"{self.name} has died: {self.logged()[-2000:]}")
            self.rest += got
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode().strip()

    def ask(self, *words):
        start = time.monotonic()
        self.run.stdin.write((" ".join(words) + "\n").encode())
        self.run.stdin.flush()
        answer = self.line()
        if os.environ.get("VERBOSE"):
            print(f"{time.monotonic() - start:7.3f} s  {self.name}: {' '.join(words)} -> {answer}")
        return answer

    def ok(self, *words):
        answer = self.ask(*words)
        assert answer.split(" ")[0] == "OK", f"{self.name}: {' '.join(words)}: {answer}"
        return answer[3:]

    def fails(self, *words):
        answer = self.ask(*words)
        assert answer.startswith("FAIL "), f"{self.name}: {' '.join(words)} must fail, but: {answer}"
        return answer[5:]

    def logged(self):
        self.log.flush()
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return f.read()

    def quit(self):
        if self.run.poll() is None:
            self.run.stdin.write(b"quit\n")
            self.run.stdin.flush()
            self.run.wait(20)
        assert self.run.returncode == 0, f"{self.name} ended with {self.run.returncode}: {self.logged()[-2000:]}"

    def until(self, *words, wanted):
        """Asks until the answer has |wanted| in it: for what arrives a moment later."""
        end = time.monotonic() + ANSWER_S
        while wanted not in (answer := self.ask(*words)):
            assert time.monotonic() < end, f"{self.name}: {' '.join(words)}: {answer}, not {wanted}"
            time.sleep(0.05)
        return answer


def ours(pq, *more, name="ours"):
    return Peer([Peer.ours, "--pq", pq, *KAD, *more], f"{name}-{pq}")


def js(kad="server"):
    return Peer([*Peer.js, "--kad", kad], f"js-{kad}")


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
            if p.run.poll() is None:
                p.run.kill()
                p.run.wait()
            p.run.stdin.close(), p.run.stdout.close(), p.log.close()


def main():
    node, folder = install()
    if sys.argv[1:] == ["--install"]:
        print(f"{node}, and the packages in {folder}")
        return 0
    Peer.js = [node, os.path.join(folder, "peer.js")]
    wanted = [t for t in TESTS if not sys.argv[1:] or any(a in t.__name__ for a in sys.argv[1:])]
    with tempfile.TemporaryDirectory() as Peer.folder:
        Peer.ours = our_peer(Peer.folder)
        failed = sum(not run(test) for test in wanted)
    print(f"{len(wanted) - failed} of {len(wanted)} passed")
    return 1 if failed else 0


sys.exit(main())
