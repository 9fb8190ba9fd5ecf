#!/usr/bin/python3
"""[process]: a daemon started by root that becomes a user, binds a port below 1024, locks its memory, and gives up programs,
other folders and system calls; what cannot be had ends it or is said, as was asked for.

TEST: timeout=120
"""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import QUDAG, QUDAGD, TOP, Node, check, run, says  # noqa: E402

SANITIZED = os.environ.get('QUDAG_SANITIZED') == '1'


def status_of(pid):
    lines = pathlib.Path(f'/proc/{pid}/status').read_text().splitlines()
    return {name: value.split() for name, value in (line.split(':', 1) for line in lines)}


def log_of(node):
    return (node.dir / 'qudagd.log').read_text()


def by_default():
    """what every daemon gives up, where this kernel can"""
    n = Node('default').start()
    s = status_of(n.pid)
    wanted = '0' if SANITIZED else '2'
    check(s['Seccomp'] == [wanted], f'system calls: Seccomp {s["Seccomp"]}, not {wanted}')
    check('process.confined' in log_of(n), f'the log does not say what was given up: {log_of(n)}')
    if not SANITIZED:
        check(s['NoNewPrivs'] == ['1'], f'NoNewPrivs {s["NoNewPrivs"]}')
    says('all goes on', 'label', 0, QUDAG, '--dir', n.dir, 'dark', 'new', 'box')
    n.down()
    n = Node('plain').start('process.sandbox=no', 'process.lock_memory=no')
    s = status_of(n.pid)
    check(s['Seccomp'] == ['0'] and s['VmLck'][0] == '0', f'sandbox = no, lock_memory = no: {s["Seccomp"]} {s["VmLck"]}')
    check('system calls filtered: no: not asked for' in log_of(n), log_of(n))
    n.down()
    print('ok: the sandbox is the default, and can be left out', flush=True)


def send_and_receive():
    """an inbox and a log outside of the state folder, and a file of any folder to send"""
    (TOP / 'elsewhere').mkdir(mode=0o700)
    n = Node('folders').start(f'inbox.dir={TOP}/elsewhere/in', f'log.file={TOP}/elsewhere/log', f'dht.store_dir={TOP}/elsewhere/store',
                              f'metrics.listen=unix:{TOP}/elsewhere/metrics')
    check((TOP / 'elsewhere/in').is_dir() and (TOP / 'elsewhere/store').is_dir(), 'folders outside were not made')
    check((TOP / 'elsewhere/metrics').is_socket(), 'no socket of the metrics')
    (TOP / 'elsewhere/log').rename(TOP / 'elsewhere/log.1')
    os.kill(n.pid, 1)  # SIGHUP
    end = time.time() + 20
    while not (TOP / 'elsewhere/log').exists() and time.time() < end:
        time.sleep(0.05)
    check((TOP / 'elsewhere/log').exists(), 'SIGHUP makes no new log in the folder it was in')
    n.down()
    print('ok: inbox, store and log where the configuration says', flush=True)


def from_root():
    if os.geteuid() != 0 or SANITIZED:
        print('left out: not root, or sanitizers', flush=True)
        return
    TOP.chmod(0o755)
    home = TOP / 'home'  # is made, and given to the user
    port = next((p for p in range(443, 1000) if port_is_free(p)), None)
    n = Node('home')
    n.listen = f'/ip4/127.0.0.1/udp/{port}/quic-v1'
    options = ['process.user=nobody', 'process.sandbox=yes', 'process.lock_memory=yes', 'lab.lab=yes', f'node.listen={n.listen}',
               f'log.file={home}/qudagd.log']
    conf = TOP / 'root.conf'
    conf.write_text(''.join(f'[{o.split(".", 1)[0]}]\n{o.split(".", 1)[1]}\n' for o in options))
    daemon = subprocess.Popen([QUDAGD, '--dir', home, '--config', conf], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    end, code = time.time() + 30, 1
    while time.time() < end and code != 0 and daemon.poll() is None:
        code, _ = run(QUDAG, '--dir', home, 'dark', 'list')
        time.sleep(0.1)
    if daemon.poll() is not None:
        check(False, f'it ended: {daemon.stderr.read()}')
    s = status_of(daemon.pid)
    check(set(s['Uid']) == {'65534'} and s['Groups'] == [], f'user {s["Uid"]}, groups {s["Groups"]}')
    ipc_lock = 1 << 14
    for name in ('CapPrm', 'CapEff'):
        check(int(s[name][0], 16) & ~ipc_lock == 0, f'{name} {s[name]}')
    check(int(s['CapBnd'][0], 16) == 0 and int(s['CapInh'][0], 16) == 0, f'{s["CapBnd"]} {s["CapInh"]}')
    check(s['Seccomp'] == ['2'] and s['NoNewPrivs'] == ['1'], f'{s["Seccomp"]} {s["NoNewPrivs"]}')
    check(int(s['VmLck'][0]) > 1000, f'locked: {s["VmLck"]}')
    check(home.stat().st_uid == 65534 and home.stat().st_mode & 0o777 == 0o700, 'the folder is not the user\'s')
    check(run(QUDAG, '--dir', home, 'down')[0] == 0 and daemon.wait(20) == 0, 'it does not end')
    print(f'ok: from root to nobody, on port {port}', flush=True)
    by_tool()
    code, text = run(QUDAGD, '--dir', TOP / 'never', '-o', 'process.user=no-such-user')
    check(code != 0 and 'there is no user no-such-user' in text and not (TOP / 'never').exists(), f'{code}: {text}')


def by_tool():
    """`qudag up` as root, with a folder that is not there yet: all in it is the user's, and SIGHUP can read it"""
    n = Node('tool', 'process.user=nobody', 'proxy.listen=off').start()
    owners = {p.name: p.lstat().st_uid for p in (n.dir, *n.dir.iterdir())}
    check(set(owners.values()) == {65534}, f'not all is the user\'s: {owners}')
    n.down()
    n.start()  # by what qudag.conf says now
    os.rename(n.dir / 'qudagd.log', n.dir / 'old.log')
    os.kill(n.pid, signal.SIGHUP)
    end = time.time() + 20
    while time.time() < end and not (n.dir / 'qudagd.log').exists():
        time.sleep(0.1)
    check((n.dir / 'qudagd.log').exists(), f'not rotated: {(n.dir / "old.log").read_text()[-600:]}')
    n.down()
    (n.dir / 'qudagd.log').unlink()
    roots = TOP / 'roots'
    roots.write_text('')
    (n.dir / 'qudagd.log').symlink_to(roots)  # as that user could
    code, text = n.tool('up')
    check(code != 0 and roots.stat().st_uid == 0 and roots.read_text() == '', f'root was led elsewhere: {code}: {text}')
    print('ok: from root to nobody, by qudag up', flush=True)


def port_is_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.bind(('127.0.0.1', port))
        except OSError:
            return False
    return True


def main():
    by_default()
    send_and_receive()
    from_root()


main()
