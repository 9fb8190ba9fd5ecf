#!/usr/bin/python3
"""Two hosts behind routers that a punch can pass know each other through a circuit relay: they are linked directly soon, the relay
carries again when the direct path dies, and the direct one when it heals.

TEST: timeout=240 waits

Skipped, and said so, where namespaces cannot be made.
"""
import json
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hosts  # noqa: E402
from hosts import must  # noqa: E402
from homes import Home, Relay, down, until, up  # noqa: E402
from programs import QUDAG, SLOW, check  # noqa: E402


class Punchable(Home):
    """its router keeps ports, and takes answers only"""

    RULES = Home.RULES.replace('masquerade random', 'masquerade')


CUT = '''
table ip cut {
    chain through {
        type filter hook forward priority -10;
        ip daddr %s drop
        ip saddr %s drop
    }
}
'''


def links(node, peer, **of):
    return [r for r in node.ask('peers')['peers']
            if r['peer'] == peer.peer and r['state'] == 'up' and all(r.get(k) == v for k, v in of.items())]


def within(begun, limit, what):
    took = time.monotonic() - begun
    check(took <= limit * SLOW, f'{what}: {took:.1f} s, not within {limit} s')
    print(f'ok: {what}: {took:.1f} s', flush=True)


class Pings(threading.Thread):
    """one ping after the other, each a new process and a new stream; when each was answered, and how long it took"""

    def __init__(self, node, peer):
        super().__init__(daemon=True)
        self.command = node.command(QUDAG, '--dir', node.dir, 'ping', '-c', 1, '--json', peer.peer)
        self.answered, self.ended = [], False

    def run(self):
        while not self.ended:
            begun = time.monotonic()
            done = subprocess.run([str(c) for c in self.command], capture_output=True, text=True)
            if done.returncode == 0 and json.loads(done.stdout.splitlines()[0]):
                self.answered.append((begun, time.monotonic()))

    def since(self, moment):
        """the first that began after |moment| and was answered"""
        return next((end for begun, end in list(self.answered) if begun > moment), None)


def main():
    hosts.enter()
    relay, reached, caller = Relay(1), Punchable(2, 'reached'), Punchable(3, 'caller')
    up(relay, '-o', 'circuit_relay.serve=yes')
    for node in (reached, caller):
        up(node, '--bootstrap', relay.bootstrap)
    reached.ask('peer', 'reserve', relay.bootstrap)
    place = until('a place', lambda: next((r['address'] for r in reached.ask('peers', '--places')['places']
                                           if r['state'] == 'held'), None))
    reached.ask('peer', 'tag', caller.peer, '1')  # else it is told nothing of where this node is
    begun = time.monotonic()
    check(caller.tool('connect', place, timeout=60)[0] == 0, 'the peer is not reached')
    within(begun, 2, 'linked through the relay')
    until('both have a direct link', lambda: links(caller, reached, relayed=False) and links(reached, caller, relayed=False), 30)
    within(begun, 10, 'linked directly')
    pings = Pings(caller, reached)
    pings.start()
    time.sleep(3)
    must(*caller.router.command('nft', '-f', '-'), text=CUT % (reached.v4, reached.v4))
    cut = time.monotonic()
    first = until('a ping over the relay', lambda: pings.since(cut), 30)
    check(first - cut <= SLOW, f'answered again {first - cut:.1f} s after the direct path died')
    print(f'ok: answered again {first - cut:.1f} s after the direct path died', flush=True)
    time.sleep(5)
    must(*caller.router.command('nft', 'delete', 'table', 'ip', 'cut'))
    healed = time.monotonic()
    until('a direct link again', lambda: links(caller, reached, relayed=False), 60)
    within(healed, 20, 'a direct link again')
    pings.ended = True
    pings.join()
    down(caller, reached, relay)


if __name__ == '__main__':
    hosts.run_or_skip(main)
