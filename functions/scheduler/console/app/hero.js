// The top of the page: how much is pending, and when.

import * as address from "./address.js";
import { now } from "./api.js";
import { Chart } from "./chart.js";
import { h, replace, toast } from "./dom.js";
import * as pending from "./pending.js";
import { number, span } from "./time.js";

const TITLES = { hour: "1 h", day: "24 h", week: "7 d", month: "30 d", year: "1 y" };
const LONG = { hour: "hour", day: "24 hours", week: "7 days", month: "30 days", year: "year" };
const SPAN_S_MIN = 30;
const SPAN_S_MAX = 31_536_000 * 100;

export class Hero {
  constructor() {
    this.count = h("span", { class: "count" }, "…");
    this.about = h("p", { class: "about" });
    this.live = h("p", { class: "unseen", "aria-live": "polite" });
    this.presets = Object.entries(TITLES).map(([name, title]) =>
      h(
        "button",
        {
          type: "button",
          "data-range": name,
          "aria-label": `${title}, the next ${LONG[name]}`,
          onclick: () => address.write({ range: name, zoom: null, bucket: null }),
        },
        title,
      ),
    );
    const zoom = (factor, sign, label) =>
      h("button", { type: "button", "aria-label": label, title: label, onclick: () => this.scale(factor, null) }, sign);
    this.element = h(
      "section",
      { class: "hero", "aria-labelledby": "pending" },
      h(
        "div",
        { class: "top" },
        h("h1", { id: "pending" }, this.count, " pending"),
        h(
          "div",
          { class: "ranges" },
          h("div", { class: "segments", role: "group", "aria-label": "Range of the chart" }, this.presets),
          h(
            "div",
            { class: "segments", role: "group", "aria-label": "Zoom" },
            zoom(2, "−", "Zoom out"),
            zoom(0.5, "+", "Zoom in"),
          ),
        ),
      ),
      this.about,
      this.live,
    );
    this.chart = new Chart(this.element, {
      onZoom: (from, to) => this.zoom(from, to),
      onPick: (from, to) => this.pick(from, to),
      onScale: (factor, middle) => this.scale(factor, middle),
      onEscape: () => address.write({ bucket: null, zoom: null }),
    });
    this.element.append(
      h(
        "p",
        { class: "hint", id: "chart-keys" },
        "Drag to zoom, click a bar to see what is in it. Keys: arrows, Enter, + and −, Escape.",
      ),
    );
  }

  // The span that is shown: as zoomed, or a preset from now on.
  async window(state) {
    const zoomed = address.span(state.zoom);
    if (zoomed) return zoomed;
    const known = state.range in pending.PRESETS ? state.range : (this.first ||= await pending.firstPreset());
    this.preset = known;
    return { from: Math.floor(now()), to: Math.floor(now()) + pending.PRESETS[known] };
  }

  async show(state) {
    this.state = state;
    const run = (this.run = (this.run || 0) + 1);
    this.stop?.abort();
    this.element.classList.add("loading");
    try {
      const shown = await this.window(state);
      const grid = pending.grid(shown.from, shown.to);
      const data = await pending.count(grid);
      if (run !== this.run) return;
      this.element.classList.remove("loading", "failed");
      this.draw(data);
      await this.countPicked(data);
    } catch (error) {
      if (run === this.run) this.failed(error);
    }
  }

  failed(error) {
    this.element.classList.remove("loading");
    this.element.classList.add("failed");
    replace(
      this.about,
      h("span", { role: "alert" }, error.message),
      " ",
      h("button", { type: "button", class: "text", onclick: () => this.show(this.state) }, "Try again"),
    );
  }

  draw(data) {
    this.data = data;
    const picked = address.span(this.state.bucket);
    this.count.textContent = `${data.estimate ? "≈ " : ""}${number(data.total)}`;
    const where = address.span(this.state.zoom) ? span(data.from, data.to) : `in the next ${LONG[this.preset]}`;
    replace(
      this.about,
      where,
      data.estimate && h("span", { class: "tag", title: "Counted from a sample of each bar" }, "estimate"),
      data.estimate && h("button", { type: "button", class: "text", onclick: () => this.exact() }, "Count exactly"),
      (this.state.zoom || picked) &&
        h(
          "button",
          { type: "button", class: "text", onclick: () => address.write({ zoom: null, bucket: null }) },
          picked && !this.state.zoom ? "Clear the bar" : "Zoom all the way out",
        ),
    );
    for (const button of this.presets) {
      button.setAttribute("aria-pressed", String(!this.state.zoom && button.dataset.range === this.preset));
    }
    this.chart.show(data, picked);
  }

  // A bar that is clicked is counted exactly.
  async countPicked(data) {
    const picked = address.span(this.state.bucket);
    if (!picked) return;
    const index = Math.round((picked.from - data.from) / data.step);
    const count = data.estimate
      ? (await this.counted({ ...picked, step: picked.to - picked.from })).total
      : data.counts[index];
    if (count === undefined || this.data !== data) return;
    const text = `${number(count)} pending, ${span(picked.from, picked.to)}`;
    this.live.textContent = text;
    if (data.estimate && index in data.counts) {
      this.chart.show({ ...data, counts: data.counts.with(index, count), exactAt: index }, picked);
    }
    this.about.append(
      h("strong", { class: "picked" }, text, data.estimate && h("span", { class: "tag exact" }, "exact")),
    );
  }

  counted(grid, tell) {
    this.stop = new AbortController();
    return pending.exact(grid, this.stop.signal, tell);
  }

  async exact() {
    const { from, to, step } = this.data;
    const tell = (count) => {
      this.count.textContent = `${number(count)} …`;
    };
    try {
      this.draw(await this.counted({ from, to, step }, tell));
    } catch (error) {
      if (!this.stop.signal.aborted) toast(error.message, "bad");
    }
  }

  zoom(from, to) {
    const length = Math.max(SPAN_S_MIN, to - from);
    const begin = Math.max(0, Math.floor(from));
    address.write({ zoom: `${begin}-${Math.ceil(begin + Math.min(length, SPAN_S_MAX))}`, bucket: null, range: null });
  }

  scale(factor, middle) {
    if (!this.data) return;
    const { from, to } = this.data;
    const around = middle ?? (from + to) / 2;
    const half = ((to - from) * factor) / 2;
    this.zoom(Math.max(from < now() && factor > 1 ? from : 0, around - half), around + half);
  }

  pick(from, to) {
    const text = `${from}-${to}`;
    address.write({ bucket: this.state.bucket === text ? null : text, view: null });
  }
}
