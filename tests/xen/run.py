#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Runs what `suite` names in the lab, and makes one TAP document of what it says.

usage: run.py --build DIR [--cache DIR]"""
import argparse
import contextlib
import os
import socket
import subprocess
import sys
import urllib.request

import lab
from document import Document, read_suite

HERE = os.path.dirname(os.path.abspath(__file__))
# What dom0 gets, of the build and of this machine.
PROGRAMS = {'tests/backend/test_backend': '/lab/test_backend', 'daemon/summond': '/lab/summond',
            'summonctl/summonctl': '/lab/summonctl', 'summon-xl/summon-xl': '/lab/summon-xl',
            '/usr/bin/dig': '/bin/dig', '/usr/bin/curl': '/bin/curl'}
FILES = {'tests/backend/virt-guest.elf': '/lab/virt-guest.elf',
         'tests/backend/pv-guest.elf': '/lab/pv-guest.elf',
         'guest-kernel/website.elf': '/lab/guest/website.elf',
         'guest-kernel/hello.elf': '/lab/guest/hello.elf',
         **{os.path.join(HERE, name): f'/lab/{name}' for name in ('common', 'e2e', 'e2e_jitsu')}}


# The ways from this machine, which is outside, to what e2e has in dom0.
QUERY, PAGE, DONE = '10.0.2.15:53', '10.77.0.5:80', '10.0.2.15:7777'


def outside(ports):
    """A query and then a page, from outside of the lab: what went wrong, or nothing. At the end dom0
    is told by a connection."""
    try:
        query = ['dig', '+short', '+tcp', '+tries=1', '+timeout=120', '-p', str(ports[QUERY]), '@127.0.0.1',
                 'www.example.test']
        address = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
        if address != '10.77.0.5':
            return f'the answer was {address!r}'
        with urllib.request.urlopen(f'http://127.0.0.1:{ports[PAGE]}/', timeout=60) as page:
            text = page.read().decode()
        return '' if text.strip() == '<h1>it works</h1>' else f'the page was {text!r}'
    except OSError as why:
        return str(why)
    finally:
        with contextlib.suppress(OSError):
            socket.create_connection(('127.0.0.1', ports[DONE]), 60).close()


class XenDocument(Document):
    def __init__(self, ports):
        super().__init__()
        self.ports = ports

    def take(self, line):
        if line != '## outside':
            super().take(line)
            return
        wrong = outside(self.ports)
        print(f'# {wrong or "well"}', flush=True)
        self.test(not wrong, f'{self.program}: a query and a page from outside of the machine')


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split('\n\n')[1])
    parser.add_argument('--build', required=True)
    parser.add_argument('--cache')
    parser.add_argument('--limit', type=float, default=540)
    parser.add_argument('--only', default='', help='one program of the suite')
    parser.set_defaults(guests=True)
    options = parser.parse_args()
    options.program, options.file = (
        [f'{os.path.join(options.build, source)}={target}' for source, target in table.items()]
        for table in (PROGRAMS, FILES))
    options.forward, options.ports = [QUERY, PAGE, DONE], {}
    document = XenDocument(options.ports)
    images = lab.Images(os.path.abspath(options.cache or options.build + '/xen-lab'))
    script = read_suite(HERE, options.only)
    try:
        images.make()
        status = lab.attempt(images, options, script, document.take)
    except lab.LabError as why:
        print(f'# lab: {why}')
        status = 3
    return document.close(status)


if __name__ == '__main__':
    sys.exit(main())
