/* A request as something to copy: a cURL command, and Python for the dialect's official package. */

const shellQuoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function asCurl(origin, dialect, body) {
  const isAnthropic = dialect.id === "messages";
  return [
    `curl ${body.stream ? "-N " : ""}${origin}${dialect.route} \\`,
    isAnthropic ? '  -H "x-api-key: $MIMO_API_KEY" \\' : '  -H "Authorization: Bearer $MIMO_API_KEY" \\',
    ...(isAnthropic ? ["  -H 'anthropic-version: 2023-06-01' \\"] : []),
    "  -H 'Content-Type: application/json' \\",
    `  -d ${shellQuoted(JSON.stringify(body, null, 2))}`,
  ].join("\n");
}

const CALLS = { chat: "chat.completions.create", responses: "responses.create", messages: "messages.create" };
// Not in the package's own signature: they travel beside it.
const EXTRA = { chat: ["thinking"], responses: [], messages: [] };
const READS = {
  chat: {
    stream: [
      "for chunk in answer:",
      "    if chunk.choices:",
      '        print(chunk.choices[0].delta.content or "", end="", flush=True)',
    ],
    whole: ["print(answer.choices[0].message)"],
  },
  responses: {
    stream: [
      "for event in answer:",
      '    if event.type == "response.output_text.delta":',
      '        print(event.delta, end="", flush=True)',
    ],
    whole: ["print(answer.output)"],
  },
  messages: {
    stream: [
      "for event in answer:",
      '    if event.type == "content_block_delta" and event.delta.type == "text_delta":',
      '        print(event.delta.text, end="", flush=True)',
    ],
    whole: ["print(answer.content)"],
  },
};

export function asPython(origin, dialect, body) {
  const isAnthropic = dialect.id === "messages";
  const name = isAnthropic ? "Anthropic" : "OpenAI";
  const extra = Object.fromEntries(
    EXTRA[dialect.id].filter((key) => key in body).map((key) => [key, body[key]]),
  );
  const own = Object.entries(body).filter(([key]) => !(key in extra));
  const values = Object.keys(extra).length ? [...own, ["extra_body", extra]] : own;
  return [
    "import os",
    "",
    `from ${name.toLowerCase()} import ${name}`,
    "",
    `client = ${name}(`,
    `    base_url=${python(isAnthropic ? origin : `${origin}/v1`)},`,
    '    api_key=os.environ["MIMO_API_KEY"],',
    ")",
    `answer = client.${CALLS[dialect.id]}(`,
    ...values.map(([key, value]) => `    ${key}=${python(value, 1)},`),
    ")",
    ...READS[dialect.id][body.stream ? "stream" : "whole"],
  ].join("\n");
}

/** A JSON value as a Python literal. JSON's string escapes are Python's too. */
export function python(value, depth = 0) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const isList = Array.isArray(value);
  const parts = isList
    ? value.map((each) => python(each, depth + 1))
    : Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${python(each, depth + 1)}`);
  const [open, close] = isList ? "[]" : "{}";
  const line = open + parts.join(", ") + close;
  if (line.length + depth * 4 < 90 && !line.includes("\n")) return line;
  const pad = "    ".repeat(depth + 1);
  return `${open}\n${parts.map((part) => `${pad}${part},\n`).join("")}${"    ".repeat(depth)}${close}`;
}
