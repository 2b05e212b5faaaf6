"""Calls that the web still teaches and that this course refuses, with what replaced them and since when.

The lint reads the table, and the "What changed" tables of the lessons are made from it: a Markdown line
`{{ what_changed: mlflow-tracking }}` becomes the rows of that topic that concern the lesson.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass

Finder = Callable[[ast.AST], bool]
WHAT_CHANGED = re.compile(r"^\{\{ *what_changed: *([^}]*?) *\}\}$", re.MULTILINE)


@dataclass(frozen=True)
class Deprecation:
    """One removed or deprecated call: how it was written, what replaces it, since which version.

    `text` is searched in code as written; `finder` decides on each node of its syntax tree. `own` is searched
    in a lesson as written: it finds what uses the old call or today's, so that the row concerns the lesson.
    """

    topic: str
    old: str
    new: str
    since: str
    own: str
    text: str | None = None
    finder: Finder | None = None


def call(
    *names: str,
    keyword: str | None = None,
    value: object = ...,
    text_at: int | None = None,
    exact: bool = False,
) -> Finder:
    """Return a finder of calls to a function or method of one of `names`.

    With `keyword` only when that argument is passed (with `value`, only with that constant); with `text_at`
    only when the positional argument there is a literal text; with `exact` only under its full dotted name.
    """

    def finds(node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        dotted = ast.unparse(node.func)
        if not any(dotted == name or (not exact and dotted.endswith(f".{name}")) for name in names):
            return False
        if text_at is not None:
            if len(node.args) <= text_at or not isinstance(node.args[text_at], ast.Constant):
                return False
            return isinstance(node.args[text_at].value, str)
        if keyword is None:
            return True
        for argument in node.keywords:
            if argument.arg == keyword:
                given = argument.value.value if isinstance(argument.value, ast.Constant) else None
                return value is ... or given == value
        return False

    return finds


def either(*finders: Finder) -> Finder:
    """Return a finder of what any of `finders` finds."""
    return lambda node: any(finder(node) for finder in finders)


def chained_assignment(node: ast.AST) -> bool:
    """Tell whether `frame["column"][rows] = value`, where rows looks like a condition, not like a key."""
    if not isinstance(node, (ast.Assign, ast.AugAssign)):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(
        isinstance(target, ast.Subscript)
        and isinstance(target.value, ast.Subscript)
        and isinstance(target.value.slice, ast.Constant)
        and isinstance(target.value.slice.value, str)
        and (
            isinstance(target.slice, (ast.Compare, ast.BinOp, ast.UnaryOp, ast.Call))
            or (isinstance(target.slice, ast.Name) and re.match(r"mask|rows|is_|where", target.slice.id))
        )
        for target in targets
    )


def inplace_on_a_column(node: ast.AST) -> bool:
    """Tell whether `frame["column"].method(…, inplace=True)`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Subscript)
        and isinstance(node.func.value.slice, ast.Constant)
        and any(
            k.arg == "inplace" and isinstance(k.value, ast.Constant) and k.value.value for k in node.keywords
        )
    )


# Since when: MLflow's and pandas' deprecation notices and release notes, and what the pinned versions refuse.
TABLE: tuple[Deprecation, ...] = (
    Deprecation(
        "mlflow-tracking",
        "`mlflow.list_experiments()`, `client.list_run_infos()`",
        "`mlflow.search_experiments()`, `mlflow.search_runs()`",
        "MLflow `2.0`",
        own=r"search_experiments|search_runs|list_experiments|list_run_infos",
        finder=call("list_experiments", "list_run_infos", "list_registered_models"),
    ),
    Deprecation(
        "mlflow-tracking",
        '`mlflow.set_tracking_uri("./mlruns")`, the default folder `mlruns/`',
        '`mlflow.set_tracking_uri("sqlite:///mlflow.db")`, now the default',
        "default since MLflow `3.7`, files refused since `3.13`",
        own=r"sqlite:///|set_tracking_uri|mlruns",
        text=r"[\"'](?:\./|file:)[^\"']*mlruns|[\"']mlruns/?[\"']|MLFLOW_ALLOW_FILE_STORE",
    ),
    Deprecation(
        "mlflow-tracking",
        '`log_model(model, "model")`, `log_model(model, artifact_path="model")`',
        '`log_model(model, name="model")`',
        "MLflow `3.0`",
        own=r"log_model\(",
        finder=either(call("log_model", keyword="artifact_path"), call("log_model", text_at=1)),
    ),
    Deprecation(
        "mlflow-tracking",
        '`f"runs:/{run_id}/model"`',
        "`model_info.model_uri` of what `log_model` returns: a model is no longer one of the run's artifacts",
        "MLflow `3.0`",
        own=r"model_uri|runs:/",
        text=r"runs:/[^\"']*/(?:model|sklearn-model|xgb-model)[\"']",
    ),
    Deprecation(
        "mlflow-tracking",
        "`mlflow ui --port 5000`, `http://localhost:5000`",
        "another port: on a Mac, AirPlay listens on `5000`",
        "macOS `12`",
        own=r":5000|--port|mlflow ui|mlflow server|tracking_server\(",
        text=r"localhost:5000|127\.0\.0\.1:5000|0\.0\.0\.0:5000|--port[ =,\"']+5000|\bport\s*=\s*5000\b",
    ),
    Deprecation(
        "mlflow-registry",
        '`client.transition_model_version_stage(…, "Production")`',
        '`client.set_registered_model_alias(name, "champion", version)`',
        "MLflow `2.9`",
        own=r"set_registered_model_alias|transition_model_version_stage",
        finder=call("transition_model_version_stage"),
    ),
    Deprecation(
        "mlflow-registry",
        '`client.get_latest_versions(name, stages=["Production"])`',
        '`client.get_model_version_by_alias(name, "champion")`',
        "MLflow `2.9`",
        own=r"get_model_version_by_alias|get_latest_versions",
        finder=call("get_latest_versions"),
    ),
    Deprecation(
        "mlflow-registry",
        '`"models:/trips/Production"`',
        '`"models:/trips@champion"`',
        "MLflow `2.9`",
        own=r"models:/[^\"'\s]*@|models:/[^\"'\s]*/Production",
        text=r"models:/[^\"'@]*/(?:Production|Staging|Archived|None)\b",
    ),
    Deprecation(
        "mlflow-models",
        "`mlflow.evaluate(…)`",
        "`mlflow.models.evaluate(…)`",
        "MLflow `3.0`",
        own=r"(?<!model_)\bevaluate\(|models\.evaluate",
        finder=call("mlflow.evaluate", exact=True),
    ),
    Deprecation(
        "mlflow-models",
        "`evaluate(…, baseline_model=…, validation_thresholds=…)`",
        "`mlflow.validate_evaluation_results(thresholds, candidate, baseline)`",
        "gone by MLflow `3.17`",
        own=r"validate_evaluation_results|baseline_model|validation_thresholds",
        finder=either(
            call("evaluate", keyword="baseline_model"), call("evaluate", keyword="validation_thresholds")
        ),
    ),
    Deprecation(
        "mlflow-models",
        '`sklearn.log_model(…, serialization_format="cloudpickle")`, `model.pkl`',
        "nothing: skops is the default, and `skops_trusted_types=[…]` names what it may load",
        "MLflow `3.17` warns",
        own=r"skops|cloudpickle|model\.pkl",
        finder=call("log_model", keyword="serialization_format", value="cloudpickle"),
    ),
    Deprecation(
        "mlflow-serving",
        "`mlflow run --no-conda`, `mlflow models serve --no-conda`",
        "`--env-manager local`",
        "MLflow `2.0`",
        own=r"env-manager|env_manager|no-conda",
        text=r"--no-conda|\bno_conda\s*=|\buse_conda\s*=",
    ),
    Deprecation(
        "mlflow-serving",
        "`mlflow models serve --enable-mlserver`",
        "`mlflow models serve`, or a server of your own",
        "MLflow `3.13`",
        own=r"models[\"\', ]+serve|mlserver",
        text=r"--enable-mlserver|\benable_mlserver\s*=",
    ),
    Deprecation(
        "sklearn",
        "`mean_squared_error(y, p, squared=False)`",
        "`root_mean_squared_error(y, p)`",
        "scikit-learn `1.4`, gone in `1.6`",
        own=r"mean_squared_error",
        finder=call("mean_squared_error", "mean_squared_log_error", keyword="squared"),
    ),
    Deprecation(
        "sklearn",
        "`OneHotEncoder(sparse=False)`",
        "`OneHotEncoder(sparse_output=False)`",
        "scikit-learn `1.2`, gone in `1.4`",
        own=r"OneHotEncoder",
        finder=call("OneHotEncoder", keyword="sparse"),
    ),
    Deprecation(
        "sklearn",
        "`encoder.get_feature_names()`",
        "`encoder.get_feature_names_out()`",
        "scikit-learn `1.0`, gone in `1.2`",
        own=r"get_feature_names",
        finder=call("get_feature_names"),
    ),
    Deprecation(
        "sklearn",
        "`from sklearn.externals import joblib`",
        "`import joblib`",
        "scikit-learn `0.23`",
        own=r"\bjoblib\b",
        text=r"\bsklearn\.externals\b",
    ),
    Deprecation(
        "sklearn",
        "`load_boston()`",
        "`fetch_california_housing()`: a column of the old data rests on a racist premise",
        "scikit-learn `1.2`",
        own=r"fetch_california_housing|load_boston",
        text=r"\bload_boston\b",
    ),
    Deprecation(
        "xgboost",
        "`model.fit(…, early_stopping_rounds=10, eval_metric=…)`",
        "`XGBRegressor(early_stopping_rounds=10, eval_metric=…).fit(…)`",
        "XGBoost `1.6`, refused by `3.2`",
        own=r"early_stopping_rounds",
        finder=either(call("fit", keyword="early_stopping_rounds"), call("fit", keyword="eval_metric")),
    ),
    Deprecation(
        "xgboost",
        '`tree_method="gpu_hist"`',
        '`tree_method="hist", device="cuda"`',
        "XGBoost `2.0`, refused by `3.2`",
        own=r"\bdevice=|gpu_hist|\bcuda\b",
        text=r"\bgpu_hist\b|\bgpu_predictor\b",
    ),
    Deprecation(
        "xgboost",
        "`use_label_encoder=False`",
        "nothing: leave it out",
        "XGBoost `1.7`",
        own=r"use_label_encoder|XGBClassifier",
        text=r"\buse_label_encoder\b",
    ),
    Deprecation(
        "tuning",
        "`fmin(…, rstate=np.random.RandomState(0))`",
        "`fmin(…, rstate=np.random.default_rng(0))`",
        "hyperopt `0.2.6`",
        own=r"\bfmin\(",
        text=r"\brstate\s*=\s*(?:np\.random\.|numpy\.random\.)?RandomState\b",
    ),
    Deprecation(
        "tuning",
        "`trial.suggest_uniform()`, `trial.suggest_loguniform()`",
        "`trial.suggest_float(…)`, `trial.suggest_float(…, log=True)`",
        "Optuna `3.0`, to go in `6.0`",
        own=r"suggest_(?:float|uniform|loguniform)",
        finder=call("suggest_uniform", "suggest_loguniform", "suggest_discrete_uniform"),
    ),
    Deprecation(
        "tuning",
        "`UniformDistribution`, `LogUniformDistribution`",
        "`FloatDistribution(…)`, `FloatDistribution(…, log=True)`",
        "Optuna `3.0`, to go in `6.0`",
        own=r"FloatDistribution|UniformDistribution",
        text=r"\b(?:Int|Log|IntLog|Discrete)?UniformDistribution\b",
    ),
    Deprecation(
        "pandas",
        "`frame.append(row)`",
        "`pd.concat([frame, row])`",
        "pandas `2.0`",
        own=r"pd\.concat|frame\.append",
        finder=call("append", keyword="ignore_index"),
    ),
    Deprecation(
        "pandas",
        '`fillna(method="ffill")`',
        "`ffill()`, `bfill()`",
        "pandas `2.1`, gone in `3.0`",
        own=r"\b[bf]fill\(|fillna\(method",
        finder=call("fillna", keyword="method"),
    ),
    Deprecation(
        "pandas",
        '`frame["fare"][mask] = 0`',
        '`frame.loc[mask, "fare"] = 0`: the old form changes nothing any more',
        "pandas `3.0`",
        own=r"\.loc\[[^\n]*\] =(?!=)",
        finder=chained_assignment,
    ),
    Deprecation(
        "pandas",
        '`frame["fare"].fillna(0, inplace=True)`',
        '`frame["fare"] = frame["fare"].fillna(0)`: the old form changes nothing any more',
        "pandas `3.0`",
        own=r"\]\.fillna\(",
        finder=inplace_on_a_column,
    ),
    Deprecation(
        "pandas",
        "`infer_datetime_format=True`, `date_parser=…`",
        "nothing, or `date_format=…`",
        "pandas `2.0`, gone in `3.0`",
        own=r"to_datetime\(|date_format=|parse_dates=|infer_datetime_format",
        text=r"\binfer_datetime_format\b|\bdate_parser\s*=",
    ),
    Deprecation(
        "pandas",
        '`resample("M")`, `freq="H"`',
        '`resample("ME")`, `freq="h"`',
        "pandas `2.2`, gone in `3.0`",
        own=r"resample\(|\bfreq=|date_range\(",
        text=r"(?:resample\(|\bfreq\s*=\s*)[\"']\d*(?:M|Q|Y|A|H|T|S|L|BM|BQ)[\"']",
    ),
    Deprecation(
        "pandas",
        "`frame.applymap(f)`",
        "`frame.map(f)`",
        "pandas `2.1`, gone in `3.0`",
        own=r"\.map\(|applymap",
        finder=call("applymap"),
    ),
    Deprecation(
        "pandas",
        '`engine="fastparquet"`',
        "nothing: pyarrow reads and writes Parquet",
        "pandas `3.1`",
        own=r"read_parquet\(|to_parquet\(|fastparquet",
        text=r"\bfastparquet\b",
    ),
    Deprecation(
        "prophet",
        "`from fbprophet import Prophet`",
        "`from prophet import Prophet`",
        "Prophet `1.0`",
        own=r"\bprophet\b",
        text=r"\bfbprophet\b",
    ),
)


def found_in(source: str) -> list[tuple[int, Deprecation]]:
    """Return (line, row) for each refused call in a code cell."""
    found = []
    for row in TABLE:
        if row.text and (match := re.search(row.text, source)):
            found.append((source.count("\n", 0, match.start()) + 1, row))
    try:
        tree = ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE))
    except SyntaxError:
        return found
    for node in ast.walk(tree):
        found += [(getattr(node, "lineno", 1), row) for row in TABLE if row.finder and row.finder(node)]
    return found


def rows_of(topic: str, lesson: str) -> list[Deprecation]:
    """Return the rows of a topic that concern a lesson, given as it is written; KeyError for no topic."""
    known = sorted({row.topic for row in TABLE})
    if topic not in known:
        raise KeyError(f"what_changed knows no topic {topic!r}; it knows {', '.join(known)}")
    text = WHAT_CHANGED.sub("", lesson)
    return [row for row in TABLE if row.topic == topic and re.search(row.own, text)]


def topics_of(markdown: str) -> list[str]:
    """Return the topics that the lines `{{ what_changed: … }}` name."""
    return [topic.strip() for line in WHAT_CHANGED.findall(markdown) for topic in line.split(",")]


def what_changed(topics: list[str], lesson: str) -> str:
    """Return the Markdown table old → new → since: the rows of these topics that concern the lesson."""
    rows = [row for topic in topics for row in rows_of(topic, lesson)]
    lines = ["| You will still read | Today | Since |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {row.old} | {row.new} | {row.since} |" for row in rows)])


def fill(markdown: str, lesson: str) -> str:
    """Replace each line `{{ what_changed: topic, topic }}` by its table; `lesson` is all of its text."""
    return WHAT_CHANGED.sub(lambda line: what_changed(topics_of(line[0]), lesson), markdown)
