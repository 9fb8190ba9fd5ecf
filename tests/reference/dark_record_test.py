#!/usr/bin/python3
"""The frozen dark record against the Python model, byte by byte but for the ML-DSA signature itself.

The C side (src/core/dark/record_test.c) makes the same vector from the same seed.  TEST: timeout=120
"""
import json
import os
import pathlib
import struct
import unittest

import dark_record as m

TOP = pathlib.Path(os.environ.get('QUDAG_SRC') or pathlib.Path(__file__).resolve().parents[2])
V = json.loads((TOP / 'tests/vectors/dark-record.json').read_text())


def octets(d):
    """the fields of |d| that are bytes"""
    return {k: bytes.fromhex(v) for k, v in d.items() if isinstance(v, str) and k not in ('source', 'address')}


B = octets(V)


class Primitives(unittest.TestCase):
    """The model's own parts against published values, so that it is not merely wrong in the same way."""

    def test_blake3(self):
        # BLAKE3 team's test_vectors.json: input bytes 0, 1, ... 250, 0, ...
        def inp(n):
            return bytes(i % 251 for i in range(n))
        self.assertEqual(m.blake3(inp(0)).hex(),
                         'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262')
        self.assertEqual(m.blake3(inp(1024)).hex(),
                         '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7')
        self.assertEqual(m.blake3(inp(1025)).hex(),
                         'd00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444')

    def test_chacha20_poly1305(self):
        # RFC 8439, 2.8.2
        key, nonce = bytes(range(0x80, 0xA0)), bytes.fromhex('070000004041424344454647')
        aad = bytes.fromhex('50515253c0c1c2c3c4c5c6c7')
        text = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
                b'future, sunscreen would be it.')
        sealed = m.aead_seal(key, nonce, aad, text)
        self.assertEqual(sealed[-16:].hex(), '1ae10b594f09e26a7e902ecbd0600691')
        self.assertEqual(sealed[:16].hex(), 'd31a8d34648e60db7b86afbc53ef7ec2')
        self.assertEqual(m.aead_open(key, nonce, aad, sealed), text)

    def test_ed25519(self):
        # RFC 8032, 7.1, test 2
        seed = bytes.fromhex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb')
        pk = bytes.fromhex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')
        sig = bytes.fromhex('92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da'
                            '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00')
        self.assertEqual(m.ed25519_public(seed), pk)
        self.assertTrue(m.ed25519_verify(pk, sig, b'\x72'))
        self.assertFalse(m.ed25519_verify(pk, sig, b'\x73'))


class Address(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.seed = B['keys_file'][258:290]
        cls.addr = b'\x01' + B['keys_file'][8:9] + m.ed25519_public(cls.seed) + m.commitment(B['ml_dsa_pk'])
        cls.place = m.period_of(V['now']), V['replica']
        cls.param = m.blinding(cls.addr, *cls.place)
        cls.blinded = m.blind_public(cls.addr[2:34], cls.param)

    def test_keys_file(self):
        f = B['keys_file']
        self.assertEqual(len(f), 3552)
        self.assertEqual(f[:8], b'QUDAGDK3')
        self.assertEqual(f[418], 1)  # direct
        self.assertEqual(f[9:11], b'\x01v')
        self.assertEqual(struct.unpack('>Q', f[42:50])[0], V['now'])
        self.assertEqual(m.blake3_derive('qudag dark keys file v1', f[:-32] + self.addr), f[-32:])

    def test_address(self):
        self.assertEqual(m.address_text(self.addr), V['address'])

    def test_period_and_number(self):
        self.assertEqual(self.place[0], V['period'])
        self.assertIn(V['period'], m.live_periods(V['now']))
        self.assertEqual(m.live_periods(V['now']), {V['period'] - 1, V['period']})
        self.assertEqual(m.live_periods(V['now'] + 43200), {V['period'], V['period'] + 1})
        self.assertEqual(m.seq_first(V['now']), V['direct']['seq'])
        self.assertEqual(m.walk(self.seed, self.addr, *self.place, V['now']), V['walk'])
        self.assertTrue(V['walk'] < V['direct']['number'] <= V['walk'] + 2**24)

    def test_dht_key(self):
        self.assertEqual(m.dht_key(self.addr, *self.place), B['dht_key'])

    def test_kinds_have_one_size_and_share_nothing_else(self):
        direct, hidden = (octets(V[k])['record'] for k in ('direct', 'hidden'))
        self.assertEqual(len(direct), len(hidden))
        self.assertEqual(direct[:40], hidden[:40])
        self.assertLess(sum(x == y for x, y in zip(direct[64:], hidden[64:])), 110)  # 48 expected


class RecordOf:
    """What holds for a record of either kind."""
    kind = code = None
    padding = 64  # different bytes in it, at least

    def target(self):
        """the target's bytes, from the fields of the vector"""
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.v, cls.b = V[cls.kind], octets(V[cls.kind])
        cls.rec = cls.b['record']
        cls.plain = m.aead_open(m.body_key(cls.addr, *cls.place), cls.rec[64:76], cls.rec[:76],
                                cls.rec[76:m.SIG_AT])

    def test_head(self):
        want = m.head(self.blinded, self.v['number'], V['not_before'], V['expires'], self.rec[64:76])
        self.assertEqual(len(want), m.HEAD_LEN)
        self.assertEqual(self.rec[:m.HEAD_LEN], want)
        self.assertEqual(len(self.rec), m.RECORD_LEN)

    def test_outer_signature(self):
        self.assertTrue(m.ed25519_verify(self.blinded, self.rec[m.SIG_AT:], self.rec[:m.SIG_AT]))
        self.assertEqual(m.blind_sign(self.seed, self.param, self.rec[:m.SIG_AT], self.b['z']), self.rec[m.SIG_AT:])
        self.assertFalse(m.ed25519_verify(self.addr[2:34], self.rec[m.SIG_AT:], self.rec[:m.SIG_AT]))

    def test_body(self):
        signed = m.body_signed(self.code, self.v['seq'], B['ml_dsa_pk'], self.target())
        self.assertEqual(self.plain[:len(signed)], signed)
        self.assertGreater(len(self.plain), len(signed) + m.PQ_SIG_LEN)
        padding = self.plain[len(signed) + m.PQ_SIG_LEN:]
        self.assertGreater(len(set(padding)), self.padding)  # random, not zero
        msg = m.pq_message(self.addr, *self.place, self.rec[:m.HEAD_LEN], signed)
        self.assertEqual(m.blake3(msg), self.b['ml_dsa_message_blake3'])

    def test_encryption(self):
        sealed = m.aead_seal(m.body_key(self.addr, *self.place), self.rec[64:76], self.rec[:76], self.plain)
        self.assertEqual(sealed, self.rec[76:m.SIG_AT])

    def test_storers_cannot_decrypt(self):
        for key in (self.blinded, B['dht_key'][12:], m.blake3_derive('qudag dark record body v1', self.blinded)):
            with self.assertRaises(ValueError):
                m.aead_open(key, self.rec[64:76], self.rec[:76], self.rec[76:m.SIG_AT])


class Direct(RecordOf, Address):
    kind, code = 'direct', 1

    def target(self):
        ends = m.statement(self.b['pq_hash'], self.v['ends_until'], [self.b['addr0'], self.b['addr1']],
                           self.b['ends_sig'])
        return m.target(self.b['peer'], ends, self.b['onion_x'], self.b['onion_k'])


class Hidden(RecordOf, Address):
    kind, code = 'hidden', 2

    def fields(self):
        """what the target says"""
        points = [octets(p) for p in self.v['intros']]
        return (self.b['x'], self.b['k'], (self.b['pow_seed'], self.v['pow_effort'], self.v['pow_expires']),
                [(p['peer'], p['pq_hash'], p['x'], p['k'], p['key']) for p in points])

    def target(self):
        x, k, pow_asked, points = self.fields()
        return m.hidden_target(x, k, pow_asked, [m.intro(*p) for p in points])

    def test_the_target_is_read_again(self):
        self.assertEqual(m.hidden_read(self.target()), self.fields())
        x, k, _, points = self.fields()
        for n in 1, 2, 3:
            b = m.hidden_target(x, k, None, [m.intro(*p) for p in points[:n]])
            self.assertEqual(m.hidden_read(b), (x, k, None, points[:n]))

    def test_what_readers_refuse(self):
        x, k, pow_asked, points = self.fields()
        p = [m.intro(*f) for f in points]
        other = m.intro(points[0][0][:-1] + b'!', *points[0][1:4], bytes(32))
        bad = [m.hidden_target(x, k, pow_asked, p) + b'\0', m.hidden_target(x, k, None, []),
               m.hidden_target(x, k, None, p + [other]), m.hidden_target(x, k, None, [p[0], p[0]]),
               m.hidden_target(x, k, None, [p[0], m.intro(*points[1][:4], points[0][4])]),
               m.hidden_target(x, k, None, [p[0], m.intro(points[0][0], *points[1][1:])]),
               m.hidden_target(x, k, (bytes(32), 0, 1), p), m.hidden_target(x, k, (bytes(32), 1, 2**63), p)]
        good = self.target()
        bad += [good[:n] for n in range(0, len(good), 97)]
        bad += [good[:1216] + bytes([f]) + good[1217:] for f in range(256) if f != 2]
        for b in bad:
            with self.assertRaises(ValueError):
                m.hidden_read(b)


class Locked(RecordOf, Address):
    """the target of Hidden, for two clients"""
    kind, code = 'locked', 3
    padding = 20  # of 37

    def sealed(self):
        return self.plain[1963:1963 + 6823]

    def target(self):
        """made again from the key and the salt that the record has"""
        b, hidden = self.sealed(), Hidden.target(self)
        salt, entries = b[:32], [b[32 + 32 * i:64 + 32 * i] for i in range(m.CLIENTS)]
        for secret in self.b['secret'], self.b['other_secret']:
            mask = m.blake3_derive('qudag dark client v1', secret + salt)
            keys = [bytes(x ^ y for x, y in zip(e, mask)) for e in entries]
            made = [m.locked_target(hidden, [secret], k, salt, entries)[32 + 32 * m.CLIENTS:] for k in keys]
            self.assertEqual(made.count(b[32 + 32 * m.CLIENTS:]), 1)
        return b

    def fields(self):
        """the same points as in the record of kind hidden"""
        points = [octets(p) for p in V['hidden']['intros']]
        h = octets(V['hidden'])
        return (h['x'], h['k'], (h['pow_seed'], V['hidden']['pow_effort'], V['hidden']['pow_expires']),
                [(p['peer'], p['pq_hash'], p['x'], p['k'], p['key']) for p in points])

    def test_clients_read_it(self):
        for secret in self.b['secret'], self.b['other_secret']:
            self.assertEqual(m.hidden_read(m.unlock(self.sealed(), secret)), self.fields())

    def test_others_do_not(self):
        for secret in bytes(32), self.addr[2:34], self.b['secret'][::-1]:
            with self.assertRaises(LookupError):
                m.unlock(self.sealed(), secret)

    def test_what_readers_refuse(self):
        b, secret = self.sealed(), bytes(range(32))
        for bad in b[:-1], b + b'\0':
            with self.assertRaises(ValueError):
                m.unlock(bad, secret)
        made = m.locked_target(b'x', [secret], bytes(32), bytes(32), [bytes(32)] * m.CLIENTS)
        self.assertEqual(m.unlock(made, secret), b'x')
        head = made[:32 + 32 * m.CLIENTS]
        for plain in b'\xff\xff'.ljust(5239, b'\0'), b'\0\1xy'.ljust(5239, b'\0'), b'\0\1x'.ljust(5238, b'\0') + b'\1':
            with self.assertRaises(ValueError):
                m.unlock(head + m.aead_seal(bytes(32), bytes(12), bytes(32), plain), secret)


if __name__ == '__main__':
    unittest.main()
