#!/usr/bin/python3
"""TEST: timeout=240 waits

Daemons on loopback: what a node said it stored is there after it was killed, at any moment, again and again.  And
what becomes of a store that is damaged, in use, or where nobody may write."""
import json
import os
import pathlib
import shutil
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))
from programs import ANY_PORT, QUDAG, QUDAGD, Node, check, free_port, run  # noqa: E402

KILLS = 20
NODES = 4
# so few nodes are enough to be ready, and one may store many records in an hour
OPTIONS = 'onion.hops=1', 'dht.records_max=100000'


def records(node):
    """those whose key is text; relays' descriptors have bytes"""
    return {r['key'] for r in node.ask('dht', 'records')['records'] if 'key' in r}


def count(node):
    return node.ask('dht', 'store')['kad_records']


def start(node, *options):
    """again on the same folder; ready or not, its control socket answers"""
    return node.start(*options, wait=False)


def ready(node):
    code, text = node.tool('up', timeout=60)
    check(code == 0, f'{node.dir.name} is not ready: {text}')


def put_until(node, stop, acknowledged, prefix):
    """puts one after the other; who was told to have stored one has acknowledged it"""
    serial = 0
    while not stop.is_set():
        key = f'{prefix}-{serial}'
        serial += 1
        code, text = node.tool('dht', 'put', '--once', key, f'value of {key}')
        if code == 0:
            told = json.loads(text.strip().splitlines()[-1])
            acknowledged[f'/app/{key}'] = set(told['peers'])
        time.sleep(0.03)  # a peer that asks too often is refused


def member(name, *options):
    """a node that is found at the same port after a restart"""
    node = Node(name, *OPTIONS, *options)
    node.listen = f'/ip4/127.0.0.1/udp/{free_port()}/quic-v1'
    return node


def kills():
    draw = random.Random(1)
    nodes = [member('n0').start()]
    for ix in range(1, NODES):
        nodes.append(member(f'n{ix}', f'node.bootstrap={nodes[0].bootstrap}').start(wait=False))
    for n in nodes:
        ready(n)
    victim = nodes[1]
    acknowledged, began = {}, time.monotonic()
    for n in range(KILLS):
        stop = threading.Event()
        putters = [threading.Thread(target=put_until, args=(nodes[w], stop, acknowledged, f'{n}-{w}'))
                   for w in (0, 2, 3)]
        for p in putters:
            p.start()
        time.sleep(0.4 + draw.random() * 0.4)
        os.kill(victim.pid, signal.SIGKILL)
        stop.set()
        for p in putters:
            p.join()
        while run(QUDAG, '--dir', victim.dir, 'status')[0] != 3:
            time.sleep(0.01)
        start(victim)
        held = records(victim)
        for key, who in acknowledged.items():
            check(victim.peer not in who or key in held, f'kill {n}: {key} was acknowledged and is gone')
        ready(victim)  # before the next round
    mine = [k for k, who in acknowledged.items() if victim.peer in who]
    check(len(mine) > KILLS // 2, f'only {len(mine)} records were acknowledged by the one that was killed')
    s = victim.ask('dht', 'store')
    check(s['store_failures'] == 0 and s['store_damaged_values'] == 0 and s['store_set_aside'] == 0, f'{s}')
    print(f'ok: {KILLS} kills in {time.monotonic() - began:.1f} s, all of {len(mine)} acknowledged records there; '
          f'{s["store_commits"]} commits since the last start', flush=True)
    return nodes


def damaged_log(nodes):
    """a byte of the log of a killed daemon: what follows it is lost, which is said; a kill alone costs nothing"""
    node = nodes[1]
    for n in range(20):
        node.tool('dht', 'put', '--once', f'logged-{n}', 'z' * 2000)
    node.kill()
    wal = node.dir / 'store/dht.db-wal'
    with open(wal, 'r+b') as f:
        f.seek(32 + 2 * (24 + 4096) + 100)  # head of the log, two pages with their heads
        byte = f.read(1)[0]
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte ^ 1]))
    log = node.dir / 'qudagd.log'
    check('store.log_damaged' not in log.read_text(), 'twenty kills were taken for damage')
    start(node)
    check(log.read_text().count('store.log_damaged') == 1, 'the log does not tell of the damaged log of the store')
    print('ok: a damaged log of the store is told of, a kill alone is not', flush=True)


def publications(nodes):
    node = nodes[2]
    node.ask('dht', 'put', 'mine', 'kept')
    node.ask('dht', 'provide', 'content')
    before = {p.get('key', 'bytes'): p['due'] for p in node.ask('dht', 'published')['published']}
    check(len(before) == 2, f'{before}')
    node.kill()
    start(node)
    after = {p.get('key', 'bytes'): p['due'] for p in node.ask('dht', 'published')['published']}
    check(after.keys() == before.keys(), f'{before} {after}')
    for key, due in before.items():
        check(abs(after[key] - due) <= 2, f'due {due} before, {after[key]} after')
    code, text = node.tool('dht', 'forget', 'mine')
    check(code == 0, text)
    code, text = node.tool('dht', 'forget', 'mine')
    check(code == 4, f'forgotten twice: exit {code}: {text}')
    node.kill()
    start(node)
    check(len(node.ask('dht', 'published')['published']) == 1, 'what was forgotten has come back')
    print('ok: what is published goes on being published, at the same time, until it is forgotten', flush=True)


def without_bootstrap_peer(nodes):
    """peers of the last time do where the bootstrap peer is gone"""
    node = nodes[2]
    ready(node)
    node.down()  # in order: its table is kept
    nodes[0].kill()
    start(node)
    until = time.monotonic() + 20
    while node.ask('status')['table'] == 0 and time.monotonic() < until:
        time.sleep(0.05)
    check(any(p['peer'] != nodes[0].peer for p in node.ask('peers')['peers']), 'no other node was found')
    print('ok: a node finds back without its bootstrap peer', flush=True)


def daemon_says(node, code, words, *options):
    args = [QUDAGD, '--dir', node.dir, '-o', 'lab.lab=yes', '-o', f'node.listen={ANY_PORT}']
    for o in options:
        args += ['-o', o]
    got, text = run(*args)
    check(got == code and words in text, f'exit {got}, not {code}, or does not say "{words}": {text}')


def trouble(nodes):
    node = nodes[1]
    other = Node('other').start(wait=False)
    third = Node('third')
    daemon_says(third, 4, 'is the store of a node, but', f'dht.store_dir={node.dir}/store')
    third.dir.mkdir(mode=0o700, exist_ok=True)
    shutil.copy2(node.dir / 'identity', third.dir / 'identity')  # the mode, too
    daemon_says(third, 4, 'another process is using the store', f'dht.store_dir={node.dir}/store')
    other.down()
    held = records(node)
    node.down()
    path = node.dir / 'store/dht.db'
    daemon_says(node, 4, 'cannot write to', 'dht.store_dir=/proc/self')
    good = path.read_bytes()
    path.write_bytes(good[:len(good) * 2 // 3])
    start(node)
    left = records(node)
    check(left <= held and (node.dir / 'store/dht.db.broken').exists(), f'{len(left)} of {len(held)}')
    log = (node.dir / 'qudagd.log').read_text()
    check('store.damaged' in log and 'set aside' in log, log[-2000:])
    print(f'ok: a store cut off is set aside, {len(left)} of {len(held)} records were saved from it', flush=True)
    node.down()
    path.write_bytes(good)
    start(node)
    check(records(node) == held, 'the undamaged store is not what it was')
    most = min(16, count(node))
    node.down()
    start(node, 'dht.records_max=16')
    left = records(node)
    check(left <= held and count(node) == most, f'a smaller quota does not hold at start: {count(node)}')
    node.down()
    start(node, 'dht.records_max=16')
    check(count(node) == most, 'what was over the quota has come back')
    node.down()
    start(node, 'dht.store=no')
    check(records(node) == set(), 'without a store nothing should be there')
    node.down()
    print('ok: in use, not writable, over the quota, switched off', flush=True)


def full_disk(nodes):
    """a limit on the size of files stands for the full disk; what was acknowledged before is kept, nothing else is"""
    node = member('full', f'node.bootstrap={nodes[0].bootstrap}')
    args = [QUDAG, '--dir', node.dir, 'up', '--no-wait', '-o', 'lab.lab=yes']
    for o in (f'node.listen={node.listen}', *node.options):
        args += ['-o', o]
    # 2.4 MiB of 1 KiB blocks, of which 2 MiB are kept in advance
    code, text = run('bash', '-c', 'ulimit -f 2400; trap "" XFSZ; exec "$@"', 'bash', *args)
    check(code == 0, text)
    s = node.ask('status')
    node.take(s)
    ready(node)
    acknowledged = set()
    for n in range(400):
        code, text = nodes[0].tool('dht', 'put', '--once', f'big-{n}', 'x' * 4000)
        told = json.loads(text.strip().splitlines()[-1])
        if code == 0 and node.peer in told['peers']:
            acknowledged.add(f'/app/big-{n}')
        if node.ask('dht', 'store')['store_room'] == 0:
            break
    s = node.ask('dht', 'store')
    check(s['store_room'] == 0 and s['store_failures'] == 0, f'{s}')
    refused = node.stat('kad_refused_records')
    for n in range(3):
        code, text = nodes[0].tool('dht', 'put', '--once', f'late-{n}', 'y' * 4000)
        told = json.loads(text.strip().splitlines()[-1])
        check(code != 0 or node.peer not in told['peers'], 'a full node has acknowledged a record')
    check(node.stat('kad_refused_records') > refused, 'nothing was refused')
    check('store.full' in (node.dir / 'qudagd.log').read_text(), 'the log does not tell of the full disk')
    node.kill()
    start(node)
    check(acknowledged <= records(node), f'{len(acknowledged - records(node))} acknowledged records are gone')
    check(node.ask('dht', 'store')['store_room'] == 1, 'no room without the limit')
    node.down()
    print(f'ok: a full disk after {len(acknowledged)} records: told, refused, nothing lost', flush=True)


def main():
    nodes = kills()
    damaged_log(nodes)
    full_disk(nodes)
    publications(nodes)
    without_bootstrap_peer(nodes)
    trouble(nodes)


main()
