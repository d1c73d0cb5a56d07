// Charts: lanes over time, and small bars. SVG, without a library.

import { element, number, say } from "/elements.js";

const SVG = "http://www.w3.org/2000/svg";
const SECONDS = 300;
const HEIGHT = 100;

function shape(name, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** The next of 1, 2, 5, 10, 20, 50… that is not below a value. */
export function ceiling(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

/** A lane: one scale, some series over the past five minutes. `series` is a list of `[class, name]`. */
export class Lane {
  constructor(parent, series) {
    this.series = series;
    this.values = series.map(() => []);
    this.caption = element("figcaption");
    this.keys = series.map(([kind, name]) => element("span", { className: `key ${kind}` }, name));
    this.readout = element("span", { className: "readout" });
    this.caption.append(...this.keys, this.readout);
    this.svg = shape("svg", { viewBox: `0 0 ${SECONDS} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    for (const y of [0, HEIGHT / 2, HEIGHT]) {
      this.svg.append(shape("line", { class: "grid", x1: 0, x2: SECONDS, y1: y, y2: y }));
    }
    this.curves = series.map(([kind]) => {
      const pair = [shape("path", { class: `area ${kind}` }), shape("path", { class: `curve ${kind}` })];
      this.svg.append(...pair);
      return pair;
    });
    this.cursor = shape("line", { class: "cursor", y1: 0, y2: HEIGHT });
    this.svg.append(this.cursor);
    this.top = element("span", { className: "top" });
    this.none = element("p", { className: "none" });
    const axis = element("div", { className: "axis" }, element("span", {}, "5 min ago"), element("span", {}, "now"));
    axis.setAttribute("aria-hidden", "true");
    const lane = element("figure", { className: "lane" }, this.caption, this.top, this.svg, this.none, axis);
    parent.append(lane);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.leave());
  }

  /** Draws; one list of rates for each series, oldest first, the newest of this second. */
  draw(values) {
    this.values = values.map((rates) => rates.slice(-SECONDS));
    const most = Math.max(0, ...this.values.map((rates) => Math.max(0, ...rates)));
    // The highest point does not touch the top.
    const scale = ceiling(1.05 * most);
    this.curves.forEach(([area, curve], place) => {
      const rates = this.values[place];
      const start = SECONDS - rates.length;
      const points = rates.map((rate, at) => `${start + at + 1},${(HEIGHT * (1 - rate / scale)).toFixed(2)}`);
      // Where there is nothing at all, the first one shows that.
      const any = points.length > 1 && (most === 0 ? place === 0 : rates.some((rate) => rate > 0));
      curve.setAttribute("d", any ? `M${points.join("L")}` : "");
      this.keys[place].hidden = most === 0 ? place > 0 : !any;
      area.setAttribute("d", any ? `M${start + 1},${HEIGHT}L${points.join("L")}L${SECONDS},${HEIGHT}Z` : "");
    });
    say(this.top, `${number(scale)}/s`);
    this.top.style.top = `${this.svg.getBoundingClientRect().top - this.svg.parentNode.getBoundingClientRect().top}px`;
    this.svg.setAttribute("aria-label", this.describe());
    say(this.none, most === 0 ? "none in the past five minutes" : "");
    if (!this.pointed) say(this.readout, "");
  }

  describe() {
    return this.series
      .map(([, name], place) => {
        const rates = this.values[place];
        return `${name}: ${number(rates.at(-1) ?? 0)} packets a second now, at most ${number(Math.max(0, ...rates))} in the past five minutes`;
      })
      .join("; ");
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const second = Math.round((SECONDS * (event.clientX - box.left)) / box.width);
    const ago = Math.max(0, SECONDS - second);
    this.pointed = true;
    this.cursor.setAttribute("x1", SECONDS - ago);
    this.cursor.setAttribute("x2", SECONDS - ago);
    this.cursor.style.visibility = "visible";
    const shown = this.values.filter((_, place) => !this.keys[place].hidden);
    const rates = shown.map((rates) => number(rates.at(-1 - ago) ?? 0));
    say(this.readout, `${ago} s ago: ${rates.join(" · ")}`);
  }

  leave() {
    this.pointed = false;
    this.cursor.style.visibility = "hidden";
    say(this.readout, "");
  }
}

/** Small bars, one for each value; what they mean stands in the cells beside them. */
export function spark(cell, values, places) {
  let svg = cell.firstElementChild;
  if (!svg) {
    svg = shape("svg", { class: "spark", viewBox: `0 0 ${places} 10`, preserveAspectRatio: "none", "aria-hidden": "true" });
    svg.append(shape("line", { x1: 0, x2: places, y1: 10, y2: 10 }));
    for (let place = 0; place < places; place += 1) svg.append(shape("rect", { x: place + 0.12, width: 0.76 }));
    cell.append(svg);
  }
  const most = Math.max(1, ...values);
  const bars = svg.querySelectorAll("rect");
  bars.forEach((bar, place) => {
    const value = values.at(place - places) ?? 0;
    const height = value > 0 ? Math.max(0.8, (10 * value) / most) : 0;
    bar.setAttribute("y", 10 - height);
    bar.setAttribute("height", height);
  });
}
