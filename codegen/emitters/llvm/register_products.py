"""Matrix products in registers: a tile of C stays in them while the rows of B pass by.

BLAS copies both operands into an order of its own first, which does not pay back for what the second cache holds (measured
with 512 KB and AVX2, with 2 MB and AVX-512, against OpenBLAS).  Of a small B nothing is copied; of a larger one, or one that
lies by columns, a panel at a time, which the tiles of all rows of C then read from the first cache.  C lies by rows; A may lie
in either way.  The last rows of C are computed again where its height is no multiple of a tile's.
"""

from __future__ import annotations

from codegen.emitters.llvm.indices import ONE, ZERO
from codegen.emitters.llvm.instructions import BITS, Ssa, literal
from codegen.emitters.llvm.statements import StatementWriter

# Bytes of a copy of B by rows, where it lies by columns.
COPIED_BYTES = 1 << 14
# Rows of a copied panel of B, two vectors wide, which the tiles of all rows of C read from the first cache.
DEEP = 256
# Bytes of B up to which the first cache holds it, and rows below which a copy of a panel does not pay.
HELD_BYTES, LOW_BLOCK = 1 << 15, 64
# Bytes of a column of C up to which it is faster for all sizes: B is read once or twice then.
FEW_ROWS_BYTES = 48
# Rows below which a copy of B does not pay.
LOW = 16
# The most rows of a tile of one vector and of two: with as many registers as vectors of 32 bytes have, and of 64.
HIGHEST = {False: {1: 8, 2: 6}, True: {1: 12, 2: 8}}
LEAST_ROWS = 4
# So many sums go on side by side while each waits for its last addition.
SIDE_BY_SIDE = 8


def rows_of_tile(height: Ssa, vectors: int, vector_bytes: int) -> int:
    """How many rows a tile has: as few as possible are computed twice, and rather more than fewer at once."""
    most = HIGHEST[vector_bytes > 32][vectors]
    if height.name.startswith("%"):
        return most
    m = int(height.name)
    return min(range(min(m, LEAST_ROWS), most + 1), key=lambda rows: (-(-m // rows) * rows, -rows)) if m else 1


def rows_at_once(sums: int) -> int:
    """How many rows of B are taken at once, each with sums of its own, where a tile has so few that all would wait."""
    return 1 << (-(-SIDE_BY_SIDE // sums) - 1).bit_length()


def tile_function(name: str, kind: str, lanes: int, rows: int, vectors: int, masked: bool, adds: bool,
                  scaled: bool) -> tuple[str, dict[str, str]]:
    """The function of tiles over all rows of C and so many columns, and what it declares.

    It takes A and its steps along rows and columns, B and C and their steps along rows, the numbers of rows of C and of B,
    what the product is multiplied by (where it is `scaled`), and how many columns there are (where they are `masked`).
    It `adds` to C, or sets it.
    """
    w = StatementWriter({}, {}, {})
    a, b, c = (Ssa(f"%{x}", "ptr") for x in "abc")
    a_row, a_column, b_row, c_row, m, k, left = (Ssa(f"%{x}", "i64") for x in ("ar", "ac", "br", "cr", "m", "k", "left"))
    size = BITS[kind] // 8
    masks: list[Ssa | None] = [None] * vectors
    if masked:
        counted = [Ssa("<" + ", ".join(f"i64 {v * lanes + j}" for j in range(lanes)) + ">", "i64", lanes) for v in range(vectors)]
        masks = [w.compare("icmp slt", of, left) for of in counted]

    def load(start: Ssa, v: int) -> Ssa:
        w.lanes = lanes
        value = w.read_lanes(kind, w.moved(start, literal(v * lanes, "i64"), kind), masks[v])
        w.lanes = 1
        return value

    def tile() -> None:
        first = w.variables["row"]
        last = w.minus(m, ONE)
        places = []
        for q in range(rows):
            place = w.plus(first, literal(q, "i64"))
            places.append(w.select(w.compare("icmp slt", place, m), place, last))
        starts = [w.moved(a, w.times(place, a_row), kind) for place in places]
        at_once = rows_at_once(rows * vectors)
        sums = {(u, q, v): f"{u}.{q}.{v}" for u in range(at_once) for q in range(rows) for v in range(vectors)}
        w.registers.update({register: literal(0, kind, lanes) for register in sums.values()})

        def step(count: int) -> None:
            for u in range(count):
                p = w.plus(w.variables["p"], literal(u, "i64"))
                row = w.moved(b, w.times(p, b_row), kind)
                across = [load(row, v) for v in range(vectors)]
                along = w.times(p, a_column)
                for q in range(rows):
                    one = w.here(f"load {kind}, ptr {w.moved(starts[q], along, kind).name}, align {size}", kind)
                    for v in range(vectors):
                        old = w.registers[sums[u, q, v]]
                        w.registers[sums[u, q, v]] = w.intrinsic("fmuladd", w.splat(one, lanes), across[v], old, flags="contract ")
        group = literal(at_once, "i64")
        whole = w.times(w.quotient("udiv", k, group), group)
        w.turns("p", ZERO, whole, group, list(sums.values()), lambda: step(at_once))
        own = {(q, v): sums[0, q, v] for q in range(rows) for v in range(vectors)}
        if at_once > 1:
            for (q, v), register in own.items():
                for u in range(1, at_once):
                    w.registers[register] = w.binary("fadd", w.registers[register], w.registers[sums[u, q, v]])
            w.turns("p", whole, k, ONE, list(own.values()), lambda: step(1))
        results = []
        for (q, v), register in own.items():
            target, value = w.moved(c, w.times(places[q], c_row), kind), w.registers[register]
            if scaled:
                value = w.binary("fmul", value, w.splat(Ssa("%alpha", kind), lanes))
            results.append((target, v, w.binary("fadd", load(target, v), value) if adds else value))
        for target, v, value in results:
            w.write_lanes(kind, w.moved(target, literal(v * lanes, "i64"), kind), value, masks[v])
    w.turns("row", ZERO, m, literal(rows, "i64"), (), tile)
    w.block.end = "ret void"
    head = f"define internal void @{name}(ptr %a, i64 %ar, i64 %ac, ptr %b, i64 %br, ptr noalias %c, i64 %cr, i64 %m, i64 %k, " \
           f"{kind} %alpha, i64 %left) {{"
    return "\n".join([head, *w.lines(), "}"]), w.declared


def turned(w: StatementWriter, rows: list[Ssa]) -> list[Ssa]:
    """The transpose of a square of vectors: halves, quarters and so on change places between two of them at a time."""
    lanes = len(rows)
    step = lanes // 2
    while step:
        fresh = list(rows)
        for j in range(lanes):
            if not j & step:
                a, b = rows[j], rows[j + step]
                fresh[j] = w.chosen(a, b, [k - step + lanes if k & step else k for k in range(lanes)])
                fresh[j + step] = w.chosen(a, b, [k + lanes if k & step else k + step for k in range(lanes)])
        rows, step = fresh, step // 2
    return rows


def copy_function(name: str, kind: str, lanes: int, vectors: int, masked: bool, by_columns: bool) -> tuple[str, dict[str, str]]:
    """The function that copies a panel of so many vectors by rows, and what it declares; it may lie `by_columns`.

    It takes the panel and its steps along rows and columns, the place of the copy, the number of rows, and how many columns
    there are (where they are `masked`).
    """
    w = StatementWriter({}, {}, {})
    source, copy = Ssa("%b", "ptr"), Ssa("%c", "ptr")
    row, column, k, left = (Ssa(f"%{x}", "i64") for x in ("br", "bc", "k", "left"))
    width, size = literal(vectors * lanes, "i64"), BITS[kind] // 8

    def vector() -> None:
        p = w.variables["p"]
        for v in range(vectors):
            mask = None
            if masked:
                counted = Ssa("<" + ", ".join(f"i64 {v * lanes + j}" for j in range(lanes)) + ">", "i64", lanes)
                mask = w.compare("icmp slt", counted, left)
            w.lanes = lanes
            start, target = w.moved(source, w.times(p, row), kind), w.moved(copy, w.times(p, width), kind)
            value = w.read_lanes(kind, w.moved(start, literal(v * lanes, "i64"), kind), mask)
            w.write_lanes(kind, w.moved(target, literal(v * lanes, "i64"), kind), value, None)
            w.lanes = 1

    def element() -> None:
        p, j = w.variables["p"], w.variables["j"]
        place = w.moved(source, w.plus(w.times(p, row), w.times(j, column)), kind)
        value = w.here(f"load {kind}, ptr {place.name}, align {size}", kind)
        target = w.moved(copy, w.plus(w.times(p, width), j), kind)
        w.do(f"store {kind} {value.name}, ptr {target.name}, align {size}")

    def block() -> None:
        """Pieces of so many columns as a vector has lanes, turned in registers."""
        p = w.variables["p"]
        for v in range(vectors):
            w.lanes = lanes
            starts = [w.moved(source, w.plus(p, w.times(literal(v * lanes + j, "i64"), column)), kind) for j in range(lanes)]
            for q, value in enumerate(turned(w, [w.read_lanes(kind, start, None) for start in starts])):
                place = w.plus(w.times(w.plus(p, literal(q, "i64")), width), literal(v * lanes, "i64"))
                w.write_lanes(kind, w.moved(copy, place, kind), value, None)
            w.lanes = 1

    def by_elements(first: Ssa) -> None:
        w.turns("j", ZERO, left if masked else width, ONE, (), lambda: w.turns("p", first, k, ONE, (), element))

    if not by_columns:
        column = ONE
        w.turns("p", ZERO, k, ONE, (), vector)
    elif masked or lanes == 1:
        by_elements(ZERO)
    else:
        row = ONE
        whole = w.times(w.quotient("udiv", k, literal(lanes, "i64")), literal(lanes, "i64"))
        w.turns("p", ZERO, whole, literal(lanes, "i64"), (), block)
        by_elements(whole)
    w.block.end = "ret void"
    head = f"define internal void @{name}(ptr %b, i64 %br, i64 %bc, ptr noalias %c, i64 %k, i64 %left) {{"
    return "\n".join([head, *w.lines(), "}"]), w.declared
