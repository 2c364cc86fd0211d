/* Charts over time as SVG. Each has its words: a summary, a value read out under the arrow keys, and a
 * table. */

import { fill, h, newId, svg } from "./dom.js";
import { t } from "./i18n.js";
import { clock, dayAndClock, shortDay } from "./format.js";
import { button } from "./parts.js";

const HEIGHT = 150;
const MARGIN = { top: 8, right: 4, bottom: 20 };
const LETTER = 6.6; // the width of a digit in a tick, px
const MOST_BAR = 56;

/** A round number at or above `value` whose thirds or halves are round too. */
export function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((top) => top >= value * 0.999);
}

/** `series`: [{key, label, tone, shape: "bar" | "line"}]; bars are stacked. `points`: [{time, <key>: number
 *  | null}]. `show` makes words of a value, `total` is the number in the head, `label(time)` a point's
 *  name. */
export function timeChart({ title, total, series, points, show, stepS, label }) {
  const state = { at: null, isTable: false };
  const head = h("span", { class: "chart-total" }, total);
  const id = newId("chart");
  const name =
    label ?? ((time) => (stepS >= 86_400 ? shortDay(time) : stepS >= 900 ? dayAndClock(time) : clock(time)));
  const plot = h("div", { class: "plot", tabindex: 0, role: "img", data: { focus: title } });
  const tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  const said = h("div", { class: "sr", "aria-live": "polite" });
  const frame = h("div", { class: "plot-frame" }, plot, tip, said);
  const body = h("div", {}, frame);
  const toggle = button({
    name: t("chart.as_table"),
    glyph: "table",
    kind: "quiet",
    focus: `${title} table`,
    "aria-label": `${t("chart.as_table")}: ${title}`,
    "aria-pressed": "false",
    onClick: () => {
      state.isTable = !state.isTable;
      toggle.setAttribute("aria-pressed", String(state.isTable));
      fill(body, state.isTable ? tableOf(title, series, points, show, name) : frame);
    },
  });
  const draw = () => {
    const width = plot.clientWidth;
    if (width > 0) fill(plot, drawing({ width, series, points, show, name, at: state.at }));
  };
  const point = (index) => {
    state.at = index;
    draw();
    tip.hidden = index === null;
    if (index === null) return;
    fill(
      tip,
      h("strong", {}, name(points[index].time)),
      series.map((one) =>
        h(
          "div",
          {},
          h("span", { class: `swatch ${one.tone}` }),
          `${one.label}: ${show(points[index][one.key])}`,
        ),
      ),
    );
    const { left } = scaleOf(series, points, show);
    const x = left + ((index + 0.5) / points.length) * (plot.clientWidth - left - MARGIN.right);
    const isRight = x > plot.clientWidth / 2;
    tip.style.left = isRight ? "auto" : `${x + 10}px`;
    tip.style.right = isRight ? `${plot.clientWidth - x + 10}px` : "auto";
  };
  plot.addEventListener("pointermove", (event) => {
    const { left } = scaleOf(series, points, show);
    const inner = plot.clientWidth - left - MARGIN.right;
    const share = (event.clientX - plot.getBoundingClientRect().left - left) / inner;
    const index = Math.floor(share * points.length);
    point(index >= 0 && index < points.length ? index : null);
  });
  plot.addEventListener("pointerleave", () => point(null));
  plot.addEventListener("blur", () => point(null));
  plot.addEventListener("keydown", (event) => {
    const last = points.length - 1;
    const from = state.at ?? last + 1;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last, Escape: null }[event.key];
    if (to === undefined || !points.length) return;
    event.preventDefault();
    point(to === null ? null : Math.max(0, Math.min(last, to)));
    if (state.at === null) return;
    said.textContent = [
      name(points[state.at].time),
      ...series.map((one) => `${one.label}: ${show(points[state.at][one.key])}`),
    ].join(", ");
  });
  new ResizeObserver(draw).observe(plot);
  const tell = () => plot.setAttribute("aria-label", summary(title, series, points, show, name));
  tell();
  const figure = h(
    "figure",
    { class: "chart", "aria-labelledby": id },
    h(
      "figcaption",
      {},
      h("div", {}, h("span", { class: "chart-title", id }, title), head),
      h(
        "div",
        { class: "legend" },
        series.length > 1 &&
          series.map((one) => h("span", {}, h("span", { class: `swatch ${one.tone}` }), one.label)),
        toggle,
      ),
    ),
    body,
  );
  /** Newer points, with the table open or the pointer where it was. */
  figure.update = (next) => {
    points = next.points;
    head.textContent = next.total ?? "";
    tell();
    if (state.at !== null && state.at >= points.length) point(null);
    if (state.isTable) fill(body, tableOf(title, series, points, show, name));
    else draw();
  };
  return figure;
}

/** The highest value that the axis shows, and the room that its words need. */
function scaleOf(series, points, show) {
  const bars = series.filter((one) => one.shape === "bar");
  const lines = series.filter((one) => one.shape === "line");
  const tops = points.map((each) =>
    Math.max(
      bars.reduce((sum, one) => sum + (each[one.key] ?? 0), 0),
      ...lines.map((one) => each[one.key] ?? 0),
    ),
  );
  const top = niceTop(Math.max(0, ...tops));
  const letters = Math.max(...[0, top / 2, top].map((value) => show(value, true).length));
  return { top, left: Math.max(36, letters * LETTER + 10) };
}

function drawing({ width, series, points, show, name, at }) {
  const bars = series.filter((one) => one.shape === "bar");
  const lines = series.filter((one) => one.shape === "line");
  const { top, left } = scaleOf(series, points, show);
  const inner = { width: width - left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const slot = inner.width / Math.max(1, points.length);
  const x = (index) => left + index * slot;
  const y = (value) => MARGIN.top + inner.height * (1 - value / top);
  const parts = [...gridOf({ top, y, left, width, show }), ...timesOf({ points, x, slot, name })];
  if (at !== null)
    parts.push(svg("rect", { class: "here", x: x(at), y: MARGIN.top, width: slot, height: inner.height }));
  points.forEach((each, index) => {
    let from = 0;
    for (const one of bars) {
      const value = each[one.key] ?? 0;
      if (value > 0) parts.push(barOf({ one, x: x(index), slot, from: y(from), to: y(from + value) }));
      from += value;
    }
  });
  for (const one of lines) parts.push(...lineOf({ one, points, x: (index) => x(index) + slot / 2, y }));
  return svg("svg", { width, height: HEIGHT, "aria-hidden": "true", focusable: "false" }, parts);
}

function gridOf({ top, y, left, width, show }) {
  return [0, top / 2, top].flatMap((value) => [
    svg("line", {
      class: value === 0 ? "axis" : "grid",
      x1: left,
      x2: width - MARGIN.right,
      y1: y(value),
      y2: y(value),
    }),
    svg("text", { class: "tick", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, show(value, true)),
  ]);
}

function timesOf({ points, x, slot, name }) {
  const width = slot * points.length;
  const count = Math.max(1, Math.min(points.length, Math.floor(width / 110)));
  const every = Math.max(1, Math.ceil(points.length / count));
  // Below its bar where there is room for each; else the words begin where their slot does.
  const isWide = slot > MOST_BAR * 1.3;
  return points.flatMap((each, index) =>
    index % every === 0 && (isWide || index === 0 || x(index) + 70 < x(0) + width)
      ? [
          svg(
            "text",
            {
              class: "tick",
              x: x(index) + (isWide ? slot / 2 : 0),
              y: HEIGHT - 5,
              "text-anchor": isWide ? "middle" : "start",
            },
            name(each.time),
          ),
        ]
      : [],
  );
}

function barOf({ one, x, slot, from, to }) {
  const gap = slot > MOST_BAR * 1.3 ? (slot - MOST_BAR) / 2 : slot > 4 ? 1 : 0.25;
  return svg("rect", {
    class: `bar ${one.tone}`,
    x: x + gap,
    y: to,
    width: Math.max(0.5, slot - 2 * gap),
    height: Math.max(0.75, from - to),
    rx: slot > 8 ? 2 : 0,
  });
}

/** Slots without a value are gaps; a value between two gaps is a dot. */
function lineOf({ one, points, x, y }) {
  const runs = [];
  points.forEach((each, index) => {
    const value = each[one.key];
    if (value === null || value === undefined) return runs.push([]);
    if (!runs.length) runs.push([]);
    runs.at(-1).push([x(index), y(value)]);
  });
  return runs
    .filter((run) => run.length)
    .map((run) =>
      run.length === 1
        ? svg("circle", { class: `mark ${one.tone}`, cx: run[0][0], cy: run[0][1], r: 2.5 })
        : svg("path", {
            class: `line ${one.tone}`,
            d: `M${run.map(([px, py]) => `${px.toFixed(1)} ${py.toFixed(1)}`).join("L")}`,
          }),
    );
}

function summary(title, series, points, show, name) {
  const texts = series.map((one) => {
    const values = points
      .map((each) => each[one.key])
      .filter((value) => value !== null && value !== undefined);
    const most = values.length ? Math.max(...values) : 0;
    const when = points.find((each) => each[one.key] === most);
    return most > 0
      ? t("chart.most", { label: one.label, value: show(most), when: name(when.time) })
      : t("chart.nothing", { label: one.label });
  });
  return `${title}. ${texts.join(" ")} ${t("chart.keys")}`;
}

function tableOf(title, series, points, show, name) {
  const rows = points.filter((each) => series.some((one) => each[one.key]));
  return h(
    "div",
    { class: "table-frame chart-table", tabindex: 0, role: "region", "aria-label": title },
    h(
      "table",
      {},
      h("caption", { class: "sr" }, title),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, t("chart.time")),
          series.map((one) => h("th", { scope: "col", class: "number" }, one.label)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.length
          ? rows.map((each) =>
              h(
                "tr",
                {},
                h("th", { scope: "row" }, name(each.time)),
                series.map((one) => h("td", { class: "number" }, show(each[one.key]))),
              ),
            )
          : h("tr", {}, h("td", { colspan: series.length + 1 }, t("chart.no_values"))),
      ),
    ),
  );
}
