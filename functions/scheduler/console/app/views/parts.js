// What the lists and the details show in the same way.

import { countdown, full, utc } from "../time.js";
import { foreign, h } from "../dom.js";

export const pill = (state) => h("span", { class: `pill ${state}` }, state);

export const keyOf = ({ id, name }) => (name ? `name:${name}` : `id:${id}`);

export function moment(at) {
  return h("time", { datetime: utc(at), title: utc(at) }, full(at));
}

export function due(at) {
  return h("div", { class: "due" }, countdown(h("strong"), at), moment(at));
}

// A schedule by its name, or by its id if it has none. The text opens it.
export function handle(row, open) {
  const text = row.name ? foreign(row.name) : h("span", { class: "id" }, row.id || "unreadable");
  return open ? h("button", { type: "button", class: "open", onclick: () => open(row) }, text) : text;
}

const KINDS = { sqs: "queue", sns: "topic", lambda: "function", events: "bus", states: "state machine" };

// A target in a few words: the queue of the stack, a host, or the last part of an ARN.
export function target(value) {
  if (value === null || value === undefined) return h("span", { class: "faint" }, "output queue");
  if (typeof value === "object" && value.url)
    return foreign(`${value.method || "POST"} ${value.url}`, { class: "cut", title: visibleTitle(value.url) });
  const arn = typeof value === "object" ? value.arn : value;
  const parts = String(arn || "").split(":");
  const kind = KINDS[parts[2]];
  const last = parts
    .slice(5)
    .join(":")
    .replace(/^(function|event-bus|stateMachine)[:/]/, "");
  return kind
    ? h("span", { class: "cut", title: arn }, `${kind} `, foreign(last))
    : foreign(JSON.stringify(value), { class: "cut" });
}

const visibleTitle = (text) => foreign(text).textContent;

export function emptyState(title, text, ...more) {
  return () =>
    h(
      "div",
      { class: "state" },
      h(
        "svg",
        { viewBox: "0 0 48 48", class: "drawing", "aria-hidden": "true" },
        h("circle", { cx: "24", cy: "24", r: "18" }),
        h("path", { d: "M24 13v11l7 5" }),
      ),
      h("h3", {}, title),
      h("p", {}, text),
      more.map((make) => make()),
    );
}

// The button that selects nothing any more.
export function clearing(table) {
  const clear = () => {
    table.choose([]);
    table.draw();
  };
  return h("button", { type: "button", class: "quiet", onclick: clear }, "Clear");
}
