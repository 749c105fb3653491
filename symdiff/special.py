"""Special functions under SciPy's names (`sd.special`)."""

from symdiff.operators.elementwise import cbrt, erf, erfc, exp2, expit, expm1, log1p, logaddexp, sigmoid, xlogy
from symdiff.operators.reductions import log_softmax, logsumexp, softmax
from symdiff.operators.special import entr, log_expit, log_ndtr, logit, ndtr, rel_entr, xlog1py

__all__ = [
    "cbrt", "entr", "erf", "erfc", "exp2", "expit", "expm1", "log1p", "log_expit", "log_ndtr", "log_softmax",
    "logaddexp", "logit", "logsumexp", "ndtr", "rel_entr", "sigmoid", "softmax", "xlog1py", "xlogy",
]
