// Which question comes next, by the rules of course/practice/schedule.py: what is due is spread over the days, so
// that it can't crowd out what was never asked; a new question is of the topic that was asked least for its size.

import { AGAIN, replay, retrievability } from "./fsrs.js";

const DAY = 86_400_000, TEN = 10, FEWEST = 2, MOST = 5, OFTEN = 4, FOUR_WEEKS = 28;
const day = (moment) => Math.floor(moment / DAY);
const count = (counter, name) => counter.set(name, (counter.get(name) ?? 0) + 1);

function grouped(log) {
  const found = new Map();
  for (const one of log) found.set(one.question, [...(found.get(one.question) ?? []), one]);
  return found;
}

/** Python rounds a half to the even neighbour. */
function even(value) {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

function less(one, other) {
  for (let place = 0; place < one.length; place++) if (one[place] !== other[place]) return one[place] < other[place];
  return false;
}

export class Schedule {
  /** bank: all questions; log: reviews in the order of time; chosen: those that may be asked; times in milliseconds. */
  constructor(bank, log, interview, now, chosen = bank) {
    const whole = new Map(bank.map((one) => [one.id, one])), days = new Map();
    this.chosen = chosen;
    this.now = now;
    this.cards = new Map([...grouped(log)].map(([question, own]) => [question, replay(own, interview)]));
    this.asked = new Map();
    this.turns = new Map();
    this.last = new Map();
    this.repeats = [];
    this.failed = new Set();
    this.size = new Map();
    for (const one of bank) for (const what of [`topic ${one.topic}`, `kind ${one.kind}`]) count(this.size, what);
    for (const one of log.filter((each) => whole.has(each.question))) {
      const question = whole.get(one.question);
      for (const what of [`topic ${question.topic}`, `kind ${question.kind}`]) {
        count(this.turns, what);
        this.last.set(what, this.repeats.length);
      }
      this.repeats.push((this.asked.get(question.id) ?? 0) > 0);
      count(this.asked, question.id);
      count(days, day(Date.parse(one.reviewed)));
      if (one.rating === AGAIN) this.failed.add(question.id); else this.failed.delete(question.id);
    }
    const today = day(now), end = interview ? day(interview) : 0;
    this.end = end > today ? interview : null;
    this.days = this.end ? end - today : FOUR_WEEKS;
    const lately = [...days].filter(([when]) => today - when > 0 && today - when <= 14).map(([, answers]) => answers);
    this.pace = lately.length ? Math.max(1, even(lately.reduce((sum, one) => sum + one, 0) / lately.length)) : TEN;
    this.done = days.get(today) ?? 0;
    this.unseen = bank.filter((one) => !this.asked.get(one.id)).length;
  }

  get due() {
    const need = (one) => [this.failed.has(one.id) ? 0 : 1, this.asked.get(one.id), this.cards.get(one.id).last];
    return this.chosen.filter((one) => this.cards.get(one.id)?.due <= this.now)
      .map((one) => [need(one), one]).sort(([one], [other]) => (less(one, other) ? -1 : less(other, one) ? 1 : 0))
      .map(([, one]) => one);
  }

  get fresh() {
    return this.chosen.filter((one) => !this.asked.get(one.id));
  }

  /** How many of ten answers may be repeats. */
  repeatsInTen(unseen, days) {
    if (!unseen) return TEN;
    const share = unseen / (this.pace * Math.max(1, days));
    return Math.min(MOST, Math.max(FEWEST, TEN - Math.ceil(TEN * share)));
  }

  /** The next questions in order, as if none of them changed what is due. */
  following(wanted, without = new Set()) {
    const due = this.due.filter((one) => !without.has(one.id)), fresh = new Map();
    for (const one of this.fresh.filter((each) => !without.has(each.id))) {
      const name = `${one.topic}\n${one.kind}`;
      fresh.set(name, [...(fresh.get(name) ?? []), one]);
    }
    const rare = due.filter((one) => this.asked.get(one.id) < OFTEN);
    const often = due.filter((one) => this.asked.get(one.id) >= OFTEN);
    const limit = this.repeatsInTen(this.unseen, this.days), repeats = this.repeats.slice(-TEN);
    const turns = new Map(this.turns), last = new Map(this.last), found = [];
    while (found.length < wanted && (rare.length || often.length || fresh.size)) {
      let question;
      if (rare.length && (!fresh.size || repeats.slice(1 - TEN).filter(Boolean).length < limit)) question = rare.shift();
      else if (fresh.size) {
        let first = null, least = null;
        for (const name of fresh.keys()) {
          const turn = this.turn(...name.split("\n"), turns, last);
          if (!least || less(turn, least)) [first, least] = [name, turn];
        }
        question = fresh.get(first).shift();
        if (!fresh.get(first).length) fresh.delete(first);
      } else question = often.shift();
      found.push(question);
      for (const what of [`topic ${question.topic}`, `kind ${question.kind}`]) {
        count(turns, what);
        last.set(what, this.repeats.length + found.length);
      }
      repeats.push((this.asked.get(question.id) ?? 0) > 0);
    }
    return found;
  }

  turn(topic, kind, turns, last) {
    const [ofTopic, ofKind] = [`topic ${topic}`, `kind ${kind}`], share = (what) => (turns.get(what) ?? 0) / Math.sqrt(this.size.get(what));
    return [turns.get(ofTopic) > 0 ? 1 : 0, share(ofKind), share(ofTopic), last.get(ofTopic) ?? -1, last.get(ofKind) ?? -1];
  }
}

/** How probably each question would be recalled now; 0 for a new one and for one that failed last. */
export function recall(bank, log, now) {
  const held = grouped(log);
  return new Map(bank.map(({ id }) => {
    const own = held.get(id);
    return [id, own && own.at(-1).rating !== AGAIN ? retrievability(replay(own, null), now) : 0];
  }));
}
