#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Checks that deploy/test-summary counts every way in which a test program can end.

usage: test_summary.py TEST-SUMMARY"""
import json
import os
import subprocess
import sys
import tempfile

# How a program ended, its output, its status; the subtests in the JUnit file; what is added up:
# passed, failed, skipped.
PROGRAMS = [
    ('good', 'OK', 'ok 1', 0, ['', ''], (2, 0, 0)),
    ('part skipped', 'OK', 'ok 1 # SKIP', 0, ['', '<skipped/>'], (1, 0, 1)),
    ('all skipped', 'SKIP', '1..0 # SKIP why', 0, None, (0, 0, 1)),
    ('silent', 'SKIP', '', 0, None, (0, 1, 0)),
    ('one failed', 'ERROR', 'ok 1\n# good\nnot ok 2\n# why', 1, ['', '<failure/>'], (1, 1, 0)),
    ('crashed', 'ERROR', 'ok 1', -11, ['', ''], (2, 1, 0)),
    ('crashed at once', 'ERROR', '', -11, None, (0, 1, 0)),
    ('timed out', 'TIMEOUT', 'waits for it\n', -15, [''], (1, 1, 0)),
    ('plain', 'OK', '', 0, None, (1, 0, 0)),
    ('plain failed', 'FAIL', '', 1, None, (0, 1, 0)),
]


# What the summary repeats of those that failed, and no more.
REPEATED = {'one failed': (['not ok 2', '# why'], ['# good']), 'timed out': (['waits for it'], [])}


def write_logs(folder, programs):
    os.makedirs(os.path.join(folder, 'meson-logs'))
    suites = ''
    for name, end, _, _, cases, _ in programs:
        if cases is None:
            inner = '<skipped/>' if end == 'SKIP' else ''
            suites += (f'<testsuite name="summond"><testcase name="{name}">{inner}</testcase>'
                       '</testsuite>')
        else:
            inner = ''.join(f'<testcase name="{i} - case">{case}</testcase>'
                            for i, case in enumerate(cases, 1))
            suites += f'<testsuite name="summond.{name}">{inner}</testsuite>'
    with open(os.path.join(folder, 'meson-logs/testlog.junit.xml'), 'w', encoding='utf-8') as file:
        file.write(f'<testsuites>{suites}</testsuites>')
    with open(os.path.join(folder, 'meson-logs/testlog.json'), 'w', encoding='utf-8') as file:
        for name, end, output, status, _, _ in programs:
            print(json.dumps({'name': name, 'result': end, 'stdout': output,
                              'returncode': status}), file=file)


def check(summary, programs, expected):
    """What is wrong, or None; without programs, there are no logs."""
    with tempfile.TemporaryDirectory() as root:
        folder = os.path.join(root, 'build')
        if programs:
            write_logs(folder, programs)
        run = subprocess.run([sys.executable, '-B', summary, folder], stdout=subprocess.PIPE,
                             text=True, check=False)
    lines = run.stdout.splitlines()
    last = lines[-1]
    wanted = '{} passed, {} failed, {} skipped'.format(*expected)
    if last != wanted or run.returncode != (1 if expected[1] else 0):
        return f'"{last}" with status {run.returncode}, and not "{wanted}"'
    for name, *_ in programs:
        there, not_there = REPEATED.get(name, ([], []))
        if [line for line in there if line not in lines] + [line for line in not_there if line in lines]:
            return f'of "{name}" it repeats "{run.stdout}"'
    return None


def main():
    cases = [(p[0], [p], p[5]) for p in PROGRAMS]
    cases.append(('all of them', PROGRAMS, tuple(map(sum, zip(*(p[5] for p in PROGRAMS))))))
    cases.append(('no logs', [], (0, 1, 0)))
    failed = False
    print(f'1..{len(cases)}')
    for number, (name, programs, expected) in enumerate(cases, 1):
        wrong = check(sys.argv[1], programs, expected)
        failed = failed or wrong is not None
        print(f'{"not ok" if wrong else "ok"} {number} - {name}')
        if wrong:
            print(f'# {wrong}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
