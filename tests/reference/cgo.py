#!/usr/bin/python3
"""Counter Galois Onion in plain Python: the model the C cell cipher is compared with.

Written from spec/cell-cipher.md, slowly and without any library, so that it shares nothing with the
C code: AES from the field arithmetic of FIPS 197, POLYVAL from RFC 8452 bit by bit on integers.
Names follow the specification.  Run cgo_test.py for the checks.
"""


# --- AES, FIPS 197 ---------------------------------------------------------------------------


def _xtime(a):
    return ((a << 1) ^ 0x1B) & 0xFF if a & 0x80 else a << 1


def _gmul(a, b):
    p = 0
    while b:
        if b & 1:
            p ^= a
        a, b = _xtime(a), b >> 1
    return p


def _make_sbox():
    sbox = []
    for x in range(256):
        inv = next((y for y in range(256) if _gmul(x, y) == 1), 0)
        s = 0x63
        for shift in range(5):
            s ^= ((inv << shift) | (inv >> (8 - shift))) & 0xFF
        sbox.append(s)
    return sbox


_SBOX = _make_sbox()
_INV_SBOX = [_SBOX.index(x) for x in range(256)]
_MUL = {c: [_gmul(c, x) for x in range(256)] for c in (2, 3, 9, 11, 13, 14)}


class AES:
    def __init__(self, key):
        nk = len(key) // 4
        words = [list(key[4 * i : 4 * i + 4]) for i in range(nk)]
        rcon = 1
        for i in range(nk, 4 * (nk + 7)):
            t = list(words[-1])
            if i % nk == 0:
                t = [_SBOX[b] for b in t[1:] + t[:1]]
                t[0] ^= rcon
                rcon = _xtime(rcon)
            elif nk > 6 and i % nk == 4:
                t = [_SBOX[b] for b in t]
            words.append([a ^ b for a, b in zip(words[i - nk], t)])
        flat = [b for w in words for b in w]
        self.round_keys = [flat[i : i + 16] for i in range(0, len(flat), 16)]

    def encrypt(self, block):
        rk = self.round_keys
        s = [a ^ b for a, b in zip(block, rk[0])]
        m2, m3 = _MUL[2], _MUL[3]
        for r in range(1, len(rk)):
            s = [_SBOX[s[(i + 4 * (i % 4)) % 16]] for i in range(16)]
            if r < len(rk) - 1:
                out = []
                for c in range(0, 16, 4):
                    a, b, d, e = s[c : c + 4]
                    out += [m2[a] ^ m3[b] ^ d ^ e, a ^ m2[b] ^ m3[d] ^ e]
                    out += [a ^ b ^ m2[d] ^ m3[e], m3[a] ^ b ^ d ^ m2[e]]
                s = out
            s = [a ^ b for a, b in zip(s, rk[r])]
        return bytes(s)

    def decrypt(self, block):
        rk = self.round_keys
        s = list(block)
        m9, m11, m13, m14 = _MUL[9], _MUL[11], _MUL[13], _MUL[14]
        for r in range(len(rk) - 1, 0, -1):
            s = [a ^ b for a, b in zip(s, rk[r])]
            if r < len(rk) - 1:
                out = []
                for c in range(0, 16, 4):
                    a, b, d, e = s[c : c + 4]
                    out += [m14[a] ^ m11[b] ^ m13[d] ^ m9[e], m9[a] ^ m14[b] ^ m11[d] ^ m13[e]]
                    out += [m13[a] ^ m9[b] ^ m14[d] ^ m11[e], m11[a] ^ m13[b] ^ m9[d] ^ m14[e]]
                s = out
            s = [_INV_SBOX[s[(i - 4 * (i % 4)) % 16]] for i in range(16)]
        return bytes(a ^ b for a, b in zip(s, rk[0]))


# --- POLYVAL, RFC 8452 -----------------------------------------------------------------------

_POLY = (1 << 128) | (1 << 127) | (1 << 126) | (1 << 121) | 1
_X_MINUS_128 = (1 << 127) | (1 << 124) | (1 << 121) | (1 << 114) | 1


def _field_mul(a, b):
    p = 0
    while b:
        if b & 1:
            p ^= a
        b >>= 1
        a <<= 1
        if a >> 128:
            a ^= _POLY
    return p


def polyval(h, data):
    """POLYVAL of |data|, zero-padded to whole blocks."""
    data = bytes(data) + bytes(-len(data) % 16)
    key = _field_mul(int.from_bytes(h, "little"), _X_MINUS_128)
    acc = 0
    for i in range(0, len(data), 16):
        acc = _field_mul(acc ^ int.from_bytes(data[i : i + 16], "little"), key)
    return acc.to_bytes(16, "little")


# --- ET, PRF, UIV+ ---------------------------------------------------------------------------


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


class Uiv:
    """The wide block for one key; |keys| = KB | KU | K | B."""

    def __init__(self, keys, body_len):
        self.keys = bytes(keys)
        self.key_len = len(keys) // 2 - 16
        half = len(keys) // 2
        self.kb, self.ku = AES(keys[: self.key_len]), keys[self.key_len : half]
        self.k, self.b = AES(keys[half : half + self.key_len]), keys[half + self.key_len :]
        self.rest_blocks = (body_len - 16 + 15) // 16
        update_blocks = (len(keys) + 16 + 15) // 16
        self.clear_bits = (self.rest_blocks + update_blocks - 1).bit_length()

    def _mask(self, h, cmd, x_r):
        return polyval(self.ku, h + cmd + x_r)

    def et_enc(self, x_l, h, cmd, x_r):
        mask = self._mask(h, cmd, x_r)
        return xor(self.kb.encrypt(xor(x_l, mask)), mask)

    def et_dec(self, x_l, h, cmd, x_r):
        mask = self._mask(h, cmd, x_r)
        return xor(self.kb.decrypt(xor(x_l, mask)), mask)

    def prf(self, x, t, length):
        c = int.from_bytes(polyval(self.b, x), "big")
        c = (c >> self.clear_bits << self.clear_bits) + (self.rest_blocks if t else 0)
        stream = b"".join(
            self.k.encrypt((c + i).to_bytes(16, "big")) for i in range((length + 15) // 16)
        )
        return stream[:length]

    def enc(self, h, cmd, body):
        x_l, x_r = body[:16], body[16:]
        x_l = self.et_enc(x_l, h, cmd, x_r)
        return x_l + xor(x_r, self.prf(x_l, 0, len(x_r)))

    def dec(self, h, cmd, body):
        x_l, x_r = body[:16], body[16:]
        x_r = xor(x_r, self.prf(x_l, 0, len(x_r)))
        return self.et_dec(x_l, h, cmd, x_r) + x_r


class State:
    """One hop, one direction; key material is KB | KU | K | B | N."""

    def __init__(self, material, body_len, t_prime=bytes(16)):
        self.body_len = body_len
        self.uiv = Uiv(material[:-16], body_len)
        self.n = bytes(material[-16:])
        self.t_prime = bytes(t_prime)

    def triple(self):
        return self.uiv.keys, self.n, self.t_prime

    def update(self):
        stream = self.uiv.prf(self.n, 1, len(self.uiv.keys) + 16)
        self.uiv = Uiv(stream[:-16], self.body_len)
        self.n = stream[-16:]


# --- what relays and clients do --------------------------------------------------------------


def relay_forward(s, cmd, body):
    """Returns (body, acknowledged tag or None when the cell is not for this relay)."""
    t = body[:16]
    body = s.uiv.enc(s.t_prime, cmd, body)
    s.t_prime = body[:16]
    if body[:16] != s.n:
        return body, None
    s.update()
    return body, t


def relay_backward(s, cmd, body):
    body = s.uiv.enc(s.t_prime, cmd, body)
    s.t_prime = body[:16]
    return body


def relay_originate(s, cmd, rest):
    body = s.uiv.enc(s.t_prime, cmd, s.n + rest)
    s.t_prime = s.n = body[:16]
    s.update()
    return body, s.t_prime


def client_forward(s, cmd, body):
    t = body[:16]
    body = s.uiv.dec(s.t_prime, cmd, body)
    s.t_prime = t
    return body


def client_originate(hops, cmd, rest):
    """Seals for the last of |hops|."""
    last = hops[-1]
    body = client_forward(last, cmd, last.n + rest)
    ack = body[:16]
    last.update()
    for s in reversed(hops[:-1]):
        body = client_forward(s, cmd, body)
    return body, ack


def client_backward(hops, cmd, body):
    """Returns (body, index of the hop it came from or None, acknowledged tag)."""
    for i, s in enumerate(hops):
        t = body[:16]
        body = s.uiv.dec(s.t_prime, cmd, body)
        s.t_prime = t
        if body[:16] == s.n:
            s.n = t
            s.update()
            return body, i, t
    return body, None, None
