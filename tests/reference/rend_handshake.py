#!/usr/bin/python3
"""The handshake of kind 4 and ESTABLISH in plain Python: the model the C code is compared with.

Written from spec/rendezvous.md 1 and 3.  ML-KEM, X25519, the AEAD and HKDF are those of onion_handshake.py, BLAKE3 and
Ed25519 those of dark_record.py; the handshake itself is spelled out here and shares nothing with the C code.

    rend_handshake.py             prints the vector file
    rend_handshake_test.py        compares it with tests/vectors/rend-handshake.json
"""
import hashlib
import hmac
import json

import dark_record as dark
from onion_handshake import (BASE, NONCE, Q, Seeded, aead_open, aead_seal, expand, extract, mlkem_decaps, mlkem_encaps,
                             mlkem_keygen, transcript, x25519)

LABEL = b'qudag onion v1 rendezvous'
HANDSHAKE, PLAIN, CREATED, EK = 4063, 2919, 1168, 1184
ZERO = bytes(32)


def sha(text):
    return hashlib.sha256(text.encode()).digest()


def dh(secret, public):
    shared = x25519(secret, public)
    if shared == ZERO:
        raise ValueError('X25519 is all zero')
    return shared


def check_ek(ek):
    """the modulus check of FIPS 203, 7.2"""
    value = int.from_bytes(ek[:1152], 'little')
    if any((value >> (12 * i)) & 0xFFF >= Q for i in range(768)):
        raise ValueError('an encapsulation key is not reduced')


def key_id(x, k):
    return dark.blake3_derive('qudag onion key id v1', x + k, 8)


# --- what is sealed behind ek_e --------------------------------------------------------------


class Relay:
    """R, as a caller names it"""

    def __init__(self, peer_id, pq_hash, x, k):
        self.peer_id, self.pq_hash, self.x, self.k = peer_id, pq_hash, x, k

    def packed(self):
        return bytes([len(self.peer_id)]) + self.peer_id + self.pq_hash + self.x + self.k


def put_tail(cookie, relay, extensions):
    tail = cookie + relay.packed() + extensions
    assert len(tail) <= PLAIN - EK
    return tail.ljust(PLAIN - EK, b'\0')


def check_peer_id(b):
    identity = len(b) >= 3 and b[0] == 0 and 1 <= b[1] <= 42 and len(b) == 2 + b[1]
    if not identity and not (b[:2] == b'\x12\x20' and len(b) == 34):
        raise ValueError('not a peer id')


def get_tail(tail):
    """(cookie, R, the list of extensions)"""
    cookie, n, at = tail[:32], tail[32], 33
    peer_id, at = tail[at : at + n], at + n
    check_peer_id(peer_id)
    relay = Relay(peer_id, tail[at : at + 32], tail[at + 32 : at + 64], tail[at + 64 : at + 64 + EK])
    check_ek(relay.k)
    first = at = at + 64 + EK
    while at < len(tail) and tail[at] != 0:
        length = int.from_bytes(tail[at + 1 : at + 3], 'big')
        if at + 3 + length > len(tail):
            raise ValueError('an extension is cut')
        if tail[at] >= 128:
            raise ValueError('an extension that must be known')
        at += 3 + length
    if any(tail[at:]):
        raise ValueError('something behind the extensions')
    return cookie, relay, tail[first:at]


# --- the two sides ---------------------------------------------------------------------------


class Service:
    """The keys of a record, in the order they are drawn: B_x, then B_k."""

    def __init__(self, seed, addr, intro_key):
        rng = Seeded(seed)
        self.addr, self.intro_key = addr, intro_key
        self.b = rng.take(32)
        self.B_x = x25519(self.b, BASE)
        self.B_k, self.dk = mlkem_keygen(rng.take(64))
        self.key_id = key_id(self.B_x, self.B_k)

    def th1_parts(self, X, ct_s, label=LABEL):
        return label, self.addr, self.intro_key, self.key_id, self.B_x, self.B_k, X, ct_s

    def open(self, handshake):
        """(ek_e, cookie, R, extensions); what answer() needs is kept"""
        assert len(handshake) == HANDSHAKE
        named, X, ct_s, sealed = handshake[:8], handshake[8:40], handshake[40:1128], handshake[1128:]
        if named != self.key_id:
            raise ValueError('made for other keys')
        parts = self.th1_parts(X, ct_s)
        th1 = transcript(*parts)
        prk1 = extract(th1, mlkem_decaps(self.dk, ct_s) + dh(self.b, X))
        plain = aead_open(expand(prk1, 'qudag onion v1 create key', 32), NONCE, th1, sealed)
        cookie, relay, extensions = get_tail(plain[EK:])
        check_ek(plain[:EK])
        self.asked = (parts + (sealed, cookie, relay.peer_id, relay.pq_hash), X, plain[:EK],
                      expand(prk1, 'qudag onion v1 chain', 32))
        return plain[:EK], cookie, relay, extensions

    def answer(self, seed):
        """(CREATED, keys) for what was opened last"""
        rng = Seeded(seed)
        parts, X, ek_e, chain = self.asked
        y = rng.take(32)
        ct_e, ke = mlkem_encaps(ek_e, rng.take(32))
        return created_of(parts, x25519(y, BASE), ct_e, chain + ke + dh(y, X))


def second_phase(parts, Y, ct_e, secrets):
    """(th2, AUTH, K2, (keys forward, keys backward, binding))"""
    th2 = transcript(*parts, Y, ct_e)
    prk2 = extract(th2, secrets)
    auth = hmac.new(expand(prk2, 'qudag onion v1 auth', 32), th2, hashlib.sha256).digest()
    keys = (expand(prk2, 'qudag onion v1 cells forward', 112), expand(prk2, 'qudag onion v1 cells backward', 112),
            expand(prk2, 'qudag onion v1 binding', 32))
    return th2, auth, expand(prk2, 'qudag onion v1 created key', 32), keys


def created_of(parts, Y, ct_e, secrets):
    th2, auth, key, keys = second_phase(parts, Y, ct_e, secrets)
    return Y + ct_e + auth + aead_seal(key, NONCE, th2, b''), keys


class Caller:
    """|hostile| replaces parts of an honest handshake: label, X (then xs is zero), ek_e, tail."""

    def __init__(self, seed, service, cookie, relay, extensions=b'', hostile=None):
        rng, hostile = Seeded(seed), hostile or {}
        self.x = rng.take(32)
        X, xs = x25519(self.x, BASE), dh(self.x, service.B_x)
        self.ek_e, self.dk_e = mlkem_keygen(rng.take(64))
        ct_s, ks = mlkem_encaps(service.B_k, rng.take(32))
        if 'X' in hostile:
            X, xs = hostile['X'], ZERO
        parts = service.th1_parts(X, ct_s, hostile.get('label', LABEL))
        th1 = transcript(*parts)
        prk1 = extract(th1, ks + xs)
        self.chain = expand(prk1, 'qudag onion v1 chain', 32)
        plain = hostile.get('ek_e', self.ek_e) + hostile.get('tail', put_tail(cookie, relay, extensions))
        sealed = aead_seal(expand(prk1, 'qudag onion v1 create key', 32), NONCE, th1, plain)
        self.parts = parts + (sealed, cookie, relay.peer_id, relay.pq_hash)
        self.handshake = service.key_id + X + ct_s + sealed
        assert len(self.handshake) == HANDSHAKE

    def finish(self, created):
        """keys"""
        Y, ct_e, auth, sealed = created[:32], created[32:1120], created[1120:1152], created[1152:]
        th2, want, key, keys = second_phase(self.parts, Y, ct_e, self.chain + mlkem_decaps(self.dk_e, ct_e) + dh(self.x, Y))
        if want != auth:
            raise ValueError('wrong AUTH')
        aead_open(key, NONCE, th2, sealed)
        return keys


# --- ESTABLISH -------------------------------------------------------------------------------


def establish(seed, binding, rate, burst):
    limits = rate.to_bytes(2, 'big') + burst.to_bytes(2, 'big')
    key = dark.ed25519_public(seed)
    return b'\1' + key + limits + dark.ed25519_sign(seed, b'qudag introduction point v1\0' + binding + key + limits)


# --- vectors ---------------------------------------------------------------------------------

PEER_IDS = (bytes.fromhex('002408011220') + sha('R'), b'\x12\x20' + sha('R with a hashed key'))
EXTENSIONS = (b'', b'\x01\x00\x02\xaa\xbb' + b'\x7f\x00\x00' + b'\x01\x00\x01\xcc')
SMALL_ORDER = bytes.fromhex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800') # order 8, RFC 7748 7


def case(number):
    """(service, cookie, R, extensions, seeds)"""
    seeds = {who: sha(f'rendezvous {who} {number}') for who in ('service', 'caller', 'answer')}
    addr = b'\1\2' + sha(f'A {number}') + sha(f'commitment {number}')
    service = Service(seeds['service'], addr, dark.ed25519_public(sha(f'introduction key {number}')))
    rng = Seeded(sha(f'keys of R {number}'))
    relay = Relay(PEER_IDS[number], sha('pq of R'), x25519(rng.take(32), BASE), mlkem_keygen(rng.take(64))[0])
    return service, sha(f'cookie {number}'), relay, EXTENSIONS[number], seeds


def good_case(number):
    service, cookie, relay, extensions, seeds = case(number)
    caller = Caller(seeds['caller'], service, cookie, relay, extensions)
    opened = service.open(caller.handshake)
    assert (opened[0], opened[1], opened[2].packed(), opened[3]) == (caller.ek_e, cookie, relay.packed(), extensions)
    created, keys = service.answer(seeds['answer'])
    assert len(created) == CREATED and caller.finish(created) == keys
    return {
        'address': service.addr.hex(), 'intro_key': service.intro_key.hex(), 'key_id': service.key_id.hex(),
        'seed_service': seeds['service'].hex(), 'seed_caller': seeds['caller'].hex(), 'seed_answer': seeds['answer'].hex(),
        'cookie': cookie.hex(), 'relay_peer_id': relay.peer_id.hex(), 'relay_pq_hash': relay.pq_hash.hex(),
        'relay_key_id': key_id(relay.x, relay.k).hex(), 'relay_x': relay.x.hex(), 'relay_k': relay.k.hex(),
        'extensions': extensions.hex(), 'handshake': caller.handshake.hex(), 'created': created.hex(),
        'keys_forward': keys[0].hex(), 'keys_backward': keys[1].hex(), 'binding': keys[2].hex(),
    }


def hostile_handshakes():
    """made for the service of case 0 by a caller that has all keys it may have, and seals what it should not"""
    service, cookie, relay, _, seeds = case(0)
    good = put_tail(cookie, relay, b'')
    after = 32 + len(relay.packed()) # where the extensions begin
    bad_k = Relay(relay.peer_id, relay.pq_hash, relay.x, b'\xff\xff\xff' + relay.k[3:])
    hostile = {
        'X of small order': {'X': ZERO},
        'X of order 8': {'X': SMALL_ORDER},
        'ek_e not reduced': {'ek_e': b'\xff\xff\xff' + mlkem_keygen(bytes(64))[0][3:]},
        'K of R not reduced': {'tail': put_tail(cookie, bad_k, b'')},
        'no peer id': {'tail': good[:32] + b'\0' + good[33:]},
        'not a peer id': {'tail': put_tail(cookie, Relay(b'\x13\x20' + ZERO, relay.pq_hash, relay.x, relay.k), b'')},
        'a peer id longer than any': {'tail': good[:32] + b'\x2d' + good[33:]},
        'an extension that must be known': {'tail': put_tail(cookie, relay, b'\x01\0\0\x80\0\0')},
        'an extension cut off': {'tail': put_tail(cookie, relay, b'\x01\xff\xff')},
        'a head cut off': {'tail': good[:after] + b'\x01' + (len(good) - after - 4).to_bytes(2, 'big') + good[after + 4 :] + b'\x01'},
        'a byte behind the end': {'tail': good[:-1] + b'\x01'},
        'for a dark service of the other kind': {'label': b'qudag onion v1 service'},
        'for a relay': {'label': b'qudag onion v1 relay'},
    }
    for what, change in hostile.items():
        yield what, Caller(seeds['caller'], service, cookie, relay, hostile=change).handshake


def hostile_answers():
    """to the caller of case 0 by somebody who has the service's keys, and leaves out what it should bind"""
    service, cookie, relay, _, seeds = case(0)
    caller = Caller(seeds['caller'], service, cookie, relay)
    service.open(caller.handshake)
    parts, X, ek_e, chain = service.asked
    rng = Seeded(seeds['answer'])
    y = rng.take(32)
    ct_e, ke = mlkem_encaps(ek_e, rng.take(32))
    Y, secrets = x25519(y, BASE), chain + ke + x25519(y, X)
    answers = {
        'Y of small order': (parts, ZERO, chain + ke + ZERO),
        'Y of order 8': (parts, SMALL_ORDER, chain + ke + ZERO),
        'for another cookie': (parts[:9] + (sha('cookie 1'),) + parts[10:], Y, secrets),
        'at another relay': (parts[:10] + PEER_IDS[1:] + parts[11:], Y, secrets),
        'at a relay with another ML-DSA key': (parts[:11] + (ZERO,), Y, secrets),
        'without what only the service knows': (parts, Y, ZERO + secrets[32:]),
        'without ML-KEM': (parts, Y, chain + ZERO + secrets[64:]),
        'without X25519': (parts, Y, secrets[:64] + ZERO),
    }
    for what, (bound, point, mixed) in answers.items():
        yield what, created_of(bound, point, ct_e, mixed)[0]


def vectors():
    seed, binding = sha('introduction key 0'), sha('binding')
    return {
        'source': 'tests/reference/rend_handshake.py',
        'establish': {'seed': seed.hex(), 'circuit': binding.hex(), 'rate': 20, 'burst': 40,
                      'message': establish(seed, binding, 20, 40).hex()},
        'cases': [good_case(0), good_case(1)],
        'refused_handshakes': [{'what': what, 'bytes': b.hex()} for what, b in hostile_handshakes()],
        'refused_answers': [{'what': what, 'bytes': b.hex()} for what, b in hostile_answers()],
    }


if __name__ == '__main__':
    print(json.dumps(vectors(), indent=1))
