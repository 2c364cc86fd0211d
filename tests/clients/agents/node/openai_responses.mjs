import OpenAI from "openai";
import { base, check, key, model, question, schema, weather } from "./task.mjs";

const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key });
const tools = [{ type: "function", name: "get_weather", parameters: schema, strict: true }];
const first = await client.responses.stream({ model, input: question, tools }).finalResponse();
const outputs = first.output
  .filter((item) => item.type === "function_call")
  .map(({ call_id, arguments: text }) => ({
    type: "function_call_output",
    call_id,
    output: weather(JSON.parse(text)),
  }));
const second = await client.responses.create({ model, input: outputs, tools, previous_response_id: first.id });
check(second.output_text);
