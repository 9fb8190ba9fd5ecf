#!/usr/bin/python3
"""Fail on what a machine can see of the conventions (CONTRIBUTING.md).  There is no list of exceptions.

    functions   at most 70 lines between the braces
    files       .c at most 1200 lines (800 is the aim), .h at most 300
    lines       at most 120 columns in C; code itself 100, which clang-format sees to
    text        no tab, no trailing space, a newline at the end, no CR
    calls       strcpy strcat sprintf gets strtok rand alloca setjmp and kin: nowhere
                printf exit abort signal, the clock, the environment: not below io, but for base/assert
    words       marks of unfinished work; paths of one machine; names of package mirrors
    binaries    only as fuzz seeds and test vectors

    tools/check_style.py [--sizes]      --sizes also lists the files over 800 lines
"""
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
FUNCTION_MAX, FILE_MAX, FILE_AIM, HEADER_MAX, WIDTH_MAX = 70, 1200, 800, 300, 120

ANYWHERE = '''strcpy strcat strncat stpcpy sprintf vsprintf gets strtok rand srand alloca setjmp longjmp sigsetjmp siglongjmp
              atoi atol tmpnam mktemp system'''.split()
BELOW_IO = '''printf fprintf vprintf vfprintf dprintf puts putchar fputs perror exit _exit _Exit quick_exit abort signal
              sigaction raise time clock clock_gettime gettimeofday getenv secure_getenv sleep usleep nanosleep'''.split()
LAYERS_BELOW_IO = ('base', 'crypto', 'wire', 'core', 'sec', 'quic', 'swarm', 'node')

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
CALL = re.compile(r'(?<![\w.>])(\w+)\s*\(')
MACHINE = re.compile('|'.join([r'(?<![\w.])/' + r'work/', r'(?<![\w.])/' + r'root/', r'(?<![\w.])/' + r'home/\w']))
MIRROR = re.compile('|'.join(['deb' + r'\.debian\.org', 'snapshot' + r'\.debian\.org', 'security' + r'\.debian\.org',
                              'archive' + r'\.ubuntu\.com', 'registry' + r'\.npmjs', 'files' + r'\.pythonhosted',
                              'proxy' + r'\.golang']))
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


def check_c(path, rel, text, bad, long_files):
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
    bad, long_files, seen = [], [], 0
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
        tabs_ok = path.name in ('Makefile', 'rules', 'changelog') or path.suffix in ('.tsv', '.patch')
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
            check_c(path, rel, text, bad, long_files)
    if '--sizes' in sys.argv and long_files:
        print('\n'.join(long_files))
    print('\n'.join(bad) or f'style: {seen} files, no complaint; {len(long_files)} over {FILE_AIM} lines')
    return bool(bad)


sys.exit(main())
