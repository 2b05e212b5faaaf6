"""All columns at once: can a model tell the frames apart?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations_with_replacement
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from walkforward.drift.columns import Column, column_of
from walkforward.drift.frames import (
    MIN_VALUES,
    Frame,
    fraction,
    names_of,
    place_of,
    require,
    several,
    whole,
)
from walkforward.drift.measures import Array

_POWER = 6  # of a difference in standard errors: a few clear ones outweigh many small ones


@dataclass(frozen=True)
class ClassifierDrift:
    """Whether a model tells the frames apart (`auc`: on rows it was not fitted to), and what it goes by."""

    auc: float
    p_value: float
    drift: bool
    columns: Frame  # column, auc_drop when it is shuffled, the partner with which it tells most ("": alone)


def classifier_drift(
    reference: Frame,
    current: Frame,
    columns: Sequence[Any] | None = None,
    *,
    folds: int = 5,
    permutations: int = 200,
    seed: int = 0,
    max_rows: int = 5000,
    categorical: Collection[Any] = (),
    alpha: float = 0.05,
) -> ClassifierDrift:
    """Can a model tell reference from current? It also sees a change that no single column shows.

    Features: numbers as normal scores of their ranks, categories as indicators (the 20 most frequent, from
    2 % of the rows on), missing values as an indicator, and the products of every two columns. A feature
    weighs the fifth power of its difference in standard errors, and every pair of columns counts once: a
    few clear differences outweigh many small ones. `auc` is out of fold. `p_value`: in which share of
    `permutations` of the labels the same model tells the rows it is fitted to apart as well; it is exact,
    because no feature depends on the labels, if the rows are independent of each other (rows in time are
    not). At most `max_rows` of each side, drawn by `seed`. Raises DriftError.
    """
    from sklearn.metrics import roc_auc_score

    names = names_of(reference, current, columns)
    lost = [name for name in names if place_of(current, name) is None]
    require(not lost, f"the current frame lacks {lost[:1]}: see schema_report, or leave it out (columns=)")
    folds, permutations = whole("folds", folds, 2), whole("permutations", permutations, 1)
    max_rows = whole("max_rows", max_rows, MIN_VALUES)
    seed = None if seed is None else whole("seed", seed, 0)
    alpha, coded = fraction("alpha", alpha), several("categorical", categorical)
    unknown = [name for name in coded if place_of(reference, name) is None]
    require(not unknown, f"categorical names {unknown[:1]}, which is no column of the reference")
    sizes = len(reference), len(current)
    words = f"{sizes[0]} and {sizes[1]} rows: a model needs {MIN_VALUES} on each side"
    require(min(sizes) >= MIN_VALUES, words)
    rng = np.random.default_rng(seed)
    parts = [frame.iloc[np.sort(rng.permutation(len(frame))[:max_rows])] for frame in (reference, current)]
    rows = sum(map(len, parts))
    require(folds <= rows, f"folds={folds}: there are {rows} rows, take 2 to {rows}, for example 5")
    label = np.repeat([0.0, 1.0], [len(part) for part in parts])
    label = label - label.mean()
    labels = np.column_stack([label, *(rng.permutation(label) for _ in range(permutations))])
    fold, shuffle = rng.permutation(rows) % folds, rng.permutation(rows)
    blocks = {name: _features([column_of(part, name) for part in parts], name in coded) for name in names}
    told = _Told(label, labels, fold, shuffle)
    for name in names:
        told.add(blocks, name, None)
    for a, b in combinations_with_replacement(names, 2):
        if a != b or blocks[a].shape[1] <= 2:  # the products of one column's indicators say nothing new
            told.add(blocks, a, b)
    auc = roc_auc_score(label > 0, told.scores)
    drop = [auc - roc_auc_score(label > 0, told.scores + told.shuffled[name]) for name in names]
    partner = [told.best[name][1] for name in names]
    table = pd.DataFrame({"column": _as_they_are(names), "auc_drop": drop, "partner": _as_they_are(partner)})
    table = table.sort_values("auc_drop", ascending=False, kind="stable", ignore_index=True)
    as_clear = np.count_nonzero(told.evidence[1:] >= told.evidence[0] * (1 - 1e-9))
    p = (1 + as_clear) / (permutations + 1)
    return ClassifierDrift(auc, float(p), bool(p <= alpha), table)


class _Told:
    """What the features of all pairs of columns tell, added up pair by pair.

    `label`, `labels`: the labels less their mean, shapes (rows,) and (rows, 1 + permutations), the true ones
    first; `fold`: of each row; `shuffle`: the order in which a column is tried without its information.
    """

    def __init__(self, label: Array, labels: Array, fold: Array, shuffle: Array) -> None:
        self.label, self.labels, self.fold, self.shuffle = label, labels, fold, shuffle
        self.evidence = np.zeros(labels.shape[1])  # of the true labels, and of each permutation
        self.scores = np.zeros(len(label))  # of each row, by weights that were learnt on the other folds
        self.shuffled: dict[Any, Array] = {}  # by column: what its shuffling adds to the scores
        self.best: dict[Any, tuple[float, Any]] = {}  # by column: the clearest evidence, and the partner

    def add(self, blocks: dict[Any, Array], a: Any, b: Any | None) -> None:
        """Count the products of two columns' features, or one column's own (`b` is None)."""
        alone = np.ones((len(self.label), 1))
        sides = blocks[a], alone if b is None else blocks[b]
        raw = _products(*sides)
        middle, spread = raw.mean(axis=0), raw.std(axis=0)
        keep = spread > 1e-9

        def standardised(products: Array) -> Array:
            return (products - middle)[:, keep] / spread[keep]

        x = standardised(raw)
        count = max(1, keep.sum())  # every pair of columns counts once, however many features it has
        length = np.sqrt(self.label @ self.label)
        found = ((x.T @ self.labels / length) ** _POWER).sum(axis=0) / count
        self.evidence += found
        weight = self._weights(x) / count
        score = (x * weight).sum(axis=1)
        self.scores += score
        for name in {a: None} if b is None else {a: None, b: None}:
            mixed = [
                block[self.shuffle] if of == name else block for of, block in ((a, sides[0]), (b, sides[1]))
            ]
            if b is None:
                mixed[1] = alone
            added = (standardised(_products(*mixed)) * weight).sum(axis=1) - score
            self.shuffled[name] = self.shuffled.get(name, 0) + added
            partner = "" if b is None or a == b else b if name == a else a
            if name not in self.best or found[0] > self.best[name][0]:
                self.best[name] = found[0], partner

    def _weights(self, x: Array) -> Array:
        """Of each row and feature: the fifth power of the difference that the other folds show."""
        weight = np.empty_like(x)
        for k in np.unique(self.fold):
            train = self.fold != k
            label = self.label[train]
            difference = x[train].T @ label / np.sqrt(label @ label)
            weight[~train] = difference ** (_POWER - 1)
        return weight


def _as_they_are(names: list[Any]) -> Array:
    """Names as one column of a table, tuples too."""
    if all(isinstance(name, str) for name in names):
        return pd.array(names, dtype="str")
    found = np.empty(len(names), object)
    for place, name in enumerate(names):
        found[place] = name
    return found


def _products(a: Array, b: Array) -> Array:
    """All products of a feature of one and a feature of the other, shape (rows, features of both)."""
    return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)


def _features(parts: list[Column], coded: bool) -> Array:
    """Standardised features of one column over both frames, shape (rows, features)."""
    kinds = {part.kind for part in parts} - {""}
    coded = coded or any(part.coded for part in parts)
    there = np.concatenate([~part.missing for part in parts])
    if len(kinds) == 1 and kinds <= {"numeric", "date"} and not coded:
        none = [np.full(len(part), np.nan) for part in parts]
        values = [
            lost if part.numbers is None else part.numbers for part, lost in zip(parts, none, strict=True)
        ]
        values = np.concatenate([one.astype("float64", copy=False) for one in values])
        there, block = np.isfinite(values), np.zeros((len(values), 1))
        block[there, 0] = special.ndtri((stats.rankdata(values[there]) - 0.5) / max(1, there.sum()))
    else:
        text = np.concatenate([_texts(part, len(kinds) > 1) for part in parts])
        counts = pd.Series(text[there], dtype=object).value_counts()
        levels = counts.index[counts >= 0.02 * len(text)][:20].to_numpy(object)
        block = (text[:, None] == levels) & there[:, None]
    block = np.column_stack([block, ~there]).astype(float)
    spread = block.std(axis=0)
    return ((block - block.mean(axis=0)) / np.where(spread > 0, spread, 1))[:, spread > 0]


def _texts(part: Column, kinds_only: bool) -> Array:
    """The labels as text, equal where they are; only their kind where the sides differ in it."""
    if kinds_only:
        return np.full(len(part), part.kind, object)
    if part.numbers is not None:
        return np.array([repr(float(one)) for one in part.numbers], object)
    found = np.empty(len(part), object)
    found[:] = [_text(label) for label in part.labels.to_numpy(object)]
    return found


def _text(label: Any) -> str:
    number = isinstance(label, Real | Decimal) and not isinstance(label, bool)
    return repr(float(label)) if number else str(label)
