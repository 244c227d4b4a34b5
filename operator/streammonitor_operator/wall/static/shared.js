// What both pages need: requests, words, times.

export const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.filter((one) => one !== null && one !== undefined));
  return node;
};

export const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

export const apiOf = (tile) =>
  `/api/streams/${[tile.namespace, tile.monitor, tile.stream].map(encodeURIComponent).join("/")}`;
export const pageOf = (tile) =>
  `/streams/${[tile.namespace, tile.monitor, tile.stream].map(encodeURIComponent).join("/")}`;

export class Away extends Error {}

// JSON from here; whoever is not known any more is sent to the login.
export async function ask(path, timeoutMs = 10_000) {
  let answer;
  try {
    answer = await fetch(path, { signal: AbortSignal.timeout(timeoutMs), credentials: "same-origin" });
  } catch (error) {
    throw new Away(String(error));
  }
  if (answer.status === 401) {
    location.assign(`/login?back=${encodeURIComponent(location.pathname + location.search)}`);
    await new Promise(() => {});
  }
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Away(`HTTP ${answer.status}`);
  return answer.json();
}

export const KINDS = ["critical", "lost", "warning", "limited", "connecting", "fine", "completed", "suspended"];
const LOST = new Set(["failed", "retrying", "waiting"]);

// How a stream is, in one word: its worst.
export function kindOf(tile) {
  if (tile.incidents.some((one) => one.severity === "critical")) return "critical";
  if (LOST.has(tile.state)) return "lost";
  if (tile.incidents.length) return "warning";
  if (tile.state === "receiving") return tile.reason ? "limited" : "fine";
  return tile.state;
}

const STATES = {
  receiving: "received", retrying: "not received", failed: "cannot be monitored", waiting: "waiting for a worker",
  connecting: "connecting", completed: "completed", suspended: "suspended",
};
export const stateWords = (state) => STATES[state] ?? state;

// blockCorruption -> block corruption
export const words = (name) => name.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();

export function lasted(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")} min`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}:${String(Math.floor(whole / 60) % 60).padStart(2, "0")} h`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor(whole / 3600) % 24} h`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false });
export const clock = (moment) => {
  const at = new Date(moment);
  return Date.now() - at < 43_200_000 ? CLOCK.format(at) : DAY.format(at);
};

// <time> elements that say for how long something has lasted; those that can be seen go on.
export function age(moment, extra = {}) {
  const node = make("time", { datetime: moment, ...extra });
  node.textContent = lasted((Date.now() - new Date(moment)) / 1000);
  return node;
}
setInterval(() => {
  if (document.hidden) return;
  for (const node of document.querySelectorAll("time[data-goes-on]")) {
    const text = lasted((Date.now() - new Date(node.dateTime)) / 1000);
    if (node.textContent !== text) node.textContent = text;
  }
}, 1000);

// The connection's state, for all to see.
export function connection() {
  const place = document.querySelector(".link"), text = place.firstElementChild;
  return (good, words) => {
    place.classList.toggle("good", good);
    if (text.textContent !== words) text.textContent = words;
  };
}

// Says what happened to those who do not see it, a few things at a time.
export class Herald {
  constructor() {
    this.place = document.querySelector("#news");
    this.waiting = [];
  }
  tell(text) {
    this.waiting.push(text);
    if (this.waiting.length === 1) setTimeout(() => this.speak(), 1500);
  }
  speak() {
    const some = this.waiting.slice(0, 3), more = this.waiting.length - some.length;
    this.waiting = [];
    this.place.textContent = some.join(". ") + (more ? `, and ${more} more` : "");
  }
}
