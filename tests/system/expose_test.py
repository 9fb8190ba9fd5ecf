#!/usr/bin/python3
"""qudag expose, and the examples that host and call a service: a web server of this machine answers callers at a dark address.

TEST: timeout=170
"""
import http.server
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from programs import SLOW, QUDAG, check, example, network, says  # noqa: E402

PAGE = b'<h1>hello from nowhere</h1>'


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


def web():
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def get(caller, bootstrap, address):
    """whether the service at |address| answers with the page, asked once by a program that joins for it"""
    done = subprocess.run([caller, bootstrap, address, 'GET / HTTP/1.0\r\n\r\n', '--lab'], capture_output=True,
                          timeout=100 * SLOW)
    if PAGE not in done.stdout:
        print(done.stdout, done.stderr, flush=True)
    return PAGE in done.stdout


def published(node, name):
    """waits until the record of a service is out: from then on callers find it"""
    until = time.monotonic() + 90 * SLOW
    while not node.ask('expose', 'status', name)['published']:
        check(time.monotonic() < until, f'{name} is not published')
        time.sleep(0.2)


def wrong(node):
    tool = [QUDAG, '--dir', node.dir, 'expose']
    for what, part, code, *args in (
            ('no port', 'which port?', 2),
            ('a port that is none', 'VIRTUAL from 1 to 65535', 2, '70000'),
            ('a name as target', 'names are not looked up', 2, '80:example.com:80'),
            ('another machine', ['--force', 'another machine'], 6, '80:192.0.2.1:80'),
            ('a port given twice', 'given twice', 2, '80', '80:81'),
            ('a relative path', "begins with '/'", 2, '80:unix:web.sock'),
            ('too many ports', 'at most 16 ports', 2, *[str(p) for p in range(1, 18)]),
            ('a long name', 'name of 1 to 32', 2, '80', '--name', 'x' * 33),
            ('a mistyped command', 'did you mean list?', 2, 'lst'),
            ('list with an argument', 'takes no argument', 2, 'list', 'web'),
            ('status of none', 'no service of that name', 4, 'status', 'none'),
            ('remove without one', 'takes one service', 2, 'remove'),
            ('remove of none', 'qudag expose list', 4, 'remove', 'none'),
            ('a bad time-out', '--timeout takes seconds', 2, '80', '--timeout', 'soon')):
        says(f'expose: {what}', part, code, *tool, *args)


def main():
    caller, host = example('open_stream'), example('host_service')
    nodes = network(6)
    bootstrap, node = nodes[0].bootstrap, nodes[4]
    said = subprocess.run([caller, bootstrap], capture_output=True, text=True, timeout=60)
    check(said.returncode == 2 and 'usage:' in said.stderr, f'open_stream without words: {said}')
    port = web()
    wrong(node)
    check(node.ask('expose', 'list')['services'] == [], 'what was refused is there')

    made = node.ask('expose', f'80:127.0.0.1:{port}', '81:unix:/nowhere', '--name', 'web')
    address = made['address']
    check(made['published'] and made['ports'] == [f'80:tcp:127.0.0.1:{port}', '81:unix:/nowhere'], f'{made}')
    check(get(caller, bootstrap, address), 'the page does not come')
    seen = node.ask('expose', 'status', 'web')
    check(seen['accepted'] >= 1 and seen['bytes_out'] > len(PAGE), f'{seen}')
    print('ok: a page through qudag expose', flush=True)

    again = node.ask('expose', f'80:{port}', '--name', 'web')
    check(again['address'] == address and len(again['ports']) == 1, f'given again it is another: {again}')
    node.kill()
    node.start()
    check([s['address'] for s in node.ask('expose', 'list')['services']] == [address], 'lost by a SIGKILL')
    published(node, 'web')
    check(get(caller, bootstrap, address), 'the page does not come after a restart')
    print('ok: the service outlives a SIGKILL of the daemon, at the same address', flush=True)

    node.ask('expose', 'remove', 'web')
    check(node.ask('expose', 'list')['services'] == [], 'removed and still there')
    check(not get(caller, bootstrap, address), 'removed and still served')
    node.kill()
    node.start()
    check(node.ask('expose', 'list')['services'] == [], 'removed, and back after a restart')
    print('ok: removed is removed', flush=True)

    example_host(caller, host, bootstrap, port)
    examples_say_why_they_wait(caller, host, bootstrap, port)
    for n in nodes:
        n.down()


def examples_say_why_they_wait(caller, host, bootstrap, port):
    """without --lab, in a lab: not for ever without a word"""
    for args in ((host, bootstrap, f'80:127.0.0.1:{port}'), (caller, bootstrap, f'{"a" * 63}.dark', 'x')):
        waits = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = waits.stderr.readline()
        waits.kill()
        check(said.startswith('waits: '), f'{args[0].name} says {said!r}')
    print('ok: the examples say what they wait for', flush=True)


def example_host(caller, host, bootstrap, port):
    served = subprocess.Popen([host, bootstrap, f'80:127.0.0.1:{port}', '--lab'], stdout=subprocess.PIPE, text=True)
    try:
        address = served.stdout.readline().strip()
        check(address.endswith('.dark'), f'examples/host_service says {address}')
        check(get(caller, bootstrap, address), 'the page does not come from examples/host_service')
        print('ok: the examples, one that hosts and one that calls', flush=True)
    finally:
        served.terminate()
        served.wait()


main()
