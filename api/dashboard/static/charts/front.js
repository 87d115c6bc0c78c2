// The Pareto front: what is on it, what is beaten, and, shaded, where a bound is broken.
import { frame, number, plain } from "../chart.js";
import { t } from "../words.js";

export function option(data, look) {
  if (!data.trials.length) return null;
  const { axis, base } = frame(look);
  const parts = [["broken", t("infeasible")], ["behind", t("beaten by another")], ["front", t("on the front")]].filter(([role]) => data.roles.includes(role));
  const name = (own) => plain(own.metric) + (own.better_high === null ? "" : own.better_high ? " →" : " ←");
  return {
    ...base,
    grid: { ...base.grid, left: 52, bottom: 62 },
    legend: { ...base.legend, data: parts.map((part) => part[1]) },
    xAxis: { ...axis, type: "value", scale: true, name: name(data.across), nameLocation: "middle", nameGap: 24, axisLabel: { ...axis.axisLabel, formatter: number } },
    yAxis: { ...axis, type: "value", scale: true, name: plain(data.up.metric) + (data.up.better_high === null ? "" : data.up.better_high ? " ↑" : " ↓"), nameLocation: "end", nameGap: 4, nameTextStyle: { ...axis.nameTextStyle, align: "left" }, axisLine: { show: false }, axisLabel: { ...axis.axisLabel, formatter: number } },
    tooltip: { ...base.tooltip, trigger: "item", formatter: (event) => say(data, event.data?.index) },
    series: [...parts.map(([role, words]) => dots(data, look, role, words)), ...stairs(data, look), ground(data, look)],
  };
}

function dots(data, look, role, words) {
  const points = [];
  data.roles.forEach((own, index) => {
    if (own === role) points.push({ value: [data.xs[index], data.ys[index]], trial: data.trials[index], index });
  });
  const style = { front: { color: look.accent, borderColor: look.panel, borderWidth: 1 }, behind: { color: look.faint }, broken: { color: "transparent", borderColor: look.muted, borderWidth: 1.2, opacity: 0.7 } }[role];
  return { id: role, name: words, type: "scatter", data: points, z: role === "front" ? 4 : 3, symbol: role === "broken" ? "path://M2 0 0 2 8 10 0 18 2 20 10 12 18 20 20 18 12 10 20 2 18 0 10 8Z" : "circle", symbolSize: role === "front" ? 9 : 6, itemStyle: style, emphasis: { scale: 1.6 } };
}

// Between two trials of the front nothing better is known than the worse of both.
function stairs(data, look) {
  if (!data.stairs) return [];
  const best = data.roles.flatMap((role, index) => (role === "front" ? [[data.xs[index], data.ys[index]]] : [])).sort((a, b) => a[0] - b[0]);
  return [{ id: "stairs", type: "line", data: best, step: data.across.better_high ? "start" : "end", symbol: "none", silent: true, z: 3, lineStyle: { color: look.accent, width: 1.5 } }];
}

function ground(data, look) {
  const areas = [];
  const { across, up } = data;
  if (across.low !== null) areas.push([{ xAxis: "min" }, { xAxis: across.low }]);
  if (across.high !== null) areas.push([{ xAxis: across.high }, { xAxis: "max" }]);
  if (up.low !== null) areas.push([{ yAxis: "min" }, { yAxis: up.low }]);
  if (up.high !== null) areas.push([{ yAxis: up.high }, { yAxis: "max" }]);
  const bounds = [["xAxis", across.low], ["xAxis", across.high], ["yAxis", up.low], ["yAxis", up.high]].filter(([, value]) => value !== null);
  return {
    id: "ground", type: "scatter", data: [], silent: true,
    markArea: { silent: true, itemStyle: { color: look.failed, opacity: 0.09 }, data: areas },
    markLine: { silent: true, symbol: "none", precision: 15, label: { show: false }, lineStyle: { color: look.failed, type: "dashed", width: 1, opacity: 0.6 }, data: bounds.map(([name, value]) => ({ [name]: value })) },
  };
}

function say(data, index) {
  if (index === undefined) return "";
  const lines = [`{b|#${data.trials[index]}}`, `${plain(data.up.metric)}  ${number(data.ys[index])}`, `${plain(data.across.metric)}  ${number(data.xs[index])}`];
  lines.push(data.roles[index] === "broken" ? `{m|${t("infeasible")}${data.why[index] ? `: ${plain(data.why[index])}` : ""}}` : `{m|${data.roles[index] === "front" ? t("on the front") : t("beaten by another")}}`);
  return lines.join("\n");
}

export function highlight(chart, data, trial) {
  chart.dispatchAction({ type: "downplay" });
  const at = data.trials.indexOf(trial);
  if (trial === undefined || at < 0) return;
  const dataIndex = data.roles.slice(0, at).filter((role) => role === data.roles[at]).length;
  chart.dispatchAction({ type: "highlight", seriesId: data.roles[at], dataIndex });
}
