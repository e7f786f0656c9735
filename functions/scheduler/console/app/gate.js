// The first thing one sees: a place to paste a key.

import { get, key } from "./api.js";
import { h, replace } from "./dom.js";

export function gate(place, { message = null, onEnter }) {
  const problem = h("p", { class: "problem", role: "alert", hidden: !message }, message);
  const input = h("input", {
    id: "key",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "key-hint",
    placeholder: "Paste your key",
  });
  const button = h("button", { type: "submit", class: "primary" }, "Open");
  const form = h(
    "form",
    { class: "gate", novalidate: true },
    h("h1", {}, "What is due, and when"),
    h("p", { class: "lead" }, "See what is pending, change it, and find out why something failed."),
    h("label", { for: "key" }, "Control key"),
    h("div", { class: "joined" }, input, button),
    problem,
    h(
      "p",
      { class: "hint", id: "key-hint" },
      "Make one with ",
      h("code", {}, "punctual apps keys"),
      ". It stays in this tab, and goes when you close it.",
    ),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const value = input.value.trim();
    if (!/^[\x21-\x7e]+$/.test(value))
      return tell(value ? "A key has no spaces and no special characters." : "Paste a key first.");
    button.disabled = true;
    key.set(value);
    try {
      onEnter(await get("status"));
    } catch (error) {
      key.forget();
      tell(error.message);
    } finally {
      button.disabled = false;
    }
  });
  const tell = (text) => {
    problem.textContent = text;
    problem.hidden = false;
    input.setAttribute("aria-invalid", "true");
    input.select();
    input.focus();
  };
  replace(place, form);
  input.focus();
}
