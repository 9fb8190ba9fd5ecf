#!/usr/bin/python3
"""No test outside of namespaces asks the router of the machine it runs on: each node that one starts is of a lab or listens on
loopback, which ask none (portmap_test.py shows it).

TEST: timeout=30
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import SRC, check  # noqa: E402

QUIET = re.compile(r'\blab = true|127\.0\.0\.1|port_mapping = false')
INCLUDED = re.compile(r'#include "([^"]*)"')


def with_kits(path, seen):
    """a file, and what it includes from beside it, and the sources of that"""
    if path in seen or not path.exists():
        return ''
    seen.add(path)
    text = path.read_text()
    for name in INCLUDED.findall(text):
        for base in (path.parent, SRC / 'tests'):
            text += with_kits((base / name).resolve(), seen) + with_kits((base / name).resolve().with_suffix('.c'), seen)
    return text


def main():
    starts = [p for folder in ('tests', 'bench') for p in sorted((SRC / folder).rglob('*.[ch]')) if 'qudag_node_start(' in p.read_text()]
    check(len(starts) > 5, f'only {len(starts)} files start nodes: this test is blind')
    for path in starts:
        check(QUIET.search(with_kits(path, set())), f'{path.relative_to(SRC)} starts a node that may ask a router')
    daemon = (SRC / 'tests/system/programs.py').read_text()
    check("for o in ('lab.lab=yes'" in daemon, 'Node.start() starts no lab')
    for path in sorted((SRC / 'tests').rglob('*.py')):
        text = path.read_text()
        if path.name.endswith('_test.py') and re.search(r'\bfrom homes import|\bimport homes\b', text):
            check(re.search(r'hosts\.enter\(|lab\.begin\(|from meeting import', text), f'{path.name}: daemons with nothing set, in no namespace')
    print(f'ok: {len(starts)} files start nodes, none asks a router', flush=True)


main()
