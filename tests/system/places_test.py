#!/usr/bin/python3
"""Two homes behind routers that let nothing in, with nothing set: the one allows the other to send to it, and therefore gets places at
circuit relays by itself, is found by its peer id alone, and stays reachable when a relay dies.

TEST: timeout=300 waits

Skipped, and said so, where namespaces cannot be made.
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hosts  # noqa: E402
from homes import down, network, until  # noqa: E402
from programs import check  # noqa: E402

RELAYS = 5
REACHED, CALLER = 11, 12


def places(node):
    return [r for r in node.ask('peers', '--places')['places'] if r['state'] == 'held' and r.get('address')]


def relayed(node, peer):
    return [r for r in node.ask('peers')['peers'] if r['peer'] == peer.peer and r['state'] == 'up' and r['relayed']]


def by_itself(reached, relays):
    """three places, each at another relay, and the relays serve without being told to"""
    rows = until('three places', lambda: len(places(reached)) == 3 and places(reached), 90)
    at = {r['relay'] for r in rows}
    check(len(at) == 3 and at <= {r.peer for r in relays}, f'places at {at}')
    check(sum(r.stat('circuit_relay_places') for r in relays) == 3, 'the relays count otherwise')
    check(all('limit_bytes' not in r and 'limit_ns' not in r for r in rows), f'circuits between nodes of this project are limited: {rows}')
    print('ok: three places at three relays, by itself', flush=True)
    return rows


def found(caller, reached):
    """by nothing but its id"""
    def ping():
        code, text = caller.tool('ping', reached.peer, timeout=60)
        return code == 0 and 'rtt_ns' in text
    begun = time.monotonic()
    until('an answer to a ping by peer id', ping, 60)
    print(f'ok: found by its id and answers after {time.monotonic() - begun:.1f} s', flush=True)
    row = until('a relayed link', lambda: relayed(caller, reached))[0]
    check(row['pq'] and not row['limited'], f'{row}')


def a_relay_dies(caller, reached, relays, rows):
    """without a word; another keeps a place within seconds of its silence being noticed, and callers find it"""
    dead = next(r for r in relays if r.peer == rows[0]['relay'] and r is not relays[0]) \
        if rows[0]['relay'] != relays[0].peer else next(r for r in relays if r.peer == rows[1]['relay'])
    lost = reached.stat('relay_places_lost')
    dead.kill()
    until('the loss is noticed', lambda: reached.stat('relay_places_lost') > lost, 60)
    begun = time.monotonic()
    rows = until('three places again', lambda: len(places(reached)) == 3 and places(reached), 30)
    took = time.monotonic() - begun
    check(dead.peer not in {r['relay'] for r in rows}, 'a place at the dead relay')
    check(took < 10, f'another place only after {took:.1f} s')
    print(f'ok: another place {took:.1f} s after the loss', flush=True)
    found(caller, reached)


def only_who_wants(caller):
    """the caller is to be reached by nobody: it has no place, and announces nothing"""
    check(places(caller) == [], 'a place that nobody wants')
    check('announced' not in caller.ask('status'), 'an address is announced')
    print('ok: who is to be reached by nobody asks no relay for anything', flush=True)


def main():
    hosts.enter()
    relays, reached, caller = network(RELAYS, (REACHED, 'reached'), (CALLER, 'caller'))
    reached.ask('peer', 'allow', caller.peer)
    rows = by_itself(reached, relays)
    found(caller, reached)
    only_who_wants(caller)
    a_relay_dies(caller, reached, relays, rows)
    down(reached, caller)


if __name__ == '__main__':
    hosts.run_or_skip(main)
