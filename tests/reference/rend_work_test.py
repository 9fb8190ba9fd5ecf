#!/usr/bin/python3
"""The model of the proof of work against RFC 9106, against itself, and against the frozen vectors."""
import json
import pathlib

import rend_work as m

VECTORS = pathlib.Path(__file__).resolve().parent.parent / 'vectors' / 'rend-work.json'


def test_argon2id_rfc9106():
    """5.3"""
    tag = m.argon2id(b'\1' * 32, b'\2' * 16, 32, 32, passes=3, lanes=4, secret=b'\3' * 8, data=b'\4' * 12)
    assert tag.hex() == '0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659'


def test_what_a_proof_is_bound_to():
    parts = [bytes([i]) * n for i, n in enumerate((32, 66, 32, 32))]
    c = m.challenge(*parts)
    for i, part in enumerate(parts):
        other = parts[:i] + [part[:-1] + b'\xff'] + parts[i + 1 :]
        assert m.challenge(*other) != c
    assert m.proves(c, 1, 7) and not m.proves(c, 0, 7)
    assert m.number(c, 5, 7) != m.number(c, 6, 7) != m.number(c, 6, 8)


def test_frozen_vectors():
    assert json.loads(VECTORS.read_text()) == m.vectors()


if __name__ == '__main__':
    for name, test in list(globals().items()):
        if name.startswith('test_'):
            test()
            print('ok', name)
