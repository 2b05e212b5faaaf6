"""Exercises of I1, coding: fourteen katas. What is counted are steps, on inputs that count them, never seconds."""

import heapq
import itertools
import math
import random
import statistics
import sys
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict, defaultdict, deque

from course.exercise import checks, right, wrong


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
def leaves_out_one_day_less(times, share, gap=0):
    first = sorted(times)[len(times) - math.ceil(share * len(times))]
    train = [row for row, time in enumerate(times) if time <= first - gap and time < first]
    return train, [row for row, time in enumerate(times) if time >= first]


@wrong(split_by_time, caught_by=the_gap_is_in_neither)
def forgets_the_gap(times, share, gap=0):
    first = sorted(times)[len(times) - math.ceil(share * len(times))]
    train = [row for row, time in enumerate(times) if time < first]
    return train, [row for row, time in enumerate(times) if time >= first]


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


# --- keep_recent ------------------------------------------------------------------------------------------------------


@right
def keep_recent(load, capacity):
    """Return a function `get(key)` that gives what `load(key)` gives, and keeps the `capacity` most recently used.

    Kept values are not loaded again, None included. When one more comes, the one that was not asked for the longest
    goes. The work of a `get` must not grow with `capacity`.
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
