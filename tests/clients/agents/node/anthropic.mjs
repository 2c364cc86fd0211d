import Anthropic from "@anthropic-ai/sdk";
import { base, check, key, model, question, schema, weather } from "./task.mjs";

const client = new Anthropic({ baseURL: base, apiKey: key });
const tools = [{ name: "get_weather", description: "The weather of a city", input_schema: schema }];
const messages = [{ role: "user", content: question }];
const first = await client.messages.stream({ model, max_tokens: 1024, messages, tools }).finalMessage();
const results = first.content
  .filter((block) => block.type === "tool_use")
  .map((block) => ({ type: "tool_result", tool_use_id: block.id, content: weather(block.input) }));
messages.push({ role: "assistant", content: first.content }, { role: "user", content: results });
const second = await client.messages.create({ model, max_tokens: 1024, messages, tools });
check(second.content.map((block) => block.text ?? "").join(""));
