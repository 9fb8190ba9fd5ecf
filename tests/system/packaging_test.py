#!/usr/bin/python3
"""What make install brings: the unit, which systemd accepts, completions, a CMake package, and a configuration that works
and is never replaced.

TEST: timeout=120
"""
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import BUILD, QUDAGD, SRC, TOP, check, run  # noqa: E402


def product():
    """who only wants the library and the programs waits for no tests and benchmarks"""
    said = subprocess.run(['make', '-n', '-C', SRC, 'all'], capture_output=True, text=True).stdout
    check('TARGETS=product tools/build.sh' in said, f'make builds more than the product: {said}')
    inputs = subprocess.run(['ninja', '-C', BUILD, '-t', 'inputs', 'product'], capture_output=True, text=True).stdout.split()
    more = [i for i in inputs if re.search(r'_(test|bench|replay|fuzz)(\.p|$)', i)]
    check(any(i.endswith('bin/qudag/main.c') for i in inputs) and 'src/libqudag.a' in inputs and more == [], f'make builds {more[:3] or "nothing"}')
    print('ok: make builds the library and the programs', flush=True)


def prefix():
    """PREFIX is where make install puts things, whatever prefix the tree was configured or installed with before"""
    toy = TOP / 'toy'
    (toy / 'tools').mkdir(parents=True)
    (toy / 'meson.build').write_text("project('toy')\ninstall_data('meson.build', install_dir: get_option('datadir'))\n")
    for tool in ('deps.sh', 'build.sh'):  # nothing to fetch, nothing to build
        (toy / 'tools' / tool).write_text('#!/bin/sh\n')
        (toy / 'tools' / tool).chmod(0o755)
    made = subprocess.run(['meson', 'setup', toy / 'build/out', toy], capture_output=True, text=True)
    check(made.returncode == 0, f'meson setup: {made.stdout}{made.stderr}')
    for where in ('usr/local', 'opt/one', 'opt/two', 'usr'):
        done = subprocess.run(['make', '-C', toy, '-f', f'{SRC}/Makefile', 'install', 'BUILD=build/out', f'PREFIX=/{where}',
                               f'DESTDIR={toy}/root'], capture_output=True, text=True)
        there = sorted(str(f.relative_to(toy / 'root')) for f in toy.glob('root/**/meson.build'))
        check(there == [f'{where}/share/meson.build'], f'PREFIX=/{where}: {there} {done.stdout}{done.stderr}')
        shutil.rmtree(toy / 'root')
    print('ok: make install goes where PREFIX says', flush=True)


def main():
    product()
    prefix()
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
    for where, what in (('bash-completion/completions/qudag', 'qudag.bash'), ('bash-completion/completions/qudagd', 'qudagd.bash'),
                        ('zsh/site-functions/_qudag', '_qudag'), ('zsh/site-functions/_qudagd', '_qudagd'),
                        ('fish/vendor_completions.d/qudag.fish', 'qudag.fish'),
                        ('fish/vendor_completions.d/qudagd.fish', 'qudagd.fish')):
        there = list(root.rglob(f'share/{where}'))
        check(len(there) == 1 and there[0].read_text() == (SRC / 'packaging/completions' / what).read_text(), f'{where}: {there}')
    for what in ('lib/**/cmake/qudag/qudagConfig.cmake', 'lib/**/cmake/qudag/qudagConfigVersion.cmake', 'lib/**/pkgconfig/qudag.pc',
                 'lib/**/libqudag.a', 'include/qudag/stream.h', 'bin/qudag', 'bin/qudagd', 'share/man/man1/qudag.1',
                 'share/man/man5/qudag.conf.5', 'share/man/man8/qudagd.8'):
        check(list(root.glob(f'**/{what}')), f'make install brings no {what}')
    words = unit.read_text()
    for line in ('ExecReload=/bin/kill -HUP $MAINPID', 'RestartSec=5', 'StartLimitIntervalSec=0',
                 'Wants=network-online.target time-sync.target', 'WatchdogSec=60'):
        check(line in words.splitlines(), f'the unit lacks {line}')
    program = re.search(r'^ExecStart=(\S+) .* --config (\S+)$', words, re.M)
    check((root / program[1][1:]).exists() and (root / program[2][1:]).exists(), f'not installed: {program[0]}')
    print('ok: unit, completions, CMake package and configuration are installed', flush=True)
    if shutil.which('systemd-analyze') is None:
        print('skipped: systemd-analyze verify (no systemd here)', flush=True)
        return
    trial = TOP / 'qudagd.service'
    trial.write_text(words.replace(program[1], str(QUDAGD)))
    done = subprocess.run(['systemd-analyze', 'verify', '--man=no', trial], capture_output=True, text=True)
    said = [l for l in (done.stdout + done.stderr).splitlines() if 'qudagd' in l]
    check(said == [], f'systemd-analyze verify: {said}')
    print('ok: systemd accepts the unit', flush=True)
    done = subprocess.run(['systemd-analyze', 'security', '--offline=true', '--threshold=15', '--no-pager', trial], capture_output=True, text=True)
    verdict = [l for l in done.stdout.splitlines() if 'exposure level' in l]
    check(done.returncode == 0 and len(verdict) == 1, f'systemd-analyze security: more than 1.5: {verdict} {done.stderr}')
    print(f'ok: {verdict[0][2:]}', flush=True)


main()
