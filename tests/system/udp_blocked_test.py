#!/usr/bin/python3
"""A host whose network drops UDP, with nothing set: it joins by TCP, knows why, and reaches a peer behind a router by its relay.

TEST: timeout=180 waits

Skipped, and said so, where namespaces cannot be made.
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hosts  # noqa: E402
from hosts import must  # noqa: E402
from homes import Home, Relay, down, until, up  # noqa: E402
from programs import SLOW, check  # noqa: E402

WITHIN_S = 2
NO_UDP = '''
table inet blocked {
    chain out {
        type filter hook output priority 0;
        oifname "eth0" meta l4proto udp drop
    }
}
'''


def links(node, peer):
    return [r for r in node.ask('peers')['peers'] if r['peer'] == peer.peer and r['state'] == 'up']


def since(begun, what, limit=WITHIN_S):
    took = time.monotonic() - begun
    check(took <= limit * SLOW, f'{what}: {took:.1f} s, not within {limit} s')
    print(f'ok: {what}: {took:.1f} s', flush=True)


def main():
    hosts.enter()
    relay, reached, caller = Relay(1), Home(2, 'reached'), Home(3, 'caller')
    up(relay, '-o', 'circuit_relay.serve=yes')
    up(reached, '--bootstrap', relay.bootstrap)
    check('/udp/' in relay.bootstrap, relay.bootstrap)
    reached.ask('peer', 'reserve', relay.bootstrap)
    place = until('a place', lambda: next((r['address'] for r in reached.ask('peers', '--places')['places']
                                           if r['state'] == 'held'), None))
    must(*caller.command('nft', '-f', '-'), text=NO_UDP)
    begun = time.monotonic()
    up(caller, '--bootstrap', relay.bootstrap)
    row = until('a link with the bootstrap peer', lambda: links(caller, relay))[0]
    since(begun, 'the daemon starts, and is linked with its bootstrap peer')
    check(row['transport'] == 'tcp', f'{row}')
    until('status tells the truth', lambda: caller.ask('status')['health'] == 'no-udp')
    status = caller.ask('status')
    check(status['udp_blocked'] and 'no UDP' in status['reason'] and status['anonymity'].startswith('no: no circuits'), f'{status}')
    check(caller.tool('status')[0] == 5, 'a health check passes')
    code, text = caller.tool('doctor')
    check(code == 5 and 'circuits cannot be built' in text, f'doctor: exit {code}: {text}')
    print('ok: status and doctor say that no UDP comes through, and what that means', flush=True)
    begun = time.monotonic()
    check(caller.tool('connect', place, timeout=60)[0] == 0, 'the peer is not reached')
    since(begun, 'a peer behind a router is reached through its relay')
    check(links(caller, reached)[0]['relayed'], 'it has another link')
    code, text = caller.tool('ping', '-c', 3, reached.peer)
    check(code == 0 and text.count('rtt_ns') == 3, f'ping: exit {code}: {text}')
    down(caller, reached, relay)


if __name__ == '__main__':
    hosts.run_or_skip(main)
