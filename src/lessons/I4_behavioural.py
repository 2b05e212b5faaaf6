# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
# ---

# %% [markdown]
# # I4 · Behavioural
#
# After this walkthrough you can tell a failure, an initiative and a standard of your own in three minutes each, so that a stranger knows what you did, what it changed, and what you do differently since.

# %% [markdown]
# > **You will learn to** hear a story as the listener does · cut a situation to two sentences · say "I" where it was you and "we" where it was not · put a number where a claim stands · rehearse until it takes three minutes
# >
# > **Before you start** nothing; a failure you remember is enough
# >
# > **Time** 60 minutes of study, in 2 sittings, then ten for each story of your own; it runs in a few seconds
# >
# > **Interview questions it answers** Tell me about a model of yours that failed. · What did you bring about without the authority to order it? · How did you raise a standard?

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
my_story = None  # a Markdown file of yours, as `walkforward story new` writes it
words_a_minute = 140  # a calm speaker

# %%
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from course import exercise
from course.exercise import TODO
from course.practice.cards import practice_card
from walkforward.plots import PALETTE, use_style

use_style()

# %% [markdown]
# **Every story in this walkthrough is made up for the course.** No person, company or number in it is real. Your stories have to be: an invented story breaks at the second follow-up, and this page shows you why.
#
# ## Sitting 1 · Heard by a stranger
#
# **Time** 40 minutes. What a listener keeps of a story, and the same failure told twice.

# %% [markdown]
# ## What is listened for
#
# The question is about the past, the decision about the future: what will this person do on our bad day? So each kind of story is heard for something else.
#
# | they ask for | they want to predict | it is spoilt by |
# |---|---|---|
# | **a failure** | do you see it, say it, limit it, and is it fixed for good? | a failure that cost nobody anything; somebody else's failure |
# | **an initiative** without authority | do people who could say no follow you, and does it live on without you? | "management made it mandatory" |
# | **a standard** you set | can you make a team better without becoming its police? | five tools in the first week; a threshold that everybody works around |
# | **a disagreement** | can one disagree with you and still work with you? | "in the end I was right" |
# | **ownership** | do you bring things to an end that are not yours, and know where to stop? | "I always take care of everything" |

# %% [markdown]
# ## The listener's rubric
#
# You may know **STAR**: situation, task, action, result. It gives the order and says nothing about what is good. The listener keeps five points, and ends with what STAR leaves out:
#
# | point | had, if | of three minutes |
# |---|---|---|
# | **situation** | it took two sentences, no more | 20 seconds |
# | **your part** | you said what *you* did; a listener could tell your part from the team's | 90 seconds |
# | **number** | there was a number: before and after, money, hours, people | 20 seconds |
# | **learnt** | you said what you learnt, and it was not praise in disguise | 25 seconds |
# | **changed** | you said what you have changed since, and it still holds | 25 seconds |
#
# It is the same rubric that `walkforward story rehearse` asks you to tick.
#
# ## A weak telling
#
# *Tell me about a model of yours that failed in production.* (Made up.) It is written in the form in which you will keep yours. Read it aloud, and stop where you would stop listening.

# %%
weak = """# The arrival times
## Situation
At my last company we had an app for taxi rides. It showed how long a ride would take, which came from a model
built with gradient boosting on about forty features. The distances came from a supplier, which had been bought
by another firm the year before, with many changes. There was also a reorganisation on our side, and the
platform team was new. One day the supplier changed a unit without telling anybody.
## What I did
We noticed that customers complained. There was a meeting with the supplier and the platform team. Then the cause
was found and we fixed it quickly.
## The number
It was quite bad for a while, but then everything was much better again.
## What I learnt
I learnt that communication is very important, and that one can rely on our team in a crisis.
## What I changed since
We are more careful with suppliers now."""

# %% [markdown]
# Nothing in it is false. It has all five headings. Now measure what a listener feels:


# %%
def parts(story: str) -> dict[str, str]:
    """The text below each heading of a story; what is not written yet, a comment, does not count."""
    told = re.sub(r"<!--.*?-->", "", story, flags=re.DOTALL)
    pieces = re.split(r"^## (.*)$", told, flags=re.MULTILINE)[1:]
    pairs = zip(pieces[::2], pieces[1::2], strict=True)
    return {name.strip(): " ".join(text.split()) for name, text in pairs}


# %%
def sentences(text: str) -> list[str]:
    return [one for one in re.split(r"(?<=[.?!])\s+", text.strip()) if one]


# %%
CLAIMS = r"\b(?:better|faster|fewer|less|many|more|most|much|quickly|quite|significantly)\b"


# %%
def without_i(text: str) -> list[str]:
    """The sentences in which the teller does not occur."""
    return [one for one in sentences(text) if not re.search(r"\bI\b", one)]


# %%
def unmeasured(text: str) -> list[str]:
    """The sentences that claim a size and hold no digit."""
    claims = [one for one in sentences(text) if re.search(CLAIMS, one, re.IGNORECASE)]
    return [one for one in claims if not re.search(r"\d", one)]


# %%
def measured(story: str) -> dict[str, float]:
    told = parts(story)
    words = {name: len(text.split()) for name, text in told.items()}
    acts = sentences(told["What I did"])
    return {
        "sentences of situation": len(sentences(told["Situation"])),
        "situation, % of words": round(100 * words["Situation"] / max(sum(words.values()), 1)),
        "sentences about what was done": len(acts),
        "of them with an I": len(acts) - len(without_i(told["What I did"])),
        "numbers": len(re.findall(r"\d[\d,.]*", " ".join(told.values()))),
        "minutes": round(sum(words.values()) / words_a_minute, 1),
    }


# %% name="weak_measured"
pd.Series(measured(weak), name="weak").map("{:g}".format).to_frame()

# %% [markdown]
# More than half of the words, 54<!-- =weak_measured[situation, % of words, weak] --> %, go to a scene that the listener forgets. In the part called "what I did" there is no I. There is not one number. Now the rubric, by hand, because no program hears whether a lesson is one:
#
# | point | had? | what the listener writes down |
# |---|---|---|
# | situation | no | five sentences; takeovers and reorganisations sound like reasons why it wasn't you |
# | your part | no | "there was a meeting", "the cause was found": where were you? |
# | number | no | "quite bad": how many riders, how many days? |
# | learnt | no | "communication is important" holds for every story; the rest is praise |
# | changed | no | "more careful" is a feeling; what would catch it next time? |

# %% [markdown]
# **0 of 5**, and the failure is the supplier's. The interviewer now asks follow-ups to find out whether you were in the room.

# %% [markdown]
# ### Your turn
#
# Six sentences of another telling, made up. After each one, does the listener know who acted?
#
# > **1** I asked support for the tickets of that week. **2** The cause was found on Thursday. **3** Ana, who knows the warehouse, wrote the query that showed it. **4** We decided to go back to the old model. **5** It was agreed to set the limit lower. **6** The limit had been mine: I had set it too high in spring.

# %% exercise="who_acted"

# %%
exercise.check(who_acted=who_acted)

# %% [markdown]
# Not every sentence needs an I. Sentence 3 gives credit, and a listener likes that. What loses a listener is a deed without a doer.
#
# ## The same failure, told well
#
# Same events, same teller. (Made up as well.) What changed is where the story begins: not at the supplier's letter but at the teller's own decision.

# %%
strong = """# The arrival times I got wrong for nine days
## Situation
A taxi app showed riders how long a ride would take, from a model that I owned. For 9 days it showed rides 1.6
times too long, and riders booked elsewhere.
## What I did
Three weeks before, I had muted the alarm on input ranges, because it rang twice a week for nothing. So nobody
knew when our supplier began to send kilometres instead of miles. On day 9 support asked me about 41 complaints.
I put the table of typical durations back in service within 20 minutes, before I knew the cause. I told the head
of operations what riders saw, and when I would call again. Then I compared the inputs week by week, found one
column larger by one factor, converted it, replayed the 9 days, and released the next morning.
## The number
12,400 quotes were wrong. Bookings per quote had fallen from 31 % to 27 %, about 500 rides; a day later they were back.
## What I learnt
I had taken a noisy alarm for a useless one. Its limit was wrong, and I had never counted its false alarms.
## What I changed since
I mute no alarm without a date and an owner, and each batch is held against last month's ranges before the model
sees it. That check has run for 14 months and has stopped 2 bad batches, the last one within the hour."""

# %% name="both_measured"
tellings = {"weak": weak, "strong": strong}
pd.DataFrame({name: measured(story) for name, story in tellings.items()}).map("{:g}".format)

# %% name="shares"
told = pd.DataFrame({name: parts(story) for name, story in tellings.items()})
share = told.map(lambda text: len(text.split())).T
share = 100 * share.div(share.sum(axis=1), axis=0)
colours = [PALETTE[name] for name in ("grey", "blue", "orange", "green", "purple")]
ax = share[::-1].plot.barh(stacked=True, color=colours, figsize=(6.4, 2.6), width=0.6)
ax.set(xlabel="share of the words (%)", xlim=(0, 100))
ax.set_title("The strong telling spends its words on what was done")
ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.3), ncols=3, fontsize=8)
plt.show()

# %% [markdown]
# *Figure: two bars, each divided into the five parts of a story. In the weak telling the situation takes more than half of the bar; in the strong one it takes about a seventh, and what was done takes about half.*
#
# The strong telling is longer, and still only 1.6<!-- =both_measured[minutes, strong] --> minutes, which leaves time for questions. Hold it against the rubric:
#
# | point | had? | the words that earned it |
# |---|---|---|
# | situation | yes | two sentences, and the second one hurts |
# | your part | yes | "I had muted the alarm": the teller's own fault, before anybody else's. Then damage limited **before** the cause was known |
# | number | yes | 9 days, 12,400<!-- given --> quotes, 31<!-- given --> % to 27<!-- given --> %. The parts fit: 4<!-- given --> points of 12,400<!-- given --> are about 500<!-- given --> |
# | learnt | yes | a belief that was wrong: noisy is not useless |
# | changed | yes | a check that still runs, and what it has caught |
#
# Two of its six sentences have no I, "so nobody knew …" and "support asked me …". Both may stay: the one names the effect of the decision, the other gives credit. The supplier appears once, without blame.
#
# ### Your turn
#
# Four claims from an interview, and eight things the speaker could say when asked *how do you know?* (Made up.) Which one holds up which claim?
#
# | claim | | said when asked | |
# |---|---|---|---|
# | **A** | Reviews became much faster. | **1** | We merged 212<!-- given --> requests in half a year. |
# | **B** | The new model is clearly better. | **2** | From request to merge, the median fell from 41<!-- given --> to 9<!-- given --> hours: 60<!-- given --> requests before, 75<!-- given --> after. |
# | **C** | Users are the last to hear of a fault. | **3** | In the best of five runs the error was 4<!-- given --> % lower. |
# | **D** | Most teams have taken it up. | **4** | On the same 26<!-- given --> fortnights the error was 4<!-- given --> % lower, between 1<!-- given --> % and 7<!-- given --> %. |
# | | | **5** | Of this year's 12<!-- given --> faults our alarm was first in 9<!-- given -->; last year in 2<!-- given --> of 10<!-- given -->. |
# | | | **6** | We wrote 140<!-- given --> tests. |
# | | | **7** | In each of the last four weeks, 4<!-- given --> of the 5<!-- given --> teams used it. |
# | | | **8** | The presentation had 60<!-- given --> listeners. |

# %% exercise="evidence"

# %%
exercise.check(evidence=evidence)

# %% [markdown]
# ## Sitting 2 · The sentence a story turns on
#
# **Time** 20 minutes. The decision in a story, the second question, and stories of your own.

# %% [markdown]
# ## The hinge
#
# Each kind of story turns on one sentence. If you can say it, the story exists. If you can't, take another story. (Made up, all of them.)
#
# | story | weak hinge | strong hinge |
# |---|---|---|
# | **failure** | "The data changed without notice." | "I had muted the alarm that would have told us." |
# | **initiative** | "I presented it to all teams." | "I asked three teams what it cost them each week, built the part that the slowest team needed, and their lead showed it to the next." |
# | **initiative**, the resistance | "Some people don't like change." | "Ana was against it: one more service to keep awake. I had no answer, so I dropped the service and we shipped a package." |
# | **standard** (tests, reviews) | "I introduced 80<!-- given --> % coverage." | "The leak of March had cost us a week; I wrote the five-line test that would have caught it, watched it fail on the old code, and the team asked for the next." |
# | **standard**, its limit | "Quality is not negotiable for me." | "We agreed to ask it of new code only. I deleted one rule again, since it had started six arguments and found nothing." |
# | **disagreement** | "It turned out that I was right." | "He said the gate would cost us a release a month; that was true, and I'd have said it the same way. We ran both for four weeks." |
# | **ownership** | "I reported it in the channel." | "Nobody answered by Thursday, so I wrote to the owner that I would take it until the 1st, and handed it back with an alarm and a page." |
#
# A hinge holds a decision that could have gone another way. That is what a listener can learn about you from.
#
# ### Your turn
#
# Three tellings, made up, each cut short. Which points of the rubric do they lack? Say it before you fill in the stub.

# %% [markdown]
# > **A · an initiative.** Five teams logged their experiments each in another way, and nobody found last month's best run. We set up one server and agreed on names. After 3 months 4 of the 5 teams used it, and finding a run took a minute instead of an hour. I had thought the server would be the work; it was the names. Since then I write the naming rule
# > before I install anything.

# %% [markdown]
# > **B · a standard.** I came into a team of eight people in two cities. The code had grown for years. Most of it was one notebook, and there were several opinions about it. The former lead had left in spring. I froze the outputs of the notebook as a test, then moved one function at a time, and asked each author to review what had been theirs. It
# > became far easier to work with. I learnt that I had feared resistance where there was only fear of breaking things. Now I always freeze the outputs before I touch code.

# %% [markdown]
# > **C · a failure.** My forecast ordered too little for 6 shops over Easter. I had left out the moving holiday. I saw it on Saturday in the share of empty shelves, called the 6 shop managers, and raised Monday's orders by hand; about 2,100<!-- given --> sales were lost. Head office should publish its calendar earlier. It won't happen again, since they have promised to.

# %% exercise="missing"

# %%
exercise.check(missing=missing)

# %% [markdown]
# ## An initiative and a standard, told well
#
# Two of the three, repaired. (Still made up.) Read where the words went.

# %% [markdown]
# > **The initiative.** Five teams logged their experiments in five ways, and nobody found last month's best run. I led one of the teams and had no say in the other four.

# %% [markdown]
# > I asked one person of each team to find their best run of the month before, and watched: an hour on average, and two gave up. I wrote a naming rule of one page and tried it with the team that complained most. Their lead was against a server, one more thing to keep awake. She was right about the nights, so I asked the platform team to run it and gave up my
# > own choice of product for theirs. She showed it to the next team herself. After 3 months 4 of the 5 teams used it, and finding a run took a minute. For the fifth it would have cost more than it saved; I left them alone.

# %% [markdown]
# > I had thought the server would be the work; it was the names. Since then I write the naming rule before I install anything. The platform team owns it today.

# %% [markdown]
# The listener hears a measured problem that others had, something small first, a person who was against it **with her reason**, something given up, a number, and an owner who is not the teller.

# %% [markdown]
# > **The standard.** The training code of eight people was one notebook, and 3 of its last 10 changes had spoilt a forecast for a day before anybody saw it. I was to raise the standard and could order nobody.

# %% [markdown]
# > I froze the outputs of the notebook as a test of 2 minutes, and broke the code once on purpose to see it fail. Then I moved one function a week, and asked each author to review what had been theirs. We agreed on tests for new code only. I deleted one of my own rules, since it had started six arguments and found nothing. In the next half year 1 of 60 changes
# > spoilt a forecast, and the test showed it before anybody ordered by it.
# >
# > I had feared resistance where there was only fear of breaking things. Now I always freeze the outputs before I touch code; two of the authors do it in their next project.

# %% [markdown]
# Here it is the order: first what makes the present behaviour checkable, then small steps, a standard that was agreed, and a rule that was dropped. A standard without a dropped rule sounds like a wish.
#
# ## The second question
#
# Stories are judged in the follow-ups, and these hardly vary. Write one line for each before you rehearse:

# %% [markdown]
# - **How long until somebody knew?** A date and a number of days, and what has shortened that time since. The strong telling has it: 9 days, then within the hour.
# - **Who was angry, and what did you tell them?** What happened, what it means for them, what comes next and when. No cause before it is known.
# - **What would you do differently?** Something you would decide differently with what you knew *then*, not with what you know now.
# - **What did the others do?** One sentence of credit, by role. Whoever says "I" all the time and knows no one else's part is not believed either.
# - **How do you know the number?** From which log or table, over which weeks. If you estimated it, say so: "about 500<!-- given -->, from the fall in bookings per quote".

# %% [markdown]
# This is where an invented story breaks: it has no log, no names and no dull middle.
#
# And what you may leave out: names of customers, figures your former employer keeps to itself. Give the ratio instead of the amount, and say that you do so.
#
# ## Your own
#
# You need six stories, not thirty: a failure, an initiative, a standard, a disagreement, something you ended, somebody you helped. One good story answers three questions, if you begin it at another point. In a terminal:
#
# ```bash
# walkforward story new "The alarm I muted"   # the five parts, in your editor or one by one
# walkforward story list                      # words, what is empty, how often told, how well
# walkforward story rehearse                  # tell the least told aloud; clock, then the rubric
# ```
#
# They are Markdown files in your own state folder, outside of the course; `walkforward story list` prints where. Put the path of one into `my_story` at the top, and this cell measures it as it measured ours:

# %% name="mine"
if my_story is None:
    print("no story of yours yet: set my_story at the top")
else:
    told = Path(my_story).expanduser().read_text(encoding="utf-8")
    print(pd.Series(measured(told)).map("{:g}".format).to_string())
    print("without an I:", *without_i(parts(told)["What I did"]), sep="\n  ")
    print("unmeasured:", *unmeasured(" ".join(parts(told).values())), sep="\n  ")

# %% [markdown]
# The program counts; it can't hear. After two rehearsals tell the story to somebody who was not there, and ask one thing: *what did I do?* If their answer is right, you are done.
#
# ## Practice
#
# Speak before you unfold the points.

# %%
practice_card("behave-model-failed-in-production")

# %%
practice_card("behave-initiative-without-authority")

# %%
practice_card("behave-standard-clean-code")

# %% [markdown]
# In a terminal, `walkforward practice --kind behavioural` asks the others: reviews, tests nobody wanted, ownership, disagreement, an incident you led.
#
# ## Take-aways
#
# - The listener wants to predict your next bad day. Two sentences of situation, then what you did.
# - A failure story begins at your own decision. If it begins at somebody else's, it is not yours.
# - Where there is a claim there is a number, and you know where it comes from.
# - A lesson is a belief that was wrong; a change is something that runs today and has caught something.
# - Three minutes, aloud, to somebody who was not there. Reading it silently is not rehearsing.

# %% [markdown]
# ## In an interview
#
# - *Tell me about a model of yours that failed in production.* Shown in [The same failure, told well](#The-same-failure,-told-well) and [The second question](#The-second-question).
# - *Tell me about something you brought about without the authority to order it.* Shown in [An initiative and a standard, told well](#An-initiative-and-a-standard,-told-well) and [The hinge](#The-hinge).
# - *How did you raise the standard of code in a team?* Shown in [An initiative and a standard, told well](#An-initiative-and-a-standard,-told-well).

# %% [markdown]
# ## Up next
#
# The round as it is held: `walkforward mock --round behavioural` asks four questions on different themes, takes the stories that you have written, and says at the end at which level you told them, by criterion. `walkforward mock --round design` does the same for a design case.
