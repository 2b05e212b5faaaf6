// The katas, checked in the browser by the course's own checks. A draft is kept with each key.

import { button, h, main, row } from "./dom.js";

const here = new URL("./", import.meta.url), root = document.getElementById("katas"), PATIENCE = 30_000;
const katas = await (await fetch(new URL("katas.json", here))).json();
const kept = (name) => `walkforward.kata.${name}`, passed = (name) => `walkforward.passed.${name}`;
let worker, loaded;

function start() {
  worker = new Worker(new URL("kata-worker.js", here), { type: "module" });
  loaded = new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.ready ? resolve() : reject(new Error(data.broken)));
    worker.onerror = (event) => reject(new Error(event.message || "Python can't be loaded"));
  });
}

/** CodeMirror where it lies beside the site, else a plain field that indents. Both give value(), set(text), on(change). */
async function editor(place, submit) {
  const label = "Your answer, in Python", load = (name) => new Promise((resolve, reject) => {
    document.head.append(h("script", { src: new URL(`vendor/codemirror/${name}`, here), onload: resolve, onerror: reject }));
  });
  try {
    document.head.append(h("link", { rel: "stylesheet", href: new URL("vendor/codemirror/codemirror.css", here) }));
    await load("codemirror.js");
    await load("python.js");
    const indented = (cm) => (cm.somethingSelected() ? cm.indentSelection("add") : cm.replaceSelection("    "));
    const made = window.CodeMirror(place, { mode: "python", indentUnit: 4, lineNumbers: true, inputStyle: "contenteditable",
      screenReaderLabel: label, viewportMargin: Infinity,
      extraKeys: { Tab: indented, "Shift-Tab": "indentLess", "Ctrl-Enter": submit, "Cmd-Enter": submit, Esc: () => place.nextElementSibling.querySelector("button").focus() } });
    return { value: () => made.getValue(), set: (text) => made.setValue(text), on: (changed) => made.on("change", (_, what) => what.origin !== "setValue" && changed()) };
  } catch {
    const field = h("textarea", { rows: 18, spellcheck: "false", autocapitalize: "off", autocomplete: "off", "aria-label": label });
    let leave = false;
    field.addEventListener("keydown", (event) => {
      const type = (text) => { event.preventDefault(); document.execCommand("insertText", false, text); }; // undo still works
      if (event.key === "Escape") leave = true;
      else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
      else if (event.key === "Tab" && !leave && !event.shiftKey) type("    ");
      else if (event.key === "Enter") {
        const line = field.value.slice(0, field.selectionStart).split("\n").pop();
        type(`\n${line.match(/^ */)[0]}${line.trimEnd().endsWith(":") ? "    " : ""}`);
      } else if (event.key !== "Shift") leave = false;
    });
    place.append(field);
    return { value: () => field.value, set: (text) => { field.value = text; }, on: (changed) => field.addEventListener("input", changed) };
  }
}

const told = h("p", { role: "status" }), result = h("div", { class: "wf-result", "aria-live": "polite" }), place = h("div", { class: "wf-editor" });
const select = h("select", { onchange: open }), task = h("p", {}), check = main("Check", run);
root.replaceChildren(row(h("label", {}, "Kata ", select)), task, place,
  row(check, button("Begin again", again), h("span", {}, "Ctrl+Enter checks; Escape leaves the field.")), told, result);
const field = await editor(place, run);

const kata = () => katas.find(({ name }) => name === select.value);

function fill() {
  const current = select.value || location.hash.slice(1);
  select.replaceChildren(...katas.map(({ name }) =>
    new Option(`${localStorage.getItem(passed(name)) ? "✓ " : ""}${name.replaceAll("_", " ")}`, name, false, name === current)));
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

const printed = (text) => h("pre", { tabindex: "0" }, text);

async function run() {
  if (check.disabled) return;
  check.disabled = true;
  told.textContent = "Python is starting; the first time it takes some seconds.";
  result.replaceChildren();
  const name = select.value, source = field.value();
  try {
    if (!worker) start();
    await loaded;
    told.textContent = "The checks are running.";
    const answer = await new Promise((resolve, reject) => {
      const bell = setTimeout(() => reject(new Error("No answer in 30 seconds: is there a loop that never ends? It was ended.")), PATIENCE);
      worker.onmessage = ({ data }) => { clearTimeout(bell); resolve(data); };
      worker.postMessage({ name, source });
    });
    if (answer.status === "passed") localStorage.setItem(passed(name), "1");
    told.textContent = { passed: "Passed.", failed: "Not yet.", error: "Your code raised an error.", "not attempted": "Not attempted yet." }[answer.status];
    if (answer.printed) result.append(printed(answer.printed));
    if (answer.status === "error") result.append(printed(answer.text));
    else result.append(h("div", { html: answer.text })); // made by the course's own code, which escapes what a student wrote
    result.querySelectorAll("pre").forEach((one) => { one.tabIndex = 0; });
  } catch (error) {
    told.textContent = error.message;
    worker?.terminate();
    worker = null;
  }
  check.disabled = false;
  fill();
}

field.on(() => localStorage.setItem(kept(select.value), field.value()));
fill();
open();
