// DuckDB in a worker below this one, and the verdict: a query that never ends can be ended with both.
// A classic worker, because Apache Arrow's one file is no module; DuckDB answers in Arrow.

const SEMICOLON = 59;
const here = new URL("./", self.location.href), vendor = (name) => new URL(`vendor/${name}`, here).href;
// What `course.data.database.connect` sets: nothing from outside.
const SETTINGS = ["threads = 1", "memory_limit = '500MB'", "autoinstall_known_extensions = false", "autoload_known_extensions = false",
  "enable_external_access = false"];

importScripts(vendor("arrow/arrow.js"));
const duckdb = new Worker(vendor("duckdb/duckdb.worker.js")), waiting = new Map();
let asked = 0, broken = null;

duckdb.onerror = (event) => { // it may come before anything is asked
  broken = new Error(event.message || "DuckDB can't be loaded");
  waiting.forEach(({ reject }) => reject(broken));
};
duckdb.onmessage = ({ data: { requestId, type, data } }) => {
  if (/LOG|PROGRESS/.test(type)) return;
  const { resolve, reject } = waiting.get(requestId);
  waiting.delete(requestId);
  if (type === "ERROR") reject(new Error(data.message));
  else resolve(data);
};

const ask = (type, data) => new Promise((resolve, reject) => {
  if (broken) return reject(broken);
  waiting.set(++asked, { resolve, reject });
  duckdb.postMessage({ messageId: asked, type, data });
});

const ready = (async () => {
  const [tasks, verdict] = await Promise.all([fetch(new URL("sql-tables.json", here)).then((answer) => answer.json()), import("./verdict.js")]);
  await ask("INSTANTIATE", [vendor("duckdb/duckdb.wasm"), null]);
  return { tasks, verdict, version: await ask("GET_VERSION", null) };
})();

ready.then(({ version }) => postMessage({ ready: true, version }), (error) => postMessage({ broken: String(error) }));

/** A cell of a result as verdict.js wants it. A moment with a zone equals none without. */
function read(value, type) {
  const { DataType } = self.Arrow;
  if (value === null) return null;
  if (DataType.isTimestamp(type) || DataType.isDate(type)) return type.timezone ? `${value} ${type.timezone}` : [Math.round(Number(value) * 1000)];
  return typeof value === "object" || DataType.isTime(type) ? `${value}` : value;
}

/** How many statements a text holds: between the semicolons outside of texts and comments. */
async function statements(query) {
  const { offsets, types } = await ask("TOKENIZE", query), bytes = new TextEncoder().encode(query), COMMENT = 5;
  const words = offsets.filter((_, place) => types[place] !== COMMENT).map((offset) => bytes[offset]);
  return words.filter((byte, place) => byte !== SEMICOLON && (place === 0 || words[place - 1] === SEMICOLON)).length;
}

/** Run a statement: the names of its columns, and its rows. */
async function rows(connection, query) {
  const table = self.Arrow.tableFromIPC(await ask("RUN_QUERY", [connection, query]));
  const columns = table.schema.fields.map(({ type }, place) => ({ type, vector: table.getChildAt(place) }));
  return [table.schema.fields.map(({ name }) => name),
    Array.from({ length: table.numRows }, (_, at) => columns.map(({ type, vector }) => read(vector.get(at), type)))];
}

function notRun(error) {
  const lines = error.split("\n").filter((line) => line.trim()), lacking = /extension/i.test(error);
  const said = lines.filter((line, place) => lines.indexOf(line) === place).slice(0, lacking ? 1 : 5); // a parser's error shows its line twice
  if (lacking) said.push("In the browser DuckDB is without its extensions (json, icu); in the notebook it has them.");
  return `the query does not run: ${said.join("\n")}`;
}

/** Judge a query on each made-up database of its kata, up to the first that it is wrong on. */
async function judged(name, query) {
  const { tasks, verdict } = await ready, task = tasks.katas[name], number = await statements(query);
  if (number !== 1) return `write one SELECT, not ${number} statements`;
  await ask("OPEN", { path: ":memory:", query: { castBigIntToDouble: true, castDecimalToDouble: true } });
  const connection = await ask("CONNECT", null);
  for (const one of SETTINGS) await ask("RUN_QUERY", [connection, `SET ${one}`]);
  for (const on of task.on) {
    const { make, shown } = tasks.databases[on[1]];
    for (const one of make) await ask("RUN_QUERY", [connection, one]);
    let got;
    try {
      got = await rows(connection, query);
    } catch (error) {
      return notRun(error.message);
    }
    const wrong = verdict.difference(task, on, shown, ...got);
    if (wrong) return wrong;
  }
  await ask("DISCONNECT", connection);
  return "";
}

onmessage = async ({ data: { name, source } }) => {
  try {
    const text = await judged(name, source);
    postMessage({ status: text ? "failed" : "passed", text });
  } catch (error) {
    postMessage({ broken: error.message });
  }
};
