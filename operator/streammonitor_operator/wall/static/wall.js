// The wall: a tile for every stream, kept up to date by one long poll.

import { Herald, KINDS, age, ask, connection, kindOf, make, pageOf, pause, stateWords, words } from "./shared.js";
import { Pictures } from "./pictures.js";

const WAIT_S = 25, PAUSE_MS = 400, MAX_CHIPS = 3;
const list = document.querySelector("#tiles"), empty = document.querySelector(".empty");
const form = document.querySelector(".filters"), template = document.querySelector("#tile").content.firstElementChild;
const counts = [...document.querySelectorAll(".counts button")];
const say = connection(), herald = new Herald(), pictures = new Pictures();
const tiles = new Map(); // id -> { data, kind, text, node, parts }
let order = [], current = null;

// ---- one tile ----

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const one = tiles.get(entry.target.dataset.id);
    if (entry.isIntersecting && one) pictures.show(one.data.id, one.data, one.parts.screen);
    else pictures.hide(entry.target.dataset.id);
    entry.target.classList.toggle("seen", entry.isIntersecting);
  }
}, { rootMargin: "120px" });

function build(data) {
  const node = template.cloneNode(true), link = node.firstElementChild;
  const find = (name) => node.querySelector(name);
  node.dataset.id = data.id;
  link.href = pageOf(data);
  find("strong").textContent = data.stream;
  find(".where").textContent = `${data.namespace} / ${data.monitor}`;
  const parts = { link, screen: find(".screen"), chips: find(".chips"), lag: find(".lag"), state: find(".state") };
  watcher.observe(node);
  return { node, parts, data: null, kind: null };
}

function chip(incident) {
  const time = age(incident.startedAt, { "data-goes-on": true });
  return make("span", { class: `chip ${incident.severity}` }, make("b", {}, words(incident.defect)), " ", time,
    make("span", { class: "unseen" }, `, ${incident.severity}. `));
}

function missing(data) {
  const node = make("span", { class: "chip lost" }, make("b", {}, stateWords(data.state)));
  if (data.since) node.append(" ", age(data.since, { "data-goes-on": true }));
  return node;
}

function fill(one, data) {
  const { node, parts } = one, kind = kindOf(data);
  if (kind !== one.kind) {
    node.className = `tile ${kind}${node.classList.contains("seen") ? " seen" : ""}`;
    one.kind = kind;
  }
  const lost = kind === "lost", chips = JSON.stringify([data.incidents, lost && data.state, lost && data.since]);
  if (chips !== one.chips) {
    one.chips = chips;
    const more = data.incidents.length - MAX_CHIPS;
    parts.chips.replaceChildren(...(lost ? [missing(data)] : []), ...data.incidents.slice(0, MAX_CHIPS).map(chip),
      ...(more > 0 ? [make("span", { class: "chip more" }, `+${more}`)] : []));
  }
  const lag = data.lag ? `${data.lag} s late` : "";
  if (parts.lag.textContent !== lag) parts.lag.textContent = lag;
  const reason = data.reason ? words(data.reason) : "";
  const state = reason || (data.state === "receiving" ? (data.format ?? "").replace("x", "×") || "received" : lost ? "" : stateWords(data.state));
  if (parts.state.textContent !== state) parts.state.textContent = state;
  parts.link.title = data.message ?? "";
  if (!data.picture && parts.screen.dataset.shows !== "picture") parts.screen.dataset.shows = data.state === "receiving" ? "sound" : "none";
  one.data = data;
  one.text = [data.id, data.reason, data.format, state, ...data.incidents.map((incident) => incident.defect)].join(" ").toLowerCase();
  if (node.classList.contains("seen")) pictures.show(data.id, data, parts.screen);
}

// ---- all of them ----

const value = (name) => form.elements[name].value;

function matches(one) {
  const { data } = one, text = value("text").trim().toLowerCase();
  const kinds = counts.filter((button) => button.getAttribute("aria-pressed") === "true").map((button) => button.dataset.kind);
  return (!value("namespace") || data.namespace === value("namespace"))
    && (!value("monitor") || data.monitor === value("monitor"))
    && (!value("state") || data.state === value("state"))
    && (!value("defect") || data.incidents.some((incident) => incident.defect === value("defect")))
    && (!kinds.length || kinds.includes(one.kind))
    && (!text || text.split(/\s+/).every((part) => one.text.includes(part)));
}

const compare = new Intl.Collator(undefined, { numeric: true }).compare;
const rank = new Map(KINDS.map((kind, index) => [kind, index]));
function sorted(some) {
  const worst = value("order") === "";
  return some.sort((a, b) => (worst && rank.get(a.kind) - rank.get(b.kind)) || compare(a.data.id, b.data.id));
}

function arrange() {
  const shown = sorted([...tiles.values()].filter(matches));
  if (shown.length !== order.length || shown.some((one, index) => one !== order[index])) {
    const focused = document.activeElement?.closest?.(".tile")?.dataset.id;
    order = shown;
    list.replaceChildren(...shown.map((one) => one.node));
    const again = focused && tiles.get(focused);
    if (again && order.includes(again)) again.parts.link.focus({ preventScroll: true });
  }
  if (!current || !order.includes(current)) pick(order[0] ?? null);
  empty.hidden = order.length > 0;
  if (!order.length) empty.textContent = tiles.size ? "No stream is like that. Show all of them to begin anew." : "There is no stream that you may see.";
}

function pick(one) {
  if (current) current.parts.link.tabIndex = -1;
  current = one;
  if (current) current.parts.link.tabIndex = 0;
}

function count() {
  const found = new Map();
  for (const one of tiles.values()) found.set(one.kind, (found.get(one.kind) ?? 0) + 1);
  for (const button of counts) {
    const number = String(found.get(button.dataset.kind) ?? 0), place = button.firstElementChild;
    if (place.textContent !== number) place.textContent = number;
    button.classList.toggle("none", number === "0");
  }
  const bad = (found.get("critical") ?? 0) + (found.get("lost") ?? 0);
  document.title = `${bad ? `(${bad}) ` : ""}StreamMonitor`;
}

function offer(name, values, text = (one) => one) {
  const select = form.elements[name], chosen = select.value || wanted.get(name) || "";
  const all = [...new Set([...values, ...(chosen ? [chosen] : [])])].sort(compare);
  if (all.join("\n") === select.dataset.offered) return;
  select.dataset.offered = all.join("\n");
  select.replaceChildren(select.options[0], ...all.map((one) => make("option", { value: one }, text(one))));
  select.value = chosen;
}

function offerAll() {
  const data = [...tiles.values()].map((one) => one.data);
  offer("namespace", data.map((one) => one.namespace));
  offer("monitor", data.map((one) => one.monitor));
  offer("state", data.map((one) => one.state), stateWords);
  offer("defect", data.flatMap((one) => one.incidents.map((incident) => incident.defect)), words);
}

function take(news, first) {
  const before = new Map(first ? [] : [...tiles].map(([id, one]) => [id, new Set(one.data.incidents.map((incident) => incident.id))]));
  const gone = new Set(news.gone);
  if (news.whole) {
    const kept = new Set(news.tiles.map((one) => one.id));
    for (const id of tiles.keys()) if (!kept.has(id)) gone.add(id);
  }
  for (const id of gone) {
    const one = tiles.get(id);
    if (one) { watcher.unobserve(one.node); pictures.hide(id); tiles.delete(id); }
  }
  for (const data of news.tiles) {
    let one = tiles.get(data.id);
    if (!one) tiles.set(data.id, one = build(data));
    fill(one, data);
    for (const incident of first ? [] : data.incidents) {
      if (!before.get(data.id)?.has(incident.id)) herald.tell(`${data.stream}: ${words(incident.defect)}, ${incident.severity}`);
    }
  }
  offerAll();
  arrange();
  count();
}

// ---- what people do ----

const wanted = new URLSearchParams(location.search);
function restore() {
  for (const field of ["text", "order", "size", "namespace", "monitor", "state", "defect"]) {
    if (wanted.has(field) && form.elements[field].tagName === "INPUT") form.elements[field].value = wanted.get(field);
    if (wanted.has(field) && field === "order") form.elements.order.value = wanted.get("order");
  }
  const kinds = (wanted.get("show") ?? "").split(",");
  for (const button of counts) button.setAttribute("aria-pressed", String(kinds.includes(button.dataset.kind)));
  resize();
}
function remember() {
  const query = new URLSearchParams();
  for (const field of ["text", "namespace", "monitor", "state", "defect", "order"]) if (value(field)) query.set(field, value(field));
  if (value("size") !== form.elements.size.defaultValue) query.set("size", value("size"));
  const kinds = counts.filter((button) => button.getAttribute("aria-pressed") === "true").map((button) => button.dataset.kind);
  if (kinds.length) query.set("show", kinds.join(","));
  for (const key of [...wanted.keys()]) wanted.delete(key);
  history.replaceState(null, "", query.size ? `/?${query}` : "/");
}
function resize() { list.style.setProperty("--tile", `${value("size")}px`); }

form.addEventListener("input", () => { resize(); remember(); arrange(); });
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(() => {
  for (const button of counts) button.setAttribute("aria-pressed", "false");
  resize(); remember(); arrange();
}));
for (const button of counts) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    remember(); arrange();
  });
}

function columns() {
  const top = order[0]?.node.offsetTop;
  const next = order.findIndex((one) => one.node.offsetTop !== top);
  return next < 0 ? order.length : next;
}
list.addEventListener("focusin", (event) => {
  const one = tiles.get(event.target.closest(".tile")?.dataset.id);
  if (one) pick(one);
});
list.addEventListener("keydown", (event) => {
  const at = order.indexOf(current);
  const moves = {
    ArrowRight: () => at + 1, ArrowLeft: () => at - 1, ArrowDown: () => at + columns(), ArrowUp: () => at - columns(),
    Home: () => 0, End: () => order.length - 1,
  };
  const move = moves[event.key];
  if (!move || at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const one = order[move()];
  if (one) { one.parts.link.focus(); one.node.scrollIntoView({ block: "nearest" }); }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "")) {
    event.preventDefault();
    form.elements.text.focus();
  } else if (event.key === "Escape" && document.activeElement === form.elements.text) {
    form.elements.text.value = "";
    remember(); arrange();
  }
});

// ---- the one connection ----

async function follow() {
  let cursor = "", failed = 0, first = true;
  for (;;) {
    try {
      const news = await ask(`/api/wall?since=${encodeURIComponent(cursor)}&wait=${cursor ? WAIT_S : 0}`, (WAIT_S + 10) * 1000);
      if (news.whole || news.tiles.length || news.gone.length) take(news, first);
      cursor = news.cursor;
      first = false;
      failed = 0;
      say(true, "live");
      document.documentElement.dataset.ready = "true";
      await pause(PAUSE_MS);
    } catch (error) {
      failed += 1;
      say(false, "connection lost, trying again");
      if (failed === 1) console.warn(error);
      await pause(Math.min(10_000, 500 * 2 ** failed));
    }
  }
}

restore();
follow();
