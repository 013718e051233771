// The table of people: choose, sort, find, open. It reads #explorer-data and writes text nodes only, so that
// whatever a name holds is shown and never run; rows exist while they are looked at.
"use strict";
(() => {
  const $ = (part) => document.getElementById(`explorer-${part}`);
  const data = JSON.parse($("data").textContent);
  const n = data.ids.length;
  const REASONS = 3, SPARE = 8, PRINTED = 50, LONGEST = 120;
  const collator = new Intl.Collator("en", { numeric: true });

  // ---- words and numbers, as the rest of the page writes them
  const fixed = (value, digits, signed) => {
    const text = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    if (!/[1-9]/.test(text)) return text;
    return value < 0 ? `\u2212${text}` : signed ? `+${text}` : text;
  };
  const percent = (risk) => `${fixed(100 * risk, 100 * risk < 1 ? 2 : 1)}\u00a0%`;
  const range = (low, high) => `${percent(low).replace("\u00a0%", "")} to ${percent(high)}`;
  const marked = (text) => (data.mark ? `${data.mark}: ${text}` : text);
  const plain = (text, longest = LONGEST) => {
    const legible = String(text).replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}]/gu, "\ufffd");
    return legible.length > longest ? `${legible.slice(0, longest - 1)}\u2026` : legible;
  };
  const valueText = (feature, person) => {
    const value = data.values[feature][person], { levels, unit } = data.features[feature];
    if (value === null) return "missing";
    if (levels.length) return levels[value];
    return `${value.toLocaleString("en-US").replace("-", "\u2212")}${unit ? `\u00a0${unit}` : ""}`;
  };
  const effect = (feature, person) => data.contributions[feature][person] / data.scale;
  const element = (name, content, attributes = {}) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...[content].flat());
    return made;
  };

  // ---- what is known of each person from the start: the largest contributions, in order
  const reasons = Array.from({ length: REASONS }, () => new Int16Array(n));
  const inOrder = (person) =>
    data.features.map((_, k) => k).sort((a, b) => Math.abs(data.contributions[b][person]) - Math.abs(data.contributions[a][person]) || a - b);
  for (let person = 0; person < n; person++) {
    const largest = inOrder(person);
    reasons.forEach((place, k) => { place[person] = largest[k] ?? -1; });
  }

  // ---- choose and sort
  let shown = [], active = 0, sort = { by: "risk", down: true };
  const byId = Int32Array.from({ length: n }, (_, k) => k).sort((a, b) => collator.compare(data.ids[a], data.ids[b]));
  const rank = new Int32Array(n);
  byId.forEach((person, place) => { rank[person] = place; });
  const KEYS = {
    id: (person) => rank[person],
    risk: (person) => data.risk[person],
    width: (person) => data.high[person] - data.low[person],
    ...Object.fromEntries(reasons.map((place, k) => [`reason-${k}`, (person) => (place[person] < 0 ? 0 : effect(place[person], person))])),
  };
  const choose = () => {
    const wanted = $("find").value.trim().toLowerCase();
    const from = $("from").value === "" ? -Infinity : Number($("from").value) / 100;
    const to = $("to").value === "" ? Infinity : Number($("to").value) / 100;
    const [group, level] = $("group").value.split(":").map(Number);
    const [reason, sign] = $("reason").value.split(":").map(Number);
    const grouped = $("group").value !== "", reasoned = $("reason").value !== "";
    shown = [];
    for (let person = 0; person < n; person++) {
      if (data.risk[person] < from || data.risk[person] > to) continue;
      if (grouped && data.groups[group].of[person] !== level) continue;
      if (reasoned && !reasons.some((place) => place[person] === reason && Math.sign(data.contributions[reason][person]) === sign)) continue;
      if (wanted && !data.ids[person].toLowerCase().includes(wanted)) continue;
      shown.push(person);
    }
    const key = KEYS[sort.by], way = sort.down ? -1 : 1;
    shown.sort((a, b) => way * (key(a) - key(b)) || rank[a] - rank[b]);
    active = 0;
    $("rows").scrollTop = 0;
    say();
    draw();
  };
  const say = () => {
    const people = `${shown.length.toLocaleString("en-US")} of ${n.toLocaleString("en-US")} people`;
    if (shown.length < data.smallest) {
      $("status").textContent = marked(`${people}. Fewer than ${data.smallest}: no figure is given for them as a group.`);
      return;
    }
    let total = 0, mass = 0;
    for (const person of shown) {
      const weight = data.weight ? data.weight[person] : 1;
      total += weight * data.risk[person];
      mass += weight;
    }
    $("status").textContent = marked(`${people}; ${data.weight ? "weighted " : ""}mean risk ${percent(total / mass)}.`);
  };

  // ---- rows: those in sight, and some above and below
  const head = document.querySelectorAll("#explorer-table thead th");
  const body = document.querySelector("#explorer-table tbody");
  let height = 34;
  const spacer = (rows) => {
    const cell = element("td", "", { colspan: head.length });
    cell.style.height = `${rows * height}px`;
    return element("tr", cell, { "aria-hidden": "true", class: "spacer" });
  };
  const reasonCell = (place, person) => {
    const feature = place[person];
    if (feature < 0) return element("td", "");
    const size = effect(feature, person);
    const arrow = element("span", size > 0 ? "\u25b2 " : "\u25bc ", { class: size > 0 ? "raises" : "lowers", "aria-hidden": "true" });
    return element("td", [arrow, `${fixed(size, 2, true)} ${data.features[feature].label}`]);
  };
  const row = (place) => {
    const person = shown[place];
    const made = element("tr", [
      element("th", plain(data.ids[person]), { scope: "row" }),
      element("td", percent(data.risk[person]), { class: "number" }),
      element("td", range(data.low[person], data.high[person]), { class: "number" }),
      ...reasons.map((of) => reasonCell(of, person)),
    ], { id: `explorer-row-${place}`, "aria-rowindex": place + 2, "aria-selected": person === opened, "data-place": place });
    if (place === active) made.classList.add("active");
    return made;
  };
  const draw = (first, last) => {
    const window_ = $("rows");
    first ??= Math.max(0, Math.floor(window_.scrollTop / height) - SPARE);
    last ??= Math.min(shown.length, Math.ceil((window_.scrollTop + window_.clientHeight) / height) + SPARE);
    const rows = [];
    for (let place = first; place < last; place++) rows.push(row(place));
    if (!shown.length) rows.push(element("tr", element("td", "Nobody is like that.", { colspan: head.length })));
    body.replaceChildren(spacer(first), ...rows, spacer(Math.max(0, shown.length - last)));
    $("table").setAttribute("aria-rowcount", shown.length + 1);
    const there = active >= first && active < last;
    if (there) $("table").setAttribute("aria-activedescendant", `explorer-row-${active}`);
    else $("table").removeAttribute("aria-activedescendant");
  };
  const go = (place) => {
    if (!shown.length) return;
    active = Math.max(0, Math.min(shown.length - 1, place));
    const window_ = $("rows"), above = document.querySelector("#explorer-table thead").offsetHeight;
    const top = active * height, room = window_.clientHeight - above - height;
    if (top < window_.scrollTop) window_.scrollTop = top;
    else if (top > window_.scrollTop + room) window_.scrollTop = top - room;
    draw();
  };

  // ---- one person
  let opened = -1;
  const open = (place) => {
    opened = shown[place];
    active = place;
    draw();
    const person = opened, order = inOrder(person);
    $("heading").textContent = marked(`${data.id} ${plain(data.ids[person], 60)}: risk ${percent(data.risk[person])}`);
    const unknown = data.highInputs[person] > data.lowInputs[person]
      ? `Were the absent inputs known, it would lie at ${range(data.lowInputs[person], data.highInputs[person])} for 90\u00a0% of such people. ` : "";
    $("interval").textContent = `90\u00a0% interval ${range(data.low[person], data.high[person])}. ${unknown}` +
      data.status.map((k) => `${data.groups[k].label}: ${data.groups[k].levels[data.groups[k].of[person]]}.`).join(" ");
    const steps = order.map((k) => ({ label: `${data.features[k].label}: ${valueText(k, person)}`, size: effect(k, person) }));
    $("waterfall").replaceChildren(waterfall(steps, data.base[person], data.low[person], data.high[person]));
    $("waterfall").setAttribute("role", "img");
    $("waterfall").setAttribute("aria-label", `Waterfall from ${percent(expit(data.base[person]))} to ${percent(data.risk[person])}; largest first: ` +
      steps.slice(0, 3).map((step) => `${step.label} ${fixed(step.size, 2, true)}`).join(", "));
    $("values").replaceChildren(...order.map((k) => element("tr", [
      element("th", data.features[k].label, { scope: "row" }),
      element("td", valueText(k, person)),
      element("td", data.features[k].reference),
      element("td", fixed(effect(k, person), 3, true), { class: "number" }),
    ])));
    $("person").hidden = false;
    $("heading").focus({ preventScroll: true });
    $("person").scrollIntoView({ block: "nearest" });
  };
  const close = () => {
    opened = -1;
    $("person").hidden = true;
    draw();
    $("table").focus({ preventScroll: true });
  };

  // ---- the way from the population to the person
  const SVG = "http://www.w3.org/2000/svg";
  const expit = (x) => 1 / (1 + Math.exp(-x)), logit = (p) => Math.log(p / (1 - p));
  const RISKS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9];
  const waterfall = (steps, base, low, high) => {
    const ROW = 25, TOP = 46, LEFT = 300, RIGHT = 690, bottom = TOP + (steps.length + 2) * ROW;
    const reached = [base];
    for (const step of steps) reached.push(reached.at(-1) + step.size);
    const end = reached.at(-1), edges = [...reached, logit(low), logit(high)];
    const least = Math.min(...edges), span = Math.max(...edges) - least || 1;
    const x = (value) => LEFT + 12 + ((value - least) / span) * (RIGHT - LEFT - 24);
    const made = document.createElementNS(SVG, "svg");
    made.setAttribute("viewBox", `0 0 760 ${bottom + 40}`);
    const add = (name, attributes, text) => {
      const part = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) part.setAttribute(key, value);
      if (text !== undefined) part.textContent = text;
      made.append(part);
    };
    const line = (x1, y1, x2, y2, kind) => add("line", { x1, y1, x2, y2, class: kind });
    const words = (at, y, text, anchor) => add("text", { x: at, y, "text-anchor": anchor }, text);
    let last = -Infinity;
    for (const risk of RISKS) {
      const at = x(logit(risk));
      if (at < LEFT || at > RIGHT || at - last < 52) continue;
      line(at, TOP, at, bottom, "grid");
      words(at, TOP - 8, `${+(100 * risk).toPrecision(2)}\u00a0%`, "middle");
      last = at;
    }
    words((LEFT + RIGHT) / 2, 14, "The same as a risk", "middle");
    if (data.mark) add("text", { x: 756, y: 14, "text-anchor": "end", class: "stamp" }, data.mark);
    const unit = span > 4 ? 1 : span > 1.6 ? 0.5 : span > 0.6 ? 0.2 : 0.05;
    for (let tick = Math.ceil(least / unit); tick * unit <= least + span; tick++) {
      line(x(tick * unit), bottom, x(tick * unit), bottom + 5, "axis");
      words(x(tick * unit), bottom + 18, fixed(tick * unit, unit < 0.1 ? 2 : unit < 1 ? 1 : 0), "middle");
    }
    words((LEFT + RIGHT) / 2, bottom + 35, "Log-odds of the reported risk", "middle");
    line(LEFT, bottom, RIGHT, bottom, "axis");
    const middle = (place) => TOP + (place + 0.5) * ROW;
    words(LEFT - 8, middle(0) + 4, "Population (base value)", "end");
    line(x(base), middle(0) - 9, x(base), middle(0) + 9, "mark");
    steps.forEach((step, k) => {
      const y = middle(k + 1), from = x(reached[k]), to = x(reached[k + 1]);
      line(from, y - ROW + 8, from, y + 8, "axis");
      add("rect", { x: Math.min(from, to), y: y - 8, width: Math.max(Math.abs(to - from), 0.5), height: 16, class: step.size > 0 ? "raises" : "lowers" });
      words(LEFT - 8, y + 4, plain(step.label, 44), "end");
      words(RIGHT + 10, y + 4, fixed(step.size, 2, true), "start");
    });
    const y = middle(steps.length + 1), at = x(end);
    line(at, y - ROW + 8, at, y, "axis");
    line(x(logit(low)), y, x(logit(high)), y, "mark");
    for (const edge of [low, high]) line(x(logit(edge)), y - 5, x(logit(edge)), y + 5, "mark");
    add("path", { d: `M${at} ${y - 6}l6 6l-6 6l-6 -6z`, class: "point" });
    words(LEFT - 8, y + 4, "Reported risk, 90\u00a0% interval", "end");
    return made;
  };

  // ---- hands: pointer, keyboard, paper
  const option = (parent, text, value) => parent.append(element("option", text, { value }));
  data.groups.forEach((group, k) => {
    const made = element("optgroup", [], { label: group.label });
    group.levels.forEach((level, place) => option(made, level, `${k}:${place}`));
    $("group").append(made);
  });
  for (const [sign, label] of [[1, "raises the risk"], [-1, "lowers the risk"]]) {
    const made = element("optgroup", [], { label });
    data.features.forEach((feature, k) => option(made, `${feature.label} ${label}`, `${k}:${sign}`));
    $("reason").append(made);
  }
  for (const part of ["find", "from", "to", "group", "reason"]) $(part).addEventListener("input", choose);
  $("find").addEventListener("keydown", (event) => { if (event.key === "Enter" && shown.length) open(0); });
  $("clear").addEventListener("click", () => {
    for (const part of ["find", "from", "to", "group", "reason"]) $(part).value = "";
    choose();
  });
  for (const cell of head) {
    cell.querySelector("button").addEventListener("click", () => {
      sort = { by: cell.dataset.by, down: sort.by === cell.dataset.by ? !sort.down : cell.dataset.by !== "id" };
      for (const other of head) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
      choose();
    });
  }
  body.addEventListener("click", (event) => {
    const place = event.target.closest("tr")?.dataset.place;
    if (place !== undefined) open(Number(place));
  });
  $("table").addEventListener("keydown", (event) => {
    if (event.target !== $("table")) return;
    const page = Math.max(1, Math.floor($("rows").clientHeight / height) - 2);
    const to = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: shown.length - 1 }[event.key];
    if (to !== undefined) go(to);
    else if ((event.key === "Enter" || event.key === " ") && shown.length) open(active);
    else return;
    event.preventDefault();
  });
  $("person").addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  $("close").addEventListener("click", close);
  let waiting = false;
  $("rows").addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  });
  addEventListener("beforeprint", () => draw(0, Math.min(PRINTED, shown.length)));
  addEventListener("afterprint", () => draw());

  $("all").hidden = false;
  choose();
  const first = body.querySelector("tr[data-place]");
  if (first) height = first.offsetHeight || height;
  draw();
  $("all").dataset.ready = "yes";
})();
