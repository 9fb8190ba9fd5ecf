"""What a node recorded of others: its log, its tables, its folder; and what that gives away of a hidden service and its caller.

That a host is there is no secret: each user of the network has links to others and is in their routing tables, which the DHT
makes.  It is a leak when anything that a node recorded names the dark address, or an end beside something else: the other end,
a circuit whose guard it is not, the index of the service's record, a file of its own.
"""
import base64
import concurrent.futures
import ipaddress
import json
import pathlib
import re
import shutil
import sqlite3
import stat
import sys
import tempfile
import time

from programs import SRC

sys.path.insert(0, str(SRC / 'tests/reference'))
import dark_record  # noqa: E402

BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
TABLES = {'circuits': ('circuit', 'list'), 'peers': ('peers',), 'relays': ('peers', '--relays'), 'records': ('dht', 'records'),
          'published': ('dht', 'published'), 'table': ('dht', 'table'), 'stats': ('stats',), 'dark': ('dark', 'list'),
          'exposed': ('expose', 'list'), 'names': ('name', 'list'), 'inbox': ('inbox',), 'proxy': ('proxy',)}
LINKS = ('peer.up', 'peer.down', 'quic.link.down', 'link.up', 'link.closing', 'link.down',
         'quic.handshake.failed')  # lines of the log that say with whom a link came, went, or did not come about, and no more
CONTACTS = ('peers', 'table', 'store')  # where each host of the network may be named, one in a row
STORE = 'store/dht.db'
CIRCUIT = re.compile(rb'"?circuit"?[:=] ?"?([0-9a-f]+)')


def b58decode(text):
    n = 0
    for c in text:
        n = n * 58 + BASE58.index(c)
    return n.to_bytes((n.bit_length() + 7) // 8, 'big')


def forms(secret):
    """bytes as they are, and as somebody writes them; base32 and hexadecimal in any case"""
    return {secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b'='), base64.b32encode(secret).rstrip(b'=')}


class Words:
    """
    byte strings that are looked for, in lower and upper case: 64 nodes record tens of MB, and a search for plain bytes is some
    thirty times as quick as one for an expression.  |shapes|: word -> the expression that must match where it was found
    """

    def __init__(self, words, shapes=None):
        self.words = sorted({w.lower() for w in words})
        self.shapes = {w.lower(): re.compile(e, re.IGNORECASE | re.DOTALL) for w, e in (shapes or {}).items()}

    def search(self, data):
        low = data.lower()
        return any(w in low for w in self.words) or any(w in low and e.search(data) for w, e in self.shapes.items())


class End:
    """a host that is to stay unknown: by its names, or by its network (/16)"""

    def __init__(self, name, node):
        self.name, self.peer, self.v4 = name, node.peer, node.v4
        self.raw = b58decode(node.peer)
        key, pq = self.raw[-32:], bytes.fromhex(node.ask('status')['pq_hash'])
        net = node.v4.rsplit('.', 2)[0].encode() + b'.'
        udp = b'\x04' + ipaddress.ip_address(node.v4).packed + b'\x91\x02'  # a multiaddr: ip4, udp
        self.words = Words([node.peer.encode(), *forms(key), *forms(pq), udp],
                           {net: rb'(?<![0-9.])' + re.escape(net) + rb'[0-9]+\.[0-9]+'})

    def named_in(self, data):
        return self.words.search(data)


class Address:
    """a dark address: what names it, and what only who has the address can recognise"""

    def __init__(self, text, label):
        self.text = text
        labels = text.removesuffix('.dark').split('.')
        self.bytes = base64.b32decode(''.join(labels).upper() + '=')[:66]
        label = label.encode()
        self.names = Words([*forms(self.bytes), *forms(self.bytes[2:34]), *forms(self.bytes[34:]), *[part.encode() for part in labels]],
                           {label: rb'\b' + label + rb'(\.dark)?\b'})
        places = [(p, r) for p in dark_record.live_periods(int(time.time())) for r in (0, 1)]
        self.keys = [dark_record.dht_key(self.bytes, *p) for p in places]
        blinded = [dark_record.blind_public(self.bytes[2:34], dark_record.blinding(self.bytes, *p)) for p in places]
        self.places = Words([f for b in [k[12:] for k in self.keys] + blinded for f in forms(b)])


class Recorded:
    """all that a node has recorded"""

    def __init__(self, name, peer, tables, log, store, disk):
        self.name, self.peer, self.tables, self.log, self.store, self.disk = name, peer, tables, log, store, disk

    def everything(self):
        """(where, bytes), one after the other"""
        for table, rows in self.tables.items():
            for row in rows:
                yield table, json.dumps(row).encode()
        yield from (('log', line) for line in self.log)
        yield from (('store', row) for row in self.store)
        yield from self.disk.items()

    def circuits(self):
        """rows and lines that name the same circuit, together"""
        own = {}
        for where, data in self.everything():
            if where in self.tables or where == 'log':
                for c in CIRCUIT.findall(data):
                    own.setdefault(c, []).append(data)
        return [b'\n'.join(parts) for parts in own.values()]


def stored(path):
    """the rows of a store, from a copy: its daemon goes on writing"""
    with tempfile.TemporaryDirectory() as copy:
        for part in path.parent.glob(path.name + '*'):
            shutil.copy(part, copy)
        db = sqlite3.connect(f'{copy}/{path.name}')
        rows = [b' '.join(row) for row in db.execute('SELECT key, value FROM item')]
        db.close()
    return rows


def tables(node):
    own = {}
    for name, command in TABLES.items():
        lists = [v for v in node.ask(*command).values() if isinstance(v, list)]
        own[name] = [row for rows in lists for row in rows]
    return own


def read(node):
    log, disk, store = [], {}, []
    for path in sorted(pathlib.Path(node.dir).rglob('*')):
        name = str(path.relative_to(node.dir))
        if not stat.S_ISREG(path.lstat().st_mode):
            continue
        if name == 'qudagd.log':
            log += path.read_bytes().splitlines()
        elif name == STORE:
            store = stored(path)
        elif not name.startswith(STORE):
            disk[name] = path.read_bytes()
    return Recorded(node.dir.name, node.peer, tables(node), log, store, disk)


def read_all(nodes):
    """each of them, several side by side: who waits for a daemon leaves the processor to another"""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(read, nodes))


def in_memory(pid, *wanted):
    """whether one of |wanted| is anywhere in what the process may write to; None: this user may not look"""
    try:
        with open(f'/proc/{pid}/maps') as maps, open(f'/proc/{pid}/mem', 'rb', 0) as mem:
            for line in maps:
                area, rights = line.split()[:2]
                begin, end = (int(at, 16) for at in area.split('-'))
                if not rights.startswith('rw') or '[v' in line:
                    continue
                try:
                    mem.seek(begin)
                    data = mem.read(end - begin)
                except OSError:  # gone meanwhile
                    continue
                if any(w in data for w in wanted):
                    return True
    except PermissionError:
        return None
    return False


def event_of(line):
    words = line.split(maxsplit=3)
    return words[2].decode(errors='replace') if len(words) > 2 else ''


def judge(r, ends, address, guards, most):
    """
    what |r| gives away, as sentences.  |address|: None for who may know it; |guards|: of each end by its name, the relays that
    may see it in circuits; |most|: bytes that the link of an end to a node that is no guard may have carried
    """
    found = []

    def say(what, where, data):
        found.append(f'{r.name} {what}: {where}: {data[:300]!r}')

    for where, data in r.everything():
        named = [e for e in ends if e.named_in(data)]
        if address is not None and address.names.search(data):
            say('names the address', where, data)
        if address is not None and address.places.search(data) and (named or where not in ('records', 'store')):
            say('has the index of the record beside something else', where, data)
        if len(named) > 1:
            say('names both ends at once', where, data)
        if named and where == 'log' and event_of(data) not in LINKS:
            say(f'says more of the {named[0].name} than that it has a link', where, data)
        if named and where not in ('log', 'circuits', *CONTACTS):
            say(f'has recorded the {named[0].name}', where, data)
    for data in r.circuits():
        named = [e for e in ends if e.named_in(data)]
        if len(named) > 1:
            say('names both ends of a circuit', 'circuits', data)
        for e in named:
            if r.peer not in guards[e.name]:
                say(f'names the {e.name} in a circuit and is not its guard', 'circuits', data)
    for row in r.tables.get('peers', []):
        data = json.dumps(row).encode()
        for e in ends:
            if e.named_in(data) and r.peer not in guards[e.name] and row['bytes_in'] + row['bytes_out'] > most:
                say(f'carries what the {e.name} sends and is not its guard', 'peers', data)
    return found
