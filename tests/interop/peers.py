#!/usr/bin/python3
"""Peers of other implementations for the tests and the benchmark of this folder: how they are got, how they are led.

    peers.py --install     only gets them, each with its time, and says what is missing

js-libp2p, go-libp2p and rust-libp2p come from their registries through npm, go and cargo, in the versions that the lock
files beside their sources pin, and are kept in build/interop.  What is not there and cannot be got in its time is
missing: tests say so and leave it out.  doc/decisions/0096-other-implementations.md.
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
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.environ.get("QUDAG_SRC", os.path.dirname(os.path.dirname(HERE)))
BUILD = os.environ.get("QUDAG_BUILD", os.path.join(TOP, "build", "out"))
KEEP = os.path.join(TOP, "build", "interop")
NODE_WANTED, NODE_PACKAGE = 22, "node@24.21.0"
SKIP = 77
GET_S = {"js": 240, "go": 300, "rust": 900, "iroh": 1200}  # with all that they depend on, compiled
ANSWER_S = 60
SLOW_S = 150  # for what moves many bytes
COMMAND = {}  # what starts a peer, by implementation


class Missing(Exception):
    """There is no such peer here; the text says why."""


# ---------------------------------------------------------------- getting them


def run_bounded(command, folder, until, env=None):
    """A program that may need a registry: Missing when it fails, or is not done by |until|."""
    if shutil.which(command[0]) is None:
        raise Missing(f"{command[0]} is not installed")
    os.makedirs(KEEP, exist_ok=True)
    with open(os.path.join(KEEP, command[0] + ".log"), "w+", encoding="utf-8", errors="replace") as log:
        # a group of its own: its children would go on, and hold on to the folder
        run = subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            code = run.wait(max(1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            raise Missing(f"{command[0]} was not done in time; is its registry reachable?") from None
        if code != 0:
            log.seek(0)
            raise Missing(f"{command[0]} failed; is its registry reachable?\n{log.read()[-1000:]}")


def version_of(node):
    try:
        text = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        return int(re.match(r"v(\d+)", text).group(1))
    except (OSError, subprocess.CalledProcessError, AttributeError):
        return 0


def npm(folder, until, *args):
    run_bounded(["npm", "install", "--no-audit", "--no-fund", *args], folder, until)


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
        raise Missing(f"no Node of version {NODE_WANTED} or later")
    return node


def mark_of(*parts):
    """A hash of files: what was made from the same ones need not be made again."""
    mark = hashlib.sha256()
    for part in parts:
        with open(os.path.join(HERE, part), "rb") as f:
            mark.update(f.read())
    return mark.hexdigest()


def made(what, mark):
    try:
        with open(os.path.join(KEEP, what + ".made"), encoding="ascii") as f:
            return f.read() == mark
    except OSError:
        return False


def set_made(what, mark):
    with open(os.path.join(KEEP, what + ".made"), "w", encoding="ascii") as f:
        f.write(mark)


def get_js(until):
    """Copies of our scripts beside the packages, which are installed anew only when their lock changed."""
    folder, mark = os.path.join(KEEP, "js"), mark_of("js/package-lock.json")
    node = node_program(until)
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(os.path.join(HERE, "js")):
        shutil.copy(os.path.join(HERE, "js", name), folder)
    if not (made("js", mark) and os.path.isdir(os.path.join(folder, "node_modules"))):
        npm(folder, until)
        set_made("js", mark)
    return [node, os.path.join(folder, "peer.js")]


def get_go(until):
    program, mark = os.path.join(KEEP, "go-peer"), mark_of("go/go.sum", *(f"go/{f}.go" for f in ("main", "autonat", "streams")))
    if not (made("go", mark) and os.path.exists(program)):
        env = {"GOFLAGS": "-mod=readonly -buildvcs=false", **os.environ}
        run_bounded(["go", "build", "-trimpath", "-o", program, "."], os.path.join(HERE, "go"), until, env)
        set_made("go", mark)
    return [program]


def get_rust(until):
    program = os.path.join(KEEP, "rust", "release", "interop")
    mark = mark_of("rust/Cargo.toml", "rust/Cargo.lock", *(f"rust/src/{f}.rs" for f in ("main", "opener", "streams")))
    if not (made("rust", mark) and os.path.exists(program)):
        target = ["--target-dir", os.path.join(KEEP, "rust")]
        run_bounded(["cargo", "build", "--release", "--locked", *target], os.path.join(HERE, "rust"), until)
        set_made("rust", mark)
    return [program]


def get_iroh(until):
    """For tests/netlab/others.py only: no libp2p, and nothing that get_all() gets by itself."""
    program, mark = os.path.join(KEEP, "iroh", "debug", "iroh-pair"), mark_of("iroh/Cargo.toml", "iroh/src/main.rs")
    if not (made("iroh", mark) and os.path.exists(program)):
        run_bounded(["cargo", "build", "--target-dir", os.path.join(KEEP, "iroh")], os.path.join(HERE, "iroh"), until)
        set_made("iroh", mark)
    return [program]


GET = {"js": get_js, "go": get_go, "rust": get_rust}
BESIDE = {"iroh": get_iroh}


def get(what):
    """COMMAND[what] is what starts such a peer; who gets one at the same time is waited for."""
    os.makedirs(KEEP, exist_ok=True)
    with open(os.path.join(KEEP, f".{what}.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        COMMAND[what] = (GET | BESIDE)[what](time.monotonic() + GET_S[what])


def get_all(wanted=tuple(GET)):
    """Those that there are; the others are named."""
    missing = {}
    for what in wanted:
        start = time.monotonic()
        try:
            get(what)
            print(f"{what}-libp2p is there ({time.monotonic() - start:.0f} s)", flush=True)
        except Missing as why:
            missing[what] = str(why)
            print(f"SKIP: no {what}-libp2p to talk to: {why}", flush=True)
    return missing


def build_ours(folder):
    out = os.path.join(folder, "peer")
    sanitize = ["-fsanitize=address,undefined"] if os.environ.get("QUDAG_SANITIZED") == "1" else []
    include = ["-I" + os.path.join(root, "include") for root in (TOP, BUILD)]
    library = os.path.join(BUILD, "src", "libqudag.a")
    sources = [os.path.join(HERE, name) for name in ("peer.c", "peer_streams.c")]
    cc = os.environ.get("CC", "cc").split()
    flags = ["-std=c17", "-O2", "-g", "-D_GNU_SOURCE", *sanitize, *include]
    subprocess.run([*cc, *flags, "-o", out, *sources, library, "-pthread", "-lm"], check=True)
    COMMAND["ours"] = [out]


# ---------------------------------------------------------------- leading them


class Peer:
    """A process with a node in it; ask() sends a command and returns its answer."""

    all = []
    folder = None

    def __init__(self, command, name):
        self.name = name
        self.log = open(os.path.join(Peer.folder, f"{len(Peer.all)}-{name}.log"), "w+", encoding="utf-8", errors="replace")
        self.run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.rest = b""
        Peer.all.append(self)
        self.id, self.addrs = None, []
        while (line := self.line()) != "READY":
            word, value = line.split(" ", 1)
            assert word != "FAIL", f"{name}: {value}"
            if word == "PEER":
                self.id = value
            elif word == "ADDR":
                self.addrs.append(value)
        self.addr = self.addrs[0]

    def line(self, seconds=ANSWER_S):
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.run.stdout], [], [], left)[0]:
                raise AssertionError(f"{self.name} did not answer within {seconds} s")
            got = os.read(self.run.stdout.fileno(), 65536)
            if not got:
                raise AssertionError(f"{self.name} has died: {self.logged()[-2000:]}")
            self.rest += got
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode().strip()

    def ask(self, *words, seconds=ANSWER_S):
        start = time.monotonic()
        self.run.stdin.write((" ".join(str(w) for w in words) + "\n").encode())
        self.run.stdin.flush()
        answer = self.line(seconds)
        if os.environ.get("VERBOSE"):
            print(f"{time.monotonic() - start:7.3f} s  {self.name}: {' '.join(str(w) for w in words)} -> {answer}")
        return answer

    def ok(self, *words, seconds=ANSWER_S):
        answer = self.ask(*words, seconds=seconds)
        assert answer.split(" ")[0] == "OK", f"{self.name}: {' '.join(str(w) for w in words)}: {answer}"
        return answer[3:]

    def fails(self, *words):
        answer = self.ask(*words)
        assert answer.startswith("FAIL "), f"{self.name}: {' '.join(words)} must fail, but: {answer}"
        return answer[5:]

    def until(self, *words, wanted, seconds=ANSWER_S):
        """Asks until the answer has |wanted| in it: for what arrives a moment later."""
        end = time.monotonic() + seconds
        while wanted not in (answer := self.ask(*words)):
            assert time.monotonic() < end, f"{self.name}: {' '.join(words)}: {answer}, not {wanted}"
            time.sleep(0.05)
        return answer

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

    def die(self):
        """As when its machine loses power: it tells nobody."""
        self.run.kill()
        self.run.wait()

    def kill(self):
        """The process is gone, whatever became of it, and what leads it too."""
        if self.run.poll() is None:
            self.die()
        for f in (self.run.stdin, self.run.stdout, self.log):
            try:
                f.close()
            except BrokenPipeError:
                pass

    def cpu_s(self):
        """User and system time so far."""
        with open(f"/proc/{self.run.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss(self):
        """Resident bytes."""
        with open(f"/proc/{self.run.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__" and sys.argv[1:] == ["--install"]:
    get_all()
