"""Row nests: all that a tile does with a row of few columns is done at once, while the row is in registers.

before:  tile by 16
           t = X w                                   a product over the rows of the tile
           sample i: u[i] = t[i] - y[i]
           g += X.T u                                which reads them again
after:   tile by 16
           sample i
             for q: d += X[i, q] * w[q]
             for q: g[q] += X[i, q] * (d - y[i])

Rows are then asked of memory all the time, and not in turns with work on what has come.  With many columns the sums would not
stay in registers, and much work on each sample is worth vectors of samples: there tiles stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from codegen.loop_ir.dtypes import BYTES
from codegen.loop_ir.nodes import Accumulate, Call, MatMul, MatVec, Program, SampleLoop, Statement, TileLoop
from codegen.loop_ir.rewriting import counted_by, moved
from codegen.loop_ir.scalars import DEAR
from codegen.loop_ir.walks import panels_of, statements, subvalues, used_registers, values_of, written
from codegen.scheduling.fused_loops import meet_in_turn, touched, written_in
from codegen.scheduling.opened_products import Opener
from codegen.scheduling.short_loops import Writer
from codegen.scheduling.vector_loops import LONGEST_UNROLLED, independent

# Bytes of a row whose sums stay in registers, or nearly; values of a sample for which vectors of samples would be little better.
WIDEST, MOST_VALUES = 512, 16
# Rows of so many elements are stored as they stand.
WHOLE_ROW = 8
# A tile has at least so many rows: what is asked of memory does not hang on it, and its sums are loaded and stored once for each.
ROWS = 256


def nest_rows(program: Program) -> Program:
    """The program with its row nests."""
    opener, writer = Opener(program), Writer(program)

    def nested(statement: Statement) -> Statement:
        if type(statement) is not TileLoop or not multiplies_rows(statement.body, opener):
            return statement
        opened = [fresh for s in statement.body for fresh in ((s,) if isinstance(s, MatMul) else opener.statement(s))]
        nest = joined(opened)
        if nest is None:
            return statement
        if not is_light(statement.body):
            if any(isinstance(s, MatMul) and isinstance(s.m, int) and s.m >= WHOLE_ROW for s in statement.body):
                return statement  # vectors of samples would store rows element by element
            # Rows of a few elements are taken by vectors of samples, whatever there is to do with them.
            by_samples = writer.with_samples_for_lanes(nest[0])
            return replace(statement, body=(*by_samples, *nest[1:])) if by_samples else statement
        return replace(statement, rows=max(statement.rows, ROWS), body=nest)
    return replace(program, sections=tuple(replace(s, body=tuple([nested(b) for b in s.body])) for s in program.sections))


def multiplies_rows(body: Sequence[Statement], opener: Opener) -> bool:
    """Whether a tile multiplies short rows of one matrix by vectors, and gathers them; of rows of a few elements once is enough."""
    products = [s for s in body if isinstance(s, MatVec)]
    if not products or len({p.A.buffer for p in products}) > 1:
        return False
    if any(not isinstance(s, (MatVec, MatMul, SampleLoop, Accumulate)) for s in body):
        return False
    columns = [p.k if p.m is None else p.m for p in products]
    size = BYTES[opener.buffers[products[0].A.buffer].dtype]
    few = LONGEST_UNROLLED if is_light(body) else WHOLE_ROW - 1
    return all(isinstance(c, int) and (c <= few or (len(products) > 1 and c * size <= WIDEST)) for c in columns)


def is_light(body: Sequence[Statement]) -> bool:
    """Whether there is little to do with a sample."""
    values = [v for s in statements(tuple(body)) for outer in values_of(s) for v in subvalues(outer) if isinstance(v, Call)]
    return len(values) <= MOST_VALUES and not any(v.function in DEAR for v in values)


def joined(body: Sequence[Statement]) -> tuple[SampleLoop, *tuple[Statement, ...]] | None:
    """The loops over the samples as one, and behind it what takes their results; None where that is not the same."""
    loops = [s for s in body if isinstance(s, SampleLoop)]
    behind = [s for s in body if not isinstance(s, SampleLoop)]
    if not all(isinstance(s, (Accumulate, MatMul)) for s in behind):
        return None
    results = [name for s in behind for name in written(s)]
    if len(set(results)) < len(behind) or {*results} & {name for loop in loops for name in touched(loop)}:
        return None
    for place, product in enumerate(body):
        # What a product reads is not written after it.
        late = [s for s in body[place:] if isinstance(s, SampleLoop)]
        if isinstance(product, MatMul) and {p.buffer for p in panels_of(product)} & {name for s in late for name in written_in(s)}:
            return None
    whole, *others = loops
    for other in others:
        loop = moved(replace(other, var=whole.var), {other.var: counted_by(whole.var)})
        assert isinstance(loop, SampleLoop)
        if not (loop.step == whole.step == 1 and independent(whole) and independent(loop) and meet_in_turn(whole, loop)):
            return None
        if {c.name for c in whole.carried} & {name for s in statements((loop,)) for name in used_registers(s)}:
            return None
        whole = replace(whole, body=(*whole.body, *loop.body), carried=(*whole.carried, *loop.carried))
    return (whole, *behind)
