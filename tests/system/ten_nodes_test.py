#!/usr/bin/python3
"""Ten real daemons: a value outlives its writer, an onion message and a file arrive, a dark address resolves to what
was published, and no relay learns both ends by what it has itself recorded.

TEST: timeout=300 waits
"""
import hashlib
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import TOP, check, network  # noqa: E402

BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'


def kad_id(data):
    return int.from_bytes(hashlib.sha256(data).digest(), 'big')


def b58decode(text):
    n = 0
    for c in text:
        n = n * 58 + BASE58.index(c)
    return b'\0' * (len(text) - len(text.lstrip('1'))) + n.to_bytes((n.bit_length() + 7) // 8, 'big')


def links(nodes):
    for n in nodes:
        for link in n.ask('peers')['peers']:
            check(link['pq'] and link['group'] == 'X25519MLKEM768' and
                  link['signature_local'] == link['signature_remote'] == 'mldsa65', f'a link is {link}')


def say_of_peers(n):
    other = n.ask('peers')['peers'][0]['peer']
    said = n.ask('peer', 'protect', other, '--name', 'backup')
    check(said['protected_by'] == ['backup'], f'protect says {said}')
    check(n.ask('peer', 'tag', other, '-50')['tags'] == ['user=-50'], 'tag')
    for p in n.ask('peers')['peers']:
        if p['peer'] == other:
            check(p['protected'] and p['standing'] == 'protected' and p['value'] >= 1450 and p['tags'] == ['user=-50'],
                  f'the link is {p}')
    n.ask('peer', 'unprotect', other, '--name', 'backup')
    n.ask('peer', 'untag', other)
    code, text = n.tool('peer', 'untag', other)
    check(code == 4 and 'nothing named user' in text, f'untag twice: {code} {text}')


def send_and_find(client, service, address, *what):
    before = {e['file'] for e in service.ask('inbox')['inbox']}
    # one of the two guards may be dead, and the other the service itself: then a third begins the path (P-15a)
    said = client.ask('send', address, *what, timeout=60)['delivered']
    fresh = [e for e in service.ask('inbox')['inbox'] if e['file'] not in before]
    check(len(fresh) == 1, f'{len(fresh)} new entries in the inbox')
    check(fresh[0]['hash'] == said['hash'], 'the inbox tells another hash')
    check(fresh[0]['to'] == address, f'it was for {fresh[0]["to"]}')
    return pathlib.Path(fresh[0]['file']).read_bytes()


def relays_know_neighbours_only(nodes, client, service, ends_seen):
    paths = [c['path'] for c in client.ask('circuit', 'list')['circuits']
             if c['role'] == 'client' and c['purpose'] == 'dark' and c['state'] == 'open']
    check(len(paths) == 1 and len(paths[0]) == 4 and paths[0][-1] == service.peer, f'paths {paths}')
    chain = [client.peer] + paths[0]
    check(len(set(chain)) == 5, f'a node is twice in {chain}')
    for ix, peer in enumerate(chain[1:-1], 1):
        relay = next(n for n in nodes if n.peer == peer)
        rows = [c for c in relay.ask('circuit', 'list')['circuits'] if c['role'] == 'relay']
        check(any(c['prev'] == chain[ix - 1] and c['next'] == chain[ix + 1] for c in rows),
              f'relay {ix} does not list its neighbours')
    for n in nodes:
        for c in n.ask('circuit', 'list')['circuits']:
            if c['role'] != 'client':
                check('path' not in c, f'a relay knows more than its neighbours: {c}')
                ends_seen += 1
    check(ends_seen > 0, 'no relay recorded anything')


def main():
    nodes = network(10)
    links(nodes)
    print('ok: ten daemons, every link post-quantum on both sides', flush=True)
    say_of_peers(nodes[0])
    print('ok: a peer is protected, tagged, and neither any longer', flush=True)

    key = '/app/seed'
    nodes[0].ask('dht', 'put', 'seed', 'value of node 0')
    target = kad_id(key.encode())
    order = sorted(nodes, key=lambda n: kad_id(b58decode(n.peer)) ^ target)
    holders = [n for n in nodes if any(r.get('key') == key for r in n.ask('dht', 'records')['records'])]
    check(sorted(n.peer for n in holders) == sorted(n.peer for n in order[:20]),
          f'held by {[n.dir.name for n in holders]}, closest {[n.dir.name for n in order[:20]]}')
    nodes[0].kill()
    check(nodes[5].ask('dht', 'get', 'seed')['value'] == 'value of node 0', 'another value')
    print('ok: a value put by 0 is read by 5 after 0 was killed, and lay on the closest nodes', flush=True)
    alive = nodes[1:]

    service, client = nodes[3], nodes[7]
    address = service.ask('dark', 'new', 'post', '--direct')['address']
    service.ask('dark', 'publish', 'post')
    found = client.ask('dark', 'resolve', address)
    check(found['kind'] == 'direct' and found['service'] == service.peer, f'resolved to {found}')
    code, text = client.tool('dark', 'resolve', nodes[4].ask('dark', 'new', 'unpublished')['address'])
    check(code == 4 and 'NOTFOUND' in text, f'an unpublished address: {code} {text}')
    print('ok: the published address resolves to its node, an unpublished one to nothing', flush=True)

    # under a key, so that the circuit is still there to be looked at
    check(send_and_find(client, service, address, '-m', 'post for you', '--isolate', 'test') == b'post for you', 'another text')
    relays_know_neighbours_only(alive, client, service, 0)
    print('ok: a message over three relays, none of which knows both ends', flush=True)

    data = os.urandom(5_000_003)
    source = TOP / '..hidden name.bin'
    source.write_bytes(data)
    check(send_and_find(client, service, address, str(source)) == data, 'another content')
    names = [e['name'] for e in service.ask('inbox')['inbox'] if e['kind'] == 'file']
    check(names == ['__hidden name.bin'] or not names[0].startswith('.'), f'stored as {names}')
    # once delivered, nothing says that the same file comes from the same sender: it is another transfer
    check(send_and_find(client, service, address, str(source)) == data, 'sent again: another content')
    check(send_and_find(client, service, address, str(source), '--again') == data, 'sent anew: another content')
    check(send_and_find(client, service, address, str(source), '--name', 'other.bin') == data, 'under a name: another content')
    check(send_and_find(client, service, address, str(source), '--anonymous-name') == data, 'without a name: another content')
    names = [e['name'] for e in service.ask('inbox')['inbox'] if e['kind'] == 'file']
    check(names[-2:] == ['other.bin', 'file.bin'], f'stored as {names[-2:]}')
    check(client.tool('send', address, str(source), '--name', 'a/b')[0] == 2, 'a name with a folder is sent')
    empty = TOP / 'empty'
    empty.write_bytes(b'')
    check(send_and_find(client, service, address, str(empty)) == b'', 'an empty file')
    print('ok: files, the same twice, anew, and an empty one', flush=True)

    service.ask('dark', 'forget', 'post', '--yes')
    check(service.ask('dark', 'list')['addresses'] == [], 'the forgotten address is still listed')
    code, text = nodes[8].tool('dark', 'resolve', address)
    check(code != 0, f'a withdrawn address resolves: {text}')
    print('ok: a withdrawn address is gone', flush=True)

    hidden = service.ask('dark', 'new', 'den')
    service.ask('dark', 'publish', 'den')
    check([d['kind'] for d in service.ask('dark', 'list')['addresses']] == ['hidden'], 'listed as another kind')
    found = client.ask('dark', 'resolve', hidden['address'])
    check((hidden['kind'], found['kind']) == ('hidden', 'hidden') and 'service' not in found, f'resolved to {found}')
    check(send_and_find(client, service, hidden['address'], '-m', 'for the hidden') == b'for the hidden', 'another text')
    check(send_and_find(client, service, hidden['address'], str(source)) == data, 'another content')
    print('ok: a message and a file to a hidden address, as new ones are; its record names nobody', flush=True)
    for n in alive:
        n.down()


main()
