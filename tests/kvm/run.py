#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Runs what `suite` names in the lab, and makes one TAP document of what it says.

usage: run.py --build DIR [--cache DIR] [--only PROGRAM] [--cpu CPU]"""
import argparse
import os
import sys

import lab
from document import Document, read_suite

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split('\n\n')[1])
    parser.add_argument('--build', required=True)
    parser.add_argument('--cache')
    parser.add_argument('--limit', type=float, default=540)
    parser.add_argument('--cpu', default=lab.CPU)
    parser.add_argument('--only', default='', help='one program of the suite')
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    options.folder = [SOURCE, build]
    document = Document()
    images = lab.Images(os.path.abspath(options.cache or build + '/kvm-lab'))
    script = f"source='{SOURCE}' build='{build}'\n" + read_suite(HERE, options.only)
    try:
        images.make()
        status = lab.attempt(images, options, script, document.take)
    except lab.debian.LabError as why:
        print(f'# lab: {why}')
        status = 3
    return document.close(status)


if __name__ == '__main__':
    sys.exit(main())
