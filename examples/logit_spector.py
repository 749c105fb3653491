"""The logit model of Spector and Mazzeo; standard errors come from the same Hessian that Newton's method uses."""

import numpy as np
from statsmodels.datasets import spector

import symdiff as sd

X, y, w = sd.symbol("X", ("n", "d")), sd.symbol("y", "n"), sd.symbol("w", "d")
loss = sd.nn.binary_cross_entropy_with_logits(X @ w, y, reduction="sum")

data = spector.load()
values = {"X": np.column_stack([np.ones(len(data.endog)), data.exog]), "y": np.asarray(data.endog, float)}
result = sd.minimize(loss, wrt=w, data=values, method="newton")
print(result)

information = sd.compile(sd.hessian(loss, w), inputs=[X, y, w])
errors = np.sqrt(np.diag(np.linalg.inv(information(**values, w=result.parameters))))
for name, value, error in zip(["const", *data.exog_name], result.parameters, errors, strict=True):
    print(f"{name:<6} {value:13.8f}  ± {error:.8f}")
published = [-13.02134686, 2.82611259, 0.09515766, 2.37868766]
assert np.abs(result.parameters - published).max() < 6e-9
