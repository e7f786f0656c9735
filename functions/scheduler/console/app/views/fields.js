// The fields of a form, each with its label and a sentence that helps.

import { h } from "../dom.js";

export function input(name, value, attributes = {}) {
  return h("input", { name, id: `f-${name}`, type: "text", autocomplete: "off", ...attributes, value });
}

export function textarea(name, value) {
  return h("textarea", { name, id: `f-${name}`, rows: "4", spellcheck: "false", dir: "auto", value });
}

export function select(name, options, chosen = "", label = null) {
  const element = h(
    "select",
    { name, id: `f-${name}`, "aria-label": label },
    Object.entries(options).map(([value, title]) => h("option", { value }, title)),
  );
  if (chosen) element.value = chosen;
  return element;
}

export function labelled(title, field, hint = null) {
  if (hint) field.setAttribute("aria-describedby", `${field.id}-hint`);
  return h(
    "div",
    { class: "field" },
    h("label", { for: field.id }, title),
    field,
    hint && h("small", { id: `${field.id}-hint` }, hint),
  );
}

// A choice between ways to say the same thing; the fields of the chosen one are shown.
export function fieldset(title, name, parts, chosen) {
  const show = (value) => {
    for (const part of element.querySelectorAll("[data-part]")) part.hidden = part.dataset.part !== value;
  };
  const choices = Object.entries(parts).map(([value, [label]]) => {
    const radio = h("input", { type: "radio", name, value, onchange: () => show(value) });
    radio.checked = value === chosen;
    return h("label", { class: "tab" }, radio, h("span", {}, label));
  });
  const element = h(
    "fieldset",
    {},
    h("legend", {}, title),
    h("div", { class: "segments" }, choices),
    Object.entries(parts).map(([value, [, fields]]) => h("div", { "data-part": value }, fields)),
  );
  show(chosen);
  return element;
}
