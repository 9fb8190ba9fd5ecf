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
B = {k: bytes.fromhex(v) for k, v in V.items() if isinstance(v, str) and k not in ('source', 'address')}


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


class Vector(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        f = B['keys_file']
        cls.seed = f[258:290]
        cls.addr = b'\x01' + f[8:9] + m.ed25519_public(cls.seed) + m.commitment(B['ml_dsa_pk'])
        cls.place = m.period_of(V['now']), V['replica']
        cls.rec = B['record']
        cls.param = m.blinding(cls.addr, *cls.place)
        cls.blinded = m.blind_public(cls.addr[2:34], cls.param)
        cls.plain = m.aead_open(m.body_key(cls.addr, *cls.place), cls.rec[64:76], cls.rec[:76],
                                cls.rec[76:m.SIG_AT])

    def test_keys_file(self):
        f = B['keys_file']
        self.assertEqual(len(f), 480)
        self.assertEqual(f[:8], b'QUDAGDK2')
        self.assertEqual(f[9:11], b'\x01v')
        self.assertEqual(struct.unpack('>Q', f[42:50])[0], V['now'])
        self.assertEqual(m.blake3_derive('qudag dark keys file v1', f[:448] + self.addr), f[448:])

    def test_address(self):
        self.assertEqual(m.address_text(self.addr), V['address'])

    def test_period_and_number(self):
        self.assertEqual(self.place[0], V['period'])
        self.assertIn(V['period'], m.live_periods(V['now']))
        self.assertEqual(m.live_periods(V['now']), {V['period'] - 1, V['period']})
        self.assertEqual(m.live_periods(V['now'] + 43200), {V['period'], V['period'] + 1})
        self.assertEqual(m.seq_first(V['now']), V['seq'])
        self.assertEqual(m.walk(self.seed, self.addr, *self.place, V['now']), V['walk'])
        self.assertTrue(V['walk'] < V['number'] <= V['walk'] + 2**24)

    def test_dht_key(self):
        self.assertEqual(m.dht_key(self.addr, *self.place), B['dht_key'])

    def test_head(self):
        want = m.head(self.blinded, V['number'], V['not_before'], V['expires'],
                      self.rec[64:76])
        self.assertEqual(len(want), m.HEAD_LEN)
        self.assertEqual(self.rec[:m.HEAD_LEN], want)
        self.assertEqual(len(self.rec), m.RECORD_LEN)

    def test_outer_signature(self):
        self.assertTrue(m.ed25519_verify(self.blinded, self.rec[m.SIG_AT:], self.rec[:m.SIG_AT]))
        self.assertEqual(m.blind_sign(self.seed, self.param, self.rec[:m.SIG_AT], B['z']), self.rec[m.SIG_AT:])
        self.assertFalse(m.ed25519_verify(self.addr[2:34], self.rec[m.SIG_AT:], self.rec[:m.SIG_AT]))

    def test_body(self):
        signed = m.body_signed(1, V['seq'], B['ml_dsa_pk'],
                               m.target(B['peer'], m.statement(B['pq_hash'], V['ends_until'],
                                                               [B['addr0'], B['addr1']], B['ends_sig']),
                                        B['onion_x'], B['onion_k']))
        self.assertEqual(self.plain[:len(signed)], signed)
        self.assertGreater(len(self.plain), len(signed) + m.PQ_SIG_LEN)
        padding = self.plain[len(signed) + m.PQ_SIG_LEN:]
        self.assertGreater(len(set(padding)), 64)  # random, not zero
        msg = m.pq_message(self.addr, *self.place, self.rec[:m.HEAD_LEN], signed)
        self.assertEqual(m.blake3(msg), B['ml_dsa_message_blake3'])

    def test_encryption(self):
        sealed = m.aead_seal(m.body_key(self.addr, *self.place), self.rec[64:76], self.rec[:76], self.plain)
        self.assertEqual(sealed, self.rec[76:m.SIG_AT])

    def test_storers_cannot_decrypt(self):
        for key in (self.blinded, B['dht_key'][12:], m.blake3_derive('qudag dark record body v1', self.blinded)):
            with self.assertRaises(ValueError):
                m.aead_open(key, self.rec[64:76], self.rec[:76], self.rec[76:m.SIG_AT])


if __name__ == '__main__':
    unittest.main()
