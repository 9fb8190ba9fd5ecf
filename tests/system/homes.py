"""Daemons as they are found on the Internet, in namespaces: relays with public addresses, and hosts behind routers."""
import atexit
import concurrent.futures
import os
import signal
import subprocess
import time

from hosts import Behind, FarHost
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
    """|relays| of them, and the homes (number, name); all are ready"""
    first = up(Relay(1), *options)
    rest = [up(Relay(n), '--bootstrap', first.bootstrap, *options) for n in range(2, relays + 1)]
    lived_in = [up(Home(number, name), '--bootstrap', first.bootstrap, *options) for number, name in homes]
    ready(*rest, *lived_in)
    return [first, *rest], *lived_in


def down(*nodes):
    """all of them, side by side"""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(Node.down, nodes))


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
