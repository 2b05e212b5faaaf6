"""Exercises of lesson 10g: approvals that hold an executor, and the key of a cache."""

import copy
import hashlib
import inspect
import json
from unittest import mock

from course.exercise import also_right, checks, right, wrong

# --- held_for_a_person ------------------------------------------------------------------------------------------------


@right
def held_for_a_person(pipeline):
    """Return the names of the stages that ask a person while an executor is held, an outer stage before its inner ones.

    `pipeline` is what `jenkinsfile.pipeline` returns: an `agent` (`"any"`, a label, or `"none"`) and `stages`. A
    stage has a `name`, an `agent` (None where it names none), `input` (True: the directive, which waits *before* the
    stage takes its own agent), `steps` (texts; one that begins with `"input"` waits *inside* the stage), and
    `stages` of its own. An agent is held until all that lies inside it has ended. Look into all stages.
    """
    found = []

    def look(outer, stages):
        for stage in stages:
            own = outer or stage["agent"] not in (None, "none")
            waits_inside = any(step.startswith("input") for step in stage["steps"])
            if (stage["input"] and outer) or (waits_inside and own):
                found.append(stage["name"])
            look(own, stage["stages"])

    look(pipeline["agent"] not in (None, "none"), pipeline["stages"])
    return found


def _stage(name, agent=None, before=False, steps=("sh 'make test'",), stages=()):
    return {"name": name, "agent": agent, "input": before, "steps": list(steps), "stages": list(stages)}


def _found(answer, agent, *stages):
    given = {"agent": agent, "stages": list(stages)}
    found = answer(copy.deepcopy(given))
    assert isinstance(found, list), f"return a list of names; you returned a {type(found).__name__}"
    return found


_ASKS = ("input 'Release?'", "sh 'make release'")


@checks(held_for_a_person)
def a_step_waits_on_the_agent_of_its_stage(answer):
    """The step `input` stands among the steps. Which agent runs the steps?"""
    found = _found(answer, "none", _stage("check", "any"), _stage("release", "label 'linux'", steps=_ASKS))
    assert found == ["release"], f"release asks while it has its agent; you return {found}"
    found = _found(answer, "any", _stage("train", steps=("sh 'make train FROM=input.csv'",)))
    assert found == [], f"train asks nobody: its step begins with sh; you return {found}"


@checks(held_for_a_person)
def without_an_agent_nothing_is_held(answer):
    """The pipeline has no agent and the stage names none. What does the question hold?"""
    found = _found(answer, "none", _stage("check", "any"), _stage("approve", steps=_ASKS[:1]))
    assert found == [], f"approve has no agent, so it holds no executor; you return {found}"
    found = _found(answer, "none", _stage("approve", "none", steps=_ASKS[:1]))
    assert found == [], f"approve says agent none; you return {found}"


@checks(held_for_a_person)
def the_directive_waits_before_the_agent(answer):
    """When does a stage with the directive take its agent: before or after the answer?"""
    found = _found(answer, "none", _stage("release", "label 'linux'", before=True))
    assert found == [], f"the directive is asked before release takes its agent; you return {found}"


@checks(held_for_a_person)
def the_pipelines_agent_is_held_all_the_time(answer):
    """`agent any` at the top. Until when is that executor taken?"""
    stages = (
        _stage("check"),
        _stage("approve", steps=_ASKS[:1]),
        _stage("release", "label 'gpu'", before=True),
    )
    found = _found(answer, "any", *stages)
    assert found == ["approve", "release"], (
        f"the agent of the pipeline is held through all stages, so both questions hold it; you return {found}"
    )
    found = _found(answer, "any", _stage("approve", "none", steps=_ASKS[:1]))
    assert found == ["approve"], (
        f"approve takes no agent of its own, and that of the pipeline is held all the same; you return {found}"
    )


@checks(held_for_a_person)
def inner_stages_are_looked_at(answer):
    """A stage with an agent contains stages. Who holds that agent while an inner one asks?"""
    inner = [_stage("build"), _stage("ask", before=True)]
    found = _found(answer, "none", _stage("deploy", "any", steps=(), stages=inner), _stage("report", "any"))
    assert found == ["ask"], f"ask waits on the agent of deploy; you return {found}"
    inner = [_stage("build", "any"), _stage("ask", before=True)]
    found = _found(answer, "none", _stage("deploy", steps=(), stages=inner))
    assert found == [], f"deploy has no agent, and that of build is given back before ask; you return {found}"
    found = _found(
        answer, "any", _stage("deploy", before=True, steps=(), stages=[_stage("ask", before=True)])
    )
    assert found == ["deploy", "ask"], (
        f"both ask, and deploy comes before its inner stage; you return {found}"
    )


@wrong(held_for_a_person, caught_by=without_an_agent_nothing_is_held)
def every_stage_that_asks(pipeline):
    found, left = [], list(pipeline["stages"])
    while left:
        stage = left.pop(0)
        if stage["input"] or any(step.startswith("input") for step in stage["steps"]):
            found.append(stage["name"])
        left = stage["stages"] + left
    return found


@wrong(held_for_a_person, caught_by=the_directive_waits_before_the_agent)
def takes_the_directive_for_a_step(pipeline):
    found = []

    def look(outer, stages):
        for stage in stages:
            own = outer or stage["agent"] not in (None, "none")
            if own and (stage["input"] or any(step.startswith("input") for step in stage["steps"])):
                found.append(stage["name"])
            look(own, stage["stages"])

    look(pipeline["agent"] not in (None, "none"), pipeline["stages"])
    return found


@wrong(held_for_a_person, caught_by=a_step_waits_on_the_agent_of_its_stage)
def looks_for_the_word_anywhere(pipeline):
    def marked(stages):
        for stage in stages:
            steps = ["input" for step in stage["steps"] if "input" in step]
            yield stage | {"steps": steps, "stages": list(marked(stage["stages"]))}

    return held_for_a_person(pipeline | {"stages": list(marked(pipeline["stages"]))})


@wrong(held_for_a_person, caught_by=the_pipelines_agent_is_held_all_the_time)
def the_inner_agent_replaces_the_outer(pipeline):
    found = []

    def look(outer, stages):
        for stage in stages:
            own = stage["agent"] or outer
            inside = any(step.startswith("input") for step in stage["steps"])
            if (stage["input"] and outer != "none") or (inside and own != "none"):
                found.append(stage["name"])
            look(own, stage["stages"])

    look(pipeline["agent"], pipeline["stages"])
    return found


@wrong(held_for_a_person, caught_by=inner_stages_are_looked_at)
def inner_stages_first(pipeline):
    def names(held, stages):
        for stage in stages:
            own = held or stage["agent"] not in (None, "none")
            yield from names(own, stage["stages"])
            inside = any(step.startswith("input") for step in stage["steps"])
            if (stage["input"] and held) or (inside and own):
                yield stage["name"]

    return list(names(pipeline["agent"] not in (None, "none"), pipeline["stages"]))


@wrong(held_for_a_person, caught_by=inner_stages_are_looked_at)
def names_the_stage_whose_agent_it_is_too(pipeline):
    found = held_for_a_person(pipeline)
    outer = [one["name"] for one in pipeline["stages"] if {s["name"] for s in one["stages"]} & set(found)]
    return outer + [name for name in found if name not in outer]


@wrong(held_for_a_person, caught_by=the_pipelines_agent_is_held_all_the_time)
def forgets_the_agent_of_the_pipeline(pipeline):
    return held_for_a_person({"agent": "none", "stages": pipeline["stages"]})


@wrong(held_for_a_person, caught_by=inner_stages_are_looked_at)
def forgets_the_inner_stages(pipeline):
    return held_for_a_person(
        {"agent": pipeline["agent"], "stages": [stage | {"stages": []} for stage in pipeline["stages"]]}
    )


@wrong(held_for_a_person, caught_by=inner_stages_are_looked_at)
def inner_stages_without_the_outer_agent(pipeline):
    top, found, left = pipeline["agent"] not in (None, "none"), [], list(pipeline["stages"])
    while left:
        stage = left.pop(0)
        own = top or stage["agent"] not in (None, "none")
        if (stage["input"] and top) or (own and any(step.startswith("input") for step in stage["steps"])):
            found.append(stage["name"])
        left = stage["stages"] + left
    return found


@wrong(held_for_a_person, caught_by=without_an_agent_nothing_is_held)
def an_agent_is_never_given_back(pipeline):
    held, found = pipeline["agent"] not in (None, "none"), []
    for stage in pipeline["stages"]:
        before, held = held, held or stage["agent"] not in (None, "none")
        inside = any(step.startswith("input") for step in stage["steps"])
        if (stage["input"] and before) or (inside and held):
            found.append(stage["name"])
    return found


@wrong(held_for_a_person, caught_by=a_step_waits_on_the_agent_of_its_stage)
def looks_at_directives_only(pipeline):
    held = pipeline["agent"] not in (None, "none")
    return [stage["name"] for stage in pipeline["stages"] if stage["input"] and held]


@also_right(held_for_a_person)
def with_a_stack(pipeline):
    has = lambda agent: agent not in (None, "none")  # noqa: E731
    left = [(has(pipeline["agent"]), stage) for stage in reversed(pipeline["stages"])]
    found = []
    while left:
        outer, stage = left.pop()
        inner = outer or has(stage["agent"])
        if outer and stage["input"] or inner and any("input" == step.split()[0] for step in stage["steps"]):
            found.append(stage["name"])
        left += [(inner, one) for one in reversed(stage["stages"])]
    return found


@also_right(held_for_a_person)
def as_a_generator(pipeline):
    def names(agents, stages):
        for stage in stages:
            inner = [*agents, stage["agent"]]
            asked_on = [agents] * stage["input"] + [inner for step in stage["steps"] if step[:5] == "input"]
            if any(agent not in (None, "none") for held in asked_on for agent in held):
                yield stage["name"]
            yield from names(inner, stage["stages"])

    return list(names([pipeline["agent"]], pipeline["stages"]))


# --- cache_key --------------------------------------------------------------------------------------------------------


@right
def cache_key(files, python):
    """Return a text that names a cache: the same for the same files and Python version, and for nothing else.

    `files` is a dict from a file's name to its bytes: all that the cached result is made from. The order in which
    they are given does not matter. The text has at most 100 characters, and another process makes the same one (so
    not by `hash`, which differs in each).
    """
    return hashlib.sha256(repr((python, sorted(files.items()))).encode()).hexdigest()


_FILES = {"rides.csv": b"3,12\n5,20\n", "rides.py": b"USABLE = 0\n", "requirements.txt": b"pandas==3.0\n"}
_HASH = hash


def _key(answer, files=None, python="3.11"):
    found = answer(dict(_FILES if files is None else files), python)
    assert isinstance(found, str), f"return a text; you returned a {type(found).__name__}"
    assert 0 < len(found) <= 100, f"the key has {len(found)} characters"
    return found


@checks(cache_key)
def the_same_again_in_any_order(answer):
    """The files come in another order. Is it another cache?"""
    first = _key(answer)
    assert _key(answer) == first, "the same files give two keys, so the cache is never found"
    turned = dict(reversed(_FILES.items()))
    assert _key(answer, turned) == first, "the same files in another order give another key"
    own = getattr(inspect.unwrap(answer), "__globals__", None)

    def of_another_process(thing):
        asked_by_the_answer = inspect.currentframe().f_back.f_globals is own
        return _HASH(thing) + asked_by_the_answer

    with mock.patch("builtins.hash", of_another_process):
        other = _key(answer)
    assert other == first, "another process makes another key: hash differs there, a digest does not"


@checks(cache_key)
def a_change_in_any_file_is_another_key(answer):
    """One file of three changes by a byte. Does the old result still hold?"""
    for name, content in _FILES.items():
        changed = _FILES | {name: content[:-2] + b"7\n"}
        assert _key(answer, changed) != _key(answer), f"{name} has changed, the key has not"
    one, two = _FILES | {"model.bin": b"\x80\xfe"}, _FILES | {"model.bin": b"\x80\xff"}
    assert _key(answer, one) != _key(answer, two), "bytes that are no text have changed, the key has not"


@checks(cache_key)
def another_python_is_another_key(answer):
    """Python 3.11 made the cache and 3.12 reads it. May it?"""
    assert _key(answer, python="3.12") != _key(answer), "the Python version is not in the key"
    one, two = _key(answer, python="3.11.8"), _key(answer, python="3.11.9")
    assert one != two, "Python 3.11.8 and 3.11.9 have the same key: take the version as it is given"


@checks(cache_key)
def names_count(answer):
    """Two files swap their contents. Is the result the same?"""
    swapped = _FILES | {"rides.csv": _FILES["rides.py"], "rides.py": _FILES["rides.csv"]}
    assert _key(answer, swapped) != _key(answer), "two files have swapped their contents, the key is the same"
    fewer = {name: content for name, content in _FILES.items() if name != "rides.py"} | {
        "rules.py": b"USABLE = 0\n"
    }
    assert _key(answer, fewer) != _key(answer), "rides.py is called rules.py now, the key is the same"


@checks(cache_key)
def a_byte_that_moves_to_the_next_file_is_seen(answer):
    """Where does one file end and the next begin in what you hash?"""
    one, two = {"a": b"12", "b": b"3"}, {"a": b"1", "b": b"23"}
    assert _key(answer, one) != _key(answer, two), "the files 12 and 3 have the key of the files 1 and 23"
    one, two = {"ab": b"c"}, {"a": b"bc"}
    assert _key(answer, one) != _key(answer, two), "a file ab with c has the key of a file a with bc"


@wrong(cache_key, caught_by=the_same_again_in_any_order)
def in_the_order_given(files, python):
    parts = [[name, hashlib.sha256(content).hexdigest()] for name, content in files.items()]
    return hashlib.sha256(json.dumps([python, parts]).encode()).hexdigest()


@wrong(cache_key, caught_by=the_same_again_in_any_order)
def by_hash(files, python):
    return f"rows-{python}-{hash(tuple(sorted(files.items())))}"


@wrong(cache_key, caught_by=a_change_in_any_file_is_another_key)
def the_readable_text_alone(files, python):
    return cache_key({name: content.decode(errors="ignore") for name, content in files.items()}, python)


@wrong(cache_key, caught_by=another_python_is_another_key)
def the_minor_version_alone(files, python):
    return cache_key(files, ".".join(python.split(".")[:2]))


@wrong(cache_key, caught_by=a_change_in_any_file_is_another_key)
def the_lock_alone(files, python):
    return python + hashlib.sha256(files.get("requirements.txt", b"")).hexdigest()


@wrong(cache_key, caught_by=a_change_in_any_file_is_another_key)
def names_and_sizes(files, python):
    sizes = {name: len(content) for name, content in sorted(files.items())}
    return hashlib.sha256(json.dumps([python, sizes]).encode()).hexdigest()


@wrong(cache_key, caught_by=another_python_is_another_key)
def without_the_python(files, python):
    return cache_key(files, "")


@wrong(cache_key, caught_by=names_count)
def contents_only(files, python):
    digests = sorted(hashlib.sha256(content).hexdigest() for content in files.values())
    return hashlib.sha256((python + "".join(digests)).encode()).hexdigest()


@wrong(cache_key, caught_by=a_byte_that_moves_to_the_next_file_is_seen)
def all_in_one_row(files, python):
    made = hashlib.sha256(python.encode())
    for name, content in sorted(files.items()):
        made.update(name.encode())
        made.update(content)
    return made.hexdigest()


@wrong(cache_key, caught_by=a_byte_that_moves_to_the_next_file_is_seen)
def names_first_then_contents(files, python):
    names = json.dumps([python, sorted(files)]).encode()
    return hashlib.sha256(names + b"".join(files[name] for name in sorted(files))).hexdigest()


@also_right(cache_key)
def with_lengths(files, python):
    made = hashlib.blake2b(python.encode() + b"\0", digest_size=32)
    for name in sorted(files):
        for part in (name.encode(), files[name]):
            made.update(len(part).to_bytes(8, "big") + part)
    return f"rows-{python}-{made.hexdigest()}"


@also_right(cache_key)
def one_json(files, python):
    whole = {"python": python, "files": {name: content.hex() for name, content in files.items()}}
    return hashlib.md5(json.dumps(whole, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


@also_right(cache_key)
def a_digest_of_digests(files, python):
    parts = [[name, hashlib.sha256(content).hexdigest()] for name, content in sorted(files.items())]
    return hashlib.sha256(json.dumps([python, parts]).encode()).hexdigest()
