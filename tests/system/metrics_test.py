#!/usr/bin/python3
"""What an operator's tools see: metrics over HTTP, what they are called, Prometheus and its rules, the dashboard.

    metrics_test.py            the test
    metrics_test.py --write    doc/metrics.md anew, from what a daemon says

Prometheus and promtool are Debian's package prometheus; without it what needs them is left out, and said.
No Grafana is in Debian: the dashboard's form and every query in it are checked here, and its form by Grafana's own types in tests/grafana.

TEST: timeout=180 waits
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import page  # noqa: E402
from programs import QUDAG, QUDAGD, SLOW, SRC, TOP, ANY_PORT, Node, check, run  # noqa: E402

DOC, RULES = SRC / 'doc/metrics.md', SRC / 'packaging/prometheus'
DASHBOARD = SRC / 'packaging/grafana/qudag.json'
CONNECTIONS = 16  # scrape.h
SAMPLE = re.compile(r'^([a-z_:]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="([^"]*)"')
ALLOWED = {
    'direction': {'in', 'out'}, 'transport': {'quic', 'tcp', 'relay'}, 'version': None, 'le': None,
    'role': {'client', 'relay', 'end', 'listener', 'dialler'}, 'ip': {'4', '6'}, 'path': {'direct', 'relayed'},
    'state': {'unknown', 'public', 'private'}, 'method': {'pcp', 'nat-pmp', 'upnp'},
    'round': {'plain', 'fresh_port', 'prediction', 'birthday'},
    'scope': {'node', 'inbound', 'outbound', 'network', 'wide_network', 'host', 'peer', 'protocol'},
    'reason': {'closed', 'empty', 'short', 'version', 'unknown', 'full', 'flood', 'work', 'moved',
               'rate', 'limit', 'timeout', 'unreachable', 'authentication',
               'policy', 'canceled', 'closed', 'failed', 'idle', 'redundant', 'high_water', 'newcomer',
               'permission', 'absent', 'message', 'lost'},
    'outcome': {'ok', 'timeout', 'unreachable', 'authentication', 'policy', 'limit', 'not_found', 'canceled', 'failed',
                'refused', 'lied', 'spoofed', 'direct'},
    'operation': {'find', 'get', 'put', 'provide', 'providers'},
    'purpose': {'other', 'general', 'clean', 'lookup', 'dark', 'rendezvous', 'introduce', 'service_introduce',
                'service_rendezvous'},
    'protocol': {'ping', 'identify', 'dht', 'cells', 'gateway', 'padding', 'meeting', 'program'},
    'resource': {'links', 'streams_in', 'streams_out', 'queued_bytes', 'received_bytes', 'dials', 'memory', 'handshakes',
                 'circuits', 'records', 'record_bytes', 'providers'},
    'stage': {'receive', 'turn'},
    'protection': {'classical', 'post_quantum', 'circuit', 'hidden'},
    'event': {'authentication_failed', 'policy_refused', 'early_data_refused', 'ticket_refused',
              'key_changed', 'key_followed', 'key_conflict', 'bad_token', 'invalid_record',
              'malformed_dht_message', 'bad_circuit_handshake', 'bad_cell', 'unexpected_circuit_message',
              'replayed_introduction', 'bad_introduction'},
}


def until(what, condition, limit=30):
    end = time.monotonic() + limit * SLOW
    while not (got := condition()):
        check(time.monotonic() < end, f'not within {limit} s: {what}')
        time.sleep(0.1)
    return got


def fetch(url, method='GET', **headers):
    """(status, type, text)"""
    request = urllib.request.Request(url, method=method, headers={k.replace('_', '-'): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=20 * SLOW) as answer:
            return answer.status, answer.headers['Content-Type'], answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.headers['Content-Type'], e.read().decode()


def samples(text):
    """{(name, labels): value}"""
    out = {}
    for line in text.splitlines():
        if not line.startswith('#'):
            m = SAMPLE.match(line)
            check(m, f'not a sample: {line}')
            check((m[1], m[2] or '') not in out, f'twice: {line}')
            out[m[1], m[2] or ''] = float(m[3])
    return out


def families(text):
    """[(name, type, help, {label: values})], in the order of the text"""
    out = []
    for line in text.splitlines():
        if line.startswith('# HELP '):
            _, _, name, words = line.split(' ', 3)
            out.append([name, '', words, {}])
        elif line.startswith('# TYPE '):
            check(line.split()[2] == out[-1][0], f'TYPE without HELP: {line}')
            out[-1][1] = line.split()[3]
        else:
            m = SAMPLE.match(line)
            base = re.sub('_(bucket|sum|count)$', '', m[1]) if out[-1][1] == 'histogram' else m[1]
            check(base == out[-1][0], f'a sample outside of its family: {line}')
            for key, value in LABEL.findall(m[2] or ''):
                values = out[-1][3].setdefault(key, [])
                if value not in values:
                    values.append(value)
    return out


def reference(text):
    """doc/metrics.md"""
    rows = []
    for name, kind, words, labels in families(text):
        if name == 'qudag_build_info':
            labels = {'version': ['of the program']}
        buckets = labels.pop('le', None)
        said = '; '.join(f'`{k}`: {", ".join(v)}' for k, v in labels.items())
        if buckets:
            said += ('; ' if said else '') + f'buckets to {", ".join(b for b in buckets if b != "+Inf")} s'
        rows.append(f'| `{name}` | {kind} | {words} | {said} |')
    return '\n'.join([
        '# Metrics', '',
        'What a node counts and measures, by the names under which Prometheus reads it (`[metrics] listen` in qudag.conf(5), or '
        '`qudag stats --prometheus`). `qudag stats` shows the same by the names of the library (`<qudag/stats.h>`).', '',
        'Every series is there from the start, at 0. Counters and histograms begin anew when the daemon does. No label names a peer, '
        'an address or a user: each has the values listed here and no others. Times of histograms have the usual `_bucket`, `_sum` and '
        '`_count`. A histogram by `outcome` counts its operations: `_count` is how many ended so.', '',
        'This page is made from what a daemon says: `tests/system/metrics_test.py --write`; the test fails when it differs.', '',
        '| name | kind | what | labels |', '|---|---|---|---|', *rows, ''])


def start(name, *options, **more):
    n = Node(name, 'metrics.listen=127.0.0.1:0', 'proxy.listen=off', *options).start(**more)
    status = n.ask('status')
    n.url, n.web = status['metrics'], status.get('web')
    return n


def labels_are_the_allowed_ones(text):
    for name, _, _, labels in families(text):
        for key, values in labels.items():
            check(key in ALLOWED, f'{name}: a label that may name a peer, an address or a user: {key}')
            check(ALLOWED[key] is None or set(values) <= ALLOWED[key], f'{name}: {key} is {values}')
    print('ok: no label can name a peer, an address or a user', flush=True)


def who_may_read(n):
    status, kind, text = fetch(n.url)
    check(status == 200 and kind == 'text/plain; version=0.0.4; charset=utf-8', f'{status} {kind}')
    labels_are_the_allowed_ones(text)
    status, kind, om = fetch(n.url, Accept='application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5')
    check(kind == 'application/openmetrics-text; version=1.0.0; charset=utf-8' and om.endswith('\n# EOF\n'), f'{kind}')
    port = urllib.parse.urlsplit(n.url).port
    refused = [(403, {'Host': 'evil.example'}), (403, {'Host': f'evil.example:{port}'}), (403, {'Origin': 'http://evil.example'}),
               (403, {'Sec_Fetch_Site': 'cross-site'}), (403, {'Origin': 'null'})]
    for code, headers in refused:
        status, _, said = fetch(n.url, **headers)
        check(status == code and 'qudag_' not in said, f'{headers}: {status} {said[:80]}')
    check(n.web is None and all(fetch(n.url.replace('/metrics', p))[0] == 404 for p in ('/', '/status.json', '/style.css')), 'a page')
    check(fetch(n.url, 'POST')[0] == 405 and fetch(n.url, 'HEAD')[2] == '', 'methods')
    with socket.create_connection(('127.0.0.1', port), timeout=20) as s:  # HTTP/1.0 without Host
        s.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
        check(b' 403 ' in s.recv(100), 'no Host')
    print('ok: pages of other sites are refused, programs are answered in the form they ask for', flush=True)
    return text


def places_it_does_not_listen():
    for text, why in (('0.0.0.0:9360', 'other machines'), ('192.0.2.1:9360', 'other machines'), ('[::]:9360', 'other machines'),
                      ('localhost:9360', 'not an address'), ('unix:metrics.sock', 'absolute')):
        for check_only in ((), ('--check-config',)):
            code, said = run(QUDAGD, '--dir', TOP / 'nowhere', '-o', f'node.listen={ANY_PORT}', '-o', f'metrics.listen={text}',
                             *check_only)
            check(code == 2 and why in said and '[metrics] listen' in said or code == 2 and check_only and why in said,
                  f'{text}: {code}: {said}')
    code, said = run(QUDAGD, '--dir', TOP / 'nowhere', '-o', f'node.listen={ANY_PORT}', '-o', 'metrics.web=yes', '--check-config')
    check(code == 2 and 'listen = 127.0.0.1:PORT' in said, f'a page without a listener: {code}: {said}')
    with socket.create_server(('127.0.0.1', 0)) as taken:
        code, said = run(QUDAGD, '--dir', TOP / 'nowhere', '-o', f'node.listen={ANY_PORT}', '-o', 'proxy.listen=off', '-o',
                         f'metrics.listen=127.0.0.1:{taken.getsockname()[1]}')
        check(code == 5 and 'stop the program that has it' in said, f'taken: {code}: {said}')
    print('ok: it listens at loopback addresses and Unix sockets only', flush=True)


def over_a_unix_socket():
    path = TOP / 'metrics.sock'
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))  # of a daemon that was killed
    stale.close()
    n = Node('local', f'metrics.listen=unix:{path}', 'proxy.listen=off').start()
    check(path.stat().st_mode & 0o777 == 0o600, f'{path.stat().st_mode:o}')
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20 * SLOW)
        s.connect(str(path))
        s.sendall(b'GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
        got = b''
        while chunk := s.recv(65536):
            got += chunk
    check(b'\nqudag_links 0\n' in got, got[:300])
    n.down()
    check(not path.exists(), 'the socket stays behind')
    print('ok: a Unix socket is for its owner, and goes with the daemon', flush=True)


def hostile_scrapers(n):
    """all places taken by connections that say nothing, say it slowly, or do not read: the node goes on"""
    port = urllib.parse.urlsplit(n.url).port
    held = [socket.create_connection(('127.0.0.1', port)) for _ in range(CONNECTIONS)]
    for ix, s in enumerate(held[1:], 1):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(b'GET /metrics HTTP/1.1\r\nHost: localhost\r\n' + (b'\r\n' if ix % 2 == 0 else b'X: '))
    turns, begin = n.stat('loop_turns'), time.monotonic()
    for _ in range(10):
        n.ask('status')
    check(n.stat('loop_turns') > turns, 'the loop stands still')
    took = time.monotonic() - begin
    check(took < 10 * SLOW, f'commands are held up: {took:.1f} s')

    def served():
        try:
            with urllib.request.urlopen(n.url, timeout=3 * SLOW) as answer:
                return answer.status == 200
        except OSError:
            return False

    until('their connections end by themselves', served, 60)
    for s in held:
        s.close()
    garbage = os.urandom(70000)
    for _ in range(20):
        with socket.create_connection(('127.0.0.1', port)) as s:
            try:
                s.sendall(garbage)
            except OSError:
                pass
    until('it serves on', served)
    print(f'ok: {CONNECTIONS} hostile scrapers hold up nobody (11 commands in {took:.2f} s)', flush=True)


def cost(n, count=40):
    cpu = 'process_cpu_seconds_total', ''
    before, begin = samples(fetch(n.url)[2])[cpu], time.monotonic()
    for _ in range(count):
        text = fetch(n.url)[2]
    took, used = (time.monotonic() - begin) / count, (samples(text)[cpu] - before) / count
    print(f'a scrape: {took * 1e3:.2f} ms, of which the daemon computes {used * 1e3:.2f} ms; {len(text)} bytes, '
          f'{len(samples(text))} series; every 15 s that is {used / 15 * 100:.4f} % of a core', flush=True)
    check(used < 0.015 * SLOW, f'a scrape costs {used * 1e3:.1f} ms of processor time')  # 0.1 % of a core at 15 s


def promtool(*args, text=None):
    done = subprocess.run(['promtool', *args], input=text, capture_output=True, text=True, timeout=60 * SLOW)
    check(done.returncode == 0, f'promtool {args}: {done.stdout}{done.stderr}')


class Prometheus:
    def __init__(self, nodes):
        with socket.create_server(('127.0.0.1', 0)) as s:
            port = s.getsockname()[1]
        config = TOP / 'prometheus.yml'
        targets = [urllib.parse.urlsplit(n.url).netloc for n in nodes]
        config.write_text(json.dumps({
            'global': {'scrape_interval': '1s', 'scrape_timeout': '1s' if SLOW == 1 else '1s', 'evaluation_interval': '1s'},
            'rule_files': [str(RULES / 'qudag.rules.yml')],
            'scrape_configs': [{'job_name': 'qudag', 'static_configs': [{'targets': targets}]}]}))
        promtool('check', 'config', str(config))
        self.url = f'http://127.0.0.1:{port}/api/v1/'
        self.process = subprocess.Popen(
            ['prometheus', f'--config.file={config}', f'--storage.tsdb.path={TOP}/tsdb', f'--web.listen-address=127.0.0.1:{port}',
             '--log.level=error'], stdin=subprocess.DEVNULL, start_new_session=True)
        until('Prometheus answers', self.answers, 40)

    def answers(self):
        try:
            return fetch(self.url + 'status/buildinfo')[0] == 200
        except OSError:
            return False

    def ask(self, query):
        """[(labels, value)]"""
        status, _, text = fetch(self.url + 'query?' + urllib.parse.urlencode({'query': query}))
        check(status == 200, f'{query}: {text}')
        return [(r['metric'], float(r['value'][1])) for r in json.loads(text)['data']['result']]

    def names(self):
        return set(json.loads(fetch(self.url + 'label/__name__/values')[2])['data'])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20 * SLOW)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)


def by_series(stats):
    """{name with labels: value} of counters and histograms, under the names of Prometheus"""
    out = {}
    for s in stats:
        if s['kind'] != 'gauge':
            suffix = '_total' if s['kind'] == 'counter' else '_seconds_count'
            out[f"qudag_{s['metric']}{suffix}", s['labels']] = s['value']
    return out


def the_same_numbers(prometheus, nodes):
    before = {n: by_series(n.ask('stats')['stats']) for n in nodes}
    now = time.time()
    until('all were read since', lambda: len([v for _, v in prometheus.ask('timestamp(qudag_links)') if v > now]) == len(nodes))
    got = {}
    for labels, value in prometheus.ask('{__name__=~"qudag_.*(_total|_seconds_count)"}'):
        name, instance = labels.pop('__name__'), labels.pop('instance')
        labels.pop('job')
        got[instance, name, frozenset(labels.items())] = value
    compared = above = 0
    for n in nodes:
        after, instance = by_series(n.ask('stats')['stats']), urllib.parse.urlsplit(n.url).netloc
        for (name, labels), low in before[n].items():
            value = got.get((instance, name, frozenset(LABEL.findall(labels))))
            check(value is not None, f'Prometheus has no {name}{{{labels}}}')
            check(low <= value <= after[name, labels], f'{name}{{{labels}}}: {low} <= {value} <= {after[name, labels]}')
            compared += 1
            above += value > 0
    check(above > 20 * len(nodes), f'only {above} of {compared} are above 0')
    print(f'ok: {compared} values of {len(nodes)} nodes are in Prometheus as in qudag stats; {above} above 0', flush=True)


# Of Grafana's documented model of a dashboard (grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model):
# what a field must be; and what panels and targets of a Prometheus need.
BOARD = {'uid': str, 'title': str, 'tags': list, 'timezone': str, 'editable': bool, 'refresh': str, 'schemaVersion': int, 'version': int,
         'time': dict, 'templating': dict, 'annotations': dict, 'panels': list}
PANEL = {'id': int, 'type': str, 'title': str, 'gridPos': dict}
FILLED = {**PANEL, 'datasource': dict, 'fieldConfig': dict, 'options': dict, 'targets': list}
TARGET = {'refId': str, 'expr': str, 'legendFormat': str, 'datasource': dict}
UNITS = {'short', 'none', 'bytes', 'decbytes', 's', 'percentunit', 'pps', 'ops', 'Bps', 'binBps', 'cps', 'reqps', 'mps', 'bps'}


def is_a(what, value, model):
    for field, kind in model.items():
        check(type(value.get(field)) is kind, f'dashboard: {what}: {field} is {value.get(field)!r}, not a {kind.__name__}')


def panel_queries(p):
    """of one panel, which is checked"""
    is_a(p['title'], p, PANEL if p['type'] == 'row' else FILLED)
    if p['type'] == 'row':
        return []
    check(p['fieldConfig']['defaults']['unit'] in UNITS and type(p['fieldConfig']['overrides']) is list, f'{p["title"]}: its unit')
    for t in [p, *p['targets']]:
        check(t['datasource'] == {'type': 'prometheus', 'uid': '${datasource}'}, f'{p["title"]}: a data source of its own')
    for t in p['targets']:
        is_a(p['title'], t, TARGET)
    check(p['targets'] and len({t['refId'] for t in p['targets']}) == len(p['targets']), f'{p["title"]}: refId')
    return [t['expr'] for t in p['targets']]


def queries():
    """of the dashboard, with its variables filled in"""
    board = json.loads(DASHBOARD.read_text())
    is_a('itself', board, BOARD)
    check(board['schemaVersion'] >= 39 and len(board['uid']) <= 40 and set(board['time']) == {'from', 'to'}, 'its head')
    ids, out, taken = set(), [], set()
    for p in board['panels']:
        check(p['id'] not in ids and p['type'] in ('row', 'stat', 'timeseries'), f'{p["id"]}: {p["type"]}')
        ids.add(p['id'])
        pos = p['gridPos']
        cells = {(x, y) for x in range(pos['x'], pos['x'] + pos['w']) for y in range(pos['y'], pos['y'] + pos['h'])}
        check(pos['x'] + pos['w'] <= 24 and not cells & taken, f'{p["title"]} lies on another panel')
        taken |= cells
        out += panel_queries(p)
    variables = {v['name']: v['type'] for v in board['templating']['list']}
    check(variables == {'datasource': 'datasource', 'instance': 'query'}, f'its variables: {variables}')
    check(set(re.findall(r'\$\{?(\w+)', ' '.join(out))) <= {'instance', '__rate_interval'}, 'a variable that is none')
    return [q.replace('$instance', '.*').replace('$__rate_interval', '5m') for q in out]


def names_exist(what, asked, known):
    for q in asked:
        bare = re.sub(r'"[^"]*"', '', q)
        names = set(re.findall(r'\b((?:qudag|process)_[a-z_]+|up)\b', bare))
        check(names, f'{what}: no metric in {q}')
        for name in names:
            check(name in known, f'{what}: there is no metric {name}: {q}')


def dashboard_and_rules(known, prometheus):
    asked = queries()
    names_exist('dashboard', asked, known)
    text = (RULES / 'qudag.rules.yml').read_text()
    exprs = re.findall(r'^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)', text, re.M)
    check(len(exprs) == text.count('- alert:') > 8, f'{len(exprs)} rules')
    names_exist('rules', [a or b for a, b in exprs], known | {'up'})
    for q in asked if prometheus else ():
        prometheus.ask(q)
    print(f'ok: {len(asked)} queries of the dashboard and {len(exprs)} alerts name metrics that exist', flush=True)


def network_of_five():
    nodes = [start('n0')]
    nodes += [start(f'n{ix}', f'node.bootstrap={nodes[0].bootstrap}', f'metrics.web={"yes" if ix == 1 else "no"}', wait=False)
              for ix in range(1, 5)]
    for n in nodes[1:]:
        code, text = n.tool('up', timeout=60)
        check(code == 0, f'{n.dir.name} is not ready: {text}')
    n = nodes[1]
    n.ask('dht', 'put', 'a', 'b')
    n.ask('dht', 'get', 'a')
    n.tool('ping', nodes[0].peer, '-c', '1')
    n.ask('circuit', 'build', '--hops', '2')
    n.ask('dark', 'new', 'shown-to-nobody')
    return nodes


def what_a_person_sees(n):
    stats = {s['name']: s for s in n.ask('stats')['stats']}
    setup = [s for name, s in stats.items() if name.startswith('link_setup{') and 'outcome="ok"' in name and s['value'] > 0]
    check(setup and all(0 < s['p50_ns'] <= s['p95_ns'] for s in setup), f'{setup}')
    code, text = run(QUDAG, '--dir', n.dir, 'stats')
    check(code == 0 and 'P95' in text and 'link_setup{transport="quic"' in text, text[:300])
    code, text = run(QUDAG, '--dir', n.dir, 'peers', '--wide')
    check(code == 0 and 'SETUP' in text, text)
    check(all(p['handshake_ns'] > 0 for p in n.ask('peers')['peers']), 'a link without set-up time')
    print('ok: set-up times are in qudag stats (p50, p95) and qudag peers', flush=True)


def main():
    if '--write' in sys.argv:
        DOC.write_text(reference(fetch(start('n0').url)[2]))
        return
    nodes = network_of_five()
    text = who_may_read(nodes[0])
    check(DOC.read_text() == reference(text), f'{DOC} is not what a daemon says: tests/system/metrics_test.py --write')
    known = {name for name, _ in samples(text)}
    code, said = run(QUDAG, '--dir', nodes[0].dir, 'stats', '--prometheus')
    check(code == 0 and {name for name, _ in samples(said)} == known, 'qudag stats --prometheus shows others')
    what_a_person_sees(nodes[1])
    cost(nodes[0])
    if shutil.which('prometheus') and shutil.which('promtool'):
        promtool('check', 'metrics', text=text)
        promtool('check', 'rules', str(RULES / 'qudag.rules.yml'))
        promtool('test', 'rules', str(RULES / 'qudag_rules_test.yml'))
        prometheus = Prometheus(nodes)
        try:
            the_same_numbers(prometheus, nodes)
            dashboard_and_rules(prometheus.names() | known, prometheus)
        finally:
            prometheus.end()
    else:
        print('skip: no prometheus here (tools/deps.sh --tools=use installs it)', flush=True)
        dashboard_and_rules(known, None)
    page.the_page(nodes[1], nodes, fetch)  # here: its history has more than one value by now
    hostile_scrapers(nodes[2])
    for n in nodes:
        n.down()
    places_it_does_not_listen()
    over_a_unix_socket()


main()
