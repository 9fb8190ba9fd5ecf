#!/usr/bin/python3
"""Run the benchmarks several times, take medians, print a table, write build/bench.json.

    tools/bench.py [--build DIR] [--runs N] [--json FILE] [NAME...]     NAME: part of a program's name

A benchmark program (bench/X_bench.c) prints one JSON object per line:

    bench, name      what was measured; with impl, variant, size, bytes, hops, peers, ... they name the row
    value, unit      the figure; or a key that is a unit: "ns": 12.5 (with "limit_ns")
    limit            what the machine could do at best, in the same unit, measured in the same run (optional)
    ratio            how near the limit; else value/limit, or limit/value where less is better (unit s, ms, us, ns, B, ...)

    goal             the ratio wished for (optional)
    target           the figure wished for, in the same unit (optional)

tools/tor_bench.py is one more such program: Tor beside us, in the same run, where it is installed.

A program finds the number of the round, from 1, in BENCH_ROUND: what takes long may be left out after the first.

Other keys are kept, numbers as medians.  Lines that are not JSON objects are ignored.  The machine's noise is fought by running all programs
in turn, N rounds; the spread column is (largest - smallest) / median.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
LESS_IS_BETTER = {'s', 'ms', 'us', 'ns', 'B', 'KiB', 'MiB', 'bytes', 'cycles', 'cycles/B', 'ns/op', 'us/op', 'allocs', 'requests',
                  'hops', 'RTT'}
UNITS = ['ns', 'us', 'ms', 's', 'cycles', 'MB/s', 'mb_per_s', 'ops/s', 'ops_per_s', 'bytes']
NAMES = ['impl', 'variant', 'case', 'mode', 'size', 'bytes', 'hops', 'nodes', 'peers', 'streams', 'threads']
PROGRAM_TIMEOUT_S = 900


def normal(row):
    """the row with value, unit and limit where it uses the short form; None if it holds no figure"""
    if not isinstance(row.get('value'), (int, float)):
        unit = next((u for u in UNITS if isinstance(row.get(u), (int, float))), None)
        if unit is None:
            return None
        row.update(value=row[unit], unit=unit)
        if isinstance(row.get('limit_' + unit), (int, float)):
            row['limit'] = row['limit_' + unit]
    return row


def identity(row):
    return (row.get('bench'), row.get('name')) + tuple(row.get(k) for k in NAMES if k != row.get('unit'))


def title(row):
    extra = [str(row[k]) if isinstance(row[k], str) else f'{k}={row[k]}' for k in NAMES if k in row and k != row.get('unit')]
    return ' '.join([str(row.get('name', ''))] + extra)


def run_once(program, number):
    """[row], or None if the program failed"""
    env = dict(os.environ, BENCH_ROUND=str(number))
    try:
        out = subprocess.run([str(program)], cwd=TOP, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             timeout=PROGRAM_TIMEOUT_S, env=env)
    except subprocess.TimeoutExpired:
        print(f'{program.name}: no end after {PROGRAM_TIMEOUT_S} s', file=sys.stderr)
        return None
    if out.returncode == 77:
        return []
    if out.returncode != 0:
        print(f'{program.name}: exit {out.returncode}\n{out.stderr[-2000:]}', file=sys.stderr)
        return None
    if out.stderr:
        print(out.stderr.rstrip(), file=sys.stderr)
    rows = []
    for line in out.stdout.splitlines():
        if line.startswith('{'):
            rows.append(json.loads(line))
    return rows


def merge(samples):
    """one row from the same row of several runs"""
    row = dict(samples[-1])
    for key in set(row) - set(NAMES):
        found = [s[key] for s in samples if isinstance(s.get(key), (int, float)) and not isinstance(s[key], bool)]
        if found:
            row[key] = statistics.median(found)
    values = [s['value'] for s in samples]
    row['runs'] = len(values)
    row['min'], row['max'] = min(values), max(values)
    if 'ratio' not in row and row.get('limit') and row['value']:
        less = row.get('unit') in LESS_IS_BETTER
        row['ratio'] = row['limit'] / row['value'] if less else row['value'] / row['limit']
    return row


def number(x):
    if not isinstance(x, (int, float)):
        return ''
    return f'{x:,.0f}' if abs(x) >= 1000 or x == int(x) else f'{x:.3g}'


def table(rows):
    head = ['bench', 'name', 'median', 'unit', 'spread', 'target', 'limit', 'ratio', 'goal']
    lines = [head]
    for r in rows:
        spread = f'{(r["max"] - r["min"]) / r["value"]:.0%}' if r['value'] else ''
        ratio = f'{r["ratio"]:.2f}' if isinstance(r.get('ratio'), (int, float)) else ''
        lines.append([str(r.get('bench', '')), title(r), number(r['value']), str(r.get('unit', '')), spread,
                      number(r.get('target')), number(r.get('limit')), ratio, number(r.get('goal'))])
    width = [max(len(line[ix]) for line in lines) for ix in range(len(head))]
    right = {2, 4, 5, 6, 7, 8}
    for line in lines:
        cells = [c.rjust(w) if ix in right else c.ljust(w) for ix, (c, w) in enumerate(zip(line, width))]
        print('  '.join(cells).rstrip())


def commit():
    out = subprocess.run(['git', '-C', TOP, 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True)
    return out.stdout.strip()


def cpu():
    for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            return line.split(':', 1)[1].strip()
    return platform.machine()


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--build', default='build/out')
    p.add_argument('--runs', type=int, default=5)
    p.add_argument('--json', default='build/bench.json')
    p.add_argument('names', nargs='*')
    a = p.parse_args()
    programs = [q for q in sorted((TOP / a.build / 'bench').glob('*_bench')) if q.is_file()]
    programs.append(TOP / 'tools/tor_bench.py')
    programs = [q for q in programs if not a.names or any(n in q.name for n in a.names)]
    if not programs:
        print('bench: no programs' + (' of that name' if a.names else ' yet'))
        return 0
    samples, failed = {}, set()
    for i in range(a.runs):
        for q in programs:
            print(f'bench: round {i + 1} of {a.runs}: {q.name}', file=sys.stderr)
            rows = run_once(q, i + 1) if q.name not in failed else []
            if rows is None:
                failed.add(q.name)
                continue
            for r in rows:
                if normal(r):
                    samples.setdefault((q.name,) + identity(r), []).append(r)
    results = [merge(s) for s in samples.values()]
    table(results)
    (TOP / a.json).parent.mkdir(parents=True, exist_ok=True)
    doc = {'commit': commit(), 'time': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()), 'cpu': cpu(),
           'runs': a.runs, 'results': results}
    (TOP / a.json).write_text(json.dumps(doc, indent=1) + '\n')
    print(f'bench: {len(results)} figures, {len(failed)} programs failed; written to {a.json}')
    return bool(failed)


sys.exit(main())
