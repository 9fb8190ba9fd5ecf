#!/usr/bin/python3
"""What make install brings: the unit, which systemd accepts, the completion, and a configuration that works and is
never replaced.

TEST: timeout=120
"""
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import BUILD, QUDAGD, SRC, TOP, check, run  # noqa: E402


def main():
    root = TOP / 'root'
    for text in (None, '# mine\n'):
        done = subprocess.run(['meson', 'install', '-C', BUILD, '--no-rebuild', '--quiet', '--destdir', root],
                              capture_output=True, text=True)
        check(done.returncode == 0, f'install: {done.stdout}{done.stderr}')
        conf = next(root.rglob('etc/qudag/qudag.conf'))
        if text is None:
            code, said = run(QUDAGD, '--dir', TOP / 'x', '--config', conf, '--check-config')
            check(code == 0, f'the configuration installed: {said}')
        else:
            check(conf.read_text() == text, "an operator's configuration was replaced")
        conf.write_text('# mine\n')
    unit = next(root.rglob('qudagd.service'))
    completion = next(root.rglob('bash-completion/completions/qudag'))
    check(completion.read_text() == (SRC / 'packaging/completions/qudag.bash').read_text(), 'another completion')
    words = unit.read_text()
    for line in ('ExecReload=/bin/kill -HUP $MAINPID', 'RestartSec=5', 'StartLimitIntervalSec=0',
                 'Wants=network-online.target time-sync.target', 'WatchdogSec=60'):
        check(line in words.splitlines(), f'the unit lacks {line}')
    program = re.search(r'^ExecStart=(\S+) .* --config (\S+)$', words, re.M)
    check((root / program[1][1:]).exists() and (root / program[2][1:]).exists(), f'not installed: {program[0]}')
    print('ok: unit, completion and configuration are installed', flush=True)
    if shutil.which('systemd-analyze') is None:
        print('skipped: systemd-analyze verify (no systemd here)', flush=True)
        return
    trial = TOP / 'qudagd.service'
    trial.write_text(words.replace(program[1], str(QUDAGD)))
    done = subprocess.run(['systemd-analyze', 'verify', '--man=no', trial], capture_output=True, text=True)
    said = [l for l in (done.stdout + done.stderr).splitlines() if 'qudagd' in l]
    check(said == [], f'systemd-analyze verify: {said}')
    print('ok: systemd accepts the unit', flush=True)


main()
