#!/usr/bin/python3
"""Programs given what is wrong: each case has an exit code and a sentence that names cause and next step.

TEST: timeout=120
"""
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import ANY_PORT, QUDAG, QUDAGD, SLOW, TOP, Node, check, free_port, run, says  # noqa: E402


def configuration():
    conf = TOP / 'bad.conf'
    for text, part in (('[node]\nlisen = x\n', 'bad.conf:2: [node] has no key lisen; did you mean listen?'),
                       ('[onon]\nhops = 3\n', 'no section [onon]; did you mean [onion]?'),
                       ('[onion]\n\nhops = 9\n', 'bad.conf:3: [onion] hops: 9 is not within 1 to 7'),
                       ('[node]\nlisten = /ip4/127.0.0.1/udp/99999/quic-v1\n', 'malformed; the form is'),
                       ('[link]\nsecurity_level = 512\n', '768|1024'),
                       ('[process]\nuser = no-such-user\n', 'there is no user no-such-user'),
                       ('[proxy]\nlisten = 0.0.0.0:9350\n', 'remote = yes'),
                       ('[proxy]\nlisten = unix:/run/x\n', '127.0.0.1:PORT'),
                       ('[node]\nwhat is this\n', 'bad.conf:2: neither a [section]')):
        conf.write_text(text)
        says(f'configuration {text!r}', part, 2, QUDAGD, '-c', conf, '--dir', TOP / 'x', '--check-config')
    says('a file that is not there', 'No such file', 2, QUDAGD, '-c', TOP / 'none.conf', '--check-config')
    says('an unknown option', '--help', 2, QUDAGD, '--frobnicate')
    for option in ('--dir', '--config', '-o'):
        says(f'{option} without its value', 'lacks its value', 2, QUDAGD, option, '--check-config')
    check(not (TOP / 'x').exists(), 'a check of the configuration left a folder')
    for text, part in (('[link]\nsecurity_level = 1024\n', ''), ('[node]\nlisten = /ip6/::1/udp/0/quic-v1\n', ''),
                       ('[process]\nuser = root\n', ''), ('[proxy]\nlisten = [::1]:9350\n', ''),
                       ('[proxy]\nlisten = 0.0.0.0:9350\nremote = yes\n', '')):
        conf.write_text(text)
        says(f'good configuration {text!r}', 'configuration OK', 0, QUDAGD, '-c', conf, '--check-config')
    code, text = run(QUDAGD, '--dir', TOP / 'x', '--print-config')
    conf.write_text(text)
    says('what --print-config prints', 'configuration OK', 0, QUDAGD, '-c', conf, '--check-config')


def daemon(folder, *options):
    args = [QUDAGD, '--dir', TOP / folder]
    for o in options or (f'node.listen={ANY_PORT}',):
        args += ['-o', o]
    return args


def ports():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(('127.0.0.1', 0))
        addr = f'/ip4/127.0.0.1/udp/{s.getsockname()[1]}/quic-v1'
        says('a port in use', [addr, 'another program holds this port'], 5, *daemon('p', f'node.listen={addr}'))
    says('an address of another machine', 'no such address', 5,
         *daemon('p', 'node.listen=/ip4/192.0.2.1/udp/0/quic-v1'))


def state():
    n = Node('s').start()
    address = n.ask('dark', 'new', 'kept')['address']
    peer = n.peer
    says('a second daemon on the folder', [f'pid {n.pid}', 'down'], 3, *daemon('s'))
    text = says('up, when it runs already', f'pid {n.pid}', 0, QUDAG, '--dir', n.dir, 'up')
    check('already running' in text, text)
    n.kill()
    n.start()
    check(n.peer == peer, 'another identity after SIGKILL')
    check([a['address'] for a in n.ask('dark', 'list')['addresses']] == [address], 'dark addresses lost after SIGKILL')
    print('ok: SIGKILL and restart keep identity and dark addresses', flush=True)
    n.down()
    key = n.dir / 'identity'
    good = key.read_bytes()
    check(key.stat().st_mode & 0o777 == 0o600, 'the identity is not 0600')
    key.chmod(0o644)
    says('an identity open to others', ['mode 0644', f'chmod 600 {key}'], 4, *daemon('s'))
    key.chmod(0o600)
    for bad in (b'', good[:50], good[:-1] + bytes([good[-1] ^ 1]), good + b'x', os.urandom(5000)):
        key.write_bytes(bad)
        says(f'an identity of {len(bad)} wrong bytes', ['is damaged', 'left as it is'], 4, *daemon('s'))
        check(key.read_bytes() == bad, 'the damaged identity was touched')
    key.write_bytes(good)
    saved = sorted(p for p in (n.dir / 'state').iterdir() if p.name.startswith('dark'))
    check(len(saved) == 1, f'state of the dark address: {saved}')
    kept = saved[0].read_bytes()
    saved[0].write_bytes(kept[:-3])
    says('a damaged dark address', [str(saved[0]), 'is damaged'], 4, *daemon('s'))
    saved[0].write_bytes(kept)
    if os.geteuid() != 0:
        key.chmod(0)
        says('an identity that cannot be read', 'Permission denied', 4, *daemon('s'))
        key.chmod(0o600)
    n.start()
    check(n.peer == peer, 'the identity did not come back')
    n.down()


def full_disk():
    place = TOP / 'small'
    place.mkdir()
    if os.geteuid() != 0 or run('mount', '-t', 'tmpfs', '-o', 'size=12m,mode=700', 'tmpfs', place)[0] != 0:
        print('skipped: a full disk (needs root and tmpfs)', flush=True)
        return
    try:
        (place / 'fill').write_bytes(b'x' * 49152)
        with open(place / 'more', 'wb', buffering=0) as f:
            try:
                while True:
                    f.write(b'x' * 4096)
            except OSError:
                pass
        says('a full disk at the first start', ['No space left', 'make room'], 1, *daemon('small'))
        check(not (place / 'identity').exists(), 'half an identity was left')
        (place / 'more').unlink()
        (place / 'fill').unlink()
        n = Node('small').start()
        check(n.ask('status')['health'] == 'alone' and 'disk' not in n.ask('status'), 'a disk with room is no trouble')
        with open(place / 'more', 'wb', buffering=0) as f:
            try:
                while True:
                    f.write(b'x' * 4096)
            except OSError:
                pass
        code, text = n.tool('dark', 'new', 'x')
        check(code == 1 and 'QUDAG_ESYSTEM' in text, f'a dark address on a full disk: {code} {text}')
        check(n.ask('dark', 'list')['addresses'] == [], 'an address that was not saved is in use')
        check(n.ask('status')['phase'] == 'ready', 'the node did not go on')
        print('ok: a full disk refuses a dark address, and the node goes on', flush=True)
        code, text = n.tool('dht', 'put', 'x', 'y' * 4000)  # nobody to store it, but it is published, so persisted
        until = time.monotonic() + 20 * SLOW
        while len(n.ask('status').get('disk', [])) < 2:
            check(time.monotonic() < until, f'status does not tell of the full disk: {n.ask("status")}')
            time.sleep(0.2)
        code, text = run(QUDAG, '--dir', n.dir, 'status')
        check(code == 5 and 'health     unsaved' in text and 'No space left' in text and 'takes no records' in text,
              f'status with a full disk: {code} {text}')
        (place / 'more').unlink()
        while 'disk' in n.ask('status'):
            check(time.monotonic() < until, f'status still complains: {n.ask("status")}')
            time.sleep(0.2)
        check(n.ask('status')['health'] == 'alone', 'with room again the node is not well')
        n.down()
        print('ok: status tells of a full disk, until there is room again', flush=True)
    finally:
        run('umount', '-l', place)


def tool():
    d = TOP / 'nobody'
    says('no daemon', [f'{d}/control.sock', f'qudag --dir {d} up'], 3, QUDAG, '--dir', d, 'status')
    code, text = run(QUDAG, '--dir', d, '--json', 'peers')
    check(code == 3 and '"name":"DAEMON_NOT_RUNNING"' in text, text)
    says('a misspelt command', 'did you mean status?', 2, QUDAG, 'sttatus')
    says('a misspelt subcommand', 'did you mean publish?', 2, QUDAG, 'dark', 'publsh')
    says('a missing argument', 'usage: qudag dht', 2, QUDAG, 'dht', 'put', 'x')
    says('help', ['Exit codes', 'example'], 0, QUDAG, 'help', 'send')
    says('help for a part of a command', 'get KEY', 0, QUDAG, 'help', 'dht', 'put')
    says('help asked for behind a part of a command', 'get KEY', 0, QUDAG, 'dht', 'put', '--help')
    says('help for what is none', 'did you mean send?', 2, QUDAG, 'help', 'sned')
    says('a peer id with a letter too many', 'neither a multiaddr nor a whole peer id', 2, QUDAG, '--dir', d, 'connect',
         '12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xox')
    says('neither of what send takes', ['neither a dark address nor a peer id', '12D3Koo'], 2, QUDAG, '--dir', d, 'send', 'nonsense', '-m', 'x')
    says('a peer id with a letter too few', 'not a whole peer id', 2, QUDAG, '--dir', d, 'send',
         '12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2X', '-m', 'x')
    says('a multiaddr where a peer id belongs', 'the peer id alone', 2, QUDAG, '--dir', d, 'send',
         '/ip4/127.0.0.1/udp/4433/quic-v1/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo', '-m', 'x')
    says('a peer id where a dark address belongs', 'not a dark address', 2, QUDAG, '--dir', d, 'fetch',
         '12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo')
    says('a path too long for a socket', 'shorter --dir', 2, QUDAGD, '--dir', TOP / ('x' * 120),
         '-o', f'node.listen={ANY_PORT}')


def typing_error(n):
    good = n.ask('dark', 'new')['address']
    for at in (3, 20, 60, 100):
        other = 'a' if good[at] != 'a' else 'b'
        bad = good[:at] + other + good[at + 1:]
        if good[at] != '.':
            code, text = n.tool('send', bad, '-m', 'x')
            check(code == 2 and ('CHECKSUM' in text or 'MALFORMED' in text or 'UNSUPPORTED' in text), f'{code} {text}')
            code, text = n.tool('dark', 'resolve', bad)
            check(code == 2 or 'UNSUPPORTED' in text, f'{code} {text}')
    print('ok: an address with a typing error', flush=True)


def unreachable_bootstrap(n):
    """up waits to the end of its time although the first attempt fails at once, and says that the daemon goes on"""
    port = free_port()
    target = f'/ip4/127.0.0.1/udp/{port}/quic-v1/p2p/{n.peer}'
    lost = Node('lost', f'node.bootstrap={target}')
    began = time.monotonic()
    code, text = run(QUDAG, '--dir', lost.dir, '--json', 'up', '--timeout', '4', '-o', f'node.listen={ANY_PORT}', '-o',
                     lost.options[0], timeout=50)
    took = time.monotonic() - began
    check(code == 5 and took >= 4, f'an unreachable bootstrap peer: {code} after {took} s: {text}')
    error = json.loads(text.strip().splitlines()[-1])['error']
    check('keeps trying' in error['message'] and 'qudag connect' in error['hint'], str(error))
    code, text = lost.tool('status')
    status = json.loads(text)
    lost.peer = status['peer']
    if status['phase'] == 'failed':
        check(code == 5 and status['health'] == 'failed' and 'retry_ns' in status and status['reason'], f'{code} {status}')
    code, text = lost.tool('connect', target)
    check(code == 5, f'connect to nobody: {code} {text}')
    text = says('a ping to itself', 'is this node itself', 2, QUDAG, '--dir', lost.dir, 'ping', lost.peer)
    other = f'{n.bootstrap.split("/p2p/")[0]}/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
    for command in (('connect', other), ('ping', '-c', '1', other)):
        code, text = lost.tool(*command)
        check(code == 6 and f'another peer answers than this address names: {n.peer}' in text, f'{command}: {code} {text}')
    lost.take(lost.ask('connect', n.bootstrap) and json.loads(lost.tool('status')[1]))
    check(lost.ask('ping', n.peer)['summary']['answered'] == 3, 'connect made no link')
    lost.down()
    print(f'ok: an unreachable bootstrap peer; up gave up after {took:.1f} s', flush=True)


def isolated():
    """a node that was linked and has lost its only peer says so, and status fails as a health check should"""
    first = Node('first').start()
    second = Node('second', f'node.bootstrap={first.bootstrap}').start(wait=False)
    until = time.monotonic() + 20 * SLOW
    while second.ask('status')['links'] == 0:
        check(time.monotonic() < until, 'no link came up')
        time.sleep(0.05)
    code, text = second.tool('status')
    check(code == 0, f'a node with a link is not healthy: {text}')
    first.down()
    while (code := second.tool('status')[0]) == 0:
        check(time.monotonic() < until, 'the lost link is not noticed')
        time.sleep(0.05)
    text = run(QUDAG, '--dir', second.dir, 'status')[1]
    check(code == 5 and ('health     isolated' in text or 'health     failed' in text), f'{code} {text}')
    second.down()
    print('ok: a node that lost its only peer is not healthy', flush=True)


def hello():
    body = b'\0\1' + b'\2\7version\0' + struct.pack('>q', 1)
    return struct.pack('>I', len(body)) + body


def control_socket(n):
    path = str(n.dir / 'control.sock')
    check(os.stat(path).st_mode & 0o777 == 0o600, 'the control socket is not 0600')

    def open_one(data=b''):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5 * SLOW)
        s.connect(path)
        if data:
            s.sendall(data)
        return s

    def hung_up(s):
        try:
            while s.recv(65536):
                pass
        except ConnectionError:
            pass
        s.close()
        return True

    for garbage in (b'\0\0\0\0', b'\xff' * 64, b'\0\0\0\2\0\1', os.urandom(200), struct.pack('>I', 70000),
                    hello() + b'\0\0\0\2\0\x09', b'GET / HTTP/1.0\r\n\r\n'):
        check(hung_up(open_one(garbage)), 'garbage was not hung up on')
    flood = [open_one(hello()) for _ in range(60)]
    check(n.ask('status')['peer'] == n.peer, 'the daemon does not answer beside 60 clients')
    for s in flood:
        s.close()
    check(n.ask('status')['peer'] == n.peer, 'the daemon does not answer after that')
    print('ok: garbage and floods at the control socket', flush=True)


def other_user(n):
    if os.geteuid() != 0:
        print('skipped: another user at the socket (needs root)', flush=True)
        return
    os.chmod(TOP, 0o755)
    os.chmod(n.dir, 0o755)
    os.chmod(n.dir / 'control.sock', 0o666)
    code = ('import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(5)\ntry:\n s.connect(sys.argv[1])\n'
            ' sys.exit(0 if s.recv(10) == b"" else 9)\nexcept ConnectionError:\n sys.exit(0)\n')
    done = subprocess.run(['/usr/bin/python3', '-c', code, str(n.dir / 'control.sock')], user=65534, timeout=20)
    check(done.returncode == 0, f'another user was served: {done.returncode}')
    os.chmod(n.dir / 'control.sock', 0o600)
    os.chmod(n.dir, 0o700)
    print('ok: another user is not served, whatever the modes', flush=True)


def main():
    configuration()
    ports()
    tool()
    state()
    full_disk()
    n = Node('c').start()
    typing_error(n)
    unreachable_bootstrap(n)
    isolated()
    control_socket(n)
    other_user(n)
    os.kill(n.pid, signal.SIGTERM)
    until = time.monotonic() + 10 * SLOW
    while run(QUDAG, '--dir', n.dir, 'status')[0] != 3:
        check(time.monotonic() < until, 'SIGTERM does not end the daemon')
        time.sleep(0.05)
    check(not (n.dir / 'control.sock').exists(), 'the socket was left behind')
    print('ok: SIGTERM ends it and the socket is gone', flush=True)


main()
