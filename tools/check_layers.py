#!/usr/bin/python3
"""Fail if a file includes a header it may not see.

Every folder under src/ (and sim/) holds a DEPS file: one allowed folder, or one allowed <system/header.h>, per line; '#'
starts a comment.  A folder may always include itself, the public headers <qudag/...> and the headers of ISO C that do
nothing to the world.  Unlisted is forbidden, a cycle among folders is forbidden, a header called internal.h is of its own
folder alone (tests aside), and there is no exceptions file.

    *_test.c, *_fuzz.c   also see whatever their folder reaches through others, cmocka, libc and POSIX
    bin/*                <qudag/...>, <uv.h>, <ini.h>, <blake3.h>, libc and POSIX, their own folder and bin/common;
                         bin/qudag also the libraries of WEB, bin/qudagd libmicrohttpd
    examples/*           <qudag/...>, libc and POSIX
    tests/api/*          the same, cmocka, their own folder
    include/qudag/*      each other and <std*.h>
"""
import pathlib
import re
import sys

INC = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)
PURE = set('''assert.h ctype.h inttypes.h limits.h stdalign.h stdarg.h stdbool.h stddef.h stdint.h stdlib.h
              string.h'''.split())
LIBC = PURE | set('''errno.h locale.h math.h setjmp.h signal.h stdatomic.h stdio.h time.h wchar.h'''.split())
POSIX = LIBC | set('''aio.h dirent.h dlfcn.h fcntl.h fnmatch.h ftw.h getopt.h glob.h grp.h ifaddrs.h langinfo.h libgen.h
                      netdb.h poll.h pthread.h pwd.h regex.h sched.h semaphore.h spawn.h strings.h syslog.h termios.h
                      unistd.h'''.split())
WEB = ('curl/curl.h', 'microhttpd.h', 'qrencode.h')  # of the tool, which serves and fetches
POSIX_IN = ('arpa/', 'net/', 'netinet/', 'sys/', 'linux/')


def is_posix(inc):
    return inc in POSIX or inc.startswith(POSIX_IN)


def is_test(path):
    return path.name.endswith(('_test.c', '_fuzz.c'))


class Tree:
    def __init__(self, top):
        self.top = pathlib.Path(top).resolve()
        self.bad = []
        self.graph = {}  # folder -> what its DEPS names
        self.checked = 0
        for root in ('src', 'sim'):
            for deps in (self.top / root).rglob('DEPS'):
                lines = (line.split('#')[0].strip() for line in deps.read_text().splitlines())
                self.graph[self.name(deps.parent)] = {line for line in lines if line}

    def name(self, folder):
        base = self.top / 'src'
        return (folder.relative_to(base) if folder.is_relative_to(base) else folder.relative_to(self.top)).as_posix()

    def folder_of(self, path):
        """the DEPS folder a source file belongs to, or None"""
        d = path.parent
        while d != self.top:
            if (d / 'DEPS').exists():
                return self.name(d)
            d = d.parent
        return None

    def reach(self, folder):
        seen, todo = set(), [folder]
        while todo:
            for d in self.graph.get(todo.pop(), ()):
                if d not in seen and not d.startswith('<'):
                    seen.add(d)
                    todo.append(d)
        return seen

    def complain(self, path, inc, why):
        self.bad.append(f'{path.relative_to(self.top)}: {why} may not include {inc}')

    def includes(self, path):
        self.checked += 1
        return INC.findall(path.read_text(errors='replace'))

    def target(self, path, inc):
        """the file a quoted include means: from src/, or the tests' and simulator's own place"""
        for base in (self.top / 'src', path.parent, self.top):
            if (base / inc).exists():
                return base / inc
        return None

    def library(self, path):
        here = self.folder_of(path)
        if here is None:
            self.bad.append(f'{path.relative_to(self.top)}: no DEPS file in this folder')
            return
        sees = self.graph[here]
        folders = self.reach(here) if is_test(path) else sees
        for kind, inc in self.includes(path):
            if kind == '<':
                ok = inc in PURE or inc.startswith('qudag/') or f'<{inc}>' in sees
                ok = ok or (is_test(path) and (is_posix(inc) or inc == 'cmocka.h'))
            elif inc.endswith('.pb.h'):  # made at build time from wire/proto
                proto = self.top / 'src/wire/proto' / (pathlib.PurePath(inc).name[:-5] + '.proto')
                ok = proto.exists() and (here == 'wire' or 'wire' in folders)
            else:
                target = self.target(path, inc)
                there = self.folder_of(target) if target else None
                ok = there is not None and (there == here or there in folders)
                if ok and target.name == 'internal.h' and there != here and not is_test(path):
                    ok = False
            if not ok:
                self.complain(path, inc, here)

    def program(self, path):
        root = self.top / 'bin'
        for kind, inc in self.includes(path):
            if kind == '<':
                ok = inc.startswith('qudag/') or inc in ('uv.h', 'ini.h', 'blake3.h') or is_posix(inc) or \
                    (path.parent.name == 'qudag' and inc in WEB) or \
                    (path.parent.name == 'qudagd' and inc in ('microhttpd.h', 'seccomp.h', 'cap-ng.h'))
                ok = ok or (is_test(path) and inc == 'cmocka.h')
            else:
                found = [b / inc for b in (path.parent, root, root / 'common') if (b / inc).exists()]
                ok = bool(found) and found[0].resolve().parent in (path.parent, root / 'common')
            if not ok:
                self.complain(path, inc, 'a program')

    def outsider(self, path, cmocka):
        for kind, inc in self.includes(path):
            if kind == '<':
                ok = inc.startswith('qudag/') or is_posix(inc) or (cmocka and inc in ('cmocka.h', 'uv.h'))
            else:
                ok = cmocka and (path.parent / inc).exists()
            if not ok:
                self.complain(path, inc, 'code outside the library')

    def public(self, path):
        for kind, inc in self.includes(path):
            if kind != '<' or not (inc.startswith('qudag/') or re.fullmatch(r'std\w+\.h', inc)):
                self.complain(path, inc, 'a public header')

    def cycles(self):
        state = {}

        def visit(folder, trail):
            if state.get(folder) == 1:
                self.bad.append('cycle: ' + ' -> '.join(trail + [folder]))
            if folder in state:
                return
            state[folder] = 1
            for dep in sorted(d for d in self.graph.get(folder, ()) if not d.startswith('<')):
                if dep not in self.graph:
                    self.bad.append(f'{folder}/DEPS: no folder {dep}')
                visit(dep, trail + [folder])
            state[folder] = 2

        for folder in sorted(self.graph):
            visit(folder, [])

    def run(self):
        def c_files(folder):
            return sorted(p for p in (self.top / folder).rglob('*.[ch]'))

        for path in c_files('src') + c_files('sim'):
            self.library(path)
        for path in c_files('bin'):
            if path.parent.name != 'qudag-sim':  # the simulator looks inside by design
                self.program(path)
        for path in c_files('examples'):
            self.outsider(path, False)
        for path in c_files('tests/api'):
            self.outsider(path, True)
        for path in c_files('include'):
            self.public(path)
        self.cycles()
        print('\n'.join(self.bad) or f'layers: {len(self.graph)} folders, {self.checked} files, no violation')
        return bool(self.bad)


sys.exit(Tree(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).run())
