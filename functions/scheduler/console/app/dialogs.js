// Dialogs: one that asks before something is changed, and the frame that all of them share.

import { h } from "./dom.js";

// Shows a modal dialog. The browser keeps the focus in it, closes it on Escape, and gives the focus back.
export function open(element, onClose = () => {}) {
  const before = document.activeElement;
  document.body.append(element);
  element.addEventListener("close", () => {
    element.remove();
    if (before && before.isConnected) before.focus();
    onClose(element.returnValue);
  });
  element.addEventListener("mousedown", (event) => {
    if (event.target === element) element.close();
  });
  element.showModal();
  return element;
}

export function closeButton(dialog) {
  return h(
    "button",
    { type: "button", class: "quiet close", "aria-label": "Close", onclick: () => dialog().close() },
    "×",
  );
}

// Asks, and runs `act` after a yes. While it runs the dialog stays, and an error is shown in it.
export function confirm({ title, text, action, danger = false, fields = [], act }) {
  return new Promise((resolve) => {
    let done = false;
    const problem = h("p", { class: "problem", role: "alert", hidden: true });
    const yes = h("button", { type: "submit", class: danger ? "danger" : "primary" }, action);
    const form = h(
      "form",
      { method: "dialog", novalidate: true },
      h("h2", { id: "dialog-title" }, title),
      text && h("p", { class: "about" }, text),
      fields,
      problem,
      h(
        "div",
        { class: "buttons" },
        h("button", { type: "button", onclick: () => dialog.close() }, "Keep as it is"),
        yes,
      ),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      yes.disabled = true;
      problem.hidden = true;
      try {
        await act((progress) => {
          yes.textContent = progress;
        });
        done = true;
        dialog.close();
      } catch (error) {
        problem.textContent = error.message;
        problem.hidden = false;
        yes.textContent = action;
        yes.disabled = false;
        yes.focus();
      }
    });
    const dialog = h("dialog", { class: "ask", "aria-labelledby": "dialog-title" }, form);
    open(dialog, () => resolve(done));
  });
}

// Tells how each of several went, if not all went well.
export function report(title, lines) {
  const dialog = h(
    "dialog",
    { class: "ask", "aria-labelledby": "dialog-title" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "dialog-title" }, title),
      h(
        "ul",
        { class: "lines", tabindex: "0", "aria-label": title },
        lines.map((line) => h("li", {}, line)),
      ),
      h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Close")),
    ),
  );
  open(dialog);
}

const AT_ONCE = 4;

// Does something to each of several, four at a time. Returns how many it was done to, and the errors of the others.
export async function each(rows, act, tell) {
  const waiting = [...rows];
  const failed = [];
  let done = 0;
  const work = async () => {
    for (let row = waiting.shift(); row; row = waiting.shift()) {
      try {
        await act(row);
        done += 1;
      } catch (error) {
        failed.push({ row, error });
      }
      tell(`${done + failed.length} of ${rows.length} …`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { done, failed };
}
