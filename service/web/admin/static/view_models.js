/* What is offered, by which accounts, and which other names lead there. */

import { api } from "./api.js";
import { attempt, notice } from "./dialog.js";
import { fill, h } from "./dom.js";
import { t, word } from "./i18n.js";
import { size } from "./format.js";
import { button, empty, head, loader, table } from "./parts.js";

export function mount(root) {
  const body = h("div", {});
  const view = loader(body, { load: () => api.get("/models"), draw });
  const refresh = button({
    label: t("models.refresh"),
    glyph: "refresh",
    onClick: () =>
      attempt(refresh, async () => {
        fill(body, draw(await api.post("/models/refresh")));
        notice(t("models.was_refreshed"));
      }),
  });
  root.append(head(t("nav.models"), t("models.hint"), refresh), body);
  view.refresh();
  return view.stop;
}

function draw({ models, aliases }) {
  return [
    models.length ? modelTable(models) : empty(t("models.none"), t("models.none_hint")),
    h("h2", { class: "section" }, t("models.aliases")),
    aliases.length ? aliasTable(aliases) : h("p", { class: "hint" }, t("models.no_aliases")),
  ];
}

const chips = (values) =>
  values?.length
    ? h(
        "ul",
        { class: "chips" },
        values.map((value) => h("li", {}, value)),
      )
    : h("span", { class: "hint" }, "–");

function modelTable(models) {
  return table({
    caption: t("nav.models"),
    rows: models,
    columns: [
      { label: t("models.model"), kind: "title", cell: ({ id }) => h("code", { class: "strong" }, id) },
      { label: t("models.context"), kind: "number", cell: (model) => size(model.context_tokens) },
      { label: t("models.output"), kind: "number", cell: (model) => size(model.max_output_tokens) },
      { label: t("models.input"), cell: (model) => chips(model.input?.map((kind) => word("media", kind))) },
      { label: t("models.accounts"), cell: (model) => chips(model.accounts) },
      { label: t("models.also"), cell: (model) => chips(model.aliases) },
    ],
  });
}

function aliasTable(aliases) {
  return table({
    caption: t("models.aliases"),
    rows: aliases,
    columns: [
      { label: t("models.alias"), kind: "title", cell: ({ alias }) => h("code", {}, alias) },
      { label: t("models.leads_to"), cell: ({ model }) => h("code", {}, model) },
    ],
  });
}
