"""The web page of a node, as Chromium shows it: loaded, looked at, its numbers compared with what the tool says."""
import html.parser
import json
import re
import shutil
import time
import urllib.parse
import urllib.request

from programs import TOP, SLOW, check, run

BROWSERS = ('chromium-headless-shell', 'chromium', 'google-chrome')
LINK_FIELDS = ('state', 'direction', 'transport', 'group', 'standing')
LINK = {*LINK_FIELDS, 'pq', 'age_ns', 'rtt_ns', 'handshake_ns', 'bytes_in', 'bytes_out', 'streams'}
CIRCUIT = {'state', 'hops', 'hops_wanted', 'age_ns', 'build_ns', 'streams'}  # no id, no path, no purpose
# move by themselves, either way
LIVE = {'memory_bytes', 'memory_peak_bytes', 'used_node_memory', 'used_node_queued_bytes', 'used_node_received_bytes'}
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Dom(html.parser.HTMLParser):
    """[(table, name, value)] of all cells that have a name; figures"""

    def __init__(self, text):
        super().__init__()
        self.cells, self.figures, self.text, self.table, self.open = [], {}, [], '', None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == 'table':
            self.table = attrs.get('id', '')
        if tag == 'td' and 'data-name' in attrs:
            self.open = [self.table, attrs['data-name'], attrs.get('data-value'), '']
        if tag == 'figure':
            self.figures[attrs['data-name']] = 0
        if tag == 'path':
            self.figures[list(self.figures)[-1]] += len(re.findall('[ML]', attrs['d']))

    def handle_data(self, data):
        if self.open:
            self.open[3] += data

    def handle_endtag(self, tag):
        if tag == 'td' and self.open:
            table, name, value, text = self.open
            self.cells.append((table, name, int(value) if value is not None else text))
            self.open = None

    def table_rows(self, table, first):
        """[{name: value}]; a row begins with the column |first|"""
        rows = []
        for where, name, value in self.cells:
            if where == table:
                if name == first:
                    rows.append({})
                rows[-1][name] = value
        return rows


def of_api(node):
    """what the tool says, all of it"""
    return {'status': node.ask('status'), 'stats': {s['name']: s for s in node.ask('stats')['stats']},
            'links': node.ask('peers')['peers'], 'circuits': [c for c in node.ask('circuit', 'list')['circuits'] if c['role'] == 'client']}


def between(what, value, before, after, kind):
    low, high = before, after
    if kind == 'gauge':
        low, high = min(low, high), max(low, high)
    check(low <= value <= high, f'{what}: {before} <= {value} <= {after}')


def same_stats(what, shown, before, after):
    """counters lie between what was said before and after; gauges that stood still are the same"""
    above = 0
    for name, value in shown.items():
        check(name in before['stats'], f'{what}: the tool has no {name}')
        if name not in LIVE:
            between(f'{what}: {name}', value, before['stats'][name]['value'], after['stats'][name]['value'],
                    before['stats'][name]['kind'])
            above += value > 0
    check(above > 15, f'{what}: only {above} of {len(shown)} are above 0')


def key(row, fields):
    return tuple(row[f] for f in fields)


def same_rows(what, shown, before, after, fields):
    if sorted(key(r, fields) for r in before) == sorted(key(r, fields) for r in after):
        want = sorted(key(r, fields) for r in before)
        check(sorted(key(r, fields) for r in shown) == want, f'{what}: {shown}, not {want}')
    check(shown, f'{what}: there is none')


def names_nobody(what, text, node, others):
    says = node.ask('status')
    secrets = [*(o.peer for o in others), node.peer, says['pq_hash'], says['dir'], '127.0.0.1:', '/ip4/', '12D3Koo', 'shown-to-nobody']
    for secret in secrets:
        check(secret not in text, f'{what} has {secret}')


def get(url):
    """(headers, text)"""
    with urllib.request.urlopen(url, timeout=20 * SLOW) as answer:
        return answer.headers, answer.read().decode()


def json_is_what_the_tool_says(node, others):
    before = of_api(node)
    headers, text = get(urllib.parse.urljoin(node.web, 'status.json'))
    after = of_api(node)
    got = json.loads(text)
    check(headers['Content-Type'] == 'application/json' and headers['Content-Security-Policy'] == POLICY, f'{headers}')
    for name, value in got['status'].items():
        if not name.endswith('_ns'):
            check(value in (before['status'][name], after['status'][name]), f'status: {name} is {value}')
    between('uptime', got['status']['uptime_ns'], before['status']['uptime_ns'], after['status']['uptime_ns'], 'counter')
    same_stats('JSON', got['stats'], before, after)
    same_rows('links', got['links'], before['links'], after['links'], LINK_FIELDS)
    same_rows('circuits', got['circuits'], before['circuits'], after['circuits'], ('state', 'hops', 'hops_wanted'))
    check(all(set(x) == LINK for x in got['links']) and all(set(x) == CIRCUIT for x in got['circuits']), f'it says more: {got}')
    series = {s['name']: s['values'] for s in got['history']['series']}
    end = time.monotonic() + 60 * SLOW
    while len(series['links']) < 2:
        check(time.monotonic() < end, f'the history does not grow: {series}')
        time.sleep(0.5)
        series = {s['name']: s['values'] for s in json.loads(get(urllib.parse.urljoin(node.web, 'status.json'))[1])['history']['series']}
    check(series['links'][-1] is not None and len(series['links']) == len(series['bytes_in']) <= 360, f'{series}')
    names_nobody('JSON', text, node, others)
    print(f'ok: status.json has {len(got["stats"])} values as the tool says them, and names nobody', flush=True)


def page_without_a_browser(node, others):
    """the numbers are in the text: no script makes them"""
    headers, text = get(node.web)
    check(headers['Content-Security-Policy'] == POLICY and headers['Cache-Control'] == 'no-store', f'{headers}')
    check('<script' not in text and 'http:' not in text and 'https:' not in text, 'a script, or something from elsewhere')
    dom = Dom(text)
    check({name for _, name, _ in dom.cells} >= {'status.health', 'links', 'kad_table', 'limit_node_links'}, 'numbers are missing')
    for table, want in (('links', LINK), ('circuits', CIRCUIT)):
        check({name for where, name, _ in dom.cells if where == table} == want, f'{table}: it says more')
    names_nobody('the page', text, node, others)
    for path, kind in (('style.css', 'text/css; charset=utf-8'), ('icon.svg', 'image/svg+xml')):
        check(get(urllib.parse.urljoin(node.web, path))[0]['Content-Type'] == kind, path)


def addresses(net_log):
    """every address that the browser asked, and every name it looked up"""
    text = net_log.read_text()
    return set(re.findall(r'"(?:url|original_url)":"([^"]*)"', text)), set(re.findall(r'"host":"([^"]*)"', text))


def in_chromium(node):
    program = next((p for p in BROWSERS if shutil.which(p)), None)
    if program is None:
        print('skipped: a browser: there is no chromium-headless-shell', flush=True)
        return
    log, picture = TOP / 'net.json', TOP / 'page.png'
    before = of_api(node)
    code, text = run(program, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--timeout=60000',
                     '--disable-background-networking', f'--user-data-dir={TOP}/browser', '--enable-logging=stderr',
                     f'--log-net-log={log}', '--window-size=1200,2000', f'--screenshot={picture}', '--dump-dom', node.web, timeout=90)
    after = of_api(node)
    check(code == 0 and '</html>' in text, f'{code} {text[-2000:]}')
    check('CONSOLE' not in text, f'the console says: {[line for line in text.splitlines() if "CONSOLE" in line]}')
    urls, hosts = addresses(log)
    check(urls and all(u.startswith(node.web) for u in urls), f'a request leaves: {urls}')
    check(node.web in urls and urllib.parse.urljoin(node.web, 'style.css') in urls, f'{urls}')
    here = urllib.parse.urlsplit(node.web)
    check(all(here.hostname in h for h in hosts), f'a name is looked up: {hosts}')
    dom = Dom(text)
    shown = {name: value for table, name, value in dom.cells if table in ('stats', 'refusals', 'resources')}
    same_stats('DOM', shown, before, after)
    same_rows('DOM', dom.table_rows('links', 'state'), before['links'], after['links'], LINK_FIELDS)
    same_rows('DOM', dom.table_rows('circuits', 'state'), before['circuits'], after['circuits'], ('state', 'hops', 'hops_wanted'))
    check(len(dom.figures) == 8 and all(n > 0 for f, n in dom.figures.items() if f != 'history.cells_relayed'), f'{dom.figures}')
    check(picture.read_bytes()[:8] == b'\x89PNG\r\n\x1a\n' and picture.stat().st_size > 20000, 'the picture is empty')
    print(f'ok: Chromium shows {len(shown)} values as the tool says them; {len(urls)} requests, all to the node; nothing on its console',
          flush=True)


def who_may_see_it(node, fetch):
    """the user and the page itself; and nobody where the page is not asked for"""
    port = urllib.parse.urlsplit(node.web).port
    for path in ('', 'status.json', 'style.css', 'icon.svg'):
        url = urllib.parse.urljoin(node.web, path)
        check(fetch(url, Sec_Fetch_Site='same-origin')[0] == fetch(url, Sec_Fetch_Site='none')[0] == 200, f'{path}: the user')
        for headers in ({'Host': 'evil.example'}, {'Host': f'evil.example:{port}'}, {'Sec_Fetch_Site': 'cross-site'},
                        {'Sec_Fetch_Site': 'same-site'}, {'Origin': 'http://evil.example'}, {'Origin': node.web.rstrip('/')}):
            code, _, said = fetch(url, **headers)
            check(code == 403 and 'QuDAG' not in said, f'{path} {headers}: {code}')
        check(fetch(url, 'POST')[0] == 405, f'POST {path}')
    check(fetch(urllib.parse.urljoin(node.web, 'metrics'), Sec_Fetch_Site='same-origin')[0] == 403, 'metrics for the page')


def cost(node, count=20):
    """of processor time of the daemon: bounded, whoever asks"""
    def used():
        return float(re.search(r'^process_cpu_seconds_total (\S+)$', get(node.url)[1], re.M)[1])
    before = used()
    for _ in range(count):
        text = get(node.web)[1]
    took = (used() - before) / count
    print(f'a page: {len(text)} bytes, of which the daemon computes {took * 1e3:.2f} ms', flush=True)
    check(took < 0.015 * SLOW, f'a page costs {took * 1e3:.1f} ms of processor time')


def the_page(node, others, fetch):
    json_is_what_the_tool_says(node, others)
    page_without_a_browser(node, others)
    who_may_see_it(node, fetch)
    in_chromium(node)
    cost(node)
