// Learning curves: running trials in colour over ended ones; the nearest line is the one hovered.
import { frame, number, plain, zooming } from "../chart.js";
import { hint } from "./hint.js";
import { t } from "../words.js";

const NAMED = 8, REACH = 40; // labels at most, pixels from the pointer

export function option(data, look) {
  if (!data.lines.length) return null;
  const { axis, base } = frame(look);
  const running = data.lines.filter((line) => line.role === "running").map((line) => line.trial);
  const named = new Set(data.lines.filter((line) => line.role !== "ended").slice(-NAMED).map((line) => line.trial));
  return {
    ...base,
    ...zooming(look),
    grid: { ...base.grid, bottom: 30, right: 48 },
    legend: { show: false },
    tooltip: { show: false },
    xAxis: { ...axis, type: "value", min: 0, max: data.across || 1, name: { epoch: t("epochs"), images: t("images"), time: t("device time") }[data.over], nameGap: -4, nameTextStyle: { ...axis.nameTextStyle, align: "right", verticalAlign: "bottom", padding: [0, 0, 6, 0] }, splitLine: { show: false }, minInterval: data.over === "epoch" ? 1 : 0, axisLabel: { ...axis.axisLabel, formatter: (value) => across(data, value) } },
    yAxis: data.log
      ? { ...axis, type: "log", axisLine: { show: false }, min: "dataMin", max: "dataMax", axisLabel: { ...axis.axisLabel, formatter: number } }
      : { ...axis, type: "value", min: data.low, max: data.high, axisLine: { show: false }, axisLabel: { ...axis.axisLabel, showMinLabel: false, showMaxLabel: false, formatter: number } },
    series: data.lines.map((line) => {
      const colour = line.role === "running" ? look.hues[running.indexOf(line.trial) % look.hues.length] : line.role === "best" ? look.text : look.faint;
      const strong = line.role !== "ended";
      return {
        id: `trial-${line.trial}`, name: `#${line.trial}`, type: "line", silent: true, showSymbol: line.xs.length === 1, symbol: "circle", symbolSize: 5,
        data: line.xs.map((x, index) => [x, line.ys[index]]), z: strong ? 3 : 2,
        lineStyle: { color: colour, width: strong ? 2 : 1, opacity: strong ? 1 : 0.6 }, itemStyle: { color: colour },
        emphasis: { focus: "series", lineStyle: { width: 3, opacity: 1, color: strong ? colour : look.accent } },
        blur: { lineStyle: { opacity: strong ? 0.35 : 0.15 }, label: { opacity: 0.3 } },
        endLabel: { show: named.has(line.trial), formatter: `#${line.trial}`, color: colour, fontSize: 11.5, fontWeight: 600, distance: 5, textBorderColor: look.panel, textBorderWidth: 3 },
        labelLayout: { moveOverlap: "shiftY" },
      };
    }),
  };
}

function across(data, value) {
  if (data.over === "time") return duration(value);
  if (data.over === "images") return value >= 1e6 ? `${number(value / 1e6)} M` : value >= 1e4 ? `${number(value / 1e3)} k` : number(value);
  return number(value);
}

function duration(seconds) {
  if (seconds < 90) return t("{number} s", { number: Math.round(seconds) });
  if (seconds < 5400) return t("{number} min", { number: number(Math.round(seconds / 6) / 10) });
  return t("{number} h", { number: number(Math.round(seconds / 360) / 10) });
}

export function bind(chart, context) {
  const box = hint(chart);
  const surface = chart.getZr();
  let now;
  const leave = () => {
    now = undefined;
    box.hide();
    chart.dispatchAction({ type: "downplay" });
    context.point(undefined);
  };
  surface.on("mousemove", ({ offsetX, offsetY }) => {
    const found = nearest(chart, context.data(), offsetX, offsetY);
    if (!found) return now && leave();
    const { line, index, x, y } = found;
    if (now !== line.trial) {
      now = line.trial;
      chart.dispatchAction({ type: "downplay" });
      chart.dispatchAction({ type: "highlight", seriesId: `trial-${now}` });
      context.point(now);
    }
    box.show(x, y, say(context.data(), line, index), context.look());
  });
  surface.on("globalout", () => now !== undefined && leave());
  surface.on("click", ({ offsetX, offsetY }) => {
    const found = nearest(chart, context.data(), offsetX, offsetY);
    if (found) context.show(found.line.trial);
  });
}

// Of each line the point at the pointer's place on the axis; of these the closest.
function nearest(chart, data, offsetX, offsetY) {
  if (!chart.containPixel("grid", [offsetX, offsetY])) return undefined;
  const [at] = chart.convertFromPixel("grid", [offsetX, offsetY]);
  let best, least = REACH ** 2;
  for (const line of data.lines) {
    const index = closest(line.xs, at);
    const [x, y] = chart.convertToPixel("grid", [line.xs[index], line.ys[index]]);
    const far = (x - offsetX) ** 2 / 4 + (y - offsetY) ** 2; // an epoch's width does not count in full
    if (far < least) [best, least] = [{ line, index, x, y }, far];
  }
  return best;
}

function closest(places, at) {
  let low = 0, high = places.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (places[middle] < at) low = middle;
    else high = middle;
  }
  return at - places[low] < places[high] - at ? low : high;
}

function say(data, line, index) {
  const where = data.over === "epoch" ? t("epoch {number}", { number: number(line.xs[index]) }) : data.over === "images" ? t("{number} images", { number: across(data, line.xs[index]) }) : across(data, line.xs[index]);
  const params = plain(line.params).split(" ").filter(Boolean).map((part) => part.replace("=", "  "));
  return [`{b|#${line.trial} · ${plain(data.metric)} ${number(line.ys[index])}}`, `{m|${t(line.state)} · ${where}}`, ...params].join("\n");
}

export function highlight(chart, data, trial) {
  chart.dispatchAction({ type: "downplay" });
  if (trial !== undefined && data.lines.some((line) => line.trial === trial)) chart.dispatchAction({ type: "highlight", seriesId: `trial-${trial}` });
}
