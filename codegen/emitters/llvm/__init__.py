"""The LLVM emitter: a program of the loop IR as vectorised LLVM IR text, with no pass of LLVM's optimiser to lean on."""
