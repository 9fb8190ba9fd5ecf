#!/usr/bin/python3
"""Two hosts, each behind a router that lets nothing in, meet through a circuit relay: they are secured end to end, the death of
the relay is noticed and mended, limits are told, and a node that is no relay says so.

TEST: timeout=300 waits

Skipped, and said so, where namespaces cannot be made.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hosts  # noqa: E402
from hosts import must  # noqa: E402
from homes import Home, Relay, down, nothing_comes_in, took, until, up  # noqa: E402
from programs import check, run, QUDAG  # noqa: E402

RELAY, OTHER, STRANGER, REACHED, CALLER = 1, 2, 3, 4, 5
SERVES = ('-o', 'circuit_relay.serve=yes')
NEVER = ('-o', 'circuit_relay.serve=no')  # a host that everybody can dial is a relay by itself
LIMIT = 64 * 1024  # bytes one way: a handshake with ML-DSA, and some hundred pings


def links(node, peer, **of):
    """links of |node| with |peer| that are up and have these fields"""
    return [r for r in node.ask('peers')['peers']
            if r['peer'] == peer.peer and r['state'] == 'up' and all(r.get(k) == v for k, v in of.items())]


def place(node, relay):
    rows = [r for r in node.ask('peers', '--places')['places'] if r['relay'] == relay.peer]
    check(len(rows) == 1, f'{node.dir.name}: places at {relay.dir.name}: {rows}')
    return rows[0]


def held(node, relay):
    """-> where others reach |node| through |relay|, once a place is held"""
    return place(node, relay)['address'] if place(node, relay)['state'] == 'held' else None


def refused(node, relay):
    """-> the row of a place that was asked for in vain"""
    return place(node, relay) if place(node, relay)['failures'] > 0 else None


def human(node, *args):
    """what the tool says to people: (exit code, text)"""
    return run(*node.command(QUDAG, '--dir', node.dir, *args), timeout=90)


def no_relay(reached, other):
    """where the service is off, who asks for it learns why it has no place"""
    code, text = human(reached, 'peer', 'reserve', other.bootstrap)  # waits for the answer, and says it
    check(code == 5 and 'no circuit relay' in text, f'reserve: exit {code}: {text}')
    row = until('the answer of a node that is no relay', lambda: refused(reached, other))
    check(row['state'] != 'held' and row['error'] == 'QUDAG_EUNSUPPORTED', f'{row}')
    code, text = human(reached, 'peers', '--places')
    check(code == 0 and 'no circuit relay' in text, f'{code}: {text}')
    check(other.stat('circuit_relay_places') == 0, 'it keeps a place')
    reached.ask('peer', 'unreserve', other.peer)
    code, text = human(reached, 'peer', 'unreserve', other.peer)
    check(code != 0 and 'no place is kept there' in text, f'{code}: {text}')
    print('ok: who asks a node that is no relay learns it', flush=True)


def kept_at(reached, relay):
    """a place by command, and by configuration after a restart -> the address for others"""
    reached.ask('peer', 'reserve', relay.bootstrap)
    first = until('a place', lambda: held(reached, relay))
    check('/p2p-circuit/p2p/' + reached.peer in first and relay.peer in first and relay.v4 in first, first)
    reached.down()
    up(reached)
    check(reached.ask('peers', '--places')['places'] == [], 'a place by command outlives the daemon')
    reached.down()
    (reached.dir / 'qudag.conf').write_text(f'[peers]\nreserve_at = {relay.bootstrap}\n')
    up(reached)
    address = until('the place of the configuration', lambda: held(reached, relay))
    check(address == first, f'another address than before: {address}, {first}')
    row = place(reached, relay)
    check(row['limit_bytes'] == LIMIT and row['left_ns'] > 0, f'{row}')
    check(relay.stat('circuit_relay_places') == 1, 'the relay counts no place')
    return address


def connect(caller, address):
    """who has just failed to reach a relay does not try again within a second or two"""
    until(f'{caller.dir.name} connects to {address}', lambda: caller.tool('connect', address, timeout=90)[0] == 0, 30)


def meet(caller, reached, relay, address):
    """by that address alone; both see what the link is"""
    connect(caller, address)
    for node, peer, way in ((caller, reached, 'out'), (reached, caller, 'in')):
        row = until(f'{node.dir.name} has the link', lambda n=node, p=peer: links(n, p))[0]
        got = {k: row.get(k) for k in ('transport', 'security', 'pq', 'group', 'signature_local', 'signature_remote',
                                       'relayed', 'limited', 'relay', 'direction')}
        check(got == {'transport': 'relay', 'security': 'tls', 'pq': True, 'group': 'X25519MLKEM768',
                      'signature_local': 'mldsa65', 'signature_remote': 'mldsa65', 'relayed': True, 'limited': True,
                      'relay': relay.peer, 'direction': way}, f'{node.dir.name}: {row}')
    code, text = caller.tool('ping', '-c', 3, reached.peer)
    check(code == 0 and text.count('rtt_ns') == 3, f'ping: exit {code}: {text}')
    check(relay.stat('circuit_relay_circuits') == 1 and relay.stat('circuit_relay_bytes') > 10000, 'the relay passes nothing on')
    check(not links(caller, reached, relayed=False) and not links(reached, caller, relayed=False), 'they have a direct link')
    print('ok: both ends: relayed, tls, post-quantum, limited; pings are answered', flush=True)


def no_cells(caller):
    """what hides somebody never goes through such relays"""
    code, text = human(caller, 'circuit', 'build', '--small-network')
    check(code != 0 and 'relay' in text, f'a circuit over a relayed link: {code}: {text}')
    print('ok: circuits are not built over it', flush=True)


def bytes_end(caller, reached, relay):
    """the limit ends the link, which both count as just that, and the next try makes another"""
    code, text = caller.tool('ping', '-c', 2000, reached.peer, timeout=120)
    check(code == 0, f'ping: exit {code}: {text[-500:]}')
    for node in (caller, reached):
        until(f'{node.dir.name}: the limit', lambda n=node: n.stat('relayed_limited') > 0)
    check(relay.stat('circuit_relay_limited') > 0, 'the relay ended nothing')
    check(held(reached, relay), 'the place went with the circuit')
    print('ok: the limit of bytes is met, and both ends know that it was that', flush=True)


SILENCE = '''
table inet silence {
    chain out {
        type filter hook output priority 0; policy drop;
        oifname "lo" accept
    }
}
'''


def dies_and_returns(caller, reached, relay, address, silently=False):
    """|silently|: as a host without power, of which nothing tells"""
    if silently:
        must(*relay.command('nft', '-f', '-'), text=SILENCE)
    relay.kill()
    with took('both notice that the relay is gone'):
        until('the link is gone at both', lambda: not links(caller, reached) and not links(reached, caller))
        until('the place is lost', lambda: not held(reached, relay))
    code, text = human(caller, 'connect', address)
    check(code == 5 and 'the circuit relay of that address is not reached' in text, f'connect: exit {code}: {text}')
    print(f'ok: the next try says why: {text.strip()}', flush=True)
    if silently:
        must(*relay.command('nft', 'delete', 'table', 'inet', 'silence'))
    up(relay, *SERVES, '-o', f'circuit_relay.bytes={LIMIT}')
    with took('the place comes back by itself'):
        until('the place', lambda: held(reached, relay), 90)
    check(held(reached, relay) == address, 'at another address')
    meet(caller, reached, relay, address)


def only_one(caller, reached, other, stranger):
    """a relay with one place, one circuit, and little time: each limit is told to whom it meets"""
    other.down()
    up(other, *SERVES, '-o', 'circuit_relay.places=1', '-o', 'circuit_relay.circuits=1', '-o', 'circuit_relay.time_s=10')
    reached.ask('peer', 'reserve', other.bootstrap)
    address = until('the only place', lambda: held(reached, other))
    code, text = human(stranger, 'peer', 'reserve', other.bootstrap)
    check(code == 6 and 'no place left' in text, f'reserve: exit {code}: {text}')
    row = until('a refusal', lambda: refused(stranger, other))
    check(row['error'] == 'QUDAG_EREFUSED', f'{row}')
    code, text = human(stranger, 'peers', '--places')
    check(code == 0 and 'no place left' in text, f'{code}: {text}')
    before = [n.stat('relayed_limited') for n in (caller, reached)]
    connect(caller, address)
    code, text = human(stranger, 'connect', address)
    check(code != 0 and 'no room for more circuits' in text, f'a circuit too many: exit {code}: {text}')
    for node, n in zip((caller, reached), before):
        until(f'{node.dir.name}: the limit of time', lambda node=node, n=n: node.stat('relayed_limited') > n)
    until('the link is gone at both', lambda: not links(caller, reached) and not links(reached, caller))
    for node in (caller, reached):
        log = (node.dir / 'qudagd.log').read_text()
        check(any('link.down' in line and 'QUDAG_ELIMIT' in line for line in log.splitlines()[-40:]),
              f'{node.dir.name}: its log does not say what ended the link: {node.last_lines()}')
    print('ok: a relay whose places or circuits are taken, or whose time is over, says so', flush=True)
    reached.ask('peer', 'unreserve', other.peer)
    code, text = human(caller, 'connect', address)
    check(code == 5 and 'has no place there now' in text, f'to whom has no place: exit {code}: {text}')
    print('ok: nor is anybody reached who wants no place any more', flush=True)


def main():
    hosts.enter()
    relay, other, stranger = Relay(RELAY), Relay(OTHER), Relay(STRANGER)
    reached, caller = Home(REACHED, 'reached'), Home(CALLER, 'caller')
    up(relay, *SERVES, '-o', f'circuit_relay.bytes={LIMIT}')
    for node in (other, stranger, reached, caller):
        up(node, *NEVER)
    nothing_comes_in(other, reached, caller)
    no_relay(reached, other)
    address = kept_at(reached, relay)
    meet(caller, reached, relay, address)
    no_cells(caller)
    bytes_end(caller, reached, relay)
    dies_and_returns(caller, reached, relay, address)
    dies_and_returns(caller, reached, relay, address, silently=True)
    relay.down()
    until('the link is gone', lambda: not links(caller, reached) and not links(reached, caller))
    only_one(caller, reached, other, stranger)
    down(caller, reached, other, stranger)


if __name__ == '__main__':
    hosts.run_or_skip(main)
