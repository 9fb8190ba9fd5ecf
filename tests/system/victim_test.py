#!/usr/bin/python3
"""A peer that names somebody else's address as its own, to a node with nothing set: what that host gets.

TEST: timeout=120 waits

The peer is a daemon that announces eight ports of a host at which nobody listens.  It reaches a home through a relay, once as a
stranger and once as a peer whom the home's program named; the packets from the home are counted where they arrive.  Skipped, and
said so, where namespaces cannot be made.
"""
import time

from homes import counted
from meeting import Resident, allow, begin, check, has_places, lab, pinged, relays, until
import hosts

VICTIM, NEAR, LIAR = 40, 11, 12
PORTS = range(5000, 5008)
WATCHED = 12  # seconds
ROUND = 8 * 8  # every address is dialled once, of some datagrams each; then backoff
NAMED = 384 + 12 * 8  # spec/meet.md M-6, and dials of some datagrams each
COUNTS = '''
table inet victim {{
    counter near {{ }}
    chain into {{
        type filter hook input priority 0;
        ip saddr {} counter name near
    }}
}}
'''


class Victim(hosts.Far):
    def __init__(self, near):
        super().__init__(VICTIM)
        hosts.must(*self.command('nft', '-f', '-'), text=COUNTS.format(near.site.v4))

    @property
    def got(self):
        return counted(self, 'inet', 'victim', 'near')


def pings(liar, near):
    end = time.monotonic() + WATCHED
    answered = 0
    while time.monotonic() < end:
        answered += pinged(liar, near) is not None
        time.sleep(0.5)
    check(answered > 0, 'it is not reached')


def main():
    lab.begin()
    public = relays()
    near, liar = Resident('near', lab.Site(NEAR, 'port-restricted')), Resident('liar', lab.Site(LIAR, 'port-restricted'))
    victim = Victim(near)
    lies = [o for p in PORTS for o in ('-o', f'node.announce=/ip4/{victim.v4}/udp/{p}/quic-v1')]
    begin([near], public[0].bootstrap, '-o', 'nat.reachable=yes')
    begin([liar], public[1].bootstrap, *lies)
    until('a place', lambda: has_places(near), 60)
    before = victim.got
    liar.ask('peer', 'protect', near.peer)
    pings(liar, near)
    stranger = victim.got - before
    print(f'ok: a stranger brings it {stranger} packets', flush=True)
    allow(near, liar)
    near.ask('peer', 'protect', liar.peer)
    pings(liar, near)
    pinged(near, liar)
    named = victim.got - before - stranger
    print(f'ok: a peer that is named brings it {named} packets', flush=True)
    check(stranger + named > 0, 'nothing arrives at all: what is sent there is not counted')
    check(stranger <= ROUND, f'{stranger} packets for a stranger')
    check(named <= NAMED, f'{named} packets for a peer that is named')
    for n in [near, liar, *public]:
        n.healthy()


if __name__ == '__main__':
    hosts.run_or_skip(main)
