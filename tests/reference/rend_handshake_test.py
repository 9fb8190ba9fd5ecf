#!/usr/bin/python3
"""The model of the handshake of kind 4 against published values, against itself, and against the frozen vectors."""
import json
import pathlib

import dark_record as dark
import rend_handshake as m

VECTORS = pathlib.Path(__file__).resolve().parent.parent / 'vectors' / 'rend-handshake.json'


def refused(what, call, *args):
    try:
        call(*args)
    except ValueError:
        return
    raise AssertionError(f'{what} was accepted')


def changed(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_ed25519_rfc8032():
    """7.1, TEST 3"""
    seed = bytes.fromhex('c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7')
    sig = dark.ed25519_sign(seed, bytes.fromhex('af82'))
    assert sig.hex() == ('6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac'
                         '18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a')
    assert dark.ed25519_verify(dark.ed25519_public(seed), sig, bytes.fromhex('af82'))


def test_establish():
    message = m.establish(bytes(32), b'b' * 32, 1, 2)
    signed = b'qudag introduction point v1\0' + b'b' * 32 + message[1:37]
    assert len(message) == 101 and dark.ed25519_verify(message[1:33], message[37:], signed)


def test_changed_messages_are_refused():
    service, cookie, relay, _, seeds = m.case(0)
    caller = m.Caller(seeds['caller'], service, cookie, relay)
    for at in (0, 8, 40, 1127, 1128, 2311, 2312, 4046, 4047, 4062):
        refused(f'a handshake with byte {at} changed', service.open, changed(caller.handshake, at))
    for other in ({'addr': bytes(66)}, {'intro_key': bytes(32)}):
        wrong = m.Service(seeds['service'], other.get('addr', service.addr), other.get('intro_key', service.intro_key))
        refused(f'a handshake for another {list(other)[0]}', wrong.open, caller.handshake)
    service.open(caller.handshake)
    created, _ = service.answer(seeds['answer'])
    for at in (0, 32, 1119, 1120, 1151, 1152, 1167):
        refused(f'CREATED with byte {at} changed', caller.finish, changed(created, at))


def test_hostile_messages_are_refused():
    service, cookie, relay, _, seeds = m.case(0)
    for what, handshake in m.hostile_handshakes():
        refused(f'a handshake, {what},', service.open, handshake)
    caller = m.Caller(seeds['caller'], service, cookie, relay)
    for what, created in m.hostile_answers():
        refused(f'an answer, {what},', caller.finish, created)


def test_the_sealed_part_has_one_size():
    _, cookie, relay, _, _ = m.case(0)
    for extensions in (b'', b'\x01\0\0', b'\x05' + (399).to_bytes(2, 'big') + bytes(399)):
        tail = m.put_tail(cookie, relay, extensions)
        assert len(tail) == 1735 and m.get_tail(tail)[2] == extensions


def test_frozen_vectors():
    assert json.loads(VECTORS.read_text()) == m.vectors()


if __name__ == '__main__':
    for name, test in list(globals().items()):
        if name.startswith('test_'):
            test()
            print('ok', name)
