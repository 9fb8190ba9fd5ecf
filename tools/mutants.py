#!/usr/bin/python3
"""One-line mutations that the tests must notice: each is applied alone, built, and tried on the tests that its row names.

    tools/mutants.py                      all of tools/mutants.txt; a table; exit 1 if one survives that is not explained
    tools/mutants.py --sample 40          that many, chosen by --seed (default: the day), at least one of every folder
    tools/mutants.py --only TEXT          rows whose file or lines contain TEXT
    tools/mutants.py --check              only that every row still names exactly one line and tests that exist

The tree is copied to build/mutants/tree and built there; the checkout is not touched.  Rows of tools/mutants.txt:

    @ src/swarm/rules.c : swarm/rules swarm/swarm      file : tests, by their meson names, quickest first
    - if (proven & LINK_PQ_KEX) {                      the line without its indentation; no other line reads the same
    + if (true) {                                      what it becomes; an empty line deletes it
    * 2                                                optional: the second of several such lines
    ! why no test can notice                           optional: the mutant changes nothing, and this is the proof

A row that does not compile is a mistake of the list and fails.  A test that takes longer than its time-out has noticed.
"""
import argparse
import collections
import datetime
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
LIST = TOP / 'tools/mutants.txt'
PLACE = TOP / 'build/mutants'
TREE = PLACE / 'tree'
OUT = TREE / 'build/out'

Mutant = collections.namedtuple('Mutant', 'file tests old new nth proof line')


def read_list(path):
    """The rows of |path|; exits with a sentence if one is malformed."""
    rows, row = [], None
    for number, text in enumerate(path.read_text().splitlines(), 1):
        mark, rest = text[:1], text[1:].strip()
        if mark == '@' and ':' in rest:
            file, tests = rest.split(':', 1)
            row = {'file': file.strip(), 'tests': tests.split(), 'line': number}
            rows.append(row)
        elif mark in ('-', '+', '!', '*') and row is not None and mark not in row:
            row[mark] = rest
        elif mark not in ('', '#'):
            sys.exit(f'{path.name}:{number}: neither @ - + * ! # nor empty, or twice in one row')
    for row in rows:
        if '-' not in row or '+' not in row or not row['tests']:
            sys.exit(f"{path.name}:{row['line']}: a row needs tests, '-' and '+'")
    return [Mutant(r['file'], r['tests'], r['-'], r['+'], int(r.get('*', 0)), r.get('!'), r['line']) for r in rows]


def place_of(mutant, top):
    """(index of the mutated line, lines of the file) or a sentence that says what is wrong."""
    path = top / mutant.file
    if not path.exists():
        return f'{mutant.file} does not exist'
    lines = path.read_text().splitlines(keepends=True)
    at = [ix for ix, line in enumerate(lines) if line.strip() == mutant.old]
    if len(at) != 1 and not 0 < mutant.nth <= len(at):
        return f'{mutant.file}: {len(at)} lines read "{mutant.old}"'
    return at[mutant.nth - 1 if mutant.nth else 0], lines


def faults_of_list(mutants, known_tests):
    """What no longer fits the tree, as sentences."""
    for m in mutants:
        where = place_of(m, TOP)
        if isinstance(where, str):
            yield f'{LIST.name}:{m.line}: {where}'
        for test in m.tests:
            if known_tests is not None and test not in known_tests:
                yield f'{LIST.name}:{m.line}: no test is called {test}'


def run(args, **more):
    return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', **more)


def copy_tree():
    """TREE becomes what git sees here; files that did not change keep their times, so little is built again."""
    TREE.mkdir(parents=True, exist_ok=True)
    names = subprocess.run(['git', '-C', TOP, 'ls-files', '-z', '-c', '-o', '--exclude-standard'], check=True,
                           capture_output=True).stdout.decode().split('\0')
    wanted = {name for name in names if name and (TOP / name).is_file()}
    for old in [p for p in TREE.rglob('*') if p.is_file() and 'build' not in p.relative_to(TREE).parts[:1]]:
        if old.relative_to(TREE).as_posix() not in wanted:
            old.unlink()
    for name in wanted:
        target, data = TREE / name, (TOP / name).read_bytes()
        if not target.exists() or target.read_bytes() != data:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        target.chmod((TOP / name).stat().st_mode)
    (TREE / 'build').mkdir(exist_ok=True)
    deps = TREE / 'build/deps'
    if not deps.exists():
        deps.symlink_to((TOP / 'build/deps').resolve())
    shared = PLACE / 'shared'  # tests may use ../shared, where it exists
    if not shared.exists() and (TOP.parent / 'shared').exists():
        shared.symlink_to((TOP.parent / 'shared').resolve())


class Build:
    """The copy, configured, and what its tests are."""

    def __init__(self):
        done = run([TREE / 'tools/build.sh', '--configure-only', OUT.relative_to(TREE), '-Dbench=false'], cwd=TREE)
        if done.returncode != 0:
            sys.exit(f'mutants: the copy cannot be configured\n{done.stdout[-2000:]}')
        tests = json.loads(subprocess.run(['meson', 'introspect', '--tests', OUT], check=True, capture_output=True).stdout)
        targets = json.loads(subprocess.run(['meson', 'introspect', '--targets', OUT], check=True, capture_output=True).stdout)
        self.files = {t['id']: [os.path.relpath(f, OUT) for f in t['filename']] for t in targets}
        self.tests = {t['name']: t for t in tests}

    def make(self, names):
        """Builds what the tests |names| run: None, or the compiler's words."""
        wanted = sorted({f for name in names for dep in self.tests[name]['depends'] for f in self.files.get(dep, [])})
        done = run(['ninja', '-C', OUT] + wanted)
        return None if done.returncode == 0 else done.stdout

    def passes(self, name):
        """Whether the test |name| passes (or is skipped); None if it took longer than its time-out."""
        test = self.tests[name]
        child = subprocess.Popen(test['cmd'], cwd=test['workdir'] or TREE, env={**os.environ, **test['env']},
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 start_new_session=True)
        try:
            return child.wait(timeout=test['timeout'] or 600) in (0, 77)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)  # what it left behind; its own session, so nothing else
            except ProcessLookupError:
                pass
            child.wait()


def try_one(build, mutant):
    """('killed' | 'survived' | 'invalid', by what)"""
    ix, lines = place_of(mutant, TREE)
    path, whole = TREE / mutant.file, ''.join(lines)
    indent = lines[ix][:len(lines[ix]) - len(lines[ix].lstrip())]
    lines[ix] = indent + mutant.new + '\n'
    try:
        path.write_text(''.join(lines))
        words = build.make(mutant.tests)
        if words is not None:
            errors = [line for line in words.splitlines() if 'error' in line] or ['does not build']
            return 'invalid', errors[0][-100:]
        for name in mutant.tests:
            passed = build.passes(name)
            if not passed:
                return 'killed', name + (' (time-out)' if passed is None else '')
        return 'survived', ''
    finally:
        path.write_text(whole)


def choose(mutants, args):
    """
    The rows that --only and --sample ask for.  A sample has a row of every folder, if it is large enough, and rows
    whose tests are slow (those of the whole, and all tests of a row with a proof) only where a folder has no others.
    """
    if args.only:
        mutants = [m for m in mutants if any(args.only in text for text in (m.file, m.old, m.new))]
    if not args.sample or args.sample >= len(mutants):
        return mutants
    rng = random.Random(args.seed)
    mutants = rng.sample(mutants, len(mutants))
    mutants.sort(key=lambda m: m.proof is not None or m.tests[0].startswith('tests/'))  # stable: still by lot
    folders, first, rest = set(), [], []
    for m in mutants:
        folder = str(pathlib.PurePath(m.file).parent)
        (rest if folder in folders else first).append(m)
        folders.add(folder)
    return (first + rest)[:args.sample]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--sample', type=int, default=0, metavar='N')
    parser.add_argument('--seed', default=datetime.date.today().isoformat())
    parser.add_argument('--only', default='', metavar='TEXT')
    parser.add_argument('--check', action='store_true')
    args = parser.parse_args()
    mutants = read_list(LIST)
    bad = list(faults_of_list(mutants, None))
    if bad or args.check:
        print('\n'.join(bad) or f'mutants: {len(mutants)} rows, each names one line')
        return bool(bad)
    copy_tree()
    build = Build()
    bad = list(faults_of_list(mutants, build.tests))
    mutants = choose(mutants, args)
    names = sorted({name for m in mutants for name in m.tests if name in build.tests})
    if bad or (words := build.make(names)) is not None:
        sys.exit('\n'.join(bad) or f'mutants: the unchanged tree does not build\n{words[-2000:]}')
    failing = [name for name in names if not build.passes(name) and not build.passes(name)]  # twice: clocks and load
    if failing:
        sys.exit(f"mutants: these fail without any mutation: {' '.join(failing)}")
    return report(build, mutants, f', seed {args.seed}' if args.sample else '')


def report(build, mutants, seed):
    """Tries each, prints the table; true if one survived without an explanation or was invalid."""
    print(f'{len(mutants)} mutants of {LIST.name}{seed}', flush=True)
    count, begin = collections.Counter(), time.time()
    for m in mutants:
        since = time.time()
        result, by = try_one(build, m)
        if result == 'survived' and m.proof:
            result, by = 'same', m.proof
        count[result] += 1
        print(f'{result:9}{time.time() - since:6.1f} s  {m.file}: {m.old[:60]} -> {m.new[:60] or "(deleted)"}  [{by}]', flush=True)
    print(f"{count['killed']} killed, {count['survived']} survived, {count['same']} change nothing (proof in the list), "
          f"{count['invalid']} invalid; {time.time() - begin:.0f} s")
    return bool(count['survived'] + count['invalid'])


sys.exit(main())
