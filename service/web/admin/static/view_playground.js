/* A prompt, tried: any model, any dialect, thinking and calls shown apart, and the request to copy. */

import { api } from "./api.js";
import { DIALECTS, newAnswer, readTools } from "./dialects.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import {
  button,
  checkbox,
  copyable,
  field,
  head,
  input,
  messageOf,
  numberInput,
  segmented,
} from "./parts.js";
import { asCurl, asPython } from "./snippets.js";
import { readEvents } from "./sse.js";
import { painter, turnElement } from "./turns.js";

const SAMPLE = [
  {
    name: "get_weather",
    description: "The weather in a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, unit: { type: "string", enum: ["celsius", "fahrenheit"] } },
      required: ["city"],
    },
  },
];

export function mount(root) {
  const state = { dialect: DIALECTS.chat, turns: [], running: null };
  const c = controls(state, () => drawRequest());
  const log = h("div", {
    class: "turns",
    role: "log",
    "aria-label": t("playground.conversation"),
    tabindex: 0,
  });
  const prompt = h("textarea", { rows: 3, name: "prompt", placeholder: t("playground.prompt_hint") });
  const promptField = field(t("playground.prompt"), prompt);
  const send = h(
    "button",
    { type: "submit", class: "button primary" },
    icon("send"),
    h("span", {}, t("playground.send")),
  );
  const stop = button({
    label: t("playground.stop"),
    glyph: "stop",
    kind: "danger",
    onClick: () => state.running?.abort(),
  });
  const clear = button({
    label: t("playground.clear"),
    glyph: "trash",
    onClick: () => {
      state.turns = [];
      drawTurns();
      drawRequest();
      prompt.focus();
    },
  });
  const said = h("div", { class: "sr", role: "status" });
  const request = h("div", { class: "request" });
  stop.hidden = true;

  function drawTurns() {
    const open = state.turns.at(-1);
    const isWaiting = open?.role === "assistant" && open.calls.length > 0 && !state.running;
    fill(
      log,
      state.turns.length
        ? state.turns.map((turn) => turnElement(turn))
        : h("p", { class: "empty-log" }, t("playground.empty")),
      isWaiting && resultsForm(open),
    );
    promptField.hidden = isWaiting;
    send.hidden = isWaiting || Boolean(state.running);
    clear.hidden = !state.turns.length || Boolean(state.running);
    log.scrollTop = log.scrollHeight;
  }

  function resultsForm(turn) {
    const fields = turn.calls.map((call) => {
      const control = h("textarea", { rows: 2, name: `result_${call.id}` });
      return { call, control, element: field(t("playground.result_of", { name: call.name }), control) };
    });
    const submit = () => {
      state.turns.push({
        role: "results",
        results: fields.map(({ call, control }) => ({ id: call.id, text: control.value })),
      });
      run();
    };
    return h(
      "div",
      { class: "results-form" },
      fields.map(({ element }) => element),
      button({ label: t("playground.send_results"), glyph: "send", kind: "primary", onClick: submit }),
    );
  }

  function bodyNow() {
    const next =
      prompt.value.trim() && state.turns.at(-1)?.role !== "results"
        ? [{ role: "user", text: prompt.value }]
        : [];
    return state.dialect.build([...state.turns, ...next], c.read());
  }

  function drawRequest() {
    let body;
    try {
      body = bodyNow();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return fill(request, h("p", { class: "problem" }, error.message));
    }
    fill(
      request,
      h("h3", {}, "cURL"),
      copyable(asCurl(location.origin, state.dialect, body), "cURL"),
      h("h3", {}, "Python"),
      copyable(asPython(location.origin, state.dialect, body), "Python"),
    );
  }

  async function run() {
    let body;
    try {
      body = state.dialect.build(state.turns, c.read());
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return; // the field says what is wrong
    }
    const turn = newAnswer();
    const { dialect } = state;
    state.turns.push(turn);
    state.running = new AbortController();
    stop.hidden = false;
    drawTurns();
    const shown = log.querySelector(".turn:last-of-type");
    const draw = painter(shown, turn, log);
    stop.focus();
    const startMs = performance.now();
    turn.timing = { firstMs: null, wholeMs: null };
    try {
      const response = await api.open(`/playground/${dialect.id}`, body, { signal: state.running.signal });
      turn.requestId = response.headers.get("x-request-id");
      turn.notes = response.headers.get("x-mimo-gateway-notes");
      if (body.stream) {
        await readEvents(response, ({ data }) => {
          if (data === "[DONE]") return;
          dialect.feed(turn, JSON.parse(data));
          if (turn.timing.firstMs === null && (turn.text || turn.reasoning || turn.calls.length))
            turn.timing.firstMs = performance.now() - startMs;
          draw();
        });
        if (!turn.finish && !turn.error) turn.error = t("playground.broke_off");
      } else {
        dialect.whole(turn, await response.json());
      }
    } catch (error) {
      if (error.name === "AbortError") turn.isStopped = true;
      else turn.error = error.status === undefined ? String(error.message) : messageOf(error);
    }
    turn.timing.wholeMs = performance.now() - startMs;
    turn.calls = turn.calls.filter(Boolean);
    // A turn that failed is no part of the conversation: the next request does not repeat it.
    state.running = null;
    stop.hidden = true;
    drawTurns();
    if (turn.error || turn.isStopped) state.turns = state.turns.slice(0, -1);
    said.textContent = t(
      turn.error ? "playground.said_failed" : turn.isStopped ? "playground.stopped" : "playground.said_done",
    );
    drawRequest();
    (prompt.offsetParent ? prompt : log.querySelector(".results-form textarea"))?.focus();
  }

  const onSubmit = (event) => {
    event.preventDefault();
    promptField.fail(null);
    if (state.running) return;
    if (!prompt.value.trim()) {
      promptField.fail(t("playground.prompt_empty"));
      return prompt.focus();
    }
    try {
      c.read();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return;
    }
    if (state.turns.at(-1)?.role === "user") state.turns.pop(); // its answer failed: this one takes its place
    state.turns.push({ role: "user", text: prompt.value });
    prompt.value = "";
    run();
  };
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) prompt.form.requestSubmit();
  });
  prompt.addEventListener("input", drawRequest);
  root.append(
    head(t("nav.playground"), t("playground.hint")),
    h(
      "div",
      { class: "playground" },
      c.element,
      h(
        "section",
        { class: "talk", "aria-label": t("playground.conversation") },
        log,
        said,
        h(
          "form",
          { class: "composer", on: { submit: onSubmit } },
          promptField,
          h(
            "div",
            { class: "composer-actions" },
            h("span", { class: "hint" }, t("playground.keys")),
            clear,
            stop,
            send,
          ),
        ),
        h("details", { class: "request-frame" }, h("summary", {}, t("playground.request")), request),
      ),
    ),
  );
  drawTurns();
  drawRequest();
  return () => state.running?.abort();
}

/** What is chosen beside the conversation. `read()` gives the options; RangeError: the tools are wrong. */
function controls(state, onChange) {
  const models = h("datalist", { id: "playground-models" });
  const model = input({
    name: "model",
    list: "playground-models",
    value: "mimo-v2.6-pro",
    on: { input: onChange },
  });
  const system = h("textarea", { rows: 2, name: "system", on: { input: onChange } });
  const maxTokens = numberInput({ name: "max_tokens", min: 1, step: 1, on: { input: onChange } });
  const temperature = numberInput({
    name: "temperature",
    min: 0,
    max: 2,
    step: "any",
    on: { input: onChange },
  });
  const tools = h("textarea", {
    rows: 5,
    name: "tools",
    class: "code",
    spellcheck: "false",
    placeholder: '[{"name": …, "parameters": …}]',
    on: { input: onChange },
  });
  const toolsField = field(t("playground.tools"), tools, {
    hint: t("playground.tools_hint"),
    optional: true,
  });
  const flags = { isStreaming: true, isThinking: true };
  const flag = (name, label) =>
    checkbox(label, {
      checked: flags[name],
      name,
      onChange: (is) => {
        flags[name] = is;
        onChange();
      },
    });
  const sample = button({
    label: t("playground.sample"),
    onClick: () => {
      tools.value = JSON.stringify(SAMPLE, null, 2);
      onChange();
    },
  });
  api.get("/models").then(
    ({ models: list, aliases }) => {
      fill(
        models,
        [
          ...list.map(({ id }) => id),
          ...aliases.map(({ alias }) => alias).filter((name) => !name.includes("*")),
        ].map((id) => h("option", { value: id })),
      );
      if (list.length && !list.some(({ id }) => id === model.value)) model.value = list[0].id;
      onChange();
    },
    () => {},
  ); // the list is a help only: a name can be typed
  const numberOf = (control) => (control.value === "" ? null : Number(control.value));
  const element = h(
    "section",
    { class: "settings", "aria-label": t("playground.settings") },
    segmented({
      legend: t("playground.dialect"),
      name: "dialect",
      options: Object.values(DIALECTS).map(({ id, label }) => ({ id, label })),
      value: state.dialect.id,
      onChange: (id) => {
        state.dialect = DIALECTS[id];
        onChange();
      },
    }),
    field(t("playground.model"), model),
    models,
    h(
      "div",
      { class: "check-row" },
      flag("isStreaming", t("playground.stream")),
      flag("isThinking", t("playground.think")),
    ),
    h(
      "details",
      { open: matchMedia("(min-width: 900px)").matches },
      h("summary", {}, t("playground.more")),
      field(t("playground.system"), system, { optional: true }),
      h(
        "div",
        { class: "fields" },
        field(t("playground.max_tokens"), maxTokens, { optional: true }),
        field(t("playground.temperature"), temperature, { optional: true }),
      ),
      toolsField,
      sample,
    ),
  );
  return {
    element,
    read() {
      toolsField.fail(null);
      let list;
      try {
        list = readTools(tools.value, t);
      } catch (error) {
        toolsField.fail(error.message);
        throw error;
      }
      return {
        model: model.value.trim(),
        system: system.value,
        tools: list,
        maxTokens: numberOf(maxTokens),
        temperature: numberOf(temperature),
        ...flags,
      };
    },
  };
}
