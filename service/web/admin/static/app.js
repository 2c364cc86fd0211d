/* The shell: who is signed in, which view is open, the navigation, what holds everywhere. */

import { api, signals, useToken } from "./api.js";
import { append, fill, h } from "./dom.js";
import { currentLanguage, LANGUAGES, t, useLanguage } from "./i18n.js";
import { icon } from "./icons.js";
import { clearNotices, openDialog } from "./dialog.js";
import { button, failed, loading, select } from "./parts.js";
import { setTheme, theme, THEMES } from "./prefs.js";
import { drawNotConfigured, drawSignIn } from "./view_signin.js";

const VIEWS = {
  overview: () => import("./view_overview.js"),
  accounts: () => import("./view_accounts.js"),
  keys: () => import("./view_keys.js"),
  usage: () => import("./view_usage.js"),
  models: () => import("./view_models.js"),
  playground: () => import("./view_playground.js"),
  live: () => import("./view_live.js"),
  audit: () => import("./view_audit.js"),
};
const ON_PHONE = ["overview", "accounts", "keys", "live"];

const root = document.getElementById("app");
let session = null;
let main = null;
let leave = () => {};
let shown = null;

function wanted() {
  const name = location.hash.replace(/^#\/?/, "").split("?")[0];
  return Object.hasOwn(VIEWS, name) ? name : "overview";
}

async function start() {
  await useLanguage();
  await open();
}

/** Asks who is signed in, and shows what follows from it. */
async function open(said) {
  leave();
  leave = () => {};
  main = null;
  shown = null;
  fill(root, h("main", { class: "centre" }, loading()));
  try {
    session = await api.get("/session");
  } catch (error) {
    if (error.code === "admin_not_configured") session = { is_configured: false };
    else
      return void fill(
        root,
        h(
          "main",
          { class: "centre" },
          outside(),
          failed(error, () => open()),
        ),
      );
  }
  useToken(session.csrf_token ?? null);
  document.title = t("app.title");
  if (!session.is_configured)
    fill(
      root,
      drawNotConfigured(outside(), () => open()),
    );
  else if (!session.is_signed_in)
    fill(
      root,
      drawSignIn(outside(), said, (next) => signedIn(next)),
    );
  else signedIn(session);
}

function signedIn(next) {
  session = next;
  useToken(session.csrf_token);
  clearNotices();
  drawShell();
  go();
}

/** The language and the theme, where there is no navigation yet. */
function outside() {
  return h("div", { class: "outside" }, languageSelect(), themeSelect());
}

function languageSelect() {
  return select(LANGUAGES, {
    value: currentLanguage(),
    "aria-label": t("app.language"),
    class: "compact language",
    on: {
      change: async (event) => {
        await useLanguage(event.target.value);
        if (main) {
          drawShell();
          await go();
          document.querySelector("select.language")?.focus();
        } else {
          await open();
        }
      },
    },
  });
}

function themeSelect() {
  return select(
    THEMES.map((id) => ({ id, label: t(`theme.${id}`) })),
    {
      value: theme(),
      "aria-label": t("app.theme"),
      class: "compact theme",
      on: { change: (event) => setTheme(event.target.value) },
    },
  );
}

function link(name) {
  return h("a", { href: `#/${name}`, data: { view: name } }, icon(name), h("span", {}, t(`nav.${name}`)));
}

function drawShell() {
  leave();
  leave = () => {};
  shown = null;
  main = h("main", { id: "main", tabindex: -1 });
  const skip = h("a", { class: "skip", href: "#main", on: { click: skipToMain } }, t("app.skip"));
  const side = h(
    "aside",
    { class: "side" },
    brand(),
    h("nav", { "aria-label": t("app.navigation") }, Object.keys(VIEWS).map(link)),
    h(
      "div",
      { class: "side-foot" },
      languageSelect(),
      themeSelect(),
      button({ label: t("app.sign_out"), glyph: "signout", kind: "quiet", onClick: signOut }),
      h("p", { class: "version" }, t("app.version", { version: session.version ?? "" })),
    ),
  );
  const bar = h(
    "nav",
    { class: "tabbar", "aria-label": t("app.navigation") },
    ON_PHONE.map(link),
    h(
      "button",
      { type: "button", on: { click: openMore }, data: { more: "" } },
      icon("more"),
      h("span", {}, t("nav.more")),
    ),
  );
  const top = h("header", { class: "top" }, brand());
  const offline = h("div", { class: "offline", role: "status" });
  fill(root, skip, side, h("div", { class: "page" }, top, offline, main), bar);
}

function brand() {
  return h(
    "div",
    { class: "brand" },
    h("img", { src: "/admin/assets/icon.svg", alt: "", width: 26, height: 26 }),
    h("span", {}, "MiMo Gateway"),
  );
}

function skipToMain(event) {
  event.preventDefault();
  main.focus();
}

/** On a phone: the views that have no room in the bar, and what stands below the sidebar elsewhere. */
function openMore() {
  openDialog(
    t("nav.more"),
    (close) => ({
      body: [
        append(
          h("nav", {
            class: "sheet",
            "aria-label": t("nav.more"),
            on: { click: (event) => event.target.closest("a") && close() },
          }),
          Object.keys(VIEWS)
            .filter((name) => !ON_PHONE.includes(name))
            .map(link),
        ),
        h("div", { class: "sheet-foot" }, languageSelect(), themeSelect()),
      ],
      actions: [
        h("span", { class: "version" }, t("app.version", { version: session.version ?? "" })),
        button({
          label: t("app.sign_out"),
          glyph: "signout",
          onClick: () => {
            close();
            signOut();
          },
        }),
      ],
    }),
    { className: "bottom" },
  );
}

async function signOut() {
  try {
    await api.remove("/session");
  } catch (error) {
    if (error.isOffline) return; // the banner says so; the session is still there
  }
  await open(t("signin.signed_out"));
}

/** Shows the view that the address names. */
async function go() {
  if (!main) return;
  const name = wanted();
  if (name === shown) return;
  shown = name;
  leave();
  leave = () => {};
  for (const each of document.querySelectorAll("[data-view]")) {
    if (each.dataset.view === name) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  document.querySelector("[data-more]")?.classList.toggle("current", !ON_PHONE.includes(name));
  document.title = `${t(`nav.${name}`)} · ${t("app.title")}`;
  fill(main, loading());
  let view;
  try {
    view = await VIEWS[name]();
  } catch {
    shown = null;
    fill(main, failed({ isOffline: true }, go));
    return;
  }
  if (shown !== name) return;
  fill(main);
  leave = view.mount(main) ?? (() => {});
  window.scrollTo(0, 0);
  main.querySelector("h1")?.focus({ preventScroll: true });
}

window.addEventListener("hashchange", () => go());
signals.addEventListener("signed-out", () => {
  if (!main) return;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  open(t("signin.session_ended"));
});
signals.addEventListener("offline", () => setOffline(true));
signals.addEventListener("online", () => setOffline(false));

function setOffline(is) {
  const banner = root.querySelector(".offline");
  if (banner && is !== banner.classList.contains("on")) {
    banner.classList.toggle("on", is);
    fill(banner, is && [icon("offline"), h("span", {}, t("app.offline"))]);
  }
}

start();
