// FSRS 6 as Python's `fsrs` schedules it in course.practice.reviews: default parameters, one step of ten minutes, no fuzz.
// Pure: a card is replayed from its log, so the terminal and the browser agree on the same reviews.

export const AGAIN = 1, HARD = 2, GOOD = 3, EASY = 4;
const W = [0.212, 1.2931, 2.3065, 8.2956, 6.4133, 0.8334, 3.0194, 0.001, 1.8722, 0.1666, 0.796, 1.4835, 0.0614, 0.2629,
  1.6483, 0.6014, 1.8729, 0.5425, 0.0912, 0.0658, 0.1542];
const MINUTE = 60_000, DAY = 86_400_000, STEP = 10 * MINUTE, RETENTION = 0.9, LONGEST = 36_500;
const DECAY = -W[20], FACTOR = 0.9 ** (1 / DECAY) - 1;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const days = (from, to) => Math.floor((to - from) / DAY);

function even(value) { // Python rounds a half to the even neighbour
  const floor = Math.floor(value), rest = value - floor;
  return rest === 0.5 ? floor + (floor % 2) : Math.round(value);
}

export function retrievability(card, now) {
  if (!card.last) return 0;
  return (1 + (FACTOR * Math.max(0, days(card.last, now))) / card.stability) ** DECAY;
}

const startDifficulty = (rating) => W[4] - Math.E ** (W[5] * (rating - 1)) + 1;

function difficulty(old, rating) {
  const damped = old + ((10 - old) * -(W[6] * (rating - 3))) / 9;
  return clamp(W[7] * startDifficulty(EASY) + (1 - W[7]) * damped, 1, 10);
}

function sameDay(stability, rating) {
  let factor = Math.E ** (W[17] * (rating - 3 + W[18])) * stability ** -W[19];
  if (rating !== AGAIN) factor = Math.max(factor, 1);
  return stability * factor;
}

function later({ stability, difficulty }, recalled, rating) {
  if (rating === AGAIN) {
    const forgotten = W[11] * difficulty ** -W[12] * ((stability + 1) ** W[13] - 1) * Math.E ** ((1 - recalled) * W[14]);
    return Math.min(forgotten, stability / Math.E ** (W[17] * W[18]));
  }
  const weight = (rating === HARD ? W[15] : 1) * (rating === EASY ? W[16] : 1);
  return stability * (1 + Math.E ** W[8] * (11 - difficulty) * stability ** -W[9] *
    (Math.E ** ((1 - recalled) * W[10]) - 1) * weight);
}

const interval = (stability) => clamp(even((stability / FACTOR) * (RETENTION ** (1 / DECAY) - 1)), 1, LONGEST) * DAY;

/** Return the card after one more answer; `card` is null for a question never asked. Times in milliseconds. */
export function review(card, rating, now) {
  const next = { last: now, learning: card?.learning ?? true };
  if (!card) {
    next.stability = W[rating - 1];
    next.difficulty = clamp(startDifficulty(rating), 1, 10);
  } else {
    const again = days(card.last, now) < 1;
    next.stability = Math.max(again ? sameDay(card.stability, rating) : later(card, retrievability(card, now), rating), 0.001);
    next.difficulty = difficulty(card.difficulty, rating);
  }
  if (rating === AGAIN) next.learning = true;
  else if (!next.learning || rating >= GOOD) next.learning = false;
  next.due = now + (!next.learning ? interval(next.stability) : rating === HARD ? 1.5 * STEP : STEP);
  return next;
}

/** Replay a question's log; a day of the interview (UTC midnight) caps the interval at half of what is left. */
export function replay(log, interview) {
  const card = log.reduce((held, one) => review(held, one.rating, Date.parse(one.reviewed)), null);
  const left = interview && card ? Math.floor(interview / DAY) - Math.floor(card.last / DAY) : 0;
  if (left > 0) card.due = Math.min(card.due, card.last + Math.max(1, Math.floor(left / 2)) * DAY);
  return card;
}

/** Whether an answer ended before its points can have been said. */
export const tooSoon = (must, good, seconds) => seconds < 4 * [...must, ...good].filter(Boolean).length;

/** Again without every must, Hard past one and a half times the minutes, Easy with every point in time and not too soon. */
export function rate(minutes, must, good, seconds) {
  if (!must.every(Boolean)) return AGAIN;
  if (seconds === null) return GOOD;
  if (seconds > 90 * minutes) return HARD;
  const easy = good.length && good.every(Boolean) && seconds <= 60 * minutes && !tooSoon(must, good, seconds);
  return easy ? EASY : GOOD;
}
