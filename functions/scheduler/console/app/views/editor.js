// The form that creates a schedule, and changes or moves one or several.

import { Disconnected, now } from "../api.js";
import { closeButton, open } from "../dialogs.js";
import { h } from "../dom.js";
import { local, plural, ZONE } from "../time.js";
import { fieldset, input, labelled, select, textarea } from "./fields.js";

const UNITS = { seconds: 1, minutes: 60, hours: 3_600, days: 86_400 };

// `mode`: create, change or move. `send(fieldsOf, tell)` gets a function that makes the fields for one of `rows`.
export function edit({ mode, rows = [], send }) {
  const editor = new Editor(mode, rows, send);
  open(editor.dialog, () => editor.closed());
  editor.form.querySelector("textarea, input[type=number], input")?.focus();
  return editor.done;
}

class Editor {
  constructor(mode, rows, send) {
    Object.assign(this, { mode, rows, send });
    this.done = new Promise((resolve) => {
      this.closed = resolve;
    });
    this.token = crypto.randomUUID();
    this.one = rows.length === 1 ? rows[0] : null;
    this.problem = h("p", { class: "problem", role: "alert", hidden: true });
    this.submit = h("button", { type: "submit", class: "primary" }, this.words().action);
    this.form = h(
      "form",
      { novalidate: true, onsubmit: (event) => this.save(event), oninput: () => this.renew() },
      h(
        "header",
        {},
        h("h2", { id: "editor-title" }, this.words().title),
        closeButton(() => this.dialog),
      ),
      this.body(),
      this.problem,
      h(
        "div",
        { class: "buttons" },
        h("button", { type: "button", onclick: () => this.dialog.close() }, "Discard"),
        this.submit,
      ),
    );
    this.before = new FormData(this.form);
    this.dialog = h("dialog", { class: "editor", "aria-labelledby": "editor-title" }, this.form);
  }

  words() {
    const which = this.rows.length > 1 ? plural(this.rows.length, "schedule") : "this schedule";
    return {
      create: { title: "New schedule", action: "Schedule" },
      change: { title: `Change ${which}`, action: "Change" },
      move: { title: `Move ${which}`, action: "Move" },
    }[this.mode];
  }

  body() {
    if (this.mode === "move") return this.when("from-now");
    const keeps = this.mode === "change";
    const was = this.one || {};
    const first = [
      labelled(
        "Data",
        textarea("data", text(was.data)),
        keeps && !this.one
          ? "Leave it empty to keep the data of each."
          : "Text or JSON. It is delivered as you write it.",
      ),
      this.mode === "create" &&
        labelled(
          "Name",
          input("name", "", { maxlength: "128", spellcheck: "false" }),
          "Optional. A named schedule can be changed, cancelled and followed until it is delivered.",
        ),
      keeps ? null : this.when("from-now"),
      labelled(
        "Target",
        input("target", text(was.target), {
          spellcheck: "false",
          placeholder: keeps && !this.one ? "Keep the target of each" : "The default target",
        }),
        'An ARN, an https address, or JSON such as {"url": …, "headers": {…}}.',
      ),
    ];
    return [first, this.more(was)];
  }

  more(was) {
    const retry = was.retry || {};
    const creating = this.mode === "create";
    return h(
      "details",
      { class: "more" },
      h("summary", {}, "More"),
      creating &&
        labelled(
          "If the name is taken",
          select("if_exists", { replace: "Replace the other", keep: "Keep the other", fail: "Refuse this one" }),
        ),
      labelled("User", input("user", text(was.user), { maxlength: "256" }), "Delivered with the data."),
      creating &&
        labelled(
          "Spread, in seconds",
          input("spread", "", { type: "number", min: "0", max: "86400" }),
          "Due at a random moment within this time.",
        ),
      labelled("Attempts", input("attempts", text(retry.attempts), { type: "number", min: "1", max: "20" })),
      labelled(
        "Retry for at most, in seconds",
        input("max_age_s", text(retry.max_age_s), { type: "number", min: "1" }),
      ),
      labelled(
        "Expires after, in seconds",
        input("expires_after", text(was.expires_after), { type: "number", min: "0" }),
        "If it is later than this, it is not delivered.",
      ),
      labelled(
        "Failure target",
        input("failure_target", text(was.failure_target), { spellcheck: "false" }),
        "The ARN of a queue or topic that is told of a failure.",
      ),
    );
  }

  when(chosen) {
    const start = this.one ? this.one.timestamp : Math.ceil((now() + 3_600) / 60) * 60;
    const zones = h(
      "datalist",
      { id: "zones" },
      Intl.supportedValuesOf("timeZone").map((zone) => h("option", { value: zone })),
    );
    const parts = {
      "from-now": [
        "In",
        h(
          "div",
          { class: "joined" },
          input("amount", "1", { type: "number", min: "0", step: "any", "aria-label": "How long from now" }),
          select("unit", names(UNITS), "hours", "Unit"),
        ),
      ],
      at: [
        "At",
        h(
          "div",
          { class: "joined" },
          input("at", local(start), { type: "datetime-local", step: "1", "aria-label": "Date and time" }),
          input("zone", ZONE, { list: "zones", "aria-label": "Time zone", spellcheck: "false" }),
          zones,
        ),
      ],
    };
    if (this.mode === "move") {
      parts.later = [
        "Later by",
        h(
          "div",
          { class: "joined" },
          input("later", "1", { type: "number", step: "any", "aria-label": "How much later" }),
          select("later_unit", names(UNITS), "hours", "Unit of later"),
        ),
      ];
    }
    return fieldset("When", "when", parts, chosen);
  }

  // What one fills in is another request, and so gets another token. A repeat of the same one keeps it.
  renew() {
    this.token = crypto.randomUUID();
  }

  async save(event) {
    event.preventDefault();
    this.clear();
    this.submit.disabled = true;
    try {
      const fields = new FormData(this.form);
      await this.send(
        (row) => this.read(fields, row),
        (progress) => {
          this.submit.textContent = progress;
        },
        this.token,
      );
      this.dialog.close();
    } catch (error) {
      this.tell(error);
    } finally {
      this.submit.disabled = false;
      this.submit.textContent = this.words().action;
    }
  }

  // A field counts as changed if it is not as the form first showed it: a form shows line ends in its own way.
  read(form, row) {
    if (this.mode === "move") return this.time(form, row);
    const found = this.mode === "create" ? this.time(form, null) : {};
    const own = (name, read = (value) => value) => {
      const value = (form.get(name) ?? "").trim();
      if (value === (this.before.get(name) ?? "").trim()) return;
      if (value) found[name] = read(value);
      else if (this.one) found[name] = null;
    };
    if (form.get("data") !== this.before.get("data")) found.data = lines(form.get("data"), text(this.one?.data));
    if (this.mode === "create" && form.get("name").trim()) {
      found.name = form.get("name").trim();
      if (form.get("if_exists") !== "replace") found.if_exists = form.get("if_exists");
    }
    own("target", target);
    for (const name of ["user", "failure_target"]) own(name);
    for (const name of ["spread", "expires_after"]) own(name, Number);
    this.retry(form, found);
    if (this.mode !== "create" && !Object.keys(found).length) throw new Error("Nothing is changed yet.");
    return found;
  }

  retry(form, found) {
    const names = ["attempts", "max_age_s"];
    if (names.every((name) => form.get(name) === this.before.get(name))) return;
    const given = names.filter((name) => form.get(name));
    found.retry = given.length ? Object.fromEntries(given.map((name) => [name, Number(form.get(name))])) : null;
  }

  // A time from now is fixed when it is first sent, so that a repeat means the same moment.
  time(form, row) {
    const when = form.get("when");
    if (when === "at") {
      if (!form.get("at")) throw Object.assign(new Error("Choose a date and a time."), { field: "timestamp" });
      return { timestamp: form.get("at"), zone: form.get("zone").trim() || "UTC" };
    }
    const name = when === "later" ? "later" : "amount";
    const amount = Number(form.get(name));
    if (form.get(name) === "" || !Number.isFinite(amount))
      throw Object.assign(new Error("Say how long, as a number."), { field: name });
    const seconds = amount * UNITS[form.get(when === "later" ? "later_unit" : "unit")];
    if (when === "later") return { timestamp: rounded(row.timestamp + seconds) };
    if (this.sent?.token !== this.token) this.sent = { token: this.token, at: now() };
    return { timestamp: rounded(this.sent.at + seconds) };
  }

  clear() {
    this.problem.hidden = true;
    for (const element of this.form.querySelectorAll("[aria-invalid]")) element.removeAttribute("aria-invalid");
  }

  tell(error) {
    const again =
      error instanceof Disconnected && this.mode === "create"
        ? " Press the button again: it makes no second schedule."
        : "";
    this.problem.textContent = error.message + again;
    this.problem.hidden = false;
    const names = { timestamp: "at", delay: "amount", zone: "zone", retry: "attempts" };
    const field = this.form.elements.namedItem(error.field) || this.form.elements.namedItem(names[error.field] || "");
    if (!(field instanceof HTMLElement)) return;
    field.closest("details")?.setAttribute("open", "");
    field.setAttribute("aria-invalid", "true");
    field.focus();
  }
}

const names = (units) => Object.fromEntries(Object.keys(units).map((unit) => [unit, unit]));

const rounded = (moment) => Math.round(moment * 1000) / 1000;

function text(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

// A form knows line feeds alone. What had CRLF at the end of each line keeps that.
function lines(typed, before) {
  const plain = typed.replaceAll("\r\n", "\n");
  const hadCrlf = before.includes("\r\n") && !/(?<!\r)\n|\r(?!\n)/.test(before);
  return hadCrlf ? plain.replaceAll("\n", "\r\n") : plain;
}

function target(value) {
  if (/^https?:\/\//.test(value)) return { url: value };
  if (!value.startsWith("{")) return value;
  try {
    return JSON.parse(value);
  } catch {
    throw Object.assign(new Error("The target begins with { and is not JSON."), { field: "target" });
  }
}
