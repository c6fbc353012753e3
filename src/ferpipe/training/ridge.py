"""Ridge regression of class indicators, on rows that arrive in blocks.

With more rows than features, only the sums of the normal equations are kept (memory: features
squared). Otherwise the rows are kept and the dual problem is solved (memory: rows times features).
The solution is the same but for rounding (Saunders, Gammerman & Vovk 1998, "Ridge regression
learning algorithm in dual variables").
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

# Lower limit of a feature's deviation, as a fraction of the median deviation: otherwise a feature
# that is nearly constant in training would dominate on new images.
MIN_DEVIATION = 0.1
# Rows or columns that are converted at once.
BLOCK = 1024


class Ridge:
    """Ridge regression on standardised features, with sample weights.

    Args:
        features: number of features.
        classes: number of classes.
        capacity: maximum number of rows.
    """

    def __init__(self, features: int, classes: int, capacity: int) -> None:
        self._classes = classes
        self._added: list[tuple[np.ndarray, np.ndarray]] = []  # labels and weights
        self._count = 0  # rows that were added
        self._sum, self._squares, self._weighted = np.zeros((3, features))
        # Sums of squares about a value near the mean lose no digits.
        self._shift: np.ndarray | None = None
        self._is_dual = capacity < features
        if self._is_dual:
            self._rows = np.empty((capacity, features), np.float32)
            self._products = np.zeros((0, 0))
        else:
            # The upper triangle has the weighted sums of products; `solve` uses the lower one.
            self._products = np.zeros((features, features))
            self._diagonal = np.zeros(features)
            self._targets = np.zeros((features, classes))

    def add(self, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        """Add float32 (n, features) with int labels (n,) and sample weights (n,)."""
        if self._shift is None:
            self._shift = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        rows, weights = rows - self._shift, weights.astype(np.float64)
        self._sum += rows.sum(axis=0, dtype=np.float64)
        self._squares += np.square(rows, dtype=np.float64).sum(axis=0)
        self._weighted += weights @ rows
        if self._is_dual:
            self._rows[self._count : self._count + len(rows)] = rows
        else:
            self._targets += rows.T @ (weights[:, None] * np.eye(self._classes)[labels])
            rows = rows * np.sqrt(weights).astype(np.float32)[:, None]
            self._diagonal += np.square(rows, dtype=np.float64).sum(axis=0)
            for start in range(0, rows.shape[1], BLOCK):
                columns = slice(start, start + BLOCK)
                self._products[columns, start:] += rows[:, columns].T @ rows[:, start:]
        self._added.append((labels, weights))
        self._count += len(rows)

    def solve(self, ridge: float) -> tuple[np.ndarray, np.ndarray]:
        """Solve with an L2 penalty of `ridge` times the number of features.

        Returns:
            float64 kernel (features, classes) and bias (classes,), for unstandardised features.
        """
        self._labels, self._weights = map(np.concatenate, zip(*self._added, strict=True))
        total, mean = self._weights.sum(), self._sum / self._count
        deviation = np.sqrt(np.maximum(self._squares / self._count - mean**2, 0))
        floor = MIN_DEVIATION * np.median(deviation)
        deviation = np.maximum(deviation, floor if floor > 0 else 1.0)
        indicators = np.eye(self._classes)[self._labels]
        centre, target = self._weighted / total, self._weights @ indicators / total
        penalty = ridge * len(mean)
        if self._is_dual:
            kernel = self._dual(penalty, centre, deviation, indicators - target)
        else:
            kernel = self._primal(penalty, centre, deviation, target)
        kernel /= deviation[:, None]
        return kernel, target - (centre + self._shift) @ kernel

    def _primal(
        self, penalty: float, centre: np.ndarray, deviation: np.ndarray, target: np.ndarray
    ) -> np.ndarray:
        total, matrix = self._weights.sum(), self._products
        for start in range(0, len(matrix), BLOCK):
            rows = slice(start, start + BLOCK)
            # The lower triangle of these rows, from the columns of the upper one.
            part = matrix[: start + BLOCK, rows].T - total * np.outer(
                centre[rows], centre[: start + BLOCK]
            )
            part /= np.outer(deviation[rows], deviation[: start + BLOCK])
            np.copyto(
                matrix[rows, : start + BLOCK],
                part,
                where=np.tri(*part.shape, start - 1, dtype=bool),  # below the diagonal
            )
        diagonal = (self._diagonal - total * centre**2) / deviation**2
        np.fill_diagonal(matrix, diagonal + penalty)
        right = (self._targets - total * np.outer(centre, target)) / deviation[:, None]
        return _solve_in_lower_triangle(matrix, right)

    def _dual(
        self, penalty: float, centre: np.ndarray, deviation: np.ndarray, targets: np.ndarray
    ) -> np.ndarray:
        rows, root = self._rows[: self._count], np.sqrt(self._weights)[:, None]

        def standardised(columns: slice) -> np.ndarray:
            part = (rows[:, columns] - centre[columns]) / deviation[columns] * root
            return part.astype(np.float32)

        parts = [slice(start, start + BLOCK) for start in range(0, rows.shape[1], BLOCK)]
        if len(self._products) != len(rows):  # rows were added since it was computed
            self._products = np.zeros((len(rows), len(rows)))
            for columns in parts:
                part = standardised(columns)
                self._products += part @ part.T
            self._diagonal = self._products.diagonal().copy()
        # The factors of the solution before have replaced the lower triangle.
        matrix = np.triu(self._products, 1).T
        np.copyto(self._products, matrix, where=np.tri(len(matrix), k=-1, dtype=bool))
        np.fill_diagonal(self._products, self._diagonal + penalty)
        weights = _solve_in_lower_triangle(self._products, targets * root)
        return np.concatenate([standardised(columns).T @ weights for columns in parts])


def _solve_in_lower_triangle(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve matrix @ x = right by Cholesky's factors, which replace the lower triangle."""
    # LAPACK's matrices are stored by columns: their upper triangle is the lower one of `matrix`.
    factor, failed = lapack.dpotrf(matrix.T, lower=0, clean=0, overwrite_a=1)
    assert not failed, failed
    solution, _ = lapack.dpotrs(factor, right, lower=0)
    return solution
