#!/usr/bin/python3
"""A file of 100 MiB from a hidden service, both ends behind routers, while those that carry it are killed, one role after the other;
then the service's daemon, and the caller's.  Prints how long each stood in the way.

TEST: timeout=300 waits

Skipped, and said so, where namespaces cannot be made.
"""
import os
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hosts  # noqa: E402
from homes import down, network, ready, took, until, up  # noqa: E402
from programs import SLOW, SRC, TOP, check, run  # noqa: E402

RELAYS = 14
PROXY = '127.0.0.1:9350'
WEB = 8080
SIZE, PACE = 100 << 20, 1 << 19  # more than three minutes: it is under way until the last role was killed
FLOWS = 1 << 19      # as much came through since: it flows
SOON = 150           # s: bound of each step; 1 to 15 are usual, 50 to 70 when all introduction points are gone
OFFLINE = 35         # s until a dead service is said to be offline; 2 to 18 are usual
# whose circuit, of which purpose, which hops
ROLES = {"the service's middle relay": ('service', 'service-rendezvous', 2), 'the rendezvous point': ('caller', 'rendezvous', 2),
         "the caller's second-layer guard": ('caller', 'rendezvous', 1),
         "the service's second-layer guard": ('service', 'service-rendezvous', 1),
         'an introduction point': ('service', 'service-introduce', -1), 'all introduction points': ('service', 'service-introduce', -1),
         "the caller's guard": ('caller', 'rendezvous', 0), "the service's guard": ('service', 'service-rendezvous', 0)}


class Download(threading.Thread):
    """
    curl, begun again where it stopped when it ends before the end; each time as somebody else, since circuits that one and
    the same begins anew are few in an hour (src/node/budget.h), and this breaks off more often than that
    """

    def __init__(self, ends):
        super().__init__(daemon=True)
        self.ends, self.path = ends, TOP / 'got'
        self.breaks, self.done = [], False  # breaks: when it ended too early
        self.start()

    def run(self):
        while not self.done:
            code, _ = run(*self.ends.curl('-C', '-', '-o', self.path), timeout=280)
            self.done = code == 0
            if not self.done:
                self.breaks.append(time.monotonic())
                time.sleep(1)

    def size(self):
        return self.path.stat().st_size if self.path.exists() else 0


class Ends:
    """both ends and what lies between"""

    def __init__(self):
        self.relays, self.service, self.caller = network(RELAYS, (40, 'service'), (41, 'caller'))
        self.by_peer = {r.peer: r for r in self.relays}
        self.asked = 0

    def expose(self):
        file = TOP / 'file'
        file.write_bytes(os.urandom(SIZE))
        self.service.begin(sys.executable, str(SRC / 'tests/system/range_server.py'), str(WEB), file, str(PACE))
        until('a server', lambda: run(*self.service.command('bash', '-c', f'</dev/tcp/127.0.0.1/{WEB}'))[0] == 0)
        address = self.service.ask('expose', f'80:127.0.0.1:{WEB}', '--name', 'blog', '--small-network')['address']
        self.caller.ask('name', 'add', 'blog', address)
        until('its record', lambda: self.caller.tool('dark', 'resolve', address, '--small-network')[0] == 0)
        return file

    def curl(self, *options):
        """of somebody who has no circuit yet"""
        self.asked += 1
        return self.caller.command('curl', '-sS', '--fail', '--proxy', f'socks5h://user{self.asked}:x@{PROXY}', *options,
                                   'http://blog.dark/')

    def ask(self, limit=60):
        """(curl's exit code, what it said)"""
        return run(*self.curl('-r', '0-0', '-o', '/dev/null', '--max-time', limit * SLOW), timeout=limit + 10)

    def circuits(self, who, purpose):
        return [c for c in getattr(self, who).ask('circuit', 'list')['circuits']
                if c['role'] == 'client' and c['state'] == 'open' and purpose in (c['purpose'], None)]

    def victims(self, role):
        who, purpose, hop = ROLES[role]
        before = {c['circuit']: c['cells_forward'] + c['cells_backward'] for c in self.circuits(who, purpose)}
        if hop >= 0:  # of the circuit that is busy
            time.sleep(0.5)
        now = sorted(self.circuits(who, purpose), reverse=True,
                     key=lambda c: c['cells_forward'] + c['cells_backward'] - before.get(c['circuit'], 0))
        return {self.by_peer[c['path'][hop]] for c in now[:3 if role.startswith('all') else 1]}

    def shown(self):
        """the circuits of both, for who has to find out why"""
        names = {p: r.dir.name for p, r in self.by_peer.items()}
        return '\n'.join(f"{who} {c['purpose']} {' '.join(names.get(p, '?') for p in c.get('path', []))}"
                         for who in ('caller', 'service') for c in self.circuits(who, None))


def dies(*nodes):
    for n in nodes:
        os.kill(n.pid, signal.SIGKILL)
    return time.monotonic()


def comes_back(ends, what, begun):
    """a request is answered, in the end; s since |begun|"""
    tries = 0
    while (answer := ends.ask())[0] != 0:
        tries += 1
        check(time.monotonic() - begun < SOON * SLOW, f'{what}: {tries} requests failed in {SOON} s, the last: {answer}\n{ends.shown()}')
        time.sleep(1)
    return time.monotonic() - begun, tries


def lose(ends, download, role):
    """kills who has |role|; the file goes on, and somebody new gets in"""
    until(f'{role}: three introduction points', lambda: len(ends.circuits('service', 'service-introduce')) == 3)
    check(not download.done, f'{role}: the file has come to its end before')
    size = download.size()
    until(f'{role}: the file flows', lambda: download.size() > size)
    victims = ends.victims(role)
    breaks = len(download.breaks)
    begun = dies(*victims)
    time.sleep(0.2)
    size = download.size()
    new, tries = comes_back(ends, role, begun)
    until(f'{role}: the file goes on', lambda: download.done or download.size() > size + FLOWS, SOON)
    goes_on = time.monotonic() - begun
    broke = [f'{t - begun:.1f}' for t in download.breaks[breaks:]]
    print(f'ok: {role} ({", ".join(sorted(v.dir.name for v in victims))}): somebody new gets in after {new:.1f} s'
          f'{f" ({tries} failed)" if tries else ""}; ' +
          (f'the file broke off after {", ".join(broke)} s and has gone on for {FLOWS >> 10} KiB after {goes_on:.1f} s' if broke else
           'the file did not break off'), flush=True)
    for v in victims:
        up(v)
    ready(*victims)


SLOW_READERS = """
import socket, struct, sys, time
kept = []
for _ in range(16):
    s = socket.create_connection(('127.0.0.1', 9350))
    s.sendall(b'\\5\\1\\0'); s.recv(2)
    s.sendall(b'\\5\\1\\0\\3\\x09blog.dark' + struct.pack('>H', 80)); s.recv(10)
    s.sendall(b'GET / HTTP/1.1\\r\\nHost: blog.dark\\r\\n\\r\\n')
    kept.append(s)
print('all asked', flush=True)
time.sleep(1000)
"""


def slow_readers(ends):
    """sixteen who share a circuit and read nothing of what they asked for; another request on it is answered all the same"""
    with open(TOP / 'readers', 'w') as says:
        readers = ends.caller.begin(sys.executable, '-c', SLOW_READERS, stdout=says)
    until('all slow readers', lambda: 'all asked' in (TOP / 'readers').read_text())
    time.sleep(2)  # until all windows are full
    begun = time.monotonic()
    got = ends.caller.says('curl', '-sS', '--fail', '-r', '0-999999', '--socks5-hostname', PROXY, 'http://blog.dark/', '-o', TOP / 'part')
    check((TOP / 'part').read_bytes() == (TOP / 'file').read_bytes()[:1000000], f'another part: {got}')
    print(f'ok: 16 readers of the same circuit read nothing: another has its megabyte in {time.monotonic() - begun:.1f} s', flush=True)
    readers.kill()


def service_dies(ends):
    dies(ends.service)
    for nth in ('first', 'second'):
        asked = time.monotonic()
        code, text = ends.ask()
        took_s = time.monotonic() - asked
        # 97: the proxy refused; 0xF2 of SOCKS: offline (spec of the proxy), not "timed out"
        check(code == 97 and '(242)' in text, f'the {nth} request to a dead service: exit {code}: {text}')
        check(took_s < OFFLINE * SLOW, f'the {nth} request to a dead service took {took_s:.1f} s')
        print(f'ok: the service is dead: the {nth} request says so ("offline") after {took_s:.1f} s', flush=True)
    begun = time.monotonic()
    up(ends.service)
    new, tries = comes_back(ends, 'the service comes back', begun)
    print(f'ok: the service is started again: a request gets in after {new:.1f} s ({tries} failed)', flush=True)


def caller_dies(ends):
    begun = dies(ends.caller)
    up(ends.caller)
    new, tries = comes_back(ends, 'the caller comes back', begun)
    print(f"ok: the caller's daemon is killed and started again: a request gets in after {new:.1f} s ({tries} failed)", flush=True)


def main():
    hosts.enter()
    with took(f'{RELAYS} relays, and two hosts behind routers'):
        ends = Ends()
    file = ends.expose()
    comes_back(ends, 'the first request', time.monotonic())
    slow_readers(ends)
    download = Download(ends)
    with took(f'all {len(ROLES)} roles'):
        for role in ROLES:
            lose(ends, download, role)
    file.with_name('file.quick').touch()
    until('the end of the file', lambda: download.done)
    check(download.path.read_bytes() == file.read_bytes(), 'another file')
    print(f'ok: the file is whole, in {len(download.breaks) + 1} parts', flush=True)
    service_dies(ends)
    caller_dies(ends)
    down(ends.caller, ends.service, *ends.relays)


if __name__ == '__main__':
    hosts.run_or_skip(main)
