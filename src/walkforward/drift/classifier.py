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
from walkforward.drift.frames import MIN_VALUES, Frame, fraction, names_of, place_of, require, several, whole
from walkforward.drift.measures import Array

_EVIDENCE = 6  # the power of a difference in standard errors: a few clear ones outweigh many small ones


@dataclass(frozen=True)
class ClassifierDrift:
    """Whether a model tells the frames apart, and what it goes by.

    Attributes:
        auc: Area under the ROC curve on rows that the model was not fitted to; 0.5 is a guess.
        p_value: Of the hypothesis that both frames are of one distribution.
        drift: Whether `p_value` is at most `alpha`.
        columns: A row per column, the most telling first: `column`, `auc_drop` (what the AUC loses when the
            column is shuffled) and `partner` (the column with which it tells most; "" when alone).

    >>> ClassifierDrift(0.93, 0.005, True, pd.DataFrame({"column": ["fare"], "auc_drop": [0.4]})).drift
    True
    """

    auc: float
    p_value: float
    drift: bool
    columns: Frame


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

    Features: numbers as normal scores of their ranks (van der Waerden 1952), categories as indicators (the 20
    most frequent, from 2 % of the rows on), missing values as an indicator, and the products of every two
    columns' features. The evidence of a feature is the sixth power of its difference in standard errors, its
    weight in the model the derivative, a fifth power: a few clear differences outweigh many small ones. Every
    pair of columns counts once. The p-value is a permutation test's (Fisher 1935): exact, because no feature
    depends on the labels, if the rows are independent of each other (rows in time are not).

    Args:
        reference: DataFrame of (rows, columns), from MIN_VALUES rows on.
        current: The same columns, later.
        columns: Those to look at; default all of the reference.
        folds: Parts of the rows for the AUC out of fold; default 5.
        permutations: How often the labels are shuffled for the p-value; default 200.
        seed: Of the draws; None for other ones each time.
        max_rows: Of each side; more are drawn from. Default 5,000.
        categorical: Columns whose numbers are codes.
        alpha: From which p-value on it is drift; default 0.05.

    Returns:
        What the model tells.

    Raises:
        DriftError: A frame or an argument does not fit.

    >>> import numpy as np
    >>> x, y = np.random.default_rng(0).normal(size=(2, 400))
    >>> told = classifier_drift(pd.DataFrame({"x": x, "y": y}), pd.DataFrame({"x": x, "y": (x + y) / 2**0.5}))
    >>> told.drift, *told.columns.loc[0, ["column", "partner"]]  # neither has moved, their relation has
    (True, 'y', 'x')
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
    few = f"{sizes[0]} and {sizes[1]} rows: a model needs {MIN_VALUES} on each side"
    require(min(sizes) >= MIN_VALUES, few)
    rng = np.random.default_rng(seed)
    parts = [frame.iloc[np.sort(rng.permutation(len(frame))[:max_rows])] for frame in (reference, current)]
    rows = sum(map(len, parts))
    require(folds <= rows, f"folds={folds}: there are {rows} rows, take 2 to {rows}, for example 5")

    is_current = np.repeat([0.0, 1.0], [len(part) for part in parts])
    label = is_current - is_current.mean()
    labels = np.column_stack(
        [label, *(rng.permutation(label) for _ in range(permutations))]
    )  # true ones first
    fold, shuffle = rng.permutation(rows) % folds, rng.permutation(rows)

    of_column = [_features([column_of(part, name) for part in parts], name in coded) for name in names]
    features = [np.ones((rows, 1)), *of_column]  # the first is no column: its products are a column alone
    partners = ["", *names]
    alone = [(k, 0) for k in range(1, len(features))]
    products = combinations_with_replacement(range(1, len(features)), 2)
    few_levels = [block.shape[1] <= 2 for block in features]  # else its own products say nothing new
    pairs = [*alone, *((a, b) for a, b in products if a != b or few_levels[a])]

    evidence = np.zeros(1 + permutations)
    scores = np.zeros(rows)  # of each row: how much it looks like a current one
    change = np.zeros((len(features), rows))  # of the scores, when the rows of a column are shuffled
    clearest = [(-1.0, 0)] * len(features)  # evidence and partner of each column
    for a, b in pairs:
        told = _Pair(features[a], features[b], labels, fold)
        score = told.scores(features[a], features[b])
        evidence += told.evidence
        scores += score
        for k in {a, b} - {0}:
            mixed = [features[side][shuffle] if side == k else features[side] for side in (a, b)]
            change[k] += told.scores(*mixed) - score
            partner = 0 if a == b else a + b - k
            clearest[k] = max(clearest[k], (told.evidence[0], partner), key=lambda one: one[0])

    auc = roc_auc_score(is_current, scores)
    drops = [auc - roc_auc_score(is_current, scores + moved) for moved in change[1:]]
    best = [partners[partner] for _, partner in clearest[1:]]
    table = pd.DataFrame({"column": _as_they_are(names), "auc_drop": drops, "partner": _as_they_are(best)})
    table = table.sort_values("auc_drop", ascending=False, kind="stable", ignore_index=True)
    as_clear = np.count_nonzero(evidence[1:] >= evidence[0] * (1 - 1e-9))
    p = float((1 + as_clear) / (permutations + 1))
    return ClassifierDrift(auc, p, p <= alpha, table)


class _Pair:
    """What the labels say of the products of two columns' features, each standardised."""

    def __init__(self, a: Array, b: Array, labels: Array, fold: Array) -> None:
        """`labels` less their mean, shape (rows, 1 + permutations); `fold` of each row."""
        products = _products(a, b)
        self.mean, self.spread = products.mean(axis=0), products.std(axis=0)
        self.varies = self.spread > 1e-9
        x = self._standardised(a, b)
        label, count = labels[:, 0], max(1, self.varies.sum())
        differences = x.T @ labels / np.sqrt(label @ label)  # shape (features, 1 + permutations)
        self.evidence = (differences**_EVIDENCE).sum(
            axis=0
        ) / count  # of the labels as they are, and shuffled
        self.weights = np.empty_like(x)  # of each row: what the other folds show
        for k in np.unique(fold):
            train = fold != k
            difference = x[train].T @ label[train] / np.sqrt(label[train] @ label[train])
            self.weights[~train] = difference ** (_EVIDENCE - 1)
        self.weights /= count

    def scores(self, a: Array, b: Array) -> Array:
        """Of each row with these features, shape (rows,)."""
        return (self._standardised(a, b) * self.weights).sum(axis=1)

    def _standardised(self, a: Array, b: Array) -> Array:
        return (_products(a, b) - self.mean)[:, self.varies] / self.spread[self.varies]


def _products(a: Array, b: Array) -> Array:
    """Of each feature of one column and each of the other, shape (rows, features of both)."""
    return np.einsum("ri,rj->rij", a, b).reshape(len(a), -1)


def _as_they_are(names: list[Any]) -> pd.Series:
    """Names as a column of a table: None and tuples too."""
    return pd.Series(names, dtype="str" if all(isinstance(name, str) for name in names) else object)


def _features(parts: list[Column], coded: bool) -> Array:
    """Standardised features of one column over both frames, shape (rows, features)."""
    kinds = {part.kind for part in parts} - {""}
    if kinds in ({"numeric"}, {"date"}) and not (coded or any(part.coded for part in parts)):
        lost = [np.full(len(part), np.nan) if part.numbers is None else part.numbers for part in parts]
        values = np.concatenate([one.astype("float64", copy=False) for one in lost])
        there, found = np.isfinite(values), np.zeros((len(values), 1))
        found[there, 0] = special.ndtri((stats.rankdata(values[there]) - 0.5) / max(1, there.sum()))
    else:
        there = np.concatenate([~part.missing for part in parts])
        text = np.concatenate([_texts(part, len(kinds) > 1) for part in parts])
        counts = pd.Series(text[there], dtype=object).value_counts()
        levels = counts.index[counts >= 0.02 * len(text)][:20].to_numpy(object)
        found = (text[:, None] == levels) & there[:, None]
    block = np.column_stack([found, ~there]).astype(float)
    spread = block.std(axis=0)
    return ((block - block.mean(axis=0)) / np.where(spread > 0, spread, 1))[:, spread > 0]


def _texts(part: Column, kinds_only: bool) -> Array:
    """The labels as text, equal where they are; only their kind where the sides differ in it."""
    if kinds_only:
        return np.full(len(part), part.kind, object)
    labels = part.labels.to_numpy(object) if part.numbers is None else part.numbers
    return np.array([*map(_text, labels), None], object)[:-1]  # None: an array of objects, whatever they are


def _text(label: Any) -> str:
    number = isinstance(label, Real | Decimal) and not isinstance(label, bool)
    return repr(float(label)) if number else str(label)
