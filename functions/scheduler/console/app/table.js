// A list from the API: pages, selection, and what it says while loading, when empty and when it failed.

import { h, replace } from "./dom.js";

export class Table {
  // `columns`: {title, kind, cell(row)}. `load(next)` returns {rows, next}. `keyOf(row)` tells rows apart.
  constructor({ label, columns, load, keyOf, open, empty, onSelect }) {
    Object.assign(this, { label, columns, load, keyOf, open, empty, onSelect: onSelect || null });
    this.rows = [];
    this.next = null;
    this.pages = 0;
    this.chosen = new Map();
    this.run = 0;
    this.body = h("tbody");
    this.all = h("input", {
      type: "checkbox",
      "aria-label": "Select all that are shown",
      onchange: () => this.chooseAll(),
    });
    this.table = h("table", { "aria-label": label }, h("thead", {}, this.head()), this.body);
    this.below = h("div", { class: "below" });
    this.element = h("div", { class: "list" }, this.table, this.below);
  }

  head() {
    const titles = this.columns.map(({ title, kind }) => h("th", { scope: "col", class: kind }, title));
    return h("tr", {}, this.onSelect && h("th", { scope: "col", class: "choose" }, this.all), titles);
  }

  // Loads the first page anew. Quietly: what is shown stays until the answer is here.
  async reload({ quietly = false } = {}) {
    const run = (this.run += 1);
    if (quietly && (this.pages > 1 || this.chosen.size)) return;
    if (!quietly) {
      this.rows = [];
      this.choose([]);
      this.waiting();
    }
    await this.fetch(run, null, quietly);
  }

  async fetch(run, next, quietly) {
    try {
      const page = await this.load(next);
      if (run !== this.run) return;
      this.rows = next ? [...this.rows, ...page.rows] : page.rows;
      this.next = page.next;
      this.pages = next ? this.pages + 1 : 1;
      this.note = page.note || null;
      for (const row of this.rows) if (this.chosen.has(this.keyOf(row))) this.chosen.set(this.keyOf(row), row);
      this.draw();
    } catch (error) {
      if (run === this.run && !quietly) this.failed(error, () => (next ? this.more() : this.reload()));
    }
  }

  more() {
    replace(this.below, h("p", { class: "waiting" }, "Loading more …"));
    return this.fetch(this.run, this.next, false);
  }

  waiting() {
    this.table.hidden = false;
    this.table.setAttribute("aria-busy", "true");
    const line = () => h("tr", { class: "ghost" }, h("td", { colspan: String(this.columns.length + 1) }, h("span")));
    replace(this.body, Array.from({ length: 5 }, line));
    replace(this.below);
  }

  failed(error, again) {
    this.table.setAttribute("aria-busy", "false");
    if (!this.rows.length) this.table.hidden = true;
    replace(
      this.below,
      h(
        "div",
        { class: "state bad", role: "alert" },
        h("p", {}, error.message),
        h("button", { type: "button", onclick: again }, "Try again"),
      ),
    );
  }

  draw() {
    const focused = this.body.contains(document.activeElement)
      ? document.activeElement.closest("tr").dataset.key
      : null;
    this.table.setAttribute("aria-busy", "false");
    this.table.hidden = !this.rows.length;
    replace(
      this.body,
      this.rows.map((row) => this.line(row)),
    );
    if (focused !== null) this.focusOn(focused);
    const more = this.next && h("button", { type: "button", onclick: () => this.more() }, "Show more");
    if (this.rows.length) replace(this.below, more, this.note && h("p", { class: "note" }, this.note));
    else replace(this.below, this.next ? more : this.empty(), this.note && h("p", { class: "note" }, this.note));
    this.tellChosen();
  }

  focusOn(key) {
    const line = [...this.body.children].find((each) => each.dataset.key === key);
    line?.querySelector("button.open")?.focus();
  }

  line(row) {
    const key = this.keyOf(row);
    const cells = this.columns.map((column) => h("td", { class: column.kind }, column.cell(row)));
    const box =
      this.onSelect &&
      h("input", {
        type: "checkbox",
        "aria-label": `Select ${row.name || row.id}`,
        onchange: (event) => this.chooseOne(row, event.target.checked),
      });
    if (box) box.checked = this.chosen.has(key);
    const line = h(
      "tr",
      { "data-key": key, class: this.chosen.has(key) ? "chosen" : "" },
      box && h("td", { class: "choose" }, h("label", {}, box)),
      cells,
    );
    if (this.open) {
      line.classList.add("opens");
      line.addEventListener("click", (event) => {
        if (!event.target.closest("button, a, input, label") && !getSelection().toString()) this.open(row);
      });
      line.addEventListener("keydown", (event) => this.walk(event, line));
    }
    return line;
  }

  walk(event, line) {
    const to = { ArrowDown: line.nextElementSibling, ArrowUp: line.previousElementSibling }[event.key];
    if (!to) return;
    event.preventDefault();
    const kind = event.target.matches("input") ? "input" : "button.open";
    to.querySelector(kind)?.focus();
  }

  chooseOne(row, on) {
    if (on) this.chosen.set(this.keyOf(row), row);
    else this.chosen.delete(this.keyOf(row));
    this.tellChosen();
  }

  chooseAll() {
    this.choose(this.all.checked ? this.rows : []);
    this.draw();
  }

  choose(rows) {
    this.chosen = new Map(rows.map((row) => [this.keyOf(row), row]));
    this.tellChosen();
  }

  tellChosen() {
    for (const line of this.body.children) {
      const on = this.chosen.has(line.dataset.key);
      line.classList.toggle("chosen", on);
      const box = line.querySelector(".choose input");
      if (box) box.checked = on;
    }
    this.all.checked = this.rows.length > 0 && this.chosen.size === this.rows.length;
    this.all.indeterminate = this.chosen.size > 0 && !this.all.checked;
    this.onSelect?.([...this.chosen.values()]);
  }
}
