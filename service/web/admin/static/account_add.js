/* Adding an account: a key, a Cookie header or a copied cURL command, recognised here and then by the
 * server. */

import { api } from "./api.js";
import { notice, openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { t, word } from "./i18n.js";
import { limitFields } from "./limits.js";
import { badge, button, field, input, messageOf, segmented, select } from "./parts.js";
import { credentialOf, MAX_CHARS, planOf, recognise } from "./recognise.js";

const WAIT_MS = 350;
const LIMITS = ["max_concurrency", "requests_per_minute", "tokens_per_minute", "weight", "models"];
const REGIONS = ["cn", "sgp", "ams"];
const FORMS = ["api_key", "cookie", "curl"];

/** Resolves to true when an account was added. */
export function openAddAccount() {
  return openDialog(t("add.title"), (close) => dialog(close), { className: "wide" });
}

function dialog(close) {
  let form = "api_key";
  let timer = null;
  let asking = null;
  const secrets = {
    api_key: input({ type: "password", name: "api_key", placeholder: "sk-…  tp-…", maxlength: 4096 }),
    cookie: h("textarea", {
      name: "cookie",
      rows: 4,
      spellcheck: "false",
      autocomplete: "off",
      placeholder: "serviceToken=…; userId=…; xiaomichatbot_ph=…",
    }),
    curl: h("textarea", {
      name: "curl",
      rows: 6,
      spellcheck: "false",
      autocomplete: "off",
      placeholder: "curl 'https://…' -H 'Cookie: …'",
    }),
  };
  const fields = Object.fromEntries(
    FORMS.map((id) => [id, field(t(`add.${id}`), secrets[id], { hint: t(`add.${id}_hint`) })]),
  );
  const name = input({ name: "name", maxlength: 64 });
  const baseUrl = input({ name: "base_url", type: "url", placeholder: "https://…" });
  const nameField = field(t("add.name"), name, { hint: t("add.name_hint"), optional: true });
  const baseUrlField = field(t("add.base_url"), baseUrl, { hint: t("add.base_url_hint"), optional: true });
  const region = select(
    REGIONS.map((id) => ({ id, label: t(`region.${id}`) })),
    { name: "region", value: "cn" },
  );
  const regionField = field(t("add.region"), region, { hint: t("add.region_hint") });
  regionField.hidden = true;
  const limits = limitFields(LIMITS);
  const preview = h("div", { class: "preview", "aria-live": "polite" });
  const place = h("div", {});
  const submit = h("button", { type: "submit", class: "button primary", disabled: true }, t("add.submit"));
  const choice = segmented({
    legend: t("add.form"),
    name: "form",
    options: FORMS.map((id) => ({ id, label: t(`add.as_${id}`) })),
    value: form,
    onChange: choose,
  });

  function choose(id) {
    form = id;
    fill(place, fields[id]);
    look();
    secrets[id].focus();
  }

  function body() {
    const more = {};
    if (name.value.trim()) more.name = name.value.trim();
    if (baseUrl.value.trim()) more.base_url = baseUrl.value.trim();
    for (const [key, value] of Object.entries(limits.read())) {
      if (value !== null && !(Array.isArray(value) && !value.length)) more[key] = value;
    }
    const known = credentialOf(secrets[form].value);
    if (!regionField.hidden && !more.base_url) more.region = region.value;
    return { ...known, ...more };
  }

  function look() {
    clearTimeout(timer);
    asking?.abort();
    const here = recognise(secrets[form].value);
    // Pasted under the wrong heading: go where it belongs.
    if (here.form in fields && here.form !== form && (here.key || Object.keys(here.found).length)) {
      const text = secrets[form].value;
      secrets[form].value = "";
      secrets[here.form].value = text;
      place.closest("form").querySelector(`input[type=radio][value=${here.form}]`).checked = true;
      return choose(here.form);
    }
    fill(preview, localPreview(here));
    regionField.hidden =
      here.form !== "api_key" || planOf(here.key) !== "token-plan" || Boolean(baseUrl.value.trim());
    const isComplete = credentialOf(secrets[form].value) !== null;
    submit.disabled = !isComplete;
    if (isComplete) timer = setTimeout(askServer, WAIT_MS);
  }

  async function askServer() {
    asking = new AbortController();
    try {
      const told = await api.post("/accounts/recognise", body(), { signal: asking.signal });
      fill(preview, serverPreview(told));
      name.placeholder = told.name ?? "";
    } catch (error) {
      if (error.name === "AbortError" || error instanceof RangeError) return;
      if (error.status === undefined) throw error;
      fill(preview, h("p", { class: "problem" }, messageOf(error)));
    }
  }

  for (const control of [...Object.values(secrets), name, baseUrl, region])
    control.addEventListener("input", look);
  fill(place, fields[form]);
  queueMicrotask(() => secrets[form].focus());
  return {
    body: [
      choice,
      place,
      regionField,
      preview,
      nameField,
      h(
        "details",
        {},
        h("summary", {}, t("add.more")),
        baseUrlField,
        h("div", { class: "fields" }, limits.elements),
      ),
    ],
    actions: [button({ label: t("common.cancel"), onClick: () => close(false) }), submit],
    onSubmit: async () => {
      if (!credentialOf(secrets[form].value)) return;
      const added = await api.post("/accounts", body());
      for (const control of Object.values(secrets)) control.value = "";
      notice(t("add.added", { name: added.name }));
      close(true);
    },
  };
}

function localPreview(here) {
  if (here.form === "empty") return null;
  if (here.form === "long") return h("p", { class: "problem" }, t("add.too_long", { n: MAX_CHARS }));
  if (here.key) return h("p", {}, badge(word("plan", planOf(here.key)), "ok"));
  const names = { service_token: "serviceToken", user_id: "userId", xiaomichatbot_ph: "xiaomichatbot_ph" };
  return [
    h(
      "ul",
      { class: "found" },
      Object.entries(names).map(([key, cookie]) =>
        h(
          "li",
          {},
          badge(cookie, key in here.found ? "ok" : "bad"),
          h("span", { class: "sr" }, key in here.found ? t("add.found") : t("add.not_found")),
        ),
      ),
    ),
    here.missing.length > 0 &&
      h("p", { class: "problem" }, t("add.missing", { names: here.missing.join(", ") })),
  ];
}

function serverPreview(told) {
  const pairs = [
    [t("add.kind"), word("kind", told.kind)],
    told.plan && [t("add.plan"), word("plan", told.plan)],
    told.region && [t("add.region"), word("region", told.region)],
    [t("add.host"), told.base_url],
    [t("add.name"), told.name],
  ].filter(Boolean);
  return [
    h("p", {}, badge(t("add.recognised"), "ok")),
    h(
      "dl",
      { class: "facts" },
      pairs.map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value))),
    ),
  ];
}
