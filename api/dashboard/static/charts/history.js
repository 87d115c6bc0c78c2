// The optimisation history: trials by state, the best so far, trial 0.
import { frame, number, plain, zooming } from "../chart.js";
import { message, t } from "../words.js";

const STATES = ["completed", "pruned", "failed", "cancelled"];
const AXES = { trials: message("trials ended"), epochs: message("epochs trained by the study"), hours: message("device hours") };

export function option(data, look) {
  if (!data.trials.length) return null;
  const { axis, base } = frame(look);
  const shown = STATES.filter((state) => data.states.includes(state));
  const last = data.best.at(-1);
  const isBase = last && last[1] === data.base; // one name is enough where they are the same line
  const stairs = last ? [...data.best, [data.across, last[1]]] : [];
  return {
    ...base,
    ...zooming(look),
    grid: { ...base.grid, bottom: 62 },
    legend: { ...base.legend, data: [t("best so far"), ...shown.map((state) => t(state))] },
    xAxis: { ...axis, type: "value", min: 0, max: data.across, minInterval: data.axis === "hours" ? 0 : 1, name: t(AXES[data.axis]), nameLocation: "middle", nameGap: 24, splitLine: { show: false } },
    yAxis: { ...axis, type: "value", min: data.low, max: data.high, axisLine: { show: false }, axisLabel: { ...axis.axisLabel, showMinLabel: false, showMaxLabel: false, formatter: number } },
    tooltip: { ...base.tooltip, trigger: "item", formatter: (event) => say(data, event.data) },
    series: [
      ...shown.map((state) => marks(data, look, state)),
      {
        id: "best", name: t("best so far"), type: "line", step: "end", data: stairs, symbol: "none", silent: true, z: 3,
        lineStyle: { color: look.accent, width: 2 },
        endLabel: { show: Boolean(last), color: look.accent, fontSize: 11.5, fontWeight: 600, align: "right", verticalAlign: data.better_high ? "bottom" : "top", distance: 0, offset: [0, data.better_high ? -6 : 6], textBorderColor: look.panel, textBorderWidth: 3, formatter: t("best {value} · #{trial}", { value: number(last?.[1]), trial: data.best_trial }) },
        itemStyle: { color: look.accent },
        markLine: data.base === null ? undefined : {
          silent: true, symbol: "none", animation: false, precision: 15, // two decimals otherwise
          data: [{ yAxis: data.base }],
          lineStyle: { color: look.muted, type: "dashed", width: 1 },
          label: { show: !isBase, position: "insideEndBottom", color: look.muted, fontSize: 11.5, formatter: t("trial 0 · {value}", { value: number(data.base) }) },
        },
      },
    ],
  };
}

// Marks beyond the axis stand at its edge, as a triangle that points to where they are.
function marks(data, look, state) {
  const points = [];
  const edge = (data.high - data.low) * 0.015;
  data.states.forEach((own, index) => {
    if (own !== state) return;
    const value = data.values[index];
    const below = value === null || value < data.low, above = value !== null && value > data.high;
    points.push({
      value: [data.places[index], below ? data.low + edge : above ? data.high - edge : value],
      index, trial: data.trials[index],
      ...(value !== null && (below || above) ? { symbol: "triangle", symbolRotate: below ? 180 : 0 } : {}),
    });
  });
  const hollow = state === "pruned" || state === "cancelled";
  const crowd = data.trials.length > 300 ? 0.75 : 1;
  return {
    id: state, name: t(state), type: "scatter", data: points, z: state === "completed" ? 2 : 1,
    symbol: state === "failed" ? "path://M2 0 0 2 8 10 0 18 2 20 10 12 18 20 20 18 12 10 20 2 18 0 10 8Z" : "circle",
    symbolSize: (state === "completed" ? 8 : 7) * crowd,
    itemStyle: hollow ? { color: look.panel, borderColor: look[state], borderWidth: 1.3 } : { color: look[state], borderColor: state === "failed" ? look[state] : look.panel, borderWidth: 0.8 },
    emphasis: { scale: 1.6 },
  };
}

function say(data, point) {
  if (point?.index === undefined) return "";
  const { index } = point;
  const [step, epochs] = [data.steps[index], data.epochs[index]];
  const where = step < epochs ? t("{state} at epoch {step} of {epochs}", { state: t(data.states[index]), step, epochs }) : t(data.states[index]);
  const params = plain(data.params[index]).split(" ").filter(Boolean).map((part) => part.replace("=", "  "));
  return [`{b|#${data.trials[index]} · ${plain(data.metric)} ${number(data.values[index])}}`, `{m|${where}}`, ...params].join("\n");
}

export function highlight(chart, data, trial) {
  chart.dispatchAction({ type: "downplay" });
  if (trial === undefined) return;
  const at = data.trials.indexOf(trial);
  if (at < 0) return;
  const dataIndex = data.states.slice(0, at).filter((state) => state === data.states[at]).length;
  chart.dispatchAction({ type: "highlight", seriesId: data.states[at], dataIndex });
}
