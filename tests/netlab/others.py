#!/usr/bin/python3
"""go-libp2p (circuit relay v2, DCUtR) and iroh behind the routers of the lab, in the same table as ours.

    others.py go|iroh [options of figures.py]

Gets the programs first (tests/interop/peers.py), compiled if need be; then it is figures.py with their commands.  Within the lab it is
begun once more by those, as `others.py go relay IP`, `go listen RELAY` and `go dial RELAY PEER`, and leads a go-libp2p peer there.

Both sides of go-libp2p have been at the relay for WARM_S before the clock begins, as has a daemon of ours: it learns its address in that time.
"""
import os
import pathlib
import signal
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'interop'))
import peers  # noqa: E402

PORT = 4433
WARM_S = 6  # go-libp2p looks for its public address every 5 s
GO = ('--listen', f'/ip4/0.0.0.0/udp/{PORT}/quic-v1', '--kad', 'off')


def say(*words):
    print(*words, flush=True)


def relayed(link):
    return 'circuit' in link


def go_relay(program, ip):
    peer = peers.Peer([program, *GO, '--relay', 'yes'], 'relay')
    say(f'/ip4/{ip}/udp/{PORT}/quic-v1/p2p/{peer.id}')
    signal.pause()


def go_listen(program, relay):
    peer = peers.Peer([program, *GO, '--punch', 'yes'], 'listen')
    address = peer.ok('reserve', relay)
    time.sleep(WARM_S)
    say(address)
    signal.pause()


def go_dial(program, relay, address):
    peer, other = peers.Peer([program, *GO, '--punch', 'yes'], 'dial'), address.rsplit('/', 1)[1]
    peer.ok('connect', relay)
    time.sleep(WARM_S)
    say('begun')
    peer.ok('connect', address)
    peer.ok('open', other)  # and its echo
    say('relayed')
    while not any(word.startswith(other) and not relayed(word) for word in peer.ok('links').split()):
        time.sleep(0.01)
    say('direct')


LED = {'relay': go_relay, 'listen': go_listen, 'dial': go_dial}


def figures(name, options):
    try:
        peers.get(name)
    except peers.Missing as why:
        say(f'SKIP: no {name}: {why}')
        sys.exit(peers.SKIP)
    program = peers.COMMAND[name][0]
    led = f'{sys.executable} {os.path.abspath(__file__)} go {program}' if name == 'go' else program
    command = [str(HERE / 'figures.py'), '--name', {'go': 'go-libp2p'}.get(name, name), '--relay', f'{led} relay {{ip}}',
               '--listen', f'{led} listen {{relay}}', '--dial', f'{led} dial {{relay}} {{peer}}', *options]
    os.execv(sys.executable, [sys.executable, *command])


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ('go', 'iroh'):
        sys.exit(__doc__.strip())
    if len(sys.argv) > 3 and sys.argv[3] in LED:
        with tempfile.TemporaryDirectory() as peers.Peer.folder:
            LED[sys.argv[3]](sys.argv[2], *sys.argv[4:])
        return
    figures(sys.argv[1], sys.argv[2:])


if __name__ == '__main__':
    main()
