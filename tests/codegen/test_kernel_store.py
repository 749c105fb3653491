"""The disk cache: whatever befalls an entry or the folder, numbers are right, and one warning a process says why."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.backends import llvm_cpu, native_code, object_keys
from codegen.runtime import kernel_store, private_folders
from codegen.runtime.kernel_store import HEAD, MAGIC, VERSION, KernelStore, entries, entry, prune, verify
from codegen.runtime.private_folders import PrivateFolder
from symdiff import settings
from symdiff.errors import ArgumentMismatch, CacheWarning

W = np.array([1.0, -2.0, 0.5])
posix = pytest.mark.skipif(os.name != "posix", reason="rights of files are POSIX's")


@pytest.fixture(autouse=True)
def unwarned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not warned yet, and has the code of fast calls, which is kept too."""
    native_code.machine().fast_call(None)
    monkeypatch.setattr(kernel_store, "WARNED", [])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kernels"


def use(folder: Path | bool, factor: float = 3.0, **options: Any) -> tuple[str, list[str]]:
    """(what became of a kernel, the warnings), its numbers checked."""
    w = sd.symbol("w", 3)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        kernel = sd.compile([sd.sum(factor * w**2), 2 * factor * w], cache=folder, **options)
        value, gradient = [kernel(W) for _ in range(2)][-1]
    assert value == pytest.approx(factor * 5.25)
    np.testing.assert_allclose(gradient, 2 * factor * W)
    assert all(w.category is CacheWarning for w in found)
    return kernel.stats()["cache"], [str(w.message) for w in found]


def only(folder: Path) -> Path:
    """The one file of a folder."""
    (path,) = folder.iterdir()
    return path


def test_compiled_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert use(folder) == ("miss", [])
    assert folder.stat().st_mode & 0o777 == 0o700 and only(folder).stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(native_code.Machine, "object_of", None)
    monkeypatch.setattr(llvm_cpu.LlvmCpu, "emit", None)
    assert use(folder) == ("hit", [])


def test_fast_calls_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_code.machine(), "fast", None)
    use(folder)
    assert len(list(folder.iterdir())) == 2
    monkeypatch.setattr(native_code.machine(), "fast", None)
    monkeypatch.setattr(native_code.Machine, "object_of", None)
    assert use(folder) == ("hit", []) and native_code.machine().fast is not None


def test_a_kept_kernel_has_its_listings(folder: Path) -> None:
    use(folder)
    kernel = sd.compile(sd.sum(3 * sd.symbol("w", 3)**2), cache=folder)
    kernel(W)
    again = sd.compile(sd.sum(3 * sd.symbol("w", 3)**2), cache=folder)
    assert again.stats()["cache"] is None
    again(W)
    assert again.stats()["cache"] == "hit" and "emit" not in again.stats()["seconds"]
    assert again.llvm == kernel.llvm and again.assembly == kernel.assembly
    assert kernel.stats()["seconds"]["emit"] > 0 and kernel.stats()["seconds"]["build"] > 0


@pytest.mark.parametrize("options", [{"fast_math": True}, {"factor": 4.0}])
def test_other_kernels_have_other_keys(folder: Path, options: dict[str, Any]) -> None:
    use(folder)
    assert use(folder, **options) == ("miss", [])
    assert use(folder, **options) == ("hit", [])


@pytest.mark.parametrize("circumstance", range(10))
def test_other_machines_and_writers_have_other_keys(folder: Path, circumstance: int, monkeypatch: pytest.MonkeyPatch) -> None:
    use(folder)
    told = native_code.machine().circumstances
    assert len(told) == 9, "the last of the ten is another writer"
    if circumstance < len(told):
        other = (*told[:circumstance], "other", *told[circumstance + 1:])
        monkeypatch.setattr(native_code.machine(), "circumstances", other)
    else:
        monkeypatch.setattr(object_keys, "writers_digest", lambda: b"other")
    assert use(folder) == ("miss", [])
    assert len(list(folder.iterdir())) == 2


def test_names_of_symbols_make_no_difference(folder: Path) -> None:
    for name, expected in (("a", "miss"), ("b", "hit")):
        x = sd.symbol(name, "n")
        kernel = sd.compile(sd.sum(sd.exp(x) * x), cache=folder)
        kernel(W)
        assert kernel.stats()["cache"] == expected


@pytest.mark.parametrize("target", ["numba", "interpreter", "numpy"])
def test_other_targets_keep_nothing(folder: Path, target: str) -> None:
    assert use(folder, target=target) == ("off", [])
    assert not folder.exists()


def test_options(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMDIFF_CACHE_DIR", str(folder))
    assert use(False) == ("off", []) and not folder.exists()
    assert use(True) == ("miss", []) and use(True) == ("hit", []) and use(str(folder)) == ("hit", [])
    with pytest.raises(ArgumentMismatch, match="cache='' names no folder"):
        use("")


def rewritten(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A fault of an entry's bytes."""
    return lambda path: path.write_bytes(change(path.read_bytes())) and None


def flipped(place: int) -> Callable[[bytes], bytes]:
    """One bit of the byte at `place` is another."""
    return lambda data: data[:place] + bytes([data[place] ^ 4]) + data[place + 1:] if place >= 0 else flipped(
        len(data) + place)(data)


def replaced(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Something else in place of an entry, which stands beside it."""
    def replace(path: Path) -> None:
        path.rename(path.parents[1] / "kept")
        make(path)
    return replace


ENTRIES: dict[str, Callable[[Path], Any]] = {
    **{f"cut at {n}": rewritten(lambda data, n=n: data[:n]) for n in (0, 1, 15, HEAD.size - 1, HEAD.size, 500, -1)},
    **{f"flipped at {n}": rewritten(flipped(n)) for n in (0, 15, 16, 23, 24, 31, 32, 63, 64, 95, 96, 777, -1)},
    "zeroed": rewritten(lambda data: bytes(len(data))),
    "zeroed code": rewritten(lambda data: data[:HEAD.size] + bytes(len(data) - HEAD.size)),
    "zeroed end": rewritten(lambda data: data[:-512] + bytes(512)),
    "longer": rewritten(lambda data: data + b"\0"),
    "another version": rewritten(lambda data: HEAD.pack(MAGIC, VERSION + 1, *HEAD.unpack_from(data)[2:]) + data[HEAD.size:]),
    "another kernel": rewritten(lambda data: entry(bytes(32), data[HEAD.size:])),
    "text": rewritten(lambda data: b"symdiff"),
    "sound, but code that needs what is not there": lambda path: path.write_bytes(
        entry(bytes.fromhex(path.stem), native_code.machine().object_of([
            "declare void @no_such_routine()\n",
            "define void @kernel(ptr %a, ptr %b, ptr %c) {\n  call void @no_such_routine()\n  ret void\n}\n",
            "define void @kernel_of_objects(ptr %a, ptr %b, ptr %c) {\n  ret void\n}\n"]))),
}
IN_PLACE: dict[str, Callable[[Path], Any]] = {
    "a folder": replaced(Path.mkdir), "a link": replaced(lambda path: path.symlink_to(path.parents[1] / "kept")),
    "a pipe": replaced(lambda path: os.mkfifo(path)), "open to all": lambda path: path.chmod(0o666),
}


@pytest.mark.parametrize("fault", ENTRIES)
def test_a_damaged_entry_is_a_miss(folder: Path, fault: str) -> None:
    use(folder)
    ENTRIES[fault](only(folder))
    state, told = use(folder)
    assert state == "miss" and len(told) == 1 and "a kept kernel is compiled again" in told[0] and "mend: " in told[0]
    assert use(folder) == ("hit", [])


@posix
@pytest.mark.parametrize("fault", IN_PLACE)
def test_what_is_no_file_of_ours_is_a_miss(folder: Path, fault: str) -> None:
    use(folder)
    IN_PLACE[fault](only(folder))
    state, told = use(folder)
    assert len(told) == 1
    # A folder cannot be replaced.
    assert state.startswith("refused: ") if fault == "a folder" else state == "miss" and use(folder) == ("hit", [])


def test_one_warning_a_process(folder: Path) -> None:
    for factor in (2.0, 3.0):
        use(folder, factor)
    for path in folder.iterdir():
        path.write_bytes(b"")
    assert [len(use(folder, factor)[1]) for factor in (2.0, 3.0)] == [1, 0]


@posix
@pytest.mark.parametrize(("prepare", "why"), [
    (lambda folder: folder.symlink_to(folder.parent), "symbolic link"),
    (lambda folder: folder.symlink_to(folder.parent / "nowhere"), "symbolic link"),
    (lambda folder: (folder.mkdir(), folder.chmod(0o777)), "other users may write"),
    (lambda folder: (folder.mkdir(), folder.chmod(0o770)), "other users may write"),
    (lambda folder: (folder.mkdir(), folder.chmod(0o1777)), "other users may write"),
    (lambda folder: folder.write_bytes(b""), "Not a directory"),
], ids=["link", "dangling link", "open to all", "open to the group", "sticky", "file"])
def test_a_folder_that_is_refused(folder: Path, prepare: Callable[[Path], Any], why: str) -> None:
    prepare(folder)
    state, told = use(folder)
    assert state.startswith("refused: ") and why in state
    assert len(told) == 1 and why in told[0] and "SYMDIFF_CACHE_DIR" in told[0]
    assert not folder.is_dir() or folder.is_symlink() or not list(folder.iterdir())


@posix
def test_a_folder_of_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(folder)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    state, told = use(folder)
    assert "belongs to another user" in state and len(told) == 1


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EIO, errno.EMFILE])
@pytest.mark.parametrize("call", ["mkdir", "open", "replace"])
def test_a_folder_that_cannot_be_written(folder: Path, call: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = getattr(os, call)

    def fails(path: Any, *args: Any, **named: Any) -> Any:
        if call != "open" or args[0] & os.O_CREAT:
            raise OSError(number, os.strerror(number))
        return before(path, *args, **named)
    monkeypatch.setattr(os, call, fails)
    state, told = use(folder)
    assert os.strerror(number) in state and len(told) == 1 and os.strerror(number) in told[0]
    monkeypatch.setattr(os, call, before)
    assert not folder.exists() or not list(folder.iterdir())


@posix
def test_a_full_disk(folder: Path) -> None:
    """A file cannot grow: what was begun is removed."""
    use(folder, 2.0)
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        state, told = use(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "too large" in state and len(told) == 1 and only(folder).stat().st_size > 1000


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder(folder: Path) -> None:
    use(folder)
    folder.chmod(0o500)
    assert use(folder) == ("hit", [])
    state, told = use(folder, 4.0)
    assert state.startswith("refused: ") and len(told) == 1
    folder.chmod(0o700)


def test_a_folder_that_vanishes(folder: Path) -> None:
    use(folder)
    shutil.rmtree(folder)
    assert use(folder) == ("miss", []) and use(folder) == ("hit", [])


@pytest.mark.parametrize("path", ["/dev/null/kernels", "a\0b"])
def test_a_path_that_is_none(path: str) -> None:
    state, told = use(Path(path))
    assert state.startswith("refused: ") and len(told) == 1


def test_no_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SYMDIFF_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert os.path.isabs(settings.cache_folder())
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert settings.cache_folder() == ""
    state, told = use(True)
    assert "no home folder" in state and len(told) == 1


def test_the_place_that_the_system_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYMDIFF_CACHE_DIR")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert settings.cache_folder() == str(tmp_path / "symdiff")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert settings.cache_folder() == os.path.expanduser("~/.cache/symdiff")


def test_the_warning_stands_at_the_line_of_the_user(folder: Path) -> None:
    folder.write_bytes(b"")
    kernel = sd.compile(sd.symbol("x") * 3, cache=folder)
    with pytest.warns(CacheWarning) as found:
        kernel(2.0)
    assert found[0].filename == __file__


def test_sources_that_changed_are_not_trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_keys, "writers_digest", object_keys.writers_digest.__wrapped__)
    monkeypatch.setattr(object_keys, "LOADED", 0.0)
    state, told = use(folder)
    assert "was changed after Python loaded it" in state and told == [] and not folder.exists()
    monkeypatch.setattr(object_keys, "TOP", folder)
    assert "cannot be read" in use(folder)[0]


@contextmanager
def stored(folder: Path, count: int, size: int = 1000) -> Iterator[PrivateFolder]:
    """A folder with entries, the first used longest ago."""
    store = KernelStore(str(folder))
    for k in range(count):
        store.save(bytes([1, k]) * 16, bytes(size - HEAD.size))
        os.utime(folder / kernel_store.name_of(bytes([1, k]) * 16), (k, k))
    with PrivateFolder(str(folder)) as opened:
        yield opened


def test_the_oldest_are_pruned(folder: Path) -> None:
    with stored(folder, 10) as opened:
        (folder / "notes.txt").write_text("not ours")
        assert prune(opened, 10_000, 0) == (0, 0)
        assert prune(opened, 9_999, 7_500) == (3, 3_000)
        assert sorted(used for *_, used in entries(opened)) == [3, 4, 5, 6, 7, 8, 9]
        assert KernelStore(str(folder)).load(bytes([1, 3]) * 16) is not None
        assert prune(opened, 2_000, 2_000) == (5, 5_000) and 3 not in {used for *_, used in entries(opened)}
        assert prune(opened, -1, -1)[0] == 2 and [p.name for p in folder.iterdir()] == ["notes.txt"]


def test_a_folder_that_outgrows_its_bound_is_pruned(folder: Path) -> None:
    with stored(folder, 10) as opened:
        store = KernelStore(str(folder), bound=8_000)
        store.save(b"\2" * 32, bytes(900))
        assert len(entries(opened)) == 11
        store.save(b"\0" * 32, bytes(900))
        assert sum(size for _, size, _ in entries(opened)) <= 6_000
        assert store.load(b"\0" * 32) == bytes(900)


def test_what_a_writer_left_behind_is_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_folders.os, "replace", lambda *args, **named: None)
    KernelStore(str(folder)).save(b"\1" * 32, b"code")
    assert only(folder).name.endswith(".part")
    with PrivateFolder(str(folder)) as opened:
        prune(opened, 0, 0)
        assert only(folder)
        os.utime(only(folder), (0, 0))
        prune(opened, 0, 0)
    assert not list(folder.iterdir())


def test_verify(folder: Path) -> None:
    with stored(folder, 4) as opened:
        assert verify(opened) == []
        (folder / kernel_store.name_of(bytes([1, 2]) * 16)).write_bytes(b"")
        assert [why for _, why in verify(opened)] == ["it is cut short"]


def test_threads(folder: Path) -> None:
    states: list[str] = []
    threads = [threading.Thread(target=lambda: states.append(use(folder)[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(states) <= {"hit", "miss"} and len(states) == 4 and only(folder)
