#!/usr/bin/python3
"""Programs that know nothing of QuDAG, caller and service each behind a router that lets nothing in: nginx and Python's
http.server behind `qudag expose`; curl, a WebSocket, server-sent events, ssh and scp, git, and a browser through the proxy.

TEST: timeout=300 waits

    real_use_test.py [PICTURE]     the browser's picture of the page goes there

Skipped, and said so, where namespaces cannot be made.  Parts whose programs are not installed (tools/deps.sh --tools=use)
are left out, each with a line; what that has installed here must be found.

The settings are the default ones but for --small-network: without it 60 relays in different networks are asked for
(RELAYS_SAFE_MIN); this one has 8, which are up in ten seconds.
"""
import collections
import hashlib
import os
import pathlib
import pwd
import shutil
import struct
import subprocess
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import hosts  # noqa: E402
from homes import down, network, nothing_comes_in, took, until  # noqa: E402
from hosts import must  # noqa: E402
from programs import QUDAG, SLOW, SRC, TOP, check, run  # noqa: E402

RELAYS = 8
NAME = 'blog.dark'
PROXY = '127.0.0.1:9350'
WEB, PLAIN, SHELL = 8080, 8081, 2222  # where nginx, Python's server and sshd listen in the service's namespace
NOBODY = 65534
PACKAGES = {'nginx': 'nginx-light', 'sshd': 'openssh-server', 'ssh': 'openssh-client', 'scp': 'openssh-client',
            'ssh-keygen': 'openssh-client', 'setpriv': 'util-linux', 'nft': 'nftables'}  # where it has another name
ITEMS = {'png': 20, 'css': 10, 'js': 10}
left_out = []


def installed():
    """packages that tools/deps.sh --tools=use has installed here: their parts are not left out"""
    path = SRC / 'build/tools.use'
    return path.read_text().split() if path.exists() else []


def lacks(part, *programs):
    for p in programs:
        if shutil.which(p) is None:
            check(PACKAGES.get(p, p) not in installed(), f'{part}: {p} is not found, although tools/deps.sh has installed it')
            left_out.append(f'{part}: no {p}')
            print(f'left out: {part}: {p} is not installed (tools/deps.sh --tools=use)', flush=True)
            return True
    return False


# ---------------------------------------------------------------- what is served


def page(folder):
    """a page with forty parts, which says itself how many of them it has"""
    folder.mkdir()
    parts = []
    for i in range(ITEMS['png']):
        picture_of(folder / f'{i}.png', 16 + i, colour(i))
        parts.append(f'<img src="{i}.png">')
    for i in range(ITEMS['css']):
        (folder / f'{i}.css').write_text(f'#c{i} {{ width: {100 + i}px; display: block; }}\n')
        parts.append(f'<link rel="stylesheet" href="{i}.css"><span id="c{i}"></span>')
    for i in range(ITEMS['js']):
        (folder / f'{i}.js').write_text(f'window.total = (window.total || 0) + {1 << i};\n')
        parts.append(f'<script src="{i}.js"></script>')
    script = '''
        const images = [...document.images].filter((m, i) => m.naturalWidth === 16 + i).length;
        const styles = [...document.querySelectorAll('span')].filter((s, i) => s.offsetWidth === 100 + i).length;
        document.getElementById('sum').textContent = `images ${images} styles ${styles} scripts ${window.total}`;'''
    (folder / 'index.html').write_text('<!doctype html><title>forty parts</title><h1>Hidden, and here</h1><p id="sum"></p>\n'
                                       + '\n'.join(parts) + f'<script>onload = () => {{ {script} }};</script>\n')


def colour(i):
    """of image i"""
    return 10 * i, 255 - 10 * i, 128


def picture_of(path, width, rgb):
    """a picture of one colour: PNG, 8 bits, RGB"""

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    rows = (b'\0' + bytes(rgb) * width) * 16
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, 16, 8, 2, 0, 0, 0)) +
                     chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def unfiltered(kind, row, above, size):
    """a row of a PNG as it was before its filter (PNG specification, 9.2); |size|: bytes of a pixel"""
    for x, byte in enumerate(row):
        left, up = row[x - size] if x >= size else 0, above[x]
        corner = above[x - size] if x >= size else 0
        near = left + up - corner
        paeth = min((left, up, corner), key=lambda v: abs(near - v))
        row[x] = byte + (0, left, up, (left + up) // 2, paeth)[kind] & 255
    return row


def colours(path):
    """{colour: pixels} of a PNG of 8 bits, RGB or RGBA"""
    data, at, packed = path.read_bytes(), 8, b''
    width, height, bits, form = struct.unpack('>IIBB', data[16:26])
    check(bits == 8 and form in (2, 6), f'a PNG of {bits} bits, type {form}')
    while at < len(data):
        length, = struct.unpack('>I', data[at:at + 4])
        packed += data[at + 8:at + 8 + length] if data[at + 4:at + 8] == b'IDAT' else b''
        at += 12 + length
    flat, size = zlib.decompress(packed), 3 if form == 2 else 4
    above, found = bytes(size * width), collections.Counter()
    for y in range(height):
        at = y * (size * width + 1)
        above = unfiltered(flat[at], bytearray(flat[at + 1:at + 1 + size * width]), above, size)
        found.update(tuple(above[x:x + 3]) for x in range(0, size * width, size))
    return found


def serve(home):
    """nginx in front of Python's server, as a person would put it; -> what is served, as bytes"""
    www = TOP / 'www'
    page(www)
    large = os.urandom(20 << 20)
    (www / 'large').write_bytes(large)
    repository = TOP / 'repositories' / 'project'
    repository.mkdir(parents=True)
    for args in (['init', '-q'], ['add', '.'], ['-c', 'user.name=x', '-c', 'user.email=x@y', 'commit', '-q', '-m', 'first']):
        (repository / 'file').write_text('what is cloned\n')
        must('git', '-C', str(repository), *args)
    for folder in (TOP, www, TOP / 'repositories'):  # nginx serves as nobody
        folder.chmod(0o755)
    home.begin(sys.executable, str(SRC / 'tests/system/web_server.py'), str(PLAIN), str(TOP / 'repositories'), cwd=www)
    if not lacks('nginx', 'nginx'):
        (TOP / 'nginx.conf').write_text(f'''
            daemon off; pid {TOP}/nginx.pid; error_log {TOP}/nginx.log; worker_processes 1;
            events {{ }}
            http {{
                access_log off; client_max_body_size 200m; client_body_temp_path {TOP}/body; proxy_temp_path {TOP}/proxy;
                fastcgi_temp_path {TOP}/f; scgi_temp_path {TOP}/s; uwsgi_temp_path {TOP}/u;
                types {{ text/html html; text/css css; text/javascript js; image/png png; }}
                map $http_upgrade $connection_upgrade {{ default upgrade; "" close; }}
                server {{
                    listen 127.0.0.1:{WEB}; root {www};
                    location ~ ^/(upload|echo|events|next|git/) {{
                        proxy_pass http://127.0.0.1:{PLAIN}; proxy_http_version 1.1; proxy_buffering off;
                        proxy_request_buffering off; proxy_set_header Upgrade $http_upgrade;
                        proxy_set_header Connection $connection_upgrade;
                    }}
                }}
            }}''')
        home.begin('nginx', '-c', str(TOP / 'nginx.conf'), '-e', str(TOP / 'nginx.log'))
    else:
        home.begin(sys.executable, str(SRC / 'tests/system/web_server.py'), str(WEB), str(TOP / 'repositories'), cwd=www)
    for port in (WEB, PLAIN):
        until(f'a server on port {port}', lambda p=port: run(*home.command('curl', '-s', f'http://127.0.0.1:{p}/1.css'))[0] == 0)
    return large


def ssh_server(home):
    """an ordinary user's sshd, with keys of its own; False: none"""
    if lacks('ssh', 'sshd', 'ssh', 'scp', 'ssh-keygen'):
        return False
    keys = TOP / 'ssh'
    keys.mkdir(mode=0o700)
    for name in ('host', 'user'):
        must('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', str(keys / name))
    shutil.copy(keys / 'user.pub', keys / 'authorized_keys')
    (keys / 'sshd_config').write_text(f'''
        ListenAddress 127.0.0.1:{SHELL}
        HostKey {keys}/host
        AuthorizedKeysFile {keys}/authorized_keys
        PidFile {keys}/pid
        StrictModes no
        UsePAM no
        PasswordAuthentication no
        Subsystem sftp internal-sftp
        ''')
    (keys / 'known_hosts').write_text(f'{NAME} {(keys / "host.pub").read_text()}')
    pathlib.Path('/run/sshd').mkdir(exist_ok=True)  # /run is this test's own
    home.begin(shutil.which('sshd'), '-D', '-q', '-f', str(keys / 'sshd_config'))
    until('sshd', lambda: run(*home.command('bash', '-c', f'</dev/tcp/127.0.0.1/{SHELL}'))[0] == 0)
    return True


# ---------------------------------------------------------------- the parts


def curl(home, *args, timeout=60, socks=True):
    way = ['--socks5-hostname', PROXY] if socks else ['--proxy', f'http://{PROXY}']
    return home.says('curl', '-sS', '--fail', '--max-time', timeout * SLOW, *way, *args, timeout=timeout + 10)


def pages(home, large):
    with took('a page by SOCKS5, and by HTTP, whole and tunnelled'):
        wanted = (TOP / 'www/index.html').read_text()
        for way in (dict(socks=True), dict(socks=False)):
            check(curl(home, f'http://{NAME}/', **way) == wanted, f'another page: {way}')
        check(curl(home, '--proxytunnel', f'http://{NAME}/', socks=False) == wanted, 'another page: CONNECT')
        check('forty parts' in curl(home, f'http://{NAME}:{PLAIN}/'), "http.server's page")
    with took('20 MiB in one, in ranges, and resumed'):
        out = TOP / 'out'
        curl(home, '-o', out, f'http://{NAME}/large')
        check(out.read_bytes() == large, 'another file')
        curl(home, '-o', out, '-r', '1000000-1999999', f'http://{NAME}/large')
        check(out.read_bytes() == large[1000000:2000000], 'another range')
        out.write_bytes(large[:7_000_001])
        curl(home, '-o', out, '-C', '-', f'http://{NAME}/large')
        check(out.read_bytes() == large, 'resumed: another file')


def upload(home):
    with took('an upload of 100 MiB'):
        data = TOP / 'data'
        data.write_bytes(os.urandom(100 << 20))
        text = curl(home, '-T', data, f'http://{NAME}/upload', timeout=120)
        check(text == f'{100 << 20} {hashlib.sha256(data.read_bytes()).hexdigest()}\n', f'something else came: {text}')
        data.unlink()


def at_once(home, large):
    with took('50 requests at once'):
        configuration = TOP / 'fifty'
        configuration.write_text(''.join(f'url = http://{NAME}/large\nrange = {i * 50000}-{i * 50000 + 49999}\noutput = {TOP}/part{i}\n'
                                         + 'next\n' * (i < 49) for i in range(50)))
        # options of one request end with "next": said for each
        text = configuration.read_text().replace('url =', f'socks5-hostname = {PROXY}\nfail\nurl =')
        configuration.write_text(text)
        home.says('curl', '-sS', '--parallel', '--parallel-immediate', '--parallel-max', '50', '-K', configuration, timeout=120)
        for i in range(50):
            part = (TOP / f'part{i}').read_bytes()
            check(part == large[i * 50000:i * 50000 + 50000], f'part {i} of 50 is another: {len(part)} bytes')


SOCKET = r'''
import base64, os, socket, struct, sys
host, rounds = sys.argv[1], int(sys.argv[2])
s = socket.create_connection(('127.0.0.1', 9350))
def exactly(n):
    b = b''
    while len(b) < n:
        got = s.recv(n - len(b))
        assert got, 'ended'
        b += got
    return b
s.sendall(b'\5\1\0'); assert exactly(2) == b'\5\0'
s.sendall(b'\5\1\0\3' + bytes([len(host)]) + host.encode() + struct.pack('>H', 80))
assert exactly(4)[:2] == b'\5\0'; exactly(6)
s.sendall(f'GET /echo HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
          f'Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n'.encode())
head = b''
while not head.endswith(b'\r\n\r\n'):
    head += exactly(1)
assert b' 101 ' in head, head
for n in range(rounds):
    data, mask = os.urandom(100 + 13 * n), os.urandom(4)
    size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0xfe]) + struct.pack('>H', len(data))
    s.sendall(b'\x82' + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))
    first, size = exactly(2)
    if size == 126:
        size, = struct.unpack('>H', exactly(2))
    assert first == 0x82 and exactly(size) == data, n
print('echoed', rounds)
'''


def web_socket(home):
    with took('a WebSocket echoes 50 messages'):
        check('echoed 50' in home.says(sys.executable, '-c', SOCKET, NAME, 50), 'no echo')


def events(home):
    """each event is seen before the next one is asked for: nothing on the way keeps it back"""
    with took('server-sent events, one at a time'):
        with subprocess.Popen(home.command('curl', '-sSN', '--socks5-hostname', PROXY, f'http://{NAME}/events'),
                              stdout=subprocess.PIPE, text=True) as stream:
            for n in range(5):
                line = stream.stdout.readline()
                check(line == f'data: event {n}\n', f'event {n}: {line!r}')
                stream.stdout.readline()
                curl(home, f'http://{NAME}/next')
            check(stream.stdout.read() == '', 'more than five events')


def shell(home):
    keys = TOP / 'ssh'
    options = ['-F', 'none', '-i', keys / 'user', '-o', f'UserKnownHostsFile={keys}/known_hosts', '-o', 'BatchMode=yes', '-o',
               f'ProxyCommand={QUDAG} --dir {home.dir} connect %h 22', '-o', f'HostKeyAlias={NAME}']
    user = pwd.getpwuid(os.geteuid()).pw_name
    with took('ssh: a command, a shell that is typed into, and its exit code'):
        text = home.says('ssh', *options, f'{user}@{NAME}', 'echo of $((6 * 7)); exit 3', code=3)
        check('of 42' in text, text)
        done = subprocess.run(home.command('ssh', '-T', *options, f'{user}@{NAME}'), input='read x\nword\necho "got $x"\n', text=True,
                              capture_output=True, timeout=60 * SLOW)
        check('got word' in done.stdout, f'{done}')
    with took('scp: 5 MB there and back'):
        there = TOP / 'there'
        there.write_bytes(os.urandom(5_000_000))
        home.says('scp', '-q', *options, there, f'{user}@{NAME}:{TOP}/arrived')
        home.says('scp', '-q', *options, f'{user}@{NAME}:{TOP}/arrived', TOP / 'back')
        check((TOP / 'back').read_bytes() == there.read_bytes(), 'another file')


def clone(home):
    with took('git clone and fetch over HTTP'):
        git = ['git', '-c', f'http.proxy=socks5h://{PROXY}']
        home.says(*git, 'clone', '-q', f'http://{NAME}/git/project', TOP / 'clone')
        check((TOP / 'clone/file').read_text() == 'what is cloned\n', 'another content')
        home.says(*git, '-C', TOP / 'clone', 'fetch', '-q')


COUNTERS = f'''
table inet leak {{
    chain out {{
        type filter hook output priority 0;
        meta skuid {NOBODY} oifname != "lo" counter
        meta skuid {NOBODY} meta l4proto {{ tcp, udp }} th dport 53 counter
    }}
}}
'''


def leaked(home):
    """packets that the user of the browser sent elsewhere than to this host"""
    text = home.says('nft', 'list', 'table', 'inet', 'leak')
    return [int(line.split(' packets ')[1].split()[0]) for line in text.splitlines() if ' packets ' in line]


def browser(home, picture):
    """Chromium, as a user of its own: what it sends otherwise than through the proxy is counted"""
    program = next((p for p in ('chromium-headless-shell', 'chromium', 'google-chrome') if shutil.which(p)), None)
    if program is None or lacks('browser', 'setpriv', 'nft'):
        if program is None:
            lacks('browser', 'chromium-headless-shell')
        return
    profile = TOP / 'profile'
    profile.mkdir()
    profile.chmod(0o777)
    must(*home.command('nft', '-f', '-'), text=COUNTERS)
    as_nobody = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', 'env', f'HOME={profile}']
    sends = ('import socket; s = lambda f, to: socket.socket(f, socket.SOCK_DGRAM).sendto(b"x", to); s(socket.AF_INET, ("9.9.9.9", 53)); '
             's(socket.AF_INET6, ("ff02::1", 53, 0, socket.if_nametoindex("eth0")))')
    home.says(*as_nobody, '/usr/bin/python3', '-c', sends)
    before = leaked(home)
    check(before == [2, 2], f'the counters do not count: {before}')
    command = [*as_nobody, program, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
               f'--user-data-dir={profile}', '--window-size=800,600', '--timeout=60000']
    wanted = f'images {ITEMS["png"]} styles {ITEMS["css"]} scripts {(1 << ITEMS["js"]) - 1}'
    for way in ('socks5', 'http'):
        with took(f'a browser shows a page of 40 parts by {way}, and sends nothing elsewhere'):
            text = home.says(*command, f'--proxy-server={way}://{PROXY}', f'--screenshot={profile}/{way}.png', '--dump-dom',
                             f'http://{NAME}/', timeout=90)
            shown = text.partition('<p id="sum">')[2].partition('</p>')[0]
            check(shown == wanted, f'not {wanted}, but {shown or text[-1500:]}')
            seen = colours(profile / f'{way}.png')
            missing = [i for i in range(ITEMS['png']) if seen.get(colour(i), 0) < 16 * 16]
            check(missing == [], f'the picture lacks images {missing}')
            check(leaked(home) == before, f'packets sent elsewhere: {before}, then {leaked(home)}')
    if picture:
        shutil.copy(profile / 'http.png', picture)


# ---------------------------------------------------------------- the network


def main():
    picture = sys.argv[1] if sys.argv[1:] else None
    hosts.enter()
    with took(f'{RELAYS} relays, and two hosts behind routers'):
        relays, service, caller = network(RELAYS, (20, 'service'), (21, 'caller'))
    nothing_comes_in(relays[1], service, caller)
    large = serve(service)
    has_shell = ssh_server(service)
    with took('expose'):
        ports = [f'80:127.0.0.1:{WEB}', f'{PLAIN}:127.0.0.1:{PLAIN}', *([f'22:127.0.0.1:{SHELL}'] if has_shell else [])]
        address = service.ask('expose', *ports, '--name', 'blog', '--small-network')['address']
        caller.ask('name', 'add', 'blog', address)
        caller.ask('dark', 'resolve', 'blog.dark', '--small-network')
    with took('first page'):
        until('the first page', lambda: run(*caller.command('curl', '-sS', '--socks5-hostname', PROXY, f'http://{NAME}/'))[0] == 0)
    pages(caller, large)
    web_socket(caller)
    events(caller)
    clone(caller)
    if has_shell:
        shell(caller)
    browser(caller, picture)
    at_once(caller, large)
    upload(caller)
    down(caller, service, *relays)


if __name__ == '__main__':
    hosts.run_or_skip(main)
