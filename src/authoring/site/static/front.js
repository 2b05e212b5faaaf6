// The front page's question: one to answer at once, in a file of its own, for the bank has megabytes.

import { h } from "./dom.js";

const here = new URL("./", import.meta.url), place = document.getElementById("wf-question");
const one = await (await fetch(new URL("front.json", here))).json();
place.append(h("p", {}, h("b", {}, "Answer this one aloud:")), h("div", { class: "wf-prompt", html: one.prompt }),
  h("details", {}, h("summary", {}, "What the answer must have"), h("ul", {}, one.must.map((html) => h("li", { html })))),
  h("p", {}, h("a", { href: `practice.html?question=${one.id}` }, "Answer it on the clock"), ", and the next."));
