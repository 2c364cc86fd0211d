/* Dialogs and short notices. `<dialog>` keeps the focus inside, closes on Escape, and gives the focus
 * back. */

import { fill, h, newId } from "./dom.js";
import { t } from "./i18n.js";
import { busy, button, messageOf } from "./parts.js";

/** Opens a dialog; `build(close)` gives {body, actions, onSubmit?}. Resolves when it is closed. */
export function openDialog(title, build, { className = "" } = {}) {
  return new Promise((resolve) => {
    const titleId = newId("dialog");
    const problem = h("p", { class: "problem", role: "alert", hidden: true });
    let result;
    const close = (value) => {
      result = value;
      dialog.close();
      ended();
    };
    const { body, actions, onSubmit } = build(close);
    const form = h(
      "form",
      { method: "dialog", novalidate: true, on: { submit: submit } },
      h(
        "header",
        {},
        h("h2", { id: titleId }, title),
        button({ name: t("common.close"), glyph: "close", kind: "quiet", onClick: () => close() }),
      ),
      h("div", { class: "dialog-body" }, body, problem),
      h("footer", {}, actions),
    );
    const dialog = h("dialog", { class: className, "aria-labelledby": titleId }, form);
    const opener = document.activeElement;

    async function submit(event) {
      event.preventDefault();
      if (!onSubmit) return;
      problem.hidden = true;
      await busy(form, async () => {
        try {
          await onSubmit();
        } catch (error) {
          if (error.status === undefined && !(error instanceof RangeError)) throw error;
          problem.textContent = messageOf(error);
          problem.hidden = false;
        }
      });
    }

    // At once, not with the event: what the dialog shows may be a secret.
    function ended() {
      if (!dialog.isConnected) return;
      dialog.remove();
      const back = opener?.isConnected ? opener : again(opener);
      back?.focus?.();
      resolve(result);
    }

    dialog.addEventListener("close", ended);
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** What stands where the opener stood, if the list behind the dialog was drawn anew. */
function again(opener) {
  const name = opener?.dataset?.focus;
  return (
    (name && document.querySelector(`[data-focus="${CSS.escape(name)}"]`)) || document.querySelector("h1")
  );
}

/** Asks before something is lost. `act` runs while the dialog is open, so that its failure is told there. */
export function confirm({ title, text, action, act }) {
  return openDialog(
    title,
    (close) => ({
      body: h("p", {}, text),
      actions: [
        button({ label: t("common.cancel"), onClick: () => close(false), autofocus: true }),
        h("button", { type: "submit", class: "button danger" }, action),
      ],
      onSubmit: async () => {
        await act();
        close(true);
      },
    }),
    { className: "small" },
  );
}

let region = null;

/** A line at the foot of the page, read out, gone after some seconds or with its button. */
export function notice(text, tone = "ok") {
  region ??= h("div", { class: "notices", role: "status" });
  if (!region.isConnected) document.body.append(region);
  const item = h("div", { class: `notice ${tone}` }, h("span", {}, text));
  const leave = () => item.remove();
  item.append(button({ name: t("common.close"), glyph: "close", kind: "quiet", onClick: leave }));
  if (region.children.length > 2) region.firstChild.remove();
  region.append(item);
  setTimeout(leave, tone === "bad" ? 12_000 : 6_000);
}

export function clearNotices() {
  if (region) fill(region);
}

/** Runs an action of a button; what went wrong is told at the foot of the page. */
export async function attempt(element, action) {
  await busy(element, async () => {
    try {
      await action();
    } catch (error) {
      if (error.status === undefined) throw error;
      if (error.status !== 401) notice(messageOf(error), "bad");
    }
  });
}
