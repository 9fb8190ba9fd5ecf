#!/usr/bin/python3
"""A network on this machine, and things sent through it: what `make demo` and `make demo NET=yes` run.

    tools/demo.py [--net] [--file FILE] [--message TEXT] [--nodes N] [--keep]

FILE, MESSAGE and NET may come from the environment too.  Every daemon is a process of its own with its own port, keys
and folder: on loopback, as a lab; with --net in a network namespace of its own, with public addresses in a network of
its own and the settings of `qudag up`, as hosts on the Internet are.  Each step is checked where it arrives: a line of the last table says "verified" only if the receiving side (its
inbox, its store, its own list of circuits) said so.  Exit code 0: every line was verified; 77: namespaces cannot be made here.  Nothing stays behind.
"""
import argparse
import hashlib
import http.server
import ipaddress
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

SRC = pathlib.Path(os.environ.get('QUDAG_SRC') or pathlib.Path(__file__).resolve().parent.parent)
sys.path.insert(0, str(SRC / 'tests/system'))
import hosts  # noqa: E402

BUILD = pathlib.Path(os.environ.get('QUDAG_BUILD') or SRC / 'build/out')
QUDAG = BUILD / 'bin/qudag'
SLOW = 4 if os.environ.get('QUDAG_SANITIZED') == '1' else 1
K = 20  # records are stored on that many nodes, or on all if there are fewer
TTY = sys.stdout.isatty()
COLOUR = TTY and 'NO_COLOR' not in os.environ
BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'


class Failed(Exception):
    pass


class Pages(http.server.BaseHTTPRequestHandler):
    """a web server as anybody has one: it knows nothing of QuDAG"""
    page = b''

    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/html')
        self.send_header('Content-Length', str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def address_string(self):
        return 'a Unix socket'

    def log_message(self, *_):
        pass


def paint(code, text):
    return f'\033[{code}m{text}\033[0m' if COLOUR else text


def say(text=''):
    print(text, flush=True)


def head(nth, text):
    say()
    say(paint('1', f'{nth}. {text}'))


def ok(text):
    say(f'   {paint("32", "ok")}  {text}')


def need(condition, text):
    if not condition:
        raise Failed(text)


def short(peer):
    return '..' + peer[-8:]


def b58decode(text):
    n = 0
    for c in text:
        n = n * 58 + BASE58.index(c)
    raw = n.to_bytes((n.bit_length() + 7) // 8, 'big')
    return b'\0' * (len(text) - len(text.lstrip('1'))) + raw


def kad_id(data):
    return int.from_bytes(hashlib.sha256(data).digest(), 'big')


def sha256(path):
    h = hashlib.sha256()
    with open(path, 'rb') as f:
        while block := f.read(1 << 20):
            h.update(block)
    return h.hexdigest()


def size_text(n):
    for unit in ('B', 'KiB', 'MiB', 'GiB'):
        if n < 1024 or unit == 'GiB':
            return f'{n:.0f} {unit}' if unit == 'B' else f'{n:.1f} {unit}'
        n /= 1024


class Node:
    def __init__(self, folder, host=None):
        self.dir = folder
        self.name = folder.name
        self.host = host  # the namespace it lives in, if it has one of its own
        self.peer = self.bootstrap = None
        self.pid = 0

    def command(self, *args):
        words = [str(QUDAG), '--dir', str(self.dir), '--json', *args]
        return self.host.command(*words) if self.host and args[0] == 'up' else words

    def ask(self, *args, timeout=60):
        """the one JSON document a command answers with"""
        done = subprocess.run(self.command(*args), capture_output=True, text=True, timeout=timeout * SLOW)
        if done.returncode != 0 and (args != ('status',) or done.returncode != 5):  # 5: it answers, but is not healthy
            raise Failed(f'node {self.name}: qudag {" ".join(args)}: exit {done.returncode}: '
                         f'{(done.stdout + done.stderr).strip()}')
        lines = [line for line in done.stdout.splitlines() if line]
        return json.loads(lines[-1]) if lines else {}

    def learn(self):
        s = self.ask('status')
        self.peer, self.pid, self.bootstrap = s['peer'], s['pid'], s['bootstrap'][0]

    def alive(self):
        try:  # a process that ended may wait for its parent to notice: state Z
            return pathlib.Path(f'/proc/{self.pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
        except OSError:
            return False


class Lab:
    """daemons on loopback"""
    nodes = 12
    what = 'daemons on this machine: each its own process, port, keys and folder'

    def __init__(self, top):
        self.top = top
        self.started = []

    def up(self, n):
        done = subprocess.run([str(QUDAG), '--dir', str(self.top), 'lab', 'up', str(n)], timeout=180)
        need(done.returncode == 0, f'the network did not come up (exit {done.returncode})')
        for nth in range(1, n + 1):
            self.started.append(Node(self.top / 'lab' / f'{nth:02d}'))
            self.started[-1].learn()
        return self.started

    def another(self):
        """one more daemon, ready"""
        node = Node(self.top / 'lab' / 'late')
        node.ask('up', '--lab', '--listen', '/ip4/127.0.0.1/udp/0/quic-v1', '--bootstrap', self.started[0].bootstrap,
                 timeout=90)
        node.learn()
        return node

    def abandon(self):
        subprocess.run([str(QUDAG), '--dir', str(self.top), 'lab', 'down'], capture_output=True, timeout=30)

    def check(self, demo):
        """what is to be said of the addresses: nothing"""


class Net:
    """daemons as `qudag up` starts them, each on a host far from the others"""
    nodes = 24
    what = 'hosts, each with an IPv4 and an IPv6 address in a network of its own; daemons with default settings'

    def __init__(self, top):
        self.top = top
        self.started = []

    def start(self, name, number, *options):
        node = Node(self.top / name, hosts.FarHost(number))
        self.started.append(node)
        node.ask('up', '--no-wait', '--small-network', *options)
        node.learn()
        return node

    def up(self, n):
        first = self.start('01', 1)
        rest = [self.start(f'{nth:02d}', nth, '--bootstrap', first.bootstrap) for nth in range(2, n + 1)]
        for node in rest:
            node.ask('up', '--timeout', str(120 * SLOW), timeout=150)
        return [first, *rest]

    def another(self):
        node = self.start('late', len(self.started) + 1, '--bootstrap', self.started[0].bootstrap)
        node.ask('up', '--timeout', str(60 * SLOW), timeout=90)
        return node

    def abandon(self):
        for node in self.started:
            subprocess.run(node.command('down'), capture_output=True, timeout=30)

    def check(self, demo):
        """what each tells of itself, and what all others know of it, is where it can be reached from anywhere"""
        demo.addresses()


class Demo:
    def __init__(self, args):
        self.args = args
        self.top = pathlib.Path(tempfile.mkdtemp(prefix='qudag-demo-'))
        self.net = (Net if args.net else Lab)(self.top)
        self.nodes = []
        self.late = None
        self.table = []
        self.began = time.monotonic()
        self.random = random.Random()
        self.names = {}
        self.nth = 0
        self.key = 'demo'  # of isolation: what is sent with it shares a circuit

    # ---------------------------------------------------------------- helpers

    def head(self, text):
        self.nth += 1
        head(self.nth, text)

    def row(self, what, result, took):
        self.table.append((what, result, took))

    def name(self, peer):
        return f'node {self.names[peer]} ({short(peer)})' if peer in self.names else short(peer)

    def up(self):
        return [n for n in self.nodes if n.alive()]

    def cleanup(self):
        nodes = self.nodes + ([self.late] if self.late else [])
        for n in nodes:
            if n.pid:
                try:
                    os.kill(n.pid, signal.SIGTERM)
                except ProcessLookupError:
                    n.pid = 0
        if not nodes:  # it failed before the nodes were known
            self.net.abandon()
        until = time.monotonic() + 5
        while any(n.pid and n.alive() for n in nodes) and time.monotonic() < until:
            time.sleep(0.05)
        for n in nodes:
            if n.pid and n.alive():
                os.kill(n.pid, signal.SIGKILL)
        if self.args.keep:
            say(f'kept: {self.top}')
        else:
            shutil.rmtree(self.top, ignore_errors=True)

    # ---------------------------------------------------------------- the steps

    def start(self):
        n = self.args.nodes
        self.head(f'{n} {self.net.what}')
        began = time.monotonic()
        nodes = self.net.up(n)
        took = time.monotonic() - began
        self.nodes = list(nodes)
        self.names = {node.peer: node.name for node in nodes}
        need(len({node.pid for node in self.nodes}) == n and len({node.peer for node in self.nodes}) == n,
             'processes and identities are not distinct')
        for node in self.nodes:
            need(node.ask('status')['phase'] == 'ready', f'node {node.name} is not ready')
        ok(f'{n} processes, {n} identities, all ready')
        self.row('network up', f'{n} daemons ready', took)

    def links(self):
        self.head('Every link: hybrid key exchange, post-quantum signatures on both sides')
        began = time.monotonic()
        count, kinds = 0, {}
        for node in self.nodes:
            links = node.ask('peers')['peers']
            need(links, f'node {node.name} has no links')
            for link in links:
                need(link['group'] == 'X25519MLKEM768' and link['pq_kex'],
                     f'node {node.name} has a link with group {link["group"]}')
                need(link['pq_auth'] and link['signature_local'] == link['signature_remote'] == 'mldsa65',
                     f'node {node.name} has a link signed {link["signature_local"]} / {link["signature_remote"]}')
                kind = (link['group'], link['signature_local'], link['signature_remote'], link['cipher'])
                kinds[kind] = kinds.get(kind, 0) + 1
                count += 1
        for (group, ours, theirs, cipher), times in sorted(kinds.items()):
            say(f'   {times:4d} link ends   {group}   {ours} / {theirs}   {cipher}')
        ok(f'{count} link ends on {len(self.nodes)} nodes, as each node itself reports; no other kind')
        self.row('links post-quantum', f'{count} of {count} link ends', time.monotonic() - began)

    def addresses(self):
        self.head('What is told of each host: addresses that can be reached from anywhere, and no others')
        began = time.monotonic()
        own = {n.peer: {n.host.v4, n.host.v6} for n in self.nodes}
        seen, records = set(), 0
        for n in self.nodes:
            status = n.ask('status')
            told = {a.split('/')[2] for a in status.get('announced', [])}
            need(told == own[n.peer], f'node {n.name} announces {sorted(told)}')
            seen |= {(p['peer'], p['address'].rsplit(':', 1)[0].strip('[]')) for p in n.ask('peers')['peers']}
        for n, asked in zip(self.nodes, self.nodes[7:] + self.nodes[:7]):  # what others were told, by a third party
            found = n.ask('dht', 'find', asked.peer)['addresses']
            need(found, f'node {n.name} finds no address of node {asked.name}')
            seen |= {(asked.peer, a.split('/')[2]) for a in found}
            records += 1
        wrong = [f'{self.name(p)}: {a}' for p, a in seen if a not in own[p] or not ipaddress.ip_address(a).is_global]
        need(not wrong, f'others know {", ".join(sorted(wrong))}')
        ok(f'{len(seen)} addresses in the links and {records} answers of the DHT, none private')
        self.row('addresses', f'{2 * len(own)} announced, no private one known', time.monotonic() - began)

    def far_apart(self):
        """every circuit that any node has chosen, some of them only to be looked at: no network is twice in one; the end
        that others named (rendezvous R-29) may be in the network of the guard"""
        nets = {n.peer: (n.host.v4.split('.')[:2], n.host.v6.split(':')[:2]) for n in self.net.started}
        count = 0
        for n in self.up()[:12]:
            n.ask('circuit', 'build')
        for n in self.up():
            for c in n.ask('circuit', 'list')['circuits']:
                for ix in (0, 1):
                    named = c.get('purpose') in ('introduce', 'service-introduce', 'service-rendezvous')
                    used = [tuple(nets[p][ix]) for p in c.get('path', [])[:-1 if named else None]]
                    need(len(set(used)) == len(used), f'a circuit of node {n.name} is twice in one network: {used}')
                count += 'path' in c
        need(count > 0, 'no node has a circuit')
        ok(f'{count} circuits of {len(self.up())} nodes: all hops of each in different networks (/16 of IPv4, /32 of IPv6)')

    def dht(self):
        self.head('A value in the distributed hash table')
        writer = self.nodes[4]
        value = f'written at {time.strftime("%H:%M:%S")} by node {writer.name}'
        key = '/app/greeting'
        began = time.monotonic()
        target = kad_id(key.encode())
        order = sorted(self.nodes, key=lambda n: kad_id(b58decode(n.peer)) ^ target)
        closest = {n.name for n in order[:K]}
        put = writer.ask('dht', 'put', 'greeting', value)
        say(f'   node {writer.name} puts {key}: {put["nodes"]} nodes have confirmed it when the command ends, after '
            f'{put["took_ns"] / 1e6:.1f} ms')
        until = time.monotonic() + 10 * SLOW  # a put ends when enough nodes have confirmed; the others' copies may be on their way
        while True:
            holders = {n.name for n in self.nodes
                       if any(r.get('key') == key for r in n.ask('dht', 'records')['records'])}
            if holders == closest or time.monotonic() > until:
                break
            time.sleep(0.1)
        need(holders == closest, f'held by {sorted(holders)}, the closest are {sorted(closest)}')
        say('   closest first: ' + ' '.join(n.name for n in order))
        ok(f'held by the {len(closest)} nodes closest to the key, by their own records '
           f'(k = {K}{", so all" if K >= len(self.nodes) else ""})')
        writer.ask('down')
        until = time.monotonic() + 5 * SLOW  # it says goodbye, then ends
        while writer.alive() and time.monotonic() < until:
            time.sleep(0.01)
        need(not writer.alive(), 'the writer still runs')
        say(f'   node {writer.name} is stopped')
        self.late = self.net.another()
        self.names[self.late.peer] = self.late.name
        mine = self.late.ask('dht', 'records')['records']
        need(not any(r.get('key') == key for r in mine), 'the new node holds the value before it asks')
        got = self.late.ask('dht', 'get', 'greeting')
        need(got['value'] == value and got['rpcs'] > 0, f'another value was read: {got}')
        other = self.nodes[8].ask('dht', 'get', 'greeting')
        need(other['value'] == value, 'node 09 read another value')
        ok(f'read by a node that came later and holds nothing itself: "{got["value"]}" '
           f'({got["rpcs"]} requests, {got["took_ns"] / 1e6:.1f} ms); read by node 09 too')
        self.row('DHT value', f'held by the {len(closest)} closest, read without its writer', time.monotonic() - began)

    def choose_ends(self):
        """who hosts and who calls: any two with entry guards of their own, which hold for months, and none the other's"""
        def guard(node):
            return node.ask('circuit', 'build')['path'][0]
        self.service = self.nodes[2]
        of_service = guard(self.service)
        for n in self.nodes[7:] + self.nodes[3:7]:
            self.client = n
            if n in self.up() and n.peer != of_service and guard(n) not in (self.service.peer, of_service):
                return
        raise Failed(f'all others share the entry guard of node {self.service.name}, or it is theirs')

    def dark(self):
        self.head('A dark address: published by one node, resolved by another through a circuit')
        began = time.monotonic()
        self.choose_ends()
        made = self.service.ask('dark', 'new', 'mail')
        self.address = made['address']
        need(made['kind'] == 'hidden', f'it is of kind {made["kind"]}')
        say(f'   {self.address}')
        put = self.service.ask('dark', 'publish', 'mail')
        points = [c['path'][-1] for c in self.service.ask('circuit', 'list')['circuits']
                  if c['purpose'] == 'service-introduce' and c['state'] == 'open']
        say(f'   node {self.service.name} publishes: {put["nodes"]} copies in {put["took_ns"] / 1e6:.1f} ms; callers are '
            f'introduced by {", ".join(self.name(p) for p in points)}')
        found = self.client.ask('dark', 'resolve', self.address)
        need(found['kind'] == 'hidden' and 'service' not in found, f'the record names node {found.get("service")}')
        need(not found['cached'], 'the answer came from a cache')
        ok(f'node {self.client.name} resolves it in {found["took_ns"] / 1e6:.1f} ms: the record names relays that introduce '
           f'callers, and not node {self.service.name}')
        lookups = [c for c in self.client.ask('circuit', 'list')['circuits'] if c['purpose'] == 'lookup']
        for c in lookups[:1]:
            say('   the lookup went through: us > ' + ' > '.join(self.name(p) for p in c['path']))
        wrong = self.address.replace(self.address[10], 'b' if self.address[10] != 'b' else 'c', 1)
        bad = subprocess.run(self.client.command('dark', 'resolve', wrong), capture_output=True, text=True, timeout=30)
        need(bad.returncode == 2 and 'QUDAG_ECHECKSUM' in bad.stdout, 'a typing error was not noticed')
        ok('the same address with one letter changed is refused as a typing error')
        self.row('dark address', 'published, resolved through a circuit', time.monotonic() - began)

    @staticmethod
    def carriers(node, role):
        """the circuits of |node| that carry one between a caller and a hidden service, the newest first: their relays"""
        rows = node.ask('circuit', 'list')['circuits']
        ours = {c['circuit']: c for c in rows if 'path' in c}
        of = [ours[c['carrier']] for c in rows if c['role'] == role and c['state'] == 'open' and c.get('carrier') in ours]
        return [c['path'] for c in sorted(of, key=lambda c: c['age_ns'])]

    def halves(self):
        """the relays from the sender to where both meet, and those from the service to there; neither side knows both"""
        ours = self.carriers(self.client, 'client')
        need(ours, 'there is no open circuit to the service')
        theirs = [path for path in self.carriers(self.service, 'end') if path[-1] == ours[0][-1]]
        need(theirs, 'the service has no circuit to where they meet')
        return ours[0], theirs[0]

    def halves_apart(self):
        """
        the same, of circuits that lead neither over the ends nor over the service's entry guard: among so few relays a
        node may serve its own caller.  What is sent with self.key goes through this one from now on.
        """
        for nth in range(2, 20):
            ours, theirs = self.halves()
            if not {self.service.peer, theirs[0]} & {*ours} and self.client.peer not in theirs:
                if nth > 2:
                    say(f'   not looked at: {nth - 2} that led over one of the ends, or over the guard of both')
                return ours, theirs
            self.key = f'demo {nth}'
            self.client.ask('send', self.address, '-m', f'try {nth}', '--isolate', self.key, timeout=90)
        raise Failed('every circuit leads over one of its ends')

    def message(self, text, title):
        began = time.monotonic()
        before = {e['file'] for e in self.service.ask('inbox')['inbox']}
        self.client.ask('send', self.address, '-m', text, '--isolate', self.key, timeout=90)
        took = time.monotonic() - began
        fresh = [e for e in self.service.ask('inbox')['inbox'] if e['file'] not in before]
        need(len(fresh) == 1 and fresh[0]['kind'] == 'message', f'the inbox has {len(fresh)} new entries')
        arrived = pathlib.Path(fresh[0]['file']).read_text()
        need(arrived == text, f'another text arrived: {arrived!r}')
        ok(f'"{arrived}" lies in the inbox of node {self.service.name}, from {fresh[0]["from"]}; '
           f'acknowledged after {took * 1000:.0f} ms')
        self.row(title, 'acknowledged; same text in the inbox', took)

    def path(self):
        self.head('The circuits it took, and what each relay knows of them')
        began = time.monotonic()
        ours, theirs = self.halves_apart()
        need(len(set(ours)) == 3 and len(theirs) == 4, f'{len(ours)} and {len(theirs)} relays, not 3 and 4')
        chain = [self.client.peer, *ours, *theirs[-2::-1], self.service.peer]
        met = len(ours)  # the place in the chain of the relay where both circuits end
        say('   us = ' + self.name(self.client.peer) + '   > ' + ' > '.join(self.name(p) for p in ours))
        say('   us = ' + self.name(self.service.peer) + '   > ' + ' > '.join(self.name(p) for p in theirs))
        ends = {self.client.peer, self.service.peer}
        for ix, peer in enumerate(chain[1:-1], 1):
            relay = next(n for n in self.nodes + [self.late] if n.peer == peer)
            rows = [c for c in relay.ask('circuit', 'list')['circuits'] if c['role'] != 'client']
            need(not any('path' in c for c in rows), f'relay {relay.name} knows a path')
            around = (chain[ix - 1], chain[ix + 1])
            if ix == met:
                need({*around} <= {c.get('prev') for c in rows if c['role'] == 'end'},
                     f'relay {relay.name} does not list the circuits that meet there')
                say(f'   node {relay.name} knows: {short(around[0])} before it, {short(around[1])} too; that both meet here')
                continue
            if ix > met:
                around = around[::-1]
            mine = [c for c in rows if (c.get('prev'), c.get('next')) == around]
            need(mine, f'relay {relay.name} does not list the circuit between its neighbours')
            need({*around} != ends, f'relay {relay.name} knows both ends')
            say(f'   node {relay.name} knows: {short(around[0])} before it, {short(around[1])} after it')
        need(not ends & {*ours, *theirs}, 'an end is a relay')
        ok('no relay knows both ends; the service knows where they met and not its caller, the sender not the service: '
           'by their own lists')
        if self.args.net:
            self.far_apart()
        self.row('3 + 4 relays', 'each knows its neighbours only', time.monotonic() - began)

    def received(self, before, source):
        fresh = [e for e in self.service.ask('inbox')['inbox'] if e['file'] not in before and e['kind'] == 'file']
        need(len(fresh) == 1, f'the inbox has {len(fresh)} new files')
        ours, theirs = sha256(source), sha256(fresh[0]['file'])
        need(ours == theirs, 'the received file has another SHA-256')
        ok(f'{fresh[0]["name"]}, {size_text(fresh[0]["size"])}, in the inbox of node {self.service.name}')
        say(f'       sha256 sent      {ours}')
        say(f'       sha256 received  {theirs}')
        return fresh[0]

    def file(self):
        self.head('A file through the circuit')
        if self.args.file:
            source = pathlib.Path(self.args.file)
        else:
            source = self.top / f'random-{self.args.size}MiB.bin'
            source.write_bytes(os.urandom(self.args.size << 20))
        size = source.stat().st_size
        before = {e['file'] for e in self.service.ask('inbox')['inbox']}
        began = time.monotonic()
        done = subprocess.run([str(QUDAG), '--dir', str(self.client.dir), 'send', self.address, str(source)],
                              timeout=600)
        took = time.monotonic() - began
        need(done.returncode == 0, f'the file was not delivered (exit {done.returncode})')
        self.received(before, source)
        self.row(f'file, {size_text(size)}', f'same SHA-256; {size_text(size / took)}/s over 6 relays', took)

    def kill(self):
        self.head('Four daemons are killed in the middle of a file, one of them a relay of the circuit')
        mib = self.args.size * 3 // 2
        source = self.top / f'second-{mib}MiB.bin'
        source.write_bytes(os.urandom(mib << 20))
        before = {e['file'] for e in self.service.ask('inbox')['inbox']}
        began = time.monotonic()
        killed, at, last, shown = [], 0, {}, ''
        sender = subprocess.Popen(self.client.command('send', self.address, str(source), '--isolate', self.key),
                                  stdout=subprocess.PIPE, text=True)
        try:
            for line in sender.stdout:
                doc = json.loads(line)
                need('error' not in doc, f'not delivered: {doc.get("error")}')
                last = doc.get('progress') or doc.get('delivered')
                state = last['state']
                if state != shown:
                    path = ' > '.join(short(p) for p in last.get('path', []))
                    say(f'   {time.monotonic() - began:5.1f} s  {state:10s} {size_text(last["acked"]):>9s} acknowledged'
                        f'{"  through " + path if path and state == "sending" else ""}')
                    shown = state
                if not killed and state == 'sending' and last['acked'] > last['size'] // 5:
                    at = last['acked']
                    killed = self.kill_four(last['path'])
                    died = time.monotonic()
            need(sender.wait(timeout=30) == 0, f'not delivered (exit {sender.returncode})')
        finally:
            if sender.poll() is None:
                sender.kill()
                sender.wait()
        took = time.monotonic() - began
        need(killed, 'the file arrived before anything could be killed')
        need(last['streams'] > 1 and last['resumed'] > 0, 'the transfer did not have to recover')
        self.received(before, source)
        ok(f'went on at {size_text(last["resumed"])} over another circuit; delivered '
           f'{time.monotonic() - died:.1f} s after the loss')
        self.row('4 daemons killed', f'at {size_text(at)} of {mib} MiB; resumed at {size_text(last["resumed"])}, same SHA-256',
                 took)

    def kill_four(self, path):
        """
        the second relay of the sender's half, and three others, but no entry guard, and one way to be introduced stays:
        who has lost his guard, or all of these, without a word waits for minutes until it is noticed
        """
        middle = next(n for n in self.nodes + [self.late] if n.peer == path[1])
        rows = self.service.ask('circuit', 'list')['circuits']
        ways = [c['path'] for c in rows if c['purpose'] == 'service-introduce' and c['state'] == 'open']
        guards = {c['path'][0] for c in rows if 'path' in c}
        others = [n for n in self.up() if n.peer not in path and n.peer not in guards and
                  n not in (self.client, self.service, self.nodes[0])]
        sets = [[middle, *three] for three in itertools.combinations(others, 3)]
        sets = [s for s in sets if any(not {n.peer for n in s} & {*way} for way in ways)]
        need(sets, 'there are not four daemons to kill')
        victims = self.random.choice(sets)
        for n in victims:
            os.kill(n.pid, signal.SIGKILL)
        say(f'            {paint("31", "SIGKILL")} for node {middle.name}, second relay of the sender\'s circuit, and for nodes '
            + ', '.join(n.name for n in victims[1:]))
        return victims

    def web(self):
        """a page, hosted at a hidden address and read by a program that knows SOCKS only"""
        self.head('A web site at a hidden address, and curl as anybody has it: they meet at a relay')
        began = time.monotonic()
        host, reader = self.nodes[8], self.nodes[5]
        Pages.page = b'<h1>Nobody knows where this is</h1>\n' + os.urandom(1 << 20).hex().encode()
        socket = self.top / 'web.sock'
        server = socketserver.ThreadingUnixStreamServer(str(socket), Pages)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = host.ask('expose', f'80:unix:{socket}', '--name', 'site')
        need(site['kind'] == 'hidden' and site['published'], f'{site}')
        say(f'   node {host.name}: qudag expose 80:unix:web.sock --name site')
        say(f'   {site["address"]}, kind {site["kind"]}, published after {time.monotonic() - began:.2f} s')
        socks = reader.ask('proxy')['socks']
        url = f'http://{site["address"]}/'
        words = ['curl', '-sS', '--max-time', '60', '--proxy', socks, url]
        if not shutil.which('curl'):  # the same by the other half of the proxy
            words = [sys.executable, '-c', 'import sys, urllib.request as u; sys.stdout.buffer.write(u.build_opener('
                     'u.ProxyHandler({"http": sys.argv[1]})).open(sys.argv[2], timeout=60).read())',
                     socks.replace('socks5h', 'http'), url]
        asked = time.monotonic()
        got = subprocess.run(reader.host.command(*words) if reader.host else words, capture_output=True, timeout=70 * SLOW)
        took = time.monotonic() - asked
        need(got.stdout == Pages.page, f'another page arrived: {got.stdout[:300]!r} {got.stderr[:300]!r}')
        ok(f'node {reader.name}: {words[0]} --proxy {socks} http://...dark/: {size_text(len(got.stdout))}, the same page, '
           f'after {took:.2f} s')
        server.shutdown()
        self.row('hidden web site', f'{size_text(len(got.stdout))} through the proxy, the same page', took)

    def run(self):
        self.start()
        self.links()
        self.net.check(self)
        self.dht()
        self.web()
        self.dark()
        self.head('A message to the dark address')
        self.message(self.args.message, 'message')
        self.path()
        self.file()
        self.kill()
        self.head('And a message again')
        self.message('still here', 'message afterwards')

    def summary(self, failure):
        say()
        width = max((len(what) for what, _, _ in self.table), default=10)
        middle = max((len(result) for _, result, _ in self.table), default=10)
        for what, result, took in self.table:
            say(f'  {what:{width}s}  {result:{middle}s}  {took:7.2f} s  {paint("32", "verified")}')
        if failure:
            say(f'  {paint("31", "FAILED")}: {failure}')
        say(f'  {"total":{width}s}  {"":{middle}s}  {time.monotonic() - self.began:7.2f} s')


def options():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--file', default=os.environ.get('FILE') or '')
    p.add_argument('--message', default=os.environ.get('MESSAGE') or 'Hello from the dark.')
    p.add_argument('--net', action='store_true', default=os.environ.get('NET') in ('yes', '1'),
                   help='hosts of their own in network namespaces, instead of a lab on loopback')
    p.add_argument('--nodes', type=int, default=0, help='12; with --net 24')
    p.add_argument('--size', type=int, default=64, help='MiB of the file that is made up')
    p.add_argument('--keep', action='store_true', help='leave folders and logs behind')
    args = p.parse_args()
    args.nodes = args.nodes or (Net if args.net else Lab).nodes
    if not QUDAG.exists():
        sys.exit(f'demo: {QUDAG} is missing; make builds it')
    if args.file and not os.path.isfile(args.file):
        sys.exit(f'demo: {args.file}: no such file')
    if args.nodes < 10:
        sys.exit('demo: at least 10 nodes: four are killed and a circuit needs four others')
    return args


def enter_net(args):
    if hosts.INSIDE not in os.environ:
        say(f'A network of {args.nodes} hosts on this machine: network namespaces at one bridge, inside a namespace without')
        say('a way to anywhere else.  Needs root, or a kernel that lets users make namespaces (unshare --map-root-user).')
    try:
        hosts.enter()
    except hosts.Missing as e:
        say(f'demo: {e}')
        say('demo: without namespaces: make demo, without NET')
        sys.exit(hosts.SKIPPED)


def main():
    args = options()
    if args.net:
        enter_net(args)
    for sig in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, lambda *_: sys.exit(143))
    demo, failure = Demo(args), 'interrupted'
    try:
        demo.run()
        failure = ''
    except (Failed, hosts.Missing, OSError, ValueError, KeyError, subprocess.SubprocessError) as e:
        failure = f'{e}' if isinstance(e, Failed) else f'{type(e).__name__}: {e}'
    finally:
        if failure:
            demo.args.keep = demo.args.keep or 'QUDAG_KEEP' in os.environ
        demo.cleanup()
        demo.summary(failure)
    return 1 if failure else 0


if __name__ == '__main__':
    sys.exit(main())
