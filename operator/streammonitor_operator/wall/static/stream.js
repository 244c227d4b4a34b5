// One stream: how it is, what happened, what was measured.

import { Herald, age, apiOf, ask, clock, connection, kindOf, lasted, make, pause, stateWords, words } from "./shared.js";
import { Pictures } from "./pictures.js";
import { evidence, timeline, trace } from "./charts.js";

const EVERY_MS = 2000, TRACES_MS = 5000, PAST_MS = 30_000, OPEN_AT_FIRST = 2, MAX_LISTED = 200;
const [namespace, monitor, stream] = location.pathname.split("/").slice(2).map(decodeURIComponent);
const place = { namespace, monitor, stream }, path = apiOf(place);
const find = (selector) => document.querySelector(selector);
const say = connection(), herald = new Herald(), pictures = new Pictures();
let hours = 6, latest = null, known = null, live = [];
let before = { minutes: [], incidents: [] };

const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };

function head(data) {
  const kind = kindOf(data);
  document.title = `${kind === "fine" ? "" : `${kind}: `}${data.stream} · StreamMonitor`;
  set(find(".about .where"), `${data.namespace} / ${data.monitor}`);
  set(find("#name"), data.stream);
  const pills = [make("span", { class: `pill ${data.incidents.length ? (kind === "critical" || kind === "warning" ? "fine" : kind) : kind}` }, stateWords(data.state)),
    ...data.incidents.map((one) => make("span", { class: `pill ${one.severity}` }, `${words(one.defect)} `, age(one.startedAt, { "data-goes-on": true })))];
  replace(find(".about .state"), JSON.stringify([data.state, kind, data.incidents]), pills);
  const why = find(".why");
  why.hidden = !data.reason;
  set(why, data.reason ? `${words(data.reason)}: ${data.message ?? ""}` : "");
  const speaking = data.groups.filter((one) => one.state);
  const video = speaking.map((one) => one.video).find(Boolean), audio = speaking.map((one) => one.audio).find(Boolean);
  const lag = Math.max(-1, ...live.map((one) => one.lagMs)), load = speaking.reduce((sum, one) => sum + (one.loadM ?? 0), 0);
  const facts = [
    ["Picture", video ? `${video.codec} ${video.width}×${video.height}, ${+video.frameRate.toFixed(2)} fps` : "none"],
    ["Sound", audio ? `${audio.codec} ${audio.sampleRate / 1000} kHz, ${audio.channels} ch` : "none"],
    ["Analysed", lag < 0 ? "–" : lag < 1000 ? `${lag} ms after arrival` : `${(lag / 1000).toFixed(1)} s after arrival`],
    ["CPU", load ? `${(load / 10).toFixed(0)} % of a core` : "–"],
    ["Since", data.since ? clock(data.since) : "–"],
    [data.groups.length === 1 ? "Worker" : "Workers", data.groups.map((one) => one.worker).join(", ") || "–"],
  ];
  replace(find(".facts"), JSON.stringify(facts), facts.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, text))));
  const detectors = live.flatMap((one) => Object.entries(one.detectors)).sort();
  replace(find(".detectors"), JSON.stringify(detectors),
    detectors.map(([name, state]) => make("li", { class: state, title: state }, words(name), make("span", { class: "unseen" }, `: ${state}`))));
  const screen = find(".head .screen");
  if (!data.picture) screen.dataset.shows = "none";
  pictures.show("this", data, screen);
}

function replace(node, key, children) {
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  node.replaceChildren(...children);
}

function incidents(data) {
  const newest = new Map([...data.ended, ...before.incidents.toReversed()].map((one) => [one.id, one]));
  for (const one of data.incidents) newest.delete(one.id);
  const all = [...data.incidents, ...[...newest.values()].slice(0, MAX_LISTED)], host = find(".incidents");
  if (!all.length) { replace(host, "none", [make("p", { class: "hint" }, "None that is remembered.")]); return; }
  if (host.dataset.key === "none") { host.dataset.key = ""; host.replaceChildren(); }
  const wanted = new Set(all.map((one) => one.id));
  for (const node of [...host.children]) if (!wanted.has(node.dataset.id)) node.remove();
  all.forEach((one, index) => {
    let node = [...host.children].find((other) => other.dataset.id === one.id);
    if (!node) {
      node = card(one);
      if (known === null && index < OPEN_AT_FIRST) node.open = true;
    }
    if (host.children[index] !== node) host.insertBefore(node, host.children[index] ?? null);
    rewrite(node, one);
  });
  const now = new Set(data.incidents.map((one) => one.id));
  for (const one of data.incidents) if (known && !known.has(one.id)) herald.tell(`${words(one.defect)}, ${one.severity}, began`);
  for (const id of known ?? []) if (!now.has(id)) herald.tell("an incident ended");
  known = now;
}

function card(one) {
  const node = make("details", { class: "incident", id: `i-${one.id}`, "data-id": one.id },
    make("summary"), make("div", { class: "exhibits" }));
  node.addEventListener("toggle", () => { if (node.open) show(node, one.id); });
  return node;
}

function rewrite(node, one) {
  const key = JSON.stringify(one);
  if (node.dataset.key === key) return;
  const before = node.dataset.key;
  node.dataset.key = key;
  const length = one.endedAt ? lasted((new Date(one.endedAt) - new Date(one.startedAt)) / 1000) : null;
  node.firstElementChild.replaceChildren(
    make("span", { class: `pill ${one.severity}` }, one.severity), make("b", {}, words(one.defect)),
    make("span", { class: "how" }, make("time", { datetime: one.startedAt }, clock(one.startedAt))),
    length === null ? make("span", { class: "how" }, "for ", age(one.startedAt, { "data-goes-on": true })) : make("span", { class: "how" }, `${length}, ${one.endReason}`));
  if (before && node.open) show(node, one.id);
}

async function show(node, id) {
  const host = node.querySelector(".exhibits");
  try {
    const found = await ask(`${path}/evidence/${encodeURIComponent(id)}`);
    const nodes = (found?.parts ?? []).flatMap(evidence);
    host.replaceChildren(...(nodes.length ? nodes : [make("p", { class: "hint" }, "There is no evidence of it any more: workers keep that of the last few incidents.")]));
  } catch {
    host.replaceChildren(make("p", { class: "hint" }, "The worker does not answer just now."));
  }
}

function course() {
  if (!latest) return;
  const host = find(".timeline"), now = Date.now();
  const had = host.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const all = new Map([...before.incidents, ...latest.ended, ...latest.incidents].map((one) => [one.id, one]));
  host.replaceChildren(timeline([...all.values()], before.minutes, hours, host.clientWidth || 900, now));
  if (had) host.querySelector(`a[href="${CSS.escape(had)}"], a[href="${had}"]`)?.focus();
}

async function past() {
  for (;;) {
    try {
      if (!document.hidden) {
        before = (await ask(`${path}/past`)) ?? before;
        course();
      }
    } catch { /* the state of the connection is told elsewhere */ }
    await pause(PAST_MS);
  }
}

async function traces() {
  for (;;) {
    try {
      if (!document.hidden) {
        const found = await ask(`${path}/traces`);
        live = found?.parts ?? [];
        if (latest) head(latest);
        const graphs = live.flatMap((part) => part.graphs);
        find(".traces").replaceChildren(...(graphs.length ? graphs.map((one) => trace(one)) : [make("p", { class: "hint" }, "Nothing yet.")]));
      }
    } catch { /* the state of the connection is told elsewhere */ }
    await pause(TRACES_MS);
  }
}

async function follow() {
  for (;;) {
    try {
      const data = document.hidden && latest ? latest : await ask(path);
      if (data === null) {
        say(false, "there is no such stream (any more)");
      } else {
        latest = data;
        head(data);
        incidents(data);
        course();
        say(true, "live");
        document.documentElement.dataset.ready = "true";
      }
    } catch (error) {
      say(false, "connection lost, trying again");
      console.warn(error);
    }
    await pause(EVERY_MS);
  }
}

for (const button of document.querySelectorAll("[data-hours]")) {
  button.addEventListener("click", () => {
    hours = Number(button.dataset.hours);
    for (const other of document.querySelectorAll("[data-hours]")) other.setAttribute("aria-pressed", String(other === button));
    course();
  });
}
addEventListener("resize", course);
addEventListener("hashchange", () => {
  const node = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (node) { node.open = true; node.querySelector("summary").focus(); }
});
follow();
past();
traces();
