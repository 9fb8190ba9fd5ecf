#!/usr/bin/python3
"""Two homes that have met stay together: routers start again and change their address, relays die, the direct path breaks and
heals, mappings time out, a file goes on meanwhile.

TEST: timeout=300 waits

One network of relays; all pairs side by side.  Skipped, and said so, where namespaces cannot be made.
"""
import concurrent.futures
import sys
import time

from meeting import (DIRECT, Resident, begin, check, expect, file_of, lab, meets, pinged, relays, said, send,
                     stays_relayed, until)
import hosts

IDLE_S, TIMEOUT_S = 50, 20


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
    _, took = p.back('a router that started again', 15)
    ok(f'a router starts again: reached after {took:.1f} s, directly after {p.direct_again("a router that started again", 40):.1f} s')


def renumber(p):
    meets(p.a, p.b)
    p.sites[1].renumber()
    _, took = p.back('a new external address', 15)
    ok(f'a new external address: reached after {took:.1f} s, directly after {p.direct_again("a new external address", 60):.1f} s')


def dead_relay(p, public):
    """the one that a link goes through dies without a word"""
    m = stays_relayed(p.a, p.b)
    through = m.row['through']
    relay = next(r for r in public if r.peer == through)
    relay.kill()
    row, took = p.back('a relay that died', 60)
    check(row.get('through') != through, f'{row}')
    ok(f'a relay dies: through another after {took:.1f} s')


def broken(p):
    """the direct path alone breaks: the relayed one carries; heals: the direct one is found again"""
    meets(p.a, p.b)
    lab.cut(*p.sites)
    _, took = p.back('a broken path', 30)
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
        sent = pool.submit(send, p.a, p.b, path, 180)
        time.sleep(1.5)
        lab.cut(*p.sites)
        time.sleep(5)
        lab.mend(*p.sites)
        row = sent.result()
    ok(f'a file over a path that breaks: {row.get("elapsed_ns", 0) / 1e9:.1f} s, moved {row.get("moves")} times, hash agreed')


def main():
    lab.begin()
    public = relays()
    work = [(Pair('restart', 11), restart), (Pair('renumber', 13), renumber), (Pair('broken', 17), broken),
            (Pair('idle', 19, timeout_ms=1000 * TIMEOUT_S, timeout_new_ms=1000 * TIMEOUT_S), idle), (Pair('file', 21), transfer)]
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


try:
    main()
except hosts.Missing as e:
    print(f'SKIPPED: {e}', flush=True)
    sys.exit(hosts.SKIPPED)
