// The distribution of values: one staircase for each group of trials, on one axis.
import { frame, number, plain } from "../chart.js";
import { t } from "../words.js";

export function option(data, look) {
  if (!data.stairs?.length) return null;
  const { axis, base } = frame(look);
  const { low, high } = data.x;
  return {
    ...base,
    legend: { show: false },
    grid: { ...base.grid, bottom: 44 },
    xAxis: { ...axis, type: "value", min: low, max: high, name: data.metric, nameLocation: "middle", nameGap: 26, splitLine: { show: false }, axisLabel: { ...axis.axisLabel, showMinLabel: false, showMaxLabel: false, formatter: number } },
    yAxis: { ...axis, type: "value", min: 0, max: 1, interval: 0.25, axisLine: { show: false }, axisLabel: { ...axis.axisLabel, formatter: percent } },
    tooltip: { ...base.tooltip, trigger: "axis", axisPointer: { type: "line", lineStyle: { color: look.faint } }, formatter: (events) => say(data, events[0]?.axisValue) },
    series: data.stairs.map((one, index) => ({
      name: one.label, type: "line", step: "end", symbol: "none", data: within(one.steps, low, high),
      lineStyle: { color: look.hues[one.hue % look.hues.length], width: index ? 1.8 : 2.4, type: index === 1 && one.study === data.stairs[0].study ? "dashed" : "solid" },
      itemStyle: { color: look.hues[one.hue % look.hues.length] },
    })),
  };
}

// Steps on the axis: from what lies before it, and level up to its end.
function within(steps, low, high) {
  const before = steps.filter(([value]) => value < low).at(-1)?.[1] ?? 0;
  const inside = steps.filter(([value]) => value >= low && value <= high);
  return [[low, before], ...inside, [high, inside.at(-1)?.[1] ?? before]];
}

function shareAt(steps, value) {
  return steps.filter(([other]) => other <= value).at(-1)?.[1] ?? 0;
}

function percent(share) {
  return `${Math.round(share * 100)} %`;
}

function say(data, value) {
  if (value === undefined) return "";
  return [`{b|${t("{metric} up to {value}", { metric: plain(data.metric), value: number(value) })}}`, ...data.stairs.map((one) => `${percent(shareAt(one.steps, value))}  {m|${plain(one.label)}}`)].join("\n");
}
