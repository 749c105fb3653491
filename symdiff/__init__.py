"""symdiff: from a formula to its derivatives to kernels at the speed of the hardware."""

from symdiff.operators.methods import FUNCTIONS as _FUNCTIONS

globals().update({name: function for name, function in _FUNCTIONS.items() if not name.startswith("_")})

from symdiff.differentiation import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from symdiff.sizes import Dim, dim, dims
from symdiff.operators.methods import from_numpy
from symdiff.simplification import simplify
