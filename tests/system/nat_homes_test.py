#!/usr/bin/python3
"""What else homes are behind: the provider's NAT beside their own, one router for both, routers that answer strangers, no UDP, few
ports, a firewall for IPv6.

TEST: timeout=300 waits

One network of relays; all pairs side by side.  Skipped, and said so, where namespaces cannot be made.
"""
import concurrent.futures
import time

from meeting import Meeting, Resident, begin, check, expect, lab, meets, pinged, relays, said, stays_relayed, until
import hosts


def ok(what):
    print(f'ok: {what}', flush=True)


class Pair:
    """a wants to reach b"""

    def __init__(self, name, a, b):
        self.a, self.b = Resident(f'{name}-a', a), Resident(f'{name}-b', b)


def double_nat():
    """b behind its provider's NAT, too"""
    provider = lab.Site(11, 'port-restricted', provider=True)
    return Pair('double', lab.Site(12), lab.Site(13, via=provider)), \
        lambda p: ok(f'a NAT behind a NAT: {meets(p.a, p.b)}')


def one_provider(hairpin):
    """both behind the same one; what is sent to its address turns round, or does not"""
    first = 15 + 4 * hairpin
    provider = lab.Site(first, 'port-restricted', provider=True, hairpin=hairpin)
    pair = Pair(f'provider{hairpin}', *[lab.Site(first + 1 + i, via=provider) for i in range(2)])

    def work(p):
        m = meets(p.a, p.b) if hairpin else Meeting(p.a, p.b, limit=5)
        check(m.first is not None, f'neighbours do not reach each other{said(p.a, p.b)}')
        ok(f'two homes of one provider, {"with" if hairpin else "without"} hairpinning: {m}')
    return pair, work


def one_home():
    """two hosts at one router: by their private addresses"""
    site = lab.Site(23, 'symmetric', hosts=2)

    def work(p):
        m = meets(p.a, p.b)
        row = next(r for r in p.a.ask('peers')['peers'] if r['peer'] == p.b.peer and not r.get('relayed'))
        check('192.168.1.' in row['address'], f'{row}')
        ok(f'two hosts in one home: {m}')
    return Pair('home', *site.hosts), work


def rejecting():
    """b's router answers strangers, and what leaves b leaves it late: a's first packets find a closed port, and are answered"""
    sites = [lab.Site(24), lab.Site(25, rejects=1)]
    for s, delay in zip(sites, (5, 80)):
        s.impair('lan', delay_ms=delay)

    def work(p):
        m = meets(p.a, p.b)
        check(m.row.get('met_round') in ('plain', 'fresh-port'), f'{m.row}')
        ok(f'a router that rejects: {m}')
    return Pair('rejects', *sites), work


def both_reject():
    """whoever is first is refused, and the other's answer leaves from another port then: the packets have to cross between the routers"""
    sites = [lab.Site(33 + i, rejects=1) for i in range(2)]
    for s in sites:
        s.impair(delay_ms=30)

    def work(p):
        m = Meeting(p.a, p.b, limit=10)
        check(m.first is not None, f'not reached{said(p.a, p.b)}')
        check(m.direct is not None or m.row.get('path_why'), f'relayed, and nothing says why: {m.row}')
        ok(f'both routers reject: {m}')
    return Pair('both', *sites), work


def no_udp():
    """a can use TCP only: its relays, and through them b"""
    site = lab.Site(26)
    site.block_udp()

    def work(p):
        began = time.monotonic()
        m = stays_relayed(p.a, p.b)
        until('it says that UDP is blocked', lambda: p.a.ask('status').get('udp_blocked'), 60)
        until('a ping says so', lambda: (got := pinged(p.a, p.b)) and 'UDP' in got[0].get('path_why', ''), 30)
        ok(f'no UDP: {m}, told after {time.monotonic() - began:.0f} s')
    return Pair('no-udp', site, lab.Site(27)), work


def few_ports():
    """a provider that gives each home a few mappings: looking for a direct path must not use them up"""
    provider = lab.Site(28, 'symmetric', provider=True, per_host=48)
    site = lab.Site(29, via=provider)

    def work(p):
        m = Meeting(p.a, p.b, limit=30)
        check(m.first is not None, f'not reached{said(p.a, p.b)}')
        check(pinged(p.a, p.b) is not None, f'reached no more{said(p.a, p.b)}')
        dropped = provider.stats()['dropped']
        check(dropped < 120, f'{dropped} packets were sent though there was no port for them')
        check(m.direct is not None or 'few' in m.row.get('path_why', ''), f'{m}')
        ok(f'few ports: {m}; {dropped} packets dropped for want of a port')
    return Pair('few', site, lab.Site(30)), work


def six():
    """IPv4 behind symmetric NATs, IPv6 behind firewalls: IPv6 is the path"""
    sites = [lab.Site(31 + i, 'symmetric', v6='firewall') for i in range(2)]

    def work(p):
        m = meets(p.a, p.b)
        row = next(r for r in p.a.ask('peers')['peers'] if r['peer'] == p.b.peer and not r.get('relayed'))
        check(row['address'].startswith('['), f'{row}')
        ok(f'firewalls of IPv6: {m}')
    return Pair('six', *sites), work


def main():
    lab.begin()
    public = relays()
    work = [double_nat(), one_provider(0), one_provider(1), one_home(), rejecting(), both_reject(), no_udp(), few_ports(), six()]
    begin([p.b for p, _ in work], public[0].bootstrap)
    begin([p.a for p, _ in work], public[1].bootstrap)
    expect([p.b for p, _ in work], [p.a for p, _ in work])
    with concurrent.futures.ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(check_it, p) for p, check_it in work]:
            done.result()
    for n in [n for p, _ in work for n in (p.a, p.b)] + public:
        n.healthy()


if __name__ == '__main__':
    hosts.run_or_skip(main)
