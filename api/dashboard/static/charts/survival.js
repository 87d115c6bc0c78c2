// Rung survival: of the trials that came to each rung, how many passed, were stopped or wait.
import { frame, number } from "../chart.js";
import { message, t } from "../words.js";

const PARTS = [["passed", "completed", message("passed")], ["running", "running", message("under way")], ["paused", "paused", message("paused")], ["stopped", "pruned", message("stopped")], ["failed", "failed", message("failed")]];

export function height() {
  return 264;
}

export function option(data, look) {
  if (!data.rungs.length) return null;
  const { axis, base } = frame(look);
  const shown = PARTS.filter(([name]) => data.rungs.some((rung) => rung[name]));
  return {
    ...base,
    grid: { ...base.grid, top: 22 },
    legend: { ...base.legend, data: shown.map((part) => t(part[2])) },
    xAxis: { ...axis, type: "category", data: data.rungs.map((rung) => data.at_each ? t("up to {epoch}", { epoch: number(rung.epoch) }) : t("epoch {epoch}", { epoch: number(rung.epoch) })) },
    yAxis: { ...axis, type: "value", axisLine: { show: false }, minInterval: 1 },
    tooltip: { ...base.tooltip, trigger: "axis", axisPointer: { type: "shadow", shadowStyle: { color: look.faint, opacity: 0.15 } }, formatter: (events) => say(data, data.rungs[events[0].dataIndex]) },
    series: shown.map(([name, tone, words], place) => ({
      id: name, name: t(words), type: "bar", stack: "rung", barMaxWidth: 56, data: data.rungs.map((rung) => rung[name]),
      itemStyle: { color: look[tone], borderColor: look.panel, borderWidth: 1, opacity: name === "running" ? 0.75 : 1 },
      ...(name === "paused" || name === "running" ? { itemStyle: { color: look[tone], opacity: 0.45, borderColor: look[tone], borderWidth: 1 } } : {}),
      label: place === shown.length - 1 ? { show: true, position: "top", color: look.muted, fontSize: 11.5, formatter: ({ dataIndex }) => number(data.rungs[dataIndex].came) } : undefined,
    })),
  };
}

function say(data, rung) {
  const lines = [`{b|${t("epoch {epoch}: {came} came", { epoch: number(rung.epoch), came: number(rung.came) })}}`];
  for (const [name, , words] of PARTS) if (rung[name]) lines.push(`${number(rung[name])} ${t(words)}`);
  if (rung.saved) lines.push(`{m|${t("epochs saved: {number}", { number: number(rung.saved) })}}`);
  if (rung.trials.length) lines.push(`{m|${t("stopped")}: ${rung.trials.map((trial) => `#${trial}`).join(" ")}${rung.stopped > rung.trials.length ? " …" : ""}}`);
  return lines.join("\n");
}
