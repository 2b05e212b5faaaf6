"""A fitted scikit-learn pipeline without names and texts: columns by number, categories by table.

What follows the encoders sees numbers alone, so that it can be compiled, or called with an array. A table
holds what the fitted encoder itself says of each category, and nothing of what it refuses.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, TargetEncoder

from walkforward.serving.check import Predict, Refused

ENCODERS = (OneHotEncoder, OrdinalEncoder, TargetEncoder)
"""Encoders whose output for a column depends on that column alone."""
LARGEST = 4_000_000
"""Numbers in a table, at most: 32 MB."""
NEVER, MISSING = object(), object()
"""Stand for every value that an encoder has not seen, and for NaN."""


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

    def before(self, predict: Predict) -> Predict:
        """Return what predicts from rows, where `predict` takes their numbers."""
        as_it_is = np.array_equal(self.columns, np.arange(len(self.texts)))
        if as_it_is and not self.tables and not self.filled:
            return predict
        return lambda rows: predict(self(rows))

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
        kind = type(fitted).__name__
        if max(columns) >= len(self.texts):
            raise Refused("an encoder stands behind another")
        known = [[v for v in values.tolist() if v == v and v is not None] for values in fitted.categories_]
        common = [values[0] if values else np.nan for values in known]
        base = _numbers(encoder, common, 0, common[:1])
        if base is None or sum(map(len, known)) * base.shape[1] > LARGEST:
            raise Refused(f"the categories of {kind} are too many for a table")
        start = len(self.base)
        self.base = np.concatenate([self.base, base[0]])
        for i, (column, values) in enumerate(zip(columns, known, strict=True)):
            of_known = _numbers(encoder, common, i, values)
            if of_known is None:
                raise Refused(f"{kind} refuses categories of its own")
            if self.texts[column]:
                others: dict[Any, Any] = {NEVER: "\1 never seen"}
            else:
                others = {NEVER: max(values, default=0) + 1, MISSING: np.nan}
            asked = {name: _numbers(encoder, common, i, [value]) for name, value in others.items()}
            taken = {name: numbers for name, numbers in asked.items() if numbers is not None}
            numbers = np.vstack([of_known, *taken.values()])
            self.tables.append(Table(column, [*values, *taken], numbers, start))
            self.vocabulary[column] = values
        return list(range(start, len(self.base)))


def _numbers(encoder: Any, common: list[Any], place: int, values: list[Any]) -> np.ndarray | None:
    """An encoder's numbers for values of one column, common ones in the others; None where it refuses one."""
    rows = [[*common[:place], value, *common[place + 1 :]] for value in values]
    names = getattr(encoder, "feature_names_in_", None)
    has_text = any(isinstance(value, str) for row in rows for value in row)
    array = np.array(rows, object if has_text else None)
    try:
        answer = encoder.transform(array if names is None else pd.DataFrame(rows, columns=names))
    except Exception:
        return None
    return np.asarray(answer.toarray() if sparse.issparse(answer) else answer, float)


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
    before_last = [step for _, step in part.steps[:-1]]
    imputers = len(list(takewhile(lambda step: type(step) is SimpleImputer, before_last)))
    if type(part.steps[imputers][1]) in ENCODERS:  # what is imputed belongs into its table
        if any(step.add_indicator for step in before_last[:imputers]):
            raise Refused("an imputer that adds indicators stands before an encoder")
        taken, first = coding.add(part[: imputers + 1], columns), ("coded", _same())
        rest = part.steps[imputers + 1 :]
    else:
        (name, step), *rest = part.steps
        plain, taken = _coded(_same() if step is None or isinstance(step, str) else step, columns, coding)
        first = (name, plain)
    nameless = [(name, step if isinstance(step, str | None) else _nameless(step)) for name, step in rest]
    part.steps = [first, *nameless]
    return _nameless(part), taken


def _column_transformer(part: ColumnTransformer, columns: list[int], coding: Coding) -> tuple[Any, list[int]]:
    taken: list[int] = []
    entries = []
    for name, step, _ in part.transformers_:
        chosen = [columns[place] for place in part._transformer_to_input_indices[name]]
        if not chosen or (isinstance(step, str) and step == "drop"):
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
