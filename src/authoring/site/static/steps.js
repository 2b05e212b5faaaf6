// The steps of a round that are not spoken: a kata with the real check, a ticket of the clinic.

import { checked, LANGUAGES, shown, start, STATUS } from "./checker.js";
import { hold } from "./clinic.js";
import { button, h, main, row, ticking } from "./dom.js";
import { editor } from "./editor.js";
import { attempt, attempts, kataPassed } from "./log.js";
import { Clinic } from "./tickets.js";

const here = new URL("./", import.meta.url), read = async (name) => (await fetch(new URL(name, here))).json();
const any = (list) => list[Math.floor(Math.random() * list.length)];
let clinic;

/** What a round needs beside the bank: the katas that run here; a ticket of those that were met least. */
export async function material(name) {
  if (name === "coding") {
    const files = { I1: "katas.json", I5: "sql.json" }, of = async ([lesson, file]) => (await read(file)).map((one) => ({ ...one, lesson }));
    return { katas: (await Promise.all(Object.entries(files).map(of))).flat() };
  }
  if (name !== "debugging") return {};
  clinic ??= new Clinic(await read("tickets.json"));
  const held = attempts().filter((one) => one.what === "ticket").flatMap((one) => [one.name, `${one.name} ${one.detail.seed}`]);
  return { ticket: clinic.choose((key) => held.filter((one) => one === key).length, any) };
}

export function ticketStep({ ticket, seconds }, page, done) {
  hold(clinic, ticket, { ...page, limit: seconds }, (result) => {
    attempt({ what: "ticket", name: ticket.ticket, passed: result.passed, seconds: result.seconds, ended: new Date().toISOString(), detail: result.detail });
    done(result);
  });
}

const tables = ({ name, tables: held }) => held && [h("ul", {}, held.map((one) => h("li", {}, h("code", {}, one)))),
  h("p", {}, "Here you write the SQL; the terminal asks for it in pandas too: ", h("code", {}, `walkforward kata ${name}`), ".")];

/** A kata: the editor, the check, until it passes or is left. The clock says when its time is over and ends nothing. */
export async function kataStep({ kata }, { show, title, told, others }, done) {
  const line = h("p", { class: "wf-clock", "aria-hidden": "true" }), said = h("p", { role: "status" });
  const { name: language, program } = LANGUAGES[kata.lesson];
  const result = h("div", { class: "wf-result", "aria-live": "polite" }), place = h("div", { class: "wf-editor" }), kept = `walkforward.kata.${kata.name}`;
  let tries = 0, over = false;
  const leave = (passed) => {
    if (over) return;
    over = true;
    done({ passed, seconds: spent(), detail: { tries } });
  };
  const check = main("Check", run), buttons = row(check, button("Leave it, not solved", () => leave(false)), ...others);
  show(h("p", { class: "wf-title" }, title), h("div", { class: "wf-prompt", html: kata.task }), tables(kata), line, place, buttons, said, result);
  const spent = ticking(line, told);
  start(kata.lesson).catch(() => {}); // while the task is read
  const field = await editor(place, run);
  field.speak(language);
  field.set(localStorage.getItem(kept) ?? kata.stub);
  field.on(() => localStorage.setItem(kept, field.value()));

  async function run() {
    if (check.disabled || over) return;
    check.disabled = true;
    said.textContent = `${program} is starting; the first time it takes some seconds.`;
    result.replaceChildren();
    try {
      const answer = await checked(kata.name, field.value(), () => { said.textContent = "The checks are running."; }, kata.lesson);
      tries += answer.status === "not attempted" ? 0 : 1;
      said.textContent = STATUS[answer.status];
      result.append(...shown(answer, kata));
      if (answer.status === "passed") {
        const seconds = spent();
        kataPassed(kata.name);
        over = true;
        buttons.replaceChildren(main("Go on", () => done({ passed: true, seconds, detail: { tries } })));
        buttons.firstChild.focus();
        return;
      }
    } catch (error) { said.textContent = error.message; }
    check.disabled = false;
  }
}
