#!/usr/bin/python3
"""The circuit handshake in plain Python: the model the C code is compared with.

Written from spec/onion.md section 3, FIPS 203, RFC 7748, RFC 8439 and RFC 5869, slowly and with
nothing but hashlib and hmac, so that it shares nothing with the C code.  Names follow the documents.

    onion_handshake.py            prints the vector file
    onion_handshake_test.py       compares it with tests/vectors/onion-handshake.json
"""
import hashlib
import hmac
import json

# --- ML-KEM-768, FIPS 203 --------------------------------------------------------------------

Q, N, K, ETA1, ETA2, DU, DV = 3329, 256, 3, 2, 2, 10, 4


def _bitrev7(i):
    return int(f'{i:07b}'[::-1], 2)


ZETAS = [pow(17, _bitrev7(i), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * _bitrev7(i) + 1, Q) for i in range(128)]


def _bits(data):
    return [(byte >> i) & 1 for byte in data for i in range(8)]


def byte_encode(f, d):
    value = 0
    for i, a in enumerate(f):
        value |= (a % (1 << d) if d < 12 else a % Q) << (i * d)
    return value.to_bytes(32 * d, 'little')


def byte_decode(data, d):
    value = int.from_bytes(data, 'little')
    f = [(value >> (i * d)) & ((1 << d) - 1) for i in range(N)]
    return [a % Q for a in f] if d == 12 else f


def compress(f, d):
    return [(((a << d) + Q // 2) // Q) % (1 << d) for a in f]


def decompress(f, d):
    return [(a * Q + (1 << (d - 1))) >> d for a in f]


def sample_ntt(seed):
    stream = hashlib.shake_128(seed).digest(2016)
    a, i = [], 0
    while len(a) < N:
        d1 = stream[i] + 256 * (stream[i + 1] % 16)
        d2 = stream[i + 1] // 16 + 16 * stream[i + 2]
        a += [d for d in (d1, d2) if d < Q][: N - len(a)]
        i += 3
    return a


def sample_cbd(data, eta):
    b = _bits(data)
    return [(sum(b[2 * i * eta : (2 * i + 1) * eta]) - sum(b[(2 * i + 1) * eta : (2 * i + 2) * eta])) % Q
            for i in range(N)]


def ntt(f):
    f, i, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, N, 2 * length):
            zeta, i = ZETAS[i], i + 1
            for j in range(start, start + length):
                t = zeta * f[j + length] % Q
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
        length //= 2
    return f


def inverse_ntt(f):
    f, i, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, N, 2 * length):
            zeta, i = ZETAS[i], i - 1
            for j in range(start, start + length):
                t = f[j]
                f[j] = (t + f[j + length]) % Q
                f[j + length] = zeta * (f[j + length] - t) % Q
        length *= 2
    return [a * 3303 % Q for a in f]


def multiply(f, g):
    h = []
    for i in range(128):
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        h += [(a0 * b0 + a1 * b1 * GAMMAS[i]) % Q, (a0 * b1 + a1 * b0) % Q]
    return h


def add(f, g):
    return [(a + b) % Q for a, b in zip(f, g)]


def dot(u, v):
    total = [0] * N
    for f, g in zip(u, v):
        total = add(total, multiply(f, g))
    return total


def prf(s, b, eta):
    return hashlib.shake_256(s + bytes([b])).digest(64 * eta)


def G(data):
    digest = hashlib.sha3_512(data).digest()
    return digest[:32], digest[32:]


def matrix(rho):
    return [[sample_ntt(rho + bytes([j, i])) for j in range(K)] for i in range(K)]


def kpke_keygen(d):
    rho, sigma = G(d + bytes([K]))
    s = [ntt(sample_cbd(prf(sigma, i, ETA1), ETA1)) for i in range(K)]
    e = [ntt(sample_cbd(prf(sigma, K + i, ETA1), ETA1)) for i in range(K)]
    t = [add(dot(row, s), e[i]) for i, row in enumerate(matrix(rho))]
    return b''.join(byte_encode(f, 12) for f in t) + rho, b''.join(byte_encode(f, 12) for f in s)


def kpke_encrypt(ek, m, r):
    t = [byte_decode(ek[384 * i : 384 * i + 384], 12) for i in range(K)]
    a = matrix(ek[384 * K :])
    y = [ntt(sample_cbd(prf(r, i, ETA1), ETA1)) for i in range(K)]
    e1 = [sample_cbd(prf(r, K + i, ETA2), ETA2) for i in range(K)]
    e2 = sample_cbd(prf(r, 2 * K, ETA2), ETA2)
    u = [add(inverse_ntt(dot([a[j][i] for j in range(K)], y)), e1[i]) for i in range(K)]
    mu = decompress(byte_decode(m, 1), 1)
    v = add(add(inverse_ntt(dot(t, y)), e2), mu)
    return b''.join(byte_encode(compress(f, DU), DU) for f in u) + byte_encode(compress(v, DV), DV)


def kpke_decrypt(dk, c):
    u = [decompress(byte_decode(c[32 * DU * i : 32 * DU * (i + 1)], DU), DU) for i in range(K)]
    v = decompress(byte_decode(c[32 * DU * K :], DV), DV)
    s = [byte_decode(dk[384 * i : 384 * i + 384], 12) for i in range(K)]
    su = inverse_ntt(dot(s, [ntt(f) for f in u]))
    return byte_encode(compress([(a - b) % Q for a, b in zip(v, su)], 1), 1)


def mlkem_keygen(seed):
    """seed = d || z; (ek, dk)"""
    ek, dk = kpke_keygen(seed[:32])
    return ek, dk + ek + hashlib.sha3_256(ek).digest() + seed[32:]


def mlkem_encaps(ek, m):
    """(ct, shared secret)"""
    key, r = G(m + hashlib.sha3_256(ek).digest())
    return kpke_encrypt(ek, m, r), key


def mlkem_decaps(dk, c):
    dk_pke, ek, h, z = dk[: 384 * K], dk[384 * K : 768 * K + 32], dk[768 * K + 32 : 768 * K + 64], dk[-32:]
    m = kpke_decrypt(dk_pke, c)
    key, r = G(m + h)
    return key if kpke_encrypt(ek, m, r) == c else hashlib.shake_256(z + c).digest(32)


# --- X25519, RFC 7748 ------------------------------------------------------------------------

P = 2**255 - 19


def x25519(k, u):
    k = (int.from_bytes(k, 'little') & ~7 & ((1 << 255) - 1)) | (1 << 254)
    x1 = int.from_bytes(u, 'little') & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = (k >> t) & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, 'little')


BASE = (9).to_bytes(32, 'little')

# --- ChaCha20-Poly1305, RFC 8439 -------------------------------------------------------------


def chacha20_block(key, counter, nonce):
    def rotl(x, n):
        return ((x << n) | (x >> (32 - n))) & 0xFFFFFFFF

    init = [int.from_bytes(w, 'little') for w in (b'expa', b'nd 3', b'2-by', b'te k')]
    init += [int.from_bytes(key[i : i + 4], 'little') for i in range(0, 32, 4)]
    init += [counter] + [int.from_bytes(nonce[i : i + 4], 'little') for i in range(0, 12, 4)]
    x = list(init)
    rounds = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
              (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    for _ in range(10):
        for a, b, c, d in rounds:
            for p, q, r, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[p] = (x[p] + x[q]) & 0xFFFFFFFF
                x[r] = rotl(x[r] ^ x[p], n)
    return b''.join(((a + b) & 0xFFFFFFFF).to_bytes(4, 'little') for a, b in zip(x, init))


def chacha20(key, counter, nonce, data):
    stream = b''.join(chacha20_block(key, counter + i, nonce) for i in range((len(data) + 63) // 64))
    return bytes(a ^ b for a, b in zip(data, stream))


def poly1305(key, data):
    r = int.from_bytes(key[:16], 'little') & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    acc = 0
    for i in range(0, len(data), 16):
        acc = (acc + int.from_bytes(data[i : i + 16] + b'\1', 'little')) * r % (2**130 - 5)
    return ((acc + int.from_bytes(key[16:], 'little')) % 2**128).to_bytes(16, 'little')


def aead_seal(key, nonce, aad, plain):
    def pad(b):
        return b + bytes(-len(b) % 16)

    cipher = chacha20(key, 1, nonce, plain)
    lengths = len(aad).to_bytes(8, 'little') + len(cipher).to_bytes(8, 'little')
    tag = poly1305(chacha20_block(key, 0, nonce)[:32], pad(aad) + pad(cipher) + lengths)
    return cipher + tag


def aead_open(key, nonce, aad, sealed):
    plain = chacha20(key, 1, nonce, sealed[:-16])
    if aead_seal(key, nonce, aad, plain) != sealed:
        raise ValueError('wrong tag')
    return plain


# --- HKDF-SHA256, RFC 5869; the transcript ---------------------------------------------------


def extract(salt, ikm):
    return hmac.new(salt, ikm, hashlib.sha256).digest()


def expand(prk, label, length):
    out, t, i = b'', b'', 1
    while len(out) < length:
        t = hmac.new(prk, t + label.encode() + bytes([i]), hashlib.sha256).digest()
        out, i = out + t, i + 1
    return out[:length]


def transcript(*parts):
    return hashlib.sha256(b''.join(len(p).to_bytes(4, 'big') + p for p in parts)).digest()


# --- the handshake, spec/onion.md 3 ----------------------------------------------------------

LABELS = {'relay': 'qudag onion v1 relay', 'service': 'qudag onion v1 service'}
NONCE = bytes(12)


class Seeded:
    """The random bytes of a run: ChaCha20 key stream under the seed, zero nonce, counter from 0."""

    def __init__(self, seed):
        self.seed, self.used = seed, 0

    def take(self, n):
        first, last = self.used // 64, (self.used + n + 63) // 64
        stream = b''.join(chacha20_block(self.seed, i, NONCE) for i in range(first, last))
        skip = self.used % 64
        self.used += n
        return stream[skip : skip + n]


class Relay:
    """A relay or a service: what it is chooses the label.  Long-term keys, in the order they are drawn: B_x, then B_k."""

    def __init__(self, seed, peer_id, pq_hash, key_id, role='relay'):
        rng = Seeded(seed)
        self.label = LABELS[role].encode()
        self.peer_id, self.pq_hash, self.key_id = peer_id, pq_hash, key_id
        self.x = rng.take(32)
        self.B_x = x25519(self.x, BASE)
        self.B_k, self.dk = mlkem_keygen(rng.take(64))


class Client:
    def __init__(self, seed, relay, ext=b''):
        rng = Seeded(seed)
        self.x = rng.take(32)
        self.X = x25519(self.x, BASE)
        self.ek_e, self.dk_e = mlkem_keygen(rng.take(64))
        ct_s, ks = mlkem_encaps(relay.B_k, rng.take(32))
        xs = x25519(self.x, relay.B_x)
        self.head = (relay.label, relay.peer_id, relay.pq_hash, relay.key_id, relay.B_x, relay.B_k, self.X, ct_s)
        th1 = transcript(*self.head)
        prk1 = extract(th1, ks + xs)
        self.chain = expand(prk1, 'qudag onion v1 chain', 32)
        sealed = aead_seal(expand(prk1, 'qudag onion v1 create key', 32), NONCE, th1, self.ek_e + ext)
        self.head += (sealed,)
        self.create = relay.key_id + self.X + ct_s + sealed

    def finish(self, created):
        Y, ct_e, auth, sealed = created[:32], created[32:1120], created[1120:1152], created[1152:]
        ke, xe = mlkem_decaps(self.dk_e, ct_e), x25519(self.x, Y)
        th2, want, key, keys = second_phase(self.head, Y, ct_e, self.chain + ke + xe)
        if want != auth:
            raise ValueError('wrong AUTH')
        aead_open(key, NONCE, th2, sealed)
        return keys


def second_phase(head, Y, ct_e, secrets):
    """(th2, AUTH, K2, (keys forward, keys backward, binding))"""
    th2 = transcript(*head, Y, ct_e)
    prk2 = extract(th2, secrets)
    auth = hmac.new(expand(prk2, 'qudag onion v1 auth', 32), th2, hashlib.sha256).digest()
    return (th2, auth, expand(prk2, 'qudag onion v1 created key', 32),
            (expand(prk2, 'qudag onion v1 cells forward', 112), expand(prk2, 'qudag onion v1 cells backward', 112),
             expand(prk2, 'qudag onion v1 binding', 32)))


def answer(seed, relay, create):
    """(CREATED, keys)"""
    rng = Seeded(seed)
    key_id, X, ct_s, sealed = create[:8], create[8:40], create[40:1128], create[1128:]
    if key_id != relay.key_id:
        raise ValueError('unknown key')
    head = (relay.label, relay.peer_id, relay.pq_hash, key_id, relay.B_x, relay.B_k, X, ct_s)
    th1 = transcript(*head)
    prk1 = extract(th1, mlkem_decaps(relay.dk, ct_s) + x25519(relay.x, X))
    ek_e = aead_open(expand(prk1, 'qudag onion v1 create key', 32), NONCE, th1, sealed)[:1184]
    y = rng.take(32)
    Y = x25519(y, BASE)
    ct_e, ke = mlkem_encaps(ek_e, rng.take(32))
    secrets = expand(prk1, 'qudag onion v1 chain', 32) + ke + x25519(y, X)
    th2, auth, key, keys = second_phase(head + (sealed,), Y, ct_e, secrets)
    return Y + ct_e + auth + aead_seal(key, NONCE, th2, b''), keys


# --- vectors ---------------------------------------------------------------------------------


def vectors():
    cases = []
    for role in LABELS:
        seeds = {who: hashlib.sha256(f'{who} {role}'.encode()).digest() for who in ('relay', 'client', 'answer')}
        peer_id = bytes.fromhex('002408011220') + hashlib.sha256(b'peer').digest()
        relay = Relay(seeds['relay'], peer_id, hashlib.sha256(b'pq').digest(), hashlib.sha256(b'key').digest()[:8], role)
        client = Client(seeds['client'], relay)
        created, keys = answer(seeds['answer'], relay, client.create)
        assert client.finish(created) == keys
        cases.append({
            'to': role,
            'seed_relay': seeds['relay'].hex(), 'seed_client': seeds['client'].hex(), 'seed_answer': seeds['answer'].hex(),
            'peer_id': peer_id.hex(), 'pq_hash': relay.pq_hash.hex(), 'key_id': relay.key_id.hex(),
            'create': client.create.hex(), 'created': created.hex(),
            'keys_forward': keys[0].hex(), 'keys_backward': keys[1].hex(), 'binding': keys[2].hex(),
        })
    return {'source': 'tests/reference/onion_handshake.py', 'cases': cases}


if __name__ == '__main__':
    print(json.dumps(vectors(), indent=1))
