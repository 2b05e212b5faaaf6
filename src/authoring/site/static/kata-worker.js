// Python in a worker of its own: a loop that never ends can be ended, and the page stays quick meanwhile.

import { loadPyodide } from "./vendor/pyodide/pyodide.mjs";

const CHECKED = `
import contextlib, io, linecache, sys, traceback

sys.path.insert(0, "/course/src")
from course import exercise


def checked(name, source):
    """Run an answer and the checks of its kata; return the status, what to show, and what was printed."""
    linecache.cache["<answer>"] = (len(source), None, source.splitlines(keepends=True), "<answer>")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            cell = {"__name__": "__main__", "TODO": exercise.TODO}
            exec(compile(source, "<answer>", "exec"), cell)
            if name not in cell:
                return "error", f"There is no function {name}: keep the name that the kata gives it.", said.getvalue()
            result = exercise.check(cell[name])
        except BaseException as error:
            where = error.__traceback__.tb_next if error.__traceback__ else None
            return "error", "".join(traceback.format_exception(error.with_traceback(where))), said.getvalue()
    return result.status, result._repr_html_(), said.getvalue()
`;

const ready = (async () => {
  const [python, archive] = await Promise.all([
    loadPyodide({ indexURL: new URL("./vendor/pyodide/", import.meta.url).href }),
    fetch(new URL("./katas.zip", import.meta.url)).then((answer) => answer.arrayBuffer()),
  ]);
  python.unpackArchive(archive, "zip", { extractDir: "/course" });
  python.runPython(CHECKED);
  return python;
})();

ready.then(() => postMessage({ ready: true }), (error) => postMessage({ broken: String(error) }));

onmessage = async ({ data: { name, source } }) => {
  const python = await ready, answer = python.globals.get("checked")(name, source);
  const [status, text, printed] = answer.toJs();
  answer.destroy();
  postMessage({ status, text, printed });
};
