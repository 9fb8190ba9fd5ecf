#!/usr/bin/python3
"""A folder shared by one daemon of a lab and fetched through another: by qudag fetch, whole and checked, resumed after SIGKILL
and after the loss of its circuits; by curl and a browser through the proxy.  Its address ends with it, also by SIGKILL, and
names that others choose stay in the folder.

TEST: timeout=170 waits
"""
import ctypes
import ctypes.util
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import QUDAG, SLOW, TOP, check, network, run, says  # noqa: E402

BIG = 16_000_000 // SLOW


class Share:
    """a share at work"""

    def __init__(self, node, *args):
        self.process = subprocess.Popen([str(QUDAG), '--dir', str(node.dir), '--json', 'share', *map(str, args)],
                                        stdout=subprocess.PIPE, text=True)
        said = {}
        while 'share' not in said:
            line = self.process.stdout.readline()
            check(line, f'not shared: {said}')
            said = json.loads(line)
        self.said = said['share']
        self.address = self.said['address']
        check(self.said['url'] == f'http://{self.address}/', f'{self.said}')

    def ended(self, code=0):
        """what it says last"""
        last = [json.loads(line) for line in self.process.stdout][-1]
        got = self.process.wait(timeout=20 * SLOW)
        check(got == code, f'a share ends with {got}: {last}')
        return last


def fetch(node, *args):
    """fetches, and what it says of that"""
    return node.ask('fetch', *map(str, args), timeout=120)['fetched']


def fetching(node, *args):
    return subprocess.Popen([str(QUDAG), '--dir', str(node.dir), '--json', 'fetch', *map(str, args)],
                            stdout=subprocess.PIPE, text=True)


def until(process, part):
    """the first progress at which that part of it is here"""
    for line in process.stdout:
        doc = json.loads(line)
        check('error' not in doc, f'not fetched: {doc}')
        p = doc.get('progress', {})
        if p.get('received', 0) > p.get('size', 1) * part:
            return p
    return check(False, 'the fetch ended early')


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def same(one, other):
    """two folders hold the same files, but for what is not shared"""
    def of(top):
        return {str(p.relative_to(top)): digest(p) for p in top.rglob('*')
                if p.is_file() and not p.is_symlink() and not p.name.startswith('.')}
    check(of(one) == of(other), f'{sorted(of(one))} is not {sorted(of(other))}')


def folder():
    top = TOP / 'Ferien & <Meer>'
    (top / 'sub/deeper').mkdir(parents=True)
    (top / 'big.bin').write_bytes(os.urandom(BIG))
    (top / 'empty').touch()
    (top / 'page.html').write_text('<p>still<script>document.body.innerHTML = "it ran"</script>')
    (top / 'sub/grün "1".txt').write_text('grün')
    (top / 'sub/deeper/x').write_bytes(os.urandom(70_000))
    (top / '.secret').write_text('secret')
    (top / 'link').symlink_to('/etc/passwd')
    return top


def whole_and_again(client, share, top):
    out = TOP / 'out'
    began = time.monotonic()
    said = fetch(client, share.address, '-o', out)
    check(said['files'] == 5 and said['bytes'] == share.said['bytes'] and said['resumed'] == 0, f'{said}')
    took = time.monotonic() - began
    same(top, out / top.name)
    check(not (out / top.name / '.secret').exists() and not (out / top.name / 'link').is_symlink(), 'too much was shared')
    said = fetch(client, share.address, '-o', out)
    check(said['already'] == 5, f'what is here was fetched again: {said}')
    (out / top.name / 'sub/deeper/x').write_text('mine')
    code, text = client.tool('fetch', share.address, '-o', out)
    check(code == 6 and '--replace' in text, f'{code} {text}')
    check((out / top.name / 'sub/deeper/x').read_text() == 'mine', 'overwritten without asking')
    client.ask('name', 'add', 'ferien', share.address)
    said = fetch(client, 'http://ferien.dark/sub/', '-o', out / 'part', '--replace')
    check(sorted(said['paths']) == ['sub/deeper/x', 'sub/grün "1".txt'], f'{said}')
    code, text = client.tool('fetch', f'{share.address}/none')
    check(code == 4 and 'the share has no none' in text, f'{code} {text}')
    print(f'ok: a folder of {BIG / 1e6:.0f} MB was fetched and checked in {took:.1f} s, and what is here is left', flush=True)


def killed_and_cut_off(client, share, top):
    out = TOP / 'resumed'
    one = fetching(client, f'http://{share.address}/big.bin', '-o', out)
    first = until(one, 0.2)
    one.send_signal(signal.SIGKILL)
    one.wait()
    check(not (out / 'big.bin').exists(), 'half a file has its name')
    one = fetching(client, f'{share.address}/big.bin', '-o', out)
    until(one, 0.4)
    one.send_signal(signal.SIGSTOP)  # or it would end before
    for c in client.ask('circuit', 'list')['circuits']:
        client.tool('circuit', 'close', c['circuit'])
    one.send_signal(signal.SIGCONT)
    said = [json.loads(line) for line in one.stdout]
    check(one.wait() == 0 and said[-1]['fetched']['resumed'] >= first['received'] * 0.9, f'{said[-3:]}')
    again = sum(line.get('progress', {}).get('state') == 'retrying' for line in said)
    check(again > 0, 'its circuits were closed, and it did not notice')
    check(digest(out / 'big.bin') == digest(top / 'big.bin'), 'another content')
    check([p.name for p in out.iterdir()] == ['big.bin'], 'something is left beside it')
    print(f'ok: went on at {said[-1]["fetched"]["resumed"]} after SIGKILL, and {again} times after its circuits were closed',
          flush=True)


def curl(client, share, top):
    """what a browser does: a page, a range, what was cut off; and nothing of the machine in any answer"""
    door = client.ask('proxy')['socks']

    def get(path, *args, code=0):
        got, text = run('curl', '-sS', '-g', '--proxy', door, *args, f'http://{share.address}{path}', timeout=60)
        check(got == code, f'curl {path}: {got}: {text}')
        return text
    page = get('/', '-D', '-')
    check('200 OK' in page and '<script' not in page and '.secret' not in page and 'big.bin' in page, page)
    head = page.split('\n\n')[0].split('\r\n\r\n')[0].lower()
    for field in ('server:', 'date:', 'last-modified:', 'microhttpd', os.uname().nodename.lower()):
        check(field not in head, f'an answer tells of the machine: {field}: {head}')
    big, out = (top / 'big.bin').read_bytes(), TOP / 'curl.bin'
    get('/big.bin', '-r', '1000-1999', '-o', out)
    check(out.read_bytes() == big[1000:2000], 'another range')
    out.write_bytes(big[:BIG // 2])
    get('/big.bin', '-C', '-', '-o', out)
    check(out.read_bytes() == big, 'curl -C - does not resume')
    for path, status in (('/../../etc/passwd', '400'), ('/%2e%2e/x', '400'), ('/link', '404'), ('/.secret', '404')):
        check(get(path, '--path-as-is', '-o', '/dev/null', '-w', '%{http_code}') == status, path)
    print('ok: curl through the proxy: the page, a range, the rest of a file; nothing of the machine', flush=True)


def browser(client, share):
    """Chromium shows the list; a page of the share runs no script"""
    program = next((p for p in ('chromium-headless-shell', 'chromium', 'google-chrome') if shutil.which(p)), None)
    if program is None:
        print('skipped: a browser: there is no chromium-headless-shell', flush=True)
        return
    for path, wanted in (('', '<a href="/big.bin">big.bin</a>'), ('page.html', '<p>still<script>')):
        code, text = run(program, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--timeout=60000',
                         f'--user-data-dir={TOP}/profile', f'--proxy-server=socks5://{client.ask("proxy")["listen"]}',
                         '--dump-dom', share.said['url'] + path, timeout=90)
        check(code == 0 and wanted in text, f'a browser at /{path}: {code} {text[-2000:]}')
    print('ok: a browser shows the list, and runs no script', flush=True)


def matrix_of_library(text):
    class Code(ctypes.Structure):
        _fields_ = [('version', ctypes.c_int), ('width', ctypes.c_int), ('data', ctypes.POINTER(ctypes.c_ubyte))]
    lib = ctypes.CDLL(ctypes.util.find_library('qrencode') or 'libqrencode.so.4')
    lib.QRcode_encodeString.restype = ctypes.POINTER(Code)
    code = lib.QRcode_encodeString(text.encode(), 0, 1, 2, 1).contents  # level M, 8 bits
    return {(x, y) for y in range(code.width) for x in range(code.width) if code.data[y * code.width + x] & 1}


def picture(svg, share):
    """what a camera would see of it"""
    url, text = share.said['url'], svg.read_text()
    side = int(re.search(r'viewBox="0 0 (\d+) ', text).group(1))
    dark = {(int(x), int(y)) for x, y in re.findall(r'M(\d+) (\d+)h1v1h-1z', text)}
    check({(x - 4, y - 4) for x, y in dark} == matrix_of_library(url), 'the picture is another code')
    if shutil.which('zbarimg'):
        rows = [bytes(0 if (x // 4, y // 4) in dark else 255 for x in range(4 * side)) for y in range(4 * side)]
        (TOP / 'code.pgm').write_bytes(b'P5 %d %d 255\n' % (4 * side, 4 * side) + b''.join(rows))
        code, said = run('zbarimg', '-q', '--raw', TOP / 'code.pgm')
        check(code == 0 and url in said, f'zbarimg reads something else: {said}')
    print('ok: the QR code says the URL', flush=True)


def terminal(node, top):
    """a share for people: what is said, and the code in half blocks, light on dark"""
    p = subprocess.Popen([str(QUDAG), '--dir', str(node.dir), 'share', str(top / 'empty'), '--qr'], stdout=subprocess.PIPE,
                         text=True)
    lines = []
    while not lines or 'qudag fetch' not in lines[-1]:
        lines.append(p.stdout.readline().rstrip('\n'))
        check(lines[-1], f'it ends early: {lines}')
    url = next(line.split()[1] for line in lines if line.startswith('url'))
    rows = [line for line in lines if line and set(line) <= set(' ▀▄█')]
    light = {(x - 4, 2 * y + half - 4) for y, row in enumerate(rows) for x, c in enumerate(row)
             for half in (0, 1) if c == '█' or c == '▀▄'[half]}
    side = len(rows[0]) - 8
    dark = {(x, y) for y in range(side) for x in range(side)} - light
    check(dark == matrix_of_library(url), 'the code in the terminal is another one')
    p.send_signal(signal.SIGINT)
    check('ended' in p.stdout.read() and p.wait(timeout=20 * SLOW) == 0, 'Ctrl-C does not end it')
    print('ok: a share in a terminal, with its code', flush=True)


def forgotten(node, address, running=0):
    deadline = time.monotonic() + 30 * SLOW
    while address in json.dumps(node.ask('expose', 'list')) or address in json.dumps(node.ask('dark', 'list')):
        check(time.monotonic() < deadline, 'the address outlives its share')
        time.sleep(0.1)
    left = [p.name for p in node.dir.iterdir() if p.name.startswith('share-')]
    check(len(left) == running, f'in the state folder: {left}')


def ends(client, node, top):
    share = Share(node, '--once', '--name', 'papers.bin', top / 'sub/deeper/x')
    fetch(client, share.address, '-o', TOP / 'once')
    said = share.ended()
    check(said == {'ended': {'why': 'fetched'}}, f'once: {said}')
    check(digest(TOP / 'once/papers.bin') == digest(top / 'sub/deeper/x'), 'another content')
    forgotten(node, share.address, running=1)
    code, text = client.tool('fetch', share.address, '-o', TOP / 'once2', timeout=120)
    check(code in (4, 5), f'a share that has ended is there: {code} {text}')
    share = Share(node, top / 'empty')
    kind = next(s['kind'] for s in node.ask('expose', 'list')['services'] if s['address'] == share.address)
    check(kind == 'hidden', f'a share has an address of kind {kind}')
    share.process.send_signal(signal.SIGKILL)
    share.process.wait()
    forgotten(node, share.address, running=1)
    print('ok: ends once it was fetched, when it is stopped, and with its process', flush=True)


def daemon_killed(node, top):
    """the daemon is killed: the share says so, and its successor destroys the address"""
    share = Share(node, top / 'empty')
    node.kill()
    check('error' in share.ended(code=1), 'a share without its daemon does not say so')
    node.start()
    forgotten(node, share.address)
    print('ok: an address that a killed daemon left is forgotten', flush=True)


def daemon_ends(client, node, top):
    """an orderly end withdraws the record of a share that runs, before the daemon is gone"""
    share = Share(node, top / 'empty')
    begun = time.monotonic()
    node.down()
    took = time.monotonic() - begun
    check('error' in share.ended(code=1), 'a share without its daemon does not say so')
    code, text = client.tool('dark', 'resolve', share.address)
    check(code == 4, f'its record is there after the end: {code} {text}')
    check(took < 10 * SLOW, f'the end took {took:.1f} s')
    node.start()
    print(f'ok: an orderly end withdraws what is shared ({took:.1f} s)', flush=True)


class Hostile(http.server.BaseHTTPRequestHandler):
    """a list that wants to be elsewhere"""
    lines = ''

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = self.lines.encode() if self.path == '/.well-known/qudag-share' else b'evil'
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


def hostile(client, node):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Hostile)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = node.ask('expose', f'80:127.0.0.1:{server.server_address[1]}', '--name', 'evil')['address']
    out, ok = TOP / 'jail/in', '0' * 64
    for name, path in (('..', 'f'), ('x', '../evil'), ('x', '%2e%2e/evil'), ('x', '/evil'), ('x', 'a/../../evil')):
        Hostile.lines = f'qudag-share 1\nname {name}\nfile {ok} 4 {path}\nend 1 4\n'
        code, text = client.tool('fetch', address, '-o', out, timeout=120)
        check(code == 4 and 'NO_SHARE' in text, f'{name} {path}: {code} {text}')
    for name, path in (('.ssh', '.bashrc'), ('x', 'aux%3a/%1b%5b2J')):
        Hostile.lines = f'qudag-share 1\nname {name}\nfile {ok} 4 {path}\nend 1 4\n'
        code, text = client.tool('fetch', address, '-o', out, timeout=120)
        check(code == 1 and 'HASH_DIFFERS' in text and '\x1b' not in text, f'{name} {path}: {code} {text}')
    there = [p for p in (TOP / 'jail').rglob('*') if not p.is_dir()]
    check(not there and not (out / '.ssh').exists(), f'written: {there}')
    Hostile.lines = '<html>'
    code, text = client.tool('fetch', address, '-o', out)
    check(code == 4 and 'not a share' in text, f'a web site: {code} {text}')
    print('ok: a hostile list writes nothing outside the folder, nor what its hash does not fit', flush=True)


def stranger(client, address, user):
    """a connection through the proxy, over a circuit that is of |user| alone, which asks for nothing; or it is not let in"""
    host, port = client.ask('proxy')['listen'].rsplit(':', 1)
    s = socket.create_connection((host, int(port)), timeout=60 * SLOW)
    name = address.encode()
    s.sendall(b'\5\1\2' + bytes([1, len(user)]) + user + b'\0' + bytes([5, 1, 0, 3, len(name)]) + name + b'\0\x50')
    got = b''
    while len(got) < 14:
        more = s.recv(14 - len(got))
        check(more, f'the proxy hung up after {got}')
        got += more
    if got[5] == 0:
        s.sendall(b'GET / HTTP/1.1\r\n')
    return s


def crowded(client, share):
    """two who take all the places that they get leave one for whoever comes next"""
    held = [stranger(client, share.address, user) for user in (b'one', b'two') for _ in range(50)]
    with tempfile.TemporaryDirectory(dir=TOP) as out:
        got = fetch(client, f'{share.address}/empty', '-o', out)
        check(got['files'] == 1, f'{got}')
    for s in held:
        s.close()
    print('ok: callers who hold a hundred connections keep nobody out', flush=True)


def wrong(client, share):
    """what can be wrong, in words"""
    tool = [QUDAG, '--dir', client.dir]
    mistyped = ('b' if share.address[0] != 'b' else 'c') + share.address[1:]
    says('a mistyped address', 'checksum', 2, *tool, 'fetch', mistyped)
    says('no address', 'not a dark address', 2, *tool, 'fetch', 'example.com')
    says('a petname of nobody', 'no such petname', 4, *tool, 'fetch', 'nobody.dark')
    says('a port', 'without a port', 2, *tool, 'fetch', f'{share.address}:8080')
    says('a share of a device', 'neither a file nor a folder', 2, *tool, 'share', '/dev/null')
    says('a share of nothing', 'No such file', 4, *tool, 'share', TOP / 'none')
    says('the name of a share', 'choose another --name', 2, *tool, 'expose', '80', '--name', 'share-' + '0' * 24)
    says('no daemon', 'not running', 3, QUDAG, '--dir', TOP / 'no', 'share', TOP)
    (TOP / 'small').mkdir()
    disk = f'mount -t tmpfs -o size=256k none "{TOP}/small" && exec "$0" "$@"'
    if run('unshare', '-rm', 'sh', '-c', disk, 'true')[0] == 0:
        says('a full disk', ['DISK_FULL', 'make room'], 1, 'unshare', '-rm', 'sh', '-c', disk, QUDAG, '--json', '--dir',
             client.dir, 'fetch', share.address, '-o', TOP / 'small', timeout=120)


def main():
    nodes = network(7)
    client, node = nodes[3], nodes[5]
    top, svg = folder(), TOP / 'code.svg'
    share = Share(node, top, '--qr-svg', svg)
    check(share.said['files'] == 5, f'{share.said}')
    picture(svg, share)
    whole_and_again(client, share, top)
    killed_and_cut_off(client, share, top)
    curl(client, share, top)
    browser(client, share)
    crowded(client, share)
    wrong(client, share)
    ends(client, node, top)
    check(fetch(client, f'{share.address}/empty', '-o', TOP / 'still')['files'] == 1, 'it ended with another')
    share.process.send_signal(signal.SIGTERM)
    check(share.ended() == {'ended': {'why': 'stopped'}}, 'SIGTERM does not end it in order')
    forgotten(node, share.address)
    terminal(node, top)
    hostile(client, node)
    daemon_killed(node, top)
    daemon_ends(client, node, top)
    for n in nodes:
        n.down()


main()
