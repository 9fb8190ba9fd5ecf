#!/usr/bin/python3
"""What bench/rendezvous_bench.c and circuit_bench.c measure, of Tor: a private network on loopback, as Debian's package is.

    tools/tor_bench.py [--variant shipped|tuned]... [--services N] [--calls N] [--mib N] [--keep]

Prints one JSON object per line as tools/bench.py reads them.  Without `tor` the figures are quoted: they were measured of 0.4.9.11
in the same way (QUOTED).

Three authorities, six relays, a client and a host of onion services, each a process of its own with a torrc of its own below a
temporary folder; TestingTorNetwork makes them a network within half a minute.  With root's rights all of it, this program too,
lives in a network namespace of its own.  "tuned" is the fastest that Tor could be made on loopback: `Schedulers Vanilla` instead of
KIST's ticks of 10 ms, and TCP acknowledgements sent at once (a property of the route, so it needs the namespace).

Every Tor is told to end when this program does (__OwningControllerProcess), is ended by its process id, and no measurement
waits without a bound.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

AUTHORITIES, RELAYS = 3, 6
READY_S = 90  # for a network to be ready
CALL_S = 20  # for anything else
ALL_S = 150  # for all measurements of one network
VOTES = 'TestingV3AuthInitialVotingInterval 10\nTestingV3AuthInitialVoteDelay 2\nTestingV3AuthInitialDistDelay 2\n' \
    'V3AuthVotingInterval 120\nV3AuthVoteDelay 2\nV3AuthDistDelay 2\n' \
    'TestingDirAuthVoteExit *\nTestingDirAuthVoteGuard *\nTestingDirAuthVoteHSDir *\nTestingMinExitFlagThreshold 0\n'


# shipped and tuned, medians; two virtual processors (x86-64) shared by all processes of such a network and nothing else
QUOTED = [('connect, record not cached', 'ms', 111, 12.6), ('connect, record cached', 'ms', 120, 12),
          ('new stream on an open rendezvous', 'ms', 23, 1.65), ('echo of 64 bytes', 'ms', 16, 0.80), ('one stream', 'MB/s', 6.9, 26.7),
          ('one stream: cpu per GB, busiest relay', 's', 16.7, 11.9), ('build, 3 hops, many at once', 'ops/s', None, 1152),
          ('echo of 64 bytes over 3 hops', 'ms', 8.2, 0.19)]


class Failed(Exception):
    """a measurement that could not be made"""


class TooLong(Failed):
    """the time for a network is over"""


def too_long(*_):
    raise TooLong(f'no end after {ALL_S} s: what follows was not measured')


def free_ports(n):
    held = [socket.create_server(('127.0.0.1', 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


# ---- the network


class Tor:
    """one process: its folder, ports and torrc"""

    def __init__(self, top, name):
        self.name, self.dir = name, top / name
        self.dir.mkdir(mode=0o700)
        self.orport, self.dirport, self.control, self.socks = free_ports(4)
        self.lines, self.process = [], None

    def make_authority(self):
        """its keys, and the line by which others know it"""
        keys = self.dir / 'keys'
        keys.mkdir(mode=0o700)
        subprocess.run(['tor-gencert', '--create-identity-key', '--passphrase-fd', '0', '-m', '2', '-a', f'127.0.0.1:{self.dirport}',
                        '-i', keys / 'authority_identity_key', '-s', keys / 'authority_signing_key',
                        '-c', keys / 'authority_certificate'], input=b'\n', check=True, capture_output=True, timeout=60)
        cert = (keys / 'authority_certificate').read_text().split()
        v3 = cert[cert.index('fingerprint') + 1]
        out = subprocess.run(['tor', '--ignore-missing-torrc', '-f', self.dir / 'none', '--list-fingerprint', '--orport', '1', '--quiet',
                              '--dirserver', 'x 127.0.0.1:1 ' + 'f' * 40, '--datadirectory', self.dir],
                             check=True, capture_output=True, text=True, timeout=60)
        own = ''.join(out.stdout.split()[1:])
        return f'DirAuthority {self.name} orport={self.orport} no-v2 v3ident={v3} 127.0.0.1:{self.dirport} {own}\n'

    def start(self, common):
        (self.dir / 'torrc').write_text(
            f'{common}DataDirectory {self.dir}\nNickname {self.name}\nControlPort {self.control}\n__OwningControllerProcess {os.getpid()}\n'
            f'Log notice file {self.dir}/log\n' + ''.join(self.lines))
        with open(self.dir / 'out', 'wb') as out:
            self.process = subprocess.Popen(['tor', '-f', self.dir / 'torrc', '--quiet'], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out)

    def cpu_s(self):
        """processor time so far"""
        f = pathlib.Path(f'/proc/{self.process.pid}/stat').read_text().rsplit(')', 1)[1].split()
        return (int(f[11]) + int(f[12])) / os.sysconf('SC_CLK_TCK')

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Control:
    """a connection to a control port"""

    def __init__(self, tor):
        end = time.monotonic() + READY_S
        while True:
            try:
                self.sock = socket.create_connection(('127.0.0.1', tor.control), timeout=CALL_S)
                break
            except OSError:
                if time.monotonic() > end or tor.process.poll() is not None:
                    raise Failed(f'{tor.name} did not start: {(tor.dir / "out").read_text()[-500:]}') from None
                time.sleep(0.1)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.sock.makefile('r', encoding='latin-1')
        self.events = []
        self.ask('AUTHENTICATE')

    def line(self):
        text = self.lines.readline()
        if text == '':
            raise Failed('a Tor has ended')
        return text.rstrip('\r\n')

    def answer(self):
        """of one command: its lines; what happens meanwhile is kept"""
        got = []
        while True:
            text = self.line()
            if text.startswith('650'):
                self.events.append(text)
                continue
            got.append(text)
            if text[3:4] == ' ':
                if not text.startswith('250'):
                    raise Failed(text)
                return got

    def ask(self, command):
        self.sock.sendall(command.encode() + b'\r\n')
        return self.answer()

    def event(self):
        return self.events.pop(0) if self.events else self.line()


def wait_ready(control, end):
    while not any('PROGRESS=100' in line for line in control.ask('GETINFO status/bootstrap-phase')):
        if time.monotonic() > end:
            raise Failed('the network was not ready in time')
        time.sleep(0.2)


class Network:
    """all of it, with servers for the far end of a stream"""

    def __init__(self, top, variant, services):
        self.echo, self.source = serve(echo), serve(source)
        self.authorities = [Tor(top, f'auth{i}') for i in range(AUTHORITIES)]
        self.relays = [Tor(top, f'relay{i}') for i in range(RELAYS)]
        self.client, self.host = Tor(top, 'client'), Tor(top, 'host')
        self.all = self.authorities + self.relays + [self.client, self.host]
        common = 'TestingTorNetwork 1\nShutdownWaitLength 0\nRunAsDaemon 0\nPathsNeededToBuildCircuits 0.67\n'
        common += ''.join(a.make_authority() for a in self.authorities)
        common += 'Schedulers Vanilla\n' if variant == 'tuned' else ''
        for t in self.authorities + self.relays:
            t.lines += [f'ORPort {t.orport}\nAddress 127.0.0.1\nAssumeReachable 1\nExitRelay 1\nExitPolicy accept *:*\nSocksPort 0\n']
        for t in self.authorities:
            t.lines += [f'DirPort {t.dirport}\nAuthoritativeDirectory 1\nV3AuthoritativeDirectory 1\nContactInfo none@test.test\n', VOTES]
        self.client.lines += [f'SocksPort {self.client.socks} IsolateSOCKSAuth\n']
        self.host.lines += ['SocksPort 0\n'] + [
            f'HiddenServiceDir {self.host.dir}/s{i}\nHiddenServicePort 1 127.0.0.1:{self.echo}\n'
            f'HiddenServicePort 2 127.0.0.1:{self.source}\n' for i in range(services)]
        self.services, self.common, self.keys = services, common, 0

    def start(self):
        """until the client and the services can be used; what the client's control port is, and the addresses"""
        for t in self.all:
            t.start(self.common)
        end = time.monotonic() + READY_S
        host, client = Control(self.host), Control(self.client)
        host.ask('SETEVENTS HS_DESC')
        wait_ready(client, end)
        addresses = [(self.host.dir / f's{i}' / 'hostname').read_text().strip() for i in range(self.services)]
        missing = {a.removesuffix('.onion') for a in addresses}
        while missing:
            words = host.event().split()
            if words[1:3] == ['HS_DESC', 'UPLOADED']:
                missing.discard(words[3])
            if time.monotonic() > end:
                raise Failed('services were not published in time')
        return client, addresses

    def stop(self):
        with concurrent.futures.ThreadPoolExecutor(len(self.all)) as pool:
            list(pool.map(Tor.stop, self.all))

    def key(self):
        """an isolation of its own: no circuit is shared with what came before"""
        self.keys += 1
        return self.keys

    def connect(self, host, port, key):
        """a stream through the client's SOCKS port"""
        s = socket.create_connection(('127.0.0.1', self.client.socks), timeout=CALL_S)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        user = str(key).encode()
        name = host.encode()
        s.sendall(b'\5\1\2')
        exactly(s, 2)
        s.sendall(b'\1' + bytes([len(user)]) + user + b'\1x')
        exactly(s, 2)
        s.sendall(b'\5\1\0\3' + bytes([len(name)]) + name + port.to_bytes(2, 'big'))
        if exactly(s, 10)[1] != 0:
            s.close()
            raise Failed(f'a stream to {host[:12]} was refused')
        return s


# ---- the far end of a stream


def exactly(s, n):
    got = b''
    while len(got) < n:
        part = s.recv(n - len(got))
        if part == b'':
            raise Failed('a stream ended')
        got += part
    return got


def echo(s):
    while True:
        data = s.recv(65536)
        if data == b'':
            return
        s.sendall(data)


def source(s):
    """as many bytes as the first eight say"""
    left, block = int.from_bytes(exactly(s, 8), 'little'), bytes(65536)
    while left > 0:
        s.sendall(block[:min(left, len(block))])
        left -= min(left, len(block))


def serve(what):
    """the port of a server, each of whose connections has a thread"""
    server = socket.create_server(('127.0.0.1', 0), backlog=64)

    def one(s):
        with s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                what(s)
            except (OSError, Failed):
                pass  # the other side has gone

    def run():
        while True:
            s, _ = server.accept()
            threading.Thread(target=one, args=(s, ), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    return server.getsockname()[1]


# ---- measurements


class Report:

    def __init__(self, variant, version):
        self.variant, self.version = variant, version

    def row(self, name, value, unit):
        print(json.dumps({'bench': 'tor', 'name': name, 'variant': self.variant, 'impl': self.version, 'value': round(value, 4),
                          'unit': unit}), flush=True)

    def times(self, name, seconds):
        if not seconds:
            raise Failed(f'{name}: none')
        ms = sorted(1000 * s for s in seconds)
        self.row(name, statistics.median(ms), 'ms')
        self.row(f'{name}: p95', ms[min(len(ms) - 1, len(ms) * 95 // 100)], 'ms')


def call(net, host, port, key):
    """the time from a call to the first byte that comes back, and the stream"""
    begin = time.perf_counter()
    s = net.connect(host, port, key)
    s.sendall(b'x')
    exactly(s, 1)
    return time.perf_counter() - begin, s


def bench_calls(net, report, addresses, calls):
    failed = 0

    def some(called):
        nonlocal failed
        for address in called:
            time.sleep(1)  # in which circuits are built for what comes
            try:
                seconds, s = call(net, address, 1, net.key())
                s.close()
                yield seconds
            except (OSError, Failed) as e:
                if isinstance(e, TooLong):
                    raise
                print(f'tor_bench: {report.variant}: a call failed: {e}', file=sys.stderr)
                failed += 1

    report.times('connect, record not cached', list(some(addresses)))
    report.times('connect, record cached', list(some([addresses[i % len(addresses)] for i in range(calls)])))
    report.row(f'calls that failed, or took more than {CALL_S} s', failed, '')


def echoes(s, n):
    def one():
        begin = time.perf_counter()
        s.sendall(bytes(64))
        exactly(s, 64)
        return time.perf_counter() - begin

    return [one() for _ in range(n)][n // 10:]


def bench_streams(net, report, address):
    key = net.key()
    _, first = call(net, address, 1, key)
    opens = []
    for _ in range(60):
        seconds, s = call(net, address, 1, key)
        s.close()
        opens.append(seconds)
    report.times('new stream on an open rendezvous', opens)
    report.times('echo of 64 bytes', echoes(first, 400))
    first.close()


def bench_bulk(net, report, address, size):
    busy = net.authorities + net.relays
    s = net.connect(address, 2, net.key())
    before = [t.cpu_s() for t in busy]
    begin = time.perf_counter()
    s.sendall(size.to_bytes(8, 'little'))
    got = 0
    while got < size:
        part = len(s.recv(1 << 18))
        if part == 0:
            raise Failed('a transfer ended early')
        got += part
    seconds = time.perf_counter() - begin
    s.close()
    cpu = max(t.cpu_s() - b for t, b in zip(busy, before))
    report.row('one stream', size / 1e6 / seconds, 'MB/s')
    report.row('one stream: cpu per GB, busiest relay', cpu * 1e9 / size, 's')


def build(control, n):
    """|n| circuits at once; the time until all are there"""
    begin = time.perf_counter()
    control.sock.sendall(b'EXTENDCIRCUIT 0\r\n' * n)
    ids = {control.answer()[0].split()[2] for _ in range(n)}
    there = 0
    while ids:
        words = control.event().split()
        if words[1] == 'CIRC' and words[3] in ('BUILT', 'FAILED', 'CLOSED') and words[2] in ids:
            ids.discard(words[2])
            there += words[3] == 'BUILT'
    seconds = time.perf_counter() - begin
    if there < n / 2:  # Tor gives up some of many at once; those do not count
        raise Failed(f'{n - there} of {n} circuits failed')
    return seconds, there


def bench_circuits(net, report, control):
    control.ask('SETEVENTS CIRC')
    report.times('build, 3 hops, one after the other', [build(control, 1)[0] for _ in range(30)])
    seconds, there = build(control, 200)
    report.row('build, 3 hops, many at once', there / seconds, 'ops/s')
    _, s = call(net, '127.0.0.1', net.echo, net.key())
    report.times('echo of 64 bytes over 3 hops', echoes(s, 400))
    s.close()


def measure(variant, version, args):
    top = pathlib.Path(tempfile.mkdtemp(prefix='tor-bench-'))
    net = None
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(ALL_S)
    try:
        net = Network(top, variant, args.services)
        control, addresses = net.start()
        report = Report(variant, version)
        bench_calls(net, report, addresses, args.calls)
        bench_streams(net, report, addresses[0])
        bench_bulk(net, report, addresses[0], args.mib << 20)
        bench_circuits(net, report, control)
        return True
    except (Failed, OSError, subprocess.SubprocessError) as e:
        print(f'tor_bench: {variant}: {e}', file=sys.stderr)
        return False
    finally:
        signal.alarm(0)
        if net is not None:
            net.stop()
        if args.keep:
            print(f'tor_bench: {top} is kept', file=sys.stderr)
        else:
            shutil.rmtree(top, ignore_errors=True)


def enter_namespace():
    """a network of our own, so that its route can be changed; False if that is not allowed"""
    if subprocess.run(['unshare', '--net', 'true'], capture_output=True, check=False).returncode != 0:
        return False
    os.execvp('unshare', ['unshare', '--net', sys.executable, __file__, '--inside'] + sys.argv[1:])


def prepare_loopback(quick):
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    for to in ('127.0.0.0/8', '127.0.0.1'):
        change = ['ip', 'route', 'replace', 'local', to, 'dev', 'lo', 'proto', 'kernel', 'scope', 'host', 'src', '127.0.0.1',
                  'table', 'local']
        subprocess.run(change + (['quickack', '1'] if quick else []), check=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    p.add_argument('--variant', action='append', choices=['shipped', 'tuned'])
    p.add_argument('--services', type=int, default=4, help='addresses, each of which is called once for its record')
    p.add_argument('--calls', type=int, default=10, help='further calls, of which the record is known')
    p.add_argument('--mib', type=int, default=24, help='of a bulk transfer')
    p.add_argument('--keep', action='store_true', help='the folder with torrcs and logs')
    p.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    args = p.parse_args()
    if os.environ.get('BENCH_ROUND', '1') != '1':
        return 0  # once is enough of what takes minutes
    if shutil.which('tor') is None or shutil.which('tor-gencert') is None:
        print('tor_bench: there is no tor (apt-get install tor): quoted, not measured', file=sys.stderr)
        for name, unit, *values in QUOTED:
            for variant, value in zip(['shipped', 'tuned'], values):
                if value is not None:
                    Report(variant, 'Tor 0.4.9.11, quoted').row(name, value, unit)
        return 0
    if not args.inside and not enter_namespace():
        print('tor_bench: not root: the private network shares the loopback, and "tuned" is left out', file=sys.stderr)
    out = subprocess.run(['tor', '--version'], capture_output=True, text=True, check=True).stdout.split()
    version = 'Tor ' + out[2].rstrip('.')
    ok = True
    for variant in args.variant or ['shipped', 'tuned']:
        if args.inside:
            prepare_loopback(variant == 'tuned')
        elif variant == 'tuned':
            continue
        ok = measure(variant, version, args) and ok
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main())
