"""Word errors, which words are right, and how good a confidence is. Text in, numbers out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def matches(reference: list[str], said: list[str]) -> list[int]:
    """For each word said, the reference word it is right about, or -1, by the alignment with the fewest errors."""
    cost = np.zeros((len(reference) + 1, len(said) + 1), np.int64)
    cost[:, 0] = np.arange(len(reference) + 1)
    cost[0] = np.arange(len(said) + 1)
    for i, expected in enumerate(reference, 1):
        for j, word in enumerate(said, 1):
            cost[i, j] = min(cost[i - 1, j] + 1, cost[i, j - 1] + 1, cost[i - 1, j - 1] + (expected != word))
    found = [-1] * len(said)
    i, j = len(reference), len(said)
    while i and j:
        wrong = reference[i - 1] != said[j - 1]
        if cost[i, j] == cost[i - 1, j - 1] + wrong:
            i, j = i - 1, j - 1
            if not wrong:
                found[j] = i
        elif cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return found


def errors(reference: list[str], said: list[str]) -> int:
    """Fewest substitutions, insertions and deletions that turn one into the other."""
    row = list(range(len(said) + 1))
    for i, expected in enumerate(reference, 1):
        before, row[0] = row[0], i
        for j, word in enumerate(said, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (expected != word))
    return row[-1]


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error (Naeini et al. 2015): mean gap between confidence and accuracy over equal bins."""
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(float(confidence[number == n].mean()) - float(right[number == n].mean())) * float((number == n).mean())
        for n in range(bins)
        if (number == n).any()
    ]
    return sum(gaps)


def fit_logistic(inputs: NDArray[np.float64], right: NDArray[np.bool_], ridge: float = 1.0) -> NDArray[np.float64]:
    """Fit ``P(right) = 1 / (1 + exp(-(b + w . x)))`` by Newton's method, with no weight below zero.

    Args:
        inputs: float64 [n, k].
        right: bool [n].
        ridge: weight of the penalty on ``w``, so that few examples do not run away.

    Returns:
        float64 [1 + k]: b and w.
    """
    used = list(range(inputs.shape[1]))
    while True:
        x = np.column_stack([np.ones(len(inputs)), inputs[:, used]])
        penalty = np.diag([0.0] + [ridge] * len(used))
        weights = np.zeros(x.shape[1])
        for _ in range(50):
            p = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -50, 50)))
            gradient = x.T @ (p - right) + penalty @ weights
            step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + penalty + 1e-9 * np.eye(len(weights)), gradient)
            weights -= step
            if np.abs(step).max() < 1e-8:
                break
        if not used or weights[1:].min() >= 0:  # the map must not fall where the network is surer
            result = np.zeros(1 + inputs.shape[1])
            result[0], result[[1 + i for i in used]] = weights[0], weights[1:]
            return result
        del used[int(weights[1:].argmin())]
