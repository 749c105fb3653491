"""A two-layer sigmoid net learns XOR by gradient descent, from many random starts."""

import numpy as np

import symdiff as sd

n, hidden = sd.dim("n"), 8
X, y = sd.symbol("X", (n, 2)), sd.symbol("y", n)
net = {"W1": sd.symbol("W1", (2, hidden)), "b1": sd.symbol("b1", hidden),
       "w2": sd.symbol("w2", hidden), "b2": sd.symbol("b2")}
logits = sd.sigmoid(X @ net["W1"] + net["b1"]) @ net["w2"] + net["b2"]
loss = sd.nn.binary_cross_entropy_with_logits(logits, y)
print(sd.derivation(loss, net, order=1))

corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
answers = np.array([0.0, 1.0, 1.0, 0.0])
predict = sd.compile(logits, inputs=[X, *net.values()])
solved = 0
for seed in range(20):
    result = sd.minimize(loss, wrt=net, data={X: corners, y: answers}, method="gd", learning_rate=4.0, steps=2000,
                         tolerance=1e-3, seed=seed)
    solved += bool(np.all((predict(corners, **result.parameters) > 0) == (answers > 0.5)))
print(result)
print(f"solved from {solved} of 20 starts")
assert solved >= 19
