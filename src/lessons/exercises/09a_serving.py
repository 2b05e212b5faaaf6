"""Exercises of sitting 09a: the body of a request, and what to do with its answer."""

import json

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- build_request ----------------------------------------------------------------------------------------------------


@right
def build_request(frame):
    """Return the body of a request to MLflow's server: the rows of the table `frame`, as a JSON text.

    Use the field `dataframe_split`, so that the columns keep their names. A missing value becomes `null`, a
    date the text of ISO 8601, as `2019-10-03T13:05:00`. `frame` stays as it was.
    """
    content = json.loads(frame.to_json(orient="split", index=False, date_format="iso", date_unit="s"))
    return json.dumps({"dataframe_split": content})


def _frame():
    """Two trips under index labels that don't count from 0, one zone missing, one date."""
    return pd.DataFrame(
        {
            "trip_distance": [1.3, 0.26],
            "pickup_location_id": [161.0, np.nan],
            "pickup_datetime": pd.to_datetime(["2019-10-03 13:05:00", "2019-10-02 09:15:29"]),
        },
        index=[29276, 8],
    )


def _strict(text):
    """Parse JSON as the standard has it, without NaN."""

    def refuse(name):
        raise AssertionError(f"the body contains {name}, which is no JSON: a missing value is `null`")

    return json.loads(text, parse_constant=refuse)


def _split(answer):
    """Return the content of `dataframe_split` that the answer builds; its frame is asserted."""
    body = _strict(answer(_frame()))
    assert isinstance(body, dict) and set(body) == {"dataframe_split"}, (
        f"the body has the fields {sorted(body) if isinstance(body, dict) else type(body).__name__}; "
        "it should be an object with the one field `dataframe_split`"
    )
    content = body["dataframe_split"]
    assert isinstance(content, dict), (
        f"`dataframe_split` holds a {type(content).__name__}, it should be an object with columns and data"
    )
    return content


@checks(build_request)
def returns_a_text_of_json(answer):
    """Which of the two writes dates and missing values as JSON wants them, `json.dumps` or `frame.to_json(...)`? `json.loads` takes a text apart again."""
    text = answer(_frame())
    assert isinstance(text, str), f"you returned a {type(text).__name__}, a JSON text is asked for"
    try:
        _strict(text)
    except ValueError as error:
        raise AssertionError(f"this is no JSON: {error}") from None


@checks(build_request)
def wraps_it_in_one_field(answer):
    """What does the server look for first? One field whose value is an object; a text inside of an object is no object."""
    _split(answer)


@checks(build_request)
def names_the_columns(answer):
    """Where do the names stand in `dataframe_split`? Once, beside the rows: see what `orient="split"` gives."""
    content = _split(answer)
    extra = set(content) - {"columns", "index", "data"}
    assert not extra, f"MLflow refuses {sorted(extra)} in `dataframe_split`"
    assert content.get("columns") == list(_frame()), (
        f"the columns are {content.get('columns')}, they should be {list(_frame())}"
    )
    lengths = [len(row) for row in content.get("data", [])]
    assert lengths == [3, 3], f"`data` should be two rows of three values, its rows have {lengths}"


@checks(build_request)
def missing_is_null(answer):
    """What would the model believe if you filled the gap with 0? A missing value stays missing: `null`."""
    first, second = (row[1] for row in _split(answer)["data"])
    assert second is None, f"the missing zone was sent as {second!r}, it should be null"
    assert first == 161, f"the zone 161 was sent as {first!r}"


@checks(build_request)
def dates_are_iso_texts(answer):
    """What does the server take a number for? Nanoseconds since 1970, whatever you meant; `to_json` has a `date_format`."""
    sent = [row[2] for row in _split(answer)["data"]]
    assert all(isinstance(one, str) for one in sent), f"the dates were sent as {sent}, they should be texts"
    for one, wanted in zip(sent, ["2019-10-03T13:05:00", "2019-10-02T09:15:29"], strict=True):
        assert one.removesuffix(".000") == wanted, f"{wanted} was sent as {one!r}"


@checks(build_request)
def leaves_the_table_alone(answer):
    """Who uses the table after you? Change a copy, as `frame.assign(...)` gives it."""
    frame = _frame()
    answer(frame)
    pd.testing.assert_frame_equal(frame, _frame())


@also_right(build_request)
def by_hand_row_by_row(frame):
    def plain(value):
        if pd.isna(value):
            return None
        return value.isoformat() if isinstance(value, pd.Timestamp) else float(value)

    rows = [[plain(value) for value in row] for row in frame.itertuples(index=False)]
    return json.dumps({"dataframe_split": {"columns": list(frame.columns), "data": rows}})


@also_right(build_request)
def with_texts_and_objects_of_pandas(frame):
    texts = {name: frame[name].dt.strftime("%Y-%m-%dT%H:%M:%S") for name in frame.select_dtypes("datetime")}
    frame = frame.assign(**texts).astype(object)
    content = frame.where(frame.notna(), None).to_dict(orient="split")
    return json.dumps({"dataframe_split": content}, allow_nan=False)


@also_right(build_request)
def glues_two_texts(frame):
    return '{"dataframe_split": ' + frame.to_json(orient="split", date_format="iso") + "}"


@wrong(build_request, caught_by=returns_a_text_of_json)
def dumps_the_dict(frame):
    return json.dumps({"dataframe_split": frame.to_dict(orient="split")})


@wrong(build_request, caught_by=returns_a_text_of_json)
def dumps_with_default_str(frame):
    return json.dumps({"dataframe_split": frame.to_dict(orient="split")}, default=str)


@wrong(build_request, caught_by=returns_a_text_of_json)
def returns_the_object(frame):
    return {"dataframe_split": json.loads(frame.to_json(orient="split", date_format="iso"))}


@wrong(build_request, caught_by=wraps_it_in_one_field)
def forgets_the_field(frame):
    return frame.to_json(orient="split", date_format="iso")


@wrong(build_request, caught_by=wraps_it_in_one_field)
def encodes_twice(frame):
    return json.dumps({"dataframe_split": frame.to_json(orient="split", date_format="iso")})


@wrong(build_request, caught_by=names_the_columns)
def sends_rows_without_names(frame):
    content = json.loads(frame.to_json(orient="split", date_format="iso"))
    return json.dumps({"dataframe_split": {"data": content["data"]}})


@wrong(build_request, caught_by=missing_is_null)
def fills_with_zero(frame):
    content = json.loads(frame.fillna(0).to_json(orient="split", date_format="iso"))
    return json.dumps({"dataframe_split": content})


@wrong(build_request, caught_by=missing_is_null)
def makes_everything_text(frame):
    rows = [[str(value) for value in row] for row in frame.to_numpy()]
    return json.dumps({"dataframe_split": {"columns": list(frame), "data": rows}})


@wrong(build_request, caught_by=dates_are_iso_texts)
def sends_milliseconds(frame):
    content = json.loads(frame.to_json(orient="split", date_format="iso"))
    for row, moment in zip(content["data"], frame["pickup_datetime"], strict=True):
        row[2] = int(moment.timestamp() * 1000)
    return json.dumps({"dataframe_split": content})


@wrong(build_request, caught_by=dates_are_iso_texts)
def drops_the_time(frame):
    frame = frame.assign(pickup_datetime=frame["pickup_datetime"].dt.strftime("%Y-%m-%d"))
    return json.dumps({"dataframe_split": json.loads(frame.to_json(orient="split"))})


@wrong(build_request, caught_by=leaves_the_table_alone)
def writes_into_the_table(frame):
    frame["pickup_datetime"] = frame["pickup_datetime"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    return json.dumps({"dataframe_split": json.loads(frame.to_json(orient="split"))})


# --- next_step --------------------------------------------------------------------------------------------------------


@right
def next_step(status):
    """Return what a client does after an answer with this status: "use", "fix", "retry" or "report".

    - "use": the prediction is there.
    - "fix": the request is wrong, and would be wrong again; somebody has to change the client.
    - "retry": the server, or something on the way, is busy or away for the moment. Wait, then try again.
    - "report": the server failed in itself; tell its owner.

    `status` is an int, or None when no answer came (no connection, or time out).
    """
    if status is None or status in {408, 429, 502, 503, 504}:
        return "retry"
    if status == 200:
        return "use"
    return "fix" if 400 <= status < 500 else "report"


def _steps(answer, wanted, why):
    for status in wanted:
        got = answer(status)
        assert got in {"use", "fix", "retry", "report"}, (
            f"for {status} you returned {got!r}, which is none of the four steps"
        )
        assert got == wanted[status], f"status {status}: you say {got!r}. {why[status]}"


@checks(next_step)
def a_200_is_used(answer):
    """Which statuses carry a prediction? Only 200. Return one of the four words."""
    _steps(answer, {200: "use"}, {200: "The prediction is there."})


@checks(next_step)
def clients_faults_are_fixed(answer):
    """What changes when the same request is sent again? For most of 4xx, nothing."""
    why = {
        400: "The body or its columns are wrong; ten more tries make ten more refusals.",
        404: "There is nothing at this address.",
        405: "`/invocations` wants POST.",
        413: "The body is too large, and will be next time.",
        415: "The content type is wrong.",
        422: "The values were understood and refused.",
    }
    _steps(answer, dict.fromkeys(why, "fix"), why)


@checks(next_step)
def a_crash_is_reported(answer):
    """Who has to act when the server's program raised an error? The same request would meet the same error."""
    why = {
        500: "Something raised in the server; the same request would raise again.",
        501: "The server can't do this, now or later.",
    }
    _steps(answer, dict.fromkeys(why, "report"), why)


@checks(next_step)
def what_passes_is_retried(answer):
    """Which faults of a server pass by themselves? A gateway without a copy, a full queue, an answer that took too long."""
    why = {
        502: "A gateway met a copy that was going away; another one may be there.",
        503: "The server says that it is overloaded, or draining.",
        504: "It took too long this time.",
    }
    _steps(answer, dict.fromkeys(why, "retry"), why)


@checks(next_step)
def no_answer_is_retried(answer):
    """Does it do harm to ask for a prediction twice? It changes nothing, so no answer (None) may be asked for again."""
    _steps(answer, {None: "retry"}, {None: "A prediction can be asked for twice without harm."})


@checks(next_step)
def two_of_4xx_pass_too(answer):
    """Which statuses of 4xx don't say that the request was wrong? One says "too many for now", one "it arrived too slowly"."""
    why = {
        429: "You sent too many; wait, and the same request is welcome.",
        408: "Your request took too long on its way; it was not wrong.",
    }
    _steps(answer, dict.fromkeys(why, "retry"), why)


@also_right(next_step)
def by_a_table_and_the_hundreds(status):
    passing = dict.fromkeys([None, 408, 429, 502, 503, 504], "retry")
    return passing.get(status) or {2: "use", 4: "fix", 5: "report"}[status // 100]


@also_right(next_step)
def by_match(status):
    match status:
        case 200:
            return "use"
        case None | 408 | 429 | 502 | 503 | 504:
            return "retry"
        case _ if status < 500:
            return "fix"
    return "report"


@wrong(next_step, caught_by=a_200_is_used)
def answers_yes_or_no(status):
    return status == 200


@wrong(next_step, caught_by=clients_faults_are_fixed)
def retries_whatever_fails(status):
    return "use" if status == 200 else "retry"


@wrong(next_step, caught_by=clients_faults_are_fixed)
def knows_400_alone(status):
    if status is None or status in {408, 429, 502, 503, 504}:
        return "retry"
    return {200: "use", 400: "fix"}.get(status, "report")


@wrong(next_step, caught_by=a_crash_is_reported)
def retries_all_of_5xx(status):
    if status is None or status >= 500 or status in {408, 429}:
        return "retry"
    return "use" if status == 200 else "fix"


@wrong(next_step, caught_by=what_passes_is_retried)
def reports_all_of_5xx(status):
    if status is None or status in {408, 429}:
        return "retry"
    if status >= 500:
        return "report"
    return "use" if status == 200 else "fix"


@wrong(next_step, caught_by=no_answer_is_retried)
def compares_none(status):
    if status in {408, 429, 502, 503, 504}:
        return "retry"
    if status == 200:
        return "use"
    return "fix" if 400 <= status < 500 else "report"


@wrong(next_step, caught_by=no_answer_is_retried)
def reports_silence(status):
    if status is None:
        return "report"
    return next_step(status)


@wrong(next_step, caught_by=two_of_4xx_pass_too)
def fixes_all_of_4xx(status):
    if status is None or status in {502, 503, 504}:
        return "retry"
    if status == 200:
        return "use"
    return "fix" if 400 <= status < 500 else "report"
