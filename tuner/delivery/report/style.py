"""The report's style sheet: the dashboard's colours and letters."""

STYLE = """
:root {
  color-scheme: light dark;
  --bg: light-dark(#f7f7f5, #0e1116);
  --panel: light-dark(#ffffff, #151a21);
  --raised: light-dark(#f3f3f0, #1c232c);
  --line: light-dark(#e4e4df, #262e39);
  --text: light-dark(#1a1e24, #e3e7ed);
  --muted: light-dark(#5d6673, #939eae);
  --faint: light-dark(#b4bac3, #4b5563);
  --accent: light-dark(#3451c7, #93a9ff);
  --warn: light-dark(#c98a00, #e5b042);
  --heat: light-dark(#3451c7, #6f8cff);
  --wrong: light-dark(#c4500a, #ff8f4d);
  --hue0: light-dark(#0072b2, #56b4e9);
  --hue1: light-dark(#c4500a, #ff8f4d);
  --hue2: light-dark(#008a63, #2fcf9f);
  --hue3: light-dark(#a3568a, #e39ccb);
  --hue4: light-dark(#7a5cc9, #b49cff);
  --hue5: light-dark(#a67c00, #f0c64a);
  font: 14px/1.45 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  font-variant-numeric: tabular-nums;
}
*, ::before, ::after { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--text); }
main { max-width: 1280px; margin: 0 auto; padding: 24px 24px 64px;
  display: grid; grid-template-columns: minmax(0, 1fr); gap: 16px; }
h1, h2, h3, p, dl, dd, figure { margin: 0; }
h1 { font-size: 22px; line-height: 1.25; letter-spacing: -0.015em; font-weight: 650;
  overflow-wrap: anywhere; }
h2 { font-size: 15px; font-weight: 650; }
h3 { font-size: 13px; font-weight: 600; overflow-wrap: anywhere; }
header p { margin-top: 4px; color: var(--muted); overflow-wrap: anywhere; }
footer { color: var(--muted); font-size: 12.5px; overflow-wrap: anywhere; }
footer p + p { margin-top: 4px; }
.muted { color: var(--muted); font-size: 12.5px; }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 16px; min-width: 0; }
.title { display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 12px;
  margin-bottom: 10px; }
.title p { max-width: 100ch; text-wrap: pretty; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px;
  align-items: start; }
.column { display: grid; grid-template-columns: minmax(0, 1fr); gap: 16px; }
.note { padding: 8px 12px; border: 1px solid var(--line); border-left: 3px solid var(--warn);
  border-radius: 6px; background: var(--panel); overflow-wrap: anywhere; }
.note + .note { margin-top: 8px; }
.facts { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); padding: 0; }
.facts > div { padding: 12px 16px 13px; border-left: 1px solid var(--line); min-width: 0; }
.facts > div:first-child { border-left: 0; }
.facts dt { color: var(--muted); font-size: 12px; }
.facts dd { font-size: 21px; font-weight: 600; letter-spacing: -0.015em; line-height: 1.35; }
.facts dd.sub { font-size: 12px; font-weight: 400; letter-spacing: 0; color: var(--muted);
  line-height: 1.4; }
.scroll { overflow-x: auto; overscroll-behavior-x: contain; }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: 5px 8px; text-align: left; white-space: nowrap; font-weight: 400;
  border-top: 1px solid var(--line); }
thead th { color: var(--muted); font-size: 12px; border-top: 0; vertical-align: bottom; }
tbody th { font-weight: 550; }
tbody tr:hover > * { background: var(--raised); }
.n { text-align: right; }
.cut { display: inline-block; max-width: 200px; overflow: hidden; text-overflow: ellipsis;
  vertical-align: bottom; }
.swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px;
  margin-right: 8px; vertical-align: -1px; border: 1px solid var(--faint); }
.bar { display: inline-block; width: 64px; height: 6px; margin-left: 10px; border-radius: 3px;
  background: var(--raised); vertical-align: 2px; text-align: left; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--accent); }
.heat { border-collapse: separate; border-spacing: 2px; width: auto; font-size: 12px; }
.heat th, .heat td { border: 0; padding: 3px 4px; }
.heat td { min-width: 34px; text-align: center; border-radius: 3px;
  background: color-mix(in srgb, var(--tone) var(--share), var(--raised)); }
.heat td.dark { color: light-dark(#ffffff, #0e1116); }
.heat tbody tr:hover > td { background:
  color-mix(in srgb, var(--tone) var(--share), var(--raised)); }
.heat tbody th { position: sticky; left: 0; background: var(--panel); z-index: 1; }
.heat thead th { vertical-align: bottom; padding-bottom: 6px; }
.heat thead span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 120px;
  overflow: hidden; text-overflow: ellipsis; }
.chart { display: block; width: 100%; height: auto; overflow: visible; }
.chart text { fill: var(--muted); font-size: 12px; }
.chart .grid { stroke: var(--line); stroke-width: 1; }
.chart .ideal { stroke: var(--faint); stroke-width: 1.5; stroke-dasharray: 4 4; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 12.5px;
  color: var(--muted); margin-top: 10px; }
.legend span { overflow-wrap: anywhere; min-width: 0; }
.images { display: grid; gap: 18px; }
.images figure { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 8px; }
.images figcaption { grid-column: 1 / -1; display: flex; flex-wrap: wrap; gap: 2px 12px;
  align-items: baseline; }
.images img { display: block; width: 100%; height: auto; border-radius: 5px;
  background: var(--raised); }
.images span.what { display: block; color: var(--muted); font-size: 12px; margin-top: 3px; }
@media (max-width: 1000px) {
  .pair { grid-template-columns: minmax(0, 1fr); }
  .facts { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  .facts > div { border-top: 1px solid var(--line); margin-top: -1px; }
  .facts > div:nth-child(3n + 1) { border-left: 0; }
}
@media (max-width: 620px) {
  main { padding: 16px 12px 40px; gap: 12px; }
  .panel { padding: 12px; }
  .panel.facts { padding: 0; grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .facts > div { padding: 10px 12px; }
  .facts > div:nth-child(n) { border-left: 1px solid var(--line); }
  .facts > div:nth-child(2n + 1) { border-left: 0; }
  .images figure { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
@media print {
  body { background: none; }
  .panel { break-inside: avoid; }
}
"""
