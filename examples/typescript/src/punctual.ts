// A client of Punctual's HTTP API. All its types come from the document of the API: npm run types

import type { components } from "./api.js";

type Schemas = components["schemas"];

export type ScheduleRequest = Schemas["ScheduleRequest"];
export type Accepted = Schemas["Accepted"];
export type Schedule = Schemas["Schedule"];
export type Problem = Schemas["Problem"];

/** A request failed. `problem.type` ends with the name of the error, and `problem.field` names the field at fault. */
export class PunctualError extends Error {
  constructor(readonly problem: Problem, readonly retryAfterSeconds?: number) {
    super(`${problem.title}: ${problem.detail}`);
  }
}

export class Punctual {
  constructor(private readonly url: string, private readonly key: string) {}

  /** Create one schedule. A repeat with the same idempotency key makes no second one. */
  create(request: ScheduleRequest, idempotencyKey?: string): Promise<Accepted> {
    const headers: Record<string, string> = idempotencyKey === undefined ? {} : { "Idempotency-Key": idempotencyKey };
    return this.send("POST", "/schedules", request, headers);
  }

  /** Create the schedule under a name, or replace it. */
  put(name: string, request: Schemas["NamedRequest"]): Promise<Accepted> {
    return this.send("PUT", path(name), request);
  }

  get(name: string): Promise<Schedule> {
    return this.send("GET", path(name));
  }

  cancel(name: string): Promise<Schemas["Cancelled"]> {
    return this.send("DELETE", path(name));
  }

  /** Yield the pending schedules in order of time, page by page. */
  async *list(prefix?: string): AsyncGenerator<Schedule> {
    let next: string | null | undefined;
    do {
      const query = new URLSearchParams();
      if (prefix !== undefined) query.set("prefix", prefix);
      if (next) query.set("next", next);
      const page: Schemas["Page"] = await this.send("GET", `/schedules?${query}`);
      yield* page.schedules;
      next = page.next;
    } while (next);
  }

  private async send<Answer>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers: { "X-Api-Key": this.key, "Content-Type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const content: unknown = await response.json();
    if (!response.ok) throw new PunctualError(asProblem(content, response), waitOf(response));
    return content as Answer;
  }
}

/** Return the path of a name. A segment of a name may have to be encoded, and its slashes stay. */
function path(name: string): string {
  return `/names/${name.split("/").map(encodeURIComponent).join("/")}`;
}

function waitOf(response: Response): number | undefined {
  const wait = response.headers.get("Retry-After");
  return wait === null ? undefined : Number(wait);
}

/** API Gateway itself may answer with a message alone. */
function asProblem(content: unknown, response: Response): Problem {
  if (typeof content === "object" && content !== null && "type" in content) return content as Problem;
  const detail = (content as { message?: string | null }).message ?? response.statusText;
  return { type: "about:blank", title: response.statusText, status: response.status, detail };
}
