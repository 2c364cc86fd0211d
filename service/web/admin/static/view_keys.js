/* The keys that clients present: limits, budget, what each used this month. A new key is shown once. */

import { api } from "./api.js";
import { confirm, notice, openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { day, money, short } from "./format.js";
import { changed, limitFields } from "./limits.js";
import { button, copyable, empty, field, head, input, loader, table } from "./parts.js";

const LIMITS = [
  "requests_per_minute",
  "tokens_per_minute",
  "max_concurrency",
  "budget_usd",
  "models",
  "web_search",
  "loop_guard",
];
const path = (key) => `/keys/${encodeURIComponent(key.id)}`;

export function mount(root) {
  const body = h("div", {});
  const view = loader(body, {
    load: () => api.get("/keys"),
    draw: ({ keys }) =>
      keys.length
        ? list(keys, view.refresh)
        : empty(t("keys.none"), t("keys.none_hint"), createButton("empty")),
  });
  const createButton = (place) =>
    button({
      label: t("keys.create"),
      glyph: "plus",
      kind: "primary",
      focus: `create-${place}`,
      onClick: async () => (await create()) && view.refresh(),
    });
  root.append(
    head(
      t("nav.keys"),
      t("keys.hint"),
      button({ name: t("common.refresh"), glyph: "refresh", kind: "quiet", onClick: view.refresh }),
      createButton("head"),
    ),
    body,
  );
  view.refresh();
  return view.stop;
}

function list(keys, refresh) {
  return table({
    caption: t("nav.keys"),
    rows: keys,
    columns: [
      { label: t("keys.key"), kind: "title", cell: nameOf },
      { label: t("keys.limits"), cell: limitsOf },
      { label: t("keys.budget"), cell: budgetOf },
      { label: t("keys.requests"), kind: "number", cell: ({ used }) => short(used?.requests) },
      {
        label: t("keys.tokens"),
        kind: "number",
        cell: ({ used }) => [
          short(used?.input_tokens),
          h("div", { class: "sub" }, t("keys.out", { n: short(used?.output_tokens) })),
        ],
      },
      {
        label: t("keys.created"),
        cell: (key) => (key.created_at ? day(key.created_at) : h("span", { class: "hint" }, "–")),
      },
      { label: t("common.actions"), kind: "actions", cell: (key) => actionsOf(key, refresh) },
    ],
  });
}

function nameOf(key) {
  return [
    h("strong", {}, key.name),
    key.source === "config" &&
      h("span", { class: "tag", title: t("keys.from_config_hint") }, t("accounts.from_config")),
    key.shown && h("div", {}, h("code", { class: "sub" }, key.shown)),
  ];
}

function limitsOf(key) {
  const isSet = (value) => value !== null && value !== undefined;
  const parts = [
    isSet(key.requests_per_minute) && t("limit.rpm", { n: short(key.requests_per_minute) }),
    isSet(key.tokens_per_minute) && t("limit.tpm", { n: short(key.tokens_per_minute) }),
    isSet(key.max_concurrency) && t("limit.at_once", { n: short(key.max_concurrency) }),
  ].filter(Boolean);
  return [
    parts.length
      ? parts.map((part) => h("div", { class: "limits" }, part))
      : h("span", { class: "hint" }, t("limit.none")),
    key.models?.length > 0 && h("div", { class: "sub wrap" }, key.models.join(", ")),
  ];
}

/** The cost is this month's, the budget is for the key's whole life: neither is a share of the other. */
function budgetOf(key) {
  const hasBudget = key.budget_usd !== null && key.budget_usd !== undefined;
  return [
    money(key.used?.cost_micro_usd ?? 0),
    hasBudget && h("div", { class: "sub" }, t("keys.of_budget", { budget: money(key.budget_usd * 1e6) })),
  ];
}

function actionsOf(key, refresh) {
  if (!key.is_revocable) return h("span", { class: "hint" }, t("keys.in_config"));
  return h(
    "div",
    { class: "row-actions" },
    button({
      label: t("keys.edit"),
      "aria-label": `${t("keys.edit")}: ${key.name}`,
      title: t("keys.edit"),
      glyph: "edit",
      kind: "quiet only-icon",
      focus: `edit ${key.id}`,
      onClick: async () => (await edit(key)) && refresh(),
    }),
    button({
      label: t("keys.revoke"),
      "aria-label": `${t("keys.revoke")}: ${key.name}`,
      title: t("keys.revoke"),
      glyph: "trash",
      kind: "quiet only-icon danger-text",
      focus: `trash ${key.id}`,
      onClick: async () => (await revoke(key)) && refresh(),
    }),
  );
}

async function create() {
  const made = await openDialog(t("keys.create_title"), (close) => {
    const name = input({ name: "name", maxlength: 64, required: true, autofocus: true });
    const nameField = field(t("keys.name"), name, { hint: t("keys.name_hint") });
    const limits = limitFields(LIMITS);
    return {
      body: [nameField, h("div", { class: "fields" }, limits.elements)],
      actions: [
        button({ label: t("common.cancel"), onClick: () => close(null) }),
        h("button", { type: "submit", class: "button primary" }, t("keys.create")),
      ],
      onSubmit: async () => {
        nameField.fail(null);
        if (!name.value.trim()) {
          nameField.fail(t("keys.name_empty"));
          return name.focus();
        }
        const set = Object.entries(limits.read()).filter(
          ([, value]) => value !== null && !(Array.isArray(value) && !value.length),
        );
        close(await api.post("/keys", { name: name.value.trim(), ...Object.fromEntries(set) }));
      },
    };
  });
  if (!made) return false;
  await showOnce(made);
  return true;
}

function showOnce({ name, key }) {
  return openDialog(t("keys.created_title", { name }), (close) => ({
    body: [
      h("p", {}, t("keys.shown_once")),
      copyable(key, t("keys.key"), { secret: true }),
      h("p", { class: "hint" }, t("keys.use", { url: `${location.origin}/v1` })),
    ],
    actions: [button({ label: t("keys.stored"), kind: "primary", onClick: () => close(true) })],
  }));
}

function edit(key) {
  const limits = limitFields(LIMITS, key);
  return openDialog(t("keys.edit_title", { name: key.name }), (close) => ({
    body: h("div", { class: "fields" }, limits.elements),
    actions: [
      button({ label: t("common.cancel"), onClick: () => close(false) }),
      h("button", { type: "submit", class: "button primary" }, t("common.save")),
    ],
    onSubmit: async () => {
      const change = changed(limits.read(), key);
      if (Object.keys(change).length) await api.patch(path(key), change);
      close(true);
    },
  }));
}

function revoke(key) {
  return confirm({
    title: t("keys.revoke_title", { name: key.name }),
    text: t("keys.revoke_text"),
    action: t("keys.revoke"),
    act: async () => {
      await api.remove(path(key));
      notice(t("keys.was_revoked", { name: key.name }));
    },
  });
}
