/* Two languages: the browser's first wish decides, a choice made here is remembered. */

import { remember, remembered } from "./prefs.js";

export const LANGUAGES = [
  { id: "en", label: "English" },
  { id: "zh-CN", label: "简体中文" },
];

let language = "en";
let texts = {};
let plurals = new Intl.PluralRules("en");

export function wished(languages) {
  for (const name of languages) {
    if (/^zh\b/i.test(name)) return "zh-CN";
    if (/^en\b/i.test(name)) return "en";
  }
  return "en";
}

export function currentLanguage() {
  return language;
}

/** Loads the texts of `name`, or of the language chosen before, or of the browser's. */
export async function useLanguage(name) {
  if (name) remember("language", name);
  const chosen = name ?? remembered("language");
  language = LANGUAGES.some(({ id }) => id === chosen) ? chosen : wished(navigator.languages ?? []);
  texts = (await (language === "zh-CN" ? import("./text_zh.js") : import("./text_en.js"))).default;
  plurals = new Intl.PluralRules(language);
  document.documentElement.lang = language;
}

/** The text of a key, `{name}` replaced. Texts in two forms are chosen by `count`. */
export function t(key, values = {}) {
  let text = texts[key];
  if (text === undefined) return key;
  if (typeof text === "object") text = text[plurals.select(values.count ?? 0)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** The text of a word that the gateway chose from a closed set; the word itself where it is newer than this
 *  page. */
export function word(prefix, value) {
  const key = `${prefix}.${value}`;
  return texts[key] === undefined ? String(value) : t(key);
}
