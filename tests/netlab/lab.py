"""A small internet in namespaces: public hosts, homes behind routers of every kind, providers that translate once more.

    import lab
    lab.begin()                                          Missing: this machine cannot
    a = lab.Site(11, 'symmetric', rejects=1)             192.168.1.10 behind the public address of far(11)
    carrier = lab.Site(12, 'symmetric', provider=True)   100.64.12.0/24
    b = lab.Site(13, 'port-restricted', via=carrier, hosts=2)
    a.impair(delay_ms=40, loss=20); a.flush(); a.renumber(); lab.cut(a, b); lab.mend(a, b)

Every home has the same private addresses.  What the words of a NAT and of a link are says words.h.
"""
import atexit
import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'system'))
import hosts  # noqa: E402
from hosts import ROUTER_V4, ROUTER_V6, Far, Missing, Place, far, ip, must  # noqa: E402, F401
from programs import BUILD, TOP, check  # noqa: E402

NATBOX = BUILD / 'tests/netlab_natbox'
KINDS = ('full-cone', 'restricted', 'port-restricted', 'symmetric')
CUTS = '''
table inet cuts {
    set pairs4 { type ipv4_addr . ipv4_addr; }
    set pairs6 { type ipv6_addr . ipv6_addr; flags interval; }
    chain through {
        type filter hook forward priority 0;
        ip saddr . ip daddr @pairs4 drop
        ip6 saddr . ip6 daddr @pairs6 drop
    }
}
'''
WALL = '''
table inet wall {
    set pinholes { type ipv6_addr . inet_service; }
    chain through {
        type filter hook forward priority 0;
        meta nfproto ipv4 accept
        ct state established,related accept
        iifname "wan" ip6 daddr . udp dport @pinholes accept
        iifname "wan" drop
    }
}
'''
NO_UDP = '''
table inet no_udp {
    chain through {
        type filter hook forward priority -10;
        iifname "lan" meta l4proto udp drop
    }
}
'''


def begin():
    """enters the namespace that everything is in"""
    hosts.enter()
    if not os.access('/dev/net/tun', os.R_OK | os.W_OK):
        raise Missing('no TUN device can be made here (/dev/net/tun)')
    check(NATBOX.exists(), f'{NATBOX} is not built')
    must('nft', '-f', '-', text=CUTS)


def opened(place, port=0, family=socket.AF_INET, kind=socket.SOCK_DGRAM):
    """a socket of that host, bound there; it waits 3 s at most"""
    libc = ctypes.CDLL(None, use_errno=True)
    with open('/proc/thread-self/ns/net') as here, open(f'/run/netns/{place.name}') as there:
        check(libc.setns(there.fileno(), 0) == 0, f'setns: {os.strerror(ctypes.get_errno())}')
        try:
            s = socket.socket(family, kind)
        finally:
            check(libc.setns(here.fileno(), 0) == 0, 'setns: no way back')
    s.settimeout(3)
    s.bind(('', port))
    return s


class Begun:
    """a program that goes on until end(), or the end of the test"""

    def __init__(self, *args, **options):
        self.process = subprocess.Popen([str(a) for a in args], start_new_session=True,
                                        **{'stdin': subprocess.PIPE, **options})
        atexit.register(self.end)

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def setting(place, **values):
    """of the kernel, below net: a__b is a/b"""
    text = ' '.join(f'{name.replace("__", "/")}={value}' for name, value in values.items())
    must(*place.command('sh', '-c', 'for s in "$@"; do echo "${s#*=}" >/proc/sys/net/${s%%=*} || exit 1; done', 'sh',
                        *text.split()))


class Router(Place):
    """the namespace of a site's router; wan is where it is connected, lan a bridge of those inside"""

    def __init__(self, number):
        self.name = f'g{number}'
        ip('netns', 'add', self.name)
        self.ip('link', 'set', 'lo', 'up')


class Site:
    """a router and the hosts behind it"""

    def __init__(self, number, nat='port-restricted', hosts=1, via=None, provider=False, v6='off', **words):
        self.number, self.via, self.v6 = number, via, v6
        self.inner = [far(number)[1].split('::')[0] + ':0:1', 64]
        self.lan = f'100.64.{number}' if provider else '192.168.1'
        self.v4 = via.address_for(self) if via else far(number)[0]
        self.subscribers = 0
        self.router = Router(number)
        self._connect()
        self._inside()
        self._translate()
        self.nat(nat, **words)
        self.hosts = [] if provider else [Inside(self, i) for i in range(hosts)]

    def __getattr__(self, name):
        """of its first host"""
        if name.startswith('_') or name == 'hosts':
            raise AttributeError(name)
        return getattr(self.hosts[0], name)

    def address_for(self, _):
        """of a subscriber"""
        self.subscribers += 1
        return f'{self.lan}.{9 + self.subscribers}'

    @property
    def net6(self):
        return f'{self.inner[0]}::/{self.inner[1]}'

    def _connect(self):
        """wan has no address of its own: the router answers for the external one, and hands on what comes for it"""
        name, r = f'p{self.number}', self.router
        if self.via:
            self.via.router.ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'wan', 'netns', r.name)
            self.via.router.ip('link', 'set', name, 'master', 'lan', 'up')
            up = f'{self.via.lan}.1'
        else:
            ip(batch=f'''
                link add {name} type veth peer name wan netns {r.name}
                addr add {ROUTER_V4}/32 dev {name}
                addr add {ROUTER_V6}/64 dev {name} nodad
                link set {name} up
                route add {self.v4}/32 dev {name}
                route add {self.net6} via fe80::2 dev {name}''')
            up = ROUTER_V4
        r.ip(batch=f'''
            link set wan addrgenmode none up
            addr add fe80::2/64 dev wan nodad
            route add default via {up} dev wan onlink
            route add default via {ROUTER_V6} dev wan onlink''')

    def _inside(self):
        r = self.router
        r.ip(batch=f'''
            link add lan type bridge
            link set lan up
            addr add {self.lan}.1/24 dev lan''')
        if self.v6 != 'off':
            r.ip('addr', 'add', f'{self.inner[0]}::1/64', 'dev', 'lan', 'nodad')
        if self.v6 == 'firewall':
            must(*r.command('nft', '-f', '-'), text=WALL)

    def _translate(self):
        r, self.control = self.router, TOP / f'nat{self.number}'
        self.box = Begun(*r.command(NATBOX, 'nat0', self.control, self.v4, f'{self.lan}.0/24', self.net6))
        until('natbox', self.control.exists)
        r.ip(batch=f'''
            link set nat0 addrgenmode none up
            route add {self.v4}/32 dev nat0
            rule add iif lan lookup 101
            route add {self.lan}.0/24 dev lan table 101
            route add default dev nat0 table 101''')
        r.ip('-6', batch=f'''
            rule add iif lan lookup 101
            route add default dev nat0 table 101
            rule add iif wan lookup 102
            route add {self.net6} dev nat0 table 102''')
        setting(r, ipv4__ip_forward=1, ipv6__conf__all__forwarding=1, ipv4__conf__wan__proxy_arp=1,
                ipv4__neigh__wan__proxy_delay=0, ipv4__conf__all__rp_filter=0, ipv4__conf__nat0__rp_filter=0,
                ipv4__conf__wan__rp_filter=0, ipv4__conf__lan__rp_filter=0, ipv4__conf__all__send_redirects=0,
                ipv4__conf__lan__send_redirects=0)

    def tell(self, line):
        """a command of router_command.c"""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(10)
            s.connect(str(self.control))
            s.sendall(line.encode() + b'\n')
            return s.recv(512).decode().strip()

    def must_tell(self, line):
        answer = self.tell(line)
        check(answer == 'ok', f'natbox {self.number}: {line}: {answer}')

    def nat(self, kind, **words):
        """another NAT, without mappings"""
        self.kind = kind
        self.must_tell(' '.join(['nat', kind, *[f'{k}={v}' for k, v in words.items()]]))

    def impair(self, link='wan', **words):
        """what a packet suffers each way there: delay_ms, jitter_ms, loss and burst (permille), rate_kbit, mtu, down; none: nothing"""
        self.must_tell(' '.join(['wire', link, *[f'{k}={v}' for k, v in words.items()]]))

    def flush(self):
        """the router forgets all, as if it had been started anew"""
        self.must_tell('flush')

    def renumber(self):
        """another external address -> the address"""
        was, (a, b, c, d) = self.v4, self.v4.split('.')
        self.v4 = '.'.join([a, b, str(int(c) + 1), d])
        if not self.via:
            ip('route', 'add', f'{self.v4}/32', 'dev', f'p{self.number}')
            ip('route', 'del', f'{was}/32', 'dev', f'p{self.number}')
        self.router.ip('route', 'add', f'{self.v4}/32', 'dev', 'nat0')
        self.router.ip('route', 'del', f'{was}/32', 'dev', 'nat0')
        self.must_tell(f'external {self.v4}')
        return self.v4

    def stats(self):
        return json.loads(self.tell('stats'))

    def block_udp(self, on=True):
        if on:
            must(*self.router.command('nft', '-f', '-'), text=NO_UDP)
        else:
            must(*self.router.command('nft', 'delete', 'table', 'inet', 'no_udp'))

    def gateway(self, *faults):
        """a UPnP, NAT-PMP and PCP gateway with these faults (gateway.py) -> the program; SIGUSR1: it starts again"""
        log = open(TOP / f'gateway{self.number}.log', 'ab')  # pylint: disable=consider-using-with
        begun = Begun(*self.router.command('/usr/bin/python3', HERE / 'gateway.py', '--lan', f'{self.lan}.1', '--external', self.v4,
                                           '--nat', self.control, *(['--lan6', f'{self.inner[0]}::1'] if self.v6 != 'off' else []),
                                           *faults), stdout=subprocess.PIPE, stderr=log)
        begun.process.stdout.readline()
        return begun


class Inside(Place):
    """a host of a site"""

    def __init__(self, site, number):
        self.name, self.site = f's{site.number}h{number}', site
        self.v4, self.v6 = f'{site.lan}.{10 + number}', None
        ip('netns', 'add', self.name)
        site.router.ip('link', 'add', f'h{number}', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', self.name)
        site.router.ip('link', 'set', f'h{number}', 'master', 'lan', 'up')
        self.ip(batch=f'''
            link set lo up
            link set eth0 up
            addr add {self.v4}/24 dev eth0
            route add default via {site.lan}.1''')
        if site.v6 != 'off':
            self.v6 = f'{site.inner[0]}::{10 + number:x}'
            self.add(self.v6, 64)
            self.ip('-6', 'route', 'add', 'default', 'via', f'{site.inner[0]}::1')


def outside(place):
    """the addresses that others see |place| at: sites, their hosts, public hosts"""
    place = getattr(place, 'site', place)
    if not isinstance(place, Site):
        return place.v4, place.v6
    while place.via:
        place = place.via
    return place.v4, place.net6


def between(what, a, b):
    (a4, a6), (b4, b6) = outside(a), outside(b)
    must('nft', what, 'element', 'inet', 'cuts', 'pairs4', f'{{ {a4} . {b4}, {b4} . {a4} }}')
    must('nft', what, 'element', 'inet', 'cuts', 'pairs6', f'{{ {a6} . {b6}, {b6} . {a6} }}')


def cut(a, b):
    """no packet passes between them until mend()"""
    between('add', a, b)


def mend(a, b):
    between('delete', a, b)


def until(what, condition, limit=10):
    end = time.monotonic() + limit
    while not condition():
        check(time.monotonic() < end, f'{what}: not within {limit} s')
        time.sleep(0.01)
