/* What several views are made of: buttons, badges, fields, tables, and what stands where data does not. */

import { append, fill, h, newId } from "./dom.js";
import { t, word } from "./i18n.js";
import { duration } from "./format.js";
import { icon } from "./icons.js";

/** A button with an icon, a label, or both. Without a visible label `name` is what it is called. */
export function button({ label, name, glyph, kind = "plain", focus, onClick, ...rest }) {
  const props = {
    type: "button",
    class: `button ${kind}${label ? "" : " only-icon"}`,
    on: { click: onClick },
    ...rest,
  };
  if (!label) Object.assign(props, { "aria-label": name, title: name });
  if (focus) props.data = { ...props.data, focus };
  return h("button", props, glyph && icon(glyph), label && h("span", {}, label));
}

/** Runs what `action` does while the button says that it is busy. */
export async function busy(element, action) {
  if (element.getAttribute("aria-busy") === "true") return;
  element.setAttribute("aria-busy", "true");
  try {
    await action();
  } finally {
    element.removeAttribute("aria-busy");
  }
}

const TONES = {
  ready: "ok",
  half_open: "warn",
  cooling: "warn",
  quarantined: "bad",
  disabled: "idle",
};

/** A dot and a word: no state is told by colour alone. */
export function badge(label, tone = "idle") {
  return h("span", { class: `badge ${tone}` }, h("span", { class: "dot", "aria-hidden": "true" }), label);
}

export function stateBadge(state) {
  return badge(word("state", state), TONES[state] ?? "idle");
}

/** Text that counts down to an instant; `tick` keeps it true. */
export function remaining(endS, key = "accounts.for_another") {
  return h(
    "span",
    { class: "remaining", data: { until: endS, key } },
    untilText(endS, key, Date.now() / 1000),
  );
}

function untilText(endS, key, nowS) {
  return endS > nowS ? t(key, { time: duration(endS - nowS) }) : t("accounts.any_moment");
}

/** Brings every countdown and every age below `root` up to `nowS`. */
export function tick(root, nowS) {
  for (const element of root.querySelectorAll("[data-until]")) {
    element.textContent = untilText(Number(element.dataset.until), element.dataset.key, nowS);
  }
  for (const element of root.querySelectorAll("[data-since]")) {
    element.textContent = duration(nowS - Number(element.dataset.since));
  }
}

/** A page's head: its name (focused when the page opens), a word about it, what can be done. */
export function head(title, hint, ...actions) {
  return h(
    "header",
    { class: "page-head" },
    h("div", {}, h("h1", { tabindex: -1 }, title), hint && h("p", { class: "hint" }, hint)),
    h("div", { class: "actions" }, actions),
  );
}

export function loading() {
  return h(
    "div",
    { class: "loading", role: "status" },
    h("span", { class: "sr" }, t("common.loading")),
    [70, 100, 85].map((share) => h("div", { class: `skeleton w${share}`, "aria-hidden": "true" })),
  );
}

export function empty(title, hint, action) {
  return h("div", { class: "empty" }, h("h2", {}, title), hint && h("p", {}, hint), action);
}

/** What went wrong, in words, and the way out. */
export function failed(error, retry) {
  return h(
    "div",
    { class: "failed", role: "alert" },
    icon(error.isOffline ? "offline" : "alert"),
    h(
      "div",
      {},
      h("strong", {}, error.isOffline ? t("error.offline") : t("error.title")),
      h("p", {}, messageOf(error)),
    ),
    retry && button({ label: t("common.retry"), glyph: "refresh", onClick: retry }),
  );
}

/** The gateway's own words where it had some. */
export function messageOf(error) {
  if (error.isOffline) return t("error.offline_hint");
  const param = error.param ? ` (${error.param})` : "";
  return `${error.message ?? error}${param}`;
}

/** Loads and draws into `root`: loading, then what `draw` makes of the data, or the failure with a way to
 *  retry. Data that did not change is not drawn again, and of answers that overtake one another the last
 *  asked counts. With `onError` a failure after the first success leaves what is shown: the view tells of
 *  it elsewhere. */
export function loader(root, { load, draw, onError }) {
  let last = null;
  let isShown = false;
  let isGone = false;
  let asked = 0;
  const refresh = async () => {
    if (!isShown) fill(root, loading());
    asked += 1;
    const mine = asked;
    try {
      const data = await load();
      if (isGone || mine !== asked) return;
      const text = JSON.stringify(data);
      onError?.(null);
      if (isShown && text === last) return;
      last = text;
      isShown = true;
      fill(root, draw(data));
    } catch (error) {
      if (error.status === undefined) throw error;
      if (isGone || mine !== asked) return;
      onError?.(error);
      if (isShown && onError) return;
      isShown = false;
      fill(root, failed(error, refresh));
    }
  };
  return {
    refresh,
    redraw() {
      if (last !== null && isShown) fill(root, draw(JSON.parse(last)));
    },
    stop() {
      isGone = true;
    },
  };
}

/** A table that becomes a list of cards on a phone. Columns: {label, cell(row), kind?:
 *  "number"|"actions"|"title"}. Roles are spelled out: some browsers forget a table's own once its boxes
 *  are blocks. */
export function table({ caption, columns, rows, rowClass, foot }) {
  const cellOf = (column, content) =>
    h(
      column.kind === "title" ? "th" : "td",
      {
        class: column.kind ?? "",
        role: column.kind === "title" ? "rowheader" : "cell",
        scope: column.kind === "title" ? "row" : null,
        data: column.kind === "title" || column.kind === "actions" ? {} : { label: column.label },
      },
      content,
    );
  return h(
    "div",
    { class: "table-frame", tabindex: 0, role: "region", "aria-label": caption },
    h(
      "table",
      { class: "cards", role: "table" },
      h("caption", { class: "sr" }, caption),
      h(
        "thead",
        { role: "rowgroup" },
        h(
          "tr",
          { role: "row" },
          columns.map((column) => headCell(column)),
        ),
      ),
      h(
        "tbody",
        { role: "rowgroup" },
        rows.map((row) =>
          h(
            "tr",
            { class: rowClass?.(row), role: "row" },
            columns.map((column) => cellOf(column, column.cell(row))),
          ),
        ),
      ),
      foot &&
        h(
          "tfoot",
          { role: "rowgroup" },
          h(
            "tr",
            { role: "row" },
            columns.map((column, index) => cellOf(column, foot[index])),
          ),
        ),
    ),
  );
}

function headCell(column) {
  const content =
    column.kind === "actions"
      ? h("span", { class: "sr" }, column.label)
      : column.onSort
        ? h(
            "button",
            {
              type: "button",
              class: "sort",
              on: { click: column.onSort },
              data: { focus: `sort-${column.label}` },
            },
            column.label,
          )
        : column.label;
  return h(
    "th",
    { scope: "col", role: "columnheader", class: column.kind ?? "", "aria-sort": column.sorted ?? null },
    content,
  );
}

/** A labelled control. `control` gets the id; a hint and an error are tied to it. */
export function field(label, control, { hint, optional = false } = {}) {
  const id = control.id || newId("field");
  control.id = id;
  const error = h("p", { class: "field-error", id: `${id}-error`, hidden: true });
  const described = [`${id}-error`];
  if (hint) described.unshift(`${id}-hint`);
  control.setAttribute("aria-describedby", described.join(" "));
  const element = h(
    "div",
    { class: "field" },
    h("label", { for: id }, label, optional && h("span", { class: "optional" }, ` ${t("common.optional")}`)),
    control,
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
    error,
  );
  element.fail = (message) => {
    error.textContent = message ?? "";
    error.hidden = !message;
    if (message) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  };
  return element;
}

export function input(props = {}) {
  return h("input", { type: "text", autocomplete: "off", spellcheck: "false", ...props });
}

export function numberInput(props = {}) {
  return h("input", { type: "number", inputmode: "decimal", min: 0, autocomplete: "off", ...props });
}

export function select(options, { value, ...props } = {}) {
  return h(
    "select",
    props,
    options.map(({ id, label }) => h("option", { value: id, selected: id === value }, label)),
  );
}

/** One of a few, as buttons in a row: radio inputs, so that the arrow keys work. */
export function segmented({ legend, name, options, value, onChange }) {
  const group = newId(name);
  return h(
    "fieldset",
    { class: "segmented" },
    h("legend", { class: "sr" }, legend),
    options.map(({ id, label }) => {
      const inputId = `${group}-${id}`;
      return [
        h("input", {
          type: "radio",
          id: inputId,
          name: group,
          value: id,
          checked: id === value,
          on: { change: () => onChange(id) },
        }),
        h("label", { for: inputId }, label),
      ];
    }),
  );
}

export function checkbox(label, { checked = false, onChange, ...props } = {}) {
  const control = h("input", {
    type: "checkbox",
    checked,
    on: { change: () => onChange?.(control.checked) },
    ...props,
  });
  return append(h("label", { class: "check" }), [control, h("span", {}, label)]);
}

/** A share of a whole as a bar, with its words beside it. */
export function meter(value, max, label) {
  const bar = h("span", { class: "meter", "aria-hidden": "true" }, h("span", {}));
  const share = max > 0 ? Math.min(1, value / max) : 0;
  bar.firstChild.style.width = `${share * 100}%`;
  if (share >= 1) bar.classList.add("full");
  return h("span", { class: "metered" }, h("span", {}, label), bar);
}

/** Text in a box with a button that copies it. */
export function copyable(text, name, { secret = false } = {}) {
  const code = h("code", { tabindex: 0, class: secret ? "secret" : null }, text);
  const say = h("span", { class: "sr", role: "status" });
  const control = button({
    label: t("common.copy"),
    glyph: "copy",
    "aria-label": `${t("common.copy")}: ${name}`,
    onClick: async () => {
      const isCopied = await copy(text, code);
      control.querySelector("span").textContent = isCopied ? t("common.copied") : t("common.copy_by_hand");
      say.textContent = isCopied ? t("common.copied") : t("common.copy_by_hand");
    },
  });
  return h("div", { class: "copyable" }, h("pre", {}, code), control, say);
}

/** The clipboard is there over https and on localhost; elsewhere the text is selected for the reader's own
 *  keys. */
async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const range = document.createRange();
    range.selectNodeContents(element);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return false;
  }
}
