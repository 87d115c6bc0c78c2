// The hypervolume of the front in the order of ending: a staircase that never falls.
import { frame, number, zooming } from "../chart.js";
import { t } from "../words.js";

export function option(data, look) {
  if (!data.places.length) return null;
  const { axis, base } = frame(look);
  const points = data.places.map((place, index) => ({ value: [place, data.volumes[index]], trial: data.trials[index] }));
  return {
    ...base,
    ...zooming(look),
    grid: { ...base.grid, bottom: 30 },
    legend: { show: false },
    xAxis: { ...axis, type: "value", min: 0, max: Math.max(1, data.count), minInterval: 1, name: t("completed trials"), nameGap: -4, nameTextStyle: { ...axis.nameTextStyle, align: "right", verticalAlign: "bottom", padding: [0, 0, 6, 0] }, splitLine: { show: false } },
    yAxis: { ...axis, type: "value", min: 0, axisLine: { show: false }, axisLabel: { ...axis.axisLabel, formatter: number } },
    tooltip: { ...base.tooltip, trigger: "item", formatter: ({ data: point }) => (point?.trial === undefined ? "" : `{b|${number(point.value[1])}}\n{m|#${point.trial}}`) },
    series: [
      { id: "volume", type: "line", step: "end", data: [...points.map((point) => point.value), [data.count, data.volumes.at(-1)]], symbol: "none", silent: true, lineStyle: { color: look.accent, width: 2 }, areaStyle: { color: look.accent, opacity: 0.08 } },
      { id: "rises", type: "scatter", data: points, symbolSize: 6, itemStyle: { color: look.accent, borderColor: look.panel, borderWidth: 1 } },
    ],
  };
}
