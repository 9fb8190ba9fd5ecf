#!/usr/bin/python3
"""Names in addresses, with a daemon confined as by default: joining by /dnsaddr, connecting by /dns4, and what is said of names
that lead nowhere.  In a network namespace with a name server and a resolv.conf of its own.

TEST: timeout=120
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
INSIDE = 'QUDAG_TEST_NAMES'


def enter():
    """this program again, in a network of its own"""
    own = ['unshare', *([] if os.geteuid() == 0 else ['--map-root-user']), '--net', '--mount']
    tools = all(shutil.which(tool) for tool in ('unshare', 'ip', 'mount'))
    if not tools or subprocess.run([*own, 'mount', '--bind', '/etc/hosts', '/etc/hosts'], capture_output=True).returncode != 0:
        print('left out: no network namespace can be made here', flush=True)
        sys.exit(77)
    os.environ[INSIDE] = '1'
    os.execvp(own[0], [*own, sys.executable, os.path.abspath(sys.argv[0])])


if INSIDE not in os.environ:
    enter()
from programs import QUDAG, TOP, Node, check, says  # noqa: E402


def begin_server(zone):
    conf = TOP / 'resolv.conf'
    conf.write_text('nameserver 127.0.0.1\n')
    for args in (['ip', 'link', 'set', 'lo', 'up'], ['mount', '--bind', conf, os.path.realpath('/etc/resolv.conf')]):
        subprocess.run(args, check=True)
    server = subprocess.Popen([sys.executable, pathlib.Path(__file__).with_name('name_server.py'), '53'], stdin=subprocess.PIPE,
                              stdout=open(TOP / 'asked', 'w'), text=True)
    server.stdin.write(json.dumps(zone))
    server.stdin.close()
    return server


def main():
    first = Node('first')
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    first.start()
    address, peer = first.bootstrap.split('#')[0], first.peer
    port = address.split('/')[4]
    other = address.replace('/ip4/127.0.0.1', '/ip4/127.0.0.9')  # nobody is there
    server = begin_server({
        '_dnsaddr.boot.test': {'TXT': ['v=spf1 -all', f'dnsaddr={other}', 'dnsaddr=/dnsaddr/more.test', f'dnsaddr={address}',
                                       *[f'dnsaddr=/dns4/h{i}.test/udp/1/quic-v1/p2p/{peer}' for i in range(5)]]},
        '_dnsaddr.more.test': {'TXT': ['dnsaddr=/dnsaddr/boot.test']},
        'first.test': {'A': ['127.0.0.1']},
        'silent.test': 'silent',
    })
    try:
        second = Node('second', f'node.bootstrap=/dnsaddr/boot.test/p2p/{peer}').start(wait=False)
        until = time.monotonic() + 30
        while second.ask('status')['phase'] != 'relays' and time.monotonic() < until:
            time.sleep(0.2)
        check(second.ask('status')['table'] == 1, 'nobody was found by the list')
        log = (second.dir / 'qudagd.log').read_text()
        check(os.environ.get('QUDAG_SANITIZED') == '1' or 'system calls filtered: yes' in log, log)
        print('ok: a network is joined by a name, by a daemon that is confined', flush=True)
        third = Node('third').start()
        says('no such host', 'nowhere.test: no such host', 4, QUDAG, '--dir', third.dir, 'connect',
             f'/dns4/nowhere.test/udp/{port}/quic-v1/p2p/{peer}')
        says('no address of IPv6', 'first.test: has no IPv6 address', 4, QUDAG, '--dir', third.dir, 'connect',
             f'/dns6/first.test/udp/{port}/quic-v1/p2p/{peer}')
        says('a name server that does not answer', 'silent.test: no name server answered', 5, QUDAG, '--dir', third.dir, 'connect',
             f'/dns4/silent.test/udp/{port}/quic-v1/p2p/{peer}')
        says('no list', 'first.test: has no dnsaddr record', 4, QUDAG, '--dir', third.dir, 'connect', f'/dnsaddr/first.test/p2p/{peer}')
        says('a name', peer, 0, QUDAG, '--dir', third.dir, 'connect', f'/dns4/first.test/udp/{port}/quic-v1/p2p/{peer}')
        asked = (TOP / 'asked').read_text()
        check('first.test 28' in asked and '_dnsaddr.boot.test 16' in asked, asked)
        for n in (third, second, first):
            n.down()
    finally:
        server.kill()


main()
