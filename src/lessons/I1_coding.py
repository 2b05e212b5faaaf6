# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       values: 400
#       draws: 2000
# ---

# %% [markdown]
# # I1 · Coding
#
# After this walkthrough you can solve a small problem in front of somebody: ask before you type, say what the obvious answer costs in steps, and write the one that holds on the inputs they try next.

# %% [markdown]
# > **You will learn to** ask the questions that change the code · choose the cases before the code · count steps instead of guessing them · answer "and if it does not fit into memory?"
# >
# > **Before you start** [00a · Start here](00a_start_here.ipynb) shows how exercises work; [13b · Walk-forward](13b_walk_forward.ipynb) helps with the last third
# >
# > **Time** fourteen katas of 10 minutes, three a sitting; it runs in under a minute
# >
# > **Interview questions it answers** The median of a stream, as it runs. · The ten largest of a billion. · Join features to events without a leak. · Which model version broke it?

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
values = 2_000  # numbers in the measurements of steps
draws = 10_000  # samples drawn to see whether a draw is fair

# %%
import heapq
import itertools
import math
import random
from bisect import bisect_left
from collections import OrderedDict, deque
from functools import lru_cache

import matplotlib.pyplot as plt
import pandas as pd
from scipy import stats

from course import exercise
from course.data import load_ridership, load_trips
from course.exercise import TODO
from walkforward.plots import PALETTE, use_style

use_style()

# %% [markdown]
# ## Twenty minutes
#
# An interviewer who gives you a kata hardly cares about the kata. They listen for the order in which you do things:
#
# | minutes | you | what is heard |
# |---|---|---|
# | 3 | ask: size, order, duplicates, missing, ties, may I change the input, how often is it called | you have met real data |
# | 2 | write down three cases and their answers: the ordinary one, the empty one, the nasty one | you will know when you are done |
# | 2 | say the obvious answer and what it costs | you don't fall in love with the first idea |
# | 8 | code the better one, talking | somebody could work with you |
# | 3 | walk one case through the code with a finger on the lines | you check before others have to |
# | 2 | cost in steps and memory, and what you would do if it were a stream | you think beyond the page |
#
# Each kata below goes this way: the request, your questions, the cases, then **the obvious answer executed on the input that breaks it**, what to say, and your turn. Fill the stub before you open the solution; the check tries the inputs that an interviewer tries.
#
# ## Steps, not seconds
#
# Seconds depend on the machine, and on a whiteboard there is none. Count instead: comparisons, reads, calls, values kept. A number that counts is a class of ten lines.


# %%
class Counted:
    """A number that counts comparisons, and how many of its kind are kept at the same time."""

    compared = kept = most = 0

    def __init__(self, value: float) -> None:
        self.value = value
        Counted.kept += 1
        Counted.most = max(Counted.most, Counted.kept)

    def __del__(self) -> None:
        Counted.kept -= 1

    def __lt__(self, other: "Counted") -> bool:
        Counted.compared += 1
        return self.value < other.value


def steps(function, numbers) -> tuple[int, int]:
    """Give `function` a stream of numbers; return its comparisons, and how many numbers it kept at most."""
    Counted.compared = Counted.kept = Counted.most = 0
    function(Counted(number) for number in numbers)
    return Counted.compared, Counted.most


# %% name="doubling"
numbers = random.Random(1).choices(range(10**9), k=2 * values)
for name, function in {"max": max, "sorted": sorted}.items():
    once, twice = steps(function, numbers[:values])[0], steps(function, numbers)[0]
    print(f"{name}: {once:,} comparisons, for twice as many values {twice / once:.2f} times that")
print(f"n log n foretells {2 * math.log2(2 * values) / math.log2(values):.2f}")

# %% [markdown]
# **The doubling test**: double the input and divide. 2 means steps in proportion to n; a little over 2, here 2.21<!-- =doubling: sorted: .* values ([\d.]+) -->, is n log n; 4 is n². Say it in this form: "twice the data, four times the work". The class works in any interview with a keyboard, and
# the checks below use one like it.

# %% [markdown]
# ## The middle of an array
#
# *"Give me the middle element."*
#
# **You ask.** Middle by position or by value, which would be the median? *By position.* Of an even number? *The first of the two.* An empty one? *Tell me.*
#
# **Cases**: `[a, b, c]` → b, `[a, b]` → a, `[]` → an error that says so.
#
# The obvious answer divides the length by two and rounds:

# %% name="rounds"
for n in (3, 5, 7, 9):
    print(f"{n} elements: round gives place {round(n / 2)}, the middle is place {n // 2}")

# %% [markdown]
# Right for 5 and 9, wrong for 3 and 7: Python rounds a half to the even neighbour. Whoever tried one example tried 5. Integer division has no such moods: `(n - 1) // 2`.
#
# **Listened for**: that you ask before you sort; the off-by-one worked out on two elements, not guessed; one read, since an index costs the same at any place.
#
# **Next question**: *and in a DataFrame?* `iloc`, by position; `loc` would take a label.

# %% exercise="middle_element"
# %%
exercise.check(middle_element)

# %% [markdown]
# ## The middle of a linked list, in one pass
#
# *"Now it is a linked list, and I want one pass."*
#
# **You ask.** Do I know the length? *No.* May I keep a copy? *No.*
#
# **Cases**: no node, one, two, three.
#
# Count first, then walk half the way:


# %% name="two_passes"
class Node:
    """A node that counts how often somebody moved on from it."""

    moves = 0

    def __init__(self, value: int, following: "Node | None") -> None:
        self.value, self.following = value, following

    @property
    def next(self) -> "Node | None":
        Node.moves += 1
        return self.following


head = None
for value in reversed(range(values)):
    head = Node(value, head)
node, length = head, 0
while node is not None:
    node, length = node.next, length + 1
first_pass, node = Node.moves, head
for _ in range((length - 1) // 2):
    node = node.next
print(f"value {node.value}: {first_pass:,} moves to count, {Node.moves - first_pass:,} more to the middle")

# %% [markdown]
# The answer they want is two pointers, one going a node at a time, the other two. Now say what few candidates say: **it makes as many moves**, n by the fast pointer and n/2 by the slow one. What it buys is that the middle is known the moment the end is seen. That matters when the list grows under
# your feet or the first half must be cut off right there. It does not make a stream of it: the slow pointer reads nodes that the fast one has passed.
#
# **Listened for**: the loop's condition, said aloud for two nodes; `fast.next.next` is safe only after `fast.next`.
#
# **Next question**: *the third from the end?* The same pair, three nodes apart.

# %% exercise="middle_node"
# %%
exercise.check(middle_node)

# %% [markdown]
# ## The running median
#
# *"Latencies come in. After each, the median so far."*
#
# **You ask.** How many? *Millions a day.* Exact? *Yes, for now.* Of an even number? *The mean of the two.*
#
# **Cases**: 5, 1, 4, 2 → 5, 3, 4, 3.
#
# The obvious answer sorts again after each value; a better one keeps the list sorted and inserts.


# %% name="medians"
def sort_again(stream) -> None:
    seen = []
    for number in stream:
        seen.append(number)
        seen.sort()


def insert(stream) -> int:
    """Keep a sorted list; return how many entries had to move aside."""
    seen, moved = [], 0
    for number in stream:
        place = bisect_left(seen, number)
        moved += len(seen) - place
        seen.insert(place, number)
    return moved


sizes = [values // 8, values // 4, values // 2, values]
rows = {n: [steps(sort_again, numbers[:n])[0], steps(insert, numbers[:n])[0]] for n in sizes}
table = pd.DataFrame(rows, index=["sort again", "insert: compared"]).T
table["insert: moved"] = [insert(numbers[:n]) for n in sizes]
table.rename_axis("values").map("{:,}".format)

# %% name="medians_figure"
ax = table.plot(marker="o", color=[PALETTE["red"], PALETTE["blue"], PALETTE["orange"]])
ax.set(xscale="log", yscale="log", xlabel="values in the stream", ylabel="steps")
ax.set_xticks(sizes, [f"{n:,}" for n in sizes])
ax.minorticks_off()
ax.set_title("What you count decides who wins")
plt.show()

# %% [markdown]
# *Figure: steps against the length of the stream, both axes logarithmic. Sorting again and the moved entries of inserting climb steeply and side by side; the comparisons of inserting stay far below and climb gently.*
#
# Sorting again costs n² in all: twice the values, four times the comparisons, although Python's sort notices that all but the last value are in order. `bisect` brings them down from 2,034,000<!-- ~medians[2000, sort again] --> to 19,200<!-- ~medians[2000, insert: compared] -->, and hides the rest: a list makes room by moving entries, 1,014,000<!-- ~medians[2000, insert: moved] --> of them. Count only what your idea
# saves, and your idea always wins. (Those moves are one block copy in C; to a hundred thousand values `insort` is the right tool. Say so.)
#
# Two heaps do without moving: the smaller half with its largest on top, the larger half with its smallest on top, never more than one apart. The median lies on the tops; each value costs some log n steps. Python's heap has the smallest on top, so negate the smaller half; since Python `3.14` `heapq` has max-heaps too.
#
# **Listened for**: invariant first, code second.
#
# **Next question**: *memory is small, the stream endless.* Then the exact median is out; a histogram with fixed bins, a sketch such as t-digest, or the median of a reservoir. *Only the last hour?* Values must leave: a sorted list of the window.

# %% exercise="running_median"
# %%
exercise.check(running_median)

# %% [markdown]
# ## The k largest
#
# *"The ten largest of a billion numbers."*
#
# **You ask.** Do they fit into memory? *No.* Largest first? *Yes.* Duplicates? *Count each.*
#
# **Cases**: fewer than k, k = 0, the same value twice.

# %% name="sorts_everything"
for name, function in {
    "sorted": lambda stream: sorted(stream)[-10:],
    "nlargest": lambda stream: heapq.nlargest(10, stream),
}.items():
    compared, kept = steps(function, numbers)
    print(f"{name}: {compared:,} comparisons, {kept:,} of {len(numbers):,} values kept")

# %% [markdown]
# Sorting keeps everything, and that is what fails: at a billion there is no memory left to wait in. A heap of ten has the **smallest** of the best on top, the one to beat. Most values lose against it and cost one comparison.
#
# Many reach for a max-heap, because they want the largest; then the value to throw out is the one they can't find.
#
# **Listened for**: which end lies on top, and why; that `heapq.nlargest` exists, and that you can write it.
#
# **Next question**: *a hundred machines?* Each sends its ten; merge a thousand. *The ten most frequent?* Counting
# comes first, and the keys may not fit: count-min sketch, or partition by key.

# %% exercise="top_k"
# %%
exercise.check(top_k)

# %% [markdown]
# ## A moving average over a stream
#
# *"A sensor sends a value a second. The mean of the last ten, as it goes."*
#
# **You ask.** Before ten have come? *Nothing.* Does the stream end? *No.* Can values be broken? *It is a sensor.*
#
# **Cases**: fewer values than ten, a width of 1, one broken value.
#
# Summing the window costs ten additions a value; the answer everybody knows keeps a running total, adds the new value and subtracts the
# old one: two. One broken value:


# %% name="running_total"
def with_a_running_total(stream, width: int):
    window, total = deque(), 0.0
    for number in stream:
        window.append(number)
        total += number
        if len(window) > width:
            total -= window.popleft()
        if len(window) == width:
            yield total / width


sensor = [20.7] * 30 + [1e18] + [20.7] * 1_000
*_, last = with_a_running_total(sensor, width=10)
print(f"the last 1,000 values are all 20.7, their running mean is {last:.1f}")

# %% [markdown]
# The broken value left the window 990<!-- given --> values ago, and the mean is still 25.6<!-- =running_total: mean is ([\d.]+) -->. It stays so for good: beside 1e18 a float has no room for 20.7<!-- given -->, so what was added and subtracted meanwhile was rounded away or up. Infinity would be worse, since `inf - inf` is not a number. Sum the window afresh once per `width` values: one addition more for each
# value, and no error outlives two windows.
#
# **Listened for**: `yield`, not a list that waits for the end; what happens before the window is full; that an incremental formula carries its errors along.
#
# **Next question**: *by time, not by count?* The deque holds (time, value) and drops from the left while too old; a window may be empty.

# %% exercise="moving_average"
# %%
exercise.check(moving_average)

# %% [markdown]
# ## Merge intervals
#
# *"Outages as pairs (start, end). How many hours were we down?"*
#
# **You ask.** Sorted? *No.* Overlapping, one inside the other? *Both.* Do 1–2 and 2–3 touch? *They are one.* May I sort your list? *No, it is mine.*
#
# **Cases**: none, one inside another, touching.
#
# Sort by start, and when the next one overlaps, take its end:


# %% name="last_end"
def hours_down(outages) -> int:
    merged = []
    for start, end in sorted(outages):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return sum(end - start for start, end in merged)


print(f"1-4 and 3-6: {hours_down([(1, 4), (3, 6)])} hours")
print(f"0-24 and 2-3: {hours_down([(0, 24), (2, 3)])} hours")

# %% [markdown]
# A short outage inside a long one has made the long one shorter: 3 hours in place of 24. Every example on a whiteboard overlaps in a chain, so nobody sees it. The end is the larger of both.
#
# **Listened for**: why sorting by start makes one comparison enough; n log n by the sort, n after it.
#
# **Next question**: *as a stream, sorted by start?* Keep one open interval, yield it when the next begins later. *The most at the same time?* Sort starts (+1) and ends (−1) and run a sum.

# %% exercise="merge_intervals"
# %%
exercise.check(merge_intervals)

# %% [markdown]
# ## A fair sample of a stream
#
# *"Keep 3 requests for inspection, each with the same chance. Nobody knows how many will come."*
#
# **You ask.** Without replacement? *Yes.* Fewer than three? *All of them.* Repeatable? *Take my generator.*
#
# **Cases**: fewer than three, ten thousand draws from ten values, the same seed twice.
#
# Fill three places; from then on let the new value draw a place among all so far, and if it is one of the three, it sits down there.


# %% name="unfair"
def sample(stream, k: int, rng: random.Random) -> list:
    kept = []
    for count, number in enumerate(stream):
        if count < k:
            kept.append(number)
        elif (place := rng.randrange(count)) < k:
            kept[place] = number
    return kept


rng = random.Random(2)
chosen = itertools.chain.from_iterable(sample(range(10), 3, rng) for _ in range(draws))
shares = pd.Series(chosen).value_counts(normalize=True).sort_index() * 3
print("share of samples that hold each of ten values:")
print(" ".join(f"{share:.2f}" for share in shares))

# %% [markdown]
# Each should be 0.30<!-- given -->. The fourth value has 0.33<!-- =unfair: ^0\.\d+ 0\.\d+ 0\.\d+ ([\d.]+) -->, the first three 0.23<!-- =unfair: ^([\d.]+) -->: counted from 0, it draws among three places and always gets one. Off by one, no error, no warning; a sample of three looks like any other. Only **drawing it thousands of times** shows the fault, and that is the test to offer. Value
# number i must enter with chance k/i; those inside then survive with (1 − 1/i), and by induction all are equal.
#
# **Listened for**: the proof in two sentences, and the test.
#
# **Next question**: *weighted?* Give each a key `random() ** (1 / weight)`, keep the k largest: your heap again. *Two machines?* Keep the counts, draw from both reservoirs in proportion to them.

# %% exercise="reservoir_sample"
# %%
exercise.check(reservoir_sample)

# %% [markdown]
# ## The first bad model version
#
# *"Somewhere in 1,000<!-- given --> versions the model went bad. Evaluating one costs an hour."*
#
# **You ask.** Once bad, always bad? *Yes.* Is the last one bad for sure? *No.* Is the evaluation exact? *Why do you ask?*
#
# **Cases**: the first, the last, none.
#
# Trying one after the other takes weeks; Python's `bisect` halves:


# %% name="flapping"
def search(is_bad) -> tuple[int, int]:
    """Return what bisection finds among 1,000 versions, and how many it evaluated."""
    asked = []

    def evaluate(version: int) -> bool:
        asked.append(version)
        return is_bad(version)

    found = bisect_left(range(1, 1_001), True, key=evaluate) + 1
    return found, len(asked)


for name, is_bad in {
    "bad from 700 on": lambda version: version >= 700,
    "bad 200-400, mended, bad from 700 on": lambda version: 200 <= version <= 400 or version >= 700,
    "none is bad": lambda version: False,
}.items():
    found, hours = search(is_bad)
    print(f"{name}: {found} after {hours} hours")
print(f"log2 of 1,000 is {math.log2(1_000):.2f}")

# %% [markdown]
# Ten hours in place of 700<!-- =flapping: from 700 on: (\d+) -->. The second line is the catch: the first bad version is 200<!-- =flapping: bad (\d+)-400 -->. With a fault that was mended in between, bisection finds *a* change from good to bad, not the first, and does not say so. And it answers 1,001<!-- =flapping: bad: (\d+) --> where none is bad. A noisy metric breaks "once bad, always bad" as well: repeat the evaluation near
# the threshold, or compare with a margin.
#
# **Listened for**: an invariant ("good at `low`, bad at `high`"), from which the loop's end and both updates follow. `low = middle` with the wrong rounding never ends.
#
# **Next question**: *three machines?* Ask three versions at once and cut into four: five rounds in place of ten.

# %% exercise="first_bad"
# %%
exercise.check(first_bad)

# %% [markdown]
# ## Group-by without pandas
#
# *"The mean fare per zone. No pandas."*
#
# **You ask.** Do rows of a zone stand together? *No.* Missing fares? *Yes, None.* More zones than memory? *No, but more rows.*
#
# **Cases**: scattered rows, a zone with nothing but None.
#
# The standard library has a `groupby`:

# %% name="neighbours_only"
fares = [("JFK", 52.0), ("Harlem", 8.0), ("JFK", 60.0), ("Harlem", 12.0), ("JFK", 56.0)]
means = {}
for zone, group in itertools.groupby(fares, key=lambda row: row[0]):
    group = [fare for _, fare in group]
    means[zone] = sum(group) / len(group)
print(means)

# %% [markdown]
# JFK's mean is 56<!-- =neighbours_only: JFK.: ([\d.]+) -->, and that is luck: it is the last fare alone. Harlem's should be 10 and is 12. `itertools.groupby` joins **neighbours**; a group that comes again overwrites the first. It needs sorted rows, n log n and all of them in memory. A dict with a sum and a count per zone needs neither.
#
# **Listened for**: None is not zero; the mean of batch means is not the mean; that you name SQL's rule, `avg` leaves out NULL.
#
# **Next question**: *the median per zone?* No two numbers hold it; keep the values or a sketch. *More zones than memory?* Partition by a hash of the zone, one part at a time: that is what Spark's shuffle does.

# %% exercise="mean_by"
# %%
exercise.check(mean_by)

# %% [markdown]
# ## A point-in-time join
#
# *"Join each customer's status to the day on which we ask our model, and train."*
#
# **You ask.** Which status, the one we have today or the one we had then? *Hm.* When is it written, and may it contain the event itself?
#
# **Cases**: no snapshot yet, one at the same instant, snapshots out of order.
#
# The obvious join goes by the key:

# %% name="from_the_future"
rng, questions, snapshots, left = random.Random(3), [], [], []
for customer in range(1_000):
    day = rng.randrange(100, 200)
    leaves = rng.random() < 0.3  # within a month of the question
    questions.append((customer, day))
    left.append(leaves)
    snapshots.append((customer, day - 50, "active"))
    snapshots.append((customer, day + rng.randrange(1, 30), "closed" if leaves else "active"))

status = {customer: value for customer, _, value in snapshots}
closed = [status[customer] == "closed" for customer, _ in questions]
hits = sum(guess == leaves for guess, leaves in zip(closed, left, strict=True))
late = sum(written > day for (_, written, _), (_, day) in zip(snapshots[1::2], questions, strict=True))
print(f"'closed means leaving' is right for {hits / 10:.0f} % of the customers")
print(f"{late / 10:.0f} % of the joined values were written after the question")

# %% [markdown]
# A perfect score without a model, because each value comes from after the question. On the day it counts every customer is "active", and saying "nobody leaves" is right for 71<!-- =nobody: ([\d]+) % --> %:

# %% name="nobody"
print(f"nobody leaves: right for {100 - sum(left) / 10:.0f} % of the customers")

# %% [markdown]
# The join needs the latest snapshot **before** the question: sort the snapshots of each customer once, halve for each question. And look at the step to the left: when nothing lies before, `rows[place - 1]` is `rows[-1]`, the newest value of all. The index that steps over the start takes you to the future.
#
# **Listened for**: event time against the time at which a row was *written*; `<` against `<=`, decided and said.
#
# **Next question**: *in pandas?* `merge_asof(..., by="customer", allow_exact_matches=False)`, both sides sorted. *As a stream?* Both in order of time: keep the last value per key. *And old values?* A tolerance: a status from two years ago is none.

# %% exercise="as_of_join"
# %%
exercise.check(as_of_join)

# %% [markdown]
# ## A time-aware split
#
# *"Hold out the last fifth."*
#
# **You ask.** Sorted? *Look.* Several rows a day? *Hundreds.* When is a label known? *After a week.*
#
# **Cases**: many rows on the day of the cut, a gap.
#
# Real taxi trips of January 2019:

# %% name="cut_by_count"
trips = load_trips(["2019-01"])
day = trips["pickup_datetime"].dt.day
cut = int(0.8 * len(trips))
print(f"as stored: training reaches day {day[:cut].max()}, the test begins on day {day[cut:].min()}")
day = day.sort_values().reset_index(drop=True)
shared = day[cut]
before, after = (day[:cut] == shared).sum(), (day[cut:] == shared).sum()
print(f"sorted: day {shared} has {before} rows in training and {after} in the test")

# %% [markdown]
# The file is in no order, so a cut by row number is a random split that looks like a split in time. Sorted, it still goes through a day: with its weather, its traffic jam and its marathon in training, the rest of that day is no test. Cut by **day**, and leave out the days whose labels were not there yet.
#
# **Listened for**: time comes from a column, never from the row number; the gap belongs to the label's delay, in days and not in rows.
#
# **Next question**: *one cut or many?* Many, [walking forward](13b_walk_forward.ipynb). *The same customer on both sides?* Fine if you forecast known customers; if not, split by customer too.

# %% exercise="split_by_time"
# %%
exercise.check(split_by_time)

# %% [markdown]
# ## Kolmogorov-Smirnov by hand
#
# *"Did this feature drift? Write the two-sample KS distance, without SciPy."*
#
# **You ask.** Equal sizes? *No.* Ties? *Passenger counts.* The p-value too? *The distance.*
#
# **Cases**: a sample against itself → 0, two that don't overlap → 1.
#
# Sort both and walk: the smaller value steps on, and the distance is the largest gap between the shares passed.


# %% name="ties"
def one_by_one(a: list, b: list) -> float:
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


for column in ("trip_distance", "passenger_count"):
    month = trips[column].tolist()
    truth = stats.ks_2samp(month, month).statistic
    print(f"{column} against itself: one by one {one_by_one(month, month):.2f}, SciPy {truth:.2f}")

# %% [markdown]
# A month against itself has drifted by 0.73<!-- =ties: passenger_count .* one (0\.\d+) -->: while the walk passes all the rides with one passenger in the first sample, it has not moved in the second. Floats with many digits hide it, counts show it. A step function jumps at x by **all** values equal to x, so pass them all, in both samples, before you look at the gap.
#
# **Listened for**: the case "against itself" offered by you; n log n for sorting, n for the walk, against n² for counting at each value.
#
# **Next question**: *a stream?* Histograms with fixed edges give a lower bound. *Is 0.05<!-- given --> much?* That is [another lesson](11c_drift.ipynb): an effect, not a p-value.

# %% exercise="ks_distance"
# %%
exercise.check(ks_distance)

# %% [markdown]
# ## MASE
#
# *"One error for ten thousand series of all sizes."*
#
# **You ask.** Which naive rule is to beat? *Last week.* Is a series ever constant? *Some shops are closed.*
#
# **Cases**: an error equal to the naive rule's → 1, a constant history.
#
# MASE divides the mean absolute error by that of the naive rule. Over which days? The test days are at hand:

# %% name="scaled_by_the_test"
rides = load_ridership().set_index("ds")["y"]
for name, first, last in (("July", "2014-07-21", "2014-08-03"), ("Christmas", "2013-12-16", "2013-12-29")):
    actual, history = rides[first:last], rides[:first][:-1]
    error = (actual - history[-14:].to_numpy()).abs().mean()  # the fortnight before, repeated
    by_test = error / actual.diff(7).abs().mean()
    by_history = error / history.diff(7).abs().mean()
    print(f"{name}: misses by {error:.2f}, scaled by the test {by_test:.2f}, by the history {by_history:.2f}")

# %% [markdown]
# At Christmas the forecast misses by 3.93<!-- =scaled_by_the_test: Christmas: misses by ([\d.]+) --> thousand rides a day, in July by 0.44<!-- =scaled_by_the_test: July: misses by ([\d.]+) -->. Scaled by the test the order is **reversed**: Christmas 0.54<!-- =scaled_by_the_test: Christmas.* test ([\d.]+) -->, July 2.99<!-- =scaled_by_the_test: July.* test ([\d.]+) -->. In a fortnight with a holiday
# the naive rule fails too, so its error forgives everything; in two weeks that happen to be alike it forgives nothing. The history is the same for both: 3.29<!-- =scaled_by_the_test: Christmas.* history ([\d.]+) --> and 0.36<!-- =scaled_by_the_test: July.* history ([\d.]+) --> times the usual miss.
#
# **Listened for**: the history alone, the season's lag, and ValueError for a constant one rather than 1e12 in a mean over shops.
#
# **Next question**: *many series?* The mean of MASE counts each alike; weight it if money decides. *Slow sellers?* Zero differences abound; MASE explodes, pinball loss does not.

# %% exercise="mase_by_hand"
# %%
exercise.check(mase_by_hand)

# %% [markdown]
# ## A cache of models
#
# *"2,000<!-- given --> customers, a model each; five fit into memory. Loading takes seconds."*
#
# **You ask.** What may leave? *What was not used for the longest.* Can a load give None? *For new customers.* Threads? *Later.*
#
# **Cases**: a hit, a full cache, a None.
#
# The shortest code throws out what came first:


# %% name="first_in_first_out"
def first_in_first_out(load, capacity: int):
    kept = OrderedDict()

    def get(key: int) -> None:
        if key not in kept:
            kept[key] = load(key)
            if len(kept) > capacity:
                kept.popitem(last=False)

    return get


customers = range(40)
popular = random.Random(4).choices(customers, weights=[1 / (rank + 1) ** 1.5 for rank in customers], k=5_000)
round_trip = [number % 6 for number in range(5_000)]
for name, asked in {"a few are popular": popular, "six in turn": round_trip}.items():
    for rule, cache in {"first in, first out": first_in_first_out, "least recently used": None}.items():
        loads = []
        get = cache(loads.append, 5) if cache else lru_cache(maxsize=5)(loads.append)
        for key in asked:
            get(key)
        print(f"{name}, {rule}: {len(loads):,} loads for {len(asked):,} requests")

# %% [markdown]
# First in, first out evicts the most popular customer as soon as five others have come after, however often they were asked for meanwhile. Least recently used saves one load in seven. But look at the last line: six customers in turn, room for five, and **every** request loads. The one that leaves is the one that comes next. A cache is a bet on the traffic; measure yours before you name a rule.
#
# **Listened for**: `OrderedDict.move_to_end` on a hit, or a dict and a doubly linked list when they forbid it; `in`, because a None is a value.
#
# **Next question**: *when does a promoted model reach the cache?* The key must hold the version, or entries an age. *Two threads?* A lock for the table and one per key, or the same model is loaded twice.

# %% exercise="keep_recent"
# %%
exercise.check(keep_recent)

# %% [markdown]
# ## Answers on one page
#
# | kata | obvious | better | memory | as a stream |
# |---|---|---|---|---|
# | middle of an array | 1, with the wrong place | 1 | 1 | needs the length |
# | middle of a list | 1.5<!-- given --> n, two passes | 1.5<!-- given --> n, one pass | 1 | no |
# | running median | n² | n log n | n | sketch |
# | k largest | n log n | n log k at worst, near n | k | yes |
# | moving average | n · width | 3 n | width | yes |
# | merge intervals | n² | n log n | n | when sorted |
# | fair sample | everything kept | n | k | yes |
# | first bad version | n calls | log n calls | 1 | no |
# | group-by | groups · n | n | groups | yes |
# | point-in-time join | events · snapshots | (events + snapshots) log n | snapshots | when both are sorted |
# | split in time | random in disguise | n log n | n | a fixed day |
# | KS | n² | n log n | n | histogram |
# | MASE | n, wrong scale | n | season | yes |
# | model cache | capacity per request | 1 per request | capacity | yes |

# %% [markdown]
# ## Take-aways
#
# - I ask about order, ties, missing values, size and ownership of the input before I type, because each of them changes the code.
# - I write down the nasty case first: the empty one, the equal ones, one inside another, a sample against itself.
# - I say cost as "twice the data, four times the work", and I count what my idea pays as well as what it saves.
# - For a stream I keep what the answer needs: k values, a window, a sum and a count. If no few numbers hold it, I say that, and name the sketch.
# - In data science the index error that hurts most does not crash; it takes a value from the future.
#
# ## In an interview
#
# - *The median of a stream, after each value.* Shown in [The running median](#The-running-median).
# - *Join features to events so that nothing leaks.* Shown in [A point-in-time join](#A-point-in-time-join).
# - *Find the version that broke the model, with few evaluations. When does your answer lie?* Shown in [The first bad model version](#The-first-bad-model-version).
#
# All of them, with the points of a good answer: `walkforward practice --kind coding`.
#
# ## Up next
#
# The same manner on a whole system: [I2 · Design](I2_design.ipynb), a dialogue about demand forecasts for ten thousand shops.
