"""What the scripts here share: folders that go away, daemons that end, and small checks."""
import atexit
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SRC = pathlib.Path(os.environ.get('QUDAG_SRC') or pathlib.Path(__file__).resolve().parents[2])
BUILD = pathlib.Path(os.environ.get('QUDAG_BUILD') or SRC / 'build/out')
QUDAG, QUDAGD = BUILD / 'bin/qudag', BUILD / 'bin/qudagd'
SLOW = 4 if os.environ.get('QUDAG_SANITIZED') == '1' else 1
ANY_PORT = '/ip4/127.0.0.1/udp/0/quic-v1'

TOP = pathlib.Path(tempfile.mkdtemp(prefix='qudag-test-'))
_pids = set()


def _cleanup():
    for pid in _pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    shutil.rmtree(TOP, ignore_errors=True)


atexit.register(_cleanup)
for _sig in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(_sig, lambda *_: sys.exit(143))


def check(condition, text):
    if not condition:
        print(f'FAILED: {text}', flush=True)
        sys.exit(1)


def run(*args, timeout=30, env=None):
    """a program to its end: (exit code, everything it said)"""
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=timeout * SLOW, env=env,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def says(what, expected, code, *args, **options):
    """a program ends with |code| and says each of |expected|"""
    got, text = run(*args, **options)
    check(got == code, f'{what}: exit {got}, not {code}: {text}')
    for part in [expected] if isinstance(expected, str) else expected:
        check(part in text, f'{what}: does not say "{part}": {text}')
    print(f'ok: {what}', flush=True)
    return text


class Node:
    """one daemon and its folder"""

    def __init__(self, name, *options):
        self.dir = TOP / name
        self.options = options
        self.listen = ANY_PORT
        self.pid = 0

    def start(self, *options, wait=True):
        args = []
        for o in ('lab.lab=yes', f'node.listen={self.listen}', *self.options, *options):
            args += ['-o', o]
        code, text = run(QUDAG, '--dir', self.dir, 'up', '--json', *([] if wait else ['--no-wait']), *args, timeout=60)
        check(code == 0, f'{self.dir.name} does not start: exit {code}: {text}{self.last_lines() if code != 0 else ""}')
        return self.take(self.ask('status'))

    def take(self, status):
        self.pid, self.peer, self.bootstrap = status['pid'], status['peer'], status['bootstrap'][0]
        _pids.add(self.pid)
        return self

    def tool(self, *args, timeout=60):
        return run(QUDAG, '--dir', self.dir, '--json', *args, timeout=timeout)

    def ask(self, *args, timeout=60):
        code, text = self.tool(*args, timeout=timeout)
        unwell = args == ('status',) and code == 5  # an answer all the same: exit 5 is for health checks
        check(code == 0 or unwell, f'{self.dir.name}: qudag {" ".join(args)}: exit {code}: {text}')
        return json.loads(text.strip().splitlines()[-1])

    def stat(self, name):
        """the value of a counter"""
        return {s['name']: s['value'] for s in self.ask('stats')['stats']}[name]

    def healthy(self):
        """what a sanitizer had to say is in the daemon's log"""
        log = (self.dir / 'qudagd.log').read_text(errors='replace')
        for word in ('AddressSanitizer', 'LeakSanitizer', 'runtime error', 'assertion'):
            at = log.find(word)
            check(at < 0, f'{self.dir.name}: its log says: {log[max(0, at - 200):at + 3000]}')

    def last_lines(self):
        """of its log, if there is one"""
        log = self.dir / 'qudagd.log'
        return '\n' + '\n'.join(log.read_text(errors='replace').splitlines()[-12:]) if log.exists() else ''

    def kill(self):
        self.healthy()
        os.kill(self.pid, signal.SIGKILL)
        until = time.monotonic() + 10
        while time.monotonic() < until:  # the lock goes with the process
            code, _ = run(QUDAG, '--dir', self.dir, 'status')
            if code == 3:
                break
            time.sleep(0.05)
        _pids.discard(self.pid)

    def down(self):
        code, text = self.tool('down')
        check(code == 0, f'{self.dir.name}: down: {text}')
        _pids.discard(self.pid)
        self.healthy()


def network(count, *options):
    """count daemons that are ready; the first is the others' bootstrap"""
    nodes = [Node('n0', *options).start()]
    for ix in range(1, count):
        nodes.append(Node(f'n{ix}', f'node.bootstrap={nodes[0].bootstrap}', *options).start(wait=False))
    for n in nodes[1:]:
        code, text = n.tool('up', timeout=60)
        check(code == 0, f'{n.dir.name} is not ready: {text}')
    return nodes


def free_port():
    """a UDP port that nobody has, and that no program gets which leaves the choice to the kernel (32768 and above)"""
    for port in random.SystemRandom().sample(range(20000, 32768), 100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.bind(('127.0.0.1', port))
                return port
            except OSError:
                continue
    check(False, 'no port is free')
    return 0


def example(name):
    """an example, compiled against the library of this build"""
    out = TOP / name
    env = dict(os.environ, PKG_CONFIG_PATH=str(BUILD / 'meson-uninstalled'))
    flags = subprocess.run(['pkg-config', '--static', '--cflags', '--libs', 'qudag-uninstalled'], env=env,
                           capture_output=True, text=True)
    words = flags.stdout.split() if flags.returncode == 0 else []
    if not any('libqudag' in w for w in words):
        words = [f'-I{SRC}/include', f'-I{BUILD}/include', str(BUILD / 'src/libqudag.a'), '-pthread', '-lm']
    if os.environ.get('QUDAG_SANITIZED') == '1':
        words.append('-fsanitize=address,undefined')
    done = subprocess.run([os.environ.get('CC', 'cc'), '-std=c17', '-o', out, SRC / f'examples/{name}.c', '-D_GNU_SOURCE',
                           *words], capture_output=True, text=True)
    check(done.returncode == 0, f'{name} does not compile: {done.stderr[:2000]}')
    return out
