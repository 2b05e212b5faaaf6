// The plan's page: makes, changes and drops the plan, and says what today is, as `walkforward plan` does.

import { Advertisements, read } from "./advertisement.js";
import { button, h, main, row } from "./dom.js";
import { setting, tell, tick } from "./log.js";
import { between, dayOf, isDone, itemsOf, label, later, Ready } from "./plan.js";
import { ask, course, current, drop, outline, sitting } from "./planned.js";
import { hours, ROUND, short } from "./timetable.js";

const here = new URL("./", import.meta.url), root = document.getElementById("plan"), advertisements = new Advertisements(outline.advertisement);
const [{ questions: bank }, ...katas] = await Promise.all(["bank.json", "katas.json", "sql.json"].map(async (name) => (await fetch(new URL(name, here))).json()));
const PLURALS = { sitting: "sittings", round: "rounds", story: "stories", kata: "katas", questions: "questions" }; // in the order of a day
const MOST_NAMES = 8, WEEK = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const YEAR = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A day as one says it; with its year where that is not the one of `today`. */
function said(day, today = day) {
  const when = new Date(`${day}T00:00Z`), year = day.slice(0, 4);
  return `${WEEK[when.getUTCDay()]} ${when.getUTCDate()} ${YEAR[when.getUTCMonth()]}${year === today.slice(0, 4) ? "" : ` ${year}`}`;
}

const many = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`;

function topics(questions) {
  const names = [...new Set(questions.map((one) => one.topic))];
  return names.length ? ` (${names.slice(0, 4).join(", ")}${names.length > 4 ? " …" : ""})` : "";
}

/** Items in the order of a day, its stories as one. */
function joined(items) {
  const stories = items.filter((one) => one.what === "story"), order = Object.keys(PLURALS);
  const all = items.filter((one) => one.what !== "story");
  if (stories.length) all.push({ ...stories[0], minutes: stories.reduce((sum, one) => sum + one.minutes, 0), count: stories.length });
  return all.sort((one, other) => order.indexOf(one.what) - order.indexOf(other.what));
}

/** Put parts on the page; who was at one of them stays there, or hears what became of it. */
function show(...parts) {
  const there = root.contains(document.activeElement), key = document.activeElement.dataset?.key;
  root.replaceChildren(...parts.flat(Infinity).filter(Boolean));
  if (there) ((key && root.querySelector(`[data-key="${key}"]`)) || root.querySelector("[role=status]")).focus();
}

function home(word = "") {
  let plan;
  try { plan = current(); } catch (error) {
    show(h("p", { role: "status", tabindex: "-1" }, error.message), row(main("Drop the plan", () => { drop(); home("The plan is dropped. What you did is kept."); })));
    return;
  }
  const interview = setting("interview"), today = dayOf(Date.now());
  if (!plan || !interview || interview < today) {
    const why = !plan ? "There is no plan yet: say for which day." : !interview ? "The interview's day was forgotten: say it, and the plan goes on."
      : `The interview on ${said(interview, today)} is over: plan the next one.`;
    show(h("p", { role: "status", tabindex: "-1" }, word || why), form(null));
    return;
  }
  const now = course(plan);
  show(h("p", { role: "status", tabindex: "-1" }, word || standing(plan, today)), word && h("p", {}, standing(plan, today)),
    interview > today && [missed(plan), day(now, today), left(plan), whole(now, today), advertised(now)],
    h("details", {}, h("summary", {}, "Change the plan, or drop it"), form(plan)));
}

function standing(plan, today) {
  const days = between(today, plan.interview), items = itemsOf(plan, today);
  if (!days) return "Your interview is today. No work: eat, walk, be early.";
  const front = `${many(days, "day")} to the interview on ${said(plan.interview, today)}. `;
  if (items.length) return `${front}Today: ${items.reduce((sum, one) => sum + one.minutes, 0)} of ${plan.minutes} minutes.`;
  return front + (days > 1 ? "Nothing is left to do today." : "Today is the day off before it.");
}

function missed(plan) {
  const parts = Object.entries(PLURALS).filter(([what]) => plan.missed[what]).map(([what, plural]) =>
    `${plural} ${plan.missed[what].map((name) => (what === "sitting" ? short(name) : name)).join(", ")}`);
  return parts.length > 0 && [h("p", {}, `Missed since ${said(plan.since)}: ${parts.join("; ")}. What fits is moved to the days that are left.`),
    plan.fallen.length > 0 && h("p", {}, `No longer fits: ${plan.fallen.join(", ")}.`)];
}

/** What today holds: each with what begins it, and a tick. */
function day(now, today) {
  const { plan } = now;
  const rows = joined(itemsOf(plan, today)).map((one) => {
    const over = isDone(one, today, now);
    return h("li", { class: over ? "wf-over" : "" }, h("span", { class: "wf-title" }, `${over ? "✓ done" : "open"} · ${one.minutes} min`), " ", begun(one, now, over));
  });
  return rows.length > 0 && [h("h2", {}, "Today"), h("ul", { class: "wf-today" }, rows)];
}

function begun(one, now, over) {
  const open = one.count - (now.done.answered.get(dayOf(Date.now())) ?? 0);
  if (one.what === "questions") {
    const asked = open > 0 ? new Ready(now, bank, setting("interview"), Date.now(), open).take(open) : [];
    return [h("a", { href: "practice.html?today=1" }, many(one.count, "question")), topics(asked)];
  }
  if (one.what === "round") {
    return h("a", { href: `practice.html?round=${one.name}${one.minutes < ROUND[one.name] ? `&minutes=${one.minutes}` : ""}` }, `the round ${one.name}`);
  }
  if (one.what === "kata") {
    const runs = katas.flat().some(({ name }) => name === one.name);
    return runs ? h("a", { href: `katas.html#${one.name}` }, `kata ${one.name}`) : [`kata ${one.name}, in your terminal: `, h("code", {}, `walkforward kata ${one.name}`)];
  }
  if (one.what === "story") {
    return [one.count === 1 ? "a story of yours, told aloud " : `${one.count} stories of yours, told aloud `,
      !over && button("I told one", () => { tell(); home("It is noted."); }, { "data-key": "story" })];
  }
  const known = sitting(one.name), name = `${short(one.name)} ${known?.title ?? ""}${one.part ? ` (${one.part})` : ""}`;
  const box = h("input", { type: "checkbox", checked: over, "data-key": one.name, onchange: () => { tick(one.name, box.checked); home(); } });
  return [h("a", { href: `notebooks/${one.name.split(" ")[0]}.html?path=${now.plan.path}` }, name), " ", h("label", { class: "wf-tick" }, box, ` I have done ${short(one.name)}`)];
}

function left(plan) {
  const of = (what) => plan.left.filter((one) => one.what === what), sittings = of("sitting"), rounds = of("round"), parts = [];
  if (sittings.length) {
    const names = sittings.slice(0, MOST_NAMES).map((one) => short(one.name)).join(", ") + (sittings.length > MOST_NAMES ? " …" : "");
    parts.push(`${sittings.length === 1 ? "1 sitting is" : `${sittings.length} sittings are`} left out (${names}), ${hours(sittings.reduce((sum, one) => sum + one.minutes, 0))}`);
  }
  if (rounds.length) parts.push(`the round${rounds.length > 1 ? "s" : ""} ${rounds.map((one) => one.name).join(", ")}`);
  if (!parts.length) return null;
  const why = new Map();
  for (const one of plan.left) why.set(one.why, [...(why.get(one.why) ?? []), label(one)]);
  return h("details", {}, h("summary", {}, `Does not fit: ${parts.join("; and ")}.`),
    h("ul", {}, [...why].map(([reason, names]) => h("li", {}, `${names.join(", ")}: ${reason}.`))));
}

/** Every day that is left, and what it holds. */
function whole(now, today) {
  const { plan, done } = now, ready = new Ready(now, bank, setting("interview"), Date.now());
  const rows = plan.days.filter((one) => one.day >= today).map((one) => {
    const parts = joined(one.items).map((each) => {
      if (each.what === "questions") return many(each.count, "question") + topics(ready.take(each.count - (done.answered.get(one.day) ?? 0)));
      if (each.what === "sitting") return short(each.name) + (each.part ? ` (${each.part})` : "");
      return each.what === "story" ? (each.count === 1 ? "a story" : `${each.count} stories`) : `${each.what} ${each.name}`;
    });
    const text = parts.join(" · ") || (one.day === later(plan.interview, -1) ? "off" : "nothing is left to do");
    return h("tr", {}, h("th", { scope: "row" }, said(one.day, today)), h("td", {}, one.items.reduce((sum, each) => sum + each.minutes, 0)), h("td", {}, text));
  });
  rows.push(h("tr", {}, h("th", { scope: "row" }, said(plan.interview, today)), h("td", {}), h("td", {}, "the interview")));
  const head = h("tr", {}, ["Day", "Minutes", "What it holds"].map((one) => h("th", { scope: "col" }, one)));
  return h("details", {}, h("summary", {}, `All days: ${hours(plan.minutes)} a day, ${outline.paths.find((one) => one.name === plan.path).title}`),
    h("div", { class: "wf-wide", tabindex: "0", role: "region", "aria-label": "All days" }, h("table", { class: "wf-days" }, h("thead", {}, head), h("tbody", {}, rows))),
    h("p", {}, "Questions are chosen on the day, by what is due then."));
}

/** What an advertisement names, what of it is taught, and what of the path it does not name. */
function advertised(now) {
  const { plan, terms } = now;
  if (!plan.job) return null;
  const word = (term) => plan.terms[term.term], asks = (term) => word(term) + (term.asks.length ? ` (${many(term.asks.length, "question")})` : "");
  const ideas = terms.filter((one) => one.idea && (one.stems.length || one.coming.length));
  const taught = terms.filter((one) => one.stems.length && !one.idea), coming = terms.filter((one) => !one.idea && !one.stems.length && one.coming.length);
  const others = terms.filter((one) => ![...taught, ...ideas, ...coming].includes(one)), wanted = now.weights.lessons;
  const rows = [["Taught, and first in the plan", taught.map((one) => `${word(one)} ${one.stems.slice(0, 3).map(short).join(", ")}`)],
    ["Taught by the idea, not the tool", ideas.map((one) => `${word(one)} (${one.idea})`)], ["Not taught yet, a lesson is to come", coming.map(asks)],
    ["Not taught here", others.map(asks)], ["On the path, and not named", [...new Set(now.route.filter((one) => !wanted.has(one.stem)).map((one) => one.number))]]];
  return h("details", {}, h("summary", {}, `${plan.job} names ${many(terms.length, "term")} that ${terms.length === 1 ? "is" : "are"} known here`),
    terms.length ? h("ul", {}, rows.filter(([, names]) => names.length).map(([title, names]) => h("li", {}, h("b", {}, `${title}: `), `${names.join("; ")}.`)))
      : h("p", {}, "The plan is the path's own. Names of tools are known in any language, other words in English and German."));
}

function form(plan) {
  const fault = h("p", { role: "alert", class: "wf-missed" });
  const day = h("input", { type: "date", value: plan?.interview ?? setting("interview"), min: later(dayOf(Date.now()), 1) });
  const time = h("input", { inputmode: "decimal", size: 5, value: plan ? String(Math.round(plan.minutes / 0.6) / 100) : "1.5" });
  const path = h("select", {}, outline.paths.map((one) => h("option", { value: one.name, selected: one.name === (plan?.path ?? "interview") }, one.title)));
  const job = h("textarea", { rows: 5, placeholder: plan?.job ? "Empty keeps the one that was read." : "Paste it, and what it names comes first." });
  const send = (event) => {
    event.preventDefault();
    const wishes = { day: day.value, hours: time.value, path: path.value };
    try {
      if (job.value) {
        const text = read(job.value);
        Object.assign(wishes, { job: "The advertisement", terms: Object.fromEntries(advertisements.named(text).map((one) => [one.term, advertisements.word(one, text)])) });
      }
      const old = ask(wishes);
      home(old ? `This replaces the plan for ${said(old.interview, dayOf(Date.now()))}, ${hours(old.minutes)} a day, path ${old.path}. What you did is kept.` : "");
    } catch (error) { fault.textContent = error.message; }
  };
  return h("form", { onsubmit: send, novalidate: true }, row(h("label", {}, "Interview on ", day), h("label", {}, "Hours a day ", time), h("label", {}, "Path ", path)),
    h("label", {}, "An advertisement's text, if there is one ", job), fault,
    row(h("button", { class: "wf-main" }, plan ? "Change the plan" : "Make the plan"),
      plan?.job && button("Forget the advertisement", () => { ask({ job: "", terms: {} }); home("The advertisement is forgotten."); }),
      plan && button("Drop the plan", () => { drop(); home("The plan is dropped. What you did is kept."); })),
    h("p", {}, "The plan stays in this browser. What you do here counts: answers, rounds, katas, stories, and the sittings that you tick."));
}

addEventListener("storage", () => { if (!root.querySelector("details[open] form")) home(); }); // another tab has done something
home();
