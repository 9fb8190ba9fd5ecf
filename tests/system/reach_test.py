#!/usr/bin/python3
"""Daemons find out whether others can dial them: hosts on the Internet, one behind a firewall, one in a home.

TEST: timeout=300 waits alone

Skipped, and said so, where namespaces cannot be made.
"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hosts  # noqa: E402
from homes import Home, Relay, down, must, ready, side_by_side, until, up  # noqa: E402
from programs import check, example, run  # noqa: E402

RELAYS = 6
DEBUG = ('-o', 'log.level=debug')
FIREWALL = '''
table inet guard {
    chain into {
        type filter hook input priority 0; policy drop;
        iifname "lo" accept
        ct state established,related accept
        meta l4proto ipv6-icmp accept
    }
}
'''


def log_of(node):
    return (node.dir / 'qudagd.log').read_text(errors='replace')


def is_now(node, family, state):
    """the last word of the daemon about one IP version"""
    said = re.findall(rf'node\.reach .*{family}=(\w+)', log_of(node))
    return bool(said) and said[-1] == state


def two_programs(bootstrap, home, caller):
    """examples/reach.c: one in a home is told that relays keep places for it, and is called by its peer id alone"""
    program, peer, held = example('reach'), None, False
    server = home.begin(program, bootstrap, stdout=subprocess.PIPE, text=True)
    while peer is None or not held:
        words = server.stdout.readline().split()
        check(words, 'examples/reach.c ended')
        peer = words[1] if words[0] == 'peer:' else peer
        held = held or (words[0] == 'reached:' and words[-1] != '0')
    code, text = run(*caller.command(program, bootstrap, peer, 'hello there'), timeout=60)
    check(code == 0 and 'hello there' in text and 'path: ' in text, f'the caller: {code}: {text}')
    code, text = run(*caller.command(program, bootstrap, 'nobody', 'hello'), timeout=60)
    check(code == 2, f'a peer id that is none: {code}: {text}')


def main():
    hosts.enter()
    relays = [Relay(n) for n in range(1, RELAYS + 1)]
    guarded, home = Relay(RELAYS + 1), Home(RELAYS + 2, 'home')
    must(*guarded.command('nft', '-f', '-'), text=FIREWALL)
    up(relays[0], *DEBUG)
    rest = [*relays[1:], guarded, home]
    side_by_side(lambda n: up(n, '--bootstrap', relays[0].bootstrap, *DEBUG), rest)
    side_by_side(ready, rest)
    for n in relays:
        until(f'{n.dir.name} knows that it can be dialled', lambda n=n: is_now(n, 'ip4', 'public') and is_now(n, 'ip6', 'public'), 120)
        assert {a.split('/')[2] for a in n.ask('status')['announced']} == {n.v4, n.v6}
    print('ok: hosts on the Internet know that they can be dialled', flush=True)
    until('the firewall is found out', lambda: is_now(guarded, 'ip4', 'private') and is_now(guarded, 'ip6', 'private'), 120)
    assert 'announced' not in guarded.ask('status'), guarded.ask('status')
    print('ok: what a firewall keeps from others is not announced', flush=True)
    assert 'announced' not in home.ask('status'), home.ask('status')
    until('the home is private', lambda: is_now(home, 'ip4', 'private'), 120)
    print('ok: a home announces nothing', flush=True)
    two_programs(relays[0].bootstrap, home, guarded)
    print('ok: a program in a home is called by its peer id', flush=True)
    down(guarded, home, *relays)


if __name__ == '__main__':
    hosts.run_or_skip(main)
