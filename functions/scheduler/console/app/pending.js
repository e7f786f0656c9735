// How many schedules are pending, by time. A short list is counted here, which is exact. A long one is estimated by the
// API, which reads at most one page for each bar; only a count on demand reads them all.

import { get, now } from "./api.js";
import { offset } from "./time.js";

const STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
  2_419_200, 14_515_200, 145_152_000,
];
const BARS_MAX = 125;
const LISTED_MAX = 200;
const CACHED_MS = 60_000;
const PAGES_MAX = 10_000;

export const PRESETS = { hour: 3_600, day: 86_400, week: 604_800, month: 2_592_000, year: 31_536_000 };

const cache = new Map();

export function forget() {
  cache.clear();
}

// The bars that cover a span: their width, and a beginning and an end that are multiples of it.
export function grid(from, to) {
  const step = STEPS_S.find((each) => (to - from) / each <= BARS_MAX) || STEPS_S.at(-1);
  const shift = step < 3600 ? 0 : offset(from);
  const down = (moment) => Math.floor((moment + shift) / step) * step - shift;
  const first = down(from);
  const last = down(to - 1) + step;
  return { from: Math.max(0, first), to: last, step };
}

export function count({ from, to, step }, signal) {
  const name = JSON.stringify([from, to, step]);
  const known = cache.get(name);
  if (known && Date.now() - known.at < CACHED_MS) return known.answer;
  const answer = ask({ from, to, step }, signal);
  answer.catch(() => cache.delete(name));
  cache.set(name, { at: Date.now(), answer });
  return answer;
}

async function ask({ from, to, step }, signal) {
  const page = await get("schedules", { from, to, limit: LISTED_MAX }, signal);
  if (!page.next) return counted(page, { from, to, step });
  const answer = await get("forecast", { from, to, bucket: step, estimate: true }, signal);
  const exact = answer.estimate === false && !answer.next;
  return shaped(answer, { from, to, step }, !exact);
}

function counted(page, { from, to, step }) {
  const counts = empty({ from, to, step });
  for (const { timestamp } of page.schedules) {
    const index = Math.floor((timestamp - from) / step);
    if (index >= 0 && index < counts.length) counts[index] += 1;
  }
  return { from, to, step, counts, total: sum(counts), estimate: false, queued: page.queued };
}

function shaped(answer, { from, to, step }, estimate) {
  const counts = empty({ from, to, step });
  add(counts, answer, { from, step });
  return { from, to, step, counts, total: sum(counts), estimate, queued: answer.queued };
}

// Counts every one, page by page, and tells how far it is.
export async function exact({ from, to, step }, signal, tell = () => {}) {
  const counts = empty({ from, to, step });
  let next = null;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await get("forecast", { from, to, bucket: step, next }, signal);
    add(counts, answer, { from, step });
    next = answer.next;
    tell(sum(counts));
    if (!next) break;
  }
  return { from, to, step, counts, total: sum(counts), estimate: Boolean(next), queued: null };
}

function add(counts, answer, { from, step }) {
  for (const { timestamp, count: found } of answer.buckets) {
    const index = Math.floor((timestamp - from) / step + 1e-6);
    if (index >= 0 && index < counts.length) counts[index] += found;
  }
}

const empty = ({ from, to, step }) => new Array(Math.round((to - from) / step)).fill(0);

const sum = (counts) => counts.reduce((total, each) => total + each, 0);

// The span to show at first: the shortest of the presets that holds what is pending, so far as one page tells.
export async function firstPreset(signal) {
  const page = await get("schedules", { limit: LISTED_MAX }, signal);
  const last = page.schedules.at(-1);
  if (!last) return "day";
  const fits = Object.entries(PRESETS).filter(([, length]) => last.timestamp < now() + length);
  const found = fits.length ? fits[0][0] : "year";
  return page.next && ["hour", "day"].includes(found) ? "week" : found;
}
