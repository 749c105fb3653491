"""`python -m symdiff cache`: what is kept on disk, whether it is sound, and how to be rid of it."""

from __future__ import annotations

import argparse
import os
import re
import time
from typing import Any

from codegen.runtime.kernel_store import ABANDONED_AFTER, BOUND, PART, absolute, entries, prune, reason_of, verify
from codegen.runtime.private_folders import NotOurs, PrivateFolder
from symdiff.errors import ArgumentMismatch
from symdiff.settings import cache_folder

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
ABOUT = """\
Compiled kernels are kept in a folder on disk, so that a process that needs one again need not compile it.

  show     the folder, how many kernels are in it, their bytes, when the last was used
  verify   read every kernel and tell those that are damaged; status 1 where there are any
  prune    remove the kernels that were used longest ago until the others fit into --size, or with --all every one"""
NOTES = f"""\
Damaged kernels are never used, and replaced when they are needed.  A folder that outgrows {BOUND >> 20} MiB is pruned on the
way.  It is safe to prune, or to remove the whole folder, at any time.  What is not a kept kernel is left alone."""


def add_cache_command(commands: Any) -> None:
    """Add the command to those of the parser."""
    command = commands.add_parser("cache", help="show, verify or prune the compiled kernels that are kept on disk",
                                  description=ABOUT, epilog=NOTES, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("action", nargs="?", choices=ACTIONS, default="show", help="what to do (show unless given)")
    command.add_argument("--folder", metavar="PATH", help="the folder (SYMDIFF_CACHE_DIR, or symdiff in the user's cache folder)")
    limit = command.add_mutually_exclusive_group()
    limit.add_argument("--size", type=byte_count, metavar="BYTES",
                       help=f"bytes that prune leaves, as in 500K, 64M, 1G ({BOUND >> 20}M unless given)")
    limit.add_argument("--all", action="store_true", help="prune removes every kernel")
    command.set_defaults(run=run_action)


def byte_count(text: str) -> int:
    """The type of an option that takes a number of bytes.

    >>> byte_count("64M")
    67108864
    """
    found = re.fullmatch(r"(\d+)([KMG]?)i?B?", text, re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of bytes such as 500K, 64M or 1G")
    return int(found[1]) * UNITS[found[2].upper()]


def run_action(options: argparse.Namespace) -> int:
    """`cache`; raises `ArgumentMismatch` for a folder that cannot be used."""
    if options.action != "prune" and (options.all or options.size is not None):
        raise ArgumentMismatch(f"cache {options.action} takes no size", mend="python -m symdiff cache prune --size 64M")
    path = absolute(options.folder or cache_folder())
    if not path:
        raise ArgumentMismatch("there is no home folder to keep kernels in", mend="set SYMDIFF_CACHE_DIR, or give --folder")
    print(f"folder: {path}")
    try:
        with PrivateFolder(path) as folder:
            return int(ACTIONS[options.action](folder, options))
    except FileNotFoundError:
        print("kernels: 0 (the folder is made when one is kept)")
        return 0
    except (OSError, ValueError, NotOurs) as fault:
        raise ArgumentMismatch(f"no kernels are kept in {path}: {reason_of(fault)}",
                               mend="set SYMDIFF_CACHE_DIR to a folder of your own") from None


def show(folder: PrivateFolder, options: argparse.Namespace) -> int:
    """What is kept."""
    kept = entries(folder)
    total = sum(size for _, size, _ in kept)
    print(f"kernels: {len(kept)}\nbytes: {total:,} of at most {BOUND:,}")
    if kept:
        first, last = (time.strftime("%Y-%m-%d %H:%M", time.localtime(choose(used for *_, used in kept))) for choose in (min, max))
        print(f"used: from {first} to {last}")
    now = time.time()
    parts = sum(1 for name, _, at in folder.files() if name.endswith(PART) and now - at > ABANDONED_AFTER)
    if parts:
        print(f"files that were never finished: {parts} (prune removes them)")
    return 0


def check_all(folder: PrivateFolder, options: argparse.Namespace) -> int:
    """Read every kernel."""
    faults = verify(folder)
    for name, why in faults:
        print(f"damaged: {os.path.join(folder.path, name)}: {why}")
    print(f"kernels: {len(entries(folder))}, damaged: {len(faults)}")
    return 1 if faults else 0


def remove(folder: PrivateFolder, options: argparse.Namespace) -> int:
    """Remove the kernels that were used longest ago."""
    left = -1 if options.all else BOUND if options.size is None else options.size
    count, freed = prune(folder, left, left)
    kept = entries(folder)
    print(f"removed: {count} kernels, {freed:,} bytes\nkernels: {len(kept)}\nbytes: {sum(size for _, size, _ in kept):,}")
    return 0


ACTIONS = {"show": show, "verify": check_all, "prune": remove}
