"""Score drift detectors as detectors, and measure what they cost; print Markdown tables.

    python benchmarks/drift.py                       everything; the peers' environments are made when missing
    python benchmarks/drift.py --short               a few runs of each: does it work?
    python benchmarks/drift.py --only score speed    parts: level, independent, "in time", shares, tests, …
    python benchmarks/drift.py --no-peers            ours and the plain tests only
    python benchmarks/drift.py --write               into results/drift.json and benchmarks/README.md

False alarms and power: 15 columns (normal ×3, lognormal ×2, exponential ×2, t(3) ×2, uniform; 3, 5, 8, 8 and
20 categories with Zipf's shares), two samples of n rows. An alarm is any flagged column, a hit is the changed
one: the first normal column moved by 0.3 or 0.2 standard deviations, or a tenth of the rows moved from the
first of 8 categories to the others (TV 0.10). Level: the same false alarms of ours, 2,000 comparisons each.
Independent: the same for nine worlds of rows at five sizes. In time: days with
AR(1) and a weekly season, with and without `time=`. Shares: one column whose vocabulary, levels or tail move.
Tests: one normal column of 500 rows, at the level that Holm leaves the least of 15 columns, 0.05 / 15.
Correlation: two normal columns are correlated in the second sample only. Known: the made-up car loans in
nannyml's wheel (Apache-2.0; read where it is installed), 50,000 reference rows against ten chunks of 5,000,
of which the last five drift. Every detector runs with its defaults, in an environment of its own
(requirements-drift-peers-*.txt), on one thread; nannyml learns from ten reference chunks of n rows, and of
the real months the peers see every third.
A peer that can't be installed says so in the table.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from shared import environment, memory, put, table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "drift.json"
PEERS = ("evidently", "nannyml", "alibi-detect", "frouros")
OURS = ("walkforward", "Holm on KS and χ²", "PSI > 0.1")
LEVELS = (3, 5, 8, 8, 20)
CHANGES = {"none": {}, "+0.3 σ": {"shift": 0.3}, "+0.2 σ": {"shift": 0.2}, "TV 0.10": {"moved": 0.1}}
SEEN = ["duration", "trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
CODES = ["pickup_location_id", "dropoff_location_id", "weekday"]
CHUNKS = {"nannyml": 10}
LOANS = ["car_value", "salary_range", "debt_to_income_ratio", "loan_length", "repaid_loan_on_prev_car"]
LOANS += ["size_of_downpayment", "driver_tenure"]
MONTHS = ROOT / "build" / "drift-peers" / "months.npz"

Flags = Callable[[pd.DataFrame, pd.DataFrame, list[str]], set[str]]


# ---------------------------------------------------------------- samples
def shares(k: int, moved: float) -> np.ndarray:
    p = 1 / np.arange(1, k + 1)
    p /= p.sum()
    return np.r_[p[0] - moved, p[1:] * (1 + moved / p[1:].sum())]


def sample(
    rng: np.random.Generator, n: int, shift: float = 0, moved: float = 0, rho: float = 0
) -> pd.DataFrame:
    x = {f"normal {k}": rng.normal(size=n) for k in range(3)}
    x["normal 1"] = rho * x["normal 0"] + (1 - rho**2) ** 0.5 * x["normal 1"]
    x["normal 0"] = x["normal 0"] + shift
    x |= {f"lognormal {k}": rng.lognormal(size=n) for k in range(2)}
    x |= {f"exponential {k}": rng.exponential(size=n) for k in range(2)}
    x |= {f"t3 {k}": rng.standard_t(3, size=n) for k in range(2)}
    x["uniform"] = rng.uniform(size=n)
    for i, k in enumerate(LEVELS):
        codes = rng.choice(k, n, p=shares(k, moved * (i == 2)))
        x[f"category {i}"] = np.array([f"level {c}" for c in range(k)], dtype=object)[codes]
    return pd.DataFrame(x)


def million(rng: np.random.Generator, n: int, shift: float) -> pd.DataFrame:
    x: dict[str, Any] = {f"x{k}": rng.normal(size=n) + shift for k in range(10)}
    for k in range(5):
        x[f"c{k}"] = pd.Series(np.array(list("abcdefgh"), dtype=object)[rng.integers(0, 4 + k, n)]).astype(
            "string"
        )
    frame = pd.DataFrame(x)
    # the text type that this pandas reads from a file
    return frame.astype({c: "str" if pd.__version__ >= "3" else object for c in frame if c.startswith("c")})


SIZES = ((100, 100), (500, 500), (3_000, 3_000), (1_000, 200), (50_000, 200))


def numbers_of(draw: Callable[[np.random.Generator, int], np.ndarray]) -> Callable[..., pd.DataFrame]:
    return lambda rng, n: pd.DataFrame({f"x{k}": draw(rng, n) for k in range(5)})


def correlated(rng: np.random.Generator, n: int) -> pd.DataFrame:
    common = rng.normal(size=n)
    return pd.DataFrame({f"x{k}": 0.9 * common + 0.44 * rng.normal(size=n) for k in range(5)})


def with_gaps(rng: np.random.Generator, n: int) -> pd.DataFrame:
    frame = sample(rng, n)
    return frame.mask(rng.random(frame.shape) < 0.2)


def long_tail(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.char.add("name ", rng.zipf(1.5, n).astype("U20")).astype(object)


WORLDS: dict[str, Callable[[np.random.Generator, int], pd.DataFrame]] = {
    "mixtures": numbers_of(lambda rng, n: rng.normal(size=n) * np.where(rng.random(n) < 0.1, 5, 1)),
    "heavy tails": numbers_of(lambda rng, n: rng.standard_cauchy(n)),
    "ties": numbers_of(lambda rng, n: np.where(rng.random(n) < 0.5, 0, rng.exponential(size=n))),
    "discretised": numbers_of(lambda rng, n: np.round(rng.normal(size=n), 1)),
    "correlated": correlated,
    "rare levels": lambda rng, n: pd.DataFrame({f"c{k}": long_tail(rng, n) for k in range(5)}),
    "a fifth missing": with_gaps,
    "clumped": numbers_of(lambda rng, n: rng.integers(0, 6, n) ** 2 + (rng.random(n) < 0.01)),
    "15 columns, mixed": lambda rng, n: sample(rng, n),
}
WEEK = np.array([0.2, 0.3, 0.3, 0.3, 0.4, -0.7, -0.8])  # a season, Monday to Sunday


def days(
    rng: np.random.Generator, n: int, m: int, rho: float, shift: float = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Days, n and the m after them: AR(1) columns with a weekly season, the fourth cut to levels."""
    noise = rng.normal(size=(n + m + 200, 4)) * (1 - rho**2) ** 0.5
    for day in range(1, len(noise)):
        noise[day] += rho * noise[day - 1]
    stamps = pd.date_range("2020-01-01", periods=n + m) + pd.Timedelta(days=int(rng.integers(7)))
    x = noise[200:] + WEEK[stamps.dayofweek][:, None]
    x[n:, 0] += shift
    frame = pd.DataFrame({"day": stamps, "a": x[:, 0], "b": np.exp(x[:, 1]), "c": x[:, 2]})
    frame["d"] = np.array(["low", "mid", "high", "top"], dtype=object)[np.digitize(x[:, 3], [-1, 0, 1])]
    return frame[:n], frame[n:].reset_index(drop=True)


def merchants(rng: np.random.Generator, n: int, name: str) -> np.ndarray:
    return np.char.add(name, rng.integers(0, 1_000, n).astype("U5")).astype(object)


def levels_of(rng: np.random.Generator, n: int, *shares: float) -> np.ndarray:
    return rng.choice(np.array(list("abcdefgh")[: len(shares)], dtype=object), n, p=shares)


def top_decile(rng: np.random.Generator, n: int, times: float) -> np.ndarray:
    x = rng.lognormal(size=n)
    edge = np.exp(1.2816)  # the ninth decile
    return np.where(x > edge, edge + times * (x - edge), x)


def unseen(rng: np.random.Generator, n: int, share: float) -> np.ndarray:
    return np.where(rng.random(n) < share, "new", levels_of(rng, n, 0.5, 0.3, 0.1, 0.05, 0.03, 0.02))


def ids(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.char.add(f"id {rng.integers(10**9)} ", np.arange(n).astype("U9")).astype(object)


Pair = tuple[Any, Any]
USUAL = (0.3, 0.25, 0.2, 0.18)
PAIRS: dict[str, Callable[[np.random.Generator], Pair]] = {
    "none: 1,000 merchants, 5,000 rows": lambda g: (merchants(g, 5_000, "a"), merchants(g, 5_000, "a")),
    "none: one long-tailed law, 5,000 rows": lambda g: (long_tail(g, 5_000), long_tail(g, 5_000)),
    "none: one long-tailed law, 5,000 against 200": lambda g: (long_tail(g, 5_000), long_tail(g, 200)),
    "none: ids, each once": lambda g: (ids(g, 5_000), ids(g, 5_000)),
    "all merchants replaced, 5,000 rows": lambda g: (merchants(g, 5_000, "a"), merchants(g, 5_000, "b")),
    "all merchants replaced, 5,000 against 200": lambda g: (merchants(g, 5_000, "a"), merchants(g, 200, "b")),
    "a new level in 5 % of 200, 50,000 before": lambda g: (unseen(g, 50_000, 0), unseen(g, 200, 0.05)),
    "none: six levels, 3,000 rows": lambda g: (
        levels_of(g, 3_000, *USUAL, 0.05, 0.02),
        levels_of(g, 3_000, *USUAL, 0.05, 0.02),
    ),
    "5 % and 2 % swapped, 3,000 rows": lambda g: (
        levels_of(g, 3_000, *USUAL, 0.05, 0.02),
        levels_of(g, 3_000, *USUAL, 0.02, 0.05),
    ),
    "top decile × 3, 500 rows": lambda g: (top_decile(g, 500, 1), top_decile(g, 500, 3)),
    "top decile × 3, 1,000 rows": lambda g: (top_decile(g, 1_000, 1), top_decile(g, 1_000, 3)),
    "top decile × 3, 3,000 rows": lambda g: (top_decile(g, 3_000, 1), top_decile(g, 3_000, 3)),
}


# ---------------------------------------------------------------- detectors: which columns they flag
def ours(**options: Any) -> Flags:
    from walkforward.drift import drift_report

    def flags(reference: pd.DataFrame, current: pd.DataFrame, coded: list[str]) -> set[str]:
        report = drift_report(reference, current, categorical=coded, **options)
        return set(report.loc[report["drift"], "column"])

    return flags


def plain_holm() -> Flags:
    from scipy import stats

    def flags(reference: pd.DataFrame, current: pd.DataFrame, coded: list[str]) -> set[str]:
        p = {}
        for name in reference:
            a, b = reference[name], current[name]
            if a.dtype.kind in "iuf" and name not in coded:
                p[name] = stats.ks_2samp(a, b, method="asymp").pvalue
            else:
                both = pd.concat([a.value_counts(), b.value_counts()], axis=1).fillna(0)
                p[name] = stats.chi2_contingency(both.to_numpy().T, correction=False).pvalue
        found = set()
        for k, name in enumerate(sorted(p, key=p.__getitem__)):
            if p[name] * (len(p) - k) >= 0.05:
                break
            found.add(name)
        return found

    return flags


def psi_rule() -> Flags:
    from walkforward.drift import drift_report

    def flags(reference: pd.DataFrame, current: pd.DataFrame, coded: list[str]) -> set[str]:
        report = drift_report(reference, current, categorical=coded)
        return set(report.loc[report["psi"] > 0.1, "column"])

    return flags


def evidently() -> Flags:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    def flags(reference: pd.DataFrame, current: pd.DataFrame, coded: list[str]) -> set[str]:
        texts = [c for c in reference if reference[c].dtype.kind not in "iuf" or c in coded]
        numbers = [c for c in reference if c not in texts]
        kinds = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
        sides = [Dataset.from_pandas(f, data_definition=kinds) for f in (current, reference)]
        found = set()
        for metric in Report([DataDriftPreset()]).run(*sides).dict()["metrics"]:
            config = metric["config"]
            if "column" in config:
                limit = float(metric["metric_name"].split("threshold=")[1].rstrip(")"))
                small = "p_value" in metric["metric_name"]
                if metric["value"] < limit if small else metric["value"] >= limit:
                    found.add(config["column"])
        return found

    return flags


def nannyml() -> Flags:
    from nannyml import UnivariateDriftCalculator

    def flags(reference: pd.DataFrame, current: pd.DataFrame, coded: list[str]) -> set[str]:
        names = list(reference)
        calculator = UnivariateDriftCalculator(
            column_names=names, treat_as_categorical=coded or None, chunk_size=len(current)
        )
        found = calculator.fit(reference).calculate(current).filter(period="analysis").to_df()
        alarms = found.xs("alert", axis=1, level=2)
        return {name for name in names if alarms[name].to_numpy(bool).any()}

    return flags


def alibi_detect() -> Flags:
    from alibi_detect.cd import TabularDrift

    def flags(reference: pd.DataFrame, current: pd.DataFrame, coded: list[str]) -> set[str]:
        x, y, categories = numbered(reference, current, coded)
        detector = TabularDrift(x, p_val=0.05, categories_per_feature=categories)
        data = detector.predict(y, drift_type="batch")["data"]
        return {c for c, p in zip(reference, data["p_val"], strict=True) if p < data["threshold"]}

    return flags


def frouros() -> Flags:
    from frouros.detectors.data_drift import ChiSquareTest, KSTest

    def flags(reference: pd.DataFrame, current: pd.DataFrame, coded: list[str]) -> set[str]:
        found = set()
        for name in reference:
            number = reference[name].dtype.kind in "iuf" and name not in coded
            detector = KSTest() if number else ChiSquareTest()
            detector.fit(X=reference[name].to_numpy())
            if detector.compare(X=current[name].to_numpy())[0].p_value < 0.05:
                found.add(name)
        return found

    return flags


def numbered(
    a: pd.DataFrame, b: pd.DataFrame, coded: list[str]
) -> tuple[np.ndarray, np.ndarray, dict[int, None]]:
    """Both frames as numbers, text as codes; and where the codes are."""
    columns, where = [], {}
    for k, name in enumerate(a):
        both = pd.concat([a[name], b[name]])
        if both.dtype.kind not in "iuf" or name in coded:
            where[k] = None
            both = pd.Series(pd.factorize(both, sort=True)[0])
        columns.append(both.to_numpy(dtype=np.float32))
    both = np.column_stack(columns)
    return both[: len(a)], both[len(a) :], where


DETECTORS: dict[str, Callable[[], Flags]] = {
    "walkforward": ours,
    "Holm on KS and χ²": plain_holm,
    "PSI > 0.1": psi_rule,
    "evidently": evidently,
    "nannyml": nannyml,
    "alibi-detect": alibi_detect,
    "frouros": frouros,
}


def multivariate(name: str) -> Callable[[pd.DataFrame, pd.DataFrame, int], bool]:
    """The detector of many columns at once."""
    if name == "walkforward":
        from walkforward.drift import classifier_drift

        return lambda a, b, seed: classifier_drift(a, b, seed=seed).drift
    if name == "alibi-detect":
        from alibi_detect.cd import ClassifierDrift
        from sklearn.ensemble import RandomForestClassifier

        def forest(a: pd.DataFrame, b: pd.DataFrame, seed: int) -> bool:
            x, y, _ = numbered(a, b, [])
            options = {"backend": "sklearn", "n_folds": 5, "preds_type": "probs", "binarize_preds": False}
            detector = ClassifierDrift(x, RandomForestClassifier(random_state=seed), seed=seed, **options)
            return bool(detector.predict(y)["data"]["is_drift"])

        return forest
    if name == "nannyml":
        from nannyml import DataReconstructionDriftCalculator

        def pca(a: pd.DataFrame, b: pd.DataFrame, seed: int) -> bool:
            calculator = DataReconstructionDriftCalculator(column_names=list(a), chunk_size=len(b))
            found = calculator.fit(a).calculate(b).filter(period="analysis").to_df()
            return bool(found["reconstruction_error"]["alert"].to_numpy(bool).any())

        return pca
    raise ValueError(name)


# ---------------------------------------------------------------- one worker: one detector, one task
def score(name: str, rows: dict[str, tuple[int, dict[str, float], int]]) -> dict[str, dict[str, float]]:
    flags, found = DETECTORS[name](), {}
    for key, (n, change, runs) in rows.items():
        rng, counts = np.random.default_rng(1), np.zeros(2)
        target = "category 2" if "moved" in change else "normal 0"
        for _ in range(runs):
            said = flags(sample(rng, n * CHUNKS.get(name, 1)), sample(rng, n, **change), [])
            counts += [bool(said), target in said]
        found[key] = {"any": counts[0] / runs, "hit": counts[1] / runs, "runs": runs}
    return found


def tests(name: str, runs: int) -> dict[str, dict[str, float]]:
    """Candidates for a numeric column: false alarms at 0.05, and how often each is clear at 0.05 / 15."""
    from scipy import stats

    from walkforward.drift.measures import merged

    rng = np.random.default_rng(3)

    def energy(a: np.ndarray, b: np.ndarray) -> float:
        """Of 999 permutations, those with as large an integral of (F - G)²."""
        both = np.concatenate([a, b])
        order = both.argsort()
        side = np.tile(np.repeat([1 / len(a), -1 / len(b)], [len(a), len(b)]), (1_000, 1))
        side[1:] = rng.permuted(side[1:], axis=1)
        side[0] = side[0][order]
        found = np.cumsum(side, axis=1)[:, :-1] ** 2 @ np.diff(both[order])
        return float(np.mean(found >= found[0] * (1 - 1e-9)))

    rules = {
        "Kolmogorov-Smirnov": lambda a, b: stats.ks_2samp(a, b, method="asymp").pvalue,
        "Cramér-von Mises": lambda a, b: stats.cramervonmises_2samp(a, b, method="asymptotic").pvalue,
        "energy, permuted": energy,
        "Anderson-Darling": lambda a, b: merged(np.sort(a), np.sort(b))[-1],
        "Anderson-Darling, four weeks pooled": lambda a, b: merged(np.sort(a), np.sort(b))[-1],
    }
    changes = {"none": (0, 1), "+0.3 σ": (0.3, 1), "+0.2 σ": (0.2, 1), "1.2 × σ": (0, 1.2)}
    found = {}
    for rule, p_value in rules.items():
        n, p = 500 * (4 if "four" in rule else 1), {}
        for change, (shift, scale) in changes.items():
            p[change] = [p_value(rng.normal(size=n), rng.normal(shift, scale, n)) for _ in range(runs)]
        found[rule] = {
            c: float(np.mean(np.array(v) < 0.05 / (1 if c == "none" else 15))) for c, v in p.items()
        }
    return found


def correlation(name: str, runs: int) -> dict[str, dict[str, float]]:
    detector, found = multivariate(name), {}
    for rho in (0, 0.3, 0.5):
        rng = np.random.default_rng(2)
        frames = ((sample(rng, 500 * CHUNKS.get(name, 1)), sample(rng, 500, rho=rho)) for _ in range(runs))
        alarms = [detector(a, b, seed) for seed, (a, b) in enumerate(frames)]
        found[f"ρ = {rho}"] = {"alarm": float(np.mean(alarms)), "runs": runs}
    return found


def months(name: str, last: str, every: int) -> dict[str, list[str]]:
    with np.load(MONTHS) as file:  # npz: not every peer can read Parquet
        trips = pd.DataFrame(dict(file))
    flags, found = DETECTORS[name](), {}
    reference = trips.loc[trips["month"] < "2019", SEEN]
    for month in sorted(set(trips.loc[trips["month"] >= "2019", "month"]))[::every]:
        if month <= last:
            found[month] = sorted(flags(reference, trips.loc[trips["month"] == month, SEEN], CODES))
    return found


def known(name: str, size: int = 5_000) -> dict[str, list[int]]:
    """The chunks, from 1 on, in which each column of nannyml's car loans alarms."""
    folder = next(
        (ROOT / "build" / "drift-peers" / "nannyml").glob("lib/*/site-packages/nannyml/datasets/data")
    )
    parts = ("reference", "analysis")
    reference, rest = (
        pd.read_csv(folder / f"synthetic_car_loan_{part}.csv", usecols=LOANS) for part in parts
    )
    flags = DETECTORS[name]()
    said = [flags(reference, rest.iloc[k : k + size], []) for k in range(0, len(rest), size)]
    return {column: [k for k, flagged in enumerate(said, 1) if column in flagged] for column in LOANS}


def equal(name: str) -> dict[str, float]:
    """The statistics that ours and frouros define alike, for every column of two samples."""
    rng = np.random.default_rng(4)
    a, b = sample(rng, 700), sample(rng, 500, shift=0.2, moved=0.1)
    if name == "walkforward":
        from walkforward.drift import drift_report

        rows = drift_report(a, b).set_index("column")
        found = {f"ks {c}": rows.loc[c, "ks"] for c in a if c[:3] != "cat"}
        found |= {f"wasserstein {c}": rows.loc[c, "wasserstein"] * a[c].std() for c in a if c[:3] != "cat"}
        return found | {f"chi2 {c}": rows.loc[c, "chi2"] for c in a if c[:3] == "cat"}
    from frouros.detectors.data_drift import EMD, ChiSquareTest, KSTest

    def said(detector: Any, column: str) -> Any:
        detector.fit(X=a[column].to_numpy())
        return detector.compare(X=b[column].to_numpy())[0]

    found = {f"ks {c}": float(said(KSTest(), c).statistic) for c in a if c[:3] != "cat"}
    found |= {f"wasserstein {c}": float(said(EMD(), c).distance) for c in a if c[:3] != "cat"}
    return found | {f"chi2 {c}": float(said(ChiSquareTest(), c).statistic) for c in a if c[:3] == "cat"}


def speed(name: str, n: int) -> dict[str, float]:
    """CPU seconds and extra memory (MB) of one report; the bare sort and factorize in the same process."""
    rng, flags = np.random.default_rng(0), DETECTORS[name]()
    flags(*(million(rng, 2_000, 0) for _ in range(2)), [])  # imports and first calls
    a, b = million(rng, n, 0), million(rng, n, 0.003)

    def bare() -> float:
        start = time.process_time()
        for frame in (a, b):
            for column in frame:
                np.sort(frame[column].to_numpy()) if column[0] == "x" else pd.factorize(frame[column])
        return time.process_time() - start

    floor = min(bare() for _ in range(3))
    seconds, extra = [], 0.0
    for _ in range(3 if name in OURS else 1):
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the peak of the resident memory starts anew
        before = memory("VmRSS")
        start = time.process_time()
        flags(a, b, [])
        seconds.append(time.process_time() - start)
        extra = max(extra, memory("VmHWM") - before)
    return {"cpu": min(seconds), "bare": floor, "times": min(seconds) / floor, "mb": extra}


def independent(name: str, runs: int) -> dict[str, dict[str, dict[str, float]]]:
    """False alarms of ours on independent rows, by world and size."""
    flags, found = DETECTORS[name](), {}
    for world, draw in WORLDS.items():
        found[world] = {}
        for n, m in SIZES:
            rng = np.random.default_rng(5)
            alarms = [bool(flags(draw(rng, n), draw(rng, m), [])) for _ in range(runs)]
            found[world][f"{n:,} / {m:,}"] = {"any": float(np.mean(alarms)), "runs": runs}
    return found


def in_time(name: str, runs: int) -> dict[str, dict[str, float]]:
    """False alarms and power of ours on days, with and without the order in time."""
    from walkforward.drift import DriftWarning, drift_report

    found = {}
    for rho in (0.3, 0.7):
        for n, m in ((365, 30), (365, 90), (1_000, 365)):
            rng, counts = (
                np.random.default_rng(6),
                dict.fromkeys(("as if independent", "time=", "block=7"), 0),
            )
            warned = hits = 0
            for _ in range(runs):
                old, new = days(rng, n, m, rho)
                with warnings.catch_warnings(record=True) as said:
                    warnings.simplefilter("always", DriftWarning)
                    counts["as if independent"] += drift_report(old, new, list("abcd"))["drift"].any()
                warned += bool(said)
                counts["time="] += drift_report(old, new, time="day")["drift"].any()
                counts["block=7"] += drift_report(old, new, list("abcd"), block=7)["drift"].any()
                moved = drift_report(*days(rng, n, m, rho, shift=1), time="day").set_index("column")
                hits += moved.loc["a", "drift"]
            rates = counts | {"warned": warned, "+1 σ with time=": hits}
            key = f"{rho}, {n:,} / {m:,}"
            found[key] = {what: count / runs for what, count in rates.items()} | {"runs": runs}
    return found


def one_column(name: str, runs: int) -> dict[str, dict[str, float]]:
    """In which share of comparisons ours says drift, by what changed."""
    flags, found = DETECTORS[name](), {}
    for change, draw in PAIRS.items():
        rng = np.random.default_rng(7)
        pairs = (draw(rng) for _ in range(runs))
        alarms = [bool(flags(*(pd.DataFrame({"x": side}) for side in pair), [])) for pair in pairs]
        found[change] = {"drift": float(np.mean(alarms)), "runs": runs}
    return found


TASKS: dict[str, Callable[..., Any]] = {
    "level": score,
    "independent": independent,
    "in time": in_time,
    "shares": one_column,
    "tests": tests,
    "score": score,
    "correlation": correlation,
    "months": months,
    "known": known,
    "equal": equal,
    "speed": speed,
}


def work(name: str, task: str, arguments: str) -> None:
    """In the detector's environment: run one task, print its result as the last line."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    os.environ["NML_DISABLE_USAGE_LOGGING"] = os.environ["DO_NOT_TRACK"] = "1"
    with contextlib.redirect_stdout(io.StringIO()):
        found = TASKS[task](name, **json.loads(arguments))
    print(json.dumps(found))


# ---------------------------------------------------------------- all of them
def interpreter(name: str) -> str:
    """The python of a detector's environment, which is made when it is missing."""
    if name not in PEERS:
        return sys.executable
    requirements = ROOT / "benchmarks" / f"requirements-drift-peers-{name}.txt"
    return environment(ROOT / "build" / "drift-peers" / name, requirements)


def run(name: str, task: str, **arguments: Any) -> Any:
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    nice = ["nice"] if task != "speed" and os.name == "posix" else []
    command = [*nice, interpreter(name), __file__, "--worker", name, task, json.dumps(arguments)]
    start = time.perf_counter()
    result = subprocess.run(
        command, env=os.environ | threads | {"PYTHONHASHSEED": "0"}, capture_output=True, text=True
    )
    print(f"{name}: {task}, {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    if result.returncode:
        return {"failed": (result.stderr.strip().splitlines() or ["no word"])[-1][:120]}
    return json.loads(result.stdout.strip().splitlines()[-1])


def measure(parts: list[str], names: list[str], short: bool) -> dict[str, Any]:
    found: dict[str, Any] = {part: {} for part in parts}
    for name in names:
        mine = name in OURS
        runs = 3 if short else 500 if mine else 100
        few = 2 if short else 200 if mine else 60
        if "score" in parts:
            rows = {f"none, n = {n}": (n, {}, runs) for n in (100, 500, 5_000)}
            rows |= {key: (500, change, few) for key, change in CHANGES.items() if change}
            found["score"][name] = run(name, "score", rows=rows)
        if "level" in parts and name == "walkforward":
            long = {f"none, n = {n}": (n, {}, 5 if short else 2_000) for n in (100, 500)}
            found["level"] = run(name, "level", rows=long)
        for part in ("independent", "in time", "shares"):
            if part in parts and name == "walkforward":
                found[part] = run(name, part, runs=2 if short else 500)
        if "tests" in parts and name == "walkforward":
            found["tests"] = run(name, "tests", runs=5 if short else 300)
        if "correlation" in parts and name in ("walkforward", "alibi-detect", "nannyml"):
            found["correlation"][name] = run(name, "correlation", runs=few)
        if "months" in parts:
            found["months"][name] = run(
                name, "months", last="2019-02" if short else "2020-12", every=1 if mine else 3
            )
        if "known" in parts and "nannyml" in names:
            found["known"][name] = run(name, "known")
        if "equal" in parts and name in ("walkforward", "frouros"):
            found["equal"][name] = run(name, "equal")
        if "speed" in parts and name not in OURS[1:]:
            found["speed"][name] = run(name, "speed", n=50_000 if short else 1_000_000)
    return found


def write_months() -> None:
    from course.data import load_trips, months, prepare_trips

    trips = prepare_trips(load_trips(months("2018-01", "2020-12")))
    pickup = trips["pickup_datetime"]
    trips = trips.assign(hour=pickup.dt.hour, weekday=pickup.dt.weekday, month=pickup.dt.strftime("%Y-%m"))
    trips = trips[trips["month"].between("2018-01", "2020-12")]
    MONTHS.parent.mkdir(parents=True, exist_ok=True)
    np.savez(MONTHS, month=trips["month"].to_numpy("U7"), **{c: trips[c].to_numpy() for c in SEEN})


# ---------------------------------------------------------------- tables
def cell(found: Any, key: str) -> str:
    return f"{found[key]:.3f}" if isinstance(found, dict) and key in found else "–"


def line(name: str, row: dict[str, Any], keys: list[str], what: Callable[[str], str]) -> list[str]:
    """A row of a table; a failure takes the place of the first figure."""
    if "failed" in row:
        return [name, f"failed: {row['failed']}", *[""] * (len(keys) - 1)]
    return [name, *(cell(row[key], what(key)) for key in keys)]


def show_score(rows: dict[str, Any]) -> str:
    head = list(rows["walkforward"])
    body = [
        line(name, row, head, lambda key: "any" if key[:4] == "none" else "hit") for name, row in rows.items()
    ]
    return "False alarms (any column) and hits:\n\n" + table(["rule", *head], body)


def show_level(rows: dict[str, Any]) -> str:
    rates = [f"{row['any']:.4f} at {key[6:]} ({row['runs']:,} comparisons)" for key, row in rows.items()]
    return f"Ours without drift, longer: {', '.join(rates)}."


def show_tests(rows: dict[str, Any]) -> str:
    changes = list(rows["Anderson-Darling"])
    body = [[name, *(cell(row, key) for key in changes)] for name, row in rows.items()]
    head = ["test of one column", "none, p < 0.05", *(f"{change}, p < 0.05 / 15" for change in changes[1:])]
    return "The test for numbers, n = 500:\n\n" + table(head, body)


def show_correlation(rows: dict[str, Any]) -> str:
    head = list(rows["walkforward"])
    body = [line(name, row, head, lambda key: "alarm") for name, row in rows.items()]
    return "Alarms when only a correlation changes, n = 500:\n\n" + table(["detector", *head], body)


def show_months(rows: dict[str, Any]) -> str:
    body = []
    for name, row in rows.items():
        if "failed" in row:
            body.append([name, row["failed"], "", ""])
            continue
        quiet = {month: columns for month, columns in row.items() if month <= "2020-02"}
        alarmed = sum(bool(columns) for columns in quiet.values())
        later = [month for month in row if month >= "2020-04"]
        seen = f"{sum(bool(row[month]) for month in later)} of {len(later)}"
        body.append([name, f"{alarmed} of {len(quiet)}", ", ".join(row.get("2020-04", [])) or "–", seen])
    head = ["rule", "quiet months that alarm", "columns in April 2020", "months from April 2020 on"]
    return "Real months against 2018, what the model sees:\n\n" + table(head, body)


def show_known(rows: dict[str, Any]) -> str:
    body = []
    for name, row in rows.items():
        if "failed" in row:
            body.append([name, row["failed"], ""])
            continue
        early = sum(k <= 5 for chunks in row.values() for k in chunks)
        late = {column: sum(k > 5 for k in chunks) for column, chunks in row.items()}
        seen = [f"{column} {count} of 5" for column, count in late.items() if count]
        body.append([name, f"{early} of {5 * len(row)}", ", ".join(seen)])
    head = ["rule", "alarms in the clean half, columns × chunks", "in the drifted half"]
    return "nannyml's car loans, whose answer is known:\n\n" + table(head, body)


def show_equal(rows: dict[str, Any]) -> str:
    if len(rows) < 2:
        return ""
    mine, theirs = rows["walkforward"], rows["frouros"]
    apart = max(abs(mine[key] / value - 1) for key, value in theirs.items())
    return f"{len(theirs)} statistics that frouros defines alike: ours differ by {apart:.0e} at most."


def show_speed(rows: dict[str, Any]) -> str:
    figures = ("cpu", "bare", "times", "mb")
    body = [[name, *(cell(row, key) for key in figures), row.get("failed", "")] for name, row in rows.items()]
    head = ["detector", "CPU s", "bare sort and factorize, s", "×", "extra MB", ""]
    return "Twice 1,000,000 rows × (10 numbers + 5 texts), one thread:\n\n" + table(head, body)


def show_independent(rows: dict[str, Any]) -> str:
    head = list(next(iter(rows.values())))
    body = [[name, *(cell(row[key], "any") for key in head)] for name, row in rows.items()]
    (runs,) = {row["runs"] for sizes in rows.values() for row in sizes.values()}
    words = f"Ours without drift, independent rows, {runs} comparisons a cell (reference against current):"
    return f"{words}\n\n" + table(["world", *head], body)


def show_in_time(rows: dict[str, Any]) -> str:
    kinds = ["as if independent", "time=", "block=7", "warned", "+1 σ with time="]
    body = [[name, *(cell(row, key) for key in kinds)] for name, row in rows.items()]
    (runs,) = {row["runs"] for row in rows.values()}
    words = f"Ours on days without drift, AR(1) and a weekly season, {runs} comparisons a row: any alarm,"
    words += " the share that warns, and hits when one of four columns moves:"
    return f"{words}\n\n" + table(["ρ, days", *kinds], body)


def show_shares(rows: dict[str, Any]) -> str:
    body = [[name, cell(row, "drift"), str(row["runs"])] for name, row in rows.items()]
    return "Ours on one column, vocabularies, levels and tails:\n\n" + table(
        ["change", "drift", "runs"], body
    )


SHOW = {
    "score": show_score,
    "level": show_level,
    "independent": show_independent,
    "in time": show_in_time,
    "shares": show_shares,
    "tests": show_tests,
    "correlation": show_correlation,
    "months": show_months,
    "known": show_known,
    "equal": show_equal,
    "speed": show_speed,
}


def tables(found: dict[str, Any]) -> str:
    texts = [show(found[part]) for part, show in SHOW.items() if found.get(part)]
    return "\n\n".join(text for text in texts if text)


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        return work(*sys.argv[2:5])
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("--only", nargs="+", choices=list(TASKS), default=list(TASKS), help="parts")
    parser.add_argument("--short", action="store_true", help="a few runs of each")
    parser.add_argument("--no-peers", action="store_true", help="without the peers")
    parser.add_argument("--write", action="store_true", help="results/drift.json and benchmarks/README.md")
    options = parser.parse_args()
    names = list(OURS)
    missing = {}
    for peer in () if options.no_peers else PEERS:
        try:
            interpreter(peer)
            names.append(peer)
        except (subprocess.CalledProcessError, OSError) as error:
            missing[peer] = f"can't be installed: {error}"[:120]
    if "months" in options.only:
        write_months()
    found = measure(options.only, names, options.short)
    text = tables(found) + "".join(f"\n\n{peer} {why}" for peer, why in missing.items())
    print(text)
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(before | found, indent=1) + "\n", encoding="utf-8", newline="\n")
        text = tables(before | found)
        put("drift", text)


if __name__ == "__main__":
    main()
