"""Linear algebra under the Array API's names (`sd.linalg`): matrices are the last two axes, batches come before."""

from symdiff.operators.contraction import matmul, outer, tensordot, vecdot
from symdiff.operators.matrices import matrix_diagonal as diagonal
from symdiff.operators.matrices import matrix_trace as trace
from symdiff.operators.reductions import norm, vector_norm
from symdiff.operators.shaping import matrix_transpose

__all__ = ["diagonal", "matmul", "matrix_transpose", "norm", "outer", "tensordot", "trace", "vecdot", "vector_norm"]
