// Elements and numbers. What comes from outside becomes text, never markup.

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; children that are not nodes become text. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Sets a text, if it changed: what does not change is not read out again. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets a text in which what stands between backticks is code. */
export function prose(node, text) {
  if (node.textContent === text.replaceAll("`", "")) return;
  node.replaceChildren(...text.split("`").map((part, place) => (place % 2 ? element("code", {}, part) : part)));
}

/** Sets or removes an attribute. */
export function mark(node, name, on) {
  node.toggleAttribute(name, Boolean(on));
}

/**
 * Makes the children of a list or table be those of `items`. Children are kept by key, so that focus and selection stay.
 * `make` makes a child, `update` fills it; both get the item.
 */
export function list(parent, items, key, make, update) {
  const kept = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, place) => {
    const name = String(key(item));
    let child = kept.get(name);
    if (child) kept.delete(name);
    else {
      child = make(item);
      child.dataset.key = name;
    }
    update(child, item);
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
  });
  for (const child of kept.values()) child.remove();
}

/** A row of a table: its first cell is its heading, and cells have these classes. */
export function row(...classes) {
  const made = element("tr");
  classes.forEach((name, place) => {
    const cell = element(place === 0 ? "th" : "td", { className: name });
    if (place === 0) cell.scope = "row";
    made.append(cell);
  });
  return made;
}

const grouped = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** A number for people: in full while it is short. */
export const number = (value) => (value < 100_000 ? grouped.format(Math.round(value)) : compact.format(value));

/** A rate for people: one that is small but not none is not 0. */
export function rate(value) {
  if (value > 0 && value < 0.1) return "<0.1";
  return value < 10 && value % 1 ? value.toFixed(1) : number(value);
}

/** A part of a whole, for people. */
export const percent = (part, whole) => `${((100 * part) / Math.max(1, whole)).toFixed(1)}%`;

/** A length of time for people. */
export function span(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}

/** The time of day of a moment in milliseconds since the epoch. */
export const clock = (moment) => new Date(moment).toLocaleTimeString("en-GB");
