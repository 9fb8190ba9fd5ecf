#!/usr/bin/python3
"""What an operator looks at: doctor finds each thing that is broken, levels of the log change while the daemon runs.

TEST: timeout=120
"""
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import ANY_PORT, QUDAG, QUDAGD, SLOW, TOP, Node, check, run  # noqa: E402


def doctor(folder, code):
    """{what: finding}; those of the machine are not ours to break"""
    got, text = run(QUDAG, '--dir', folder, '--json', 'doctor')
    findings = {f['what']: f for f in json.loads(text)['doctor']}
    check(got == code, f'doctor: exit {got} instead of {code}: {text}')
    for f in findings.values():
        check((f['verdict'] == 'ok') == (f['mend'] == '') and f['text'], f'doctor: {f}')
    return findings


def found(findings, what, verdict, part):
    f = findings[what]
    check(f['verdict'] == verdict and part in f['text'], f'doctor on {what}: {f}')


def doctors():
    found(doctor(TOP / 'none', 5), 'daemon', 'bad', 'not running')
    n = Node('patient').start()
    well = doctor(n.dir, 0)
    machine = ('clock', 'udp-buffers', 'disk')
    bad = {k: f for k, f in well.items() if f['verdict'] != 'ok' and k not in machine}
    check(list(bad) == ['bootstrap'] and 'nobody has joined' in bad['bootstrap']['text'], f'a node that is well: {bad}')
    key = n.dir / 'identity'
    key.chmod(0o644)
    found(doctor(n.dir, 5), 'permissions', 'bad', 'mode 0644')
    key.chmod(0o600)
    n.dir.chmod(0o777)
    found(doctor(n.dir, 5), 'permissions', 'bad', 'mode 0777')
    n.dir.chmod(0o700)
    conf = n.dir / 'qudag.conf'
    good = conf.read_text()
    conf.write_text('[onion]\nhops = 99\n')
    found(doctor(n.dir, 5), 'configuration', 'bad', 'not within 1 to 7')
    conf.write_text(good)
    files = resource.prlimit(n.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(n.pid, resource.RLIMIT_NOFILE, (len(os.listdir(f'/proc/{n.pid}/fd')) + 2, files[1]))
    found(doctor(n.dir, 0), 'descriptors', 'note', 'are used')
    resource.prlimit(n.pid, resource.RLIMIT_NOFILE, files)
    check(doctor(n.dir, 0)['descriptors']['verdict'] == 'ok', 'descriptors stay bad')
    n.down()
    p = subprocess.Popen([str(QUDAGD), '--dir', str(n.dir), '-o', f'node.listen={ANY_PORT}', '-o', 'lab.lab=yes', '-o',
                          f'node.bootstrap=/ip4/127.0.0.1/udp/9/quic-v1/p2p/{OTHER}'],
                         stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20 * SLOW
        while run(QUDAG, '--dir', n.dir, 'status')[0] != 5:
            check(time.monotonic() < end, 'the bootstrap does not fail')
            time.sleep(0.1)
        found(doctor(n.dir, 5), 'bootstrap', 'bad', 'no bootstrap peer answers')
    finally:
        p.terminate()
        check(p.wait(timeout=20 * SLOW) == 0, 'exit code')
    print(f'ok: doctor has {len(well)} verdicts, and finds what is broken', flush=True)


OTHER = '12D3KooWBWf62onRc2nDrbsY62G8Qz3Mcen8DpkAWd47D1QbD7Jm'


def levels():
    n = Node('levels', 'log.level=warn').start()
    log = n.dir / 'qudagd.log'
    check(n.ask('log', 'list')['areas'] == [{'area': 'all', 'level': 'warn'}], 'levels at first')
    n.tool('dht', 'get', 'x')
    check('kad.' not in log.read_text(), 'debug lines at first')
    n.ask('log', 'level', 'kad', 'debug')
    check({'area': 'kad', 'level': 'debug'} in n.ask('log')['areas'], 'the level is not listed')
    n.tool('dht', 'get', 'x')
    end = time.monotonic() + 10 * SLOW
    while 'debug kad.request.done' not in log.read_text():
        check(time.monotonic() < end, f'no debug line of the area: {log.read_text()}')
        time.sleep(0.1)
    check(' info ' not in log.read_text(), 'other areas say more, too')
    check('kad: default' in run(QUDAG, '--dir', n.dir, 'log', 'level', 'kad', 'default')[1], 'the level is not shown')
    check(n.ask('log')['areas'] == [{'area': 'all', 'level': 'warn'}], 'it is not as before')
    for bad, part in ((('KAD', 'debug'), 'there are autonat, boot, bytes,'), (('bogusarea', 'debug'), 'is no area of the log'),
                      (('kad', 'loud'), 'one of error')):
        code, text = n.tool('log', 'level', *bad)
        check(code == 2 and part in text, f'log level {bad}: {code} {text}')
    n.down()
    print('ok: the level of an area, while the daemon runs', flush=True)


def levels_of_the_configuration():
    """[log] levels: at the start, after SIGHUP, and what qudag log level default goes back to; names that are none"""
    n = Node('configured', 'log.level=warn')
    n.dir.mkdir(mode=0o700)
    conf = n.dir / 'qudag.conf'
    conf.write_text('[log]\nlevels = kad=debug, link=error\n')
    n.start()
    said = n.ask('log')['areas']
    check(said == [{'area': 'all', 'level': 'warn'}, {'area': 'kad', 'level': 'debug'}, {'area': 'link', 'level': 'error'}], said)
    n.ask('log', 'level', 'kad', 'info')
    n.ask('log', 'level', 'kad', 'default')
    check({'area': 'kad', 'level': 'debug'} in n.ask('log')['areas'], 'default is not that of the configuration')
    conf.write_text('[log]\nlevels = daemon=info\n')
    os.kill(n.pid, signal.SIGHUP)
    end = time.monotonic() + 10 * SLOW
    while n.ask('log')['areas'] != [{'area': 'all', 'level': 'warn'}, {'area': 'daemon', 'level': 'info'}]:
        check(time.monotonic() < end, f'not reloaded: {n.ask("log")}')
        time.sleep(0.1)
    conf.write_text('[log]\nlevels = deamon=info\n')
    os.kill(n.pid, signal.SIGHUP)
    log = n.dir / 'qudagd.log'
    while 'deamon is no area of the log, did you mean daemon?' not in log.read_text():
        check(time.monotonic() < end, f'a wrong area is taken: {log.read_text()[-500:]}')
        time.sleep(0.1)
    check({'area': 'daemon', 'level': 'info'} in n.ask('log')['areas'], 'a wrong file changed something')
    n.down()
    code, text = run(QUDAGD, '--dir', n.dir, '--config', conf, '--check-config')
    check(code == 2 and f'{conf}:2: [log] levels: deamon is no area' in text and 'transfer' in text, f'{code} {text}')
    print('ok: levels of areas in qudag.conf', flush=True)


def journal():
    folder = TOP / 'journal'
    out = open(TOP / 'journal.txt', 'wb')
    st = os.fstat(out.fileno())
    env = dict(os.environ, JOURNAL_STREAM=f'{st.st_dev}:{st.st_ino}')
    p = subprocess.Popen([str(QUDAGD), '--dir', str(folder), '-o', f'node.listen={ANY_PORT}', '-o', 'lab.lab=yes'],
                         stdin=subprocess.DEVNULL, stderr=out, env=env)
    end = time.monotonic() + 10 * SLOW
    while run(QUDAG, '--dir', folder, 'status')[0] != 0:
        check(time.monotonic() < end, 'it does not answer')
        time.sleep(0.05)
    p.terminate()
    check(p.wait(timeout=20 * SLOW) == 0, 'exit code')
    lines = (TOP / 'journal.txt').read_text().splitlines()
    check(lines and all(line.startswith({'warn': '<4>', 'info': '<6>'}[line.split()[1]]) for line in lines), f'{lines}')
    print('ok: lines for the journal begin with their priority', flush=True)


def report_and_top():
    """a report of a lab node, whose log has everything, names nobody; top shows the links"""
    a = Node('a', 'log.network=yes', 'metrics.listen=127.0.0.1:0', 'metrics.web=yes', 'log.levels=kad=debug',
             'node.agent=nobodys-agent', 'onion.family=nobodys-family').start()
    b = Node('b', f'node.bootstrap={a.bootstrap}').start('log.level=debug', wait=False)
    end = time.monotonic() + 20 * SLOW
    while a.ask('status')['links'] != 1:
        check(time.monotonic() < end, 'the two are not linked')
        time.sleep(0.1)
    address = a.ask('dark', 'new', 'nobodys-label')['address']
    a.ask('dht', 'put', 'nobodys-key', 'v')
    a.tool('ping', b.peer)
    secrets = [a.peer, b.peer, address, *address.split('.')[:2], a.bootstrap.split('#')[1], 'nobodys-', str(TOP), '127.0.0.1',
               '/ip4/', 'p2p']
    text = (a.dir / 'qudagd.log').read_text()
    check(b.peer in text, 'the log has no names: there is nothing to take out')
    file = TOP / 'report.txt'
    code, out = run(QUDAG, '--dir', a.dir, 'report', file)
    check(code == 0 and file.stat().st_mode & 0o777 == 0o600, f'report: {code} {out}')
    text = file.read_text()
    for secret in secrets:
        at = text.find(secret)
        check(at < 0, f'the report has {secret}: {text[max(0, at - 100):at + 100]}')
    for part in ('== versions', '== doctor', 'ok daemon: it answers', '== status', 'health = ok', '== configuration', 'hops = 3',
                 'bootstrap =', 'agent = (set)', '== counters', 'links = 1', '== end of the log', 'daemon.ready'):
        check(part in text, f'the report lacks {part}: {text[:3000]}')
    code, out = run(QUDAG, '--dir', a.dir, 'report', file)
    check(code == 1 and 'File exists' in out, f'a report over another file: {code} {out}')
    code, out = run(QUDAG, '--dir', a.dir, 'top', '--once')
    check(code == 0 and 'links 1 ' in out and f'..{b.peer[-8:]}' in out and 'COUNTER' in out, f'top: {code} {out}')
    top = a.ask('top', '--once')['top']
    check(top['links'] == 1 and top['health'] == 'ok', f'top: {top}')
    code, out = run(QUDAG, '--dir', a.dir, 'top', '--interval', '0')
    check(code == 2 and '1 to 3600' in out, f'top: {code} {out}')
    b.down()
    a.down()
    check(run(QUDAG, '--dir', a.dir, 'top')[0] == 3, 'top without a daemon')
    code, text = run(QUDAG, '--dir', a.dir, 'report', '-')
    check(code == 0 and 'bad daemon' in text and a.peer not in text, f'a report without a daemon: {code} {text[:500]}')
    print('ok: a report names nobody, and top shows the links', flush=True)


def main():
    doctors()
    report_and_top()
    levels()
    levels_of_the_configuration()
    journal()


main()
