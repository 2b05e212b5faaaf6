"""Exercises of lesson 10c: what an environment leaves open, and which steps of a pipeline run again."""

import re

from course.exercise import also_right, checks, right, wrong

# --- unpinned ---------------------------------------------------------------------------------------------------------


@right
def unpinned(environment):
    """Return the sorted list of what an environment leaves open, each as it is written there.

    `environment` is what YAML gives: `image`, a text, and perhaps `conda_file`, whose `dependencies` are texts
    (`"python=3.11"`) and at most one dictionary with the key `pip` and a list of texts (`"pandas==2.3.3"`).

    - An image is pinned by its digest alone (`"python@sha256:…"`): a tag can be given to another image.
    - A conda package is pinned by `=` or `==` and a version, a pip package by `==` and a version.
      (Conda's `=3.11` takes any 3.11.x, and `==` takes one version; count both as pinned.)
    - A version with a `*` in it pins nothing, and neither do `>=`, `<=`, `!=`, `~=`, `<`, `>`.

    A conda package that is the word `pip` alone counts like any other.
    """
    import re

    dependencies = (environment.get("conda_file") or {}).get("dependencies") or []
    open_ends = [] if "@sha256:" in environment["image"] else [environment["image"]]
    for one in dependencies:
        if isinstance(one, dict):
            open_ends += [name for name in one["pip"] if not re.fullmatch(r"[\w.\[\]-]+==[^*=]+", name)]
        elif not re.fullmatch(r"[\w.-]+==?[^*=]+", one):
            open_ends.append(one)
    return sorted(open_ends)


DIGEST = "python@sha256:0123abcd"


def _open(answer, environment):
    found = answer(environment)
    assert isinstance(found, (list, tuple)), f"return a list of texts; you returned a {type(found).__name__}"
    return list(found)


def _conda(*dependencies, image=DIGEST):
    return {"image": image, "conda_file": {"dependencies": list(dependencies)}}


@checks(unpinned)
def a_pinned_environment_leaves_nothing_open(answer):
    """What do you return where each package has its version and the image its digest?"""
    found = _open(
        answer, _conda("python=3.11", "pip=25.0", {"pip": ["pandas==2.3.3", "scikit-learn==1.7.2"]})
    )
    assert found == [], f"all of it is pinned; you return {found}"
    assert (found := _open(answer, {"image": DIGEST})) == [], (
        f"there is no conda_file, and the image is pinned; you return {found}"
    )


@checks(unpinned)
def a_tag_is_no_pin(answer):
    """Who decides what `python:3.11` means next month?"""
    for image in ("python:latest", "python:3.11", "python"):
        found = _open(answer, {"image": image})
        assert found == [image], f"{image!r} has no digest; you return {found}"


@checks(unpinned)
def a_bare_name_is_open(answer):
    """Which version does conda take, and which does pip, when you name none?"""
    found = _open(answer, _conda("python=3.11", "pip", {"pip": ["pandas", "scikit-learn==1.7.2"]}))
    assert found == ["pandas", "pip"], f"pandas and pip have no version; you return {found}"


@checks(unpinned)
def a_lower_bound_is_open(answer):
    """Does `>=2.0` say which version you get in November?"""
    found = _open(
        answer, _conda("python>=3.11", "numpy~=2.0", {"pip": ["pandas>=2.3", "mlflow<4", "xgboost!=3.0"]})
    )
    wanted = ["mlflow<4", "numpy~=2.0", "pandas>=2.3", "python>=3.11", "xgboost!=3.0"]
    assert found == wanted, f"a bound is no pin; {wanted} are open, you return {found}"


@checks(unpinned)
def a_star_is_open(answer):
    """How many versions fit `2.*`?"""
    found = _open(answer, _conda("python=3.*", {"pip": ["pandas==2.*"]}))
    assert found == ["pandas==2.*", "python=3.*"], f"a star stands for any; you return {found}"


@checks(unpinned)
def conda_and_pip_write_it_differently(answer):
    """One `=` is a pin for one of the two tools, and a mistake for the other. Which?"""
    found = _open(answer, _conda("numpy==2.3.4", "python=3.11", {"pip": ["pandas=2.3.3"]}))
    assert found == ["pandas=2.3.3"], f"conda pins by = and by ==, pip by == alone; you return {found}"


@wrong(unpinned, caught_by=a_tag_is_no_pin)
def takes_a_tag_for_a_pin(environment):
    found = unpinned(environment)
    image = environment["image"]
    return [one for one in found if one != image or ":" not in image or image.endswith(":latest")]


@wrong(unpinned, caught_by=a_tag_is_no_pin)
def forgets_the_image(environment):
    return [one for one in unpinned(environment) if one != environment["image"]]


@wrong(unpinned, caught_by=a_bare_name_is_open)
def looks_at_pip_alone(environment):
    return unpinned(
        {
            "image": environment["image"],
            "conda_file": {
                "dependencies": [
                    one
                    for one in (environment.get("conda_file") or {}).get("dependencies", [])
                    if isinstance(one, dict)
                ]
            },
        }
    )


@wrong(unpinned, caught_by=a_lower_bound_is_open)
def takes_any_equals_sign(environment):
    dependencies = (environment.get("conda_file") or {}).get("dependencies", [])
    listed = [name for one in dependencies for name in (one["pip"] if isinstance(one, dict) else [one])]
    image = [] if "@sha256:" in environment["image"] else [environment["image"]]
    return sorted(image + [name for name in listed if "=" not in name])


@wrong(unpinned, caught_by=a_star_is_open)
def does_not_see_the_star(environment):
    return [one for one in unpinned(environment) if not one.endswith("*")]


@wrong(unpinned, caught_by=conda_and_pip_write_it_differently)
def treats_both_alike(environment):
    dependencies = (environment.get("conda_file") or {}).get("dependencies", [])
    listed = [name for one in dependencies for name in (one["pip"] if isinstance(one, dict) else [one])]
    image = [] if "@sha256:" in environment["image"] else [environment["image"]]
    return sorted(image + [name for name in listed if not re.fullmatch(r"[\w.-]+==?[^*=]+", name)])


@wrong(unpinned, caught_by=a_pinned_environment_leaves_nothing_open)
def names_the_names_alone(environment):
    return [re.split(r"[=<>!~@:]", one)[0] for one in [environment["image"], *unpinned(environment)]]


@also_right(unpinned)
def by_splitting(environment):
    def pinned(text, sign):
        name, found, version = text.partition(sign)
        bounds = any(mark in name for mark in "<>!~")
        return bool(found and version) and not bounds and "*" not in version and not version.startswith("=")

    found = set()
    if environment["image"].partition("@sha256:")[1] == "":
        found.add(environment["image"])
    for one in environment.get("conda_file", {}).get("dependencies", []):
        if isinstance(one, str):
            if not (pinned(one, "==") or pinned(one, "=")):
                found.add(one)
        else:
            found |= {name for name in one["pip"] if not pinned(name, "==")}
    return tuple(sorted(found))


@also_right(unpinned)
def by_listing_the_tools(environment):
    texts = [("image", environment["image"])]
    for one in (environment.get("conda_file") or {"dependencies": []})["dependencies"]:
        texts += [("pip", name) for name in one["pip"]] if isinstance(one, dict) else [("conda", one)]
    rules = {"image": r".+@sha256:.+", "pip": r"[^=<>!~]+==[^=*]+", "conda": r"[^=<>!~]+={1,2}[^=*]+"}
    return sorted(text for tool, text in texts if re.fullmatch(rules[tool], text) is None)


# --- runs_again -------------------------------------------------------------------------------------------------------


@right
def runs_again(pipeline, before):
    """Return the names of the steps that run again, in the order of `pipeline`; the others are reused.

    `pipeline` is a dictionary of steps in an order in which they can run. A step is a dictionary with `code` and
    `environment`, both texts, `inputs`, a dictionary of texts, and perhaps `reuse`, which is True when it is left out.
    An input `"${{parent.jobs.NAME.outputs.data}}"` is what the step NAME put out; all others are plain values.
    `before` is the pipeline as it last ran. A step runs again

    - if it is new, or its code, its environment or its inputs differ from before,
    - if its `reuse` is False,
    - if one of its inputs is the output of a step that runs again.
    """
    import re

    again = []
    for name, step in pipeline.items():
        old = before.get(name, {})
        changed = any(step[part] != old.get(part) for part in ("code", "environment", "inputs"))
        sources = re.findall(r"parent\.jobs\.(\w+)\.outputs", " ".join(map(str, step["inputs"].values())))
        if changed or not step.get("reuse", True) or set(sources) & set(again):
            again.append(name)
    return again


def _step(code="v1", environment="course:1", **inputs):
    return {"code": code, "environment": environment, "inputs": inputs}


def _of(name):
    return "${{parent.jobs." + name + ".outputs.data}}"


def _three(**more):
    steps = {"load": _step(path="azureml:trips:1"), "features": _step(table=_of("load"), hours="24")}
    return steps | {"train": _step(table=_of("features"))} | more


def _again(answer, pipeline, before):
    found = answer(pipeline, before)
    assert isinstance(found, (list, tuple)), f"return a list of names; you returned a {type(found).__name__}"
    return list(found)


@checks(runs_again)
def nothing_changed_nothing_runs(answer):
    """What does the pipeline do on the second evening, when all is as before?"""
    found = _again(answer, _three(), _three())
    assert found == [], f"all three are as before and are reused; you return {found}"


@checks(runs_again)
def a_change_runs_what_follows(answer):
    """The first step has new data. Who reads what it puts out, and who reads that?"""
    found = _again(answer, _three(load=_step(path="azureml:trips:2")), _three())
    assert found == ["load", "features", "train"], f"all follow from load; you return {found}"


@checks(runs_again)
def what_lies_before_a_change_is_reused(answer):
    """The setting of the middle step changed. Must the table be loaded again?"""
    found = _again(answer, _three(features=_step(table=_of("load"), hours="48")), _three())
    assert found == ["features", "train"], f"load is as before; you return {found}"


@checks(runs_again)
def an_environment_counts(answer):
    """Same code, same inputs, another Python. Is the result the same?"""
    found = _again(answer, _three(train=_step(environment="course:2", table=_of("features"))), _three())
    assert found == ["train"], f"the environment of train differs; you return {found}"
    found = _again(answer, _three(train=_step(code="v2", table=_of("features"))), _three())
    assert found == ["train"], f"the code of train differs; you return {found}"


@checks(runs_again)
def a_step_without_reuse_runs_always(answer):
    """What does `reuse: False` say, and what does it mean for the steps behind it?"""
    steps = _three(load=_step(path="azureml:trips:1") | {"reuse": False})
    found = _again(answer, steps, steps)
    assert found == ["load", "features", "train"], (
        f"load always runs, and the others read it; you return {found}"
    )
    found = _again(answer, _three(), steps)
    assert found == [], (
        f"only the reuse of load differs, and it is True now: nothing runs; you return {found}"
    )


@checks(runs_again)
def a_new_step_runs(answer):
    """A step was not there before. What can be reused of it?"""
    found = _again(answer, _three(report=_step(table=_of("load"))), _three())
    assert found == ["report"], f"report is new, and nobody reads it; you return {found}"


@checks(runs_again)
def only_its_own_readers_follow(answer):
    """A step changed beside the others. Does everything that comes later in the list depend on it?"""
    old = {"weather": _step(path="a:1"), **_three()}
    found = _again(answer, {"weather": _step(path="a:2"), **_three()}, old)
    assert found == ["weather"], f"nobody reads weather; you return {found}"
    named = _three(load=_step(path="azureml:weather:1"))
    found = _again(answer, {"weather": _step(path="a:2"), **named}, {"weather": _step(path="a:1"), **named})
    assert found == ["weather"], (
        f"azureml:weather:1 is a plain value, not what the step weather put out; you return {found}"
    )


@wrong(runs_again, caught_by=nothing_changed_nothing_runs)
def runs_everything(pipeline, before):
    return list(pipeline)


@wrong(runs_again, caught_by=nothing_changed_nothing_runs)
def names_what_is_reused(pipeline, before):
    return [name for name in pipeline if name not in runs_again(pipeline, before)]


@wrong(runs_again, caught_by=a_change_runs_what_follows)
def looks_at_each_step_alone(pipeline, before):
    return [
        name for name, step in pipeline.items() if step != before.get(name) or not step.get("reuse", True)
    ]


@wrong(runs_again, caught_by=what_lies_before_a_change_is_reused)
def runs_all_if_anything_changed(pipeline, before):
    return list(pipeline) if runs_again(pipeline, before) else []


@wrong(runs_again, caught_by=only_its_own_readers_follow)
def runs_all_that_is_listed_later(pipeline, before):
    changed, names = runs_again(pipeline, before), list(pipeline)
    return names[names.index(changed[0]) :] if changed else []


@wrong(runs_again, caught_by=an_environment_counts)
def forgets_the_environment(pipeline, before):
    plain = {name: step | {"environment": ""} for name, step in pipeline.items()}
    return runs_again(plain, {name: step | {"environment": ""} for name, step in before.items()})


@wrong(runs_again, caught_by=a_step_without_reuse_runs_always)
def forgets_reuse(pipeline, before):
    return runs_again({name: step | {"reuse": True} for name, step in pipeline.items()}, before)


@wrong(runs_again, caught_by=a_step_without_reuse_runs_always)
def compares_the_whole_step(pipeline, before):
    found = []
    for name, step in pipeline.items():
        fed = any(_of(one) in step["inputs"].values() for one in found)
        if step != before.get(name) or not step.get("reuse", True) or fed:
            found.append(name)
    return found


@wrong(runs_again, caught_by=only_its_own_readers_follow)
def looks_for_the_name_in_any_value(pipeline, before):
    found = []
    for name, step in pipeline.items():
        alone = runs_again({name: step}, before)
        if alone or any(one in value for one in found for value in step["inputs"].values()):
            found.append(name)
    return found


@wrong(runs_again, caught_by=a_change_runs_what_follows)
def follows_one_step_far(pipeline, before):
    changed = looks_at_each_step_alone(pipeline, before)
    near = [
        name
        for name, step in pipeline.items()
        if any(f"jobs.{one}." in str(step["inputs"]) for one in changed)
    ]
    return [name for name in pipeline if name in changed or name in near]


@wrong(runs_again, caught_by=a_new_step_runs)
def compares_common_steps_only(pipeline, before):
    return runs_again({name: step for name, step in pipeline.items() if name in before}, before)


@also_right(runs_again)
def by_recursion(pipeline, before):
    def again(name):
        step = pipeline[name]
        parts = {key: step[key] for key in ("code", "environment", "inputs")}
        if step.get("reuse") is False or name not in before:
            return True
        if parts != {key: before[name][key] for key in parts}:
            return True
        return any(
            again(one) for one in pipeline if any(f"jobs.{one}.outputs" in v for v in step["inputs"].values())
        )

    return [name for name in pipeline if again(name)]


@also_right(runs_again)
def by_a_fixed_point(pipeline, before):
    def as_it_counts(step):
        return (step["code"], step["environment"], tuple(sorted(step["inputs"].items())))

    again = {
        name
        for name, step in pipeline.items()
        if step.get("reuse", True) is not True
        or name not in before
        or as_it_counts(step) != as_it_counts(before[name])
    }
    while True:
        more = {
            name
            for name, step in pipeline.items()
            for value in step["inputs"].values()
            if value.startswith("${{parent.jobs.") and value.split(".")[2] in again
        }
        if more <= again:
            return tuple(name for name in pipeline if name in again)
        again |= more
