/* A conversation drawn: what was said, thinking apart, calls with their arguments, and what it took. */

import { h } from "./dom.js";
import { integer, milliseconds } from "./format.js";
import { t } from "./i18n.js";
import { badge } from "./parts.js";

/** Draws a growing turn, at most once a frame. */
export function painter(element, turn, log) {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      if (!element.isConnected) return;
      const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
      element.replaceWith((element = turnElement(turn)));
      if (isAtEnd) log.scrollTop = log.scrollHeight;
    });
  };
}

export function turnElement(turn) {
  if (turn.role === "user")
    return h(
      "article",
      { class: "turn user" },
      h("h3", {}, t("playground.you")),
      h("div", { class: "text" }, turn.text),
    );
  if (turn.role === "results") {
    return h(
      "article",
      { class: "turn user" },
      h("h3", {}, t("playground.results")),
      turn.results.map(({ text }) => h("pre", { tabindex: 0 }, text)),
    );
  }
  const isRunning = turn.timing?.wholeMs === null || turn.timing === undefined;
  return h(
    "article",
    { class: "turn model" },
    h("h3", {}, t("playground.model_says")),
    turn.reasoning &&
      h(
        "details",
        { class: "thinking", open: !turn.text },
        h("summary", {}, t("playground.thinking")),
        h("div", { class: "text" }, turn.reasoning),
      ),
    turn.text && h("div", { class: "text" }, turn.text),
    turn.calls.filter(Boolean).map(callElement),
    isRunning && !turn.error && h("span", { class: "cursor", "aria-hidden": "true" }),
    turn.error && h("p", { class: "problem", role: "alert" }, turn.error),
    turn.isStopped && h("p", { class: "hint" }, t("playground.stopped")),
    !isRunning && metaOf(turn),
  );
}

function callElement(call) {
  let shown = call.arguments;
  try {
    shown = JSON.stringify(JSON.parse(call.arguments), null, 2);
  } catch {
    // Still being written, or not JSON: as it came.
  }
  return h(
    "div",
    { class: "call" },
    h("div", { class: "call-name" }, badge(t("playground.call"), "warn"), h("code", {}, call.name)),
    h("pre", { tabindex: 0 }, shown),
  );
}

function metaOf({ timing, usage, finish, notes, requestId }) {
  const parts = [
    finish,
    usage && t("playground.usage", { input: integer(usage.input), output: integer(usage.output) }),
    usage?.cached > 0 && t("playground.cached", { n: integer(usage.cached) }),
    timing.firstMs !== null && t("playground.first", { time: milliseconds(timing.firstMs) }),
    t("playground.whole", { time: milliseconds(timing.wholeMs) }),
    requestId,
  ].filter(Boolean);
  return h(
    "footer",
    { class: "meta" },
    parts.map((part) => h("span", {}, part)),
    notes && h("p", { class: "notes" }, t("playground.notes", { notes })),
  );
}
