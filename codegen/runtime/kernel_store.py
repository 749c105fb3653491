r"""The disk cache of compiled kernels: a folder with one file for each piece of machine code.

An entry is named by its key, the SHA-256 of all that its code depends on (`codegen.backends.object_keys`), and laid out as

| bytes | what |
|---|---|
| 16 | `symdiff kernel\r\n` |
| 8  | version of this layout |
| 8  | length of the machine code |
| 32 | key |
| 32 | SHA-256 of all the others |
| …  | machine code |

An entry is written to a file beside it and renamed, so that a reader finds the whole of it or none; it is checked before a
byte of it is used.  Whatever is wrong with an entry or with the folder is a miss: the kernel is compiled, and one warning a
process says why.  When the folder outgrows its bound, the entries that were used longest ago are removed.
"""

from __future__ import annotations

import os
import struct
import sys
import time
import warnings
from contextlib import suppress

from codegen.runtime.hashes import sha256
from codegen.runtime.private_folders import NotOurs, PrivateFolder, make_private
from symdiff.errors import CacheWarning
from symdiff.provenance import is_own

MAGIC = b"symdiff kernel\r\n"
VERSION = 1
HEAD = struct.Struct("<16sQQ32s32s")
ENTRY, PART = ".kernel", ".part"
# A folder that outgrows the bound is cut down to three quarters of it.
BOUND = 256 * 1024 * 1024
# The longest code that is believed in: no kernel comes near.
LONGEST = 1 << 30
# One write in so many looks at the size of the folder; which ones is told by their keys.
PRUNED_EVERY = 32
# A use is noted by the time of the file, when the last note is so many seconds old.
NOTED_AFTER = 60.0
# A file that a writer left behind is removed after so many seconds.
ABANDONED_AFTER = 3600.0

WARNED: list[str] = []


class Damaged(Exception):
    """An entry is not what was written."""


class KernelStore:
    """The entries of one folder; `refused` says why it cannot be used, empty as long as it can."""

    def __init__(self, folder: str, bound: int = BOUND) -> None:
        self.folder, self.bound = absolute(folder), bound
        self.refused = "" if folder else "there is no home folder to keep them in"

    def load(self, key: bytes) -> bytes | None:
        """The machine code that was kept under the key, None where there is none that can be trusted."""
        if not self.refused:
            try:
                with PrivateFolder(self.folder) as folder:
                    return self.trusted(folder, key)
            except FileNotFoundError:
                return None
            except (OSError, ValueError, NotOurs) as fault:
                self.refuse(fault)
        self.tell()
        return None

    def trusted(self, folder: PrivateFolder, key: bytes) -> bytes | None:
        """The code of an entry, None and a warning for one that is not as it was written; raises `FileNotFoundError`."""
        try:
            return checked(key, folder.read(name_of(key), LONGEST + HEAD.size, NOTED_AFTER))
        except FileNotFoundError:
            raise
        except (OSError, Damaged, NotOurs) as fault:
            self.distrust(key, reason_of(fault))
            return None

    def distrust(self, key: bytes, why: str) -> None:
        """Warn of an entry that is not used."""
        warn(f"a kept kernel is compiled again: {os.path.join(self.folder, name_of(key))}: {why}",
             "nothing: the file is replaced; python -m symdiff cache verify tells whether there are others")

    def save(self, key: bytes, code: bytes) -> None:
        """Keep the machine code under the key; where that fails, one warning says why."""
        if self.refused:
            return
        try:
            make_private(self.folder)
            with PrivateFolder(self.folder) as folder:
                folder.write(name_of(key), PART, entry(key, code))
                if key[0] % PRUNED_EVERY == 0:
                    with suppress(OSError):
                        prune(folder, self.bound, self.bound * 3 // 4)
        except (OSError, ValueError, NotOurs) as fault:
            self.refuse(fault)
            self.tell()

    def refuse(self, fault: Exception) -> None:
        """Use the folder no more."""
        self.refused = f"{self.folder}: {reason_of(fault)}"

    def tell(self) -> None:
        """Warn that kernels are not kept."""
        warn(f"compiled kernels are not kept on disk: {self.refused}",
             "set SYMDIFF_CACHE_DIR to a folder of your own, or compile with cache=False")


def warn(what: str, mend: str) -> None:
    """One `CacheWarning` a process, at the line of the user."""
    if WARNED:
        return
    WARNED.append(what)
    if WARNED[0] is not what:
        return  # another thread was first
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and is_own(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    warnings.warn(CacheWarning(what, mend=mend), stacklevel=level)


def reason_of(fault: Exception) -> str:
    """A fault in a few words."""
    return fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)


def absolute(folder: str) -> str:
    """The folder from the root on, so that it stays the same one when the process goes elsewhere."""
    try:
        return os.path.abspath(os.path.expanduser(folder)) if folder else ""
    except OSError:
        return folder


def name_of(key: bytes) -> str:
    """The name of an entry's file."""
    return key.hex() + ENTRY


def entry(key: bytes, code: bytes) -> bytes:
    """The bytes of an entry."""
    return HEAD.pack(MAGIC, VERSION, len(code), key, digest(key, code)) + code


def digest(key: bytes, code: bytes) -> bytes:
    """The checksum of an entry."""
    return sha256(struct.pack("<QQ", VERSION, len(code)) + key + code).digest()


def checked(key: bytes, data: bytes) -> bytes:
    """The machine code of an entry; raises `Damaged` unless every byte is as it was written."""
    if len(data) < HEAD.size:
        raise Damaged("it is cut short")
    magic, version, length, own, told = HEAD.unpack_from(data)
    code = data[HEAD.size:]
    if magic != MAGIC:
        raise Damaged("it does not begin as a kept kernel does")
    if version != VERSION:
        raise Damaged(f"it has layout {version}, not {VERSION}")
    if own != key:
        raise Damaged("it holds another kernel")
    if length != len(code):
        raise Damaged(f"it holds {len(code)} bytes of code instead of {length}")
    if told != digest(key, code):
        raise Damaged("its checksum is wrong")
    return code


def entries(folder: PrivateFolder) -> list[tuple[str, int, float]]:
    """(name, bytes, time of last use) of each entry."""
    return [(name, size, used) for name, size, used in folder.files() if is_entry(name)]


def is_entry(name: str) -> bool:
    """Whether a file bears the name of an entry."""
    stem = name.removesuffix(ENTRY)
    return len(stem) == 64 and stem != name and all(c in "0123456789abcdef" for c in stem)


def verify(folder: PrivateFolder) -> list[tuple[str, str]]:
    """(name, what is wrong) of each entry that cannot be used."""
    found = []
    for name, _, _ in sorted(entries(folder)):
        try:
            checked(bytes.fromhex(name.removesuffix(ENTRY)), folder.read(name, LONGEST + HEAD.size))
        except FileNotFoundError:
            continue
        except (OSError, Damaged, NotOurs) as fault:
            found.append((name, reason_of(fault)))
    return found


def prune(folder: PrivateFolder, bound: int, left: int) -> tuple[int, int]:
    """Remove what writers left behind, and, where the entries are larger than `bound`, the oldest until `left` bytes stay.

    The answer is how many entries were removed, and their bytes.
    """
    now = time.time()
    for name, _, written in folder.files():
        if name.endswith(PART) and is_entry(name[: 64 + len(ENTRY)]) and now - written > ABANDONED_AFTER:
            folder.remove(name)
    kept = sorted(entries(folder), key=lambda item: item[2])
    total = sum(size for _, size, _ in kept)
    count = freed = 0
    if total > bound:
        for name, size, _ in kept:
            if total - freed <= left:
                break
            folder.remove(name)
            count, freed = count + 1, freed + size
    return count, freed
