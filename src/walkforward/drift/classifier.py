"""All columns at once: can a model tell the frames apart?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from walkforward.drift.columns import floats, side_kind
from walkforward.drift.frames import MIN_VALUES, Frame, names_of, require
from walkforward.drift.measures import Array


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
    because no feature depends on the labels. At most `max_rows` of each side, drawn by `seed`.
    Raises DriftError.
    """
    from sklearn.metrics import roc_auc_score

    names = names_of(reference, current, columns)
    lost = [name for name in names if name not in current]
    require(not lost, f"the current frame lacks {lost[:1]}: see schema_report, or leave it out (columns=)")
    sizes = len(reference), len(current)
    words = f"{sizes[0]} and {sizes[1]} rows: a model needs {MIN_VALUES} on each side"
    require(min(sizes) >= MIN_VALUES, words)
    rng = np.random.default_rng(seed)
    parts = [frame.iloc[np.sort(rng.permutation(len(frame))[:max_rows])] for frame in (reference, current)]
    label = np.repeat([0.0, 1.0], [len(part) for part in parts])
    rows, label = len(label), label - label.mean()
    labels = np.column_stack([label, *(rng.permutation(label) for _ in range(permutations))])
    fold, shuffle = rng.permutation(rows) % folds, rng.permutation(rows)
    blocks = {name: _features([part[name] for part in parts], name in categorical) for name in names}
    blocks[None] = np.ones((rows, 1))
    evidence, scores = np.zeros(permutations + 1), np.zeros(rows)
    shuffled, best = {name: np.zeros(rows) for name in names}, dict.fromkeys(names, (0.0, ""))
    for a, b in [*((name, None) for name in names), *combinations_with_replacement(names, 2)]:
        if a == b and blocks[a].shape[1] > 2:
            continue  # the products of one column's indicators say nothing new
        x = _products(blocks[a], blocks[b])
        middle, spread = x.mean(axis=0), x.std(axis=0)
        keep = spread > 1e-9
        x = (x - middle)[:, keep] / spread[keep]
        found = ((x.T @ labels / np.sqrt(label @ label)) ** 6).sum(axis=0) / max(1, keep.sum())
        evidence += found
        weight = np.empty_like(x)
        for k in range(folds):
            train = fold != k
            difference = x[train].T @ label[train] / np.sqrt(label[train] @ label[train])
            weight[~train] = difference**5 / max(1, keep.sum())
        score = (x * weight).sum(axis=1)
        scores += score
        for name, partner in ({a: b} if b is None else {a: b, b: a}).items():
            again = _products(*(blocks[n][shuffle] if n == name else blocks[n] for n in (a, b)))
            shuffled[name] += ((again - middle)[:, keep] / spread[keep] * weight).sum(axis=1) - score
            best[name] = max(
                best[name], (found[0], "" if partner in (None, name) else partner), key=itemgetter(0)
            )
    auc = roc_auc_score(label > 0, scores)
    drop = [auc - roc_auc_score(label > 0, scores + shuffled[name]) for name in names]
    told = pd.DataFrame({"column": names, "auc_drop": drop, "partner": [best[name][1] for name in names]})
    told = told.sort_values("auc_drop", ascending=False, kind="stable", ignore_index=True)
    p = (1 + np.count_nonzero(evidence[1:] >= evidence[0] * (1 - 1e-9))) / (permutations + 1)
    return ClassifierDrift(auc, float(p), bool(p <= alpha), told)


def _products(a: Array, b: Array) -> Array:
    return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)


def _features(parts: list[pd.Series], coded: bool) -> Array:
    """Standardised features of one column over both frames, shape (rows, features)."""
    kinds = {side_kind(part) for part in parts} - {""}
    both = pd.concat(parts, ignore_index=True)
    if len(kinds) == 1 and kinds <= {"numeric", "date"} and not coded:
        values = floats(both, *kinds)
        there, block = np.isfinite(values), np.zeros((len(both), 1))
        block[there, 0] = special.ndtri((stats.rankdata(values[there]) - 0.5) / max(1, there.sum()))
    else:
        there = both.notna().to_numpy()
        text = both.map(str if len(kinds) < 2 else lambda value: type(value).__name__).to_numpy(object)
        counts = pd.Series(text[there], dtype=object).value_counts()
        levels = counts.index[counts >= 0.02 * len(both)][:20].to_numpy(object)
        block = (text[:, None] == levels) & there[:, None]
    block = np.column_stack([block, ~there]).astype(float)
    spread = block.std(axis=0)
    return ((block - block.mean(axis=0)) / np.where(spread > 0, spread, 1))[:, spread > 0]
