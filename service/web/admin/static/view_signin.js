/* Before anything is shown: the admin key, or how to set one. */

import { api } from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { busy, button, copyable, field, input, messageOf } from "./parts.js";
import { duration } from "./format.js";

function card(outside, ...content) {
  return h(
    "main",
    { class: "centre" },
    outside,
    h(
      "section",
      { class: "card signin" },
      h("img", { src: "/admin/assets/icon.svg", alt: "", width: 44, height: 44 }),
      content,
    ),
  );
}

export function drawNotConfigured(outside, retry) {
  return card(
    outside,
    h("h1", {}, t("setup.title")),
    h("p", {}, t("setup.text")),
    h("p", {}, t("setup.shell")),
    copyable('export MIMO_ADMIN_KEY="$(openssl rand -hex 24)"\nmimo-gateway serve', t("setup.title")),
    h("p", { class: "hint" }, t("setup.hint")),
    button({ label: t("common.retry"), glyph: "refresh", onClick: retry }),
  );
}

/** `said`: why the reader is here again, if there is a reason. */
export function drawSignIn(outside, said, onSignedIn) {
  const key = input({
    type: "password",
    name: "admin_key",
    required: true,
    autocomplete: "current-password",
    autofocus: true,
  });
  const keyField = field(t("signin.key"), key, { hint: t("signin.hint") });
  const submit = h("button", { type: "submit", class: "button primary wide" }, t("signin.submit"));
  const send = async (event) => {
    event.preventDefault();
    keyField.fail(null);
    if (!key.value.trim()) {
      keyField.fail(t("signin.empty"));
      return key.focus();
    }
    await busy(submit, async () => {
      try {
        const session = await api.post("/session", { admin_key: key.value.trim() });
        key.value = "";
        onSignedIn(session);
      } catch (error) {
        keyField.fail(told(error));
        key.select();
      }
    });
  };
  const form = h("form", { on: { submit: send }, novalidate: true }, keyField, submit);
  const page = card(
    outside,
    h("h1", {}, t("signin.title")),
    said && h("p", { class: "said", role: "status" }, said),
    form,
  );
  queueMicrotask(() => key.focus());
  return page;
}

function told(error) {
  if (error.status === 401) return t("signin.wrong");
  if (error.status === 429) return t("signin.too_many", { time: duration(error.retryAfterS ?? 60) });
  return messageOf(error);
}
