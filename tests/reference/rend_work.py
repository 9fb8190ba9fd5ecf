#!/usr/bin/python3
"""Proof of work of callers in plain Python (spec/rendezvous.md 6), with an Argon2id of its own.

Argon2 is written from RFC 9106 and checked there against the RFC's vector (5.3); BLAKE2b is Python's, BLAKE3 that of
dark_record.py.

    rend_work.py                  prints the vector file
    rend_work_test.py             compares it with tests/vectors/rend-work.json
"""
import hashlib
import json

import dark_record as dark

KIB, MASK = 128, (1 << 64) - 1
SALT = b'qudag work v1'.ljust(16, b'\0')


# --- Argon2id, RFC 9106 ----------------------------------------------------------------------


def le32(n):
    return n.to_bytes(4, 'little')


def long_hash(data, length):
    """H', 3.3"""
    data = le32(length) + data
    if length <= 64:
        return hashlib.blake2b(data, digest_size=length).digest()
    v = hashlib.blake2b(data).digest()
    out, left = v[:32], length - 32
    while left > 64:
        v = hashlib.blake2b(v).digest()
        out, left = out + v[:32], left - 32
    return out + hashlib.blake2b(v, digest_size=left).digest()


def mix(v, a, b, c, d):
    """GB, 3.6"""
    for first, second in ((32, 24), (16, 63)):
        v[a] = (v[a] + v[b] + 2 * (v[a] & 0xFFFFFFFF) * (v[b] & 0xFFFFFFFF)) & MASK
        t = v[d] ^ v[a]
        v[d] = ((t >> first) | (t << (64 - first))) & MASK
        v[c] = (v[c] + v[d] + 2 * (v[c] & 0xFFFFFFFF) * (v[d] & 0xFFFFFFFF)) & MASK
        t = v[b] ^ v[c]
        v[b] = ((t >> second) | (t << (64 - second))) & MASK


def permute(v, ix):
    """P over the 16 words named by |ix|"""
    for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                       (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
        mix(v, ix[a], ix[b], ix[c], ix[d])


ROWS = [list(range(16 * r, 16 * r + 16)) for r in range(8)]
COLUMNS = [[16 * r + 2 * c + k for r in range(8) for k in (0, 1)] for c in range(8)]


def compress(x, y):
    """G, 3.5, of two blocks of 128 words"""
    r = [a ^ b for a, b in zip(x, y)]
    z = list(r)
    for ix in ROWS + COLUMNS:
        permute(z, ix)
    return [a ^ b for a, b in zip(r, z)]


def words(block):
    return [int.from_bytes(block[i : i + 8], 'little') for i in range(0, 1024, 8)]


def reference(j1, j2, lane, place, shape):
    """where the block comes from that is mixed in (3.4.2): lane, column"""
    t, s, i = place
    lanes, columns, segment = shape
    of = lane if t == 0 and s == 0 else j2 % lanes
    done = columns - segment if t > 0 else s * segment
    area = done + i - 1 if of == lane else done - (1 if i == 0 else 0)
    x = j1 * j1 >> 32
    z = area - 1 - (area * x >> 32)
    start = 0 if t == 0 or s == 3 else (s + 1) * segment
    return of, (start + z) % columns


def argon2id(password, salt, kib, length, passes=1, lanes=1, secret=b'', data=b''):
    h0 = hashlib.blake2b(le32(lanes) + le32(length) + le32(kib) + le32(passes) + le32(0x13) + le32(2) +
                         b''.join(le32(len(p)) + p for p in (password, salt, secret, data))).digest()
    segment = kib // (4 * lanes)
    columns = 4 * segment
    b = [[None] * columns for _ in range(lanes)]
    for lane in range(lanes):
        for i in (0, 1):
            b[lane][i] = words(long_hash(h0 + le32(i) + le32(lane), 1024))
    for t in range(passes):
        for s in range(4):
            for lane in range(lanes):
                fill_segment(b, (t, s), lane, (lanes, columns, segment), (passes, kib))
    last = b[0][-1]
    for lane in range(1, lanes):
        last = [x ^ y for x, y in zip(last, b[lane][-1])]
    return long_hash(b''.join(w.to_bytes(8, 'little') for w in last), length)


def fill_segment(b, turn, lane, shape, numbers):
    (t, s), (lanes, columns, segment), (passes, kib) = turn, shape, numbers
    blind, addresses = t == 0 and s < 2, None
    zero = [0] * 128
    for i in range(segment):
        if blind and i % 128 == 0:
            counter = [t, lane, s, lanes * columns, passes, 2, i // 128 + 1] + [0] * 121
            addresses = compress(zero, compress(zero, counter))
        column = s * segment + i
        if t == 0 and column < 2:
            continue
        before = b[lane][column - 1]
        j = addresses[i % 128] if blind else before[0]
        of, at = reference(j & 0xFFFFFFFF, j >> 32, lane, (t, s, i), shape)
        new = compress(before, b[of][at])
        b[lane][column] = new if t == 0 else [x ^ y for x, y in zip(new, b[lane][column])]


# --- the work --------------------------------------------------------------------------------


def challenge(seed, addr, intro_key, X):
    return dark.blake3_derive('qudag rendezvous work v1', seed + addr + intro_key + X, 32)


def number(c, effort, nonce):
    out = argon2id(c + effort.to_bytes(4, 'big') + nonce.to_bytes(8, 'big'), SALT, KIB, 16)
    return int.from_bytes(out[:8], 'big')


def proves(c, effort, nonce):
    return effort > 0 and number(c, effort, nonce) <= MASK // effort


def solve(c, effort):
    nonce = 0
    while not proves(c, effort, nonce):
        nonce += 1
    return nonce


def extension(seed, effort, nonce):
    return b'\1' + (20).to_bytes(2, 'big') + seed[:8] + effort.to_bytes(4, 'big') + nonce.to_bytes(8, 'big')


def vectors():
    def case(n, effort):
        seed, key, X = (hashlib.sha256(f'work {what} {n}'.encode()).digest() for what in ('seed', 'intro key', 'X'))
        addr = b'\1\2' + hashlib.sha512(f'work address {n}'.encode()).digest()
        c = challenge(seed, addr, key, X)
        nonce = solve(c, effort)
        return {'seed': seed.hex(), 'address': addr.hex(), 'intro_key': key.hex(), 'X': X.hex(), 'challenge': c.hex(),
                'effort': effort, 'nonce': nonce, 'extension': extension(seed, effort, nonce).hex()}
    return {'source': 'tests/reference/rend_work.py', 'cases': [case(0, 1), case(1, 8), case(2, 40)]}


if __name__ == '__main__':
    print(json.dumps(vectors(), indent=1))
