// Trials by source, in stretches of their numbers: how shares of the draws changed.
import { frame, number } from "../chart.js";
import { t } from "../words.js";

const TONES = { base: "text", sampler: "hue0", prior: "hue5", warm: "hue2", user: "hue1", confirm: "hue7", copy: "hue4", import: "hue3", gp: "hue6", rung_tpe: "hue4", random: "faint" };

export function height() {
  return 230;
}

export function option(data, look) {
  if (!data.edges.length) return null;
  const { axis, base } = frame(look);
  const sources = Object.keys(data.counts);
  return {
    ...base,
    legend: { ...base.legend, data: sources.map((source) => t(source)) },
    xAxis: { ...axis, type: "category", data: data.edges.map((edge) => `#${edge}`), axisLabel: { ...axis.axisLabel } },
    yAxis: { ...axis, type: "value", axisLine: { show: false }, minInterval: 1 },
    tooltip: { ...base.tooltip, trigger: "axis", axisPointer: { type: "shadow", shadowStyle: { color: look.faint, opacity: 0.15 } }, formatter: (events) => say(data, events[0].dataIndex) },
    series: sources.map((source) => ({
      id: source, name: t(source), type: "bar", stack: "draws", barCategoryGap: "12%", barMaxWidth: 48,
      data: data.counts[source].map((count) => count || null),
      itemStyle: { color: look[TONES[source] ?? TONES.random], borderColor: look.panel, borderWidth: 0.5 },
    })),
  };
}

function say(data, index) {
  const first = data.edges[index], next = data.edges[index + 1];
  const sum = Object.values(data.counts).reduce((all, counts) => all + counts[index], 0);
  const which = next === undefined ? t("from #{first}", { first }) : `#${first}–${next - 1}`;
  const lines = [`{b|${which}}`];
  for (const [source, counts] of Object.entries(data.counts)) {
    if (counts[index]) lines.push(`${t(source)}  ${number(counts[index])}  (${Math.round((100 * counts[index]) / sum)} %)`);
  }
  return lines.join("\n");
}
