/* Who changed what, newest first. */

import { api } from "./api.js";
import { h } from "./dom.js";
import { t, word } from "./i18n.js";
import { dateTime, relative } from "./format.js";
import { button, empty, head, loader, table } from "./parts.js";

const FIRST = 50;
const MOST = 1000;

export function mount(root) {
  let limit = FIRST;
  const body = h("div", {});
  const view = loader(body, {
    load: async () => ({ ...(await api.get(`/audit?limit=${limit}`)), limit }),
    draw: ({ entries }) => {
      if (!entries.length) return empty(t("audit.none"), t("audit.none_hint"));
      const more = () => {
        limit = Math.min(MOST, limit * 4);
        view.refresh();
      };
      return [
        list(entries),
        entries.length >= limit &&
          limit < MOST &&
          h("p", { class: "more" }, button({ label: t("audit.more"), focus: "more", onClick: more })),
      ];
    },
  });
  root.append(
    head(
      t("nav.audit"),
      t("audit.hint"),
      button({ label: t("common.refresh"), glyph: "refresh", onClick: view.refresh }),
    ),
    body,
  );
  view.refresh();
  return view.stop;
}

function list(entries) {
  return table({
    caption: t("nav.audit"),
    rows: entries,
    columns: [
      {
        label: t("audit.time"),
        kind: "title",
        cell: ({ time }) => [h("span", {}, dateTime(time)), h("div", { class: "sub" }, relative(time))],
      },
      { label: t("audit.who"), cell: ({ who }) => h("code", {}, who) },
      { label: t("audit.action"), cell: ({ action }) => word("action", action) },
      { label: t("audit.target"), cell: ({ target }) => h("span", { class: "wrap" }, target || "–") },
      {
        label: t("audit.detail"),
        cell: ({ detail }) => h("span", { class: "wrap small" }, detailOf(detail)),
      },
    ],
  });
}

function detailOf(detail) {
  if (detail === null || detail === undefined || detail === "") return "–";
  if (typeof detail !== "object") return String(detail);
  return (
    Object.entries(detail)
      .map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`)
      .join(", ") || "–"
  );
}
