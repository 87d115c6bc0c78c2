// Axes of params and colours of values, as the server describes both: places lie between 0 and
// 1, in ten-thousandths, and trials that lack a param lie below 0.
import { number } from "../chart.js";
import { t } from "../words.js";

export const WHOLE = 10_000, MISSING = [-0.13, -0.05], DASH = "–";
const SHADES = 8;

// The colours v0 (worse) to v7 (better) of the style sheet, where the element is.
export function shades(element) {
  const probe = document.createElement("span");
  probe.hidden = true;
  element.append(probe);
  const found = Array.from({ length: SHADES }, (_, index) => {
    probe.style.color = `var(--v${index})`;
    return getComputedStyle(probe).color;
  });
  probe.remove();
  const scale = found.map((colour) => colour.match(/[\d.]+/g).map(Number));
  return (share) => {
    const at = Math.min(1, Math.max(0, share)) * (SHADES - 1), low = Math.min(SHADES - 2, Math.floor(at));
    return `rgb(${[0, 1, 2].map((part) => Math.round(scale[low][part] + (scale[low + 1][part] - scale[low][part]) * (at - low))).join(",")})`;
  };
}

// The value at a place, as short as the screen can tell it.
export function valueAt(axis, place) {
  const found = axis.log ? axis.low * (axis.high / axis.low) ** place : axis.low + (axis.high - axis.low) * place;
  return axis.whole ? Math.round(found) : Number(found.toPrecision(3));
}

export function sayAt(axis, place) {
  if (place === null || place < MISSING[1] + 1e-6) return t("not searched");
  if (!axis.options.length) return number(valueAt(axis, place));
  return axis.options[Math.min(axis.options.length - 1, Math.floor(place * axis.options.length))].label;
}

// Ticks of an axis by place, the one of what is lacking first.
export function ticksOf(axis) {
  const lacking = axis.has_missing ? [{ place: (MISSING[0] + MISSING[1]) / 2, label: DASH }] : [];
  return [...lacking, ...axis.ticks];
}

export function labelled(axis, room = 18) {
  const ticks = ticksOf(axis);
  return {
    customValues: ticks.map((tick) => tick.place),
    formatter: (place) => {
      const near = ticks.find((tick) => Math.abs(tick.place - place) < 1e-6);
      return near ? cut(near.label, room) : "";
    },
  };
}

export function cut(text, room) {
  return text.length > room ? `${text.slice(0, room - 1)}…` : text;
}

// An axis of a chart over params: it ends where its cells or its trials do.
export function placed(axis, look, extra = {}) {
  const half = axis.edge ?? 0;
  return {
    ...look, type: "value", min: axis.has_missing ? MISSING[0] - 0.015 : -half, max: 1 + half, splitLine: { show: false },
    axisLabel: { ...look.axisLabel, ...labelled(axis, extra.room ?? 18), hideOverlap: true },
    axisTick: { show: true, customValues: ticksOf(axis).map((tick) => tick.place), length: 4, lineStyle: look.axisLine.lineStyle },
    ...extra.axis,
  };
}
