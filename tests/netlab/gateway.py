#!/usr/bin/python3
"""A home router's port mapping by UPnP IGD (SSDP, HTTP, SOAP), NAT-PMP (RFC 6886) and PCP (RFC 6887), with faults on request.

    gateway.py --lan IP --external IP --nat CONTROL [--lan6 IP] [FAULT ...]      runs in the router's namespace

Opens forwardings in the natbox behind CONTROL, and holes in the IPv6 firewall.  Prints "ready" when all listens; what it is
asked for goes to stderr.  SIGUSR1: it starts again, forgets all, and says nothing of it.

Faults:
    no-upnp no-natpmp no-pcp    does not speak that
    conflict        718 for each port that UPnP asks for by number, PCP's CANNOT_PROVIDE_EXTERNAL for each it suggests
    permanent       725 unless UPnP asks for a lease without end
    full            501; NAT-PMP and PCP: no resources
    other-port      gives another external port than was suggested, where the protocol lets it
    private zero    its external address is 192.168.0.2, or 0.0.0.0
    short           no lease is longer than 30 s
    slow            3 s before each answer by HTTP
    garbage         its XML breaks off, its NAT-PMP and PCP packets, too
    two             two answer by SSDP; the first is dead
    unauthorized    606; NAT-PMP and PCP: not authorized
Further: igd2 (WANIPConnection:2, which chooses another port itself).
"""
import argparse
import http.server
import re
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time

FAULTS = ('no-upnp', 'no-natpmp', 'no-pcp', 'conflict', 'permanent', 'full', 'other-port', 'private', 'zero', 'short', 'slow',
          'garbage', 'two', 'unauthorized', 'igd2')
SHORT_S, SLOW_S = 30, 3
CONFLICT, FULL, UNAUTHORIZED = 'conflict', 'full', 'unauthorized'
UDP, TCP = 17, 6
NAMES = {UDP: 'udp', TCP: 'tcp'}


def log(*words):
    print(f'{time.monotonic():.2f}', *words, file=sys.stderr, flush=True)


class Refused(Exception):
    """why: CONFLICT, FULL, UNAUTHORIZED"""


class Table:
    """what is mapped: {(protocol, external port): [address, port, end, what for]}"""

    def __init__(self, args):
        self.args, self.faults = args, set(args.fault)
        self.external = '192.168.0.2' if 'private' in self.faults else '0.0.0.0' if 'zero' in self.faults else args.external
        self.lock, self.rows, self.began = threading.RLock(), {}, time.monotonic()
        self.holes = {}

    def epoch(self):
        return int(time.monotonic() - self.began)

    def natbox(self, line):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(5)
            s.connect(self.args.nat)
            s.sendall(line.encode() + b'\n')
            return s.recv(100).decode().strip() == 'ok'

    def expire(self):
        now = time.monotonic()
        with self.lock:
            for key in [k for k, row in self.rows.items() if row[2] is not None and row[2] <= now]:
                log('over', *key)
                self.remove(*key)
            for hole in [h for h, end in self.holes.items() if end <= now]:
                self.close(*hole)

    def lease(self, seconds):
        return min(seconds, SHORT_S) if 'short' in self.faults and seconds else SHORT_S if 'short' in self.faults else seconds

    def add(self, protocol, external, address, port, seconds, what, exact=False, wanted=True):
        """-> (external port, seconds; 0: without end), or Refused; |exact|: that external port or none; |wanted|: it is named"""
        with self.lock:
            self.expire()
            if 'unauthorized' in self.faults:
                raise Refused(UNAUTHORIZED)
            if 'full' in self.faults:
                raise Refused(FULL)
            if 'conflict' in self.faults and (exact or wanted):
                raise Refused(CONFLICT)
            for (p, e), row in self.rows.items():
                if p == protocol and row[:2] == [address, port] and not exact:
                    external = e  # one that is there is renewed
                    break
            else:
                if 'other-port' in self.faults and not exact:
                    external = 20000 + external * 7 % 40000
            seconds = self.lease(seconds)
            for _ in range(1 if exact else 50):
                if self.put(protocol, external, address, port, seconds, what):
                    return external, seconds
                external = 1024 + (external * 31 + 17) % 64000
            raise Refused(CONFLICT if exact else FULL)

    def put(self, protocol, external, address, port, seconds, what):
        row = self.rows.get((protocol, external))
        if row and row[:2] != [address, port]:
            return False
        if not self.natbox(f'forward {NAMES[protocol]} {external} {address} {port} {seconds}'):
            return False
        self.rows[protocol, external] = [address, port, time.monotonic() + seconds if seconds else None, what]
        log('map', NAMES[protocol], external, address, port, seconds, what)
        return True

    def remove(self, protocol, external):
        with self.lock:
            if self.rows.pop((protocol, external), None) is None:
                return False
            self.natbox(f'unforward {NAMES[protocol]} {external}')
            log('unmap', NAMES[protocol], external)
            return True

    def remove_of(self, protocol, address, port):
        """all that lead there; |port| 0: each of that host"""
        with self.lock:
            for key in [k for k, row in self.rows.items() if k[0] == protocol and row[0] == address and port in (0, row[1])]:
                self.remove(*key)

    def open(self, address, port, seconds):
        """a hole in the firewall for that IPv6 host"""
        with self.lock:
            if 'unauthorized' in self.faults:
                raise Refused(UNAUTHORIZED)
            seconds = self.lease(seconds)
            subprocess.run(['nft', 'add', 'element', 'inet', 'wall', 'pinholes', f'{{ {address} . {port} }}'], check=True)
            self.holes[address, port] = time.monotonic() + seconds
            log('hole', address, port, seconds)
            return port, seconds

    def close(self, address, port):
        with self.lock:
            if self.holes.pop((address, port), None) is not None:
                subprocess.run(['nft', 'delete', 'element', 'inet', 'wall', 'pinholes', f'{{ {address} . {port} }}'], check=True)

    def restart(self, *_):
        with self.lock:
            self.rows.clear()
            for hole in list(self.holes):
                self.close(*hole)
            self.natbox('flush')
            self.began = time.monotonic()
            log('restart')


# ------------------------------------------------------------------ UPnP

DEVICE = '''<device><deviceType>urn:schemas-upnp-org:device:{kind}:{version}</deviceType><friendlyName>lab</friendlyName>
<manufacturer>lab</manufacturer><modelName>lab</modelName><UDN>uuid:00000000-0000-0000-0000-00000000000{n}</UDN>
<serviceList>{services}</serviceList><deviceList>{devices}</deviceList></device>'''
SERVICE = '''<service><serviceType>urn:schemas-upnp-org:service:{kind}:{version}</serviceType>
<serviceId>urn:upnp-org:serviceId:{kind}1</serviceId><controlURL>/control/{kind}</controlURL><eventSubURL>/events</eventSubURL>
<SCPDURL>/{kind}.xml</SCPDURL></service>'''
SOAP = '''<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
<s:Body>{body}</s:Body></s:Envelope>'''
FAULT = '''<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>
<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>{code}</errorCode>
<errorDescription>{text}</errorDescription></UPnPError></detail></s:Fault>'''
ERRORS = {401: 'Invalid Action', 402: 'Invalid Args', 501: 'ActionFailed', 606: 'Action not authorized',
          713: 'SpecifiedArrayIndexInvalid', 714: 'NoSuchEntryInArray', 718: 'ConflictInMappingEntry',
          725: 'OnlyPermanentLeasesSupported'}
CODES = {CONFLICT: 718, FULL: 501, UNAUTHORIZED: 606}


class Failed(Exception):
    """an error code of UPnP"""


def description(version):
    connection = DEVICE.format(kind='WANConnectionDevice', version=version, n=3, devices='',
                               services=SERVICE.format(kind='WANIPConnection', version=version))
    wan = DEVICE.format(kind='WANDevice', version=version, n=2, devices=connection,
                        services=SERVICE.format(kind='WANCommonInterfaceConfig', version=1))
    root = DEVICE.format(kind='InternetGatewayDevice', version=version, n=1, devices=wan, services='')
    return f'<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major>' \
           f'<minor>0</minor></specVersion>{root}</root>'


class Actions:
    """of WANIPConnection: each returns what it answers, by name"""

    def __init__(self, table, client, value):
        self.table, self.client, self.value = table, client, value

    def number(self, name):
        try:
            return int(self.value(name) or 0)
        except ValueError:
            raise Failed(402) from None

    def key(self):
        return TCP if self.value('NewProtocol').upper() == 'TCP' else UDP, self.number('NewExternalPort')

    def entry(self, key):
        with self.table.lock:
            address, port, end, what = self.table.rows[key]
        return {'NewInternalPort': port, 'NewInternalClient': address, 'NewEnabled': 1, 'NewPortMappingDescription': what,
                'NewLeaseDuration': max(1, int(end - time.monotonic())) if end else 0}

    def GetExternalIPAddress(self):
        return {'NewExternalIPAddress': self.table.external}

    def GetStatusInfo(self):
        return {'NewConnectionStatus': 'Connected', 'NewLastConnectionError': 'ERROR_NONE', 'NewUptime': self.table.epoch()}

    def GetConnectionTypeInfo(self):
        return {'NewConnectionType': 'IP_Routed', 'NewPossibleConnectionTypes': 'IP_Routed'}

    def add(self, exact):
        seconds, (protocol, external) = self.number('NewLeaseDuration'), self.key()
        if 'permanent' in self.table.faults and seconds:
            raise Failed(725)
        if self.value('NewInternalClient') != self.client:
            raise Failed(606)
        try:
            return self.table.add(protocol, external, self.client, self.number('NewInternalPort'), seconds,
                                  self.value('NewPortMappingDescription'), exact=exact, wanted=exact)
        except Refused as e:
            raise Failed(CODES[str(e)]) from None

    def AddPortMapping(self):
        self.add(True)
        return {}

    def AddAnyPortMapping(self):
        return {'NewReservedPort': self.add(False)[0]}

    def DeletePortMapping(self):
        if not self.table.remove(*self.key()):
            raise Failed(714)
        return {}

    def GetSpecificPortMappingEntry(self):
        try:
            return self.entry(self.key())
        except KeyError:
            raise Failed(714) from None

    def GetGenericPortMappingEntry(self):
        with self.table.lock:
            keys = sorted(self.table.rows)
        at = self.number('NewPortMappingIndex')
        if at >= len(keys):
            raise Failed(713)
        return {'NewRemoteHost': '', 'NewExternalPort': keys[at][1], 'NewProtocol': NAMES[keys[at][0]].upper(),
                **self.entry(keys[at])}


class Http(http.server.BaseHTTPRequestHandler):
    """descriptions and SOAP"""
    table = None

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass

    def answer(self, code, body):
        if 'slow' in self.table.faults:
            time.sleep(SLOW_S)
        if 'garbage' in self.table.faults:
            body = body[:len(body) // 2] + '<<&;'
        self.send_response(code)
        self.send_header('Content-Type', 'text/xml; charset="utf-8"')
        self.send_header('Content-Length', str(len(body.encode())))
        self.send_header('Connection', 'close')
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self):
        self.answer(200, description(2 if 'igd2' in self.table.faults else 1))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0)).decode(errors='replace')
        service, _, action = (self.headers.get('SOAPAction') or '#').strip('"').partition('#')

        def value(name):
            found = re.search(rf'<(?:\w+:)?{name}(?:\s[^>]*)?>([^<]*)<', body)
            return found[1] if found else ''

        log('upnp', action, self.client_address[0])
        actions = Actions(self.table, self.client_address[0], value)
        try:
            if action.startswith('_') or not action[:1].isupper() or not hasattr(actions, action) or \
                    (action == 'AddAnyPortMapping' and 'igd2' not in self.table.faults):
                raise Failed(401)
            got = getattr(actions, action)()
        except Failed as e:
            code = e.args[0]
            self.answer(500, SOAP.format(body=FAULT.format(code=code, text=ERRORS[code])))
            return
        fields = ''.join(f'<{k}>{v}</{k}>' for k, v in got.items())
        self.answer(200, SOAP.format(body=f'<u:{action}Response xmlns:u="{service}">{fields}</u:{action}Response>'))


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def server_bind(self):
        """without asking for the name of its own address, which nobody here would answer"""
        socketserver.TCPServer.server_bind(self)
        self.server_port = self.server_address[1]


def ssdp(table, port):
    """discovery: answers to M-SEARCH"""
    version = 2 if 'igd2' in table.faults else 1
    known = ['ssdp:all', 'upnp:rootdevice', *[f'urn:schemas-upnp-org:{what}:{v}' for v in range(1, version + 1)
                                               for what in ('device:InternetGatewayDevice', 'service:WANIPConnection')]]
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                 socket.inet_aton('239.255.255.250') + socket.inet_aton(table.args.lan))
    s.bind(('', 1900))
    places = [f'http://{table.args.lan}:9/dead.xml'] if 'two' in table.faults else []
    places.append(f'http://{table.args.lan}:{port}/root.xml')
    yield
    while True:
        data, who = s.recvfrom(2000)
        target = re.search(rb'(?im)^ST:\s*(\S+)', data)
        if not data.startswith(b'M-SEARCH') or not target or target[1].decode() not in known:
            continue
        log('ssdp', target[1].decode(), who[0])
        for place in places:
            s.sendto(f'HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: {target[1].decode()}\r\nEXT:\r\n'
                     f'USN: uuid:00000000-0000-0000-0000-000000000001::{target[1].decode()}\r\n'
                     f'SERVER: lab UPnP/1.1 lab/1\r\nLOCATION: {place}\r\n\r\n'.encode(), who)


# ------------------------------------------------------------------ NAT-PMP and PCP

NATPMP_CODES = {CONFLICT: 4, FULL: 4, UNAUTHORIZED: 2}
PCP_CODES = {CONFLICT: 11, FULL: 8, UNAUTHORIZED: 2}
PCP_MISMATCH, PCP_UNSUPPORTED_OPCODE, PCP_MALFORMED = 12, 4, 3


def natpmp(table, data, client):
    """-> the answer, or None"""
    op = data[1]
    if op == 0:
        return struct.pack('!BBHI', 0, 128, 0, table.epoch()) + socket.inet_aton(table.external)
    if op not in (1, 2) or len(data) < 12:
        return struct.pack('!BBHI', 0, 128 | op, 5, table.epoch())
    protocol = UDP if op == 1 else TCP
    port, external, seconds = struct.unpack('!HHI', data[4:12])
    code = 0
    if seconds == 0:
        table.remove_of(protocol, client, port)
        external = 0
    else:
        try:
            external, seconds = table.add(protocol, external or port, client, port, seconds, 'NAT-PMP', wanted=external != 0)
        except Refused as e:
            code, external, seconds = NATPMP_CODES[str(e)], 0, 0
    return struct.pack('!BBHIHHI', 0, 128 | op, code, table.epoch(), port, external, seconds)


class Pcp:
    """remembers whose a mapping is, by its nonce"""

    def __init__(self, table):
        self.table, self.nonces = table, {}

    def head(self, op, code, seconds):
        return struct.pack('!BBBBII12x', 2, 128 | op, 0, code, seconds, self.table.epoch())

    def answer(self, data, client):
        if len(data) < 24 or len(data) % 4 != 0:
            return self.head(data[1] & 127, PCP_MALFORMED, 0)
        op, seconds = data[1] & 127, struct.unpack('!I', data[4:8])[0]
        six = ':' in client
        own = socket.inet_pton(socket.AF_INET6, client if six else '::ffff:' + client)
        if data[8:24] != own:
            return self.head(op, PCP_MISMATCH, 0) + data[24:60]
        if op == 0:
            return self.head(0, 0, 0)
        if op != 1 or len(data) < 60:
            return self.head(op, PCP_UNSUPPORTED_OPCODE if op != 1 else PCP_MALFORMED, 0)
        return self.map(data, client, seconds, six)

    def map(self, data, client, seconds, six):
        nonce = data[24:36]
        protocol, port, external = struct.unpack('!B3xHH', data[36:44])
        owner = (protocol, client, port)
        code = 0
        try:
            if protocol not in NAMES or self.nonces.get(owner, nonce) != nonce:
                raise Refused(UNAUTHORIZED)
            if seconds == 0:
                self.nonces.pop(owner, None)
                if six:
                    self.table.close(client, port)
                else:
                    self.table.remove_of(protocol, client, port)
            elif six:
                external, seconds = self.table.open(client, port, seconds)
            else:
                external, seconds = self.table.add(protocol, external or port, client, port, seconds, 'PCP',
                                                   wanted=external != 0)
            if seconds:
                self.nonces[owner] = nonce
        except Refused as e:
            code, external, seconds = PCP_CODES[str(e)], 0, 30
        seen = socket.inet_pton(socket.AF_INET6, client if six else '::ffff:' + self.table.external)
        return self.head(1, code, seconds) + nonce + struct.pack('!B3xHH', protocol, port, external) + seen


def port_5351(table, address):
    """both share it; the first byte is the version"""
    six = ':' in address
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 5351))
    pcp = Pcp(table)
    yield
    while True:
        data, who = s.recvfrom(1100)
        answer = None
        if len(data) < 2 or data[1] >= 128:
            continue
        log('5351', f'version {data[0]} opcode {data[1]}', who[0])
        if data[0] == 0 and not six and 'no-natpmp' not in table.faults:
            answer = natpmp(table, data, who[0])
        elif data[0] != 0 and 'no-pcp' not in table.faults:
            answer = pcp.answer(data, who[0])
            if data[0] != 2:
                answer = pcp.head(data[1] & 127, 1, 0)
        elif data[0] != 0 and 'no-natpmp' not in table.faults:  # speaks NAT-PMP only: unsupported version
            answer = struct.pack('!BBHI', 0, 128 | data[1], 1, table.epoch())
        if answer and 'garbage' in table.faults:
            answer = answer[:5]
        if answer:
            s.sendto(answer, who)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--lan', required=True)
    parser.add_argument('--lan6')
    parser.add_argument('--external', required=True)
    parser.add_argument('--nat', required=True)
    parser.add_argument('fault', nargs='*', choices=[*FAULTS, []])
    args = parser.parse_args()
    table = Table(args)
    signal.signal(signal.SIGUSR1, table.restart)
    loops = [port_5351(table, args.lan)] + ([port_5351(table, args.lan6)] if args.lan6 else [])
    if 'no-upnp' not in table.faults:
        Http.table = table
        server = Server((args.lan, 0), Http)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        loops.append(ssdp(table, server.server_port))
    for loop in loops:
        next(loop)  # listens
        threading.Thread(target=next, args=(loop,), daemon=True).start()
    print('ready', flush=True)
    while True:
        time.sleep(0.5)
        table.expire()


if __name__ == '__main__':
    main()
