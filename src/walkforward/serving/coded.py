"""A fitted scikit-learn pipeline without names and texts: columns by number, categories by table.

What follows the encoders sees numbers alone, so that it can be compiled, or called with an array. A table
holds what the fitted encoder itself says of each category, and nothing of what it refuses.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, TargetEncoder

from walkforward.serving.checked import Refused

ENCODERS = (OneHotEncoder, OrdinalEncoder, TargetEncoder)
"""Encoders whose output for a column depends on that column alone."""
LARGEST = 4_000_000
"""Numbers in a table, at most: 32 MB."""


class Table:
    """What an encoder makes of one of its columns: a category in, the numbers that it decides out."""

    def __init__(self, column: int, categories: Sequence[Any], numbers: np.ndarray, start: int) -> None:
        """`numbers` (m, width) are the encoder's outputs for the m categories, from column `start` on."""
        decided = np.flatnonzero((numbers != numbers[:1]).any(axis=0))
        self.column, self.place, self.numbers = column, start + decided, numbers[:, decided]
        self.codes = {value: code for code, value in enumerate(categories)}
        self.never = self.codes.pop(NEVER, None)
        self.missing = self.codes.pop(MISSING, None)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the numbers of values (n,). Raises: Refused, for what the encoder refuses."""
        known, never, missing = self.codes, self.never, self.missing
        codes: list[Any] = [known.get(v, never if v == v else missing) for v in values.tolist()]
        if None in codes:
            raise Refused("the encoder refuses a category")
        return self.numbers.take(codes, axis=0)


NEVER, MISSING = object(), object()  # stand for every value that the encoder has not seen, and for NaN


class Coding:
    """Rows as the pipeline without names takes them; built by `coded`."""

    def __init__(self, texts: Sequence[bool]) -> None:
        self.texts, self.base = list(texts), np.zeros(len(texts))
        self.plain = np.array([i for i, text in enumerate(texts) if not text], int)
        self.tables: list[Table] = []
        self.filled: list[tuple[list[int], list[int]]] = []  # columns with gaps, and where they have none
        self.columns: Any = list(range(len(texts)))
        self.vocabulary: dict[int, list[Any]] = {}

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (n, k), in the signature's order, as numbers. Raises: Refused."""
        numbers = np.repeat(self.base[None], len(rows), axis=0)
        numbers[:, self.plain] = rows[:, self.plain]
        for table in self.tables:
            numbers[:, table.place] = table(rows[:, table.column])
        for gaps, places in self.filled:
            values = numbers[:, gaps]
            numbers[:, places] = np.where(np.isnan(values), self.base[places], values)
        return numbers.take(self.columns, axis=1)

    def is_text(self, column: int) -> bool:
        """Whether a column of the pipeline without names is a text of the rows, which it can't take."""
        return column < len(self.texts) and self.texts[column]

    def fill(self, columns: list[int], statistics: np.ndarray) -> list[int]:
        """Fill the gaps of columns with a number each; return where they stand without gaps."""
        places = list(range(len(self.base), len(self.base) + len(columns)))
        self.base = np.concatenate([self.base, statistics])
        self.filled.append((columns, places))
        return places

    def add(self, encoder: Any, columns: list[int]) -> list[int]:
        """Tabulate a fitted encoder of these columns; return where its output stands."""
        fitted = encoder[-1] if isinstance(encoder, Pipeline) else encoder
        if max(columns) >= len(self.texts):
            raise Refused("an encoder stands behind another")
        known = [[v for v in values.tolist() if v == v and v is not None] for values in fitted.categories_]
        common = [values[0] if values else np.nan for values in known]
        base = self._ask(encoder, [common])
        if base is None or sum(map(len, known)) * base.shape[1] > LARGEST:
            raise Refused(f"the categories of {type(fitted).__name__} are too many for a table")
        start = len(self.base)
        self.base = np.concatenate([self.base, base[0]])
        for i, column in enumerate(columns):
            values, text = known[i], self.texts[column]
            asked = self._ask(encoder, [[*common[:i], v, *common[i + 1 :]] for v in values])
            if asked is None:
                raise Refused(f"{type(fitted).__name__} refuses categories of its own")
            others = {NEVER: "\1 never seen" if text else max(values, default=0) + 1}
            others |= {} if text else {MISSING: np.nan}
            entries, numbers = list(values), [asked]
            for name, value in others.items():
                answer = self._ask(encoder, [[*common[:i], value, *common[i + 1 :]]])
                if answer is not None:
                    entries.append(name)
                    numbers.append(answer)
            self.tables.append(Table(column, entries, np.vstack(numbers), start))
            self.vocabulary[column] = values
        return list(range(start, len(self.base)))

    @staticmethod
    def _ask(encoder: Any, rows: list[list[Any]]) -> np.ndarray | None:
        names = getattr(encoder, "feature_names_in_", None)
        try:
            answer = encoder.transform(
                pd.DataFrame(rows, columns=names) if names is not None else _array(rows)
            )
        except Exception:
            return None
        return np.asarray(answer.toarray() if sparse.issparse(answer) else answer, float)


def _array(rows: list[list[Any]]) -> np.ndarray:
    return np.array(rows, object if any(isinstance(value, str) for value in rows[0]) else None)


def coded(raw: Any, texts: Sequence[bool]) -> tuple[Any, Coding]:
    """Return a copy of a fitted pipeline that takes an array of numbers, and what makes such arrays of rows.

    `texts` says of each column whether it holds text. Raises: Refused, when a text or an encoder can't be
    parted from the rest of the pipeline.
    """
    coding = Coding(texts)
    while isinstance(raw, BaseSearchCV):
        raw = raw.best_estimator_
    plain, columns = _coded(copy.deepcopy(raw), coding.columns, coding)
    coding.columns = np.array(columns, int)
    if any(map(coding.is_text, columns)):
        raise Refused("a text goes to something else than an encoder of categories")
    if any(isinstance(part, ENCODERS) for part in parts(plain)):
        raise Refused("an encoder stands behind what changes its columns")
    return plain, coding


def _coded(part: Any, columns: list[int], coding: Coding) -> tuple[Any, list[int]]:
    """The part without names, and the columns that it takes, in their order."""
    if type(part) in ENCODERS:
        return _same(), coding.add(part, columns)
    if type(part) is SimpleImputer and _fills_numbers(part) and not any(map(coding.is_text, columns)):
        return _same(), coding.fill(columns, part.statistics_)
    if isinstance(part, Pipeline):
        return _pipeline(part, columns, coding)
    if isinstance(part, ColumnTransformer):
        return _column_transformer(part, columns, coding)
    if isinstance(part, TransformedTargetRegressor):
        part.regressor_, columns = _coded(part.regressor_, columns, coding)
        part.regressor = part.regressor_
    return _nameless(part), columns


def _fills_numbers(part: SimpleImputer) -> bool:
    whole = part.statistics_.dtype.kind == "f" and np.isfinite(part.statistics_).all()
    gap_is_nan = part.missing_values != part.missing_values
    return bool(whole and gap_is_nan and not part.add_indicator)


def _pipeline(part: Pipeline, columns: list[int], coding: Coding) -> tuple[Any, list[int]]:
    imputers = 0
    while type(part.steps[imputers][1]) is SimpleImputer and imputers + 1 < len(part.steps):
        imputers += 1
    if type(part.steps[imputers][1]) in ENCODERS:  # what is imputed belongs into its table
        if any(step.add_indicator for _, step in part.steps[:imputers]):
            raise Refused("an imputer that adds indicators stands before an encoder")
        columns = coding.add(part[: imputers + 1], columns)
        part.steps = [("coded", _same()), *part.steps[imputers + 1 :]]
    else:
        name, first = part.steps[0]
        if isinstance(first, str) or first is None:
            first = _same()
        first, columns = _coded(first, columns, coding)
        part.steps[0] = (name, first)
    part.steps = [
        (name, step if isinstance(step, str | None) else _nameless(step)) for name, step in part.steps
    ]
    return part, columns


def _column_transformer(part: ColumnTransformer, columns: list[int], coding: Coding) -> tuple[Any, list[int]]:
    places, taken, entries = part._transformer_to_input_indices, [], []
    for name, step, _ in part.transformers_:
        if isinstance(step, str) and step == "drop":
            continue
        chosen = [columns[place] for place in places[name]]
        if not chosen:
            continue
        new, used = (_same(), chosen) if isinstance(step, str) else _coded(step, chosen, coding)
        entries.append((name, new, list(range(len(taken), len(taken) + len(used)))))
        taken += used
    part.transformers = part.transformers_ = entries
    part._transformer_to_input_indices = {name: chosen for name, _, chosen in entries}
    part._columns = [chosen for _, _, chosen in entries]
    part._n_features = part.n_features_in_ = len(taken)
    part.remainder, part._remainder = "drop", ("remainder", "drop", [])
    part.sparse_output_ = False
    return _nameless(part), taken


def _nameless(part: Any) -> Any:
    """The estimator, which takes and gives arrays: with names it would warn at each."""
    for name in ("feature_names_in_", "_sklearn_output_config"):
        vars(part).pop(name, None)
    return part


def _same() -> FunctionTransformer:
    """The identity, as a fitted ColumnTransformer holds it."""
    return FunctionTransformer(accept_sparse=True, check_inverse=False, feature_names_out="one-to-one")


def parts(part: Any) -> Iterator[Any]:
    """Yield every estimator inside an estimator, itself included."""
    if isinstance(part, np.ndarray) and part.dtype == object:
        part = part.ravel().tolist()
    if isinstance(part, dict):
        part = list(part.values())
    if isinstance(part, list | tuple):
        for each in part:
            yield from parts(each)
    elif hasattr(part, "get_params") and not isinstance(part, type):
        yield part
        yield from parts(vars(part))
