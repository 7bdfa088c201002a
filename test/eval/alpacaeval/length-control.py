"""Makes length-control.json: length-controlled win rates of random verdicts by scikit-learn's logistic regression.

    python3 -m venv venv && venv/bin/pip install scikit-learn==1.9.1
    venv/bin/python test/eval/alpacaeval/length-control.py | npx prettier --parser json > test/eval/alpacaeval/length-control.json

A preference p becomes two rows, label 1 with weight p and label 0 with weight 1 - p, since scikit-learn takes no
fractional labels. Its objective is C * sum(loss) + |w|^2 / 2 without an intercept of its own.
"""

import json

import numpy as np
from sklearn.linear_model import LogisticRegression

C = 100


def fit(preference, length_candidate, length_baseline, difficulty):
    delta = length_candidate - length_baseline
    scale = delta.std(ddof=1) if len(delta) > 1 else 0.0
    columns = [np.ones(len(delta)), np.tanh(delta / scale) if scale > 0 else np.zeros(len(delta))]
    if difficulty is not None:
        columns.append(difficulty)
    x = np.stack(columns, axis=1)
    model = LogisticRegression(C=C, fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    labels = np.concatenate([np.ones(len(x)), np.zeros(len(x))])
    model.fit(np.concatenate([x, x]), labels, sample_weight=np.concatenate([preference, 1 - preference]))
    weights = model.coef_[0]
    at_equal_length = x.copy()
    at_equal_length[:, 1] = 0
    rate = model.predict_proba(at_equal_length)[:, 1].mean()
    return {"model": weights[0], "length": weights[1], "difficulty": weights[2] if len(weights) > 2 else 0, "winRate": rate}


def draw(rng, count, theta, phi, psi, hard):
    """Verdicts of a judge with a taste for length; `psi` None is no difficulty."""
    length_baseline = rng.integers(0, 1500, count)
    length_candidate = np.maximum(0, length_baseline + rng.normal(150, 400, count).astype(int))
    difficulty = None if psi is None else np.round(rng.normal(0, 1, count), 4)
    z = theta + phi * np.tanh((length_candidate - length_baseline) / 400) + rng.normal(0, 1, count)
    if psi is not None:
        z = z + psi * difficulty
    p = 1 / (1 + np.exp(-z))
    # Of two orders: with hard verdicts 0, 0.5 or 1.
    preference = (rng.random((2, count)) < p).mean(axis=0) if hard else np.round(p, 4)
    return preference, length_candidate, length_baseline, difficulty


def case(name, verdicts):
    preference, length_candidate, length_baseline, difficulty = verdicts
    rows = [
        [float(preference[i]), int(length_candidate[i]), int(length_baseline[i])]
        + ([] if difficulty is None else [float(difficulty[i])])
        for i in range(len(preference))
    ]
    return {"name": name, "rows": rows, "expected": {k: float(v) for k, v in fit(*verdicts).items()}}


def main():
    rng = np.random.default_rng(20240406)
    same_length = (np.array([0.5, 1.0, 0.25, 0.75]), np.array([10, 20, 30, 40]), np.array([10, 20, 30, 40]), None)
    longer_wins = (np.array([1.0, 1, 1, 0, 0, 0]), np.array([9, 8, 7, 1, 2, 3]), np.array([5, 5, 5, 5, 5, 5]), None)
    cases = [
        case("fractional preferences", draw(rng, 60, -0.4, 1.2, None, False)),
        case("wins, losses and ties", draw(rng, 60, 0.8, 0.5, None, True)),
        case("with difficulties", draw(rng, 60, -1.0, 0.7, 0.9, False)),
        case("hard and with difficulties", draw(rng, 40, 0.2, -0.6, -0.5, True)),
        case("a weak candidate", draw(rng, 60, -4.0, 0.3, None, True)),
        case("equal lengths", same_length),
        case("perfectly told apart by length", longer_wins),
        case("all won", (np.ones(8), np.arange(8) * 10, np.full(8, 30), None)),
    ]
    print("[\n" + ",\n".join(json.dumps(entry) for entry in cases) + "\n]")


main()
