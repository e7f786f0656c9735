// What is next: by time, by the beginning of its name, or one by its id.

import * as address from "../address.js";
import { call, canBeAsked, cancel, change, fire, get, isId, path } from "../api.js";
import { confirm, each, report } from "../dialogs.js";
import { h, replace, toast } from "../dom.js";
import { edit } from "./editor.js";
import { number, plural, span } from "../time.js";
import { Table } from "../table.js";
import { clearing, due, emptyState, handle, keyOf, pill, target } from "./parts.js";

const PAGE = 50;
const TYPED_MS = 300;
const PAGES_MAX = 10_000;

export class Next {
  constructor({ open, changed, create }) {
    Object.assign(this, { open, changed });
    this.search = h("input", {
      id: "search",
      type: "search",
      placeholder: "Name begins with …, or an id",
      autocomplete: "off",
      spellcheck: "false",
      "aria-label": "Search by the beginning of a name, or by an id",
      oninput: () => this.typed(),
    });
    this.filter = h("span", { class: "filters" });
    this.all = h(
      "button",
      { type: "button", class: "quiet", hidden: true, onclick: () => this.cancelAll() },
      "Cancel all found …",
    );
    this.choice = h("div", {
      class: "choice",
      role: "group",
      "aria-label": "What to do with the selected schedules",
      hidden: true,
    });
    this.table = new Table({
      label: "Schedules that are next",
      columns: [
        { title: "Due", kind: "when", cell: (row) => due(row.timestamp) },
        { title: "Schedule", kind: "what", cell: (row) => handle(row, open) },
        { title: "Target", kind: "where", cell: (row) => target(row.target) },
        {
          title: "State",
          kind: "status",
          cell: (row) => [pill(row.state), row.attempts > 0 && h("small", {}, plural(row.attempts, "attempt"))],
        },
      ],
      load: (next) => this.load(next),
      keyOf,
      open,
      empty: () => this.nothing(create),
      onSelect: (rows) => this.chosen(rows),
    });
    this.element = h(
      "div",
      { class: "view" },
      h("div", { class: "tools" }, this.search, this.filter, this.all),
      this.choice,
      this.table.element,
    );
  }

  show(state) {
    this.state = state;
    if (document.activeElement !== this.search) this.search.value = state.q || "";
    this.window = address.span(state.bucket) || address.span(state.zoom);
    const clear = () => address.write({ bucket: null, ...(address.span(state.bucket) ? {} : { zoom: null }) });
    replace(
      this.filter,
      this.window &&
        h(
          "button",
          { type: "button", class: "chip", title: "Show all times", onclick: clear },
          span(this.window.from, this.window.to),
          h("span", { "aria-hidden": "true" }, " ×"),
          h("span", { class: "unseen" }, ", remove this filter"),
        ),
    );
    this.all.hidden = !state.q || isId(state.q);
    return this.table.reload();
  }

  refresh() {
    return this.table.reload({ quietly: true });
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => address.write({ q: this.search.value.trim() || null }, { quietly: true }), TYPED_MS);
  }

  async load(next) {
    const text = this.state.q || "";
    if (isId(text)) return this.one({ id: text });
    const query = { prefix: text, limit: PAGE, next, ...this.window };
    const [page, exact] = await Promise.all([get("schedules", query), next ? null : this.concluded(text)]);
    const rows = page.schedules;
    if (exact && !rows.some((row) => row.name === exact.name)) rows.unshift(exact);
    return { rows, next: page.next, note: this.queued(page) };
  }

  async one(handle) {
    try {
      return { rows: [await get(path(handle))], next: null };
    } catch (error) {
      if (error.status === 404 || error.status === 400) return { rows: [], next: null };
      if (error.status === 409) return { rows: [], next: null, note: error.message };
      throw error;
    }
  }

  // A name that is written in full is shown also when it is delivered, cancelled or failed.
  async concluded(name) {
    if (!name || this.window || !canBeAsked(name)) return null;
    const { rows } = await this.one({ name });
    return rows[0] || null;
  }

  queued({ queued }) {
    if (!queued || this.state.q) return null;
    const waiting = (queued.output || 0) + (queued.delivery || 0);
    return waiting
      ? `About ${number(waiting)} more are in their queues already. SQS counts them, and has no way to list them.`
      : null;
  }

  nothing(create) {
    if (this.state.q)
      return emptyState(
        "Nothing found",
        isId(this.state.q)
          ? "No schedule with this id is in the table. A schedule without a name leaves it before it is due."
          : "No pending schedule has a name that begins like this.",
      )();
    if (this.window) return emptyState("Nothing is due in this time", "Remove the filter to see what is next.")();
    return emptyState("Nothing is pending", "What you schedule appears here until it is delivered.", () =>
      h("button", { type: "button", class: "primary", onclick: create }, "Schedule something"),
    )();
  }

  // ------------------------------------------------------------------------------------------ several at once

  chosen(rows) {
    this.choice.hidden = !rows.length;
    if (!rows.length) return;
    const button = (text, act, kind = "") =>
      h("button", { type: "button", class: kind, onclick: () => act(rows) }, text);
    replace(
      this.choice,
      h("strong", {}, `${number(rows.length)} selected`),
      button("Fire now", (these) => this.fire(these)),
      button("Move", (these) => this.edit(these, "move")),
      button("Change", (these) => this.edit(these, "change")),
      button("Cancel", (these) => this.cancel(these), "danger"),
      clearing(this.table),
    );
  }

  async several(rows, act, tell, word) {
    const { done, failed } = await each(rows, act, tell);
    this.table.choose([]);
    if (done) toast(`${plural(done, "schedule")} ${word}.`);
    if (failed.length) {
      report(
        `${plural(failed.length, "schedule")} not ${word}`,
        failed.map(({ row, error }) => `${row.name || row.id}: ${error.message}`),
      );
    }
    this.changed();
  }

  fire(rows) {
    return confirm({
      title: `Fire ${plural(rows.length, "schedule")} now?`,
      text: "They are delivered at once.",
      action: "Fire now",
      act: (tell) => this.several(rows, fire, tell, "fired"),
    });
  }

  cancel(rows) {
    return confirm({
      title: `Cancel ${plural(rows.length, "schedule")}?`,
      text: "They will not be delivered.",
      danger: true,
      action: `Cancel ${plural(rows.length, "schedule")}`,
      act: (tell) => this.several(rows, cancel, tell, "cancelled"),
    });
  }

  async edit(rows, mode) {
    const one = rows.length === 1;
    try {
      if (one && mode === "change") rows = [await whole(rows[0])];
    } catch (error) {
      return toast(error.message, "bad");
    }
    // Meanwhile the reader may have opened something else, or left.
    if (!this.element.isConnected || document.querySelector("dialog[open]")) return null;
    const act = async (row, fields) => change(row, one ? fields : await merged(row, fields));
    return edit({
      mode,
      rows,
      send: (fieldsOf, tell) =>
        this.several(rows, (row) => act(row, fieldsOf(row)), tell, mode === "move" ? "moved" : "changed"),
    });
  }

  // Counts first, then asks with that number.
  async cancelAll() {
    const where = { prefix: this.state.q, ...this.window };
    try {
      const { matched } = await this.pages({ ...where, dry_run: true });
      if (!matched) return toast("No pending schedule has a name that begins like this.");
      await confirm({
        title: `Cancel ${plural(matched, "schedule")}?`,
        danger: true,
        action: `Cancel ${plural(matched, "schedule")}`,
        text: `All whose names begin with ${this.state.q}${this.window ? `, due ${span(this.window.from, this.window.to)}` : ""}.`,
        act: async (tell) => {
          const { cancelled } = await this.pages({ ...where, dry_run: false }, tell);
          toast(`${plural(cancelled, "schedule")} cancelled.`);
          this.changed();
        },
      });
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  async pages(where, tell = () => {}) {
    const sum = { matched: 0, cancelled: 0 };
    let next = null;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const answer = await call("POST", "schedules/cancel", { body: next ? { ...where, next } : where });
      sum.matched += answer.matched;
      sum.cancelled += answer.cancelled;
      tell(`${number(sum.cancelled)} …`);
      next = answer.next;
      if (!next) break;
    }
    return sum;
  }
}

// The list cuts the data of each, and leaves out what is rarely needed. A form that starts from that would lose the rest.
const whole = (row) => get(path(row), { full: true });

// The API replaces `retry` as a whole. Of several, each keeps the part of its own that is not filled in.
async function merged(row, fields) {
  if (!fields.retry) return fields;
  return { ...fields, retry: { ...(await whole(row)).retry, ...fields.retry } };
}
