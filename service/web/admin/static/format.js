/* Numbers, money, times and durations in the reader's language. Empty values are a dash. */

import { currentLanguage, t } from "./i18n.js";

const NONE = "–";
const formats = new Map();

function format(kind, options) {
  const name = `${currentLanguage()} ${kind.name} ${JSON.stringify(options)}`;
  if (!formats.has(name)) formats.set(name, new kind(currentLanguage(), options));
  return formats.get(name);
}

const isNone = (value) => value === null || value === undefined || Number.isNaN(value);

export function integer(value) {
  return isNone(value) ? NONE : format(Intl.NumberFormat, { maximumFractionDigits: 0 }).format(value);
}

/** 1,234 as it is, a million in short. */
export function short(value) {
  if (isNone(value)) return NONE;
  if (Math.abs(value) < 10_000) return integer(value);
  return format(Intl.NumberFormat, { notation: "compact", maximumSignificantDigits: 3 }).format(value);
}

export function percent(ratio, digits = 1) {
  if (isNone(ratio)) return NONE;
  return format(Intl.NumberFormat, { style: "percent", maximumFractionDigits: digits }).format(ratio);
}

/** Micro-dollars as dollars: cents above a dollar, more digits below. */
export function money(microUsd) {
  if (isNone(microUsd)) return NONE;
  const usd = microUsd / 1e6;
  const digits = usd === 0 || Math.abs(usd) >= 1 ? 2 : Math.abs(usd) >= 0.01 ? 3 : 6;
  return format(Intl.NumberFormat, {
    style: "currency",
    currency: "USD",
    currencyDisplay: "narrowSymbol",
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  }).format(usd);
}

export function milliseconds(value) {
  if (isNone(value)) return NONE;
  if (value < 1000) return t("unit.ms", { n: integer(value) });
  return t("unit.s", {
    n: format(Intl.NumberFormat, { maximumFractionDigits: value < 10_000 ? 2 : 1 }).format(value / 1000),
  });
}

/** 75 -> "1 min 15 s"; the two largest units. */
export function duration(seconds) {
  if (isNone(seconds)) return NONE;
  const whole = Math.max(0, Math.round(seconds));
  const parts = [
    ["unit.d", Math.floor(whole / 86_400)],
    ["unit.h", Math.floor(whole / 3_600) % 24],
    ["unit.min", Math.floor(whole / 60) % 60],
    ["unit.s", whole % 60],
  ];
  const first = parts.findIndex(([, n]) => n > 0);
  if (first < 0) return t("unit.s", { n: 0 });
  const shown = parts.slice(first, first + 2).filter(([, n]) => n > 0);
  return shown.map(([key, n]) => t(key, { n: integer(n) })).join(" ");
}

const date = (options) => (seconds) =>
  isNone(seconds) ? NONE : format(Intl.DateTimeFormat, options).format(new Date(seconds * 1000));

export const dateTime = date({ dateStyle: "medium", timeStyle: "medium" });
export const day = date({ dateStyle: "medium" });
export const clock = date({ hour: "2-digit", minute: "2-digit" });
export const dayAndClock = date({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
export const shortDay = date({ month: "short", day: "numeric" });

/** "3 minutes ago", "in 2 hours". */
export function relative(seconds, nowS = Date.now() / 1000) {
  if (isNone(seconds)) return NONE;
  const away = seconds - nowS;
  const apart = Math.abs(away);
  const [unit, length] =
    apart < 60
      ? ["second", 1]
      : apart < 3_600
        ? ["minute", 60]
        : apart < 86_400
          ? ["hour", 3_600]
          : ["day", 86_400];
  return format(Intl.RelativeTimeFormat, { numeric: "auto" }).format(Math.round(away / length), unit);
}

/** An ISO day ("2026-11-20") in the reader's form, without moving it between time zones. */
export function isoDay(text) {
  const at = Date.parse(`${text}T00:00:00Z`);
  if (Number.isNaN(at)) return text;
  return format(Intl.DateTimeFormat, { month: "short", day: "numeric", timeZone: "UTC" }).format(
    new Date(at),
  );
}

/** A context size: 1,048,576 -> 1M, 131,072 -> 128K. */
export function size(tokens) {
  if (isNone(tokens)) return NONE;
  if (tokens >= 1_048_576 && tokens % 1_048_576 === 0) return `${integer(tokens / 1_048_576)}M`;
  return tokens >= 1024 && tokens % 1024 === 0 ? `${integer(tokens / 1024)}K` : integer(tokens);
}
