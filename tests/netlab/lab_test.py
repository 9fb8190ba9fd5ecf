#!/usr/bin/python3
"""The small internet that tests of reachability run in is what it says: each kind of NAT, judged from outside; links that
delay and lose; partitions, firewalls, providers.

TEST: timeout=120 waits

Skipped, and said so, where namespaces or TUN devices cannot be made.
"""
import concurrent.futures
import json
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import lab  # noqa: E402
from lab import Far, Site, check, must, opened  # noqa: E402
import hosts  # noqa: E402

DEPENDS = ('independent', 'address', 'address-port')


def ok(what):
    print(f'ok: {what}', flush=True)


class Judges:
    """two public hosts that tell what they see"""

    def __init__(self, first, second):
        self.a, self.b = Far(first), Far(second)
        for one, other in ((self.a, self.b), (self.b, self.a)):
            begun = lab.Begun(*one.command('/usr/bin/python3', lab.HERE / 'reflect.py', one.v4, other.v4), stdout=subprocess.PIPE)
            begun.process.stdout.readline()

    def judge(self, host):
        return json.loads(must(*host.command('/usr/bin/python3', lab.HERE / 'judge.py', self.a.v4, self.b.v4)))

    def seen(self, s, port=7001, host=None):
        """(address, port) at which a socket is seen; None: no answer"""
        try:
            s.sendto(b'same12345678', ((host or self.a).v4, port))
            ip, number = s.recvfrom(100)[0][8:].decode().split()
        except (TimeoutError, OSError):
            return None
        return ip, int(number)


def gets(s, text, patience=1.0):
    """whether that comes in"""
    end = time.monotonic() + patience
    while (left := end - time.monotonic()) > 0:
        s.settimeout(left)
        try:
            if s.recvfrom(100)[0] == text:
                return True
        except (TimeoutError, OSError):
            continue
    return False


def kinds(judges, number):
    """each mapping with each filter"""
    sites = {(m, f): Site(number + i, f'mapping={m}', filter=f, ports='random' if m != 'independent' else 'preserve')
             for i, (m, f) in enumerate((m, f) for m in DEPENDS for f in DEPENDS)}
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        found = dict(zip(sites, pool.map(judges.judge, sites.values())))
    for (m, f), got in found.items():
        check((got['mapping'], got['filter']) == (m, f), f'{m}, {f}: {got}')
        check(all(ip == sites[m, f].v4 for ip, _ in got['seen']), f'{got}')
        check(m != 'independent' or got['seen'][0][1] == got['own'], f'the port is not kept: {got}')
    ok('nine kinds of NAT, as a stranger sees them')
    return sites


def named(judges, site):
    """by their common names, one after the other"""
    for kind, m, f in (('full-cone', 0, 0), ('restricted', 0, 1), ('port-restricted', 0, 2), ('symmetric', 2, 2)):
        site.nat(kind)
        got = judges.judge(site)
        check((got['mapping'], got['filter']) == (DEPENDS[m], DEPENDS[f]), f'{kind}: {got}')
    ok('the four kinds by their names')


def times(judges, site):
    site.nat('port-restricted', timeout_ms=1500, timeout_new_ms=700)
    s, public = opened(site), opened(judges.b, 9000)
    s.sendto(b'hello', (judges.b.v4, 9000))
    at = public.recvfrom(100)[1]
    time.sleep(0.9)
    public.sendto(b'late', at)
    check(not gets(s, b'late', 0.3), 'a mapping without an answer lives too long')
    seen = judges.seen(s)
    check(seen == judges.seen(s), 'another mapping at once')
    time.sleep(1.7)
    check(site.stats()['mappings'] == 0, 'a mapping outlives its time')
    check(judges.seen(s), 'no new one')
    site.flush()
    check(site.stats()['mappings'] == 0, 'a router that starts again remembers')
    was, now = site.v4, site.renumber()
    check(was != now and judges.seen(s)[0] == now, 'the new address is not seen')
    ok('time-outs, a restart, another address')


def quota(judges, site):
    site.nat('symmetric', per_host=3)
    s = opened(site)
    answers = [judges.seen(s, port, host) for port in (7001, 7002) for host in (judges.a, judges.b)]
    check(all(answers[:3]) and not answers[3], f'{answers}')
    ok('no more mappings than the quota of a host')


def rejected(judges, site):
    """a stranger who was rejected occupies his pair of ports; and he is told"""
    site.nat('port-restricted', rejects=1)
    s, stranger = opened(site), opened(judges.b, 9001)
    port = judges.seen(s)[1]
    stranger.connect((site.v4, port))
    stranger.send(b'knock')
    try:
        stranger.recv(10)
        check(False, 'an answer')
    except ConnectionRefusedError:
        pass
    s.sendto(b'hello', (judges.b.v4, 9001))
    check(not gets(stranger, b'hello', 0.3), 'it comes from the port that he knocked at')
    check(judges.seen(s)[1] == port, 'others see another port')
    ok('a router that rejects')


def hairpin(judges, site):
    a, b = [opened(h) for h in site.hosts]
    for on in (0, 1):
        site.nat('full-cone', hairpin=on)
        seen = judges.seen(a)
        b.sendto(b'round', seen)
        check(gets(a, b'round', 0.5) == bool(on), f'hairpin {on}')
    ok('what is sent to the own outside address turns round where it should')


def provider(judges, carrier, number):
    one, two = [Site(number + i, 'port-restricted', via=carrier) for i in range(2)]
    check(one.v4.startswith('100.64.'), one.v4)
    got = judges.judge(one)
    check(got['mapping'] == 'address-port' and got['seen'][0][0] == carrier.v4, f'{got}')
    s, t = opened(one, 4000), opened(two, 4001)
    s.sendto(b'hello', (two.v4, 4001))
    t.sendto(b'hello', (one.v4, 4000))
    check(gets(t, b'hello') or gets(s, b'hello'), 'neighbours do not meet inside of their provider')
    ok('two homes behind the NAT of their provider')


def links(judges, site):
    site.nat('port-restricted')
    s = opened(site)
    judges.seen(s)
    site.impair(delay_ms=30)
    began = time.monotonic()
    check(judges.seen(s), 'no answer')
    took = time.monotonic() - began
    check(0.06 <= took < 0.2, f'{took}')
    site.impair('lan', delay_ms=20, jitter_ms=10)
    began = time.monotonic()
    judges.seen(s)
    check(0.1 <= time.monotonic() - began < 0.3, 'delays do not add up')
    site.impair('lan')
    site.impair(loss=500)
    public = opened(judges.b, 9002)
    for _ in range(400):
        s.sendto(b'x', (judges.b.v4, 9002))
    time.sleep(0.3)
    lost = site.stats()['lost']
    check(130 < lost < 270, f'{lost} of 400 lost')
    site.impair(down=1)
    check(not judges.seen(s), 'it is not down')
    site.impair()
    check(judges.seen(s), 'it stays down')
    public.close()
    ok('delay, jitter, loss, and a link that is down')


def tcp(judges, site):
    """the same for TCP, of which all is let through here that the home begins"""
    site.nat('symmetric')
    with opened(judges.a, 9100, kind=socket.SOCK_STREAM) as listener, opened(site, kind=socket.SOCK_STREAM) as s:
        listener.listen()
        s.connect((judges.a.v4, 9100))
        there, who = listener.accept()
        check(who[0] == site.v4, f'{who}')
        sent = bytes(1 << 20)
        s.settimeout(20)
        there.settimeout(20)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(s.sendall, sent)
            left = len(sent)
            while left > 0:
                left -= len(there.recv(65536))
        site.block_udp()
        check(not judges.seen(opened(site)), 'UDP is not blocked')
        there.sendall(b'still')
        check(s.recv(10) == b'still', 'TCP is blocked, too')
        site.block_udp(False)
        check(judges.seen(opened(site)), 'UDP stays blocked')
    ok('TCP, also where UDP is blocked')


def cuts(judges, site, other):
    s = opened(site)
    for place in (judges.a, other):
        lab.cut(site, place)
    check(not judges.seen(s), 'they are not cut')
    check(judges.seen(s, host=judges.b), 'others are cut, too')
    for place in (judges.a, other):
        lab.mend(site, place)
    check(judges.seen(s), 'it does not heal')
    ok('a partition of two, and its end')


def six(judges, number):
    """IPv6 without translation; a firewall where the home has one"""
    walled, free = Site(number, v6='firewall'), Site(number + 1, v6='open')
    w, f = [opened(h, 4001, family=socket.AF_INET6) for h in (walled, free)]
    f.sendto(b'first', (walled.hosts[0].v6, 4001))
    check(not gets(w, b'first', 0.4), 'the firewall lets a stranger in')
    w.sendto(b'second', (free.hosts[0].v6, 4001))
    check(gets(f, b'second'), 'nothing comes out')
    f.sendto(b'third', (walled.hosts[0].v6, 4001))
    check(gets(w, b'third'), 'no answer comes in')
    lab.cut(walled, free)
    f.sendto(b'fourth', (walled.hosts[0].v6, 4001))
    check(not gets(w, b'fourth', 0.3), 'they are not cut')
    lab.mend(walled, free)
    check(judges.seen(opened(walled)), 'IPv4 does not work beside it')
    ok('IPv6 with and without a firewall')


SEARCH = b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n' \
         b'ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n'


def gateway(judges, site):
    """a port by NAT-PMP, until the router starts again; UPnP is found; a fault is one"""
    site.nat('port-restricted')
    begun = site.gateway('no-pcp')
    s, public = opened(site, 4001), opened(judges.b)

    def asked(request, to=5351):
        s.sendto(request, ('192.168.1.1', to))
        return s.recvfrom(1100)[0]

    check(asked(struct.pack('!BB', 0, 0))[8:12] == socket.inet_aton(site.v4), 'not its external address')
    answer = asked(struct.pack('!BBHHHI', 0, 1, 0, 4001, 4500, 60))
    check(struct.unpack('!BBHIHHI', answer)[4:] == (4001, 4500, 60), f'{answer}')
    public.sendto(b'forwarded', (site.v4, 4500))
    check(gets(s, b'forwarded'), 'nothing comes through the forwarding')
    check(asked(struct.pack('!BBHI16s', 2, 1, 0, 60, bytes(16)))[:4] == struct.pack('!BBH', 0, 129, 1), 'it speaks PCP')
    s.sendto(SEARCH, ('192.168.1.1', 1900))
    check(b'LOCATION: http://192.168.1.1:' in s.recvfrom(1100)[0], 'UPnP is not found')
    begun.process.send_signal(signal.SIGUSR1)
    lab.until('the router starts again', lambda: struct.unpack('!I', asked(struct.pack('!BB', 0, 0))[4:8])[0] == 0)
    public.sendto(b'once more', (site.v4, 4500))
    check(not gets(s, b'once more', 0.3), 'it forgets no forwarding')
    begun.end()
    begun = site.gateway('full')
    check(struct.unpack('!BBH', asked(struct.pack('!BBHHHI', 0, 1, 0, 4001, 4500, 60))[:4])[2] == 4, 'it is not full')
    begun.end()
    ok('a gateway that opens ports, and one that is full')


def main():
    lab.begin()
    judges = Judges(1, 2)
    sites = list(kinds(judges, 3).values())
    two = Site(12, hosts=2)
    carrier = Site(13, 'symmetric', provider=True)
    work = [lambda: named(judges, sites[0]), lambda: times(judges, sites[1]), lambda: quota(judges, sites[2]),
            lambda: rejected(judges, sites[3]), lambda: hairpin(judges, two), lambda: provider(judges, carrier, 14),
            lambda: tcp(judges, sites[5]), lambda: six(judges, 16), lambda: gateway(judges, sites[8])]
    with concurrent.futures.ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(w) for w in work]:
            done.result()
    links(judges, sites[4])
    cuts(judges, sites[6], sites[7])


if __name__ == '__main__':
    hosts.run_or_skip(main)
