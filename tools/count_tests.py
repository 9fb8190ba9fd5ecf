#!/usr/bin/python3
"""From meson's testlog.json: "passed failed skipped names-of-the-failed".  Exit 1 if there is no log."""
import json
import sys

GOOD, LEFT_OUT = ('OK', 'EXPECTEDFAIL'), ('SKIP',)


def main():
    try:
        with open(sys.argv[1]) as f:
            rows = [json.loads(line) for line in f if line.strip()]
    except OSError:
        return 1
    good = sum(r['result'] in GOOD for r in rows)
    left_out = sum(r['result'] in LEFT_OUT for r in rows)
    bad = [r['name'].split(' / ')[-1] for r in rows if r['result'] not in GOOD + LEFT_OUT]
    print(good, len(bad), left_out, ','.join(bad))
    return 0


sys.exit(main())
