#!/usr/bin/python3
"""A hidden service and its caller, each behind a router of its own, in a network of 66 hosts with nothing set: what every
other node has recorded of them, and that none can tell who they are.

TEST: timeout=300 waits

Skipped, and said so, where namespaces cannot be made.
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hosts  # noqa: E402
import leaks  # noqa: E402
from homes import down, network, nothing_comes_in, took, until  # noqa: E402
from programs import SRC, TOP, check, run  # noqa: E402

RELAYS = 64  # and two homes; below 60 relays nobody is hidden, and circuits are refused
NAME = 'secretblog'
PROXY = '127.0.0.1:9350'
WEB = 8080
LARGE = 20 << 20
LOGGED = ('-o', 'log.level=debug', '-o', 'log.network=yes')


def curl(caller, path, *args, timeout=60):
    return caller.says('curl', '-sS', '--fail', '--max-time', timeout, '--socks5-hostname', PROXY, *args,
                       f'http://{NAME}.dark/{path}', timeout=timeout + 10)


def guards_of(node):
    """the first hops of all circuits that it has chosen"""
    return {c['path'][0] for c in node.ask('circuit', 'list')['circuits'] if c['role'] == 'client' and c.get('path')}


def nothing_set(*nodes):
    """no node was told that a small network will do, and none is in one"""
    for n in nodes:
        got = n.ask('status')
        check(not got['small_network'] and not got['small_network_accepted'] and not got['lab'], f'{n.dir.name}: {got}')
    print(f"ok: nothing is set; paths are drawn {got['drawn']}", flush=True)


def served(service, caller):
    www = TOP / 'www'
    www.mkdir()
    (www / 'small').write_text('small\n')
    (www / 'large').write_bytes(os.urandom(LARGE))
    service.begin(sys.executable, str(SRC / 'tests/system/web_server.py'), str(WEB), '/', cwd=www)
    until('a server', lambda: run(*service.command('curl', '-s', f'http://127.0.0.1:{WEB}/small'))[0] == 0)
    address = service.ask('expose', f'80:127.0.0.1:{WEB}', '--name', NAME)['address']
    caller.ask('name', 'add', NAME, address)
    until('its record', lambda: caller.tool('dark', 'resolve', address)[0] == 0)
    return address


class Checked:
    """who is to stay unknown to whom, and where"""

    def __init__(self, service, caller, address):
        self.ends = [leaks.End(n.dir.name, n) for n in (service, caller)]
        self.address = leaks.Address(address, NAME)
        self.hosts, self.guards = (service, caller), {}
        self.look()

    def look(self):
        """whom the two use as guards now, too"""
        for n in self.hosts:
            self.guards.setdefault(n.dir.name, set()).update(guards_of(n))

    def judge(self, recorded):
        return leaks.judge(recorded, self.ends, self.address, self.guards, LARGE // 4)


def nobody_can_tell(checked, relays, service, caller):
    """-> what each relay recorded"""
    recorded = leaks.read_all(relays)
    checked.look()
    found = [text for r in recorded for text in checked.judge(r)]
    for end, other in zip(checked.ends, (caller, service)):  # nor do the two know of each other
        found += leaks.judge(leaks.read(other), [end], None, checked.guards, LARGE // 4)
    check(found == [], 'what was recorded tells who they are:\n' + '\n'.join(found))
    # that nothing was found means something only if what may be known was seen
    for e in checked.ends:
        seen = {r.peer for r in recorded for data in r.circuits() if e.named_in(data)}
        check(seen and seen <= checked.guards[e.name], f'no guard has a circuit of the {e.name}')
    holders = [r for r in recorded if any(checked.address.places.search(row) for row in r.store)]
    lines = sum(len(r.log) for r in recorded)
    check(holders and lines > 10 * RELAYS, f'{len(holders)} nodes have the record, {lines} lines were logged')
    print(f'ok: {RELAYS} nodes, {lines} lines at debug level, {sum(len(r.circuits()) for r in recorded)} circuits, the record at '
          f'{len(holders)}: nobody can name the address, or an end but its guard', flush=True)
    return recorded


def nor_by_their_memory(checked, relays, service):
    """no relay has the address anywhere in it"""
    wanted = (checked.address.bytes[2:34], checked.address.text.encode()[:56])
    if leaks.in_memory(service.pid, *wanted) is None:
        print('left out: the memory of the daemons (this user may not read it)', flush=True)
        return
    check(leaks.in_memory(service.pid, *wanted), "not even the service's own memory has the address")
    for n in relays:
        check(not leaks.in_memory(n.pid, *wanted), f'{n.dir.name} has the address in its memory')
    print("ok: no relay has the address in its memory, the service's daemon has it", flush=True)


def planted(checked, recorded):
    """what nodes might record some day: each is found"""
    service, caller = checked.ends
    index = checked.address.keys[0].hex()
    guards = checked.guards['service'] | checked.guards['caller']
    clean = next(r for r in recorded if r.peer not in guards and r.tables['circuits'] and r.log and r.store)
    circuit = clean.tables['circuits'][0]['circuit']
    line = b'2026-11-30T01:23:45.678Z debug '
    for what, where, leak in (
            ('the address', 'log', line + b'dark.resolve address=' + checked.address.text.upper().encode()),
            ('the petname', 'log', line + f'proxy.request host={NAME}.dark'.encode()),
            ('a circuit and a network', 'log', line + f'circuit.closed circuit={circuit} remote=/ip4/{service.v4}/udp/1'.encode()),
            ('who made a circuit', 'log', line + f'onion.create peer={caller.peer}'.encode()),
            ('both ends', 'peers', {'peer': caller.peer, 'agent': service.peer, 'bytes_in': 1, 'bytes_out': 1}),
            ('who the previous hop is', 'circuits', {'circuit': 'abc', 'role': 'relay', 'prev': caller.peer}),
            ('who stored a record', 'records', {'key_bytes': index, 'from': service.peer}),
            ('that something large came by', 'peers', {'peer': service.peer, 'bytes_in': LARGE, 'bytes_out': 1}),
            ('who an index was read for', 'log', line + f'gateway.get key={index}'.encode()),
            ('a row that links them', 'store', checked.address.keys[1] + caller.raw),
            ('a file of peers', 'state/seen', b'\0' + service.raw)):
        own = leaks.Recorded(clean.name, clean.peer, {k: list(v) for k, v in clean.tables.items()}, list(clean.log),
                             list(clean.store), dict(clean.disk))
        if where in own.tables:
            own.tables[where].append(leak)
        elif where in ('log', 'store'):
            getattr(own, where).append(leak)
        else:
            own.disk[where] = leak
        check(checked.judge(own) != [], f'a planted leak is not found: {what}')
    print('ok: eleven planted leaks are found', flush=True)


def main():
    hosts.enter()
    with took(f'{RELAYS} relays, and two hosts behind routers'):
        relays, service, caller = network(RELAYS, (RELAYS + 1, 'service'), (RELAYS + 2, 'caller'), options=LOGGED)
    nothing_comes_in(relays[2], service, caller)
    with took('expose, and the record'):
        address = served(service, caller)
    with took('a page, and 20 MiB'):
        curl(caller, 'small')
        curl(caller, 'large', '-o', TOP / 'out')
        check((TOP / 'out').read_bytes() == (TOP / 'www/large').read_bytes(), 'another file')
    nothing_set(service, caller)
    checked = Checked(service, caller, address)
    recorded = nobody_can_tell(checked, relays, service, caller)
    nor_by_their_memory(checked, relays, service)
    planted(checked, recorded)
    for n in (service, caller):
        check(checked.judge(leaks.read(n)) != [], f'what the {n.dir.name} itself recorded passes')
    print("ok: the service's and the caller's own records would not pass", flush=True)
    down(caller, service, *relays)


if __name__ == '__main__':
    hosts.run_or_skip(main)
