// The task of every script here: a tool is called, its result comes back, the answer quotes it.
export const base = process.env.GATEWAY_URL;
export const key = process.env.GATEWAY_KEY;
export const model = "mimo-v2.6-pro";
export const question = "What is the weather in Paris?";
export const schema = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
export const asked = [];
export function weather({ city }) {
  asked.push(city);
  return `21 degrees in ${city}`;
}
export function check(text) {
  if (asked.join() !== "Paris") throw new Error(`the tool was called with: ${asked.join()}`);
  if (!text.includes("21 degrees in Paris")) throw new Error(`the answer does not quote the tool: ${text}`);
  console.log(text);
}
