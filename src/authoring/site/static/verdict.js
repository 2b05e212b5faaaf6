// What is right: the rule of course/exercise/tables.py. Rows without an order, unless the task asks for one.

const MOST_ROWS = 12;

/** A number as Python's round(x, 6) gives it: of two that are equally near, the even one, where toFixed takes the larger. */
export function rounded(x) {
  const odd = x * 128; // exactly between two lies what is an odd number of 128ths
  if (Math.abs(odd) % 2 === 1 && Math.abs(x) < 2 ** 33) { // above, six digits are finer than the numbers are
    const twice = BigInt(Math.abs(odd)) * 15625n, even = (twice + (twice % 4n === 1n ? -1n : 1n)) / 2n;
    return (Math.sign(x) * Number(even)) / 1e6;
  }
  return Number(Math.abs(x) < 1e21 ? x.toFixed(6) : x) + 0;
}

/** A value so that equal ones are equal: 3 and 3.0, a day and its midnight. A moment is its microseconds in a list. */
export function plain(value) {
  if (value === null || value === undefined) return null;
  if (typeof value === "boolean" || typeof value === "bigint") return Number(value);
  if (typeof value !== "number") return value;
  if (Number.isNaN(value)) return "nan";
  return Number.isFinite(value) ? rounded(value) : { number: String(value) };
}

const key = (row) => JSON.stringify(row);
const two = (number) => String(number).padStart(2, "0");

/** What of `rows` is not in `others`, each as often as it is missing there. */
function beyond(rows, others) {
  const left = new Map();
  for (const row of rows) left.set(key(row), (left.get(key(row)) ?? 0) + 1);
  for (const row of others) left.set(key(row), (left.get(key(row)) ?? 0) - 1);
  return [...left].flatMap(([row, times]) => Array.from({ length: Math.max(times, 0) }, () => JSON.parse(row)));
}

/** A number as Python's "g" writes it. */
export function general(x) {
  const [digits, power] = x.toExponential(5).split("e"), short = (text) => text.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  if (x === 0) return "0";
  if (power >= -4 && power < 6) return short(x.toPrecision(6));
  return `${short(digits)}e${power[0]}${two(power.slice(1))}`;
}

function cell(value) {
  if (value === null) return "NULL";
  if (typeof value === "number") return general(value);
  if (value?.number) return value.number.replace("Infinity", "inf");
  if (!Array.isArray(value)) return String(value);
  const at = new Date(Math.floor(value[0] / 1000));
  if (Number.isNaN(at.getTime())) return String(value[0]);
  const day = `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`, seconds = at.getUTCSeconds();
  const clock = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}${seconds ? `:${two(seconds)}` : ""}`;
  return value[0] % 86_400_000_000 === 0 ? day : `${day} ${clock}`;
}

function grid(names, rows) {
  const table = [names, ...rows.map((row) => row.map(cell))];
  if (!rows.length) table.push(["(no rows)", ...names.slice(1).map(() => "")]);
  const widths = names.map((_, place) => Math.max(...table.map((row) => [...row[place]].length)));
  const line = (row) => `  ${row.map((one, place) => one + " ".repeat(widths[place] - [...one].length)).join("  ")}`.trimEnd();
  return table.map(line).join("\n");
}

const more = (rows, what) => (rows > 0 ? `\n… and ${rows} more ${what}` : "");

/** Say what is wrong with an answer on one made-up database; nothing where it is right. */
export function difference({ columns, ordered }, [title, , wanted], shown, names, rows) {
  const where = `SQL, made-up database «${title}»`, same = (one, other) => key(one) === key(other);
  if (!same([...columns].sort(), [...names].sort())) {
    return `${where}: the columns are ${columns.join(", ")}; yours are ${names.join(", ") || "none"}`;
  }
  const places = columns.map((name) => names.indexOf(name)), yours = rows.map((row) => places.map((place) => plain(row[place])));
  const missing = beyond(wanted, yours), extra = beyond(yours, wanted);
  if (same(yours, wanted) || (!ordered && !missing.length && !extra.length)) return "";
  let told = `the rows are right, their order is not; wanted is\n${grid(columns, wanted)}`;
  if (missing.length || extra.length) {
    const marked = [...missing.slice(0, MOST_ROWS).map((row) => ["wanted", ...row]), ...extra.slice(0, MOST_ROWS).map((row) => ["got", ...row])];
    told = `${wanted.length === 1 ? "1 row is" : `${wanted.length} rows are`} wanted, you have ${yours.length}; these differ\n`
      + grid(["", ...columns], marked) + more(missing.length - MOST_ROWS, "wanted") + more(extra.length - MOST_ROWS, "got");
  }
  return `${where}: ${told}\n${shown}`.trimEnd();
}
