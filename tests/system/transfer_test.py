#!/usr/bin/python3
"""Files over circuits when things go wrong: the sender gives up and comes back, the receiver is killed and comes back,
the inbox is full, the file is too large, the content changes on the way to the disk.

TEST: timeout=240 waits
"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import QUDAG, SLOW, TOP, Node, check, network  # noqa: E402


def sending(client, *args):
    return subprocess.Popen([str(QUDAG), '--dir', str(client.dir), '--json', 'send', *args], stdout=subprocess.PIPE,
                            text=True)


def until_share(sender, share):
    """the last progress once |share| of the file is acknowledged"""
    for line in sender.stdout:
        doc = json.loads(line)
        check('error' not in doc, f'not delivered: {doc}')
        p = doc.get('progress') or doc['delivered']
        if p['acked'] > p['size'] * share:
            return p
    check(False, 'the sender ended early')


def stored(service, said):
    entry = [e for e in service.ask('inbox')['inbox'] if e['hash'] == said['hash']]
    check(len(entry) == 1, f'{len(entry)} entries with the hash {said["hash"]}')
    return hashlib.sha256(pathlib.Path(entry[0]['file']).read_bytes()).digest()


def state(sender):
    doc = json.loads(sender.stdout.readline())
    check('progress' in doc, f'not progress: {doc}')
    return doc['progress']['state']


def waiting_is_reported(client, service, address):
    """eight transfers to a service that is gone take a minute; meanwhile the ninth is told that it waits"""
    service.kill()
    at_work = [sending(client, address, '-m', 'x') for _ in range(8)]
    for s in at_work:
        while state(s) == 'queued':
            pass
    ninth = sending(client, address, '-m', 'last')
    check([state(ninth), state(ninth)] == ['queued', 'queued'], 'the tool hears nothing while its transfer waits for its turn')
    for s in (*at_work, ninth):
        s.terminate()
        s.wait()
    print('ok: a transfer that waits for its turn is reported again and again', flush=True)


def main():
    nodes = network(7)
    client = nodes[4]
    small = Node('small', f'node.bootstrap={nodes[0].bootstrap}', 'inbox.size_max=300K', 'inbox.file_max=200K').start()
    tiny_address = small.ask('dark', 'new', 'tiny')['address']
    small.ask('dark', 'publish', 'tiny')
    file = TOP / 'file'
    file.write_bytes(os.urandom(201 * 1024))
    code, text = client.tool('send', tiny_address, str(file))
    check(code == 6 and 'larger than the receiver accepts' in text, f'too large: {code} {text}')
    file.write_bytes(os.urandom(180 * 1024))
    client.ask('send', tiny_address, str(file))
    file.write_bytes(os.urandom(180 * 1024))
    code, text = client.tool('send', tiny_address, str(file))
    check(code == 6 and 'inbox is full' in text, f'quota: {code} {text}')
    check(len(small.ask('inbox')['inbox']) == 1, 'more was stored than the quota allows')
    check(list((small.dir / 'inbox/.partial').iterdir()) == [], 'refused content was left behind')
    print('ok: refused with a reason: too large, inbox full', flush=True)

    huge = TOP / 'huge'
    huge.touch()
    os.truncate(huge, 3 << 30)
    began = time.monotonic()
    sender = sending(client, tiny_address, str(huge))
    lines = [json.loads(line) for line in sender.stdout]
    check(sender.wait() == 6 and 'larger than the receiver accepts' in lines[-1]['error']['message'], f'{lines[-1]}')
    check(all(line.get('progress', {}).get('state') != 'hashing' for line in lines), 'hashed before the receiver is asked')
    print(f'ok: 3 GB that the receiver would not take are not read: refused after {time.monotonic() - began:.1f} s',
          flush=True)
    os.truncate(huge, 700 << 20)
    roomy = Node('roomy', f'node.bootstrap={nodes[0].bootstrap}', 'inbox.size_max=20G', 'inbox.file_max=20G').start()
    roomy_address = roomy.ask('dark', 'new', 'roomy')['address']
    roomy.ask('dark', 'publish', 'roomy')
    sender, states, hashed = sending(client, roomy_address, str(huge)), [], []
    for line in sender.stdout:
        p = json.loads(line).get('progress', {'state': ''})
        states += [p['state']] if states[-1:] != [p['state']] else []
        hashed += [p['hashed']] if p['state'] == 'hashing' else []
        if p['state'] == 'sending':
            break
    sender.terminate()
    sender.wait()
    check(hashed == sorted(hashed) and 0 < hashed[-1] <= 700 << 20, f'hashing does not show how far it is: {hashed}')
    check(states.index('connecting') < states.index('hashing') < states.index('sending'), f'{states}')
    print(f'ok: progress while a large file is hashed: {len(hashed)} reports', flush=True)
    roomy.down()

    service = Node('service', f'node.bootstrap={nodes[0].bootstrap}').start()
    address = service.ask('dark', 'new', 'post')['address']
    service.ask('dark', 'publish', 'post')
    big = os.urandom(40_000_000)
    file.write_bytes(big)
    digest = hashlib.sha256(big).digest()
    sender = sending(client, address, str(file))
    first = until_share(sender, 0.2)
    sender.terminate()
    sender.wait()
    time.sleep(1)
    check(service.ask('inbox')['inbox'] == [], 'half a file is in the inbox')
    sender = sending(client, address, str(file))
    said = until_share(sender, 0.999)
    for line in sender.stdout:
        said = json.loads(line).get('delivered', said)
    check(sender.wait() == 0 and said['state'] == 'delivered', f'not delivered: {said}')
    check(said['resumed'] >= first['acked'] > 0, f'began anew at {said["resumed"]}, {first["acked"]} were there')
    check(stored(service, said) == digest, 'another content')
    print(f'ok: a sender that came back went on at {said["resumed"]} of {len(big)}', flush=True)

    file.write_bytes(big[::-1])
    sender = sending(client, address, str(file))
    until_share(sender, 0.2)
    service.kill()
    service.start()
    # its address in the network is another one now; what others know of it has to follow
    said = {}
    for line in sender.stdout:
        doc = json.loads(line)
        check('error' not in doc, f'not delivered: {doc}')
        said = doc.get('delivered', said)
    check(sender.wait(timeout=60 * SLOW) == 0, 'not delivered')
    check(said['resumed'] > 0 and said['streams'] > 1, f'did not resume: {said}')
    check(stored(service, said) == hashlib.sha256(big[::-1]).digest(), 'another content')
    print(f'ok: a receiver killed and started again went on at {said["resumed"]}', flush=True)

    file.write_bytes(big[5:])
    sender = sending(client, address, str(file))
    until_share(sender, 0.1)
    os.truncate(file, 1_000_000)
    said = json.loads(sender.stdout.read().splitlines()[-1])
    check(sender.wait() == 1 and 'shorter' in said['error']['message'], f'a file cut while it is sent: {said}')
    print('ok: a file that is cut while it is sent is not delivered', flush=True)

    file.write_bytes(big[7:])
    sender = sending(client, address, str(file))
    until_share(sender, 0.05)
    with open(file, 'r+b') as f:
        f.seek(-100, os.SEEK_END)
        f.write(b'changed')
    said = json.loads(sender.stdout.read().splitlines()[-1])
    check(sender.wait() == 1 and said['error']['name'] == 'FILE_CHANGED', f'a file changed while it is sent: {said}')
    print('ok: a file that changes while it is sent ends the transfer', flush=True)
    file.write_bytes(big[9:])
    sender = sending(client, address, str(file))
    until_share(sender, 0.05)
    with open(file, 'ab') as f:
        f.write(b'a line more')
    for line in sender.stdout:
        said = json.loads(line)
    check(sender.wait() == 0 and stored(service, said['delivered']) == hashlib.sha256(big[9:]).digest(),
          f'a file that grows: {said}')
    print('ok: a file that grows is delivered as it was', flush=True)

    file.write_bytes(big[11:])
    sender = sending(client, address, str(file))
    until_share(sender, 0.3)
    down = client.ask('down')
    said = json.loads(sender.stdout.read().splitlines()[-1])
    if sender.wait() != 0:  # a very slow machine: what was cut off is told, and sent again
        check(down['cut_streams'] > 0, f'the transfer was cut off, and down did not wait or does not say so: {down} {said}')
        client.start()
        sender = sending(client, address, str(file))
        said = json.loads(sender.stdout.read().splitlines()[-1])
    else:
        check(down['cut_streams'] == 0, f'delivered, and cut off: {down}')
        client.start()
    check(stored(service, said['delivered']) == hashlib.sha256(big[11:]).digest(), f'a daemon that ends while it sends: {said}')
    print(f'ok: a daemon that is to end waits for what it sends, {down["waited_ns"] / 1e9:.1f} s', flush=True)

    sender = sending(client, address, str(file), '--again')
    until_share(sender, 0.05)
    client.ask('down', '--now')
    said = json.loads(sender.stdout.read().splitlines()[-1])
    check(sender.wait() != 0 and said['error']['name'] == 'STOPPING', f'a daemon that ends at once while it sends: {said}')
    client.start()
    print('ok: who sends is told that the daemon ends at once', flush=True)

    messages = [sending(client, address, '-m', f'message {ix}') for ix in range(30)]
    began = time.monotonic()
    check(client.ask('status')['pid'] == client.pid, 'no answer while 30 send')
    print(f'ok: status after {time.monotonic() - began:.2f} s while 30 send', flush=True)
    for m in messages:
        out = m.stdout.read()
        check(m.wait() == 0, f'one of 30 at once: {out.splitlines()[-1:]}')
    texts = {pathlib.Path(e['file']).read_text() for e in service.ask('inbox')['inbox'] if e['kind'] == 'message'}
    check(texts == {f'message {ix}' for ix in range(30)}, f'{len(texts)} of 30 messages arrived')
    print('ok: 30 sends at once all arrive', flush=True)
    waiting_is_reported(client, service, address)
    for n in [*nodes, small]:
        n.down()


main()
