// The front page's question: one to answer at once.

import { h } from "./dom.js";

const NAME = "drift-psi-threshold", here = new URL("./", import.meta.url), place = document.getElementById("wf-question");
const { questions } = await (await fetch(new URL("bank.json", here))).json();
const one = questions.find(({ id }) => id === NAME) ?? questions[0];
place.append(h("p", {}, h("b", {}, "Answer this one aloud:")), h("div", { class: "wf-prompt", html: one.prompt }),
  h("details", {}, h("summary", {}, "What the answer must have"), h("ul", {}, one.must.map((html) => h("li", { html })))),
  h("p", {}, h("a", { href: `practice.html?question=${one.id}` }, "Answer it on the clock"), ", and the next."));
