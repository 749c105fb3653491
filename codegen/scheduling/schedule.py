"""The passes of the processor targets, in order, in one list."""

from __future__ import annotations

from codegen.backends.protocol import Pass
from codegen.scheduling.dead_code import drop_dead_code

SCHEDULE: tuple[Pass, ...] = (drop_dead_code,)
