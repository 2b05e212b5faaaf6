"""Exercises of lesson 10e: a commit that loses nothing, and an upsert that can run twice."""

import json

import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- commit -----------------------------------------------------------------------------------------------------------


@right
def commit(store, entry, read_version):
    """Write `entry` as the next version of a table's log and return the number of the version.

    You read the table at `read_version` (-1: it is empty), so the next number is one more. `entry` is a dict with two
    lists of file names, "add" and "remove". `store.create(version, entry)` writes entry number `version`, or raises
    FileExistsError when another writer was first; `store.read(version)` returns an entry that is there. If another
    writer was first, look at what he did: when he removed a file that you remove too, raise ValueError, because your
    change is built on rows that are gone. Otherwise try the next number.
    """
    version = read_version + 1
    while True:
        try:
            store.create(version, entry)
            return version
        except FileExistsError:
            theirs = store.read(version)
            if set(theirs["remove"]) & set(entry["remove"]):
                raise ValueError("another writer replaced the same file") from None
            version += 1


def _entry(add=(), remove=()):
    return {"add": list(add), "remove": list(remove)}


class _Log:
    """A log in memory; `sneaks` are entries of a faster writer, one before each of your writes."""

    def __init__(self, *entries, sneaks=()):
        self.entries = {version: json.dumps(one) for version, one in enumerate(entries)}
        self.sneaks, self.tries = list(sneaks), 0

    def _other(self):
        self.tries += 1
        assert self.tries < 50, "fifty tries and no end: does each try take another number?"
        if self.sneaks:
            self.entries[len(self.entries)] = json.dumps(self.sneaks.pop(0))

    def create(self, version, entry):
        self._other()
        if version in self.entries:
            raise FileExistsError(version)
        assert version == len(self.entries), (
            f"version {version} leaves a gap: the log ends at {len(self.entries) - 1}"
        )
        self.entries[version] = json.dumps(entry)

    def read(self, version):
        assert version in self.entries, f"there is no version {version} to read yet"
        return json.loads(self.entries[version])

    def written(self):
        return [json.loads(self.entries[version]) for version in sorted(self.entries)]


def _committed(answer, log, entry, read_version):
    try:
        return answer(log, entry, read_version)
    except FileExistsError:
        raise AssertionError("another writer was first, and your commit ends with FileExistsError") from None


@checks(commit)
def the_next_number_is_yours(answer):
    """Which number follows the version that you read? Create that one and return it."""
    log = _Log()
    found = _committed(answer, log, _entry(["a"]), -1)
    assert found == 0, f"the first entry of an empty log is version 0; you return {found}"
    found = _committed(answer, log, _entry(["b"]), 0)
    assert found == 1, f"after version 0 comes 1; you return {found}"
    assert log.written() == [_entry(["a"]), _entry(["b"])], f"the log holds {log.written()}"


@checks(commit)
def a_slower_append_takes_the_next_number(answer):
    """The store refuses your number. What do you do with an entry that only adds files?"""
    log = _Log(_entry(["a"]), sneaks=[_entry(["x"]), _entry(["y"])])
    found = _committed(answer, log, _entry(["b"]), 0)
    assert found == 3, (
        f"two other appends came first, as versions 1 and 2; yours is 3, and you return {found}"
    )
    assert log.written()[1:] == [_entry(["x"]), _entry(["y"]), _entry(["b"])], (
        f"the log holds {log.written()}"
    )


@checks(commit)
def two_changes_of_one_file_conflict(answer):
    """Both rewrote file a. On which rows is the second change built?"""
    log = _Log(_entry(["a"]), sneaks=[_entry(["a1"], ["a"])])
    try:
        found = _committed(answer, log, _entry(["a2"], ["a"]), 0)
    except ValueError:
        found = "refused"
    assert found == "refused", (
        f"both replace file a, the first one's change would be lost; you return {found}"
    )
    assert len(log.written()) == 2, "the refused entry is in the log"


@checks(commit)
def each_entry_between_is_looked_at(answer):
    """Three writers were faster. Which of them must you ask?"""
    for order in ([0, 1, 2], [1, 0, 2], [1, 2, 0]):
        others = [_entry(["a1"], ["a"]), _entry(["x"]), _entry(["y"], ["z"])]
        log = _Log(_entry(["a", "z"]), *(others[one] for one in order))
        try:
            found = _committed(answer, log, _entry(["a2"], ["a"]), 0)
        except ValueError:
            found = "refused"
        assert found == "refused", f"one of three faster writers replaced file a; you return {found}"


@checks(commit)
def changes_of_other_files_do_not_conflict(answer):
    """He replaced file b, you replace file a. What is lost?"""
    log = _Log(_entry(["a", "b"]), sneaks=[_entry(["b1"], ["b"])])
    try:
        found = _committed(answer, log, _entry(["a1"], ["a"]), 0)
    except ValueError:
        found = "refused"
    assert found == 2, f"the two changes touch different files, yours is version 2; you return {found}"


@wrong(commit, caught_by=the_next_number_is_yours)
def returns_nothing(store, entry, read_version):
    while True:
        read_version += 1
        try:
            return store.create(read_version, entry)
        except FileExistsError:
            if set(store.read(read_version)["remove"]) & set(entry["remove"]):
                raise ValueError("conflict") from None


@wrong(commit, caught_by=the_next_number_is_yours)
def writes_the_number_that_was_read(store, entry, read_version):
    store.create(max(read_version, 0), entry)
    return max(read_version, 0)


@wrong(commit, caught_by=a_slower_append_takes_the_next_number)
def gives_up_at_once(store, entry, read_version):
    store.create(read_version + 1, entry)
    return read_version + 1


@wrong(commit, caught_by=a_slower_append_takes_the_next_number)
def tries_the_same_number_for_ever(store, entry, read_version):
    while True:
        try:
            store.create(read_version + 1, entry)
            return read_version + 1
        except FileExistsError:
            continue


@wrong(commit, caught_by=a_slower_append_takes_the_next_number)
def tries_twice(store, entry, read_version):
    try:
        store.create(read_version + 1, entry)
        return read_version + 1
    except FileExistsError:
        store.create(read_version + 2, entry)
        return read_version + 2


@wrong(commit, caught_by=two_changes_of_one_file_conflict)
def ignores_what_the_other_did(store, entry, read_version):
    version = read_version + 1
    while True:
        try:
            store.create(version, entry)
            return version
        except FileExistsError:
            version += 1


@wrong(commit, caught_by=two_changes_of_one_file_conflict)
def compares_the_files_added(store, entry, read_version):
    version = read_version + 1
    while True:
        try:
            store.create(version, entry)
            return version
        except FileExistsError:
            if set(store.read(version)["add"]) & set(entry["add"]):
                raise ValueError("conflict") from None
            version += 1


@wrong(commit, caught_by=each_entry_between_is_looked_at)
def looks_at_the_first_only(store, entry, read_version):
    version = read_version + 1
    while True:
        try:
            store.create(version, entry)
            return version
        except FileExistsError:
            theirs = store.read(read_version + 1)
            if set(theirs["remove"]) & set(entry["remove"]):
                raise ValueError("conflict") from None
            version += 1


@wrong(commit, caught_by=changes_of_other_files_do_not_conflict)
def refuses_any_other_change(store, entry, read_version):
    version = read_version + 1
    while True:
        try:
            store.create(version, entry)
            return version
        except FileExistsError:
            if store.read(version)["remove"] and entry["remove"]:
                raise ValueError("conflict") from None
            version += 1


@also_right(commit)
def by_recursion(store, entry, read_version):
    try:
        store.create(read_version + 1, entry)
    except FileExistsError:
        if not set(store.read(read_version + 1)["remove"]).isdisjoint(entry["remove"]):
            raise ValueError("conflict") from None
        return by_recursion(store, entry, read_version + 1)
    return read_version + 1


@also_right(commit)
def with_a_count(store, entry, read_version):
    from itertools import count

    for version in count(read_version + 1):
        try:
            store.create(version, entry)
        except FileExistsError:
            theirs = store.read(version)
            if any(name in theirs["remove"] for name in entry["remove"]):
                raise ValueError(f"version {version} removed the same file") from None
        else:
            return version
    return None


# --- upsert -----------------------------------------------------------------------------------------------------------


@right
def upsert(table, changes):
    """Return the table after the changes: one row per `trip_id`, sorted by it, numbered from 0.

    Both have the columns `trip_id`, `minutes` and `changed` (when the row was changed, a number; no trip has two
    changes at one time). A change replaces the table's row only if it is newer; a trip that the table lacks is
    inserted; of several changes of a trip the newest counts. Rows without a change stay. Running it again with the
    same changes gives the same table. The two tables themselves stay as they are.
    """
    both = pd.concat([table, changes]).sort_values("changed", kind="stable")
    return both.drop_duplicates("trip_id", keep="last").sort_values("trip_id").reset_index(drop=True)


def _rows(*rows):
    return pd.DataFrame(rows, columns=["trip_id", "minutes", "changed"])


def _upserted(answer, table, changes):
    found = answer(table.copy(), changes.copy())
    assert isinstance(found, pd.DataFrame), f"return a DataFrame; you returned a {type(found).__name__}"
    assert set(found.columns) == set(table.columns), f"the columns are {list(found.columns)}"
    return sorted(tuple(float(value) for value in row) for row in found[list(table.columns)].to_numpy())


_TABLE = _rows((1, 10.0, 5), (2, 20.0, 5), (3, 30.0, 5))


@checks(upsert)
def a_newer_change_replaces_and_a_new_trip_enters(answer):
    """Which rows match, which are new, and which are in the table only?"""
    found = _upserted(answer, _TABLE, _rows((2, 22.0, 6), (4, 40.0, 6)))
    wanted = [(1, 10, 5), (2, 22, 6), (3, 30, 5), (4, 40, 6)]
    assert found == wanted, f"trip 2 is replaced, trip 4 enters, 1 and 3 stay; you return {found}"


@checks(upsert)
def a_trip_has_one_row(answer):
    """A trip changes twice in one batch. Which of its changes counts?"""
    found = _upserted(answer, _TABLE, _rows((2, 24.0, 8), (2, 22.0, 6), (4, 40.0, 6), (4, 44.0, 7)))
    wanted = [(1, 10, 5), (2, 24, 8), (3, 30, 5), (4, 44, 7)]
    assert found == wanted, f"the newest of trips 2 and 4 are 24 and 44 minutes; you return {found}"


@checks(upsert)
def a_late_change_does_not_win(answer):
    """A file arrives two days late. Is what it says about trip 1 newer than the table?"""
    found = _upserted(answer, _TABLE, _rows((1, 99.0, 2), (2, 22.0, 6)))
    wanted = [(1, 10, 5), (2, 22, 6), (3, 30, 5)]
    assert found == wanted, f"trip 1 changed at 5 already, the file says what held at 2; you return {found}"


@checks(upsert)
def the_rows_are_in_order(answer):
    """How is the result sorted, and how is it numbered?"""
    found = answer(_TABLE.iloc[::-1].copy(), _rows((0, 5.0, 6)))
    assert list(found["trip_id"]) == [0, 1, 2, 3], f"sorted by trip_id; you return {list(found['trip_id'])}"
    assert list(found.index) == [0, 1, 2, 3], f"numbered from 0; your index is {list(found.index)}"


@checks(upsert)
def both_tables_stay(answer):
    """Whose table do you write into?"""
    table, changes = _TABLE.copy(), _rows((2, 22.0, 6), (4, 40.0, 6))
    before = changes.copy()
    answer(table, changes)
    assert table.equals(_TABLE) and changes.equals(before), "the caller's tables are changed afterwards"


@wrong(upsert, caught_by=a_trip_has_one_row)
def drops_equal_rows_only(table, changes):
    both = pd.concat([table[~table["trip_id"].isin(changes["trip_id"])], changes.drop_duplicates()])
    return both.sort_values("trip_id").reset_index(drop=True)


@wrong(upsert, caught_by=a_trip_has_one_row)
def takes_the_last_in_the_file(table, changes):
    last = changes.drop_duplicates("trip_id", keep="last").set_index("trip_id")
    old = table.set_index("trip_id")
    late = last.index.intersection(old.index)
    last = last.drop(late[last.loc[late, "changed"] <= old.loc[late, "changed"]])
    return pd.concat([old.drop(last.index, errors="ignore"), last]).sort_index().reset_index()


@wrong(upsert, caught_by=a_late_change_does_not_win)
def lets_late_changes_win(table, changes):
    newest = changes.sort_values("changed").drop_duplicates("trip_id", keep="last")
    both = pd.concat([table[~table["trip_id"].isin(newest["trip_id"])], newest])
    return both.sort_values("trip_id").reset_index(drop=True)


@wrong(upsert, caught_by=a_newer_change_replaces_and_a_new_trip_enters)
def updates_and_does_not_insert(table, changes):
    both = pd.concat([table, changes[changes["trip_id"].isin(table["trip_id"])]]).sort_values("changed")
    return both.drop_duplicates("trip_id", keep="last").sort_values("trip_id").reset_index(drop=True)


@wrong(upsert, caught_by=a_newer_change_replaces_and_a_new_trip_enters)
def replaces_the_whole_table(table, changes):
    newest = changes.sort_values("changed").drop_duplicates("trip_id", keep="last")
    return newest.sort_values("trip_id").reset_index(drop=True)


@wrong(upsert, caught_by=a_newer_change_replaces_and_a_new_trip_enters)
def appends(table, changes):
    return pd.concat([table, changes]).sort_values("trip_id").reset_index(drop=True)


@wrong(upsert, caught_by=a_newer_change_replaces_and_a_new_trip_enters)
def keeps_the_first(table, changes):
    both = pd.concat([table, changes]).drop_duplicates("trip_id", keep="first")
    return both.sort_values("trip_id").reset_index(drop=True)


@wrong(upsert, caught_by=the_rows_are_in_order)
def leaves_the_order(table, changes):
    return pd.concat([table, changes]).sort_values("changed").drop_duplicates("trip_id", keep="last")


@wrong(upsert, caught_by=both_tables_stay)
def writes_into_the_table(table, changes):
    for row in changes.sort_values("changed").itertuples(index=False):
        place = table.index[table["trip_id"] == row.trip_id]
        if len(place) == 0:
            table.loc[table.index.max() + 1] = list(row)
        elif table.loc[place[0], "changed"] < row.changed:
            table.loc[place[0]] = list(row)
    return table.sort_values("trip_id").reset_index(drop=True)


@also_right(upsert)
def with_a_rank(table, changes):
    both = pd.concat([table, changes], ignore_index=True)
    newest = both.groupby("trip_id")["changed"].rank(method="first", ascending=False) == 1
    return both[newest].sort_values("trip_id", ignore_index=True)


@also_right(upsert)
def row_by_row(table, changes):
    newest = {row["trip_id"]: row for row in table.to_dict("records")}
    for row in changes.to_dict("records"):
        old = newest.get(row["trip_id"])
        if old is None or old["changed"] < row["changed"]:
            newest[row["trip_id"]] = row
    return pd.DataFrame([newest[key] for key in sorted(newest)], columns=table.columns)
