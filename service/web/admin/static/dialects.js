/* One conversation in three dialects: the request's body, and the answer out of events or out of one body.
 *
 * turns: {role: "user", text} | {role: "assistant", text, reasoning, signature, calls}
 *        | {role: "results", results}
 * call: {id, name, arguments (JSON text)}; result: {id, text}
 * options: {model, system, isStreaming, isThinking, maxTokens, temperature,
 *           tools: [{name, description, parameters}]} */

export function newAnswer() {
  return {
    role: "assistant",
    text: "",
    reasoning: "",
    signature: "",
    calls: [],
    usage: null,
    finish: null,
    error: null,
  };
}

const set = (values) =>
  Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== ""),
  );
const errorOf = (error) => (typeof error === "string" ? error : (error?.message ?? JSON.stringify(error)));
const objectOf = (text) => {
  try {
    const value = JSON.parse(text || "{}");
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
};

const chat = {
  id: "chat",
  label: "Chat",
  route: "/v1/chat/completions",
  build(turns, o) {
    const messages = o.system ? [{ role: "system", content: o.system }] : [];
    for (const turn of turns) {
      if (turn.role === "user") messages.push({ role: "user", content: turn.text });
      else if (turn.role === "results")
        for (const one of turn.results)
          messages.push({ role: "tool", tool_call_id: one.id, content: one.text });
      else {
        messages.push(
          set({
            role: "assistant",
            content: turn.text || (turn.calls.length ? null : ""),
            reasoning_content: turn.reasoning,
            tool_calls: turn.calls.length
              ? turn.calls.map(({ id, name, arguments: text }) => ({
                  id,
                  type: "function",
                  function: { name, arguments: text },
                }))
              : null,
          }),
        );
      }
    }
    return {
      model: o.model,
      messages,
      ...(o.tools.length && { tools: o.tools.map((tool) => ({ type: "function", function: tool })) }),
      ...set({ max_completion_tokens: o.maxTokens, temperature: o.temperature }),
      thinking: { type: o.isThinking ? "enabled" : "disabled" },
      ...(o.isStreaming && { stream: true, stream_options: { include_usage: true } }),
    };
  },
  feed(answer, body) {
    if (body.error) answer.error = errorOf(body.error);
    if (body.usage) answer.usage = chatUsage(body.usage);
    const choice = body.choices?.[0];
    if (!choice) return;
    const delta = choice.delta ?? choice.message ?? {};
    answer.text += delta.content ?? "";
    answer.reasoning += delta.reasoning_content ?? delta.reasoning ?? "";
    (delta.tool_calls ?? []).forEach((part, place) => {
      const call = (answer.calls[part.index ?? place] ??= { id: "", name: "", arguments: "" });
      call.id ||= part.id ?? "";
      call.name += part.function?.name ?? "";
      call.arguments += part.function?.arguments ?? "";
    });
    answer.finish = choice.finish_reason ?? answer.finish;
  },
};
chat.whole = chat.feed;

function chatUsage(usage) {
  return {
    input: usage.prompt_tokens,
    output: usage.completion_tokens,
    cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
    reasoning: usage.completion_tokens_details?.reasoning_tokens ?? 0,
  };
}

const responses = {
  id: "responses",
  label: "Responses",
  route: "/v1/responses",
  build(turns, o) {
    const input = [];
    for (const turn of turns) {
      if (turn.role === "user") input.push({ role: "user", content: turn.text });
      else if (turn.role === "results")
        for (const one of turn.results)
          input.push({ type: "function_call_output", call_id: one.id, output: one.text });
      else {
        if (turn.text) input.push({ role: "assistant", content: turn.text });
        for (const call of turn.calls)
          input.push({ type: "function_call", call_id: call.id, name: call.name, arguments: call.arguments });
      }
    }
    return {
      model: o.model,
      ...set({ instructions: o.system }),
      input,
      ...(o.tools.length && { tools: o.tools.map((tool) => ({ type: "function", ...tool })) }),
      ...set({ max_output_tokens: o.maxTokens, temperature: o.temperature }),
      reasoning: { effort: o.isThinking ? "medium" : "none" },
      store: false,
      ...(o.isStreaming && { stream: true }),
    };
  },
  feed(answer, body) {
    const kind = body.type ?? "";
    if (kind === "response.output_text.delta") answer.text += body.delta;
    else if (kind === "response.reasoning_text.delta" || kind === "response.reasoning_summary_text.delta")
      answer.reasoning += body.delta;
    else if (kind === "response.output_item.added" && body.item?.type === "function_call") {
      answer.calls.push({
        item: body.item.id,
        id: body.item.call_id,
        name: body.item.name,
        arguments: body.item.arguments ?? "",
      });
    } else if (kind === "response.function_call_arguments.delta") {
      const call = answer.calls.find((one) => one.item === body.item_id);
      if (call) call.arguments += body.delta;
    } else if (kind === "error") answer.error = errorOf(body.error ?? body);
    else if (body.response && /^response\.(completed|incomplete|failed)$/.test(kind))
      ended(answer, body.response);
  },
  whole(answer, body) {
    for (const item of body.output ?? []) {
      if (item.type === "message")
        answer.text += (item.content ?? []).map((part) => part.text ?? part.refusal ?? "").join("");
      else if (item.type === "function_call")
        answer.calls.push({ id: item.call_id, name: item.name, arguments: item.arguments });
      else if (item.type === "reasoning") {
        const parts = item.content?.length ? item.content : (item.summary ?? []);
        answer.reasoning += parts.map((part) => part.text ?? "").join("\n");
      }
    }
    ended(answer, body);
  },
};

function ended(answer, response) {
  answer.finish = response.incomplete_details?.reason ?? response.status ?? answer.finish;
  if (response.error) answer.error = errorOf(response.error);
  if (response.usage) {
    answer.usage = {
      input: response.usage.input_tokens,
      output: response.usage.output_tokens,
      cached: response.usage.input_tokens_details?.cached_tokens ?? 0,
      reasoning: response.usage.output_tokens_details?.reasoning_tokens ?? 0,
    };
  }
}

const messages = {
  id: "messages",
  label: "Messages",
  route: "/v1/messages",
  build(turns, o) {
    const list = turns.map((turn) => {
      if (turn.role === "user") return { role: "user", content: turn.text };
      if (turn.role === "results")
        return {
          role: "user",
          content: turn.results.map((one) => ({
            type: "tool_result",
            tool_use_id: one.id,
            content: one.text,
          })),
        };
      const blocks = [];
      if (turn.reasoning)
        blocks.push({ type: "thinking", thinking: turn.reasoning, signature: turn.signature });
      if (turn.text) blocks.push({ type: "text", text: turn.text });
      for (const call of turn.calls)
        blocks.push({ type: "tool_use", id: call.id, name: call.name, input: objectOf(call.arguments) });
      return { role: "assistant", content: blocks };
    });
    return {
      model: o.model,
      max_tokens: o.maxTokens ?? 4096,
      ...set({ system: o.system }),
      messages: list,
      ...(o.tools.length && {
        tools: o.tools.map(({ name, description, parameters }) =>
          set({ name, description, input_schema: parameters }),
        ),
      }),
      ...set({ temperature: o.temperature }),
      thinking: o.isThinking
        ? { type: "enabled", budget_tokens: Math.max(1024, Math.min(4096, (o.maxTokens ?? 4096) - 1)) }
        : { type: "disabled" },
      ...(o.isStreaming && { stream: true }),
    };
  },
  feed(answer, body) {
    if (body.type === "message_start") messagesUsage(answer, body.message?.usage);
    else if (body.type === "content_block_start") {
      if (body.content_block?.type === "tool_use")
        answer.calls.push({
          block: body.index,
          id: body.content_block.id,
          name: body.content_block.name,
          arguments: "",
        });
      else answer.text += body.content_block?.text ?? "";
    } else if (body.type === "content_block_delta") {
      const { delta } = body;
      answer.text += delta.text ?? "";
      answer.reasoning += delta.thinking ?? "";
      answer.signature += delta.signature ?? "";
      const call = answer.calls.find((one) => one.block === body.index);
      if (call) call.arguments += delta.partial_json ?? "";
    } else if (body.type === "message_delta") {
      answer.finish = body.delta?.stop_reason ?? answer.finish;
      messagesUsage(answer, body.usage);
    } else if (body.type === "error") answer.error = errorOf(body.error);
  },
  whole(answer, body) {
    for (const block of body.content ?? []) {
      if (block.type === "text") answer.text += block.text;
      else if (block.type === "thinking") {
        answer.reasoning += block.thinking;
        answer.signature += block.signature ?? "";
      } else if (block.type === "tool_use")
        answer.calls.push({ id: block.id, name: block.name, arguments: JSON.stringify(block.input) });
    }
    answer.finish = body.stop_reason;
    messagesUsage(answer, body.usage);
  },
};

/** Anthropic counts cached input beside the rest; here the input is the whole of it, as in the other
 *  dialects. */
function messagesUsage(answer, usage) {
  if (!usage) return;
  const before = answer.usage ?? { input: 0, output: 0, cached: 0, reasoning: 0 };
  const cached = usage.cache_read_input_tokens ?? before.cached;
  answer.usage = {
    input:
      usage.input_tokens === undefined
        ? before.input
        : usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0),
    output: usage.output_tokens ?? before.output,
    cached,
    reasoning: before.reasoning,
  };
}

export const DIALECTS = { chat, responses, messages };

/** Tools as any of the three dialects writes them. Throws RangeError, which says what is wrong. */
export function readTools(text, say) {
  if (!text.trim()) return [];
  let list;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw new RangeError(say("playground.tools_not_json", { why: error.message }));
  }
  if (!Array.isArray(list)) throw new RangeError(say("playground.tools_no_list"));
  return list.map((each, index) => {
    const tool = each?.function ?? each;
    if (typeof tool?.name !== "string" || !tool.name)
      throw new RangeError(say("playground.tools_no_name", { n: index + 1 }));
    return set({
      name: tool.name,
      description: tool.description,
      parameters: tool.parameters ?? tool.input_schema ?? { type: "object", properties: {} },
    });
  });
}
