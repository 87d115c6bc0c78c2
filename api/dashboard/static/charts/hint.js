// A mark and a box with text beside it, drawn over a chart: for what ECharts has no tooltip for.
import { rich } from "../chart.js";

export function hint(chart) {
  const { Circle, Text } = window.echarts.graphic;
  const surface = chart.getZr();
  const mark = new Circle({ silent: true, z: 90, ignore: true, shape: { r: 4 } });
  const text = new Text({ silent: true, z: 91, ignore: true });
  surface.add(mark);
  surface.add(text);
  return {
    show(x, y, words, look) {
      mark.attr({ ignore: false, shape: { cx: x, cy: y, r: 4 }, style: { fill: look.accent, stroke: look.panel, lineWidth: 1.5 } });
      text.attr({
        ignore: false,
        style: {
          text: words, rich: rich(look), fill: look.text, fontSize: 12, fontFamily: look.font, lineHeight: 17, padding: [8, 11],
          backgroundColor: look.panel, borderColor: look.line, borderWidth: 1, borderRadius: 4, shadowBlur: 8, shadowColor: "rgba(0,0,0,.18)",
        },
      });
      const { width, height } = text.getBoundingRect();
      const right = x + 14 + width <= surface.getWidth();
      text.attr({ x: right ? x + 14 : Math.max(2, x - 14 - width), y: Math.max(2, Math.min(y - height / 2, surface.getHeight() - height - 2)) });
    },
    hide() {
      mark.attr({ ignore: true });
      text.attr({ ignore: true });
    },
  };
}
