"""Exercises of lesson 06b: ten seeds in one line, and who is suspect."""

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- seed_report ------------------------------------------------------------------------------------------------------


@right
def seed_report(errors, baseline):
    """Return a dict that reports runs of one method with several seeds against a baseline.

    `errors` has one error per seed, a Series by seed, NaN where the run crashed; `baseline` has the errors of the
    other method with the same seeds, none missing. The dict: `n` (runs that ended), `failed`, `mean`, `sd` (of a
    sample: divided by n - 1), and `wins`, the share of the seeds with both errors in which the method has the
    lower one.
    """
    ended = errors.dropna()
    return {
        "n": len(ended),
        "failed": len(errors) - len(ended),
        "mean": ended.mean(),
        "sd": ended.std(),
        "wins": (ended < baseline.reindex(ended.index)).mean(),
    }


_SEEDS = [3, 1, 4, 15, 9, 2, 6, 5]


def _runs():
    """Return the errors of eight seeds, two of which crashed, and of a baseline, in another order of the seeds."""
    errors = pd.Series([4.60, 4.66, np.nan, 4.58, 4.62, 4.64, np.nan, 4.56], index=_SEEDS)
    baseline = pd.Series([4.61, 4.67, 4.70, 4.52, 4.63, 4.60, 4.50, 4.58], index=_SEEDS).sort_index()
    return errors, baseline


def _reported(answer, key):
    errors, baseline = _runs()
    report = answer(errors, baseline)
    keys = ["n", "failed", "mean", "sd", "wins"]
    assert isinstance(report, dict) and sorted(report) == sorted(keys), (
        f"return a dict with the keys {keys}, not {sorted(report) if isinstance(report, dict) else report!r}"
    )
    return float(report[key])


@checks(seed_report)
def crashed_runs_are_counted(answer):
    """Is a run that crashed a result? How many ended, and how many did not?"""
    n, failed = _reported(answer, "n"), _reported(answer, "failed")
    assert (n, failed) == (6, 2), (
        f"of 8 runs 6 ended and 2 crashed; you report n = {n:.0f}, failed = {failed:.0f}"
    )


@checks(seed_report)
def mean_is_reported_not_the_best(answer):
    """What may the next run expect: the lowest of several errors, or their mean?"""
    mean = _reported(answer, "mean")
    assert abs(mean - 4.61) < 1e-9, f"the mean of the six errors is 4.61, you report {mean:.4g}"


@checks(seed_report)
def spread_is_that_of_a_sample(answer):
    """By what does your library divide, n or n - 1? And is it the spread of the runs that you report, or of their mean?"""
    expected = _runs()[0].std()
    sd = _reported(answer, "sd")
    assert abs(sd - expected) < 1e-9, (
        f"the sample's standard deviation is {expected:.4f}, you report {sd:.4f}"
    )


@checks(seed_report)
def seeds_are_compared_in_pairs(answer):
    """Which two errors belong together? They have the same seed, not the same place, and a crashed run has no pair."""
    wins = _reported(answer, "wins")
    assert abs(wins - 4 / 6) < 1e-9, (
        f"of six seeds with both errors, four are lower than the baseline with the same seed; you report {wins:.3g}"
    )


@also_right(seed_report)
def by_a_table(errors, baseline):
    pairs = pd.concat({"new": errors, "old": baseline}, axis=1)
    ended = pairs[pairs["new"].notna()]
    spread = ended["new"].agg(["mean", "std", "size"])
    wins = ended.eval("new < old").mean()
    return dict(
        zip(
            ["n", "failed", "mean", "sd", "wins"],
            [spread["size"], pairs["new"].isna().sum(), spread["mean"], spread["std"], wins],
            strict=True,
        )
    )


@also_right(seed_report)
def seed_by_seed(errors, baseline):
    ended = {seed: error for seed, error in errors.items() if error == error}
    mean = sum(ended.values()) / len(ended)
    variance = sum((error - mean) ** 2 for error in ended.values()) / (len(ended) - 1)
    won = [error < baseline.loc[seed] for seed, error in ended.items()]
    report = {"n": len(ended), "failed": errors.size - len(ended), "mean": mean}
    return report | {"sd": variance**0.5, "wins": sum(won) / len(won)}


@wrong(seed_report, caught_by=crashed_runs_are_counted)
def drops_crashed_runs_in_silence(errors, baseline):
    return seed_report(errors, baseline) | {"failed": 0}


@wrong(seed_report, caught_by=crashed_runs_are_counted)
def counts_every_run(errors, baseline):
    return seed_report(errors, baseline) | {"n": len(errors)}


@wrong(seed_report, caught_by=mean_is_reported_not_the_best)
def publishes_the_best(errors, baseline):
    return seed_report(errors, baseline) | {"mean": errors.min()}


@wrong(seed_report, caught_by=spread_is_that_of_a_sample)
def divides_by_n(errors, baseline):
    return seed_report(errors, baseline) | {"sd": np.std(errors.dropna().to_numpy())}


@wrong(seed_report, caught_by=spread_is_that_of_a_sample)
def reports_the_standard_error(errors, baseline):
    return seed_report(errors, baseline) | {"sd": errors.sem()}


@wrong(seed_report, caught_by=seeds_are_compared_in_pairs)
def pairs_by_position(errors, baseline):
    ended = errors.notna().to_numpy()
    return seed_report(errors, baseline) | {
        "wins": (errors.to_numpy()[ended] < baseline.to_numpy()[ended]).mean()
    }


@wrong(seed_report, caught_by=seeds_are_compared_in_pairs)
def lets_crashed_runs_lose(errors, baseline):
    return seed_report(errors, baseline) | {"wins": (errors < baseline.reindex(errors.index)).mean()}


# --- suspects ---------------------------------------------------------------------------------------------------------


@right
def suspects(old, new):
    """Return the groups of facts in which two runs differ, a sorted list without repetition.

    `old` and `new` are the facts of two runs, dicts with texts; the group is what stands before the first dot:
    `library.numpy` is of the group `library`. A fact that only one of the runs has differs. The group `result` is the
    effect and never a suspect. If results differ and nothing else does, return `["not recorded"]`.
    """
    differ = {name.split(".")[0] for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    causes = sorted(differ - {"result"})
    return causes or (["not recorded"] if differ else [])


_FACTS = {
    "code.commit": "4f1c9d2",
    "data.digest": "a81f03c7",
    "data.sha256": "9b0e77",
    "library.numpy": "2.4.6",
    "library.xgboost": "3.2.0",
    "machine.threads": "1",
    "result.rmse": "4.583",
    "setting.features": "trip_distance, hour, weekday",
    "setting.random_state": "0",
}


def _named(answer, changed, without=()):
    old = dict(_FACTS)
    new = {name: value for name, value in (old | changed).items() if name not in without}
    given = answer(dict(old), dict(new))
    assert isinstance(given, list), f"return a list, not a {type(given).__name__}"
    return given


@checks(suspects)
def names_the_group(answer):
    """What is the group of `library.numpy`? Name each group once, in a list in order."""
    for changed, expected in [
        ({"library.numpy": "2.4.5", "library.xgboost": "3.1.0", "result.rmse": "4.601"}, ["library"]),
        ({"setting.random_state": "1", "data.sha256": "c01d55", "result.rmse": "4.601"}, ["data", "setting"]),
    ]:
        given = _named(answer, changed)
        assert given == expected, f"{sorted(changed)} differ: {expected}, you returned {given}"


@checks(suspects)
def result_is_no_cause(answer):
    """Is another error a cause or the effect that you want to explain?"""
    given = _named(answer, {"code.commit": "77aa01b", "result.rmse": "4.601"})
    assert given == ["code"], f"the commit and the error differ: ['code'], you returned {given}"


@checks(suspects)
def every_text_counts(answer):
    """Can a part of a text decide? The order of the columns matters, and 2.4.6 is not 2.4.5."""
    given = _named(answer, {"setting.features": "hour, trip_distance, weekday", "result.rmse": "4.601"})
    assert given == ["setting"], f"the features come in another order: ['setting'], you returned {given}"


@checks(suspects)
def a_fact_of_one_run_counts(answer):
    """Which facts does only one of the runs have? Go through the names of both."""
    given = _named(answer, {"result.rmse": "4.601"}, without=["machine.threads"])
    assert given == ["machine"], f"only the old run says its threads: ['machine'], you returned {given}"
    given = _named(answer, {"machine.kernels": "Haswell"})
    assert given == ["machine"], f"only the new run says its kernels: ['machine'], you returned {given}"


@checks(suspects)
def silence_is_reported(answer):
    """What do you know when nothing recorded differs and the result does?"""
    given = _named(answer, {"result.rmse": "4.601"})
    assert given == ["not recorded"], f"only the error differs: ['not recorded'], you returned {given}"
    given = _named(answer, {})
    assert given == [], f"nothing differs: [], you returned {given}"


@also_right(suspects)
def by_symmetric_difference(old, new):
    groups = {name.partition(".")[0] for name, _ in set(old.items()) ^ set(new.items())}
    if groups == {"result"}:
        return ["not recorded"]
    return sorted(groups - {"result"})


@also_right(suspects)
def by_two_series(old, new):
    table = pd.DataFrame({"old": pd.Series(old, dtype=object), "new": pd.Series(new, dtype=object)})
    changed = table.index[table["old"].fillna("-") != table["new"].fillna("-")].to_series()
    groups = changed.str.extract(r"^([^.]*)", expand=False).unique().tolist()
    causes = sorted(group for group in groups if group != "result")
    return causes if causes or not groups else ["not recorded"]


@wrong(suspects, caught_by=names_the_group)
def names_the_facts(old, new):
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


@wrong(suspects, caught_by=names_the_group)
def repeats_the_group(old, new):
    return sorted(n.split(".")[0] for n in old if old[n] != new.get(n) and not n.startswith("result"))


@wrong(suspects, caught_by=names_the_group)
def stops_at_the_first(old, new):
    return suspects(old, new)[:1]


@wrong(suspects, caught_by=result_is_no_cause)
def suspects_the_result(old, new):
    differ = {name.split(".")[0] for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    return sorted(differ - {"result"} if "library" in differ or "data" in differ else differ)


@wrong(suspects, caught_by=every_text_counts)
def compares_the_columns_as_a_set(old, new):
    def parts(facts):
        return {name: ", ".join(sorted(text.split(", "))) for name, text in facts.items()}

    return suspects(parts(old), parts(new))


@wrong(suspects, caught_by=a_fact_of_one_run_counts)
def looks_at_common_facts_only(old, new):
    common = old.keys() & new.keys()
    return suspects({name: old[name] for name in common}, {name: new[name] for name in common})


@wrong(suspects, caught_by=silence_is_reported)
def says_nothing_of_the_unknown(old, new):
    return [group for group in suspects(old, new) if group != "not recorded"]
