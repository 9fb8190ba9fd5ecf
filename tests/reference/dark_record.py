"""The dark record and the dark address in plain Python: the model the C code is compared with.

Written from spec/dark.md with hashlib's SHA-512 as the only help: BLAKE3, Ed25519 with key blinding,
ChaCha20-Poly1305 and base32 are spelled out here, slowly, and share nothing with the C code.
ML-DSA-65 is not modelled; the bytes it signs are.  Run dark_record_test.py for the checks.
"""
import hashlib
import struct

# --- BLAKE3 (its paper, section 2), derive-key mode -----------------------------------------------

_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_PERM = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_CHUNK_START, _CHUNK_END, _PARENT, _ROOT = 1, 2, 4, 8
_CONTEXT, _MATERIAL = 32, 64
_M32 = 0xFFFFFFFF


def _ror(x, n):
    return ((x >> n) | (x << (32 - n))) & _M32


def _mix(v, a, b, c, d, x, y):
    v[a] = (v[a] + v[b] + x) & _M32
    v[d] = _ror(v[d] ^ v[a], 16)
    v[c] = (v[c] + v[d]) & _M32
    v[b] = _ror(v[b] ^ v[c], 12)
    v[a] = (v[a] + v[b] + y) & _M32
    v[d] = _ror(v[d] ^ v[a], 8)
    v[c] = (v[c] + v[d]) & _M32
    v[b] = _ror(v[b] ^ v[c], 7)


def _compress(cv, block, counter, length, flags):
    m = list(struct.unpack('<16I', block.ljust(64, b'\0')))
    v = list(cv) + list(_IV[:4]) + [counter & _M32, counter >> 32, length, flags]
    for _ in range(7):
        for i in range(4):
            _mix(v, i, 4 + i, 8 + i, 12 + i, m[2 * i], m[2 * i + 1])
        for i in range(4):
            _mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[8 + 2 * i], m[9 + 2 * i])
        m = [m[p] for p in _PERM]
    return [v[i] ^ v[i + 8] for i in range(8)] + [v[i + 8] ^ cv[i] for i in range(8)]


def _chunk_node(key, data, index, flags):
    """the last compression of a chunk, not made yet: (cv, block, counter, length, flags)"""
    blocks = [data[i:i + 64] for i in range(0, len(data), 64)] or [b'']
    cv = key
    for i, block in enumerate(blocks):
        f = flags | (_CHUNK_START if i == 0 else 0)
        if i == len(blocks) - 1:
            return cv, block, index, len(block), f | _CHUNK_END
        cv = _compress(cv, block, index, 64, f)[:8]


def _cv_of(node):
    return _compress(*node)[:8]


def _tree_node(key, data, first, flags):
    if len(data) <= 1024:
        return _chunk_node(key, data, first, flags)
    chunks = (len(data) + 1023) // 1024
    left = 1
    while left * 2 < chunks:
        left *= 2
    parts = (_tree_node(key, data[:left * 1024], first, flags),
             _tree_node(key, data[left * 1024:], first + left, flags))
    block = b''.join(struct.pack('<8I', *_cv_of(p)) for p in parts)
    return key, block, 0, 64, flags | _PARENT


def _blake3(key, data, flags, n):
    cv, block, _, length, f = _tree_node(key, data, 0, flags)
    out = b''
    for i in range((n + 63) // 64):
        out += struct.pack('<16I', *_compress(cv, block, i, length, f | _ROOT))
    return out[:n]


def blake3(data, n=32):
    return _blake3(_IV, data, 0, n)


def blake3_derive(context, material, n=32):
    key = struct.unpack('<8I', _blake3(_IV, context.encode(), _CONTEXT, 32))
    return _blake3(key, material, _MATERIAL, n)


# --- Ed25519 (RFC 8032) and its blinding (Tor rend-spec-v3, appendix A.2) -----------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
_ROOT_M1 = pow(2, (P - 1) // 4, P)


def _recover_x(y, sign):
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * _ROOT_M1 % P
    if (x * x - xx) % P or (x == 0 and sign):
        raise ValueError('not a point')
    return P - x if x & 1 != sign else x


def _add(p, q):
    x1, y1, z1, t1 = p
    x2, y2, z2, t2 = q
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = _add(q, p)
        p = _add(p, p)
        n >>= 1
    return q


def _encode(p):
    z = pow(p[2], P - 2, P)
    x, y = p[0] * z % P, p[1] * z % P
    return (y | (x & 1) << 255).to_bytes(32, 'little')


def _decode(b):
    n = int.from_bytes(b, 'little')
    y, sign = n & (1 << 255) - 1, n >> 255
    if y >= P:
        raise ValueError('not reduced')
    x = _recover_x(y, sign)
    return x, y, 1, x * y % P


_B_Y = 4 * pow(5, P - 2, P) % P
_B = (_recover_x(_B_Y, 0), _B_Y, 1, _recover_x(_B_Y, 0) * _B_Y % P)


def _clamp(b):
    n = int.from_bytes(b, 'little')
    return n & ~7 & ~(1 << 255) | 1 << 254


def _h512(*parts):
    return hashlib.sha512(b''.join(parts)).digest()


def _mod_l(b):
    return int.from_bytes(b, 'little') % L


def ed25519_public(seed):
    return _encode(_times(_clamp(_h512(seed)[:32]), _B))


def ed25519_sign(seed, msg):
    h = _h512(seed)
    r = _mod_l(_h512(h[32:], msg))
    big_r = _encode(_times(r, _B))
    s = (r + _mod_l(_h512(big_r, ed25519_public(seed), msg)) * _clamp(h[:32])) % L
    return big_r + s.to_bytes(32, 'little')


def ed25519_verify(pk, sig, msg):
    s = int.from_bytes(sig[32:], 'little')
    if s >= L:
        return False
    k = _mod_l(_h512(sig[:32], pk, msg))
    return _encode(_add(_decode(sig[:32]), _times(k, _decode(pk)))) == _encode(_times(s, _B))


def blind_public(pk, param):
    return _encode(_times(_clamp(param), _decode(pk)))


def blind_sign(seed, param, msg, z):
    """the nonce is hedged with z as in draft-irtf-cfrg-det-sigs-with-noise-01"""
    h = _h512(seed)
    a = _clamp(param) * _clamp(h[:32]) % L
    prefix = _h512(b'Derive temporary signing key hash input', h[32:])[:32]
    pk = _encode(_times(a, _B))
    r = _mod_l(_h512(z.ljust(128, b'\0'), prefix.ljust(128, b'\0'), msg))
    big_r = _encode(_times(r, _B))
    s = (r + _mod_l(_h512(big_r, pk, msg)) * a) % L
    return big_r + s.to_bytes(32, 'little')


# --- ChaCha20-Poly1305 (RFC 8439) -------------------------------------------------------------------


def _rol(x, n):
    return ((x << n) | (x >> (32 - n))) & _M32


def _quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & _M32
        s[z] = _rol(s[z] ^ s[x], n)


def chacha20_block(key, counter, nonce):
    start = list(struct.unpack('<16I', b'expand 32-byte k' + key + struct.pack('<I', counter) + nonce))
    s = start[:]
    for _ in range(10):
        for i in range(4):
            _quarter(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            _quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack('<16I', *((x + y) & _M32 for x, y in zip(s, start)))


def _chacha20(key, nonce, data):
    out = bytearray()
    for i in range(0, len(data), 64):
        stream = chacha20_block(key, 1 + i // 64, nonce)
        out += bytes(x ^ y for x, y in zip(data[i:i + 64], stream))
    return bytes(out)


def _poly1305(key, msg):
    r = int.from_bytes(key[:16], 'little') & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    acc = 0
    for i in range(0, len(msg), 16):
        acc = (acc + int.from_bytes(msg[i:i + 16] + b'\1', 'little')) * r % ((1 << 130) - 5)
    return ((acc + int.from_bytes(key[16:], 'little')) & (1 << 128) - 1).to_bytes(16, 'little')


def _tag(key, nonce, aad, cipher):
    def padded(b):
        return b + bytes(-len(b) % 16)
    return _poly1305(chacha20_block(key, 0, nonce)[:32],
                     padded(aad) + padded(cipher) + struct.pack('<QQ', len(aad), len(cipher)))


def aead_seal(key, nonce, aad, plain):
    cipher = _chacha20(key, nonce, plain)
    return cipher + _tag(key, nonce, aad, cipher)


def aead_open(key, nonce, aad, sealed):
    if _tag(key, nonce, aad, sealed[:-16]) != sealed[-16:]:
        raise ValueError('tag')
    return _chacha20(key, nonce, sealed[:-16])


# --- the address: spec/dark.md, sections 1 and 2 ------------------------------------------------------

_BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'
PERIOD, STEP, STEP_SEQS, REPLICAS = 86400, 3600, 256, 2


def address_text(addr):
    """addr: the 66 bytes version | network | A | commitment"""
    b = addr + blake3_derive('qudag dark address checksum v1', addr, 3)
    n = int.from_bytes(b, 'big') << 3  # 552 bits in 111 characters of 5
    chars = ''.join(_BASE32[n >> (5 * i) & 31] for i in reversed(range(111)))
    return f'{chars[:56]}.{chars[56:]}.dark'


def commitment(pq_pk):
    return blake3_derive('qudag dark commitment ML-DSA-65 v1', pq_pk)


def material(addr, period, replica):
    return addr + struct.pack('>QB', period, replica)


def period_of(now):
    return now // PERIOD


def live_periods(now):
    low = (now - PERIOD // 2) // PERIOD
    return {low, low + 1}


def seq_first(now):
    """the number inside a record made when none was before"""
    return now // STEP * STEP_SEQS


def walk(seed, addr, period, replica, now):
    """what the number of a record is above, whatever was made before"""
    out = blake3_derive('qudag dark numbers v1', seed + material(addr, period, replica), 8 + 4 * 48)
    hours = max(0, min(48, (now - (period * PERIOD - PERIOD // 2)) // 3600))
    steps = struct.unpack('>48I', out[8:])
    return (int.from_bytes(out[:8], 'big') >> 16) + sum(2**32 + s for s in steps[:hours])


def blinding(addr, period, replica):
    return blake3_derive('qudag dark blinding v1', material(addr, period, replica))


def dht_key(addr, period, replica):
    blinded = blind_public(addr[2:34], blinding(addr, period, replica))
    return b'/qudag/dark/' + blake3_derive('qudag dark index v1', blinded)


# --- the record: spec/dark.md, section 3 ----------------------------------------------------------------

RECORD_LEN, HEAD_LEN, SIG_AT = 12288, 76, 12224
PQ_PK_LEN, PQ_SIG_LEN = 1952, 3309


def body_key(addr, period, replica):
    return blake3_derive('qudag dark record body v1', material(addr, period, replica))


def head(blinded, number, not_before, expires, nonce):
    return b'QDDR\x01\0\0\0' + blinded + struct.pack('>QQQ', number, not_before, expires) + nonce


def statement(pq_hash, until, addrs, signature):
    """that the node ends circuits at these addresses; spec/onion.md, 5.6"""
    b = pq_hash + struct.pack('>Q', until) + bytes([len(addrs)])
    for a in addrs:
        b += bytes([len(a)]) + a
    return b + signature


def target(peer, ends, onion_x, onion_k):
    """of kind direct"""
    return bytes([len(peer)]) + peer + struct.pack('>H', len(ends)) + ends + onion_x + onion_k


def intro(peer, pq_hash, x, k, key):
    """an introduction point"""
    return bytes([len(peer)]) + peer + pq_hash + x + k + key


def hidden_target(x, k, pow_asked, intros):
    """of kind hidden; pow_asked: None, or seed, effort, expires; intros: as intro() made them"""
    b = x + k
    if pow_asked is None:
        b += b'\0'
    else:
        seed, effort, expires = pow_asked
        b += b'\x02' + seed + struct.pack('>IQ', effort, expires)
    return b + bytes([len(intros)]) + b''.join(intros)


def hidden_read(b):
    """the inverse; ValueError for what no reader accepts"""
    at = 0

    def take(n):
        nonlocal at
        if at + n > len(b):
            raise ValueError('too short')
        at += n
        return b[at - n:at]
    x, k, flags = take(32), take(1184), take(1)[0]
    if flags & ~2:
        raise ValueError('flags')
    pow_asked = None
    if flags:
        pow_asked = take(32), *struct.unpack('>IQ', take(12))
        if pow_asked[1] == 0 or pow_asked[2] >= 2**63:
            raise ValueError('work')
    points = []
    for _ in range(take(1)[0]):
        peer = take(take(1)[0])
        if peer[:2] not in (b'\x12\x20', bytes([0, len(peer) - 2])) or len(peer) > 44:
            raise ValueError('peer id')
        points.append((peer, take(32), take(32), take(1184), take(32)))
    distinct = len({p[0] for p in points}) == len({p[4] for p in points}) == len(points)
    if at != len(b) or not 1 <= len(points) <= 3 or not distinct:
        raise ValueError('introduction points')
    return x, k, pow_asked, points


CLIENTS, HIDDEN_MAX = 48, 5237


def _entry_mask(secret, salt):
    return blake3_derive('qudag dark client v1', secret + salt)


def _xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def locked_target(hidden, secrets, key, salt, entries):
    """of kind locked; entries: 48 of 32 random bytes, of which the first ones are replaced"""
    entries = [_xor(key, _entry_mask(s, salt)) for s in secrets] + list(entries[len(secrets):])
    plain = struct.pack('>H', len(hidden)) + hidden
    return salt + b''.join(entries) + aead_seal(key, bytes(12), salt, plain.ljust(2 + HIDDEN_MAX, b'\0'))


def unlock(b, secret):
    """the target of kind hidden inside; LookupError: not for this secret; ValueError for what no reader accepts"""
    if len(b) != 32 + 32 * CLIENTS + 2 + HIDDEN_MAX + 16:
        raise ValueError('length')
    salt, sealed = b[:32], b[32 + 32 * CLIENTS:]
    for i in range(CLIENTS):
        key = _xor(b[32 + 32 * i:64 + 32 * i], _entry_mask(secret, salt))
        if _tag(key, bytes(12), salt, sealed[:-16]) != sealed[-16:]:
            continue
        plain = aead_open(key, bytes(12), salt, sealed)
        length = struct.unpack('>H', plain[:2])[0]
        if length > HIDDEN_MAX or any(plain[2 + length:]):
            raise ValueError('padding')
        return plain[2:2 + length]
    raise LookupError('not a client')


def body_signed(kind, seq, pq_pk, target_bytes):
    """the part of the body before its signature"""
    return bytes([kind]) + struct.pack('>Q', seq) + pq_pk + struct.pack('>H', len(target_bytes)) + target_bytes


def pq_message(addr, period, replica, head_bytes, signed):
    """what ML-DSA-65 signs, with context string "qudag-dark-record-v1" """
    return material(addr, period, replica) + head_bytes + signed
