#!/usr/bin/python3
"""The folder of a node as people treat it: modes of foreign folders, links in place of files, items of others, a folder
of a lab network started as another, a restore that lacks the identity, a copy, an inbox that cannot be one.

TEST: timeout=120
"""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import ANY_PORT, QUDAG, QUDAGD, TOP, Node, check, run, says  # noqa: E402


def start(folder, *options):
    args = [QUDAGD, '--config', '/dev/null', '--dir', folder]  # qudag up wrote one
    for o in (f'node.listen={ANY_PORT}', *options):
        args += ['-o', o]
    return args


def mode(path):
    return path.stat().st_mode & 0o7777


def modes():
    for bits in (0o1777, 0o777, 0o2775, 0o720):
        folder = TOP / f'mode{bits:o}'
        folder.mkdir()
        folder.chmod(bits)
        says(f'a folder of mode {bits:o}', [f'mode {bits:04o}', f'--dir {folder}/qudag'], 4, *start(folder))
        check(mode(folder) == bits, f'the mode became {mode(folder):o}')
        check(list(folder.iterdir()) == [], f'something was left in it: {list(folder.iterdir())}')
    folder = TOP / 'mode755'
    folder.mkdir()
    folder.chmod(0o755)
    n = Node('mode755').start()
    check(mode(folder) == 0o755, f'755 became {mode(folder):o}')
    n.down()
    n = Node('mode1777/qudag').start()
    check(mode(TOP / 'mode1777/qudag') == 0o700, 'a folder of our own is not 0700')
    n.down()
    if os.geteuid() == 0:
        folder = TOP / 'foreign'
        folder.mkdir(mode=0o700)
        os.chown(folder, 65534, 65534)
        says('a folder of another user', 'another user', 4, *start(folder))
        os.chown(folder, 0, 0)


def identity_and_items():
    n = Node('items').start()
    n.ask('dark', 'new', 'post')
    n.down()
    key = n.dir / 'identity'
    aside = n.dir / 'aside'
    key.rename(aside)
    key.symlink_to(aside)
    text = says('an identity that is a link', [str(key), 'symbolic link', 'plain file'], 4, *start(n.dir, 'lab.lab=yes'))
    check('chmod' not in text, f'advice that cannot help: {text}')
    key.unlink()
    key.mkdir(mode=0o755)
    says('an identity that is a folder', [str(key), 'a folder', 'plain file'], 4, *start(n.dir, 'lab.lab=yes'))
    key.rmdir()
    before = sorted((n.dir / 'state').iterdir())
    says('a restore without identity', ['no identity', 'linked'], 4, *start(n.dir, 'lab.lab=yes'))
    check(not key.exists() and sorted((n.dir / 'state').iterdir()) == before, 'something was touched')
    gone = n.dir / 'state-aside'
    (n.dir / 'state').rename(gone)
    says('a store without identity', [str(n.dir / 'store'), 'no identity', 'links the two'], 4, *start(n.dir, 'lab.lab=yes'))
    check(not key.exists(), 'an identity was made')
    other = TOP / 'other-identity'
    Node('other-identity').start().down()
    key.write_bytes((other / 'identity').read_bytes())
    key.chmod(0o600)
    says('a store with another identity', [str(n.dir / 'store'), 'another identity', 'links the two'], 4,
         *start(n.dir, 'lab.lab=yes'))
    key.unlink()
    for made in (n.dir / 'state').iterdir():
        made.unlink()
    (n.dir / 'state').rmdir()
    gone.rename(n.dir / 'state')
    aside.rename(key)
    lock, victim = n.dir / 'lock', n.dir / 'victim'
    lock.unlink()
    victim.write_text('precious')
    lock.symlink_to(victim)
    says('a lock that is a link', [str(lock), 'not a plain file'], 4, *start(n.dir, 'lab.lab=yes'))
    check(victim.read_text() == 'precious', 'the daemon wrote through the link')
    lock.unlink()
    os.mkfifo(lock)
    says('a lock that is a pipe', [str(lock), 'not a plain file'], 4, *start(n.dir, 'lab.lab=yes'))
    lock.unlink()
    victim.unlink()
    if (n.dir / 'network').exists():
        (n.dir / 'network').rename(aside)
        os.mkfifo(n.dir / 'network')
        says('an item that is a pipe', [str(n.dir / 'network')], 4, *start(n.dir, 'lab.lab=yes'))
        (n.dir / 'network').unlink()
        aside.rename(n.dir / 'network')

    state = n.dir / 'state'
    dark = next(p for p in state.iterdir() if p.name.startswith('dark'))
    foreign = {'onion-key~': b'x', 'notes': b'remember', f'{dark.name}.bak': dark.read_bytes()[:-9], 'a name': b''}
    for name, content in foreign.items():
        (state / name).write_bytes(content)
    (state / 'folder').mkdir()
    (state / 'link').symlink_to('/dev/null')
    n.start()
    check(len(n.ask('dark', 'list')['addresses']) == 1, 'the address is gone')
    n.down()
    for name, content in foreign.items():
        check((state / name).read_bytes() == content, f'{name} was touched')
    check((state / 'folder').is_dir() and (state / 'link').is_symlink(), 'items of others were touched')
    check((n.dir / 'qudagd.log').read_text().count('state.skipped') == len(foreign) + 2, 'not each of them was told')
    whole = (state / 'onion-key').read_bytes()
    (state / 'onion-key').write_bytes(whole[:-1])
    says('a damaged item of ours', ['onion-key', 'is damaged'], 4, *start(n.dir, 'lab.lab=yes'))
    check((state / 'onion-key').read_bytes() == whole[:-1], 'the damaged item was touched')
    (state / 'onion-key').write_bytes(whole)
    for item, bits in ((state / 'onion-key', 0o640), (dark, 0o604), (state, 0o750)):
        was = mode(item)
        item.chmod(bits)
        says(f'{item.name} of mode {bits:o}', [str(item), f'mode {bits:04o}', 'chmod'], 4,
             *start(n.dir, 'lab.lab=yes'))
        check(mode(item) == bits, f'the mode became {mode(item):o}')
        item.chmod(was)
    if os.geteuid() == 0:
        os.chown(dark, 65534, 65534)
        says('keys of another user', [str(dark), 'another user'], 4, *start(n.dir, 'lab.lab=yes'))
        os.chown(dark, 0, 0)
    n.start()
    n.down()
    print('ok: links, folders, backups, modes and damage in the folder', flush=True)


def kinds_of_network():
    n = Node('lab').start()
    n.ask('dark', 'new', 'post')
    n.down()
    text = says('a folder of a lab as another', ['was made in a lab network', '--lab', 'qudag lab up'], 2, *start(n.dir))
    check('damaged' not in text, f'a whole file is called damaged: {text}')
    (n.dir / 'network').unlink()  # made by a version that had no such file
    n.start()
    check((n.dir / 'network').read_text() == 'lab\n', 'an older folder was not marked')
    n.down()
    other = TOP / 'normal'
    p = subprocess.Popen([str(a) for a in start(other)], stderr=subprocess.DEVNULL)
    try:
        while run(QUDAGD.parent / 'qudag', '--dir', other, 'status')[0] != 0:
            check(p.poll() is None, 'a normal node ended')
    finally:
        p.terminate()
        p.wait()
    says('a normal folder in a lab', 'was not made in a lab network', 2, *start(other, 'lab.lab=yes'))


def copied_folder():
    n = Node('first').start()
    check(n.ask('status')['copied'] is False, 'a new folder is called copied')
    n.down()
    check(n.start().ask('status')['copied'] is False, 'an untouched folder is called copied')
    n.down()
    check(run(QUDAG, '--dir', n.dir, 'key', 'rotate', 'identity')[0] == 0, 'the key is not replaced')
    check(n.start().ask('status')['copied'] is False, 'a folder with a new key is called copied')
    n.down()
    shutil.copytree(n.dir, TOP / 'second')
    other = Node('second')
    check(other.start().ask('status')['copied'] is True, 'a copied folder is not noticed')
    check('state.copied' in (other.dir / 'qudagd.log').read_text(), 'it is not told in the log')
    other.down()
    check(other.start().ask('status')['copied'] is False, 'it is told for ever')
    other.down()
    print('ok: a folder that was copied is told', flush=True)


def inbox_elsewhere():
    place = TOP / 'blocked'
    place.write_text('no folder')
    says('an inbox that cannot be', ['inbox', str(place)], 1, *start(TOP / 'noinbox', f'inbox.dir={place}'))


modes()
identity_and_items()
kinds_of_network()
copied_folder()
inbox_elsewhere()
