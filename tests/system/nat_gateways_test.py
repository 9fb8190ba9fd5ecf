#!/usr/bin/python3
"""A router is asked for a port by PCP, NAT-PMP and UPnP, and may be any router: one that is full, lies, is slow, starts again.

TEST: timeout=240 waits

One home for each; a caller elsewhere dials those whose ports are open, directly.  Skipped, and said so, where namespaces cannot be
made.
"""
import concurrent.futures
import re
import signal
import time

from meeting import Resident, allow, begin, check, lab, pinged, relays, said, side_by_side, until
import hosts

UPNP = ('no-pcp', 'no-natpmp')
# what the router is -> by which protocol the port is open
OPEN = {(): 'pcp', ('no-pcp',): 'nat-pmp', UPNP: 'upnp', (*UPNP, 'igd2'): 'upnp', (*UPNP, 'permanent'): 'upnp',
        (*UPNP, 'slow'): 'upnp', (*UPNP, 'two'): 'upnp', ('other-port',): 'pcp', ('short',): 'pcp'}
# by none, and what is told of the reason
CLOSED = {('conflict', *UPNP): 'UPnP: the port is taken', ('full',): 'PCP: it has no place left; NAT-PMP: it has no place left; UPnP: ',
          ('unauthorized',): 'PCP: it does not allow that; NAT-PMP: it does not allow that; UPnP: the router does not allow that',
          ('garbage',): 'PCP: no answer; NAT-PMP: no answer; UPnP: no router answers'}
USELESS = [('private',), ('zero',)]  # there is a port, at an address that is none


class Home(Resident):
    def __init__(self, number, faults):
        site = lab.Site(number)
        self.faults = faults
        self.box = site.gateway(*faults)
        super().__init__('-'.join(faults) or 'good', site)

    def log(self):
        return (lab.TOP / f'gateway{self.site.number}.log').read_text()

    def status(self):
        return self.ask('status')

    @property
    def is_open(self):
        return self.status().get('port_mapping') not in (None, 'none')


def ok(what):
    print(f'ok: {what}', flush=True)


def opened(home, by, began):
    until(f'{home.dir.name}: a port', lambda: home.is_open, 30)
    took = time.monotonic() - began
    status = home.status()
    check(status['port_mapping'] == by, f'{home.dir.name}: by {status["port_mapping"]}: {status.get("ports")}{said(home)}')
    ok(f'{home.dir.name}: by {by}, known {took:.1f} s after the last home began: {status.get("ports")}')


def closed(home):
    """its node is well, and says what the router said"""
    until(f'{home.dir.name}: a reason', lambda: home.status().get('port_why'), 45)
    status = home.status()
    check(not home.is_open, f'{status}')
    check(CLOSED[home.faults] in status['port_why'], f'{home.dir.name}: {status["port_why"]}')
    ok(f'{home.dir.name}: {status["port_why"]}')


def useless(home):
    """nobody is told of an address that cannot be one"""
    until(f'{home.dir.name}: the router is asked', lambda: 'map' in home.log(), 30)
    time.sleep(2)
    told = str(home.status().get('announced', ''))
    check('192.168.0.2' not in told and '0.0.0.0' not in told, told)
    ok(f'{home.dir.name}: announced nowhere')


def dialled(caller, homes):
    """whoever knows only the peer id dials the port that the router opened; it meets nobody, so no other path is direct"""
    for home in homes:
        until(f'{home.dir.name} is reached', lambda h=home: pinged(caller, h, 30), 60)
        got = until(f'{home.dir.name} is reached directly',
                    lambda h=home: (p := pinged(caller, h, 30)) and p[0].get('path_kind') == 'direct' and p[0], 30)
        check('met_by' not in got, f'{home.dir.name}: {got}')
        rows = [r for r in caller.ask('peers')['peers'] if r['peer'] == home.peer and r['state'] == 'up' and not r.get('relayed')]
        ports = str(home.status()['ports'])
        check(rows and not any(r.get('inbound') for r in rows), f'{home.dir.name}: it dialled the caller: {rows}')
        check(all(r['address'] in ports for r in rows), f'{home.dir.name}: {rows}, its router opened {ports}')
        ok(f'{home.dir.name}: dialled at {rows[0]["address"]}')


def renewed(home):
    """a lease of 30 s is renewed at half of it"""
    until(f'{home.dir.name}: renewed', lambda: len(re.findall(' map udp ', home.log())) >= 2, 40)
    check(home.is_open, f'{home.status()}')
    ok('a short lease is renewed')


def restarted(home):
    """the router forgets all and says nothing"""
    count = len(re.findall(' map udp ', home.log()))
    home.box.process.send_signal(signal.SIGUSR1)
    began = time.monotonic()
    until('the port is open again', lambda: len(re.findall(' map udp ', home.log())) > count, 60)
    ok(f'a router that started again: asked after {time.monotonic() - began:.1f} s')


def removed(homes):
    """who leaves gives his port back"""
    side_by_side(lambda n: n.down(), homes)
    for home in homes:
        until(f'{home.dir.name}: the port is given back', lambda h=home: ' unmap ' in h.log(), 10)
    ok('ports are given back')


def main():
    lab.begin()
    public = relays()
    homes = {faults: Home(11 + i, faults) for i, faults in enumerate([*OPEN, *CLOSED, *USELESS])}
    caller = Resident('caller', lab.Site(40))
    began = time.monotonic()
    begin(homes.values(), public[0].bootstrap)
    begin([caller], public[0].bootstrap, '-o', 'nat.meet=no')  # what is direct was dialled
    for home in homes.values():
        allow(home, caller)  # so that each wants to be reached, and asks its router
    work = [lambda f=f, by=by: opened(homes[f], by, began) for f, by in OPEN.items()] + \
        [lambda f=f: closed(homes[f]) for f in CLOSED] + [lambda f=f: useless(homes[f]) for f in USELESS]
    with concurrent.futures.ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(w) for w in work]:
            done.result()
    dialled(caller, [homes[f] for f in OPEN])
    renewed(homes['short',])
    restarted(homes[()])
    removed([homes['no-pcp',], homes[UPNP]])
    for n in [h for f, h in homes.items() if f not in (('no-pcp',), UPNP)]:
        n.healthy()


if __name__ == '__main__':
    hosts.run_or_skip(main)
