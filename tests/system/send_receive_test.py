#!/usr/bin/python3
"""The examples that send and receive: messages and files between two programs, neither of them a daemon.

TEST: timeout=120
"""
import hashlib
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from programs import SLOW, TOP, check, example, network  # noqa: E402


def send(program, bootstrap, address, what, code=0):
    """what the sender says of a delivery"""
    done = subprocess.run([program, bootstrap, address, what, '--lab'], capture_output=True, text=True, timeout=90 * SLOW)
    check(done.returncode == code, f'{done.returncode} of {what[:40]}: {done.stdout[-800:]} {done.stderr}')
    return done.stdout.splitlines()


def arrives(receiver, kind):
    """the name of what arrived, as the receiver says"""
    words = receiver.stdout.readline().split(' ', 1)
    check(words[0] == kind and ', ' in words[1], f'not a {kind}: {words}')
    return words[1].rsplit(', ', 1)[0]


def main():
    sender, program = example('send_message'), example('receive')
    nodes = network(6)
    bootstrap, inbox = nodes[0].bootstrap, TOP / 'inbox'
    receiver = subprocess.Popen([program, bootstrap, inbox, '--lab'], stdout=subprocess.PIPE, text=True)
    try:
        address = receiver.stdout.readline().strip()
        check(address.endswith('.dark'), f'examples/receive says {address}')
        said = send(sender, bootstrap, address, 'a word between two programs')
        check(said[0].startswith('queued') and said[-1].startswith('delivered 27 of 27'), f'{said}')
        text = (inbox / arrives(receiver, 'message')).read_text()
        check(text == 'a word between two programs', f'what arrived is: {text}')
        print('ok: a message', flush=True)

        content = os.urandom(2_000_000)
        path = pathlib.Path(TOP / '.hidden\nname')  # what it is called is not believed
        path.write_bytes(content)
        for nth in ('_hidden_name', '_hidden_name (2)'):
            said = send(sender, bootstrap, address, f'@{path}')
            check(said[-1].startswith('delivered 2000000 of 2000000'), f'{said[-1]}')
            name = arrives(receiver, 'file')
            check(name == nth, f'it is called {name}')
            got = (inbox / name).read_bytes()
            check(hashlib.sha256(got).digest() == hashlib.sha256(content).digest(), 'another content')
            check((inbox / name).stat().st_mode & 0o777 == 0o600, 'others may read it')
        print('ok: a file, under a harmless name, and none is replaced', flush=True)

        said = send(sender, bootstrap, f'{"a" * 56}.dark', 'x', code=1)
        check(said == [], f'sent to no address: {said}')
        said = send(sender, bootstrap, address, '@/nowhere', code=1)
        check(said == [], f'sent no file: {said}')
        print('ok: what cannot be sent is refused', flush=True)
    finally:
        receiver.terminate()
        receiver.wait()
    for n in nodes:
        n.down()


main()
