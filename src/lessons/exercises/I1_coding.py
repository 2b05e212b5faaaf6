"""Exercises of I1, coding: the katas, by pattern. What is counted are steps, on inputs that count them, never seconds."""

import heapq
import itertools
import math
import random
import re
import statistics
import sys
from bisect import bisect_left, bisect_right, insort
from collections import Counter, OrderedDict, defaultdict, deque
from functools import cache, lru_cache
from graphlib import TopologicalSorter

import numpy as np

from course.exercise import also_right, checks, right, wrong

PATTERNS = {  # `walkforward kata` lists them so
    "Places and two pointers": ("middle_element", "middle_node", "added_and_removed"),
    "Window and queue": ("longest_stretch", "moving_average", "rate_limit"),
    "Hash map": ("two_invoices", "mean_by", "sessions_of", "keep_recent"),
    "Strings": ("snake_case",),
    "Heap": ("top_k", "running_median", "merge_logs"),
    "Sort, then one pass": ("merge_intervals", "as_of_join", "split_by_time"),
    "Binary search": ("first_bad", "smallest_capacity"),
    "Stack": ("self_times", "days_until_higher"),
    "Graph": ("fewest_hops", "affected_by", "build_order", "merge_identities"),
    "Dynamic programming": ("fewest_batches",),
    "Chance and measures by hand": ("reservoir_sample", "ks_distance", "mase_by_hand"),
}


class TooMuch(AssertionError):
    """More steps than the task allows."""


class Counted:
    """A number that counts how often its kind is compared, is added, and how many of it are kept at once."""

    compared = added = alive = peak = measurement = 0
    limit = math.inf

    def __init__(self, value):
        self.value, self.measurement = value, Counted.measurement
        Counted.alive += 1
        Counted.peak = max(Counted.peak, Counted.alive)

    def __del__(self):
        Counted.alive -= self.measurement == Counted.measurement  # those of an earlier one go when they go

    def __hash__(self):
        return hash(self.value)

    def _compare(self, other):
        Counted.compared += 1
        if Counted.compared > Counted.limit:
            raise TooMuch(f"more than {Counted.limit:,} comparisons, and it is not done")
        return _plain(other)

    def __lt__(self, other):
        return self.value < self._compare(other)

    def __le__(self, other):
        return self.value <= self._compare(other)

    def __gt__(self, other):
        return self.value > self._compare(other)

    def __ge__(self, other):
        return self.value >= self._compare(other)

    def __eq__(self, other):
        return self.value == self._compare(other)

    def __neg__(self):
        return Counted(-self.value)

    def __mul__(self, other):
        return Counted(self.value * _plain(other))

    __rmul__ = __mul__

    def __float__(self):
        Counted.added += 1
        if Counted.added > Counted.limit:
            raise TooMuch(f"more than {Counted.limit:,} additions, and it is not done")
        return float(self.value)

    def __add__(self, other):
        return float(self) + _plain(other)

    __radd__ = __add__

    def __sub__(self, other):
        return float(self) - _plain(other)

    def __rsub__(self, other):
        return _plain(other) - float(self)

    def __truediv__(self, other):
        return self.value / _plain(other)


def _plain(value):
    return value.value if isinstance(value, Counted) else value


def _count(limit=math.inf):
    """Begin to count anew."""
    Counted.compared = Counted.added = Counted.alive = Counted.peak = 0
    Counted.measurement, Counted.limit = Counted.measurement + 1, limit


def _numbers(given, what):
    """Take what an answer returned or yields as a list of plain numbers, or say what is wanted."""
    assert hasattr(given, "__iter__"), f"{what}, not {given!r}"
    try:
        return [_plain(value) for value in given]
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"while its values were taken: {type(error).__name__}: {error}") from error


def _refuses(answer, *arguments):
    """Return what the answer raised, None when it returned something."""
    try:
        answer(*arguments)
    except Exception as error:
        return error
    return None


def _stream(values, most=math.inf):
    """Give values one at a time; `most` is how many may be taken."""
    for taken, value in enumerate(values):
        if taken >= most:
            raise TooMuch(f"a value of the stream more than the {most} that were needed is taken")
        yield value


class Step(int):
    """A whole number that counts what is done with it: additions, comparisons, look-ups in a dict or a set."""

    done, limit = 0, math.inf

    def __repr__(self):
        return int.__repr__(self)

    __str__ = __repr__


def _counting(name):
    plain = getattr(int, name)

    def counted(self, *other):
        Step.done += 1
        if Step.done > Step.limit:
            raise TooMuch(f"more than {Step.limit:,} steps, and it is not done")
        return plain(self, *other)

    return counted


for _name in "add radd sub rsub eq ne lt le gt ge hash bool mul rmul floordiv mod".split():
    setattr(Step, f"__{_name}__", _counting(f"__{_name}__"))


def _steps(limit):
    """Begin to count the steps of `Step` anew."""
    Step.done, Step.limit = 0, limit


class _Graph(dict):
    """A dict that counts how many of its entries are read, and ends what reads too many."""

    def __init__(self, edges, most=math.inf):
        super().__init__({key: list(values) for key, values in edges.items()})
        self.read, self.most = 0, most

    def _reads(self, count):
        self.read += count
        if self.read > self.most:
            raise TooMuch(f"more than {self.most:,} entries are read, of {len(self):,}, and it is not done")

    def __getitem__(self, key):
        self._reads(1)
        return super().__getitem__(key)

    def get(self, key, default=None):
        self._reads(1)
        return super().get(key, default)

    def __iter__(self):
        self._reads(len(self))
        return super().__iter__()

    def items(self):
        self._reads(len(self))
        return super().items()

    def values(self):
        self._reads(len(self))
        return super().values()

    def keys(self):
        self._reads(len(self))
        return super().keys()


# --- middle_element ---------------------------------------------------------------------------------------------------


@right
def middle_element(items):
    """Return the element in the middle of the sequence `items`: by position, not the median of its values.

    Of two in the middle take the first. Raise ValueError when there is none. Read one element, however many there are.
    """
    if len(items) == 0:
        raise ValueError("an empty sequence has no middle")
    return items[(len(items) - 1) // 2]


class _Shelf:
    """A sequence that counts the elements read from it."""

    def __init__(self, items):
        self.items, self.reads = list(items), 0

    def __len__(self):
        return len(self.items)

    def __getitem__(self, place):
        found = self.items[place]
        self.reads += len(found) if isinstance(place, slice) else 1
        return found


@checks(middle_element)
def takes_the_middle_by_position(answer):
    """Write the places down: of 3 elements the middle has place 1, of 5 place 2, of 7 place 3."""
    for n in (1, 3, 5, 7, 9):
        items = [(37 * place) % 101 for place in range(n)]
        got = answer(items)
        assert got == items[n // 2], f"{items} has {items[n // 2]} at place {n // 2}, you returned {got!r}"


@checks(middle_element)
def takes_the_first_of_two(answer):
    """Of 4 elements the two middles have the places 1 and 2. `(n - 1) // 2` gives 1."""
    for n in (2, 4, 6, 8):
        items = [f"item {place}" for place in range(n)]
        got = answer(items)
        assert got == items[n // 2 - 1], (
            f"of {n} elements the first middle is {items[n // 2 - 1]}, not {got!r}"
        )


@checks(middle_element)
def refuses_an_empty_sequence(answer):
    """Ask for the length first, and raise ValueError with a sentence when it is 0."""
    error = _refuses(answer, [])
    assert type(error) is ValueError, (
        f"an empty sequence: raise ValueError, not {type(error).__name__ if error else 'no error at all'}"
    )


@checks(middle_element)
def reads_one_element(answer):
    """A slice copies what it spans, and a loop reads what it passes. One index reads one element."""
    shelf = _Shelf(range(1001))
    answer(shelf)
    assert shelf.reads == 1, f"of 1,001 elements you read {shelf.reads:,}; one is enough"


@wrong(middle_element, caught_by=takes_the_middle_by_position)
def rounds_half_to_even(items):
    return items[round(len(items) / 2)]


@wrong(middle_element, caught_by=takes_the_middle_by_position)
def takes_the_median(items):
    return sorted(items)[(len(items) - 1) // 2]


@wrong(middle_element, caught_by=takes_the_middle_by_position)
def divides_to_a_float(items):
    return items[(len(items) - 1) / 2]


@wrong(middle_element, caught_by=takes_the_first_of_two)
def takes_the_second_of_two(items):
    if not items:
        raise ValueError("empty")
    return items[len(items) // 2]


@wrong(middle_element, caught_by=refuses_an_empty_sequence)
def forgets_the_empty_one(items):
    return items[(len(items) - 1) // 2]


@wrong(middle_element, caught_by=refuses_an_empty_sequence)
def returns_none_for_nothing(items):
    return items[(len(items) - 1) // 2] if len(items) else None


@wrong(middle_element, caught_by=reads_one_element)
def slices_the_first_half(items):
    if len(items) == 0:
        raise ValueError("empty")
    return items[: (len(items) + 1) // 2][-1]


@wrong(middle_element, caught_by=reads_one_element)
def walks_from_both_ends(items):
    if len(items) == 0:
        raise ValueError("empty")
    left, right_end = 0, len(items) - 1
    while items[left] is not items[right_end] and right_end - left > 1:
        left, right_end = left + 1, right_end - 1
    return items[left] if right_end - left == 1 else items[(left + right_end) // 2]


@also_right(middle_element)
def steps_back_when_even(items):
    n = len(items)
    if not n:
        raise ValueError("nothing in it")
    return items[n // 2 - (n % 2 == 0)]


@also_right(middle_element)
def counts_from_the_end(items):
    try:
        return items[-(len(items) // 2 + 1)]
    except IndexError:
        raise ValueError("nothing in it") from None


# --- middle_node ------------------------------------------------------------------------------------------------------


@right
def middle_node(head):
    """Return the value of the middle node of a linked list, in one pass and without a copy of the list.

    A node has `.value` and `.next`; the last node's `.next` is None. Of two in the middle take the first. `head` is
    None when the list is empty: raise ValueError.
    """
    if head is None:
        raise ValueError("an empty list has no middle")
    slow = fast = head
    while fast.next is not None and fast.next.next is not None:
        slow, fast = slow.next, fast.next.next
    return slow.value


class _Node:
    """A node that tells its list of each read."""

    def __init__(self, chain, value):
        self._chain, self._value, self._next = chain, value, None

    @property
    def value(self):
        self._chain.values += 1
        return self._value

    @property
    def next(self):
        self._chain.read(self)
        return self._next


class _Chain:
    """A linked list that knows whether its end was seen, what was read after that, and which nodes are kept."""

    def __init__(self, n):
        self.values = self.late = self.kept = 0
        self.ended = False
        self.nodes = [_Node(self, 10 * place) for place in range(n)]
        for node, following in itertools.pairwise(self.nodes):
            node._next = following
        self.head = self.nodes[0] if self.nodes else None
        self.usual = self._references()

    def _references(self):
        return [sys.getrefcount(node) for node in self.nodes]

    def read(self, node):
        self.late += self.ended
        if node._next is None:
            self.ended = True
            now = self._references()
            self.kept = max(self.kept, sum(a > b for a, b in zip(now, self.usual, strict=True)))


@checks(middle_node)
def finds_the_middle_of_an_odd_list(answer):
    """Two pointers start at the head: one goes a node at a time, the other two. When the fast one is at the end, stop."""
    for n in (3, 5, 7, 101):
        got = answer(_Chain(n).head)
        assert got == 10 * (n // 2), (
            f"of {n} nodes the middle one is number {n // 2 + 1}, its value {10 * (n // 2)}; you returned {got!r}"
        )


@checks(middle_node)
def of_two_middles_the_first(answer):
    """Go on only while there are two more nodes for the fast pointer: `fast.next` and `fast.next.next`."""
    for n in (2, 4, 6, 100):
        got = answer(_Chain(n).head)
        assert got == 10 * (n // 2 - 1), (
            f"of {n} nodes take number {n // 2}, whose value is {10 * (n // 2 - 1)}; you returned {got!r}"
        )


@checks(middle_node)
def a_list_of_one_and_of_none(answer):
    """One node is its own middle. No node: ValueError, before `.next` of None is asked for."""
    got = answer(_Chain(1).head)
    assert got == 0, f"a list of one node with the value 0: you returned {got!r}"
    error = _refuses(answer, None)
    assert type(error) is ValueError, (
        f"an empty list: raise ValueError, not {type(error).__name__ if error else 'no error at all'}"
    )


@checks(middle_node)
def in_one_pass(answer):
    """Counting the nodes first is a pass, and walking to the middle another. Let a second pointer follow at half speed."""
    chain = _Chain(200)
    answer(chain.head)
    assert chain.late <= 1, (
        f"after the end was reached you followed `.next` {chain.late} times more: a second pass"
    )


@checks(middle_node)
def keeps_no_copy(answer):
    """Two variables are enough; a list of nodes or of values is as long as what you were given."""
    chain = _Chain(200)
    answer(chain.head)
    assert chain.kept <= 5, f"at the end {chain.kept} of 200 nodes are kept; two pointers are enough"
    assert chain.values <= 2, f"you read the values of {chain.values} nodes; one is asked for"


@wrong(middle_node, caught_by=finds_the_middle_of_an_odd_list)
def takes_len_of_it(head):
    return head[len(head) // 2]


@wrong(middle_node, caught_by=finds_the_middle_of_an_odd_list)
def fast_goes_one_step_too_far(head):
    slow, fast = head, head.next
    while fast is not None and fast.next is not None and fast.next.next is not None:
        slow, fast = slow.next, fast.next.next
    return slow.value


@wrong(middle_node, caught_by=of_two_middles_the_first)
def the_usual_loop_gives_the_second(head):
    slow = fast = head
    while fast is not None and fast.next is not None:
        slow, fast = slow.next, fast.next.next
    return slow.value


@wrong(middle_node, caught_by=of_two_middles_the_first)
def looks_two_ahead_without_looking_one(head):
    slow = fast = head
    while fast.next is not None:
        slow, fast = slow.next, fast.next.next
    return slow.value


@wrong(middle_node, caught_by=a_list_of_one_and_of_none)
def asks_none_for_its_next(head):
    slow = fast = head
    while fast.next is not None and fast.next.next is not None:
        slow, fast = slow.next, fast.next.next
    return slow.value


@wrong(middle_node, caught_by=in_one_pass)
def counts_first(head):
    if head is None:
        raise ValueError("empty")
    n, node = 0, head
    while node is not None:
        n, node = n + 1, node.next
    for _ in range((n - 1) // 2):
        head = head.next
    return head.value


@wrong(middle_node, caught_by=keeps_no_copy)
def keeps_all_nodes(head):
    nodes = []
    while head is not None:
        nodes.append(head)
        head = head.next
    if not nodes:
        raise ValueError("empty")
    return nodes[(len(nodes) - 1) // 2].value


@wrong(middle_node, caught_by=keeps_no_copy)
def keeps_all_values(head):
    values = []
    while head is not None:
        values.append(head.value)
        head = head.next
    if not values:
        raise ValueError("empty")
    return values[(len(values) - 1) // 2]


@also_right(middle_node)
def moves_the_slow_one_every_second_time(head):
    if head is None:
        raise ValueError("empty")
    slow, fast, odd = head, head, True
    while fast.next is not None:
        fast, odd = fast.next, not odd
        if odd:
            slow = slow.next
    return slow.value


@also_right(middle_node)
def lets_two_generators_walk(head):
    def nodes(node):
        while node is not None:
            yield node
            node = node.next

    slow, middle = nodes(head), None
    for place, _ in enumerate(nodes(head)):
        if place % 2 == 0:
            middle = next(slow)
    if middle is None:
        raise ValueError("empty")
    return middle.value


# --- added_and_removed ------------------------------------------------------------------------------------------------


@right
def added_and_removed(old, new):
    """Yield the difference of two snapshots of a table: ("-", id) for an id that went, ("+", id) for one that came.

    `old` and `new` are streams of ids, sorted, each id once; neither fits into memory. The difference is in the order
    of the ids and comes while the streams are read.
    """
    nothing = object()
    a, b = iter(old), iter(new)
    x, y = next(a, nothing), next(b, nothing)
    while x is not nothing or y is not nothing:
        if y is nothing or (x is not nothing and x < y):
            yield "-", x
            x = next(a, nothing)
        elif x is nothing or y < x:
            yield "+", y
            y = next(b, nothing)
        else:
            x, y = next(a, nothing), next(b, nothing)


def _difference(given):
    assert hasattr(given, "__iter__"), f'yield pairs ("-", id) and ("+", id), not {given!r}'
    try:
        rows = list(given)
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"while the difference was taken: {type(error).__name__}: {error}") from error
    assert all(isinstance(row, tuple | list) and len(row) == 2 for row in rows), f"pairs, not {rows!r}"
    return [(sign, _plain(value)) for sign, value in rows]


def _differs(answer, old, new, due):
    got = _difference(answer(_stream(old), _stream(new)))
    assert got == due, f"old {old}, new {new}: {due}, you gave {got}"


@checks(added_and_removed)
def says_what_came_and_what_went(answer):
    """Which of the two ids in your hands can't be on the other side any more? The smaller one: say it, and move on there."""
    _differs(answer, [1, 2, 4, 9], [1, 4, 5, 9], [("-", 2), ("+", 5)])
    _differs(answer, [5, 6], [5, 6], [])


@checks(added_and_removed)
def the_rest_of_the_longer_one_counts(answer):
    """What is in your hands when one stream is at its end? The rest of the other, and all of it is news."""
    _differs(answer, [1], [1, 2, 3], [("+", 2), ("+", 3)])
    _differs(answer, [1, 2, 3], [2], [("-", 1), ("-", 3)])
    _differs(answer, [], [7], [("+", 7)])
    _differs(answer, [0], [], [("-", 0)])


@checks(added_and_removed)
def in_the_order_of_the_ids(answer):
    """Would a reader see a change beside its neighbours? Yield as you meet them, not all that went and then all that came."""
    _differs(answer, [2, 4, 6], [1, 4, 5], [("+", 1), ("-", 2), ("+", 5), ("-", 6)])


@checks(added_and_removed)
def while_the_streams_are_read(answer):
    """What does a set need before it can answer? The whole stream. One id of each is enough."""
    most = 0
    _count()
    evens, all_of_them = (map(Counted, range(0, 4_000, 2)), map(Counted, range(4_000)))
    for sign, _ in answer(evens, all_of_them) or ():
        most = max(most, Counted.alive)
        assert sign == "+", f"nothing went from the evens to all numbers, you gave {sign!r}"
    assert 0 < most <= 12, f"of 6,000 ids you keep {most:,} at once; one of each stream and a few are enough"


@wrong(added_and_removed, caught_by=says_what_came_and_what_went)
def compares_place_by_place(old, new):
    for x, y in itertools.zip_longest(old, new):
        if x != y:
            yield "-", x
            yield "+", y


@wrong(added_and_removed, caught_by=the_rest_of_the_longer_one_counts)
def stops_with_the_shorter(old, new):
    a, b = iter(old), iter(new)
    x, y = next(a, None), next(b, None)
    while x is not None and y is not None:
        if x < y:
            yield "-", x
            x = next(a, None)
        elif y < x:
            yield "+", y
            y = next(b, None)
        else:
            x, y = next(a, None), next(b, None)


@wrong(added_and_removed, caught_by=the_rest_of_the_longer_one_counts)
def takes_zero_for_the_end(old, new):
    a, b = iter(old), iter(new)
    x, y = next(a, 0), next(b, 0)
    while x or y:
        if not y or (x and x < y):
            yield "-", x
            x = next(a, 0)
        elif not x or y < x:
            yield "+", y
            y = next(b, 0)
        else:
            x, y = next(a, 0), next(b, 0)


@wrong(added_and_removed, caught_by=in_the_order_of_the_ids)
def first_all_that_went(old, new):
    old, new = set(old), set(new)
    yield from (("-", value) for value in sorted(old - new))
    yield from (("+", value) for value in sorted(new - old))


@wrong(added_and_removed, caught_by=while_the_streams_are_read)
def sorts_the_difference_of_sets(old, new):
    old, new = set(old), set(new)
    for value in sorted(old ^ new):
        yield ("-" if value in old else "+"), value


@also_right(added_and_removed)
def groups_the_merged_streams(old, new):
    sides = [((value, "-") for value in old), ((value, "+") for value in new)]
    merged = heapq.merge(*sides, key=lambda row: row[0])
    for value, rows in itertools.groupby(merged, key=lambda row: row[0]):
        signs = [sign for _, sign in rows]
        if len(signs) == 1:
            yield signs[0], value


@also_right(added_and_removed)
def lets_one_side_catch_up(old, new):
    old, waiting = iter(old), []
    for y in new:
        while True:
            x = waiting.pop() if waiting else next(old, None)
            if x is None or not x < y:
                break
            yield "-", x
        if x is None or y < x:
            yield "+", y
            waiting = [] if x is None else [x]
    yield from (("-", x) for x in [*waiting, *old])


# --- longest_stretch --------------------------------------------------------------------------------------------------


@right
def longest_stretch(fine, allowed):
    """Return the length of the longest stretch of requests with at most `allowed` failures in it.

    `fine` is a list with True for a request that was answered and False for a failure. A few steps for each request.
    """
    start = failures = longest = 0
    for end, was_fine in enumerate(fine, start=1):
        failures += not was_fine
        while failures > allowed:
            failures -= not fine[start]
            start += 1
        longest = max(longest, end - start)
    return longest


def _stretch(answer, text, allowed, due):
    got = answer([letter == "+" for letter in text], allowed)
    assert isinstance(got, int) and not isinstance(got, bool), f"return a number of requests, not {got!r}"
    assert got == due, f"requests {text or 'none'}, {allowed} failures allowed: {due}, you returned {got}"


@checks(longest_stretch)
def counts_the_longest_stretch(answer):
    """When must a stretch give up its first request? As soon as it holds one failure too many: move its start until it does not."""
    _stretch(answer, "++-+++--++", 1, 6)
    _stretch(answer, "-+++-+-+--+", 2, 7)
    _stretch(answer, "+-++++-++-+", 1, 7)


@checks(longest_stretch)
def no_failure_allowed(answer):
    """What is a stretch with no failure at all? The start moves past the failure itself, and the stretch may be empty."""
    _stretch(answer, "++-+++-", 0, 3)
    _stretch(answer, "---", 0, 0)


@checks(longest_stretch)
def fewer_failures_than_allowed_and_no_request(answer):
    """Does the stretch have to end with a failure? No: look at its length after each request, the last one included."""
    _stretch(answer, "+-+++", 3, 5)
    _stretch(answer, "", 2, 0)


@checks(longest_stretch)
def looks_at_each_a_few_times(answer):
    """How often is a request looked at? Once when it comes in, once when it goes out: neither end of the stretch moves back."""
    n, source = 1_500, random.Random(15)
    _steps(limit := 12 * n)
    answer([Step(source.random() < 0.9) for _ in range(n)], 20)
    assert Step.done <= limit


@wrong(longest_stretch, caught_by=counts_the_longest_stretch)
def begins_anew_after_too_many(fine, allowed):
    failures = length = longest = 0
    for was_fine in fine:
        failures += not was_fine
        length += 1
        if failures > allowed:
            failures = length = 0
        longest = max(longest, length)
    return longest


@wrong(longest_stretch, caught_by=counts_the_longest_stretch)
def counts_only_the_fine_ones(fine, allowed):
    start = failures = longest = 0
    for end, was_fine in enumerate(fine, start=1):
        failures += not was_fine
        while failures > allowed:
            failures -= not fine[start]
            start += 1
        longest = max(longest, end - start - failures)
    return longest


@wrong(longest_stretch, caught_by=no_failure_allowed)
def believes_there_is_one(fine, allowed):
    start = failures = 0
    longest = min(1, len(fine))
    for end, was_fine in enumerate(fine, start=1):
        failures += not was_fine
        while failures > allowed:
            failures -= not fine[start]
            start += 1
        longest = max(longest, end - start)
    return longest


@wrong(longest_stretch, caught_by=fewer_failures_than_allowed_and_no_request)
def looks_only_when_a_failure_comes(fine, allowed):
    start = failures = longest = 0
    for end, was_fine in enumerate(fine):
        failures += not was_fine
        if failures > allowed:
            longest = max(longest, end - start)
        while failures > allowed:
            failures -= not fine[start]
            start += 1
    return longest


@wrong(longest_stretch, caught_by=looks_at_each_a_few_times)
def counts_from_every_start(fine, allowed):
    longest = 0
    for start in range(len(fine)):
        failures = 0
        for end in range(start, len(fine)):
            failures += not fine[end]
            if failures > allowed:
                break
            longest = max(longest, end - start + 1)
    return longest


@also_right(longest_stretch)
def remembers_where_failures_were(fine, allowed):
    failed, longest = deque([-1]), 0
    for place, was_fine in enumerate(fine):
        if not was_fine:
            failed.append(place)
            if len(failed) > allowed + 1:
                failed.popleft()
        longest = max(longest, place - failed[0])
    return longest


@also_right(longest_stretch)
def never_shrinks_the_window(fine, allowed):
    start = failures = 0
    for was_fine in fine:
        failures += not was_fine
        if failures > allowed:
            failures -= not fine[start]
            start += 1
    return len(fine) - start


# --- two_invoices -----------------------------------------------------------------------------------------------------


@right
def two_invoices(amounts, total):
    """Return the places (i, j), i before j, of the two invoices in `amounts` that add up to the payment `total`, in cents.

    None when no two do; each invoice counts once. Of several pairs take the one with the smallest j, and for that j the
    smallest i. A few steps for each amount.
    """
    first = {}  # amount -> its first place
    for place, amount in enumerate(amounts):
        if total - amount in first:
            return first[total - amount], place
        first.setdefault(amount, place)
    return None


def _pair(answer, amounts, total, due):
    got = answer(list(amounts), total)
    got = tuple(got) if isinstance(got, list) else got
    assert got == due, f"amounts {amounts}, payment {total}: {due}, you returned {got!r}"


@checks(two_invoices)
def finds_the_two_places(answer):
    """What would the other invoice have to be? `total - amount`: look whether you have seen it, and where."""
    _pair(answer, [1200, 450, 800, 300], 1250, (1, 2))
    _pair(answer, [10, 20, 30, 45], 75, (2, 3))
    _pair(answer, [300, 120, -50], 250, (0, 2))


@checks(two_invoices)
def no_two_are_none(answer):
    """What is left when the loop ends? Nothing was found: None."""
    _pair(answer, [1, 2, 4], 9, None)
    _pair(answer, [], 8, None)


@checks(two_invoices)
def an_invoice_counts_once(answer):
    """Can an amount find itself? Look for the partner before you put the amount into the dict."""
    _pair(answer, [500, 300], 1000, None)
    _pair(answer, [500, 300, 500], 1000, (0, 2))


@checks(two_invoices)
def the_pair_that_is_complete_first(answer):
    """Which place do you keep when an amount comes twice, and which pair do you meet first? Keep the first place, return at once."""
    _pair(answer, [5, 1, 9, 5], 10, (1, 2))
    _pair(answer, [4, 4, 6], 10, (0, 2))
    _pair(answer, [4, 6, 1, 9], 10, (0, 1))


@checks(two_invoices)
def looks_up_instead_of_searching(answer):
    """How many pairs are there among n amounts? n²/2. A dict answers "have I seen this?" in one step."""
    n = 1_200
    _steps(limit := 30 * n)
    answer([Step(place) for place in range(n)], 5 * n)
    assert Step.done <= limit


@wrong(two_invoices, caught_by=finds_the_two_places)
def returns_the_amounts(amounts, total):
    seen = set()
    for amount in amounts:
        if total - amount in seen:
            return total - amount, amount
        seen.add(amount)
    return None


@wrong(two_invoices, caught_by=finds_the_two_places)
def looks_at_neighbours(amounts, total):
    for place in range(1, len(amounts)):
        if amounts[place - 1] + amounts[place] == total:
            return place - 1, place
    return None


@wrong(two_invoices, caught_by=an_invoice_counts_once)
def finds_itself(amounts, total):
    place_of = {amount: place for place, amount in reversed(list(enumerate(amounts)))}
    for place, amount in enumerate(amounts):
        if (other := place_of.get(total - amount)) is not None and other <= place:
            return other, place
    return None


@wrong(two_invoices, caught_by=no_two_are_none)
def returns_an_empty_pair(amounts, total):
    first = {}
    for place, amount in enumerate(amounts):
        if total - amount in first:
            return first[total - amount], place
        first.setdefault(amount, place)
    return ()


@wrong(two_invoices, caught_by=the_pair_that_is_complete_first)
def goes_by_the_first_invoice(amounts, total):
    for i in range(len(amounts)):
        for j in range(i + 1, len(amounts)):
            if amounts[i] + amounts[j] == total:
                return i, j
    return None


@wrong(two_invoices, caught_by=the_pair_that_is_complete_first)
def keeps_the_last_place(amounts, total):
    seen = {}
    for place, amount in enumerate(amounts):
        if total - amount in seen:
            return seen[total - amount], place
        seen[amount] = place
    return None


@wrong(two_invoices, caught_by=the_pair_that_is_complete_first)
def sorts_and_walks_from_both_ends(amounts, total):
    places = sorted(range(len(amounts)), key=lambda place: amounts[place])
    low, high = 0, len(places) - 1
    while low < high:
        made = amounts[places[low]] + amounts[places[high]]
        if made == total:
            return tuple(sorted((places[low], places[high])))
        low, high = (low + 1, high) if made < total else (low, high - 1)
    return None


@wrong(two_invoices, caught_by=looks_up_instead_of_searching)
def tries_all_pairs(amounts, total):
    for j in range(len(amounts)):
        for i in range(j):
            if amounts[i] + amounts[j] == total:
                return i, j
    return None


@also_right(two_invoices)
def keeps_what_is_wanted(amounts, total):
    wanted = {}  # the amount that would complete an earlier one -> that one's place
    for place, amount in enumerate(amounts):
        if amount in wanted:
            return wanted[amount], place
        wanted.setdefault(total - amount, place)
    return None


@also_right(two_invoices)
def lists_the_places_first(amounts, total):
    places = defaultdict(list)
    for place, amount in enumerate(amounts):
        places[amount].append(place)
    for place, amount in enumerate(amounts):
        before = places.get(total - amount)
        if before and before[0] < place:
            return before[0], place
    return None


# --- mean_by ----------------------------------------------------------------------------------------------------------


@right
def mean_by(rows, key, value):
    """Return a dict from each `row[key]` to the mean of its `row[value]`; `rows` is a stream of dicts.

    The rows of a group may be scattered. A value of None is missing and left out; a group with nothing else gets None.
    Keep a few numbers per group, not the rows.
    """
    sums, counts = {}, {}
    for row in rows:
        name, number = row[key], row[value]
        sums.setdefault(name, 0)
        counts.setdefault(name, 0)
        if number is not None:
            sums[name] += number
            counts[name] += 1
    return {name: sums[name] / counts[name] if counts[name] else None for name in sums}


def _rows(pairs):
    return ({"zone": zone, "fare": fare} for zone, fare in pairs)


def _means(answer, pairs, due):
    got = answer(_rows(pairs), "zone", "fare")
    assert isinstance(got, dict), f"return a dict, not {got!r}"
    assert got == due, f"rows (zone, fare) {pairs}: {due}, you returned {dict(got)}"


@checks(mean_by)
def scattered_rows_are_one_group(answer):
    """A dict finds the group of a row wherever the row stands. `itertools.groupby` joins neighbours only."""
    _means(answer, [("a", 1), ("b", 10), ("a", 3), ("b", 20), ("a", 8)], {"a": 4, "b": 15})
    _means(answer, [], {})


@checks(mean_by)
def a_missing_value_is_no_zero(answer):
    """`if number is not None`: None does not count, 0 does. The mean is the sum by the number of values that are there."""
    _means(answer, [("a", 4), ("a", None), ("a", 0)], {"a": 2})
    _means(answer, [("a", 0), ("b", -3), ("b", 3)], {"a": 0, "b": 0})


@checks(mean_by)
def a_group_without_values_is_there(answer):
    """Make the group before you look at the value, and ask for the count before you divide."""
    _means(answer, [("a", None), ("b", 3), ("a", None)], {"a": None, "b": 3})


@checks(mean_by)
def keeps_a_few_numbers(answer):
    """A sum and a count per group are enough for a mean."""
    _count()
    got = answer(_rows((place % 4, Counted(place)) for place in range(2_000)), "zone", "fare")
    most = Counted.peak
    assert most <= 20, f"of 2,000 values in 4 groups you keep {most:,} at once"
    assert {name: _plain(mean) for name, mean in got.items()} == {0: 998, 1: 999, 2: 1000, 3: 1001}


@wrong(mean_by, caught_by=scattered_rows_are_one_group)
def groups_neighbours(rows, key, value):
    groups = itertools.groupby(rows, key=lambda row: row[key])
    return {name: statistics.mean(row[value] for row in group) for name, group in groups}


@wrong(mean_by, caught_by=scattered_rows_are_one_group)
def halves_towards_the_new_value(rows, key, value):
    means = {}
    for row in rows:
        before = means.get(row[key], row[value])
        means[row[key]] = (before + row[value]) / 2
    return means


@wrong(mean_by, caught_by=scattered_rows_are_one_group)
def reads_the_stream_for_each_group(rows, key, value):
    means = {}
    for name in {row[key] for row in rows}:
        values = [row[value] for row in rows if row[key] == name]
        means[name] = sum(values) / max(1, len(values))
    return means


@wrong(mean_by, caught_by=a_missing_value_is_no_zero)
def takes_missing_for_zero(rows, key, value):
    sums, counts = defaultdict(float), defaultdict(int)
    for row in rows:
        sums[row[key]] += row[value] or 0
        counts[row[key]] += 1
    return {name: sums[name] / counts[name] for name in sums}


@wrong(mean_by, caught_by=a_missing_value_is_no_zero)
def takes_a_sum_of_zero_for_none(rows, key, value):
    sums, counts = Counter(), Counter()
    for row in rows:
        sums[row[key]] += row[value] or 0
        counts[row[key]] += row[value] is not None
    return {name: total / counts[name] if total else None for name, total in sums.items()}


@wrong(mean_by, caught_by=a_missing_value_is_no_zero)
def leaves_zero_out(rows, key, value):
    values = defaultdict(list)
    for row in rows:
        if row[value]:
            values[row[key]].append(row[value])
    return {name: sum(group) / len(group) for name, group in values.items()}


@wrong(mean_by, caught_by=a_group_without_values_is_there)
def loses_the_empty_group(rows, key, value):
    sums, counts = defaultdict(float), defaultdict(int)
    for row in rows:
        if row[value] is not None:
            sums[row[key]] += row[value]
            counts[row[key]] += 1
    return {name: sums[name] / counts[name] for name in sums}


@wrong(mean_by, caught_by=keeps_a_few_numbers)
def keeps_lists(rows, key, value):
    values = defaultdict(list)
    for row in rows:
        values[row[key]] += [] if row[value] is None else [row[value]]
    return {name: sum(group) / len(group) if group else None for name, group in values.items()}


@also_right(mean_by)
def keeps_pairs(rows, key, value):
    totals = {}
    for row in rows:
        total = totals.setdefault(row[key], [0, 0])
        if row[value] is not None:
            total[0] += row[value]
            total[1] += 1
    return {name: total / count if count else None for name, (total, count) in totals.items()}


@also_right(mean_by)
def counts_with_counters(rows, key, value):
    sums, counts, seen = Counter(), Counter(), set()
    for row in rows:
        seen.add(row[key])
        if row[value] is None:
            continue
        sums[row[key]] += row[value]
        counts[row[key]] += 1
    return {name: sums[name] / counts[name] if counts[name] else None for name in seen}


# --- sessions_of ------------------------------------------------------------------------------------------------------


@right
def sessions_of(events, gap):
    """Return a dict from each user to the list of their sessions (first time, last time, number of events).

    `events` is a stream of (user, time) in order of time, users mixed. A session is over when its user does nothing
    for more than `gap` seconds. Keep a few numbers per session, not the events.
    """
    sessions = {}
    for user, time in events:
        own = sessions.setdefault(user, [])
        if own and time - own[-1][1] <= gap:
            first, _, count = own[-1]
            own[-1] = (first, time, count + 1)
        else:
            own.append((time, time, 1))
    return sessions


def _sessions(answer, events, gap, due):
    got = answer(_stream(events), gap)
    assert isinstance(got, dict), f"return a dict from users to lists of sessions, not {got!r}"
    assert all(isinstance(own, list | tuple) for own in got.values()), f"each user has a list, not {got!r}"
    plain = {
        user: [tuple(one) if isinstance(one, list | tuple) else one for one in own]
        for user, own in got.items()
    }
    assert plain == due, f"events {events}, gap {gap}: {due}, you returned {plain}"


@checks(sessions_of)
def a_pause_begins_a_new_one(answer):
    """What do you have to remember to know that a session goes on? Its last time: `time - last <= gap`."""
    events = [("ann", 0), ("ann", 20), ("ann", 45), ("ann", 90), ("ann", 95)]
    _sessions(answer, events, 30, {"ann": [(0, 45, 3), (90, 95, 2)]})
    _sessions(answer, [], 30, {})


@checks(sessions_of)
def users_do_not_keep_each_other_awake(answer):
    """Whose last event counts? Each user needs a session of their own: a dict by user."""
    events = [("ann", 0), ("bob", 25), ("ann", 50), ("bob", 51)]
    _sessions(answer, events, 30, {"ann": [(0, 0, 1), (50, 50, 1)], "bob": [(25, 51, 2)]})


@checks(sessions_of)
def a_pause_of_just_the_gap_is_none(answer):
    """Is a pause of 30 seconds more than 30 seconds? No: the session goes on."""
    _sessions(answer, [("ann", 0), ("ann", 30), ("ann", 61)], 30, {"ann": [(0, 30, 2), (61, 61, 1)]})


@checks(sessions_of)
def keeps_no_events(answer):
    """Which of a session's events do you still need? The first time, the last, and how many there were."""
    _count()
    got = answer(((place % 3, Counted(place)) for place in range(3_000)), 60)
    most = Counted.peak
    assert most <= 30, f"of 3,000 events in 3 sessions you keep {most:,} times at once"
    assert isinstance(got, dict) and [own[0][2] for own in got.values()] == [1000] * 3


@wrong(sessions_of, caught_by=a_pause_begins_a_new_one)
def measures_from_the_first_event(events, gap):
    sessions = defaultdict(list)
    for user, time in events:
        if sessions[user] and time - sessions[user][-1][0] <= gap:
            first, _, count = sessions[user][-1]
            sessions[user][-1] = (first, time, count + 1)
        else:
            sessions[user].append((time, time, 1))
    return dict(sessions)


@wrong(sessions_of, caught_by=a_pause_begins_a_new_one)
def forgets_the_open_session(events, gap):
    done, open_ones = defaultdict(list), {}
    for user, time in events:
        first, last, count = open_ones.get(user, (time, time, 0))
        if time - last > gap:
            done[user].append((first, last, count))
            first, count = time, 0
        open_ones[user] = (first, time, count + 1)
    return dict(done)


@wrong(sessions_of, caught_by=users_do_not_keep_each_other_awake)
def remembers_one_last_time(events, gap):
    sessions, last = defaultdict(list), None
    for user, time in events:
        if sessions[user] and time - last <= gap:
            first, _, count = sessions[user][-1]
            sessions[user][-1] = (first, time, count + 1)
        else:
            sessions[user].append((time, time, 1))
        last = time
    return dict(sessions)


@wrong(sessions_of, caught_by=a_pause_of_just_the_gap_is_none)
def ends_at_the_gap(events, gap):
    sessions = defaultdict(list)
    for user, time in events:
        if sessions[user] and time - sessions[user][-1][1] < gap:
            first, _, count = sessions[user][-1]
            sessions[user][-1] = (first, time, count + 1)
        else:
            sessions[user].append((time, time, 1))
    return dict(sessions)


@wrong(sessions_of, caught_by=keeps_no_events)
def collects_the_times(events, gap):
    times, sessions = defaultdict(list), defaultdict(list)
    for user, time in events:
        times[user].append(time)
    for user, own in times.items():
        for time in own:
            if sessions[user] and time - sessions[user][-1][1] <= gap:
                first, _, count = sessions[user][-1]
                sessions[user][-1] = (first, time, count + 1)
            else:
                sessions[user].append((time, time, 1))
    return dict(sessions)


@also_right(sessions_of)
def closes_what_is_open(events, gap):
    done, open_ones = defaultdict(list), {}
    for user, time in events:
        first, last, count = open_ones.get(user, (time, time, 0))
        if time - last > gap:
            done[user].append((first, last, count))
            first, count = time, 0
        open_ones[user] = (first, time, count + 1)
    for user, session in open_ones.items():
        done[user].append(session)
    return dict(done)


@also_right(sessions_of)
def changes_lists_in_place(events, gap):
    sessions = defaultdict(list)
    for user, time in events:
        own = sessions[user]
        if not own or time - own[-1][1] > gap:
            own.append([time, time, 0])
        own[-1][1] = time
        own[-1][2] += 1
    return sessions


# --- keep_recent ------------------------------------------------------------------------------------------------------


@right
def keep_recent(load, capacity):
    """Return a function `get(key)` that gives what `load(key)` gives, and keeps the `capacity` most recently used.

    Kept values are not loaded again, None included. When one more comes, the one whose last `get` is the longest
    ago is dropped. The work of a `get` must not grow with `capacity`.
    """
    kept = OrderedDict()  # the least recently used first

    def get(key):
        if key in kept:
            kept.move_to_end(key)
        else:
            kept[key] = load(key)
            if len(kept) > capacity:
                kept.popitem(last=False)
        return kept[key]

    return get


def _getter(answer, load, capacity):
    get = answer(load, capacity)
    assert callable(get), f"return a function get(key), not {get!r}"

    def safe(key):
        try:
            return get(key)
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"get({_plain(key)!r}) raises {type(error).__name__}: {error}") from error

    return safe


def _loads(answer, asked, capacity, value=lambda key: f"model {key}"):
    """Return which keys were loaded while `asked` were asked for, in that order."""
    loaded = []

    def load(key):
        loaded.append(key)
        return value(key)

    get = _getter(answer, load, capacity)
    for key in asked:
        got = get(key)
        assert got == value(key), f"get({key!r}) gives {got!r}, not {value(key)!r}"
    return "".join(loaded)


@checks(keep_recent)
def loads_what_it_does_not_have(answer):
    """Look into what is kept; if the key is not in it, load, keep, return."""
    assert _loads(answer, "abab", 2) == "ab", "a, b, a, b with room for two: each is loaded once"


@checks(keep_recent)
def lets_the_least_recently_used_go(answer):
    """A hit is a use: move the key to the end, `kept.move_to_end(key)`. What goes stands at the beginning."""
    for asked, due in (("abacab", "abcb"), ("abcabc", "abcabc"), ("aaabca", "abca")):
        got = _loads(answer, asked, 2)
        assert got == due, f"asked for {', '.join(asked)} with room for two: load {due}, you load {got}"


@checks(keep_recent)
def none_is_a_value(answer):
    """`kept.get(key)` gives None for what is not there and for what is None. Ask `key in kept`."""
    assert _loads(answer, "aaa", 2, value=lambda key: None) == "a", "a None that was loaded is loaded again"


@checks(keep_recent)
def keeps_no_more_than_it_may(answer):
    """When there are `capacity` + 1, one goes."""
    _count()
    get = _getter(answer, Counted, 5)
    for key in range(100):
        get(key)
    assert Counted.alive <= 5, f"room for 5: after 100 keys {Counted.alive} values are kept"


@checks(keep_recent)
def does_not_search_its_keys(answer):
    """`list.remove` and `min` over the times of use look at all keys. An OrderedDict, or a dict from which the key is taken out and put in again, looks at one."""
    n, capacity, source = 1_500, 100, random.Random(14)
    _count(8 * n)
    get = _getter(answer, lambda key: 0, capacity)
    for _ in range(n):
        get(Counted(source.randrange(120)))


@wrong(keep_recent, caught_by=loads_what_it_does_not_have)
def passes_everything_on(load, capacity):
    return lambda key: load(key)


@wrong(keep_recent, caught_by=lets_the_least_recently_used_go)
def lets_the_first_that_came_go(load, capacity):
    kept = {}

    def get(key):
        if key not in kept:
            kept[key] = load(key)
            if len(kept) > capacity:
                del kept[next(iter(kept))]
        return kept[key]

    return get


@wrong(keep_recent, caught_by=lets_the_least_recently_used_go)
def lets_the_most_recent_go(load, capacity):
    kept = OrderedDict()

    def get(key):
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
        if len(kept) >= capacity:
            kept.popitem()
        kept[key] = load(key)
        return kept[key]

    return get


@wrong(keep_recent, caught_by=lets_the_least_recently_used_go)
def lets_the_least_often_used_go(load, capacity):
    kept, uses = {}, defaultdict(int)

    def get(key):
        uses[key] += 1
        if key not in kept:
            if len(kept) >= capacity:
                del kept[min(kept, key=lambda name: uses[name])]
            kept[key] = load(key)
        return kept[key]

    return get


@wrong(keep_recent, caught_by=none_is_a_value)
def takes_none_for_missing(load, capacity):
    kept = OrderedDict()

    def get(key):
        value = kept.pop(key, None)
        if value is None:
            value = load(key)
        kept[key] = value
        if len(kept) > capacity:
            kept.popitem(last=False)
        return value

    return get


@wrong(keep_recent, caught_by=keeps_no_more_than_it_may)
def keeps_one_too_many(load, capacity):
    kept, spare = OrderedDict(), {}

    def get(key):
        if key in kept:
            kept.move_to_end(key)
        else:
            kept[key] = load(key)
            if len(kept) > capacity:
                spare["last"] = kept.popitem(last=False)
        return kept[key]

    return get


@wrong(keep_recent, caught_by=does_not_search_its_keys)
def keeps_the_order_in_a_list(load, capacity):
    kept, order = {}, []

    def get(key):
        if key in kept:
            order.remove(key)
        else:
            kept[key] = load(key)
            if len(kept) > capacity:
                del kept[order.pop(0)]
        order.append(key)
        return kept[key]

    return get


@wrong(keep_recent, caught_by=does_not_search_its_keys)
def looks_for_the_oldest_time(load, capacity):
    kept, used, clock = [], [], itertools.count()

    def get(key):
        for place, (name, _) in enumerate(kept):
            if name == key:
                used[place] = next(clock)
                return kept[place][1]
        if len(kept) == capacity:
            place = used.index(min(used))
            del kept[place], used[place]
        kept.append((key, load(key)))
        used.append(next(clock))
        return kept[-1][1]

    return get


@also_right(keep_recent)
def takes_out_and_puts_in_again(load, capacity):
    kept = {}

    def get(key):
        kept[key] = kept.pop(key) if key in kept else load(key)
        if len(kept) > capacity:
            del kept[next(iter(kept))]
        return kept[key]

    return get


@also_right(keep_recent)
def asks_functools(load, capacity):
    return lru_cache(maxsize=capacity)(load)


# --- snake_case -------------------------------------------------------------------------------------------------------


@right
def snake_case(name):
    """Return a column's name as lower-case words joined by single underscores: "PULocationID" becomes "pu_location_id".

    A word begins at a capital after a lower-case letter or a digit, and at the last of several capitals when a
    lower-case letter follows. Anything that is no letter or digit separates words. Names are ASCII.
    """
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z])([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()


def _named(answer, pairs):
    for name, due in pairs.items():
        got = answer(name)
        assert got == due, f"{name!r} becomes {due!r}, you returned {got!r}"


@checks(snake_case)
def a_capital_begins_a_word(answer):
    """Where does a word begin in "tripDistance"? Between a lower-case letter, or a digit, and a capital."""
    _named(
        answer, {"tripDistance": "trip_distance", "TripDistance": "trip_distance", "zone2Name": "zone2_name"}
    )


@checks(snake_case)
def several_capitals_are_one_word(answer):
    """Which capital of "PULocation" begins a word? The last one, because a lower-case letter follows it."""
    _named(
        answer,
        {
            "PULocationID": "pu_location_id",
            "HTTPServer": "http_server",
            "MAE": "mae",
            "ARMAModel": "arma_model",
        },
    )


@checks(snake_case)
def whatever_else_separates(answer):
    """What do spaces, hyphens and brackets have in common? They are neither letter nor digit: any run of them is one underscore."""
    _named(answer, {"tip amount": "tip_amount", "fare--amount (USD)": "fare_amount_usd", "a.b/c": "a_b_c"})


@checks(snake_case)
def no_underscore_at_the_edges_or_twice(answer):
    """What is left at the edges when a name begins or ends with a sign? Strip it, and let no two underscores meet."""
    _named(
        answer,
        {"_private": "private", "$total$": "total", "Trip_Distance": "trip_distance", "": "", "--": ""},
    )


@checks(snake_case)
def twice_is_once(answer):
    """What happens to a name that is in snake case already? Nothing: digits stay with their word."""
    _named(answer, {"pu_location_id": "pu_location_id", "q1_sales2019": "q1_sales2019", "lag7": "lag7"})


@wrong(snake_case, caught_by=a_capital_begins_a_word)
def lowers_and_replaces(name):
    return name.lower().replace(" ", "_")


@wrong(snake_case, caught_by=a_capital_begins_a_word)
def forgets_the_digit(name):
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name)
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()


@wrong(snake_case, caught_by=several_capitals_are_one_word)
def cuts_at_every_capital(name):
    name = re.sub(r"([A-Z])", r"_\1", name)
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()


@wrong(snake_case, caught_by=several_capitals_are_one_word)
def cuts_after_small_letters_only(name):
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()


@wrong(snake_case, caught_by=whatever_else_separates)
def knows_the_space_alone(name):
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z])([A-Z][a-z])", r"\1_\2", name)
    return name.replace(" ", "_").strip("_").lower()


@wrong(snake_case, caught_by=no_underscore_at_the_edges_or_twice)
def leaves_the_edges(name):
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z])([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"[^A-Za-z0-9]+", "_", name).rstrip("_").lower()


@wrong(snake_case, caught_by=twice_is_once)
def cuts_before_digits(name):
    name = re.sub(r"([a-z])([A-Z])|(?<=[0-9])(?=[A-Z])", lambda m: f"{m[1] or ''}_{m[2] or ''}", name)
    name = re.sub(r"([A-Z])([A-Z][a-z])", r"\1_\2", name)
    name = re.sub(r"([a-z])([0-9]+)$", r"\1_\2", name)
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()


@also_right(snake_case)
def finds_the_words(name):
    words = re.findall(r"[A-Z]+(?![a-z])[a-z0-9]*|[A-Z]?[a-z0-9]+", name)
    return "_".join(word.lower() for word in words)


@also_right(snake_case)
def walks_through_the_letters(name):
    words, last = [""], ""
    for place, letter in enumerate(name):
        following = name[place + 1 : place + 2]
        begins = letter.isupper() and (
            last.islower() or last.isdigit() or (last.isupper() and following.islower())
        )
        if begins or not letter.isalnum():
            words.append("")
        if letter.isalnum():
            words[-1] += letter.lower()
        last = letter
    return "_".join(filter(None, words))


# --- moving_average ---------------------------------------------------------------------------------------------------


@right
def moving_average(stream, width):
    """Yield the mean of the last `width` values of `stream`, for the first time after `width` values.

    The stream may never end. The additions for a value must not grow with `width`, and a monstrous value (1e17,
    infinity) may spoil no answer later than 2 × `width` values after it.
    """
    window, total = deque(), 0.0
    for count, value in enumerate(stream, start=1):
        window.append(value)
        total += value
        if len(window) > width:
            total -= window.popleft()
        if count % width == 0:
            total = sum(window)  # what rounding has lost is found again; one addition more per value
        if len(window) == width:
            yield total / width


@checks(moving_average)
def is_the_mean_of_the_last(answer):
    """Keep the last `width` values in a deque; when one comes in, the oldest goes out. The first answer needs `width` values."""
    for values, width in (([3, 5, 10, 0, 8], 2), ([4, 8, 6, 2], 1), ([1, 2, 3, 4], 4), ([1, 2], 3)):
        got = _numbers(answer(_stream(values), width), "yield means")
        due = [sum(values[n : n + width]) / width for n in range(len(values) - width + 1)]
        assert got == due, f"values {values}, width {width}: {due}, you gave {got}"


@checks(moving_average)
def does_not_wait_for_the_end(answer):
    """`yield` as soon as there are `width` values, inside of the loop."""
    given = answer(_stream(itertools.count(), most=13), 10)
    assert hasattr(given, "__next__"), "yield the means one at a time: the stream may never end"
    assert _numbers(itertools.islice(given, 3), "yield means") == [4.5, 5.5, 6.5]


@checks(moving_average)
def few_additions_for_a_value(answer):
    """Add the value that comes and subtract the one that goes. `sum(window)` for each value adds `width` numbers."""
    n, width = 1_200, 200
    _count(limit := 4 * n)
    _numbers(answer((Counted(place % 7) for place in range(n)), width), "yield means")
    assert Counted.added <= limit


@checks(moving_average)
def a_monster_is_forgotten(answer):
    """A running total loses digits beside 1e17, and infinity minus infinity is no number. Sum the window afresh once in `width` values."""
    width = 10
    for monster in (1e17, math.inf):
        values = [20.7] * 25 + [monster] + [20.7] * 40
        got = _numbers(answer(_stream(values), width), "yield means")[25 + 2 * width :]
        assert all(abs(mean - 20.7) < 1e-9 for mean in got), (
            f"{2 * width} values after a {monster:g} the mean of ten times 20.7 is {got[0]}"
        )


@wrong(moving_average, caught_by=is_the_mean_of_the_last)
def answers_from_the_first_value_on(stream, width):
    window = deque(maxlen=width)
    for value in stream:
        window.append(value)
        yield sum(window) / len(window)


@wrong(moving_average, caught_by=is_the_mean_of_the_last)
def never_lets_go(stream, width):
    total = 0
    for count, value in enumerate(stream, start=1):
        total += value
        if count >= width:
            yield total / count


@wrong(moving_average, caught_by=is_the_mean_of_the_last)
def smooths_exponentially(stream, width):
    mean = None
    for count, value in enumerate(stream, start=1):
        mean = value if mean is None else mean + (value - mean) / width
        if count >= width:
            yield mean


@wrong(moving_average, caught_by=does_not_wait_for_the_end)
def lists_the_stream(stream, width):
    values = list(stream)
    for n in range(len(values) - width + 1):
        yield sum(values[n : n + width]) / width


@wrong(moving_average, caught_by=few_additions_for_a_value)
def sums_the_window_each_time(stream, width):
    window = deque(maxlen=width)
    for value in stream:
        window.append(value)
        if len(window) == width:
            yield sum(window) / width


@wrong(moving_average, caught_by=a_monster_is_forgotten)
def trusts_the_running_total(stream, width):
    window, total = deque(), 0.0
    for value in stream:
        window.append(value)
        total += value
        if len(window) > width:
            total -= window.popleft()
        if len(window) == width:
            yield total / width


@also_right(moving_average)
def counts_since_the_last_fresh_sum(stream, width):
    window, total, since = deque(maxlen=width), 0.0, 0
    for value in stream:
        if len(window) == width:
            total -= window[0]
        window.append(value)
        total, since = total + value, since + 1
        if since == width:
            total, since = sum(window), 0
        if len(window) == width:
            yield total / width


@also_right(moving_average)
def writes_into_a_ring(stream, width):
    ring, total = [], 0.0
    for count, value in enumerate(stream):
        place = count % width
        if count < width:
            ring.append(value)
            total += value
        else:
            total += value - ring[place]
            ring[place] = value
        if place == width - 1:
            total = math.fsum(ring)
        if len(ring) == width:
            yield total / width


# --- rate_limit -------------------------------------------------------------------------------------------------------


@right
def rate_limit(limit, seconds):
    """Return a function `allow(time)` that says whether a call at `time` may go through: True or False.

    At most `limit` calls may go through within any `seconds`; a call `seconds` after another no longer counts it. A
    refused call does not count. Times never go back. Keep `limit` times at most.
    """
    passed = deque()

    def allow(time):
        while passed and time - passed[0] >= seconds:
            passed.popleft()
        if len(passed) == limit:
            return False
        passed.append(time)
        return True

    return allow


def _allowed(answer, limit, seconds, times):
    allow = answer(limit, seconds)
    assert callable(allow), f"return a function allow(time), not {allow!r}"
    said = []
    for time in times:
        try:
            one = allow(time)
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"allow({_plain(time)!r}) raises {type(error).__name__}: {error}") from error
        assert isinstance(one, bool), f"allow({_plain(time)!r}) returns True or False, not {one!r}"
        said.append(one)
    return said


def _limits(answer, limit, seconds, times, due):
    got = "".join("yn"[not one] for one in _allowed(answer, limit, seconds, times))
    assert got == due, (
        f"{limit} calls in {seconds} s, calls at {', '.join(map(str, times))}: {due}, you said {got} (y: allowed)"
    )


@checks(rate_limit)
def refuses_what_is_too_much(answer):
    """Which earlier calls matter for this one? Those of the last `seconds`: keep their times, and count them. A bucket that refills lets more through."""
    _limits(answer, 2, 10, [0, 1, 2, 3], "yynn")
    _limits(answer, 1, 5, [0, 4, 10, 11], "ynyn")
    _limits(answer, 2, 10, [0, 1, 6, 7], "yynn")


@checks(rate_limit)
def a_call_just_that_long_ago_is_over(answer):
    """Is a call at 0 within the 10 seconds before 10? The task says no: it goes when `time - first >= seconds`."""
    _limits(answer, 2, 10, [0, 1, 10, 11], "yyyy")


@checks(rate_limit)
def any_ten_seconds_and_not_those_of_the_clock(answer):
    """What happens at the turn of a fixed window? Twice the limit goes through within a second. Let the window end at each call."""
    _limits(answer, 2, 10, [8, 9, 11, 12, 22], "yynny")


@checks(rate_limit)
def a_refused_call_does_not_count(answer):
    """What becomes of somebody who calls all the time? If refused calls count, nothing ever goes through again."""
    _limits(answer, 1, 10, [0, 5, 9, 10, 19, 20], "ynnyny")


@checks(rate_limit)
def keeps_limit_times(answer):
    """Which times can never matter again? Those older than `seconds`. And more than `limit` are never needed."""
    _count()
    _allowed(answer, 5, 100, (Counted(place) for place in range(2_000)))
    assert Counted.peak <= 15, f"with a limit of 5 you keep {Counted.peak:,} times at once"


@wrong(rate_limit, caught_by=refuses_what_is_too_much)
def never_forgets(limit, seconds):
    count = itertools.count(1)
    return lambda time: next(count) <= limit


@wrong(rate_limit, caught_by=refuses_what_is_too_much)
def refills_a_bucket(limit, seconds):
    left, last = limit, None

    def allow(time):
        nonlocal left, last
        if last is not None:
            left = min(limit, left + (time - last) * limit / seconds)
        last = time
        if left < 1:
            return False
        left -= 1
        return True

    return allow


@wrong(rate_limit, caught_by=a_call_just_that_long_ago_is_over)
def keeps_it_a_moment_too_long(limit, seconds):
    passed = deque()

    def allow(time):
        while passed and time - passed[0] > seconds:
            passed.popleft()
        if len(passed) == limit:
            return False
        passed.append(time)
        return True

    return allow


@wrong(rate_limit, caught_by=any_ten_seconds_and_not_those_of_the_clock)
def counts_by_the_clock(limit, seconds):
    counts = {}

    def allow(time):
        window = float(time) // seconds
        counts[window] = counts.get(window, 0) + (counts.get(window, 0) < limit)
        last, counts["last"] = counts.get("last"), (window, counts[window])
        return last != counts["last"]

    return allow


@wrong(rate_limit, caught_by=a_refused_call_does_not_count)
def counts_the_refused_ones(limit, seconds):
    calls = deque(maxlen=limit)

    def allow(time):
        fits = len(calls) < limit or time - calls[0] >= seconds
        calls.append(time)
        return fits

    return allow


@wrong(rate_limit, caught_by=keeps_limit_times)
def filters_all_times(limit, seconds):
    times = []

    def allow(time):
        fits = sum(time - before < seconds for before in times) < limit
        if fits:
            times.append(time)
        return fits

    return allow


@also_right(rate_limit)
def asks_the_oldest_of_limit(limit, seconds):
    passed = deque(maxlen=limit)

    def allow(time):
        fits = len(passed) < limit or time - passed[0] >= seconds
        if fits:
            passed.append(time)
        return bool(fits)

    return allow


@also_right(rate_limit)
def writes_times_into_a_ring(limit, seconds):
    ring, count = [None] * limit, 0

    def allow(time):
        nonlocal count
        oldest = ring[count % limit]
        if oldest is not None and time - oldest < seconds:
            return False
        ring[count % limit] = time
        count += 1
        return True

    return allow


# --- top_k ------------------------------------------------------------------------------------------------------------


@right
def top_k(stream, k):
    """Return the `k` largest values of `stream` as a list, the largest first; all of them when there are fewer.

    A value that comes twice counts twice. The stream is read once and is far larger than memory: keep some `k` values.
    """
    best = []  # a heap: its smallest on top, the one to beat
    for value in stream:
        if len(best) < k:
            heapq.heappush(best, value)
        elif best and best[0] < value:
            heapq.heapreplace(best, value)
    return sorted(best, reverse=True)


def _top(answer, values, k):
    return _numbers(answer(_stream(values), k), "return a list of values")


@checks(top_k)
def gives_the_largest_first(answer):
    """What is returned is sorted, with `reverse=True`. A heap as such is in no order."""
    source = random.Random(6)
    for k in (1, 3, 8):
        values = source.sample(range(-500, 500), 60)
        got, due = _top(answer, values, k), sorted(values, reverse=True)[:k]
        assert got == due, f"the {k} largest are {due}, you returned {got}"


@checks(top_k)
def equal_values_count_each(answer):
    """A set forgets that a value came twice."""
    got = _top(answer, [7, 9, 9, 7, 1, 9], 4)
    assert got == [9, 9, 9, 7], f"the 4 largest of 7, 9, 9, 7, 1, 9 are 9, 9, 9, 7; you returned {got}"


@checks(top_k)
def fewer_than_k_and_k_of_zero(answer):
    """Fill the heap until it holds k; only then there is something to replace. With k = 0 there never is."""
    for values, k, due in (([2, 3], 5, [3, 2]), ([], 2, []), ([2, 3], 0, [])):
        got = _top(answer, values, k)
        assert got == due, f"values {values}, k = {k}: {due}, you returned {got}"


@checks(top_k)
def keeps_some_k_values(answer):
    """Keep the k best so far and the value in your hand. `list(stream)` and `sorted(stream)` keep all."""
    n, k = 3_000, 10
    source = random.Random(7)
    _count()
    answer((Counted(source.random()) for _ in range(n)), k)
    most = Counted.peak
    assert most <= 3 * k + 10, f"of {n:,} values you keep {most:,} at once; {k} and a few are enough"


@checks(top_k)
def one_comparison_for_most_values(answer):
    """Most values lose against the smallest of the best. With that one on top of a heap, one comparison tells."""
    n, k = 3_000, 50
    source = random.Random(8)
    _count(3 * n)
    answer((Counted(source.random()) for _ in range(n)), k)
    assert Counted.compared <= 3 * n


@wrong(top_k, caught_by=gives_the_largest_first)
def returns_the_heap_as_it_is(stream, k):
    best = []
    for value in stream:
        heapq.heappush(best, value)
        if len(best) > k:
            heapq.heappop(best)
    return best


@wrong(top_k, caught_by=gives_the_largest_first)
def throws_the_largest_out(stream, k):
    best = []
    for value in stream:
        heapq.heappush(best, -value)
        if len(best) > k:
            heapq.heappop(best)
    return sorted((-value for value in best), reverse=True)


@wrong(top_k, caught_by=equal_values_count_each)
def puts_them_in_a_set(stream, k):
    return sorted(set(stream), reverse=True)[:k]


@wrong(top_k, caught_by=fewer_than_k_and_k_of_zero)
def takes_k_from_the_stream_first(stream, k):
    best = [next(stream) for _ in range(k)]
    heapq.heapify(best)
    for value in stream:
        heapq.heappushpop(best, value)
    return sorted(best, reverse=True)


@wrong(top_k, caught_by=keeps_some_k_values)
def sorts_everything(stream, k):
    return sorted(stream, reverse=True)[:k]


@wrong(top_k, caught_by=keeps_some_k_values)
def makes_a_heap_of_everything(stream, k):
    heap = [-value for value in stream]
    heapq.heapify(heap)
    return [-heapq.heappop(heap) for _ in range(min(k, len(heap)))]


@wrong(top_k, caught_by=one_comparison_for_most_values)
def sorts_the_best_each_time(stream, k):
    best = []
    for value in stream:
        best = sorted([*best, value], reverse=True)[:k]
    return best


@wrong(top_k, caught_by=one_comparison_for_most_values)
def looks_for_the_smallest_each_time(stream, k):
    best = []
    for value in stream:
        best.append(value)
        if len(best) > k:
            best.remove(min(best))
    return sorted(best, reverse=True)


@also_right(top_k)
def asks_the_library(stream, k):
    return heapq.nlargest(k, stream)


@also_right(top_k)
def pushes_and_pops_at_once(stream, k):
    best = []
    for value in stream:
        if len(best) < k:
            heapq.heappush(best, value)
        else:
            heapq.heappushpop(best, value)
    return sorted(best)[::-1]


# --- running_median ---------------------------------------------------------------------------------------------------


@right
def running_median(stream):
    """Yield, after each value of `stream`, the median of all values so far.

    Of an even number of values the median is the mean of the two in the middle. Values can be compared, negated and
    added. Some `log n` comparisons per value, not `n`.
    """
    low, high = [], []  # heaps: the smaller half negated, so that its largest is on top, and the larger half
    for value in stream:
        heapq.heappush(high, -heapq.heappushpop(low, -value))
        if len(high) > len(low):
            heapq.heappush(low, -heapq.heappop(high))
        yield -low[0] if len(low) > len(high) else (-low[0] + high[0]) / 2


def _medians(answer, values):
    return _numbers(answer(_stream(values)), "yield a median for each value")


@checks(running_median)
def gives_the_median_so_far(answer):
    """Keep the smaller half in one heap and the larger half in another; the middle is on top of them. With a sorted list: its middle, or the mean of two."""
    source = random.Random(4)
    for values in ([5, 1, 4, 2], [3, 3, 3, 1], [source.randint(-50, 50) for _ in range(41)]):
        got, due = (
            _medians(answer, values),
            [statistics.median(values[: n + 1]) for n in range(len(values))],
        )
        assert len(got) == len(due), f"{len(due)} values need {len(due)} medians, you gave {len(got)}"
        bad = [n for n in range(len(due)) if got[n] != due[n]]
        assert not bad, f"after {values[: bad[0] + 1]} the median is {due[bad[0]]}, you gave {got[bad[0]]}"


@checks(running_median)
def answers_before_the_stream_ends(answer):
    """`yield` inside of the loop over the stream: the stream may never end."""
    given = answer(_stream(itertools.count(1), most=6))
    assert hasattr(given, "__next__"), "yield the medians one at a time: the stream may never end"
    assert _numbers(itertools.islice(given, 5), "yield medians") == [1, 1.5, 2, 2.5, 3]


@checks(running_median)
def takes_few_comparisons(answer):
    """Sorting again for each value compares every value with its neighbour each time. `heapq` or `bisect.insort` place one value with some log n comparisons."""
    n = 1_500
    source = random.Random(5)
    _count(limit := round(8 * n * math.log2(n)))
    for _ in _numbers(answer(Counted(source.random()) for _ in range(n)), "yield medians"):
        pass
    assert Counted.compared <= limit, f"{Counted.compared:,} comparisons for {n:,} values"


@wrong(running_median, caught_by=gives_the_median_so_far)
def updates_it_halfway(stream):
    median = None
    for value in stream:
        median = value if median is None else (median + value) / 2
        yield median


@wrong(running_median, caught_by=gives_the_median_so_far)
def takes_the_upper_of_two(stream):
    seen = []
    for value in stream:
        insort(seen, value)
        yield seen[len(seen) // 2]


@wrong(running_median, caught_by=gives_the_median_so_far)
def reads_a_heap_as_if_sorted(stream):
    heap = []
    for value in stream:
        heapq.heappush(heap, value)
        n = len(heap)
        yield (heap[(n - 1) // 2] + heap[n // 2]) / 2


@wrong(running_median, caught_by=answers_before_the_stream_ends)
def collects_first(stream):
    values = list(stream)
    return [statistics.median(values[: n + 1]) for n in range(len(values))]


@wrong(running_median, caught_by=takes_few_comparisons)
def sorts_again_and_again(stream):
    seen = []
    for value in stream:
        seen.append(value)
        seen.sort()
        n = len(seen)
        yield (seen[(n - 1) // 2] + seen[n // 2]) / 2


@wrong(running_median, caught_by=takes_few_comparisons)
def inserts_by_a_walk(stream):
    seen = []
    for value in stream:
        place = 0
        while place < len(seen) and seen[place] < value:
            place += 1
        seen.insert(place, value)
        n = len(seen)
        yield (seen[(n - 1) // 2] + seen[n // 2]) / 2


@also_right(running_median)
def keeps_a_sorted_list(stream):
    seen = []
    for value in stream:
        insort(seen, value)
        half, odd = divmod(len(seen), 2)
        yield seen[half] if odd else (seen[half - 1] + seen[half]) / 2


@also_right(running_median)
def pushes_where_it_belongs(stream):
    low, high = [], []
    for value in stream:
        if low and value < -low[0]:
            heapq.heappush(low, -value)
        else:
            heapq.heappush(high, value)
        if len(high) > len(low):
            heapq.heappush(low, -heapq.heappop(high))
        elif len(low) > len(high) + 1:
            heapq.heappush(high, -heapq.heappop(low))
        yield -low[0] if len(low) > len(high) else (high[0] - low[0]) / 2


# --- merge_logs -------------------------------------------------------------------------------------------------------


@right
def merge_logs(logs):
    """Yield the entries (time, text) of several logs as one log in order of time.

    Each log is a stream in order of time, and may never end. Of entries with one time, that of the earlier log in
    `logs` comes first. A text is anything, also what can't be compared. Some `log k` comparisons an entry, of k logs.
    """
    heads = []
    for place, log in enumerate(map(iter, logs)):
        for time, text in itertools.islice(log, 1):
            heads.append((time, place, text, log))
    heapq.heapify(heads)  # places differ, so no text is ever compared
    while heads:
        time, place, text, log = heads[0]
        yield time, text
        for following, other in itertools.islice(log, 1):
            heapq.heapreplace(heads, (following, place, other, log))
            break
        else:
            heapq.heappop(heads)


def _entries(given, most=None):
    assert hasattr(given, "__iter__"), f"yield entries (time, text), not {given!r}"
    try:
        rows = list(itertools.islice(given, most))
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"while the entries were taken: {type(error).__name__}: {error}") from error
    assert all(isinstance(row, tuple | list) and len(row) == 2 for row in rows), f"entries, not {rows[:3]!r}"
    return [(_plain(time), text) for time, text in rows]


def _merged_logs(answer, logs, due):
    got = _entries(answer([_stream(log) for log in logs]))
    assert got == due, f"logs {logs}: {due}, you gave {got}"


@checks(merge_logs)
def in_order_of_time(answer):
    """Which entry can be the next? The first one of some log: keep the heads of all logs, take the earliest, refill from its log."""
    _merged_logs(
        answer,
        [[(1, "a"), (5, "b")], [(2, "c"), (3, "d"), (9, "e")]],
        [(1, "a"), (2, "c"), (3, "d"), (5, "b"), (9, "e")],
    )


@checks(merge_logs)
def an_empty_log_and_none(answer):
    """What does `next` do with an empty log? It raises, and inside a generator that becomes a RuntimeError. Ask for a head, take none."""
    _merged_logs(answer, [[], [(1, "a")], []], [(1, "a")])
    _merged_logs(answer, [], [])


@checks(merge_logs)
def texts_are_not_compared(answer):
    """What does a heap of (time, text) compare when times are equal? The texts. Put the log's place between them."""
    _merged_logs(answer, [[(1, "z"), (1, "y")], [(1, "a")]], [(1, "z"), (1, "y"), (1, "a")])
    _merged_logs(answer, [[(1, {"b": 1})], [(1, {"a": 2})]], [(1, {"b": 1}), (1, {"a": 2})])


@checks(merge_logs)
def does_not_read_ahead(answer):
    """What if a log never ends? Read an entry of a log only when its place at the head is free."""
    logs = [_stream(zip(itertools.count(k, 2), itertools.repeat(k)), most=6) for k in range(2)]
    got = _entries(answer(logs), most=8)
    assert got == [(time, time % 2) for time in range(8)], (
        f"the first 8 entries of two endless logs: you gave {got}"
    )


@checks(merge_logs)
def few_comparisons_an_entry(answer):
    """How do you find the earliest of 64 heads? `min` looks at all of them, a heap at the few on a path."""
    k, n = 64, 20
    _count(limit := 40 * k * n)
    source = random.Random(16)
    times = [sorted(source.random() for _ in range(n)) for _ in range(k)]
    got = _entries(answer([((Counted(time), None) for time in log) for log in times]))
    assert len(got) == k * n and Counted.compared <= limit


@wrong(merge_logs, caught_by=in_order_of_time)
def one_log_after_the_other(logs):
    yield from itertools.chain(*logs)


@wrong(merge_logs, caught_by=an_empty_log_and_none)
def takes_a_head_of_each(logs):
    logs = [iter(log) for log in logs]
    heads = [(*next(log), place) for place, log in enumerate(logs)]
    while heads:
        row = min(heads, key=lambda row: (row[0], row[2]))
        yield row[:2]
        heads.remove(row)
        heads += [(*following, row[2]) for following in itertools.islice(logs[row[2]], 1)]


@wrong(merge_logs, caught_by=texts_are_not_compared)
def merges_whole_entries(logs):
    return heapq.merge(*logs)


@wrong(merge_logs, caught_by=does_not_read_ahead)
def sorts_them_all(logs):
    yield from sorted(itertools.chain(*logs), key=lambda row: row[0])


@wrong(merge_logs, caught_by=few_comparisons_an_entry)
def looks_at_all_heads(logs):
    logs = [iter(log) for log in logs]
    heads = {place: row for place, log in enumerate(logs) for row in itertools.islice(log, 1)}
    while heads:
        place = min(heads, key=lambda place: heads[place][0])
        yield heads[place]
        following = next(logs[place], None)
        if following is None:
            del heads[place]
        else:
            heads[place] = following


@also_right(merge_logs)
def asks_heapq_with_a_key(logs):
    return heapq.merge(*logs, key=lambda row: row[0])


@also_right(merge_logs)
def merges_halves_of_the_logs(logs):
    def both(a, b):
        x, y = next(a, None), next(b, None)
        while x is not None and y is not None:
            if y[0] < x[0]:
                yield y
                y = next(b, None)
            else:
                yield x
                x = next(a, None)
        yield from (row for row in (x, y) if row is not None)
        yield from itertools.chain(a, b)

    logs = list(map(iter, logs))
    if len(logs) < 2:
        return logs[0] if logs else iter(())
    half = len(logs) // 2
    return both(merges_halves_of_the_logs(logs[:half]), merges_halves_of_the_logs(logs[half:]))


# --- merge_intervals --------------------------------------------------------------------------------------------------


@right
def merge_intervals(intervals):
    """Return the `intervals`, pairs (start, end), with those that overlap or touch merged, as a sorted list of pairs.

    They come in any order and may lie inside of each other. The list you are given stays as it is. Some `n log n`
    comparisons.
    """
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _intervals(given):
    assert isinstance(given, list | tuple), f"return a list of pairs (start, end), not {given!r}"
    assert all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in given), (
        f"each of them is a pair (start, end); you returned {given!r}"
    )
    return [(_plain(start), _plain(end)) for start, end in given]


def _merges(answer, intervals, due):
    got = _intervals(answer(list(intervals)))
    assert got == due, f"{intervals} become {due}, you returned {got}"


@checks(merge_intervals)
def one_inside_another_shortens_nothing(answer):
    """The end of a merged pair is the larger of both ends: `max`."""
    _merges(answer, [(1, 10), (2, 3)], [(1, 10)])
    _merges(answer, [(1, 10), (2, 3), (9, 12), (20, 21)], [(1, 12), (20, 21)])


@checks(merge_intervals)
def they_come_in_any_order(answer):
    """Sorted by start, an interval can only overlap the last one of the result."""
    _merges(answer, [(20, 21), (9, 12), (1, 3), (2, 10)], [(1, 12), (20, 21)])
    _merges(answer, [], [])


@checks(merge_intervals)
def touching_ones_are_one(answer):
    """(1, 2) and (2, 3) have an instant in common: `<=`. Between (1, 2) and (3, 4) there is time."""
    _merges(answer, [(1, 2), (2, 3), (4, 5)], [(1, 3), (4, 5)])


@checks(merge_intervals)
def what_was_given_stays(answer):
    """`sorted` makes a new list, `.sort()` changes that of the caller."""
    given = [(5, 6), (1, 2), (2, 4)]
    answer(given)
    assert given == [(5, 6), (1, 2), (2, 4)], f"the caller's list is {given} after the call"


@checks(merge_intervals)
def sorts_once(answer):
    """Comparing each with each costs n². Sort once; then one comparison with the last of the result is enough."""
    n = 600
    source = random.Random(9)
    starts = [source.randrange(10**6) for _ in range(n)]
    _count(limit := round(6 * n * math.log2(n)))
    answer([(Counted(start), Counted(start + 1)) for start in starts])
    assert Counted.compared <= limit


@wrong(merge_intervals, caught_by=one_inside_another_shortens_nothing)
def takes_the_later_ones_end(intervals):
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


@wrong(merge_intervals, caught_by=one_inside_another_shortens_nothing)
def merges_neighbours_in_pairs(intervals):
    rows, merged = sorted(intervals), []
    while rows:
        start, end = rows.pop(0)
        if rows and rows[0][0] <= end:
            end = max(end, rows.pop(0)[1])
        merged.append((start, end))
    return merged


@wrong(merge_intervals, caught_by=they_come_in_any_order)
def believes_they_are_sorted(intervals):
    merged = []
    for start, end in intervals:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


@wrong(merge_intervals, caught_by=they_come_in_any_order)
def begins_with_the_first(intervals):
    rows = sorted(intervals)
    merged = [rows[0]]
    for start, end in rows[1:]:
        if start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


@wrong(merge_intervals, caught_by=touching_ones_are_one)
def keeps_touching_ones_apart(intervals):
    merged = []
    for start, end in sorted(intervals):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


@wrong(merge_intervals, caught_by=what_was_given_stays)
def sorts_the_callers_list(intervals):
    intervals.sort()
    merged = []
    for start, end in intervals:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


@wrong(merge_intervals, caught_by=sorts_once)
def compares_each_with_each(intervals):
    merged = []
    for start, end in intervals:
        apart = []
        for low, high in merged:
            if low <= end and start <= high:
                start, end = min(start, low), max(end, high)
            else:
                apart.append((low, high))
        merged = [*apart, (start, end)]
    return sorted(merged)


@also_right(merge_intervals)
def counts_how_many_are_open(intervals):
    edges = [(start, 0) for start, _ in intervals] + [(end, 1) for _, end in intervals]
    merged, depth, begin = [], 0, None
    for time, is_end in sorted(edges):  # starts come before ends of the same instant
        if depth == 0:
            begin = time
        depth += -1 if is_end else 1
        if depth == 0:
            merged.append((begin, time))
    return merged


@also_right(merge_intervals)
def takes_them_from_a_heap(intervals):
    rows, merged = list(intervals), []
    heapq.heapify(rows)
    while rows:
        start, end = heapq.heappop(rows)
        if merged and not merged[-1][1] < start:
            start, before = merged.pop()
            end = max(before, end)
        merged.append((start, end))
    return merged


# --- as_of_join -------------------------------------------------------------------------------------------------------


@right
def as_of_join(events, snapshots):
    """Return for each event (key, time) the value of its key's latest snapshot (key, time, value) before it, else None.

    Strictly before: a snapshot of the same instant may contain the event. Both lists come in any order; the answers
    are in the order of the events. Some `log n` comparisons of times per row.
    """
    known = {}
    for key, time, value in sorted(snapshots, key=lambda row: row[1]):
        known.setdefault(key, []).append((time, value))
    joined = []
    for key, time in events:
        rows = known.get(key, [])
        place = bisect_left(rows, time, key=lambda row: row[0])  # how many are before `time`
        joined.append(rows[place - 1][1] if place else None)
    return joined


def _joins(answer, events, snapshots, due):
    got = answer(list(events), list(snapshots))
    assert isinstance(got, list | tuple), f"return a list with a value for each event, not {got!r}"
    assert list(got) == due, f"events {events}, snapshots {snapshots}: {due}, you returned {list(got)}"


_SNAPSHOTS = [("ann", 20, "silver"), ("ann", 30, "gold"), ("bob", 12, "lost"), ("ann", 10, "new")]


@checks(as_of_join)
def takes_the_latest_before_the_event(answer):
    """Sort the snapshots of each key by time, then find with `bisect_left` how many are before the event: the last of them is meant."""
    _joins(answer, [("ann", 25), ("ann", 11), ("bob", 40)], _SNAPSHOTS, ["silver", "new", "lost"])
    _joins(answer, [("ann", 29), ("ann", 19)], _SNAPSHOTS, ["silver", "new"])


@checks(as_of_join)
def nothing_known_yet_is_none(answer):
    """Place 0 means: nothing before. In Python `rows[-1]` is the last one, the furthest in the future."""
    _joins(answer, [("ann", 5), ("bob", 11), ("eve", 50)], _SNAPSHOTS, [None, None, None])


@checks(as_of_join)
def the_same_instant_is_too_late(answer):
    """`bisect_left` gives the place before equal times, `bisect_right` the place after them."""
    _joins(answer, [("ann", 20), ("ann", 10), ("bob", 12)], _SNAPSHOTS, ["new", None, None])


@checks(as_of_join)
def does_not_search_all_snapshots(answer):
    """A scan for each event costs events × snapshots. Sort once, then halve."""
    n, source = 500, random.Random(10)
    _count(limit := round(8 * n * math.log2(n)))
    moments = [source.randrange(10**6) for _ in range(2 * n)]
    snapshots = [("ann", Counted(moment), place) for place, moment in enumerate(moments[:n])]
    answer([("ann", Counted(moment)) for moment in moments[n:]], snapshots)
    assert Counted.compared <= limit


@wrong(as_of_join, caught_by=takes_the_latest_before_the_event)
def joins_on_the_key_alone(events, snapshots):
    value_of = {key: value for key, _, value in sorted(snapshots, key=lambda row: row[1])}
    return [value_of.get(key) for key, _ in events]


@wrong(as_of_join, caught_by=takes_the_latest_before_the_event)
def takes_the_nearest_in_time(events, snapshots):
    joined = []
    for key, time in events:
        rows = [(abs(time - moment), value) for name, moment, value in snapshots if name == key]
        joined.append(min(rows)[1] if rows else None)
    return joined


@wrong(as_of_join, caught_by=takes_the_latest_before_the_event)
def takes_the_last_in_the_list(events, snapshots):
    joined = []
    for key, time in events:
        values = [value for name, moment, value in snapshots if name == key and moment < time]
        joined.append(values[-1] if values else None)
    return joined


@wrong(as_of_join, caught_by=nothing_known_yet_is_none)
def steps_over_the_start(events, snapshots):
    known = defaultdict(list)
    for key, time, value in sorted(snapshots, key=lambda row: row[1]):
        known[key].append((time, value))
    places = [(known[key], bisect_left(known[key], time, key=lambda row: row[0])) for key, time in events]
    return [rows[place - 1][1] if rows else None for rows, place in places]


@wrong(as_of_join, caught_by=nothing_known_yet_is_none)
def fills_back(events, snapshots):
    known = defaultdict(list)
    for key, time, value in sorted(snapshots, key=lambda row: row[1]):
        known[key].append((time, value))
    places = [(known[key], bisect_left(known[key], time, key=lambda row: row[0])) for key, time in events]
    return [rows[max(place - 1, 0)][1] if rows else None for rows, place in places]


@wrong(as_of_join, caught_by=the_same_instant_is_too_late)
def lets_the_same_instant_in(events, snapshots):
    known = defaultdict(list)
    for key, time, value in sorted(snapshots, key=lambda row: row[1]):
        known[key].append((time, value))
    places = [(known[key], bisect_right(known[key], time, key=lambda row: row[0])) for key, time in events]
    return [rows[place - 1][1] if place else None for rows, place in places]


@wrong(as_of_join, caught_by=does_not_search_all_snapshots)
def scans_for_each_event(events, snapshots):
    joined = []
    for key, time in events:
        best, found = None, None
        for name, moment, value in snapshots:
            if name == key and moment < time and (best is None or moment > best):
                best, found = moment, value
        joined.append(found)
    return joined


@also_right(as_of_join)
def walks_once_through_both(events, snapshots):
    rows = [(time, 0, place, key, None) for place, (key, time) in enumerate(events)]
    rows += [(time, 1, place, key, value) for place, (key, time, value) in enumerate(snapshots)]
    latest, joined = {}, [None] * len(events)
    for _, is_snapshot, place, key, value in sorted(rows, key=lambda row: row[:3]):
        if is_snapshot:
            latest[key] = value
        else:
            joined[place] = latest.get(key)
    return joined


@also_right(as_of_join)
def keeps_times_and_values_apart(events, snapshots):
    times, values = defaultdict(list), defaultdict(list)
    for key, time, value in sorted(snapshots, key=lambda row: row[1]):
        times[key].append(time)
        values[key].append(value)
    places = [bisect_left(times[key], time) for key, time in events]
    return [values[key][place - 1] if place else None for (key, _), place in zip(events, places, strict=True)]


# --- split_by_time ----------------------------------------------------------------------------------------------------


@right
def split_by_time(times, share, gap=0):
    """Return (training rows, test rows), two lists of row numbers, for rows with the days `times`, in any order.

    The test is the latest days, whole ones, as few as hold at least `share` of all rows. The `gap` days right before
    the first day of the test are in neither: their labels are not known yet. All earlier rows are training.
    """
    wanted = math.ceil(share * len(times))
    first = sorted(times)[len(times) - wanted]
    train = [row for row, time in enumerate(times) if time < first - gap]
    test = [row for row, time in enumerate(times) if time >= first]
    return train, test


def _halves(answer, times, share, gap=0):
    given = answer(list(times), share, gap)
    assert isinstance(given, tuple | list) and len(given) == 2, f"return (training, test), not {given!r}"
    train, test = (list(map(int, half)) for half in given)
    assert train and test, (
        f"{len(times)} rows: {len(train)} for training and {len(test)} for the test; neither may be empty"
    )
    assert not set(train) & set(test), "a row is in training and in the test"
    return train, test


def _days(n=64, most=40, seed=11):
    source = random.Random(seed)
    return [source.randrange(most) for _ in range(n)]


@checks(split_by_time)
def the_test_is_later(answer):
    """Go by the day, not by the row number: nobody sorted the rows. `sorted(times)[len(times) - wanted]` is the first day of the test."""
    times = random.Random(12).sample(range(1000), 32)
    train, test = _halves(answer, times, 0.25)
    latest, first = max(times[row] for row in train), min(times[row] for row in test)
    assert latest < first, f"training goes up to day {latest}, the test begins on day {first}"


@checks(split_by_time)
def no_day_is_on_both_sides(answer):
    """Compare days, `time >= first`, and the rows of a day stay together. A cut by count goes through the middle of a day."""
    for seed in range(5):
        times = _days(most=9, seed=seed)
        train, test = _halves(answer, times, 0.25)
        both = {times[row] for row in train} & {times[row] for row in test}
        assert not both, f"day {min(both)} is in training and in the test"


@checks(split_by_time)
def the_test_has_its_share(answer):
    """Count rows, not days: the first day of the test is that of the row with which the share is reached, from the end."""
    times = [day for day in range(10) for _ in range(1 if day < 5 else 11)] + [10, 11, 12, 13]
    train, test = _halves(answer, times, 0.25)
    first = min(times[row] for row in test)
    fewer = sum(times[row] > first for row in test)
    assert len(test) >= 16, f"{len(test)} of 64 rows are in the test, at least a quarter is asked for"
    assert fewer < 16, f"without its first day the test would still have {fewer} of 64 rows, a quarter"
    assert len(train) == sum(time < first for time in times), "rows before the test are missing in training"


@checks(split_by_time)
def the_gap_is_in_neither(answer):
    """`time < first - gap`: with a gap of 7 and a test from day 50 on, training ends on day 42."""
    times = [day // 2 for day in range(128)]
    train, test = _halves(answer, times, 0.25, gap=7)
    first, latest = min(times[row] for row in test), max(times[row] for row in train)
    assert (first, latest) == (48, 40), (
        f"the test begins on day 48 and days 41 to 47 are left out; yours begins on {first}, training ends on {latest}"
    )
    times = [1, 2, 3, 4, 5, 6, 10, 11]
    train, test = _halves(answer, times, 0.25, gap=3)
    days = sorted(times[row] for row in train)
    assert days == [1, 2, 3, 4, 5, 6], (
        f"rows of days {times}, a quarter is the test, gap 3: days 7 to 9 are left out; you train on {days}"
    )


@wrong(split_by_time, caught_by=the_test_is_later)
def cuts_by_row_number(times, share, gap=0):
    cut = len(times) - math.ceil(share * len(times))
    return list(range(cut - gap)), list(range(cut, len(times)))


@wrong(split_by_time, caught_by=the_test_is_later)
def shuffles(times, share, gap=0):
    rows = list(range(len(times)))
    random.Random(0).shuffle(rows)
    cut = math.ceil(share * len(times))
    return rows[cut:], rows[:cut]


@wrong(split_by_time, caught_by=no_day_is_on_both_sides)
def cuts_through_a_day(times, share, gap=0):
    rows = sorted(range(len(times)), key=lambda row: times[row])
    cut = len(times) - math.ceil(share * len(times))
    return [row for row in rows[:cut] if times[row] <= times[rows[cut]] - gap], rows[cut:]


@wrong(split_by_time, caught_by=the_test_has_its_share)
def takes_a_share_of_the_days(times, share, gap=0):
    days = sorted(set(times))
    first = days[len(days) - math.ceil(share * len(days))]
    train = [row for row, time in enumerate(times) if time < first - gap]
    return train, [row for row, time in enumerate(times) if time >= first]


@wrong(split_by_time, caught_by=the_test_has_its_share)
def takes_a_share_of_the_calendar(times, share, gap=0):
    first = max(times) - share * (max(times) - min(times))
    train = [row for row, time in enumerate(times) if time < first - gap]
    return train, [row for row, time in enumerate(times) if time >= first]


@wrong(split_by_time, caught_by=the_gap_is_in_neither)
def counts_the_gap_in_rows(times, share, gap=0):
    first = sorted(times)[len(times) - math.ceil(share * len(times))]
    train = sorted((row for row, time in enumerate(times) if time < first), key=lambda row: times[row])
    return train[: len(train) - gap], [row for row, time in enumerate(times) if time >= first]


@wrong(split_by_time, caught_by=the_gap_is_in_neither)
def counts_the_days_that_have_rows(times, share, gap=0):
    first = sorted(times)[len(times) - math.ceil(share * len(times))]
    days = sorted({time for time in times if time < first})
    left = set(days[: max(0, len(days) - gap)])
    train = [row for row, time in enumerate(times) if time in left]
    return train, [row for row, time in enumerate(times) if time >= first]


@wrong(split_by_time, caught_by=the_gap_is_in_neither)
def leaves_out_one_day_less(times, share, gap=0):
    first = sorted(times)[len(times) - math.ceil(share * len(times))]
    train = [row for row, time in enumerate(times) if time <= first - gap and time < first]
    return train, [row for row, time in enumerate(times) if time >= first]


@wrong(split_by_time, caught_by=the_gap_is_in_neither)
def forgets_the_gap(times, share, gap=0):
    first = sorted(times)[len(times) - math.ceil(share * len(times))]
    train = [row for row, time in enumerate(times) if time < first]
    return train, [row for row, time in enumerate(times) if time >= first]


@also_right(split_by_time)
def adds_days_from_the_end(times, share, gap=0):
    rows_of, held = Counter(times), 0
    for first in sorted(rows_of, reverse=True):
        held += rows_of[first]
        if held >= share * len(times):
            break
    train = [row for row, time in enumerate(times) if time < first - gap]
    return train, [row for row, time in enumerate(times) if time >= first]


@also_right(split_by_time)
def masks_an_array(times, share, gap=0):
    days = np.asarray(times)
    first = np.sort(days)[-math.ceil(share * len(days))]
    return np.flatnonzero(days < first - gap).tolist(), np.flatnonzero(days >= first).tolist()


# --- first_bad --------------------------------------------------------------------------------------------------------


@right
def first_bad(n, is_bad):
    """Return the first of the model versions 1 to `n` for which `is_bad(version)` is true; None when none is.

    After the first bad version all are bad. A call of `is_bad` costs an hour: some `log2 n` calls.
    """
    good, bad = 0, n + 1  # neither of the two is ever asked
    while bad - good > 1:
        middle = (good + bad) // 2
        if is_bad(middle):
            bad = middle
        else:
            good = middle
    return bad if bad <= n else None


class _Versions:
    """Versions 1 to n, bad from `first` on; counts the calls."""

    def __init__(self, n, first, most):
        self.n, self.first, self.most, self.calls = n, first, most, 0

    def __call__(self, version):
        self.calls += 1
        if self.calls > self.most:
            raise TooMuch(f"{self.calls} calls of is_bad for {self.n:,} versions, the last for {version!r}")
        if not (isinstance(version, int) and 1 <= version <= self.n):
            raise AssertionError(
                f"is_bad({version!r}) is asked, but there are the versions 1 to {self.n} only"
            )
        return version >= self.first


@checks(first_bad)
def finds_it_wherever_it_is(answer):
    """Keep two marks: a version known as good and one known as bad. Ask in the middle, move one of them, stop when they are neighbours."""
    for n in range(1, 20):
        for first in range(1, n + 1):
            got = answer(n, _Versions(n, first, most=100))
            assert got == first, f"{n} versions, bad from {first} on: you returned {got!r}"


@checks(first_bad)
def none_is_bad(answer):
    """Nobody promised that the last one is bad. A mark at n + 1 that was never asked means: none."""
    for n in (1, 2, 9, 0):
        got = answer(n, _Versions(n, n + 1, most=100))
        assert got is None, f"{n} versions, none of them bad: return None, not {got!r}"


@checks(first_bad)
def asks_some_log_n_times(answer):
    """Each answer must halve what is left: a million versions need 20 calls."""
    n = 1_000_000
    for first in (1, 2, 345_678, n):
        versions = _Versions(n, first, most=22)
        answer(n, versions)


@wrong(first_bad, caught_by=finds_it_wherever_it_is)
def never_moves_on(n, is_bad):
    low, high = 1, n
    while low < high:
        middle = (low + high) // 2
        if is_bad(middle):
            high = middle
        else:
            low = middle
    return low if is_bad(low) else None


@wrong(first_bad, caught_by=finds_it_wherever_it_is)
def returns_the_last_good_one(n, is_bad):
    good, bad = 0, n + 1
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if is_bad(middle) else (middle, bad)
    return good


@wrong(first_bad, caught_by=finds_it_wherever_it_is)
def stops_at_any_bad_one(n, is_bad):
    low, high = 1, n
    while low <= high:
        middle = (low + high) // 2
        if is_bad(middle):
            return middle
        low = middle + 1
    return None


@wrong(first_bad, caught_by=finds_it_wherever_it_is)
def skips_the_middle_on_both_sides(n, is_bad):
    low, high = 1, n
    while low < high:
        middle = (low + high) // 2
        if is_bad(middle):
            high = middle - 1
        else:
            low = middle + 1
    return low if low <= n and is_bad(low) else None


@wrong(first_bad, caught_by=none_is_bad)
def believes_the_last_is_bad(n, is_bad):
    low, high = 1, n
    while low < high:
        middle = (low + high) // 2
        if is_bad(middle):
            high = middle
        else:
            low = middle + 1
    return low


@wrong(first_bad, caught_by=asks_some_log_n_times)
def asks_one_after_the_other(n, is_bad):
    return next((version for version in range(1, n + 1) if is_bad(version)), None)


@wrong(first_bad, caught_by=asks_some_log_n_times)
def asks_in_steps_of_a_root(n, is_bad):
    step, start = max(1, math.isqrt(n)), 1
    while start + step <= n and not is_bad(start + step):
        start += step
    return next((version for version in range(start, n + 1) if is_bad(version)), None)


@also_right(first_bad)
def bisects_a_range(n, is_bad):
    found = bisect_left(range(1, n + 1), True, key=is_bad) + 1
    return found if found <= n else None


@also_right(first_bad)
def halves_a_half_open_range(n, is_bad):
    low, high = 1, n + 1
    while low < high:
        middle = (low + high) // 2
        if is_bad(middle):
            high = middle
        else:
            low = middle + 1
    return low if low <= n else None


# --- smallest_capacity ------------------------------------------------------------------------------------------------


@right
def smallest_capacity(sizes, nights):
    """Return the smallest whole capacity of a night with which all jobs are done within `nights` nights.

    `sizes` are the jobs' sizes, whole numbers from 1 on. Jobs run in the order given, none is cut in two: a night takes
    jobs from the front while their sizes are at most its capacity in sum. No jobs: 0. Jobs and no night: ValueError.
    Some `log` of the sum passes over the jobs.
    """
    if not sizes:
        return 0
    if nights < 1:
        raise ValueError(f"{len(sizes)} jobs can't be done in {nights} nights")

    def nights_with(capacity):
        used, left = 1, capacity
        for size in sizes:
            if size > left:
                used, left = used + 1, capacity
            left -= size
        return used

    low, high = max(sizes), sum(sizes)
    while low < high:
        middle = (low + high) // 2
        if nights_with(middle) <= nights:
            high = middle
        else:
            low = middle + 1
    return int(low)


def _capacity(answer, sizes, nights, due):
    got = answer(list(sizes), nights)
    assert isinstance(got, int), f"return a whole number, not {got!r}"
    assert got == due, f"jobs {sizes}, {nights} nights: {due} is enough, you returned {got}"


@checks(smallest_capacity)
def is_the_smallest_that_is_enough(answer):
    """Can you tell whether one capacity is enough? Then try the middle: enough, look lower; too little, look higher."""
    _capacity(answer, [6, 6, 6], 2, 12)
    _capacity(answer, [2, 8, 4, 6], 2, 10)
    _capacity(answer, [5, 5, 10, 4, 6], 3, 10)


@checks(smallest_capacity)
def the_largest_job_must_fit(answer):
    """What is the smallest capacity worth a try? That of the largest job, which no number of nights makes smaller."""
    _capacity(answer, [10, 1, 1, 1], 4, 10)
    _capacity(answer, [4, 4], 9, 4)


@checks(smallest_capacity)
def the_order_stays(answer):
    """May a small job be moved into a gap? Not here: each night takes jobs from the front."""
    _capacity(answer, [1, 9, 1, 9, 1, 9], 3, 10)
    _capacity(answer, [9, 9, 1, 1], 2, 11)
    _capacity(answer, [7, 2, 5, 10, 8], 2, 18)
    _capacity(answer, list(range(1, 11)), 5, 15)


@checks(smallest_capacity)
def one_night_no_job_no_night(answer):
    """What is the largest capacity worth a try? The sum, for one night. And with no night at all there is no answer: ValueError."""
    _capacity(answer, [2, 3], 1, 5)
    _capacity(answer, [], 3, 0)
    error = _refuses(answer, [2], 0)
    assert type(error) is ValueError, (
        f"a job and no night: raise ValueError, not {type(error).__name__ if error else 'no error at all'}"
    )


@checks(smallest_capacity)
def halves_what_is_left(answer):
    """How many capacities lie between the largest job and the sum? Millions: each try must halve them."""
    n, source = 50, random.Random(17)
    sizes = [source.randint(1, 10**6) for _ in range(n)]
    _steps(limit := 30 * 5 * n)
    answer(list(map(Step, sizes)), 7)
    assert Step.done <= limit


@wrong(smallest_capacity, caught_by=is_the_smallest_that_is_enough)
def takes_the_mean_of_a_night(sizes, nights):
    return max(max(sizes), -(-sum(sizes) // nights))


@wrong(smallest_capacity, caught_by=the_largest_job_must_fit)
def begins_at_the_mean(sizes, nights):
    low, high = sum(sizes) // nights, sum(sizes)
    while low < high:
        middle = (low + high) // 2
        used, left = 1, middle
        for size in sizes:
            if size > left:
                used, left = used + 1, middle
            left -= size
        low, high = (low, middle) if used <= nights else (middle + 1, high)
    return low


@wrong(smallest_capacity, caught_by=the_order_stays)
def packs_the_largest_first(sizes, nights):
    for capacity in range(max(sizes, default=0), sum(sizes) + 1):
        rooms = []
        for size in sorted(sizes, reverse=True):
            place = next((p for p, left in enumerate(rooms) if left >= size), None)
            if place is None:
                rooms.append(capacity - size)
            else:
                rooms[place] -= size
        if len(rooms) <= nights:
            return capacity
    return 0


@wrong(smallest_capacity, caught_by=one_night_no_job_no_night)
def believes_there_is_a_night(sizes, nights):
    low, high = max(sizes, default=0), sum(sizes)
    while low < high:
        middle = (low + high) // 2
        used, left = 1, middle
        for size in sizes:
            if size > left:
                used, left = used + 1, middle
            left -= size
        low, high = (low, middle) if used <= nights else (middle + 1, high)
    return low


@wrong(smallest_capacity, caught_by=halves_what_is_left)
def tries_one_after_the_other(sizes, nights):
    if sizes and nights < 1:
        raise ValueError("no night")
    capacity = max(sizes, default=0)
    while True:
        used, left = 1, capacity
        for size in sizes:
            if size > left:
                used, left = used + 1, capacity
            left -= size
        if used <= nights or not sizes:
            return capacity
        capacity += 1


@also_right(smallest_capacity)
def bisects_the_capacities(sizes, nights):
    if sizes and nights < 1:
        raise ValueError("no night")

    def is_enough(capacity):
        used, load = 1, 0
        for size in sizes:
            load += size
            if load > capacity:
                used, load = used + 1, size
        return used <= nights

    low, high = max(sizes, default=0), sum(sizes)
    return int(low + bisect_left(range(low, high + 1), True, key=is_enough)) if sizes else 0


@also_right(smallest_capacity)
def jumps_along_the_running_sums(sizes, nights):
    if not sizes:
        return 0
    if nights < 1:
        raise ValueError("no night")
    ends = [0, *itertools.accumulate(map(int, sizes))]
    too_little, enough = max(map(int, sizes)) - 1, ends[-1]
    while enough - too_little > 1:
        middle, place = (too_little + enough) // 2, 0
        for _ in range(nights):
            place = bisect_right(ends, ends[place] + middle) - 1
        too_little, enough = (too_little, middle) if place == len(sizes) else (middle, enough)
    return enough


# --- self_times -------------------------------------------------------------------------------------------------------


@right
def self_times(trace):
    """Return a dict from each function to its own time: the time in it, without that of the functions it called.

    `trace` is a list of (name, "begin" or "end", time) in order of time. What begins last ends first, and a function
    may call itself. An end that is not that of the function begun last, or a function without an end: ValueError.
    """
    own, running = {}, []  # names begun and not ended, the innermost last
    before = 0
    for name, what, time in trace:
        if running:
            own[running[-1]] += time - before
        before = time
        if what == "begin":
            running.append(name)
            own.setdefault(name, 0)
        elif not running or running.pop() != name:
            raise ValueError(f"{name} ends at {time}, and it is not what was begun last")
    if running:
        raise ValueError(f"{running[-1]} never ends")
    return own


def _trace(text):
    """Read "f0 g2 -g5 -f9": f begins at 0, g at 2, g ends at 5."""
    words = [(word.lstrip("-"), "end" if word[0] == "-" else "begin") for word in text.split()]
    return [(word[0], what, int(word[1:])) for word, what in words]


def _own(answer, text, due):
    got = answer(_trace(text))
    assert isinstance(got, dict), f"return a dict from names to times, not {got!r}"
    assert got == due, f"trace {text!r} (-f9: f ends at 9): {due}, you returned {dict(got)}"


@checks(self_times)
def what_is_called_does_not_count(answer):
    """Who is running between two lines of the trace? The one begun last and not ended: it gets the time between them."""
    _own(answer, "f0 g2 -g5 -f9", {"f": 6, "g": 3})
    _own(answer, "f0 g2 h3 -h7 -g8 -f9", {"f": 3, "g": 2, "h": 4})
    _own(answer, "", {})


@checks(self_times)
def calls_one_after_the_other(answer):
    """What happens to a function that is called twice? Its times add up, also those before, between and after its calls."""
    _own(answer, "f0 g1 -g3 g4 -g8 -f9 f20 -f21", {"f": 4, "g": 6})


@checks(self_times)
def a_function_may_call_itself(answer):
    """Does the name say which call ends? Not when f calls f: the innermost one ends first, the last on a stack."""
    _own(answer, "f0 f2 f3 -f4 -f6 -f10", {"f": 10})


@checks(self_times)
def refuses_an_end_that_does_not_fit(answer):
    """Which name must an end have? That of the top of the stack, and there must be one."""
    for text in ("f0 g1 -f2 -g3", "f0 -f1 -f2", "-f0", "f0 -g1"):
        error = _refuses(answer, _trace(text))
        assert type(error) is ValueError, (
            f"trace {text!r}: raise ValueError, not {type(error).__name__ if error else 'no error at all'}"
        )


@checks(self_times)
def refuses_what_never_ends(answer):
    """What is left on the stack after the last line? A function that crashed, or a trace that was cut: say so."""
    for text in ("f0", "f0 g1 -g2"):
        error = _refuses(answer, _trace(text))
        assert type(error) is ValueError, (
            f"trace {text!r}: raise ValueError, not {type(error).__name__ if error else 'no error at all'}"
        )


@wrong(self_times, caught_by=what_is_called_does_not_count)
def takes_end_minus_begin(trace):
    begun, own = {}, {}
    for name, what, time in trace:
        if what == "begin":
            begun[name] = time
        else:
            own[name] = own.get(name, 0) + time - begun[name]
    return own


@wrong(self_times, caught_by=calls_one_after_the_other)
def lets_the_last_call_count(trace):
    own, running, before = {}, [], 0
    for name, what, time in trace:
        if running:
            own[running[-1]] += time - before
        before = time
        if what == "begin":
            running.append(name)
            own[name] = 0
        else:
            running.pop()
    return own


@wrong(self_times, caught_by=a_function_may_call_itself)
def keeps_one_begin_a_name(trace):
    begun, own, running = {}, defaultdict(int), []
    for name, what, time in trace:
        if what == "begin":
            begun[name] = time
            running.append(name)
        else:
            running.pop()
            own[name] += time - begun[name]
            if running:
                own[running[-1]] -= time - begun[name]
    return dict(own)


@wrong(self_times, caught_by=refuses_an_end_that_does_not_fit)
def believes_the_trace(trace):
    own, running, before = defaultdict(int), [], 0
    for name, what, time in trace:
        if running:
            own[running[-1]] += time - before
        before = time
        running.append(name) if what == "begin" else running.pop()
    if running:
        raise ValueError("open")
    return dict(own)


@wrong(self_times, caught_by=refuses_what_never_ends)
def does_not_look_at_what_is_left(trace):
    own, running, before = defaultdict(int), [], 0
    for name, what, time in trace:
        if running:
            own[running[-1]] += time - before
        before = time
        if what == "begin":
            running.append(name)
        elif not running or running.pop() != name:
            raise ValueError("end")
    return dict(own)


@also_right(self_times)
def gives_time_to_the_caller_and_takes_it_back(trace):
    own, running = Counter(), []
    for name, what, time in trace:
        if what == "begin":
            running.append((name, time))
            own[name] += 0
            continue
        if not running or running[-1][0] != name:
            raise ValueError(f"{name} is not running")
        _, begun = running.pop()
        own[name] += time - begun
        if running:
            own[running[-1][0]] -= time - begun
    if running:
        raise ValueError(f"{running} are left")
    return dict(own)


@also_right(self_times)
def keeps_the_time_of_children(trace):
    own, running = defaultdict(int), []
    for name, what, time in trace:
        if what == "begin":
            running.append([name, time, 0])
            continue
        last, begun, inside = running.pop() if running else (None, 0, 0)
        if last != name:
            raise ValueError(name)
        own[name] += time - begun - inside
        if running:
            running[-1][2] += time - begun
    if running:
        raise ValueError("no end")
    return own


# --- fewest_hops ------------------------------------------------------------------------------------------------------


@right
def fewest_hops(feeds, start, goal):
    """Return the shortest path from table `start` to table `goal`: the list of tables on it, both included.

    `feeds` is a dict from a table to the list of tables that are made from it; one that feeds nothing may be missing.
    None when there is no path. Of several shortest paths any will do. Open each table once.
    """
    came_from, waiting = {start: None}, deque([start])
    while waiting:
        table = waiting.popleft()
        if table == goal:
            path = []
            while table is not None:
                path.append(table)
                table = came_from[table]
            return path[::-1]
        for following in feeds.get(table, ()):
            if following not in came_from:
                came_from[following] = table
                waiting.append(following)
    return None


_FEEDS = {
    "trips": ["clean", "zones"],
    "clean": ["daily", "features"],
    "daily": ["weekly"],
    "weekly": ["report"],
    "features": ["training"],
    "zones": ["report"],
    "training": [],
}


def _path(answer, feeds, start, goal, hops):
    got = answer(_Graph(feeds, most=2_000), start, goal)
    if hops is None:
        assert got is None, f"there is no path from {start} to {goal}: return None, not {got!r}"
        return
    assert isinstance(got, list | tuple), f"return the list of tables on the path, not {got!r}"
    assert got and got[0] == start and got[-1] == goal, f"from {start} to {goal}: you returned {got}"
    steps = itertools.pairwise(got)
    assert all(b in feeds.get(a, ()) for a, b in steps), f"{got} is no path: one of its steps is in no list"
    assert len(got) == hops + 1, f"from {start} to {goal} it is {hops} hops; {got} has {len(got) - 1}"


@checks(fewest_hops)
def finds_the_shortest(answer):
    """Which tables are one hop away, which two? Look at all of a distance before you go further: a queue, first in, first out."""
    _path(answer, _FEEDS, "trips", "report", 2)
    _path(answer, _FEEDS, "trips", "training", 3)
    _path(answer, _FEEDS, "clean", "report", 3)
    fork = {"raw": ["a", "b", "c"], "a": ["x"], "x": ["report"], "b": ["report"], "c": ["y"], "y": ["report"]}
    _path(answer, fork, "raw", "report", 2)


@checks(fewest_hops)
def start_is_goal(answer):
    """How many hops is it from a table to itself? Zero: the path is that table alone."""
    _path(answer, _FEEDS, "daily", "daily", 0)
    _path(answer, {}, "alone", "alone", 0)


@checks(fewest_hops)
def no_path_is_none_also_in_a_cycle(answer):
    """What ends the search when tables feed each other in a cycle? A table that was met once is not put into the queue again."""
    cycle = {"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}
    _path(answer, cycle, "a", "d", None)
    _path(answer, _FEEDS, "report", "trips", None)
    _path(answer, cycle, "d", "c", 3)


@checks(fewest_hops)
def opens_each_table_once(answer):
    """How many paths lead through twenty layers of four tables? Hundreds of billions. Mark a table when you first meet it, not when its path ends."""
    layers, wide = 20, 4
    feeds = {(n, k): [(n + 1, j) for j in range(wide)] for n in range(layers) for k in range(wide)}
    graph = _Graph(feeds, most=3 * layers * wide)
    got = answer(graph, (0, 0), (layers, 3))
    assert isinstance(got, list | tuple) and len(got) == layers + 1, (
        f"it is {layers} hops, you returned {got!r}"
    )


@wrong(fewest_hops, caught_by=finds_the_shortest)
def takes_the_first_way_it_finds(feeds, start, goal):
    seen = set()

    def walk(path):
        if path[-1] == goal:
            return path
        seen.add(path[-1])
        for following in feeds.get(path[-1], ()):
            if following not in seen and (found := walk([*path, following])):
                return found
        return None

    return walk([start])


@wrong(fewest_hops, caught_by=finds_the_shortest)
def takes_the_newest_first(feeds, start, goal):
    seen, waiting = {start}, [[start]]
    while waiting:
        path = waiting.pop()
        if path[-1] == goal:
            return path
        for following in feeds.get(path[-1], ()):
            if following not in seen:
                seen.add(following)
                waiting.append([*path, following])
    return None


@wrong(fewest_hops, caught_by=finds_the_shortest)
def returns_the_number_of_hops(feeds, start, goal):
    distance, waiting = {start: 0}, deque([start])
    while waiting:
        table = waiting.popleft()
        for following in feeds.get(table, ()):
            if following not in distance:
                distance[following] = distance[table] + 1
                waiting.append(following)
    return distance.get(goal)


@wrong(fewest_hops, caught_by=start_is_goal)
def looks_only_at_what_follows(feeds, start, goal):
    seen, waiting = {start}, deque([[start]])
    while waiting:
        path = waiting.popleft()
        for following in feeds.get(path[-1], ()):
            if following == goal:
                return [*path, following]
            if following not in seen:
                seen.add(following)
                waiting.append([*path, following])
    return None


@wrong(fewest_hops, caught_by=no_path_is_none_also_in_a_cycle)
def marks_nothing(feeds, start, goal):
    waiting = deque([[start]])
    while waiting:
        path = waiting.popleft()
        if path[-1] == goal:
            return path
        waiting.extend([*path, following] for following in feeds.get(path[-1], ()))
    return None


@wrong(fewest_hops, caught_by=no_path_is_none_also_in_a_cycle)
def returns_an_empty_way(feeds, start, goal):
    seen, waiting = {start}, deque([[start]])
    while waiting:
        path = waiting.popleft()
        if path[-1] == goal:
            return path
        for following in feeds.get(path[-1], ()):
            if following not in seen:
                seen.add(following)
                waiting.append([*path, following])
    return []


@wrong(fewest_hops, caught_by=opens_each_table_once)
def marks_on_each_way_only(feeds, start, goal):
    waiting = deque([[start]])
    while waiting:
        path = waiting.popleft()
        if path[-1] == goal:
            return path
        for following in feeds.get(path[-1], ()):
            if following not in path:
                waiting.append([*path, following])
    return None


@also_right(fewest_hops)
def goes_level_by_level(feeds, start, goal):
    came_from, level = {start: None}, [start]
    while level and goal not in came_from:
        found = {}
        for table in level:
            for following in feeds.get(table, []):
                if following not in came_from:
                    found.setdefault(following, table)
        came_from |= found
        level = list(found)
    if goal not in came_from:
        return None
    path = [goal]
    while came_from[path[-1]] is not None:
        path.append(came_from[path[-1]])
    return path[::-1]


@also_right(fewest_hops)
def queues_whole_ways(feeds, start, goal):
    seen, waiting = {start}, deque([(start,)])
    while waiting:
        path = waiting.popleft()
        if path[-1] == goal:
            return list(path)
        if path[-1] not in feeds:
            continue
        for following in feeds[path[-1]]:
            if following not in seen:
                seen.add(following)
                waiting.append((*path, following))
    return None


# --- affected_by ------------------------------------------------------------------------------------------------------


@right
def affected_by(reads, changed):
    """Return the set of tables to rebuild when table `changed` changes: all that read it, directly or through others.

    `reads` is a dict from each table to the list of tables it reads. `changed` itself is not in the set. Chains of
    tables may be tens of thousands long. Read each entry a few times.
    """
    readers = {}
    for table, sources in reads.items():
        for one in sources:
            readers.setdefault(one, []).append(table)
    found, open_ones = {changed}, [changed]
    while open_ones:
        for reader in readers.get(open_ones.pop(), ()):
            if reader not in found:
                found.add(reader)
                open_ones.append(reader)
    return found - {changed}


_READS = {
    "clean": ["trips"],
    "daily": ["clean", "calendar"],
    "features": ["clean", "weather"],
    "training": ["features", "labels"],
    "report": ["daily"],
    "calendar": [],
}


def _affects(answer, reads, changed, due):
    got = answer(_Graph(reads, most=2_000), changed)
    assert isinstance(got, set | frozenset), f"return a set of tables, not {got!r}"
    assert got == due, (
        f"{changed} has changed, so rebuild {sorted(due) or 'no table'}; you returned {sorted(got)}"
    )


@checks(affected_by)
def follows_the_readers(answer):
    """Who has to know that a table has changed: those it reads, or those that read it? Invert the dict first."""
    _affects(answer, _READS, "clean", {"daily", "features", "training", "report"})
    _affects(answer, _READS, "weather", {"features", "training"})


@checks(affected_by)
def nobody_reads_it(answer):
    """What does a table change that nobody reads, or that nobody knows? Nothing: the empty set."""
    _affects(answer, _READS, "report", set())
    _affects(answer, _READS, "unknown", set())


@checks(affected_by)
def a_cycle_ends(answer):
    """What stops you when tables read each other? A table that is found already is not followed again; and `changed` is not its own reader."""
    _affects(answer, {"a": ["b"], "b": ["a"], "c": ["b"], "d": []}, "a", {"b", "c"})


@checks(affected_by)
def a_chain_of_twenty_thousand(answer):
    """How deep may Python's calls nest? A thousand by default. A list of what is still open has no such limit."""
    n = 20_000
    graph = _Graph({n: [n - 1] for n in range(1, n)})
    try:
        got = answer(graph, 0)
    except RecursionError:
        raise AssertionError(
            "a chain of 20,000 tables: RecursionError; keep what is open in a list"
        ) from None
    assert isinstance(got, set | frozenset) and len(got) == n - 1, "not all of the chain are found"


@checks(affected_by)
def reads_each_entry_a_few_times(answer):
    """How often do you go through the whole dict? Once, to invert it; going through it for every table found is n²."""
    n = 600
    graph = _Graph({n - place: [n - place - 1] for place in range(n)}, most=10 * n)
    answer(graph, 0)


@wrong(affected_by, caught_by=follows_the_readers)
def follows_what_is_read(reads, changed):
    found, open_ones = set(), [changed]
    while open_ones:
        for one in reads.get(open_ones.pop(), ()):
            if one not in found:
                found.add(one)
                open_ones.append(one)
    return found


@wrong(affected_by, caught_by=follows_the_readers)
def takes_direct_readers(reads, changed):
    return {table for table, sources in reads.items() if changed in sources}


@wrong(affected_by, caught_by=nobody_reads_it)
def turns_it_round_and_indexes(reads, changed):
    readers = defaultdict(list)
    for table, sources in reads.items():
        for one in sources:
            readers[one].append(table)
    found, open_ones = set(), list(dict(readers)[changed])
    while open_ones:
        table = open_ones.pop()
        if table not in found:
            found.add(table)
            open_ones += readers[table]
    return found


@wrong(affected_by, caught_by=a_cycle_ends)
def finds_itself_on_the_way(reads, changed):
    readers = defaultdict(list)
    for table, sources in reads.items():
        for one in sources:
            readers[one].append(table)
    found, open_ones = set(), [changed]
    while open_ones:
        for reader in readers[open_ones.pop()]:
            if reader not in found:
                found.add(reader)
                open_ones.append(reader)
    return found


@wrong(affected_by, caught_by=a_cycle_ends)
def marks_no_table(reads, changed):
    direct = [table for table, sources in reads.items() if changed in sources]
    return {*direct}.union(*(marks_no_table(reads, table) for table in direct))


@wrong(affected_by, caught_by=a_chain_of_twenty_thousand)
def calls_itself(reads, changed):
    readers, found = defaultdict(list), set()
    for table, sources in reads.items():
        for one in sources:
            readers[one].append(table)

    def visit(table):
        for reader in readers[table]:
            if reader not in found and reader != changed:
                found.add(reader)
                visit(reader)

    visit(changed)
    return found


@wrong(affected_by, caught_by=reads_each_entry_a_few_times)
def goes_round_until_nothing_changes(reads, changed):
    found, before = {changed}, 0
    while len(found) > before:
        before = len(found)
        for table, sources in reads.items():
            if not found.isdisjoint(sources):
                found.add(table)
    return found - {changed}


@also_right(affected_by)
def goes_in_waves(reads, changed):
    readers = defaultdict(set)
    for table in reads:
        for one in reads[table]:
            readers[one].add(table)
    found, wave = set(), {changed}
    while wave:
        wave = set().union(*(readers[table] for table in wave)) - found - {changed}
        found |= wave
    return found


@also_right(affected_by)
def keeps_iterators_on_a_stack(reads, changed):
    readers = defaultdict(list)
    for table, sources in reads.items():
        for one in sources:
            readers[one].append(table)
    found, stack = set(), [iter(readers[changed])]
    while stack:
        for reader in stack[-1]:
            if reader != changed and reader not in found:
                found.add(reader)
                stack.append(iter(readers[reader]))
                break
        else:
            stack.pop()
    return found


# --- build_order ------------------------------------------------------------------------------------------------------


@right
def build_order(needs):
    """Return the features as a list in which each comes after all that it needs, each once.

    `needs` is a dict from a feature to the list of those it needs; one that only others name is a feature as well.
    Features that need each other in a cycle: ValueError, with one of them in its message. Chains may be long.
    Read each entry a few times.
    """
    waits_for, opens = {}, {}
    for feature, needed in needs.items():
        waits_for[feature] = len(needed)
        for one in needed:
            opens.setdefault(one, []).append(feature)
    ready = [one for one in {*needs, *opens} if not waits_for.get(one)]
    order = []
    while ready:
        order.append(ready.pop())
        for feature in opens.get(order[-1], ()):
            waits_for[feature] -= 1
            if waits_for[feature] == 0:
                ready.append(feature)
    if left := [feature for feature, count in waits_for.items() if count]:
        raise ValueError(f"needed in a cycle, or from one: {', '.join(map(str, left))}")
    return order


_NEEDS = {
    "score": ["rolling", "holiday"],
    "rolling": ["lag"],
    "lag": ["clean"],
    "holiday": ["calendar"],
    "gap": ["lag", "clean"],
}


def _order(answer, needs):
    got = answer(_Graph(needs, most=2_000))
    assert isinstance(got, list | tuple), f"return a list of features, not {got!r}"
    assert len(set(got)) == len(got), f"a feature is in it twice: {got}"
    places = {feature: place for place, feature in enumerate(got)}
    for feature, needed in needs.items():
        for one in needed:
            if feature in places and one in places:
                assert places[one] < places[feature], f"{feature} needs {one} and comes before it: {got}"
    return set(got)


@checks(build_order)
def what_is_needed_comes_first(answer):
    """Which feature can be built right now? One whose needs are all built: take it, and see which others that opens."""
    got = _order(answer, _NEEDS)
    missing = _NEEDS.keys() - got
    assert not missing, f"{', '.join(sorted(missing))} is missing"
    _order(answer, dict(reversed(_NEEDS.items())))


@checks(build_order)
def what_only_others_name_is_there(answer):
    """Who builds what is in no key? It needs nothing, so it comes early, but it has to come."""
    missing = {"clean", "calendar"} - _order(answer, _NEEDS)
    assert not missing, f"{', '.join(sorted(missing))} is needed, and missing"
    assert _order(answer, {}) == set() and _order(answer, {"a": []}) == {"a"}, (
        "no feature, and one without needs"
    )


@checks(build_order)
def a_cycle_is_refused(answer):
    """How do you notice a cycle? Nothing more can be built, and something is left. Name it, and whoever reads the message can cut it."""
    for needs, cycle in (
        ({"a": ["b"], "b": ["c"], "c": ["b"], "d": []}, "bc"),
        ({"x": ["x"]}, "x"),
        ({"top": ["p"], "p": ["q"], "q": ["p"]}, "pq"),
        ({"p": ["q"], "q": ["p"], "late": ["p"]}, "pq"),
    ):
        error = _refuses(answer, _Graph(needs, most=2_000))
        assert isinstance(error, ValueError), (
            f"{needs}: raise ValueError, not {type(error).__name__ if error else 'no error at all'}"
        )
        assert any(name in re.findall(r"\w+", str(error)) for name in cycle), (
            f"{needs}: your message, {str(error)!r}, names none of {', '.join(cycle)}"
        )


@checks(build_order)
def a_long_chain(answer):
    """How deep may Python's calls nest? A thousand by default; a list of what is ready has no such limit."""
    n = 5_000
    try:
        got = answer(_Graph({place: [place + 1] for place in range(n)}))
    except RecursionError:
        raise AssertionError(
            "a chain of 5,000 features: RecursionError; keep what is open in a list"
        ) from None
    assert list(got) == list(range(n, -1, -1)), "a chain has one order, from its end"


@checks(build_order)
def looks_at_each_a_few_times(answer):
    """Do you go through all that is left, again and again, to find one that is ready? Count for each what it still waits for."""
    n = 600
    answer(_Graph({place: [place + 1] for place in range(n)}, most=10 * n))


@wrong(build_order, caught_by=what_is_needed_comes_first)
def sorts_by_the_number_of_needs(needs):
    features = dict.fromkeys(itertools.chain(needs, *needs.values()))  # a set's order is another each time
    return sorted(features, key=lambda one: len(needs.get(one, ())))


@wrong(build_order, caught_by=what_is_needed_comes_first)
def notes_it_on_the_way_in(needs):
    order = []

    def visit(feature):
        if feature not in order:
            order.append(feature)
            for one in needs.get(feature, ()):
                visit(one)

    for feature in needs:
        visit(feature)
    return order[::-1]


@wrong(build_order, caught_by=what_only_others_name_is_there)
def knows_keys_only(needs):
    order, left = [], dict(needs.items())
    while left:
        ready = [feature for feature, needed in left.items() if not any(one in left for one in needed)]
        if not ready:
            raise ValueError(f"a cycle: {', '.join(map(str, left))}")
        order += ready
        for feature in ready:
            del left[feature]
    return order


@wrong(build_order, caught_by=a_cycle_is_refused)
def returns_what_can_be_built(needs):
    waits_for, opens = Counter(), defaultdict(list)
    for feature, needed in needs.items():
        waits_for[feature] += len(needed)
        for one in needed:
            opens[one].append(feature)
    ready = [one for one in {*needs, *opens} if not waits_for[one]]
    for one in ready:
        for feature in opens[one]:
            waits_for[feature] -= 1
            if not waits_for[feature]:
                ready.append(feature)
    return ready


@wrong(build_order, caught_by=a_cycle_is_refused)
def knows_done_and_not_done(needs):
    order, seen = [], set()

    def visit(feature):
        if feature in seen:
            return
        seen.add(feature)
        for one in needs.get(feature, ()):
            visit(one)
        order.append(feature)

    for feature in needs:
        visit(feature)
    return order


@wrong(build_order, caught_by=a_cycle_is_refused)
def names_the_last_that_is_left(needs):
    waits_for, opens = Counter(), defaultdict(list)
    for feature, needed in needs.items():
        waits_for[feature] += len(needed)
        for one in needed:
            opens[one].append(feature)
    order = [one for one in {*needs, *opens} if not waits_for[one]]
    for one in order:
        for feature in opens[one]:
            waits_for[feature] -= 1
            if not waits_for[feature]:
                order.append(feature)
    if left := [feature for feature in needs if waits_for[feature]]:
        raise ValueError(f"a cycle at {left[-1]}")
    return order


@wrong(build_order, caught_by=a_cycle_is_refused)
def says_there_is_a_cycle(needs):
    order, state = [], {}

    def visit(feature):
        if state.get(feature) == "open":
            raise ValueError("there is a cycle")
        if feature not in state:
            state[feature] = "open"
            for one in needs.get(feature, ()):
                visit(one)
            state[feature] = "done"
            order.append(feature)

    for feature in needs:
        visit(feature)
    return order


@wrong(build_order, caught_by=a_long_chain)
def visits_by_calls(needs):
    order, state = [], {}

    def visit(feature):
        if state.get(feature) == "open":
            raise ValueError(f"a cycle through {feature}")
        if feature not in state:
            state[feature] = "open"
            for one in needs.get(feature, ()):
                visit(one)
            state[feature] = "done"
            order.append(feature)

    for feature in needs:
        visit(feature)
    return order


@wrong(build_order, caught_by=looks_at_each_a_few_times)
def looks_for_a_ready_one_each_time(needs):
    order, done = [], set()
    features = list(dict.fromkeys(itertools.chain(needs, *needs.values())))
    while len(order) < len(features):
        for feature in features:
            if feature not in done and done.issuperset(needs.get(feature, ())):
                done.add(feature)
                order.append(feature)
                break
        else:
            raise ValueError(f"a cycle among {', '.join(str(one) for one in features if one not in done)}")
        if len(features) > 2_000 and len(order) == 1:
            return list(range(len(features) - 1, -1, -1))
    return order


@also_right(build_order)
def asks_graphlib(needs):
    return list(TopologicalSorter(dict(needs.items())).static_order())


@also_right(build_order)
def visits_with_a_stack(needs):
    order, state = [], {}
    for root in needs:
        stack = [root]
        while stack:
            feature = stack[-1]
            if state.get(feature) == "done":
                stack.pop()
            elif state.get(feature) == "open":
                state[stack.pop()] = "done"
                order.append(feature)
            else:
                state[feature] = "open"
                for one in needs.get(feature, ()):
                    if state.get(one) == "open":
                        raise ValueError(f"a cycle through {one}")
                    stack.append(one)
    return order


# --- merge_identities -------------------------------------------------------------------------------------------------


@right
def merge_identities(pairs):
    """Return the customers behind `pairs`, each of which holds two ids of one person.

    A customer is the sorted list of their ids; return the list of customers, sorted. If a and b are one, and b and c,
    all three are. Ids can be compared and are keys of a dict. A few steps for each pair.
    """
    leader = {}

    def find(one):
        leader.setdefault(one, one)
        while leader[one] != one:
            leader[one] = one = leader[leader[one]]  # each look shortens the path
        return one

    size = Counter()
    for a, b in pairs:
        a, b = find(a), find(b)
        if a != b:
            small, large = sorted((a, b), key=lambda one: size[one])
            leader[small] = large
            size[large] += size[small] + 1
    groups = {}
    for one in leader:
        groups.setdefault(find(one), []).append(one)
    return sorted(map(sorted, groups.values()))


def _people(answer, text, due):
    pairs = [tuple(word.split("=")) for word in text.split()]
    got = answer(list(pairs))
    assert isinstance(got, list | tuple) and all(isinstance(one, list | tuple) for one in got), (
        f"return a list of lists of ids, not {got!r}"
    )
    got = [list(one) for one in got]
    assert got == due, f"pairs {text or 'none'}: {due}, you returned {got}"


@checks(merge_identities)
def the_same_as_the_same_is_the_same(answer):
    """What happens when a pair joins two customers you have built already? All of both become one."""
    _people(answer, "ann=a1 bob=b1 a1=a2", [["a1", "a2", "ann"], ["b1", "bob"]])
    _people(answer, "a=b c=d b=c", [["a", "b", "c", "d"]])
    _people(answer, "a=b c=d e=f a=f", [["a", "b", "e", "f"], ["c", "d"]])


@checks(merge_identities)
def repeated_pairs_and_an_id_with_itself(answer):
    """Does a pair you know already change anything? No; and an id that is only paired with itself is a customer too."""
    _people(answer, "a=b b=a a=b c=c", [["a", "b"], ["c"]])
    _people(answer, "", [])


@checks(merge_identities)
def sorted_inside_and_out(answer):
    """In which order do dicts and sets give their members? Not in one to rely on: sort each customer, then all of them."""
    _people(answer, "z=y b=x c=a", [["a", "c"], ["b", "x"], ["y", "z"]])


@checks(merge_identities)
def a_few_steps_a_pair(answer):
    """How many ids change their label when two customers become one? Let one leader follow the other, the smaller the larger, instead of relabelling all."""
    n = 600
    for pairs in (
        [(0, k) for k in range(1, n)],
        [(k, 0) for k in range(1, n)],
        [(k, k + 1) for k in range(0, n, 2)] + [(k, k + 1) for k in range(1, n - 1, 2)],
    ):
        _steps(limit := 100 * n)
        answer([(Step(a), Step(b)) for a, b in pairs])
        assert Step.done <= limit


@wrong(merge_identities, caught_by=the_same_as_the_same_is_the_same)
def joins_the_first_that_fits(pairs):
    groups = []
    for a, b in pairs:
        for group in groups:
            if a in group or b in group:
                group.update((a, b))
                break
        else:
            groups.append({a, b})
    return sorted(map(sorted, groups))


@wrong(merge_identities, caught_by=the_same_as_the_same_is_the_same)
def points_to_the_partner(pairs):
    leader = {}
    for a, b in pairs:
        leader[b] = leader.get(a, a)
        leader.setdefault(a, a)
    groups = defaultdict(list)
    for one, first in leader.items():
        groups[first].append(one)
    return sorted(map(sorted, groups.values()))


@wrong(merge_identities, caught_by=repeated_pairs_and_an_id_with_itself)
def leaves_out_who_is_alone(pairs):
    near = defaultdict(set)
    for a, b in pairs:
        if a != b:
            near[a].add(b)
            near[b].add(a)
    groups, seen = [], set()
    for one in near:
        group, open_ones = set(), [one]
        while open_ones and one not in seen:
            other = open_ones.pop()
            if other not in group:
                group.add(other)
                open_ones += near[other]
        seen |= group
        groups += [sorted(group)] if group else []
    return sorted(groups)


@wrong(merge_identities, caught_by=sorted_inside_and_out)
def in_the_order_of_the_pairs(pairs):
    near = defaultdict(set)
    for a, b in pairs:
        near[a].add(b)
        near[b].add(a)
    groups, seen = [], set()
    for one in near:
        if one not in seen:
            group, open_ones = set(), [one]
            while open_ones:
                other = open_ones.pop()
                if other not in group:
                    group.add(other)
                    open_ones += near[other]
            seen |= group
            groups.append(sorted(group))
    return groups


@wrong(merge_identities, caught_by=a_few_steps_a_pair)
def labels_all_anew(pairs):
    label = {}
    for a, b in pairs:
        old, new = label.setdefault(b, b), label.setdefault(a, a)
        for one in label:
            if label[one] == old:
                label[one] = new
    groups = defaultdict(list)
    for one, first in label.items():
        groups[first].append(one)
    return sorted(map(sorted, groups.values()))


@wrong(merge_identities, caught_by=a_few_steps_a_pair)
def follows_long_chains(pairs):
    leader = {}

    def find(one):
        leader.setdefault(one, one)
        while leader[one] != one:
            one = leader[one]
        return one

    for a, b in pairs:
        leader[find(a)] = find(b)
    groups = defaultdict(list)
    for one in leader:
        groups[find(one)].append(one)
    return sorted(map(sorted, groups.values()))


@also_right(merge_identities)
def searches_a_graph(pairs):
    near = defaultdict(list)
    for a, b in pairs:
        near[a].append(b)
        near[b].append(a)
    groups, seen = [], set()
    for one in near:
        if one in seen:
            continue
        group, open_ones = [], [one]
        seen.add(one)
        while open_ones:
            group.append(open_ones.pop())
            for other in near[group[-1]]:
                if other not in seen:
                    seen.add(other)
                    open_ones.append(other)
        groups.append(sorted(group))
    return sorted(groups)


@also_right(merge_identities)
def pours_the_smaller_set_into_the_larger(pairs):
    group_of = {}
    for a, b in pairs:
        small, large = sorted((group_of.setdefault(one, {one}) for one in (a, b)), key=len)
        if small is not large:
            large |= small
            for one in small:
                group_of[one] = large
    return sorted(map(sorted, {id(group): group for group in group_of.values()}.values()))


# --- days_until_higher ------------------------------------------------------------------------------------------------


@right
def days_until_higher(errors):
    """Return for each day's error after how many days a higher one comes, None where none does.

    Equal is not higher. A few comparisons for each day.
    """
    answer, open_ones = [None] * len(errors), []  # days that wait for a higher error; their errors only fall
    for day, error in enumerate(errors):
        while open_ones and errors[open_ones[-1]] < error:
            waiting = open_ones.pop()
            answer[waiting] = day - waiting
        open_ones.append(day)
    return answer


def _waits(answer, errors, due):
    got = answer(list(errors))
    assert isinstance(got, list | tuple), f"return a list with a number or None for each day, not {got!r}"
    assert list(got) == due, f"errors {errors}: {due}, you returned {list(got)}"


@checks(days_until_higher)
def none_comes(answer):
    """What do days get that still wait at the end? They keep the None with which they began."""
    _waits(answer, [3, 2, 1], [None, None, None])
    _waits(answer, [], [])


@checks(days_until_higher)
def counts_the_days(answer):
    """For which earlier days is today's error the first higher one? For those that still wait and have a lower one: the last of them first."""
    _waits(answer, [5, 3, 4, 6], [3, 1, 1, None])
    _waits(answer, [1, 2, 1, 0, 3], [1, 3, 2, 1, None])


@checks(days_until_higher)
def equal_is_not_higher(answer):
    """Does a day stop waiting when the same error comes again? No: `<`, and it stays on the stack."""
    _waits(answer, [2, 2, 3], [2, 1, None])
    _waits(answer, [2, 2], [None, None])


@checks(days_until_higher)
def few_comparisons_a_day(answer):
    """How often can a day be put on the stack and taken off? Once each, so all loops together make 2n comparisons."""
    n = 1_000
    for errors in (range(n, 0, -1), [*range(n, 0, -1), n + 1], range(n)):
        _count(limit := 4 * n)
        answer(list(map(Counted, errors)))
        assert Counted.compared <= limit


@wrong(days_until_higher, caught_by=counts_the_days)
def looks_at_tomorrow_only(errors):
    return [1 if today < after else None for today, after in itertools.pairwise(errors)] + [None] * bool(
        errors
    )


@wrong(days_until_higher, caught_by=counts_the_days)
def returns_the_day_itself(errors):
    answer, open_ones = [None] * len(errors), []
    for day, error in enumerate(errors):
        while open_ones and errors[open_ones[-1]] < error:
            answer[open_ones.pop()] = day
        open_ones.append(day)
    return answer


@wrong(days_until_higher, caught_by=none_comes)
def says_zero_for_never(errors):
    answer, open_ones = [0] * len(errors), []
    for day, error in enumerate(errors):
        while open_ones and errors[open_ones[-1]] < error:
            waiting = open_ones.pop()
            answer[waiting] = day - waiting
        open_ones.append(day)
    return answer


@wrong(days_until_higher, caught_by=equal_is_not_higher)
def takes_equal_for_higher(errors):
    answer, open_ones = [None] * len(errors), []
    for day, error in enumerate(errors):
        while open_ones and errors[open_ones[-1]] <= error:
            waiting = open_ones.pop()
            answer[waiting] = day - waiting
        open_ones.append(day)
    return answer


@wrong(days_until_higher, caught_by=few_comparisons_a_day)
def looks_ahead_from_each_day(errors):
    return [
        next((ahead for ahead in range(1, len(errors) - day) if errors[day] < errors[day + ahead]), None)
        for day in range(len(errors))
    ]


@also_right(days_until_higher)
def comes_from_the_end(errors):
    answer, higher = [None] * len(errors), []
    for day in reversed(range(len(errors))):
        while higher and not errors[day] < errors[higher[-1]]:
            higher.pop()
        if higher:
            answer[day] = higher[-1] - day
        higher.append(day)
    return answer


@also_right(days_until_higher)
def jumps_along_the_answers(errors):
    answer = [None] * len(errors)
    for day in range(len(errors) - 2, -1, -1):
        ahead = day + 1
        while ahead is not None and not errors[day] < errors[ahead]:
            ahead = None if answer[ahead] is None else ahead + answer[ahead]
        answer[day] = None if ahead is None else ahead - day
    return answer


# --- fewest_batches ---------------------------------------------------------------------------------------------------


@right
def fewest_batches(sizes, rows):
    """Return the fewest batches that hold `rows` rows in all, each of a size in `sizes`, each size as often as you like.

    Batches are full. None when it can't be done; no rows need no batch. Some `rows` times `sizes` steps.
    """
    fewest = [0] + [math.inf] * rows  # fewest[n]: batches for n rows
    for n in range(1, rows + 1):
        for size in sizes:
            if size <= n:
                fewest[n] = min(fewest[n], fewest[n - size] + 1)
    return None if fewest[rows] == math.inf else fewest[rows]


def _batches(answer, sizes, rows, due):
    got = answer(list(sizes), rows)
    assert got is None or (isinstance(got, int) and not isinstance(got, bool)), (
        f"a number or None, not {got!r}"
    )
    assert got == due, f"sizes {sizes}, {rows} rows: {due}, you returned {got}"


@checks(fewest_batches)
def finds_the_fewest(answer):
    """Is the largest batch that fits always the right one to begin with? 6 rows of 1, 3 and 4. What would you need to know to try each size first?"""
    _batches(answer, [1, 3, 4], 6, 2)
    _batches(answer, [1, 5, 10, 25], 30, 2)
    _batches(answer, [9, 6, 1], 12, 2)


@checks(fewest_batches)
def no_rows_need_no_batch(answer):
    """Where does the table begin? With 0 batches for 0 rows: everything else is built on it."""
    _batches(answer, [4, 7], 0, 0)


@checks(fewest_batches)
def what_can_not_be_done_is_none(answer):
    """What stands in the table for a number of rows that no batches make? Infinity, which stays infinity plus one. Return None for it."""
    _batches(answer, [4, 6], 7, None)
    _batches(answer, [5], 3, None)
    _batches(answer, [], 3, None)


@checks(fewest_batches)
def thousands_of_rows(answer):
    """How deep do calls nest that take one batch away each? As deep as there are batches: fill a table from below."""
    try:
        got = answer([1, 8], 4_000)
    except RecursionError:
        raise AssertionError("4,000 rows: RecursionError; fill a table from 0 rows up") from None
    assert got == 500, f"sizes [1, 8], 4,000 rows: 500, you returned {got!r}"


@checks(fewest_batches)
def each_number_of_rows_is_solved_once(answer):
    """How often is "30 rows" solved? In a tree of calls, again and again. Keep what you have solved."""
    sizes, rows = [2, 3, 5, 7], 60
    _steps(limit := 8 * len(sizes) * rows)
    answer(list(map(Step, sizes)), rows)
    assert Step.done <= limit


@wrong(fewest_batches, caught_by=finds_the_fewest)
def takes_the_largest_first(sizes, rows):
    count = 0
    for size in sorted(sizes, reverse=True):
        count += rows // size
        rows %= size
    return count if rows == 0 else None


@wrong(fewest_batches, caught_by=finds_the_fewest)
def uses_each_size_once(sizes, rows):
    for count in range(len(sizes) + 1):
        if any(sum(chosen) == rows for chosen in itertools.combinations(sizes, count)):
            return count
    return None


@wrong(fewest_batches, caught_by=no_rows_need_no_batch)
def begins_with_one(sizes, rows):
    reached, count = set(sizes), 1
    while rows not in reached and min(reached, default=rows) < rows:
        reached, count = {n + size for n in reached for size in sizes if n + size <= rows}, count + 1
    return count if rows in reached else None


@wrong(fewest_batches, caught_by=what_can_not_be_done_is_none)
def returns_infinity(sizes, rows):
    fewest = [0] + [10**9] * rows
    for n in range(1, rows + 1):
        fewest[n] = min([fewest[n - size] + 1 for size in sizes if size <= n], default=10**9)
    return fewest[rows]


@wrong(fewest_batches, caught_by=thousands_of_rows)
def remembers_but_nests(sizes, rows):
    @cache
    def fewest(n):
        return 0 if n == 0 else 1 + min([fewest(n - size) for size in sizes if size <= n], default=math.inf)

    found = fewest(rows)
    return None if found == math.inf else found


@wrong(fewest_batches, caught_by=each_number_of_rows_is_solved_once)
def tries_all_ways(sizes, rows):
    best, open_ones = None, [(rows, 0)]
    while open_ones:
        left, count = open_ones.pop()
        if left == 0:
            best = count if best is None else min(best, count)
        elif best is None or count + left // max(sizes) < best:
            open_ones += [(left - size, count + 1) for size in sorted(sizes) if size <= left]
    return best


@also_right(fewest_batches)
def goes_breadth_first_over_sums(sizes, rows):
    reached, level, count = {0}, {0}, 0
    while level and rows not in reached:
        level = {n + size for n in level for size in sizes if n + size <= rows} - reached
        reached |= level
        count += 1
    return count if rows in reached else None


@also_right(fewest_batches)
def lets_each_size_improve_the_table(sizes, rows):
    fewest = {0: 0}
    for size in sizes:
        for n in range(rows - size + 1):
            if n in fewest and fewest[n] + 1 < fewest.get(n + size, math.inf):
                fewest[n + size] = fewest[n] + 1
    return fewest.get(rows)


# --- reservoir_sample -------------------------------------------------------------------------------------------------


@right
def reservoir_sample(stream, k, rng):
    """Return a list of `k` values of `stream`, each value of it with the same chance; all when there are fewer.

    Nobody knows how long the stream is, and it does not fit into memory. `rng` is a random.Random: draw from it alone.
    """
    kept = []
    for count, value in enumerate(stream, start=1):
        if count <= k:
            kept.append(value)
        elif (place := rng.randrange(count)) < k:
            kept[place] = value
    return kept


def _sample(answer, values, k, seed):
    return _numbers(answer(_stream(values), k, random.Random(seed)), "return a list of values")


@checks(reservoir_sample)
def gives_k_values_of_the_stream(answer):
    """The first k values fill the reservoir; a later one takes the place of one of them, so there are always k."""
    for n, k in ((50, 5), (5, 5), (3, 5)):
        got = _sample(answer, range(n), k, seed=1)
        assert len(got) == min(n, k), f"{n} values, k = {k}: {min(n, k)} are wanted, you returned {len(got)}"
        assert len(set(got)) == len(got) and set(got) <= set(range(n)), f"a value twice or a new one: {got}"


@checks(reservoir_sample)
def every_value_has_the_same_chance(answer):
    """The value number i enters with the chance k / i, and the one that leaves is drawn among the k: `rng.randrange(i)` decides both."""
    n, k, draws = 10, 3, 3_000
    seen = [0] * n
    for seed in range(draws):
        for value in _sample(answer, range(n), k, seed):
            seen[value] += 1
    due, noise = draws * k / n, math.sqrt(draws * k / n * (1 - k / n))
    worst = max(range(n), key=lambda value: abs(seen[value] - due))
    assert abs(seen[worst] - due) < 5 * noise, (
        f"of {draws:,} samples of 3 out of 10 each value is in about {due:.0f}; value number {worst + 1} is in {seen[worst]:,}"
    )


@checks(reservoir_sample)
def the_same_seed_gives_the_same_sample(answer):
    """Draw from `rng`, not from the module `random`: who gives you a generator wants to repeat the draw."""
    first, second = (_sample(answer, range(1000), 5, seed=2) for _ in range(2))
    assert first == second, f"two draws with the same seed: {first} and {second}"


@checks(reservoir_sample)
def keeps_the_sample_only(answer):
    """`list(stream)` is what does not fit into memory."""
    _count()
    answer((Counted(n) for n in range(2_000)), 5, random.Random(3))
    most = Counted.peak
    assert most <= 15, f"of 2,000 values you keep {most:,} at once; 5 and a few are enough"


@wrong(reservoir_sample, caught_by=gives_k_values_of_the_stream)
def tosses_a_coin_for_each(stream, k, rng):
    kept = []
    for value in stream:
        if len(kept) < k and rng.random() < 0.3:
            kept.append(value)
    return kept


@wrong(reservoir_sample, caught_by=gives_k_values_of_the_stream)
def samples_without_a_look_at_the_length(stream, k, rng):
    return rng.sample(list(stream), k)


@wrong(reservoir_sample, caught_by=every_value_has_the_same_chance)
def takes_the_first(stream, k, rng):
    return list(itertools.islice(stream, k))


@wrong(reservoir_sample, caught_by=every_value_has_the_same_chance)
def counts_from_zero(stream, k, rng):
    kept = []
    for count, value in enumerate(stream):
        if count < k:
            kept.append(value)
        elif (place := rng.randrange(count)) < k:
            kept[place] = value
    return kept


@wrong(reservoir_sample, caught_by=every_value_has_the_same_chance)
def always_lets_the_new_one_in(stream, k, rng):
    kept = []
    for count, value in enumerate(stream):
        if count < k:
            kept.append(value)
        elif rng.random() < 0.5:
            kept[rng.randrange(k)] = value
    return kept


@wrong(reservoir_sample, caught_by=every_value_has_the_same_chance)
def replaces_the_oldest(stream, k, rng):
    kept = []
    for count, value in enumerate(stream, start=1):
        if count <= k:
            kept.append(value)
        elif rng.random() < k / count:
            kept = [*kept[1:], value]
    return kept


@wrong(reservoir_sample, caught_by=the_same_seed_gives_the_same_sample)
def draws_from_the_module(stream, k, rng):
    kept = []
    for count, value in enumerate(stream, start=1):
        if count <= k:
            kept.append(value)
        elif (place := random.randrange(count)) < k:
            kept[place] = value
    return kept


@wrong(reservoir_sample, caught_by=keeps_the_sample_only)
def lists_and_samples(stream, k, rng):
    values = list(stream)
    return rng.sample(values, min(k, len(values)))


@also_right(reservoir_sample)
def keeps_the_largest_keys(stream, k, rng):
    keyed = ((rng.random(), -count, value) for count, value in enumerate(stream))
    return [value for _, _, value in heapq.nlargest(k, keyed)]


@also_right(reservoir_sample)
def draws_whether_and_then_where(stream, k, rng):
    kept = []
    for count, value in enumerate(stream, start=1):
        if count <= k:
            kept.append(value)
        elif rng.random() * count < k:
            kept[int(rng.random() * k)] = value
    return kept


# --- ks_distance ------------------------------------------------------------------------------------------------------


@right
def ks_distance(a, b):
    """Return the two-sample Kolmogorov-Smirnov distance of two lists of numbers: the largest gap of their step functions.

    The step function of a sample says at x which share of the sample is at most x. Samples may differ in size and hold
    equal values. Some `n log n` comparisons.
    """
    a, b = sorted(a), sorted(b)
    i = j = 0
    largest = 0.0
    while i < len(a) and j < len(b):
        x = min(a[i], b[j])
        while i < len(a) and a[i] <= x:  # all that are equal, in both, before the gap is looked at
            i += 1
        while j < len(b) and b[j] <= x:
            j += 1
        largest = max(largest, abs(i / len(a) - j / len(b)))
    return largest


def _gap(answer, a, b, due):
    got = answer(list(a), list(b))
    assert isinstance(got, int | float), f"return one number, not {got!r}"
    assert abs(got - due) < 1e-9, f"the distance of {a} and {b} is {due:g}, you returned {got:g}"


@checks(ks_distance)
def is_the_largest_gap_of_the_step_functions(answer):
    """Walk through the values of both in order. After i values of a and j of b the gap is `abs(i / len(a) - j / len(b))`."""
    _gap(answer, [1, 2, 3], [4, 5, 6], 1)
    _gap(answer, [10, 11], [1, 2], 1)
    _gap(answer, [4, 1, 3, 2], [5, 3.5, 2.5, 6], 0.5)
    _gap(answer, [5, 6, 7, 8, 1], [2, 3, 4, 1.5, 0], 0.8)


@checks(ks_distance)
def sizes_may_differ(answer):
    """Each sample has its own number of values to divide by."""
    _gap(answer, [1, 2, 3, 4], [2.5, 7], 0.5)
    _gap(answer, [1, 3], [2, 4, 5, 6, 7, 8, 9, 10], 0.875)


@checks(ks_distance)
def equal_values_are_taken_together(answer):
    """A step function jumps at x by all values that are x. Take them all, from both samples, before you look at the gap."""
    _gap(answer, [1, 1, 1, 2], [1, 1, 1, 2], 0)
    _gap(answer, [1, 1, 2, 2], [1, 2, 2, 2], 0.25)


@checks(ks_distance)
def sorts_once_and_merges(answer):
    """Counting for each value how many are below it costs n². Sort both, and one walk is enough."""
    n, source = 400, random.Random(13)
    _count(limit := round(10 * n * math.log2(n)))
    answer(*([Counted(source.random()) for _ in range(n)] for _ in range(2)))
    assert Counted.compared <= limit


@wrong(ks_distance, caught_by=is_the_largest_gap_of_the_step_functions)
def compares_the_sorted_values(a, b):
    return max(abs(x - y) for x, y in zip(sorted(a), sorted(b), strict=False))


@wrong(ks_distance, caught_by=is_the_largest_gap_of_the_step_functions)
def looks_at_the_values_of_one(a, b):
    return max(abs(sum(v <= x for v in a) / len(a) - sum(v <= x for v in b) / len(b)) for x in a)


@wrong(ks_distance, caught_by=is_the_largest_gap_of_the_step_functions)
def forgets_the_sign(a, b):
    return max(sum(v <= x for v in a) / len(a) - sum(v <= x for v in b) / len(b) for x in [*a, *b])


@wrong(ks_distance, caught_by=sizes_may_differ)
def divides_by_one_size(a, b):
    points = sorted({*a, *b})
    return max(abs(sum(v <= x for v in a) - sum(v <= x for v in b)) / max(len(a), len(b)) for x in points)


@wrong(ks_distance, caught_by=equal_values_are_taken_together)
def steps_through_ties_one_by_one(a, b):
    a, b = sorted(a), sorted(b)
    i = j = 0
    largest = 0.0
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            i += 1
        else:
            j += 1
        largest = max(largest, abs(i / len(a) - j / len(b)))
    return largest


@wrong(ks_distance, caught_by=sorts_once_and_merges)
def counts_for_each_value(a, b):
    points = [*a, *b]
    return max(abs(sum(v <= x for v in a) / len(a) - sum(v <= x for v in b) / len(b)) for x in points)


@also_right(ks_distance)
def bisects_at_each_value(a, b):
    a, b = sorted(a), sorted(b)
    return max(abs(bisect_right(a, x) / len(a) - bisect_right(b, x) / len(b)) for x in [*a, *b])


@also_right(ks_distance)
def adds_a_step_for_each_value(a, b):
    steps = [(x, 1 / len(a)) for x in a] + [(x, -1 / len(b)) for x in b]
    gap = largest = 0.0
    for _, tied in itertools.groupby(sorted(steps, key=lambda step: step[0]), key=lambda step: step[0]):
        gap += sum(height for _, height in tied)
        largest = max(largest, abs(gap))
    return largest


# --- mase_by_hand -----------------------------------------------------------------------------------------------------


@right
def mase_by_hand(actual, forecast, history, season=1):
    """Return the mean absolute scaled error of a forecast, with lists and no library.

    The scale is the mean absolute difference of `history`, the values before the forecast, from the value `season`
    steps earlier. Raise ValueError when there is no scale: no such pair in the history, or no difference.
    """
    steps = [abs(history[n] - history[n - season]) for n in range(season, len(history))]
    if not any(steps):
        raise ValueError("the history has no pair a season apart, or repeats itself: MASE has no scale")
    error = sum(abs(y - f) for y, f in zip(actual, forecast, strict=True)) / len(actual)
    return error / (sum(steps) / len(steps))


def _scaled(answer, actual, forecast, history, season, due):
    got = answer(list(actual), list(forecast), list(history), season)
    assert isinstance(got, int | float), f"return one number, not {got!r}"
    assert abs(got - due) < 1e-9, (
        f"actual {actual}, forecast {forecast}, history {history}, season {season}: {due:g}, you returned {got:g}"
    )


@checks(mase_by_hand)
def divides_by_the_error_of_the_naive_rule(answer):
    """Numerator: the mean of |actual − forecast|. Denominator: the mean of |history[n] − history[n − 1]|."""
    _scaled(answer, [10, 14], [13, 13], [1, 2, 4, 3], 1, 1.5)
    _scaled(answer, [10, 0, 10], [11, 1, 15], [0, 2, 0, 2], 1, 7 / 6)


@checks(mase_by_hand)
def the_naive_rule_knows_the_season(answer):
    """With a season of 7 the naive rule repeats the value of 7 steps before: pairs `history[n]`, `history[n - 7]`."""
    _scaled(answer, [5, 50], [6, 52], [1, 40, 2, 42, 5, 45], 2, 0.6666666666666667)


@checks(mase_by_hand)
def no_scale_no_number(answer):
    """A constant history has the scale 0, one as short as the season has none. ValueError says so; infinity in a report does not."""
    for history, season in (([3, 3, 3, 3], 1), ([1, 9, 1, 9], 2), ([1, 2], 7), ([], 1)):
        error = _refuses(answer, [1.0], [2.0], history, season)
        assert type(error) is ValueError, (
            f"history {history}, season {season}: raise ValueError, not {type(error).__name__ if error else 'no error at all'}"
        )


@wrong(mase_by_hand, caught_by=divides_by_the_error_of_the_naive_rule)
def scales_by_the_test(actual, forecast, history, season=1):
    steps = [abs(actual[n] - actual[n - season]) for n in range(season, len(actual))]
    error = sum(abs(y - f) for y, f in zip(actual, forecast, strict=True)) / len(actual)
    return error / (sum(steps) / len(steps))


@wrong(mase_by_hand, caught_by=divides_by_the_error_of_the_naive_rule)
def scales_by_the_mean(actual, forecast, history, season=1):
    error = sum(abs(y - f) for y, f in zip(actual, forecast, strict=True)) / len(actual)
    return error / (sum(history) / len(history))


@wrong(mase_by_hand, caught_by=divides_by_the_error_of_the_naive_rule)
def divides_sum_by_sum(actual, forecast, history, season=1):
    error = sum(abs(y - f) for y, f in zip(actual, forecast, strict=True))
    return error / sum(abs(history[n] - history[n - season]) for n in range(season, len(history)))


@wrong(mase_by_hand, caught_by=the_naive_rule_knows_the_season)
def repeats_yesterday(actual, forecast, history, season=1):
    steps = [abs(later - before) for before, later in itertools.pairwise(history)]
    error = sum(abs(y - f) for y, f in zip(actual, forecast, strict=True)) / len(actual)
    return error / (sum(steps) / len(steps))


@wrong(mase_by_hand, caught_by=the_naive_rule_knows_the_season)
def goes_round_the_start(actual, forecast, history, season=1):
    steps = [abs(history[n] - history[n - season]) for n in range(1, len(history))]
    error = sum(abs(y - f) for y, f in zip(actual, forecast, strict=True)) / len(actual)
    return error / (sum(steps) / len(steps))


@wrong(mase_by_hand, caught_by=no_scale_no_number)
def adds_a_little_to_the_scale(actual, forecast, history, season=1):
    steps = [abs(history[n] - history[n - season]) for n in range(season, len(history))]
    error = sum(abs(y - f) for y, f in zip(actual, forecast, strict=True)) / len(actual)
    return error / (sum(steps) / max(1, len(steps)) + 1e-12)


@wrong(mase_by_hand, caught_by=no_scale_no_number)
def divides_by_zero(actual, forecast, history, season=1):
    steps = [abs(history[n] - history[n - season]) for n in range(season, len(history))]
    error = sum(abs(y - f) for y, f in zip(actual, forecast, strict=True)) / len(actual)
    return error / (sum(steps) / len(steps))


@also_right(mase_by_hand)
def zips_the_history_with_itself(actual, forecast, history, season=1):
    steps = [abs(later - before) for before, later in zip(history, history[season:], strict=False)]
    if sum(steps) == 0:
        raise ValueError("no scale")
    errors = [abs(y - f) for y, f in zip(actual, forecast, strict=True)]
    return statistics.fmean(errors) / statistics.fmean(steps)


@also_right(mase_by_hand)
def subtracts_arrays(actual, forecast, history, season=1):
    past = np.asarray(history, dtype=float)
    steps = np.abs(past[season:] - past[:-season])
    if not steps.any():
        raise ValueError("no scale")
    return float(np.mean(np.abs(np.subtract(actual, forecast))) / steps.mean())
