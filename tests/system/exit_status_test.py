#!/usr/bin/python3
"""Every verb of qudag, with good and with bad input: it ends with the status that its manual page says.

The verbs are those of qudag(1): one without a row for good and one for bad input fails the test, as does a status of
the page's table that nothing here ends with.

TEST: timeout=180
"""
import http.server
import pathlib
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import ANY_PORT, QUDAG, SRC, TOP, Node, check, free_port, network, run  # noqa: E402

PAGE = (SRC / 'doc/qudag.1').read_text()
OK, FAILED, USAGE, NOT_RUNNING, NOT_FOUND, UNREACHABLE, REFUSED = range(7)
seen = {}  # verb -> statuses
all_seen = set()


def verbs_of_page():
    """dht put, peers, ...: the words of each .It Ic before the first argument or option"""
    verbs = set()
    for line in re.findall(r'^\.It Ic (.*)$', PAGE, re.M):
        for item in line.split(' Ic '):
            words = []
            for word in item.split():
                if word == '|':  # config check | show
                    verbs.add(' '.join(words))
                    words = words[:-1] if item.split()[-1] != '|' else []
                elif not re.fullmatch('[a-z]+', word):
                    break
                else:
                    words.append(word)
            verbs.add(' '.join(words))
    return verbs - {''}


VERBS = verbs_of_page()
TABLE = {int(code) for code in re.findall(r'^\.It (\d)$', PAGE[PAGE.index('.Sh EXIT STATUS'):], re.M)}


def ends(code, where, *args, verb=None, timeout=60):
    """qudag in the folder |where| ends with |code|; a verb that the page does not have yet is left out"""
    words = [a for a in map(str, args) if re.fullmatch('[a-z]+', a)]
    verb = verb or next((' '.join(words[:n]) for n in (3, 2, 1) if ' '.join(words[:n]) in VERBS), None)
    if verb is None:
        print(f'left out: {args}', flush=True)
        return ''
    got, text = run(QUDAG, '--dir', where, *args, timeout=timeout)
    check(got == code, f'qudag {" ".join(map(str, args))}: exit {got}, not {code}: {text[-800:]}')
    seen.setdefault(verb, set()).add(code)
    all_seen.add(code)
    return text


def links(n, other):
    port = free_port()
    closed = f'/ip4/127.0.0.1/udp/{port}/quic-v1/p2p/{other.peer}'
    nobody = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
    wrong = f'{other.bootstrap.split("/p2p/")[0]}/p2p/{nobody}'
    ends(OK, n.dir, 'status')
    ends(USAGE, n.dir, 'status', 'x')
    ends(OK, n.dir, 'connect', other.bootstrap)
    ends(USAGE, n.dir, 'connect', '/ip4/300.0.0.1/udp/1/quic-v1')
    ends(REFUSED, n.dir, 'connect', wrong)
    ends(OK, n.dir, 'peers')
    ends(OK, n.dir, 'peers', '--relays')
    ends(OK, n.dir, 'peers', '--allowed')
    ends(USAGE, n.dir, 'peers', '--all')
    for verb in ('allow', 'disallow'):
        ends(OK, n.dir, 'peer', verb, other.peer)
        ends(USAGE, n.dir, 'peer', verb, 'nobody')
    ends(NOT_FOUND, n.dir, 'peer', 'disallow', other.peer)
    for verb, more in (('protect', ()), ('unprotect', ()), ('tag', (5,)), ('untag', ()), ('keep', ()), ('release', ()),
                       ('retry', ())):
        ends(OK, n.dir, 'peer', verb, other.peer, *more)
        ends(USAGE, n.dir, 'peer', verb, 'nobody', *more)
    for verb in ('reserve', 'unreserve'):
        ends(OK, n.dir, 'peer', verb, other.bootstrap)
        ends(USAGE, n.dir, 'peer', verb, 'nobody')
    ends(OK, n.dir, 'ping', other.peer, '-c', 1)
    ends(USAGE, n.dir, 'ping', other.peer, '-c', 'many')
    ends(USAGE, n.dir, 'ping', n.peer)
    ends(UNREACHABLE, n.dir, 'ping', closed.replace(other.peer, nobody), '-c', 1)


def dht(n, other):
    ends(OK, n.dir, 'dht', 'put', 'good', 'value')
    ends(USAGE, n.dir, 'dht', 'put', 'good')
    ends(OK, other.dir, 'dht', 'get', 'good')
    ends(NOT_FOUND, n.dir, 'dht', 'get', 'bad')
    ends(OK, n.dir, 'dht', 'closest', 'good')
    ends(USAGE, n.dir, 'dht', 'closest')
    ends(OK, n.dir, 'dht', 'provide', 'good')
    ends(USAGE, n.dir, 'dht', 'provide')
    ends(OK, other.dir, 'dht', 'providers', 'good')
    ends(USAGE, n.dir, 'dht', 'providers')
    ends(OK, n.dir, 'dht', 'find', other.peer)
    ends(USAGE, n.dir, 'dht', 'find', 'nobody')
    for verb in ('records', 'published', 'store', 'table'):
        ends(OK, n.dir, 'dht', verb)
        ends(USAGE, n.dir, 'dht', verb, 'x')
    for verb in ('forget', 'unprovide'):
        ends(OK, n.dir, 'dht', verb, 'good')
        ends(NOT_FOUND, n.dir, 'dht', verb, 'bad')


def circuits(n):
    text = ends(OK, n.dir, 'circuit', 'build', '--hops', 2)
    ends(USAGE, n.dir, 'circuit', 'build', '--hops', 99)
    ends(OK, n.dir, 'circuit', 'list')
    ends(USAGE, n.dir, 'circuit', 'list', 'x')
    ends(OK, n.dir, 'circuit', 'close', re.search(r'circuit +(\w+)', text)[1])
    ends(NOT_FOUND, n.dir, 'circuit', 'close', '123456789')


def dark(n, other):
    ends(OK, n.dir, 'dark', 'new', 'good')
    ends(USAGE, n.dir, 'dark', 'new', 'x' * 99)
    address = next(a['address'] for a in n.ask('dark', 'list')['addresses'] if a['label'] == 'good')
    for verb in ('publish', 'show'):  # a word that is no label might be an address, so it is a wrong one
        ends(OK, n.dir, 'dark', verb, 'good')
        ends(USAGE, n.dir, 'dark', verb, 'bad')
    ends(OK, n.dir, 'dark', 'list')
    ends(USAGE, n.dir, 'dark', 'list', 'x')
    ends(OK, other.dir, 'dark', 'resolve', address)
    ends(USAGE, other.dir, 'dark', 'resolve', address[:-8] + '.dark')
    text = ends(OK, n.dir, 'dark', 'client', 'add', 'good', 'friend')
    ends(USAGE, n.dir, 'dark', 'client', 'add', 'good')
    ends(OK, n.dir, 'dark', 'client', 'list', 'good')
    ends(USAGE, n.dir, 'dark', 'client', 'list', 'bad')
    key = re.search(r'key +(\S+)', text)[1]
    ends(OK, other.dir, 'dark', 'authorize', address, key)
    ends(USAGE, other.dir, 'dark', 'authorize', address, 'nonsense')
    ends(OK, n.dir, 'dark', 'client', 'remove', 'good', 'friend')
    ends(NOT_FOUND, n.dir, 'dark', 'client', 'remove', 'good', 'stranger')
    ends(OK, n.dir, 'dark', 'forget', 'good', '--yes')
    ends(USAGE, n.dir, 'dark', 'forget', 'good', '--yes')


def clients(n, other):
    web = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    ends(OK, n.dir, 'expose', f'80:127.0.0.1:{web.server_port}', '--name', 'web')
    ends(USAGE, n.dir, 'expose', '80:nowhere')
    ends(OK, n.dir, 'expose', 'list')
    ends(USAGE, n.dir, 'expose', 'list', 'x')
    ends(OK, n.dir, 'expose', 'status', 'web')
    ends(NOT_FOUND, n.dir, 'expose', 'status', 'bad')
    address = n.ask('expose', 'status', 'web')['address']
    ends(OK, other.dir, 'name', 'add', 'web', address)
    ends(USAGE, other.dir, 'name', 'add', 'web', 'nonsense')
    ends(OK, other.dir, 'name', 'list')
    ends(USAGE, other.dir, 'name', 'list', 'x')
    ends(OK, other.dir, 'connect', 'web.dark', 80)
    ends(USAGE, other.dir, 'connect', 'web.dark', 'http')
    ends(OK, other.dir, 'name', 'remove', 'web')
    ends(NOT_FOUND, other.dir, 'name', 'remove', 'web')
    ends(OK, n.dir, 'expose', 'remove', 'web')
    ends(NOT_FOUND, n.dir, 'expose', 'remove', 'web')
    web.shutdown()
    ends(OK, n.dir, 'proxy')
    ends(USAGE, n.dir, 'proxy', 'x')


def deliveries(n, other):
    mail = n.ask('dark', 'new', 'mail')['address']
    n.ask('dark', 'publish', 'mail')
    ends(OK, other.dir, 'send', mail, '-m', 'hello')
    ends(USAGE, other.dir, 'send', 'nonsense', '-m', 'hello')
    ends(REFUSED, other.dir, 'send', n.peer, '-m', 'hello')
    ends(OK, n.dir, 'peer', 'allow', other.peer)
    ends(OK, other.dir, 'send', n.peer, '-m', 'hello')
    ends(USAGE, other.dir, 'send', other.peer, '-m', 'hello')
    ends(OK, n.dir, 'inbox')
    ends(NOT_FOUND, n.dir, 'inbox', '--save', 'bad', TOP / 'saved')
    (TOP / 'given').write_text('something to share')
    share = subprocess.Popen([QUDAG, '--dir', n.dir, 'share', TOP / 'given', '--once'], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    said = ''
    while not re.search(r'(\S+\.dark)', said):
        line = share.stdout.readline()
        check(line, f'share ends: {said}')
        said += line
    address = re.search(r'([a-z0-9.]+\.dark)', said)[1]
    ends(OK, other.dir, 'fetch', address, '-o', TOP / 'got')
    check(share.wait(30) == OK, 'share --once')
    seen.setdefault('share', set()).add(OK)
    ends(NOT_FOUND, n.dir, 'share', TOP / 'nothing')
    ends(USAGE, other.dir, 'fetch', 'nonsense')


def looking(n):
    ends(OK, n.dir, 'stats')
    ends(USAGE, n.dir, 'stats', 'x')
    ends(OK, n.dir, 'top', '--once')
    ends(USAGE, n.dir, 'top', '--interval', 'x')
    ends(OK, n.dir, 'report', TOP / 'report.txt')
    ends(FAILED, n.dir, 'report', TOP / 'report.txt')
    ends(OK, n.dir, 'log', 'list')
    ends(USAGE, n.dir, 'log', 'list', 'x')
    ends(OK, n.dir, 'log', 'level', 'kad', 'debug')
    ends(USAGE, n.dir, 'log', 'level', 'kad', 'loud')
    ends(OK, n.dir, 'doctor')
    ends(USAGE, n.dir, 'doctor', 'x')
    ends(OK, n.dir, 'key', 'show')
    ends(USAGE, n.dir, 'key', 'show', 'x')
    ends(OK, n.dir, 'config', 'show')
    ends(OK, n.dir, 'version')
    ends(USAGE, n.dir, 'version', 'x')
    ends(OK, n.dir, 'help', 'send')
    ends(USAGE, n.dir, 'help', 'sned')


def files():
    d = TOP / 'files'
    (TOP / 'good.conf').write_text('[onion]\nhops = 3\n')
    (TOP / 'bad.conf').write_text('[onion]\nhops = 30\n')
    for verb in ('check', 'show'):
        ends(OK, d, 'config', verb, TOP / 'good.conf')
        ends(USAGE, d, 'config', verb, TOP / 'bad.conf')


def lab():
    d = TOP / 'play'
    ends(OK, d, 'lab', 'up', 1)
    ends(USAGE, d, 'lab', 'up', 'many')
    ends(OK, d, 'lab', 'status')
    ends(USAGE, d, 'lab', 'status', 'x')
    ends(OK, d, 'lab', 'exec', 1, 'version')
    ends(USAGE, d, 'lab', 'exec', 0, 'version')
    ends(OK, d, 'lab', 'down')
    ends(USAGE, d, 'lab', 'down', 'x')


def keys(n, ended):
    """the daemon of |n| runs, that of |ended| does not"""
    ends(OK, n.dir, 'key', 'rotate', 'onion')
    ends(USAGE, n.dir, 'key', 'rotate', 'nothing', verb='key rotate onion')
    ends(OK, ended.dir, 'key', 'rotate', 'identity')
    ends(OK, n.dir, 'key', 'rotate', 'identity')
    ends(USAGE, n.dir, 'key', 'rotate', 'identity', '--force')
    ends(OK, ended.dir, 'key', 'export', TOP / 'kept', '--plain')
    ends(REFUSED, n.dir, 'key', 'export', TOP / 'running', '--plain')
    ends(OK, TOP / 'moved', 'key', 'import', TOP / 'kept')
    ends(FAILED, TOP / 'moved2', 'key', 'import', TOP / 'nothing')
    (TOP / 'words').write_text('some words')
    with open(TOP / 'words', encoding='utf8') as f:
        done = subprocess.run([QUDAG, '--dir', ended.dir, 'key', 'passphrase', '--new-passphrase-fd', '0'], stdin=f,
                              capture_output=True, text=True, timeout=60)
    check(done.returncode == OK, f'key passphrase: {done.returncode} {done.stderr}')
    seen.setdefault('key passphrase', set()).add(OK)
    ends(REFUSED, n.dir, 'key', 'passphrase')


def life(n, ended):
    ends(OK, n.dir, 'up')
    ends(USAGE, n.dir, 'up', '--frobnicate')
    lost = TOP / 'lost'
    target = f'/ip4/127.0.0.1/udp/{free_port()}/quic-v1/p2p/{n.peer}'
    ends(UNREACHABLE, lost, 'up', '--timeout', 1, '-o', 'lab.lab=yes', '-o', f'node.listen={ANY_PORT}', '-o',
         f'node.bootstrap={target}')
    ends(OK, lost, 'down')
    ends(NOT_RUNNING, lost, 'down')
    ended.down()


def main():
    began = time.monotonic()
    nodes = network(6, 'circuit_relay.serve=yes')  # in a lab nobody is a circuit relay by itself
    n, other, ended = nodes[0], nodes[1], nodes[5]
    links(n, other)
    dht(n, other)
    circuits(other)
    dark(n, other)
    clients(n, other)
    deliveries(n, other)
    looking(n)
    files()
    lab()
    life(n, ended)
    keys(n, ended)
    for node in nodes[:5]:
        node.down()
    without = sorted(v for v in VERBS if v != 'qudag' and not (OK in seen.get(v, ()) and len(seen[v]) > 1))
    check(not without, f'no row for good and one for bad input: {without}')
    check(all_seen == TABLE, f'the page has {sorted(TABLE)}, seen were {sorted(all_seen)}')
    print(f'ok: {len(VERBS)} verbs, each status of the page; {time.monotonic() - began:.0f} s', flush=True)


main()
