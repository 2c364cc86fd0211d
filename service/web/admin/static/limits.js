/* The fields of limits that accounts and keys have in common: empty means none. */

import { t } from "./i18n.js";
import { field, input, numberInput, select } from "./parts.js";

const SWITCHES = ["web_search", "loop_guard"];

const isSet = (value) => value !== null && value !== undefined;

/** `names`: which of max_concurrency, requests_per_minute, tokens_per_minute, weight, budget_usd, models,
 *  and the switches web_search and loop_guard, whose null is what the configuration says. {element(s),
 *  read()}: `read` gives every name, null where the field is empty, and throws RangeError. */
export function limitFields(names, values = {}, { modelIds = [] } = {}) {
  const controls = {};
  const fields = {};
  for (const name of names) {
    if (name === "models") {
      controls[name] = input({
        value: (values.models ?? []).join(", "),
        placeholder: modelIds.slice(0, 2).join(", "),
      });
    } else if (SWITCHES.includes(name)) {
      const options = ["", "true", "false"].map((id) => ({
        id,
        label: t(`limit.switch_${id || "default"}`),
      }));
      controls[name] = select(options, { value: isSet(values[name]) ? String(values[name]) : "" });
    } else {
      const isFraction = name === "budget_usd" || name === "weight";
      controls[name] = numberInput({
        step: isFraction ? "any" : 1,
        value: isSet(values[name]) ? values[name] : "",
      });
    }
    controls[name].name = name;
    fields[name] = field(t(`limit.${name}`), controls[name], {
      hint: t(`limit.${name}_hint`),
      optional: true,
    });
  }
  return {
    elements: Object.values(fields),
    fail: (name, message) => fields[name]?.fail(message),
    read() {
      const found = {};
      for (const name of names) {
        fields[name].fail(null);
        found[name] =
          name === "models"
            ? listOf(controls[name].value)
            : SWITCHES.includes(name)
              ? ({ true: true, false: false }[controls[name].value] ?? null)
              : numberOf(controls[name], fields[name]);
      }
      return found;
    },
  };
}

function listOf(text) {
  return text.split(/[\s,，、]+/).filter(Boolean);
}

function numberOf(control, place) {
  if (control.validity.badInput || (control.value !== "" && Number(control.value) < 0)) {
    place.fail(t("limit.not_a_number"));
    control.focus();
    throw new RangeError(t("limit.not_a_number"));
  }
  return control.value === "" ? null : Number(control.value);
}

/** What changed, so that nothing else is sent. */
export function changed(values, before) {
  const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
  const emptyList = (value) => (Array.isArray(value) && !value.length ? null : value);
  return Object.fromEntries(
    Object.entries(values).filter(([name, value]) => !same(emptyList(value), emptyList(before[name]))),
  );
}
