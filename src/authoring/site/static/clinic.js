// A ticket of the clinic on the page: a report, evidence on request, a diagnosis and a remedy in free text, the verdict.

import { button, clock, h, main, row, ticking } from "./dom.js";

const PARTS = {
  diagnosis: "Your diagnosis: what is broken, and where? What is innocent?",
  remedy: "Your remedy: what do you do now, and what so that it stays away?",
};

/** Text with what stands in backticks as code. */
const coded = (text) => text.split("`").map((part, place) => (place % 2 ? h("code", {}, part) : part));

/** Hold one ticket. show: puts its parts on the page; told: the clock's words; limit: seconds for the evidence; done: takes the result. */
export function hold(clinic, one, { show, title, told, limit, others = [] }, done) {
  const line = h("p", { class: "wf-clock", "aria-hidden": "true" }), asked = [], typed = { diagnosis: "", remedy: "" };
  const report = h("div", { class: "wf-prompt wf-report" }, coded(one.report)), list = h("div", { class: "wf-evidence" });
  const head = [h("p", { class: "wf-title" }, title), line, report];
  let spent;

  function investigate() {
    const answer = h("p", { role: "status" }, `An answer costs a minute. The call about this ticket begins at ${clinic.clock(clinic.budget)}.`);
    const field = h("input", { type: "text", autocomplete: "off", "data-first": true });
    const time = h("b", {}, clinic.clock(0)), ask = (words) => {
      const found = clinic.meant(words);
      if (found.length !== 1) {
        answer.textContent = found.length ? `Which one: ${found.join(", ")}? This costs nothing.`
          : words.trim() ? `Nobody knows what “${words.trim().slice(0, 40)}” is. Say it in other words, or choose from the list.` : "Say what you want to see.";
        return;
      }
      const [name] = found;
      if (!asked.includes(name)) {
        asked.push(name);
        list.append(h("h2", {}, `${name[0].toUpperCase()}${name.slice(1)}`), h("pre", { tabindex: "0" }, one.evidence[name]));
        answer.textContent = `${name}: below, the last of ${asked.length}.`;
      } else answer.textContent = `${name}: you have it below already.`;
      field.value = "";
      time.textContent = clinic.clock(asked.length);
      if (asked.length >= clinic.budget || spent() >= limit) write("diagnosis", asked.length >= clinic.budget ? "The call begins." : "Your time for the evidence is over.");
    };
    const form = h("form", { onsubmit: (event) => { event.preventDefault(); ask(field.value); } },
      row(h("label", {}, time, " Ask for evidence, in your own words ", field), h("button", {}, "Ask"), main("Diagnose", () => write("diagnosis")), ...others));
    show(...head, form, answer, h("details", {}, h("summary", {}, "What people ask for"), row(clinic.names.map((name) => button(name, () => ask(name))))), list);
    spent = ticking(line, told);
  }

  function write(part, word = "", again = false) {
    const field = h("textarea", { rows: 5, "aria-label": PARTS[part], value: typed[part], "data-first": true });
    const go = () => {
      typed[part] = field.value.trim();
      if (part === "remedy") return compare();
      if (typed.diagnosis && !again && !clinic.reads(one, typed.diagnosis)) {
        return write(part, "No fault could be read in this. Say it once more: one sentence, the thing that is broken and how.", true);
      }
      return write("remedy");
    };
    field.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) go(); });
    show(...head, word && h("p", { role: "status" }, word), h("p", {}, PARTS[part]), field, row(main("That is it", go, { title: "Ctrl+Enter in the field" })), list);
  }

  /** Show what could not be read and let the candidate compare: no pattern knows every way to say it. */
  function compare() {
    const { diagnosis, remedy } = typed, seconds = spent(), first = clinic.judge(one, asked, diagnosis, remedy);
    const open = diagnosis && !first.missing.length && !first.blamed.length ? first.unnamed : [], same = [];
    const ask = (text, given) => show(...head, h("h2", { tabindex: "-1" }, "Does yours come to the same?"), h("p", { class: "wf-said" }, diagnosis), h("p", { class: "wf-said" }, remedy),
      h("p", {}, coded(text)), row(main("Yes, it does", () => given(true), { "data-first": true }), button("No", () => given(false))));
    const next = (at) => {
      if (at < open.length) return ask(`Not read in your diagnosis: ${open[at]}.`, (yes) => { if (yes) same.push(open[at]); next(at + 1); });
      const judged = clinic.judge(one, asked, diagnosis, remedy, same);
      if (!remedy || judged.mended || judged.harm.length) return verdict(judged, seconds, same);
      return ask(`What mends it: ${one.remedy}.`, (yes) => verdict(clinic.judge(one, asked, diagnosis, remedy, same, yes), seconds, same));
    };
    next(0);
  }

  function verdict(judged, seconds, compared) {
    const cleared = clinic.cleared(one, typed.diagnosis);
    const held = (good, text, lacks = []) => h("li", {}, h("span", { class: good ? "wf-had" : "wf-missed" }, good ? "✓ " : "✗ "),
      coded(text + (lacks.length ? ` (${lacks.join("; ")})` : "")));
    show(h("h2", { tabindex: "-1" }, judged.passed ? "The ticket: passed" : "The ticket: not passed"),
      h("p", {}, `${clock(seconds)} of yours, ${asked.length} minute${asked.length === 1 ? "" : "s"} of the story.`),
      h("ul", { class: "wf-points" }, held(!judged.missing.length, "the evidence was asked for", judged.missing.map((need) => need.join(" or "))),
        one.faults.map(({ name }) => held(judged.named.includes(name), `named: ${name}`)), held(!judged.blamed.length, "nothing innocent was blamed", judged.blamed),
        held(judged.mended && !judged.harm.length, `the remedy mends it: ${one.remedy}`, judged.harm)),
      cleared.length > 0 && h("p", {}, `Read as innocent: ${cleared.join(", ")}.`), h("h3", {}, "What it was"), h("p", {}, coded(one.story)),
      h("h3", {}, "What a senior asks for, in this order"),
      h("ol", {}, one.order.map(([name, why]) => h("li", {}, `${name}${asked.includes(name) ? "" : " (you did not)"}: `, coded(why)))),
      row(main("Go on", () => done({ passed: judged.passed, seconds, detail: { seed: one.seed, asked, faults: one.faults.map(({ name }) => name), ...typed, compared } }), { "data-first": true })));
  }

  investigate();
}
