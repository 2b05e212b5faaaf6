"""A search by many workers: on a real store, and on a simulated clock over trials whose seconds were measured."""

from __future__ import annotations

import heapq

import numpy as np
import optuna
import pandas as pd

from course.paths import ROOT

RECORD = ROOT / "benchmarks" / "results" / "tuning.parquet"
STARTUP = 10  # random trials before the sampler has a say


def work(uri: str, name: str, trials: int, rows: pd.DataFrame, columns: list[str]) -> list[int]:
    """One worker's part of the study `name` in the store at `uri`: fit, report, ask again; its trials' numbers."""
    from xgboost import XGBRegressor

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    train, valid, mine = rows[::2], rows[1::2], []

    def objective(trial: optuna.Trial) -> float:
        mine.append(trial.number)
        depth, rate = (
            trial.suggest_int("max_depth", 2, 8),
            trial.suggest_float("learning_rate", 0.02, 0.5, log=True),
        )
        model = XGBRegressor(max_depth=depth, learning_rate=rate, n_estimators=30, n_jobs=1)
        error = model.fit(train[columns], train["duration"]).predict(valid[columns]) - valid["duration"]
        return float(np.sqrt((error**2).mean()))

    study = optuna.load_study(
        study_name=name, storage=uri, sampler=optuna.samplers.TPESampler(constant_liar=True)
    )
    study.optimize(objective, n_trials=trials)
    return mine


class Measured:
    """6,912 settings whose error and seconds were measured once."""

    def __init__(self) -> None:
        record = pd.read_parquet(RECORD)
        self.names = list(record.columns[:6])
        self.values = {name: sorted(record[name].unique()) for name in self.names}
        settings = record[self.names].itertuples(index=False, name=None)
        self.found = dict(
            zip(settings, zip(record["seconds"], record["rmse_valid"], strict=True), strict=True)
        )
        self.best = record["rmse_valid"].min()

    def suggested(self, trial: optuna.Trial) -> tuple[float, float]:
        """Seconds and error of the setting that the sampler suggests."""
        places = {name: trial.suggest_int(name, 0, len(values) - 1) for name, values in self.values.items()}
        return self.found[tuple(self.values[name][place] for name, place in places.items())]

    def search(self, workers: int, waits: bool, seed: int, trials: int) -> pd.DataFrame:
        """When each trial ended on the simulated clock, how far the best known then is from the best of all.

        `waits`: a new round is asked for when the whole round has ended. Otherwise a worker asks when it is free.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True, n_startup_trials=STARTUP)
        study, clock, asked = optuna.create_study(sampler=sampler), 0.0, 0
        running: list[tuple] = []
        ended: list[dict[str, float]] = []
        while len(ended) < trials:
            free = 0 if waits and running else workers - len(running)
            for number in range(asked, min(asked + free, trials)):
                trial = study.ask()
                seconds, error = self.suggested(trial)
                heapq.heappush(running, (clock + seconds, number, trial, seconds, error))
                asked += 1
            clock, _, trial, seconds, error = heapq.heappop(running)
            study.tell(trial, error)
            ended.append({"at": clock, "seconds": seconds, "error": error})
        found = pd.DataFrame(ended)
        found["regret"] = found["error"].cummin() - self.best
        return found


def known_at(search: pd.DataFrame, second: float) -> float:
    """The regret at a second of the simulated clock; of the first trial where none has ended yet."""
    return (
        search.loc[search["at"] <= second, "regret"].min()
        if (search["at"] <= second).any()
        else search["regret"][0]
    )


def medians(runs: dict[str, list[pd.DataFrame]], workers: dict[str, int]) -> pd.DataFrame:
    """For each way: seconds on the clock, share of them in which workers were busy, regret; medians over seeds."""
    lines = {}
    for way, some in runs.items():
        line = {"seconds": [run["at"].max() for run in some]}
        line["busy %"] = [100 * run["seconds"].sum() / run["at"].max() / workers[way] for run in some]
        line |= {f"regret at {at} s": [known_at(run, at) for run in some] for at in (1, 2)}
        lines[way] = line | {"regret at the end": [run["regret"].iloc[-1] for run in some]}
    return pd.DataFrame(lines).map(np.median).T
