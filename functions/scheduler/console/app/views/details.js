// One schedule: when it is due, what became of it, and what it will deliver.

import { cancel, change, fire, get, path } from "../api.js";
import { closeButton, confirm, open as openDialog } from "../dialogs.js";
import { foreign, h, replace, toast, visible } from "../dom.js";
import { countdown, full, lateness, number, plural, utc, ZONE } from "../time.js";
import { edit } from "./editor.js";
import { pill, target } from "./parts.js";

const PENDING = new Set(["stored", "queued"]);

export class Details {
  // `onClose` runs when it is closed; `changed(handle)` after a change, with the handle that is now right.
  constructor({ onClose, changed }) {
    Object.assign(this, { onClose, changed });
    this.handle = null;
  }

  show(handle) {
    const text = JSON.stringify(handle);
    if (this.dialog?.open && text === JSON.stringify(this.handle)) return;
    this.handle = handle;
    this.dataShown = false;
    if (!handle) return this.dialog?.close();
    if (!this.dialog?.open) {
      this.inner = h("div", { class: "inner" });
      this.dialog = openDialog(h("dialog", { class: "drawer", "aria-label": "One schedule" }, this.inner), () => {
        this.dialog = null;
        if (this.handle) this.onClose();
      });
    }
    replace(this.inner, this.top(h("h2", {}, handle.name || handle.id)), h("p", { class: "waiting" }, "Loading …"));
    this.load();
  }

  async load() {
    const handle = this.handle;
    try {
      const found = await get(path(handle), { full: true });
      if (handle === this.handle) this.draw(found);
    } catch (error) {
      if (handle === this.handle) this.failed(error);
    }
  }

  refresh() {
    if (this.dialog?.open && !this.dataShown) return this.load();
    return null;
  }

  failed(error) {
    const texts = {
      404: "It is unknown. It may have been delivered, cancelled or changed: a change gives a new id.",
      409: "It is already in its queue. A schedule without a name cannot be looked up there, nor changed.",
    };
    replace(
      this.inner,
      this.top(h("h2", {}, this.handle.name || this.handle.id)),
      h(
        "div",
        { class: "state bad", role: "alert" },
        h("p", {}, texts[error.status] || error.message),
        h("button", { type: "button", onclick: () => this.load() }, "Try again"),
      ),
    );
  }

  top(title, ...more) {
    return h(
      "header",
      {},
      h("div", {}, title, ...more),
      closeButton(() => this.dialog),
    );
  }

  draw(row) {
    this.row = row;
    const title = h("h2", {}, row.name ? foreign(row.name) : "Without a name");
    replace(
      this.inner,
      this.top(title, h("p", { class: "id" }, row.id, copy(row.id, "id"))),
      h(
        "section",
        { class: "moment" },
        h("p", {}, pill(row.state)),
        PENDING.has(row.state) && h("p", { class: "huge" }, countdown(h("span"), row.timestamp)),
        h("p", {}, full(row.timestamp), h("span", { class: "faint" }, ` ${ZONE}`)),
        h("p", { class: "faint" }, utc(row.timestamp)),
      ),
      row.error && h("section", { class: "trouble" }, h("h3", {}, "Last error"), foreign(row.error)),
      h("section", {}, h("h3", {}, "What happened"), this.story(row)),
      h("section", {}, h("h3", {}, "Data"), this.data(row)),
      h("section", {}, h("h3", {}, "Details"), facts(row)),
      PENDING.has(row.state) && this.buttons(row),
    );
  }

  // The steps with their times, and how late each attempt began.
  story(row) {
    const steps = [];
    const step = (title, at, note, kind = "") =>
      steps.push(
        h(
          "li",
          { class: kind },
          h("strong", {}, title),
          at && h("time", { datetime: utc(at), title: utc(at) }, full(at)),
          note && h("small", {}, note),
        ),
      );
    if (row.accepted) step("Accepted", row.accepted);
    const times = row.attempt_times || [];
    const first = (row.attempts || 0) - times.length;
    times.forEach((at, index) => step(`Attempt ${number(first + index + 1)}`, at, lateness(at - row.timestamp)));
    if (row.attempts > 0 && !times.length) step(`${number(row.attempts)} attempts`, null, "their times are not known");
    if (row.next_attempt && PENDING.has(row.state)) step("Next attempt", row.next_attempt, null, "coming");
    if (row.state === "stored") step("Waits in the table", null, "until it is about to be due", "coming");
    else if (row.state === "queued" && !row.next_attempt) step("In its queue", null, "until it is due", "coming");
    else if (row.state === "delivered")
      step("Delivered", row.changed, row.changed && lateness(Math.max(0, row.changed - row.timestamp)), "good");
    else if (!PENDING.has(row.state))
      step(row.state[0].toUpperCase() + row.state.slice(1), row.changed, null, row.state === "cancelled" ? "" : "ill");
    return h("ol", { class: "story" }, steps);
  }

  data(row) {
    if (row.data === null || row.data === undefined) return h("p", { class: "faint" }, "None.");
    const text = typeof row.data === "string" ? row.data : JSON.stringify(row.data);
    const size = new TextEncoder().encode(text).length;
    const place = h("div", {});
    const show = () => {
      this.dataShown = true;
      replace(
        place,
        h("pre", { tabindex: "0", "aria-label": "Data" }, h("code", { dir: "auto" }, visible(text))),
        h("div", { class: "row" }, copy(text, "data", "Copy"), pretty(text, place)),
      );
    };
    replace(place, h("button", { type: "button", class: "show-data", onclick: show }, `Show data (${bytes(size)})`));
    return place;
  }

  buttons(row) {
    const button = (text, act, kind = "") => h("button", { type: "button", class: kind, onclick: act }, text);
    return h(
      "footer",
      {},
      button("Fire now", () => this.fire(row)),
      button("Move", () => this.edit(row, "move")),
      button("Change", () => this.edit(row, "change")),
      button("Cancel schedule", () => this.cancel(row), "danger"),
    );
  }

  fire(row) {
    return confirm({
      title: "Fire it now?",
      text: `${row.name || row.id} is delivered at once.`,
      action: "Fire now",
      act: async () => this.after(row, await fire(row), "Fired."),
    });
  }

  cancel(row) {
    return confirm({
      title: "Cancel this schedule?",
      text: `${row.name || row.id} will not be delivered.`,
      danger: true,
      action: "Cancel schedule",
      act: async () => this.after(row, await cancel(row), "Cancelled."),
    });
  }

  edit(row, mode) {
    return edit({
      mode,
      rows: [row],
      send: async (fieldsOf) =>
        this.after(row, await change(row, fieldsOf(row)), mode === "move" ? "Moved." : "Changed."),
    });
  }

  // A change gives a new id. What has a name keeps that; of the others, one that is now in a queue cannot be shown.
  after(row, answer, text) {
    toast(text);
    const gone = !row.name && (answer.state !== "stored" || !answer.id);
    const handle = gone ? null : row.name ? this.handle : { id: answer.id };
    if (!gone) this.handle = handle;
    this.changed(handle);
    if (gone) this.dialog?.close();
    else this.load();
  }
}

const bytes = (size) => (size < 1024 ? plural(size, "byte") : `${(size / 1024).toFixed(1)} KiB`);

function copy(text, what, label = null) {
  const act = async () => {
    await navigator.clipboard.writeText(text).then(
      () => toast(`Copied the ${what}.`),
      () => toast("The browser did not allow to copy.", "warn"),
    );
  };
  return h(
    "button",
    { type: "button", class: label ? "" : "quiet small", onclick: act, "aria-label": `Copy ${what}` },
    label || "Copy",
  );
}

// JSON can be laid out, which changes what is shown and not what is delivered.
function pretty(text, place) {
  let laidOut;
  try {
    laidOut = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return null;
  }
  if (laidOut === text || !/^\s*[[{]/.test(text)) return null;
  const code = () => place.querySelector("code");
  const box = h("input", {
    type: "checkbox",
    onchange: (event) => {
      code().textContent = visible(event.target.checked ? laidOut : text);
    },
  });
  return h("label", { class: "check" }, box, "Lay out as JSON");
}

function facts(row) {
  const lines = [
    ["Target", target(row.target)],
    ["User", row.user && foreign(row.user)],
    ["Retry", row.retry && foreign(JSON.stringify(row.retry))],
    ["Failure target", row.failure_target && foreign(row.failure_target)],
    [
      "Expires after",
      row.expires_after !== null && row.expires_after !== undefined && `${number(row.expires_after)} s`,
    ],
  ].filter(([, value]) => value);
  const more =
    typeof row.target === "object" &&
    row.target !== null &&
    Object.keys(row.target).some((name) => name !== "url" && name !== "arn");
  return [
    h(
      "dl",
      {},
      lines.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
    more &&
      h(
        "details",
        {},
        h("summary", {}, "The whole target, with its headers"),
        h("pre", { tabindex: "0", "aria-label": "Target" }, visible(JSON.stringify(row.target, null, 2))),
      ),
  ];
}
