"""The tests of what is read, and of what is refused in a line that says the way out."""

# ruff: noqa: ANN001, ANN002, ANN201, D103

import gzip
import io

import flow
import numpy as np
import pandas as pd
import pytest
import table
from table import Form

DAYS = pd.date_range("2022-01-01", periods=300, freq="D")
PLAIN = pd.DataFrame({"day": DAYS.astype(str), "sold": np.round(1000 + 9 * np.sin(np.arange(300)), 2)})


def read(tmp_path, content, *form, target="sold"):
    if isinstance(content, pd.DataFrame):
        content = content.to_csv(index=False)
    path = tmp_path / "a table.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return table.read(path, "day", target, *form)


def parquet(frame):
    held = io.BytesIO()
    frame.to_parquet(held)
    return held.getvalue()


def days(form):
    return PLAIN.assign(day=DAYS.strftime(form))


def numbers(form):
    return PLAIN.assign(sold=PLAIN["sold"].map(form.format))


def swapped(text):
    return text.translate(str.maketrans(",.;", ".,;"))


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN[::-1],
        PLAIN[["sold", "day"]].assign(other="x"),
        PLAIN.to_csv(index=False, sep=";"),
        PLAIN.to_csv(index=False, sep="\t"),
        "sep=;\n" + PLAIN.to_csv(index=False, sep=";"),
        PLAIN.to_csv(index=False).replace("\n", "\r\n"),
        PLAIN.to_csv(index=False).encode("utf-8-sig"),
        PLAIN.to_csv(index=False, quoting=1),
        PLAIN.to_csv(index=False).replace("\n", ",,\n") + ",,,\n" * 9,
        gzip.compress(PLAIN.to_csv(index=False).encode()),
        PLAIN.rename(columns={"sold": " sold "}),
        parquet(PLAIN.assign(day=DAYS).set_index("day")),
        PLAIN.assign(day=DAYS.tz_localize("Europe/Berlin").astype(str)),
        PLAIN.assign(day=PLAIN["day"] + "T00:00:00Z"),
        days("%Y%m%d"),
        pd.concat([PLAIN, pd.DataFrame({"day": ["2022-10-28", "2022-10-29"]})]),  # days to come
    ],
)
def test_a_table_is_read_however_it_is_written(tmp_path, content):
    found = read(tmp_path, content)
    assert found["ds"].tolist() == DAYS.tolist() and found["y"].tolist() == PLAIN["sold"].tolist()


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (days("%d.%m.%Y"), Form(dates="%d.%m.%Y")),
        (days("%m/%d/%y"), Form(dates="%m/%d/%y")),
        (PLAIN.to_csv(index=False, sep=";", decimal=","), Form(decimal=",")),
        (numbers("{:,.2f}"), Form(thousands=",")),
        (numbers("{:,.2f}").assign(sold=lambda one: one["sold"].map(swapped)), Form("", ",", ".")),
        (PLAIN.to_csv(index=False, sep=";"), Form(decimal=".")),
        (pd.concat([PLAIN.assign(shop=one) for one in "ab"]), Form(only=("shop=b",))),
    ],
)
def test_how_it_is_written_can_be_told(tmp_path, content, form):
    found = read(tmp_path, content, form)
    assert found["ds"].tolist() == DAYS.tolist() and found["y"].tolist() == PLAIN["sold"].tolist()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            days("%d.%m.%Y"),
            r"no date like 2024-01-31 in 300 rows .*'01.01.2022'.*give --dates '%d.%m.%Y'$",
        ),
        (days("%d/%m/%Y").head(12), "several ways: give --dates '%d/%m/%Y' or --dates '%m/%d/%Y'$"),
        (days("on %Y"), "correct it, or give the form"),
        (numbers("{:,.2f}"), r"sold is no number like 12.5 in .*give --thousands ','$"),
        (PLAIN.assign(sold="1,234"), "several ways: give --thousands ',' or --decimal ','$"),
        (
            PLAIN.assign(sold="1.234").to_csv(index=False, sep=";"),
            "give --decimal . or --thousands .$",
        ),
        (PLAIN.assign(sold=True), "'True'.*correct it"),
        (parquet(PLAIN.assign(sold=True)), "'True'.*correct it"),
        (PLAIN.assign(sold=np.inf), "sold is no number"),
        (PLAIN.assign(sold=np.nan), "no row has a date in 'day' and a number in 'sold'"),
        (pd.concat([PLAIN, PLAIN.tail(1)]), "2022-10-27 00:00:00 stands twice.*keep one row a date"),
        (pd.concat([PLAIN.assign(shop=one) for one in "ab"]), "take one series, such as --only 'shop=a'"),
        (PLAIN.to_csv(index=False) + ",8000\n", "1 rows have a number and no date .*'8000'.*cut totals off"),
        (PLAIN.to_csv(index=False, header=False), "has no names in its first line"),
        ("Sales\n" + PLAIN.to_csv(index=False), "is not one table .*as many fields"),
        (PLAIN.to_csv().replace(",day,sold", "day,sold"), "is not one table"),
        (PLAIN.set_axis(["sold", "sold"], axis=1), "no column 'day'; it has sold, sold: name yours"),
        (PLAIN.assign(x=1).set_axis(["day", "sold", "sold"], axis=1), "2 columns are called 'sold'"),
        (PLAIN.to_csv(index=False).encode("utf-16"), "save it as CSV UTF-8"),
        (b"PK\3\4", "save the sheet as CSV UTF-8"),
        (gzip.compress(PLAIN.to_csv(index=False).encode())[:90], "can't be read"),
        (parquet(PLAIN)[:90], "no whole Parquet file"),
        ("", "is empty"),
        ("day,sold\n", "no row has a date"),
        (
            PLAIN.assign(day=["2022-01-01T00:00Z"] + PLAIN["day"].tolist()[1:]),
            "some dates have an offset and others have none",
        ),
    ],
)
def test_what_can_be_read_in_no_way_or_in_two_is_refused(tmp_path, content, said):
    with pytest.raises(SystemExit, match=said) as stopped:
        read(tmp_path, content)
    assert str(stopped.value).startswith(f"{tmp_path / 'a table.csv'}: ") and "\n" not in str(stopped.value)


def test_hours_whose_clock_is_set_are_counted_by_utc(tmp_path):
    hours = pd.date_range("2023-10-28", periods=72, freq="h", tz="Europe/Berlin")
    there = pd.DataFrame({"day": hours.astype(str), "sold": range(72)})
    assert read(tmp_path, there)["ds"].diff().dropna().unique().tolist() == [pd.Timedelta(hours=1)]
    with pytest.raises(SystemExit, match="2023-10-29 02:00:00 stands twice.*export the dates in UTC"):
        read(tmp_path, there.assign(day=there["day"].str[:19]))


def test_a_name_is_found_however_its_umlaut_is_written(tmp_path):
    assert len(read(tmp_path, PLAIN.rename(columns={"sold": "Verka\u0308ufe"}), target="Verkäufe")) == 300


@pytest.mark.parametrize("freq", ["YS-JAN", "YE-JUN", "QE-MAR", "QS-FEB", "BME", "15min"])
def test_the_calendar_is_told_from_the_dates(freq):
    assert flow.calendar_of(pd.Series(pd.date_range("2020-05-01", periods=90, freq=freq))) == freq


@pytest.mark.parametrize("typo", ["2200-01-01", "9999-12-31"])
def test_a_date_far_from_the_others_is_named_at_once(typo):
    frame = pd.DataFrame({"ds": [*DAYS, pd.Timestamp(typo)], "y": 1.0})
    with pytest.raises(SystemExit, match=f"nothing lies between 2022-10-27 00:00:00 and {typo}"):
        flow.complete(frame)
