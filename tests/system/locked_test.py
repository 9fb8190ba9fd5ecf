#!/usr/bin/python3
"""A service for those whom its owner named: who has no key is told so, who has one gets the page, who was removed nothing.

TEST: timeout=120 waits
"""
import pathlib
import socketserver
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import leaks  # noqa: E402
from programs import QUDAG, SLOW, TOP, check, network, run  # noqa: E402

PAGE = b'for friends\n'


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def address_string(self):
        return 'a Unix socket'

    def log_message(self, *_):
        pass


def serve():
    path = TOP / 'web.sock'
    server = socketserver.ThreadingUnixStreamServer(str(path), Page)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # who was cut off does not take his page
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return path


def connection(node, address, key):
    """an open connection to the service, on pipes"""
    return subprocess.Popen([str(QUDAG), '--dir', str(node.dir), 'connect', address, '80', '--isolate', key],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def page(node, address, key):
    """(exit code, what came, what the tool said)"""
    with connection(node, address, key) as c:
        out, err = c.communicate(b'GET / HTTP/1.0\r\n\r\n', timeout=60 * SLOW)
    return c.returncode, out, err.decode()


def refused(node, address):
    """told what it needs: by resolving, and by a connection"""
    code, text = node.tool('dark', 'resolve', address)
    check(code == 6 and 'QUDAG_ENEEDAUTH' in text and 'qudag dark authorize ADDRESS KEY' in text, f'resolve: {code} {text}')
    code, out, said = page(node, address, 'refused')
    check(code == 6 and out == b'' and 'qudag dark authorize ADDRESS KEY' in said, f'connect: {code} {out} {said}')


def until_page(node, address, what):
    """its record is another one now: asked again until that is out"""
    until = time.monotonic() + 90 * SLOW
    nth = 0
    while (got := page(node, address, f'{what} {nth}'))[0] != 0 or PAGE not in got[1]:
        check(time.monotonic() < until, f'{what}: {got}')
        nth += 1
        time.sleep(0.5)


def words(node, address):
    """what cannot be is said"""
    code, text = node.tool('dark', 'authorize', address, 'x' * 56)
    check(code == 2 and 'copy it whole' in text, f'no key: {code} {text}')
    code, text = node.tool('dark', 'authorize', address, '--remove')
    check(code == 4 and 'no key for that address' in text, f'none to forget: {code} {text}')
    direct = node.ask('dark', 'new', 'open', '--direct')['address']
    code, text = node.tool('dark', 'client', 'add', direct, 'anne')
    check(code == 2 and 'direct kind' in text, f'a direct address: {code} {text}')
    code, text = node.tool('dark', 'client', 'list', address)
    check(code == 4 and 'does not own' in text, f'a foreign address: {code} {text}')
    code, text = run(QUDAG, '--dir', node.dir, 'dark', 'client')
    check(code == 2 and 'add, list or remove' in text, f'dark client: {code} {text}')


def main():
    nodes = network(7)
    host, anne, ben, nobody = nodes[2], nodes[3], nodes[4], nodes[5]
    address = host.ask('dark', 'new', 'club')['address']
    keys = {n: host.ask('dark', 'client', 'add', 'club', n)['key'] for n in ('anne', 'ben')}
    check(len({*keys.values()}) == 2 and all(len(k) == 56 for k in keys.values()), 'keys of another form')
    code, text = host.tool('dark', 'client', 'add', 'club', 'anne')
    check(code == 2 and 'anne is a client already' in text, f'the same twice: {code} {text}')
    check(host.ask('dark', 'show', 'club')['clients_only'], 'it is open')
    check(host.ask('expose', f'80:unix:{serve()}', '--name', 'club')['published'], 'it is not published')

    for _ in range(8):  # also when he tries so often that he must wait: that would not help him
        refused(nobody, address)
    words(nobody, address)
    print('ok: who has no key is told what he needs', flush=True)
    anne.ask('dark', 'authorize', address, keys['anne'])
    done = subprocess.run([str(QUDAG), '--dir', str(ben.dir), 'dark', 'authorize', address, '-'], input=keys['ben'] + '\n',
                          text=True, capture_output=True, timeout=30)
    check(done.returncode == 0 and keys['ben'] not in done.stdout, f'a key from standard input: {done}')
    for n, daemon in (('anne', anne), ('ben', ben), ('anne', host), ('ben', host)):
        check(leaks.in_memory(daemon.pid, keys[n].encode()) is not True, f'the key of {n} is in the memory of {daemon.dir.name}')
    check(leaks.in_memory(host.pid, b'club') is not False, 'nothing is found in a memory')
    for n in (anne, ben):
        until_page(n, address, 'a client')
    print('ok: clients get the page', flush=True)

    with connection(ben, address, 'open') as c:
        c.stdin.write(b'GET / HTTP/1.0\r\n')  # half a request: the connection stands, and waits
        c.stdin.flush()
        until = time.monotonic() + 30 * SLOW
        while host.ask('expose', 'status', 'club')['connections'] == 0:
            check(time.monotonic() < until, 'no connection')
            time.sleep(0.1)
        check(host.ask('dark', 'client', 'remove', 'club', 'ben')['who'] == 'clients only', 'it is open')
        check(c.wait(timeout=30 * SLOW) != 0 or PAGE not in c.stdout.read(), 'he was not cut off')
    code, out, said = page(ben, address, 'removed')
    check(code != 0 and out == b'', f'a removed client: {code} {out} {said}')
    check([c['name'] for c in host.ask('dark', 'client', 'list', 'club')['clients']] == ['anne'], 'the list is another')
    print('ok: who is removed is cut off, and comes in no more', flush=True)

    for n in (host, anne):
        n.kill()
        n.start()
    until_page(anne, address, 'after a restart')
    check(host.ask('dark', 'show', 'club')['clients_only'], 'it is open after a restart')
    refused(nobody, address)
    code, out, said = page(ben, address, 'removed still')
    check(code != 0 and out == b'', f'a removed client after a restart: {code} {out} {said}')
    print('ok: both sides outlive a SIGKILL of their daemons', flush=True)
    for n in nodes:
        n.down()


main()
