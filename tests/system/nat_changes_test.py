#!/usr/bin/python3
"""Two homes that have met stay together: routers start again and change their address, relays die, the direct path breaks and
heals, mappings time out, a host sleeps, files go on meanwhile.

TEST: timeout=300 waits

One network of relays; all pairs side by side.  Skipped, and said so, where namespaces cannot be made.
"""
import concurrent.futures
import os
import signal
import time

from meeting import (DIRECT, Resident, allow, begin, check, expect, file_of, lab, meets, pinged, relays, said, send,
                     stays_relayed, until)
import hosts

IDLE_S, TIMEOUT_S = 50, 20
SLEEP_S, SLEEP_TIMEOUT_S = 40, 30
AGAIN_S, MOVES_S = 3, 1  # goals: reached after a change of network; after a path has died beside another
CROSSING = 700  # packets that have left: a tenth of the file
BUSY = 3  # a machine that does other things as well takes so many times as long


def ok(what):
    print(f'ok: {what}', flush=True)


class Pair:
    def __init__(self, name, first, kind='port-restricted', **words):
        self.sites = [lab.Site(first + i, kind, **words) for i in range(2)]
        self.a, self.b = [Resident(f'{name}-{side}', s) for side, s in zip('ab', self.sites)]

    def back(self, what, within):
        """pings are answered again -> the row, and how long that took"""
        began = time.monotonic()
        row = until(f'{what}: {self.a.dir.name} reaches {self.b.dir.name}', lambda: pinged(self.a, self.b, 30), within)[0]
        return row, time.monotonic() - began

    def direct_again(self, what, within):
        began = time.monotonic()
        until(f'{what}: a direct path', lambda: (p := pinged(self.a, self.b, 30)) and p[0].get('path_kind') in DIRECT, within)
        return time.monotonic() - began


def restart(p):
    meets(p.a, p.b)
    p.sites[1].flush()
    _, took = p.back('a router that started again', BUSY * AGAIN_S)
    ok(f'a router starts again: reached after {took:.1f} s, directly after {p.direct_again("a router that started again", 40):.1f} s')


def renumber(p):
    meets(p.a, p.b)
    p.sites[1].renumber()
    _, took = p.back('a new external address', BUSY * AGAIN_S)
    ok(f'a new external address: reached after {took:.1f} s, directly after {p.direct_again("a new external address", 60):.1f} s')


def dead_relay(p, public):
    """the one that a link goes through dies without a word"""
    m = stays_relayed(p.a, p.b)
    through = m.row['through']
    relay = next(r for r in public if r.peer == through)
    relay.kill()
    row, took = p.back('a relay that died', BUSY * AGAIN_S)
    if row.get('through') == through:  # the row names a link that stands, and the dead one does for a while
        until('another relay is named', lambda: (p2 := pinged(p.a, p.b, 30)) and p2[0].get('through') != through, 30)
    ok(f'a relay dies: reached through another after {took:.1f} s')


def broken(p):
    """the direct path alone breaks: the relayed one carries; heals: the direct one is found again"""
    meets(p.a, p.b)
    lab.cut(*p.sites)
    row, took = p.back('a broken path', BUSY * MOVES_S)
    check(row['path_kind'] not in DIRECT, f'over a path that is cut: {row}')
    lab.mend(*p.sites)
    ok(f'the direct path breaks: reached after {took:.1f} s; heals: direct after {p.direct_again("a healed path", 90):.1f} s')


def idle(p):
    """nothing is said for much longer than mappings live"""
    meets(p.a, p.b)
    before = [s.stats()['out'] for s in p.sites]
    time.sleep(IDLE_S)
    sent = [s.stats()['out'] - b for s, b in zip(p.sites, before)]
    row, took = p.back('after a silence', 5)
    check(row['path_kind'] in DIRECT and took < 2, f'{took:.1f} s: {row}{said(p.a, p.b)}')
    ok(f'{IDLE_S} s of silence, mappings that live {TIMEOUT_S} s: still direct; {sent} packets left the homes')


def transfer(p):
    """a file crosses a direct path that breaks and heals meanwhile"""
    path = file_of(8 << 20)
    for s in p.sites:
        s.impair(rate_kbit=16000, delay_ms=10)
    meets(p.a, p.b)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        before = p.sites[0].stats()['out']
        sent = pool.submit(send, p.a, p.b, path, 180)
        until('the file is on its way', lambda: p.sites[0].stats()['out'] > before + CROSSING, 60)
        lab.cut(*p.sites)
        time.sleep(5)
        lab.mend(*p.sites)
        row = sent.result()
    check(row.get('moves', 0) > 0, f'it never left the path that was cut: {row}')
    ok(f'a file over a path that breaks: {row.get("elapsed_ns", 0) / 1e9:.1f} s, moved {row.get("moves")} times, hash agreed')


def crosses(p, what, change, within):
    """a file goes on when the receiver's router |change|s, and ends so many seconds later than without"""
    path = file_of(4 << 20, f'file-{p.a.dir.name}')
    for s in p.sites:
        s.impair(rate_kbit=16000, delay_ms=10)
    allow(p.b, p.a)
    meets(p.a, p.b)
    alone = send(p.a, p.b, path, 60).get('elapsed_ns', 0) / 1e9
    with open(path, 'r+b') as f:
        f.write(os.urandom(64))  # else the receiver has it
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send, p.a, p.b, path, 120)
        time.sleep(1)
        change()
        row = sent.result()
    took = row.get('elapsed_ns', 0) / 1e9
    check(took < alone + within, f'{what}: a file took {took:.1f} s, {alone:.1f} s without{said(p.a, p.b)}')
    ok(f'a file over {what}: {took:.1f} s ({alone:.1f} s without), moved {row.get("moves")} times, hash agreed')


def file_renumber(p):
    crosses(p, 'a new external address', p.sites[1].renumber, BUSY * 5)


def file_restart(p):
    crosses(p, 'a router that starts again', p.sites[1].flush, BUSY * 5)


def sleeps(p):
    """the host is not there for longer than its mapping lives"""
    meets(p.a, p.b)
    os.kill(p.b.pid, signal.SIGSTOP)
    time.sleep(SLEEP_S)
    os.kill(p.b.pid, signal.SIGCONT)
    _, took = p.back('a host that slept', BUSY * AGAIN_S)
    ok(f'a host sleeps for {SLEEP_S} s, mappings that live {SLEEP_TIMEOUT_S} s: reached after {took:.1f} s')


def main():
    lab.begin()
    public = relays()
    work = [(Pair('restart', 11), restart), (Pair('renumber', 13), renumber), (Pair('broken', 17), broken),
            (Pair('idle', 19, timeout_ms=1000 * TIMEOUT_S, timeout_new_ms=1000 * TIMEOUT_S), idle), (Pair('file', 21), transfer),
            (Pair('filenew', 23), file_renumber), (Pair('fileagain', 25), file_restart),
            (Pair('sleep', 27, timeout_ms=1000 * SLEEP_TIMEOUT_S, timeout_new_ms=1000 * SLEEP_TIMEOUT_S), sleeps)]
    last = Pair('relay', 15, 'symmetric')
    everybody = [p for p, _ in work] + [last]
    begin([p.b for p in everybody], public[0].bootstrap)
    begin([p.a for p in everybody], public[1].bootstrap)
    expect([p.b for p in everybody], [p.a for p in everybody])
    with concurrent.futures.ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(what, p) for p, what in work]:
            done.result()
    dead_relay(last, public)
    for p in everybody:
        p.a.healthy()
        p.b.healthy()


if __name__ == '__main__':
    hosts.run_or_skip(main)
