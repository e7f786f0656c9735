// How moments and durations are written. Moments are seconds since 1970.

import { now } from "./api.js";

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const formats = {
  day: { weekday: "short", day: "numeric", month: "short" },
  dayYear: { day: "numeric", month: "short", year: "numeric" },
  clock: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  short: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
};
const format = Object.fromEntries(
  Object.entries(formats).map(([name, options]) => [name, new Intl.DateTimeFormat("en-GB", options)]),
);
const numbers = new Intl.NumberFormat("en-US");

export const number = (value) => numbers.format(value);

export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

export function day(moment) {
  const date = new Date(moment * 1000);
  const thisYear = date.getFullYear() === new Date(now() * 1000).getFullYear();
  return thisYear ? format.day.format(date) : format.dayYear.format(date);
}

export const clock = (moment) => format.clock.format(new Date(moment * 1000));

export const short = (moment) => format.short.format(new Date(moment * 1000));

export const full = (moment) => `${day(moment)}, ${clock(moment)}`;

export const utc = (moment) => new Date(moment * 1000).toISOString().replace(/\.000Z$/, "Z");

const UNITS = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
  ["s", 1],
];

// "2 h 14 min": the two greatest units.
export function duration(seconds) {
  let left = Math.max(0, Math.round(seconds));
  if (left >= 864_000) left -= left % 86_400;
  const parts = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    if (count && parts.length < 2) parts.push(`${number(count)} ${unit}`);
    else if (parts.length) break;
    left -= count * size;
  }
  return parts.join(" ") || "0 s";
}

export function until(moment) {
  const left = moment - now();
  if (left > 0.5) return `in ${duration(left)}`;
  return left > -2 ? "now" : `${duration(-left)} ago`;
}

// How much later than its moment something happened.
export function lateness(seconds) {
  if (seconds < 0.0005) return "on time";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms late`;
  return seconds < 60 ? `${seconds.toFixed(1)} s late` : `${duration(seconds)} late`;
}

// A span within the day is written with one date.
export function span(from, to) {
  const same = day(from) === day(to - 1);
  const write = (moment) => (to - from < 120 ? clock(moment) : short(moment));
  return same
    ? `${day(from)}, ${write(from)} – ${write(to)}`
    : `${day(from)}, ${write(from)} – ${day(to)}, ${write(to)}`;
}

// The offset of the browser's zone, so that bars of an hour or a day begin when its clocks show one.
export const offset = (moment) => -new Date(moment * 1000).getTimezoneOffset() * 60;

// As an input of the type datetime-local wants it.
export function local(moment) {
  return new Date((moment + offset(moment)) * 1000).toISOString().slice(0, 19);
}

// An element that counts down. `tick` brings all of them up to date.
export function countdown(element, moment) {
  element.dataset.until = moment;
  element.textContent = until(moment);
  return element;
}

export function tick() {
  for (const element of document.querySelectorAll("[data-until]")) {
    const text = until(Number(element.dataset.until));
    if (element.textContent !== text) element.textContent = text;
  }
}
