// A population: each trial from where it goes on to where it is, joined to the one it is a copy of.
import { frame, number, plain } from "../chart.js";
import { t } from "../words.js";

export function option(data, look) {
  const { axis, base } = frame(look);
  const known = data.links.filter((link) => link.low !== null && link.high !== null);
  if (!known.length) return null;
  const roots = [...new Set(data.links.map((link) => link.root))];
  const tone = (root) => look.hues[roots.indexOf(root) % look.hues.length];
  return {
    ...base,
    grid: { ...base.grid, bottom: 30 },
    legend: { show: false },
    xAxis: { ...axis, type: "value", min: 0, minInterval: 1, name: t("epochs"), nameGap: -4, nameTextStyle: { ...axis.nameTextStyle, align: "right", verticalAlign: "bottom", padding: [0, 0, 6, 0] }, splitLine: { show: false } },
    yAxis: { ...axis, type: "value", scale: true, axisLine: { show: false }, axisLabel: { ...axis.axisLabel, formatter: number } },
    tooltip: { ...base.tooltip, trigger: "item", formatter: ({ data: point }) => point && say(data, point.link) },
    series: [
      {
        id: "links", type: "custom", silent: true, encode: { x: [0, 2], y: [1, 3] },
        data: known.map((link) => ({ value: [link.start, link.low, link.end, link.high, link.root] })),
        renderItem: (params, api) => {
          const [x1, y1] = api.coord([api.value(0), api.value(1)]);
          const [x2, y2] = api.coord([api.value(2), api.value(3)]);
          return { type: "line", shape: { x1, y1, x2, y2 }, style: { stroke: tone(api.value(4)), lineWidth: 1.4, opacity: 0.7 } };
        },
      },
      {
        id: "ends", type: "scatter", symbolSize: 7, z: 3,
        data: [...known, ...data.roots.filter((link) => link.high !== null)].map((link) => ({ value: [link.end, link.high], trial: link.trial, link, itemStyle: { color: tone(link.root), borderColor: look.panel, borderWidth: 1 } })),
      },
    ],
  };
}

function say(data, link) {
  const lines = [`{b|#${link.trial} · ${plain(data.metric)} ${number(link.high)}}`];
  if (link.parent !== link.trial) {
    lines.push(t("goes on from #{parent} at epoch {epoch}", { parent: link.parent, epoch: number(link.start) }));
    lines.push(`{m|${t("the line began with #{root}", { root: link.root })}}`);
  }
  return lines.join("\n");
}
