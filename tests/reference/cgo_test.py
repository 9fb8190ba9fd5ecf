#!/usr/bin/python3
"""Checks the Python model of the cell cipher against both vector files.

tests/vectors/cgo-aes128-509.json   values published with Tor 0.4.9
tests/vectors/cgo-aes256-1119.json  our own parameters, frozen; `cgo_test.py --write` makes it anew

The C test reads the same files, so the two programs agree on each case or one of them fails.
A case has: op; states = KB|KU|K|B|N|T' of every hop, one after the other; cmd; in; out; states_out; ack;
hop (1-based: target, or where a cell came from; 0 when no hop is recognised).
"""

import hashlib
import json
import os
import sys

import cgo

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors")
PUBLISHED = "cgo-aes128-509.json"
OURS = "cgo-aes256-1119.json"


def load_states(text, key_len, body_len):
    raw, size = bytes.fromhex(text), 2 * (key_len + 16) + 32
    assert len(raw) % size == 0
    parts = [raw[i : i + size] for i in range(0, len(raw), size)]
    return [cgo.State(p[:-16], body_len, p[-16:]) for p in parts]


def dump_states(states):
    return b"".join(b"".join(s.triple()) for s in states).hex()


def run(case, key_len, body_len):
    """The case computed again: a dictionary with the fields that are results."""
    states = load_states(case["states"], key_len, body_len)
    cmd, body = bytes.fromhex(case["cmd"]), bytes.fromhex(case["in"])
    s, op, ack, hop = states[0], case["op"], None, case["hop"]
    if op == "et_enc":
        body = s.uiv.et_enc(body[:16], s.t_prime, cmd, body[16:]) + body[16:]
    elif op == "et_dec":
        body = s.uiv.et_dec(body[:16], s.t_prime, cmd, body[16:]) + body[16:]
    elif op == "uiv_enc":
        body = s.uiv.enc(s.t_prime, cmd, body)
    elif op == "uiv_dec":
        body = s.uiv.dec(s.t_prime, cmd, body)
    elif op == "update":
        s.update()
    elif op == "relay_forward":
        body, ack = cgo.relay_forward(s, cmd, body)
    elif op == "relay_backward":
        body = cgo.relay_backward(s, cmd, body)
    elif op == "relay_originate":
        body, ack = cgo.relay_originate(s, cmd, body[16:])
    elif op == "client_originate":
        body, ack = cgo.client_originate(states[:hop], cmd, body[16:])
    elif op == "client_backward":
        body, ix, ack = cgo.client_backward(states, cmd, body)
        hop = 0 if ix is None else ix + 1
    else:
        raise ValueError(op)
    return {
        "hop": hop,
        "out": body.hex(),
        "states_out": dump_states(states),
        "ack": ack.hex() if ack else "",
    }


def check(name):
    with open(os.path.join(VECTORS, name), encoding="ascii") as f:
        doc = json.load(f)
    bad = 0
    for number, case in enumerate(doc["cases"]):
        got = run(case, doc["key_len"], doc["body_len"])
        for field, value in got.items():
            if case[field] != value:
                print(f"{name}: case {number} ({case['op']}): {field} differs")
                bad += 1
    print(f"{name}: {len(doc['cases'])} cases, {bad} differences")
    assert doc["cases"]
    return bad


# --- our own vectors -------------------------------------------------------------------------


def fill(label, length):
    return hashlib.shake_128(b"qudag cell cipher vectors " + label.encode()).digest(length)


def make_cases(key_len, body_len):
    """One case of each operation, then a conversation over three hops in both directions."""
    size = 2 * (key_len + 16) + 32
    cases = []

    def add(op, states, body, hop=1, cmd=3):
        case = {"op": op, "hop": hop, "states": states, "cmd": f"{cmd:02x}", "in": body.hex()}
        case.update(run(case, key_len, body_len))
        cases.append(case)
        return case

    for cmd, op in enumerate(("uiv_enc", "uiv_dec", "update", "relay_forward", "relay_backward")):
        add(op, fill(op + " state", size).hex(), fill(op, body_len), cmd=cmd)

    client = relays = fill("three hops", 3 * size).hex()
    width = 2 * size
    for hop in (3, 1, 2, 3):
        plain = bytes(16) + fill(f"forward {len(cases)}", body_len - 16)
        sent = add("client_originate", client, plain, hop)
        client, body, after = sent["states_out"], sent["out"], ""
        for ix in range(hop):
            got = add("relay_forward", relays[ix * width :][:width], bytes.fromhex(body))
            body, after = got["out"], after + got["states_out"]
        relays = after + relays[hop * width :]
        assert got["ack"] == sent["ack"] and body[32:] == plain.hex()[32:]

    client = relays = fill("three hops back", 3 * size).hex()
    for hop in (3, 1, 2, 3):
        plain = bytes(16) + fill(f"backward {len(cases)}", body_len - 16)
        sent = add("relay_originate", relays[(hop - 1) * width :][:width], plain)
        body, after = sent["out"], sent["states_out"] + relays[hop * width :]
        for ix in reversed(range(hop - 1)):
            got = add("relay_backward", relays[ix * width :][:width], bytes.fromhex(body))
            body, after = got["out"], got["states_out"] + after
        relays = after
        got = add("client_backward", client, bytes.fromhex(body), hop)
        client = got["states_out"]
        assert got["ack"] == sent["ack"] and got["out"][32:] == plain.hex()[32:]
        assert got["hop"] == hop

    damaged = bytearray(bytes.fromhex(body))
    damaged[body_len // 2] ^= 1
    assert add("client_backward", client, bytes(damaged), 0)["hop"] == 0
    return cases


def write_vectors(name, source, key_len, body_len, cases):
    """One case a line, so that a reader without a JSON parser can find its way."""
    head = {"source": source, "key_len": key_len, "body_len": body_len}
    lines = [f'"{k}": {json.dumps(v)},' for k, v in head.items()]
    with open(os.path.join(VECTORS, name), "w", encoding="ascii") as f:
        f.write("{\n" + "\n".join(lines) + '\n"cases": [\n')
        f.write(",\n".join(json.dumps(c) for c in cases) + "\n]\n}\n")


def main():
    if sys.argv[1:] == ["--write"]:
        source = "tests/reference/cgo.py of this project"
        write_vectors(OURS, source, 32, 1119, make_cases(32, 1119))
    fips = bytes(range(32)), bytes.fromhex("00112233445566778899aabbccddeeff")
    aes = cgo.AES(fips[0])
    assert aes.encrypt(fips[1]).hex() == "8ea2b7ca516745bfeafc49904b496089"  # FIPS 197, C.3
    assert aes.decrypt(aes.encrypt(fips[1])) == fips[1]
    # RFC 8452, appendix A
    assert cgo.polyval(
        bytes.fromhex("25629347589242761d31f826ba4b757b"),
        bytes.fromhex("4f4f95668c83dfb6401762bb2d01a262d1a24ddd2721d006bbe45f20d3c9f362"),
    ) == bytes.fromhex("f7a3b47b846119fae5b7866cf5e5b77e")
    return 1 if check(PUBLISHED) + check(OURS) else 0


if __name__ == "__main__":
    sys.exit(main())
