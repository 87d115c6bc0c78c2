// Learning curves of a few trials over each other, each in the colour of its letter.
import { frame } from "../chart.js";
import { t } from "../words.js";

export function option(data, look) {
  if (!data.lines.length) return null;
  const { axis, base } = frame(look);
  return {
    ...base,
    legend: { show: false }, // letters at the curves, which the page names above
    grid: { ...base.grid, right: 44, bottom: 62 },
    tooltip: { ...base.tooltip, trigger: "axis", axisPointer: { type: "line" } },
    dataZoom: [
      { type: "inside", filterMode: "none" },
      { type: "slider", height: 16, bottom: 8, filterMode: "none", showDataShadow: false, borderColor: look.line, textStyle: { color: look.muted } },
    ],
    xAxis: { ...axis, type: "value", min: "dataMin", max: "dataMax", minInterval: 1, name: t("epoch"), nameLocation: "middle", nameGap: 20, splitLine: { show: false } },
    yAxis: { ...axis, type: "value", scale: true },
    series: data.lines.map((line) => ({
      name: `${line.letter} · ${line.study} ${line.trial}`,
      type: "line",
      data: line.points,
      showSymbol: line.points.length < 3,
      symbolSize: 5,
      lineStyle: { width: 2, color: look.hues[line.place] },
      itemStyle: { color: look.hues[line.place] },
      emphasis: { focus: "series" },
      endLabel: { show: true, formatter: line.letter, color: look.hues[line.place], fontWeight: 700 },
      labelLayout: { moveOverlap: "shiftY" },
    })),
  };
}
