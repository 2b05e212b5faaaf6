// What to do on which day until the interview, by the rules of course/practice/plan.py: made anew each day from what is
// really done. Pure: the outline of the course is plan.json, what was done is given, days are "2026-12-13" as in the plan.

import { weight, Weights } from "./advertisement.js";
import { Schedule } from "./queue.js";
import { even, fill, item, KATA, LONGEST, questions, ROUND, short, STORY } from "./timetable.js";

const DAY = 86_400_000, FARTHEST = 365, LEAST = 0.25, MOST = 12, USUAL = 1.5;
export const USUAL_PATH = "interview";

/** The day on the student's own calendar. */
export function dayOf(moment) {
  const when = new Date(moment);
  return [when.getFullYear(), when.getMonth() + 1, when.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}

export const later = (day, days) => new Date(Date.parse(day) + days * DAY).toISOString().slice(0, 10);
export const between = (first, last) => Math.round((Date.parse(last) - Date.parse(first)) / DAY);
const tally = (days) => days.reduce((found, day) => found.set(day, (found.get(day) ?? 0) + 1), new Map());

/** What was really done. progress: exercises passed, with times; reviews; attempts at katas and rounds; told: times of stories. */
export class Done {
  constructor({ progress = [], reviews = [], attempts = [], told = [] }) {
    this.reviews = reviews;
    this.passed = new Map();
    for (const { exercise, time } of progress) if (!this.passed.has(exercise)) this.passed.set(exercise, dayOf(time));
    this.answered = tally(reviews.filter((one) => one.source !== "mock").map((one) => dayOf(one.reviewed)));
    this.rounds = attempts.filter((one) => one.what === "round").map((one) => [one.name, dayOf(one.ended)]);
    const own = attempts.filter((one) => one.what === "kata" && one.passed).map((one) => [one.name, dayOf(one.ended)]);
    this.katas = new Map([...this.passed, ...own.reverse()]);
    this.told = tally(told.map(dayOf));
  }
}

/** The sittings that a plan is about: those of its path, and those that an advertisement adds. */
export class Course {
  constructor(outline, plan, done) {
    this.outline = outline;
    this.plan = plan;
    this.done = done;
    this.lessons = new Map(outline.lessons.map((one) => [one.stem, one]));
    const every = new Map(outline.lessons.flatMap(({ sittings }) => sittings.map((one) => [one.name, one])));
    const route = outline.paths.find((one) => one.name === plan.path);
    this.route = route.sittings.map((name) => every.get(name));
    this.terms = Object.keys(plan.terms).flatMap((name) => outline.advertisement.terms.filter((one) => one.term === name));
    this.weights = new Weights(this.terms);
    this.sittings = this.all(route);
    this.finished = this.over();
    this.first = [...this.weights.lessons.keys()].flatMap((stem) => [...this.sittings.values()].filter((one) => one.stem === stem))
      .map((one) => one.name);
    const firsts = new Map([...this.sittings.values()].reverse().map((one) => [one.stem, one.name]));
    this.taught = this.terms.map(({ stems, idea }) => [weight(idea), stems.filter((stem) => firsts.has(stem)).map((stem) => firsts.get(stem))])
      .filter(([, names]) => names.length);
    const names = [...this.sittings.keys()]; // by worth, for when not all fit
    this.rank = [...names.filter((name) => name.startsWith("I")), ...names.filter((name) => !name.startsWith("I"))];
  }

  all(route) {
    const found = new Map(this.route.map((one) => [one.name, one]));
    const onPath = new Set([...this.route.map((one) => one.stem), ...route.assumed]), added = new Set();
    const waiting = this.weights.own.filter((stem) => !onPath.has(stem));
    while (waiting.length) {
      const stem = waiting.pop();
      if (!this.lessons.has(stem) || added.has(stem) || onPath.has(stem)) continue;
      added.add(stem);
      waiting.push(...this.lessons.get(stem).needs);
    }
    for (const [stem, { sittings: [one] }] of this.lessons) if (added.has(stem)) found.set(one.name, one); // the first of several
    return found;
  }

  /** Names of the sittings that are done: by their exercises, because a later one was begun, or by the student's word. */
  over() {
    const { passed } = this.done, whole = (one) => one.exercises.every((name) => passed.has(name));
    const begun = this.route.map((one) => one.exercises.some((name) => passed.has(name)));
    const own = [...this.sittings.values()].filter((one) => one.exercises.length && whole(one));
    const walked = this.route.filter((one, at) => (one.exercises.length ? whole(one) : begun.slice(at).some(Boolean)));
    return new Set([...[...own, ...walked].map((one) => one.name), ...this.plan.said]);
  }

  finishedOn(name) {
    const exercises = this.finished.has(name) && this.sittings.has(name) ? this.sittings.get(name).exercises : [];
    return exercises.map((one) => this.done.passed.get(one)).filter(Boolean).sort().at(-1) ?? null;
  }

  /** What is left of a sitting: its minutes by the share of exercises that are not passed yet. */
  minutes({ minutes, exercises }) {
    const whole = minutes || LONGEST, open = exercises.filter((name) => !this.done.passed.has(name)).length;
    return exercises.length ? Math.ceil((whole * open) / exercises.length / 5) * 5 : whole;
  }

  get pieces() {
    const all = [...this.sittings.values()];
    return all.filter((one) => !this.finished.has(one.name)).map((one) => ({
      name: one.name,
      minutes: this.minutes(one),
      needs: all.filter((other) => this.lessons.get(one.stem).needs.includes(other.stem) || (other.stem === one.stem && other.part < one.part))
        .map((other) => other.name),
    }));
  }
}

/** The questions of a queue so that each term of an advertisement gets its turn: next is the first of the term that was asked about least. */
function byTurns(terms, queue, log) {
  const asked = new Map(), of = new Map(), waiting = terms.map(() => []), places = terms.map(() => 0), found = new Set();
  for (const { question } of log) asked.set(question, (asked.get(question) ?? 0) + 1);
  const turns = terms.map((questions) => questions.reduce((sum, { id }) => sum + (asked.get(id) ?? 0), 0));
  terms.forEach((questions, at) => questions.forEach(({ id }) => of.set(id, [...(of.get(id) ?? []), at])));
  for (const one of queue) for (const at of of.get(one.id)) waiting[at].push(one);
  for (;;) {
    let first = -1;
    for (const at of terms.keys()) if (places[at] < waiting[at].length && (first < 0 || turns[at] < turns[first])) first = at; // the earlier one of a tie
    if (first < 0) return [...found];
    const one = waiting[first][places[first]++];
    if (found.has(one)) continue;
    found.add(one);
    for (const at of of.get(one.id)) turns[at] += 1;
  }
}

/** The questions that wait, in the order of the schedule, handed out day by day. */
export class Ready {
  /** most: how many are taken in all, where that is known. */
  constructor(course, bank, interview, now, most = Infinity) {
    const { reviews } = course.done, terms = course.weights.questions(bank), about = new Set(terms.flat().map((one) => one.id));
    const ordered = (chosen, count) => (chosen.length
      ? new Schedule(bank, reviews, interview ? Date.parse(interview) : null, now, chosen).following(Math.min(count, chosen.length)) : []);
    this.waiting = ordered(bank, 2 * most);
    this.named = byTurns(terms, ordered(bank.filter((one) => about.has(one.id)), Infinity), reviews);
  }

  /** So many in the order of the schedule; up to half are about what the advertisement names. */
  take(number) {
    const most = Math.max(0, number), named = this.named.slice(0, Math.ceil(most / 2)), first = new Set(named);
    const taken = [...named, ...this.waiting.filter((one) => !first.has(one))].slice(0, most), gone = new Set(taken);
    this.waiting = this.waiting.filter((one) => !gone.has(one));
    this.named = this.named.filter((one) => !gone.has(one));
    return taken;
  }
}

export const itemsOf = (plan, day) => plan.days.find((one) => one.day === day)?.items ?? [];

export function isDone(one, day, course) {
  const { done } = course;
  if (one.what === "sitting") return course.finished.has(one.name);
  if (one.what === "round") return done.rounds.some(([name, when]) => name === one.name && when === day);
  if (one.what === "kata") return done.katas.has(one.name);
  if (one.what === "story") return (done.told.get(day) ?? 0) >= itemsOf(course.plan, day).filter((other) => other.what === "story").length;
  return (done.answered.get(day) ?? 0) >= one.count;
}

/** The plan of today, made anew where a day began or the interview moved. */
export function current(outline, plan, interview, done, now) {
  const today = dayOf(now);
  if (!plan || !interview || interview <= today || (plan.made === today && plan.interview === interview)) return plan;
  return madeAnew(outline, { ...plan, interview }, plan, done, today);
}

/** What is left of today by a plan that is `current`; null without one, without an interview, and after it. */
export function today(outline, bank, plan, interview, done, now) {
  const day = dayOf(now);
  if (!plan || !interview || interview < day) return null;
  const items = interview > day ? itemsOf(plan, day) : [], course = new Course(outline, plan, done);
  const open = items.filter((one) => !isDone(one, day, course)), names = (what) => open.filter((one) => one.what === what).map((one) => one.name);
  const number = items.filter((one) => one.what === "questions").reduce((sum, one) => sum + one.count, 0) - (done.answered.get(day) ?? 0);
  return {
    questions: new Ready(course, bank, interview, now, number).take(number).map((one) => one.id),
    katas: names("kata"),
    sittings: [...new Set(names("sitting").map((name) => name.split(" ")[0]))],
    rounds: names("round"),
    stories: Math.max(0, items.filter((one) => one.what === "story").length - (done.told.get(day) ?? 0)),
    off: between(day, interview) <= 1,
  };
}

/** A plan with its days from today on filled anew; `old` is the one that it follows. */
export function madeAnew(outline, plan, old, done, today) {
  const course = new Course(outline, plan, done), begun = dayOf(plan.begun), { katas } = outline;
  const filled = fill(Math.max(0, between(today, plan.interview) - 1), plan.minutes, {
    pieces: course.pieces,
    rank: course.rank,
    first: course.first,
    terms: course.taught,
    held: done.rounds.filter(([, day]) => day >= begun).map(([name]) => name),
    told: [...done.told].filter(([day]) => day >= begun).reduce((sum, [, number]) => sum + number, 0),
    katas: katas.filter((name) => !done.katas.has(name)),
    solved: katas.filter((name) => done.katas.get(name) >= begun).length,
    elapsed: Math.max(0, between(begun, today)),
    kept: keptOf(done, today, old, course),
  });
  const days = [...filled.days.map((items, at) => ({ day: later(today, at), items })), { day: later(plan.interview, -1), items: [] }];
  const made = { ...plan, made: today, days, left: filled.left };
  if (!old) return { ...made, missed: {}, since: null, fallen: [] };
  if (old.made < today) Object.assign(made, { missed: missedOf(old, course, today), since: old.made });
  const before = new Set(old.left.map((one) => `${one.what} ${one.name}`));
  const fallen = filled.left.filter((one) => !before.has(`${one.what} ${one.name}`)).map(label);
  return { ...made, fallen: old.made < today ? fallen : [...new Set([...old.fallen, ...fallen])] };
}

/** What the log says of today already, as items: it has its minutes of the day. */
function keptOf(done, today, old, course) {
  const kept = (old ? itemsOf(old, today) : []).filter((one) => one.what === "sitting" && course.finishedOn(one.name) === today);
  for (const [name, day] of done.rounds) if (day === today && name in ROUND) kept.push(item("round", ROUND[name], { name }));
  const there = new Set(kept.map((one) => one.name));
  for (const [name, day] of done.katas) {
    if (day === today && course.outline.katas.includes(name) && !there.has(name)) kept.push(item("kata", KATA, { name }));
  }
  for (let told = 0; told < (done.told.get(today) ?? 0); told++) kept.push(item("story", STORY));
  if (done.answered.get(today)) kept.push(questions(done.answered.get(today)));
  return kept;
}

/** What the days before today held and nobody did, by what it is. */
function missedOf(old, course, today) {
  const { done } = course, past = old.days.filter((one) => one.day < today), ahead = new Map();
  const items = past.flatMap(({ day, items: own }) => own.map((one) => [day, one])), of = (what) => items.filter(([, one]) => one.what === what);
  for (const one of old.days.filter(({ day }) => day >= today)) {
    const own = new Map(one.items.filter(({ what }) => what === "sitting").map(({ name, minutes }) => [name, minutes]));
    for (const [name, minutes] of own) ahead.set(name, (ahead.get(name) ?? 0) + minutes);
  }
  const left = new Map(course.pieces.map((piece) => [piece.name, piece.minutes]));
  const sat = [...new Set(of("sitting").map(([, one]) => one.name))].filter((name) => (left.get(name) ?? 0) > (ahead.get(name) ?? 0));
  const held = tally(done.rounds.filter(([, day]) => old.made <= day && day < today).map(([name]) => name)), rounds = [];
  for (const [, { name }] of of("round")) if (held.get(name)) held.set(name, held.get(name) - 1); else rounds.push(name);
  const katas = of("kata").map(([, one]) => one.name).filter((name) => !done.katas.has(name));
  const stories = of("story").length - past.reduce((sum, { day }) => sum + (done.told.get(day) ?? 0), 0);
  const asked = of("questions").reduce((sum, [day, one]) => sum + Math.max(0, one.count - (done.answered.get(day) ?? 0)), 0);
  const found = { sitting: sat, round: rounds, kata: katas, story: stories > 0 ? [String(stories)] : [], questions: asked ? [String(asked)] : [] };
  return Object.fromEntries(Object.entries(found).filter(([, names]) => names.length));
}

/** How something of the plan is called: a sitting by its number, a round as one. */
export const label = (one) => (one.what === "sitting" ? short(one.name) : `round ${one.name}`);

// Asked for -------------------------------------------------------------------------------------------------

function dayWanted(text, today) {
  const rule = `choose a day to come, such as ${later(today, 14)}`;
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || Number.isNaN(Date.parse(text))) throw new Error(`${text || "Nothing"} is no day: ${rule}.`);
  if (text <= today) throw new Error(`${text} is ${text === today ? "today" : "over"}: ${rule}.`);
  if (between(today, text) > FARTHEST) throw new Error(`${text} is ${between(today, text)} days away: a plan reaches ${FARTHEST}.`);
  return text;
}

function minutesWanted(text) {
  const wanted = text.trim() ? Number(text.trim().replace(",", ".")) : NaN;
  if (!(LEAST <= wanted && wanted <= MOST)) throw new Error(`Hours ${text || "of nothing"}: write the hours of a day, from ${LEAST} to ${MOST}, such as ${USUAL}.`);
  return even(60 * wanted);
}

/** Make or change a plan. wishes: day, hours, path, terms (with the advertisement's words), job; what is left out stays. */
export function asked(outline, old, interview, wishes, done, now) {
  const today = dayOf(now), day = wishes.day === undefined ? interview : dayWanted(wishes.day, today);
  const minutes = wishes.hours === undefined ? null : minutesWanted(wishes.hours);
  if (wishes.path !== undefined && !outline.paths.some((one) => one.name === wishes.path)) throw new Error(`There is no path ${wishes.path}.`);
  if (!day || day <= today) throw new Error(`For which day? Choose one to come, such as ${later(today, 14)}.`);
  const follows = old && old.interview > today ? old : null; // after an interview all begins anew
  const base = follows ?? { version: 1, begun: new Date(now).toISOString(), made: today, interview: day, minutes: 60 * USUAL, path: USUAL_PATH,
    job: "", terms: {}, said: [], days: [], left: [], missed: {}, since: null, fallen: [] };
  const plan = { ...base, interview: day, minutes: minutes ?? base.minutes, path: wishes.path ?? base.path };
  if (wishes.terms) Object.assign(plan, { job: wishes.job ?? "", terms: wishes.terms });
  return madeAnew(outline, plan, follows, done, today);
}
