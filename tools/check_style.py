#!/usr/bin/python3
"""Fail on what a machine can see of the conventions (CONTRIBUTING.md).  There is no list of exceptions.

    functions   at most 70 lines between the braces
    parameters  at most 6 in src, sim, bin and include; a callback whose signature a library dictates is known by
                one of its first or last two: a pointer to one of that library's own types (LIBRARY_TYPE)
    names       a function declared in a header of src begins with a prefix of its folder (FOLDERS)
    struct tags a tag is defined once in src, so that a name means one thing; files of tests aside
    prototypes  85 % of those in the headers of a folder of src, and 95 % of the public ones, have a comment on the
                line above or behind them; static ones and headers of tests aside
    files       .c at most 1200 lines (800 is the aim), .h at most 300
    lines       at most 120 columns in C; code itself 100, which clang-format sees to
    text        no tab (Go has them), no trailing space, a newline at the end, no CR
    calls       strcpy strcat sprintf gets strtok rand alloca setjmp and kin: nowhere
                printf exit abort signal, the clock, the environment: not below io, but for base/assert
    words       marks of unfinished work; paths of one machine; names of package mirrors
    binaries    only as fuzz seeds and test vectors

    tools/check_style.py [--sizes] [--documented] [TREE]
        --sizes also lists the files over 800 lines, --documented the prototypes without a comment; TREE instead of this one
"""
import pathlib
import re
import subprocess
import sys

ARGS = [a for a in sys.argv[1:] if not a.startswith('--')]
TOP = pathlib.Path(ARGS[0]).resolve() if ARGS else pathlib.Path(__file__).resolve().parent.parent
FUNCTION_MAX, FILE_MAX, FILE_AIM, HEADER_MAX, WIDTH_MAX = 70, 1200, 800, 300, 120

ANYWHERE = '''strcpy strcat strncat stpcpy sprintf vsprintf gets strtok rand srand alloca setjmp longjmp sigsetjmp siglongjmp
              atoi atol tmpnam mktemp system'''.split()
BELOW_IO = '''printf fprintf vprintf vfprintf dprintf puts putchar fputs perror exit _exit _Exit quick_exit abort signal
              sigaction raise time clock clock_gettime gettimeofday getenv secure_getenv sleep usleep nanosleep'''.split()
LAYERS_BELOW_IO = ('base', 'crypto', 'wire', 'core', 'sec', 'quic', 'upgrade', 'swarm', 'node')

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
CALL = re.compile(r'(?<![\w.>])(\w+)\s*\(')
MACHINE = re.compile('|'.join([r'(?<![\w.])/' + r'work/', r'(?<![\w.])/' + r'root/', r'(?<![\w.])/' + r'home/\w']))
MIRROR = re.compile('|'.join(['deb' + r'\.debian\.org', 'snapshot' + r'\.debian\.org', 'security' + r'\.debian\.org',
                              'archive' + r'\.ubuntu\.com', 'registry' + r'\.npmjs', 'files' + r'\.pythonhosted',
                              'proxy' + r'\.golang']))
# What the shared functions of a folder begin with: the folder's name, or the objects it offers where it is a library of
# small ones.  A prefix may be a whole name (sha256).  A folder without a row belongs to the one above it.
FOLDERS = {
    'base': 'assert_ base32_ base58_ buf_ ct_ dyn_ err_ fair_ fifo_ heap_ hex_ histogram_ limiter_ list_ log_ map_ mem_ netaddr_ outcome_ rd_ ref_ rng_ siphash24 '
            'slots_ utf8_ wipe wr_',
    'crypto': 'aead_ argon2_ blake3_ cgo_ crypto_ ed25519_ hkdf_ hmac_ identity_ keyring_ mldsa65_ mlkem768_ polyval_ sha256 '
              'sha512 transcript_ x25519_',
    'wire': 'circuit_ envelope_ identify_ succession_ kad_ key_proto_ multiaddr_ multibase_ onion_ pb_ peer_id_ peer_record_ relay_ rend_ socks_ http1_ voucher_ '
            'stun_ pcp_ autonat_ dcutr_ meet_',
    'core': 'acts_ link_',
    'core/dark': 'dark_',
    'core/autonat': 'autonat_',
    'core/autorelay': 'autorelay_',
    'core/dcutr': 'dcutr_',
    'core/meet': 'meet_',
    'core/portmap': 'portmap_',
    'core/reach': 'reach_',
    'core/stun': 'stun_',
    'core/gateway': 'gateway_',
    'core/hidden': 'hidden_',
    'core/identify': 'identify_',
    'core/kad': 'kad_',
    'core/mss': 'mss_',
    'core/noise': 'noise_',
    'core/onion': 'onion_',
    'core/padding': 'padding_',
    'core/resources': 'resources_',
    'core/keep': 'keep_',
    'core/names': 'names_',
    'core/load': 'load_',
    'core/ping': 'ping_',
    'core/succession': 'succession_ successions_',
    'core/relays': 'relays_',
    'core/relay_v2': 'hop_ relayed_',
    'core/rend': 'introduce_ rend_ rendezvous_',
    'core/yamux': 'yamux_',
    'sec': 'cert_ host_key_ prov_ sec_ tls_',
    'upgrade': 'tcp_ upgrade_ relay_links_',
    'quic': 'quic_',
    'swarm': 'swarm_',
    'node': 'node_',
    'io': 'io_ resolve_ router_ solver_ store_ udp_ upnp_',
    'api': 'api_',
    'app': 'delivery_ expose_ files_ inbox_ proxy_ receive_ send_ sock_ splice_ target_ transfer_ tunnel_ unsent_',
}
PARAMS_MAX, DOCUMENTED, DOCUMENTED_PUBLIC = 6, 85, 95
LIBRARY_TYPE = re.compile(r'(const )?(struct )?(ngtcp2|SSL|OSSL|EVP|X509|uv|sqlite3|MHD)\w* ?\*')
TEST_FILE = re.compile(r'(_test|_fuzz|_bed|testkit\w*|testnet|vectors)\.[ch]$')
HEAD = re.compile(r'^(?!typedef|return|else|struct \w+ \{|union \w+ \{|enum \w* ?\{)[A-Za-z_][\w \t\n*]*?\b(\w+)\s*\(', re.M)
FILE_MARK = re.compile(r'/\* (-+ )?[\w.]+( -+)? \*/') # "/* net.c */" heads what a file offers and says nothing of it
TAG = re.compile(r'\b(struct|union|enum)\s+(\w+)\s*\{')
BINARY_OK = ('tests/corpus/', 'tests/vectors/')


def listed():
    """every file of the project: as git sees it, also those not yet committed"""
    try:
        out = subprocess.run(['git', '-C', TOP, 'ls-files', '-z', '-c', '-o', '--exclude-standard'], check=True,
                             capture_output=True).stdout.decode()
        found = [TOP / name for name in sorted(set(out.split('\0'))) if name]
    except (OSError, subprocess.CalledProcessError):
        found = [p for p in sorted(TOP.rglob('*')) if not {'build', '.git'} & set(p.relative_to(TOP).parts)]
    return [p for p in found if p.is_file()]


def blanked(text):
    """comments and literals replaced by spaces, so that lines keep their numbers"""
    return TOKEN.sub(lambda m: ''.join('\n' if c == '\n' else ' ' for c in m.group()), text)


def functions(lines):
    """(name, line, body lines) of each function: '{' and '}' alone in column 0"""
    start = None
    for ix, line in enumerate(lines):
        if line.rstrip() == '{':
            start = ix
        elif line.startswith('}') and start is not None:
            head = ' '.join(l for l in lines[max(0, start - 6):start])
            names = re.findall(r'(\w+)\s*\(', head)
            yield (names[-1] if names else '?'), start + 1, ix - start - 1
            start = None


def closed(code, at):
    """the place behind the bracket that closes the one before |at|"""
    depth = 1
    while depth and at < len(code):
        depth += (code[at] in '({[') - (code[at] in ')}]')
        at += 1
    return at


def split_params(text):
    """the parameters of a function; one may be a pointer to a function"""
    depth, out, begin = 0, [], 0
    for ix, c in enumerate(text):
        depth += (c in '([') - (c in ')]')
        if c == ',' and depth == 0:
            out.append(text[begin:ix])
            begin = ix + 1
    out = [' '.join(p.split()) for p in out + [text[begin:]]]
    return [p for p in out if p not in ('', 'void')]


def heads(code):
    """(name, line, parameters, whether it is static, place behind it) of each function declared or defined at column 0"""
    for m in HEAD.finditer(code):
        end = closed(code, m.end())
        line = code.count('\n', 0, m.start()) + 1
        yield m.group(1), line, split_params(code[m.end():end - 1]), m.group().startswith('static'), end


def is_documented(text, code, line, end):
    """whether a comment ends on the line above |line| or stands on one of the lines up to the ';' behind |end|"""
    lines = text.split('\n')
    last = code.count('\n', 0, code.index(';', end)) + 1
    above = lines[line - 2].strip() if line > 1 else ''
    if above.endswith('*/') and not re.match(r'\w', above) and not FILE_MARK.match(above):
        return True
    return any('/*' in l for l in lines[line - 1:last])


def row_of(folder):
    """the row of FOLDERS that a folder of src belongs to; itself where there is none"""
    row = folder
    while row not in FOLDERS and '/' in row:
        row = row.rsplit('/', 1)[0]
    return row if row in FOLDERS else folder


def check_shared(rel, text, code, bad, tags, prototypes):
    """parameters, prefixes, tags, prototypes: what is said of whole folders is collected in |tags| and |prototypes|"""
    top, folder = rel.split('/')[0], row_of('/'.join(rel.split('/')[1:-1]))
    if top not in ('src', 'sim', 'bin', 'include'):
        return
    test = TEST_FILE.search(rel)
    for name, line, params, static, end in heads(code):
        defined = code[end:].lstrip().startswith('{')
        if len(params) > PARAMS_MAX and not any(LIBRARY_TYPE.match(p) for p in params[:2] + params[-2:]):
            bad.append(f'{rel}:{line}: {name} has {len(params)} parameters, at most {PARAMS_MAX}')
        if test or static or defined or not rel.endswith('.h') or top not in ('src', 'include'):
            continue
        seen = prototypes.setdefault('include' if top == 'include' else 'src/' + folder, [])
        seen.append((f'{rel}:{line}: {name}', is_documented(text, code, line, end)))
        fits = any(name.startswith(p) or name == p.rstrip('_') for p in FOLDERS.get(folder, '').split())
        if top == 'src' and not fits:
            bad.append(f'{rel}:{line}: {name} begins with no prefix of src/{folder} (FOLDERS in check_style.py)')
    if top == 'src' and not test:
        for m in TAG.finditer(code):
            body = ' '.join(code[m.end():closed(code, m.end())].split())
            tags.setdefault((m.group(1), m.group(2)), {}).setdefault(body, rel)


def check_folders(tags, prototypes, bad):
    for (kind, tag), bodies in sorted(tags.items()):
        if len(bodies) > 1:
            bad.append(f'{kind} {tag} is defined differently in {" and ".join(sorted(bodies.values()))}')
    for folder, seen in sorted(prototypes.items()):
        most = DOCUMENTED_PUBLIC if folder == 'include' else DOCUMENTED
        told = sum(1 for _, documented in seen if documented)
        if told * 100 < most * len(seen):
            bad.append(f'{folder}: {told} of {len(seen)} prototypes are documented, at least {most} % (--documented)')
        if '--documented' in sys.argv:
            print('\n'.join(f'{where} has no comment' for where, documented in seen if not documented))


def check_c(path, rel, text, bad, long_files, tags, prototypes):
    lines = text.split('\n')
    count = len(lines) - 1
    most = HEADER_MAX if path.suffix == '.h' else FILE_MAX
    if count > most:
        bad.append(f'{rel}: {count} lines, at most {most}')
    elif path.suffix == '.c' and count > FILE_AIM:
        long_files.append(f'{rel}: {count} lines')
    for ix, line in enumerate(lines):
        if len(line) > WIDTH_MAX:
            bad.append(f'{rel}:{ix + 1}: {len(line)} columns, at most {WIDTH_MAX}')
    code = blanked(text)
    code_lines = code.split('\n')
    check_shared(rel, text, code, bad, tags, prototypes)
    for name, line, length in functions(code_lines):
        if length > FUNCTION_MAX:
            bad.append(f'{rel}:{line}: {name} has {length} lines, at most {FUNCTION_MAX}')
    parts = pathlib.PurePath(rel).parts
    test = rel.endswith(('_test.c', '_fuzz.c'))
    banned = set(ANYWHERE)
    if parts[0] == 'src' and parts[1] in LAYERS_BELOW_IO and not test and rel not in ('src/base/assert.c', 'src/base/assert.h'):
        banned |= set(BELOW_IO)
    for ix, line in enumerate(code_lines):
        for m in CALL.finditer(line):
            if m.group(1) in banned:
                bad.append(f'{rel}:{ix + 1}: {m.group(1)} is not used here')


def main():
    bad, long_files, seen, tags, prototypes = [], [], 0, {}, {}
    for path in listed():
        rel = path.relative_to(TOP).as_posix()
        data = path.read_bytes()
        seen += 1
        if rel.startswith(BINARY_OK):
            continue
        if b'\0' in data:
            bad.append(f'{rel}: a binary file')
            continue
        text = data.decode(errors='replace')
        if text and not text.endswith('\n'):
            bad.append(f'{rel}: no newline at the end')
        tabs_ok = path.name in ('Makefile', 'rules', 'changelog') or path.suffix in ('.tsv', '.patch', '.go', '.mod')
        for ix, line in enumerate(text.split('\n')):
            where = f'{rel}:{ix + 1}'
            if '\t' in line and not tabs_ok:
                bad.append(f'{where}: tab')
            if line != line.rstrip(' \t\r'):
                bad.append(f'{where}: space or CR at the end')
            if MACHINE.search(line):
                bad.append(f"{where}: a path of one machine")
            if MIRROR.search(line):
                bad.append(f'{where}: the name of a package mirror')
            if re.search(r'\b(TO' + r'DO|FIX' + r'ME)\b', line):
                bad.append(f'{where}: unfinished work belongs in an issue')
        if path.suffix in ('.c', '.h'):
            check_c(path, rel, text, bad, long_files, tags, prototypes)
    check_folders(tags, prototypes, bad)
    if '--sizes' in sys.argv and long_files:
        print('\n'.join(long_files))
    print('\n'.join(bad) or f'style: {seen} files, no complaint; {len(long_files)} over {FILE_AIM} lines')
    return bool(bad)


sys.exit(main())
