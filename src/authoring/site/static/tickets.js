// Blind tickets, by the rules of course/practice/tickets.py: which evidence a request means, and what a diagnosis is worth.

import { Reader } from "./diagnosis.js";

export class Clinic {
  /** As tickets.json has it: the catalogue of evidence, the expressions, the cases. */
  constructor({ catalogue, rules, budget, starts, cases }) {
    this.names = Object.keys(catalogue);
    this.catalogue = this.names.map((name) => [name, new RegExp(catalogue[name], "gu")]);
    this.reader = new Reader(rules);
    this.budget = budget;
    this.starts = starts;
    this.cases = cases;
  }

  /** A case of those that were met least; `met` counts by ticket and by case ("night_job 7"), `draw` picks of a list. */
  choose(met, draw) {
    const least = (list, key) => {
      const few = Math.min(...list.map((one) => met(key(one))));
      return draw(list.filter((one) => met(key(one)) === few));
    };
    const ticket = least([...new Set(this.cases.map((one) => one.ticket))], (one) => one);
    return least(this.cases.filter((one) => one.ticket === ticket), (one) => `${one.ticket} ${one.seed}`);
  }

  /** The time of the story after so many requests. */
  clock(asked) {
    const minute = this.starts + asked;
    return [Math.floor(minute / 60), minute % 60].map((part) => String(part).padStart(2, "0")).join(":");
  }

  /** Which evidence a request means: one, several between which it does not decide, or none. */
  meant(request) {
    const words = request.toLowerCase().split(/[\t-\r\x1c-\x1f\x85\p{Z}]+/u).filter(Boolean).join(" ");
    if (this.names.includes(words)) return [words];
    if (/^\d+$/.test(words) && Number(words) > 0 && Number(words) <= this.names.length) return [this.names[Number(words) - 1]];
    const scores = this.catalogue.map(([name, pattern]) =>
      [name, [...new Set([...words.matchAll(pattern)].map(([said]) => said))].reduce((sum, said) => sum + said.length, 0)]);
    const best = Math.max(...scores.map(([, score]) => score));
    return scores.filter(([, score]) => score && score > 0.6 * best).map(([name]) => name);
  }

  /** Whether any fault can be read in a diagnosis. */
  reads(one, diagnosis) {
    return [...one.faults, ...one.suspects].some(({ says }) => this.reader.read(diagnosis, says).blamed);
  }

  /** What a sitting is worth. said: faults that the candidate found in the diagnosis; mended: overrules what is read of the remedy. */
  judge(one, asked, diagnosis, remedy, said = [], mended = null) {
    const claims = ({ name, says }) => said.includes(name) || this.reader.read(diagnosis, says).blamed;
    const mends = () => one.mends.every((group) => this.reader.read(remedy, group).blamed);
    const of = (list, claimed) => list.filter((fault) => claims(fault) === claimed).map(({ name }) => name);
    const judged = {
      missing: one.needs.filter((need) => !need.some((name) => asked.includes(name))),
      named: of(one.faults, true),
      unnamed: of(one.faults, false),
      blamed: of(one.suspects, true), // innocent
      mended: Boolean(remedy.trim()) && (mended ?? mends()),
      harm: one.harm.filter(([parts]) => this.reader.read(remedy, [parts]).blamed).map(([, why]) => why),
    };
    const { missing, unnamed, blamed, harm } = judged;
    return { ...judged, passed: !(missing.length || unnamed.length || blamed.length || harm.length) && judged.mended };
  }

  /** Innocent things that a diagnosis clears. */
  cleared(one, diagnosis) {
    return one.suspects.filter(({ says }) => this.reader.read(diagnosis, says).cleared).map(({ name }) => name);
  }
}
