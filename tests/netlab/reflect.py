"""Tells who asks which address he is seen at, from the socket that he asked, from another port, or from another host.

    reflect.py SELF OTHER

Listens at ports 7001 and 7002 of SELF.  A datagram of one word, then 8 bytes that come back:
    same    answered from where it came to
    port    from the other port
    host    from port 7001 of OTHER, which is asked at port 7003
The answer: those 8 bytes, and the address and port as text.
"""
import select
import socket
import sys

FIRST, SECOND, THIRD = 7001, 7002, 7003


def bound(address, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))
    return s


def main():
    own, other = sys.argv[1:3]
    first, second, third = [bound(own, port) for port in (FIRST, SECOND, THIRD)]
    print('ready', flush=True)
    while True:
        for s in select.select([first, second, third], [], [])[0]:
            data, who = s.recvfrom(100)
            word, mark = data[:4], data[4:12]
            seen = mark + f'{who[0]} {who[1]}'.encode()
            if s is third:  # from OTHER
                to = data[12:].decode().split()
                first.sendto(data[4:], (to[0], int(to[1])))
            elif word == b'same':
                s.sendto(seen, who)
            elif word == b'port':
                (second if s is first else first).sendto(seen, who)
            elif word == b'host':
                third.sendto(b'pass' + seen, (other, THIRD))


main()
