"""Matrix and vector operands: how far they go along an axis, and whether BLAS can read them."""

from __future__ import annotations

from collections.abc import Mapping

from codegen.loop_ir.nodes import Buffer, Panel
from symdiff.sizes import Size, divide_exactly, floor_divide, product


def extent_along(axis: int, panel: Panel, extent: Size, buffer: Buffer) -> Size:
    """How many indices of an axis, the first of its group, the rows or columns of a panel take; its other axes are whole."""
    group = next((g for g in (panel.row_group, panel.column_group) if g[:1] == (axis,)), (axis,))
    behind = product(tuple([buffer.shape[other] for other in group[1:]]))
    return 0 if behind == 0 else divide_exactly(extent, behind) or floor_divide(extent, behind)


def suits_blas(buffers: Mapping[str, Buffer], *panels: Panel) -> bool:
    """Whether BLAS can read the matrices: floats, in each of which neighbours along rows or columns lie side by side."""
    stored = [buffers[p.buffer] for p in panels]
    return stored[0].dtype.startswith("float") and all(
        len(b.shape) - 1 in (p.row_axis, p.column_axis) for b, p in zip(stored, panels, strict=True))
