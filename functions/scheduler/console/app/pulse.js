// Whether the API answers. While it does not, a banner says so, and it is asked again after longer and longer pauses.

import { events, get } from "./api.js";
import { h, replace } from "./dom.js";

const PAUSES_S = [2, 4, 8, 15, 30];

export class Pulse {
  constructor({ banner, light, onBack }) {
    Object.assign(this, { banner, light, onBack });
    this.failures = 0;
    events.addEventListener("answered", () => this.answered());
    events.addEventListener("lost", () => this.lost());
    addEventListener("online", () => this.failures && this.ask());
  }

  answered() {
    const back = this.failures > 0;
    this.failures = 0;
    clearTimeout(this.timer);
    this.banner.hidden = true;
    this.light.className = "link on";
    this.light.textContent = "Connected";
    if (back) this.onBack();
  }

  lost() {
    clearTimeout(this.timer);
    const pause = PAUSES_S[Math.min(this.failures, PAUSES_S.length - 1)];
    this.failures += 1;
    this.light.className = "link off";
    this.light.textContent = "No connection";
    if (this.banner.hidden) {
      replace(
        this.banner,
        h("p", {}, h("strong", {}, "The connection is lost."), " What you see may be out of date. Trying again …"),
        h("button", { type: "button", onclick: () => this.ask() }, "Try now"),
      );
      this.banner.hidden = false;
    }
    this.timer = setTimeout(() => this.ask(), pause * 1000);
  }

  ask() {
    get("status").catch(() => {});
  }
}
