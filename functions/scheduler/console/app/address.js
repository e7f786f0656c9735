// What one looks at stands in the address, after the #: so it can be bookmarked and sent, and no server sees it.

export const changed = new EventTarget();

export function read() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

// Changes some of it. null removes one. `quietly` leaves no step for the browser's back button.
export function write(changes, { quietly = false } = {}) {
  const next = new URLSearchParams(location.hash.slice(1));
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString().replaceAll("%2F", "/").replaceAll("%3A", ":");
  if (text === location.hash.slice(1)) return;
  const url = text ? `#${text}` : location.pathname + location.search;
  if (quietly) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  changed.dispatchEvent(new Event("change"));
}

addEventListener("popstate", () => changed.dispatchEvent(new Event("change")));

// "100-200" as two moments, or null.
export function span(text) {
  const found = /^(\d+)-(\d+)$/.exec(text || "");
  if (!found || Number(found[1]) >= Number(found[2])) return null;
  return { from: Number(found[1]), to: Number(found[2]) };
}
