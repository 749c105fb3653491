"""Storage of a call: fresh outputs or those that the caller gave, and scratch that is used again from call to call.

Threads may call one kernel at the same time: each call takes a set of scratch arrays for itself and gives it back.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen.loop_ir.nodes import Buffer, Program
from codegen.loop_ir.walks import INPUTS, parameters, storage_shape, tile_rows
from codegen.runtime.forks import renewed_in_children
from symdiff.errors import ArgumentMismatch
from symdiff.sizes import value_of

Array = np.ndarray[Any, Any]
REMEMBERED = 8
# Scratch begins at a line of the cache, and no two buffers of whole pages at the same place of a page, or what is read of one
# waits for what was written of another.
LINE, APART = 64, 192


class Frame:
    """What a program stores for one set of sizes."""

    def __init__(self, outputs: list[tuple[tuple[int, ...], np.dtype[Any]]],
                 scratch: list[tuple[Buffer, tuple[int, ...]]]) -> None:
        self.outputs, self.scratch = outputs, scratch
        self.free: list[list[Array]] = []
        self.slots: dict[int | str, int] = {}
        for buffer, shape in scratch:
            key = buffer.name if buffer.slot is None else buffer.slot
            size = int(np.prod(shape, dtype=np.int64)) * np.dtype(buffer.dtype).itemsize
            self.slots[key] = max(self.slots.get(key, 0), size)
        # What one call needs beside its arguments and outputs.
        self.scratch_bytes = sum(self.slots.values())

    def take(self) -> list[Array]:
        """A set of scratch arrays for one call."""
        try:
            return self.free.pop()
        except IndexError:
            return self.allocate()

    def give(self, arrays: list[Array]) -> None:
        """Hand a set back for later calls."""
        self.free.append(arrays)

    def allocate(self) -> list[Array]:
        """A new set, in one piece of memory; buffers of one slot are views of the same bytes."""
        memory = np.empty(LINE + sum(-(-size // LINE) * LINE + APART for size in self.slots.values()), np.uint8)
        start = -memory.ctypes.data % LINE
        slots = {}
        for key, size in self.slots.items():
            slots[key] = memory[start:start + size]
            start += -(-size // LINE) * LINE + APART
        arrays = []
        for buffer, shape in self.scratch:
            raw = slots[buffer.name if buffer.slot is None else buffer.slot]
            size = int(np.prod(shape, dtype=np.int64)) * np.dtype(buffer.dtype).itemsize
            arrays.append(raw[:size].view(buffer.dtype).reshape(shape))
        return arrays


class Storage:
    """The frames of a program, the latest few sizes kept."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.rows = tile_rows(program)
        self.frames: OrderedDict[tuple[int, ...], Frame] = OrderedDict()
        self.lock = threading.RLock()
        renewed_in_children(self)

    def frame(self, sizes: tuple[int, ...]) -> Frame:
        """The frame for the sizes, in the program's order."""
        frame = self.frames.get(sizes)
        if frame is None:
            frame = self.make(sizes)
            with self.lock:
                while len(self.frames) >= REMEMBERED:
                    self.frames.popitem(last=False)
                frame = self.frames.setdefault(sizes, frame)
        elif len(self.frames) > REMEMBERED // 2:
            with self.lock:
                if sizes in self.frames:
                    self.frames.move_to_end(sizes)  # the one that was used longest ago goes first
        return frame

    def make(self, sizes: tuple[int, ...]) -> Frame:
        """Work out all shapes."""
        values = dict(zip(self.program.sizes, sizes, strict=True))
        outputs, scratch = [], []
        for b in parameters(self.program):
            if b.role not in INPUTS:
                shape = tuple(value_of(s, values) for s in storage_shape(b, self.rows))
                if b.role == "out":
                    outputs.append((shape, np.dtype(b.dtype)))
                else:
                    scratch.append((b, shape))
        return Frame(outputs, scratch)


def fresh_outputs(frame: Frame) -> list[Array]:
    """New arrays for the outputs."""
    return [np.empty(shape, dtype) for shape, dtype in frame.outputs]


def given_outputs(frame: Frame, out: Sequence[Any], inputs: Sequence[Array], names: Sequence[str]) -> list[Array]:
    """Arrays to compute into for the arrays that the caller gave: the same ones wherever that is safe.

    `names` are those of the arrays in errors.  Raises `ArgumentMismatch` where one has the wrong dtype or shape, cannot
    be written, or overlaps another.
    """
    targets = []
    for k, (array, (shape, dtype), name) in enumerate(zip(out, frame.outputs, names, strict=True)):
        check_output(name, array, shape, dtype)
        for other, other_name in zip(out[:k], names, strict=False):
            if overlap(array, other):
                raise ArgumentMismatch(f"{other_name} and {name} share memory", mend="give each output an array of its own")
        flags = array.flags
        direct = flags.c_contiguous and flags.aligned and not any(np.may_share_memory(array, x) for x in inputs)
        targets.append(array if direct else np.empty(shape, dtype))
    return targets


def check_output(name: str, array: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise `ArgumentMismatch` unless an output may be written to the array."""
    if not isinstance(array, np.ndarray):
        kind = "None" if array is None else f"a {type(array).__name__}"
        raise ArgumentMismatch(f"{name} is {kind}, not a NumPy array", mend=f"pass np.empty({shape}, {str(dtype)!r})")
    if array.dtype != dtype or array.shape != shape:
        raise ArgumentMismatch(f"{name} is {array.dtype} of shape {array.shape}, but {dtype} of shape {shape} is "
                               "expected", mend=f"pass np.empty({shape}, {str(dtype)!r})")
    if not array.flags.writeable:
        raise ArgumentMismatch(f"{name} cannot be written", mend="pass an array that owns its data")
    if not array.flags.c_contiguous and shares_elements(array):
        raise ArgumentMismatch(f"the elements of {name} share memory", mend="pass an array that owns its data")


def shares_elements(array: Array) -> bool:
    """Whether two elements of an array stand at places that have bytes in common."""
    reach = array.itemsize
    for step, size in sorted((abs(step), size) for step, size in zip(array.strides, array.shape, strict=True) if size > 1):
        if step < reach:
            break
        reach += (size - 1) * step
    else:
        return False
    # Along two axes it goes over the same places: their starts tell.
    starts = np.zeros((), np.int64)
    for step, size in zip(array.strides, array.shape, strict=True):
        starts = np.add.outer(starts, np.arange(size) * step)
    return bool((np.diff(np.sort(starts, axis=None)) < array.itemsize).any())


def overlap(a: Array, b: Array) -> bool:
    """Whether two arrays have an element in common; where that is too hard to tell, yes."""
    work: Any = 10_000  # NumPy's annotation knows only the two special values
    try:
        return bool(np.shares_memory(a, b, max_work=work))
    except np.exceptions.TooHardError:
        return True
