// Creates a schedule under a name, lists it, and cancels it:
//   PUNCTUAL_API_URL=https://… PUNCTUAL_API_KEY=pk… node built/main.js

import { Punctual, PunctualError } from "./punctual.js";

const { PUNCTUAL_API_URL: url, PUNCTUAL_API_KEY: key } = process.env;
if (!url || !key) throw new Error("set PUNCTUAL_API_URL and PUNCTUAL_API_KEY");

const punctual = new Punctual(url, key);
const created = await punctual.put("order/7", { delay: 86_400, data: { order: 7 } });
console.log("created", created.id);

for await (const schedule of punctual.list("order/")) {
  console.log(schedule.name, new Date(schedule.timestamp * 1000).toISOString());
}

try {
  await punctual.get("nobody");
} catch (error) {
  if (!(error instanceof PunctualError)) throw error;
  console.log("as expected:", error.problem.title);
}

console.log("cancelled", (await punctual.cancel("order/7")).id);
