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
# After this walkthrough you can solve a small problem in front of somebody: see the pattern behind the request, ask before you type, say what the obvious answer costs in steps, and write the one that holds on the inputs they try next.

# %% [markdown]
# > **You will learn to** recognise eleven patterns · ask the questions that change the code · count steps instead of guessing them · answer "and if it does not fit into memory?"
# >
# > **Before you start** [00a · Start here](00a_start_here.ipynb) shows how exercises work; [13b · Walk-forward](13b_walk_forward.ipynb) helps with the split in time
# >
# > **Time** 340 minutes of study, in 6 sittings; it runs in under a minute
# >
# > **Interview questions it answers** The median of a stream, as it runs. · The ten largest of a billion. · Join features to events without a leak. · Which model version broke it? · In which order are features built?

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
import re
from bisect import bisect_left
from collections import Counter, OrderedDict, deque
from functools import lru_cache

import matplotlib.pyplot as plt
import pandas as pd
from scipy import stats

from course import exercise
from course.data import load_ridership, load_trips
from course.exercise import TODO, clock
from walkforward.plots import PALETTE, use_style

use_style()

# %% [markdown]
# ## The road
#
# Nobody asks for a pattern. They tell a story, and one word in it gives the pattern away. The picture goes from that word to the pattern, and from there to the katas.
#
# ```mermaid
# flowchart LR
#   w1["sorted, linked, in one pass"] --> p1["<b>two pointers</b><br>sitting 1"] --> k1["middle_element<br>middle_node<br>added_and_removed"]
#   w2["longest, last n, per minute"] --> p2["<b>window and queue</b><br>sitting 1 and 3"] --> k2["longest_stretch<br>moving_average<br>rate_limit"]
#   w3["seen before, per user, by key"] --> p3["<b>hash map</b><br>sitting 2"] --> k3["two_invoices<br>mean_by<br>sessions_of<br>keep_recent"]
#   w4["names, lines of text"] --> p4["<b>strings</b><br>sitting 2"] --> k4["snake_case"]
#   w5["largest, median, next of many"] --> p5["<b>heap</b><br>sitting 3"] --> k5["top_k<br>running_median<br>merge_logs"]
#   w6["overlap, latest before, from a day on"] --> p6["<b>sort, then one pass</b><br>sitting 4"] --> k6["merge_intervals<br>as_of_join<br>split_by_time"]
#   w7["first that, smallest that is enough"] --> p7["<b>binary search</b><br>sitting 4"] --> k7["first_bad<br>smallest_capacity"]
#   w8["nested, last opened, next higher"] --> p8["<b>stack</b><br>sitting 5 and 6"] --> k8["self_times<br>days_until_higher"]
#   w9["depends on, reaches, same as"] --> p9["<b>graph</b><br>sitting 5"] --> k9["fewest_hops<br>affected_by<br>build_order<br>merge_identities"]
#   w10["fewest, best, how many ways"] --> p10["<b>dynamic programming</b><br>sitting 6"] --> k10["fewest_batches"]
#   w11["fair, drifted, how wrong"] --> p11["<b>by hand</b><br>sitting 6"] --> k11["reservoir_sample<br>ks_distance<br>mase_by_hand"]
# ```

# %% [markdown]
# ## How to use it
#
# Each kata is a request and a stub. **Try first.** Run the cell with `clock.start` when you begin: you have 15 minutes, and the check says how many you took. What the idea is, what it costs and what they ask next is folded below the check; open it after your first try, right or wrong. `exercise.hint(name)` asks you a question, `exercise.solution(name)` shows ours.
#
# In a terminal, `walkforward kata` lists the katas by pattern and `walkforward kata top_k` opens one in your editor, with the same check.
#
# ## Sitting 1 · Two pointers and a window
#
# **Time** 55 minutes. How a round goes, what a step is, and two indices in place of two loops.
#
# ## Twenty minutes
#
# An interviewer hardly cares about the kata. They listen for the order in which you do things:
#
# | minutes | you | what is heard |
# |---|---|---|
# | 3 | ask: size, order, duplicates, missing, ties, may I change the input, how often is it called | you have met real data |
# | 2 | write down three cases and their answers: the ordinary one, the empty one, the nasty one | you will know when you are done |
# | 2 | say the obvious answer and what it costs | you don't fall in love with the first idea |
# | 8 | code the better one, talking | somebody could work with you |
# | 3 | walk one case through the code with a finger on the lines | you check before others have to |
# | 2 | cost in steps and memory, and what you would do if it were a stream | you think beyond the page |

# %% [markdown]
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


# %%
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
# **The doubling test**: double the input and divide. 2 means steps in proportion to n; a little over 2, here 2.21<!-- =doubling: sorted: .* values ([\d.]+) -->, is n log n; 4 is n². Say it in this form: "twice the data, four times the work". The class works in any interview with a keyboard, and the checks below use one like it.

# %% [markdown]
# ## The middle of an array
#
# *"Give me the middle element."*
#
# **You ask.** Middle by position or by value, which would be the median? *By position.* Of an even number? *The first of the two.* An empty one? *Tell me.*
#
# **Cases**: `[a, b, c]` → b, `[a, b]` → a, `[]` → an error that says so.

# %%
clock.start("middle_element")

# %% exercise="middle_element"

# %%
exercise.check(middle_element)

# %% [markdown] tags=["folded"]
# ### After your first check: the middle of an array
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Work the place out on two and three elements: `(n - 1) // 2`. The obvious answer divides by two and rounds.
#
# **Steps.** One read, since an index costs the same at any place. A slice copies half.
#
# **Listened for**: that you ask before you sort; the off-by-one worked out, not guessed.
#
# **Next question**: *and in a DataFrame?* `iloc`, by position; `loc` would take a label.
#
# </details>

# %% name="rounds"
for n in (3, 5, 7, 9):
    print(f"{n} elements: round gives place {round(n / 2)}, the middle is place {n // 2}")

# %% [markdown]
# Right for 5 and 9, wrong for 3 and 7: Python rounds a half to the even neighbour. Whoever tried one example tried 5.

# %% [markdown]
# ## The middle of a linked list, in one pass
#
# *"Now it is a linked list, and I want one pass."*
#
# **You ask.** Do I know the length? *No.* May I keep a copy? *No.*
#
# **Cases**: no node, one, two, three.

# %%
clock.start("middle_node")

# %% exercise="middle_node"

# %%
exercise.check(middle_node)

# %% [markdown] tags=["folded"]
# ### After your first check: the middle of a linked list, in one pass
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Two pointers, one going a node at a time, the other two. When the fast one is at the end, the slow one is in the middle. The obvious answer counts first, then walks half the way.
#
# **Steps.** As many moves as two passes: n by the fast pointer, n/2 by the slow one. What it buys is that the middle is known the moment the end is seen, which matters when the list grows or must be cut there.
#
# **Listened for**: the loop's condition, said aloud for two nodes; `fast.next.next` is safe only after `fast.next`.
#
# **Next question**: *the third from the end?* The same pair, three nodes apart.
#
# </details>


# %%
class Node:
    """A node that counts how often somebody moved on from it."""

    moves = 0

    def __init__(self, value: int, following: "Node | None") -> None:
        self.value, self.following = value, following

    @property
    def next(self) -> "Node | None":
        Node.moves += 1
        return self.following


# %% name="two_passes"
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
# Say what few candidates say: one pass **makes as many moves**. Nor does it make a stream of the list: the slow pointer reads nodes that the fast one has passed.

# %% [markdown]
# ## Added and removed
#
# *"Two snapshots of a customer table, sorted by id. Which ids came, which went?"*
#
# **You ask.** Is an id unique? *Yes.* Do they fit into memory? *No.* In which order do you want the changes? *By id, as you find them.*
#
# **Cases**: equal tables, one empty, the rest of the longer one.

# %%
clock.start("added_and_removed")

# %% exercise="added_and_removed"

# %%
exercise.check(added_and_removed)

# %% [markdown] tags=["folded"]
# ### After your first check: added and removed
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** One id of each in your hands. The smaller one can't be on the other side any more: it went, or it came. Equal: move both.
#
# **Steps.** n + m moves, two ids kept. Two sets need n + m ids kept, and give no order.
#
# **Listened for**: what is left when one stream ends, and that `None`, 0 or "" may be an id, so the end needs a sign of its own.
#
# **Next question**: *and changed rows?* Carry a hash of the row with the id; equal id, other hash: changed. *Not sorted?* Sort on disk, or partition both by a hash of the id.
#
# </details>

# %% name="place_by_place"
old = list(range(1_001, 2_001))
new = [1_000, *old]  # one customer came
wrong_rows = sum(x != y for x, y in zip(old, new, strict=False))
print(f"compared place by place: {wrong_rows:,} of {len(old):,} rows differ")
print(f"compared id by id: {len(set(new) ^ set(old))}")

# %% [markdown]
# One new row at the front, and a comparison by place reports 1,000<!-- =place_by_place: place: ([\d,]+) of --> changes. Moving only the side with the smaller id is what keeps the two in step.

# %% [markdown]
# ## The longest stretch with few failures
#
# *"What is the longest run of requests with at most 20<!-- given --> failures in it?"*
#
# **You ask.** Must the failures be next to each other? *No.* Exactly 20, or at most? *At most.* No requests? *Then 0.*
#
# **Cases**: no failure allowed, fewer failures than allowed, none.

# %%
clock.start("longest_stretch")

# %% exercise="longest_stretch"

# %%
exercise.check(longest_stretch)

# %% [markdown] tags=["folded"]
# ### After your first check: the longest stretch with few failures
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** A window with a condition: its end moves on with each request; while the condition is broken, its start moves on too. It never moves back.
#
# **Steps.** Each request enters once and leaves once: 2n looks, whatever is allowed. From every start it is n times the length.
#
# **Listened for**: "the start never moves back, and here is why": a window that is too bad stays so when it grows.
#
# **Next question**: *the shortest stretch with at least 20?* The same window, the other way: shrink while it still holds. *Negative numbers in a sum?* Then growing can mend a window, and this pattern is out: running sums and a dict.
#
# </details>

# %% name="from_every_start"
requests = random.Random(8).choices([True, False], weights=[19, 1], k=values)
looks = 0
for first in range(values):
    failures = 0
    for last in range(first, values):
        looks += 1
        failures += not requests[last]
        if failures > 20:
            break
print(f"from every start: {looks:,} looks; with a window at most {2 * values:,}")

# %% [markdown]
# From every start, the looks grow with the length of the stretch: 689,383<!-- =from_every_start: start: ([\d,]+) looks --> for 2,000<!-- given --> requests. The window looks at each request twice, whatever is allowed.

# %% [markdown]
# ## Sitting 2 · Hash maps and strings
#
# **Time** 55 minutes. One look-up in place of a search: the pattern that is asked most.

# %% [markdown]
# ## Two invoices behind a payment
#
# *"The bank shows a payment of 1,250.00<!-- given -->. Which two open invoices does it cover?"*
#
# **You ask.** In cents, so that equal is equal? *Yes.* May one invoice count twice? *No.* Several pairs? *The one that is complete first.* None? *Say None.*
#
# **Cases**: an amount that is half of the payment, the same amount twice.

# %%
clock.start("two_invoices")

# %% exercise="two_invoices"

# %%
exercise.check(two_invoices)

# %% [markdown] tags=["folded"]
# ### After your first check: two invoices behind a payment
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Standing at an amount, you know what the other would have to be. Ask a dict whether it has come, and where; only then put this amount in.
#
# **Steps.** One look-up per amount, n in all. All pairs are n²/2.
#
# **Listened for**: look first, put in second, so that no amount finds itself; cents, because floats round.
#
# **Next question**: *sorted, and no memory?* Two pointers from both ends. *Three invoices?* One loop around this: n². *Any number of them?* That is subset sum: dynamic programming over cents, or say that it is hard.
#
# </details>

# %% name="finds_itself"
amounts, payment = [500, 300], 1_000
place_of = {amount: place for place, amount in enumerate(amounts)}
pairs = [(place, place_of[payment - a]) for place, a in enumerate(amounts) if payment - a in place_of]
print(f"pairs that make {payment}: {pairs}")
print(f"{values:,} amounts: {math.comb(values, 2):,} pairs, {values:,} look-ups")

# %% [markdown]
# A dict that is filled first lets the invoice at place 0 count twice. For 2,000<!-- =finds_itself: ^([\d,]+) amounts --> amounts there are 1,999,000<!-- =finds_itself: amounts: ([\d,]+) pairs --> pairs.

# %% [markdown]
# ## Group-by without pandas
#
# *"The mean fare per zone. No pandas."*
#
# **You ask.** Do rows of a zone stand together? *No.* Missing fares? *Yes, None.* More zones than memory? *No, but more rows.*
#
# **Cases**: scattered rows, a zone with nothing but None.

# %%
clock.start("mean_by")

# %% exercise="mean_by"

# %%
exercise.check(mean_by)

# %% [markdown] tags=["folded"]
# ### After your first check: group-by without pandas
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** A dict with a sum and a count per zone. `itertools.groupby` joins **neighbours**: a group that comes again overwrites the first.
#
# **Steps.** n, and two numbers kept per zone. Sorting first costs n log n, and all rows in memory.
#
# **Listened for**: None is not zero; the mean of batch means is not the mean; that you name SQL's rule, `avg` leaves out NULL.
#
# **Next question**: *the median per zone?* No two numbers hold it; keep the values or a sketch. *More zones than memory?* Partition by a hash of the zone, one part at a time: that is what Spark's shuffle does.
#
# </details>

# %% name="neighbours_only"
fares = [("JFK", 52.0), ("Harlem", 8.0), ("JFK", 60.0), ("Harlem", 12.0), ("JFK", 56.0)]
means = {}
for zone, group in itertools.groupby(fares, key=lambda row: row[0]):
    group = [fare for _, fare in group]
    means[zone] = sum(group) / len(group)
print(means)

# %% [markdown]
# JFK's mean is 56<!-- =neighbours_only: JFK.: ([\d.]+) -->, and that is luck: it is the last fare alone. Harlem's should be 10 and is 12.

# %% [markdown]
# ## Sessions from an event log
#
# *"Cut each user's events into sessions: 30 minutes without an event end one."*
#
# **You ask.** In order of time? *Yes.* Users mixed? *Of course.* Does a pause of exactly 30 minutes end one? *No, only a longer one.* What do you want to know of a session? *First, last, how many.*
#
# **Cases**: two users in turn, a pause as long as the gap, the session that is open when the log ends.

# %%
clock.start("sessions_of")

# %% exercise="sessions_of"

# %%
exercise.check(sessions_of)

# %% [markdown] tags=["folded"]
# ### After your first check: sessions from an event log
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** State per key: a dict from the user to the session that is open. The pause is measured from the user's own last event.
#
# **Steps.** n look-ups; three numbers kept per session, no events.
#
# **Listened for**: whose last event; what becomes of the open ones at the end; `>` against `>=`, said.
#
# **Next question**: *events come late?* Wait for a watermark and say how long; a late event may join two sessions into one. *In SQL?* `lag` per user, a flag where the pause is longer, a running sum of flags: gaps and islands.
#
# </details>

# %% name="one_last_time"
events = pd.DataFrame({"user": ["ann", "bob"] * 4, "time": range(0, 200, 25)})
mixed = (events["time"].diff() > 30).sum() + 1
own = (events.groupby("user")["time"].diff() > 30).sum() + events["user"].nunique()
print(f"gap 30: {mixed} session by the log's pauses, {own} sessions by each user's")

# %% [markdown]
# Each user pauses for 50<!-- given --> seconds after every event. In the mixed log no pause is longer than 25<!-- given -->, because the other user's events lie in between: one session that never ends.

# %% [markdown]
# ## A cache of models
#
# *"2,000<!-- given --> customers, a model each; five fit into memory. Loading takes seconds."*
#
# **You ask.** Which one may be dropped? *The one that has gone unused longest.* Can a load give None? *For new customers.* Threads? *Later.*
#
# **Cases**: a hit, a full cache, a None.

# %%
clock.start("keep_recent")

# %% exercise="keep_recent"

# %%
exercise.check(keep_recent)

# %% [markdown] tags=["folded"]
# ### After your first check: a cache of models
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** A dict in order of use: a hit moves the key to the end, `OrderedDict.move_to_end`; a full cache drops the first. If they forbid it: a dict and a doubly linked list.
#
# **Steps.** One look-up per request, whatever the capacity. A list in order of use searches its keys.
#
# **Listened for**: `in`, because a None is a value; that `functools.lru_cache` exists.
#
# **Next question**: *when does a promoted model reach the cache?* The key must hold the version, or entries an age. *Two threads?* A lock for the table and one per key, or the same model is loaded twice.
#
# </details>


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
# First in, first out evicts the most popular customer as soon as five others have been loaded after it. Least recently used saves one load in seven. But look at the last line: six customers in turn, room for five, and **every** request loads. The one dropped is the one asked for next. A cache is a bet on the traffic; measure yours before you name a rule.

# %% [markdown]
# ## Column names in snake case
#
# *"Every team names its columns in its own way. Make the names consistent."*
#
# **You ask.** What is a word in `PULocationID`? *pu, location, id.* Digits? *They stay with their word.* Signs and spaces? *One underscore.* May two names become the same? *Good question.*
#
# **Cases**: several capitals, signs at the edges, a name that is fine already.

# %%
clock.start("snake_case")

# %% exercise="snake_case"

# %%
exercise.check(snake_case)

# %% [markdown] tags=["folded"]
# ### After your first check: column names in snake case
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Say where a word begins, in two rules: a capital after a lower-case letter or digit; the last of several capitals, when a lower-case letter follows. Two substitutions, or one walk with the letter before and the letter after.
#
# **Steps.** Each letter is looked at a few times. `text += letter` in a loop may copy the text each time: collect in a list, join once.
#
# **Listened for**: rules before code; the test "twice is once".
#
# **Next question**: *two columns get one name?* Refuse, with both names in the message. *Look up by prefix?* A **trie** earns its place with many keys and prefixes; for one look-up, a sorted list and `bisect`.
#
# </details>

# %% name="every_capital"
for name in ("tripDistance", "PULocationID", "HTTPServer"):
    cut = re.sub("([A-Z])", r"_\1", name)
    print(f"{name}: {cut.lower()}")

# %% [markdown]
# An underscore before every capital is right for the example that everybody tries, the first one.

# %% [markdown]
# ## Sitting 3 · Queues and heaps
#
# **Time** 60 minutes. What leaves first, and what is on top: streams that never fit into memory.

# %% [markdown]
# ## A moving average over a stream
#
# *"A sensor sends a value a second. The mean of the last ten, as it goes."*
#
# **You ask.** Before ten have come? *Nothing.* Does the stream end? *No.* Can values be broken? *It is a sensor.*
#
# **Cases**: fewer values than ten, a width of 1, one broken value.

# %%
clock.start("moving_average")

# %% exercise="moving_average"

# %%
exercise.check(moving_average)

# %% [markdown] tags=["folded"]
# ### After your first check: a moving average over a stream
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** A queue of the window and a running total: add what comes, subtract what goes. And sum the window afresh once per `width` values.
#
# **Steps.** Three additions a value, ten when the window is summed each time.
#
# **Listened for**: `yield`, not a list that waits for the end; what happens before the window is full; that an incremental formula carries its errors along.
#
# **Next question**: *by time, not by count?* The queue holds (time, value) and drops from the left while too old; a window may be empty.
#
# </details>


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
# The broken value left the window 990<!-- given --> values ago, and the mean is still 25.6<!-- =running_total: mean is ([\d.]+) -->. Beside 1e18 a float has no room for 20.7<!-- given -->, so what was added and subtracted meanwhile was rounded away or up. Infinity would be worse: `inf - inf` is not a number. With the fresh sum no error outlives two windows.

# %% [markdown]
# ## A rate limit
#
# *"At most 100<!-- given --> calls in ten seconds to the model. Let the rest fail fast."*
#
# **You ask.** Any ten seconds, or those of the clock? *What is the difference?* Does a refused call count? *It did no work.* Per customer? *Later.*
#
# **Cases**: a call ten seconds later to the instant, a burst around the turn of a window, somebody who never stops calling.

# %%
clock.start("rate_limit")

# %% exercise="rate_limit"

# %%
exercise.check(rate_limit)

# %% [markdown] tags=["folded"]
# ### After your first check: a rate limit
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** A queue of the times that went through. Drop from the left what is ten seconds old; if the queue is full, refuse.
#
# **Steps.** Each time enters once and leaves once; `limit` times kept. Counting all earlier calls is n².
#
# **Listened for**: that you ask "any or the clock's"; refused calls don't count, or a stubborn client is locked out for good.
#
# **Next question**: *a million customers?* A queue each is too much: a token bucket is two numbers a customer. *Several servers?* One counter in a shared store, or a share of the limit each.
#
# </details>

# %% name="fixed_window"
passed, counts = [], Counter()
for time in [9.9] * 100 + [10.1] * 100:
    window = time // 10  # the clock's ten seconds
    if counts[window] < 100:
        counts[window] += 1
        passed.append(time)
print(f"limit 100 in 10 s: {len(passed)} calls passed within {passed[-1] - passed[0]:.1f} s")

# %% [markdown]
# Windows of the clock let twice the limit through around their turn: 200<!-- =fixed_window: (\d+) calls passed --> calls in a fifth of a second.

# %% [markdown]
# ## The k largest
#
# *"The ten largest of a billion numbers."*
#
# **You ask.** Do they fit into memory? *No.* Largest first? *Yes.* Duplicates? *Count each.*
#
# **Cases**: fewer than k, k = 0, the same value twice.

# %%
clock.start("top_k")

# %% exercise="top_k"

# %%
exercise.check(top_k)

# %% [markdown] tags=["folded"]
# ### After your first check: the k largest
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** A heap of ten has the **smallest** of the best on top, the one to beat. Many reach for a max-heap, because they want the largest; then the value to throw out is the one they can't find.
#
# **Steps.** Most values lose against the top: one comparison. n log k at worst.
#
# **Listened for**: which end lies on top, and why; that `heapq.nlargest` exists, and that you can write it.
#
# **Next question**: *a hundred machines?* Each sends its ten; merge a thousand. *The ten most frequent?* Counting comes first, and the keys may not fit: count-min sketch, or partition by key.
#
# </details>

# %% name="sorts_everything"
for name, function in {
    "sorted": lambda stream: sorted(stream)[-10:],
    "nlargest": lambda stream: heapq.nlargest(10, stream),
}.items():
    compared, kept = steps(function, numbers)
    print(f"{name}: {compared:,} comparisons, {kept:,} of {len(numbers):,} values kept")

# %% [markdown]
# Sorting keeps everything, and that is what fails: at a billion there is no memory left to wait in.

# %% [markdown]
# ## The running median
#
# *"Latencies come in. After each, the median so far."*
#
# **You ask.** How many? *Millions a day.* Exact? *Yes, for now.* Of an even number? *The mean of the two.*
#
# **Cases**: 5, 1, 4, 2 → 5, 3, 4, 3.

# %%
clock.start("running_median")

# %% exercise="running_median"

# %%
exercise.check(running_median)

# %% [markdown] tags=["folded"]
# ### After your first check: the running median
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Two heaps: the smaller half with its largest on top, the larger half with its smallest on top, never more than one apart. The median lies on the tops. Python's heap has the smallest on top, so negate the smaller half; since Python `3.14` `heapq` has max-heaps too.
#
# **Steps.** Some log n comparisons a value, nothing is moved aside.
#
# **Listened for**: invariant first, code second.
#
# **Next question**: *memory is small, the stream endless.* Then the exact median is out; a histogram with fixed bins, a sketch such as t-digest, or the median of a reservoir. *Only the last hour?* Values must leave: a sorted list of the window.
#
# </details>


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
# Sorting again costs n² in all, although Python's sort notices that all but the last value are in order. `bisect` brings the comparisons down from 2,034,000<!-- ~medians[2000, sort again] --> to 19,200<!-- ~medians[2000, insert: compared] -->, and hides the rest: a list makes room by moving entries, 1,014,000<!-- ~medians[2000, insert: moved] --> of them. Count only what your idea saves, and your idea always wins. (Those moves are one block copy in C; to a hundred thousand values `insort` is the right tool. Say so.)

# %% [markdown]
# ## One log from many
#
# *"Sixty-four servers write a log each. Read them as one, in order of time."*
#
# **You ask.** Is each in order? *Yes.* Equal times? *The first server first.* Do they end? *Some never do.* What is an entry? *A time and whatever was logged.*
#
# **Cases**: an empty log, equal times with texts that can't be compared.

# %%
clock.start("merge_logs")

# %% exercise="merge_logs"

# %%
exercise.check(merge_logs)

# %% [markdown] tags=["folded"]
# ### After your first check: one log from many
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** The next entry is the head of some log. Keep the heads in a heap, take the top, refill from the log it came from.
#
# **Steps.** Some log k comparisons an entry; one entry a log kept. `min` over the heads makes k.
#
# **Listened for**: what the tuple compares on a tie. `(time, place, text)`: places differ, so the text is never reached.
#
# **Next question**: *in the library?* `heapq.merge(*logs, key=...)`. *Clocks differ between servers?* Then order by time is a wish; a sequence number per server keeps each one's order.
#
# </details>

# %% name="on_a_tie"
web, job = [(1, "started"), (1, "ended")], [(1, "a job")]
print("whole entries:", [text for _, text in heapq.merge(web, job)])
print("by time:", [text for _, text in heapq.merge(web, job, key=lambda entry: entry[0])])
logs = [sorted(numbers[place::64]) for place in range(64)]
Counted.compared = 0
entries = len(list(heapq.merge(*([Counted(time) for time in log] for log in logs))))
print(f"{Counted.compared / entries:.1f} comparisons an entry; `min` of 64 heads makes 63")

# %% [markdown]
# On a tie, whole entries are compared by their text: "a job" jumps the queue, and two dicts would raise TypeError. The heap makes 6.9<!-- =on_a_tie: ^([\d.]+) comparisons --> comparisons an entry.

# %% [markdown]
# ## Sitting 4 · Sort and halve
#
# **Time** 55 minutes. Order makes one pass enough, and a yes-or-no question makes halving possible.

# %% [markdown]
# ## Merge intervals
#
# *"Outages as pairs (start, end). How many hours were we down?"*
#
# **You ask.** Sorted? *No.* Overlapping, one inside the other? *Both.* Do 1–2 and 2–3 touch? *They are one.* May I sort your list? *No, it is mine.*
#
# **Cases**: none, one inside another, touching.

# %%
clock.start("merge_intervals")

# %% exercise="merge_intervals"

# %%
exercise.check(merge_intervals)

# %% [markdown] tags=["folded"]
# ### After your first check: merge intervals
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Sorted by start, an outage can only overlap the last one of the result. The end is the larger of both.
#
# **Steps.** n log n by the sort, n after it. Comparing all pairs is n².
#
# **Listened for**: why sorting by start makes one comparison enough.
#
# **Next question**: *as a stream, sorted by start?* Keep one open interval, yield it when the next begins later. *The most at the same time?* Sort starts (+1) and ends (−1) and run a sum.
#
# </details>


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
# Taking the later one's end makes the long outage shorter: 3 hours in place of 24. Every example on a whiteboard overlaps in a chain, so nobody sees it.

# %% [markdown]
# ## A point-in-time join
#
# *"We ask our model about each customer on some day. Join the status to it, and train."*
#
# **You ask.** Which status, the one we have today or the one we had then? *Hm.* When is it written, and may it contain the event itself?
#
# **Cases**: no snapshot yet, one at the same instant, snapshots out of order.

# %%
clock.start("as_of_join")

# %% exercise="as_of_join"

# %%
exercise.check(as_of_join)

# %% [markdown] tags=["folded"]
# ### After your first check: a point-in-time join
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** The latest snapshot **before** the question: sort the snapshots of each customer once, halve for each question. When nothing lies before, `rows[place - 1]` is `rows[-1]`, the newest value of all: the index that steps over the start takes you to the future.
#
# **Steps.** log n comparisons per row; a scan for each event is events times snapshots.
#
# **Listened for**: event time against the time at which a row was *written*; `<` against `<=`, decided and said.
#
# **Next question**: *in pandas?* `merge_asof(..., by="customer", allow_exact_matches=False)`, both sides sorted. *As a stream?* Both in order of time: keep the last value per key. *And old values?* A tolerance: a status from two years ago is none.
#
# </details>

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

# %% name="nobody"
print(f"nobody leaves: right for {100 - sum(left) / 10:.0f} % of the customers")

# %% [markdown]
# Joined by the key alone, the score is perfect without a model, because each value comes from after the question. On the day it counts every customer is "active", and saying "nobody leaves" is right for 71<!-- =nobody: ([\d]+) % --> %.

# %% [markdown]
# ## A time-aware split
#
# *"Hold out the last fifth."*
#
# **You ask.** Sorted? *Look.* Several rows a day? *Hundreds.* When is a label known? *After a week.*
#
# **Cases**: many rows on the day of the cut, a gap.

# %%
clock.start("split_by_time")

# %% exercise="split_by_time"

# %%
exercise.check(split_by_time)

# %% [markdown] tags=["folded"]
# ### After your first check: a time-aware split
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Cut by **day**, and leave out the days whose labels were not there yet.
#
# **Steps.** One sort, one pass.
#
# **Listened for**: time comes from a column, never from the row number; the gap belongs to the label's delay, in days and not in rows.
#
# **Next question**: *one cut or many?* Many, [walking forward](13b_walk_forward.ipynb). *The same customer on both sides?* Fine if you forecast known customers; if not, split by customer too.
#
# </details>

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
# Real taxi trips of January 2019. The file is in no order, so a cut by row number is a random split that looks like a split in time. Sorted, it still goes through a day: with its weather, its traffic jam and its marathon in training, the rest of that day is no test.

# %% [markdown]
# ## The first bad model version
#
# *"Somewhere in 1,000<!-- given --> versions the model went bad. Evaluating one costs an hour."*
#
# **You ask.** Once bad, always bad? *Yes.* Is the last one bad for sure? *No.* Is the evaluation exact? *Why do you ask?*
#
# **Cases**: the first, the last, none.

# %%
clock.start("first_bad")

# %% exercise="first_bad"

# %%
exercise.check(first_bad)

# %% [markdown] tags=["folded"]
# ### After your first check: the first bad model version
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Two marks: good at `low`, bad at `high`. Ask in the middle, move one mark, stop when they are neighbours.
#
# **Steps.** log₂ n calls: ten hours in place of 700<!-- =flapping: from 700 on: (\d+) -->.
#
# **Listened for**: that invariant, from which the loop's end and both updates follow. `low = middle` with the wrong rounding never ends.
#
# **Next question**: *three machines?* Ask three versions at once and cut into four: five rounds in place of ten. *A noisy metric?* It breaks "once bad, always bad" as well: repeat the evaluation near the threshold, or compare with a margin.
#
# </details>


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
# The second line is the catch: the first bad version is 200<!-- =flapping: bad (\d+)-400 -->. With a fault that was mended in between, bisection finds *a* change from good to bad, not the first, and does not say so. And it answers 1,001<!-- =flapping: bad: (\d+) --> where none is bad.

# %% [markdown]
# ## The smallest cluster that finishes in time
#
# *"These jobs run in this order, at night. How large must the cluster be to finish in seven nights?"*
#
# **You ask.** May a job be cut in two? *No.* May I change the order? *No.* Whole machines? *Yes.*
#
# **Cases**: one night, more nights than jobs, a job larger than the mean.

# %%
clock.start("smallest_capacity")

# %% exercise="smallest_capacity"

# %%
exercise.check(smallest_capacity)

# %% [markdown] tags=["folded"]
# ### After your first check: the smallest cluster that finishes in time
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Binary search **on the answer**. "Is this capacity enough?" is one pass over the jobs, and once enough, always enough. Search between the largest job and the sum.
#
# **Steps.** log₂ of the range times n; trying every capacity is millions of passes.
#
# **Listened for**: that you say the yes-or-no question and why it is monotone before you halve anything; both bounds with a reason.
#
# **Next question**: *the order is free?* Then it is bin packing, which is hard; largest first is a good rule. *Where else?* Replicas for a latency target, the smallest sample that reaches a precision.
#
# </details>

# %% name="mean_of_a_night"
sizes, nights = [6, 6, 6], 2
print(f"mean of a night: {sum(sizes) / nights:.0f}, and no night holds two jobs of 6")
sizes = random.Random(6).choices(range(1, 10**6), k=50)
low, high = max(sizes), sum(sizes)
print(f"{high - low:,} capacities to try; halving needs {math.ceil(math.log2(high - low))}")

# %% [markdown]
# The mean is a lower bound, not an answer: with 9 the three jobs need three nights.

# %% [markdown]
# ## Sitting 5 · Stacks and graphs
#
# **Time** 55 minutes. What was opened last closes first; what depends on what.

# %% [markdown]
# ## Own time from a trace
#
# *"A trace says when functions begin and end. Which one is slow itself?"*
#
# **You ask.** Does the time of what it calls count? *No, own time.* May a function call itself? *Yes.* Is the trace whole? *Tell me if not.*
#
# **Cases**: two calls one after the other, recursion, an end that does not fit.

# %%
clock.start("self_times")

# %% exercise="self_times"

# %%
exercise.check(self_times)

# %% [markdown] tags=["folded"]
# ### After your first check: own time from a trace
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Nested means stack. Between two lines of the trace, the function on top is running: give it that time. A begin pushes, an end pops, and the name must fit.
#
# **Steps.** One push and one pop per call.
#
# **Listened for**: why a dict from name to begin fails; what an empty stack at an end, and a full one at the end, mean.
#
# **Next question**: *several threads?* A stack each. *Where do you meet it?* Spans of a request, brackets in a query, `try` and `finally`.
#
# </details>

# %% name="one_begin_a_name"
trace = [("begin", 0), ("begin", 2), ("begin", 3), ("end", 4), ("end", 6), ("end", 10)]  # f calls f calls f
begun, total = {}, 0
for what, time in trace:
    if what == "begin":
        begun["f"] = time
    else:
        total += time - begun["f"]
print(f"f ran from 0 to 10, and its time is {total}")

# %% [markdown]
# A dict remembers the begin that came last, so every end is measured from 3. The innermost call ends first: last in, first out.

# %% [markdown]
# ## The shortest path through the lineage
#
# *"How does this raw table reach the report? The shortest path, please."*
#
# **You ask.** Directed? *Yes.* Cycles? *There should be none.* Several of the same length? *Any.* No path at all? *Return None.*
#
# **Cases**: start is goal, a cycle, no path.

# %%
clock.start("fewest_hops")

# %% exercise="fewest_hops"

# %%
exercise.check(fewest_hops)

# %% [markdown] tags=["folded"]
# ### After your first check: the shortest path through the lineage
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Breadth first: a queue. All tables one hop away, then two. Mark a table when it is **met**, and remember from where; walk back at the goal.
#
# **Steps.** Each table and each link once. Paths are far more: through 20 layers of 4 tables there are about 4 to the power of 20.
#
# **Listened for**: queue against stack, and what it changes; marked when met, not when taken out, or one table is queued many times.
#
# **Next question**: *links have costs?* Dijkstra: the queue becomes a heap. *From both ends?* Half the depth each, far fewer tables.
#
# </details>

# %% name="depth_first"
feeds = {"raw": ["daily", "clean"], "clean": ["x", "report"], "x": ["y"], "y": ["report"]}
ways = {}
for kind in ("stack", "queue"):
    waiting = deque([["raw"]])
    while waiting:
        way = waiting.pop() if kind == "stack" else waiting.popleft()
        if way[-1] == "report":
            break
        waiting.extend([*way, following] for following in reversed(feeds.get(way[-1], [])))
    print(f"{kind}: {' > '.join(way)}")

# %% [markdown]
# The stack finds *a* path, the first that it follows to the end. Only the queue may stop at the goal and be sure.

# %% [markdown]
# ## Which tables to rebuild
#
# *"This table has been wrong since Monday. Which tables do we rebuild?"*
#
# **You ask.** Direct readers, or theirs too? *All.* Do you have who reads whom? *Each table lists what it reads.* How many? *Thousands.*
#
# **Cases**: nobody reads it, a cycle, a chain of 20,000<!-- given -->.

# %%
clock.start("affected_by")

# %% exercise="affected_by"

# %%
exercise.check(affected_by)

# %% [markdown] tags=["folded"]
# ### After your first check: which tables to rebuild
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Invert the dict once, from what is read to its readers. Then depth first: a list of what is open, a set of what is found.
#
# **Steps.** Each entry twice. Going through all tables until nothing changes is n².
#
# **Listened for**: the direction, asked; a set against cycles; Python's limit of a thousand nested calls, named before the interviewer does.
#
# **Next question**: *only what changed since Monday?* The same walk, cut where a table was built before. *In which order are they rebuilt?* The next kata.
#
# </details>

# %% name="until_nothing_changes"
length = values // 4
reads = {table: [table - 1] for table in range(length, 0, -1)}
found, size, entries = {0}, 0, 0
while len(found) > size:
    size, entries = len(found), entries + len(reads)
    found |= {table for table, sources in reads.items() if not found.isdisjoint(sources)}
print(f"a chain of {length}: {entries:,} entries read; inverted once: {2 * length:,} at most")

# %% [markdown]
# Each pass over all tables finds one more of the chain: 250,500<!-- =until_nothing_changes: : ([\d,]+) entries --> entries read. Twice the tables, four times the reads.

# %% [markdown]
# ## In which order features are built
#
# *"Each feature lists what it needs. Give me an order to build them in."*
#
# **You ask.** Is every feature a key? *No, raw columns are not.* Cycles? *Somebody made one last week.* Which order, if there are several? *Any.*
#
# **Cases**: a feature that only others name, a cycle, a long chain.

# %%
clock.start("build_order")

# %% exercise="build_order"

# %%
exercise.check(build_order)

# %% [markdown] tags=["folded"]
# ### After your first check: in which order features are built
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Topological order: count for each what it still waits for; what waits for nothing is ready; each one that is built makes others ready.
#
# **Steps.** Each feature and each need once. Searching for a ready one again and again is n².
#
# **Listened for**: the cycle: fewer were built than there are. Name one of it in the error.
#
# **Next question**: *in the library?* `graphlib.TopologicalSorter`, and it gives what is ready at the same time: that is how a scheduler runs tasks side by side. *What is the shortest time with enough machines?* The longest chain.
#
# </details>

# %% name="by_number_of_needs"
needs = {"score": ["rolling"], "rolling": ["lag", "clean"], "lag": ["clean"], "clean": []}
order = sorted(needs, key=lambda feature: len(needs[feature]))
print("by the number of needs:", " > ".join(order))
early = [f for f in order if any(order.index(one) > order.index(f) for one in needs[f])]
print("built before what it needs:", ", ".join(early))

# %% [markdown]
# How many needs a feature has says nothing about how deep they go.

# %% [markdown]
# ## Which ids are one customer
#
# *"An e-mail and a device, a device and an account. How many people are they?"*
#
# **You ask.** If a is b and b is c, is a c? *Yes.* Can a pair be wrong? *It will be.* How many? *Millions.*
#
# **Cases**: a pair that joins two customers, an id with itself.

# %%
clock.start("merge_identities")

# %% exercise="merge_identities"

# %%
exercise.check(merge_identities)

# %% [markdown] tags=["folded"]
# ### After your first check: which ids are one customer
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Union–find: each id points to another of its customer, the leader to itself. A pair joins two leaders, the smaller below the larger; each look shortens the path.
#
# **Steps.** A few per pair, in practice constant. Giving everybody a new label each time is n².
#
# **Listened for**: both shortcuts, by size and by path; that a graph search does it too, when all pairs are there before the first question.
#
# **Next question**: *a pair is taken back?* Union–find can't part; build it again from what is left. *One wrong pair joins two families?* Watch the largest groups; they are where errors gather.
#
# </details>

# %% name="labels_all_anew"
label, looks = {}, 0
for one in range(1, length):
    before, new = label.setdefault(one, one), label.setdefault(one - 1, one - 1)
    for other in label:
        looks += 1
        if label[other] == before:
            label[other] = new
print(f"{length - 1} pairs: {looks:,} labels looked at")

# %% [markdown]
# With one label per customer, each new pair looks at all labels: 125,249<!-- =labels_all_anew: : ([\d,]+) labels --> looks for 499<!-- =labels_all_anew: ^(\d+) pairs --> pairs.

# %% [markdown]
# ## Sitting 6 · Tables, chance and measures
#
# **Time** 60 minutes. Keep what you have solved; then three measures that you will be asked to write by hand.

# %% [markdown]
# ## How long until it gets worse
#
# *"For each day: after how many days was the error higher?"*
#
# **You ask.** Equal counts as higher? *No.* Never? *None.* Do you have all days, or do they come in? *Say both.*
#
# **Cases**: errors that only fall, equal ones, the last day.

# %%
clock.start("days_until_higher")

# %% exercise="days_until_higher"

# %%
exercise.check(days_until_higher)

# %% [markdown] tags=["folded"]
# ### After your first check: how long until it gets worse
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** A stack once more: days that wait. Their errors only fall, so a new error ends the wait of those on top, and the first that is not lower stops it.
#
# **Steps.** Each day is pushed once and popped once, at most 2n comparisons. Looking ahead from each day is n²/2 on errors that fall.
#
# **Listened for**: why the stack is sorted; what is left on it.
#
# **Next question**: *the largest of each window of seven?* A queue with the same rule, dropped from both ends. *How do you recognise it?* "Next greater", "how long until", "visible from".
#
# </details>


# %% name="looks_ahead"
def look_ahead(stream) -> None:
    errors = list(stream)
    for day, error in enumerate(errors):
        next((later for later in errors[day + 1 :] if error < later), None)


for name, errors in {"rising": range(values // 2), "falling": range(values // 2, 0, -1)}.items():
    print(f"{name}: {steps(look_ahead, errors)[0]:,} comparisons for {values // 2:,} days")

# %% [markdown]
# On the example with rising errors nobody notices: one comparison a day. On falling ones it is 499,500<!-- =looks_ahead: falling: ([\d,]+) -->.

# %% [markdown]
# ## The fewest full batches
#
# *"Rows go out in batches of fixed sizes. Fewest batches for exactly this many rows?"*
#
# **You ask.** Must they be full? *Yes.* Each size as often as I like? *Yes.* And if it can't be done? *None.*
#
# **Cases**: 0 rows, an impossible number, 6 rows of 1, 3 and 4.

# %%
clock.start("fewest_batches")

# %% exercise="fewest_batches"

# %%
exercise.check(fewest_batches)

# %% [markdown] tags=["folded"]
# ### After your first check: the fewest full batches
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Dynamic programming: for the last batch try each size; what is left is a smaller problem of the same kind. Solve each number of rows once, from 0 up, in a table.
#
# **Steps.** rows times sizes. The tree of calls solves the same numbers again and again.
#
# **Listened for**: in words first: what one entry means, which entries it needs, where the table begins, where the answer stands.
#
# **Next question**: *which batches?* Keep beside each entry the size that was best, walk back. *Where is it greedy after all?* When each size divides the next. *Two dimensions?* Edit distance: the same four sentences, with a pair.
#
# </details>

# %% name="greedy"
sizes, rows, left, taken = (4, 3, 1), 6, 6, []
for size in sizes:
    taken += [size] * (left // size)
    left %= size
print(f"{rows} rows, largest first: {taken}; 3 + 3 is one batch fewer")
calls, open_calls = Counter(), [20]
while open_calls:
    n = open_calls.pop()
    calls[n] += 1
    open_calls += [n - size for size in sizes if size <= n]
print(f"20 rows as a tree: {calls.total():,} calls, {calls[1]:,} of them for 1 row; a table has 21 entries")

# %% [markdown]
# Greedy is right for most coins, which is why it is believed. The tree makes 20,736<!-- =greedy: tree: ([\d,]+) calls --> calls for 20 rows, and each further row costs some 60<!-- given --> % more.

# %% [markdown]
# ## A fair sample of a stream
#
# *"Keep 3 requests for inspection, each with the same chance. Nobody knows how many will come."*
#
# **You ask.** Without replacement? *Yes.* Fewer than three? *All of them.* Repeatable? *Take my generator.*
#
# **Cases**: fewer than three, ten thousand draws from ten values, the same seed twice.

# %%
clock.start("reservoir_sample")

# %% exercise="reservoir_sample"

# %%
exercise.check(reservoir_sample)

# %% [markdown] tags=["folded"]
# ### After your first check: a fair sample of a stream
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Fill three places; from then on let the new value draw a place among all so far, and if it is one of the three, it sits down there. Value number i must enter with chance k/i; those inside then survive with (1 − 1/i), and by induction all are equal.
#
# **Steps.** n draws, k values kept.
#
# **Listened for**: the proof in two sentences, and the test: draw it thousands of times.
#
# **Next question**: *weighted?* Give each a key `random() ** (1 / weight)`, keep the k largest: your heap again. *Two machines?* Keep the counts, draw from both reservoirs in proportion to them.
#
# </details>


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
# Each should be 0.30<!-- given -->. The fourth value has 0.33<!-- =unfair: ^0\.\d+ 0\.\d+ 0\.\d+ ([\d.]+) -->, the first three 0.23<!-- =unfair: ^([\d.]+) -->: counted from 0, it draws among three places and always gets one. Off by one, no error, no warning; a sample of three looks like any other.

# %% [markdown]
# ## Kolmogorov-Smirnov by hand
#
# *"Did this feature drift? Write the two-sample KS distance, without SciPy."*
#
# **You ask.** Equal sizes? *No.* Ties? *Passenger counts.* The p-value too? *The distance.*
#
# **Cases**: a sample against itself → 0, two that don't overlap → 1.

# %%
clock.start("ks_distance")

# %% exercise="ks_distance"

# %%
exercise.check(ks_distance)

# %% [markdown] tags=["folded"]
# ### After your first check: Kolmogorov-Smirnov by hand
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** Sort both and walk: the smaller value steps on, and the distance is the largest gap between the shares passed. A step function jumps at x by **all** values equal to x, so pass them all, in both samples, before you look at the gap.
#
# **Steps.** n log n for sorting, n for the walk; counting at each value is n².
#
# **Listened for**: the case "against itself", offered by you.
#
# **Next question**: *a stream?* Histograms with fixed edges give a lower bound. *Is 0.05<!-- given --> much?* That is [another lesson](11c_drift.ipynb): an effect, not a p-value.
#
# </details>


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
# A month against itself has drifted by 0.73<!-- =ties: passenger_count .* one (0\.\d+) -->: while the walk passes all the rides with one passenger in the first sample, it has not moved in the second. Floats with many digits hide it, counts show it.

# %% [markdown]
# ## MASE
#
# *"One error for ten thousand series of all sizes."*
#
# **You ask.** Which naive rule is to beat? *Last week.* Is a series ever constant? *Some shops are closed.*
#
# **Cases**: an error equal to the naive rule's → 1, a constant history.

# %%
clock.start("mase_by_hand")

# %% exercise="mase_by_hand"

# %%
exercise.check(mase_by_hand)

# %% [markdown] tags=["folded"]
# ### After your first check: MASE
#
# <details><summary>The idea, the counted steps, the follow-up</summary>
#
# **Idea.** The mean absolute error, divided by that of the naive rule **on the history**, the same for every test.
#
# **Steps.** One pass; one season kept.
#
# **Listened for**: the history alone, the season's lag, and ValueError for a constant one rather than 1e12 in a mean over shops.
#
# **Next question**: *many series?* The mean of MASE counts each alike; weight it if money decides. *Slow sellers?* Zero differences abound; MASE explodes, pinball loss does not.
#
# </details>

# %% name="scaled_by_the_test"
rides = load_ridership().set_index("ds")["y"]
for name, first, last in (("July", "2014-07-21", "2014-08-03"), ("Christmas", "2013-12-16", "2013-12-29")):
    actual, history = rides[first:last], rides[:first][:-1]
    error = (actual - history[-14:].to_numpy()).abs().mean()  # the fortnight before, repeated
    by_test = error / actual.diff(7).abs().mean()
    by_history = error / history.diff(7).abs().mean()
    print(f"{name}: misses by {error:.2f}, scaled by the test {by_test:.2f}, by the history {by_history:.2f}")

# %% [markdown]
# At Christmas the forecast misses by 3.93<!-- =scaled_by_the_test: Christmas: misses by ([\d.]+) --> thousand rides a day, in July by 0.44<!-- =scaled_by_the_test: July: misses by ([\d.]+) -->. Scaled by the test the order is **reversed**: Christmas 0.54<!-- =scaled_by_the_test: Christmas.* test ([\d.]+) -->, July 2.99<!-- =scaled_by_the_test: July.* test ([\d.]+) -->. In a fortnight with a holiday the naive rule fails too, so its error forgives everything. By the history it is 3.29<!-- =scaled_by_the_test: Christmas.* history ([\d.]+) --> and 0.36<!-- =scaled_by_the_test: July.* history ([\d.]+) --> times the usual miss.

# %% [markdown]
# ## Answers on one page
#
# | kata | obvious | better | memory | as a stream |
# |---|---|---|---|---|
# | middle of an array | 1, with the wrong place | 1 | 1 | needs the length |
# | middle of a list | 1.5<!-- given --> n, two passes | 1.5<!-- given --> n, one pass | 1 | no |
# | added and removed | n + m, all kept | n + m | 1 of each | when sorted |
# | longest stretch | n · length | 2 n | 1 | with the failures' places |
# | two invoices | n² | n | n | yes |
# | group-by | groups · n | n | groups | yes |
# | sessions | users · n | n | sessions | yes |
# | model cache | capacity per request | 1 per request | capacity | yes |
# | snake case | n | n | n | yes |
# | moving average | n · width | 3 n | width | yes |
# | rate limit | n² | 2 n | limit | yes |
# | k largest | n log n | n log k at worst, near n | k | yes |
# | running median | n² | n log n | n | sketch |
# | one log of k | n · k | n log k | k | yes |
# | merge intervals | n² | n log n | n | when sorted |
# | point-in-time join | events · snapshots | (events + snapshots) log n | snapshots | when both are sorted |
# | split in time | random in disguise | n log n | n | a fixed day |
# | first bad version | n calls | log n calls | 1 | no |
# | smallest capacity | range · n | n log range | 1 | no |
# | own times | n · depth | n | depth | yes |
# | fewest hops | all ways | tables + links | tables | no |
# | tables to rebuild | tables² | tables + links | tables | no |
# | build order | features² | features + needs | features | no |
# | one customer | n² | near n | ids | yes |
# | days until higher | n² | 2 n | days that wait | yes |
# | fewest batches | exponential | rows · sizes | rows | no |
# | fair sample | everything kept | n | k | yes |
# | KS | n² | n log n | n | histogram |
# | MASE | n, wrong scale | n | season | yes |

# %% [markdown]
# ## Take-aways
#
# - I ask about order, ties, missing values, size and ownership of the input before I type, because each of them changes the code.
# - I listen for the word that gives the pattern away: "longest" is a window, "seen before" a hash map, "smallest that is enough" a search on the answer, "depends on" a graph.
# - I write down the nasty case first: the empty one, the equal ones, one inside another, a sample against itself.
# - I say cost as "twice the data, four times the work", and I count what my idea pays as well as what it saves.
# - In data science the index error that hurts most does not crash; it takes a value from the future.

# %% [markdown]
# ## In an interview
#
# - *The median of a stream, after each value.* Shown in [The running median](#The-running-median).
# - *Join features to events so that nothing leaks.* Shown in [A point-in-time join](#A-point-in-time-join).
# - *Find the version that broke the model, with few evaluations. When does your answer lie?* Shown in [The first bad model version](#The-first-bad-model-version).
#
# All of them, with the points of a good answer: `walkforward practice --kind coding`.

# %% [markdown]
# ## Up next
#
# The same manner on a whole system: [I2 · Design](I2_design.ipynb), a dialogue about demand forecasts for ten thousand shops.
