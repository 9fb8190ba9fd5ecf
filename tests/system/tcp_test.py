#!/usr/bin/python3
"""Daemons on hosts whose network lets no UDP through: they find each other over TCP, and what needs UDP says so.

TEST: timeout=150 waits

Skipped, and said so, where namespaces cannot be made.
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hosts  # noqa: E402
from hosts import Place  # noqa: E402
from programs import QUDAG, SLOW, Node, check, run  # noqa: E402

PORT = 4433


class Host(Node, Place):
    """a daemon in a namespace of its own, at the common bridge"""

    def __init__(self, number, *options):
        Node.__init__(self, f'host{number}', *options)
        Place.__init__(self, number)
        self.addr = f'198.51.100.{number}'
        self.add(self.addr, 24)
        self.ip('link', 'set', 'eth0', 'up')

    def lose_udp(self):
        """what UDP sends goes into a cable without an end, and nothing tells of it"""
        self.ip('link', 'add', 'hole', 'type', 'veth', 'peer', 'name', 'void')
        for end in ('hole', 'void'):
            self.ip('link', 'set', end, 'arp', 'off', 'up')
        self.ip('route', 'add', 'default', 'dev', 'hole', 'table', 100)
        self.ip('rule', 'add', 'pref', 10, 'ipproto', 'udp', 'lookup', 100)
        self.ip('rule', 'del', 'pref', 0)  # ours comes before the addresses of this host
        self.ip('rule', 'add', 'pref', 20, 'lookup', 'local')

    def find_udp(self):
        self.ip('rule', 'del', 'pref', 10)

    def start(self, *options, wait=False):
        listen = ('-o', f'node.listen=/ip4/{self.addr}/udp/{PORT}/quic-v1', '-o', f'node.listen=/ip4/{self.addr}/tcp/{PORT}')
        more = [word for o in (*self.options, *options) for word in ('-o', o)]
        code, text = run(*self.command(QUDAG, '--dir', self.dir, 'up', '--json', *([] if wait else ['--no-wait']), '-o',
                                       'lab.lab=yes', *listen, *more), timeout=60)
        check(code == 0, f'{self.dir.name} does not start: exit {code}: {text}')
        status = self.ask('status')
        self.tcp = next(b for b in status['bootstrap'] if '/tcp/' in b)
        return self.take(status)

    def links(self, **of):
        """those that are up and have these fields"""
        return [r for r in self.ask('peers')['peers'] if r['state'] == 'up' and all(r[k] == v for k, v in of.items())]


def until(what, condition, seconds):
    begin = time.monotonic()
    while not condition():
        check(time.monotonic() - begin < seconds * SLOW, f'{what}: not within {seconds} s')
        time.sleep(0.2)
    print(f'ok: {what}: {time.monotonic() - begin:.1f} s', flush=True)


def only_tcp(host):
    """they join, and each link is what it would be over QUIC"""
    for h in host[1:]:
        until(f'{h.dir.name} joins over TCP', lambda h=h: h.links(transport='tcp'), 40)
    rows = [r for h in host for r in h.links()]
    for r in rows:
        check((r['transport'], r['security'], r['pq'], r['group'], r['signature_remote']) ==
              ('tcp', 'tls', True, 'X25519MLKEM768', 'mldsa65'), f'{r}')
    check(sum(h.stat('tcp_accepted') for h in host) > 0 and sum(h.stat('tcp_bytes_in') for h in host) > 0, 'nothing is counted')
    host[1].ask('dht', 'put', '/app/key', 'over TCP')
    for h in host:
        check('over TCP' in str(h.ask('dht', 'get', '/app/key')), f'{h.dir.name} does not find the value')
    print('ok: a value that one host puts is found by all', flush=True)


def no_circuit(host):
    code, text = host.tool('circuit', 'build', '--small-network', timeout=60)
    check(code != 0 and 'relay' in text, f'a circuit over TCP: {code} {text}')
    print('ok: circuits are not built over TCP', flush=True)


def dies_and_returns(host, other):
    peer = other.peer
    until(f'{host.dir.name} and {other.dir.name} are linked',
          lambda: host.tool('connect', other.tcp)[0] == 0 and host.links(peer=peer), 20)
    other.kill()
    until('a daemon that was killed is noticed', lambda: not host.links(peer=peer), 10)
    other.start()
    until('it is linked again', lambda: host.tool('connect', other.tcp)[0] == 0 and host.links(peer=peer), 20)


def main():
    hosts.enter()
    host = [Host(n) for n in range(1, 5)]
    for h in host:
        h.lose_udp()
    host[0].start()
    for h in host[1:]:
        h.start(f'node.bootstrap={host[0].tcp}')
    only_tcp(host)
    no_circuit(host[1])
    dies_and_returns(host[1], host[3])
    for h in host:
        h.find_udp()
    quic = host[2].ask('status')['bootstrap'][0]
    check('/quic-v1' in quic, quic)
    until('where UDP passes again, QUIC is used', lambda: host[1].tool('connect', quic)[0] == 0 and
          host[1].links(peer=host[2].peer, transport='quic'), 20)
    for h in host:
        h.down()


if __name__ == '__main__':
    hosts.run_or_skip(main)
