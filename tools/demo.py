#!/usr/bin/python3
"""A network on this machine, and things sent through it: what `make demo` runs.

    tools/demo.py [--file FILE] [--message TEXT] [--nodes N] [--keep]

FILE and MESSAGE may come from the environment too.  Every daemon is a process of its own with its own port, keys and
folder.  Each step is checked where it arrives: a line of the last table says "verified" only if the receiving side (its
inbox, its store, its own list of circuits) said so.  Exit code 0: every line was verified.  Nothing stays behind.
"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SRC = pathlib.Path(os.environ.get('QUDAG_SRC') or pathlib.Path(__file__).resolve().parent.parent)
BUILD = pathlib.Path(os.environ.get('QUDAG_BUILD') or SRC / 'build/out')
QUDAG = BUILD / 'bin/qudag'
K = 20  # records are stored on that many nodes, or on all if there are fewer
TTY = sys.stdout.isatty()
COLOUR = TTY and 'NO_COLOR' not in os.environ
BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'


class Failed(Exception):
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
    def __init__(self, folder):
        self.dir = folder
        self.name = folder.name
        self.peer = self.bootstrap = None
        self.pid = 0

    def command(self, *args):
        return [str(QUDAG), '--dir', str(self.dir), '--json', *args]

    def ask(self, *args, timeout=60):
        """the one JSON document a command answers with"""
        done = subprocess.run(self.command(*args), capture_output=True, text=True, timeout=timeout)
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


class Demo:
    def __init__(self, args):
        self.args = args
        self.top = pathlib.Path(tempfile.mkdtemp(prefix='qudag-demo-'))
        self.nodes = []
        self.late = None
        self.table = []
        self.began = time.monotonic()
        self.random = random.Random()
        self.names = {}

    # ---------------------------------------------------------------- helpers

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
            subprocess.run([str(QUDAG), '--dir', str(self.top), 'lab', 'down'], capture_output=True, timeout=30)
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
        head(1, f'{n} daemons on this machine: each its own process, port, keys and folder')
        began = time.monotonic()
        done = subprocess.run([str(QUDAG), '--dir', str(self.top), 'lab', 'up', str(n)], timeout=180)
        need(done.returncode == 0, f'the network did not come up (exit {done.returncode})')
        took = time.monotonic() - began
        for nth in range(1, n + 1):
            node = Node(self.top / 'lab' / f'{nth:02d}')
            node.learn()
            self.nodes.append(node)
            self.names[node.peer] = node.name
        need(len({node.pid for node in self.nodes}) == n and len({node.peer for node in self.nodes}) == n,
             'processes and identities are not distinct')
        for node in self.nodes:
            need(node.ask('status')['phase'] == 'ready', f'node {node.name} is not ready')
        ok(f'{n} processes, {n} identities, all ready')
        self.row('network up', f'{n} daemons ready', took)

    def links(self):
        head(2, 'Every link: hybrid key exchange, post-quantum signatures on both sides')
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

    def dht(self):
        head(3, 'A value in the distributed hash table')
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
        until = time.monotonic() + 10  # a put ends when enough nodes have confirmed; the others' copies may be on their way
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
        until = time.monotonic() + 5  # it says goodbye, then ends
        while writer.alive() and time.monotonic() < until:
            time.sleep(0.01)
        need(not writer.alive(), 'the writer still runs')
        say(f'   node {writer.name} is stopped')
        self.late = Node(self.top / 'lab' / 'late')
        self.late.ask('up', '--lab', '--listen', '/ip4/127.0.0.1/udp/0/quic-v1', '--bootstrap',
                      self.nodes[0].bootstrap, timeout=90)
        self.late.learn()
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

    def dark(self):
        head(4, 'A dark address: published by one node, resolved by another through a circuit')
        began = time.monotonic()
        self.service, self.client = self.nodes[2], self.nodes[7]
        self.address = self.service.ask('dark', 'new', 'mail')['address']
        say(f'   {self.address}')
        put = self.service.ask('dark', 'publish', 'mail')
        say(f'   node {self.service.name} publishes: {put["nodes"]} copies in {put["took_ns"] / 1e6:.1f} ms')
        found = self.client.ask('dark', 'resolve', self.address)
        need(found['service'] == self.service.peer, f'resolved to {found["service"]}')
        need(not found['cached'], 'the answer came from a cache')
        ok(f'node {self.client.name} resolves it in {found["took_ns"] / 1e6:.1f} ms: it leads to node '
           f'{self.service.name}')
        lookups = [c for c in self.client.ask('circuit', 'list')['circuits'] if c['purpose'] == 'lookup']
        for c in lookups[:1]:
            say('   the lookup went through: us > ' + ' > '.join(self.name(p) for p in c['path']))
        wrong = self.address.replace(self.address[10], 'b' if self.address[10] != 'b' else 'c', 1)
        bad = subprocess.run(self.client.command('dark', 'resolve', wrong), capture_output=True, text=True, timeout=30)
        need(bad.returncode == 2 and 'QUDAG_ECHECKSUM' in bad.stdout, 'a typing error was not noticed')
        ok('the same address with one letter changed is refused as a typing error')
        self.row('dark address', 'published, resolved through a circuit', time.monotonic() - began)

    def live_path(self):
        for c in self.client.ask('circuit', 'list')['circuits']:
            if c['role'] == 'client' and c['purpose'] == 'dark' and c['state'] == 'open' and \
                    c['path'][-1] == self.service.peer:
                return c['path']
        raise Failed('there is no open circuit to the service')

    def message(self, text, title):
        began = time.monotonic()
        before = {e['file'] for e in self.service.ask('inbox')['inbox']}
        self.client.ask('send', self.address, '-m', text, timeout=90)
        took = time.monotonic() - began
        fresh = [e for e in self.service.ask('inbox')['inbox'] if e['file'] not in before]
        need(len(fresh) == 1 and fresh[0]['kind'] == 'message', f'the inbox has {len(fresh)} new entries')
        arrived = pathlib.Path(fresh[0]['file']).read_text()
        need(arrived == text, f'another text arrived: {arrived!r}')
        ok(f'"{arrived}" lies in the inbox of node {self.service.name}, from {fresh[0]["from"]}; '
           f'acknowledged after {took * 1000:.0f} ms')
        self.row(title, 'acknowledged; same text in the inbox', took)

    def path(self):
        head(6, 'The circuit it took, and what each relay knows of it')
        began = time.monotonic()
        path = self.live_path()
        relays = [n for p in path[:-1] for n in self.nodes + [self.late] if n.peer == p]
        need(len(relays) == 3 and len(set(path)) == 4, f'{len(relays)} relays, not 3 different ones')
        say('   us = ' + self.name(self.client.peer) + '   > ' + ' > '.join(self.name(p) for p in path))
        chain = [self.client.peer] + path
        ends = {self.client.peer, self.service.peer}
        for ix, relay in enumerate(relays, 1):
            rows = [c for c in relay.ask('circuit', 'list')['circuits'] if c['role'] != 'client']
            mine = [c for c in rows if c.get('prev') == chain[ix - 1] and c.get('next') == chain[ix + 1]]
            need(mine, f'relay {relay.name} does not list the circuit between its neighbours')
            for c in rows:
                need('path' not in c, f'relay {relay.name} knows a path')
                need(not ends <= {c.get('prev'), c.get('next')}, f'relay {relay.name} knows both ends')
            say(f'   node {relay.name} knows: {short(chain[ix - 1])} before it, {short(chain[ix + 1])} after it')
        last = [c for c in self.service.ask('circuit', 'list')['circuits'] if c['role'] == 'end']
        need(any(c.get('prev') == path[-2] for c in last), 'the service does not list the circuit')
        need(not any(self.client.peer in (c.get('prev'), c.get('next')) for c in last), 'the service knows its caller')
        ok('no relay knows both ends, and the service does not know its caller, by their own lists')
        self.row('3 relays', 'each knows its neighbours only', time.monotonic() - began)

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
        head(7, 'A file through the circuit')
        if self.args.file:
            source = pathlib.Path(self.args.file)
        else:
            source = self.top / 'random-64MiB.bin'
            source.write_bytes(os.urandom(64 << 20))
        size = source.stat().st_size
        before = {e['file'] for e in self.service.ask('inbox')['inbox']}
        began = time.monotonic()
        done = subprocess.run([str(QUDAG), '--dir', str(self.client.dir), 'send', self.address, str(source)],
                              timeout=600)
        took = time.monotonic() - began
        need(done.returncode == 0, f'the file was not delivered (exit {done.returncode})')
        self.received(before, source)
        self.row(f'file, {size_text(size)}', f'same SHA-256; {size_text(size / took)}/s over 3 relays', took)

    def kill(self):
        head(8, 'Four daemons are killed in the middle of a file, one of them a relay of the circuit')
        source = self.top / 'second-96MiB.bin'
        source.write_bytes(os.urandom(96 << 20))
        before = {e['file'] for e in self.service.ask('inbox')['inbox']}
        began = time.monotonic()
        killed, at, last, shown = [], 0, {}, ''
        sender = subprocess.Popen(self.client.command('send', self.address, str(source)), stdout=subprocess.PIPE,
                                  text=True)
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
                    killed = self.kill_four()
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
        self.row('4 daemons killed', f'at {size_text(at)} of 96 MiB; resumed at {size_text(last["resumed"])}, same SHA-256',
                 took)

    def kill_four(self):
        path = self.live_path()
        middle = next(n for n in self.nodes + [self.late] if n.peer == path[1])
        others = [n for n in self.up() if n.peer not in path and n not in (self.client, self.service, self.nodes[0])]
        self.random.shuffle(others)
        victims = [middle] + others[:3]
        need(len(victims) == 4, 'there are not four daemons to kill')
        for n in victims:
            os.kill(n.pid, signal.SIGKILL)
        say(f'            {paint("31", "SIGKILL")} for node {middle.name}, second relay of this circuit, and for nodes '
            + ', '.join(n.name for n in victims[1:]))
        return victims

    def run(self):
        self.start()
        self.links()
        self.dht()
        self.dark()
        head(5, 'A message to the dark address')
        self.message(self.args.message, 'message')
        self.path()
        self.file()
        self.kill()
        head(9, 'And a message again')
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


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--file', default=os.environ.get('FILE') or '')
    p.add_argument('--message', default=os.environ.get('MESSAGE') or 'Hello from the dark.')
    p.add_argument('--nodes', type=int, default=12)
    p.add_argument('--keep', action='store_true', help='leave folders and logs behind')
    args = p.parse_args()
    if not QUDAG.exists():
        sys.exit(f'demo: {QUDAG} is missing; make builds it')
    if args.file and not os.path.isfile(args.file):
        sys.exit(f'demo: {args.file}: no such file')
    if args.nodes < 10:
        sys.exit('demo: at least 10 nodes: four are killed and a circuit needs four others')
    for sig in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, lambda *_: sys.exit(143))
    demo, failure = Demo(args), 'interrupted'
    try:
        demo.run()
        failure = ''
    except (Failed, OSError, ValueError, KeyError, subprocess.SubprocessError) as e:
        failure = f'{e}' if isinstance(e, Failed) else f'{type(e).__name__}: {e}'
    finally:
        if failure:
            demo.args.keep = demo.args.keep or 'QUDAG_KEEP' in os.environ
        demo.cleanup()
        demo.summary(failure)
    return 1 if failure else 0


if __name__ == '__main__':
    sys.exit(main())
