#!/usr/bin/python3
"""A peer that names somebody else's address as its own, to a node with nothing set: what that host gets.

TEST: timeout=120 waits

Two daemons announce eight ports of a host at which nobody listens, and reach a home through a relay: one is a stranger, the other a
peer whom the home's program named.  The packets from the home are counted where they arrive.  Skipped, and said so, where
namespaces cannot be made.
"""
import time

from homes import counted
from meeting import Resident, allow, begin, check, has_places, lab, pinged, relays, until
import hosts

VICTIM, NEAR, STRANGER, FRIEND = 40, 11, 12, 13
PORTS = range(5000, 5008)
WATCHED = 12  # seconds
DIAL = 10  # datagrams at most: the first flight is two, sent again until the dial ends
ROUND = 8 * DIAL  # every address is dialled once; then backoff
NAMED = 1504 + 12 * DIAL  # spec/meet.md 7, and dials
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


def brought(liar, near, victim):
    """the liar reaches the home, and goes on pinging it -> packets from there to the host that it names"""
    before, answered = victim.got, 0
    liar.ask('peer', 'protect', near.peer)
    end = time.monotonic() + WATCHED
    while time.monotonic() < end:
        answered += pinged(liar, near) is not None
        time.sleep(0.5)
    check(answered > 0, f'{liar.dir.name} does not reach it')
    return victim.got - before


def main():
    lab.begin()
    public = relays()
    near, stranger = [Resident(name, lab.Site(number)) for name, number in (('near', NEAR), ('stranger', STRANGER))]
    friend = Resident('friend', lab.Site(FRIEND, 'symmetric'))  # so that there is a birthday
    victim = Victim(near)
    lies = [o for p in PORTS for o in ('-o', f'node.announce=/ip4/{victim.v4}/udp/{p}/quic-v1')]
    begin([near], public[0].bootstrap, '-o', 'nat.reachable=yes')
    begin([stranger], public[1].bootstrap, *lies)
    until('a place', lambda: has_places(near), 60)
    by_stranger = brought(stranger, near, victim)
    print(f'ok: a stranger brings it {by_stranger} packets', flush=True)
    begin([friend], public[1].bootstrap, *lies)
    allow(near, friend)
    near.ask('peer', 'protect', friend.peer)
    by_friend = brought(friend, near, victim)
    print(f'ok: a peer that is named brings it {by_friend} packets', flush=True)
    check(by_stranger + by_friend > 0, 'nothing arrives at all: what is sent there is not counted')
    check(by_stranger <= ROUND, f'{by_stranger} packets for a stranger')
    check(by_friend <= NAMED, f'{by_friend} packets for a peer that is named')
    for n in [near, stranger, friend, *public]:
        n.healthy()


if __name__ == '__main__':
    hosts.run_or_skip(main)
