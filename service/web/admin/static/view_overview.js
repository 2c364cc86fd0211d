/* Is the gateway well? Sums, charts, and the health of what it stands on. */

import { api } from "./api.js";
import { timeChart } from "./chart.js";
import { fill, h } from "./dom.js";
import { t, word } from "./i18n.js";
import { duration, integer, milliseconds, money, percent, relative, short } from "./format.js";
import { icon } from "./icons.js";
import { badge, button, failed, head, loader, segmented } from "./parts.js";
import { everySecond, poll } from "./poll.js";

const EVERY_S = 5;
const PERIODS = ["hour", "day", "week"];
const count = (value) => short(value);
const micro = (value, isTick) => (isTick && value === 0 ? "$0" : money(value));

export function mount(root) {
  let period = "hour";
  let charts = null;
  let asked = null;
  let isPaused = false;
  let failure = null;
  const age = h("span", { class: "hint", role: "timer", "aria-live": "off" });
  const pause = button({
    name: t("common.pause"),
    glyph: "pause",
    kind: "quiet",
    onClick: () => setPaused(!isPaused),
  });
  const body = h("div", {});
  const stale = h("div", {});
  const said = h("div", { class: "sr", role: "status" });

  function setPaused(value) {
    isPaused = value;
    polling.pause(value);
    const label = t(value ? "common.resume" : "common.pause");
    const next = button({
      name: label,
      glyph: value ? "play" : "pause",
      kind: "quiet",
      onClick: () => setPaused(!isPaused),
    });
    fill(pause, [...next.childNodes]);
    pause.title = label;
    pause.setAttribute("aria-label", label);
    drawAge();
  }

  const view = loader(body, {
    load: async () => {
      const of = period;
      const data = await api.get(`/overview?period=${of}`);
      asked = Date.now() / 1000;
      return { ...data, period: of };
    },
    draw: (data) => {
      // Read out once, and again only when it is something else.
      const words = wellness(data);
      if (said.textContent !== words) said.textContent = words;
      if (charts?.period !== data.period) charts = chartsOf(data);
      charts.update(data);
      return page(data, charts);
    },
    onError: (error) => {
      failure = error;
      fill(stale, error && asked && !error.isOffline && failed(error, () => polling.now()));
    },
  });
  const refresh = async () => {
    await view.refresh();
    drawAge();
  };
  const drawAge = () => {
    if (asked === null) age.textContent = "";
    else if (isPaused) age.textContent = t("overview.paused");
    else age.textContent = t(failure ? "overview.stale" : "overview.updated", { time: relative(asked) });
  };

  root.append(
    head(
      t("nav.overview"),
      null,
      age,
      pause,
      segmented({
        legend: t("overview.period"),
        name: "period",
        options: PERIODS.map((id) => ({ id, label: t(`overview.${id}`) })),
        value: period,
        onChange: (value) => {
          period = value;
          refresh();
        },
      }),
    ),
    said,
    stale,
    body,
  );
  const polling = poll(refresh, EVERY_S);
  const stopClock = everySecond(drawAge);
  return () => {
    polling.stop();
    stopClock();
    view.stop();
  };
}

function chartsOf({ period, points, step_seconds: stepS }) {
  const one = (title, series, show) => timeChart({ title, series, points, show, stepS });
  const requests = one(
    t("overview.requests"),
    [
      { key: "answered", label: t("overview.answered"), tone: "one", shape: "bar" },
      { key: "errors", label: t("overview.errors"), tone: "bad", shape: "bar" },
    ],
    count,
  );
  const tokens = one(
    t("overview.tokens"),
    [
      { key: "input_tokens", label: t("overview.in"), tone: "one", shape: "bar" },
      { key: "output_tokens", label: t("overview.out"), tone: "two", shape: "bar" },
    ],
    count,
  );
  const cost = one(
    t("overview.cost"),
    [{ key: "cost_micro_usd", label: t("overview.cost"), tone: "three", shape: "bar" }],
    micro,
  );
  const first = one(
    t("overview.first_token"),
    [
      { key: "first_token_ms_p50", label: t("overview.p50"), tone: "one", shape: "line" },
      { key: "first_token_ms_p95", label: t("overview.p95"), tone: "two", shape: "line" },
    ],
    (value) => milliseconds(value),
  );
  return {
    period,
    elements: [requests, tokens, cost, first],
    update(data) {
      const seen = data.points.map((point) => ({
        ...point,
        answered: Math.max(0, point.requests - point.errors),
        first_token_ms_p50: point.first_token_ms_p50 || null,
        first_token_ms_p95: point.first_token_ms_p95 || null,
      }));
      const { totals } = data;
      requests.update({ points: seen, total: integer(totals.requests) });
      tokens.update({ points: seen, total: short(totals.input_tokens + totals.output_tokens) });
      cost.update({ points: seen, total: money(totals.cost_micro_usd) });
      first.update({ points: seen, total: "" });
    },
  };
}

function page(data, charts) {
  return [
    degradedOf(data),
    h("dl", { class: "tiles", data: { testid: "tiles" } }, tilesOf(data)),
    h(
      "div",
      { class: "overview-grid" },
      h("section", { class: "charts", "aria-label": t("overview.charts") }, charts.elements),
      h(
        "section",
        { class: "health", "aria-label": t("overview.health") },
        accountsOf(data.accounts),
        redisOf(data.redis),
        batchesOf(data.batches),
        processOf(data),
      ),
    ),
  ];
}

/** The state of things in one line. */
function wellness({ degraded: list, accounts }) {
  if (list.length)
    return `${t("overview.degraded")}: ${list.map(({ what }) => word("degraded", what)).join(", ")}`;
  return accounts.quarantined
    ? t("overview.quarantined", { count: accounts.quarantined })
    : t("overview.well");
}

function degradedOf({ degraded: list, accounts }) {
  const words = wellness({ degraded: list, accounts });
  if (!list.length && accounts.quarantined) {
    return h("p", { class: "degraded" }, icon("alert"), h("a", { href: "#/accounts" }, words));
  }
  if (!list.length) return h("p", { class: "well" }, icon("check"), h("span", {}, words));
  return h(
    "section",
    { class: "degraded", "aria-label": t("overview.degraded") },
    icon("alert"),
    h(
      "div",
      {},
      h("strong", {}, t("overview.degraded")),
      h(
        "ul",
        {},
        list.map(({ what, why }) => h("li", {}, h("b", {}, word("degraded", what)), why && `: ${why}`)),
      ),
    ),
  );
}

function tile(label, value, hint, tone = "") {
  return h(
    "div",
    { class: `tile ${tone}` },
    h("dt", {}, label),
    h("dd", {}, h("span", { class: "value" }, value), hint && h("span", { class: "hint" }, hint)),
  );
}

function tilesOf({ totals, points, streams_open: streams }) {
  const errors = totals.requests ? totals.errors / totals.requests : null;
  const cached = totals.input_tokens ? totals.cached_tokens / totals.input_tokens : null;
  const last = points.findLast((point) => point.first_token_ms_p50);
  return [
    tile(t("overview.requests"), short(totals.requests)),
    tile(
      t("overview.errors"),
      errors === null ? short(totals.errors) : percent(errors),
      t("overview.of_requests", { count: short(totals.errors) }),
      totals.errors && errors > 0.05 ? "bad" : "",
    ),
    tile(
      t("overview.input"),
      short(totals.input_tokens),
      cached === null ? null : t("overview.cached", { share: percent(cached, 0) }),
    ),
    tile(
      t("overview.output"),
      short(totals.output_tokens),
      totals.reasoning_tokens ? t("overview.reasoning", { count: short(totals.reasoning_tokens) }) : null,
    ),
    tile(t("overview.cost"), money(totals.cost_micro_usd)),
    tile(
      t("overview.first_token_short"),
      milliseconds(last?.first_token_ms_p50 ?? null),
      last ? t("overview.p95_of", { time: milliseconds(last.first_token_ms_p95) }) : null,
    ),
    tile(t("overview.streams"), integer(streams)),
  ];
}

function panel(title, href, ...content) {
  return h(
    "article",
    { class: "panel" },
    h(
      "header",
      {},
      h("h2", {}, title),
      href && h("a", { href, "aria-label": `${t("common.open")}: ${title}` }, icon("chevron")),
    ),
    content,
  );
}

const ACCOUNT_TONES = { ready: "ok", cooling: "warn", quarantined: "bad", disabled: "idle" };

function accountsOf(accounts) {
  const whole = Object.values(accounts).reduce((sum, each) => sum + each, 0);
  const bar = h("div", { class: "shares", "aria-hidden": "true" });
  for (const [state, tone] of Object.entries(ACCOUNT_TONES)) {
    if (!accounts[state]) continue;
    const part = h("span", { class: tone });
    part.style.flexGrow = accounts[state];
    bar.append(part);
  }
  return panel(
    t("nav.accounts"),
    "#/accounts",
    whole ? bar : h("p", { class: "hint" }, t("accounts.none")),
    h(
      "ul",
      { class: "counts" },
      Object.entries(ACCOUNT_TONES).map(([state, tone]) =>
        h(
          "li",
          {},
          badge(word("state", state), accounts[state] ? tone : "idle"),
          h("b", {}, integer(accounts[state])),
        ),
      ),
    ),
  );
}

function facts(...pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

function redisOf(redis) {
  return panel(
    "Redis",
    null,
    badge(redis.is_up ? t("overview.redis_up") : t("overview.redis_down"), redis.is_up ? "ok" : "bad"),
    !redis.is_up && redis.why && h("p", { class: "why" }, redis.why),
    facts(
      redis.version && [t("overview.version"), redis.version],
      redis.latency_ms !== null &&
        redis.latency_ms !== undefined && [t("overview.latency"), milliseconds1(redis.latency_ms)],
    ),
  );
}

function milliseconds1(value) {
  return t("unit.ms", { n: value < 10 ? Math.round(value * 10) / 10 : Math.round(value) });
}

function batchesOf({ waiting, in_progress: running, dead, oldest_seconds: oldest }) {
  return panel(
    t("overview.batches"),
    null,
    facts(
      [t("overview.waiting"), integer(waiting)],
      [t("overview.in_progress"), integer(running)],
      [t("overview.dead"), dead ? badge(integer(dead), "bad") : integer(dead)],
      [t("overview.lag"), waiting || running ? duration(oldest) : "–"],
    ),
  );
}

function processOf({ version, workers, started_at: startedAt }) {
  return panel(
    t("overview.gateway"),
    null,
    facts(
      [t("overview.version"), version],
      workers > 0 && [t("overview.workers"), integer(workers)],
      startedAt && [
        t("overview.up_for"),
        h("span", { data: { since: startedAt } }, duration(Date.now() / 1000 - startedAt)),
      ],
    ),
  );
}
