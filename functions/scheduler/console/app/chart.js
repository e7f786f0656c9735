// The chart of what is pending: bars to hover, click, drag over, and walk along with the arrow keys.

import { h } from "./dom.js";
import { day, number, short, span, clock } from "./time.js";

const BAR_HEIGHT_MIN = 0.012; // Of the highest bar, so that one schedule beside thousands is seen.
const DRAG_PX_MIN = 6;
const HEIGHT_PX = { wide: 244, narrow: 190 };

export class Chart {
  // Calls onZoom(from, to) after a drag, onPick(from, to) for a bar, onScale(factor) for the keys + and -.
  constructor(place, { onZoom, onPick, onScale, onEscape }) {
    this.on = { onZoom, onPick, onScale, onEscape };
    this.tip = h("div", { class: "tip", hidden: true });
    this.none = h("p", { class: "chart-none", hidden: true }, "Nothing is due in this time.");
    this.canvas = h("div", { class: "canvas" });
    this.box = h(
      "div",
      {
        class: "chart",
        tabindex: "0",
        role: "slider",
        "aria-label": "Pending schedules over time",
        "aria-valuemin": "0",
        "aria-valuenow": "0",
        "aria-describedby": "chart-keys",
        onkeydown: (event) => this.key(event),
        onblur: () => this.point(null),
      },
      this.canvas,
      this.tip,
      this.none,
    );
    place.append(this.box);
    this.at = null;
    this.picked = null;
    new ResizeObserver(() => this.resize()).observe(this.box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  show(data, picked) {
    const at = this.data && this.data.from === data.from && this.data.step === data.step ? this.at : null;
    this.data = data;
    this.picked = picked;
    this.at = null;
    this.tip.hidden = true;
    this.none.hidden = data.total > 0;
    this.box.setAttribute("aria-valuemax", String(data.counts.length - 1));
    this.draw(at);
  }

  // The library lays a chart out after this returns. What was pointed at is pointed at again then.
  draw(pointed = null) {
    if (!this.data) return;
    this.plot?.destroy();
    this.plot = new uPlot(this.options(pointed), this.series(), this.canvas);
    const over = this.plot.over;
    over.addEventListener("mousedown", (event) => {
      this.downX = event.clientX;
    });
    over.addEventListener("click", (event) => {
      if (Math.abs(event.clientX - (this.downX ?? event.clientX)) < DRAG_PX_MIN) this.pick(this.index(event.offsetX));
    });
    over.addEventListener("mousemove", (event) => this.point(this.index(event.offsetX)));
    over.addEventListener("mouseleave", () => this.point(null));
  }

  // Bars, and over them the ones that are pointed at or picked.
  series() {
    const { from, step, counts } = this.data;
    const most = Math.max(...counts);
    const heights = counts.map((count) => (count ? Math.max(count, most * BAR_HEIGHT_MIN) : null));
    const lit = counts.map((_, index) => (index === this.at || this.isPicked(index) ? heights[index] : null));
    return [counts.map((_, index) => from + index * step), heights, lit];
  }

  isPicked(index) {
    if (!this.picked) return false;
    const begin = this.data.from + index * this.data.step;
    return begin >= this.picked.from && begin < this.picked.to;
  }

  options(pointed) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const { from, to, counts } = this.data;
    const bars = uPlot.paths.bars({ size: [0.8, 56, 1], align: 1, radius: [0.22, 0] });
    const axis = {
      stroke: colour("--faint"),
      font: "12px system-ui, sans-serif",
      ticks: { show: false },
      grid: { stroke: colour("--line"), width: 1 },
    };
    const hidden = { points: { show: false }, paths: bars, width: 0 };
    return {
      ...this.size(),
      padding: [12, 26, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        x: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: DRAG_PX_MIN },
      },
      scales: { x: { time: true, range: () => [from, to] }, y: { range: () => [0, Math.max(4, ...counts) * 1.06] } },
      axes: [
        {
          ...axis,
          grid: { show: false },
          space: 78,
          size: (_, values) => ((values || []).some((text) => text.includes("\n")) ? 48 : 32),
          gap: 8,
          values: (_, splits, __, ___, step) => labels(splits, step),
        },
        {
          ...axis,
          space: 44,
          size: 52,
          gap: 8,
          values: (_, splits) => splits.map((each) => (each % 1 ? "" : brief(each))),
        },
      ],
      series: [
        {},
        { ...hidden, fill: colour(this.data.estimate ? "--bar-estimate" : "--bar") },
        { ...hidden, fill: colour("--bar-lit") },
      ],
      hooks: { setSelect: [(plot) => this.selected(plot)], ready: [() => this.point(pointed)] },
    };
  }

  size() {
    const width = this.box.clientWidth || 600;
    return { width, height: width < 520 ? HEIGHT_PX.narrow : HEIGHT_PX.wide };
  }

  resize() {
    if (this.plot && this.plot.width !== this.box.clientWidth) this.draw();
  }

  selected(plot) {
    const { left, width } = plot.select;
    if (width < DRAG_PX_MIN) return;
    const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.on.onZoom(from, to);
  }

  index(x) {
    const { from, step, counts } = this.data;
    return Math.min(counts.length - 1, Math.max(0, Math.floor((this.plot.posToVal(x, "x") - from) / step)));
  }

  point(index) {
    if (!this.plot || index === this.at) return;
    this.at = index;
    this.plot.setData(this.series(), false);
    this.plot.redraw();
    this.tip.hidden = index === null;
    if (index === null) return;
    const { from, step, counts, estimate, exactAt } = this.data;
    const begin = from + index * step;
    const text = `${estimate && counts[index] && index !== exactAt ? "about " : ""}${number(counts[index])} pending`;
    this.tip.replaceChildren(h("strong", {}, text), h("span", {}, span(begin, begin + step)));
    const middle = this.plot.over.offsetLeft + this.plot.valToPos(begin + step / 2, "x");
    const edge = this.tip.offsetWidth / 2 + 4;
    const top = this.plot.over.offsetTop + this.plot.valToPos(counts[index], "y") - this.tip.offsetHeight - 8;
    this.tip.style.top = `${Math.max(top, -12)}px`;
    this.tip.style.left = `${Math.min(Math.max(middle, edge), this.box.clientWidth - edge)}px`;
    this.box.setAttribute("aria-valuenow", String(index));
    this.box.setAttribute("aria-valuetext", `${span(begin, begin + step)}: ${text}`);
  }

  pick(index) {
    const begin = this.data.from + index * this.data.step;
    this.on.onPick(begin, begin + this.data.step);
  }

  key(event) {
    if (!this.data || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.data.counts.length - 1;
    const at = this.at ?? -1;
    const steps = { ArrowRight: Math.min(last, at + 1), ArrowLeft: Math.max(0, at - 1), Home: 0, End: last };
    if (event.key in steps) this.point(steps[event.key]);
    else if (event.key === "ArrowUp" || event.key === "ArrowDown")
      this.point(this.nextFilled(at, event.key === "ArrowUp" ? 1 : -1));
    else if (event.key === "Enter" || event.key === " ") this.pick(Math.max(0, at));
    else if (event.key === "+" || event.key === "=") this.on.onScale(0.5, this.middle());
    else if (event.key === "-") this.on.onScale(2, this.middle());
    else if (event.key === "Escape") this.on.onEscape();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  middle() {
    return this.at === null ? null : this.data.from + (this.at + 0.5) * this.data.step;
  }

  nextFilled(at, direction) {
    for (let index = at + direction; index >= 0 && index < this.data.counts.length; index += direction) {
      if (this.data.counts[index]) return index;
    }
    return Math.max(0, at);
  }
}

function brief(value) {
  if (value >= 1e6) return `${number(value / 1e6)} M`;
  return value >= 10_000 ? `${number(value / 1e3)} k` : number(value);
}

// The day stands where it changes; in between stands the time, or nothing if each label is a day.
function labels(splits, step) {
  let shown = null;
  return splits.map((moment) => {
    if (step >= 86_400) return day(moment);
    const date = day(moment);
    const time = step < 60 ? clock(moment) : short(moment);
    if (date === shown) return time;
    shown = date;
    return `${time}\n${date}`;
  });
}
