// An advertisement of a job, read by its own words, by the rules of course/practice/advertisement.py. plan.json has the
// terms: their expressions as JavaScript has them, the lessons that teach each, and the questions that ask about it.

const MOST = 1_000_000; // bytes: an advertisement has a page or two
const CONTROL = /[\x00-\x08\x0e-\x1f\x7f-\x9f]/;

/** Text with one kind of hyphen and blank, and words joined that a line's end had cut. */
export function plain(text) {
  return text.normalize("NFKC").replaceAll("\u00ad", "").replaceAll("\r\n", "\n").replace(/[\u2010\u2011\u2012\u2212]/g, "-")
    .replace(/(?<=[\p{L}\p{Nl}\p{No}])-\n[^\S\ufeff]*(?=[a-zäöüß])/gu, "");
}

/** The text of an advertisement as `plain` has it; an error for one that is empty, a web page, no text or too long. */
export function read(pasted) {
  const text = plain(pasted);
  if (new Blob([pasted]).size > MOST) throw new Error("This is longer than an advertisement: paste its text alone.");
  if (CONTROL.test(text) || /^(?:%PDF-|\{\\rtf)/.test(text)) throw new Error("This is no text: paste the advertisement's text.");
  if (/^\s*<(?:!doctype|html)/i.test(text)) throw new Error("This is a web page with its tags: paste the text that it shows.");
  if (!text.trim()) throw new Error("The advertisement is empty: paste its text.");
  return text;
}

export class Advertisements {
  /** rules: the expressions before and after a name in a list; terms: as plan.json has them. */
  constructor({ rules, terms }) {
    this.rules = Object.fromEntries(Object.entries(rules).map(([name, source]) => [name, new RegExp(source, name === "noLanguage" ? "uy" : name === "after" ? "iuy" : "iu")]));
    this.terms = terms.map((one) => ({ ...one, patterns: one.patterns.map((source) => new RegExp(source, "giu")) }));
  }

  matches(term, text) {
    const [own, ...others] = term.patterns.map((pattern) => [...text.matchAll(pattern)]);
    return [...others.flat(), ...own.filter((match) => this.isName(term, match, text))];
  }

  isName(term, match, text) {
    if (!term.exact && !term.listed) return true;
    const [said] = match, end = match.index + said.length, before = text.slice(Math.max(0, match.index - 40), match.index);
    const at = (rule) => { this.rules[rule].lastIndex = end; return this.rules[rule].test(text); };
    const listed = at("after") && !at("noLanguage");
    if (term.listed) return said === term.term && listed && (this.rules.before.test(before) || this.rules.saidOf.test(before));
    return said === term.term || said === term.term.toUpperCase() || (listed && this.rules.before.test(before));
  }

  /** The terms that a text names: the one that is named most first, then by their place in it. */
  named(text) {
    const found = this.terms.map((term) => [term, [...new Set(this.matches(term, text).map(({ index }) => index))]]).filter(([, places]) => places.length);
    return found.map(([term, places]) => [term, places.length, Math.min(...places)])
      .sort(([, many, first], [, more, other]) => more - many || first - other).map(([term]) => term);
  }

  /** The words with which the text names the term first; its own where it does not name it. */
  word(term, text) {
    const found = this.matches(term, text).sort((one, other) => one.index - other.index || other[0].length - one[0].length);
    return found.length ? found[0][0].trim().split(/[^\S\ufeff]+/).join(" ") : term.term;
  }
}

/** What the lesson that teaches a term first is worth: half, where it teaches the idea alone. */
export const weight = (idea) => (idea ? 0.5 : 1);

/** How much the terms of an advertisement want each lesson and each question. */
export class Weights {
  constructor(terms) {
    this.terms = terms;
    const weights = new Map();
    for (const { stems, idea } of terms) {
      stems.forEach((stem, place) => weights.set(stem, (weights.get(stem) ?? 0) + weight(idea) / (place + 1)));
    }
    this.lessons = new Map([...weights].sort(([, one], [, other]) => other - one)); // a tie: the earlier term
    this.own = [...new Set(terms.filter((one) => !one.idea).flatMap(({ stems }) => stems.slice(0, 1)))];
  }

  /** For each term the questions about it, else those of the lessons that teach it; a term without any is left out. */
  questions(bank) {
    return this.terms.map(({ asks, stems }) => {
      const ids = new Set(asks), numbers = new Set(stems.map((stem) => stem.split("_")[0])), about = bank.filter((one) => ids.has(one.id));
      return about.length ? about : bank.filter((one) => numbers.has(one.lesson));
    }).filter((found) => found.length);
  }
}
