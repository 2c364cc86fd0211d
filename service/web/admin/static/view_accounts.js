/* The accounts that requests are sent with: how each is doing, and what can be done about it. */

import { openAddAccount } from "./account_add.js";
import { api } from "./api.js";
import { attempt, confirm, notice, openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { t, word } from "./i18n.js";
import { dateTime, milliseconds, percent, relative, short } from "./format.js";
import { changed, limitFields } from "./limits.js";
import {
  button,
  empty,
  failed,
  field,
  head,
  input,
  loader,
  meter,
  remaining,
  stateBadge,
  table,
  tick,
} from "./parts.js";
import { everySecond, poll } from "./poll.js";
import { credentialOf } from "./recognise.js";

const EVERY_S = 5;
const LIMITS = ["max_concurrency", "requests_per_minute", "tokens_per_minute", "weight", "models"];
const path = (account, more = "") => `/accounts/${encodeURIComponent(account.name)}${more}`;

export function mount(root) {
  const body = h("div", {});
  const stale = h("div", {});
  const view = loader(body, {
    load: () => api.get("/accounts"),
    draw: ({ accounts }) =>
      accounts.length
        ? list(accounts, refresh)
        : empty(t("accounts.none"), t("accounts.none_hint"), addButton("empty")),
    onError: (error) =>
      fill(
        stale,
        error && body.querySelector("table") && !error.isOffline && failed(error, () => polling.now()),
      ),
  });
  const refresh = () => polling.now();
  const addButton = (place) =>
    button({
      label: t("accounts.add"),
      glyph: "plus",
      kind: "primary",
      focus: `add-${place}`,
      onClick: async () => (await openAddAccount()) && refresh(),
    });
  root.append(head(t("nav.accounts"), t("accounts.hint"), addButton("head")), stale, body);
  const polling = poll(view.refresh, EVERY_S);
  const stopClock = everySecond((nowS) => tick(body, nowS));
  return () => {
    polling.stop();
    stopClock();
    view.stop();
  };
}

function list(accounts, refresh) {
  return table({
    caption: t("nav.accounts"),
    rows: accounts,
    rowClass: (account) => (account.is_enabled ? "" : "off"),
    columns: [
      { label: t("accounts.account"), kind: "title", cell: nameOf },
      { label: t("accounts.state"), cell: stateOf },
      {
        label: t("accounts.leases"),
        cell: (account) =>
          meter(
            account.leases,
            account.max_concurrency,
            `${account.leases} / ${account.max_concurrency ?? "∞"}`,
          ),
      },
      { label: t("accounts.success"), kind: "number", cell: (account) => percent(account.success_rate) },
      { label: t("accounts.limits"), cell: limitsOf },
      { label: t("accounts.last_error"), cell: lastErrorOf },
      { label: t("common.actions"), kind: "actions", cell: (account) => actionsOf(account, refresh) },
    ],
  });
}

function nameOf(account) {
  return [
    h("strong", {}, account.name),
    h(
      "div",
      { class: "sub" },
      [
        word("kind", account.kind),
        account.plan && word("plan", account.plan),
        account.region && word("region", account.region),
      ]
        .filter(Boolean)
        .join(" · "),
      account.source === "config" &&
        h("span", { class: "tag", title: t("accounts.from_config_hint") }, t("accounts.from_config")),
      account.is_changed && h("span", { class: "tag" }, t("accounts.changed")),
    ),
    h("code", { class: "sub" }, account.secret),
  ];
}

function stateOf(account) {
  const nowS = Date.now() / 1000;
  return [
    stateBadge(account.state),
    account.until > nowS && account.state !== "ready" && h("div", { class: "sub" }, remaining(account.until)),
    account.reason &&
      account.state !== "ready" &&
      h("div", { class: "sub wrap" }, word("reason", account.reason)),
    account.session_expires_at &&
      h(
        "div",
        {
          class: account.session_expires_at < nowS + 7200 ? "sub soon" : "sub",
          title: dateTime(account.session_expires_at),
        },
        t(account.session_expires_at < nowS ? "accounts.session_over" : "accounts.session", {
          time: relative(account.session_expires_at),
        }),
      ),
  ];
}

function limitsOf(account) {
  const parts = [
    account.requests_per_minute && t("limit.rpm", { n: short(account.requests_per_minute) }),
    account.tokens_per_minute && t("limit.tpm", { n: short(account.tokens_per_minute) }),
    account.weight !== 1 &&
      account.weight !== null &&
      account.weight !== undefined &&
      t("limit.weighs", { n: account.weight }),
  ].filter(Boolean);
  return [
    parts.length
      ? parts.map((part) => h("div", { class: "limits" }, part))
      : h("span", { class: "hint" }, t("limit.none")),
    account.models?.length > 0 && h("div", { class: "sub wrap" }, account.models.join(", ")),
  ];
}

function lastErrorOf({ last_error: error }) {
  if (!error) return h("span", { class: "hint" }, "–");
  return [
    h("div", { class: "sub", title: dateTime(error.time) }, relative(error.time)),
    h("div", { class: "wrap small" }, word("trouble", error.what)),
  ];
}

function actionsOf(account, refresh) {
  const name = account.name;
  const act = (glyph, label, onClick, rest = {}) =>
    button({
      label,
      "aria-label": `${label}: ${name}`,
      title: label,
      glyph,
      kind: "quiet only-icon",
      focus: `${glyph} ${name}`,
      onClick,
      ...rest,
    });
  return h(
    "div",
    { class: "row-actions" },
    act("test", t("accounts.test"), (event) => attempt(event.currentTarget, () => test(account))),
    act("edit", t("accounts.edit"), async () => (await edit(account)) && refresh()),
    act("reset", t("accounts.reset"), (event) =>
      attempt(event.currentTarget, async () => {
        await api.post(path(account, "/reset"));
        notice(t("accounts.was_reset", { name }));
        await refresh();
      }),
    ),
    act(
      "power",
      account.is_enabled ? t("accounts.disable") : t("accounts.enable"),
      (event) =>
        attempt(event.currentTarget, async () => {
          await api.patch(path(account), { is_enabled: !account.is_enabled });
          notice(t(account.is_enabled ? "accounts.was_disabled" : "accounts.was_enabled", { name }));
          await refresh();
        }),
      { "aria-pressed": String(!account.is_enabled) },
    ),
    account.source === "admin" &&
      act("trash", t("accounts.remove"), async () => (await remove(account)) && refresh(), {
        kind: "quiet only-icon danger-text",
      }),
  );
}

async function test(account) {
  const { is_ok: isOk, what, latency_ms: latency } = await api.post(path(account, "/test"));
  const values = { name: account.name, what, time: milliseconds(latency) };
  notice(t(isOk ? "accounts.test_ok" : "accounts.test_failed", values), isOk ? "ok" : "bad");
}

function edit(account) {
  const limits = limitFields(LIMITS, account);
  const isStudio = account.kind === "studio";
  const secret = isStudio
    ? h("textarea", { name: "credential", rows: 3, spellcheck: "false", autocomplete: "off" })
    : input({ type: "password", name: "credential" });
  const secretField = field(t("accounts.renew"), secret, {
    hint: t(isStudio ? "accounts.renew_studio" : "accounts.renew_platform"),
    optional: true,
  });
  return openDialog(t("accounts.edit_title", { name: account.name }), (close) => ({
    body: [
      account.source === "config" && h("p", { class: "hint" }, t("accounts.override")),
      h("div", { class: "fields" }, limits.elements),
      account.source === "admin" && secretField,
    ],
    actions: [
      button({ label: t("common.cancel"), onClick: () => close(false) }),
      h("button", { type: "submit", class: "button primary" }, t("common.save")),
    ],
    onSubmit: async () => {
      const change = changed(limits.read(), account);
      secretField.fail(null);
      if (secret.value.trim()) {
        const { api_key: key, cookie } = credentialOf(secret.value) ?? {};
        if (!(isStudio ? cookie : key)) {
          secretField.fail(t("accounts.renew_not"));
          return secret.focus();
        }
        Object.assign(change, isStudio ? { cookie } : { api_key: key });
      }
      if (Object.keys(change).length) await api.patch(path(account), change);
      close(true);
    },
  }));
}

async function remove(account) {
  return confirm({
    title: t("accounts.remove_title", { name: account.name }),
    text: t("accounts.remove_text"),
    action: t("accounts.remove"),
    act: async () => {
      await api.remove(path(account));
      notice(t("accounts.was_removed", { name: account.name }));
    },
  });
}
