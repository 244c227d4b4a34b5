// The pictures of the streams that can be seen: each every five seconds, all together in bounds.

import { apiOf, make } from "./shared.js";

const EVERY_MS = 5000, PER_SECOND = 20, AT_ONCE = 4;

export class Pictures {
  constructor() {
    this.seen = new Map(); // id -> { tile, screen, due, url }
    this.busy = 0;
    setInterval(() => this.go(), 250);
    document.addEventListener("visibilitychange", () => this.go());
  }

  // A tile came into view, or is another by now.
  show(id, tile, screen) {
    const one = this.seen.get(id);
    if (one) one.tile = tile;
    else this.seen.set(id, { id, tile, screen, due: 0 });
  }
  hide(id) { this.seen.delete(id); }

  go() {
    if (document.hidden) return;
    const now = performance.now();
    while (this.busy < AT_ONCE) {
      let next = null;
      for (const one of this.seen.values()) {
        if (one.due <= now && (!next || one.due < next.due)) next = one;
      }
      if (!next) return;
      next.due = now + Math.max(EVERY_MS, (this.seen.size / PER_SECOND) * 1000);
      if (next.tile.picture) this.fetch(next);
    }
  }

  async fetch(one) {
    this.busy += 1;
    try {
      const answer = await fetch(`${apiOf(one.tile)}/picture`, { signal: AbortSignal.timeout(5000) });
      if (answer.ok) await this.put(one, await answer.blob());
      else if (answer.status === 403) this.nothing(one, "encrypted");
      else if (answer.status === 404) this.nothing(one, "none");
    } catch {
      // The next time, then: what is there stays.
    } finally {
      this.busy -= 1;
    }
  }

  async put(one, blob) {
    const image = make("img", { alt: "", draggable: "false" });
    const url = URL.createObjectURL(blob);
    image.src = url;
    try {
      await image.decode();
    } catch {
      URL.revokeObjectURL(url);
      return;
    }
    const old = one.screen.querySelector("img");
    if (old) {
      old.replaceWith(image);
      URL.revokeObjectURL(old.src);
    } else one.screen.prepend(image);
    one.screen.dataset.shows = "picture";
  }

  nothing(one, why) {
    const old = one.screen.querySelector("img");
    if (old) { URL.revokeObjectURL(old.src); old.remove(); }
    one.screen.dataset.shows = why;
  }
}
