"""Kernels as an expert writes them for one machine: Numba loops that vectorise, BLAS on blocks that stay in the cache."""
