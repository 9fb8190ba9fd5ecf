#!/usr/bin/python3
"""The proxy with real programs: curl, what ssh runs as ProxyCommand, WebSocket, server-sent events; in front of a web server
that another node exposes.

TEST: timeout=170
"""
import base64
import concurrent.futures
import hashlib
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from programs import TOP, SLOW, QUDAG, check, network, run, says  # noqa: E402

MIB = 1 << 20
BIG = bytes(range(256)) * (4 * MIB // 256)
UPLOAD = 100 * MIB // SLOW


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    seen = []  # heads of requests, as they came

    def log_message(self, *_):
        pass

    def answer(self, body, status=200, **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace('_', '-'), value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        Site.seen.append(f'{self.requestline}\n{self.headers}')
        if self.path == '/events':
            return self.events()
        if self.path == '/ws':
            return self.websocket()
        if self.path != '/big':
            return self.answer(b'hello ' + self.path.encode())
        span = self.headers.get('Range')
        if not span:
            return self.answer(BIG)
        first, last = span.removeprefix('bytes=').split('-')
        first, last = int(first), int(last or len(BIG) - 1)
        return self.answer(BIG[first:last + 1], 206, Content_Range=f'bytes {first}-{last}/{len(BIG)}')

    def events(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.end_headers()
        for ix in range(3):
            self.wfile.write(f'data: {ix}\n\n'.encode())
            self.wfile.flush()
            time.sleep(0.3)
        self.close_connection = True

    def websocket(self):
        key = self.headers['Sec-WebSocket-Key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'  # RFC 6455 section 1.3
        self.send_response(101)
        self.send_header('Upgrade', 'websocket')
        self.send_header('Connection', 'Upgrade')
        self.send_header('Sec-WebSocket-Accept', base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        head = self.rfile.read(2)
        mask, body = self.rfile.read(4), self.rfile.read(head[1] & 127)
        text = bytes(b ^ mask[i % 4] for i, b in enumerate(body))
        self.wfile.write(bytes([0x81, len(text)]) + text)
        self.close_connection = True

    def do_PUT(self):
        digest, left = hashlib.sha256(), int(self.headers['Content-Length'])
        while left > 0:
            got = self.rfile.read(min(left, 65536))
            if not got:
                return
            digest.update(got)
            left -= len(got)
        self.answer(digest.hexdigest().encode())


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


def curl(door, *args, how='socks5h', timeout=60):
    """(exit code, standard output) of curl through the proxy"""
    done = subprocess.run(['curl', '-sS', '-m', str(timeout * SLOW), '--proxy', f'{how}://{door}', *args],
                          capture_output=True, timeout=(timeout + 20) * SLOW)
    return done.returncode, done.stdout + (b'' if done.returncode == 0 else done.stderr)


def gets(what, door, expected, *args, **how):
    for attempt in range(4):  # a record that has just been published may not be found at once
        code, got = curl(door, *args, **how)
        if code == 0 and got == expected:
            print(f'ok: {what}', flush=True)
            return
        time.sleep(1)
    check(False, f'{what}: exit {code}: {got[:500]}')


def refused(door, site):
    """failures are told by codes, and by a page"""
    typo = site.replace(site[5], 'b' if site[5] != 'b' else 'c', 1)
    for what, host, socks, status, word in (
            ('an address with a typing error', typo, b'(246)', b'400', b'mistake'),
            ('an unknown petname', 'nothere.dark', b'(240)', b'404', b'petname'),
            ('a name outside', 'example.org', b'(2)', b'403', b'outside .dark'),
            ('an IP address', '192.0.2.1', b'(8)', b'403', b'IP address'),
            ('a port that the service has not', f'{site}:81', b'(5)', b'502', b'no such port')):
        code, text = curl(door, f'http://{host}/')
        check(code == 97 and socks in text, f'{what}: {code} {text}')
        code, text = curl(door, '-w', '%{http_code}', f'http://{host}/', how='http')
        check(code == 0 and text.endswith(status) and word in text, f'{what}: {code} {text}')
        code, text = curl(door, '-p', f'http://{host}/', how='http')
        check(code == 56 and status in text, f'{what}: CONNECT: {code} {text}')
    code, text = run('curl', '-sS', '-w', '%{http_code}', f'http://{door}/')
    check(text.endswith('400') and 'not a web site' in text, f'the port as a site: {text}')
    print('ok: failures', flush=True)


def large(door, site):
    gets('a file', door, BIG, f'http://{site}/big')
    gets('a file by HTTP', door, BIG, f'http://{site}/big', how='http')
    gets('a part of it', door, BIG[1000:2001], '-r', '1000-2000', f'http://{site}/big')
    part = TOP / 'part'
    part.write_bytes(BIG[:MIB])
    code, text = curl(door, '-C', '-', '-o', part, f'http://{site}/big', how='http')
    check(code == 0 and part.read_bytes() == BIG, f'a download that goes on: {code} {text}')
    up, digest = TOP / 'up', hashlib.sha256()
    with open(up, 'wb') as out:
        for _ in range(UPLOAD // MIB):
            block = os.urandom(MIB)
            digest.update(block)
            out.write(block)
    began = time.monotonic()
    gets(f'an upload of {UPLOAD // MIB} MiB', door, digest.hexdigest().encode(), '-T', up, f'http://{site}/up', timeout=100)
    print(f'    {UPLOAD / MIB / (time.monotonic() - began):.0f} MiB/s', flush=True)


def parallel(door, site):
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        began = time.monotonic()
        for how in ('socks5h', 'http'):
            each = [pool.submit(curl, door, f'http://{site}/{n}', how=how) for n in range(50)]
            for n, one in enumerate(each):
                check(one.result() == (0, f'hello /{n}'.encode()), f'{n} of 50: {one.result()}')
        print(f'ok: twice 50 at once, {time.monotonic() - began:.1f} s', flush=True)


def until(sock, done, what):
    """reads until what came is |done|"""
    got = b''
    while not done(got):
        block = sock.recv(4096)
        check(block, f'{what} ended early: {got}')
        got += block


def live(door, site):
    """server-sent events come one by one, and WebSocket both ways, by CONNECT and by a whole URL"""
    done = subprocess.Popen(['curl', '-sSN', '--proxy', f'http://{door}', f'http://{site}/events'], stdout=subprocess.PIPE)
    first = done.stdout.readline()
    began = time.monotonic()
    rest = done.stdout.read()
    check(first == b'data: 0\n' and rest.endswith(b'data: 2\n\n') and done.wait() == 0, f'events: {first} {rest}')
    check(time.monotonic() - began > 0.4, 'events came all at once')
    hello = (f'GET /ws HTTP/1.1\r\nHost: {site}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
             'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n').encode()
    frame = b'\x81\x82mask' + bytes(b ^ m for b, m in zip(b'hi', b'mask'))
    tunnel = f'CONNECT {site}:80 HTTP/1.1\r\n\r\n'.encode()
    whole = hello.replace(b'/ws', f'http://{site}/ws'.encode(), 1)
    for how, text in (('CONNECT', tunnel + hello + frame), ('a whole URL', whole)):
        host, port = door.rsplit(':', 1)
        with socket.create_connection((host, int(port)), timeout=30 * SLOW) as s:
            s.sendall(text)
            if how != 'CONNECT':  # RFC 6455 section 4.1: nothing before the answer, whose key is that of section 1.3
                until(s, lambda got: b's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' in got and got.endswith(b'\r\n\r\n'), 'WebSocket')
                s.sendall(frame)
            until(s, lambda got: b'\x81\x02hi' in got, f'WebSocket by {how}')
    print('ok: server-sent events and WebSocket', flush=True)


def names(caller, door, site):
    tool = [QUDAG, '--dir', caller.dir]
    says('a petname', 'blog.dark', 0, *tool, 'name', 'add', 'Blog', site)
    says('the same again', 'blog.dark', 0, *tool, 'name', 'add', 'blog.dark', site)
    says('a message to a petname of nobody', 'there is no petname nobody', 4, QUDAG, '--dir', caller.dir, 'send', 'nobody.dark', '-m', 'x')
    for what, part, code, *args in (
            ('no petname', 'is no petname', 2, 'add', 'a.b', site),
            ('letters of others', 'is no petname', 2, 'add', 'xn--bcher-kva', site),
            ('no address', 'is no dark address', 2, 'add', 'other', 'nonsense'),
            ('no command', 'add NAME ADDRESS, list or remove NAME', 2, 'lst'),
            ('nothing to remove', 'no petname other', 4, 'remove', 'other')):
        says(what, part, code, *tool, 'name', *args)
    check(caller.ask('name', 'list')['names'] == [{'name': 'blog.dark', 'address': site}], 'name list')
    gets('a petname in the proxy', door, b'hello /n', 'http://blog.dark/n')
    del Site.seen[:]
    gets('and by HTTP', door, b'hello /p', '-e', 'http://blog.dark/from', 'http://blog.dark/p', how='http')
    check('blog.dark' not in Site.seen[-1] and f'Host: {site}' in Site.seen[-1], f'a petname was sent: {Site.seen[-1]}')
    says('resolve by petname', '"cached"', 0, *tool, '--json', 'dark', 'resolve', 'blog.dark')
    says('resolve of an unknown one', 'no petname other', 4, *tool, 'dark', 'resolve', 'other.dark')


def connections(caller, site):
    """what ssh calls a ProxyCommand"""
    tool = [QUDAG, '--dir', caller.dir, 'connect']
    asked = b'GET /c HTTP/1.0\r\n\r\n'
    for host in ('blog.dark', site):
        done = subprocess.run([*tool, host, '80'], input=asked, capture_output=True, timeout=60 * SLOW)
        check(done.returncode == 0 and done.stdout.endswith(b'hello /c'), f'connect {host}: {done}')
    done = subprocess.run([*tool, 'blog.dark', '80', '--isolate', 'me'], input=asked, capture_output=True, timeout=60 * SLOW)
    check(done.returncode == 0 and done.stdout.endswith(b'hello /c'), f'connect --isolate: {done}')
    says('a port that is not there', 'no such port', 6, *tool, 'blog.dark', '81')
    says('no port', '1 to 65535', 2, *tool, 'blog.dark', '70000')
    says('a name outside', 'not under .dark', 6, *tool, 'example.org', '80')
    says('three words', 'a dark address and a port', 2, *tool, 'a', 'b', 'c')


def main():
    if shutil.which('curl') is None or run(QUDAG, 'help', 'expose')[0] != 0:
        print('SKIPPED: no curl, or a tool without expose')
        sys.exit(77)
    nodes = network(8)
    service, caller = nodes[6], nodes[7]
    server = Server(('127.0.0.1', 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shown = service.ask('expose', f'80:127.0.0.1:{server.server_address[1]}', '--direct', '--name', 'web', timeout=100)
    site = shown['address']
    proxy = caller.ask('proxy')
    door = proxy['listen']
    check(proxy['running'] and door.startswith('127.0.0.1:'), str(proxy))
    gets('a page', door, b'hello /', f'http://{site}/')
    gets('a page by HTTP', door, b'hello /', f'http://{site}/', how='http')
    gets('a page by CONNECT', door, b'hello /', '-p', f'http://{site}/', how='http')
    gets('a page of another user', door, b'hello /', '--proxy-user', 'a:b', f'http://{site}/')
    refused(door, site)
    large(door, site)
    parallel(door, site)
    live(door, site)
    names(caller, door, site)
    connections(caller, site)
    check(caller.ask('proxy')['opened'] > 100, 'counters')
    server.shutdown()
    for n in nodes:
        n.down()


main()
