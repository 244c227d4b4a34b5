"use strict";
(() => {
  const GUTTER = 228, RIGHT = 12, BAR = 16, GRAPH = 54, GAP = 5, AXIS = 22, OVERVIEW = 14;
  const STEPS = [0.04, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
  const FLOOR = -100; // Digital silence is -200 dBFS, which would flatten everything else.

  // Not even the name of a namespace looks like an address in this page.
  const SVG = document.querySelector("svg").namespaceURI;

  const make = (name, attributes = {}, text = null) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== null) node.textContent = text;
    return node;
  };
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  function timecode(seconds, digits = 3) {
    const whole = Math.max(0, seconds) + 0.5 * 10 ** -digits;
    const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    const rest = Math.floor((whole % 60) * 10 ** digits) / 10 ** digits;
    const width = digits ? digits + 3 : 2;
    return `${hours}:${String(minutes).padStart(2, "0")}:${rest.toFixed(digits).padStart(width, "0")}`;
  }
  const written = (value) => Math.abs(value) >= 100 ? value.toFixed(0) : String(+value.toPrecision(3));

  class Timeline {
    constructor(host, data) {
      this.host = host;
      this.data = data;
      this.whole = Math.max(data.duration, 0.04);
      this.view = [0, this.whole];
      this.cursorTexts = [];
      new ResizeObserver(() => this.draw()).observe(host);
      this.draw();
    }

    zoom(factor, around = (this.view[0] + this.view[1]) / 2) {
      const share = (around - this.view[0]) / (this.view[1] - this.view[0]);
      const length = clamp((this.view[1] - this.view[0]) * factor, Math.min(0.4, this.whole), this.whole);
      this.show(around - share * length, around + (1 - share) * length);
    }
    pan(share) {
      const by = (this.view[1] - this.view[0]) * share;
      this.show(this.view[0] + by, this.view[1] + by);
    }
    show(start, end) {
      const length = Math.min(end - start, this.whole);
      const first = clamp(start, 0, this.whole - length);
      this.view = [first, first + length];
      this.draw();
    }
    x(time) {
      const [start, end] = this.view;
      return GUTTER + (time - start) / (end - start) * this.width;
    }
    time(x) {
      const [start, end] = this.view;
      return start + clamp((x - GUTTER) / this.width, 0, 1) * (end - start);
    }

    draw() {
      const total = this.host.clientWidth;
      if (!total || (total === this.drawn && this.view === this.drawnView)) return;
      this.drawn = total;
      this.drawnView = this.view;
      this.width = Math.max(120, total - GUTTER - RIGHT);
      this.cursorTexts = [];
      const body = make("g");
      let y = this.drawOverview(body);
      y = this.drawAxis(body, y);
      const top = y;
      for (const lane of this.data.lanes) y = this.drawLane(body, lane, y);
      const svg = make("svg", {
        viewBox: `0 0 ${total} ${y}`, height: y, tabindex: "0", role: "group",
        "aria-label": "Timeline. Arrow keys move, plus and minus zoom, 0 shows everything.",
      });
      const defs = make("defs");
      const clip = make("clipPath", { id: `clip-${this.data.id}` });
      clip.append(make("rect", { x: GUTTER, y: 0, width: this.width, height: y }));
      defs.append(clip);
      svg.append(defs, body);
      this.listen(svg, top, y);
      const had = this.host.contains(document.activeElement);
      this.host.replaceChildren(svg);
      if (had) svg.focus();
    }

    drawOverview(body) {
      const [start, end] = this.view, scale = this.width / this.whole;
      body.append(make("rect", { class: "track", x: GUTTER, y: 0, width: this.width, height: OVERVIEW, rx: 3 }));
      for (const one of this.data.incidents) {
        body.append(make("rect", {
          class: `incident ${one.severity}`, x: GUTTER + one.start * scale, y: 3,
          width: Math.max(1.5, (one.end - one.start) * scale), height: OVERVIEW - 6,
        }));
      }
      if (end - start < this.whole) {
        body.append(make("rect", {
          class: "view", x: GUTTER + start * scale, y: 0, width: Math.max(3, (end - start) * scale), height: OVERVIEW, rx: 3,
        }));
      }
      body.append(make("text", { x: 0, y: OVERVIEW - 3 }, "whole input"));
      return OVERVIEW + 4;
    }

    drawAxis(body, y) {
      const [start, end] = this.view;
      const step = STEPS.find((one) => (end - start) / one <= this.width / 80) ?? Math.ceil((end - start) / 36000) * 3600;
      const digits = step < 1 ? 2 : 0;
      for (let n = Math.ceil(start / step - 1e-9); n * step <= end + 1e-9; n += 1) {
        const x = this.x(n * step);
        body.append(make("line", { class: "axis", x1: x, x2: x, y1: y + AXIS - 5, y2: y + AXIS }));
        body.append(make("text", { x, y: y + AXIS - 8, "text-anchor": x > GUTTER + this.width - 30 ? "end" : "middle" }, timecode(n * step, digits)));
      }
      this.clock = make("text", { class: "at", x: 0, y: y + AXIS - 8 });
      body.append(this.clock);
      return y + AXIS;
    }

    drawLane(body, lane, y) {
      const label = make("text", { class: "name", x: 0, y: y + BAR - 3 }, lane.name);
      label.append(make("title", {}, lane.summary));
      body.append(label);
      const group = make("g", { "clip-path": `url(#clip-${this.data.id})` });
      group.append(make("rect", { class: "track", x: GUTTER, y, width: this.width, height: BAR, rx: 2 }));
      for (const [start, end] of lane.unknown) {
        const rect = make("rect", { class: "unknown", x: this.x(start), y, width: Math.max(0, this.x(end) - this.x(start)), height: BAR });
        rect.append(make("title", {}, `${lane.name} could not tell: ${timecode(start)} to ${timecode(end)}`));
        group.append(rect);
      }
      const mine = this.data.incidents.filter((one) => one.defect === lane.name);
      for (const one of mine) group.append(this.drawIncident(one, y));
      body.append(group);
      y += BAR + GAP;
      for (const graph of lane.graphs) y = this.drawGraph(body, graph, mine, y);
      return y + GAP;
    }

    drawIncident(one, y) {
      const text = `${one.defect}, ${one.severity}, ${timecode(one.start)} to ${timecode(one.end)}`;
      const rect = make("rect", {
        class: `incident ${one.severity}`, x: this.x(one.start), y,
        width: Math.max(2, this.x(one.end) - this.x(one.start)), height: BAR, rx: 2,
        "data-id": one.id, "data-start": one.start, "data-end": one.end,
        role: "link", tabindex: "0", "aria-label": text,
      });
      rect.append(make("title", {}, text));
      const open = () => { location.hash = `#${one.anchor}`; };
      rect.addEventListener("click", open);
      rect.addEventListener("keydown", (event) => { if (event.key === "Enter") open(); });
      return rect;
    }

    drawGraph(body, graph, incidents, y) {
      const decibels = graph.unit.startsWith("dB") || graph.unit === "LUFS";
      const shown = (value) => decibels ? Math.max(FLOOR, value) : value;
      const values = [...graph.low, ...graph.high].filter((one) => one !== null).map(shown);
      const limits = graph.limits.filter((one) => !decibels || one.value > FLOOR);
      const all = [...values, ...limits.map((one) => one.value)];
      let low = Math.min(...minmax(all)), high = Math.max(...minmax(all));
      if (high - low < 1e-9) { low -= 0.5; high += 0.5; }
      const pad = (high - low) * 0.08;
      low -= pad; high += pad;
      const at = (value) => y + GRAPH - (clamp(shown(value), low, high) - low) / (high - low) * GRAPH;
      const group = make("g", { "clip-path": `url(#clip-${this.data.id})` });
      group.append(make("rect", { class: "track", x: GUTTER, y, width: this.width, height: GRAPH, rx: 2, opacity: 0.5 }));
      for (const one of incidents) {
        group.append(make("rect", { class: `shade ${one.severity}`, x: this.x(one.start), y, width: Math.max(1, this.x(one.end) - this.x(one.start)), height: GRAPH }));
      }
      group.append(make("path", { class: "band", d: this.outline(graph, at) }));
      for (const limit of limits) {
        const line = make("line", { class: limit.raises ? "limit" : "limit clear", x1: GUTTER, x2: GUTTER + this.width, y1: at(limit.value), y2: at(limit.value) });
        line.append(make("title", {}, `${limit.raises ? "raises" : "clears"} ${limit.below === limit.raises ? "at or below" : "above"} ${written(limit.value)} ${graph.unit}`));
        group.append(line);
      }
      body.append(group);
      body.append(make("text", { x: 0, y: y + 13 }, graph.name));
      const rule = limits.filter((one) => one.raises).map((one) => `${one.below ? "≤" : "≥"} ${written(one.value)}`).join(", ");
      body.append(make("text", { x: 0, y: y + 28 }, `defect ${rule} ${graph.unit}`));
      const now = make("text", { class: "at", x: 0, y: y + 43 });
      body.append(now);
      body.append(make("text", { x: GUTTER - 5, y: y + 10, "text-anchor": "end" }, written(high - pad)));
      body.append(make("text", { x: GUTTER - 5, y: y + GRAPH - 2, "text-anchor": "end" }, written(low + pad)));
      this.cursorTexts.push({ node: now, graph });
      return y + GRAPH + GAP;
    }

    outline(graph, at) {
      const [start, end] = this.view, step = graph.bin;
      const first = Math.max(0, Math.floor(start / step) - 1), last = Math.min(graph.low.length, Math.ceil(end / step) + 1);
      const each = Math.max(1, Math.floor((last - first) / (this.width * 2)));
      const runs = [];
      let run = null;
      for (let index = first; index < last; index += each) {
        let low = null, high = null;
        for (let at = index; at < Math.min(index + each, last); at += 1) {
          if (graph.low[at] === null) continue;
          low = low === null ? graph.low[at] : Math.min(low, graph.low[at]);
          high = high === null ? graph.high[at] : Math.max(high, graph.high[at]);
        }
        if (low === null) { run = null; continue; }
        if (run === null) { run = []; runs.push(run); }
        run.push([this.x(index * step), at(low), at(high), this.x(Math.min(index + each, last) * step)]);
      }
      return runs.map((points) => {
        const ends = [...points, [points.at(-1)[3], ...points.at(-1).slice(1, 3)]];
        const above = ends.map((one) => `${one[0].toFixed(1)},${one[2].toFixed(1)}`);
        const below = ends.map((one) => `${one[0].toFixed(1)},${one[1].toFixed(1)}`).reverse();
        return `M${above.join("L")}L${below.join("L")}Z`;
      }).join("");
    }

    listen(svg, top, bottom) {
      const cursor = make("line", { class: "cursor", y1: top - AXIS, y2: bottom, visibility: "hidden" });
      const pick = make("rect", { class: "pick", y: top, height: bottom - top, visibility: "hidden" });
      svg.append(cursor, pick);
      const where = (event) => event.clientX - svg.getBoundingClientRect().left;
      let from = null;
      svg.addEventListener("pointermove", (event) => {
        const x = where(event);
        this.point(cursor, x);
        if (from !== null) {
          pick.setAttribute("x", Math.max(GUTTER, Math.min(from, x)));
          pick.setAttribute("width", Math.abs(x - from));
          pick.setAttribute("visibility", "visible");
        }
      });
      svg.addEventListener("pointerleave", () => { from = null; this.point(cursor, -1); pick.setAttribute("visibility", "hidden"); });
      svg.addEventListener("pointerdown", (event) => { if (where(event) >= GUTTER && event.button === 0) from = where(event); });
      svg.addEventListener("pointerup", (event) => {
        const x = where(event), began = from;
        from = null;
        pick.setAttribute("visibility", "hidden");
        if (began !== null && Math.abs(x - began) > 6) this.show(this.time(Math.min(began, x)), this.time(Math.max(began, x)));
      });
      svg.addEventListener("dblclick", () => this.show(0, this.whole));
      svg.addEventListener("keydown", (event) => {
        const keys = {
          ArrowLeft: () => this.pan(-0.2), ArrowRight: () => this.pan(0.2), "+": () => this.zoom(0.5),
          "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.show(0, this.whole),
        };
        if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
      });
    }

    point(cursor, x) {
      const inside = x >= GUTTER && x <= GUTTER + this.width;
      cursor.setAttribute("visibility", inside ? "visible" : "hidden");
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      const time = this.time(x);
      this.clock.textContent = inside ? timecode(time) : "";
      for (const { node, graph } of this.cursorTexts) {
        const index = Math.floor(time / graph.bin), low = graph.low[index], high = graph.high[index];
        const one = low === high ? written(low ?? 0) : `${written(low)} to ${written(high)}`;
        node.textContent = !inside ? "" : low === null || low === undefined ? "unknown" : `${one} ${graph.unit}`;
      }
    }
  }

  function minmax(values) {
    let low = Infinity, high = -Infinity;
    for (const one of values) { low = Math.min(low, one); high = Math.max(high, one); }
    return low <= high ? [low, high] : [0, 1];
  }

  for (const section of document.querySelectorAll("section.input")) {
    const source = section.querySelector("script.data"), host = section.querySelector(".timeline");
    if (!source || !host) continue;
    const timeline = new Timeline(host, JSON.parse(source.textContent));
    const actions = {
      closer: () => timeline.zoom(0.5), wider: () => timeline.zoom(2), all: () => timeline.show(0, timeline.whole),
      earlier: () => timeline.pan(-0.5), later: () => timeline.pan(0.5),
      tiles: (button) => button.setAttribute("aria-pressed", String(!section.classList.toggle("hide-tiles"))),
    };
    for (const button of section.querySelectorAll("button[data-action]")) {
      button.addEventListener("click", () => actions[button.dataset.action](button));
    }
    for (const button of section.querySelectorAll("button[data-start]")) {
      button.addEventListener("click", () => {
        const start = Number(button.dataset.start), end = Number(button.dataset.end), more = Math.max(1, end - start);
        timeline.show(start - more, end + more);
        host.scrollIntoView({ block: "nearest" });
      });
    }
  }
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
  document.documentElement.dataset.ready = "true";
})();
