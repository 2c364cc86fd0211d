/* Who used what: by day, model and key, as a chart, a table and a file. */

import { address, api, query } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { integer, isoDay, money, short } from "./format.js";
import { icon } from "./icons.js";
import { checkbox, empty, field, head, input, loader, segmented, select, table } from "./parts.js";
import { timeChart } from "./chart.js";

const GROUPS = ["day", "model", "key"];
const MEASURES = [
  "cost_micro_usd",
  "requests",
  "input_tokens",
  "cached_tokens",
  "output_tokens",
  "reasoning_tokens",
];
const TONES = ["one", "two", "three", "four", "five", "rest"];
const DAY_MS = 86_400_000;
const shown = (measure) => (value, isTick) =>
  measure === "cost_micro_usd" ? (isTick && value === 0 ? "$0" : money(value)) : short(value);
const dayBefore = (days) => new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10);

export function mount(root) {
  const asked = {
    from: dayBefore(6),
    to: dayBefore(0),
    groups: new Set(["day", "model"]),
    key: "",
    model: "",
  };
  let measure = "cost_micro_usd";
  let order = { by: null, isDown: true };
  const body = h("div", {});
  const path = (format) =>
    "/usage" +
    query({
      from: asked.from,
      to: asked.to,
      group_by: GROUPS.filter((name) => asked.groups.has(name)).join(","),
      key: asked.key,
      model: asked.model,
      format,
    });
  const known = { model: h("datalist", { id: "usage-models" }), key: h("datalist", { id: "usage-keys" }) };
  const view = loader(body, {
    load: async () => {
      const data = await api.get(path("json"));
      learn(known, data.rows);
      return data;
    },
    draw: (data) =>
      drawn(data, { measure, order, onSort, groups: GROUPS.filter((name) => asked.groups.has(name)) }),
  });
  const csv = h(
    "a",
    { class: "button plain", download: "usage.csv" },
    icon("download"),
    h("span", {}, "CSV"),
  );
  const ask = () => {
    csv.href = address(path("csv"));
    csv.download = `usage-${asked.from}-${asked.to}.csv`;
    view.refresh();
  };
  const onSort = (by) => {
    order = { by, isDown: order.by === by ? !order.isDown : true };
    view.redraw();
  };
  root.append(
    head(t("nav.usage"), t("usage.hint"), csv),
    known.model,
    known.key,
    controls({
      asked,
      ask,
      measure,
      onMeasure: (value) => {
        measure = value;
        view.redraw();
      },
    }),
    body,
  );
  ask();
  return view.stop;
}

/** Names that were seen are offered by the filters. */
function learn(known, rows) {
  for (const [name, list] of Object.entries(known)) {
    const names = new Set([
      ...[...list.children].map((option) => option.value),
      ...rows.map((row) => row[name]).filter(Boolean),
    ]);
    fill(
      list,
      [...names].sort().map((value) => h("option", { value })),
    );
  }
}

function controls({ asked, ask, measure, onMeasure }) {
  const set = (name) => (event) => {
    asked[name] = event.target.value.trim();
    if (asked.from && asked.to) ask();
  };
  const from = h("input", {
    type: "date",
    value: asked.from,
    max: dayBefore(-1),
    on: { change: set("from") },
  });
  const to = h("input", { type: "date", value: asked.to, max: dayBefore(-1), on: { change: set("to") } });
  const presets = select(
    [
      { id: "", label: t("usage.own_period") },
      { id: "0", label: t("usage.today") },
      { id: "6", label: t("usage.days", { n: 7 }) },
      { id: "29", label: t("usage.days", { n: 30 }) },
      { id: "89", label: t("usage.days", { n: 90 }) },
    ],
    {
      value: "6",
      on: {
        change: (event) => {
          if (event.target.value === "") return;
          from.value = asked.from = dayBefore(Number(event.target.value));
          to.value = asked.to = dayBefore(0);
          ask();
        },
      },
    },
  );
  const grouping = h(
    "fieldset",
    { class: "checks" },
    h("legend", {}, t("usage.group_by")),
    GROUPS.map((name) =>
      checkbox(t(`usage.${name}`), {
        checked: asked.groups.has(name),
        name: `group_${name}`,
        onChange: (is) => {
          if (is) asked.groups.add(name);
          else asked.groups.delete(name);
          ask();
        },
      }),
    ),
  );
  for (const control of [from, to])
    control.addEventListener("change", () => {
      presets.value = "";
    });
  return h(
    "section",
    { class: "controls", "aria-label": t("usage.controls") },
    field(t("usage.period"), presets),
    field(t("usage.from"), from),
    field(t("usage.to"), to),
    field(
      t("usage.of_model"),
      input({
        placeholder: t("usage.all"),
        name: "model",
        list: "usage-models",
        on: { change: set("model") },
      }),
    ),
    field(
      t("usage.of_key"),
      input({ placeholder: t("usage.all"), name: "key", list: "usage-keys", on: { change: set("key") } }),
    ),
    grouping,
    segmented({
      legend: t("usage.measure"),
      name: "measure",
      options: ["cost_micro_usd", "requests", "input_tokens", "output_tokens"].map((id) => ({
        id,
        label: t(`usage.${id}`),
      })),
      value: measure,
      onChange: onMeasure,
    }),
  );
}

function drawn(data, { measure, order, onSort, groups }) {
  if (!data.rows.length) return empty(t("usage.none"), t("usage.none_hint"));
  return [
    groups.includes("day") ? byDay(data, measure, groups) : byRow(data.rows, measure, groups),
    tableOf(data, { order, onSort, groups }),
    data.price_table &&
      h(
        "p",
        { class: "hint" },
        t("usage.prices", { dated: data.price_table.dated, source: data.price_table.source }),
      ),
  ];
}

const nameOf = (row, groups) =>
  groups.map((name) => (name === "day" ? isoDay(row.day) : (row[name] ?? "–"))).join(" · ") ||
  t("usage.everything");

/** Stacked bars: the largest groups by name, the others together. */
function byDay(data, measure, groups) {
  const others = groups.filter((name) => name !== "day");
  const sums = new Map();
  for (const row of data.rows) {
    const name = nameOf(row, others);
    sums.set(name, (sums.get(name) ?? 0) + (row[measure] ?? 0));
  }
  const names = [...sums].sort((one, other) => other[1] - one[1]).map(([name]) => name);
  const own = names.slice(0, names.length > TONES.length ? TONES.length - 1 : TONES.length);
  const points = daysOf(data.from, data.to).map((day) => ({
    time: Date.parse(`${day}T00:00:00Z`) / 1000,
    day,
  }));
  const pointOf = new Map(points.map((point) => [point.day, point]));
  for (const row of data.rows) {
    const point = pointOf.get(row.day);
    if (!point) continue;
    const index = own.indexOf(nameOf(row, others));
    const key = `s${index < 0 ? "rest" : index}`;
    point[key] = (point[key] ?? 0) + (row[measure] ?? 0);
  }
  const series = own.map((name, index) => ({
    key: `s${index}`,
    label: name,
    tone: TONES[index],
    shape: "bar",
  }));
  if (own.length < names.length)
    series.push({ key: "srest", label: t("usage.others"), tone: "rest", shape: "bar" });
  return timeChart({
    title: t(`usage.${measure}`),
    total: shown(measure)(data.totals[measure]),
    series,
    points,
    show: shown(measure),
    stepS: 86_400,
    label: (time) => isoDay(new Date(time * 1000).toISOString().slice(0, 10)),
  });
}

function daysOf(from, to) {
  const days = [];
  for (
    let at = Date.parse(`${from}T00:00:00Z`);
    at <= Date.parse(`${to}T00:00:00Z`) && days.length < 400;
    at += DAY_MS
  ) {
    days.push(new Date(at).toISOString().slice(0, 10));
  }
  return days;
}

/** Without days: one bar a group, longest first. */
function byRow(rows, measure, groups) {
  const most = Math.max(...rows.map((row) => row[measure] ?? 0), 1);
  const sorted = [...rows].sort((one, other) => (other[measure] ?? 0) - (one[measure] ?? 0)).slice(0, 12);
  return h(
    "figure",
    { class: "chart", "aria-label": t(`usage.${measure}`) },
    h("figcaption", {}, h("span", { class: "chart-title" }, t(`usage.${measure}`))),
    h(
      "ul",
      { class: "bars" },
      sorted.map((row) => {
        const bar = h("span", { class: "bar", "aria-hidden": "true" });
        bar.style.width = `${((row[measure] ?? 0) / most) * 100}%`;
        return h(
          "li",
          {},
          h("span", { class: "bar-name" }, nameOf(row, groups)),
          h("span", { class: "bar-track" }, bar),
          h("span", { class: "bar-value" }, shown(measure)(row[measure])),
        );
      }),
    ),
  );
}

function tableOf(data, { order, onSort, groups }) {
  const rows = [...data.rows];
  if (order.by) {
    const valueOf = (row) => row[order.by] ?? 0;
    rows.sort(
      (one, other) =>
        (valueOf(one) > valueOf(other) ? 1 : valueOf(one) < valueOf(other) ? -1 : 0) *
        (order.isDown ? -1 : 1),
    );
  }
  const sortable = (name) => ({
    onSort: () => onSort(name),
    sorted: order.by === name ? (order.isDown ? "descending" : "ascending") : null,
  });
  const cell = (name) => (row) => (name === "cost_micro_usd" ? money(row[name]) : integer(row[name]));
  const names = groups.length ? groups : ["all"];
  const groupCell = {
    day: (row) => isoDay(row.day),
    model: (row) => row.model ?? "–",
    key: (row) => row.key ?? "–",
    all: () => t("usage.everything"),
  };
  const columns = [
    ...names.map((name, index) => ({
      label: t(`usage.${name}`),
      kind: index === 0 ? "title" : undefined,
      cell: groupCell[name],
      ...(name === "all" ? {} : sortable(name)),
    })),
    ...MEASURES.map((name) => ({
      label: t(`usage.${name}`),
      kind: "number",
      cell: cell(name),
      ...sortable(name),
    })),
  ];
  const foot = [
    ...names.map((_, index) => (index === 0 ? t("usage.total") : "")),
    ...MEASURES.map((name) => cell(name)(data.totals)),
  ];
  return table({ caption: t("nav.usage"), rows, columns, foot });
}
