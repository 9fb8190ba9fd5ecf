#!/usr/bin/python3
"""A home whose router opens ports (miniupnpd: PCP, NAT-PMP, UPnP IGD 2, pinholes of IPv6): a node with nothing set has its
ports opened, is reached from outside, closes them at its end; who is told not to, or need not, asks nothing.

TEST: timeout=300 waits

Skipped, and said so, where namespaces cannot be made or there is no miniupnpd.
"""
import datetime
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hosts  # noqa: E402
from hosts import Missing, must  # noqa: E402
from homes import Home, Relay, counted, down, until, up  # noqa: E402
from programs import SLOW, TOP, check  # noqa: E402

RELAY, HOME = 1, 4
PORT = 4433  # of a node with nothing set
AGAIN_S = 2.7  # a PCP request is sent again after 3 s, a tenth more or less
TABLES = '''
table inet filter {
    chain miniupnpd {
    }
    chain forward {
        type filter hook forward priority 0
        jump miniupnpd
    }
}
table inet nat {
    chain prerouting_miniupnpd {
    }
    chain postrouting_miniupnpd {
    }
    chain prerouting {
        type nat hook prerouting priority -100
        jump prerouting_miniupnpd
    }
}
table ip6 home6 {
    chain through {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname "lan" accept
    }
}
'''
CONF = '''
ext_ifname=eth0
listening_ip=lan
enable_natpmp={natpmp}
enable_upnp={upnp}
ipv6_disable={no_ipv6}
upnp_table_name=filter
upnp_nat_table_name=nat
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
uuid=00000000-0000-4000-8000-000000000001
allow 1024-65535 0.0.0.0/0 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
'''
NO_PCP = '''
table ip6 no_pcp {
    chain into {
        type filter hook input priority 0;
        udp dport 5351 drop
    }
}
'''
ASKED = '''
table inet asked {
    counter router { }
    counter router4 { }
    chain out {
        type filter hook output priority 0;
        udp dport { 1900, 5351 } counter name router
        ip version 4 udp dport { 1900, 5351 } counter name router4
    }
}
'''


class Opener:
    """miniupnpd in the router of |home|"""

    def __init__(self, home):
        self.home, self.router, self.process = home, home.router, None
        must(*self.router.command('nft', '-f', '-'), text=TABLES)
        must(*self.router.command('nft', 'insert', 'rule', 'ip', 'home', 'through', 'ct', 'status', 'dnat', 'accept'))

    def start(self, natpmp=True, upnp=True, ipv6=False):
        conf = pathlib.Path('/run/miniupnpd.conf')
        conf.write_text(CONF.format(natpmp='yes' if natpmp else 'no', upnp='yes' if upnp else 'no', no_ipv6='no' if ipv6 else 'yes'))
        self.process = subprocess.Popen(self.router.command('miniupnpd', '-d', '-f', conf, '-P', '/run/miniupnpd.pid'),
                                        stdout=subprocess.DEVNULL, stderr=open('/run/miniupnpd.log', 'w'))
        until('miniupnpd listens', lambda: 'HTTP listening' in pathlib.Path('/run/miniupnpd.log').read_text(), 10)

    def stop(self):
        """with all that it has opened, as a router that starts again"""
        self.process.terminate()
        self.process.wait(10)
        for chain in (('filter', 'miniupnpd'), ('nat', 'prerouting_miniupnpd')):
            must(*self.router.command('nft', 'flush', 'chain', 'inet', *chain))

    def open(self):
        """-> external ports of IPv4 that lead to the home, by protocol"""
        rules = must(*self.router.command('nft', 'list', 'chain', 'inet', 'nat', 'prerouting_miniupnpd'))
        return sorted(re.findall(r'(0x11|0x6|udp|tcp)\b.*dport (\d+) dnat ip to 192.168.1.2:', rules))


def log_of(node):
    return (node.dir / 'qudagd.log').read_text()


def lines(node, event):
    """-> (time in s, fields) of each"""
    out = []
    for line in log_of(node).splitlines():
        at, _, name, *fields = line.split()
        if name == event:
            out.append((datetime.datetime.fromisoformat(at.replace('Z', '+00:00')).timestamp(),
                        dict(f.split('=', 1) for f in fields if '=' in f)))
    return out


def mapped(node, count):
    """waits until so many ports have been opened since its start -> their lines"""
    return until(f'{count} ports', lambda: lines(node, 'nat.port_mapped') if len(lines(node, 'nat.port_mapped')) >= count else None, 20)


def took(node, line):
    """s from the first question to that answer"""
    return line[0] - lines(node, 'nat.port_mapping_wanted')[0][0]


def begin(node, *options):
    if (node.dir / 'qudagd.log').exists():
        (node.dir / 'qudagd.log').unlink()
    up(node, '-o', 'log.level=debug', *options)


def closed(opener, node):
    began = time.monotonic()
    node.down()
    check(time.monotonic() - began < 5 * SLOW, f'the end took {time.monotonic() - began:.1f} s')
    until('the router closes the ports', lambda: opener.open() == [], 5)


def by_pcp(opener, home, relay):
    """with the settings of `qudag up`; a host outside reaches it"""
    opener.start()
    begin(home, '--bootstrap', relay.bootstrap)
    for line in mapped(home, 2):
        check(line[1]['method'] == 'PCP' and line[1]['external_port'] == str(PORT) and line[1]['double_nat'] == '0', f'{line}')
    quickest = min(took(home, line) for line in mapped(home, 2))
    check(quickest < AGAIN_S, f'PCP took {quickest:.3f} s: the first request was not the one that was answered')
    check(len(opener.open()) == 2, f'{opener.open()}')
    print(f'ok: PCP in {1000 * quickest:.0f} ms', flush=True)
    code, text = relay.tool('connect', f'/ip4/{home.v4}/udp/{PORT}/quic-v1/p2p/{home.peer}')
    check(code == 0, f'nobody outside reaches it: {text}')
    code, text = relay.tool('connect', f'/ip4/{home.v4}/tcp/{PORT}/p2p/{home.peer}')
    check(code == 0, f'nobody outside reaches it by TCP: {text}')
    print('ok: a host outside reaches the home, by UDP and TCP', flush=True)


def starts_again(opener, home):
    """the router forgets all: the next look at its epoch maps again"""
    opener.stop()
    check(opener.open() == [], 'it remembers')
    time.sleep(8)
    opener.start()
    began = time.monotonic()
    until('the ports are open again', lambda: len(opener.open()) == 2, 40)
    print(f'ok: open again {time.monotonic() - began:.1f} s after the router is back', flush=True)
    closed(opener, home)
    opener.stop()
    print('ok: closed at the end', flush=True)


def by_upnp(opener, home, relay):
    opener.start(natpmp=False)
    begin(home, '--bootstrap', relay.bootstrap)
    for line in mapped(home, 2):
        check(line[1]['method'] == 'UPnP' and line[1]['external_port'] == str(PORT), f'{line}')
    first = took(home, mapped(home, 2)[0])
    check(first <= 2.5 * SLOW, f'UPnP took {first:.1f} s')
    check('process.confined' in log_of(home), 'it was not confined')
    check(int(mapped(home, 2)[0][1]['life_s']) > 7000, f'{mapped(home, 2)}')
    joined = lines(home, 'bootstrap')[0][0]
    check(joined < mapped(home, 2)[0][0], 'the start waits for the router')
    print(f'ok: UPnP in {first:.1f} s, and the start did not wait for it', flush=True)
    code, text = relay.tool('connect', f'/ip4/{home.v4}/udp/{PORT}/quic-v1/p2p/{home.peer}')
    check(code == 0, f'nobody outside reaches it: {text}')
    closed(opener, home)
    opener.stop()


def has_ipv6(home):
    """-> its address: a network of its own behind the router, whose firewall lets nothing in"""
    own = '2a0f:444:1:2::2'
    hosts.ip('-6', 'route', 'add', '2a0f:444:1:2::/64', 'dev', home.router.port)
    home.router.ip('-6', 'addr', 'add', '2a0f:444:1:2::1/64', 'dev', 'lan', 'nodad')
    home.router.ip('-6', 'addr', 'add', 'fe80::1/64', 'dev', 'lan', 'nodad')
    must(*home.router.command('sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'))
    home.add(own, 64)
    home.ip('-6', 'route', 'add', 'default', 'via', 'fe80::1', 'dev', 'eth0')
    return own


def pinholes(opener, home, relay):
    """the same through the firewall of IPv6, by PCP and by UPnP"""
    own = has_ipv6(home)
    begin(home, '--bootstrap', relay.bootstrap)
    address = f'/ip6/{own}/udp/{PORT}/quic-v1/p2p/{home.peer}'
    code, _ = relay.tool('connect', '--timeout', '3', address)
    check(code != 0, 'the firewall lets in what was not asked for')
    home.down()
    for method in ('PCP', 'UPnP'):
        opener.start(natpmp=method == 'PCP', ipv6=True)
        if method == 'UPnP':  # of IPv6 it speaks PCP all the same
            must(*home.router.command('nft', '-f', '-'), text=NO_PCP)
        begin(home, '--bootstrap', relay.bootstrap)
        check({line[1]['method'] for line in mapped(home, 4)} == {method}, f'{mapped(home, 4)}')
        code, text = relay.tool('connect', address)
        check(code == 0, f'nobody outside reaches it through the pinhole by {method}: {text}')
        closed(opener, home)
        opener.stop()
        print(f'ok: reached through a pinhole of IPv6, by {method}', flush=True)


def nobody_there(home):
    """a router that opens nothing: said once, with the reason"""
    begin(home)
    why = until('a word of it', lambda: lines(home, 'nat.port_mapping_failed'), 40)
    text = next(line for line in log_of(home).splitlines() if 'nat.port_mapping_failed' in line)
    check('PCP: no answer' in text and 'UPnP: no router answers' in text and why[0][1]['failures'] == '1', text)
    began = time.monotonic()
    home.down()
    check(time.monotonic() - began < 5 * SLOW, f'the end took {time.monotonic() - began:.1f} s')
    print('ok: a router that opens nothing, and why', flush=True)


# the end of each such router's program: whoever looks for a gateway is sent to its |port|
ANSWERS = '''
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 1900))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('239.255.255.250') + socket.inet_aton('192.168.1.1'))
while True:
    _, who = s.recvfrom(2000)
    s.sendto(b'HTTP/1.1 200 OK\\r\\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\\r\\nUSN: uuid:1\\r\\n'
             b'LOCATION: http://192.168.1.1:%d/r.xml\\r\\n\\r\\n' % port, who)
'''
DRIBBLES = '''
import socket, struct, threading, time
page = socket.create_server(('192.168.1.1', 0))
def dribble(s):
    s.recv(2000)
    s.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 9999\\r\\n\\r\\n')
    print('read', flush=True)
    try:
        while True:
            s.sendall(b'<')
            time.sleep(1)
    except OSError:
        pass
def serve():
    while True:
        threading.Thread(target=dribble, args=(page.accept()[0],), daemon=True).start()
threading.Thread(target=serve, daemon=True).start()
port = page.getsockname()[1]
''' + ANSWERS
BUSY = '''
import http.server, re, socket, socketserver, struct, threading, time
PAGE = b"""<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/ctl</controlURL>
<eventSubURL>/e</eventSubURL><SCPDURL>/s</SCPDURL></service></serviceList></device></root>"""
class Page(http.server.BaseHTTPRequestHandler):
    def say(self, text):
        self.send_response(200)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def do_GET(self):
        self.say(PAGE)
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length'])).decode()
        name = self.headers['SOAPAction'].split('#')[1].strip('"')
        port = re.search('<NewExternalPort>([0-9]+)<', body)
        print(name, port.group(1) if port else '', flush=True)
        if name == 'AddPortMapping':
            time.sleep(0.7)
        said = '<NewExternalIPAddress>203.0.113.5</NewExternalIPAddress>' if name == 'GetExternalIPAddress' else ''
        self.say(('<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:%sResponse xmlns:u='
                  '"urn:schemas-upnp-org:service:WANIPConnection:1">%s</u:%sResponse></s:Body></s:Envelope>' % (name, said, name)).encode())
    def log_message(self, *args):
        pass
web = socketserver.ThreadingTCPServer(('192.168.1.1', 0), Page)
threading.Thread(target=web.serve_forever, daemon=True).start()
port = web.server_address[1]
''' + ANSWERS


def asked_at_the_end(home):
    """a port that the router is opening while the node ends does not stay open"""
    router = subprocess.Popen(home.router.command('/usr/bin/python3', '-c', BUSY), stdout=subprocess.PIPE, text=True)
    begin(home)
    line = router.stdout.readline()
    check(line.startswith('AddPortMapping '), f'the router is asked for {line}')
    began = time.monotonic()
    home.down()
    took_s = time.monotonic() - began
    check(took_s < 5 * SLOW, f'the end took {took_s:.1f} s')
    router.kill()
    actions = [line.split() for line in [line, *router.stdout]]
    opened = {a[1] for a in actions if a[0] == 'AddPortMapping'}
    closed_again = {a[1] for a in actions if a[0] == 'DeletePortMapping'}
    check(opened <= closed_again, f'ports stay open: {actions}')
    print(f'ok: a port that is being opened at the end is closed again: the end took {took_s:.1f} s', flush=True)


def dribbles(home):
    """a router that sends a byte a second holds up neither the work nor the end"""
    router = subprocess.Popen(home.router.command('/usr/bin/python3', '-c', DRIBBLES), stdout=subprocess.PIPE, text=True)
    begin(home)
    check(router.stdout.readline() == 'read\n', 'its description is not read')
    time.sleep(1)
    began = time.monotonic()
    home.ask('status')
    check(time.monotonic() - began < SLOW, 'the daemon does not answer meanwhile')
    began = time.monotonic()
    home.down()
    check(time.monotonic() - began < 4 * SLOW, f'the end took {time.monotonic() - began:.1f} s')
    print(f'ok: a router that dribbles: the end took {time.monotonic() - began:.1f} s', flush=True)
    router.kill()


def asks(node, *options, which='router'):
    """whether a node with these options says anything to a router within 3 s"""
    before = counted(node, 'inet', 'asked', which)
    node.dir = pathlib.Path(tempfile.mkdtemp(dir=TOP)) / node.dir.name  # a lab's node is not another network's
    begin(node, *options)
    time.sleep(3 * SLOW)
    node.down()
    return counted(node, 'inet', 'asked', which) > before


def who_does_not_ask(home, relay):
    """nobody is asked by a lab, on loopback, by a host that is on the Internet, by who is told not to or wants nothing"""
    for place in (home, relay):
        must(*place.command('nft', '-f', '-'), text=ASKED)
    loopback = '/ip4/127.0.0.1/udp/4433/quic-v1'
    check(asks(home), 'a home does not ask: the counter counts nothing')
    for what, options in (('a lab', ['lab.lab=yes']), ('a lab that is to be reached', ['lab.lab=yes', 'nat.reachable=yes']),
                          ('who listens on loopback', [f'node.listen={loopback}']),
                          ('who is told not to', ['nat.port_mapping=no']), ('who is not to be reached', ['nat.reachable=no']),
                          ('who serves nobody', ['onion.relay=no', 'dht.server=no'])):
        check(not asks(home, *[x for o in options for x in ('-o', o)]), f'{what} asks a router')
    check(not asks(relay, which='router4'), 'a host on the Internet asks for a port')  # of IPv6, for a pinhole
    print('ok: nobody else asks', flush=True)


def main():
    hosts.enter()
    if shutil.which('miniupnpd') is None:
        raise Missing('no miniupnpd (Debian: miniupnpd-nftables)')
    relay, home = Relay(RELAY), Home(HOME, 'home')
    up(relay)
    opener = Opener(home)
    by_pcp(opener, home, relay)
    starts_again(opener, home)
    by_upnp(opener, home, relay)
    pinholes(opener, home, relay)
    nobody_there(home)
    asked_at_the_end(home)
    dribbles(home)
    down(relay)
    who_does_not_ask(home, relay)


if __name__ == '__main__':
    hosts.run_or_skip(main)
