// The review log in this browser: one entry of localStorage an answer, so that two tabs can't lose each other's.
// A line of an exported file is an answer as `walkforward practice --export` writes it, and --import reads it.

const PREFIX = "walkforward.review.", DRAFT = "walkforward.draft.", PASSED = "walkforward.passed.",
  ATTEMPT = "walkforward.attempt.", TOLD = "walkforward.told.", SAT = "walkforward.sat.", ROUND = "walkforward.round.";
const FIELDS = { question: "string", rating: "number", reviewed: "string", must: "object", good: "object", source: "string" };

/** An answer is one question at one moment, however the moment is written. */
const key = (review) => `${PREFIX}${Date.parse(review.reviewed)}.${review.question}`;

/** The entries of a kind: what follows the prefix in the name, and the value. */
function named(prefix) {
  const names = Array.from({ length: localStorage.length }, (_, place) => localStorage.key(place));
  return names.filter((name) => name.startsWith(prefix)).map((name) => [name.slice(prefix.length), localStorage.getItem(name)]);
}

function entries(prefix) {
  return named(prefix).flatMap(([, value]) => {
    try { return [JSON.parse(value)]; } catch { return []; } // another program's, or cut off
  });
}

export const reviews = () => entries(PREFIX).sort((one, other) => Date.parse(one.reviewed) - Date.parse(other.reviewed));

export const record = (review) => localStorage.setItem(key(review), JSON.stringify(review));

export const exported = () => reviews().map((one) => `${JSON.stringify(one)}\n`).join("");

/** Take in the lines of an exported file, all or none; return how many answers are new here. */
export function imported(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean).map((line, place) => {
    let one;
    try { one = JSON.parse(line); } catch { throw new Error(`line ${place + 1} is no JSON`); }
    const bad = Object.entries(FIELDS).find(([name, kind]) => typeof one?.[name] !== kind);
    if (bad) throw new Error(`line ${place + 1} has no ${bad[0]}`);
    if (![1, 2, 3, 4].includes(one.rating)) throw new Error(`line ${place + 1}: the rating is ${one.rating}, not 1 to 4`);
    if (Number.isNaN(Date.parse(one.reviewed)) || !/(Z|[+-]\d\d:\d\d)$/.test(one.reviewed)) {
      throw new Error(`line ${place + 1}: ${one.reviewed} is no time with a zone`);
    }
    return one;
  });
  const fresh = lines.filter((one) => localStorage.getItem(key(one)) === null);
  fresh.forEach(record);
  return new Set(fresh.map(key)).size;
}

export const draft = (question) => JSON.parse(localStorage.getItem(DRAFT + question) ?? "null");
export const keepDraft = (question, value) => localStorage.setItem(DRAFT + question, JSON.stringify(value));
export const dropDraft = (question) => localStorage.removeItem(DRAFT + question);

export const setting = (name) => localStorage.getItem(`walkforward.${name}`) ?? "";
export const set = (name, value) => localStorage.setItem(`walkforward.${name}`, value);

// What was done beside answers: katas, tickets and rounds as they ended, stories that were told, sittings that were ticked.

/** When a kata passed here first; "1" was written before the moment was kept. */
export const passedAt = (name) => localStorage.getItem(PASSED + name);
export const kataPassed = (name) => { if (!passedAt(name)) localStorage.setItem(PASSED + name, new Date().toISOString()); };

export const attempt = (one) => localStorage.setItem(`${ATTEMPT}${Date.parse(one.ended)}.${one.what}.${one.name}`, JSON.stringify(one));

/** Katas that passed, tickets and rounds, in the order of time. */
export function attempts() {
  const katas = named(PASSED).map(([name, when]) =>
    ({ what: "kata", name, passed: true, ended: Number.isNaN(Date.parse(when)) || when === "1" ? "1970-01-02T00:00:00Z" : when }));
  return [...katas, ...entries(ATTEMPT)].sort((one, other) => Date.parse(one.ended) - Date.parse(other.ended));
}

/** Rounds that were left before they were graded, by the moment at which each began. */
export const waiting = () => entries(ROUND).sort((one, other) => one.began - other.began);
export const keepRound = (round) => localStorage.setItem(ROUND + round.began, JSON.stringify(round));
export const dropRound = (round) => localStorage.removeItem(ROUND + round.began);

export const tell = () => localStorage.setItem(`${TOLD}${Date.now()}`, "1");
export const told = () => named(TOLD).map(([when]) => Number(when)).sort((one, other) => one - other);

export const sat = () => named(SAT).map(([name, time]) => ({ name, time })).sort((one, other) => Date.parse(one.time) - Date.parse(other.time));
export function tick(name, done) {
  if (done) localStorage.setItem(SAT + name, new Date().toISOString()); else localStorage.removeItem(SAT + name);
}
