// The Vercel AI SDK: node vercel.mjs chat|responses|anthropic
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { isStepCount, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { base, check, key, model, question, weather } from "./task.mjs";

const baseURL = `${base}/v1`;
const makers = {
  chat: () => createOpenAICompatible({ name: "mimo", baseURL, apiKey: key })(model),
  responses: () => createOpenAI({ baseURL, apiKey: key }).responses(model),
  anthropic: () => createAnthropic({ baseURL, apiKey: key })(model),
};
const stopAfter = isStepCount ?? stepCountIs;
const errors = [];
const result = streamText({
  model: makers[process.argv[2]](),
  prompt: question,
  tools: {
    get_weather: tool({
      description: "The weather of a city",
      inputSchema: z.object({ city: z.string() }),
      execute: weather,
    }),
  },
  stopWhen: stopAfter(3),
  onError: ({ error }) => errors.push(error),
});
let text = "";
for await (const delta of result.textStream) text += delta;
if (errors.length) throw errors[0];
check(text);
