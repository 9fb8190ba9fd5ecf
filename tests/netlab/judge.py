"""What kind of NAT this host is behind, found as RFC 5780 does it: by asking two reflect.py.

    judge.py A B [--seconds N]      A, B: their addresses

One line of JSON: mapping and filter in the words of words.h, the external address and ports seen; with --seconds, whether
a packet still comes in that long after the last one that went out.
"""
import argparse
import json
import os
import socket
import time

FIRST, SECOND, PATIENCE = 7001, 7002, 0.4


def asked(s, word, to, patience=PATIENCE):
    """-> (address, port) as seen there, or None; asked once again, as packets may be lost"""
    for _ in range(2):
        mark = os.urandom(8)
        s.sendto(word + mark, to)
        end = time.monotonic() + patience
        while (left := end - time.monotonic()) > 0:
            s.settimeout(left)
            try:
                data, _ = s.recvfrom(100)
            except (socket.timeout, ConnectionRefusedError):
                continue
            if data[:8] == mark:
                ip, port = data[8:].decode().split()
                return ip, int(port)
    return None


def opened():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('', 0))
    return s


def mapping(a, b):
    s = opened()
    seen = [asked(s, b'same', to) for to in ((a, FIRST), (a, SECOND), (b, FIRST))]
    kind = 'independent' if seen[0] == seen[2] else 'address' if seen[0] == seen[1] else 'address-port'
    return kind, s.getsockname()[1], seen


def filtering(a):
    if asked(opened(), b'host', (a, FIRST)):
        return 'independent'
    return 'address' if asked(opened(), b'port', (a, FIRST)) else 'address-port'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('a')
    parser.add_argument('b')
    args = parser.parse_args()
    kind, own, seen = mapping(args.a, args.b)
    print(json.dumps({'mapping': kind, 'filter': filtering(args.a), 'own': own, 'seen': seen}))


if __name__ == '__main__':
    main()
