// How the days up to an interview are filled, by the rules of course/practice/timetable.py: the same wishes, the same days.

/** Minutes of each round as `mock` holds it, in the order in which they are kept when not all fit. */
export const ROUND = { coding: 45, design: 45, behavioural: 45, screen: 30, debugging: 45, cv: 45 };
export const STORY = 15, KATA = 20, LONGEST = 60;
const QUESTION = 5, ROUNDS_SHARE = 0.25, SITTINGS_SHARE = 0.5, STORIES_SHARE = 0.1, KATAS_SHARE = 0.1, QUESTIONS_SHARE = 0.3;
const MOST_QUESTIONS = 12, MOST_KATAS = 3, LEAST_KATAS = 2, PASSES = 2;

const sum = (items) => items.reduce((total, one) => total + one.minutes, 0);
const range = (count) => Array.from({ length: count }, (_, at) => at);

/** Python rounds a half to the even neighbour. */
export function even(value) {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

export const item = (what, minutes, rest = {}) => ({ what, name: "", minutes, count: 1, part: "", ...rest });
export const questions = (number) => item("questions", number * QUESTION, { count: number });

/** Minutes as one says them: 45 minutes, 1 hour, 9.8 hours. */
export function hours(minutes) {
  if (minutes < 60) return `${minutes} minutes`;
  const tenths = minutes % 30 === 15 ? even(minutes / 6) / 10 : Number((minutes / 60).toFixed(1)); // a quarter is a tie
  return minutes === 60 ? "1 hour" : `${tenths} hours`;
}

/** A sitting as a reader says it: "13b", "I3.2". */
export function short(name) {
  const [stem, part] = name.split(" ");
  return stem.split("_")[0] + (part ? `.${part}` : "");
}

/** Names as a sentence has them: "a, b and c". */
export const listed = (names) => (names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0]);

class Days {
  constructor(budget, days) {
    this.budget = budget;
    this.days = days;
    this.left = [];
  }

  room(day) { return this.budget - sum(this.days[day]); }

  has(day, what) { return this.days[day].filter((one) => one.what === what).length; }
}

/** Fill `count` days of `budget` minutes each. wishes: pieces, rank, first, terms, held, told, katas, solved, elapsed, kept, as in Python. */
export function fill(count, budget, wishes) {
  const wished = { first: [], terms: [], held: [], told: 0, katas: [], solved: 0, elapsed: 0, kept: [], ...wishes };
  const filled = new Days(budget, range(count).map(() => []));
  if (!count) {
    filled.left = byRank(wished).map(({ name, minutes }) => ({ what: "sitting", name, minutes, why: "no day is left" }));
    return filled;
  }
  filled.days[0] = [...wished.kept];
  rounds(filled, wished);
  sittings(filled, wished);
  stories(filled, wished);
  katas(filled, wished);
  filled.days.forEach((items, day) => {
    const asked = items.filter((one) => one.what === "questions").reduce((total, one) => total + one.count, 0);
    const number = asked + Math.max(0, Math.min(MOST_QUESTIONS - asked, Math.floor(filled.room(day) / QUESTION)));
    filled.days[day] = items.filter((one) => one.what !== "questions");
    if (number) filled.days[day].push(questions(number));
  });
  return filled;
}

/** So many days from first to last, evenly; the last one is among them. */
function spread(number, first, last) {
  return number === 1 ? [last] : range(number).map((at) => first + even((at * (last - first)) / (number - 1)));
}

/** Each round on its day of the whole plan; one whose day is over comes as soon as there is room. */
function rounds(filled, wishes) {
  const whole = wishes.elapsed + filled.days.length, share = Math.trunc(ROUNDS_SHARE * whole * filled.budget);
  const lasts = Object.entries(ROUND).map(([name, minutes]) => [name, Math.min(minutes, filled.budget)]);
  const all = lasts.reduce((total, [, minutes]) => total + minutes, 0), first = Math.min(Math.floor(whole / 3), whole - 1);
  const wanted = [];
  for (let again = 1; again <= PASSES; again++) {
    if (again > 1 && again * all > share) break;
    for (const [name, minutes] of lasts) {
      if (minutes <= share - sum(wanted)) {
        if (again === 1 || wanted.length < whole - first) wanted.push(item("round", minutes, { name }));
      } else if (again === 1 && !wishes.held.includes(name)) {
        const why = `rounds take a quarter of all ${hours(whole * filled.budget)} at most`;
        filled.left.push({ what: "round", name, minutes, why });
      }
    }
  }
  if (!wanted.length) return;
  const beside = Math.max(...lasts.map(([, minutes]) => minutes)) + LONGEST + reserved(filled.budget);
  const alone = filled.budget >= beside, bundles = []; // alone: a sitting fits beside a round
  for (const one of wanted) {
    const last = bundles.at(-1), fits = last && last.length < 2 && last[0].minutes + one.minutes <= filled.budget;
    if (fits && !alone) last.push(one); else bundles.push([one]);
  }
  const held = [...wishes.held], open = [];
  spread(bundles.length, first, whole - 1).forEach((day, at) => bundles[at].forEach((one) => {
    const place = held.indexOf(one.name);
    if (place >= 0) held.splice(place, 1); else open.push({ missed: day < wishes.elapsed, day, one });
  }));
  open.sort((one, other) => one.missed - other.missed); // what was missed makes way
  for (const { missed, day, one } of open) {
    const days = missed ? daysForMissed(filled, one, wishes) : range(filled.days.length);
    if (!put(filled, one, Math.max(0, day - wishes.elapsed), days)) {
      filled.left.push({ what: "round", name: one.name, minutes: one.minutes, why: "no day has room for it" });
    }
  }
}

/** Days without another round; every other, where the round fills one: who passes rounds over is still asked questions. */
function daysForMissed(filled, one, wishes) {
  const free = range(filled.days.length).filter((day) => !filled.has(day, "round"));
  return 2 * one.minutes <= filled.budget ? free : free.filter((day) => (day + wishes.elapsed) % 2);
}

/** Put an item on the day that is nearest to `day` and has room for it; false where none has. */
function put(filled, one, day, days, reserve = 0) {
  const nearest = [...days].sort((a, b) => Math.abs(a - day) - Math.abs(b - day) || a - b);
  const other = nearest.find((at) => filled.room(at) - reserve >= one.minutes);
  if (other === undefined) return false;
  filled.days[other].push(one);
  return true;
}

function byRank(wishes) {
  const there = new Map(wishes.pieces.map((piece) => [piece.name, piece]));
  const names = new Set([...wanted(wishes, there), ...wishes.rank, ...there.keys()]);
  return [...names].filter((name) => there.has(name)).map((name) => there.get(name));
}

/** What an advertisement asks for, by worth: the term that is named most; then always what teaches most that nothing before it teaches, against the minutes it adds. */
function wanted(wishes, there) {
  let waiting = wishes.first.filter((name) => there.has(name)), open = wishes.terms.filter(([, names]) => names.every((name) => there.has(name)));
  const found = [], taken = new Set();
  const adds = (name) => new Set([...before(name, there), name].filter((one) => !taken.has(one)));
  const worth = (name) => {
    const added = adds(name);
    let taught = 0;
    for (const [weight, names] of open) {
      const place = names.findIndex((one) => added.has(one)) + 1;
      if (place) taught += weight / place;
    }
    return taught / Math.max(1, [...added].reduce((total, one) => total + there.get(one).minutes, 0));
  };
  const leading = open.length && open[0] === wishes.terms[0] ? open[0][1].filter((name) => waiting.includes(name)) : [];
  while (waiting.length) {
    let best = found.length ? undefined : leading[0];
    if (!best) {
      const worths = new Map(waiting.map((name) => [name, worth(name)]));
      for (const name of waiting) if (!best || worths.get(name) > worths.get(best)) best = name; // the earlier one of a tie
    }
    found.push(best);
    waiting = waiting.filter((name) => name !== best);
    adds(best).forEach((one) => taken.add(one));
    open = open.filter(([, names]) => !names.some((one) => taken.has(one)));
  }
  return found;
}

function sittings(filled, wishes) {
  const there = new Map(wishes.pieces.map((piece) => [piece.name, piece]));
  let chosen = new Set(), placed = placedIn(filled, ordered(wishes.pieces, wishes.first, new Set(there.keys())));
  if (placed) chosen = new Set(there.keys());
  else for (const piece of byRank(wishes)) {
    const wider = new Set([...chosen, piece.name, ...before(piece.name, there)]);
    const found = wider.size > chosen.size && placedIn(filled, ordered(wishes.pieces, wishes.first, wider));
    if (found) [chosen, placed] = [wider, found];
  }
  (placed ?? []).forEach((items, day) => filled.days[day].push(...items));
  for (const { name, minutes } of byRank(wishes)) {
    if (chosen.has(name)) continue;
    const own = before(name, there), needs = [...there.keys()].filter((one) => own.has(one) && !chosen.has(one)).map(short);
    const why = needs.length ? `no time is left with ${listed(needs)} before it` : "no time is left";
    filled.left.push({ what: "sitting", name, minutes, why });
  }
}

/** What a sitting needs, and what that needs, of those that are there. */
function before(name, there) {
  const found = new Set(), waiting = [...there.get(name).needs];
  while (waiting.length) {
    const need = waiting.pop();
    if (!there.has(need) || found.has(need) || need === name) continue;
    found.add(need);
    waiting.push(...there.get(need).needs);
  }
  return found;
}

/** The chosen sittings: those that are wanted first, then the others, each after what it needs. */
function ordered(pieces, first, chosen) {
  const there = new Map(pieces.map((piece) => [piece.name, piece])), names = new Set();
  for (const name of new Set([...first, ...there.keys()])) {
    if (!there.has(name)) continue;
    sorted(before(name, there), there).forEach((need) => names.add(need));
    names.add(name);
  }
  return [...names].filter((name) => chosen.has(name)).map((name) => there.get(name));
}

/** Names in the order of the path, each after what it needs. */
function sorted(names, there) {
  const found = new Set();
  const visit = (name) => {
    if (found.has(name)) return;
    for (const need of there.keys()) {
      if (names.has(need) && there.get(name).needs.includes(need) && need !== name) visit(need);
    }
    found.add(name);
  };
  for (const name of there.keys()) if (names.has(name)) visit(name);
  return [...found];
}

/** The items by day, null when the days can't hold them; spread out where there is time. */
function placedIn(filled, pieces) {
  const count = filled.days.length, { budget } = filled, total = sum(pieces), reserve = reserved(budget);
  const attempts = [[Math.max(LONGEST, Math.ceil(total / (0.8 * count))), reserve],
    [Math.max(LONGEST, Math.trunc(0.6 * budget)), reserve], [budget, reserve]];
  if (total <= SITTINGS_SHARE * count * budget) attempts.push([budget, Math.floor(reserve / 2)]);
  for (const [most, kept] of attempts) {
    const found = firstFit(filled, pieces, most, kept);
    if (found) return found;
  }
  return null;
}

/** The minutes of a day that are kept for questions, where a sitting leaves them. */
const reserved = (budget) => Math.floor(Math.trunc(QUESTIONS_SHARE * budget) / QUESTION) * QUESTION;

function firstFit(filled, pieces, most, reserve) {
  const count = filled.days.length, { budget } = filled, least = budget >= 3 * QUESTION ? QUESTION : 0;
  const taken = range(count).map(() => []);
  let day = 0;
  const space = (at, kept) => {
    const sat = sum(taken[at]);
    return Math.min(filled.room(at) - sat - kept, sat ? most - sat : budget);
  };
  for (const { name, minutes } of pieces) {
    let kept = minutes <= budget - reserve ? reserve : 0, parts = [minutes];
    if (minutes > budget) {
      const number = Math.ceil(minutes / (budget - least));
      parts = range(number).map((at) => Math.floor(minutes / number) + (at < minutes % number ? 1 : 0));
      kept = least;
    }
    for (const [at, part] of parts.entries()) {
      while (day < count && space(day, kept) < part) day++;
      if (day === count) return null;
      taken[day].push(item("sitting", part, { name, part: parts.length > 1 ? `${at + 1}/${parts.length}` : "" }));
    }
  }
  return taken;
}

function stories(filled, wishes) {
  const count = filled.days.length, whole = wishes.elapsed + count;
  const number = Math.min(whole > 20 ? 8 : 4, Math.floor(Math.trunc(STORIES_SHARE * whole * filled.budget) / STORY));
  for (const day of number ? spread(number, 0, whole - 1).slice(wishes.told) : []) {
    const free = range(count).filter((other) => !filled.has(other, "story"));
    put(filled, item("story", STORY), Math.max(0, day - wishes.elapsed), free);
  }
}

/** Where there is room beside the questions; two at least, though they take some of these. */
function katas(filled, wishes) {
  const names = [...wishes.katas], count = filled.days.length, whole = wishes.elapsed + count, reserve = reserved(filled.budget);
  const number = Math.min(names.length + wishes.solved, Math.floor(Math.trunc(KATAS_SHARE * whole * filled.budget) / KATA));
  let placed = wishes.solved;
  for (const [most, kept] of [[number, reserve], [Math.min(number, LEAST_KATAS), Math.floor(reserve / 2)]]) {
    for (const day of number ? spread(number, 0, whole - 1).slice(placed) : []) {
      const free = range(count).filter((other) => filled.has(other, "kata") < MOST_KATAS);
      if (placed < most) placed += put(filled, item("kata", KATA), Math.max(0, day - wishes.elapsed), free, Math.max(QUESTION, kept));
    }
  }
  filled.days = filled.days.map((items) => items.map((one) => (one.what === "kata" && !one.name ? { ...one, name: names.shift() } : one)));
}
