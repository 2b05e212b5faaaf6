// A round of an interview as course/practice/rounds.py draws it: what is asked, and the level of the answers.

const FULL_CASE = 20, FOLLOW_UP = 3, SHORT = 4, ONE_IN = 4, THEMES = 4, LEAST = 60, COLLECTIONS = ["I1", "I5"];
export const NAMES = ["below junior", "junior", "mid", "senior"];

const shuffled = (list) => list.map((one) => [Math.random(), one]).sort(([one], [other]) => one - other).map(([, one]) => one);
const some = (list, count) => shuffled(list).slice(0, count);
const isCase = (one) => one.kind === "design" && one.minutes >= FULL_CASE;

/** Take the least by `key` again and again, the first of equals. */
function least(list, key) {
  return list.reduce((best, one) => {
    const [mine, theirs] = [key(one), key(best)];
    const place = mine.findIndex((value, at) => value !== theirs[at]);
    return place >= 0 && mine[place] < theirs[place] ? one : best;
  });
}

export const asked = (one) => ({ question: one, title: [...new Set([one.topic, one.kind])].join(" · "), ask: one.prompt,
  seconds: 60 * one.minutes, must: one.must, good: one.good });

const followed = (one, minutes, count) => [asked(one), ...one.next.slice(0, count).map(([ask, gist]) =>
  ({ question: null, title: "what comes next", ask, seconds: 60 * minutes, must: [gist], good: [] }))];

const probe = (one) => ({ question: null, title: one.name, ask: one.ask, seconds: 60 * one.minutes, must: one.listens, good: [] });

const spare = (form, probes, minutes) => 60 * (minutes - probes.reduce((sum, one) => sum + one.minutes, 0));

const DRAW = {
  /** Two katas, of each collection that runs here one, with a question on the cost of each. */
  coding(form, bank, minutes, { katas }) {
    const pools = COLLECTIONS.map((lesson) => katas.filter((one) => one.lesson === lesson)).filter((pool) => pool.length);
    const [first] = some(pools[0], 1), rest = pools.at(-1).filter((one) => one !== first), [second] = some(rest.length ? rest : pools.at(-1), 1);
    const probes = some(form.probes, 2), seconds = Math.max(LEAST, spare(form, probes, minutes) / 2);
    return [first, second].flatMap((kata, place) => [{ what: "kata", kata, question: null, title: `kata ${kata.name}`, seconds, must: [], good: [] },
      probe(probes[place])]);
  },
  /** One ticket of the clinic, then what keeps the fault out and how it is told. */
  debugging(form, bank, minutes, { ticket }) {
    const seconds = Math.max(LEAST, spare(form, form.probes, minutes));
    return [{ what: "ticket", ticket, question: null, title: `ticket ${ticket.ticket}`, seconds, must: [], good: [] }, ...form.probes.map(probe)];
  },
  design: (form, bank) => some(bank.filter(isCase), 1).flatMap((one) => followed(one, FOLLOW_UP, 3)),
  behavioural(form, bank) {
    const themes = new Map();
    for (const one of shuffled(bank.filter((each) => each.kind === "behavioural"))) {
      if (one.asked.length && !one.asked.includes("behavioural")) continue;
      if (!themes.has(one.subject ?? one.id)) themes.set(one.subject ?? one.id, one);
    }
    return [...themes.values()].slice(0, THEMES).flatMap((one) => followed(one, 2, 2));
  },
  cv: (form) => some(form.probes, form.drawn).map(probe),
  screen(form, bank) {
    let pool = shuffled(bank.filter((one) => one.kind === "concept" && one.minutes <= SHORT));
    const order = (one) => (one.level === "senior" ? 2 : 0) + (one.asked.includes("screen") ? 0 : 1);
    pool.sort((one, other) => order(one) - order(other));
    const chapters = {}, chosen = [];
    const chapter = (one) => (one.lessons.includes(one.topic) ? one.topic.slice(0, 2) : one.topic);
    while (pool.length && chosen.length < form.concepts) {
      const one = least(pool, (each) => [chapters[chapter(each)] ?? 0]);
      chapters[chapter(one)] = (chapters[chapter(one)] ?? 0) + 1;
      pool = pool.filter((each) => each !== one);
      chosen.push(one);
    }
    return chosen.map(asked);
  },
};

/** The steps of a round; their seconds are cut in proportion to fit its minutes. Empty where nothing is left to ask.
 *  material: the katas that run here and the ticket, for the rounds that hold them. */
export function draw(name, form, bank, whole, minutes = form.minutes, material = {}) {
  const found = DRAW[name](form, bank, minutes, material);
  if (!found.length) return [];
  const by = new Map(whole.map((one) => [one.id, one])), of = (ids) => ids.map((id) => asked(by.get(id)));
  const steps = [...of(form.opening), ...found, ...of(form.closing)];
  const total = steps.reduce((sum, one) => sum + one.seconds, 0), scale = Math.min(1, (60 * minutes) / total);
  return steps.map((one) => ({ ...one, seconds: Math.round(scale * one.seconds) }));
}

/** Questions that fill so many minutes, balanced over kinds, then over topics. */
export function mixed(bank, minutes) {
  const order = shuffled(bank), cases = order.filter((one) => isCase(one) && one.minutes <= minutes);
  const chosen = cases.length && Math.random() < 1 / ONE_IN ? [cases[0]] : [], spent = {}, topics = {};
  const count = (one) => {
    spent[one.kind] = (spent[one.kind] ?? 0) + one.minutes;
    topics[one.topic] = (topics[one.topic] ?? 0) + 1;
  };
  chosen.forEach(count);
  let left = order.filter((one) => !chosen.includes(one));
  for (;;) {
    const room = minutes - chosen.reduce((sum, one) => sum + one.minutes, 0);
    left = left.filter((one) => one.minutes <= room);
    if (!left.length) return chosen.map(asked);
    const short = left.filter((one) => 3 * one.minutes <= minutes);
    const one = least(short.length ? short : left, (each) => [spent[each.kind] ?? 0, topics[each.topic] ?? 0]);
    chosen.push(one);
    count(one);
    left = left.filter((each) => each !== one);
  }
}

/** The level of an answer, 0 to 3, from scores by criterion and the points of `must` that are missing. */
export function reached(scores, missing, points) {
  const share = [0, 1, 2, 3].map((level) => scores.filter((one) => one >= level).length / scores.length);
  const level = Math.max(...[0, 1, 2, 3].filter((at) => share[at] >= 0.75));
  return Math.min(level, !missing ? 3 : 2 * missing <= points ? 2 : 1);
}
