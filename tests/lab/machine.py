# SPDX-License-Identifier: ISC
"""A machine under QEMU, without hardware virtualisation, and what it writes to its second serial port: lines,
"lab: ready" among them, and at the end "lab: closed with STATUS" or "lab: failed: WHY"."""
import os
import re
import selectors
import subprocess
import time

from debian import LabError

READY_LIMIT = 90  # seconds from QEMU's start until it is ready


def qemu(cpu, memory):
    """The first words of its command line; a kernel, serial ports and devices follow."""
    return ['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', cpu, '-m', memory, '-smp', '1',
            '-machine', 'q35', '-display', 'none', '-vga', 'none', '-nodefaults', '-no-user-config',
            '-no-reboot', '-monitor', 'none']


class Machine:
    """One boot; its second serial port is our pipe."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.buffer = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def lines(self, end):
        """Yields each line until QEMU's end; a LabError at the time `end`."""
        while True:
            while b'\n' in self.buffer:
                line, self.buffer = self.buffer.split(b'\n', 1)
                yield line.rstrip(b'\r').decode(errors='replace')
            left = end() - time.monotonic()
            if left <= 0:
                raise LabError('the time is up')
            if self.selector.select(left):
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    return
                self.buffer += data


def last_words(console):
    with open(console, encoding='utf-8', errors='replace') as file:
        return file.read()[-3000:]


def boot(command, console, deadline, emit):
    """Passes on what comes, and returns the status of what ran. `console`: the file of the first serial port."""
    ready = False
    begun = time.monotonic()
    with Machine(command + ['-serial', f'file:{console}', '-serial', 'stdio']) as machine:
        def end():
            return deadline if ready else min(deadline, begun + READY_LIMIT)
        try:
            for line in machine.lines(end):
                if line == 'lab: ready':
                    ready = True
                    emit(f'# lab: ready after {time.monotonic() - begun:.1f} s')
                elif found := re.fullmatch(r'lab: closed with (\d+)', line):
                    emit(f'# lab: closed after {time.monotonic() - begun:.1f} s')
                    return int(found.group(1))
                elif line.startswith('lab: failed'):
                    raise LabError(line)
                else:
                    emit(line)
            raise LabError('QEMU ended without a closing line')
        except LabError as why:
            raise LabError(f'{why}\n{last_words(console)}') from why


def try_twice(boot_once, limit, emit):
    """What boot_once(deadline) returns; where the lab itself fails, it is called once more, and then the status
    is 3. `limit`: seconds for both."""
    deadline = time.monotonic() + limit
    for tries in range(2):
        try:
            return boot_once(deadline)
        except LabError as why:
            for line in str(why).splitlines():
                emit(f'# lab: {line}')
            again = tries == 0 and time.monotonic() < deadline
            emit(f'# lab: it failed{", and is tried once more" if again else ""}')
            if not again:
                break
    return 3
