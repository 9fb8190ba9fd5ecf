"""Hosts that are network namespaces: each with addresses of its own, at one bridge, without a way to anywhere else.

Everything is inside one namespace, which goes away with the processes in it.  Needs root, or a kernel that lets users
make namespaces.
"""
import os
import shutil
import subprocess
import sys

INSIDE = 'QUDAG_TEST_NAMESPACE'
V4, V6 = 4, 6
SKIPPED = 77  # the exit code of a test that could not be made


class Missing(Exception):
    """this machine cannot make namespaces; the text says what it lacks"""


def ip(*args):
    done = subprocess.run(['ip', *[str(a) for a in args]], capture_output=True, text=True)
    if done.returncode != 0:
        raise Missing(f'ip {" ".join(str(a) for a in args)}: {done.stderr.strip()}')


def enter():
    """runs this program again, in a namespace of its own, unless it is in there; then makes the bridge"""
    if INSIDE not in os.environ:
        for tool in ('unshare', 'ip', 'mount'):
            if shutil.which(tool) is None:
                raise Missing(f'no {tool} (Debian: util-linux, iproute2, mount)')
        own = ['unshare', *([] if os.geteuid() == 0 else ['--map-root-user']), '--net', '--mount']
        done = subprocess.run([*own, 'mount', '-t', 'tmpfs', 'none', '/run'], capture_output=True, text=True)
        if done.returncode != 0:
            raise Missing(f'no network namespace can be made here: {done.stderr.strip()}')
        os.environ[INSIDE] = '1'
        os.execvp(own[0], [*own, sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]])
    if subprocess.run(['mount', '-t', 'tmpfs', 'none', '/run'], capture_output=True).returncode != 0:
        raise Missing('nothing can be mounted')
    ip('link', 'add', 'br0', 'type', 'bridge')
    ip('link', 'set', 'br0', 'up')


class Place:
    """a host: the namespace h7 with the interface eth0, whose other end p7 is at the bridge"""

    def __init__(self, number):
        self.name, self.port = f'h{number}', f'p{number}'
        ip('netns', 'add', self.name)
        ip('link', 'add', self.port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', self.name)
        self.ip('link', 'set', 'lo', 'up')
        ip('link', 'set', self.port, 'master', 'br0', 'up')

    def ip(self, *args):
        ip('-n', self.name, *args)

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
    """addresses of host 1 to 60 of a network whose hosts are far from each other: in a /16 and a /32 of their own"""
    return f'{20 + 3 * number}.{7 * number % 250 + 1}.0.{number}', f'2a0{number % 6}:{0x100 + number:x}::{number:x}'


class FarHost(Place):
    """a host as it is found on the Internet: public addresses of both IP versions, and a bridge of containers"""

    def __init__(self, number):
        super().__init__(number)
        self.v4, self.v6 = far(number)
        self.ip('link', 'set', 'eth0', 'up')
        self.add(self.v4, 32)
        self.add(self.v6, 128)
        self.everywhere((V4, V6))
        self.ip('link', 'add', 'docker0', 'type', 'bridge')
        self.ip('addr', 'add', '172.17.0.1/16', 'dev', 'docker0')
        self.ip('link', 'set', 'docker0', 'up')


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
        self.router = Place(number)
        self.v4, _ = far(number)
        self.router.ip('link', 'set', 'eth0', 'up')
        self.router.add(self.v4, 32)
        self.router.everywhere()
        self.name = f'i{number}'
        ip('netns', 'add', self.name)
        ip('link', 'add', 'lan', 'netns', self.router.name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', self.name)
        self.router.ip('addr', 'add', '192.168.1.1/24', 'dev', 'lan')
        self.router.ip('link', 'set', 'lan', 'up')
        self.ip('link', 'set', 'lo', 'up')
        self.ip('link', 'set', 'eth0', 'up')
        self.add('192.168.1.2', 24)
        self.ip('route', 'add', 'default', 'via', '192.168.1.1')
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
