// A kata's checks, run by the course's own code in a worker, which is ended when it does not answer.

import { h } from "./dom.js";

const here = new URL("./", import.meta.url), PATIENCE = 30_000;
let worker, loaded;

/** Start Python, once; it takes some seconds the first time. */
export function start() {
  if (!worker) {
    worker = new Worker(new URL("kata-worker.js", here), { type: "module" });
    loaded = new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => (data.ready ? resolve() : reject(new Error(data.broken)));
      worker.onerror = (event) => reject(new Error(event.message || "Python can't be loaded"));
    });
    loaded.catch(() => {}); // who asks for a check is told
  }
  return loaded;
}

/** Return what the checks say of an answer: status, text, and what it printed; an error where none comes. `ready` is called when they begin. */
export async function checked(name, source, ready = () => {}) {
  try {
    await start();
    ready();
    return await new Promise((resolve, reject) => {
      const bell = setTimeout(() => reject(new Error("No answer in 30 seconds: is there a loop that never ends? It was ended.")), PATIENCE);
      worker.onmessage = ({ data }) => { clearTimeout(bell); resolve(data); };
      worker.postMessage({ name, source });
    });
  } catch (error) {
    worker?.terminate();
    worker = null;
    throw error;
  }
}

export const STATUS = { passed: "Passed.", failed: "Not yet.", error: "Your code raised an error.", "not attempted": "Not attempted yet." };

const printed = (text) => h("pre", { tabindex: "0" }, text);

/** What the checks said, as elements. */
export function shown(answer) {
  const found = answer.printed ? [printed(answer.printed)] : [];
  found.push(answer.status === "error" ? printed(answer.text) : h("div", { html: answer.text })); // made by the course's own code, which escapes what a student wrote
  found.forEach((one) => one.querySelectorAll("pre").forEach((each) => { each.tabIndex = 0; }));
  return found;
}
