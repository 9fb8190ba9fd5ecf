#!/usr/bin/python3
"""The commands of README's "Five minutes", run as they stand there: every line ends well, page and message arrive.

What installs or rebuilds (make, cc) is left out.  TEST: timeout=120 waits
"""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import BUILD, QUDAG, SLOW, SRC, TOP, check, run  # noqa: E402


def blocks():
    text = (SRC / 'README.md').read_text()
    section = text[text.index('## Five minutes'):text.index('## What it does today')]
    found = [b for b in re.findall(r'^```sh\n(.*?)^```', section, re.M | re.S) if not re.search(r'^(sudo )?make ', b, re.M)]
    check(len(found) == 3 and 'qudag lab up' in found[0] and 'qudag lab down' in found[1] and 'qudag up' in found[2],
          f'README has other blocks: {found}')
    return found[0] + found[1], found[2]  # the second goes on where the first ends


def pasted(block, name):
    """what a shell says to the block; in a network of its own where that can be had, for the ports are the usual ones"""
    here = TOP / 'clone'
    (here / 'build').mkdir(parents=True, exist_ok=True)
    if not (here / 'build/out').exists():
        (here / 'build/out').symlink_to(BUILD)
    env = {**os.environ, 'XDG_STATE_HOME': str(TOP / name), 'PATH': f'{here}/build/out/bin:' + os.environ['PATH']}
    # what runs in the background ends with it, or it would hold the pipes of one that failed
    script = "set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\nip link set lo up 2>/dev/null || true\n" + block
    alone = ['unshare', '-n'] if os.geteuid() == 0 and run('unshare', '-n', 'true')[0] == 0 else []
    done = subprocess.run([*alone, 'bash', '-c', script], cwd=here, env=env, capture_output=True, text=True,
                          timeout=90 * SLOW, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        for folder in sorted((TOP / name).glob('**/control.sock')):
            run(QUDAG, '--dir', folder.parent, 'down')
    check(done.returncode == 0, f'README, {name}: exit {done.returncode}:\n{done.stdout}{done.stderr}')
    return done.stdout


def main():
    lab, own = blocks()
    said = pasted(lab, 'lab')
    check('<title>Directory listing' in said, f'the page: {said}')
    check('delivered' in said and 'anonymous' in said, f'the lab: {said}')
    inbox = list((TOP / 'lab/qudag/lab/03/inbox').glob('*.txt'))
    check([p.read_bytes() for p in inbox] == [b'hello'], f'the inbox of node 3: {inbox}')
    check('8 daemons' in said.splitlines()[-1] and said.splitlines()[-1].startswith('stopped'), said)
    print('ok: the lab of README', flush=True)
    said = pasted(own, 'own')
    check('ready      but alone: no bootstrap peers are configured' in said, f'a node of your own: {said}')
    check(re.search(r'^bootstrap  /ip4/\S+#[0-9a-f]+$', said, re.M) and 'health     alone' in said, said)
    print('ok: a node of your own, of README', flush=True)


main()
