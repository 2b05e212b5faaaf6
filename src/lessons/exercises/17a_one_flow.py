"""Exercises of lesson 17a: a step that may be started again, and a delivery that is tried again."""

import copy

from course.exercise import also_right, checks, right, wrong

# --- take_in ----------------------------------------------------------------------------------------------------------


@right
def take_in(disk, month, rows):
    """Take in the rows of a month and return the total, so that a kill and a second start do no harm.

    `disk` has `names()`, `read(name)` (a list), `write(name, rows)`, which empties the file and then adds row by row,
    and `rename(name, to)`, which replaces `to` at once. A kill can fall between any two of these and inside a `write`.
    The file `"total"` holds one number, the rows of all months; each other name is a month's. Names that begin with a
    dot are nobody's: readers pass over them, and you don't count their rows. At any moment a reader finds of a month
    the last whole delivery, or nothing before the first, and one number as total, the old one or the new. After a call
    that ends all is right: a corrected delivery replaces the earlier one, also with as many rows, fewer, or none.
    """

    def whole(name, lines):
        disk.write(f".{name}", lines)
        disk.rename(f".{name}", name)

    whole(month, rows)
    there = [name for name in disk.names() if name != "total" and not name.startswith(".")]
    total = sum(len(disk.read(name)) for name in there)
    whole("total", [total])
    return total


class _Killed(BaseException):
    pass


class _Disk:
    """Files in memory; the process dies when `left` operations are done."""

    def __init__(self, left=None):
        self.files = {"2020-03": ["a", "b"], ".2019-12": ["half"], "total": [2]}
        self.left = left

    def _one_more(self):
        if self.left == 0:
            raise _Killed
        self.left = None if self.left is None else self.left - 1

    def names(self):
        return sorted(self.files)

    def read(self, name):
        assert name in self.files, f"there is no {name!r} to read: look at names() first"
        return list(self.files[name])

    def write(self, name, rows):
        self._one_more()
        self.files[name] = []
        for row in list(rows):
            self._one_more()
            self.files[name].append(row)

    def rename(self, name, to):
        self._one_more()
        assert name in self.files, f"there is no {name!r} to rename"
        self.files[to] = self.files.pop(name)

    def seen(self):
        return {name: list(rows) for name, rows in self.files.items() if not name.startswith(".")}


_APRIL, _CORRECTED = ["c", "d", "e"], ["c", "d", "e", "f", "g"]


def _run(answer, disk, month="2020-04", rows=_APRIL):
    """Whether the call has ended before the process was killed."""
    try:
        answer(disk, month, list(rows))
    except _Killed:
        return False
    return True


def _deaths(answer, disk, rows=_APRIL):
    """A copy of the disk for each operation at which the call can be killed, after the kill."""
    for left in range(200):
        one = copy.deepcopy(disk)
        one.left = left
        if _run(answer, one, rows=rows):
            return
        one.left = None
        yield one
    raise AssertionError("two hundred operations and no end")


@checks(take_in)
def a_month_is_taken_in_and_counted(answer):
    """Where do the rows go, and what is the sum over all months?"""
    disk = _Disk()
    found = answer(disk, "2020-04", list(_APRIL))
    assert disk.seen().get("2020-04") == _APRIL, f"April has {disk.seen().get('2020-04')}, not {_APRIL}"
    assert disk.seen()["total"] == [5], f"March has 2 rows, April 3; the total says {disk.seen()['total']}"
    assert found == 5, f"return the total, 5; you return {found!r}"


@checks(take_in)
def a_second_start_changes_nothing(answer):
    """The step has ended, and the scheduler does not know it. What does the second call add?"""
    disk = _Disk()
    for _ in range(2):
        found = answer(disk, "2020-04", list(_APRIL))
    assert disk.seen() == {"2020-03": ["a", "b"], "2020-04": _APRIL, "total": [5]} and found == 5, (
        f"called twice with the same rows, the disk has {disk.seen()} and you return {found!r}"
    )


@checks(take_in)
def a_reader_finds_whole_files(answer):
    """Between two operations, or inside a write, somebody reads. Under which name may a half file lie?"""
    for disk in _deaths(answer, _Disk()):
        april, total = disk.seen().get("2020-04"), disk.seen().get("total")
        assert april in (None, _APRIL), f"killed in the middle, and a reader finds {april} as April"
        assert total in ([2], [5]), f"killed in the middle, and a reader finds {total} as total"


@checks(take_in)
def a_killed_call_is_made_good(answer):
    """April is there, the total is not: what does your second start do then?"""
    for disk in _deaths(answer, _Disk()):
        found = answer(disk, "2020-04", list(_APRIL))
        assert disk.seen() == {"2020-03": ["a", "b"], "2020-04": _APRIL, "total": [5]} and found == 5, (
            f"killed, and started again: the disk has {disk.seen()} and you return {found!r}"
        )


@checks(take_in)
def a_correction_replaces(answer):
    """April is delivered again, with two rows more. Which of the two deliveries counts?"""
    disk = _Disk()
    _run(answer, disk)
    for one in [copy.deepcopy(disk), *_deaths(answer, disk, _CORRECTED)]:
        found = answer(one, "2020-04", list(_CORRECTED))
        assert one.seen().get("2020-04") == _CORRECTED and one.seen()["total"] == [7] and found == 7, (
            f"the corrected April has 5 rows, all together 7; the disk has {one.seen()}"
        )


@checks(take_in)
def a_correction_may_have_as_many_rows_or_none(answer):
    """Does the number of rows tell you whether the delivery is the one that you have?"""
    for rows in (["c", "d", "E"], ["c"], []):
        disk = _Disk()
        _run(answer, disk)
        found = answer(disk, "2020-04", list(rows))
        assert disk.seen().get("2020-04") == rows, (
            f"April was {_APRIL} and is delivered again as {rows}; the disk has {disk.seen().get('2020-04')}"
        )
        assert disk.seen()["total"] == [2 + len(rows)] and found == 2 + len(rows), (
            f"March has 2 rows, April now {len(rows)}; the total says {disk.seen()['total']}, you return {found!r}"
        )


@checks(take_in)
def a_reader_finds_one_of_the_two_deliveries(answer):
    """While the correction comes in, somebody reads April. Is it there at each moment, and whole?"""
    disk = _Disk()
    _run(answer, disk)
    for one in _deaths(answer, disk, _CORRECTED):
        april, total = one.seen().get("2020-04"), one.seen().get("total")
        assert april in (_APRIL, _CORRECTED), (
            f"killed while the correction comes in, and a reader finds {april} as April; it was {_APRIL}"
        )
        assert total in ([5], [7]), (
            f"killed while the correction comes in, and a reader finds {total} as total"
        )


@checks(take_in)
def a_half_file_does_not_count(answer):
    """In February a process died for good. Whose rows lie under the name that begins with a dot?"""
    disk = _Disk()
    disk.files[".2020-02"] = ["x"] * 9
    found = answer(disk, "2020-04", list(_APRIL))
    assert found == 5, (
        f"`.2020-02` is a half file that nobody reads; the total is 5, and you return {found!r}"
    )


@wrong(take_in, caught_by=a_second_start_changes_nothing)
def adds_to_the_total(disk, month, rows):
    disk.write(f".{month}", rows)
    disk.rename(f".{month}", month)
    total = disk.read("total")[0] + len(rows)
    disk.write(".total", [total])
    disk.rename(".total", "total")
    return total


@wrong(take_in, caught_by=a_second_start_changes_nothing)
def keeps_what_was_there(disk, month, rows):
    rows = (disk.read(month) if month in disk.names() else []) + rows
    disk.write(f".{month}", rows)
    disk.rename(f".{month}", month)
    total = sum(len(disk.read(name)) for name in disk.names() if name[0] == "2")
    disk.write(".total", [total])
    disk.rename(".total", "total")
    return total


@wrong(take_in, caught_by=a_reader_finds_whole_files)
def skips_what_is_there(disk, month, rows):
    if month not in disk.names():
        disk.write(month, rows)
        (total,) = disk.read("total")
        disk.write("total", [total + len(rows)])
    return disk.read("total")[0]


@wrong(take_in, caught_by=a_reader_finds_whole_files)
def writes_in_place(disk, month, rows):
    disk.write(month, rows)
    total = sum(len(disk.read(name)) for name in disk.names() if name[0] == "2")
    disk.write("total", [total])
    return total


@wrong(take_in, caught_by=a_reader_finds_whole_files)
def the_total_in_place(disk, month, rows):
    disk.write(f".{month}", rows)
    disk.rename(f".{month}", month)
    total = sum(len(disk.read(name)) for name in disk.names() if name[0] == "2")
    disk.write("total", [total])
    return total


@wrong(take_in, caught_by=a_killed_call_is_made_good)
def corrects_the_total_by_the_difference(disk, month, rows):
    before = len(disk.read(month)) if month in disk.names() else 0
    disk.write(f".{month}", rows)
    disk.rename(f".{month}", month)
    total = disk.read("total")[0] + len(rows) - before
    disk.write(".total", [total])
    disk.rename(".total", "total")
    return total


@wrong(take_in, caught_by=a_killed_call_is_made_good)
def done_when_the_month_is_there(disk, month, rows):
    if month in disk.names():
        return disk.read("total")[0]
    disk.write(f".{month}", rows)
    disk.rename(f".{month}", month)
    total = sum(len(disk.read(name)) for name in disk.names() if name[0] == "2")
    disk.write(".total", [total])
    disk.rename(".total", "total")
    return total


@wrong(take_in, caught_by=a_correction_replaces)
def keeps_the_first_delivery(disk, month, rows):
    if month not in disk.names():
        disk.write(f".{month}", rows)
        disk.rename(f".{month}", month)
    total = sum(len(disk.read(name)) for name in disk.names() if name[0] == "2")
    disk.write(".total", [total])
    disk.rename(".total", "total")
    return total


@wrong(take_in, caught_by=a_correction_may_have_as_many_rows_or_none)
def known_by_the_number_of_rows(disk, month, rows):
    if month not in disk.names() or len(disk.read(month)) != len(rows):
        disk.write(f".{month}", rows)
        disk.rename(f".{month}", month)
    total = sum(len(disk.read(name)) for name in disk.names() if name[0] == "2")
    disk.write(".total", [total])
    disk.rename(".total", "total")
    return total


@wrong(take_in, caught_by=a_correction_may_have_as_many_rows_or_none)
def passes_over_an_empty_delivery(disk, month, rows):
    if rows:
        disk.write(f".{month}", rows)
        disk.rename(f".{month}", month)
    total = sum(len(disk.read(name)) for name in disk.names() if name[0] == "2")
    disk.write(".total", [total])
    disk.rename(".total", "total")
    return total


@wrong(take_in, caught_by=a_reader_finds_one_of_the_two_deliveries)
def moves_the_old_one_away_first(disk, month, rows):
    disk.write(f".{month}", rows)
    if month in disk.names():
        disk.rename(month, ".old")
    disk.rename(f".{month}", month)
    total = sum(len(disk.read(name)) for name in disk.names() if name[0] == "2")
    disk.write(".total", [total])
    disk.rename(".total", "total")
    return total


@wrong(take_in, caught_by=a_reader_finds_one_of_the_two_deliveries)
def corrects_in_place(disk, month, rows):
    if month in disk.names():
        disk.write(month, rows)
    else:
        disk.write(f".{month}", rows)
        disk.rename(f".{month}", month)
    total = sum(len(disk.read(name)) for name in disk.names() if name[0] == "2")
    disk.write(".total", [total])
    disk.rename(".total", "total")
    return total


@wrong(take_in, caught_by=a_month_is_taken_in_and_counted)
def counts_what_a_killed_process_left(disk, month, rows):
    disk.write(f".{month}", rows)
    disk.rename(f".{month}", month)
    total = sum(len(disk.read(name)) for name in disk.names() if name != "total")
    disk.write(".total", [total])
    disk.rename(".total", "total")
    return total


@wrong(take_in, caught_by=a_half_file_does_not_count)
def counts_half_files_of_this_year(disk, month, rows):
    disk.write(f".{month}", rows)
    disk.rename(f".{month}", month)
    total = sum(len(disk.read(name)) for name in disk.names() if "2020" in name)
    disk.write(".total", [total])
    disk.rename(".total", "total")
    return total


@also_right(take_in)
def by_a_table_of_lengths(disk, month, rows):
    lengths = {name: len(disk.read(name)) for name in disk.names() if name[0] != "." and name != "total"}
    total = sum((lengths | {month: len(rows)}).values())
    for name, lines in ((month, rows), ("total", [total])):
        disk.write("." + name, lines)
        disk.rename("." + name, name)
    return total


@also_right(take_in)
def the_total_first(disk, month, rows):
    others = [name for name in disk.names() if name not in (month, "total") and not name.startswith(".")]
    disk.write(".part", [len(rows) + sum(len(disk.read(name)) for name in others)])
    disk.rename(".part", "total")
    disk.write(".part", rows)
    disk.rename(".part", month)
    return disk.read("total")[0]


@also_right(take_in)
def writes_only_what_has_changed(disk, month, rows):
    if month not in disk.names() or disk.read(month) != list(rows):
        disk.write(".part", rows)
        disk.rename(".part", month)
    total = sum(len(disk.read(name)) for name in disk.names() if not name.startswith((".", "total")))
    if disk.read("total") != [total]:
        disk.write(".part", [total])
        disk.rename(".part", "total")
    return total


# --- deliver ----------------------------------------------------------------------------------------------------------


@right
def deliver(rows, store, wait, new_key, tries=4):
    """Hand the rows to the store, again when it is away, and return its answer.

    `store(key, rows)` keeps the rows and returns how many it has kept; a key that it knows changes nothing. It raises
    `ConnectionError` when it is away and `TimeoutError` when its answer is lost, and then the rows may be kept all the
    same. For these two try again, at most `tries` times in all, with `wait(1)`, `wait(2)`, `wait(4)` … between two
    tries. The error of the last try goes through, and so does anything else that the store raises, at once.
    `new_key()` returns another key each time; two deliveries of equal rows are two.
    """
    key = new_key()
    for tried in range(tries):
        try:
            return store(key, rows)
        except (ConnectionError, TimeoutError):
            if tried == tries - 1:
                raise
            wait(2**tried)


class _Store:
    """A store that takes each key once. `faults` come one a call: `(error, kept)`."""

    def __init__(self, *faults, always=None):
        self.faults, self.always = list(faults), always
        self.kept, self.calls, self.waits, self.keys = {}, 0, [], 0

    def __call__(self, key, rows):
        self.calls += 1
        assert self.calls < 50, "fifty calls and no end"
        error, kept = self.faults.pop(0) if self.faults else (self.always, False)
        if error is None or kept:
            self.kept.setdefault(key, list(rows))
        if error is not None:
            raise error
        return len(self.kept[key])

    def new_key(self):
        self.keys += 1
        return f"key {self.keys}"

    @property
    def rows(self):
        return [row for rows in self.kept.values() for row in rows]

    def take(self, answer, rows=("a", "b"), **more):
        return answer(list(rows), self, self.waits.append, self.new_key, **more)


_AWAY, _LOST = ConnectionError("the store is away"), TimeoutError("no answer in time")


def _delivered(answer, store, **more):
    try:
        return store.take(answer, **more)
    except (ConnectionError, TimeoutError) as error:
        raise AssertionError(
            f"the store would have answered at a later try, and you end with {error!r}"
        ) from None


@checks(deliver)
def the_answer_comes_back(answer):
    """What does the store return, and who is waiting for it?"""
    store = _Store()
    found = _delivered(answer, store)
    assert found == 2, f"the store answered 2; you return {found!r}"
    assert (store.calls, store.waits) == (1, []), (
        f"one call is enough when nothing fails; you made {store.calls} and waited {store.waits}"
    )
    store = _Store()
    found = _delivered(answer, store, rows=())
    assert (found, store.calls) == (0, 1), (
        f"for no rows the store answers 0 at its first call; you made {store.calls} and return {found!r}"
    )


@checks(deliver)
def a_store_that_comes_back_is_asked_again(answer):
    """It is away twice, then it is back. How long do you wait before each further try?"""
    store = _Store((_AWAY, False), (_AWAY, False))
    found = _delivered(answer, store)
    assert (found, store.calls) == (2, 3), (
        f"the third call works; you made {store.calls} and return {found!r}"
    )
    assert store.waits == [1, 2], f"wait 1 and then 2 seconds; you waited {store.waits}"


@checks(deliver)
def a_lost_answer_doubles_nothing(answer):
    """The rows were kept and the answer was lost. How does the store know that it has them?"""
    store = _Store((_LOST, True), (_AWAY, False))
    found = _delivered(answer, store)
    assert store.rows == ["a", "b"] and found == 2, (
        f"the first try was kept, its answer lost: the store has {store.rows} under the keys {list(store.kept)}"
    )


@checks(deliver)
def two_deliveries_are_two(answer):
    """Two equal rows may be two trips. What tells a second delivery from a second try?"""
    store = _Store()
    for _ in range(2):
        _delivered(answer, store)
    assert len(store.rows) == 4, f"two deliveries of two rows each; the store has {len(store.rows)} rows"


@checks(deliver)
def a_refusal_is_not_repeated(answer):
    """The store says that a column is missing. Is it there in a second?"""
    for error in (
        ValueError("no column fare_amount"),
        OSError(28, "No space left on device"),
        KeyError("id"),
    ):
        store = _Store(always=error)
        try:
            found = store.take(answer)
        except type(error):
            found = None
        assert found is None and store.calls == 1, (
            f"{error!r} will not pass by itself: one call, and the error goes through; you made {store.calls} calls"
        )


@checks(deliver)
def after_the_last_try_somebody_hears(answer):
    """It stays away. What does the caller get, and for what would you still wait?"""
    for error, tries in ((_AWAY, 4), (_LOST, 4), (_AWAY, 1), (_AWAY, 6)):
        store = _Store(always=error)
        try:
            found = store.take(answer, tries=tries)
        except AssertionError:  # the store's own: there is no end
            raise
        except Exception as raised:
            assert type(raised) is type(error), (
                f"the last try ended with {error!r}, which goes through; you raise {raised!r}"
            )
        else:
            raise AssertionError(f"all tries failed, nothing is kept, and you return {found!r}")
        assert store.calls == tries, f"tries={tries} means {tries} calls in all; you made {store.calls}"
        wanted = [2**n for n in range(tries - 1)]
        assert store.waits == wanted, f"between {tries} tries you wait {wanted}; you waited {store.waits}"


@wrong(deliver, caught_by=the_answer_comes_back)
def forgets_the_answer(rows, store, wait, new_key, tries=4):
    key = new_key()
    for tried in range(tries):
        try:
            store(key, rows)
            break
        except (ConnectionError, TimeoutError):
            if tried == tries - 1:
                raise
            wait(2**tried)


@wrong(deliver, caught_by=a_lost_answer_doubles_nothing)
def a_new_key_each_try(rows, store, wait, new_key, tries=4):
    for tried in range(tries):
        try:
            return store(new_key(), rows)
        except (ConnectionError, TimeoutError):
            if tried == tries - 1:
                raise
            wait(2**tried)


@wrong(deliver, caught_by=two_deliveries_are_two)
def a_key_of_the_rows(rows, store, wait, new_key, tries=4):
    for tried in range(tries):
        try:
            return store(str(rows), rows)
        except (ConnectionError, TimeoutError):
            if tried == tries - 1:
                raise
            wait(2**tried)


@wrong(deliver, caught_by=a_refusal_is_not_repeated)
def repeats_everything(rows, store, wait, new_key, tries=4):
    key = new_key()
    for tried in range(tries):
        try:
            return store(key, rows)
        except Exception:
            if tried == tries - 1:
                raise
            wait(2**tried)


@wrong(deliver, caught_by=a_refusal_is_not_repeated)
def repeats_every_fault_of_the_system(rows, store, wait, new_key, tries=4):
    key = new_key()
    for tried in range(tries):
        try:
            return store(key, rows)
        except OSError:  # a full disk is one
            if tried == tries - 1:
                raise
            wait(2**tried)


@wrong(deliver, caught_by=a_lost_answer_doubles_nothing)
def gives_up_at_a_timeout(rows, store, wait, new_key, tries=4):
    key = new_key()
    for tried in range(tries):
        try:
            return store(key, rows)
        except ConnectionError:
            if tried == tries - 1:
                raise
            wait(2**tried)


@wrong(deliver, caught_by=a_store_that_comes_back_is_asked_again)
def does_not_try_again(rows, store, wait, new_key, tries=4):
    return store(new_key(), rows)


@wrong(deliver, caught_by=a_store_that_comes_back_is_asked_again)
def waits_the_same(rows, store, wait, new_key, tries=4):
    key = new_key()
    for tried in range(tries):
        try:
            return store(key, rows)
        except (ConnectionError, TimeoutError):
            if tried == tries - 1:
                raise
            wait(1)


@wrong(deliver, caught_by=after_the_last_try_somebody_hears)
def nobody_hears(rows, store, wait, new_key, tries=4):
    key = new_key()
    for tried in range(tries):
        try:
            return store(key, rows)
        except (ConnectionError, TimeoutError):
            if tried < tries - 1:
                wait(2**tried)
    return 0


@wrong(deliver, caught_by=the_answer_comes_back)
def takes_0_for_a_failure(rows, store, wait, new_key, tries=4):
    key = new_key()
    for tried in range(tries):
        try:
            if kept := store(key, rows):
                return kept
        except (ConnectionError, TimeoutError):
            if tried == tries - 1:
                raise
            wait(2**tried)


@wrong(deliver, caught_by=after_the_last_try_somebody_hears)
def with_an_error_of_its_own(rows, store, wait, new_key, tries=4):
    key = new_key()
    for tried in range(tries):
        try:
            return store(key, rows)
        except (ConnectionError, TimeoutError):
            if tried < tries - 1:
                wait(2**tried)
    raise RuntimeError("the store is away")


@wrong(deliver, caught_by=after_the_last_try_somebody_hears)
def waits_after_the_last(rows, store, wait, new_key, tries=4):
    key = new_key()
    for tried in range(tries):
        try:
            return store(key, rows)
        except (ConnectionError, TimeoutError) as error:
            last = error
            wait(2**tried)
    raise last


@wrong(deliver, caught_by=after_the_last_try_somebody_hears)
def one_try_too_many(rows, store, wait, new_key, tries=4):
    key = new_key()
    for tried in range(tries):
        try:
            return store(key, rows)
        except (ConnectionError, TimeoutError):
            wait(2**tried)
    return store(key, rows)


@also_right(deliver)
def by_recursion(rows, store, wait, new_key, tries=4):
    key = new_key()

    def attempt(left, pause):
        try:
            return store(key, rows)
        except (ConnectionError, TimeoutError):
            if left == 1:
                raise
        wait(pause)
        return attempt(left - 1, 2 * pause)

    return attempt(tries, 1)


@also_right(deliver)
def with_the_pauses_first(rows, store, wait, new_key, tries=4):
    key, pauses = new_key(), [2**n for n in range(tries - 1)]
    while True:
        try:
            return store(key, rows)
        except Exception as error:
            if not isinstance(error, ConnectionError | TimeoutError) or not pauses:
                raise
        wait(pauses.pop(0))
