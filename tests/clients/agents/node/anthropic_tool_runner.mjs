import Anthropic from "@anthropic-ai/sdk";
import { base, check, key, model, question, schema, weather } from "./task.mjs";

const client = new Anthropic({ baseURL: base, apiKey: key });
const runner = client.beta.messages.toolRunner({
  model,
  max_tokens: 1024,
  messages: [{ role: "user", content: question }],
  tools: [
    {
      type: "custom",
      name: "get_weather",
      description: "The weather of a city",
      input_schema: schema,
      run: weather,
      parse: (input) => input,
    },
  ],
});
const last = await runner.runUntilDone();
check(last.content.map((block) => block.text ?? "").join(""));
