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
    names = schema.input_names() if schema is not None and schema.has_input_names() else None
    frame = pd.DataFrame(rows, columns=names)
    if names:
        frame = frame.astype(
            {c.name: "str" if c.type is DataType.string else c.type.to_pandas() for c in schema.inputs}
        )
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
        self.free = self.real & ~coded  # columns whose every value between two is a value
        example = self._example()
        near = self._near(example, count)
        large = near * self.random.choice([1, 1e3, 1e6, 1e9], near.shape)
        made = self._typed(np.vstack([example, self._known(near, 0.05), self._known(large, 0.05)]))
        accepted, answers, self.refused = self._ask(made)
        if len(accepted) < FEWEST:
            raise Refused(f"the pyfunc refuses {len(made) - len(accepted):,} of {len(made):,} made-up rows")
        self.blocks = [(accepted, answers)]
        at_jumps, answers, _ = self._ask(self._at_jumps(accepted[: count // 2]))
        self.blocks += [(at_jumps, answers)] if len(at_jumps) else []
        self.count = len(accepted) + len(at_jumps)

    def __call__(self, predict: Predict, *, own: bool) -> tuple[bool, float]:
        """Compare a form; return whether it answers missing values, and up to which magnitude it is right.

        A form that does not run the model's own code (`own` false) must refuse what the pyfunc refuses.
        Raises: Refused, with the largest difference.
        """
        for rows, expected in self.blocks:
            worst = _difference(predict(self.values(rows)), expected)
            single = _difference(predict(self.values(rows[:1])), expected[:1])
            if not max(worst, single) < TOLERANCE:
                raise Refused(f"differs from pyfunc by {max(worst, single):.1g}")
        limit = LIMITS[0] if own else self._limit(predict)
        if not own:
            for row in self.refused:
                if (np.abs(row) <= limit).all() and _answers(predict, self.values(row[None])):
                    raise Refused("answers a row that the pyfunc refuses")
        return self._takes_missing(predict), limit

    def values(self, rows: Rows) -> Rows:
        """The rows as a client means them: floats, or objects where a column is text."""
        if not self.texts:
            return rows
        values = rows.astype(object)
        for column in self.texts:
            words = self.vocabulary[column]
            values[:, column] = [words[int(place)] for place in rows[:, column]]
        return values

    def _takes_missing(self, predict: Predict) -> bool:
        if self.holes is None:
            return False
        try:
            return _difference(predict(self.values(self.holes[0])), self.holes[1]) < TOLERANCE
        except Exception:
            return False

    @cached_property
    def holes(self) -> tuple[Rows, np.ndarray] | None:
        """Rows with missing values and their answers; None where the pyfunc takes none."""
        rows = self.blocks[0][0]
        holes = np.where(self.real & (self.random.random(rows.shape) < 0.3), np.nan, rows)
        if not self.real.any():
            return None
        try:
            return holes, self._answer(holes)
        except Unanswered:  # many models take none: those requests are the pyfunc's to refuse
            return None

    def _limit(self, predict: Predict) -> float:
        """The largest magnitude that both answer alike when all columns have it: beyond, numbers overflow."""
        for limit, rows, expected in self.corners:
            try:
                if _difference(predict(self.values(rows)), expected) < TOLERANCE:
                    return limit
            except Exception:  # the next one is smaller
                continue
        raise Refused(f"differs from pyfunc where values are ±{LIMITS[-1]:g}")

    @cached_property
    def corners(self) -> list[tuple[float, Rows, np.ndarray]]:
        """By limit: rows with all free columns there, of either sign, that the pyfunc answers."""
        found = []
        for limit in LIMITS:
            rows = np.resize(self.blocks[0][0], (16, len(self.types)))
            signs = self.random.choice([-1, 1], rows.shape)
            signs[0], signs[1] = 1, -1
            rows = self._typed(self._known(np.where(signs > 0, limit - 1, 1 - limit)))
            try:
                found.append((limit, rows, self._answer(rows)))
            except Unanswered:  # so large a value is refused
                continue
        return found

    def _ask(self, rows: Rows, most: int = 200) -> tuple[Rows, np.ndarray, Rows]:
        """The rows that the pyfunc answers, its answers, and rows that it refuses, each found by halving.

        At most about `most` calls: a model that refuses much leaves rows out.
        """
        accepted, answers, refused, left = [], [], [], [rows] if len(rows) else []
        calls = 0
        while left and calls < most:
            part, calls = left.pop(), calls + 1
            try:
                answers.append(self._answer(part))
                accepted.append(part)
            except Unanswered:
                if len(part) == 1:
                    refused.append(part[0])
                else:
                    left += [part[len(part) // 2 :], part[: len(part) // 2]]
        none = rows[:0]
        return np.vstack([none, *accepted]), np.concatenate([np.zeros(0), *answers]), np.array(refused)

    def _answer(self, rows: Rows) -> np.ndarray:
        try:
            answer = by_pyfunc(self.model, self.values(rows))
        except Exception as error:  # a model may refuse in any way
            raise Unanswered from error
        if answer.shape != (len(rows),) or answer.dtype.kind != "f":
            raise Refused("the output is not one number a row")
        return answer

    def _example(self) -> Rows:
        """The model's example as numbers, where it has one that is whole."""
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
        near = example[self.random.integers(len(example), size=count)]
        near = near * self.random.choice([0, 0.5, 1, 1, 1, 1.5, 2, -1], near.shape)
        return near + self.random.normal(size=near.shape) * self.random.choice([0, 0.1, 1, 10], near.shape)

    def _known(self, rows: Rows, strange: float = 0.0) -> Rows:
        """The rows with values that the encoders know, but for a share of strange numbers."""
        rows = rows.copy()
        for column, values in self.vocabulary.items():
            places = self.random.integers(max(1, len(values)), size=len(rows))
            known = places if column in self.texts else np.array(values, float)[places]
            kept = 0.0 if column in self.texts else strange
            rows[:, column] = np.where(self.random.random(len(rows)) < kept, rows[:, column], known)
        return rows

    def _typed(self, rows: Rows) -> Rows:
        """The nearest rows that the signature takes; whole numbers within 32 bits, where most are."""
        whole = np.clip(np.round(rows), -(2**31), 2**31 - 1)
        for i, kind in enumerate(self.types.values()):
            if kind is DataType.boolean:
                whole[:, i] = whole[:, i] > 0
            if kind is DataType.float:
                rows[:, i] = rows[:, i].astype(np.float32)
        return np.where(self.real, rows, whole)

    def _at_jumps(self, rows: Rows) -> Rows:
        """Rows on both sides of where the answer jumps, found by halving: a tree's thresholds.

        There the precision of the comparison decides the leaf, which no random row would notice.
        """
        free = np.flatnonzero(self.free)
        if not len(free):
            return rows
        low = np.repeat(rows[:: max(1, len(rows) * len(free) // 256)], len(free), axis=0)
        lanes, moved = np.arange(len(low)), np.resize(free, len(low))
        high = low.copy()
        high[lanes, moved] = self.random.permutation(rows)[np.resize(np.arange(len(rows)), len(low)), moved]
        low, high = self._halved(low, high)
        single = [side.astype(np.float32) for side in (low, high)]
        beside = [np.nextafter(side, np.float32(way)) for side in single for way in (-np.inf, np.inf)]
        return self._typed(np.vstack([low, high, *(side.astype(float) for side in single + beside)]))

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


def _answers(predict: Predict, rows: Rows) -> bool:
    try:
        return bool(np.isfinite(predict(rows)).all())
    except Exception:
        return False


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
