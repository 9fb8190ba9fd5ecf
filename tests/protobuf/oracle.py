#!/usr/bin/python3
"""Google's protobuf beside ours.

    oracle.py make FILE         random messages, as protobuf encodes them
    oracle.py check FILE FILE   what we made of them says the same

A message in a file: kind (1 byte: k or i), length (4 bytes, big-endian), bytes.  Exit 77: protobuf is not installed."""
import random
import sys

try:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
except ImportError:
    sys.exit(77)

N = 2000
F = descriptor_pb2.FieldDescriptorProto
SCHEMA = {
    'Record': [('key', 1, 'bytes'), ('value', 2, 'bytes'), ('time', 5, 'bytes')],
    'Peer': [('id', 1, 'bytes'), ('addrs', 2, 'bytes*'), ('connection', 3, 'int32')],
    'Message': [('type', 1, 'int32'), ('key', 2, 'bytes'), ('record', 3, 'Record'), ('closer', 8, 'Peer*'),
                ('providers', 9, 'Peer*'), ('cluster', 10, 'int32'), ('digest', 1000, 'bytes')],
    'Identify': [('key', 1, 'bytes'), ('addrs', 2, 'bytes*'), ('protocols', 3, 'bytes*'), ('observed', 4, 'bytes'),
                 ('version', 5, 'bytes'), ('agent', 6, 'bytes'), ('signed', 8, 'bytes'), ('later', 77, 'fixed64'),
                 ('much_later', 100000, 'fixed32')],
}


def classes():
    file = descriptor_pb2.FileDescriptorProto(name='oracle.proto', package='oracle', syntax='proto2')
    scalars = {'bytes': F.TYPE_BYTES, 'int32': F.TYPE_INT32, 'fixed64': F.TYPE_FIXED64, 'fixed32': F.TYPE_FIXED32}
    for name, fields in SCHEMA.items():
        m = file.message_type.add(name=name)
        for field, number, kind in fields:
            label = F.LABEL_REPEATED if kind.endswith('*') else F.LABEL_OPTIONAL
            kind = kind.rstrip('*')
            f = m.field.add(name=field, number=number, label=label, type=scalars.get(kind, F.TYPE_MESSAGE))
            if kind not in scalars:
                f.type_name = f'.oracle.{kind}'
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {name: factory.GetPrototype(pool.FindMessageTypeByName(f'oracle.{name}')) for name in SCHEMA}


def some(draw, most):
    return draw.randbytes(draw.randrange(most + 1))


def key_proto(draw):
    return b'\x08\x01\x12\x20' + draw.randbytes(32)


def address(draw):
    return b'\x04' + draw.randbytes(4) + b'\x91\x02' + draw.randbytes(2) + b'\xcd\x03'


def fill_peer(draw, p):
    p.id = b'\x00\x24' + key_proto(draw)
    p.addrs.extend(address(draw) for _ in range(draw.randrange(5)))
    if draw.randrange(2):
        p.connection = draw.randrange(-1, 4)  # -1: ten bytes


def kademlia(draw, cls):
    m = cls['Message']()
    if draw.randrange(8):
        m.type = draw.randrange(6)
    if draw.randrange(4):
        m.key = some(draw, 128)
    if draw.randrange(2):
        m.record.SetInParent()
        m.record.key, m.record.value, m.record.time = some(draw, 128), some(draw, 700), some(draw, 64)
    for peers in m.closer, m.providers:
        for _ in range(draw.choice([0, 0, 1, 3, 20])):
            fill_peer(draw, peers.add())
    if draw.randrange(3) == 0:
        m.cluster = draw.randrange(-5, 1 << 31)
    if draw.randrange(3) == 0:
        m.digest = draw.randbytes(draw.choice([0, 32]))
    return m


def text(draw):
    return ''.join(draw.choice('abcxyz/.0189-\u00e4\u20ac') for _ in range(draw.randrange(1, 30))).encode()


def identify(draw, cls):
    m = cls['Identify']()
    if draw.randrange(4):
        m.key = key_proto(draw)
    m.addrs.extend({address(draw) for _ in range(draw.randrange(8))})
    m.protocols.extend({text(draw) for _ in range(draw.randrange(20))})
    if draw.randrange(2):
        m.observed = address(draw)
    if draw.randrange(2):
        m.version, m.agent = text(draw), text(draw)
    if draw.randrange(3) == 0:
        m.signed, m.later, m.much_later = some(draw, 300), draw.getrandbits(64), draw.getrandbits(32)
    return m


def make(path):
    draw, cls = random.Random(7), classes()
    with open(path, 'wb') as f:
        for n in range(N):
            kind, m = (b'k', kademlia(draw, cls)) if n % 2 else (b'i', identify(draw, cls))
            data = m.SerializeToString()
            f.write(kind + len(data).to_bytes(4, 'big') + data)


def read(path):
    with open(path, 'rb') as f:
        while head := f.read(5):
            yield head[:1], f.read(int.from_bytes(head[1:], 'big'))


def said(kind, data, cls):
    """what both must say; fields that we skip are left out, defaults are as if they had been written"""
    if kind == b'i':
        m = cls['Identify'].FromString(data)
        return m.key, list(m.addrs), list(m.protocols), m.observed, m.version, m.agent
    m = cls['Message'].FromString(data)
    peers = [[(p.id, list(p.addrs)) for p in v] for v in (m.closer, m.providers)]
    return (m.type, m.key, m.HasField('record'), m.record.key, m.record.value, m.record.time, peers,
            m.HasField('digest'), m.digest)


def check(theirs, ours):
    cls, n = classes(), 0
    for (kind, a), (other, b) in zip(read(theirs), read(ours), strict=True):
        n += 1
        if kind != other or said(kind, a, cls) != said(kind, b, cls):
            sys.exit(f'message {n}: {said(kind, a, cls)}\nours: {said(kind, b, cls)}')
    print(f'{n} messages say the same')
    if n != N:
        sys.exit(f'{n} messages, not {N}')


if sys.argv[1] == 'make':
    make(sys.argv[2])
else:
    check(sys.argv[2], sys.argv[3])
