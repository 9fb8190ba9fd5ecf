#!/usr/bin/python3
# TEST: timeout=600
"""One seed gives one log, whoever compiled the program: built here anew by gcc and clang, with and without optimisation,
the simulator prints the very same report as the one of this build."""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

SRC = pathlib.Path(os.environ['QUDAG_SRC'])
BUILD = pathlib.Path(os.environ['QUDAG_BUILD'])
VARIANTS = [('gcc', '-O0'), ('clang', '-O0'), ('clang', '-O3')]
FOLDERS = ('src/base/', 'src/wire/', 'src/core/acts.c', 'src/core/kad/', 'sim/', 'bin/qudag-sim/')
KEEP = re.compile(r'-(I|D|std=|m|fno-strict-aliasing|fPI|pthread)')
RUNS = [['--scenario', 'mixed', '--nodes', '50', '--until', '8 min', '--seed', '3'],
        ['--scenario', 'sybil', '--nodes', '500', '--until', '30 s']]


def report(program):
    """what all runs print, without what they cost here"""
    lines = []
    for args in RUNS:
        run = subprocess.run([program, *args, '--json', '--quiet'], cwd=SRC, capture_output=True, text=True, timeout=300)
        if run.returncode not in (0, 1):
            sys.exit(f'{program}: exit {run.returncode}: {run.stderr}')
        lines += [line for line in run.stdout.splitlines() if not line.startswith(' "cost"')]
    return '\n'.join(lines)


def sources():
    """{source relative to the top: flags} of what is compiled anew"""
    found = {}
    for entry in json.loads((BUILD / 'compile_commands.json').read_text()):
        path = (pathlib.Path(entry['directory']) / entry['file']).resolve()
        if not path.is_relative_to(SRC):
            continue
        name = path.relative_to(SRC).as_posix()
        if not name.startswith(FOLDERS) or name.endswith(('_test.c', '_fuzz.c')) or name.startswith('build/'):
            continue
        words, flags = shlex.split(entry['command']), []
        for word, after in zip(words, words[1:] + ['']):
            if word == '-isystem':
                flags += [word, after]
            elif word.startswith('-isystem') or (KEEP.match(word) and 'FORTIFY' not in word and word not in ('-MD', '-MQ', '-MF')):
                flags.append(word)
        found[name] = flags
    return found


def link_command():
    text = subprocess.run(['ninja', '-C', BUILD, '-t', 'commands', '-s', 'bin/qudag-sim'], capture_output=True, text=True,
                          check=True).stdout
    return shlex.split([line for line in text.splitlines() if ' -o bin/qudag-sim ' in line][-1])


def build(compiler, level, todo, link, out):
    def one(item):
        name, flags = item
        obj = out / (name.replace('/', '_') + '.o')
        subprocess.run([compiler, level, '-w', *flags, '-c', SRC / name, '-o', obj], cwd=BUILD, check=True)
        return str(obj)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(one, todo.items()))
    # objects come before the archives, so these are only searched for what is not compiled here
    rest = [w for w in link[1:] if not w.endswith('.o') and w not in ('-o', 'bin/qudag-sim')]
    program = out / 'qudag-sim'
    subprocess.run([compiler, *objects, *rest, '-o', program], cwd=BUILD, check=True)
    return program


def main():
    if os.environ.get('QUDAG_SANITIZED') == '1':
        return 77
    todo, link = sources(), link_command()
    assert len(todo) > 30, sorted(todo)
    want, tried = report(BUILD / 'bin/qudag-sim'), 0
    print('logs', re.findall('"log": "([0-9a-f]+)"', want))
    for compiler, level in VARIANTS:
        if shutil.which(compiler) is None:
            print(f'{compiler} is not installed')
            continue
        with tempfile.TemporaryDirectory() as out:
            got = report(build(compiler, level, todo, link, pathlib.Path(out)))
        if got != want:
            print(f'{compiler} {level} differs:\n{got}\nnot\n{want}')
            return 1
        print(f'{compiler} {level}: the same report, of {len(todo)} files compiled anew')
        tried += 1
    return 0 if tried else 77


sys.exit(main())
