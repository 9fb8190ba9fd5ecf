"""Homes of tests/netlab with a daemon in them, and what is asked of two that are to reach each other."""
import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'netlab'))
import lab  # noqa: E402
from homes import Relay, ready, side_by_side, until, up  # noqa: E402
from programs import QUDAG, SLOW, Node, check, run  # noqa: E402

RELAYS = 6  # AutoNAT asks four networks, places are taken in three
DIRECT = ('direct', 'met')


class Resident(Node):
    """a daemon at a host of a site"""

    def __init__(self, name, host):
        super().__init__(name)
        self.host = getattr(host, 'hosts', [host])[0]  # of a site: its first

    def command(self, *args):
        return self.host.command(*args)

    @property
    def site(self):
        return self.host.site

    start = None


def relays(count=RELAYS, first=1):
    """public nodes with the settings of `qudag up`; all know each other"""
    one, *rest = [Relay(n) for n in range(first, first + count)]
    up(one)
    side_by_side(lambda n: up(n, '--bootstrap', one.bootstrap), rest)
    side_by_side(ready, rest)
    return [one, *rest]


def begin(residents, bootstrap, *options):
    """their daemons, at once; nothing is set but who is there"""
    side_by_side(lambda n: up(n, '--bootstrap', bootstrap, *options), residents)
    side_by_side(ready, residents)


def expect(nodes, callers):
    """
    they allow the callers to send to them, as people do: which is all that is needed for a node to be found by its peer id, to keep
    places at relays, and to tell these callers where it is
    """
    for b in nodes:
        allow(b, *callers)
    for b in nodes:
        until(f'{b.dir.name} has a place', lambda n=b: has_places(n), 90)


def has_places(node):
    """a circuit relay keeps a place for it"""
    return node.ask('status').get('places', 0) > 0


def pinged(node, peer, timeout=60):
    """one ping by peer id: its row, and what it took; None: no answer"""
    began = time.monotonic()
    code, text = node.tool('ping', '-c', 1, peer.peer, timeout=timeout)
    if code != 0:
        return None
    row = json.loads(text.strip().splitlines()[0])
    return row.get('ping', row), time.monotonic() - began


class Meeting:
    """from the first ping to a direct path, or to the limit"""

    def __init__(self, a, b, limit=20, patience=30):
        self.began, self.row = time.monotonic(), None
        self.first = self.direct = None
        end = self.began + patience * SLOW
        while time.monotonic() < end and not self.is_direct:
            got = pinged(a, b)
            if got is None:
                time.sleep(0.2)
                continue
            self.row = got[0]
            if self.first is None:
                self.first = time.monotonic() - self.began
                self.first_path = self.row.get('path_kind')
                end = time.monotonic() + limit * SLOW
            if not self.is_direct:
                time.sleep(0.02)
        if self.is_direct:
            self.direct = time.monotonic() - self.began

    @property
    def is_direct(self):
        return self.row is not None and self.row.get('path_kind') in DIRECT

    def __str__(self):
        if self.first is None:
            return 'not reached'
        text = f'{self.first_path} after {self.first:.2f} s'
        if self.direct is not None and self.first_path not in DIRECT:
            met = self.row.get('met_ns')
            took = f', found in {met / 1e9:.2f} s' if met else ''
            text += f', direct after {self.direct:.2f} s ({self.row.get("met_round", "?")}{took})'
        return text if self.direct is not None else f'{text}, relayed still: {self.row.get("path_why", "")}'


def meets(a, b, limit=20):
    """they reach each other, and directly within that time -> how"""
    m = Meeting(a, b, limit)
    check(m.first is not None, f'{a.dir.name} does not reach {b.dir.name}{said(a, b)}')
    check(m.direct is not None, f'{a.dir.name} and {b.dir.name}: {m}{said(a, b)}')
    return m


def stays_relayed(a, b, limit=5):
    """they reach each other, but within that time not directly -> how"""
    m = Meeting(a, b, limit)
    check(m.first is not None, f'{a.dir.name} does not reach {b.dir.name}{said(a, b)}')
    check(m.direct is None, f'{a.dir.name} and {b.dir.name} are direct: {m}')
    return m


def said(*nodes):
    """the last lines of their logs, for a failure"""
    return ''.join(f'\n--- {n.dir.name}{n.last_lines()}' for n in nodes)


def file_of(size, name='file'):
    """a file of bytes that nobody guesses"""
    path = lab.TOP / name
    with open('/dev/urandom', 'rb') as source, open(path, 'wb') as out:
        left = size
        while left > 0:
            left -= out.write(source.read(min(left, 1 << 20)))
    return path


def send(a, b, path, timeout=120):
    """a file, to b's peer id; both have computed the same hash -> the row of its end"""
    code, text = a.tool('send', b.peer, path, timeout=timeout)
    check(code == 0, f'{a.dir.name} sends to {b.dir.name}: exit {code}: {text[-1500:]}{said(a, b)}')
    rows = [json.loads(line) for line in text.strip().splitlines()]
    rows = [next(iter(r.values())) if len(r) == 1 else r for r in rows]
    row = next((r for r in reversed(rows) if isinstance(r, dict) and 'hash' in r), {})
    check(re.fullmatch('[0-9a-f]{64}', str(row.get('hash'))) is not None, f'no hash: {text[-800:]}')
    return row


def allow(b, *senders):
    for a in senders:
        b.ask('peer', 'allow', a.peer)


__all__ = ['DIRECT', 'Meeting', 'Relay', 'Resident', 'QUDAG', 'allow', 'begin', 'check', 'expect', 'file_of', 'has_places', 'lab', 'meets', 'pinged',
           'relays', 'run', 'said', 'send', 'side_by_side', 'stays_relayed', 'until', 'up']
