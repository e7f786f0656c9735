// The console: puts the parts together, and keeps them in step with the address.

import * as address from "./address.js";
import { create, events, get, key } from "./api.js";
import { closeButton, open as openDialog } from "./dialogs.js";
import { h, replace, toast } from "./dom.js";
import { gate } from "./gate.js";
import { Hero } from "./hero.js";
import * as pending from "./pending.js";
import { Pulse } from "./pulse.js";
import { tick, until } from "./time.js";
import { Deliveries } from "./views/deliveries.js";
import { Details } from "./views/details.js";
import { edit } from "./views/editor.js";
import { Failures } from "./views/failures.js";
import { Next } from "./views/next.js";
import { keyOf } from "./views/parts.js";
import { Whose } from "./whose.js";

const REFRESH_MS = 30_000;
const TICK_MS = 1_000;
const place = (id) => document.getElementById(id);

class Console {
  constructor(status) {
    this.whose = new Whose(place("whose"), status.application);
    const open = (row) => address.write({ open: keyOf(row) });
    const changed = () => this.changed();
    this.hero = new Hero();
    this.views = {
      next: new Next({ open, changed, create: () => this.create() }),
      failures: new Failures({ open, changed }),
      deliveries: new Deliveries({ open }),
    };
    this.details = new Details({
      onClose: () => address.write({ open: null }, { quietly: true }),
      changed: (handle) => {
        address.write({ open: handle && keyOf(handle) }, { quietly: true });
        this.changed();
      },
    });
    this.tabs = h(
      "div",
      { class: "tabs", role: "tablist", "aria-label": "Schedules", onkeydown: (event) => this.walk(event) },
      this.tab("next", "Next"),
      this.tab("deliveries", "Delivered"),
      this.tab("failures", "Failures"),
    );
    this.panel = h("div", { id: "panel", role: "tabpanel", tabindex: "-1" });
    this.shown = {};
  }

  tab(name, title) {
    return h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${name}`,
        "data-view": name,
        "aria-controls": "panel",
        onclick: () => address.write({ view: name === "next" ? null : name }),
      },
      title,
    );
  }

  walk(event) {
    const tabs = [...this.tabs.children];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const to = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    to.focus();
    to.click();
  }

  start() {
    replace(
      place("main"),
      this.hero.element,
      h("section", { class: "lists", id: "schedules", "aria-label": "Schedules" }, this.tabs, this.panel),
    );
    this.follow();
  }

  // Shows what the address says. What has not changed is not asked for again.
  follow() {
    const state = address.read();
    if (this.whose.follow(state)) pending.forget();
    const { chosen } = this.whose;
    this.once("hero", [chosen, state.range, state.zoom, state.bucket], () => this.hero.show(state));
    const name = state.view in this.views ? state.view : "next";
    const view = this.views[name];
    if (this.panel.firstChild !== view.element) {
      replace(this.panel, view.element);
      this.panel.setAttribute("aria-labelledby", `tab-${name}`);
      for (const tab of this.tabs.children) {
        tab.setAttribute("aria-selected", String(tab.dataset.view === name));
        tab.tabIndex = tab.dataset.view === name ? 0 : -1;
      }
    }
    this.view = view;
    this.once("view", [chosen, name, state.q, state.zoom, state.bucket], () => view.show(state));
    this.details.show(handleOf(state.open));
  }

  once(part, values, act) {
    const text = JSON.stringify(values);
    if (this.shown[part] === text) return;
    this.shown[part] = text;
    act();
  }

  // After a change by this page: everything anew.
  changed() {
    pending.forget();
    this.hero.show(address.read());
    this.view.table.reload({ quietly: true });
  }

  refresh() {
    this.hero.show(address.read());
    this.view.refresh();
    this.details.refresh();
  }

  create() {
    return edit({
      mode: "create",
      send: async (fieldsOf, tell, token) => {
        const answer = await create(fieldsOf(null), token);
        const words = { created: "Scheduled", replaced: "Replaced", kept: "Kept the one that was there" };
        toast(`${words[answer.result] || "Scheduled"}, due ${until(answer.timestamp)}.`);
        this.changed();
      },
    });
  }
}

function handleOf(text) {
  const found = /^(name|id):(.+)$/s.exec(text || "");
  return found ? { [found[1]]: found[2] } : null;
}

// ------------------------------------------------------------------------------------------------------ the page

let running = null;

function enter(status) {
  running = new Console(status);
  place("bar-actions").hidden = false;
  running.start();
}

function leave(message = null) {
  running?.whose.leave();
  running = null;
  key.forget();
  pending.forget();
  place("bar-actions").hidden = true;
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  gate(place("main"), { message, onEnter: enter });
}

// Without an answer nobody knows whether the key is right, so it is kept.
function unreachable(error) {
  replace(
    place("main"),
    h(
      "div",
      { class: "state bad", role: "alert" },
      h("h1", {}, "No answer"),
      h("p", {}, error.message),
      h("button", { type: "button", class: "primary", onclick: () => location.reload() }, "Try again"),
    ),
  );
}

const SHORTCUTS = [
  ["n", "New schedule"],
  ["/", "Search"],
  ["r", "Refresh"],
  ["c", "Go to the chart"],
  ["↑ ↓", "Walk along the list"],
  ["Enter", "Open"],
  ["Esc", "Close"],
  ["?", "This list"],
];

function help() {
  const dialog = h(
    "dialog",
    { class: "ask", "aria-labelledby": "help-title" },
    h(
      "header",
      {},
      h("h2", { id: "help-title" }, "Keys"),
      closeButton(() => dialog),
    ),
    h(
      "dl",
      { class: "keys" },
      SHORTCUTS.flatMap(([name, text]) => [h("dt", {}, h("kbd", {}, name)), h("dd", {}, text)]),
    ),
  );
  openDialog(dialog);
}

function shortcut(event) {
  if (!running || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, textarea, select")) return;
  const acts = {
    n: () => running.create(),
    r: () => {
      pending.forget();
      running.refresh();
    },
    c: () => document.querySelector(".chart")?.focus(),
    "/": () => {
      address.write({ view: null });
      place("search")?.focus();
    },
    "?": help,
  };
  if (!(event.key in acts)) return;
  event.preventDefault();
  acts[event.key]();
}

new Pulse({
  banner: place("banner"),
  light: place("connection"),
  onBack: () => {
    pending.forget();
    running?.refresh();
  },
});
place("create").addEventListener("click", () => running?.create());
place("leave").addEventListener("click", () => leave());
place("help").addEventListener("click", help);
addEventListener("keydown", shortcut);
address.changed.addEventListener("change", () => running?.follow());
events.addEventListener("unknown-key", ({ detail }) => {
  if (running) leave(detail.message);
});
setInterval(tick, TICK_MS);
setInterval(() => {
  if (!document.hidden && !document.querySelector("dialog.editor, dialog.ask")) running?.refresh();
}, REFRESH_MS);

if (key.get()) {
  const status = await get("status").catch((error) => ({ error }));
  if (!status.error) enter(status);
  else if (status.error.status) leave(status.error.message);
  else unreachable(status.error);
} else {
  leave();
}
