"""A compiled form of a model, held against the model's pyfunc on rows that are made up around its example."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc import PyFuncModel
from mlflow.types import DataType

TOLERANCE = 1e-5
"""A compiled form is refused when one of its answers differs from the pyfunc's by this much, relatively."""
FEWEST = 32
"""Rows that the pyfunc must answer, or there is no comparison."""
LIMITS = (2.0**53, 1e12, 1e9, 1e6)
"""Magnitudes up to which a form may be trusted; beyond the first, whole numbers and floats part ways."""
Rows = np.ndarray
Predict = Callable[[Rows], np.ndarray]


class Refused(Exception):
    """A form of the model can't be used, or not for these rows; the message says why."""


class Unanswered(Exception):
    """The pyfunc raised."""


def by_pyfunc(model: PyFuncModel, rows: Rows) -> np.ndarray:
    """The pyfunc's answer to rows (n, k), as a frame of the signature's columns and types."""
    schema = model.metadata.get_input_schema()
    if schema is None or not schema.has_input_names():
        return np.asarray(model.predict(pd.DataFrame(rows)))
    kinds = {c.name: "str" if c.type is DataType.string else c.type.to_pandas() for c in schema.inputs}
    frame = pd.DataFrame(rows, columns=schema.input_names()).astype(kinds)
    return np.asarray(model.predict(frame))


class Check:
    """Rows that the pyfunc has answered once, or refused, to compare a form of the model with.

    A row is held as numbers, shape (k,), a text as its place in the column's `vocabulary`: by the number of a
    column, the values that an encoder knows. Raises: Refused, when there is no comparison.
    """

    def __init__(
        self,
        model: PyFuncModel,
        types: dict[str, DataType],
        vocabulary: dict[int, list[Any]],
        count: int = 256,
    ) -> None:
        self.model, self.types, self.vocabulary = model, types, vocabulary
        self.random = np.random.default_rng(0)
        kinds = list(types.values())
        coded = np.isin(np.arange(len(kinds)), list(vocabulary))
        self.texts = [i for i, kind in enumerate(kinds) if kind is DataType.string]
        self.real = np.array([kind in (DataType.double, DataType.float) for kind in kinds])
        self.free = np.flatnonzero(self.real & ~coded)  # columns whose every value between two is a value
        example = self._example()
        near = self._near(example, count)
        large = near * self.random.choice([1, 1e3, 1e6, 1e9], near.shape)
        made = self._typed(np.vstack([example, self._known(near, 0.05), self._known(large, 0.05)]))
        self.rows, answers, self.refused = self._ask(made)
        if len(self.rows) < FEWEST:
            raise Refused(f"the pyfunc refuses {len(made) - len(self.rows):,} of {len(made):,} made-up rows")
        at_jumps, answers_there, _ = self._ask(self._at_jumps(self.rows[: count // 2]))
        blocks = [(self.rows, answers), (at_jumps, answers_there)]
        self.blocks = [(rows, expected) for rows, expected in blocks if len(rows)]
        self.count = len(self.rows) + len(at_jumps)

    def __call__(self, predict: Predict, *, own: bool) -> tuple[bool, float]:
        """Compare a form; return whether it answers missing values, and up to which magnitude it is right.

        A form that does not run the model's own code (`own` false) must refuse what the pyfunc refuses.
        Raises: Refused, with the largest difference.
        """
        for rows, expected in self.blocks:
            worst = max(self._apart(predict, rows, expected), self._apart(predict, rows[:1], expected[:1]))
            if not worst < TOLERANCE:
                raise Refused(f"differs from pyfunc by {worst:.1g}")
        limit = LIMITS[0] if own else self._limit(predict)
        return self.holes is not None and self._agrees(predict, *self.holes), limit

    def values(self, rows: Rows) -> Rows:
        """The rows as a client means them: floats, or objects where a column is text."""
        if not self.texts:
            return rows
        values = rows.astype(object)
        for column in self.texts:
            words = self.vocabulary[column]
            values[:, column] = [words[int(place)] for place in rows[:, column]]
        return values

    def _apart(self, predict: Predict, rows: Rows, expected: np.ndarray) -> float:
        return _difference(predict(self.values(rows)), expected)

    def _agrees(self, predict: Predict, rows: Rows, expected: np.ndarray) -> bool:
        try:
            return self._apart(predict, rows, expected) < TOLERANCE
        except Exception:  # so it does not take them
            return False

    def _is_answered(self, predict: Predict, rows: Rows) -> bool:
        try:
            return bool(np.isfinite(predict(self.values(rows))).all())
        except Exception:
            return False

    @cached_property
    def holes(self) -> tuple[Rows, np.ndarray] | None:
        """Rows with missing values and their answers; None where the pyfunc takes none."""
        if not self.real.any():
            return None
        holes = np.where(self.real & (self.random.random(self.rows.shape) < 0.3), np.nan, self.rows)
        try:
            return holes, self._answer(holes)
        except Unanswered:  # many models take none: those requests are the pyfunc's to refuse
            return None

    def _limit(self, predict: Predict) -> float:
        """The largest magnitude that both answer alike when all columns have it: beyond, numbers overflow."""
        alike = (limit for limit, *asked in self.corners if self._agrees(predict, *asked))
        limit = next(alike, None)
        if limit is None:
            raise Refused(f"differs from pyfunc where values are ±{LIMITS[-1]:g}")
        for row in self.refused:
            if (np.abs(row) <= limit).all() and self._is_answered(predict, row[None]):
                raise Refused("answers a row that the pyfunc refuses")
        return limit

    @cached_property
    def corners(self) -> list[tuple[float, Rows, np.ndarray]]:
        """By limit: rows with all free columns there, of either sign, that the pyfunc answers."""
        found = []
        for limit in LIMITS:
            signs = self.random.choice([-1, 1], (16, len(self.types)))
            signs[0], signs[1] = 1, -1
            rows = self._typed(self._known(signs * (limit - 1)))
            with contextlib.suppress(Unanswered):  # so large a value is refused
                found.append((limit, rows, self._answer(rows)))
        return found

    def _ask(self, rows: Rows, most: int = 200) -> tuple[Rows, np.ndarray, Rows]:
        """The rows that the pyfunc answers, its answers, and rows that it refuses, each found by halving.

        At most about `most` calls: a model that refuses much leaves rows out.
        """
        accepted, answers, refused, left = [rows[:0]], [np.zeros(0)], [], [rows]
        for _ in range(most):
            if not left:
                break
            part = left.pop()
            middle = len(part) // 2
            try:
                answers.append(self._answer(part))
                accepted.append(part)
            except Unanswered:
                if middle:
                    left += [part[middle:], part[:middle]]
                else:
                    refused.append(part[0])
        return np.vstack(accepted), np.concatenate(answers), np.array(refused)

    def _answer(self, rows: Rows) -> np.ndarray:
        try:
            answer = by_pyfunc(self.model, self.values(rows))
        except Exception as error:  # a model may refuse in any way
            raise Unanswered from error
        if answer.shape != (len(rows),) or answer.dtype.kind != "f":
            raise Refused("the output is not one number a row")
        return answer

    def _example(self) -> Rows:
        """The model's example as numbers, where it has one that is whole; else made-up rows."""
        example = self.model.input_example
        if isinstance(example, pd.DataFrame) and set(self.types) <= set(example.columns) and len(example):
            frame = example[list(self.types)].head(100).copy()
            for column in self.texts:
                place = {word: i for i, word in enumerate(self.vocabulary[column])}
                frame.isetitem(column, frame.iloc[:, column].map(place))
            rows = frame.to_numpy(float)
            if np.isfinite(rows).all():
                return rows
        return self._known(self.random.normal(scale=10, size=(8, len(self.types))))

    def _near(self, example: Rows, count: int) -> Rows:
        """Rows of the example, each value kept, scaled, moved or with the other sign."""
        chosen = example[self.random.integers(len(example), size=count)]
        scaled = chosen * self.random.choice([0, 0.5, 1, 1, 1, 1.5, 2, -1], chosen.shape)
        noise = self.random.normal(size=chosen.shape)
        return scaled + noise * self.random.choice([0, 0.1, 1, 10], chosen.shape)

    def _known(self, rows: Rows, strange: float = 0.0) -> Rows:
        """The rows with values that the encoders know, but for a share of strange numbers."""
        rows = rows.astype(float)
        for column, values in self.vocabulary.items():
            places = self.random.integers(max(1, len(values)), size=len(rows))
            is_text = column in self.texts
            known = places if is_text else np.array(values, float)[places]
            kept = self.random.random(len(rows)) < (0.0 if is_text else strange)
            rows[:, column] = np.where(kept, rows[:, column], known)
        return rows

    def _typed(self, rows: Rows) -> Rows:
        """The nearest rows that the signature takes; whole numbers within 32 bits, where most are."""
        rows = np.where(self.real, rows, np.clip(np.round(rows), -(2**31), 2**31 - 1))
        for i, kind in enumerate(self.types.values()):
            if kind is DataType.boolean:
                rows[:, i] = rows[:, i] > 0
            if kind is DataType.float:
                rows[:, i] = rows[:, i].astype(np.float32)
        return rows

    def _at_jumps(self, rows: Rows) -> Rows:
        """Rows on both sides of where the answer jumps, found by halving: a tree's thresholds.

        There the precision of the comparison decides the leaf, which no random row would notice. Each start
        differs from its end in one free column, the free columns in turn.
        """
        if not len(self.free):
            return rows
        step = max(1, len(rows) * len(self.free) // 256)
        start = np.repeat(rows[::step], len(self.free), axis=0)
        changed = np.resize(self.free, len(start))
        other = np.resize(self.random.permutation(rows), start.shape)
        only_changed = np.arange(rows.shape[1]) == changed[:, None]
        sides = self._halved(start, np.where(only_changed, other, start))
        in_single = [side.astype(np.float32) for side in sides]
        neighbours = [np.nextafter(side, np.float32(way)) for side in in_single for way in (-np.inf, np.inf)]
        return self._typed(np.vstack([*sides, *in_single, *neighbours], dtype=float))

    def _halved(self, low: Rows, high: Rows) -> tuple[Rows, Rows]:
        """Halve the way between two rows again and again, towards the larger jump of the answer."""
        with contextlib.suppress(Unanswered):  # it refuses a row between two that it answers: no further
            left, right = self._answer(low), self._answer(high)
            for _ in range(45):
                middle = (low + high) / 2
                answer = self._answer(middle)
                below = np.abs(answer - left) >= np.abs(right - answer)  # the jump is in the lower half
                low, high = np.where(below[:, None], low, middle), np.where(below[:, None], middle, high)
                left, right = np.where(below, left, answer), np.where(below, answer, right)
        return low, high


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest relative difference; inf where only one is a number, or when the shapes differ.

    Relative to the median answer where that is larger: near zero a sum of float32 leaves is rounding noise.
    """
    if np.shape(found) != np.shape(expected):
        return math.inf
    size = np.maximum(np.abs(expected), np.nanmedian(np.abs(expected)))
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    ratio = np.abs(np.asarray(found, float) - expected) / size
    return float(np.max(np.where(same, 0, np.nan_to_num(ratio, nan=math.inf, posinf=math.inf)), initial=0))
