"""Exercises of I1, coding: fourteen katas. What is counted are steps, on inputs that count them, never seconds."""

import heapq
import itertools
import math
import random
import statistics
import sys
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict, defaultdict, deque

from walkforward.exercise import checks, right, wrong


class TooMuch(AssertionError):
    """More steps than the task allows."""


class Counted:
    """A number that counts how often its kind is compared, is added, and how many of it are kept at once."""

    compared = added = alive = peak = 0
    limit = math.inf

    def __init__(self, value):
        self.value = value
        Counted.alive += 1
        Counted.peak = max(Counted.peak, Counted.alive)

    def __del__(self):
        Counted.alive -= 1

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
    Counted.compared = Counted.added = 0
    Counted.peak, Counted.limit = Counted.alive, limit
    return Counted.alive


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
    before = _count()
    answer((Counted(source.random()) for _ in range(n)), k)
    most = Counted.peak - before
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
