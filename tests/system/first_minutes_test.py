#!/usr/bin/python3
"""What people do wrong in their first minutes with a lab: each mistake is named, and nothing is destroyed by it.

TEST: timeout=180 waits
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import ANY_PORT, QUDAG, SLOW, TOP, _pids, check, run, says  # noqa: E402

LAB = TOP / 'net'


def lab(*args, timeout=90):
    return run(QUDAG, '--dir', LAB, *args, timeout=timeout)


def lab_says(what, expected, code, *args):
    return says(what, expected, code, QUDAG, '--dir', LAB, *args, timeout=90)


def document(*args):
    """the last JSON document of a command, strictly read"""
    done = subprocess.run([str(QUDAG), '--dir', str(LAB), '--json', *[os.fsencode(a) for a in args]], capture_output=True,
                          timeout=60 * SLOW, stdin=subprocess.DEVNULL)
    lines = done.stdout.decode('utf-8', 'strict').strip().splitlines()
    check(lines, f'{args}: no JSON; {done.stderr!r}')
    check(done.stderr == b'', f'{args}: beside the JSON it says {done.stderr!r}')
    return [json.loads(line) for line in lines][-1]


def pid_of(nth):
    return int((LAB / f'lab/{nth:02d}/lock').read_text())


def sizes():
    lab_says('a command of no lab', 'there is no lab', 4, 'lab', 'exec', '1', 'status')
    lab_says('a lab of no nodes', 'N is a number, 1 to 99', 2, 'lab', 'up', '0')
    lab_says('a lab too small for circuits', ['started    4 daemons', 'too few for circuits', 'lab up 5'], 0, 'lab', 'up', '4')
    ready = document('lab', 'up', '4')['ready']
    check(ready['nodes'] == 4 and ready['circuits'] is False, f'{ready}')
    lab_says('a lab that grows', 'ready      5 daemons', 0, 'lab', 'up', '5')
    _pids.update(pid_of(nth) for nth in range(1, 6))
    lab_says('a lab smaller than what runs', ['5 nodes run already', 'lab down'], 2, 'lab', 'up', '3')
    lab_says('a node that does not exist', 'nodes 1 to 5', 2, 'lab', 'exec', '9', 'status')
    lab_says('a node that is no number', 'NODE is a number', 2, 'lab', 'exec', 'two', 'status')


def arguments():
    lab_says('a placeholder for an address', 'ADDRESS is neither a dark address nor a label', 2, 'lab', 'exec', '2', 'dark',
             'publish', 'ADDRESS')
    lab_says('an address that is no peer', ['127.0.0.1 is neither a peer id', '/ip4/'], 2, 'lab', 'exec', '2', 'ping', '127.0.0.1')
    lab_says('a peer that is none', 'neither a peer id', 2, 'lab', 'exec', '2', 'dht', 'find', 'x')
    lab_says('a circuit that does not exist', ['there is no circuit 42', 'circuit list'], 4, 'lab', 'exec', '2', 'circuit',
             'close', '42')
    lab_says('a namespace that is not open', ['namespace "other" is not open', 'open_namespaces'], 2, 'lab', 'exec', '2', 'dht',
             'put', '/other/x', 'y')
    lab_says('a value too large', 'at most 4096 bytes; this one has 4097', 2, 'lab', 'exec', '2', 'dht', 'put', 'big',
             'x' * 4097)
    lab_says('a group without a command', ['which command?', '|store|table'], 2, 'lab', 'exec', '2', 'dht')
    lab_says('a label that is no text', 'printable UTF-8', 2, 'lab', 'exec', '2', 'dark', 'new', 'caf\udce9')
    lab_says('content without a name', 'which content?', 2, 'lab', 'exec', '2', 'dht', 'provide', '')
    lab_says('a key that is not published', 'does not publish that', 4, 'lab', 'exec', '2', 'dht', 'forget', 'none')
    lab_says('a host name to join without the peer', 'malformed', 2, 'up', '--bootstrap', '/dns4/example.org/udp/1/quic-v1/p2p/x')
    lab_says('an option of up that is unknown', 'up has no option --frob; it has --listen ADDR', 2, 'up', '--frob')
    check(not (LAB / 'qudag.conf').exists(), 'what was refused is in qudag.conf')
    lab('lab', 'exec', '2', 'dht', 'put', 'mine', 'x')
    check(document('lab', 'exec', '2', 'dht', 'forget', 'mine') == {'forgotten': 'mine'}, 'forget says nothing')
    check(document('lab', 'exec', '2', 'dht', 'provide', 'thing')['nodes'] > 0, 'provide')
    check(document('lab', 'exec', '2', 'dht', 'unprovide', 'thing') == {'unprovided': 'thing'}, 'unprovide says nothing')


def values():
    """what comes back is what was put: text of any script and length as it is, the rest as digits, and said so"""
    for value in ('Grüße aus Köln, 東京 🙂', 'x' * 4096, '-', 'two\nlines'):
        lab('lab', 'exec', '2', 'dht', 'put', 'wörter', value)
        lab_says('a value of text', f'value        {value}\n', 0, 'lab', 'exec', '3', 'dht', 'get', 'wörter')
        check(document('lab', 'exec', '3', 'dht', 'get', 'wörter')['value'] == value, 'another value in JSON')
    lab_says('a key of text', '/app/wörter', 0, 'lab', 'exec', '2', 'dht', 'published')
    for value, digits in (('caf\udce9', '636166e9'), ('\x1b[2J', '1b5b324a'), ('abc\u202edef', '616263e280ae646566')):
        lab('lab', 'exec', '2', 'dht', 'put', 'odd', value)
        lab_says('a value that is no text', [f'value        {digits}  (hexadecimal'], 0, 'lab', 'exec', '3', 'dht', 'get', 'odd')


def reading(address):
    """a message on standard output, byte by byte; and what cannot be sent says why"""
    for text in ('Grüße\n', ''):
        lab_says('a message', 'delivered', 0, 'lab', 'exec', '4', 'send', address, '-m', text)
        name = document('lab', 'exec', '2', 'inbox')['inbox'][-1]['name']
        done = subprocess.run([str(QUDAG), '--dir', str(LAB), 'lab', 'exec', '2', 'inbox', '--save', name, '-'], cwd=TOP,
                              capture_output=True, timeout=60 * SLOW)
        check((done.returncode, done.stdout) == (0, text.encode()), f'{name} on standard output: {done}')
    check(not (TOP / '-').exists(), 'a file called -')
    lab_says('a folder that does not exist', 'No such file', 1, 'lab', 'exec', '2', 'inbox', '--save', name, TOP / 'none/x')
    lab_says('-m without a text', 'send -m lacks its value: TEXT', 2, 'lab', 'exec', '4', 'send', address, '-m')
    lab_says('an address of this very node', ['address of this node itself'], 2, 'lab', 'exec', '2', 'send', address.upper(), '-m', 'x')


def labels():
    address = document('lab', 'exec', '2', 'dark', 'new', 'mailbox')['address']
    text = lab_says('a label that is taken', ['labelled mailbox already'], 2, 'lab', 'exec', '2', 'dark', 'new', 'mailbox')
    check('dark list' in text, text)
    text = lab_says('an address that is not published', 'mailbox', 0, 'lab', 'exec', '2', 'dark', 'list')
    check(text.strip().splitlines()[-1].split()[-2:] == ['no', '-'], f'until when: {text}')
    shown = document('lab', 'exec', '2', 'dark', 'show', 'mailbox')
    check(shown['network'] == 'lab' and shown['created'] > 0 and shown['last_used'] == shown['callers'] == 0, shown)
    check(document('lab', 'exec', '2', 'dark', 'list')['addresses'][0] == shown, shown)
    lab_says('an address of the wrong network', 'network lab or test', 2, 'lab', 'exec', '2', 'dark', 'new', 'x', '--network', 'main')
    lab_says('a network that is none', 'main, test or lab', 2, 'lab', 'exec', '2', 'dark', 'new', 'x', '--network', 'tset')
    lab_says('forget without --yes', ['destroys the keys', '--yes'], 2, 'lab', 'exec', '2', 'dark', 'forget', 'mailbox')
    check(len(document('lab', 'exec', '2', 'dark', 'list')['addresses']) == 1, 'the keys are gone without --yes')
    lab_says('a label in the place of an address', 'copies', 0, 'lab', 'exec', '2', 'dark', 'publish', 'mailbox')
    lab_says('a foreign address cannot be published', 'does not own that address', 4, 'lab', 'exec', '3', 'dark', 'publish', address)
    lab_says('a foreign address cannot be shown', 'does not own that address', 4, 'lab', 'exec', '3', 'dark', 'show', address)
    lab_says('a service without its port', 'connect: to which port', 2, 'lab', 'exec', '3', 'connect', address)
    rows = lab_says('an address, row by row', 'clients only', 0, 'lab', 'exec', '2', 'dark', 'show', 'mailbox').strip().splitlines()
    check(len({len(r) - len(r[13:].lstrip()) for r in rows}) == 1 and all(r[12] == ' ' for r in rows), f'values are not in one column: {rows}')
    return address


def contents(address):
    """F17: what cannot be sent is refused at once"""
    fifo = TOP / 'fifo'
    os.mkfifo(fifo)
    began = time.monotonic()
    lab_says('a FIFO', ['is not a plain file', str(fifo)], 2, 'lab', 'exec', '4', 'send', address, fifo)
    check(time.monotonic() - began < 5 * SLOW, 'it waited for the writer of a FIFO')
    lab_says('a folder', 'tar', 2, 'lab', 'exec', '4', 'send', address, TOP)
    lab_says('a device', 'is not a plain file', 2, 'lab', 'exec', '4', 'send', address, '/dev/zero')
    lab_says('a file of /proc', 'has content but no size', 2, 'lab', 'exec', '4', 'send', address, '/proc/cpuinfo')
    lab_says('standard input as a file', ['cannot come from standard input', '-m -'], 2, 'lab', 'exec', '4', 'send', address, '-')
    for size, code in ((32768, 0), (32769, 2)):
        done = subprocess.run([str(QUDAG), '--dir', str(LAB), 'lab', 'exec', '4', 'send', address, '-m', '-'],
                              input='x' * size, capture_output=True, text=True, timeout=60 * SLOW)
        check(done.returncode == code, f'{size} bytes of standard input: {done.returncode} {done.stderr}')
    inbox = document('lab', 'exec', '2', 'inbox')['inbox']
    check([e['size'] for e in inbox] == [32768], f'the inbox has {inbox}')
    print('ok: a message from standard input, up to its limit', flush=True)


def always_json(address):
    """F7: whatever the bytes, what --json prints is JSON in UTF-8"""
    odd = b'k\xff\xe0\x80\xaf'
    source = os.fsencode(TOP) + b'/lat\xe9in\x1b'
    with open(source, 'wb') as f:
        f.write(b'x')
    for args in (('lab', 'exec', '3', 'dht', 'put', odd, 'v'), ('lab', 'exec', '3', 'dht', 'put', odd, odd),
                 ('lab', 'exec', '3', 'dht', 'get', odd), ('lab', 'exec', '3', 'dht', 'records'),
                 ('lab', 'exec', '3', 'dht', 'forget', odd), ('lab', 'exec', '3', 'ping', odd),
                 ('lab', 'exec', '3', 'dark', 'publish', odd), ('lab', 'exec', '3', 'dark', 'new', odd),
                 ('lab', 'exec', '4', 'send', address, source), ('lab', 'exec', '4', 'send', address, source + b'none'),
                 ('lab', 'exec', '2', 'inbox'), (odd,), ('help',), ('help', 'dht'), ('help', odd), ('version',),
                 ('config', 'check'), ('config', 'show'), ('config', 'show', odd), ('lab', 'exec', '3', 'config', 'show'),
                 ('lab', 'status'), ('lab', 'exec', odd, 'status'), ('up', '-o', odd), ('--dir', odd, 'status'), ('stats',),
                 ('lab', 'exec', '3', 'stats'), ('lab', 'exec', '3', 'ping', '-c', '1', 'x')):
        document(*args)
    print('ok: --json is JSON, whatever the bytes', flush=True)


def killed_node():
    """the advice given for a node that is down starts the node of the lab it was"""
    before = document('lab', 'exec', '2', 'status')
    os.kill(pid_of(2), signal.SIGKILL)
    until = time.monotonic() + 10 * SLOW
    while lab('lab', 'exec', '2', 'status')[0] != 3 and time.monotonic() < until:
        time.sleep(0.05)
    lab_says('a node of the lab that is down', [f'qudag --dir {LAB} lab up 5'], 3, 'lab', 'exec', '2', 'status')
    text = lab_says('lab status of a lab with one down', ['node 02    down', '1 of 5 do not answer'], 0, 'lab', 'status')
    check('01' in text, text)
    node = LAB / 'lab/02'
    says('up in the folder of a lab node', 'started', 0, QUDAG, '--dir', node, 'up', timeout=90)
    after = document('lab', 'exec', '2', 'status')
    _pids.add(after['pid'])
    check(after['lab'] and after['peer'] == before['peer'], f'another node: {after}')
    check([a['label'] for a in document('lab', 'exec', '2', 'dark', 'list')['addresses']] == ['mailbox'], 'the address is lost')
    os.kill(after['pid'], signal.SIGSTOP)
    try:
        lab_says('lab status with a node that stands still', ['node 02    busy', 'it runs but does not answer'], 0, 'lab', 'status')
        nodes = document('lab', 'status')['nodes']
        check([(n['running'], n['answers']) for n in nodes[:3]] == [(True, True), (True, False), (True, True)], f'{nodes}')
    finally:
        os.kill(after['pid'], signal.SIGCONT)


def other_network(address):
    """an address of the lab, from a node that is none; and what up says of options that have no effect"""
    own = TOP / 'own'
    says('up without bootstrap peers', 'ready      but alone: no bootstrap peers are configured', 0, QUDAG, '--dir', own, 'up',
         '--listen', ANY_PORT)
    pid = json.loads(run(QUDAG, '--dir', own, '--json', 'status')[1])['pid']
    _pids.add(pid)
    says('an address of a lab from elsewhere', 'belongs to another network', 2, QUDAG, '--dir', own, 'send', address, '-m', 'x')
    says('status of a node that is alone', 'health     alone', 0, QUDAG, '--dir', own, 'status')
    says('options for a running daemon', 'does not take the options', 0, QUDAG, '--dir', own, 'up', '--listen', ANY_PORT)
    says('the configuration in force', [f'In force in qudagd, pid {pid}', f'listen = {ANY_PORT}'], 0, QUDAG, '--dir', own,
         'config', 'show')
    (own / 'control.sock').unlink()
    code, text = run(QUDAG, '--dir', own, 'up', timeout=60)  # F19: the daemon may have made a new one by now
    check(code == 0 or (code == 1 and f'kill {pid}' in text and 'socket was removed' in text), f'{code} {text}')
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + 10 * SLOW
    while pathlib.Path(f'/proc/{pid}').exists() and time.monotonic() < until:
        time.sleep(0.05)
    says('options with an existing configuration', 'count for this start only', 0, QUDAG, '--dir', own, 'up', '--listen', ANY_PORT)
    _pids.add(json.loads(run(QUDAG, '--dir', own, '--json', 'status')[1])['pid'])
    says('down', 'stopped', 0, QUDAG, '--dir', own, 'down')


def bootstrap_that_fails():
    """what is wrong with the address is said in full, also while the next attempt dials"""
    first, other = TOP / 'first', TOP / 'other'
    run(QUDAG, '--dir', first, 'up', '--listen', ANY_PORT)
    status = json.loads(run(QUDAG, '--dir', first, '--json', 'status')[1])
    _pids.add(status['pid'])
    address = next(a for a in status['bootstrap'] if '/ip4/127.0.0.1/' in a)
    wrong = address[:-6] + ('000000' if address[-6:] != '000000' else '111111')
    for name, boot, parts in (('a wrong hash', wrong, [f'{wrong}: the peer at this address answers, but its key is not the one that #', 'line "bootstrap"', 'QUDAG_EAUTH']),
                              ('nobody there', address.replace(address.split('/')[4], '9'), ['no bootstrap peer answered'])):
        d = other.with_name(name.replace(' ', '-'))
        says(f'up with a bootstrap address with {name}', parts, 5, QUDAG, '--dir', d, 'up', '--listen', ANY_PORT, '--bootstrap', boot,
             '--timeout', 4)
        says('down', 'stopped', 0, QUDAG, '--dir', d, 'down')
    says('down', 'stopped', 0, QUDAG, '--dir', first, 'down')


def without_standard_descriptors():
    """F15: up with 0 to 2 closed starts the daemon and returns"""
    for closed in ('<&-', '>&-', '2>&-', '<&- >&- 2>&-'):
        folder = TOP / f'closed{len(closed)}{closed[0] == "<"}'
        done = subprocess.run(['bash', '-c', f'"{QUDAG}" --dir "{folder}" up --listen {ANY_PORT} {closed}'],
                              timeout=30 * SLOW, capture_output=True)
        check(done.returncode == 0 or '>&-' in closed, f'up {closed}: {done.returncode} {done.stderr}')
        status = json.loads(run(QUDAG, '--dir', folder, '--json', 'status')[1])
        _pids.add(status['pid'])
        check((folder / 'lock').read_text() == f'{status["pid"]}\n', f'up {closed}: something was written into the lock')
        check('daemon.ready' in (folder / 'qudagd.log').read_text(), f'up {closed}: the log is elsewhere')
        check(run(QUDAG, '--dir', folder, 'down')[0] == 0, 'down')
    print('ok: up with standard descriptors closed', flush=True)


def main():
    sizes()
    arguments()
    address = labels()
    values()
    contents(address)
    reading(address)
    always_json(address)
    killed_node()
    other_network(address)
    bootstrap_that_fails()
    without_standard_descriptors()
    lab_says('lab down', '5 daemons', 0, 'lab', 'down')


main()
