// Reads a diagnosis in free text, by the rules of course/practice/diagnosis.py: which of the named things it blames, and
// which it clears. tickets.json has the expressions as JavaScript has them; a pattern is a list of parts that lie in one sentence.

const WORD = "[\\p{L}\\p{N}_]", EDGE = `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`;
const GROUP = new RegExp(`^(?:the|our|neither|both)${EDGE}`, "u"), SHARED = new RegExp(`${EDGE}and${EDGE}[^\\n]*${EDGE}(?:are|were)${EDGE}`, "u");
const REACH = 6; // words that may lie between a negation and what it denies
const words = (text) => text.split(/[\t-\r\x1c-\x1f\x85\p{Z}]+/u).filter(Boolean).length;

export class Reader {
  /** rules: sentence, clause, and, before, after, pronoun, head, verb. */
  constructor(rules) {
    this.rules = Object.fromEntries(Object.entries(rules).map(([name, source]) => [name, new RegExp(source, "u")]));
    this.every = (name) => new RegExp(rules[name], "gu");
    this.known = new Map();
  }

  expression(source) {
    if (!this.known.has(source)) this.known.set(source, new RegExp(source, "gu"));
    return this.known.get(source);
  }

  /** Whether a text blames the thing that the patterns know, and whether it clears it. */
  read(text, patterns) {
    const verdicts = this.sentences(text).flatMap((clauses) =>
      patterns.flatMap((parts) => this.inSentence(clauses, parts.map((source) => this.expression(source)))));
    const blamed = verdicts.includes(true);
    return { blamed, cleared: verdicts.includes(false) && !blamed };
  }

  /** The clauses of each sentence; a sentence that begins "that is not it" joins the one before. */
  sentences(text) {
    const { sentence, clause, pronoun, after } = this.rules, found = [];
    const lowered = text.toLowerCase().replace(/[\u2018\u2019`]/g, "'").replace(/[*"\u201c\u201d]/g, " ");
    for (const one of lowered.split(sentence)) {
      const clauses = one.split(clause).flatMap((each) => this.divided(each.trim())).filter((each) => /[^ .!?;,]/.test(each));
      if (found.length && clauses.length && pronoun.test(clauses[0]) && after.test(clauses[0])) found.at(-1).push(...clauses);
      else if (clauses.length) found.push(clauses);
    }
    return found;
  }

  /** Divide "the index is gone and memory is fine" at its "and", but not "deploy and memory are fine". */
  divided(clause) {
    for (const joint of clause.matchAll(this.every("and"))) {
      const before = clause.slice(0, joint.index), after = clause.slice(joint.index + joint[0].length);
      if (this.rules.verb.test(before) && this.rules.verb.test(after)) return [before, ...this.divided(after)];
    }
    return [clause];
  }

  /** True for each mention that blames and false for each that clears. */
  inSentence(clauses, parts) {
    const verdicts = clauses.flatMap((clause, place) => {
      const spans = this.spans(clause, parts);
      return spans.length ? [!this.denied(clauses, place, spans)] : [];
    });
    if (verdicts.length || parts.length === 1) return verdicts;
    if (!this.spans(clauses.join(" , "), parts).length) return [];
    for (const [place, clause] of clauses.entries()) { // the parts lie in several clauses: none of them may be denied
      const spans = parts.flatMap((part) => [...clause.matchAll(part)].map((hit) => [hit.index, hit.index + hit[0].length]));
      if (spans.length && this.denied(clauses, place, spans)) return [false];
    }
    return [true];
  }

  /** Where the parts are, the widest mention of each; empty when one is missing. */
  spans(clause, parts) {
    const found = parts.map((part) => [...clause.matchAll(part)].reduce((best, hit) => (best && best[0].length >= hit[0].length ? best : hit), null));
    return found.every(Boolean) ? found.map((hit) => [hit.index, hit.index + hit[0].length]) : [];
  }

  denied(clauses, place, spans) {
    const { after, pronoun, head, verb } = this.rules, clause = clauses[place];
    const first = Math.min(...spans.map(([start]) => start)), last = Math.max(...spans.map(([, end]) => end));
    for (const hit of clause.matchAll(this.every("before"))) {
      const end = hit.index + hit[0].length;
      if (spans.some(([from, to]) => from < end && hit.index < to)) continue;
      // "not the small pool", "the pool is not too small"
      if (spans.some(([from]) => end <= from && words(clause.slice(end, from)) < (from === first ? REACH : 2))) return true;
    }
    if (after.test(clause.slice(last))) return true;
    const following = clauses[place + 1] ?? "";
    if (pronoun.test(following) && after.test(following)) return true;
    const listed = !verb.test(clause), heads = clauses.slice(0, place).some((one) => head.test(one));
    const between = place ? clauses.slice(place - 1, place) : [];
    if (listed && heads && between.every((one) => !verb.test(one))) return true;
    // "The deploy, the traffic and the disk are fine": items without a verb share the verdict of the last one
    return listed && GROUP.test(clause) && words(clause) < 5 && SHARED.test(following) && after.test(following);
  }
}
