// The katas, checked in the browser by the course's own checks. A draft is kept with each key.

import { checked, shown, STATUS } from "./checker.js";
import { button, h, main, row } from "./dom.js";
import { editor } from "./editor.js";
import { kataPassed, passedAt } from "./log.js";

const here = new URL("./", import.meta.url), root = document.getElementById("katas");
const katas = await (await fetch(new URL("katas.json", here))).json();
const kept = (name) => `walkforward.kata.${name}`;

const told = h("p", { role: "status" }), result = h("div", { class: "wf-result", "aria-live": "polite" }), place = h("div", { class: "wf-editor" });
const select = h("select", { onchange: open }), task = h("p", {}), check = main("Check", run);
root.replaceChildren(row(h("label", {}, "Kata ", select)), task, place,
  row(check, button("Begin again", again), h("span", {}, "Ctrl+Enter checks; Escape leaves the field.")), told, result);
const field = await editor(place, run);

const kata = () => katas.find(({ name }) => name === select.value);

function fill() {
  const current = select.value || location.hash.slice(1);
  select.replaceChildren(...katas.map(({ name }) =>
    new Option(`${passedAt(name) ? "✓ " : ""}${name.replaceAll("_", " ")}`, name, false, name === current)));
}

function open() {
  history.replaceState(null, "", `#${select.value}`);
  task.innerHTML = `${kata().task} Checks: ${kata().checks}.`;
  field.set(localStorage.getItem(kept(select.value)) ?? kata().stub);
  told.textContent = "";
  result.replaceChildren();
}

function again() {
  localStorage.removeItem(kept(select.value));
  open();
}

async function run() {
  if (check.disabled) return;
  check.disabled = true;
  told.textContent = "Python is starting; the first time it takes some seconds.";
  result.replaceChildren();
  const name = select.value, source = field.value();
  try {
    const answer = await checked(name, source, () => { told.textContent = "The checks are running."; });
    if (answer.status === "passed") kataPassed(name);
    told.textContent = STATUS[answer.status];
    result.append(...shown(answer));
  } catch (error) {
    told.textContent = error.message;
  }
  check.disabled = false;
  fill();
}

field.on(() => localStorage.setItem(kept(select.value), field.value()));
fill();
open();
