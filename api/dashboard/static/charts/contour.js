// The best value over two params: cells in the colour of their best trial, trials as dots.
import { number, plain } from "../chart.js";
import { t } from "../words.js";
import { dot, emphasise, over, say } from "./pairs.js";
import { shades, WHOLE } from "./scales.js";

export function option(data, look, element) {
  if (!data.dots?.length) return null;
  const shade = shades(element);
  const edges = ["x", "y"].map((side) => Math.max(0, ...data.cells.map((cell) => cell[side][1] / WHOLE - 1)));
  const shown = over(data, look, element, edges);
  return {
    ...shown,
    tooltip: { ...shown.tooltip, formatter: ({ data: own }) => (own?.dot ? say(data, own.dot) : own?.cell ? sayCell(data, own.cell) : "") },
    series: [
      {
        type: "custom", z: 1, data: data.cells.map((cell) => ({ value: [cell.x[0] / WHOLE, cell.y[0] / WHOLE], cell, trial: cell.trial })),
        renderItem: (params, api) => {
          const cell = data.cells[params.dataIndex];
          const [left, bottom] = api.coord([cell.x[0] / WHOLE, cell.y[0] / WHOLE]);
          const [right, top] = api.coord([cell.x[1] / WHOLE, cell.y[1] / WHOLE]);
          return { type: "rect", shape: { x: left + 0.5, y: top + 0.5, width: right - left - 1, height: bottom - top - 1, r: 2 }, style: { fill: shade(cell.good / WHOLE) }, emphasis: { style: { stroke: look.text, lineWidth: 1.5 } } };
        },
      },
      {
        type: "scatter", z: 2, data: data.dots.map((one) => ({ ...dot(one), ...(one.trial === data.best ? { symbol: "diamond", symbolSize: 14, itemStyle: { color: look.panel, borderColor: look.text, borderWidth: 2, opacity: 1 } } : {}) })),
        symbolSize: data.dots.length > 200 ? 4 : 6, itemStyle: { color: look.text, borderColor: look.panel, borderWidth: 0.8, opacity: 0.7 }, emphasis: { scale: 1.8 },
      },
    ],
  };
}

function sayCell(data, cell) {
  return [`{b|${t("best {metric} {value}", { metric: plain(data.metric), value: number(cell.value) })}}`, `{m|${t("trial {trial}, of {count} in this cell", { trial: cell.trial, count: cell.trials })}}`].join("\n");
}

export function highlight(chart, data, trial) {
  emphasise(chart, data, trial, 1);
}
