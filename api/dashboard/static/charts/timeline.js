// Attempts by worker: a lane for each, a bar for each attempt, its colour and edge by how it ended.
import { frame, number, plain, zooming } from "../chart.js";
import { message, t } from "../words.js";

const LANE = 20, MOST_LANES = 28;
const WORDS = {
  running: message("under way"), completed: message("completed"), pruned: message("pruned"), paused: message("paused at a rung"),
  cancelled: message("stopped by hand"), yielded: message("given back"), failed: message("failed"), lost: message("lost with its worker"),
};

export function height(data) {
  return Math.min(data.workers.length, MOST_LANES) * LANE + 84;
}

export function option(data, look) {
  if (!data.starts.length) return null;
  const { axis, base } = frame(look);
  const kinds = Object.keys(WORDS).filter((kind) => data.kinds.includes(kind));
  const wide = Math.min(150, data.workers.reduce((most, name) => Math.max(most, name.length), 0) * 7.5 + 26);
  const zoom = zooming(look);
  const crowded = data.workers.length > MOST_LANES;
  if (crowded) {
    zoom.dataZoom.push({ type: "slider", yAxisIndex: 0, right: 2, width: 12, startValue: 0, endValue: MOST_LANES - 1, zoomLock: true, brushSelect: false, showDetail: false, showDataShadow: false, fillerColor: look.raised, borderColor: look.line, handleSize: 0, moveHandleSize: 0 });
  }
  return {
    ...base,
    ...zoom,
    grid: { ...base.grid, left: wide, right: crowded ? 26 : 18, bottom: 54 },
    legend: { ...base.legend, data: kinds.map((kind) => t(WORDS[kind])) },
    xAxis: { ...axis, type: "time", min: data.begin * 1000, max: Math.max(data.end, data.begin + 1) * 1000, splitLine: { show: true, lineStyle: { color: look.line } } },
    yAxis: { ...axis, type: "category", data: data.workers, inverse: true, axisLine: { show: false }, splitLine: { show: false }, axisLabel: { ...axis.axisLabel, width: wide - 14, overflow: "truncate", hideOverlap: false } },
    tooltip: { ...base.tooltip, trigger: "item", formatter: (event) => say(data, event.data) },
    series: kinds.map((kind) => ({
      id: kind, name: t(WORDS[kind]), type: "custom", encode: { x: [0, 1], y: 2 }, clip: true, progressive: 0,
      itemStyle: { color: colour(look, kind) },
      renderItem: (params, api) => bar(params, api, look, kind),
      data: bars(data, kind),
    })),
  };
}

function colour(look, kind) {
  return { running: look.running, lost: look.text, yielded: look.waiting }[kind] ?? look[kind];
}

function bars(data, kind) {
  const found = [];
  data.kinds.forEach((own, index) => {
    if (own !== kind) return;
    const value = [(data.begin + data.starts[index]) * 1000, (data.begin + data.ends[index]) * 1000, data.lanes[index]];
    found.push({ value, index, trial: data.counts[index] === 1 ? data.trials[index] : undefined });
  });
  return found;
}

function bar(params, api, look, kind) {
  const [left, middle] = api.coord([api.value(0), api.value(2)]);
  const [right] = api.coord([api.value(1), api.value(2)]);
  const tall = Math.max(4, Math.min(14, api.size([0, 1])[1] - 4));
  const area = params.coordSys;
  const from = Math.max(left, area.x), to = Math.min(Math.max(right, left + 1.5), area.x + area.width);
  if (to <= from) return undefined;
  const hollow = kind === "paused" || kind === "yielded" || kind === "cancelled";
  const wide = to - from > 4;
  return {
    type: "rect",
    shape: { x: from, y: middle - tall / 2, width: Math.max(1, to - from - (wide ? 1 : 0)), height: tall, r: wide ? 2 : 0 },
    style: {
      fill: colour(look, kind), fillOpacity: hollow ? 0.35 : kind === "running" ? 0.75 : 1,
      stroke: colour(look, kind), lineWidth: hollow && wide ? 1.2 : 0, lineDash: kind === "yielded" ? [3, 2] : undefined,
    },
    emphasis: { style: { stroke: look.text, lineWidth: 1.5 } },
  };
}

function say(data, point) {
  const { index } = point;
  const count = data.counts[index];
  const long = duration(data.ends[index] - data.starts[index]);
  const worker = plain(data.workers[data.lanes[index]]);
  const what = t(WORDS[data.kinds[index]]);
  const head = count > 1 ? t("{count} attempts", { count: number(count) }) : `#${data.trials[index]}${data.numbers[index] > 1 ? ` · ${t("attempt {number}", { number: data.numbers[index] })}` : ""}`;
  return [`{b|${head}}`, `${count > 1 ? t("most of it {what}", { what }) : what} · ${long}`, `{m|${worker} · ${time(point.value[0])}}`].join("\n");
}

function time(moment) {
  return new Date(moment).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });
}

function duration(seconds) {
  if (seconds < 90) return t("{number} s", { number: Math.round(seconds) });
  if (seconds < 5400) return t("{number} min", { number: number(seconds / 60) });
  return t("{number} h", { number: number(seconds / 3600) });
}

export function highlight(chart, data, trial) {
  chart.dispatchAction({ type: "downplay" });
  if (trial === undefined) return;
  data.trials.forEach((own, index) => {
    if (own !== trial) return;
    const kind = data.kinds[index];
    const dataIndex = data.kinds.slice(0, index).filter((one) => one === kind).length;
    chart.dispatchAction({ type: "highlight", seriesId: kind, dataIndex });
  });
}
