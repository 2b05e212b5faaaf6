// The editor of a kata's answer, on the katas' page and in a coding round.

import { h } from "./dom.js";

const here = new URL("./", import.meta.url);

const MODES = { Python: ["python.js", "text/x-python"], SQL: ["sql.js", "text/x-pgsql"] };

/** CodeMirror where it lies beside the site, else a plain field that indents. Both give value(), set(text), on(change), and speak("SQL"). */
export async function editor(place, submit) {
  const label = (language) => `Your answer, in ${language}`, load = (name) => new Promise((resolve, reject) => {
    document.head.append(h("script", { src: new URL(`vendor/codemirror/${name}`, here), onload: resolve, onerror: reject }));
  });
  try {
    if (!window.CodeMirror) {
      document.head.append(h("link", { rel: "stylesheet", href: new URL("vendor/codemirror/codemirror.css", here) }));
      await load("codemirror.js");
      await load("python.js");
    }
    const indented = (cm) => (cm.somethingSelected() ? cm.indentSelection("add") : cm.replaceSelection("    "));
    const made = window.CodeMirror(place, { mode: "text/x-python", indentUnit: 4, lineNumbers: true, lineWrapping: true, inputStyle: "contenteditable",
      screenReaderLabel: label("Python"), viewportMargin: Infinity,
      extraKeys: { Tab: indented, "Shift-Tab": "indentLess", "Ctrl-Enter": submit, "Cmd-Enter": submit, Esc: () => place.nextElementSibling.querySelector("button").focus() } });
    let spoken;
    const speak = async (language) => {
      const [file, mode] = MODES[language];
      spoken = language;
      made.setOption("screenReaderLabel", label(language));
      if (!window.CodeMirror.mimeModes[mode]) await load(file);
      if (spoken === language) made.setOption("mode", mode);
    };
    return { value: () => made.getValue(), set: (text) => made.setValue(text), speak,
      on: (changed) => made.on("change", (_, what) => what.origin !== "setValue" && changed()) };
  } catch {
    const field = h("textarea", { rows: 18, spellcheck: "false", autocapitalize: "off", autocomplete: "off", "aria-label": label("Python") });
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
    return { value: () => field.value, set: (text) => { field.value = text; }, on: (changed) => field.addEventListener("input", changed),
      speak: (language) => field.setAttribute("aria-label", label(language)) };
  }
}
