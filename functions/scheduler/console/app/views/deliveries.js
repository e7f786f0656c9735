// What was delivered lately. The stack keeps the last ten of each execution environment, so this is a sample and says so.

import { get, now } from "../api.js";
import { h } from "../dom.js";
import { lateness, utc } from "../time.js";
import { Table } from "../table.js";
import { emptyState, handle, moment } from "./parts.js";

const DAY_S = 86_400;

export class Deliveries {
  constructor({ open }) {
    this.table = new Table({
      label: "Recent deliveries",
      columns: [
        { title: "Delivered", kind: "when", cell: (row) => h("div", { class: "due" }, moment(at(row))) },
        { title: "Schedule", kind: "what", cell: (row) => handle(row, row.name ? open : null) },
        { title: "Lateness", kind: "late", cell: (row) => lateness(at(row) - row.timestamp) },
      ],
      load: () => this.load(),
      keyOf: (row) => `${row.id}/${at(row)}`,
      empty: emptyState("No deliveries yet", "What is delivered today and was delivered yesterday appears here."),
    });
    this.element = h(
      "div",
      { class: "view" },
      h(
        "div",
        { class: "tools" },
        h(
          "p",
          { class: "hint" },
          "A sample of what was delivered today and yesterday. What goes straight to a queue is not among it.",
        ),
      ),
      this.table.element,
    );
  }

  show() {
    return this.table.reload();
  }

  refresh() {
    return this.table.reload({ quietly: true });
  }

  async load() {
    const days = [dayOf(now()), dayOf(now() - DAY_S)];
    const pages = await Promise.all(days.map((day) => get("deliveries", { day })));
    const rows = pages.flatMap((page) => page.deliveries);
    rows.sort((one, other) => at(other) - at(one));
    return { rows, next: null };
  }
}

const at = (row) => row.delivered;

const dayOf = (moment) => utc(moment).slice(0, 10);
