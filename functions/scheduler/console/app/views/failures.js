// What failed or expired, why, and a way to send it again.

import { call, get, now } from "../api.js";
import { confirm, each, report } from "../dialogs.js";
import { foreign, h, replace, toast } from "../dom.js";
import { number, plural, until } from "../time.js";
import { Table } from "../table.js";
import { clearing, emptyState, handle, moment, pill, target } from "./parts.js";

const PAGE = 50;
const LATER_S = 60; // The clocks of this page and of the API differ a little.
const PAGES_MAX = 10_000;

export class Failures {
  constructor({ open, changed }) {
    Object.assign(this, { changed });
    this.choice = h("div", {
      class: "choice",
      role: "group",
      "aria-label": "What to do with the selected failures",
      hidden: true,
    });
    this.all = h("button", { type: "button", onclick: () => this.redriveAll() }, "Redrive all …");
    this.table = new Table({
      label: "Failures",
      columns: [
        {
          title: "Failed",
          kind: "when",
          cell: (row) =>
            h(
              "div",
              { class: "due" },
              h("strong", {}, until(row.failed ?? row.timestamp)),
              moment(row.failed ?? row.timestamp),
            ),
        },
        { title: "Schedule", kind: "what", cell: (row) => handle(row, row.name ? open : null) },
        {
          title: "Reason",
          kind: "why",
          cell: (row) => [
            pill(row.reason),
            foreign(row.error || "", { class: "error" }),
            row.attempts > 1 && h("small", {}, `after ${plural(row.attempts, "attempt")}`),
          ],
        },
        { title: "Target", kind: "where", cell: (row) => target(row.target) },
      ],
      load: (next) => this.load(next),
      keyOf: (row) => `${row.id}/${row.failed}/${row.name}`,
      empty: emptyState(
        "Nothing has failed",
        "Failed and expired schedules are kept here for 90 days, each with its reason.",
      ),
      onSelect: (rows) => this.chosen(rows),
    });
    this.element = h(
      "div",
      { class: "view" },
      h(
        "div",
        { class: "tools" },
        h("p", { class: "hint" }, "Failures of the last 90 days. A redrive schedules them again."),
        this.all,
      ),
      this.choice,
      this.table.element,
    );
  }

  show() {
    return this.table.reload();
  }

  refresh() {
    return this.table.reload({ quietly: true });
  }

  async load(next) {
    const page = await get("failures", { limit: PAGE, next });
    this.all.hidden = !page.failures.length && !next;
    return { rows: page.failures, next: page.next };
  }

  chosen(rows) {
    this.choice.hidden = !rows.length;
    if (!rows.length) return;
    replace(
      this.choice,
      h("strong", {}, `${number(rows.length)} selected`),
      h("button", { type: "button", class: "primary", onclick: () => this.redrive(rows) }, "Redrive"),
      clearing(this.table),
    );
  }

  redrive(rows) {
    const unreadable = rows.filter((row) => !row.id).length;
    const known = rows.filter((row) => row.id);
    return confirm({
      title: `Redrive ${plural(known.length, "failure")}?`,
      action: "Redrive",
      text: `They are due at once.${unreadable ? ` ${plural(unreadable, "unreadable item")} cannot be redriven.` : ""}`,
      act: async (tell) => {
        const { done, failed } = await each(known, (row) => this.one(row), tell);
        if (done) toast(`${plural(done, "failure")} redriven.`);
        if (failed.length)
          report(
            "Not redriven",
            failed.map(({ row, error }) => `${row.name || row.id}: ${error.message}`),
          );
        this.table.choose([]);
        this.changed();
      },
    });
  }

  async one(row) {
    const { redriven, left } = await this.pages({ id: row.id });
    if (!redriven)
      throw new Error(left ? "It cannot be scheduled again as it is." : "It is not among the failures any more.");
  }

  redriveAll() {
    const spread = h("input", { id: "spread-all", type: "number", min: "0", max: "2592000", step: "1", value: "0" });
    return confirm({
      title: "Redrive all failures?",
      action: "Redrive all",
      text: "Every failure so far is scheduled again.",
      fields: [h("label", { for: "spread-all" }, "Spread over how many seconds"), spread],
      act: async (tell) => {
        const { redriven, left } = await this.pages(
          { from: 0, to: Math.ceil(now()) + LATER_S, spread: Number(spread.value) || null },
          tell,
        );
        toast(
          `${plural(redriven, "failure")} redriven.${left ? ` ${number(left)} cannot be scheduled again.` : ""}`,
          left ? "warn" : "done",
        );
        this.changed();
      },
    });
  }

  async pages(where, tell = () => {}) {
    const sum = { redriven: 0, left: 0 };
    const body = Object.fromEntries(Object.entries(where).filter(([, value]) => value !== null));
    let next = null;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const answer = await call("POST", "failures/redrive", { body: next ? { ...body, next } : body });
      sum.redriven += answer.redriven;
      sum.left += answer.left;
      tell(`${number(sum.redriven)} …`);
      next = answer.next;
      if (!next) break;
    }
    return sum;
  }
}
