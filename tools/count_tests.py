#!/usr/bin/python3
"""
From meson's testlog.json: "passed failed skipped names-of-the-failed".  With a second argument the last lines that each
failed test printed are added to that file.  Exit 1 if there is no log.
"""
import json
import sys

GOOD, LEFT_OUT = ('OK', 'EXPECTEDFAIL'), ('SKIP',)
LAST = 12  # lines of each stream


def said(row):
    lines = [line for what in ('stdout', 'stderr') for line in row.get(what, '').splitlines()[-LAST:]]
    return '\n'.join([f"-- {row['name'].split(' / ')[-1]}: {row['result']}", *(line[:400] for line in lines), ''])


def main():
    try:
        with open(sys.argv[1]) as f:
            rows = [json.loads(line) for line in f if line.strip()]
    except OSError:
        return 1
    good = sum(r['result'] in GOOD for r in rows)
    left_out = sum(r['result'] in LEFT_OUT for r in rows)
    bad = [r for r in rows if r['result'] not in GOOD + LEFT_OUT]
    if len(sys.argv) > 2:
        with open(sys.argv[2], 'a') as f:
            f.writelines(said(r) for r in bad)
    print(good, len(bad), left_out, ','.join(r['name'].split(' / ')[-1] for r in bad))
    return 0


sys.exit(main())
