// The HTTP API, as the console calls it. Paths count from where this file was served, whatever the stage is called.

const BASE = import.meta.url.slice(0, import.meta.url.lastIndexOf("/console/") + 1);
const KEY = "punctual-key";
const TIMEOUT_MS = 40_000;
const SKEW_MS_MIN = 2_000;

let skewMs = 0;
let whose = null;

export const events = new EventTarget();

// A refusal by the API, with the sentence that says what to do.
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.message || problem.title || `The API answered ${status}.`);
    this.status = status;
    this.field = problem.field || null;
    this.kind = (problem.type || "").split(":").at(-1);
  }
}

// No answer. For a change this means that nobody knows whether it happened.
export class Disconnected extends Error {}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

// From now on every request is about the schedules of this application. Only a key of the owner may name one.
export function actFor(application) {
  whose = application;
}

// Seconds since 1970 by the clock of the API: the browser's own may be wrong.
export function now() {
  return (Date.now() + skewMs) / 1000;
}

export function get(path, query = {}, signal = undefined) {
  return call("GET", path, { query, signal });
}

// Whether the API has a route. API Gateway answers 403 for one that it does not know.
export async function call(method, path, request = {}) {
  return read(await ask(method, path, request));
}

async function ask(method, path, { query = {}, body, token, signal }) {
  const url = new URL(path, BASE);
  const asked = path === "status" ? query : { application: whose, ...query };
  for (const [name, value] of Object.entries(asked)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  const headers = { "X-Api-Key": key.get() || "", Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers["Idempotency-Key"] = token;
  return send(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) }, signal);
}

async function send(url, request, signal) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const answer = await fetch(url, {
      ...request,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    const text = await answer.text();
    events.dispatchEvent(new Event("answered"));
    return { answer, text };
  } catch (error) {
    if (signal && signal.aborted) throw error;
    events.dispatchEvent(new Event("lost"));
    throw new Disconnected("The API did not answer. Check your connection.");
  }
}

function read({ answer, text }) {
  const date = Date.parse(answer.headers.get("Date") || "");
  if (date) {
    const found = date + 500 - Date.now();
    skewMs = Math.abs(found) > SKEW_MS_MIN ? found : 0;
  }
  const content = parsed(text);
  if (answer.ok && content) return content;
  const refused = new Refused(answer.status, content || { detail: `The API answered ${answer.status} without JSON.` });
  if (answer.status === 429) refused.message = busy(answer.headers.get("Retry-After"), refused.message);
  if (answer.status === 401 || (answer.status === 403 && refused.kind !== "NotAllowed")) {
    events.dispatchEvent(new CustomEvent("unknown-key", { detail: refused }));
  }
  throw refused;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function busy(retryAfter, message) {
  return retryAfter ? `${message} Try again in ${retryAfter} s.` : message;
}

// ---------------------------------------------------------------------------------------------------- schedules

const ID = /^[0-9]+-[0-9]{15}-[0-9a-f]{16}(-[0-9]+)?$/;

export const isId = (text) => ID.test(text);

// A path removes the segments "." and "..", so such a name is asked for by its id.
const inPath = (name) => !name.split("/").some((segment) => ["", ".", ".."].includes(segment));

export function path({ id, name }) {
  if (name && (inPath(name) || !id)) return `names/${name.split("/").map(encodeURIComponent).join("/")}`;
  return `schedules/${encodeURIComponent(id)}`;
}

export const canBeAsked = (name) => inPath(name);

export const create = (schedule, token) => call("POST", "schedules", { body: schedule, token });
export const change = (schedule, fields) => call("PATCH", path(schedule), { body: fields });
export const cancel = (schedule) => call("DELETE", path(schedule));
export const fire = (schedule) => change(schedule, { delay: 0 });
