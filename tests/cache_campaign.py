"""The campaign of the disk cache: no wrong number, no abort, and one warning a process at most, whatever happens to it.

    python tests/cache_campaign.py --rounds 20 --processes 16 --kernels 50 --kills 200 --corruptions 1000

1. Rounds: processes that start at once share an empty folder, and each needs all kernels, in an order of its own.
2. Kills: a process that compiles and keeps kernels, or keeps long entries one after the other, gets SIGKILL at a random instant.
3. Corruptions: an entry is cut short, flipped, zeroed, of another version or of another kernel; then its kernel is asked for.
4. Folders: read-only, vanishing, full, another user's, a link, open to all, a file, in no home.

Each kernel holds a number of its own, so that one kernel in place of another is a wrong number.  Numbers are held against
plain NumPy.  The status is 1 where anything went wrong; the last line says so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import symdiff as sd
from codegen.backends.native_code import machine
from codegen.backends.object_keys import writers_digest
from codegen.runtime.kernel_store import HEAD, MAGIC, PART, KernelStore, entries, verify
from codegen.runtime.private_folders import PrivateFolder

TOP = Path(__file__).parents[1]
NOBODY = 65534
X = np.random.default_rng(0).normal(size=(40, 3))
W = np.array([0.3, -0.2, 0.5])
Tally = Counter[str]


def problem(k: int) -> tuple[list[Any], Any, Any]:
    """Inputs and outputs of kernel k, and what these are at X, W, by plain NumPy."""
    n, d = sd.dims("n d")
    x, w = sd.symbol("X", (n, d)), sd.symbol("w", d)
    c = 1 + k / 64
    z, v = x @ w, X @ W
    loss, value, slope = [
        (lambda: sd.exp(c * z), lambda: np.exp(c * v), lambda: c * np.exp(c * v)),
        (lambda: (z - c)**2, lambda: (v - c)**2, lambda: 2 * (v - c)),
        (lambda: sd.softplus(c * z), lambda: np.log1p(np.exp(c * v)), lambda: c / (1 + np.exp(-c * v))),
        (lambda: sd.tanh(z + c), lambda: np.tanh(v + c), lambda: 1 - np.tanh(v + c)**2),
        (lambda: sd.log(z**2 + c), lambda: np.log(v**2 + c), lambda: 2 * v / (v**2 + c)),
    ][k % 5]
    return [x, w], sd.value_and_grad(sd.sum(loss()), w), (np.sum(value()), X.T @ slope())


def ask(k: int, folder: str) -> tuple[str, bool]:
    """(where kernel k came from, whether its numbers are right)."""
    inputs, outputs, expected = problem(k)
    kernel = sd.compile(outputs, inputs, cache=folder)
    # Two calls: the second one asks for the code of fast calls.
    right = all(np.allclose(a, b, rtol=1e-10, atol=1e-12) for _ in range(2) for a, b in zip(kernel(X, W), expected, strict=True))
    return str(kernel.stats()["cache"]), right


def tell(told: Sequence[str], wrong: int, warned: int, **more: Any) -> None:
    """What a worker found, for the process that started it."""
    count = Counter("refused" if t.startswith("refused") else t for t in told)
    print(json.dumps({**count, "wrong": wrong, "warned": warned, **more}), flush=True)


def worker(folder: str, numbers: Sequence[int], start: str, user: int | None, full: bool) -> None:
    """Ask for kernels, once the file `start` is there; `full` lets no file grow."""
    machine(), writers_digest()
    # Another user may not be allowed to read where Python lies, so all that is needed is imported before.
    machine().object_of([sd.compile(sd.symbol("x") * 2, cache=False).llvm])
    if full:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    if user is not None:
        os.setgid(user)
        os.setuid(user)
    print("ready", flush=True)
    while start and not os.path.exists(start):
        time.sleep(0.005)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        answers = [ask(k, folder) for k in numbers]
    tell([a for a, _ in answers], sum(not right for _, right in answers), len(found))


def endless(folder: str, seed: int) -> None:
    """Compile and keep kernels, or (odd seeds) keep long entries, until killed."""
    rng = random.Random(seed)
    machine().fast_call(None)
    print("ready", flush=True)
    store = KernelStore(folder)
    while True:
        if seed % 2:
            key = rng.randbytes(32)
            store.save(key, key * (1 << rng.randrange(10, 18)))
        else:
            ask(rng.randrange(1 << 12), folder)


def corrupt(data: bytes, other: bytes, rng: random.Random) -> tuple[str, bytes]:
    """(what was done to it, an entry that is not as it was written)."""
    kind = rng.choice(["truncated", "flipped", "zeroed", "version", "another kernel", "longer", "empty"])
    at, length = rng.randrange(len(data)), rng.randrange(1, 200)
    if kind == "flipped":
        # A third of the flips are in the head.
        places = {rng.randrange(HEAD.size * 8 if rng.random() < 0.3 else len(data) * 8) for _ in range(rng.choice([1, 1, 2, 8]))}
        changed = bytearray(data)
        for place in places:
            changed[place // 8] ^= 1 << place % 8
        return kind, bytes(changed)
    return kind, {
        "truncated": data[:at], "zeroed": data[:at] + bytes(len(data[at:at + length])) + data[at + length:],
        "version": HEAD.pack(MAGIC, rng.choice([0, 2, 1 << 40]), *HEAD.unpack_from(data)[2:]) + data[HEAD.size:],
        "another kernel": other, "longer": data + bytes(length), "empty": b"",
    }[kind]


def corruptions(folder: str, count: int, kernels: int, seed: int) -> None:
    """Corrupt entries, one at a time, and ask for their kernels."""
    rng = random.Random(seed)
    machine().fast_call(None)
    names = {}
    for k in range(kernels):
        before = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        ask(k, folder)
        (names[k],) = set(os.listdir(folder)) - before
    kinds: Tally = Counter()
    told, wrong = [], 0
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        while sum(kinds.values()) < count:
            k, other = rng.sample(range(kernels), 2)
            path = Path(folder, names[k])
            sound = path.read_bytes()
            kind, data = corrupt(sound, Path(folder, names[other]).read_bytes(), rng)
            if data == sound:
                continue
            path.write_bytes(data)
            answer, right = ask(k, folder)
            # The entry was replaced by a sound one.
            mended = ask(k, folder) == ("hit", True) if rng.random() < 0.1 else path.read_bytes() == sound
            kinds[kind] += 1
            told.append(answer)
            wrong += not right or not mended
    tell(told, wrong, len(found), **{f"were {kind}": number for kind, number in sorted(kinds.items())})


def started(arguments: Sequence[object]) -> subprocess.Popen[str]:
    """This file in a process of its own, ready to begin."""
    return subprocess.Popen([sys.executable, __file__, *map(str, arguments)], stdout=subprocess.PIPE, text=True, cwd=TOP)


def finished(process: subprocess.Popen[str], total: Tally) -> None:
    """Add what a process found."""
    out = process.communicate()[0]
    last = out.strip().splitlines()[-1:]
    if process.returncode or not last or not last[0].startswith("{"):
        total["aborted"] += 1
        return
    found = json.loads(last[0])
    total.update(found)
    total["warned twice"] += found["warned"] > 1


def look(folder: str, total: Tally) -> int:
    """Add the damaged entries of a folder; how many sound ones it holds."""
    with PrivateFolder(folder) as opened:
        faults, count = verify(opened), len(entries(opened))
        total["damaged"] += len(faults)
        total["unfinished"] += sum(name.endswith(PART) for name, *_ in opened.files())
    return count - len(faults)


@contextmanager
def scratch() -> Iterator[str]:
    """A folder for folders."""
    with tempfile.TemporaryDirectory(prefix="symdiff-campaign-") as top:
        os.chmod(top, 0o755)
        yield top


def run_rounds(rounds: int, processes: int, kernels: int, seed: int) -> Tally:
    """The first part."""
    # The code of fast calls is kept too.
    expected = kernels + (machine().fast_call(None) is not None)
    total: Tally = Counter()
    rng = random.Random(seed)
    for _ in range(rounds):
        with scratch() as top:
            folder, start = f"{top}/kernels", f"{top}/start"
            orders = [",".join(map(str, rng.sample(range(kernels), kernels))) for _ in range(processes)]
            workers = [started(["--worker", folder, "--numbers", order, "--start", start]) for order in orders]
            for process in workers:
                assert process.stdout is not None
                process.stdout.readline()
            Path(start).touch()
            for process in workers:
                finished(process, total)
            total["missing"] += abs(expected - look(folder, total))
    return total


def run_kills(count: int, seed: int) -> Tally:
    """The second part."""
    total: Tally = Counter()
    rng = random.Random(seed)
    with scratch() as top:
        folder = f"{top}/kernels"
        for k in range(count):
            process = started(["--endless", folder, "--seed", seed + k])
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.random() * 0.3)
            process.kill()
            process.communicate()
            total["killed"] += process.returncode == -9
            if k % 20 == 19:
                total["kept"] += look(folder, total)
                shutil.rmtree(folder, ignore_errors=True)
        if os.path.isdir(folder):
            total["kept"] += look(folder, total)
    return total


def run_corruptions(count: int, kernels: int, seed: int) -> Tally:
    """The third part."""
    total: Tally = Counter()
    with scratch() as top:
        finished(started(["--corrupted", f"{top}/kernels", "--count", count, "--kernels", kernels, "--seed", seed]), total)
    return total


def run_folders(kernels: int) -> Tally:
    """The fourth part."""
    total: Tally = Counter()
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    for name, prepare in FOLDERS.items():
        with scratch() as top:
            folder = f"{top}/kernels"
            path, undo, user = prepare(folder)
            if root:
                # Nothing is forbidden to root, so the worker becomes a user like others.
                os.chown(top, NOBODY, NOBODY)
                if user is not None and os.path.lexists(folder):
                    os.chown(folder, user, user, follow_symlinks=False)
            before = total["warned"]
            finished(started(["--worker", path, "--numbers", ",".join(map(str, range(kernels))),
                              *(["--user", NOBODY] if root else []), *(["--full"] if name == "full" else [])]), total)
            print(f"  {name}: {total['warned'] - before} warning", flush=True)
            undo()
    return total


def nothing() -> None:
    """Nothing to undo."""


Prepared = tuple[str, Callable[[], None], int | None]


def sized(mode: int, user: int | None = NOBODY) -> Callable[[str], Prepared]:
    """A folder with these rights, of that user."""
    def prepare(folder: str) -> Prepared:
        os.mkdir(folder)
        os.chmod(folder, mode)
        return folder, nothing, user
    return prepare


def linked(folder: str) -> Prepared:
    """A link to a good folder."""
    os.mkdir(f"{folder}-target", 0o700)
    os.symlink(f"{folder}-target", folder)
    return folder, nothing, NOBODY


def filed(folder: str) -> Prepared:
    """A file in place of the folder."""
    Path(folder).write_bytes(b"")
    return folder, nothing, NOBODY


def vanishing(folder: str) -> Prepared:
    """A folder that is removed again and again."""
    over = threading.Event()

    def sweep() -> None:
        while not over.wait(0.002):
            shutil.rmtree(folder, ignore_errors=True)
    sweeper = threading.Thread(target=sweep)
    sweeper.start()

    def undo() -> None:
        over.set()
        sweeper.join()
    return folder, undo, None


FOLDERS: dict[str, Callable[[str], Prepared]] = {
    "good": sized(0o700), "read-only": sized(0o500), "unreadable": sized(0), "open to all": sized(0o777),
    "open to the group": sized(0o770), "another user's": sized(0o755, None), "a link": linked, "a file": filed,
    "vanishing": vanishing, "nowhere": lambda folder: ("/dev/null/kernels", nothing, None),
    "full": sized(0o700),
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("rounds", 1), ("processes", 4), ("kernels", 10), ("kills", 5), ("corruptions", 50), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"{value} unless given")
    # What the processes that this one starts are given.
    for name in ("worker", "endless", "corrupted", "numbers", "start"):
        parser.add_argument(f"--{name}", default="", help=argparse.SUPPRESS)
    for name in ("count", "user"):
        parser.add_argument(f"--{name}", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--full", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, [int(k) for k in options.numbers.split(",")], options.start, options.user, options.full)
    elif options.endless:
        endless(options.endless, options.seed)
    elif options.corrupted:
        corruptions(options.corrupted, options.count, options.kernels, options.seed)
    else:
        sys.exit(campaign(options))


def campaign(options: argparse.Namespace) -> int:
    """All four parts; the status."""
    bad = 0
    for name, run in (
        ("rounds", lambda: run_rounds(options.rounds, options.processes, options.kernels, options.seed)),
        ("kills", lambda: run_kills(options.kills, options.seed)),
        ("corruptions", lambda: run_corruptions(options.corruptions, max(options.kernels, 2), options.seed)),
        ("folders", lambda: run_folders(options.kernels)),
    ):
        start = time.perf_counter()
        total = run()
        bad += faults_in(total)
        print(f"{name}: {dict(total)}, {time.perf_counter() - start:.0f} s", flush=True)
    print("nothing went wrong" if not bad else f"{bad} faults")
    return 1 if bad else 0


def faults_in(total: Tally) -> int:
    """How many things went wrong."""
    return sum(total[name] for name in ("wrong", "aborted", "damaged", "missing", "warned twice"))


if __name__ == "__main__":
    main()
