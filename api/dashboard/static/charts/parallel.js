// Parallel coordinates: a drag along an axis becomes the page's filter, and is drawn from it again.
import { frame, number, plain, theme } from "../chart.js";
import { narrow } from "../selection.js";
import { t } from "../words.js";
import { cut, labelled, MISSING, sayAt, shades, ticksOf, valueAt, WHOLE } from "./scales.js";

const PAUSE = 150, NARROW = 560, WITHIN = 0.004;
const LOW = MISSING[0] - 0.02;
const GAP = (MISSING[0] + MISSING[1]) / 2;

export function option(data, look, element) {
  if (!data.lines?.length) return null;
  const { axis, base } = frame(look);
  tell(data, element);
  const shade = shades(element);
  const upright = element.clientWidth >= NARROW; // else the axes lie below each other
  element.querySelector(".plot").style.height = upright ? "" : `${70 + data.axes.length * 62}px`;
  const vivid = Math.max(0.22, Math.min(0.85, 8 / Math.sqrt(data.lines.length)));
  const [out, inside] = [data.lines.filter((one) => !one.matches), data.lines.filter((one) => one.matches)];
  return {
    ...base,
    legend: { show: false },
    tooltip: { ...base.tooltip, trigger: "item", formatter: (event) => say(data, event.data?.line) },
    parallel: {
      layout: upright ? "horizontal" : "vertical", parallelAxisDefault: {},
      ...(upright ? { left: 44, right: 74, top: 40, bottom: 14 } : { left: 12, right: 18, top: 34, bottom: 30 }),
    },
    parallelAxis: data.axes.map((one, dim) => parallelAxis(one, dim, { axis, look, upright, count: data.axes.length })),
    series: [
      { ...lines(out, shade), name: "out", silent: true, z: 1, lineStyle: { color: look.faint, width: 1, opacity: 0.18 } },
      {
        ...lines(inside, shade), name: "in", z: 2, inactiveOpacity: 0.06, activeOpacity: vivid, lineStyle: { width: 1.4, opacity: vivid },
        emphasis: { lineStyle: { width: 3.5, opacity: 1 } }, progressive: 0,
      },
    ],
  };
}

// How many trials there are by now.
function tell(data, element) {
  const place = element.closest("[data-panel]").querySelector("[data-count]");
  const drawn = data.lines.filter((one) => one.matches).length;
  const count = (value) => value.toLocaleString(document.documentElement.lang);
  if (!place) return;
  if (drawn < data.matching) place.textContent = t("{shown} of {all} drawn, the best among them.", { shown: count(drawn), all: count(data.matching) });
  else place.textContent = data.matching < data.trials ? t("{count} of {all} match.", { count: count(data.matching), all: count(data.trials) }) : "";
}

function parallelAxis({ axis: own }, dim, { axis, look, upright, count }) {
  const ends = upright ? { align: "left", margin: 7 } : { margin: 5 };
  const last = dim === count - 1;
  return {
    dim, type: "value", min: LOW, max: 1, realtime: true,
    name: cut(own.name, upright ? 16 : 30), nameLocation: upright ? "end" : "start", nameGap: upright ? 14 : 0,
    nameTextStyle: { color: look.text, fontSize: 12, fontWeight: last ? 650 : 500, textBorderColor: look.panel, textBorderWidth: 3, ...(upright ? {} : { align: "left", verticalAlign: "bottom", padding: [0, 0, 6, 0] }) },
    axisLine: { lineStyle: { color: look.faint, width: 1.2 } },
    axisTick: { show: true, customValues: ticksOf(own).map((tick) => tick.place), length: 4, lineStyle: { color: look.faint } },
    axisLabel: { ...axis.axisLabel, ...labelled(own, upright ? 13 : 8), ...ends, textBorderColor: look.panel, textBorderWidth: 3 },
    areaSelectStyle: { width: 20, color: look.accent, borderColor: look.accent, borderWidth: 1, opacity: 0.22 },
  };
}

function lines(chosen, shade) {
  return {
    type: "parallel", smooth: false,
    data: chosen.map((line) => ({
      value: line.places.map((place) => (place === null ? GAP : place / WHOLE)), line, trial: line.trial,
      lineStyle: { color: shade(line.good / WHOLE) },
    })),
  };
}

function say(data, line) {
  if (!line) return "";
  const params = data.axes.slice(0, -1).map(({ axis }, dim) => `{m|${plain(axis.name)}}  ${plain(sayAt(axis, line.places[dim] === null ? null : line.places[dim] / WHOLE))}`);
  return [`{b|#${line.trial} · ${plain(data.metric)} ${number(line.value)}}`, ...params].join("\n");
}

// Fields of the form `narrow` for stretches of an axis.
export function terms(axis, spans) {
  const found = [];
  const missing = axis.has_missing && spans.some(([low, high]) => low <= GAP && high >= GAP);
  if (axis.options.length) {
    const count = axis.options.length;
    const passed = axis.options.filter((_, index) => spans.some(([low, high]) => low <= (index + 0.5) / count && high >= (index + 0.5) / count));
    if (passed.length === count && (missing || !axis.has_missing)) return [];
    found.push(...passed.map((one) => ["value", one.term]));
  } else {
    for (const [low, high] of spans.filter((span) => span[1] > 0)) {
      const ends = [low <= WITHIN ? "" : edge(axis, low, Math.ceil), high >= 1 - WITHIN ? "" : edge(axis, high, Math.floor)];
      if (ends[0] === "" && ends[1] === "" && (missing || !axis.has_missing)) return [];
      found.push(["span", ends.join("~")]);
    }
  }
  return missing ? [...found, ["missing", "true"]] : found;
}

function edge(axis, place, round) {
  if (!axis.whole) return valueAt(axis, place);
  return round(axis.log ? axis.low * (axis.high / axis.low) ** place : axis.low + (axis.high - axis.low) * place);
}

export function bind(chart, { element, data }) {
  let waiting, pressed = false;
  const changed = new Map();
  const panel = element.closest("[data-panel]");
  const commit = () => {
    if (pressed) return;
    const [first] = changed;
    changed.clear();
    if (!first) return;
    const { axis } = data().axes[first[0]];
    narrow(panel.dataset.panel.replace(/relations$/, "narrow"), axis.path, terms(axis, first[1]));
  };
  chart.on("axisareaselected", () => {
    const now = chart.getModel().getComponent("parallel").coordinateSystem;
    data().axes.forEach(({ spans }, dim) => {
      const intervals = now.model.ecModel.queryComponents({ mainType: "parallelAxis", index: dim })[0].activeIntervals;
      if (JSON.stringify(rounded(intervals)) === JSON.stringify(rounded(spans))) changed.delete(dim);
      else changed.set(dim, intervals.map((each) => [...each]));
    });
    clearTimeout(waiting);
    waiting = setTimeout(commit, PAUSE);
  });
  chart.on("rendered", () => paint(chart));
  const surface = chart.getZr();
  surface.on("mousedown", () => { pressed = true; });
  addEventListener("pointerup", () => {
    pressed = false;
    clearTimeout(waiting);
    waiting = setTimeout(commit, PAUSE);
  });
}

// ECharts draws areas that it is told of in its own grey.
function paint(chart) {
  const { accent } = theme();
  const style = { fill: accent, stroke: accent, lineWidth: 1, opacity: 0.24 };
  for (const shape of chart.getZr().storage.getDisplayList(true)) {
    const cover = shape.parent;
    if (!cover?.__brushOption || shape.name !== "main" || shape.style.fill === accent) continue;
    cover.__brushOption.brushStyle = style;
    shape.setStyle(style);
  }
}

function rounded(spans) {
  return spans.map((span) => span.map((end) => Math.round(end * 1000) / 1000));
}

// What the address says is drawn as if it had been dragged.
export function update(chart, data) {
  data.axes.forEach(({ spans }, index) => {
    chart.dispatchAction({ type: "axisAreaSelect", parallelAxisIndex: index, intervals: spans.map((span) => [...span]) }, { silent: true });
  });
}

export function highlight(chart, data, trial) {
  chart.dispatchAction({ type: "downplay" });
  if (trial === undefined) return;
  const index = data.lines.filter((one) => one.matches).findIndex((one) => one.trial === trial);
  if (index >= 0) chart.dispatchAction({ type: "highlight", seriesIndex: 1, dataIndex: index });
}
