// The katas of I1 and the SQL katas of I5, checked in the browser. A draft is kept with each key.

import { checked, LANGUAGES, shown, STATUS } from "./checker.js";
import { button, h, main, row } from "./dom.js";
import { editor } from "./editor.js";
import { kataPassed, passedAt } from "./log.js";

const here = new URL("./", import.meta.url), root = document.getElementById("katas");
const listed = async (name) => (await fetch(new URL(name, here))).json();
const BY_LESSON = { I1: await listed("katas.json"), I5: await listed("sql.json") }, katas = Object.values(BY_LESSON).flat();
const kept = (name) => `walkforward.kata.${name}`;

const told = h("p", { role: "status" }), result = h("div", { class: "wf-result", "aria-live": "polite" }), place = h("div", { class: "wf-editor" });
const select = h("select", { onchange: open }), task = h("div", {}), check = main("Check", run);
root.replaceChildren(row(h("label", {}, "Kata ", select)), task, place,
  row(check, button("Begin again", again), h("span", {}, "Ctrl+Enter checks; Escape leaves the field.")), told, result);
const field = await editor(place, run);

const kata = () => katas.find(({ name }) => name === select.value);
const lesson = () => Object.keys(BY_LESSON).find((one) => BY_LESSON[one].includes(kata()));
const command = () => h("code", {}, `walkforward kata ${select.value}`);

function fill() {
  const current = select.value || location.hash.slice(1) || new URLSearchParams(location.search).get("kata");
  const option = ({ name }) => new Option(`${passedAt(name) ? "✓ " : ""}${name.replaceAll("_", " ")}`, name, false, name === current);
  select.replaceChildren(...Object.entries(BY_LESSON).map(([one, held]) => h("optgroup", { label: `${LANGUAGES[one].name}, of ${one}` }, held.map(option))));
}

function open() {
  const { task: asked, checks, tables, stub } = kata();
  history.replaceState(null, "", `#${select.value}`);
  task.replaceChildren(h("p", { html: checks ? `${asked} Checks: ${checks}.` : asked }));
  if (tables) {
    task.append(h("ul", {}, tables.map((one) => h("li", {}, h("code", {}, one)))),
      h("p", {}, "Here you write the SQL. pandas is not in the browser: ", command(), " asks for both in your terminal."));
  }
  field.speak(LANGUAGES[lesson()].name);
  field.set(localStorage.getItem(kept(select.value)) ?? stub);
  told.textContent = "";
  result.replaceChildren();
}

function again() {
  localStorage.removeItem(kept(select.value));
  open();
}

async function run() {
  if (check.disabled) return;
  check.disabled = select.disabled = true;
  const asked = kata(), { program } = LANGUAGES[lesson()];
  let begun = false, version = "";
  told.textContent = `${program} is starting; the first time it takes some seconds.`;
  result.replaceChildren();
  try {
    const answer = await checked(asked.name, field.value(), (ready) => {
      begun = true;
      version = ready.version ? ` (${program} ${ready.version})` : "";
      told.textContent = "The checks are running.";
    }, lesson());
    if (answer.status === "passed") kataPassed(asked.name);
    told.textContent = STATUS[answer.status] + version;
    result.append(...shown(answer, asked));
  } catch (error) {
    told.replaceChildren(begun ? error.message : `${program} can't be started here (${error.message}). In a terminal: `, begun ? "" : command());
  }
  check.disabled = select.disabled = false;
  fill();
}

field.on(() => localStorage.setItem(kept(select.value), field.value()));
fill();
open();
