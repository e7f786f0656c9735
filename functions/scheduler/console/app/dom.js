// Makes elements. Text goes in as text nodes alone, so nothing that a caller stored is ever read as HTML.

const SVG = new Set(["svg", "path", "circle"]);

export function h(tag, attributes = {}, ...children) {
  const element = SVG.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (value === false || value === null || value === undefined) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "value") element.value = value;
  else element.setAttribute(name, value === true ? "" : value);
}

export function replace(element, ...children) {
  element.replaceChildren(...children.flat(3).filter(Boolean));
}

// Controls and marks that change the direction of text. They show as escapes, so that they cannot disguise the text.
const UNSEEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

export function visible(text) {
  return String(text).replace(UNSEEN, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

// Text from outside, kept from moving the text around it.
export function foreign(text, attributes = {}) {
  return h("bdi", attributes, visible(text));
}

export function icon(path) {
  return h("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, h("path", { d: path }));
}

const toasts = () => document.getElementById("toasts");
const TOAST_MS = 7000;

export function toast(message, kind = "done") {
  const element = h("p", { class: `toast ${kind}` }, message);
  element.append(
    h("button", { type: "button", class: "quiet", "aria-label": "Dismiss", onclick: () => element.remove() }, "×"),
  );
  toasts().append(element);
  setTimeout(() => element.remove(), TOAST_MS);
}
