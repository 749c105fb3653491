"""Folders that nobody else can write to, and files in them: what may hold machine code.

A folder is opened, looked at, and from then on reached by its handle where the system can: what was looked at is what is
used, wherever its name points meanwhile.  Symbolic links are not followed, in the last part of the path or in the folder.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from types import TracebackType

BY_HANDLE = {os.open, os.rename, os.unlink, os.stat} <= os.supports_dir_fd and os.scandir in os.supports_fd
# Flags that a system may lack.
NOFOLLOW, NONBLOCK, BINARY = (getattr(os, f"O_{name}", 0) for name in ("NOFOLLOW", "NONBLOCK", "BINARY"))
DIRECTORY = getattr(os, "O_DIRECTORY", 0)
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class NotOurs(Exception):
    """A folder or file that others may have written."""


def make_private(path: str) -> None:
    """Make the folder, and those above it, unless it is there."""
    if not os.path.lexists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)


def refuse_others(found: os.stat_result, kind: str) -> None:
    """Raise `NotOurs` for what another user owns or may write to; where there are no such users, access lists guard it."""
    if not hasattr(os, "geteuid"):
        return
    if found.st_uid != os.geteuid():
        raise NotOurs(f"the {kind} belongs to another user")
    if found.st_mode & OTHERS_WRITE:
        raise NotOurs(f"other users may write to the {kind}")


class PrivateFolder:
    """An open folder; raises `NotOurs` where it is a link, or another user's, or others may write to it."""

    def __init__(self, path: str) -> None:
        self.path = path
        if os.path.islink(path):
            raise NotOurs("the folder is a symbolic link")
        self.handle = os.open(path, os.O_RDONLY | DIRECTORY | NOFOLLOW) if BY_HANDLE else None
        try:
            found = os.lstat(path) if self.handle is None else os.fstat(self.handle)
            if not stat.S_ISDIR(found.st_mode):
                raise NotOurs("it is no folder")
            refuse_others(found, "folder")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> PrivateFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None

    def place(self, name: str) -> str:
        """The name of a file as the calls of the system take it, with `dir_fd=self.handle`."""
        return os.path.join(self.path, name) if self.handle is None else name

    def read(self, name: str, most: int, noted_after: float | None = None) -> bytes:
        """All bytes of a file; its time is set to now where it is older than `noted_after` seconds.

        Raises `OSError`, and `NotOurs` for what is no file of ours or has more than `most` bytes.
        """
        handle = os.open(self.place(name), os.O_RDONLY | NOFOLLOW | NONBLOCK | BINARY, dir_fd=self.handle)
        with open(handle, "rb", buffering=0) as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise NotOurs(f"{name} is no file")
            refuse_others(found, f"file {name}")
            if found.st_size > most:
                raise NotOurs(f"{name} has {found.st_size} bytes")
            data = file.readall()
            if noted_after is not None and time.time() - found.st_mtime > noted_after:
                # Where the folder may only be read, uses are not noted.
                with suppress(OSError):
                    os.utime(handle if os.utime in os.supports_fd else os.path.join(self.path, name))
        return data

    def write(self, name: str, suffix: str, data: bytes) -> None:
        """Write a file so that a reader finds all of it, or what was there before; raises `OSError`."""
        part = f"{name}.{os.urandom(8).hex()}{suffix}"
        handle = os.open(self.place(part), os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOFOLLOW | BINARY, 0o600, dir_fd=self.handle)
        try:
            with open(handle, "wb") as file:
                file.write(data)
            os.replace(self.place(part), self.place(name), src_dir_fd=self.handle, dst_dir_fd=self.handle)
        except BaseException:
            self.remove(part)
            raise

    def remove(self, name: str) -> None:
        """Remove a file, unless another process did, or has it open where that forbids it."""
        with suppress(OSError):
            os.unlink(self.place(name), dir_fd=self.handle)

    def files(self) -> list[tuple[str, int, float]]:
        """(name, bytes, time of last change) of each file; raises `OSError`."""
        found = []
        with os.scandir(self.path if self.handle is None else self.handle) as items:
            for item in items:
                with suppress(OSError):
                    told = item.stat(follow_symlinks=False)
                    if stat.S_ISREG(told.st_mode):
                        found.append((item.name, told.st_size, told.st_mtime))
        return found
