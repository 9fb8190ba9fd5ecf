#!/usr/bin/python3
"""A daemon that is treated as machines and operators do: signals, log rotation, a log nobody reads, closed standard
descriptors.

TEST: timeout=180
"""
import atexit
import fcntl
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import ANY_PORT, QUDAG, QUDAGD, SLOW, TOP, Node, check, run  # noqa: E402

F_SETPIPE_SZ = 1031
PLACES, LONG, QUEUE_OWN, SHARES = 160, 48, 32, 32  # control.h


def until(condition, what, seconds=10):
    end = time.monotonic() + seconds * SLOW
    while not condition():
        check(time.monotonic() < end, f'not within {seconds} s: {what}')
        time.sleep(0.02)


def answers(folder):
    try:
        return run(QUDAG, '--dir', TOP / folder, 'status', timeout=10)[0] == 0
    except subprocess.TimeoutExpired:
        return False


def daemon(folder, *options, **more):
    """a daemon in the foreground, ready"""
    args = [str(QUDAGD), '--dir', str(TOP / folder)]
    for o in (f'node.listen={ANY_PORT}', 'lab.lab=yes', *options):
        args += ['-o', o]
    more.setdefault('stderr', subprocess.DEVNULL)
    p = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **more)
    atexit.register(p.kill)
    until(lambda: answers(folder), f'{folder} answers')
    return p


def ends(p, what, seconds=15):
    try:
        code = p.wait(timeout=seconds * SLOW)
    except subprocess.TimeoutExpired:
        p.kill()
        check(False, f'{what}: it does not end')
    return code


def signals():
    n = Node('signals').start()
    log = n.dir / 'qudagd.log'
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGALRM, signal.SIGHUP):
        os.kill(n.pid, number)
        check(n.ask('status')['pid'] == n.pid, f'{number.name} ended the daemon')
    until(lambda: 'daemon.reload' in log.read_text(), 'SIGHUP is told in the log')
    moved = n.dir / 'qudagd.log.1'
    log.rename(moved)
    os.kill(n.pid, signal.SIGHUP)
    until(lambda: log.exists() and 'daemon.reload' in log.read_text(), 'a log that was moved away is opened anew')
    before = moved.read_text()
    os.kill(n.pid, signal.SIGQUIT)
    until(lambda: n.tool('status')[0] == 3, 'SIGQUIT ends the daemon')
    until(lambda: 'daemon.end' in log.read_text(), 'the end is told in the log')
    check(moved.read_text() == before, 'the log that was moved away was still written to')
    check(not (n.dir / 'control.sock').exists(), 'the socket was left behind')
    print('ok: signals, and a log that is rotated by moving it', flush=True)


def reload_settings():
    folder = TOP / 'reload'
    folder.mkdir(mode=0o700)
    conf = folder / 'qudag.conf'
    conf.write_text(f'[node]\nlisten = {ANY_PORT}\n[log]\nlevel = error\nfile = {folder}/a.log\n')
    p = subprocess.Popen([str(QUDAGD), '--dir', str(folder)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: run(QUDAG, '--dir', folder, 'status')[0] == 0, 'reload answers')
    conf.write_text(f'[node]\nlisten = {ANY_PORT}\nagent = other\n[link]\ndial_timeout_s = 3\n[log]\nlevel = info\nfile = {folder}/b.log\n')
    p.send_signal(signal.SIGHUP)
    until(lambda: (folder / 'b.log').exists() and 'daemon.reload' in (folder / 'b.log').read_text(),
          '[log] file and level are read again')
    check('daemon.reload' not in (folder / 'a.log').read_text(), 'the old log was written to')
    shown = run(QUDAG, '--dir', folder, 'config', 'show')[1]
    check('dial_timeout_s = 3' in shown and 'agent =\n' in shown, f'what is live is in force, and nothing else: {shown}')
    check('take a restart: [node] agent"' in (folder / 'b.log').read_text(), 'what takes a restart is told')
    conf.write_text('[log]\nlevel = loud\n')
    p.send_signal(signal.SIGHUP)
    until(lambda: 'configuration unchanged' in (folder / 'b.log').read_text(), 'a wrong configuration is told')
    check(run(QUDAG, '--dir', folder, 'status')[0] == 0, 'a wrong configuration ended the daemon')
    p.terminate()
    check(ends(p, 'reload') == 0, 'reload: exit code')
    print('ok: SIGHUP reads what is live again, names what is not, and a wrong file changes nothing', flush=True)


def log_nobody_reads():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
    p = daemon('stalled', 'log.level=debug', stderr=writer)
    os.close(writer)
    for _ in range(120):  # each is a line of the log; all together are more than the pipe holds
        p.send_signal(signal.SIGHUP)
        check(answers('stalled'), 'no answer while nobody reads the log')
    os.set_blocking(reader, False)
    held = b''
    while True:
        try:
            held += os.read(reader, 65536)
        except BlockingIOError:
            break
    check(len(held) > 3000, f'the log did not fill its pipe: {len(held)} bytes')
    os.set_blocking(reader, True)
    check(b'log.dropped lines=' in os.read(reader, 65536), 'nothing tells how many lines were lost')
    p.terminate()
    check(ends(p, 'a daemon whose log nobody reads') == 0, 'exit code with a full log')
    os.close(reader)
    print('ok: a log that nobody reads stops nothing', flush=True)


def closed_descriptors():
    for closed in ('2>&-', '<&- >&- 2>&-', '<&-'):
        folder = TOP / f'closed{len(closed)}'
        command = f'exec "{QUDAGD}" --dir "{folder}" -o node.listen={ANY_PORT} -o log.level=debug {closed}'
        p = subprocess.Popen(['/bin/sh', '-c', command], stderr=subprocess.DEVNULL)
        until(lambda: run(QUDAG, '--dir', folder, 'status')[0] == 0, f'{closed}: it answers')
        for fd in ('0', '1', '2') if os.geteuid() == 0 else ():  # others cannot look into a process without core dumps
            target = os.readlink(f'/proc/{p.pid}/fd/{fd}')
            check(target == '/dev/null' or not target.startswith(str(folder)), f'{closed}: {fd} is {target}')
        p.send_signal(signal.SIGHUP)
        run(QUDAG, '--dir', folder, 'status')
        check((folder / 'lock').read_text() == f'{p.pid}\n', f'{closed}: something else is in the lock')
        p.terminate()
        check(ends(p, closed) == 0, f'{closed}: exit code')
    print('ok: closed standard descriptors', flush=True)


def socket_removed():
    n = Node('socket').start()
    (n.dir / 'control.sock').unlink()
    until(lambda: n.tool('status')[0] == 0, 'a removed control socket is made anew')
    check((n.dir / 'control.sock').stat().st_mode & 0o777 == 0o600, 'the new control socket is not 0600')
    check('control.socket' in (n.dir / 'qudagd.log').read_text(), 'it is not told')
    n.down()
    print('ok: a control socket that is removed comes back', flush=True)


def cpu_s(pid):
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def connect(folder):
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(TOP / folder / 'control.sock'))
    return s


def descriptors_used_up():
    if os.geteuid() != 0:
        print('not tried: no descriptors left; the limits of a process without core dumps are set by root alone', flush=True)
        return
    p = daemon('few')
    used = max(int(fd) for fd in os.listdir(f'/proc/{p.pid}/fd')) + 1
    resource.prlimit(p.pid, resource.RLIMIT_NOFILE, (used + 3, used + 3))
    waiting = [connect('few') for _ in range(12)]
    before = cpu_s(p.pid)
    time.sleep(1.5)
    took = cpu_s(p.pid) - before
    check(took < 0.5 * SLOW, f'{took:.2f} s of CPU time in 1.5 s while accept() fails')
    for s in waiting:
        s.close()
    until(lambda: answers('few'), 'it answers once there are descriptors')
    p.terminate()
    check(ends(p, 'few descriptors') == 0, 'exit code')
    print(f'ok: no descriptors left: {took:.2f} s of CPU time in 1.5 s, and it goes on afterwards', flush=True)


def all_places_taken():
    p = daemon('crowd')
    crowd = [connect('crowd') for _ in range(PLACES)]
    with subprocess.Popen([QUDAG, '--dir', TOP / 'crowd', 'status'], stdout=subprocess.DEVNULL) as asks:
        for s in crowd:
            check(len(s.recv(4096)) > 0, 'one that has a place is not greeted')
        check(asks.poll() is None, 'one above the places was turned away instead of waiting')
        crowd.pop().close()
        check(asks.wait(timeout=10 * SLOW) == 0, 'it is not served when a place becomes free')
    for s in crowd:
        s.close()
    p.terminate()
    check(ends(p, 'crowd') == 0, 'exit code')
    print('ok: above its places the daemon lets clients wait', flush=True)


class Control:
    """a connection to a control socket, by hand (bin/common/rec.h)"""

    def __init__(self, folder):
        self.s, self.got, self.records = connect(folder), b'', []
        self.s.settimeout(10 * SLOW)
        self.until(1)
        self.send(1, version=1)

    def send(self, kind, **fields):
        body = kind.to_bytes(2, 'big')
        for name, v in fields.items():
            what = 3 if isinstance(v, bool) else 2 if isinstance(v, int) else 1
            body += bytes([what, len(name)]) + name.encode() + b'\0'
            body += (bytes([v]) if what == 3 else v.to_bytes(8, 'big') if what == 2
                     else len(v).to_bytes(4, 'big') + v.encode() + b'\0')
        self.s.sendall(len(body).to_bytes(4, 'big') + body)
        return self

    def until(self, *kinds):
        """the bytes of the next record of one of those types"""
        while True:
            while self.got[:4] and len(self.got) >= 4 + int.from_bytes(self.got[:4], 'big'):
                size = 4 + int.from_bytes(self.got[:4], 'big')
                record, self.got = self.got[4:size], self.got[size:]
                if int.from_bytes(record[:2], 'big') in kinds:
                    return record
            more = self.s.recv(65536)
            check(more != b'', 'the daemon closed a connection')
            self.got += more


def long_requests_queue():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(('127.0.0.1', 0))  # never answers, so the node is never ready
        port = nobody.getsockname()[1]
        other = Node('other').start()
        n = Node('queue', f'node.bootstrap=/ip4/127.0.0.1/udp/{port}/quic-v1/p2p/{other.peer}').start(wait=False)
        ours = [Control('queue').send(2, cmd='watch', until_ready=True) for _ in range(LONG)]
        for c in ours:
            check(b'queued' not in c.until(4), f'one of {LONG} waits')
        ours += [Control('queue').send(2, cmd='watch', until_ready=True) for _ in range(QUEUE_OWN)]
        for c in ours[LONG:]:
            check(b'queued' in c.until(4, 5), f'above {LONG} a request does not wait')
        said = Control('queue').send(2, cmd='watch', until_ready=True).until(4, 5)
        check(b'too many requests of this program' in said, f'one process fills the queue: {said}')
        check(n.tool('stats')[0] == 0, 'a short request waits behind long ones')
        with subprocess.Popen([QUDAG, '--dir', n.dir, 'dht', 'get', 'x'], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as asks:
            line = asks.stderr.readline()
            check(line.startswith('waiting') and f' {QUEUE_OWN} ' in line, f'one that waits is not told: {line}')
            ours[0].s.close()
            out, err = asks.communicate(timeout=20 * SLOW)
            check(asks.returncode == 5 and 'closest' in err, f'another process: {asks.returncode}: {out}{err}')
        for c in ours[LONG + 1:]:
            c.s.setblocking(False)
            try:
                while b'queued' in c.until(4, 5):
                    pass
                check(False, 'one of the process with all the places went before another process')
            except BlockingIOError:
                c.s.settimeout(10 * SLOW)
        ours[1].s.close()
        while b'queued' in (said := ours[LONG].until(4, 5)):
            pass
        check(b'phase' in said, f'the first that waits has no turn: {said}')
        for c in ours:
            c.s.close()
        n.down()
        other.down()
    print('ok: long requests above the limit wait, and no process can fill the queue', flush=True)


def shares_end_with_their_connection():
    """on a node that is alone, so that none is published: limited, ended when they are hung up on, and nothing else removed"""
    n = Node('shares').start()
    for name in ('', 'control.sock', 'identity', '../shares/identity', 'share-012345/../identity', 'share-01234g'):
        said = Control('shares').send(2, cmd='share', socket=name).until(5)
        check(b'QUDAG_EINVAL' in said, f'a share at {name}: {said}')
    check((n.dir / 'identity').exists() and (n.dir / 'control.sock').exists(), 'a file was removed')
    ours = [Control('shares').send(2, cmd='share', socket=f'share-{ix:06x}') for ix in range(SHARES)]
    until(lambda: len(n.ask('expose', 'list')['services']) == SHARES, f'{SHARES} shares')
    said = Control('shares').send(2, cmd='share', socket='share-ffffff').until(5)
    check(b'as many shares' in said, f'another: {said}')
    with socket.socket(socket.AF_UNIX) as s:  # what its process would leave
        s.bind(str(n.dir / 'share-000000'))
    ours[0].s.close()
    until(lambda: not (n.dir / 'share-000000').exists(), 'the socket of a share is removed')
    name = n.ask('expose', 'list')['services'][0]['name']
    check(n.tool('expose', 'remove', name)[0] == 0, f'{name} is not removed')
    until(lambda: len(n.ask('expose', 'list')['services']) == SHARES - 2, 'two have ended')
    for c in ours:
        c.s.close()
    until(lambda: n.ask('expose', 'list')['services'] == [], 'all have ended')
    n.down()
    print(f'ok: {SHARES} shares at once, each ends with its connection', flush=True)


def counters():
    n = Node('counters').start()
    stats = n.ask('stats')['stats']
    names = [s['name'] for s in stats]
    check(len(set(names)) == len(names) > 60, f'{len(names)} counters')
    for s in stats:
        check(s['kind'] in ('counter', 'gauge', 'histogram') and len(s['help']) > 8 and isinstance(s['value'], int)
              and s['metric'] and {'unit', 'labels'} <= set(s), f'{s}')
    kinds = {s['name']: (s['kind'], s['unit']) for s in stats}
    check(kinds['bytes_in'] == ('counter', 'bytes') and kinds['links'] == ('gauge', ''), f'{kinds}')
    code, text = run(QUDAG, '--dir', n.dir, 'stats')
    check(code == 0 and 'Links open now' in text and text.startswith('NAME'), f'stats: {text[:300]}')
    check(run(QUDAG, '--dir', n.dir, '--json', 'stats', '--prometheus')[0] == 2, 'two forms at once')
    n.down()
    print(f'ok: {len(names)} counters say what they are', flush=True)


def systemd():
    path = TOP / 'notify'
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(str(path))
    s.settimeout(10 * SLOW)
    p = daemon('notified', env={**os.environ, 'NOTIFY_SOCKET': str(path), 'WATCHDOG_USEC': '400000'})
    said = []

    def expect(text):
        while not any(text in line for line in said):
            try:
                said.append(s.recv(4096).decode())
            except TimeoutError:
                check(False, f'systemd is not told {text}: {said}')

    expect('READY=1')
    expect('STATUS=ready, 0 peers')
    said.clear()
    expect('WATCHDOG=1')
    p.send_signal(signal.SIGHUP)
    expect('RELOADING=1')
    expect('READY=1')
    p.terminate()
    expect('STOPPING=1')
    check(ends(p, 'notified') == 0, 'exit code')
    s.close()
    print('ok: systemd is told', flush=True)


def main():
    systemd()
    signals()
    reload_settings()
    log_nobody_reads()
    closed_descriptors()
    socket_removed()
    descriptors_used_up()
    all_places_taken()
    long_requests_queue()
    shares_end_with_their_connection()
    counters()


main()
