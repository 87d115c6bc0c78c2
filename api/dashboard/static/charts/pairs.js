// What charts over two params share: their axes, their dots, and what a dot says.
import { frame, number, plain } from "../chart.js";
import { cut, placed, sayAt, WHOLE } from "./scales.js";

const NARROW = 560; // where the choice above the chart says enough

export function over(data, look, element, edges = [0, 0]) {
  const { axis, base } = frame(look);
  const room = Math.max(5, Math.floor((element.clientWidth - 120) / 7 / Math.max(2, data.x.options.length)));
  const name = (own, extra) => ({ name: own.name, nameLocation: "middle", nameMoveOverlap: false, nameTextStyle: { ...axis.nameTextStyle, color: look.text, fontWeight: 600, fontSize: 12.5 }, ...extra });
  return {
    ...base,
    legend: { show: false },
    grid: { left: 108, right: 22, top: 14, bottom: 50, outerBoundsMode: "none" },
    xAxis: placed({ ...data.x, edge: edges[0] }, axis, { room, axis: name(data.x, { nameGap: 28 }) }),
    yAxis: placed({ ...data.y, edge: edges[1] }, axis, { room: 14, axis: name({ name: element.clientWidth < NARROW ? "" : cut(data.y.name, 26) }, { nameGap: 90 }) }),
    tooltip: { ...base.tooltip, trigger: "item" },
  };
}

export function dot(one) {
  return { value: [one.x / WHOLE, one.y / WHOLE], trial: one.trial, dot: one };
}

export function say(data, one, extra = []) {
  const at = [[data.x, one.x], [data.y, one.y]].map(([axis, place]) => `{m|${plain(axis.name)}}  ${plain(sayAt(axis, place / WHOLE))}`);
  return [`{b|#${one.trial} · ${plain(data.metric)} ${number(one.value)}}`, ...at, ...extra].join("\n");
}

export function emphasise(chart, data, trial, seriesIndex) {
  chart.dispatchAction({ type: "downplay" });
  const dataIndex = trial === undefined ? -1 : data.dots.findIndex((one) => one.trial === trial);
  if (dataIndex >= 0) chart.dispatchAction({ type: "highlight", seriesIndex, dataIndex });
}
