import OpenAI from "openai";
import { base, check, key, model, question, schema, weather } from "./task.mjs";

const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key });
const runner = client.chat.completions.runTools({
  model,
  stream: true,
  messages: [{ role: "user", content: question }],
  tools: [
    {
      type: "function",
      function: { name: "get_weather", parameters: schema, parse: JSON.parse, function: weather },
    },
  ],
});
check(await runner.finalContent());
