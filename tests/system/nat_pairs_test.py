#!/usr/bin/python3
"""Two homes behind routers of any two kinds reach each other by peer id: at once through a relay, directly where that can be.

TEST: timeout=300 waits

Four homes on each side, one behind each kind of NAT, 20 ms from the rest; all sixteen pairs, four at a time, then files.  Skipped,
and said so, where namespaces cannot be made.
"""
import concurrent.futures

from meeting import Meeting, Resident, begin, check, expect, file_of, lab, relays, said, send
import hosts

SHORT = {'full-cone': 'F', 'restricted': 'R', 'port-restricted': 'P', 'symmetric': 'S'}
HARD = {('port-restricted', 'symmetric'), ('symmetric', 'port-restricted')}  # by guessing ports, nearly always
NEVER = {('symmetric', 'symmetric')}  # of random ports: by a relay
SIZE = 2 << 20
DELAY_MS = 20  # each way, at each home


def neighbourhood(first, side):
    """one home of each kind"""
    sites = [lab.Site(first + i, kind) for i, kind in enumerate(lab.KINDS)]
    for s in sites:
        s.impair(delay_ms=DELAY_MS)
    return [Resident(f'{SHORT[s.kind]}-{side}', s) for s in sites]


def one_pair(a, b):
    kinds = a.site.kind, b.site.kind
    m = Meeting(a, b, limit=3 if kinds in NEVER else 30)
    check(m.first is not None, f'{kinds} do not reach each other{said(a, b)}')
    check(m.direct is not None or kinds in HARD | NEVER, f'{kinds}: {m}{said(a, b)}')
    check(m.direct is None or kinds not in NEVER, f'{kinds}: {m}')
    if m.direct is None:
        check(m.row.get('path_why'), f'{kinds}: relayed, and nothing says why: {m.row}')
    elif kinds not in HARD:
        check(m.row.get('met_round') == 'plain', f'{kinds}: not in the first round: {m.row}')
    print(f'ok: {kinds[0]} to {kinds[1]}: {m}', flush=True)
    return m


def pairs(left, right):
    """each of the left with each of the right, nobody in two at a time"""
    found = {}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for turn in range(4):
            work = [(left[i], right[(i + turn) % 4]) for i in range(4)]
            for (a, b), m in zip(work, pool.map(lambda p: one_pair(*p), work)):
                found[a.site.kind, b.site.kind] = m
    direct = [m for m in found.values() if m.direct is not None]
    first = [m for m in direct if m.row.get('met_round') == 'plain']
    check(any(found[k].direct is not None for k in HARD), 'no pair of a strict router and a symmetric one became direct by a birthday')
    check(len(first) == 13, f'{len(first)} pairs became direct in the first round, not 13')
    print(f'ok: 16 of 16 pairs reached, {len(direct)} directly, 13 in the first round, the slowest of these after '
          f'{max(m.direct for m in first):.2f} s', flush=True)


def files(left, right):
    """hashed by both, over the path there is"""
    path = file_of(SIZE)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda i: send(left[i], right[i], path), range(4)))
    print(f'ok: files over {[r.get("over") for r in rows]}', flush=True)


def main():
    lab.begin()
    public = relays()
    left, right = neighbourhood(11, 'a'), neighbourhood(21, 'b')
    begin(right, public[0].bootstrap)
    begin(left, public[1].bootstrap)
    expect(right, left)
    pairs(left, right)
    files(left, right)
    for n in left + right + public:
        n.healthy()


if __name__ == '__main__':
    hosts.run_or_skip(main)
