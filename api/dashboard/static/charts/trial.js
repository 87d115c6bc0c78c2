// A trial's curves as small multiples: one canvas, one crosshair through all of them.
import { frame } from "../chart.js";
import { t } from "../words.js";

const HEIGHT = 188, NARROW = 330, MOST = 3;
const DENSE = 200; // points, from which a thick line hides its own ups and downs
const LEFT = 46, RIGHT = 52, TOP = 34, BOTTOM = 26;

function columnsOf(element, count) {
  return Math.max(1, Math.min(MOST, count, Math.floor(element.clientWidth / NARROW)));
}

export function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size && (size < 1e-2 || size >= 1e5)) return value.toExponential(1).replace("e+", "e");
  return size >= 10 ? String(Number(value.toPrecision(4))) : value.toFixed(3);
}

function at(place, unit) {
  const count = Number.isInteger(place) ? place.toLocaleString(document.documentElement.lang) : place.toPrecision(3);
  const words = {
    epochs: t("epoch {count}", { count }), images: t("{count} images", { count }), hours: t("{count} hours", { count }),
    minutes: t("{count} minutes", { count }), seconds: t("{count} seconds", { count }),
  };
  return words[unit];
}

function told(items, data) {
  const lines = new Map();
  for (const { seriesName, seriesId, value } of items) {
    const line = lines.get(seriesName) ?? {};
    line[seriesId.startsWith("raw") ? "raw" : "shown"] = value[1];
    lines.set(seriesName, line);
  }
  const rows = [...lines].map(([name, { raw, shown }]) =>
    `{name|${name.replace(/[{}|]/g, " ")}} {value|${short(shown)}}${raw === undefined ? "" : ` {raw|${short(raw)}}`}`);
  return [`{head|${at(items[0].axisValue, data.unit)}}`, ...rows].join("\n");
}

function series(line, index, data, look) {
  const colour = look.hues[line.hue];
  const shared = {
    type: "line", name: line.name, xAxisIndex: index, yAxisIndex: index, showSymbol: line.points.length === 1,
    symbol: "circle", symbolSize: 5, triggerLineEvent: false, emphasis: { disabled: true },
  };
  const shown = {
    ...shared, id: `shown-${index}`, data: line.smoothed.length ? line.smoothed : line.points,
    lineStyle: { color: colour, width: line.points.length > DENSE && !line.smoothed.length ? 1.2 : 2 }, itemStyle: { color: colour }, z: 3,
    endLabel: { show: true, formatter: () => short(line.last), color: look.text, fontSize: 11.5, fontWeight: 600, distance: 6 },
    markPoint: {
      silent: true, symbol: "circle", symbolSize: 9, label: { show: false },
      itemStyle: { color: look.panel, borderColor: colour, borderWidth: 2 },
      data: line.best ? [{ coord: line.best }] : [],
    },
    markLine: {
      silent: true, symbol: "none", precision: 15, label: { show: false },
      lineStyle: { color: look.muted, type: "dashed", width: 1 },
      data: data.resumed.map((place) => ({ xAxis: place })),
    },
  };
  if (!line.smoothed.length) return [shown];
  return [{ ...shared, id: `raw-${index}`, data: line.points, lineStyle: { color: colour, width: 1, opacity: 0.35 }, itemStyle: { color: colour, opacity: 0.35 } }, shown];
}

export function option(data, look, element) {
  const { axis, base } = frame(look);
  const columns = columnsOf(element, data.lines.length);
  const rows = Math.ceil(data.lines.length / columns);
  const width = element.clientWidth / columns;
  element.style.setProperty("--plot-height", `${rows * HEIGHT}px`);
  const cell = (index) => ({ x: (index % columns) * width, y: Math.floor(index / columns) * HEIGHT });
  return {
    ...base,
    legend: { show: false }, // each has its title
    title: data.lines.map((line, index) => ({
      left: cell(index).x + 2, top: cell(index).y + 2, text: `{name|${line.name}}  {unit|${line.unit}}${line.best ? `{unit|${line.unit ? " · " : ""}${t("best")} ${short(line.best[1])}}` : ""}`,
      textStyle: { rich: { name: { color: look.text, fontSize: 12.5, fontWeight: 600 }, unit: { color: look.muted, fontSize: 11.5 } } },
    })),
    grid: data.lines.map((_, index) => ({
      left: cell(index).x + LEFT, top: cell(index).y + TOP, width: width - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM,
    })),
    xAxis: data.lines.map((_, index) => ({
      ...axis, type: "value", gridIndex: index, min: 0, max: data.end, splitNumber: 4,
      minInterval: data.unit === "epochs" ? 1 : 0, splitLine: { show: false },
      axisLabel: { ...axis.axisLabel, hideOverlap: true, showMaxLabel: data.unit === "epochs", formatter: compact },
      axisPointer: { show: true, snap: true, label: { show: false }, lineStyle: { color: look.faint, type: "solid" } },
    })),
    yAxis: data.lines.map((line, index) => ({
      ...axis, type: "value", gridIndex: index, min: line.low, max: line.high, splitNumber: 3, axisLine: { show: false },
      axisLabel: { ...axis.axisLabel, showMinLabel: false, showMaxLabel: false, formatter: compact },
    })),
    axisPointer: { link: [{ xAxisIndex: "all" }] },
    tooltip: {
      ...base.tooltip, trigger: "axis", order: "seriesAsc",
      textStyle: { ...base.tooltip.textStyle, rich: {
        head: { color: look.muted, fontSize: 12 }, name: { color: look.text, fontSize: 12 },
        value: { color: look.text, fontSize: 12, fontWeight: 600 }, raw: { color: look.muted, fontSize: 12 },
      } },
      formatter: (items) => told(items, data),
    },
    dataZoom: [{ type: "inside", xAxisIndex: "all", filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseMove: "shift" }],
    series: data.lines.flatMap((line, index) => series(line, index, data, look)),
  };
}

function compact(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${value / 1e6}M`;
  if (size >= 1e4) return `${value / 1e3}k`;
  return size && size < 1e-3 ? Number(value.toPrecision(2)).toExponential() : String(Number(value.toPrecision(4)));
}

// Columns follow the width.
export function bind(chart, { element }) {
  let width = element.clientWidth;
  new ResizeObserver(() => {
    if (width === element.clientWidth) return;
    width = element.clientWidth;
    document.dispatchEvent(new Event("segtune:theme"));
  }).observe(element);
}
