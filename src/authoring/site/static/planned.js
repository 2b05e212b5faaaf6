// The plan as this browser keeps it: one entry of localStorage, written whole. Nothing in it counts as done; what was
// done is read of the log: answers, rounds, katas that passed, stories that were told, sittings that were ticked.

import { attempts, reviews, sat, set, setting, told } from "./log.js";
import * as rules from "./plan.js";

const here = new URL("./", import.meta.url);
export const outline = await (await fetch(new URL("plan.json", here))).json();
const sittings = outline.lessons.flatMap((lesson) => lesson.sittings);
export const sitting = (name) => sittings.find((one) => one.name === name);

/** What was done; a sitting that was ticked has passed its exercises then. */
export function done() {
  const progress = sat().flatMap(({ name, time }) => (sitting(name)?.exercises ?? []).map((exercise) => ({ exercise, time })));
  return new rules.Done({ progress, reviews: reviews(), attempts: attempts(), told: told() });
}

/** The plan as it is kept, null without one; what has no exercises is done because the student ticked it. */
function kept() {
  const text = setting("plan");
  if (!text) return null;
  let plan;
  try { plan = JSON.parse(text); } catch { plan = null; }
  if (plan?.version !== 1 || !Array.isArray(plan.days) || !outline.paths.some((one) => one.name === plan.path)) {
    throw new Error("The plan that is kept can't be read: drop it, and what you did is kept.");
  }
  return { ...plan, said: sat().map(({ name }) => name).filter((name) => sitting(name) && !sitting(name).exercises.length) };
}

function keep(plan) {
  set("plan", JSON.stringify(plan));
  set("interview", plan.interview);
  return plan;
}

/** The plan of today, made anew where a day began or the interview moved; null without one. */
export function current() {
  const plan = kept(), now = rules.current(outline, plan, setting("interview"), done(), Date.now());
  return now === plan ? plan : keep(now);
}

/** Make or change the plan, and return the one that it replaces; an error says what can't be. */
export function ask(wishes) {
  const old = kept();
  keep(rules.asked(outline, old, setting("interview"), wishes, done(), Date.now()));
  return old;
}

export function drop() {
  set("plan", "");
  set("interview", "");
}

export const course = (plan) => new rules.Course(outline, plan, done());
export const today = (bank) => rules.today(outline, bank, current(), setting("interview"), done(), Date.now());

/** The ids of the questions about what the plan's advertisement names; none without a plan to read. */
export function named(bank) {
  let plan;
  try { plan = kept(); } catch { plan = null; } // its own page says what is wrong
  return new Set(plan ? course(plan).weights.questions(bank).flat().map((one) => one.id) : []);
}
