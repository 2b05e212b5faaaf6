"""What a backtest that is taken up again depends on: data, folds, settings, code and versions, as one key.

The code that counts is the code that runs: the instructions and values of the builder and of the model, and
of everything of the user's that they call, through any module; a library counts by its version. What can't
be told is refused, because a key that leaves it out would bring back forecasts of other code.
"""

from __future__ import annotations

import dis
import hashlib
import inspect
import platform
import sys
import sysconfig
import types
from collections.abc import Mapping
from functools import cache, cached_property, partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from walkforward.forecasting.errors import ForecastError

HERE = Path(__file__).resolve().parent
LIBRARIES = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")}
COMPUTING = ("numpy", "pandas", "sklearn", "scipy", "holidays", "threadpoolctl")
OPAQUE = {"eval", "exec", "__import__", "import_module", "globals"}
OF_EVERY_CLASS = set(
    "__dict__ __weakref__ __doc__ __module__ __qualname__ __firstlineno__ __static_attributes__ "
    "__annotations__ __annotate__ __annotate_func__ __annotations_cache__ __abstractmethods__ _abc_impl "
    "__orig_bases__ __parameters__ __slotnames__".split()
)


def key(settings: Mapping[str, Any], frame: pd.DataFrame) -> str:
    """The name of the folder of this call's folds: 32 hexadecimal digits.

    `settings` holds the model, the builder, the folds and all parameters that the forecasts depend on.
    """
    teller = _Teller()
    told = [f"model: {teller.model(settings['model'], 'model')}"]
    told += [f"{name}: {teller.tell(value, name)}" for name, value in settings.items() if name != "model"]
    data = [str(list(frame.columns)), str(frame.dtypes.astype(str).tolist()), teller.tell(frame, "frame")]
    versions = [f"python {platform.python_version()}", f"walkforward {_own_source()}"]
    versions += [_version(name) for name in sorted(teller.libraries | set(COMPUTING))]
    text = "\n".join([*told, *data, *versions])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _version(name: str) -> str:
    """What a library says of itself, and what its distribution says."""
    said = getattr(sys.modules.get(name), "__version__", "")
    found = []
    for distribution in _distributions().get(name, []):
        try:
            found.append(metadata.version(distribution))
        except metadata.PackageNotFoundError:
            continue
    return f"{name} {said} {found}"


@cache
def _distributions() -> Mapping[str, list[str]]:
    return {name: sorted(set(some)) for name, some in metadata.packages_distributions().items()}


@cache
def _own_source() -> str:
    return hashlib.sha256(
        b"".join(file.read_bytes() for file in sorted(HERE.parent.rglob("*.py")))
    ).hexdigest()


class _Teller:
    """Turns a value into text that is the same in every process and differs where its behaviour can."""

    def __init__(self) -> None:
        self.libraries: set[str] = set()
        self.told: dict[int, tuple[str, Any]] = {}  # id → text, and the thing itself to keep the id alive

    def tell(self, thing: Any, where: str) -> str:
        """The text of a value (of a long one the digest); `where` names it in an error."""
        if thing is None or isinstance(thing, bool | int | float | complex | str | bytes):
            return f"{type(thing).__qualname__} {thing!r}"
        if id(thing) not in self.told:
            self.told[id(thing)] = "itself", thing  # what holds itself ends here
            kinds = self._ways()
            how = next((how for kind, how in kinds.items() if isinstance(thing, kind)), self._instance)
            self.told[id(thing)] = hashlib.sha256(how(thing, where).encode()).hexdigest(), thing
        return self.told[id(thing)][0]

    def model(self, thing: Any, where: str) -> str:
        """A model, which is cloned before it is fitted: what counts is its class and its parameters."""
        if isinstance(thing, list | tuple):
            return f"({', '.join(self.model(part, where) for part in thing)})"
        if isinstance(thing, type) or not hasattr(thing, "get_params"):
            return self.tell(thing, where)
        parameters = sorted(thing.get_params(deep=False).items())
        told = ", ".join(f"{name}={self.model(value, f'{where}.{name}')}" for name, value in parameters)
        return f"{self.tell(type(thing), where)}({told})"

    def _ways(self) -> dict[Any, Any]:
        return {
            np.ndarray: self._array,
            pd.DataFrame | pd.Series | pd.Index: self._table,
            types.ModuleType: lambda module, where: self._module(module, [], where),
            types.FunctionType: self._function,
            types.MethodType: lambda method, where: self._parts([method.__func__, method.__self__], where),
            types.BuiltinFunctionType | np.ufunc: self._builtin,
            types.CodeType: self._code,
            type: self._class,
            partial: lambda made, where: self._parts([made.func, made.args, made.keywords], where),
            property: lambda one, where: self._parts([one.fget, one.fset], where),
            staticmethod | classmethod: lambda one, where: self.tell(one.__func__, where),
            cached_property: lambda one, where: self.tell(one.func, where),
            dict | types.MappingProxyType: lambda some, where: self._parts(list(some.items()), where),
            list | tuple: self._parts,
            set | frozenset: lambda some, where: str(sorted(self._alone(one, where) for one in some)),
        }

    def _alone(self, thing: Any, where: str) -> str:
        """An element of a set, whose order is not the same in every process."""
        return self.tell(thing, where) if isinstance(thing, str | int | float | bytes) else repr(thing)

    def _parts(self, parts: Any, where: str) -> str:
        return f"{type(parts).__name__}({', '.join(self.tell(part, where) for part in parts)})"

    def _array(self, array: np.ndarray, where: str) -> str:
        if array.dtype == object:
            return f"array {array.shape} {self._parts(array.ravel().tolist(), where)}"
        digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        return f"array {array.dtype} {array.shape} {digest}"

    def _table(self, table: Any, where: str) -> str:
        if isinstance(table, pd.DataFrame):
            columns = [table.iloc[:, i] for i in range(table.shape[1])]
            return self._parts([list(table.columns), table.index, *columns], where)
        try:
            hashed = pd.util.hash_pandas_object(table, index=False).to_numpy()
        except TypeError:  # lists and their like
            hashed = table.to_numpy(dtype=object)
        return f"{type(table).__name__} {table.dtype} {table.name} {self._array(hashed, where)}"

    def _module(self, module: types.ModuleType, used: list[str], where: str) -> str:
        """A library by its version; of a module of the user's what is `used`, or all if that is not known."""
        if self._library(module.__name__):
            return f"module {module.__name__}"
        there = vars(module)
        names = [name for name in used if name in there]
        names = names or [name for name in sorted(there) if not name.startswith("__")]
        told = (f"{name}={self.tell(there[name], f'{module.__name__}.{name}')}" for name in names)
        return f"module {module.__name__}({', '.join(told)})"

    def _library(self, name: str) -> bool:
        """Does this module belong to a library or to Python (then its version counts), or to the user?"""
        top = name.partition(".")[0]
        if top == "walkforward" or top == "builtins":
            return True
        if top in sys.stdlib_module_names and top != "__main__":
            return True
        file = getattr(sys.modules.get(name) or sys.modules.get(top), "__file__", None)
        if file is None or not any(folder in Path(file).resolve().parents for folder in LIBRARIES):
            return False
        self.libraries.add(top)
        return True

    def _builtin(self, thing: Any, where: str) -> str:
        owner = getattr(thing, "__self__", None)
        if owner is not None and not isinstance(owner, types.ModuleType):
            return f"method {thing.__name__} {self.tell(owner, where)}"
        module = getattr(owner, "__name__", None) or getattr(thing, "__module__", None) or "numpy"
        known = getattr(sys.modules.get(module), thing.__name__, None) is thing
        if not self._library(module) or (isinstance(thing, np.ufunc) and not known):
            _refuse(where, thing, "is compiled, so its code can't be read")
        return f"builtin {module}.{thing.__name__}"

    def _function(self, function: types.FunctionType, where: str) -> str:
        name = f"{function.__module__}.{function.__qualname__}"
        held = [_content(cell) for cell in function.__closure__ or ()]
        if function.__module__ and self._library(function.__module__):  # it may be around things of the user
            return f"function {name} {self._parts(held, where)}"
        parts = [function.__defaults__, function.__kwdefaults__, held, function.__code__]
        return f"function {name} {self._parts(parts, name)} {self._reads(function, name)}"

    def _reads(self, function: types.FunctionType, where: str) -> str:
        """The globals that a function reads, of modules what it takes out of them, and what it imports."""
        read, imported, taken = _uses(function.__code__)
        there = function.__globals__
        if opaque := sorted((OPAQUE & read - there.keys()) | ({"import_module"} & taken)):
            _refuse(where, function, f"calls {opaque[0]}, so what it runs can't be told")
        used = [] if {"getattr", "vars"} & read else sorted(taken)
        told = []
        for name in sorted(read & there.keys()):
            value = there[name]
            if isinstance(value, types.ModuleType):
                told.append(f"{name}={self._module(value, used, where)}")
            else:
                told.append(f"{name}={self.tell(value, f'{name}, which {where} reads,')}")
        for name in sorted(imported):
            if name in sys.modules:
                told.append(f"import {name}={self._module(sys.modules[name], sorted(taken), where)}")
            elif not self._library(name):
                _refuse(where, function, f"imports {name} when it runs; import it at the top of its module")
        return f"reads({', '.join(told)})"

    def _code(self, code: types.CodeType, where: str) -> str:
        consts = self._parts(code.co_consts, where)
        return f"code {code.co_code.hex()} {code.co_names} {code.co_varnames} {consts}"

    def _class(self, kind: type, where: str) -> str:
        name = f"{kind.__module__}.{kind.__qualname__}"
        if self._library(kind.__module__):
            return f"class {name}"
        own = {n: v for n, v in vars(kind).items() if n not in OF_EVERY_CLASS and not _slot(v)}
        inside = [f"{n}={self.tell(own[n], f'{name}.{n}')}" for n in sorted(own)]
        return f"class {name} {self._parts(kind.__bases__, name)} {inside}"

    def _instance(self, thing: Any, where: str) -> str:
        """An object as pickle takes it apart."""
        kind = self.tell(type(thing), where)
        if hasattr(thing, "__wrapped__"):  # functools.cache and its like
            return f"{kind} around {self.tell(thing.__wrapped__, where)}"
        try:
            reduced = thing.__reduce_ex__(4)
        except Exception:
            _refuse(where, thing, "can't be told from another")
        if isinstance(reduced, str):
            if not self._library(str(getattr(thing, "__module__", ""))):
                _refuse(where, thing, "is compiled, so its code can't be read")
            return f"{kind} {reduced}"
        made, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        parts = [made, arguments, state, list(items or ()), list(pairs or ())]
        return f"{kind} {self._parts(parts, where)}"


def _refuse(where: str, thing: Any, why: str) -> None:
    raise ForecastError(
        f"store= can't tell whether {where} is the same next time: {type(thing).__name__} {why}. "
        f"Leave store= out, or give it as a parameter that is a number, a text, a function or a table"
    )


def _slot(thing: Any) -> bool:
    return inspect.isgetsetdescriptor(thing) or inspect.ismemberdescriptor(thing)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return "empty"


def _uses(code: types.CodeType) -> tuple[set[str], set[str], set[str]]:
    """Of the code and the functions inside it: globals read, modules imported, and all names it may take."""
    steps = list(dis.get_instructions(code))
    read = {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    imported = {step.argval for step in steps if step.opname == "IMPORT_NAME" and step.argval}
    texts = {const for const in code.co_consts if isinstance(const, str) and const.isidentifier()}
    inner = [_uses(const) for const in code.co_consts if isinstance(const, types.CodeType)]
    reads, imports, names = zip((read, imported, texts.union(code.co_names)), *inner, strict=True)
    return set().union(*reads), set().union(*imports), set().union(*names)
