#!/usr/bin/python3
"""Keys of a node: encrypted under a passphrase, asked for on a terminal or from a descriptor, changed, taken away; moved
to another folder in one file; a state of another identity; what is rotated; what a stolen disk tells.

TEST: timeout=300
"""
import json
import os
import pathlib
import pty
import select
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import ANY_PORT, QUDAG, QUDAGD, SLOW, TOP, Node, check, run  # noqa: E402

OLD, NEW, MOVED = b'the first passphrase', b'another one', b'of the export'


def with_secrets(*args, **fds):
    """a program with secrets on descriptors: option=bytes; (exit code, everything it said)"""
    command, ends = [str(a) for a in args], []
    for option, secret in fds.items():
        r, w = os.pipe()
        os.write(w, secret)
        os.close(w)
        command += ['--' + option.replace('_', '-'), str(r)]
        ends.append(r)
    p = subprocess.run(command, pass_fds=ends, capture_output=True, text=True, timeout=60 * SLOW, stdin=subprocess.DEVNULL)
    for r in ends:
        os.close(r)
    return p.returncode, p.stdout + p.stderr


def key(n, *args, code=0, **fds):
    got, text = with_secrets(QUDAG, '--dir', n.dir, '--json', 'key', *args, **fds)
    check(got == code, f'key {" ".join(args)}: exit {got}, not {code}: {text}')
    return text


def up(n, code=0, **fds):
    got, text = with_secrets(QUDAG, '--dir', n.dir, 'up', '--json', '-o', 'lab.lab=yes', '-o', f'node.listen={ANY_PORT}', **fds)
    check(got == code, f'up: exit {got}, not {code}: {text}')
    if code == 0:
        n.take(n.ask('status'))
    return text


def typed(lines, *args):
    """a program on a terminal of its own, into which |lines| are typed as it asks: (exit code, what it showed)"""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(args[0], [str(a) for a in args])
    shown, until, left = b'', time.monotonic() + 60 * SLOW, list(lines)
    while time.monotonic() < until:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                got = os.read(fd, 4096)
            except OSError:
                break
            shown += got
            if got.rstrip().endswith(b':') and left:
                time.sleep(0.2)  # the terminal is quiet once the prompt is out and the line discipline set
                os.write(fd, left.pop(0))
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return os.waitstatus_to_exitcode(status), shown


def tells(folder, *words):
    for p in folder.rglob('*'):
        for w in words:
            check(w not in p.name, f'{p} is called so')
            check(not p.is_file() or w.encode() not in p.read_bytes(), f'{p} contains {w}')


def encrypted_and_opened(n):
    n.start()
    peer = n.peer
    addr = n.ask('dark', 'new', 'post')['address']
    n.ask('name', 'add', 'blog', addr)
    text = key(n, 'passphrase', code=6, new_passphrase_fd=OLD)
    check('RUNNING' in text, f'a running daemon: {text}')
    n.down()
    bare = {p.name: p.read_bytes() for p in (n.dir / 'state').iterdir()}
    check(json.loads(key(n, 'show'))['keys']['encrypted'] is False, 'it is said to be encrypted')
    key(n, 'passphrase', new_passphrase_fd=OLD)
    for name, content in {**bare, 'identity': b'QUDAGID1'}.items():
        for p in n.dir.rglob('*'):
            check(p.name == 'identity' or p.name != name, f'{p} is still there')
            check(not p.is_file() or p.name == 'qudagd.log' or len(content) < 8 or content not in p.read_bytes(),
                  f'{p} has {name} in the clear')
    tells(n.dir / 'state', addr[8:20], 'post')
    check(addr not in (n.dir / 'names').read_bytes().decode('latin1'), 'petnames are in the clear')
    text = up(n, code=2)
    check('--passphrase-fd' in text, f'without passphrase: {text}')
    code, text = run(QUDAGD, '--dir', n.dir)
    check(code == 4 and 'no passphrase was given' in text, f'qudagd without passphrase: {code} {text}')
    whole = {p: p.read_bytes() for p in n.dir.rglob('*') if p.is_file() and p.name not in ('lock', 'qudagd.log')}
    text = up(n, code=1, passphrase_fd=NEW)
    check('not the passphrase' in text, f'a wrong passphrase: {text}')
    check(NEW.decode() not in text, 'it shows what was given')
    check(all(p.read_bytes() == b for p, b in whole.items()), 'a wrong passphrase changed a file')
    up(n, passphrase_fd=OLD + b'\n')
    check(n.peer == peer, 'another identity')
    check(n.ask('dark', 'list')['addresses'][0]['address'] == addr, 'the address is gone')
    check(n.ask('name', 'list')['names'][0]['address'] == addr, 'the petname is gone')
    shown = json.loads(key(n, 'show'))['keys']
    check(shown['encrypted'] and shown['peer'] == peer and len(shown['onion_keys']) >= 1, f'key show: {shown}')
    for p in (pathlib.Path('/proc') / str(n.pid) / 'cmdline', pathlib.Path('/proc') / str(n.pid) / 'environ'):
        check(not os.access(p, os.R_OK) or OLD not in p.read_bytes(), f'{p} has the passphrase')
    n.down()
    tells(n.dir, OLD.decode())
    print('ok: encrypted, refused without or with a wrong passphrase, opened, nothing told', flush=True)
    return peer, addr


def changed_on_a_terminal(n):
    command = (QUDAG, '--dir', n.dir, 'key', 'passphrase')
    code, shown = typed([NEW + b'\n'], *command)
    check(code == 6 and b'not the passphrase' in shown, f'a wrong old one: exit {code}: {shown}')
    code, shown = typed([OLD + b'\n', NEW + b'\n', NEW + b'x\n'], *command)
    check(code == 2 and b'differ' in shown, f'two that differ: exit {code}: {shown}')
    code, shown = typed([OLD + b'\n', b'\x03'], *command)
    check(code == 2, f'given up: exit {code}: {shown}')
    before = (n.dir / 'keyring').read_bytes()
    code, shown = typed([OLD + b'\n', NEW + b'\n', NEW + b'\n'], *command)
    check(code == 0 and b'changed' in shown, f'changed: exit {code}: {shown}')
    check(OLD not in shown and NEW not in shown, f'what is typed is shown: {shown}')
    check(before != (n.dir / 'keyring').read_bytes(), 'the keyring is the same')
    up(n, code=1, passphrase_fd=OLD)
    code, shown = typed([NEW + b'\n'], QUDAG, '--dir', n.dir, 'up', '--no-wait')
    check(code == 0, f'up on a terminal: exit {code}: {shown}')
    n.take(n.ask('status'))
    n.down()
    print('ok: changed on a terminal, without being shown', flush=True)


def moved(n, peer, addr):
    out, other = TOP / 'moved.key', Node('other')
    key(n, 'export', str(out), code=6, passphrase_fd=OLD, export_passphrase_fd=MOVED)
    check(not out.exists(), 'something was written')
    key(n, 'export', str(out), passphrase_fd=NEW, export_passphrase_fd=MOVED)
    check(out.stat().st_mode & 0o777 == 0o600, 'others may read it')
    key(n, 'export', str(out), code=1, passphrase_fd=NEW, export_passphrase_fd=MOVED)  # it is there already
    key(n, 'import', str(out), code=1, export_passphrase_fd=MOVED)  # not empty
    key(other, 'import', str(out), code=6, export_passphrase_fd=NEW)
    check(not other.dir.exists(), 'a wrong passphrase left something')
    bad = TOP / 'bad.key'
    bad.write_bytes(out.read_bytes()[:-1] + b'x')
    key(other, 'import', str(bad), code=1, export_passphrase_fd=MOVED)
    check(not other.dir.exists() and not list(TOP.glob('other.import*')), 'a damaged export left something')
    key(other, 'import', str(out), export_passphrase_fd=MOVED)
    up(other, passphrase_fd=MOVED)
    check(other.peer == peer and other.ask('dark', 'list')['addresses'][0]['address'] == addr, 'another node came out')
    check(other.ask('name', 'list')['names'][0]['address'] == addr, 'the petname did not move')
    other.down()
    key(n, 'passphrase', '--remove', passphrase_fd=NEW)
    check(not (n.dir / 'keyring').exists() and (n.dir / 'identity').read_bytes()[:8] == b'QUDAGID1', 'still encrypted')
    plain, third = TOP / 'plain.key', Node('third')
    text = key(n, 'export', str(plain), code=2)
    check('--plain' in text and not plain.exists(), f'no passphrase and no --plain: {text}')
    key(n, 'export', str(plain), '--plain')
    key(third, 'import', str(plain))
    third.start()
    check(third.peer == peer, 'another node came out of the plain one')
    third.down()
    print('ok: exported and imported, encrypted and in the clear', flush=True)


def another_identity(n):
    Node('stranger').start().down()
    mine = (n.dir / 'identity').read_bytes()
    (n.dir / 'identity').write_bytes((TOP / 'stranger/identity').read_bytes())
    (n.dir / 'store').rename(TOP / 'store-aside')  # which would be refused before
    text = up(n, code=1)
    check('another identity' in text and 'link' in text, f'a foreign identity: {text}')
    (n.dir / 'identity').write_bytes(mine)
    shutil.rmtree(n.dir / 'store')  # of the stranger's attempt
    (TOP / 'store-aside').rename(n.dir / 'store')
    n.start()
    before = json.loads(key(n, 'show'))['keys']['onion_keys']
    key(n, 'rotate', 'onion')
    after = json.loads(key(n, 'show'))['keys']['onion_keys']
    check(len(before) == 1 and len(after) == 2, f'{before} became {after}')
    check({k['state']: k['id'] for k in after}['the one before'] == before[0]['id'], 'the former key is gone')
    text = key(n, 'rotate', 'onion', code=6)
    check('--force' in text, f'a third generation: {text}')
    key(n, 'rotate', 'onion', '--force')
    check(len(json.loads(key(n, 'show'))['keys']['onion_keys']) == 1, 'a former key is left')
    n.down()
    n.start()
    check(len(json.loads(key(n, 'show'))['keys']['onion_keys']) == 1, 'it came back')
    n.down()
    print('ok: a foreign identity is refused, onion keys are rotated', flush=True)


def wait(holds, seconds):
    end = time.time() + seconds * SLOW
    while not holds():
        check(time.time() < end, f'not within {seconds} s')
        time.sleep(0.3)


def another_ml_dsa_key_of_a_daemon(n):
    peer = Node('peer')
    peer.start()
    n.start(wait=False)
    n.ask('connect', peer.ask('status')['addresses'][0])
    wait(lambda: peer.ask('peers')['peers'], 30)
    before = json.loads(key(n, 'show'))['keys']
    for change in 1, 2:
        check(json.loads(key(n, 'rotate', 'identity'))['sequence'] == change, f'it was not change {change}')
        after = json.loads(key(n, 'show'))['keys']
        check(after['peer'] == before['peer'] and after['pq'] != before['pq'], f'{before} became {after}')
        check('#' + after['pq'] in n.ask('status')['bootstrap'][0], 'the status has another')
        wait(lambda: any(p.get('key_changes') == change for p in peer.ask('peers')['peers']), 40)
    n.ask('peer', 'keep', peer.peer)
    code, text = n.tool('peer', 'keep', '12345678abcd')
    check(code == 2 and '52 characters' in text, f'a short peer id: {code} {text}')
    n.down()
    n.start(wait=False)  # two nodes are too few for circuits
    check(json.loads(key(n, 'show'))['keys']['pq'] == after['pq'], 'it starts with another key')
    kept = n.ask('peers', '--tries')['tries']
    check([t['peer'] for t in kept if t.get('kept')] == [peer.peer], f'it forgot whom it keeps: {kept}')
    n.ask('peer', 'release', peer.peer)
    check(not (n.dir / 'state/kept').exists(), 'the list of kept peers is still there')
    n.down()
    peer.down()
    print('ok: a daemon that runs has another ML-DSA key, and its peer follows', flush=True)


def another_ml_dsa_key(n):
    before, old = json.loads(key(n, 'show'))['keys'], (n.dir / 'identity').read_bytes()
    check(json.loads(key(n, 'rotate', 'identity'))['sequence'] == 3, 'it was not the third change')
    after, new = json.loads(key(n, 'show'))['keys'], (n.dir / 'identity').read_bytes()
    check(after['peer'] == before['peer'] and after['pq'] != before['pq'], f'{before} became {after}')
    (n.dir / 'identity').write_bytes(old)
    text = up(n, code=1)
    check('copy from before its last change' in text, f'the older identity: {text}')
    (n.dir / 'identity').write_bytes(new)
    n.start(wait=False)
    check(n.ask('key', 'show')['keys']['pq'] == after['pq'], 'it runs with another key')
    n.down()
    print('ok: the ML-DSA key is another one, and a copy from before is refused', flush=True)


def credential_of_systemd():
    n, creds = Node('unit'), TOP / 'creds'
    creds.mkdir()
    (creds / 'qudag.passphrase').write_bytes(OLD)
    env = {**os.environ, 'CREDENTIALS_DIRECTORY': str(creds)}
    code, text = run(QUDAG, '--dir', n.dir, 'up', '--json', '-o', 'lab.lab=yes', '-o', f'node.listen={ANY_PORT}', timeout=60,
                     env=env)
    check(code == 0, f'with a credential: {text}')
    n.take(n.ask('status'))
    check((n.dir / 'keyring').exists() and b'QUDAGID1' not in (n.dir / 'identity').read_bytes(), 'not encrypted')
    n.down()
    up(n, code=2)  # not without it
    code, text = run(QUDAGD, '--dir', n.dir, '--passphrase-fd', 'secret')
    check(code == 4 and 'number' in text, f'a passphrase as argument: {code} {text}')
    print('ok: systemd\'s credential', flush=True)


node = Node('keys')
known = encrypted_and_opened(node)
changed_on_a_terminal(node)
moved(node, *known)
another_identity(node)
another_ml_dsa_key_of_a_daemon(node)
another_ml_dsa_key(node)
credential_of_systemd()
