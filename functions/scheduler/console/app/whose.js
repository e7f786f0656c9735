// Whose schedules one sees: those of the key's application. The owner may name any other one, which the address keeps.

import * as address from "./address.js";
import { actFor, get } from "./api.js";
import { confirm } from "./dialogs.js";
import { foreign, h, replace } from "./dom.js";
import { input, labelled } from "./views/fields.js";

const OWNER = "owner";

export class Whose {
  constructor(place, application) {
    Object.assign(this, { place, application });
    this.chosen = null;
    this.draw();
  }

  get isOwner() {
    return this.application === OWNER;
  }

  // Returns whether the address names another application than before.
  follow(state) {
    const chosen = (this.isOwner && state.application) || null;
    if (chosen === this.chosen) return false;
    this.chosen = chosen;
    actFor(chosen);
    this.draw();
    return true;
  }

  leave() {
    actFor(null);
    replace(this.place);
  }

  draw() {
    const name = foreign(this.chosen || this.application || "", { class: "cut" });
    if (!this.isOwner) return replace(this.place, name);
    const title = "Choose the application whose schedules you see";
    return replace(
      this.place,
      h("button", { type: "button", class: "text", id: "choose", title, onclick: () => this.choose() }, name),
    );
  }

  // Asks the API for the application first, so that a wrong name is told at once.
  choose() {
    const field = input("application", this.chosen || "", { maxlength: "64", spellcheck: "false", placeholder: OWNER });
    return confirm({
      title: "Whose schedules?",
      action: "Show",
      fields: labelled("Application", field, "Its name or its id. Leave it empty for your own schedules."),
      act: async () => {
        const typed = field.value.trim();
        const name = typed === OWNER ? "" : typed;
        if (name === "*") throw new Error("Name one application.");
        if (name) await get("schedules", { application: name, limit: 1 });
        address.write({ application: name, q: null, zoom: null, bucket: null, open: null });
      },
    });
  }
}
