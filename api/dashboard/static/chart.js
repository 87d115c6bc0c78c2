// Interactive charts over the SVG that a page comes with: data from the server, drawn by ECharts.
// `charts/NAME.js` exports option(data, theme, element) and may export bind(chart, data, element).
import { isDark } from "./theme.js";
import { t } from "./words.js";

const RATIO = Math.min(2, window.devicePixelRatio || 1);
let library;

function loadLibrary() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("./vendor/echarts.min.js", import.meta.url).href;
    script.onload = () => resolve(window.echarts);
    script.onerror = () => reject(new Error("the charts' library did not load"));
    document.head.append(script);
  });
  return library;
}

export function theme() {
  const style = getComputedStyle(document.documentElement);
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const names = ["panel", "raised", "line", "text", "muted", "faint", "accent", "good", "bad",
    "completed", "running", "pruned", "failed", "paused", "waiting", "cancelled",
    "hue0", "hue1", "hue2", "hue3", "hue4", "hue5", "hue6", "hue7"];
  const colours = Object.fromEntries(names.map((name) => [name, colour(name)]));
  probe.remove();
  const hues = names.filter((name) => name.startsWith("hue")).map((name) => colours[name]);
  return { ...colours, hues, dark: isDark(), font: style.fontFamily };
}

// What all charts share, so that an option says only what is its own. Tooltips are drawn on the
// canvas: as HTML they would carry inline styles, which the page's policy forbids.
export function frame(look) {
  const axis = {
    axisLine: { lineStyle: { color: look.line } },
    axisTick: { show: false },
    axisLabel: { color: look.muted, fontSize: 11.5 },
    nameTextStyle: { color: look.muted, fontSize: 11.5 },
    splitLine: { lineStyle: { color: look.line } },
  };
  return {
    axis,
    base: {
      animation: false,
      backgroundColor: "transparent",
      textStyle: { fontFamily: look.font, color: look.text },
      grid: { left: 52, right: 20, top: 16, bottom: 34 },
      tooltip: {
        renderMode: "richText", confine: true, backgroundColor: look.panel, borderColor: look.line,
        textStyle: { color: look.text, fontSize: 12 },
      },
    },
  };
}

class Chart {
  constructor(element) {
    this.element = element;
    this.place = document.createElement("div");
    this.place.className = "plot";
    this.place.dataset.keep = "";
    this.place.id = `${element.id}-plot`;
    new IntersectionObserver((seen, observer) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      observer.disconnect();
      this.begin();
    }, { rootMargin: "300px" }).observe(element);
  }

  async begin() {
    try {
      const [echarts, kind] = await Promise.all([loadLibrary(), import(`./charts/${this.element.dataset.chart}.js`)]);
      this.kind = kind;
      this.echarts = echarts;
      document.addEventListener("segtune:refreshed", () => this.refresh());
      document.addEventListener("segtune:theme", () => this.draw());
      await this.refresh();
    } catch (error) {
      console.warn(`chart ${this.element.id}: ${error.message}`); // the drawn SVG stays
    }
  }

  // The answer to a question that has been overtaken by another is dropped.
  async refresh() {
    const asked = this.element.dataset.src;
    if (!this.element.isConnected || (asked === this.asked && this.busy)) return;
    this.asked = asked;
    this.busy = true;
    try {
      const answer = await fetch(asked, { headers: { Accept: "application/json" } });
      if (!answer.ok || answer.redirected || asked !== this.element.dataset.src) return;
      this.data = await answer.json();
      this.draw();
    } catch { /* the live mark says that the server is gone */ } finally {
      this.busy = false;
    }
  }

  draw() {
    if (!this.data || !this.element.isConnected) return;
    const option = this.kind.option(this.data, theme(), this.element);
    if (!option) return;
    this.mount();
    this.chart.setOption(option, { notMerge: true });
    this.kind.bind?.(this.chart, this.data, this.element);
  }

  mount() {
    if (!this.place.isConnected) this.element.append(this.place);
    this.element.classList.add("drawn"); // hides the SVG
    if (this.chart) return;
    this.place.setAttribute("role", "img");
    this.place.setAttribute("aria-label", this.element.dataset.label ?? this.element.querySelector("h2")?.textContent ?? t("chart"));
    this.chart = this.echarts.init(this.place, null, { renderer: "canvas", devicePixelRatio: RATIO });
    new ResizeObserver(() => this.chart.resize()).observe(this.place);
    this.chart.on("click", (event) => {
      const trial = event.data?.trial;
      const base = this.element.closest("[data-trials]")?.dataset.trials;
      if (trial !== undefined && base) location.href = base + trial;
    });
  }
}

export function start(element) {
  new Chart(element);
}
