// The question bank, practised in the browser: by the terminal's rules, kept in this browser only.

import { button, clock, h, main, row, ticking, when } from "./dom.js";
import { rate } from "./fsrs.js";
import { attempt, draft, dropDraft, dropRound, exported, imported, keepDraft, keepRound, record, reviews, set, setting, waiting } from "./log.js";
import { dayOf, itemsOf } from "./plan.js";
import { current, named, today } from "./planned.js";
import { recall, Schedule } from "./queue.js";
import { draw, mixed, NAMES, reached } from "./rounds.js";
import { kataStep, material, ticketStep } from "./steps.js";

const root = document.getElementById("practice"), here = new URL("./", import.meta.url);
const { questions, paths, rounds } = await (await fetch(new URL("bank.json", here))).json();
const byId = new Map(questions.map((one) => [one.id, one]));
const RATINGS = { 1: "Again", 2: "Hard", 3: "Good", 4: "Easy" }, FIVE_MINUTES = 300, HALF_A_MINUTE = 30, TRIES = 40;
const wanted = new URLSearchParams(location.search);
const filter = Object.fromEntries(["path", "lesson", "kind", "level"].map((name) => [name, wanted.get(name) ?? ""]));
const skipped = new Set();
let ends = 0; // of the five minutes, where they run
let planned = null; // what is left of today's questions by the plan, while they are asked

const interview = () => Date.parse(setting("interview")) || null;

function show(...parts) {
  root.replaceChildren(...parts.flat(Infinity).filter(Boolean));
  (root.querySelector("[data-first]") ?? root.querySelector("h2"))?.focus();
}

function chosen() {
  const path = paths.find((one) => one.name === filter.path);
  const onPath = (one) => path.lessons.some((number) => one.lessons.includes(number.split(".")[0]));
  return questions.filter((one) => (!filter.lesson || one.lessons.includes(filter.lesson)) && (!path || onPath(one)) &&
    (!filter.kind || one.kind === filter.kind) && (!filter.level || one.level === filter.level));
}

const schedule = () => new Schedule(questions, reviews(), interview(), Date.now(), chosen());

function select(label, key, options) {
  const all = [["", `every ${label}`], ...options];
  return h("label", {}, `${label[0].toUpperCase()}${label.slice(1)} `, h("select", {
    onchange: (event) => { filter[key] = event.target.value; home(); } },
  all.map(([value, text]) => h("option", { value, selected: filter[key] === value }, text))));
}

const every = (key) => [...new Set(questions.flatMap((one) => one[key]))].sort().map((one) => [one, one]);

/** What the plan has for today that is practised here. */
function todays() {
  let left;
  try { left = today(questions); } catch { left = null; } // its own page says what is wrong
  const link = (text) => h("a", { href: "plan.html" }, text);
  if (!left) return row(link("Plan the days until the interview"));
  const items = itemsOf(current(), dayOf(Date.now())), number = left.questions.length;
  const minutes = (name) => items.find((one) => one.what === "round" && one.name === name).minutes;
  return row("Today by your plan: ", number > 0 && main(`${number} question${number === 1 ? "" : "s"}`, () => { planned = left.questions; ask(); }, { "data-today": true }),
    left.rounds.map((name) => button(`the round ${name}`, () => begin(name, minutes(name)))),
    link(left.off ? "the day off" : number || left.rounds.length ? "the whole day" : "the rest of the day"));
}

function home(said = "") {
  ends = 0;
  planned = null;
  const now = schedule();
  const pool = chosen();
  const told = `${now.due.length} due, ${now.fresh.length} new, of ${pool.length} questions.`;
  const day = h("input", { type: "date", value: setting("interview"),
    onchange: (event) => { set("interview", event.target.value); home(); } });
  const ahead = now.end ? ` In ${now.days} days; at ${now.pace} answers a day you meet ` +
    `${Math.min(now.fresh.length, now.pace * now.days)} of ${now.fresh.length} new ones.` : "";
  show(
    h("p", { role: "status" }, said || told), todays(), waiting().map((one) => row(`A round waits to be graded (${one.name || "of all kinds"}, answers: ${one.answers.length}): `,
      button("Grade it", () => resume(one)), button("Forget it", () => { dropRound(one); home(); }))),
    row(select("path", "path", paths.map((one) => [one.name, one.title])), select("lesson", "lesson", every("lessons")),
      select("kind", "kind", every("kind")), select("level", "level", [["junior", "junior"], ["mid", "mid"], ["senior", "senior"]])),
    row(main("Practise", () => ask(), { "data-first": true, disabled: !(now.due.length + now.fresh.length) }),
      button("Five minutes", () => { ends = performance.now() + 1000 * FIVE_MINUTES; ask(); })),
    row("Hold a round: ", Object.keys(rounds).map((name) => button(`${name}, ${rounds[name].minutes} min`, () => begin(name, rounds[name].minutes))),
      [20, 45].map((minutes) => button(`of all kinds, ${minutes} min`, () => begin("", minutes)))),
    row(h("label", {}, "Interview on ", day), h("span", {}, ahead)),
    known(),
    h("details", {}, h("summary", {}, "Your answers: keep a copy, bring one in"),
      h("p", {}, "They stay in this browser. The file is the terminal's too: ",
        h("code", {}, "walkforward practice --import FILE"), " takes it in, ", h("code", {}, "--export FILE"), " writes one."),
      row(button("Save a copy", save), h("label", {}, "Bring in ", h("input", { type: "file", accept: ".jsonl", onchange: bring })))),
  );
}

/** What is known of each topic that was met, the weakest first: a cell a question, as dark as the answer would be recalled today. */
function known() {
  const log = reviews(), strength = recall(questions, log, Date.now()), pool = chosen(), asked = new Set(log.map((one) => one.question));
  const topics = [...new Set(pool.map((one) => one.topic))].map((topic) => {
    const own = pool.filter((one) => one.topic === topic), met = own.filter((one) => asked.has(one.id));
    return { topic, own, met, share: met.reduce((sum, one) => sum + strength.get(one.id), 0) / met.length };
  });
  const rows = topics.filter(({ met }) => met.length).sort((one, other) => one.share - other.share).map(({ topic, own, met, share }) => {
    const cells = own.map((one) => h("i", { class: asked.has(one.id) ? "wf-met" : "", title: one.id,
      style: `--known: ${Math.round(100 * strength.get(one.id))}%` }));
    return h("tr", {}, h("th", { scope: "row" }, topic), h("td", { class: "wf-heat", "aria-hidden": "true" }, cells),
      h("td", {}, `${Math.round(100 * share)} %, seen ${met.length} of ${own.length}`));
  });
  const head = h("tr", {}, ["Topic", "Questions", "Of those seen, recalled today"].map((one) => h("th", { scope: "col" }, one)));
  const others = topics.filter(({ met }) => !met.length).map(({ topic, own }) => `${topic} (${own.length})`);
  return h("details", {}, h("summary", {}, "What you know"),
    rows.length ? h("div", { class: "wf-wide", tabindex: "0", role: "region", "aria-label": "What you know" },
      h("table", { class: "wf-known" }, h("thead", {}, head), h("tbody", {}, rows))) : "",
    others.length ? h("p", {}, `Not asked yet: ${others.join(", ")}.`) : "");
}

function save() {
  const link = h("a", { href: URL.createObjectURL(new Blob([exported()], { type: "application/jsonl" })), download: "walkforward-answers.jsonl" });
  link.click();
  URL.revokeObjectURL(link.href);
}

async function bring(event) {
  try { home(`${imported(await event.target.files[0].text())} answers are new here.`); }
  catch (error) { home(`Nothing was taken in: ${error.message}.`); }
}

/** The field of an answer and its clock; `given` is called with the seconds and the text. */
function answering(step, told, given, ...others) {
  const kept = step.question && draft(step.question.id), line = h("p", { class: "wf-clock", "aria-hidden": "true" });
  const field = h("textarea", { rows: 5, "aria-label": "Your answer, if you type it", value: kept?.said ?? "",
    placeholder: "Say it aloud, or type it.", oninput: () => step.question && keepDraft(step.question.id, { said: field.value }) });
  const done = () => given(spent(), field.value.trim());
  field.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) done(); });
  show(h("p", { class: "wf-title" }, step.title), h("div", { class: "wf-prompt", html: step.ask }), line, field,
    row(main("I have answered", done, { "data-first": true, title: "Ctrl+Enter in the field" }), ...others));
  const spent = ticking(line, (seconds) => told(seconds));
}

function ask(one) {
  const [question] = one ? [one] : planned ? [byId.get(planned.shift())] : ends && performance.now() >= ends ? [null] : schedule().following(1, skipped);
  if (!question) return home(planned ? "The questions that the plan has for today are done." : ends ? "Five minutes are over." : "Nothing is due. Come back later, or choose other questions.");
  const title = [...new Set([question.topic, question.kind, question.level, `${question.minutes} min`])].join(" · ");
  const left = () => (ends ? ` · ${clock(Math.max(0, (ends - performance.now()) / 1000))} left` : "");
  answering({ question, title, ask: question.prompt }, (seconds) => `${clock(seconds)} of ${question.minutes}:00${left()}`,
    (seconds, said) => grade(question, seconds, said, "practice", (review) => explained(question, review)),
    button("Skip", () => { skipped.add(question.id); ask(); }), button("Stop", () => home()));
}

/** The rubric point by point: the next one is shown when this one is ticked. */
function points(head, must, good, done) {
  const all = [...must.map((text) => ["must", text]), ...good.map((text) => ["good", text])], had = [];
  const list = h("ol", { class: "wf-points" }), buttons = row();
  const tell = (value) => {
    list.lastChild.prepend(h("span", { class: value ? "wf-had" : "wf-missed" }, value ? "✓ had it: " : "✗ missed: "));
    had.push(value);
    if (had.length < all.length) next(); else done(had.slice(0, must.length), had.slice(must.length));
  };
  const next = () => {
    const [kind, text] = all[had.length];
    list.append(h("li", { html: `<b>${kind}</b> ${text}` }));
    buttons.replaceChildren(main("I had it (y)", () => tell(true)), button("I missed it (n)", () => tell(false)));
    buttons.firstChild.focus();
  };
  const keys = (event) => {
    if (!list.isConnected) return removeEventListener("keydown", keys);
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
    const tick = { y: true, n: false }[event.key];
    if (tick !== undefined && had.length < all.length) tell(tick);
  };
  show(...head, list, buttons);
  addEventListener("keydown", keys);
  next();
}

const quoted = (said, name) => said && h("div", { class: "wf-said" }, h("b", {}, name), h("p", {}, said));

function grade(question, seconds, said, source, done) {
  const earlier = reviews().filter((one) => one.question === question.id && one.said).at(-1);
  const head = [h("h2", { tabindex: "-1" }, "Did your answer have it?"), h("div", { class: "wf-prompt", html: question.prompt }),
    quoted(said, "Your answer"), earlier && quoted(earlier.said, `Your answer of ${earlier.reviewed.slice(0, 10)}`)];
  points(head, question.must, question.good, (must, good) => {
    const review = { question: question.id, rating: rate(question.minutes, must, good, seconds), reviewed: new Date().toISOString(),
      seconds: Math.round(10 * seconds) / 10, must, good, source, said };
    record(review);
    dropDraft(question.id);
    done(review);
  });
}

const pairs = (heading, list) => list.length > 0 && [h("h3", {}, heading), h("ul", {}, list.map(([first, second]) =>
  h("li", { html: `<i>${first}</i> ${second}` })))];

function explained(one, review) {
  const due = schedule().cards.get(one.id).due, list = h("ol", { class: "wf-points" });
  const more = button("What comes next?", () => {
    const [asks, gist] = one.next[list.childElementCount];
    const answer = h("details", {}, h("summary", {}, "The gist"), h("span", { html: gist }));
    list.append(h("li", {}, h("span", { html: asks }), answer));
    if (list.childElementCount === one.next.length) more.remove();
  });
  show(
    h("p", { role: "status" }, `${RATINGS[review.rating]}. It comes back ${when(due, Date.now())}.`),
    row(main("Next", () => ask(), { "data-first": true }), button("Stop", () => home())),
    h("div", { class: "wf-prompt", html: one.prompt }), list, row(more),
    one.seen.length > 0 && [h("h3", {}, "Seen in the lesson"), h("ul", {}, one.seen.map((html) => h("li", { html })))],
    pairs("What each level says", one.levels), pairs("What people say, and why it is wrong", one.wrong),
    one.shows.length > 0 && h("p", {}, "See it run: ", one.shows.map(([name, address], place) => [place ? ", " : "", h("a", { href: address }, name)])),
    one.sources.map(([name, address]) => h("p", {}, "Source: ", h("a", { href: address }, name))),
  );
}

// A round: everything is asked first, then graded, then summed up.

/** Of forty rounds the one that was met least, then the one that asks most about what the plan's advertisement names. */
function freshest(deal) {
  const met = new Map(), ids = (steps) => steps.flatMap((one) => (one.question ? [one.question.id] : []));
  for (const { question } of reviews()) met.set(question, (met.get(question) ?? 0) + 1);
  const theirs = named(questions);
  const worth = (steps) => ids(steps).reduce(([old, own], id) => [old + (met.get(id) ?? 0), own - theirs.has(id)], [0, 0]);
  return Array.from({ length: TRIES }, deal).map((steps) => [worth(steps), steps])
    .reduce((best, one) => (one[0][0] - best[0][0] || one[0][1] - best[0][1]) < 0 ? one : best)[1];
}

async function begin(name, minutes) {
  let steps;
  try {
    const own = name && await material(name);
    steps = name ? freshest(() => draw(name, rounds[name], chosen(), questions, minutes, own)) : mixed(chosen(), minutes);
  }
  catch (error) { return home(`The round can't begin: ${error.message}.`); }
  if (!steps.length) return home("No question of that round is left by the filters: choose fewer.");
  step({ began: Date.now(), name, minutes, steps, answers: [], used: 0 }, 0);
}

/** Keep what was answered, with what was asked: a page that is closed loses no answer. */
function keep({ began, name, minutes, used, answers }) {
  const light = ({ step: { title, ask, seconds, must, good, what, question }, ...given }) =>
    ({ ...given, step: { title, ask, seconds, must, good, what, question: question?.id } });
  keepRound({ began, name, minutes, used, answers: answers.map(light) });
}

function resume(kept) {
  const whole = ({ step: one, ...given }) => ({ ...given, step: { ...one, question: byId.get(one.question) ?? null } });
  rubric({ ...kept, answers: kept.answers.map(whole) }, 0);
}

function step(round, place) {
  const one = round.steps[place];
  if (!one || 60 * round.minutes - round.used < HALF_A_MINUTE) return rubric(round, 0);
  const left = (seconds) => Math.max(0, 60 * round.minutes - round.used - seconds);
  const given = (seconds, said) => {
    round.used += seconds;
    round.answers.push({ step: one, seconds, said });
    if (one.question) keepDraft(one.question.id, { said });
    keep(round);
    step(round, place + 1);
  };
  const title = `${place + 1} of ${round.steps.length} · ${one.title}`, others = [button("End the round", () => rubric(round, 0))];
  const told = (seconds) => `${clock(seconds)} of ${clock(one.seconds)} · ${clock(left(seconds))} left in all`;
  if (!one.what) return answering({ ...one, title }, told, given, ...others);
  const done = ({ passed, seconds, detail }) => {
    round.used += seconds;
    round.answers.push({ step: one, seconds, said: "", passed, detail });
    keep(round);
    step(round, place + 1);
  };
  return (one.what === "kata" ? kataStep : ticketStep)(one, { show, title, told, others }, done);
}

function rubric(round, place) {
  const answer = round.answers[place];
  if (!answer) return round.name && round.answers.length ? scores(round) : sheet(round, []);
  if (answer.must) return rubric(round, place + 1); // graded before the page was left
  const next = (must, good) => { Object.assign(answer, { must, good }); keep(round); rubric(round, place + 1); };
  const { step: one } = answer;
  if (one.what) return next([], []);
  if (one.question) return grade(one.question, answer.seconds, answer.said, "mock", (review) => next(review.must, review.good));
  const head = [h("h2", { tabindex: "-1" }, "Did your answer have it?"), h("div", { class: "wf-prompt", html: one.ask }), quoted(answer.said, "Your answer")];
  points(head, one.must, one.good, next);
}

/** How the round sounded, by criterion: the words of each level, to choose from. */
function scores(round) {
  const form = h("form", { onsubmit: (event) => {
    event.preventDefault();
    sheet(round, rounds[round.name].criteria.map((one, place) => Number(new FormData(form).get(`c${place}`))));
  } }, h("h2", { tabindex: "-1" }, "How did it sound?"), rounds[round.name].criteria.map((one, place) =>
    h("fieldset", {}, h("legend", {}, one.name), ["not there", one.junior, one.mid, one.senior].map((text, level) =>
      h("label", { class: "wf-level" }, h("input", { type: "radio", name: `c${place}`, value: level, required: true }), ` ${text}`)))),
  row(h("button", { class: "wf-main" }, "Sum it up")));
  show(form);
}

function sheet(round, scored) {
  const passed = (one) => one.passed !== false && one.must.every(Boolean); // a kata or a ticket counts as two points
  const must = round.answers.flatMap((one) => (one.step.what ? [one.passed, one.passed] : one.must));
  const missing = must.filter((one) => !one).length, level = scored.length ? reached(scored, missing, must.length) : null;
  const had = (one) => (one.step.what ? (one.passed ? "passed" : "not passed") : `must ${one.must.filter(Boolean).length} of ${one.must.length}`);
  dropRound(round);
  if (round.answers.length) {
    const good = level === null ? round.answers.every(passed) : level >= 2;
    attempt({ what: "round", name: round.name || "mixed", passed: good, seconds: Math.round(10 * round.used) / 10, ended: new Date().toISOString(),
      detail: { minutes: round.minutes, level, scores: scored, steps: round.answers.map((one) => one.step.title) } });
  }
  const line = (one) => h("li", {}, `${passed(one) ? "✓" : "✗"} ${one.step.title}: ${had(one)}, ${clock(one.seconds)} of ${clock(one.step.seconds)} `,
  one.step.question?.shows[0] && h("a", { href: one.step.question.shows[0][1] }, "study"));
  show(h("h2", { tabindex: "-1" }, `Score: ${round.answers.filter(passed).length} of ${round.answers.length} passed`),
    h("p", {}, `Passed means that no must is missing. ${clock(round.used)} of ${round.minutes}:00.`),
    level !== null && h("p", {}, h("b", {}, `Level: ${NAMES[level]}`), missing ? `; ${missing} of ${must.length} points that must be there are missing.` : "."),
    h("ul", {}, round.answers.map(line)),
    scored.length > 0 && [h("h3", {}, "By criterion"), h("ul", {}, rounds[round.name].criteria.map((one, place) =>
      h("li", {}, `${one.name}: ${["not there", "junior", "mid", "senior"][scored[place]]}`)))],
    row(main("Done", () => home(), { "data-first": true })));
}

addEventListener("storage", () => { if (root.querySelector("input[type=date]")) home(); }); // another tab has graded
navigator.storage?.persist?.();
const first = byId.get(wanted.get("question")), held = wanted.get("round");
if (first) ask(first);
else if (held && held in rounds) await begin(held, Math.min(Number(wanted.get("minutes")) || rounds[held].minutes, rounds[held].minutes));
else home();
if (wanted.has("today")) root.querySelector("[data-today]")?.click();
