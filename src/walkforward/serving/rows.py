"""The plain common case of MLflow's protocol, read from JSON straight into rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Annotated, Any

import msgspec
import numpy as np
from mlflow.types import DataType

from walkforward.serving.predictor import Predictor, column_types

JSON = "application/json"
SOME = msgspec.Meta(min_length=1)
MOST_ORDERS = 100  # of the columns; a fair client has one or two
ReadRows = Callable[[msgspec.Raw], Any]


@lru_cache(64)
def is_json(content_type: str | None) -> bool:
    """Whether MLflow reads such a body as JSON: that type, in UTF-8, and no other parameter."""
    kind, *parameters = [part.strip() for part in (content_type or "").split(";")]
    charsets = [
        value.lower() for name, _, value in (p.partition("=") for p in parameters) if name == "charset"
    ]
    return kind == JSON and len(charsets) == len(parameters) and set(charsets) <= {"utf-8"}


def plain_rows(predictor: Predictor) -> PlainRows:
    """Return what reads a plain body (JSON in bytes) into rows (n, k).

    Args:
        predictor: The model, from `compiled`; its signature says which columns and types are plain.

    Returns:
        A function from the body to the rows, which raises ValueError for every other body.

    >>> from mlflow.models import Model, ModelSignature
    >>> from mlflow.pyfunc import PyFuncModel
    >>> from mlflow.types import ColSpec, Schema
    >>> from sklearn.linear_model import LinearRegression
    >>> signature = ModelSignature(Schema([ColSpec("double", "km"), ColSpec("long", "hour")]))
    >>> meta = Model(signature=signature, flavors={"python_function": {"loader_module": "mlflow.sklearn"}})
    >>> read = plain_rows(Predictor("native", "made up", len, PyFuncModel(meta, LinearRegression())))
    >>> read(b'{"dataframe_split": {"columns": ["hour", "km"], "data": [[7, 1.5]]}}').tolist()
    [[1.5, 7.0]]
    """
    return PlainRows(predictor)


class PlainRows:
    """A reader of bodies in one of four forms, with the signature's columns and values of their types.

    Types are what msgspec checks while it reads: a value of another type, one too large, a column too many or
    too few is a ValueError.
    """

    def __init__(self, predictor: Predictor) -> None:
        columns = column_types(predictor.model)
        kinds = _kinds(predictor)
        self.names, self.dtype = list(columns), predictor.dtype
        self.types = {name: kinds[kind] for name, kind in columns.items()}
        self.single = [i for i, kind in enumerate(columns.values()) if kind is DataType.float]
        self.split: Any = msgspec.defstruct(
            "Split", [("columns", list[str]), ("data", msgspec.Raw)], forbid_unknown_fields=True
        )
        forms: dict[str, Any] = {"dataframe_split": self.split}
        self.whole: Any = None
        if all(_is_plain(name) for name in self.names):  # msgspec renames fields to no others
            row, self.whole = self._structs()
            records = Annotated[list[row], SOME]
            forms |= {"dataframe_records": records, "instances": records, "inputs": self.whole | records}
        unset = msgspec.UNSET
        fields = [(name, form | msgspec.UnsetType, unset) for name, form in forms.items()]
        body = msgspec.defstruct("Body", fields, forbid_unknown_fields=True)
        self.decode = msgspec.json.Decoder(body).decode
        self.orders: dict[tuple[str, ...], tuple[ReadRows, list[int] | None]] = {}

    def __call__(self, body: bytes) -> np.ndarray:
        """Return the rows of a body, columns in the signature's order. Raises: ValueError."""
        asked = [form for form in msgspec.structs.astuple(self.decode(body)) if form is not msgspec.UNSET]
        if len(asked) != 1:
            raise ValueError("not one form")
        rows = self._rows(asked[0])
        if rows.ndim != 2:
            raise ValueError("columns of unlike length")
        if self.single and self.dtype is not np.float32:
            rows[:, self.single] = rows[:, self.single].astype(np.float32)
        return rows

    def _rows(self, form: Any) -> np.ndarray:
        values = msgspec.structs.astuple
        if type(form) is self.split:
            given = tuple(form.columns)
            read, order = self.orders.get(given) or self._order(given)
            rows = np.array(read(form.data), self.dtype)
            return rows if order is None else rows[:, order]
        if type(form) is self.whole:
            return np.array(values(form), self.dtype).T
        return np.array([values(row) for row in form], self.dtype)

    def _structs(self) -> tuple[Any, Any]:
        """A row, and all rows column by column; fields are called c0, c1, … as names may be no Python."""
        ids = [f"c{i}" for i in range(len(self.names))]
        renamed = dict(zip(ids, self.names, strict=True))
        define = partial(msgspec.defstruct, forbid_unknown_fields=True, rename=renamed)
        row = define("Row", list(zip(ids, self.types.values(), strict=True)))
        columns = [(c, Annotated[list[kind], SOME]) for c, kind in zip(ids, self.types.values(), strict=True)]
        return row, define("Columns", columns)

    def _order(self, given: tuple[str, ...]) -> tuple[ReadRows, list[int] | None]:
        """What reads rows with the columns in the order given, and how to take them in the signature's."""
        if sorted(given) != sorted(self.names) or len(self.orders) > MOST_ORDERS:
            raise ValueError("other columns, or more orders of them than a fair client has")
        row = tuple[tuple(self.types[name] for name in given)]  # type: ignore[misc]
        order = None if list(given) == self.names else [given.index(name) for name in self.names]
        self.orders[given] = msgspec.json.Decoder(Annotated[list[row], SOME]).decode, order
        return self.orders[given]


def _kinds(predictor: Predictor) -> dict[DataType, Any]:
    """What a value of each type of column may be in JSON."""
    exact = msgspec.Meta(gt=-predictor.limit, lt=predictor.limit)
    real: Any = Annotated[float, exact]
    whole = msgspec.Meta(gt=-int(predictor.limit), lt=int(predictor.limit))
    largest = min(2**31, int(predictor.limit)) - 1
    return {
        DataType.double: real | None if predictor.missing else real,
        DataType.float: real | None if predictor.missing else real,
        DataType.boolean: bool,
        DataType.long: Annotated[int, whole],
        DataType.integer: Annotated[int, msgspec.Meta(ge=-largest - 1, le=largest)],
        DataType.string: str,
    }


def _is_plain(name: str) -> bool:
    return not any(character in '"\\' or character < " " for character in name)
