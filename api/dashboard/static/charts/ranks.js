// Trials over two params by rank: good ones stand out, however small the differences.
import { t } from "../words.js";
import { dot, emphasise, over, say } from "./pairs.js";
import { shades, WHOLE } from "./scales.js";

export function option(data, look, element) {
  if (!data.dots?.length) return null;
  const shade = shades(element);
  const shown = over(data, look, element);
  return {
    ...shown,
    tooltip: { ...shown.tooltip, formatter: ({ data: own }) => (own?.dot ? say(data, own.dot, [`{m|${t("better than {share} % of the others", { share: Math.round(own.dot.good / 100) })}}`]) : "") },
    series: [{
      type: "scatter", clip: false, symbolSize: data.dots.length > 400 ? 6 : 10, emphasis: { scale: 1.6 },
      data: data.dots.map((one) => {
        const best = one.trial === data.best;
        return {
          ...dot(one), ...(best ? { symbol: "diamond", symbolSize: 16 } : {}),
          itemStyle: { color: shade(one.good / WHOLE), borderColor: best ? look.text : look.panel, borderWidth: best ? 2 : 0.7 },
        };
      }),
    }],
  };
}

export function highlight(chart, data, trial) {
  emphasise(chart, data, trial, 0);
}
