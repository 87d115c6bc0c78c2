// Interactive charts over the SVG that a page comes with: data from the server, drawn by ECharts.
// `charts/NAME.js` exports option(data, look, element) and may export bind(chart, context), called
// once, and highlight(chart, data, trial). What a chart shows is in the page's address.
import { onChange, read, write } from "./address.js";
import { ask, Away } from "./partial.js";
import { isDark } from "./theme.js";
import { t } from "./words.js";

const RATIO = Math.min(2, window.devicePixelRatio || 1);
const charts = new Set();
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
  const font = getComputedStyle(document.documentElement).fontFamily;
  return { ...colours, hues, dark: isDark(), font };
}

// What all charts share, so that an option says only what is its own. Tooltips are drawn on the
// canvas: as HTML they would carry inline styles, which the page's policy forbids.
export function frame(look) {
  const axis = {
    axisLine: { lineStyle: { color: look.line } },
    axisTick: { show: false },
    axisLabel: { color: look.muted, fontSize: 11.5, hideOverlap: true },
    nameTextStyle: { color: look.muted, fontSize: 11.5 },
    splitLine: { lineStyle: { color: look.line } },
  };
  return {
    axis,
    base: {
      animation: false,
      backgroundColor: "transparent",
      textStyle: { fontFamily: look.font, color: look.text },
      grid: { left: 46, right: 18, top: 14, bottom: 52, outerBoundsMode: "none" },
      legend: {
        bottom: 0, left: 8, itemWidth: 8, itemHeight: 8, itemGap: 12, type: "scroll",
        textStyle: { color: look.muted, fontSize: 12 }, inactiveColor: look.faint,
        pageTextStyle: { color: look.muted }, pageIconColor: look.muted, pageIconInactiveColor: look.faint,
      },
      tooltip: {
        renderMode: "richText", confine: true, backgroundColor: look.panel, borderColor: look.line,
        borderWidth: 1, padding: [8, 11], transitionDuration: 0,
        textStyle: { color: look.text, fontSize: 12, lineHeight: 17, rich: rich(look) },
      },
    },
  };
}

// Styles that a tooltip's text may name: `{b|bold}`, `{m|muted}`.
export function rich(look) {
  return { b: { fontWeight: "bold", color: look.text, lineHeight: 19 }, m: { color: look.muted, lineHeight: 17 } };
}

// Text from a study within a tooltip's markup, where braces and bars mean styles.
export function plain(text) {
  return String(text).replaceAll("{", "(").replaceAll("}", ")").replaceAll("|", "¦");
}

export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace("e+", "e");
  return size >= 100 ? value.toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 }) : String(Number(value.toFixed(size >= 1 ? 3 : 4)));
}

// Dragging over a chart enlarges that stretch, a double click shows all again.
export function zooming(look, axis = {}) {
  return {
    toolbox: { show: true, itemSize: 0, top: -30, feature: { dataZoom: { yAxisIndex: "none", brushStyle: { color: look.accent, opacity: 0.12 } } } },
    dataZoom: [{ type: "inside", filterMode: "none", zoomOnMouseWheel: "shift", moveOnMouseMove: "shift", moveOnMouseWheel: false, preventDefaultMouseMove: false, ...axis }],
  };
}

class Chart {
  constructor(element) {
    this.element = element;
    this.name = element.dataset.chart;
    this.place = element.querySelector(".plot");
    this.near = false;
    this.stale = true;
    this.watcher = new IntersectionObserver((seen) => {
      this.near = seen.at(-1).isIntersecting;
      if (this.near && this.stale) this.refresh();
    }, { rootMargin: "300px" });
    this.watcher.observe(element);
  }

  // What is asked for: the chart's own address with all that the page's address says.
  get source() {
    const query = new URLSearchParams(location.search);
    for (const name of [...query.keys()]) if (name.startsWith("zoom.")) query.delete(name);
    query.set("points", String(Math.max(200, Math.ceil(this.element.clientWidth / 200) * 200)));
    return `${this.element.dataset.src.split("?")[0]}?${query}`;
  }

  // An answer to a question that has been overtaken by another is dropped.
  async refresh() {
    if (!this.near) {
      this.stale = true;
      return;
    }
    const asked = this.source;
    if (asked === this.asking) {
      this.stale = true; // once more when the answer is there
      return;
    }
    this.asking = asked;
    this.stale = false;
    try {
      const [echarts, kind, text] = await Promise.all([
        loadLibrary(), import(`./charts/${this.name}.js`), ask(asked, { accept: "application/json" }),
      ]);
      if (this.asking !== asked || !this.element.isConnected) return;
      Object.assign(this, { echarts, kind });
      if (text !== this.text) {
        this.text = text;
        this.data = JSON.parse(text);
        this.draw();
      }
    } catch (error) {
      this.fail(error); // what was drawn before stays: the SVG, or the last data
    } finally {
      if (this.asking === asked) {
        this.asking = undefined;
        if (this.stale) this.refresh();
      }
    }
  }

  fail(error) {
    if (error instanceof Away || error instanceof TypeError) return; // the live mark says that the server is gone
    console.warn(`chart ${this.element.id}: ${error.message}`);
  }

  // While a stretch is being dragged nothing changes under the pointer.
  draw(anew = false) {
    if (!this.data || !this.element.isConnected) return;
    if (this.held) {
      this.late = true;
      return;
    }
    const option = this.kind.option(this.data, theme(), this.element);
    if (!option) return this.close(); // there is nothing to draw; the page says so
    if (this.kind.height) this.place.style.height = `${this.kind.height(this.data)}px`;
    this.open();
    this.chart.setOption(option, anew || !this.drawn ? { notMerge: true } : { replaceMerge: ["series", "xAxis", "yAxis", "visualMap", "graphic"] });
    this.drawn = true;
    this.zoom();
    this.letDrag();
    this.kind.update?.(this.chart, this.data);
  }

  open() {
    if (this.chart) return;
    this.place.hidden = false; // and the SVG goes, by the style sheet
    this.place.setAttribute("role", "img");
    this.place.setAttribute("aria-label", this.element.dataset.label ?? this.element.querySelector("h2, h3")?.textContent ?? t("chart"));
    this.chart = this.echarts.init(this.place, null, { renderer: "canvas", devicePixelRatio: RATIO });
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.place);
    this.listen();
    this.kind.bind?.(this.chart, { element: this.element, data: () => this.data, look: theme, show: (trial) => showTrial(this.element, trial), point: (trial) => point(this, trial) });
  }

  listen() {
    const { chart } = this;
    chart.on("click", (event) => showTrial(this.element, event.data?.trial));
    chart.on("mouseover", (event) => point(this, event.data?.trial));
    chart.on("mouseout", () => point(this, undefined));
    chart.on("datazoom", () => this.keepZoom());
    const surface = chart.getZr();
    surface.on("mousedown", () => { this.held = true; });
    surface.on("mouseup", () => this.release());
    surface.on("globalout", () => this.release());
    surface.on("dblclick", () => {
      chart.dispatchAction({ type: "dataZoom", start: 0, end: 100 });
      write({ [`zoom.${this.name}`]: null });
    });
  }

  release() {
    this.held = false;
    if (!this.late) return;
    this.late = false;
    setTimeout(() => this.draw()); // after the chart has dealt with the event itself
  }

  resize() {
    if (!this.place.clientWidth) return;
    this.chart.resize();
    clearTimeout(this.sized);
    this.sized = setTimeout(() => this.refresh(), 300);
  }

  letDrag() {
    if (!this.chart.getOption().toolbox?.length) return;
    this.chart.dispatchAction({ type: "takeGlobalCursor", key: "dataZoomSelect", dataZoomSelectActive: true });
  }

  // `zoom.history=12~80` in the address is the stretch of the axis that is shown.
  zoom() {
    if (!this.chart.getOption().dataZoom?.length) return;
    const [startValue, endValue] = (read(`zoom.${this.name}`) ?? "").split("~").map(Number);
    const chosen = endValue > startValue ? { startValue, endValue } : { start: 0, end: 100 };
    if (JSON.stringify(chosen) === this.zoomed) return;
    this.zoomed = JSON.stringify(chosen);
    this.chart.dispatchAction({ type: "dataZoom", dataZoomIndex: 0, ...chosen });
  }

  keepZoom() {
    const [now] = this.chart.getOption().dataZoom;
    const whole = now.start <= 0.01 && now.end >= 99.99;
    const chosen = whole ? { start: 0, end: 100 } : { startValue: Number(now.startValue.toPrecision(12)), endValue: Number(now.endValue.toPrecision(12)) };
    if (JSON.stringify(chosen) === this.zoomed) return;
    this.zoomed = JSON.stringify(chosen);
    clearTimeout(this.kept);
    this.kept = setTimeout(() => write({ [`zoom.${this.name}`]: whole ? null : `${chosen.startValue}~${chosen.endValue}` }, { quiet: true }), 200);
  }

  close() {
    clearTimeout(this.sized);
    clearTimeout(this.kept);
    this.sizes?.disconnect();
    this.chart?.dispose();
    this.chart = this.sizes = undefined;
    this.drawn = false;
    this.zoomed = undefined;
    this.place.hidden = true;
  }

  // Of an element that has left the page nothing stays behind.
  end() {
    this.watcher.disconnect();
    this.close();
    charts.delete(this);
  }
}

function showTrial(element, trial) {
  const base = element.closest("[data-trials]")?.dataset.trials;
  if (trial !== undefined && trial !== null && base) location.href = base + trial;
}

// The trial under the pointer is shown in all charts of the page, and in its row of the table.
function point(from, trial) {
  for (const row of document.querySelectorAll("tr.pointed")) row.classList.remove("pointed");
  if (trial !== undefined) document.getElementById(`trial-${trial}`)?.classList.add("pointed");
  each((chart) => {
    if (chart !== from && chart.drawn) chart.kind.highlight?.(chart.chart, chart.data, trial);
  });
}

function each(act) {
  for (const chart of [...charts]) {
    if (chart.element.isConnected) act(chart);
    else chart.end();
  }
}

// What a section brings (it is the event's detail) are new elements: these begin by themselves.
document.addEventListener("segtune:refreshed", (event) => each((chart) => event.detail || chart.refresh()));
document.addEventListener("segtune:theme", () => each((chart) => chart.draw(true)));
onChange(() => each((chart) => chart.drawn && chart.zoom()), ["zoom."]);
onChange(() => each((chart) => chart.refresh()));

export function start(element) {
  charts.add(new Chart(element));
}
