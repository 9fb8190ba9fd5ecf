#!/usr/bin/python3
"""All nodes of a network get other ML-DSA keys one after the other, while a file goes to a hidden address of one of them: it
arrives, a message right after does, everybody follows, and nobody is refused.

TEST: timeout=200
"""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from programs import QUDAG, SLOW, TOP, check, network  # noqa: E402

NODES, BYTES = 8, 30_000_000


def main():
    nodes = network(NODES)
    service, caller, other = nodes[1:4]
    address = service.ask('dark', 'new')['address']
    service.ask('dark', 'publish', address)
    caller.ask('send', address, '-m', 'before')
    path = TOP / 'file'
    path.write_bytes(os.urandom(BYTES))
    began = time.time()
    sends = subprocess.Popen([QUDAG, '--dir', caller.dir, '--json', 'send', address, path], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    time.sleep(0.5)
    for n in nodes:
        check(n.ask('key', 'rotate', 'identity')['sequence'] == 1, f'{n.dir.name}: not the first change')
        time.sleep(0.5 * SLOW)  # on one machine all are of one network, of which two may be in doubt at a time
    took = time.time() - began
    asked = time.time()
    other.ask('send', address, '-m', 'right after')
    print(f'ok: {NODES} keys were changed within {took:.1f} s, and a message took {time.time() - asked:.1f} s then', flush=True)
    said = sends.communicate(timeout=100 * SLOW)[0]
    check(sends.returncode == 0, f'the file did not arrive: {said}')
    print('ok: the file that was under way arrived', flush=True)

    end = time.time() + 30 * SLOW
    while any(n.stat('pins_followed') < 1 or n.stat('links_rekeyed') < 1 for n in nodes):
        check(time.time() < end, f'followed: {[n.stat("pins_followed") for n in nodes]}')
        time.sleep(0.5)
    for n in nodes:
        check(n.stat('pins_refused') == n.stat('pins_conflicts') == 0, f'{n.dir.name} refused somebody')
        check(any(p.get('key_changes') == 1 for p in n.ask('peers')['peers']), f'{n.dir.name} shows no change')
    for n in nodes:
        n.down()
    print('ok: everybody followed, and nobody was refused', flush=True)


main()
