"""Daemons as they are found on the Internet, in namespaces: relays with public addresses, and hosts behind routers."""
import atexit
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import time

from hosts import Behind, FarHost, must
from programs import QUDAG, SLOW, Node, check, run


class Relay(Node, FarHost):
    """a daemon with the settings of `qudag up`"""

    def __init__(self, number):
        Node.__init__(self, f'relay{number}')
        FarHost.__init__(self, number)

    start = None


class Home(Node, Behind):
    """the same in a home; programs run there see its loopback only"""

    def __init__(self, number, name):
        Node.__init__(self, name)
        Behind.__init__(self, number)

    def begin(self, *args, **options):
        """a program that goes on there until the test ends"""
        begun = subprocess.Popen(self.command(*args), stdin=subprocess.DEVNULL, start_new_session=True, **options)

        def end():
            try:
                os.killpg(begun.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

        atexit.register(end)
        return begun

    def says(self, *args, timeout=60, code=0):
        got, text = run(*self.command(*args), timeout=timeout)
        check(got == code, f'{" ".join(str(a) for a in args)}: exit {got}: {text[-1500:]}')
        return text


def side_by_side(what, nodes):
    """|what| of each of them, eight at a time; the first that fails ends the test"""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(what, nodes))


def up(node, *options):
    """as Node.start(), but with nothing set"""
    code, text = run(*node.command(QUDAG, '--dir', node.dir, 'up', '--json', '--no-wait', *options), timeout=60)
    check(code == 0, f'{node.dir.name} does not start: exit {code}: {text}')
    return node.take(node.ask('status'))


def ready(*nodes):
    """waits until each has joined"""
    for n in nodes:
        code, text = run(*n.command(QUDAG, '--dir', n.dir, 'up', '--timeout', '90'), timeout=120)
        check(code == 0, f'{n.dir.name} is not ready: {text}')


def network(relays, *homes, options=()):
    """|relays| of them, and the homes (number, name); all but the first join at once, and are ready"""
    first, *rest = [Relay(n) for n in range(1, relays + 1)]
    lived_in = [Home(number, name) for number, name in homes]
    up(first, *options)
    side_by_side(lambda n: up(n, '--bootstrap', first.bootstrap, *options), rest + lived_in)
    side_by_side(ready, rest + lived_in)
    return [first, *rest], *lived_in


PROBE = 777  # bytes; nothing else here has this length
ARRIVED = f'''
table inet probes {{
    counter arrived {{ }}
    chain into {{
        type filter hook input priority 0;
        udp length {PROBE + 8} counter name arrived
    }}
}}
'''
SENDS = 'import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); ' \
        f'[s.sendto(bytes({PROBE}), (sys.argv[1], int(p))) for p in sys.argv[2:]]'


def counted(place, *counter):
    rows = json.loads(must(*place.command('nft', '-j', 'list', 'counter', *counter)))['nftables']
    return next(row['counter']['packets'] for row in rows if 'counter' in row)


def nothing_comes_in(relay, *homes):
    """what a relay sends to a home unasked, to the port of its node and to others, its router refuses, and no node announces it"""
    for home in homes:
        own = re.search(r'/udp/(\d+)/', home.bootstrap)[1]
        ports = [own, *range(1000, 65000, 1000)]
        must(*home.command('nft', '-f', '-'), text=ARRIVED)
        must(*home.router.command('/usr/bin/python3', '-c', SENDS, '192.168.1.2', own))
        check(counted(home, 'inet', 'probes', 'arrived') == 1, f'{home.dir.name}: what arrives is not counted')
        before = counted(home.router, 'ip', 'home', 'refused')
        must(*relay.command('/usr/bin/python3', '-c', SENDS, home.v4, *[str(p) for p in ports]))
        until(f'{home.dir.name}: its router refuses', lambda h=home, b=before, n=len(ports):
              counted(h.router, 'ip', 'home', 'refused') >= b + n)
        code, _ = run(*relay.command('bash', '-c', f'timeout 1 bash -c "</dev/tcp/{home.v4}/80"'))
        check(code == 124, f'{home.dir.name}: a connection from outside is answered: {code}')
        check(counted(home, 'inet', 'probes', 'arrived') == 1, f'{home.dir.name}: something comes in from outside')
        check('announced' not in home.ask('status'), f'{home.dir.name} announces an address')
    print('ok: the routers let nothing in that was not asked for', flush=True)


def down(*nodes):
    side_by_side(Node.down, nodes)


def until(what, condition, limit=60):
    end = time.monotonic() + limit * SLOW
    while not (got := condition()):
        check(time.monotonic() < end, f'{what}: not within {limit} s')
        time.sleep(0.1)
    return got


class took:
    """prints what it took"""

    def __init__(self, what):
        self.what = what

    def __enter__(self):
        self.began = time.monotonic()

    def __exit__(self, kind, *_):
        if kind is None:
            print(f'ok: {self.what}: {time.monotonic() - self.began:.1f} s', flush=True)
