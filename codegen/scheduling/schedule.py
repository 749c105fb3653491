"""The passes of the processor targets, in order, in one place."""

from __future__ import annotations

from codegen.backends.protocol import Pass
from codegen.scheduling.blocked_sums import block_sums
from codegen.scheduling.dead_code import drop_dead_code
from codegen.scheduling.divided_loops import split_samples
from codegen.scheduling.element_registers import carry, hand_on
from codegen.scheduling.fused_loops import fuse
from codegen.scheduling.independent_parts import cut_ranges
from codegen.scheduling.jammed_loops import jam
from codegen.scheduling.opened_products import open_products
from codegen.scheduling.ordered_loops import order_loops
from codegen.scheduling.parted_sections import part_sections
from codegen.scheduling.parts_in_place import place_parts
from codegen.scheduling.peeled_loops import peel
from codegen.scheduling.row_nests import nest_rows
from codegen.scheduling.shared_reciprocals import share_reciprocals
from codegen.scheduling.shared_slots import share_slots
from codegen.scheduling.short_loops import write_out
from codegen.scheduling.turned_operands import turn_operands
from codegen.scheduling.turned_sums import turn_sums
from codegen.scheduling.vector_loops import vectorise

LOOPS: tuple[Pass, ...] = (turn_sums, fuse, hand_on, drop_dead_code, block_sums)
PARTS: tuple[Pass, ...] = (part_sections, cut_ranges)
STORAGE: tuple[Pass, ...] = (place_parts, share_slots)
SCHEDULE: tuple[Pass, ...] = (*LOOPS, *PARTS, *STORAGE)
# Where no compiler after us opens products and vectorises loops.
VECTOR_SCHEDULE: tuple[Pass, ...] = (nest_rows, split_samples, write_out, *LOOPS, order_loops, peel, carry,
                                     share_reciprocals, *PARTS, turn_operands, open_products, vectorise, jam, *STORAGE)
