// The page: it listens to /events, and shows the newest one whole.

import { Lane, spark } from "/chart.js";
import { byId, clock, element, list, mark, number, percent, prose, rate, row, say, span } from "/elements.js";

const SILENCE = 5_000;
const RETRY = 2_000;
const TREND = 30;
const LATE = 600;

const lanes = {
  passed: new Lane(byId("traffic"), [["pass", "let in"]]),
  dropped: new Lane(byId("traffic"), [
    ["drop", "dropped"],
    ["would", "would be dropped"],
    ["risk", "refused from listed"],
  ]),
};
let newest = null;
let heard = 0;
let live = false;
let chosen = null;

/* The connection. */

function connect() {
  const events = new EventSource("/events");
  events.onmessage = (event) => {
    newest = JSON.parse(event.data);
    heard = Date.now();
    live = true;
    show();
  };
  events.onerror = () => {
    live = false;
    showConnection();
    // The browser tries again by itself, unless it was refused.
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, RETRY);
  };
}

function showConnection() {
  const lost = heard > 0 && (!live || Date.now() - heard > SILENCE);
  const link = byId("connection");
  link.dataset.state = lost ? "lost" : live ? "live" : "waiting";
  say(byId("connection-text"), lost ? "Connection lost, trying again" : live ? "Live" : "Connecting");
  mark(document.body, "data-stale", lost);
  const waiting = heard === 0;
  const title = waiting
    ? live ? "" : "Waiting for the first data"
    : lost ? `Unknown: nothing was heard since ${clock(heard)}` : newest.verdict.title;
  document.body.dataset.level = waiting || lost ? "unknown" : newest.verdict.level;
  say(byId("verdict"), title);
  document.title = lost ? "sipwall: connection lost" : newest ? `sipwall: ${newest.verdict.title}` : "sipwall";
}

/* What is shown. */

function show() {
  showConnection();
  say(byId("version"), newest.version);
  showConcerns(newest.concerns);
  showSources(newest.sources);
  const names = newest.interfaces.map((each) => each.status.interface);
  if (!names.includes(chosen)) chosen = names[0] ?? null;
  showPick(names);
  const current = newest.interfaces.find((each) => each.status.interface === chosen);
  mark(document.body, "data-empty", !current);
  say(byId("explain-by"), current ? `by what runs on ${chosen}` : "by the policy file");
  if (current) showInterface(current);
}

function showPick(names) {
  byId("interface-pick").hidden = names.length < 2;
  list(byId("interface"), names, (name) => name, () => element("option"), (option, name) => {
    option.value = name;
    say(option, name);
  });
  byId("interface").value = chosen;
}

function showConcerns(concerns) {
  const words = { critical: "Critical", warning: "Warning", note: "Note" };
  const make = () => element("li", {}, element("i"), element("b"), element("span"));
  list(byId("concerns"), concerns, (concern) => `${concern.interface} ${concern.title} ${concern.level}`, make, (item, concern) => {
    const [level, title, text] = item.children;
    item.dataset.level = concern.level;
    say(level, words[concern.level]);
    say(title, newest.interfaces.length > 1 && concern.interface ? `${concern.interface}: ${concern.title}` : concern.title);
    prose(text, concern.text);
  });
}

function showInterface(current) {
  const { status, traffic } = current;
  const seconds = Math.max(1, current.recent_milliseconds / 1000);
  showFacts(status);
  showKnocking(current.knocking);
  showFigures(current, status.mode === "monitor");
  lanes.passed.draw([traffic.passed]);
  lanes.dropped.draw([traffic.dropped, traffic.would_drop, traffic.listed_dropped]);
  showCallers(current.rules, seconds);
  showReasons(current.reasons, seconds);
  showKnockers(current.knocking);
  showDrops(current.drops);
  showState(current);
}

function showFacts(status) {
  const mode = { enforce: "Enforcing", monitor: "MONITOR MODE: nothing is dropped" }[status.mode] ?? "NO POLICY";
  const facts = [
    mode,
    status.running ? `${status.attach_mode} XDP on ${status.interface}` : `not running on ${status.interface}`,
    status.policy ? `${status.policy}, generation ${status.generation}` : "no policy",
  ];
  list(byId("facts"), facts.map((text, place) => ({ text, place })), (fact) => fact.place, (fact) => element(fact.place ? "span" : "strong"), (item, fact) => say(item, fact.text));
}

/** One of the rankings of drops; nothing where drops are not sampled. */
const ranking = (knocking, by, span) => knocking?.find((each) => each.by === by && each.span === span);

/** Who knocks most, in a line. */
function showKnocking(knocking) {
  const { most: [first] = [], count = 0 } = ranking(knocking, "source", "ten_minutes") ?? {};
  const more = count > 1 ? `, and ${number(count - 1)} more ${count === 2 ? "source" : "sources"}` : "";
  const parts = first ? [["strong", "Knocking"], ["span", `${first.what} (${some(first.wanted)})${more}`]] : [];
  list(byId("knocking"), parts, ([tag]) => tag, ([tag]) => element(tag), (item, [, text]) => say(item, text));
}

function showFigures({ traffic }, monitor) {
  const now = (rates) => rates.at(-1) ?? 0;
  const figure = (id, value) => {
    const cell = byId(id);
    if (!cell.lastElementChild) cell.replaceChildren(element("span"), element("small", {}, " /s"));
    say(cell.firstElementChild, number(value));
  };
  figure("rate-passed", now(traffic.passed));
  figure("rate-dropped", now(monitor ? traffic.would_drop : traffic.dropped));
  figure("rate-listed", now(traffic.listed_dropped));
  say(byId("rate-dropped-name"), monitor ? "would be dropped" : "dropped");
  say(byId("rate-listed-name"), monitor ? "of them from listed" : "refused from listed");
  mark(byId("figure-dropped"), "data-monitor", monitor);
  mark(byId("figure-listed"), "data-any", now(traffic.listed_dropped) > 0);
}

function showCallers(rules, seconds) {
  byId("callers-empty").hidden = rules.length > 0;
  const groups = new Map();
  for (const rule of rules) {
    const [provider, ...service] = rule.rule.split("/");
    if (!groups.has(provider)) groups.set(provider, []);
    groups.get(provider).push({ ...rule, name: service.join("/") });
  }
  // What the host allows for itself comes last.
  const ordered = [...groups].sort(([one], [other]) => (one === "allow") - (other === "allow"));
  const rows = ordered.flatMap(([provider, services]) => [together(provider, services), ...services]);
  const make = (rule) => {
    const made = row("", "number", "number wide", "trend", "number");
    made.className = rule.services ? "group" : "service";
    return made;
  };
  list(byId("callers"), rows, (rule) => (rule.services ? `provider ${rule.name}` : `rule ${rule.rule}`), make, (line, rule) => {
    const [name, packets, bits, trend, last] = line.children;
    say(name, rule.name === "allow" && rule.services ? "own allows" : rule.name);
    say(packets, rate(rule.recent_packets / seconds));
    say(bits, rate((8 * rule.recent_bytes) / seconds));
    spark(trend, rule.trend, TREND);
    say(last, heardText(rule));
    last.classList.toggle("quiet", rule.packets === 0);
    last.classList.toggle("late", Boolean(rule.services) && rule.name !== "allow" && rule.packets > 0 && rule.quiet_for >= LATE);
  });
}

function heardText(rule) {
  if (rule.packets === 0) return "never";
  return rule.quiet_for < 2 ? "now" : `${span(rule.quiet_for)} ago`;
}

/** A provider's services as one line. */
function together(name, services) {
  const sum = (of) => services.reduce((total, service) => total + of(service), 0);
  const heardOf = services.filter((service) => service.packets > 0);
  return {
    name,
    services,
    packets: sum((service) => service.packets),
    recent_packets: sum((service) => service.recent_packets),
    recent_bytes: sum((service) => service.recent_bytes),
    trend: Array.from({ length: TREND }, (_, place) => sum((service) => service.trend.at(place - TREND) ?? 0)),
    quiet_for: Math.min(...(heardOf.length ? heardOf : services).map((service) => service.quiet_for)),
  };
}

function showReasons(reasons, seconds) {
  const dropped = reasons.filter((reason) => reason.action !== "pass");
  dropped.sort((one, other) => other.recent_packets - one.recent_packets || other.packets - one.packets);
  byId("reasons-empty").hidden = dropped.length > 0;
  const all = dropped.reduce((sum, reason) => sum + reason.packets, 0);
  list(byId("reasons"), dropped, (reason) => `${reason.reason} ${reason.action}`, () => row("", "number", "number", "wide"), (line, reason) => {
    const [name, now, total, share] = line.children;
    if (!name.firstChild) {
      name.append(element("span", {}, reason.reason));
      if (reason.listed) name.append(element("span", { className: "tag risk" }, "listed"));
      if (reason.action === "would_drop") name.append(element("span", { className: "tag would" }, "passed: monitor mode"));
      const meaning = element("span", { className: "meaning" });
      prose(meaning, reason.description);
      name.append(meaning);
      share.append(element("span", { className: reason.listed ? "share risk" : "share" }));
      share.firstChild.setAttribute("role", "img");
    }
    say(now, rate(reason.recent_packets / seconds));
    say(total, number(reason.packets));
    const part = percent(reason.packets, all);
    share.firstChild.style.setProperty("--share", part);
    share.firstChild.setAttribute("aria-label", part);
  });
}

function showKnockers(knocking) {
  const by = byId("knockers-by").value;
  const { most = [], count = 0, packets: all = 0 } = ranking(knocking, by, byId("knockers-span").value) ?? {};
  const empty = byId("knockers-empty");
  empty.hidden = most.length > 0;
  say(empty, knocking ? "Nobody is knocking." : "Drops are not sampled here, so their sources are not known.");
  say(byId("knockers-what"), { source: "Source", network: "Network", wanted: "Port" }[by]);
  say(byId("knockers-more"), count > most.length ? `and ${number(count - most.length)} more` : "");
  list(byId("knockers"), most, (ranked) => ranked.what, () => row("address", "", "wide", "number", "number wide"), (line, ranked) => {
    const [what, wanted, reasons, packets, share] = line.children;
    say(what, ranked.what);
    say(wanted, some(ranked.wanted));
    say(reasons, some(ranked.reasons));
    say(packets, number(ranked.packets));
    say(share, percent(ranked.packets, all));
  });
}

const some = (texts = []) => (texts.length > 3 ? `${texts.slice(0, 3).join(", ")} and ${texts.length - 3} more` : texts.join(", "));

function endpoint(address, port) {
  if (port === null) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function showDrops(drops) {
  const empty = byId("drops-empty");
  empty.hidden = Boolean(drops?.length);
  say(empty, drops ? "Nothing was dropped lately." : "Drops are not sampled here.");
  const shown = (drops ?? []).slice(0, 8).map((drop, place) => ({ ...drop, place }));
  const make = () => {
    const line = row("", "number");
    line.firstChild.append(element("span", { className: "address" }), element("span", { className: "meaning" }));
    line.firstChild.append(element("span", { className: "meaning" }));
    line.lastChild.append(element("button", { type: "button", className: "small", onclick: () => ask(line.drop) }, "explain"));
    return line;
  };
  list(byId("drops"), shown, (drop) => drop.place, make, (line, drop) => {
    const [packet, text, why] = line.firstChild.children;
    const button = line.lastChild.firstChild;
    line.drop = drop;
    const ends = [endpoint(drop.source, drop.source_port)];
    if (drop.destination) ends.push(endpoint(drop.destination, drop.destination_port));
    say(packet, `${drop.protocol} ${ends.join(" → ")}`);
    say(text, drop.text ?? "");
    say(why, `${clock(drop.at)} · ${drop.reason}${drop.would_drop ? ", passed in monitor mode" : ""}`);
    button.hidden = !drop.destination;
    button.setAttribute("aria-label", `Explain ${packet.textContent}`);
  });
}

function facts(node, pairs) {
  const flat = pairs.flatMap(([name, value]) => [{ tag: "dt", name, text: name }, { tag: "dd", name, text: value }]);
  list(node, flat, (fact) => `${fact.tag} ${fact.name}`, (fact) => element(fact.tag), (item, fact) => say(item, fact.text));
}

function showState({ status, drift, fill, samples }) {
  const confirm = {
    confirmed: () => "confirmed",
    pending: (state) => `awaited: ${state.remaining_seconds} s left, then ${state.fallback ? `generation ${state.fallback} is back` : "everything passes"}`,
    rolled_back: (state) => `generation ${state.generation} was not confirmed in time`,
  }[status.confirmation.state](status.confirmation);
  const pairs = [
    ["Policy", `${status.policy ?? "none"}, generation ${status.generation}`],
    ["Published", status.published_at ? new Date(status.published_at).toLocaleString("en-GB") : "never"],
    ["Confirmation", confirm],
    ["Mode", status.mode ?? "none: everything passes"],
    ["Scope", status.scope ?? "none"],
    ["XDP", status.running ? `${status.attach_mode}, program ${status.program_id}` : "not running"],
    ["Drift", drift === null ? "not compared" : drift ? "the policy file says something else" : "none: what runs is the policy file"],
    ["Holds", `${number(status.rule_count)} rules, ${number(status.prefixes_v4)} IPv4 and ${number(status.prefixes_v6)} IPv6 prefixes`],
  ];
  if (samples) pairs.push(["Samples", `${number(samples.taken)} taken, ${number(samples.lost)} drops not sampled`]);
  facts(byId("state"), pairs);
  const names = { sources_v4: "IPv4 prefixes", sources_v6: "IPv6 prefixes", rule_counters: "Rules ever counted", deny_v4: "Denied, IPv4", deny_v6: "Denied, IPv6" };
  const make = () => element("li", {}, element("span"), element("meter", { min: 0, low: 0.0001, optimum: 0 }));
  list(byId("fill"), fill, (map) => map.map, make, (item, map) => {
    const [text, meter] = item.children;
    say(text, `${names[map.map] ?? map.map}: ${number(map.entries)} of ${number(map.capacity)}`);
    Object.assign(meter, { max: map.capacity, high: 0.8 * map.capacity, low: 0.8 * map.capacity, value: map.entries });
    meter.setAttribute("aria-label", text.textContent);
  });
}

function showSources(sources) {
  byId("sources-part").hidden = sources.length === 0;
  facts(byId("sources"), sources.map((source) => {
    const age = source.age === null ? "nothing accepted yet" : `accepted ${span(source.age)} ago`;
    return [source.provider, `${age}, asked every ${span(source.every)}${source.failures ? `, ${source.failures} failures` : ""}`];
  }));
}

/* The explain box. */

const form = byId("explain");

function ask(drop) {
  const known = { udp: "udp", tcp: "tcp", icmp: "icmp", icmpv6: "icmpv6" }[drop.protocol];
  if (known) form.elements.protocol.value = known;
  form.elements.source.value = endpoint(drop.source, drop.source_port);
  form.elements.destination.value = endpoint(drop.destination, drop.destination_port);
  showFlags();
  form.requestSubmit();
  form.scrollIntoView({ block: "center" });
}

function showFlags() {
  byId("flags").hidden = form.elements.protocol.value !== "tcp";
}

async function explain() {
  const asked = new URLSearchParams(new FormData(form));
  if (chosen) asked.set("interface", chosen);
  if (asked.get("protocol") !== "tcp") asked.delete("tcp_flags");
  const answer = byId("answer");
  try {
    const response = await fetch(`/explain?${asked}`);
    if (response.ok) showAnswer(answer, await response.json());
    else showRefusal(answer, await response.text());
  } catch {
    showRefusal(answer, "The listener does not answer.");
  }
}

function showAnswer(answer, told) {
  answer.dataset.verdict = told.action;
  const facts = [`${told.reason}: ${told.description}`, `By ${told.by}`];
  if (told.rule) facts.push(`Rule ${told.rule}`);
  if (told.matched_prefix) facts.push(`Prefix ${told.matched_prefix}`);
  if (told.origin) facts.push(`Stated by ${told.origin.allowlist ?? told.origin.policy}, line ${told.origin.line}`);
  const title = element("b", {}, told.action === "pass" ? "It passes" : "It is dropped");
  answer.replaceChildren(title, element("ul", {}, ...[...facts, ...told.notes].map((text) => element("li", {}, text))));
}

function showRefusal(answer, why) {
  answer.dataset.verdict = "error";
  answer.replaceChildren(element("b", {}, "No answer"), element("p", {}, why));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  explain();
});
form.elements.protocol.addEventListener("change", showFlags);
for (const id of ["knockers-by", "knockers-span"]) byId(id).addEventListener("change", () => newest && show());
byId("interface").addEventListener("change", (event) => {
  chosen = event.target.value;
  show();
});

setInterval(showConnection, 1_000);
connect();
