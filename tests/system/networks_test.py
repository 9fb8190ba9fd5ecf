#!/usr/bin/python3
"""Real daemons in network namespaces of their own: many interfaces, mixed IP versions, a path whose MTU shrinks.

TEST: timeout=180 waits

Skipped, and said so, where namespaces cannot be made.  All is inside one namespace without a route to anywhere, which
goes away with the processes in it.
"""
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hosts  # noqa: E402
from hosts import V4, V6, Place, ip  # noqa: E402
from programs import QUDAG, SLOW, TOP, Node, check, run  # noqa: E402


class Host(Node, Place):
    """a daemon in a namespace of its own, at the common bridge"""

    def __init__(self, number, versions, *options):
        Node.__init__(self, f'host{number}', *options)
        Place.__init__(self, number)
        self.addr = {v: f'198.51.100.{number}' if v == V4 else f'2001:db8::{number}' for v in versions}
        for v, text in self.addr.items():
            self.add(text, 24 if v == V4 else 64)
        # The bridge lets datagrams joined by the kernel pass whatever its MTU: they are cut before.
        self.ip('link', 'set', 'eth0', 'up', 'gso_max_segs', 1)

    def start(self, *options, wait=False):
        args = ['-o', 'lab.lab=yes']
        for v, text in self.addr.items():
            args += ['-o', f'node.listen=/ip{v}/{text}/udp/4433/quic-v1']
        for o in (*self.options, *options):
            args += ['-o', o]
        code, text = run(*self.command(QUDAG, '--dir', self.dir, 'up', '--json', *([] if wait else ['--no-wait']), *args),
                         timeout=60)
        check(code == 0, f'{self.dir.name} does not start: exit {code}: {text}')
        status = self.ask('status')
        self.boot = status['bootstrap']
        return self.take(status)


def seconds(host, what, *args, limit):
    """asks, and demands an answer within |limit|"""
    begin = time.monotonic()
    host.ask(*args)
    took = time.monotonic() - begin
    check(took < limit * SLOW, f'{what}: took {took:.1f} s')
    print(f'ok: {what}: {took:.2f} s', flush=True)


def many_interfaces():
    """ten private networks before the address that others can reach: it is told, and first"""
    n = Host(9, [])
    for net in range(17, 27):
        n.ip('link', 'add', f'net{net}', 'type', 'veth', 'peer', 'name', f'peer{net}')
        n.ip('addr', 'add', f'172.{net}.0.1/16', 'dev', f'net{net}')
        n.ip('link', 'set', f'net{net}', 'up')
    n.ip('link', 'add', 'wan', 'type', 'veth', 'peer', 'name', 'peerwan')
    n.ip('addr', 'add', '203.0.113.7/24', 'dev', 'wan')
    n.ip('link', 'set', 'wan', 'up')
    n.start('node.listen=/ip4/0.0.0.0/udp/4433/quic-v1')
    told = [a.split('/')[2] for a in n.ask('status')['addresses']]
    check(len(told) == 8 and told[0] == '203.0.113.7' and '127.0.0.1' not in told, f'told are {told}')
    print('ok: of twelve addresses the one that others can reach is told first', flush=True)
    n.down()


class Stranger(Host):
    """a daemon as `qudag up` starts it, without any setting, in a network of its own"""

    def __init__(self, number, address):
        super().__init__(number, [])
        self.add(address, 32)
        self.everywhere()

    def renumber(self, old, new):
        """another address instead of the one it has"""
        self.add(new, 32)
        self.remove(old, 32)

    def reroute(self, new):
        """one more address, from which everything is sent from now on"""
        self.add(new, 32)
        for half in ('0.0.0.0/1', '128.0.0.0/1'):
            self.ip('route', 'replace', half, 'dev', 'eth0', 'src', new)

    def start(self, *options, wait=False):
        code, text = run(*self.command(QUDAG, '--dir', self.dir, 'up', '--json', '--no-wait', *options), timeout=60)
        check(code == 0, f'{self.dir.name} does not start: exit {code}: {text}')
        return self.take(self.ask('status'))


def addresses_change():
    """started before its network is up, and then given another address: what is announced follows within seconds"""
    n = Stranger(23, '5.9.0.9')
    n.remove('5.9.0.9', 32)
    n.start()
    check('announced' not in n.ask('status'), 'a private address or none is announced')
    for new, old in (('5.9.0.9', None), ('77.3.0.1', '5.9.0.9')):
        n.add(new, 32)
        if old is not None:
            n.remove(old, 32)
        begin = time.monotonic()
        while {a.split('/')[2] for a in n.ask('status').get('announced', [])} != {new}:
            check(time.monotonic() - begin < 15 * SLOW, f'{new} is not announced: {n.ask("status")}')
            time.sleep(0.1)
        print(f'ok: a new address is announced after {time.monotonic() - begin:.1f} s', flush=True)
    n.down()


def private_network():
    """home networks, and addresses that nobody has: that it will not grow without a lab is said, and what then"""
    first = Stranger(21, '192.168.7.1').start()
    second = Stranger(22, '198.18.0.2').start('--bootstrap', first.bootstrap)
    for h in (first, second):
        check('announces no address' in h.ask('status')['note'], f'{h.dir.name} says nothing of its addresses')
    code, text = second.tool('up', '--timeout', '3', timeout=30)
    check(code == 5 and 'circuits need 4 known relays, and 0 are known' in text, f'two nodes: {code} {text}')
    check('circuits need 4' in second.ask('status')['reason'], 'status gives no reason')
    said = second.ask('status')['anonymity']
    check(said.startswith('not yet: ') and '(at least 16)' in said, f'two nodes hide somebody: {said}')
    print('ok: two nodes on private addresses say what keeps them from circuits', flush=True)
    second.ask('dark', 'new', 'box', '--direct')
    code, text = second.tool('dark', 'publish', 'box', '--small-network')
    check(code == 6 and 'no address that others can reach' in text and 'announce' in text, f'published: {code} {text}')
    print('ok: a dark address that nobody could call is not published, and why', flush=True)
    for h in (first, second):
        h.down()


def small_network(host):
    """five relays hide nobody: what needs a circuit says so and is refused, until that is accepted for good"""
    address = host[1].ask('dark', 'new', 'den')['address']
    for h, args in ((host[0], ['circuit', 'build']), (host[1], ['dark', 'publish', 'den']),
                    (host[2], ['dark', 'resolve', address]), (host[3], ['send', address, '-m', 'x'])):
        code, text = h.tool(*args)
        check(code == 6 and 'QUDAG_ESMALLNET' in text and '5 relays of 5 networks' in text and '60 of 20' in text and
              '--small-network' in text, f'{args} in a network of six: {code} {text}')
    check(host[0].ask('status')['anonymity'] == 'no: the network is too small to hide anybody', host[0].ask('status'))
    check(host[0].ask('status')['drawn'] == 'from 5 relays of 5 networks, too few to hide anybody', host[0].ask('status'))
    drawn = host[0].ask('circuit', 'build', '--small-network')
    check((drawn['relays_drawn'], drawn['networks_drawn']) == (5, 5), f'drawn from {drawn}')
    host[0].down()
    Stranger.start(host[0])
    code, text = host[0].tool('up', '--timeout', '60', timeout=90)
    check(code == 0 and host[0].ask('status')['small_network_accepted'], f'it was not remembered: {text}')
    print('ok: a small network is refused, and used once that was accepted', flush=True)


def moves_while_sending(who, host, change, sender, address, limit):
    """a host sends from another address in the middle of a file: it goes on within |limit|, not after the idle timeout"""
    before = host.stat('links_moved')
    path = TOP / 'large'
    path.write_bytes(os.urandom(64 << 20))
    command = [QUDAG, '--dir', sender.dir, '--json', 'send', address, path, '--again']
    last, moved, gap, acked, since = {}, False, 0, 0, 0
    with subprocess.Popen([str(a) for a in command], stdout=subprocess.PIPE, text=True) as send:
        for line in send.stdout:
            doc = json.loads(line)
            check('error' not in doc, f'{who} moves: {line}')
            last = doc.get('progress') or doc.get('delivered')
            if last['acked'] > acked:
                gap = max(gap, last['elapsed_ns'] - since) if moved else 0
                acked, since = last['acked'], last['elapsed_ns']
            if not moved and last['acked'] > last['size'] // 10:
                change(host)
                moved = True
    check(send.returncode == 0 and moved and last['state'] == 'delivered', f'{who} moves: not delivered: {last}')
    links = host.stat('links_moved') - before
    check(links > 0, f'{who} moves: no link was closed with the address it used: {last}')
    check(gap < limit * SLOW * 10**9, f'{who} moves: nothing went on for {gap / 1e9:.1f} s')
    print(f'ok: {who} has another address in the middle of a file: it stands still for {gap / 1e9:.1f} s at most; '
          f'{links} links were closed at once', flush=True)


def default_settings():
    """six hosts far from each other, without a lab: every one has 127.0.0.1, and circuits are built all the same"""
    far = ('5.9.0.1', '23.5.0.1', '45.7.0.1', '62.3.0.1', '81.2.0.1', '91.4.0.1')
    host = [Stranger(11, far[0]).start()]
    for number, address in enumerate(far[1:], 12):
        host.append(Stranger(number, address).start('--bootstrap', host[0].bootstrap))
    for h in host[1:]:
        code, text = h.tool('up', '--timeout', '60', timeout=90)
        check(code == 0, f'{h.dir.name} is not ready: {text}')
    check('note' not in host[0].ask('status'), 'a note about public addresses')
    small_network(host[1:])
    path = host[1].ask('circuit', 'build')
    host[2].ask('dark', 'publish', 'den', '--small-network')
    host[3].ask('send', host[2].ask('dark', 'show', 'den')['address'], '-m', 'x', '--small-network')
    print(f'ok: default settings, six networks: a circuit and a message to a hidden address ({path})', flush=True)
    # of kind direct, whose circuits have both hosts as their ends
    address = host[2].ask('dark', 'new', 'box', '--direct')['address']
    host[2].ask('dark', 'publish', 'box')
    moves_while_sending('the sender', host[3], lambda h: h.renumber(far[3], '130.1.0.1'), host[3], address, 10)
    # A link to where it was is found dead after 2 s, an EXTEND over it fails after 1 to 4 s, and so does each to a relay
    # that has not read its new descriptor yet: 6 to 14 s were seen.  Links are idle for 300 s before they end.
    moves_while_sending('the receiver', host[2], lambda h: h.renumber(far[2], '133.1.0.1'), host[3], address, 45)
    moves_while_sending('the sender, by another route,', host[3], lambda h: h.reroute('136.1.0.1'), host[3], address, 10)
    host[0].down()
    code, text = run(*host[0].command(QUDAG, '--dir', host[0].dir, 'up', '--timeout', '60'), timeout=90)
    host[0].take(host[0].ask('status'))
    check(code == 0 and 'circuits can be built' in text and 'alone' not in text, f'the first one comes back: {code} {text}')
    print('ok: the first node, which has no bootstrap peers, comes back and is not alone', flush=True)
    for h in host:
        h.down()


def network():
    """three with both versions, two with each alone"""
    first = Host(1, [V4, V6]).start()
    rest = []
    for number, versions in ((2, [V4, V6]), (3, [V4, V6]), (4, [V6]), (5, [V6]), (6, [V4]), (7, [V4])):
        boot = [b for b in first.boot if b.startswith(f'/ip{versions[0]}/')][0]
        rest.append(Host(number, versions, f'node.bootstrap={boot}').start())
    for h in rest:
        code, text = h.tool('up', '--timeout', '40', timeout=60)
        check(code == 0, f'{h.dir.name} is not ready: {text}')
    return {int(h.name[1:]): h for h in [first, *rest]}


def mixed_versions(host):
    """messages between all kinds arrive without waiting for what cannot be reached: its handshake ends after 10 s"""
    for to, senders in ((4, (5, 7, 3)), (6, (5, 7, 1)), (2, (5, 7))):
        host[to].ask('dark', 'new', 'box', '--direct')
        host[to].ask('dark', 'publish', 'box')
        address = list(host[to].ask('dark', 'list').values())[0][0]['address']
        for sender in senders:
            seconds(host[sender], f'a message from {sorted(host[sender].addr)} to {sorted(host[to].addr)}', 'send', address,
                    '-m', 'x', limit=9)


def shrinking_mtu(host):
    """links that found 1500 bytes go on when only 1300 pass, on all hosts at once, and nobody says so (field trial F2)"""
    address = host[2].ask('dark', 'list')['addresses'][0]['address']
    path = TOP / 'file'
    path.write_bytes(os.urandom(300000))
    seconds(host[7], 'a file at the full MTU', 'send', address, str(path), limit=15)
    for h in host.values():
        ip('link', 'set', h.port, 'mtu', 1300)  # the bridge drops what is longer, without a word
    seconds(host[7], 'a file at once after the MTU shrank', 'send', address, str(path), limit=15)
    seconds(host[6], 'a value over the smaller MTU', 'dht', 'put', '/app/key', 'x' * 3000, limit=15)
    for sender in (7, 5):
        path.write_bytes(os.urandom(300000))
        seconds(host[sender], f'a file over the smaller MTU from {sorted(host[sender].addr)}', 'send', address, str(path),
                limit=15)


def main():
    hosts.enter()
    many_interfaces()
    private_network()
    default_settings()
    addresses_change()
    host = network()
    mixed_versions(host)
    shrinking_mtu(host)
    for h in host.values():
        h.down()


if __name__ == '__main__':
    hosts.run_or_skip(main)
