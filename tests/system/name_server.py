#!/usr/bin/python3
"""A name server for tests: name_server.py PORT, the zone as JSON on standard input: {"name": {"A": [...], "TXT": [...]}}.

One question, one answer, over UDP and TCP; what it does not know does not exist.  Names in "silent" get no answer.
"""
import ipaddress
import json
import socket
import struct
import sys
import threading

TYPES = {1: 'A', 16: 'TXT', 28: 'AAAA'}


def question(packet):
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += packet[at] + 1
    return '.'.join(labels).lower(), struct.unpack('!H', packet[at + 1:at + 3])[0], at + 5


def data_of(kind, value):
    if kind == 'TXT':
        text = value.encode()
        return b''.join(bytes([len(text[i:i + 255])]) + text[i:i + 255] for i in range(0, max(len(text), 1), 255))
    return ipaddress.ip_address(value).packed


def answer(packet, zone, limit):
    name, code, end = question(packet)
    known = zone.get(name)
    if known == 'silent':
        return None
    kind = TYPES.get(code, '')
    records = known.get(kind, []) if known is not None else []
    body = b''
    for value in records:
        data = data_of(kind, value)
        body += b'\xc0\x0c' + struct.pack('!HHIH', code, 1, 60, len(data)) + data
    flags, count = 0x8180 | (0 if known is not None else 3), len(records)
    if limit is not None and end + len(body) > limit:
        flags, count, body = flags | 0x200, 0, b''
    return packet[:2] + struct.pack('!HHHHH', flags, 1, count, 0, 0) + packet[12:end] + body


def over_tcp(listener, zone):
    while True:
        peer, _ = listener.accept()
        with peer:
            packet = peer.recv(2048)
            reply = answer(packet[2:], zone, None) if len(packet) > 14 else None
            if reply is not None:
                peer.sendall(struct.pack('!H', len(reply)) + reply)


def main():
    zone = json.load(sys.stdin)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(('127.0.0.1', int(sys.argv[1])))
    tcp = socket.create_server(('127.0.0.1', int(sys.argv[1])))
    threading.Thread(target=over_tcp, args=(tcp, zone), daemon=True).start()
    print('ready', flush=True)
    while True:
        packet, peer = udp.recvfrom(2048)
        print(*question(packet)[:2], flush=True)
        reply = answer(packet, zone, 512)
        if reply is not None:
            udp.sendto(reply, peer)


main()
