#!/usr/bin/python3
"""The handshake model against published values, against itself, and against the frozen vectors."""
import hashlib
import json
import pathlib

import onion_handshake as m

VECTORS = pathlib.Path(__file__).resolve().parent.parent / 'vectors' / 'onion-handshake.json'


def test_x25519_rfc7748():
    k = bytes.fromhex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4')
    u = bytes.fromhex('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c')
    assert m.x25519(k, u).hex() == 'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552'


def test_chacha20_poly1305_rfc8439():
    key = bytes(range(0x80, 0xA0))
    nonce = bytes.fromhex('070000004041424344454647')
    aad = bytes.fromhex('50515253c0c1c2c3c4c5c6c7')
    plain = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
             b'sunscreen would be it.')
    sealed = m.aead_seal(key, nonce, aad, plain)
    assert sealed[-16:].hex() == '1ae10b594f09e26a7e902ecbd0600691'
    assert m.aead_open(key, nonce, aad, sealed) == plain


def test_hkdf_rfc5869():
    prk = m.extract(bytes(range(13)), b'\x0b' * 22)
    assert prk.hex() == '077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5'
    info = bytes(range(0xF0, 0xFA)).decode('latin-1')
    # the labels of the handshake are ASCII; this info is not, so it goes in by hand
    t = m.hmac.new(prk, info.encode('latin-1') + b'\x01', hashlib.sha256).digest()
    assert t.hex() == '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf'
    assert m.expand(prk, 'a', 40)[:32] == m.hmac.new(prk, b'a\x01', hashlib.sha256).digest()


def test_mlkem_agrees_and_rejects_implicitly():
    ek, dk = m.mlkem_keygen(bytes(range(64)))
    assert len(ek) == 1184 and len(dk) == 2400
    ct, ss = m.mlkem_encaps(ek, bytes(range(32)))
    assert len(ct) == 1088 and m.mlkem_decaps(dk, ct) == ss
    for at in (0, 500, 1087):
        bad = bytearray(ct)
        bad[at] ^= 1
        assert m.mlkem_decaps(dk, bytes(bad)) == hashlib.shake_256(dk[-32:] + bytes(bad)).digest(32)


def test_changed_messages_are_refused():
    relay = m.Relay(bytes(32), b'p' * 38, bytes(32), b'12345678')
    client = m.Client(b'c' * 32, relay)
    created, keys = m.answer(b'a' * 32, relay, client.create)
    assert (len(client.create), len(created)) == (2328, 1168)
    assert client.finish(created) == keys and len(set(keys)) == 3
    for at in (0, 1, 8, 40, 1128, 2327):
        bad = bytearray(client.create)
        bad[at] ^= 2
        try:
            m.answer(b'a' * 32, relay, bytes(bad))
        except (ValueError, KeyError):
            continue
        raise AssertionError(f'CREATE with byte {at} changed was accepted')
    service = m.Relay(bytes(32), b'p' * 38, bytes(32), b'12345678', 'service')
    try:
        m.answer(b'a' * 32, service, client.create)
    except ValueError:
        pass
    else:
        raise AssertionError('CREATE for a relay was accepted with the same key as a service')
    for at in (0, 32, 1120, 1152):
        bad = bytearray(created)
        bad[at] ^= 1
        try:
            client.finish(bytes(bad))
        except ValueError:
            continue
        raise AssertionError(f'CREATED with byte {at} changed was accepted')


def test_frozen_vectors():
    assert json.loads(VECTORS.read_text()) == m.vectors()


if __name__ == '__main__':
    for name, test in list(globals().items()):
        if name.startswith('test_'):
            test()
            print('ok', name)
