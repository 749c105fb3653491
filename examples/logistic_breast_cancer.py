"""Penalised logistic regression on the breast cancer data, by Newton's method with the exact Hessian."""

import numpy as np
from sklearn.datasets import load_breast_cancer

import symdiff as sd

n, d = sd.dims("n d")
X, y, w, b = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("w", d), sd.symbol("b")
z = X @ w + b
loss = (w**2).sum() / 2 + (sd.log(1 + sd.exp(z)) - y * z).sum()
print(sd.derivation(loss, {"w": w, "b": b}))

data = load_breast_cancer()
values = {"X": (data.data - data.data.mean(axis=0)) / data.data.std(axis=0), "y": data.target.astype(float)}
result = sd.minimize(loss, wrt={"w": w, "b": b}, data=values, method="newton")
print(result)

predict = sd.compile(sd.sigmoid(z), inputs=[X, w, b])
right = (predict(values["X"], **result.parameters) > 0.5) == (values["y"] > 0.5)
print(f"accuracy {np.mean(right):.5f}")
assert abs(result.value - 37.75894596187597) < 1e-9
assert result.steps <= 15
