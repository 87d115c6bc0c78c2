// Slices: the value over each param by itself, in panels side by side over one measure of value.
import { frame, number, plain } from "../chart.js";
import { t } from "../words.js";
import { cut, placed, sayAt, shades, WHOLE } from "./scales.js";

const WIDE = 270, HIGH = 200, LEFT = 46, BETWEEN = 30, TOP = 26, BOTTOM = 28;

export function option(data, look, element) {
  if (!data.numbers?.length) return null;
  const { axis, base } = frame(look);
  const shade = shades(element);
  const most = Math.max(1, Math.min(data.panels.length, Math.floor((element.clientWidth - LEFT) / WIDE)));
  const rows = Math.ceil(data.panels.length / most), columns = Math.ceil(data.panels.length / rows);
  element.querySelector(".plot").style.height = `${rows * HIGH}px`;
  const wide = (element.clientWidth - LEFT) / columns;
  const at = data.panels.map((_, index) => ({ left: LEFT + (index % columns) * wide, top: Math.floor(index / columns) * HIGH + TOP, width: wide - BETWEEN, height: HIGH - TOP - BOTTOM }));
  const crowd = data.numbers.length > 200 ? 5 : 7;
  return {
    ...base,
    legend: { show: false },
    grid: at.map((place) => ({ ...place, outerBoundsMode: "none" })),
    title: data.panels.map((panel, index) => ({ text: cut(panel.axis.path, Math.floor(wide / 7.5)), left: at[index].left - 4, top: at[index].top - 27, textStyle: { color: look.text, fontSize: 12.5, fontWeight: 600, fontFamily: look.font } })),
    xAxis: data.panels.map((panel, index) => placed(panel.axis, axis, { room: Math.max(6, Math.floor(wide / 7 / Math.max(2, panel.axis.options.length))), axis: { gridIndex: index } })),
    yAxis: data.panels.map((_, index) => ({
      ...axis, type: "value", gridIndex: index, min: data.y.low, max: data.y.high, axisLine: { show: false },
      axisLabel: { ...axis.axisLabel, show: index % columns === 0, showMinLabel: false, showMaxLabel: false, formatter: number }, splitLine: { ...axis.splitLine, show: true },
    })),
    tooltip: { ...base.tooltip, trigger: "item", formatter: (event) => say(data, event) },
    series: data.panels.map((panel, index) => ({
      type: "scatter", name: panel.axis.path, xAxisIndex: index, yAxisIndex: index, clip: false, symbolSize: crowd,
      emphasis: { scale: 1.8 },
      data: data.numbers.map((trial, place) => {
        const best = trial === data.best, value = data.values[place];
        return {
          value: [panel.places[place] / WHOLE, Math.min(data.y.high, Math.max(data.y.low, value))], trial, place, panel: index,
          ...(best ? { symbolSize: 12, symbol: "diamond" } : {}), ...(best ? { z: 5 } : {}),
          itemStyle: { color: shade(trial / Math.max(1, data.last)), borderColor: best ? look.text : look.panel, borderWidth: best ? 1.6 : 0.6, opacity: 0.9 },
        };
      }),
    })),
  };
}

function say(data, event) {
  const { place, trial, panel } = event.data ?? {};
  if (place === undefined) return "";
  const { axis, places } = data.panels[panel];
  return [`{b|#${trial} · ${plain(data.metric)} ${number(data.values[place])}}`, `{m|${t(data.states[place])}}`, `{m|${plain(axis.name)}}  ${plain(sayAt(axis, places[place] / WHOLE))}`].join("\n");
}

export function highlight(chart, data, trial) {
  chart.dispatchAction({ type: "downplay" });
  const dataIndex = trial === undefined ? -1 : data.numbers.indexOf(trial);
  if (dataIndex >= 0) chart.dispatchAction({ type: "highlight", seriesIndex: data.panels.map((_, index) => index), dataIndex });
}
