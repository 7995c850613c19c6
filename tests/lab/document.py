# SPDX-License-Identifier: ISC
"""One TAP document of what the programs of a suite say in a lab."""
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))


def read_suite(folder, only):
    """The script of a folder's suite, which runs all of it, or the one program that is named."""
    script = f"only='{only}'\n"
    for path in (os.path.join(HERE, 'programs'), os.path.join(folder, 'suite')):
        with open(path, encoding='utf-8') as file:
            script += file.read()
    return script


class Document:
    """Adds up the programs' documents: their subtests, and how each ended."""

    def __init__(self):
        self.count = 0
        self.failed = False
        self.program = None
        self.planned = self.seen = 0

    def test(self, good, name):
        self.count += 1
        self.failed = self.failed or not good
        print(f'{"ok" if good else "not ok"} {self.count} - {name}', flush=True)

    def end(self, status):
        complete = self.seen == self.planned and (status == 0 or self.failed)
        if not complete:
            self.test(False, f'{self.program}: ended with {status} after {self.seen} of {self.planned}')
        self.program = None

    def take(self, line):
        if found := re.fullmatch(r'## begin (\S+)', line):
            self.program, self.planned, self.seen = found.group(1), 0, 0
        elif found := re.fullmatch(r'## end (\S+) (\d+)', line):
            self.end(int(found.group(2)))
        elif self.program and (found := re.fullmatch(r'1\.\.(\d+)(.*)', line)):
            self.planned = int(found.group(1))
            if 'SKIP' in found.group(2):  # here all of it has to run
                self.test(False, f'{self.program}: {found.group(2)}')
        elif self.program and (found := re.fullmatch(r'(not ok|ok) \d+ - (.*)', line)):
            self.seen += 1
            self.test(found.group(1) == 'ok', f'{self.program}: {found.group(2)}')
        else:
            print(line if line.startswith('#') else f'# {line}', flush=True)

    def close(self, status):
        """At the end of the lab, which had this status; returns the program's."""
        if status != 0 or self.count == 0:
            self.test(False, 'the lab runs to its end')
        print(f'1..{self.count}')
        return 1 if self.failed else 0
