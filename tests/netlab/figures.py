#!/usr/bin/python3
"""How two homes reach each other, for each pair of kinds of NAT: over a relay at first, directly then; for ours and for others.

    figures.py [--delay MS] [--jitter MS] [--loss PERMILLE] [--runs N] [--rejects] [--limit S] [--json FILE]
    figures.py --name NAME --relay COMMAND --listen COMMAND --dial COMMAND ...       another implementation

Ours: six public nodes with the settings of `qudag up`, a home of each kind on each side, pings by peer id.

Another: three commands, run by the shell in the lab's hosts, in which {ip} is the address of the relay's host, {second} another
public host's, {relay} the first line that the relay printed, {peer} the first line that the listener printed, {dir} a folder of
their own.  The dialler prints a line that begins with "relayed" when the first bytes of the application have come back over a
relay, and one that begins with "direct" when they did so directly; it may end then.  Both are timed here, from its start, or
from a line "begun", before which it has made itself ready as a daemon of ours has.  others.py does so with go-libp2p and with iroh.

Prints a table: for each pair whether it was reached, what the first byte took (in s, and in round trips of the path over the relay),
whether it became direct, and when.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))
from meeting import Meeting, Resident, begin, expect, lab, relays, side_by_side  # noqa: E402
import hosts  # noqa: E402

READY_S = 8  # what another implementation has until it says "begun", at most


class Found:
    """of one pair: seconds, None: it did not come to that"""

    def __init__(self, first=None, direct=None, how='', why=''):
        self.first, self.direct, self.how, self.why = first, direct, how, why


class Ours:
    name = 'qudag'

    def __init__(self, args):
        self.args, self.public = args, relays()
        self.sides = None

    def pairs(self, sites):
        """[(kind, kind, Found)]"""
        a, b = [[Resident(f'{s.kind}-{side}-{s.number}', s) for s in row] for side, row in zip('ab', sites)]
        begin(b, self.public[0].bootstrap)
        begin(a, self.public[1].bootstrap)
        expect(b, a)
        for x in a:
            for y in b:
                yield x.site.kind, y.site.kind, self.pair(x, y)
        side_by_side(lambda n: n.down(), a + b)

    def pair(self, a, b):
        m = Meeting(a, b, limit=self.args.limit)
        if m.first is None:
            return Found(why='not reached')
        took = f', {m.row["met_ns"] / 1e6:.0f} ms' if m.row.get('met_ns') else ''  # from its start to a pair of addresses that works
        return Found(m.first, m.direct, f'{m.row.get("met_round", "")}{took}', str(m.row.get('path_why', '')))


class Theirs:
    """programs that are given"""

    def __init__(self, args):
        self.args, self.name = args, args.name
        self.host, self.second = lab.Far(1), lab.Far(2)
        self.number = 0
        self.words = {'ip': self.host.v4, 'second': self.second.v4, 'relay': '', 'peer': '', 'dir': str(lab.TOP)}
        if args.relay:
            self.relay, self.words['relay'] = self.begun(self.host, args.relay)

    def begun(self, host, command, wait=60):
        """a program that goes on, and the first line it says"""
        self.number += 1
        folder = lab.TOP / f'{self.name}{self.number}'
        folder.mkdir()
        words = {**self.words, 'dir': str(folder)}
        for name, value in words.items():
            command = command.replace('{' + name + '}', value)
        log = open(folder / 'stderr', 'wb')  # pylint: disable=consider-using-with
        program = lab.Begun(*host.command('sh', '-c', command), stdout=subprocess.PIPE, stderr=log)
        if wait == 0:
            return program, ''
        timer = threading.Timer(wait, program.end)
        timer.start()
        line = program.process.stdout.readline().decode().strip()
        timer.cancel()
        if not line:
            sys.exit(f'{command}: says nothing: {(folder / "stderr").read_text(errors="replace")[-1000:]}')
        return program, line

    def pairs(self, sites):
        for a in sites[0]:
            for b in sites[1]:
                a.flush()
                b.flush()
                yield a.kind, b.kind, self.pair(a.hosts[0], b.hosts[0])

    def pair(self, a, b):
        found = Found()
        listener, self.words['peer'] = self.begun(b, self.args.listen)
        began = time.monotonic()
        dialler, _ = self.begun(a, self.args.dial, wait=0)
        timer = threading.Timer(self.args.limit + READY_S, dialler.end)
        timer.start()
        for line in dialler.process.stdout:
            at, word = time.monotonic() - began, line.decode(errors='replace').split()
            if word[:1] == ['begun']:
                began = time.monotonic()
            if word and word[0] in ('relayed', 'direct') and found.first is None:
                found.first = at
            if word and word[0] == 'direct':
                found.direct = at
                break
        timer.cancel()
        dialler.end()
        listener.end()
        return found


def row(args, first, second, found):
    trip = 4 * args.delay / 1000  # over the relay: each home's delay, there and back, at both ends
    trips = f' ({found.first / trip:.1f})' if found.first is not None and trip > 0 else ''
    return f'| {first} | {second} | {"no" if found.first is None else f"{found.first:.2f}{trips}"} | ' \
           f'{"no" if found.direct is None else f"{found.direct:.2f}"} | {found.how} | {found.why} |'


def options():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--delay', type=int, default=20, help='ms, one way, at each home')
    parser.add_argument('--jitter', type=int, default=0)
    parser.add_argument('--loss', type=int, default=0, help='permille, each way, at each home')
    parser.add_argument('--runs', type=int, default=1)
    parser.add_argument('--rejects', action='store_true', help='routers that answer strangers')
    parser.add_argument('--limit', type=float, default=30, help='s to wait for a direct path')
    parser.add_argument('--json', type=pathlib.Path)
    parser.add_argument('--name', default='qudag')
    for command in ('relay', 'listen', 'dial'):
        parser.add_argument(f'--{command}', default='')
    args = parser.parse_args()
    if bool(args.listen) != bool(args.dial):
        parser.error('--listen and --dial go together')
    return args


def main():
    args = options()
    lab.begin()
    who = Theirs(args) if args.listen else Ours(args)
    words = {'rejects': 1} if args.rejects else {}
    rows = []
    print(f'{who.name}: {args.delay} ms, jitter {args.jitter} ms, loss {args.loss} permille each way at each home\n\n'
          '| from | to | first byte, s (round trips) | direct, s | round | why not |\n|---|---|---|---|---|---|', flush=True)
    for run in range(args.runs):
        if run * 8 + 19 > 60:
            break  # addresses of far() end at 67
        sites = [[lab.Site(11 + 8 * run + 4 * side + i, kind, **words) for i, kind in enumerate(lab.KINDS)] for side in range(2)]
        for s in sites[0] + sites[1]:
            s.impair(delay_ms=args.delay, jitter_ms=args.jitter, loss=args.loss)
        for first, second, found in who.pairs(sites):
            print(row(args, first, second, found), flush=True)
            rows.append({'from': first, 'to': second, **vars(found)})
    direct = [r for r in rows if r['direct'] is not None]
    print(f'\n{sum(r["first"] is not None for r in rows)} of {len(rows)} reached, {len(direct)} directly')
    if args.json:
        args.json.write_text(json.dumps({'name': who.name, **{k: getattr(args, k) for k in ('delay', 'jitter', 'loss', 'rejects')},
                                         'rows': rows}, indent=1) + '\n')


if __name__ == '__main__':
    try:
        main()
    except hosts.Missing as e:
        sys.exit(f'figures: {e}')
