#!/usr/bin/python3
"""Files and messages to a peer that is named by its peer id: who is allowed and who is not, over restarts and by configuration;
over a circuit relay between two hosts that let nothing in.

TEST: timeout=240 waits

Skipped, and said so, where namespaces cannot be made.
"""
import hashlib
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hosts  # noqa: E402
from homes import Home, Relay, down, took, until, up  # noqa: E402
from programs import check, run, QUDAG  # noqa: E402

NOBODY = '12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo'  # whom nobody knows
RELAY, RECEIVER, SENDER = 1, 2, 3


def human(node, *args, timeout=120):
    """what the tool says to people: (exit code, text)"""
    return run(*node.command(QUDAG, '--dir', node.dir, *args), timeout=timeout)


def place(node):
    """-> where others reach |node| through the relay, once a place is held"""
    rows = [r for r in node.ask('peers', '--places')['places'] if r['state'] == 'held']
    return rows[0]['address'] if rows else None


def refused(sender, receiver, why):
    code, text = human(sender, 'send', receiver.peer, '-m', 'may I?')
    check(code == 6 and 'takes nothing from this node' in text and 'there, qudag peer allow' in text, f'{why}: exit {code}: {text}')


def delivered(sender, receiver, text):
    code, said = human(sender, 'send', receiver.peer, '-m', text)
    check(code == 0 and 'not anonymous' in said and 'over relay' in said and 'delivered' in said, f'exit {code}: {said}')


def of_sender(receiver, sender):
    return [i for i in receiver.ask('inbox')['inbox'] if i['from'] == sender.peer]


def who_is_allowed(sender, receiver):
    """nobody; others; he; not any more: live, and over a restart"""
    refused(sender, receiver, 'nobody is allowed')
    receiver.ask('peer', 'allow', receiver.other)
    refused(sender, receiver, 'another is allowed')
    receiver.ask('peer', 'allow', sender.peer)
    delivered(sender, receiver, 'hello')
    check(len(of_sender(receiver, sender)) == 1, f'{receiver.ask("inbox")}')
    receiver.ask('peer', 'disallow', receiver.other)
    rows = receiver.ask('peers', '--allowed')['allowed']
    check([(r['peer'], r['set']) for r in rows] == [(sender.peer, False)], f'{rows}')
    print('ok: only who is allowed is received, and the inbox names him', flush=True)


def after_a_restart(sender, receiver, connect):
    receiver.down()
    up(receiver)
    connect()
    delivered(sender, receiver, 'again')
    check(len(of_sender(receiver, sender)) == 2, f'{receiver.ask("inbox")}')
    receiver.ask('peer', 'disallow', sender.peer)
    refused(sender, receiver, 'he is not any more')
    receiver.down()
    up(receiver)
    connect()
    check(receiver.ask('peers', '--allowed')['allowed'] == [], 'who was let go is allowed after a restart')
    refused(sender, receiver, 'nor after a restart')
    receiver.down()
    conf = receiver.dir / 'qudag.conf'
    conf.write_text(conf.read_text() + f'[inbox]\nfrom = {sender.peer}\n')
    up(receiver)
    connect()
    rows = receiver.ask('peers', '--allowed')['allowed']
    check([(r['peer'], r['set']) for r in rows] == [(sender.peer, True)], f'{rows}')
    delivered(sender, receiver, 'by configuration')
    print('ok: it lasts over restarts, by command and by configuration', flush=True)


MARK = b'nobody between the two reads this'
SNIFFS = f"""
import select, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
print('ready', flush=True)
seen = marks = 0
while not select.select([0], [], [], 0)[0] or select.select([s], [], [], 0)[0]:
    if select.select([s], [], [], 0.1)[0]:
        data = s.recv(65536)
        seen, marks = seen + len(data), marks + ({MARK!r} in data)
print(seen, marks)
"""


def nobody(sender):
    """a delivery to whom nobody knows says so while it is tried again, and what makes a peer be found"""
    command = sender.command(QUDAG, '--dir', sender.dir, 'send', NOBODY, '-m', 'anybody?')
    with subprocess.Popen([str(a) for a in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as p:
        said = ''
        for line in p.stdout:
            said += line
            if 'peer allow' in line:
                break
        p.terminate()
    check('the peer is not found' in said and 'peer allow' in said, f'send to nobody: {said}')


def a_file(sender, receiver, relay):
    path = sender.dir / 'film'
    path.write_bytes(MARK * ((3 << 20) // len(MARK)) + os.urandom(100))
    before = relay.stat('circuit_relay_bytes')
    with subprocess.Popen([str(a) for a in relay.command('/usr/bin/python3', '-c', SNIFFS)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as sniffs:
        check(sniffs.stdout.readline() == 'ready\n', 'nothing can be captured at the relay')
        with took('3 MiB through a circuit relay'):
            code, text = human(sender, '--json', 'send', receiver.peer, path)
        seen, marks = map(int, sniffs.communicate('\n')[0].split())
    check(seen > 3 << 20 and marks == 0, f'at the relay: {seen} bytes, of which {marks} packets show the content')
    print('ok: what passes the relay shows nothing of the content', flush=True)
    check(code == 0 and '"over":"relay"' in text and f'"relay":"{relay.peer}"' in text, f'exit {code}: {text[-900:]}')
    check(relay.stat('circuit_relay_bytes') - before > 3 << 20, 'it did not go through the relay')
    item = next(i for i in of_sender(receiver, sender) if i['name'] == 'film')
    got = hashlib.sha256(pathlib.Path(item['file']).read_bytes()).digest()
    check(got == hashlib.sha256(path.read_bytes()).digest(), 'another content arrived')
    code, text = human(sender, 'ping', '-c', 1, receiver.peer)
    check(code == 0 and 'path: over relay' in text, f'ping: exit {code}: {text}')
    code, text = human(sender, 'connect', receiver.peer)
    check(code == 0 and 'path       relayed' in text and relay.peer in text, f'connect to an id: exit {code}: {text}')
    for verb in (('connect',), ('ping', '-c', '1')):
        code, text = human(sender, *verb, NOBODY)
        check(code == 5 and 'is not found' in text and 'peer allow' in text, f'{verb[0]} of nobody: exit {code}: {text}')
    code, text = human(sender, 'ping', NOBODY)
    check(code == 5 and text.count('is not found') == 1 and '3 sent, 0 answered' in text, f'3 pings of nobody: exit {code}: {text}')
    nobody(sender)
    row = next(r for r in sender.ask('peers')['peers'] if r['peer'] == receiver.peer and r['state'] == 'up')
    check(row['path_kind'].startswith('relayed') and row['through'] == relay.peer, f'{row}')


def main():
    hosts.enter()
    relay = Relay(RELAY)
    receiver, sender = Home(RECEIVER, 'receiver'), Home(SENDER, 'sender')
    up(relay, '-o', 'circuit_relay.serve=yes', '-o', 'circuit_relay.bytes=0')
    receiver.other = relay.peer
    for node in (receiver, sender):
        up(node)
    nat = '[nat]\nmeet = no\nrelays = no\n'  # over this relay, and no direct path
    (receiver.dir / 'qudag.conf').write_text(f'[peers]\nreserve_at = {relay.bootstrap}\n{nat}')
    sender.down()
    (sender.dir / 'qudag.conf').write_text(nat)
    up(sender)
    receiver.down()
    up(receiver)

    def connect():
        address = until('a place', lambda: place(receiver))
        until('a link', lambda: sender.tool('connect', address, timeout=90)[0] == 0, 30)

    connect()
    who_is_allowed(sender, receiver)
    after_a_restart(sender, receiver, connect)
    a_file(sender, receiver, relay)
    down(receiver, sender, relay)


if __name__ == '__main__':
    hosts.run_or_skip(main)
