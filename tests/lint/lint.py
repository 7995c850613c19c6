#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Checks the source tree against the rules of the house, one TAP line a rule.

usage: lint.py [DIRECTORY]

Reads the files that git tracks, or all files where there is no git. A rule is a function of the
tree that yields (file, line, what is wrong); RULES at the end is the table of them."""
import fnmatch
import os
import re
import shutil
import subprocess
import sys

# Who may include whom: folder -> folders whose headers it may include, besides its own. The
# longest folder that fits a file counts. Every folder with C files has to be here.
ARROWS = {
    'base': [],
    'policies': ['base'],
    'db': ['policies', 'base'],
    'dns': ['base'],
    'launcher': ['base'],
    'launcher/libvirt': ['launcher', 'base'],
    'launcher/sim': ['launcher', 'base'],
    'launcher/link': ['base'],
    'launcher/libxl': ['launcher', 'summon-xl/include', 'base'],
    'launcher/vmm': ['launcher', 'summon-vmm/include', 'guest-kernel/include', 'base'],
    'summon-vmm': ['summon-vmm/include', 'guest-kernel/include', 'base'],
    'summon-vmm/include': [],
    'summon-xl': ['summon-xl/include', 'base'],
    'summon-xl/include': [],
    'daemon': ['dns', 'policies', 'db', 'launcher', 'launcher/link', 'base'],
    'rehearse': ['daemon', 'dns', 'policies', 'db', 'launcher', 'launcher/link', 'base'],
    'summonctl': ['base'],
    'guest-kernel': ['guest-kernel/include'],
    'guest-kernel/include': [],
}
# Folders in which all of the tree may be included: tests look at everything.
WATCHERS = ['tests']
# Folders whose headers are found by include paths of their own, and the outside ones among them.
OWN_INCLUDE_PATHS = {'guest-kernel': ['lwip/*', 'netif/*', 'lwipopts.h']}

# Libraries that only some may know: header -> where. Tests may use each as a judge.
LIBRARIES = {
    'sqlite3.h': ['db/*.c'],
    'ldns/*': ['dns/*'],
    'openssl/*': ['dns/*'],
    'sodium.h': ['dns/cookie.c'],
    'libvirt/*': ['launcher/libvirt/*'],
    'libxl*.h': ['summon-xl/*'],
    'xen*': ['summon-xl/*'],
    'netlink/*': ['launcher/link/*'],
    'microhttpd.h': ['daemon/http*.c', 'daemon/http_internal.h'],
    'uv.h': ['dns/*', 'launcher/*', 'daemon/*', 'rehearse/*', 'summonctl/*', 'guest-kernel/host/*'],
}

# Folders whose code returns errors, and never writes or ends the program.
LIBRARY_FOLDERS = ['base', 'policies', 'db', 'dns', 'launcher']
# fprintf() is fine where the file is the caller's, not one that everybody shares.
LOUD_CALLS = ['printf', 'vprintf', r'v?fprintf(?=\s*\(\s*(?:stdout|stderr))', 'dprintf', 'puts', 'perror', 'syslog',
              'vsyslog', 'exit', '_exit', 'abort']

# What may be called all the same: (file, call) -> why.
LOUD_FOR_A_REASON = {
    ('launcher/libvirt/probe.c', '_exit'): 'a child that fork() made ends there, and nothing else',
}

MOST_FILE_LINES = 500
MOST_FUNCTION_LINES = 80
# What may be longer: 'file' or 'file:function' -> why.
LONG_FOR_A_REASON = {}

NOT_OURS = ['.git/*', 'build*/*', '.cache/*', 'subprojects/lwip/*', 'subprojects/packagecache/*',
            '*/__pycache__/*', '*.pyc']


class Tree:
    """The files of a source tree, read once."""

    def __init__(self, root):
        self.root = root
        self.files = sorted(self._tracked() or self._all())
        self._texts = {}

    def _tracked(self):
        if not os.path.exists(os.path.join(self.root, '.git')) or not shutil.which('git'):
            return None
        out = subprocess.run(
            ['git', '-c', 'safe.directory=*', '-C', self.root, 'ls-files', '-z'],
            stdout=subprocess.PIPE, text=True, check=True).stdout
        # A tracked file that was deleted is nobody's business here.
        return [f for f in out.split('\0') if f and os.path.isfile(os.path.join(self.root, f))]

    def _all(self):
        found = []
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.root)
                if not any(fnmatch.fnmatch(path, pattern) for pattern in NOT_OURS):
                    found.append(path)
        return found

    def text(self, path):
        if path not in self._texts:
            with open(os.path.join(self.root, path), encoding='utf-8', errors='replace') as file:
                self._texts[path] = file.read()
        return self._texts[path]

    def lines(self, path):
        return enumerate(self.text(path).splitlines(), 1)

    def named(self, *patterns):
        return [f for f in self.files if any(fnmatch.fnmatch(f, p) for p in patterns)]

    def scripts(self):
        """Shell scripts, by their name or their first line."""
        return [f for f in self.files
                if f.endswith('.sh') or re.match(r'#!.*\b(ba|da)?sh\b', self.text(f)[:80])]


class Skip(Exception):
    """A rule that cannot be checked here, and why."""


def folder_of(path, folders):
    """The longest of the folders that the path is in, or None."""
    fitting = [f for f in folders if path.startswith(f + '/')]
    return max(fitting, key=len, default=None)


def code_only(text):
    """C text with comments and the contents of literals blanked, lines kept."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda m: re.sub(r'[^\n]', ' ', m.group()), text, flags=re.S)


def included(tree, path):
    """(line, header, is it quoted) for each include."""
    for number, line in tree.lines(path):
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found.group(2), found.group(1) == '"'


def resolve(tree, path, header):
    """The tree's file that an include means, or None."""
    if header in tree.files:
        return header
    for own in OWN_INCLUDE_PATHS:
        if path.startswith(own + '/'):
            fitting = [f for f in tree.files
                       if f.startswith(own + '/') and f.endswith('/' + header)]
            return fitting[0] if fitting else None
    return None


def is_outside(path, header):
    return any(path.startswith(own + '/') and fnmatch.fnmatch(header, pattern)
               for own, patterns in OWN_INCLUDE_PATHS.items() for pattern in patterns)


def arrows(tree):
    """Includes follow the arrows of the design and no others"""
    for path in tree.named('*.c', '*.h', '*.S'):
        if folder_of(path, WATCHERS):
            continue
        folder = folder_of(path, ARROWS)
        if folder is None:
            yield path, 1, 'this folder is in no arrow: see ARROWS in tests/lint/lint.py'
            continue
        allowed = [folder] + ARROWS[folder]
        for number, header, quoted in included(tree, path):
            target = resolve(tree, path, header)
            if target is None:
                if quoted and not is_outside(path, header):
                    yield path, number, f'"{header}" is no file of the tree: write it from the root'
            elif folder_of(target, ARROWS) not in allowed:
                yield path, number, (f'{folder} may not include {target}: '
                                     f'only {", ".join(sorted(allowed))}')


def libraries(tree):
    """A library's headers are included only where the library belongs"""
    for path in tree.named('*.c', '*.h'):
        if folder_of(path, WATCHERS):
            continue
        for number, header, _ in included(tree, path):
            for pattern, places in LIBRARIES.items():
                if fnmatch.fnmatch(header, pattern) and not any(
                        fnmatch.fnmatch(path, place) for place in places):
                    yield path, number, f'<{header}> belongs to {", ".join(places)} only'


def licences(tree):
    """Every source file begins with its licence"""
    patterns = ['*.c', '*.h', '*.S', '*.py', '*.sh', '*.lds', '*meson.build', 'meson_options.txt']
    programs = {f for f in tree.files if tree.text(f).startswith('#!')}
    for path in sorted(set(tree.named(*patterns)) | programs):
        lines = tree.text(path).splitlines()[:2] + ['', '']
        number = 2 if lines[0].startswith('#!') else 1
        if not re.match(r'(/\*|#|//) SPDX-License-Identifier: ISC\b', lines[number - 1]):
            yield path, number, 'this line has to be "SPDX-License-Identifier: ISC" in a comment'


def run_tool(tree, command, files):
    """The lines that a checking tool writes about the files."""
    if not shutil.which(command[0]):
        raise Skip(f'{command[0]} is not installed')
    if not files:
        return []
    result = subprocess.run(command + files, cwd=tree.root, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    lines = result.stdout.splitlines()
    if result.returncode != 0 and not lines:
        lines = [f'{files[0]}:1: {command[0]} failed with status {result.returncode}']
    return lines


def tool_findings(lines, keep):
    for line in lines:
        found = re.match(r'(?:[\w-]+: )?([^:]+):(\d+):(?:\d+:)? ?(.*)', line)
        if found and re.search(keep, line):
            yield found.group(1), int(found.group(2)), found.group(3)


def format_of_c(tree):
    """C files are as clang-format leaves them"""
    command = ['clang-format', '--dry-run', '-Werror', '--style=file']
    yield from tool_findings(run_tool(tree, command, tree.named('*.c', '*.h')), 'error:')


def quiet_libraries(tree):
    """Libraries return errors: they write nothing and end nothing"""
    call = re.compile(r'(?<![\w.>])(' + '|'.join(LOUD_CALLS) + r')\s*\(')
    for folder in LIBRARY_FOLDERS:
        for path in tree.named(folder + '/*.c', folder + '/*.h'):
            for number, line in enumerate(code_only(tree.text(path)).splitlines(), 1):
                for found in call.finditer(line):
                    if (path, found.group(1)) not in LOUD_FOR_A_REASON:
                        yield path, number, f'{found.group(1)}() in a library: return an error'


def no_leftovers(tree):
    """No notes about work that is left"""
    words = re.compile(r'\b(' + '|'.join(['TO' + 'DO', 'FIX' + 'ME', 'X' * 3]) + r')\b')
    for path in tree.files:
        if not re.search(r'\.(png|svg|gz|xz|bin|pcap)$', path):
            for number, line in tree.lines(path):
                if words.search(line):
                    yield path, number, f'{words.search(line).group()}: do it or leave it'


def shell(tree):
    """Shell scripts pass shellcheck"""
    yield from tool_findings(run_tool(tree, ['shellcheck', '-f', 'gcc'], tree.scripts()), '')


def manuals(tree):
    """Manual pages pass mandoc's checks"""
    pages = tree.named('deploy/man/*.[1-8]')
    lines = run_tool(tree, ['mandoc', '-T', 'lint', '-W', 'warning'], pages)
    yield from tool_findings(lines, '(ERROR|WARNING|UNSUPP):')


def functions(text):
    """(line, name, lines of the body) of each function: its braces stand in the first column."""
    start = None
    lines = code_only(text).splitlines()
    for number, line in enumerate(lines, 1):
        if line.rstrip() == '{':
            start = number
        elif line.startswith('}') and start is not None:
            head = ' '.join(lines[max(0, start - 8):start - 1])
            names = re.findall(r'(\w+)\s*\((?:[^()]|\([^()]*\))*\)\s*$', head)
            yield start, names[-1] if names else '?', number - start - 1
            start = None


def sizes(tree):
    """Files and functions are of a size to be read"""
    for path in tree.named('*.c', '*.h', '*.S', '*.py', '*.sh'):
        count = len(tree.text(path).splitlines())
        if count > MOST_FILE_LINES and path not in LONG_FOR_A_REASON:
            yield path, 1, f'{count} lines: more than {MOST_FILE_LINES}'
        if path.endswith('.c'):
            for number, name, length in functions(tree.text(path)):
                if length > MOST_FUNCTION_LINES and f'{path}:{name}' not in LONG_FOR_A_REASON:
                    yield path, number, f'{name}() has {length} lines: more than {MOST_FUNCTION_LINES}'


RULES = [arrows, libraries, licences, format_of_c, quiet_libraries, no_leftovers, shell, manuals,
         sizes]


def main():
    if len(sys.argv) > 2 or (len(sys.argv) == 2 and not os.path.isdir(sys.argv[1])):
        sys.exit('usage: lint.py [DIRECTORY]')
    tree = Tree(sys.argv[1] if len(sys.argv) == 2 else '.')
    failed = False
    print(f'1..{len(RULES)}')
    for number, rule in enumerate(RULES, 1):
        try:
            findings = list(rule(tree))
        except Skip as reason:
            print(f'ok {number} - {rule.__doc__} # SKIP {reason}')
            continue
        failed = failed or bool(findings)
        print(f'{"not ok" if findings else "ok"} {number} - {rule.__doc__}')
        for path, line, what in findings:
            print(f'# {path}:{line}: {what}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
