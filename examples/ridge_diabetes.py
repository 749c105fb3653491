"""Ridge regression on the diabetes data: one Newton step is exact, because the loss is quadratic."""

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

import symdiff as sd

n, d = sd.dims("n d")
X, y, w, b, lam = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("w", d), sd.symbol("b"), sd.symbol("lam")
loss = ((X @ w + b - y) ** 2).sum() + lam * (w**2).sum()
print(sd.derivation(loss, {"w": w, "b": b}))

data = load_diabetes()
result = sd.minimize(loss, wrt={"w": w, "b": b}, data={"X": data.data, "y": data.target, "lam": 1.0})
print(result)

reference = Ridge(alpha=1.0).fit(data.data, data.target)
gap = abs(result.parameters["w"] - reference.coef_).max()
print(f"coefficients {result.parameters['w'][:3]} …, {gap:.1e} from scikit-learn's")
assert gap < 1e-9
