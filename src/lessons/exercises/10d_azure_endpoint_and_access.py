"""Exercises of lesson 10d: who is let in by an endpoint, and what the two deployments' answers decide."""

from course.exercise import also_right, checks, right, wrong

# --- admitted ---------------------------------------------------------------------------------------------------------


@right
def admitted(endpoint, sent, now):
    """Return the status with which an endpoint meets a caller: 200, 401 or 403.

    `endpoint` has `mode` ("key", "aml_token" or "aad_token"), `keys` (a list of texts) and `tenant`. `sent` is None, or a
    dictionary with `kind`, one of the three modes, and

    - a key: its `value`, which must be one of the endpoint's keys; keys don't end.
    - a workspace token ("aml_token"): `ends`, a time in seconds; from that second on it is worth nothing.
    - a token of Entra ("aad_token"): `ends` as well, its `tenant`, and `actions`, a list: to call one needs "score".

    Who is not recognised, or sends another kind than the mode, gets 401. Who is known and may not, gets 403.
    """
    if sent is None or sent["kind"] != endpoint["mode"]:
        return 401
    if sent["kind"] == "key":
        return 200 if sent["value"] in endpoint["keys"] else 401
    if sent["ends"] <= now:
        return 401
    if sent["kind"] == "aml_token":
        return 200
    if sent["tenant"] != endpoint["tenant"]:
        return 401
    return 200 if "score" in sent["actions"] else 403


def _endpoint(mode):
    return {"mode": mode, "keys": ["first", "second"], "tenant": "ours"}


def _entra(**changed):
    return {"kind": "aad_token", "ends": 200, "tenant": "ours", "actions": ["read", "score"]} | changed


def _status(answer, mode, sent, now=100):
    found = answer(_endpoint(mode), sent, now)
    assert isinstance(found, int) and not isinstance(found, bool), (
        f"return a status, a number; you return {found!r}"
    )
    return found


@checks(admitted)
def a_good_credential_is_let_in(answer):
    """Which credential fits which mode?"""
    good = {"key": {"kind": "key", "value": "first"}, "aml_token": {"kind": "aml_token", "ends": 200}}
    for mode, sent in (good | {"aad_token": _entra()}).items():
        found = _status(answer, mode, sent)
        assert found == 200, f"mode {mode}, with a good credential of it: 200; you return {found}"


@checks(admitted)
def nobody_is_not_recognised(answer):
    """A request without any header. Who is that?"""
    for mode in ("key", "aml_token", "aad_token"):
        found = _status(answer, mode, None)
        assert found == 401, f"nothing was sent, so 401; you return {found}"


@checks(admitted)
def another_kind_is_not_recognised(answer):
    """A good Entra token at an endpoint with keys: does the endpoint know what to do with it?"""
    found = _status(answer, "key", _entra())
    assert found == 401, f"the endpoint's mode is key, an Entra token is none: 401; you return {found}"
    found = _status(answer, "aad_token", {"kind": "key", "value": "first"})
    assert found == 401, f"the endpoint's mode is aad_token, a key is no token: 401; you return {found}"


@checks(admitted)
def both_keys_open(answer):
    """Why are there two keys? And what of one that was renewed?"""
    found = [_status(answer, "key", {"kind": "key", "value": value}) for value in ("second", "the old first")]
    assert found == [200, 401], f"the second key is good, a renewed one is not; you return {found}"


@checks(admitted)
def a_token_ends(answer):
    """Which of the credentials end, and is the last second still good?"""
    for mode, sent in {"aml_token": {"kind": "aml_token"}, "aad_token": _entra()}.items():
        found = [_status(answer, mode, sent | {"ends": ends}) for ends in (101, 100, 99)]
        assert found == [200, 401, 401], (
            f"{mode}: ends at 101, 100 and 99, and now is 100; you return {found}"
        )


@checks(admitted)
def another_tenant_is_nobody(answer):
    """A good token, with the right to score, from another company's directory. Known, or not?"""
    found = _status(answer, "aad_token", _entra(tenant="theirs"))
    assert found == 401, f"another tenant's token: 401; you return {found}"


@checks(admitted)
def known_without_the_right(answer):
    """The auditor may read. Is that the right to score, and is the auditor unknown?"""
    found = _status(answer, "aad_token", _entra(actions=["read", "write"]))
    assert found == 403, f"known, without score: 403; you return {found}"
    found = _status(answer, "aad_token", _entra(actions=["score_history"]))
    assert found == 403, f'actions are ["score_history"], and that is not "score": 403; you return {found}'
    found = _status(answer, "aad_token", _entra(actions=[], tenant="theirs"))
    assert found == 401, f"another tenant's, without score: not recognised first, 401; you return {found}"
    found = _status(answer, "aad_token", _entra(actions=[], ends=99))
    assert found == 401, (
        f"a token that has ended, without score: not recognised first, 401; you return {found}"
    )


@wrong(admitted, caught_by=a_good_credential_is_let_in)
def asks_tokens_for_a_right(endpoint, sent, now):
    if sent and sent["kind"] == "aml_token" == endpoint["mode"]:
        return 200 if "score" in sent.get("actions", []) else 403
    return admitted(endpoint, sent, now)


@wrong(admitted, caught_by=nobody_is_not_recognised)
def forbids_nobody(endpoint, sent, now):
    return 403 if sent is None else admitted(endpoint, sent, now)


@wrong(admitted, caught_by=another_kind_is_not_recognised)
def takes_what_is_sent(endpoint, sent, now):
    return admitted(endpoint | {"mode": sent["kind"]}, sent, now) if sent else 401


@wrong(admitted, caught_by=another_kind_is_not_recognised)
def forbids_another_kind(endpoint, sent, now):
    return 403 if sent and sent["kind"] != endpoint["mode"] else admitted(endpoint, sent, now)


@wrong(admitted, caught_by=both_keys_open)
def knows_the_first_key_alone(endpoint, sent, now):
    return admitted(endpoint | {"keys": endpoint["keys"][:1]}, sent, now)


@wrong(admitted, caught_by=a_token_ends)
def never_looks_at_the_time(endpoint, sent, now):
    return admitted(endpoint, sent, 0)


@wrong(admitted, caught_by=a_token_ends)
def lets_the_last_second_in(endpoint, sent, now):
    return admitted(endpoint, sent, now - 1)


@wrong(admitted, caught_by=another_tenant_is_nobody)
def believes_every_tenant(endpoint, sent, now):
    return admitted(endpoint, sent and sent | {"tenant": endpoint["tenant"]}, now)


@wrong(admitted, caught_by=another_tenant_is_nobody)
def forbids_another_tenant(endpoint, sent, now):
    found = admitted(endpoint, sent, now)
    return 403 if found == 401 and sent and sent.get("tenant") == "theirs" else found


@wrong(admitted, caught_by=known_without_the_right)
def lets_everybody_in_who_is_known(endpoint, sent, now):
    found = admitted(endpoint, sent, now)
    return 200 if found == 403 else found


@wrong(admitted, caught_by=known_without_the_right)
def finds_score_in_a_longer_word(endpoint, sent, now):
    if sent and "score" in " ".join(sent.get("actions", [])):
        sent = sent | {"actions": ["score"]}
    return admitted(endpoint, sent, now)


@wrong(admitted, caught_by=known_without_the_right)
def asks_for_the_right_before_the_time(endpoint, sent, now):
    entra = sent and sent["kind"] == "aad_token" == endpoint["mode"] and sent["tenant"] == endpoint["tenant"]
    return 403 if entra and "score" not in sent["actions"] else admitted(endpoint, sent, now)


@wrong(admitted, caught_by=known_without_the_right)
def says_401_to_all(endpoint, sent, now):
    found = admitted(endpoint, sent, now)
    return 401 if found == 403 else found


@also_right(admitted)
def by_what_is_wrong(endpoint, sent, now):
    kind = (sent or {}).get("kind")
    unknown = (
        kind != endpoint["mode"]
        or (kind == "key" and sent["value"] not in endpoint["keys"])
        or (kind != "key" and not now < sent["ends"])
        or (kind == "aad_token" and sent["tenant"] != endpoint["tenant"])
    )
    if unknown:
        return 401
    return 403 if kind == "aad_token" and "score" not in sent["actions"] else 200


@also_right(admitted)
def by_matching(endpoint, sent, now):
    match (endpoint["mode"], sent):
        case ("key", {"kind": "key", "value": value}) if value in endpoint["keys"]:
            return 200
        case ("aml_token", {"kind": "aml_token", "ends": ends}) if ends > now:
            return 200
        case ("aad_token", {"kind": "aad_token", "ends": ends, "tenant": tenant, "actions": actions}):
            if ends > now and tenant == endpoint["tenant"]:
                return 200 if "score" in actions else 403
    return 401


# --- verdict ----------------------------------------------------------------------------------------------------------


@right
def verdict(blue, green, least=200):
    """Return "back", "wait" or "forward" for a green deployment that takes a part of the traffic.

    Each deployment is a dictionary: `asked`, its requests; `failed`, how many of them had no 200; `median`, of its answers.

    1. "back" if green fails more: its share of failures is above blue's by more than two standard errors of the difference,
       sqrt(p (1 - p) (1/n_blue + 1/n_green)), where p is the share of both together and n are the requests asked.
    2. "back" if the answers differ: both have 30 good answers or more, and green's median is more than 25 % of blue's
       median away from it, above or below.
    3. Otherwise "wait" if green was asked fewer than `least` times, else "forward".

    Both were asked at least once. Blue's median is above 0.
    """
    together = (blue["failed"] + green["failed"]) / (blue["asked"] + green["asked"])
    error = (together * (1 - together) * (1 / blue["asked"] + 1 / green["asked"])) ** 0.5
    if green["failed"] / green["asked"] - blue["failed"] / blue["asked"] > 2 * error:
        return "back"
    enough = min(blue["asked"] - blue["failed"], green["asked"] - green["failed"]) >= 30
    if enough and abs(green["median"] - blue["median"]) > 0.25 * blue["median"]:
        return "back"
    return "wait" if green["asked"] < least else "forward"


def _one(asked, failed=0, median=12.0):
    return {"asked": asked, "failed": failed, "median": median}


def _verdict(answer, blue, green, **more):
    found = answer(blue, green, **more)
    assert found in ("back", "wait", "forward"), f'return "back", "wait" or "forward"; you return {found!r}'
    return found


@checks(verdict)
def two_that_are_alike_go_forward(answer):
    """The same errors, the same answers, and enough of both. What keeps you?"""
    found = _verdict(answer, _one(1800, 9), _one(200, 1, 12.4))
    assert found == "forward", (
        f"half a percent of failures each, medians 12.0 and 12.4, and green was asked 200 times, which is not fewer "
        f"than 200; you return {found!r}"
    )


@checks(verdict)
def too_few_requests_wait(answer):
    """Twenty requests without an error: how sure are you? Two shares of 0 are equal, and their error is 0."""
    found = _verdict(answer, _one(180), _one(20))
    assert found == "wait", (
        f"nothing failed, and green was asked 20 times, where 200 are wanted; you return {found!r}"
    )
    found = _verdict(answer, _one(180), _one(20), least=20)
    assert found == "forward", f"least is 20, and green was asked 20 times; you return {found!r}"


@checks(verdict)
def many_failures_go_back(answer):
    """Blue fails once in two hundred. How far above it is green, in standard errors?"""
    found = _verdict(answer, _one(1800, 9), _one(200, 8))
    assert found == "back", f"4 % of 200 against 0.5 % of 1800 is far beyond two errors; you return {found!r}"
    found = _verdict(answer, _one(1800, 9), _one(200, 4))
    assert found == "back", (
        f"4 of 200 against 9 of 1800: p is 13 of 2000, and the difference is 2.5 standard errors; you return {found!r}"
    )


@checks(verdict)
def one_failure_of_few_is_chance(answer):
    """One request of fifty failed. Is that above blue's two in a hundred?"""
    found = _verdict(answer, _one(450, 9), _one(50, 2))
    assert found == "wait", (
        f"2 of 50 against 9 of 450 is within two errors, and 50 are few; you return {found!r}"
    )
    found = _verdict(answer, _one(1800, 9), _one(200, 3))
    assert found == "forward", (
        f"3 of 200 against 9 of 1800 is 1.7 standard errors, and two are allowed; you return {found!r}"
    )


@checks(verdict)
def wrong_answers_go_back_without_a_failure(answer):
    """All statuses are 200. Are the answers those of the same thing?"""
    for median in (720.0, 15.1, 8.9, 0.2):
        found = _verdict(answer, _one(1800), _one(200, 0, median))
        assert found == "back", f"no failure, and medians of 12.0 and {median}; you return {found!r}"
    found = _verdict(answer, _one(1800), _one(200, 0, 14.9))
    assert found == "forward", f"medians of 12.0 and 14.9 are within 25 %; you return {found!r}"


@checks(verdict)
def a_clear_fault_does_not_wait(answer):
    """Green was asked 40 times and answers sixty times too much. Do you wait for the two hundredth customer?"""
    found = _verdict(answer, _one(360), _one(40, 0, 720.0))
    assert found == "back", (
        f"40 answers with a median of 720 in place of 12: go back at once; you return {found!r}"
    )


@checks(verdict)
def a_median_of_few_says_little(answer):
    """Three answers, and their median is far off. What if the next three are near?"""
    found = _verdict(answer, _one(97), _one(3, 0, 30.0))
    assert found == "wait", f"green has three answers, 30 are wanted to compare medians; you return {found!r}"
    found = _verdict(answer, _one(360), _one(30, 0, 30.0))
    assert found == "back", (
        f"30 good answers are enough to compare medians of 12 and 30; you return {found!r}"
    )
    found = _verdict(answer, _one(97, 70), _one(300, 217, 30.0))
    assert found == "forward", (
        f"blue has 27 good answers of 97, so the medians are not compared; you return {found!r}"
    )


@checks(verdict)
def better_than_blue_is_no_fault(answer):
    """Green fails less than blue. Is a difference in that direction a reason to go back?"""
    found = _verdict(answer, _one(1800, 90), _one(200, 0))
    assert found == "forward", f"green fails less than blue; you return {found!r}"


@wrong(verdict, caught_by=too_few_requests_wait)
def never_waits(blue, green, least=200):
    return "back" if verdict(blue, green, 0) == "back" else "forward"


@wrong(verdict, caught_by=too_few_requests_wait)
def has_its_own_least(blue, green, least=200):
    return verdict(blue, green, 200)


@wrong(verdict, caught_by=many_failures_go_back)
def looks_at_the_answers_alone(blue, green, least=200):
    return verdict(blue | {"failed": 0}, green | {"failed": 0}, least)


@wrong(verdict, caught_by=many_failures_go_back)
def gives_each_share_its_own_error(blue, green, least=200):
    shares = [one["failed"] / one["asked"] for one in (blue, green)]
    error = sum(p * (1 - p) / one["asked"] for p, one in zip(shares, (blue, green), strict=True)) ** 0.5
    if shares[1] - shares[0] > 2 * error:
        return "back"
    return verdict(blue, green | {"failed": min(green["failed"], int(shares[0] * green["asked"]))}, least)


@wrong(verdict, caught_by=one_failure_of_few_is_chance)
def takes_one_standard_error(blue, green, least=200):
    p = (blue["failed"] + green["failed"]) / (blue["asked"] + green["asked"])
    error = (p * (1 - p) * (1 / blue["asked"] + 1 / green["asked"])) ** 0.5
    fails_more = green["failed"] / green["asked"] - blue["failed"] / blue["asked"] > error
    return "back" if fails_more else verdict(blue, green, least)


@wrong(verdict, caught_by=one_failure_of_few_is_chance)
def any_worse_share_goes_back(blue, green, least=200):
    if green["failed"] / green["asked"] > blue["failed"] / blue["asked"]:
        return "back"
    return verdict(blue, green, least)


@wrong(verdict, caught_by=two_that_are_alike_go_forward)
def any_failure_goes_back(blue, green, least=200):
    return "back" if green["failed"] else verdict(blue, green, least)


@wrong(verdict, caught_by=wrong_answers_go_back_without_a_failure)
def looks_at_the_statuses_alone(blue, green, least=200):
    return verdict(blue, green | {"median": blue["median"]}, least)


@wrong(verdict, caught_by=wrong_answers_go_back_without_a_failure)
def sees_larger_answers_alone(blue, green, least=200):
    return verdict(blue, green | {"median": max(green["median"], blue["median"])}, least)


@wrong(verdict, caught_by=a_clear_fault_does_not_wait)
def waits_first(blue, green, least=200):
    return "wait" if green["asked"] < least and green["failed"] == 0 else verdict(blue, green, least)


@wrong(verdict, caught_by=a_median_of_few_says_little)
def compares_medians_of_few(blue, green, least=200):
    apart = abs(green["median"] - blue["median"]) > 0.25 * blue["median"]
    return "back" if apart else verdict(blue, green, least)


@wrong(verdict, caught_by=a_median_of_few_says_little)
def wants_more_than_thirty(blue, green, least=200):
    few = min(one["asked"] - one["failed"] for one in (blue, green)) <= 30
    return verdict(blue, green | {"median": blue["median"]} if few else green, least)


@wrong(verdict, caught_by=better_than_blue_is_no_fault)
def goes_back_from_what_is_better(blue, green, least=200):
    if verdict(green, blue, 0) == "back":
        return "back"
    return verdict(blue, green, least)


@also_right(verdict)
def in_two_questions(blue, green, least=200):
    from math import sqrt

    def share(*those):
        return sum(one["failed"] for one in those) / sum(one["asked"] for one in those)

    p = share(blue, green)
    fails_more = share(green) > share(blue) + 2 * sqrt(p * (1 - p) * (1 / blue["asked"] + 1 / green["asked"]))
    good = [one["asked"] - one["failed"] for one in (blue, green)]
    answers_otherwise = min(good) >= 30 and not 0.75 <= green["median"] / blue["median"] <= 1.25
    if fails_more or answers_otherwise:
        return "back"
    return "forward" if green["asked"] >= least else "wait"


@also_right(verdict)
def with_a_score(blue, green, least=200):
    import numpy as np

    asked = np.array([blue["asked"], green["asked"]], float)
    failed = np.array([blue["failed"], green["failed"]], float)
    p = failed.sum() / asked.sum()
    error = np.sqrt(p * (1 - p) * (1 / asked).sum())
    difference = np.diff(failed / asked).item()
    reasons = [error > 0 and difference / error > 2]
    if ((asked - failed) >= 30).all():
        reasons.append(abs(green["median"] / blue["median"] - 1) > 0.25)
    return "back" if any(reasons) else ("wait", "forward")[int(green["asked"] >= least)]
