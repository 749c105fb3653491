"""From expressions to kernels: planning, lowering to the loop IR, scheduling, emitting, building and running."""
