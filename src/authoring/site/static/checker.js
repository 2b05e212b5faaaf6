// A kata's checks, run in a worker, which is ended when it does not answer: those of I1 are the course's own code, the
// queries of I5 are judged by the same rule on the same made-up databases.

import { h } from "./dom.js";

const here = new URL("./", import.meta.url), PATIENCE = 30_000;
/** By lesson: what checks its katas. */
export const LANGUAGES = {
  I1: { name: "Python", program: "Python", worker: ["kata-worker.js", { type: "module" }] },
  I5: { name: "SQL", program: "DuckDB", worker: ["sql-worker.js"] },
};
const running = {}; // by lesson: its worker, and the promise that it is loaded

/** Start what checks the katas of a lesson, once; it takes some seconds the first time. */
export function start(lesson = "I1") {
  if (!running[lesson]) {
    const { worker: [file, kind], program } = LANGUAGES[lesson], worker = new Worker(new URL(file, here), kind);
    const loaded = new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => (data.ready ? resolve(data) : reject(new Error(data.broken)));
      worker.onerror = (event) => reject(new Error(event.message || `${program} can't be loaded`));
    });
    loaded.catch(() => {}); // who asks for a check is told
    running[lesson] = { worker, loaded };
  }
  return running[lesson].loaded;
}

/** Return what the checks say of an answer: status, text, and what it printed; an error where none comes. `ready` is called when they begin. */
export async function checked(name, source, ready = () => {}, lesson = "I1") {
  try {
    ready(await start(lesson));
    const { worker } = running[lesson], answer = await new Promise((resolve, reject) => {
      const bell = setTimeout(() => reject(new Error("No answer in 30 seconds: is there a loop that never ends? It was ended.")), PATIENCE);
      worker.onmessage = ({ data }) => { clearTimeout(bell); resolve(data); };
      worker.postMessage({ name, source });
    });
    if (answer.broken) throw new Error(answer.broken);
    return answer;
  } catch (error) {
    running[lesson]?.worker.terminate();
    delete running[lesson];
    throw error;
  }
}

export const STATUS = { passed: "Passed.", failed: "Not yet.", error: "Your code raised an error.", "not attempted": "Not attempted yet." };

const printed = (text) => h("pre", { tabindex: "0" }, text);

/** What the checks said, as elements. A SQL kata brings what it shows; Python's katas are shown by the course's own code. */
export function shown(answer, kata = {}) {
  const found = answer.printed ? [printed(answer.printed)] : [];
  if (kata.solution) found.push(verdict(answer, kata));
  else found.push(answer.status === "error" ? printed(answer.text) : h("div", { html: answer.text })); // which escapes what a student wrote
  found.forEach((one) => one.querySelectorAll("pre").forEach((each) => { each.tabIndex = 0; }));
  return found;
}

function verdict({ status, text }, { check, hint, solution }) {
  const right = status === "passed", [says, ...tables] = text.split("\n");
  return h("div", { class: right ? "wf-verdict" : "wf-verdict wf-wrong" }, h("p", {}, h("b", {}, `${right ? "✓" : "✗"} ${check}`)),
    says && h("p", {}, says), tables.length > 0 && printed(tables.join("\n")),
    !right && h("details", {}, h("summary", {}, "Hint"), h("p", { html: hint })),
    h("details", {}, h("summary", {}, "Solution"), printed(solution)));
}
