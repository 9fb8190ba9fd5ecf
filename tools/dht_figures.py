#!/usr/bin/python3
"""Figures of the DHT under each scenario, as the tables of doc/performance.md.

    tools/dht_figures.py [--build DIR] [--seeds N] [--nodes N] [--limit S] [--total S] [--quick] [SCENARIO...]

Runs qudag-sim (with --json) for every scenario and seed, adds up the seeds, and prints Markdown: how many requests ended right with
the 95 % interval (Wilson) of all seeds together, the median over the seeds of p50 and p95, requests per lookup, bytes and memory.
Beside them stand the goals.  The same goes to build/dht_figures.json.

--quick: one seed and at most 100 nodes, a minute in all.  A run may take LIMIT seconds (600), all of them TOTAL (1800): what would begin
later is left out and named.  A run that violates an invariant is named too and ends the program with 1.
"""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
KINDS = ('get', 'find', 'put', 'get-attacked', 'put-attacked', 'circuit')
Z95 = 1.959963985
HUGE = ('large', 'million')  # sizes are what they are for: neither --quick nor --nodes
QUICK_NODES = 100
# Wanted: (scenario, phase, kind): least share of right ones in %, most milliseconds at p95.
GOALS = {
    ('steady', 'steady', 'get'): (99.9, None),
    ('steady', 'steady', 'find'): (99.9, None),
    ('steady', 'steady', 'put'): (99.9, None),
    ('churn', 'churn', 'get'): (99, None),
    ('churn', 'churn', 'find'): (99, None),
    ('mass_failure', 'right-after', 'get'): (99, None),
    ('mass_failure', 'right-after', 'find'): (99, None),
    ('colluders', 'collusion', 'get'): (99.9, None),
    ('sybil', 'sybils', 'put-attacked'): (99.9, None),
    ('sybil', 'sybils', 'get-attacked'): (99.9, None),
    ('stale_tables', 'stale', 'get'): (None, 180),
    ('stale_tables', 'stale', 'find'): (None, 1000),
}


def run(program, scenario, seed, nodes, limit):
    """(report, None), or (None, why)"""
    command = [str(program), '--quiet', '--json', '--scenario', scenario, '--seed', str(seed)]
    command += ['--nodes', str(nodes)] if nodes else []
    if 'circuit_every' in (TOP / 'sim' / 'scenarios' / f'{scenario}.scenario').read_text():
        command += ['--host', 'full']  # only complete nodes build circuits
    try:
        out = subprocess.run(command, cwd=TOP, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return None, f'no end after {limit:.0f} s'
    if out.returncode not in (0, 1):  # 1: a minimum was missed; the figures say which
        return None, f'exit {out.returncode}: {out.stderr.strip()[-300:]}'
    return json.loads(out.stdout), None


def wilson(right, n):
    p, z2 = right / n, Z95 * Z95
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0, middle - half), min(1, middle + half)


def ended(o):
    """requests the share is of: all that had an outcome while their node was there"""
    return round(o['right'] / o['rate']) if o['rate'] > 0 else o['answered']


def outcome(key, parts):
    """one row from the same phase and kind of several seeds; None when nothing was asked"""
    n, right = sum(ended(o) for o in parts), sum(o['right'] for o in parts)
    if n == 0:
        return None
    low, high = wilson(right, n)
    least, p95 = GOALS.get(key, (None, None))
    answered = sum(o['answered'] for o in parts)
    row = {'scenario': key[0], 'phase': key[1], 'kind': key[2], 'ended': n, 'right': right / n, 'low': low, 'high': high,
           'p50_ms': statistics.median(o['p50_ms'] for o in parts), 'p95_ms': statistics.median(o['p95_ms'] for o in parts),
           'requests': sum(o['requests'] for o in parts) / answered, 'failed': sum(o['failed_requests'] for o in parts) / answered,
           'wrong': sum(o['wrong'] for o in parts), 'wanted_right': least, 'wanted_p95_ms': p95}
    row['met'] = (least is None or row['right'] * 100 >= least) and (p95 is None or row['p95_ms'] <= p95)
    return row


def gather(reports):
    """rows of outcomes and rows of cost, in the order of the reports"""
    parts, cost = {}, {}
    for r in reports:
        for phase in r['phases']:
            cost.setdefault((r['scenario'], phase['name']), []).append((r, phase))
            for kind in KINDS:
                o = phase['outcomes'].get(kind)
                if o and o['answered'] > 0:
                    parts.setdefault((r['scenario'], phase['name'], kind), []).append(o)
    rows = [row for key, p in parts.items() if (row := outcome(key, p))]
    costs = [{'scenario': key[0], 'phase': key[1], 'nodes': p[0][0]['nodes'], 'seeds': len(p),
              'bytes_per_node_hour': statistics.median(phase['bytes_per_node_hour'] for _, phase in p),
              'requests_per_node_hour': statistics.median(phase['requests_per_node_hour'] for _, phase in p),
              'memory_per_node': statistics.median(r['memory_per_node'] + r.get('memory_shared', 0) / max(1, r.get('cores', 1)) for r, _ in p)} for key, p in cost.items()]
    return rows, costs


def percent(x):
    return f'{x * 100:.2f} %'


def wanted(row):
    text = [f'>= {row["wanted_right"]} %'] if row['wanted_right'] else []
    text += [f'p95 <= {row["wanted_p95_ms"]} ms'] if row['wanted_p95_ms'] else []
    return ', '.join(text) + ('' if row['met'] else ' **missed**')


def markdown(rows, costs):
    print('| scenario, phase | request | ended | right (95 % interval) | wanted | p50 ms | p95 ms | requests each | of them failed |')
    print('|---|---|---|---|---|---|---|---|---|')
    for r in rows:
        print(f'| {r["scenario"]}, {r["phase"]} | {r["kind"]} | {r["ended"]:,} | {percent(r["right"])} ({percent(r["low"])} .. '
              f'{percent(r["high"])}) | {wanted(r)} | {r["p50_ms"]:.0f} | {r["p95_ms"]:.0f} | {r["requests"]:.1f} | {r["failed"]:.1f} |')
    print('\n| scenario, phase | nodes | seeds | bytes a node and hour | requests a node and hour | memory a node at the end |')
    print('|---|---|---|---|---|---|')
    for c in costs:
        print(f'| {c["scenario"]}, {c["phase"]} | {c["nodes"]:,} | {c["seeds"]} | {c["bytes_per_node_hour"] / 1e6:.2f} MB | '
              f'{c["requests_per_node_hour"]:,.0f} | {c["memory_per_node"] / 1024:.1f} KiB |')


def nodes_for(scenario, a):
    if a.nodes or scenario in HUGE:
        return a.nodes if scenario not in HUGE else 0
    for line in (TOP / 'sim' / 'scenarios' / f'{scenario}.scenario').read_text().splitlines():
        if a.quick and line.startswith('nodes'):
            return min(QUICK_NODES, int(line.split('=')[1]))
    return 0


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--build', default='build/out')
    p.add_argument('--seeds', type=int, default=3)
    p.add_argument('--nodes', type=int, default=0, help='instead of what the scenarios say')
    p.add_argument('--limit', type=float, default=600)
    p.add_argument('--total', type=float, default=1800)
    p.add_argument('--quick', action='store_true')
    p.add_argument('--json', default='build/dht_figures.json')
    p.add_argument('scenarios', nargs='*')
    a = p.parse_args()
    program = TOP / a.build / 'bin' / 'qudag-sim'
    every = sorted(q.stem for q in (TOP / 'sim' / 'scenarios').glob('*.scenario'))
    names = a.scenarios or [n for n in every if not (a.quick and n in HUGE)]
    begin, reports, left_out = time.monotonic(), [], []
    for seed in range(1, (1 if a.quick else a.seeds) + 1):  # whole rounds: when time runs out every scenario has a seed
        for name in names:
            left = a.total - (time.monotonic() - begin)
            if left < 1:
                left_out.append(f'{name} seed {seed}: no time left')
                continue
            started = time.monotonic()
            report, why = run(program, name, seed, nodes_for(name, a), min(a.limit, left))
            print(f'dht_figures: {name} seed {seed}: {why or "done"} ({time.monotonic() - started:.0f} s)', file=sys.stderr)
            if report is None:
                left_out.append(f'{name} seed {seed}: {why}')
            else:
                reports.append(report)
    rows, costs = gather(sorted(reports, key=lambda r: names.index(pathlib.Path(r['scenario']).stem)))
    markdown(rows, costs)
    if left_out:
        print('\nLeft out: ' + '; '.join(left_out) + '.')
    (TOP / a.json).parent.mkdir(parents=True, exist_ok=True)
    (TOP / a.json).write_text(json.dumps({'outcomes': rows, 'cost': costs, 'left_out': left_out}, indent=1) + '\n')
    return 1 if any('exit' in why for why in left_out) or not reports else 0


sys.exit(main())
