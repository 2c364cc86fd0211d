/* What runs now, on every worker. Never what is asked or answered. */

import { api } from "./api.js";
import { confirm, notice } from "./dialog.js";
import { fill, h } from "./dom.js";
import { t, word } from "./i18n.js";
import { duration, integer } from "./format.js";
import { badge, button, empty, failed, head, loader, table, tick } from "./parts.js";
import { everySecond, poll } from "./poll.js";

const EVERY_S = 2;
const TONES = { answering: "ok", queued: "warn", waiting: "idle" };

export function mount(root) {
  const body = h("div", {});
  const stale = h("div", {});
  const summary = h("p", { class: "hint above" });
  const view = loader(body, {
    // An age becomes the instant it began, so that a list in which nothing happened is not drawn again.
    load: async () => {
      const { requests } = await api.get("/live");
      const nowS = Date.now() / 1000;
      fill(summary, t("live.running", { count: requests.length }));
      return requests.map((each) => ({
        ...each,
        since: Math.round((nowS - each.age_s) / 2) * 2,
        age_s: undefined,
      }));
    },
    draw: (requests) =>
      requests.length ? list(requests, () => polling.now()) : empty(t("live.none"), t("live.none_hint")),
    onError: (error) =>
      fill(
        stale,
        error && body.querySelector("table") && !error.isOffline && failed(error, () => polling.now()),
      ),
  });
  const pause = h("input", {
    type: "checkbox",
    checked: true,
    role: "switch",
    on: { change: () => polling.pause(!pause.checked) },
  });
  root.append(
    head(t("nav.live"), t("live.hint"), h("label", { class: "check" }, pause, h("span", {}, t("live.auto")))),
    summary,
    stale,
    body,
  );
  const polling = poll(view.refresh, EVERY_S);
  const stopClock = everySecond((nowS) => tick(body, nowS));
  return () => {
    polling.stop();
    stopClock();
    view.stop();
  };
}

function list(requests, refresh) {
  return table({
    caption: t("nav.live"),
    rows: requests,
    columns: [
      {
        label: t("live.request"),
        kind: "title",
        cell: (each) => [
          h("code", {}, each.request_id),
          h(
            "div",
            { class: "sub" },
            [word("dialect", each.dialect ?? each.route), each.is_streaming && t("live.streams")]
              .filter(Boolean)
              .join(" · "),
          ),
        ],
      },
      {
        label: t("live.phase"),
        cell: (each) => badge(word("phase", each.phase), TONES[each.phase] ?? "idle"),
      },
      { label: t("live.model"), cell: (each) => h("span", { class: "limits" }, each.model ?? "–") },
      { label: t("live.key"), cell: (each) => h("span", { class: "limits" }, each.key_name ?? "–") },
      { label: t("live.account"), cell: (each) => h("span", { class: "limits" }, each.account ?? "–") },
      {
        label: t("live.age"),
        kind: "number",
        cell: (each) => h("span", { data: { since: each.since } }, duration(Date.now() / 1000 - each.since)),
      },
      { label: t("live.tokens"), kind: "number", cell: (each) => integer(each.output_tokens) },
      { label: t("live.worker"), cell: (each) => h("span", { class: "sub limits" }, each.worker) },
      {
        label: t("common.actions"),
        kind: "actions",
        cell: (each) => h("div", { class: "row-actions" }, cancelButton(each, refresh)),
      },
    ],
  });
}

function cancelButton(each, refresh) {
  return button({
    label: t("live.cancel"),
    "aria-label": `${t("live.cancel")}: ${each.request_id}`,
    glyph: "stop",
    focus: `cancel ${each.request_id}`,
    onClick: async () => {
      const isSure = await confirm({
        title: t("live.cancel_title"),
        text: t("live.cancel_text", { model: each.model ?? "–", key: each.key_name ?? "–" }),
        action: t("live.cancel"),
        act: async () => {
          await api.remove(`/live/${encodeURIComponent(each.request_id)}`);
          notice(t("live.was_cancelled"));
        },
      });
      if (isSure) await refresh();
    },
  });
}
