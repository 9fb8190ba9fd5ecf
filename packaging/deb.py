#!/usr/bin/python3
"""Debian packages: makes the source package and, in a clean chroot without network, the packages; tries them in another.

  packaging/deb.py [--dir build/deb] [build] [test]     both if none is named

build  orig tarball and .dsc of what git has as HEAD, packages of them, lintian's verdict; all left in --dir.  Where the
       release has no new enough protocol libraries, those of build/deps are used (build profile pkg.qudag.private).
test   installs them in a fresh chroot, runs a node as the unit does, upgrades to a later version of the same package,
       and asks whether identity and store are still there; removes and purges.

Needs root (chroot), the system's apt, and mmdebstrap, dpkg-dev and lintian, which tools/deps.sh --tools=deb gets.  Exit
status 77: this machine cannot.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]
PROFILE = 'pkg.qudag.private'
# These packages are made for whoever builds them: no distribution of Debian, and no request for a package there.  What else
# is accepted has its reason in packaging/debian/*.lintian-overrides.
ACCEPTED = 'bad-distribution-in-changes-file,initial-upload-closes-no-bugs'


def say(text):
    print(f'deb: {text}', flush=True)


def die(text):
    sys.exit(f'deb: {text}')


def cannot(text):
    """not a fault of the packages: this machine cannot make or try them"""
    say(f'left out: {text}')
    sys.exit(77)


def run(*words, cwd=None, quiet=True, env=None):
    """a command that must succeed; its output is shown if it does not, and returned"""
    done = subprocess.run([str(w) for w in words], cwd=cwd, env=env, stdin=subprocess.DEVNULL, text=True, errors='replace',
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        print('\n'.join(done.stdout.splitlines()[-60:]), flush=True)
        die(f'{" ".join(str(w) for w in words)[:200]}: exit status {done.returncode}')
    if not quiet:
        print(done.stdout, end='', flush=True)
    return done.stdout


class Chroot:
    """a folder with a Debian system, which commands are run in"""

    def __init__(self, root):
        self.root = root

    def run(self, command, network=True, **more):
        """a shell command; without network there is not even loopback"""
        spaces = ['--fork', '--pid', '--kill-child', '--mount', f'--mount-proc={self.root}/proc']
        env = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LC_ALL': 'C.UTF-8', 'DEBIAN_FRONTEND': 'noninteractive'}
        for name in ('http_proxy', 'https_proxy', 'no_proxy', 'SOURCE_DATE_EPOCH'):
            if name in os.environ:
                env[name] = os.environ[name]
        return run('unshare', *spaces, *([] if network else ['--net']), 'chroot', self.root, 'sh', '-euc', command, env=env, **more)

    def copy(self, to):
        shutil.rmtree(to, ignore_errors=True)
        run('cp', '-a', '--reflink=auto', self.root, to)
        return Chroot(to)


def release():
    """codename of this system, and where its apt gets it from"""
    said = run('apt-get', 'indextargets', '--format', '$(RELEASE)|$(REPO_URI)|$(ORIGIN)', 'Created-By: Packages')
    rows = dict.fromkeys(tuple(line.split('|')) for line in said.splitlines())
    name = re.search(r'^VERSION_CODENAME=(\S+)', pathlib.Path('/etc/os-release').read_text(), re.M)
    if name is None or not (rows := [r for r in rows if r[2] == 'Debian' and r[0].startswith(name[1])]):
        die('this system\'s apt does not say which release of Debian it is; packages are made on Debian only')
    return name[1], [f'deb {uri} {suite} main' for suite, uri, _ in rows]


def fresh_chroot(where):
    name, sources = release()
    say(f'a fresh chroot of {name}')
    shutil.rmtree(where, ignore_errors=True)
    done = subprocess.run(['mmdebstrap', '--variant=apt', '--skip=cleanup/apt', name, where, *sources], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    if done.returncode != 0:
        print('\n'.join(done.stderr.splitlines()[-10:]), flush=True)
        cannot(f'mmdebstrap makes no chroot of {name} here')
    return Chroot(where)


def source_package(out):
    """orig tarball and .dsc; returns the .dsc and the version"""
    head = (TOP / 'packaging/debian/changelog').read_text().splitlines()[0]
    version = re.fullmatch(r'qudag \(([^)]+)\) .*', head)[1]
    upstream = version.rsplit('-', 1)[0]
    tree = out / f'qudag-{upstream}'
    orig = out / f'qudag_{upstream}.orig.tar.gz'
    run('git', '-C', TOP, 'archive', '--format=tar.gz', f'--prefix={tree.name}/', '-o', orig, 'HEAD')
    run('tar', '-xf', orig, '-C', out)
    shutil.copytree(TOP / 'packaging/debian', tree / 'debian')
    run('dpkg-source', '-b', tree.name, cwd=out)
    shutil.rmtree(tree)
    return out / f'qudag_{version}.dsc', tree.name


def bring_libraries(tree, inside):
    """build/deps of this checkout into |tree|, which is |inside| in the chroot"""
    shutil.copytree(TOP / 'build/deps', tree / 'build/deps', symlinks=True)
    for f in (tree / 'build/deps').rglob('*'):
        if f.suffix in ('.pc', '.ini') and f.is_file():
            text = f.read_text()
            was = re.search(r'(/\S*)/build/deps', text)
            if was:
                f.write_text(text.replace(was[1], inside))


def build(out):
    private = (TOP / 'build/deps/info').read_text().startswith('private')
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    dsc, name = source_package(out)
    say(f'source package: {dsc.name}')
    base = fresh_chroot(out / 'base')
    room = base.copy(out / 'room')
    work = room.root / 'build'
    work.mkdir()
    for f in [dsc, *out.glob('qudag_*.tar.*')]:
        shutil.copy(f, work)
    room.run('apt-get install -y -qq --no-install-recommends dpkg-dev build-essential')
    room.run(f'cd /build && dpkg-source -x {dsc.name}')
    if private:
        say('with the protocol libraries of build/deps, as this release has none new enough')
        bring_libraries(work / name, f'/build/{name}')
    profile = f'-P{PROFILE}' if private else ''
    room.run(f'apt-get build-dep -y -qq --no-install-recommends {profile} /build/{dsc.name}')
    say('building, without network')
    log = room.run(f'cd /build/{name} && dpkg-buildpackage -b -us -uc {profile}', network=False)
    (out / 'build.log').write_text(log)
    for f in work.iterdir():
        if f.suffix in ('.deb', '.changes', '.buildinfo'):
            shutil.copy(f, out)
    shutil.rmtree(room.root)
    changes = next(out.glob('*.changes'))
    print(run('lintian', '--fail-on', 'error,warning', '--suppress-tags', ACCEPTED, '--allow-root',
              changes, dsc) or 'deb: lintian has nothing to complain of', flush=True)
    say('built: ' + ' '.join(sorted(f.name for f in out.glob('*.deb'))))


def later(deb, to):
    """the same package as a later version"""
    tree = to / 'tree'
    run('dpkg-deb', '-R', deb, tree)
    control = tree / 'DEBIAN/control'
    control.write_text(re.sub(r'(?<=[ (= ])0\.1\.0-1\b', '0.1.0-2', control.read_text()))
    run('dpkg-deb', '--root-owner-group', '-b', tree, to)
    shutil.rmtree(tree)


TRY = r"""
as_daemon() { setpriv --reuid=_qudag --regid=_qudag --clear-groups --inh-caps=-all "$@"; }
cd /build
D=/var/lib/qudag
up() {
    as_daemon /usr/bin/qudagd --dir $D --config /etc/qudag/qudag.conf --check-config
    as_daemon /usr/bin/qudagd --dir $D --config /etc/qudag/qudag.conf >/build/log 2>&1 &
    for i in $(seq 300); do
        as_daemon qudag -d $D status --json >/build/status 2>/build/why || true # it says "alone", by its exit status too
        if grep -q '"peer"' /build/status; then return 0; fi
        sleep 0.1
    done
    cat /build/log /build/why
    return 1
}
down() { as_daemon qudag -d $D down >/dev/null; wait; }
id_of() { sed -n 's/.*"peer":"\([^"]*\)".*/\1/p' /build/status; }

apt-get install -y -qq --no-install-recommends ./first/qudagd_*.deb ./first/qudag_*.deb ./first/libqudag0_*.deb
getent passwd _qudag
install -d -o _qudag -g _qudag -m 0700 $D
up
as_daemon qudag -d $D dht put /app/note kept || [ $? = 5 ] # stored here, and nowhere else: there is no other node
as_daemon qudag -d $D dark new box
before=$(id_of)
[ -n "$before" ]
down
echo '# mine' >>/etc/qudag/qudag.conf
apt-get install -y -qq --no-install-recommends ./second/qudagd_*.deb ./second/qudag_*.deb ./second/libqudag0_*.deb
dpkg -s qudagd | grep '^Version: .*-2$'
grep -q '^# mine$' /etc/qudag/qudag.conf
up
[ "$(id_of)" = "$before" ]
as_daemon qudag -d $D dht get /app/note | tee /build/value
grep -q kept /build/value
as_daemon qudag -d $D dark list | grep box
down
"""
COMPILE = r"""
apt-get install -y -qq --no-install-recommends gcc libc6-dev pkg-config ./second/libqudag-dev_*.deb
cat >/build/x.c <<'END'
#include <qudag/qudag.h>
#include <stdio.h>
int main(void)
{
    puts(qudag_version_crypto());
    return 0;
}
END
gcc /build/x.c -o /build/x $(pkg-config --cflags --libs qudag)
/build/x
"""
GONE = r"""
apt-get remove -y -qq qudagd
[ -e /var/lib/qudag/identity ]
apt-get purge -y -qq qudagd
[ ! -e /var/lib/qudag ] && [ ! -e /etc/qudag ]
"""


def test(out):
    if not list(out.glob('*.deb')):
        die(f'no packages in {out}: packaging/deb.py build')
    base = Chroot(out / 'base') if (out / 'base').is_dir() else fresh_chroot(out / 'base')
    room = base.copy(out / 'room')
    for which in ('first', 'second'):
        (room.root / 'build' / which).mkdir(parents=True)
    for deb in out.glob('*.deb'):
        if '-dbgsym_' in deb.name:
            continue
        shutil.copy(deb, room.root / 'build/first')
        later(deb, room.root / 'build/second')
    say('install, run, upgrade, run again')
    room.run('apt-get update -qq')
    room.run(TRY, quiet=False)
    say('a program against the library')
    room.run('cd /build\n' + COMPILE, quiet=False)
    say('remove, purge')
    room.run(GONE)
    shutil.rmtree(room.root)
    say('ok: installed, upgraded with identity and store kept, removed, purged')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--dir', default=TOP / 'build/deb', type=pathlib.Path)
    parser.add_argument('what', nargs='*', choices=['build', 'test', []])
    args = parser.parse_args()
    if os.geteuid() != 0:
        cannot('a chroot needs root')
    if subprocess.run(['unshare', '--fork', '--pid', '--mount', '--net', 'true'], stderr=subprocess.DEVNULL).returncode != 0:
        cannot('no namespaces of mounts, processes and networks can be made here')
    out = args.dir.resolve()
    for what in args.what or ['build', 'test']:
        {'build': build, 'test': test}[what](out)
    shutil.rmtree(out / 'base', ignore_errors=True)


main()
