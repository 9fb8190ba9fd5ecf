#!/usr/bin/python3
"""Two nodes behind different NATs exchange a file: what `make demo NAT=yes` runs.

    tools/demo_nat.py [--file FILE] [--size MIB] [--near KIND] [--far KIND]

A small internet in network namespaces: some public nodes with the settings of `qudag up`, and two homes whose routers translate
(KIND: full-cone, restricted, port-restricted, symmetric).  The two know each other's peer id and nothing else.  Shown is what each
learnt, over which path the file went, and when the path changed.  Each line that ends in "verified" was checked where it arrives.
Exit code 0: all were; 77: namespaces cannot be made here.  Nothing stays behind.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

SRC = pathlib.Path(os.environ.get('QUDAG_SRC') or pathlib.Path(__file__).resolve().parent.parent)
sys.path[:0] = [str(SRC / 'tests/system'), str(SRC / 'tests/netlab')]
import lab  # noqa: E402
from homes import Relay, until  # noqa: E402
from programs import QUDAG, TOP, Node, check, run  # noqa: E402

PUBLIC = 7  # more than three networks must agree that an address can be dialled
TTY = sys.stdout.isatty()
COLOUR = TTY and 'NO_COLOR' not in os.environ
began = time.monotonic()


def paint(code, text):
    return f'\033[{code}m{text}\033[0m' if COLOUR else text


def say(text=''):
    print(text, flush=True)


def head(nth, text):
    say()
    say(paint('1', f'{nth}. {text}'))


def note(text):
    say(f'   {time.monotonic() - began:6.2f} s  {text}')


def ok(text):
    say(f'   {paint("32", "verified")}  {text}')


class Home(Node):
    """a daemon with the settings of `qudag up` on a host behind |site|"""

    def __init__(self, name, site):
        super().__init__(name)
        self.site = site

    def command(self, *args):
        return self.site.command(*args)

    def tool(self, *args, timeout=60):
        return run(*self.command(QUDAG, '--dir', self.dir, '--json', *args), timeout=timeout)

    def human(self, *args, timeout=90):
        return run(*self.command(QUDAG, '--dir', self.dir, *args), timeout=timeout)[1]


def up(node, *options):
    code, text = run(*node.command(QUDAG, '--dir', node.dir, 'up', '--json', '--no-wait', *options), timeout=60)
    check(code == 0, f'{node.dir.name} does not start: exit {code}: {text}')
    return node.take(node.ask('status'))


def side_by_side(what, nodes):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(what, nodes))


def learnt(node):
    """what a node says of itself, in the words of its status"""
    s = node.ask('status')
    for field, title in (('reachability', 'reached'), ('nat', 'nat'), ('places', 'places at circuit relays')):
        if s.get(field) not in (None, ''):
            say(f'     {node.dir.name:5}  {title}: {s[field]}')
    for port in s.get('ports', []):
        say(f'     {node.dir.name:5}  port: {port}')
    return s


def path_of(node, peer):
    rows = [r for r in node.ask('peers')['peers'] if r['peer'] == peer.peer and r['state'] == 'up']
    rows.sort(key=lambda r: r['relayed'])
    return rows[0] if rows else None


class Net:
    """the public nodes and the two homes"""

    def __init__(self, args):
        self.args = args
        self.public = [Relay(n) for n in range(1, PUBLIC + 1)]
        self.sites = [lab.Site(11, args.near), lab.Site(12, args.far)]
        for site in self.sites:
            site.impair(delay_ms=10, rate_kbit=100000)
        self.anne, self.ben = Home('anne', self.sites[0]), Home('ben', self.sites[1])

    def join(self):
        head(1, f'{PUBLIC} public nodes; anne behind a {self.args.near} NAT, ben behind a {self.args.far} one')
        first, *rest = self.public
        up(first)
        side_by_side(lambda n: up(n, '--bootstrap', first.bootstrap), rest)
        side_by_side(lambda n: up(n, '--bootstrap', first.bootstrap), [self.anne, self.ben])
        for home in (self.anne, self.ben):
            until(f'{home.dir.name} joins', lambda h=home: int(h.ask('status')['links']) >= 3, 90)
        note('all have joined; both homes have the same private address, 192.168.1.10')

    def allow(self):
        head(2, 'ben allows anne to send him files: from then on he wants to be found')
        self.ben.ask('peer', 'allow', self.anne.peer)
        until('ben has places at circuit relays', lambda: int(self.ben.ask('status')['places']) > 0, 120)
        note('relays keep places for him, which he did not have to name')
        learnt(self.ben)

    def source(self):
        if self.args.file:
            return pathlib.Path(self.args.file)
        source = TOP / f'random-{self.args.size}MiB.bin'
        source.write_bytes(os.urandom(self.args.size << 20))
        return source

    def send(self, source):
        """-> the paths it went over, in order: (seconds, "relay" or "direct", bytes acknowledged by then)"""
        head(3, f'anne sends {source.name} to ben, of whom she knows the peer id {self.ben.peer}')
        begun, paths, last = time.monotonic(), [], None
        args = self.anne.command(QUDAG, '--dir', self.anne.dir, '--json', 'send', self.ben.peer, source)
        with subprocess.Popen([str(a) for a in args], stdout=subprocess.PIPE, text=True) as tool:
            for line in tool.stdout:
                row = next(iter(json.loads(line).values()))
                over = row.get('over')
                if over and (not paths or paths[-1][1] != over):
                    paths.append((time.monotonic() - begun, over, row['acked']))
                    note(f'{"now " if len(paths) > 1 else ""}{over}'
                         f'{" " + row["relay"][:12] + "..." if over == "relay" else ""}, {row["acked"] >> 10} KiB at ben')
                last = row
        check(last and last.get('state') == 'delivered', f'not delivered: {last}')
        note(f'delivered; moves from link to link: {last["moves"]}')
        return paths, time.monotonic() - begun

    def arrived(self, source):
        item = next(i for i in self.ben.ask('inbox')['inbox'] if i['name'] == source.name)
        same = hashlib.sha256(pathlib.Path(item['file']).read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()
        check(same and item['from'] == self.anne.peer, f'another file than was sent: {item}')
        ok('the file in ben\'s inbox is the one that anne sent, and it names her')

    def afterwards(self, source, paths):
        head(4, 'what they learnt')
        for home, peer in ((self.anne, self.ben), (self.ben, self.anne)):
            learnt(home)
            row = path_of(home, peer)
            check(row, f'{home.dir.name} has no link any more')
            met = f', found in {row["met_ns"] / 1e6:.0f} ms, round {row["met_round"]}, {row["met_sent"]} checks sent' \
                if row.get('met_ns') else ''
            say(f'     {home.dir.name:5}  path: {row["path_kind"]}{met}; {row["address"]}; {row.get("path_why", "")}')
        say()
        for line in self.anne.human('ping', '-c', '2', self.ben.peer).splitlines():
            say(f'     {line}')
        relayed = sum(n.stat('circuit_relay_bytes') for n in self.public)
        say(f'     through circuit relays went {relayed >> 10} KiB of {source.stat().st_size >> 10} KiB')
        check(paths[0][1] == 'relay', f'the first path was not a relay: {paths}')
        ok('it went through a circuit relay first, that sees ciphertext only')
        check(paths[-1][1] == 'direct', f'the last path is not direct: {paths}')
        check(relayed < source.stat().st_size, 'all of it went through relays')
        ok(f'then directly, {paths[-1][0]:.2f} s after it began, through both NATs, and no setting was needed')


def main():
    p = argparse.ArgumentParser(description='Two nodes behind different NATs exchange a file.')
    p.add_argument('--file', default=os.environ.get('FILE') or '')
    p.add_argument('--size', type=int, default=64, help='MiB, without --file')
    p.add_argument('--near', default='port-restricted', choices=lab.KINDS)
    p.add_argument('--far', default='restricted', choices=lab.KINDS)
    args = p.parse_args()
    if args.file:
        args.file = os.path.abspath(args.file)
        if not os.path.isfile(args.file):
            sys.exit(f'demo: {args.file}: no such file')
    lab.begin()
    net = Net(args)
    net.join()
    net.allow()
    source = net.source()
    paths, _ = net.send(source)
    net.arrived(source)
    net.afterwards(source, paths)
    side_by_side(lambda n: n.tool('down', '--now'), [net.anne, net.ben, *net.public])


if __name__ == '__main__':
    try:
        main()
    except lab.Missing as e:
        print(f'demo: it needs root, or a kernel that lets users make network namespaces: {e}')
        sys.exit(77)
