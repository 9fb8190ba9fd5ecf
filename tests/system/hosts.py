"""Hosts that are network namespaces: each with addresses of its own, at one bridge or router, without a way to anywhere else.

Everything is inside one namespace, which goes away with the processes in it.  Needs root, or a kernel that lets users
make namespaces.
"""
import os
import shutil
import subprocess
import sys

INSIDE = 'QUDAG_TEST_NAMESPACE'
V4, V6 = 4, 6
ROUTER_V4, ROUTER_V6 = '169.254.1.1', 'fe80::1'  # the next hop of each far host
SKIPPED = 77  # the exit code of a test that could not be made


class Missing(Exception):
    """this machine cannot make namespaces; the text says what it lacks"""


def run_or_skip(main):
    """|main|; a machine that lacks what it needs is said to, and the test counts as skipped"""
    try:
        main()
    except Missing as e:
        print(f'SKIPPED: {e}', flush=True)
        sys.exit(SKIPPED)


def ip(*args, batch=None):
    """the program of that name; |batch|: what it is to do one after the other, a line each"""
    args = [*(['-batch', '-'] if batch is not None else []), *[str(a) for a in args]]
    done = subprocess.run(['ip', *args], input=batch, capture_output=True, text=True)
    if done.returncode != 0:
        raise Missing(f'ip {" ".join(args)}: {done.stderr.strip()}')


def enter():
    """runs this program again, in a namespace of its own, unless it is in there; then makes the bridge, and a router of it"""
    if INSIDE not in os.environ:
        for tool in ('unshare', 'ip', 'mount'):
            if shutil.which(tool) is None:
                raise Missing(f'no {tool} (Debian: util-linux, iproute2, mount)')
        own = ['unshare', *([] if os.geteuid() == 0 else ['--map-root-user']), '--net', '--mount']
        done = subprocess.run([*own, 'mount', '-t', 'tmpfs', 'none', '/run'], capture_output=True, text=True)
        if done.returncode != 0:
            raise Missing(f'no network namespace can be made here: {done.stderr.strip()}')
        os.environ[INSIDE] = '1'
        if 'programs' in sys.modules:  # it made a folder, which this program does not come back to remove
            shutil.rmtree(sys.modules['programs'].TOP, ignore_errors=True)
        os.execvp(own[0], [*own, sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]])
    if subprocess.run(['mount', '-t', 'tmpfs', 'none', '/run'], capture_output=True).returncode != 0:
        raise Missing('nothing can be mounted')
    ip('link', 'add', 'br0', 'type', 'bridge')
    ip('link', 'set', 'br0', 'up')
    for version in ('4/ip_forward', '6/conf/all/forwarding'):
        with open(f'/proc/sys/net/ipv{version}', 'w') as setting:
            setting.write('1')
    for version in (V4, V6):  # who is not there does not answer, and nobody does so in its place
        ip(f'-{version}', 'route', 'add', 'blackhole', 'default', 'metric', 100)


class Place:
    """a host: the namespace h7 with the interface eth0, whose other end p7 is at the bridge"""

    def __init__(self, number):
        self.name, self.port = f'h{number}', f'p{number}'
        ip('netns', 'add', self.name)
        ip('link', 'add', self.port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', self.name)
        self.ip('link', 'set', 'lo', 'up')
        ip('link', 'set', self.port, 'master', 'br0', 'up')

    def ip(self, *args, batch=None):
        ip('-n', self.name, *args, batch=batch)

    def add(self, text, length):
        """an address; of IPv6 at once, without asking the network whether it is another's"""
        self.ip('addr', 'add', f'{text}/{length}', 'dev', 'eth0', *(['nodad'] if ':' in text else []))

    def remove(self, text, length):
        self.ip('addr', 'del', f'{text}/{length}', 'dev', 'eth0')

    def everywhere(self, versions=(V4,)):
        """all of the Internet is behind eth0"""
        for net in (['0.0.0.0/1', '128.0.0.0/1'] if V4 in versions else []) + (['2000::/3'] if V6 in versions else []):
            self.ip('route', 'replace', net, 'dev', 'eth0')

    def command(self, *args):
        return ['ip', 'netns', 'exec', self.name, *[str(a) for a in args]]


def far(number):
    """addresses of host 1 to 67 of a network whose hosts are far from each other: in a /16 and a /32 of their own"""
    return f'{20 + 3 * number}.{7 * number % 250 + 1}.0.{number}', f'2a0{number % 6}:{0x100 + number:x}::{number:x}'


class Far(Place):
    """
    a host with public addresses, one of each IP version.  The namespace around all of them is the router of each, as an access
    provider's is: at a bridge each host would have all others for neighbours, and of those the kernel keeps 1024 for all
    namespaces of the machine together, enough for 30 hosts.
    """

    def __init__(self, number):
        self.name, self.port = f'h{number}', f'p{number}'
        self.v4, self.v6 = far(number)
        ip(batch=f'''
            netns add {self.name}
            link add {self.port} type veth peer name eth0 netns {self.name}
            addr add {ROUTER_V4}/32 dev {self.port}
            addr add {ROUTER_V6}/64 dev {self.port} nodad
            link set {self.port} up
            route add {self.v4}/32 dev {self.port}
            route add {self.v6}/128 dev {self.port}''')
        self.ip(batch=f'''
            link set lo up
            link set eth0 up
            addr add {self.v4}/32 dev eth0
            addr add {self.v6}/128 dev eth0 nodad
            route add default via {ROUTER_V4} dev eth0 onlink
            route add default via {ROUTER_V6} dev eth0''')


class FarHost(Far):
    """a host as it is found on the Internet: public addresses of both IP versions, and a bridge of containers"""

    def __init__(self, number):
        super().__init__(number)
        self.ip(batch='''
            link add docker0 type bridge
            addr add 172.17.0.1/16 dev docker0
            link set docker0 up''')


class Behind(Place):
    """
    a host in a home: 192.168.1.2 behind a router with a public address, which translates what goes out and lets
    nothing in that was not asked for
    """

    RULES = '''
table ip home {
    counter refused { }
    chain translate {
        type nat hook postrouting priority 100;
        oifname "eth0" masquerade random
    }
    chain through {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname "lan" accept
        counter name refused drop
    }
    chain router {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iifname "lan" accept
        counter name refused drop
    }
}
'''

    def __init__(self, number):
        self.router = Far(number)
        self.v4, self.name = self.router.v4, f'i{number}'
        ip(batch=f'''
            netns add {self.name}
            link add lan netns {self.router.name} type veth peer name eth0 netns {self.name}''')
        self.router.ip(batch='''
            addr add 192.168.1.1/24 dev lan
            link set lan up''')
        self.ip(batch='''
            link set lo up
            link set eth0 up
            addr add 192.168.1.2/24 dev eth0
            route add default via 192.168.1.1''')
        must(*self.router.command('sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward'))
        must(*self.router.command('nft', '-f', '-'), text=self.RULES)


def must(*args, text=None):
    """a program that makes the place what it is to be"""
    try:
        done = subprocess.run(args, input=text, capture_output=True, text=True)
    except FileNotFoundError as e:
        raise Missing(f'no {e.filename}') from e
    if done.returncode != 0:
        raise Missing(f'{" ".join(args)}: {done.stderr.strip()}')
    return done.stdout
