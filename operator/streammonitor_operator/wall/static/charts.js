// Timelines, traces and evidence, drawn as SVG.

import { clock, lasted, make, words } from "./shared.js";

const SVG = "http://www.w3.org/2000/svg";
const FLOOR = -100; // Digital silence is -200 dBFS, which would flatten everything else.

export const draw = (name, attributes = {}, ...children) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
export const written = (value) => Math.abs(value) >= 100 ? value.toFixed(0) : String(+value.toPrecision(3));

const STEPS = [300, 600, 900, 1800, 3600, 7200, 10_800, 21_600];
const HOUR = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });

// A lane for each defect, a bar for each of its incidents.
export function timeline(incidents, minutes, hours, width, now) {
  const from = now - hours * 3600_000, gutter = width < 560 ? 0 : 128, lane = gutter ? 26 : 42;
  const shown = incidents.filter((one) => (one.endedAt ? new Date(one.endedAt) : now) > from);
  const lanes = [...new Set(shown.map((one) => one.defect))].sort();
  const rows = ["", ...(lanes.length ? lanes : [null])];
  const height = rows.length * lane + 22, across = width - gutter - 2;
  const x = (at) => gutter + clamp((at - from) / (now - from), 0, 1) * across;
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "group", "aria-label": `Timeline of the last ${hours} hours, ${shown.length} incidents` });
  const step = (STEPS.find((one) => hours * 3600 / one <= across / 90) ?? STEPS.at(-1)) * 1000;
  const offset = new Date(now).getTimezoneOffset() * 60_000;
  for (let at = Math.ceil((from - offset) / step) * step + offset; at <= now; at += step) {
    svg.append(draw("line", { class: "axis", x1: x(at), x2: x(at), y1: 0, y2: height - 18 }));
    const label = draw("text", { x: x(at), y: height - 4, "text-anchor": x(at) > width - 30 ? "end" : x(at) < gutter + 20 ? "start" : "middle" });
    label.append(HOUR.format(new Date(at)));
    svg.append(label);
  }
  rows.forEach((defect, index) => {
    const y = index * lane + (gutter ? 0 : 16);
    svg.append(draw("rect", { class: "track", x: gutter, y: y + 3, width: across, height: 18, rx: 4 }));
    const name = draw("text", { class: "name", x: gutter ? 0 : 2, y: gutter ? y + 17 : y - 2 });
    name.append(defect === "" ? "score" : defect ? words(defect) : "no incident");
    svg.append(name);
    if (defect === "") svg.append(...scores(minutes.filter(([at]) => at * 1000 > from), x, y + 3));
    for (const one of shown.filter((other) => other.defect === defect)) {
      const start = new Date(one.startedAt), end = one.endedAt ? new Date(one.endedAt) : now;
      const text = `${words(one.defect)}, ${one.severity}, from ${clock(start)}${one.endedAt ? ` for ${lasted((end - start) / 1000)}` : ", goes on"}`;
      const bar = draw("rect", { class: one.severity, x: x(start), y: y + 3, width: Math.max(3, x(end) - x(start)), height: 18, rx: 3 });
      const title = draw("title");
      title.append(text);
      bar.append(title);
      svg.append(draw("a", { href: `#i-${one.id}`, "aria-label": text }, bar));
    }
  });
  return svg;
}

// The score of each minute: equal neighbours are one.
function scores(minutes, x, y) {
  const runs = [];
  for (const [at, score] of minutes) {
    const kind = score === null ? "unwatched" : score >= 99.5 ? "good" : score >= 75 ? "fair" : score >= 40 ? "poor" : "bad";
    const last = runs.at(-1);
    if (last && last.kind === kind && at - last.end < 1) { last.end = at + 60; last.least = Math.min(last.least, score ?? 100); }
    else runs.push({ kind, start: at, end: at + 60, least: score ?? 100 });
  }
  return runs.filter((one) => one.kind !== "unwatched").map((one) => {
    const bar = draw("rect", { class: `score ${one.kind}`, x: x(one.start * 1000), y, width: Math.max(1, x(one.end * 1000) - x(one.start * 1000)), height: 18 });
    const title = draw("title");
    title.append(`${clock(one.start * 1000)} to ${clock(one.end * 1000)}: score ${one.kind === "good" ? "100" : `${one.least.toFixed(0)} at least`}`);
    bar.append(title);
    return bar;
  });
}

// One value over the last minutes, and the limits that it is judged by.
export function trace(graph, width = 380, height = 84) {
  const decibels = graph.unit.startsWith("dB") || graph.unit === "LUFS";
  const seen = (value) => decibels ? Math.max(FLOOR, value) : value;
  const values = [...graph.low, ...graph.high].filter((one) => one !== null).map(seen);
  const limits = graph.limits.filter((one) => !decibels || one.value > FLOOR);
  const all = [...values, ...limits.map((one) => one.value)];
  let low = all.length ? Math.min(...all) : 0, high = all.length ? Math.max(...all) : 1;
  if (high - low < 1e-9) { low -= 0.5; high += 0.5; }
  const pad = (high - low) * 0.08;
  low -= pad; high += pad;
  const y = (value) => height - (clamp(seen(value), low, high) - low) / (high - low) * height;
  const x = (index) => index / graph.low.length * width;
  const last = graph.high.findLast((one) => one !== null) ?? null;
  const now = last === null ? "unknown" : `${written(last)} ${graph.unit}`.trim();
  const label = `${words(graph.detector)}: ${words(graph.name)}, now ${now}`
    + (values.length ? `, between ${written(Math.min(...values))} and ${written(Math.max(...values))}` : "");
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, height, preserveAspectRatio: "none", role: "img", "aria-label": label });
  svg.append(draw("rect", { class: "track", width, height, rx: 4 }), draw("path", { class: "band", d: outline(graph, x, y) }));
  for (const limit of limits) {
    const line = draw("line", { class: limit.raises ? "limit" : "limit clear", x1: 0, x2: width, y1: y(limit.value), y2: y(limit.value) });
    svg.append(line);
  }
  const rule = limits.filter((one) => one.raises).map((one) => `${one.below ? "≤" : "≥"} ${written(one.value)}`).join(", ");
  return make("figure", { class: "trace" },
    make("figcaption", {}, make("span", {}, make("b", {}, words(graph.detector)), ` ${words(graph.name)}`),
      make("span", { class: "now" }, `${now}${rule ? ` · defect ${rule}` : ""}`)), svg);
}

function outline(graph, x, y) {
  const runs = [];
  let run = null;
  graph.low.forEach((low, index) => {
    if (low === null) { run = null; return; }
    if (!run) { run = []; runs.push(run); }
    run.push([x(index), y(low), y(graph.high[index]), x(index + 1)]);
  });
  return runs.map((points) => {
    const ends = [...points, [points.at(-1)[3], points.at(-1)[1], points.at(-1)[2]]];
    const above = ends.map((one) => `${one[0].toFixed(1)},${one[2].toFixed(1)}`);
    const below = ends.map((one) => `${one[0].toFixed(1)},${one[1].toFixed(1)}`).reverse();
    return `M${above.join("L")}L${below.join("L")}Z`;
  }).join("");
}

const ROLES = { start: "where it began", worst: "at its worst", end: "when it was gone" };

// Pictures with their damaged parts, or the sound around it.
export function evidence(document_) {
  const shots = document_.shots.map((shot) => {
    const picture = make("span", { class: "picture" },
      make("img", { src: `data:image/jpeg;base64,${shot.jpeg}`, width: shot.width, height: shot.height, alt: `the picture ${ROLES[shot.role]}` }));
    if (shot.tiles) {
      picture.append(draw("svg", { viewBox: `0 0 ${shot.tiles.columns} ${shot.tiles.rows}`, preserveAspectRatio: "none", "aria-hidden": "true" },
        draw("path", { class: "tiles-path", d: shot.tiles.path })));
    }
    return make("figure", {}, picture, make("figcaption", {}, `${ROLES[shot.role]} · ${clock(shot.takenAt * 1000)}`));
  });
  const nodes = shots.length ? [make("div", { class: "shots" }, ...shots)] : [];
  if (document_.waveform) nodes.push(wave(document_.waveform));
  if (document_.hidden) nodes.push(make("p", { class: "hint" }, "The stream is encrypted: its pictures stay in the worker."));
  return nodes;
}

function wave(waveform) {
  const lane = 40, count = waveform.peaks[0]?.length ?? 0, height = lane * waveform.peaks.length;
  const svg = draw("svg", { viewBox: `0 0 ${count} ${height}`, height, preserveAspectRatio: "none", role: "img", "aria-label": `waveform of ${waveform.peaks.length} channels` });
  waveform.peaks.forEach((channel, index) => {
    const middle = lane * (index + 0.5);
    const reach = channel.map((peak) => peak === null ? 0 : clamp(1 + 20 * Math.log10(Math.max(peak, 1e-6)) / 60, 0, 1) * (lane / 2 - 2));
    const upper = reach.map((one, at) => `${at} ${(middle - one - 0.4).toFixed(1)}H${at + 1}`);
    const lower = reach.map((one, at) => `${at + 1} ${(middle + one + 0.4).toFixed(1)}H${at}`).reverse();
    svg.append(draw("path", { class: "peaks", d: `M${upper.join("L")}L${lower.join("L")}z` }));
  });
  const each = waveform.binSeconds;
  return make("figure", { class: "wave" }, svg,
    make("figcaption", { class: "hint" }, `${lasted(count * each)} of sound, down to −60 dBFS`));
}
