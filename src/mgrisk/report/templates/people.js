// The table of people: filter, sort, find, open, compare. It reads #explorer-data and writes text nodes only, so that
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
  const bare = (feature, value) => {
    if (value === null) return "missing";
    return data.features[feature].levels.length ? data.features[feature].levels[value] : value.toLocaleString("en-US").replace("-", "\u2212");
  };
  const valueWords = (feature, value) => {
    const { levels, unit } = data.features[feature];
    return value === null || levels.length || !unit ? bare(feature, value) : `${bare(feature, value)}\u00a0${unit}`;
  };
  const valueText = (feature, person) => valueWords(feature, data.values[feature][person]);
  const effect = (feature, person) => data.contributions[feature][person] / data.scale;
  const element = (name, content, attributes = {}) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...[content].flat());
    return made;
  };

  // ---- what is known of each person from the start: the largest contributions, in order
  const reasons = Array.from({ length: REASONS }, () => new Int16Array(n));
  const inOrder = (person) => bySize(data.features.map((_, k) => data.contributions[k][person]));
  for (let person = 0; person < n; person++) {
    const largest = inOrder(person);
    reasons.forEach((place, k) => { place[person] = largest[k] ?? -1; });
  }

  // ---- what people are filtered by and what can be a column: {label, levels or none, of: a number for each or null}
  const told = data.told.map((each, k) => ({
    key: `told-${k}`, label: each.label, levels: each.levels, of: (person) => each.of[person],
    text: (person) => (each.of[person] === null ? "not known" : each.levels[each.of[person]]),
  }));
  const inputs = data.features.map((feature, k) => ({
    key: `value-${k}`, label: `${feature.label}${feature.unit ? `, ${feature.unit}` : ""}`, levels: feature.levels, of: (person) => data.values[k][person],
    text: (person) => bare(k, data.values[k][person]),
  }));
  const effects = data.features.map((feature, k) => ({
    key: `effect-${k}`, label: `${feature.label}: contribution`, levels: [], of: (person) => effect(k, person), text: (person) => fixed(effect(k, person), 3, true),
  }));
  const variables = new Map([...told, ...inputs, ...effects].map((each) => [each.key, each]));

  // ---- filters: each holds for a range or for some levels, and for who lacks the value
  const filters = new Map();
  const isRange = ({ from, to }) => from !== -Infinity || to !== Infinity;
  const asks = (filter) => isRange(filter) || filter.levels.size > 0 || filter.missing;
  const holds = (filter, person) => {
    const value = filter.variable.of(person);
    if (value === null) return filter.missing;
    return filter.levels.has(value) || (isRange(filter) && value >= filter.from && value <= filter.to);
  };
  const addFilter = (variable) => {
    if (filters.has(variable.key)) return filters.get(variable.key).field.querySelector("input").focus();
    const filter = { variable, from: -Infinity, to: Infinity, levels: new Set(), missing: false };
    const box = (label, change) => {
      const made = element("input", [], { type: "checkbox" });
      made.addEventListener("input", () => { change(made.checked); choose(); });
      return element("label", [made, ` ${label}`], { class: "known" });
    };
    const bound = (label, side, open) => {
      const made = element("input", [], { type: "number", step: "any" });
      made.addEventListener("input", () => { filter[side] = made.value === "" ? open : Number(made.value); choose(); });
      return element("label", [label, made]);
    };
    const remove = element("button", "Remove", { type: "button", "aria-label": `Remove the filter by ${variable.label}` });
    remove.addEventListener("click", () => { filters.delete(variable.key); filter.field.remove(); choose(); $("variable").focus(); });
    const parts = variable.levels.length
      ? variable.levels.map((level, place) => box(level, (on) => (on ? filter.levels.add(place) : filter.levels.delete(place))))
      : [bound("from", "from", -Infinity), bound("to", "to", Infinity)];
    if (data.ids.some((_, person) => variable.of(person) === null)) parts.push(box("missing", (on) => { filter.missing = on; }));
    filter.field = element("fieldset", [element("legend", variable.label), ...parts, remove]);
    filters.set(variable.key, filter);
    $("filters").append(filter.field);
    filter.field.querySelector("input").focus();
  };

  // ---- columns: those that are always there, those asked for, the largest contributions
  const fixedColumns = [
    { key: "id", label: data.id, width: 7, of: (person) => rank[person], cell: (person) => element("th", plain(data.ids[person]), { scope: "row" }), text: (person) => data.ids[person] },
    { key: "risk", label: "Risk", width: 6, number: true, of: (person) => data.risk[person], text: (person) => percent(data.risk[person]), raw: (person) => [data.risk[person]] },
    { key: "width", label: "90\u00a0% interval", width: 10, number: true, of: (person) => data.high[person] - data.low[person], text: (person) => range(data.low[person], data.high[person]), raw: (person) => [data.low[person], data.high[person]] },
  ];
  const reasonColumns = reasons.map((place, k) => ({
    key: `reason-${k}`, label: ["Largest contribution", "Second", "Third"][k], width: 13,
    of: (person) => (place[person] < 0 ? 0 : effect(place[person], person)), cell: (person) => reasonCell(place, person),
    text: (person) => (place[person] < 0 ? "" : `${fixed(effect(place[person], person), 2, true)} ${data.features[place[person]].label}`),
  }));
  let asked = data.told.some((each) => each.label === "Outcome") ? [told[data.told.findIndex((each) => each.label === "Outcome")]] : [];
  const columns = () => [...fixedColumns, ...asked.map((each) => ({ ...each, width: 8, number: !each.levels.length, asked: true })), ...reasonColumns];
  const head = document.querySelector("#explorer-table thead tr");
  const drawHead = () => {
    const all = columns();
    head.replaceChildren(...all.map((column) => {
      const order = element("button", column.label, { type: "button" });
      order.addEventListener("click", () => {
        sort = { by: column.key, down: sort.by === column.key ? !sort.down : column.key !== "id" };
        drawHead();
        choose();
        head.querySelector(`[data-by="${column.key}"] button`).focus();
      });
      const made = element("th", order, { scope: "col", "data-by": column.key, class: column.number ? "number" : "words" });
      if (sort.by === column.key) made.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
      if (column.asked) {
        const remove = element("button", "\u00d7", { type: "button", class: "remove", "aria-label": `Remove the column ${column.label}` });
        remove.addEventListener("click", () => {
          asked = asked.filter((each) => each.key !== column.key);
          if (sort.by === column.key) sort = { by: "risk", down: true };
          drawHead();
          choose();
          $("variable").focus();
        });
        made.append(remove);
      }
      return made;
    }));
    document.querySelector("#explorer-table colgroup").replaceChildren(...all.map((column) => {
      const made = element("col", []);
      made.style.width = `${column.width}rem`;
      return made;
    }));
    $("table").style.minWidth = `${all.reduce((total, column) => total + column.width, 0)}rem`;
    $("table").setAttribute("aria-colcount", all.length);
  };

  // ---- choose and sort
  let shown = [], active = 0, sort = { by: "risk", down: true };
  const byId = Int32Array.from({ length: n }, (_, k) => k).sort((a, b) => collator.compare(data.ids[a], data.ids[b]));
  const rank = new Int32Array(n);
  byId.forEach((person, place) => { rank[person] = place; });
  const choose = () => {
    const wanted = $("find").value.trim().toLowerCase();
    const from = $("from").value === "" ? -Infinity : Number($("from").value) / 100;
    const to = $("to").value === "" ? Infinity : Number($("to").value) / 100;
    const [reason, sign] = $("reason").value.split(":").map(Number);
    const reasoned = $("reason").value !== "", asking = [...filters.values()].filter(asks);
    shown = [];
    for (let person = 0; person < n; person++) {
      if (data.risk[person] < from || data.risk[person] > to) continue;
      if (reasoned && !reasons.some((place) => place[person] === reason && Math.sign(data.contributions[reason][person]) === sign)) continue;
      if (wanted && !data.ids[person].toLowerCase().includes(wanted)) continue;
      if (asking.every((filter) => holds(filter, person))) shown.push(person);
    }
    const key = columns().find((column) => column.key === sort.by).of, way = sort.down ? -1 : 1;
    shown.sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === null || y === null) return (x === null) - (y === null) || rank[a] - rank[b];
      return way * (x - y) || rank[a] - rank[b];
    });
    active = 0;
    $("rows").scrollTop = 0;
    if (opened >= 0 && !shown.includes(opened)) shut({ keep: other });
    say();
    draw();
  };
  const say = () => {
    const beside = opened < 0 && other >= 0 ? ` Open another person to compare with ${plain(data.ids[other], 40)}.` : "";
    const people = `${shown.length.toLocaleString("en-US")} of ${n.toLocaleString("en-US")} people`;
    if (shown.length < data.smallest) {
      $("status").textContent = marked(`${people}. Fewer than ${data.smallest}: no mean is shown.${beside}`);
      return;
    }
    let total = 0, mass = 0;
    for (const person of shown) {
      const weight = data.weight ? data.weight[person] : 1;
      total += weight * data.risk[person];
      mass += weight;
    }
    $("status").textContent = marked(`${people}; ${data.weight ? "weighted " : ""}mean risk ${percent(total / mass)}.${beside}`);
  };

  // ---- rows: those in sight, and some above and below
  const body = document.querySelector("#explorer-table tbody");
  let height = 34;
  const spacer = (rows) => {
    const cell = element("td", "", { colspan: head.children.length });
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
    const cells = columns().map((column) => column.cell?.(person) ?? element("td", column.text(person), column.number ? { class: "number" } : {}));
    const made = element("tr", cells, { id: `explorer-row-${place}`, "aria-rowindex": place + 2, "aria-selected": person === opened || person === other, "data-place": place });
    if (place === active) made.classList.add("active");
    return made;
  };
  const draw = (first, last) => {
    const window_ = $("rows");
    first ??= Math.max(0, Math.floor(window_.scrollTop / height) - SPARE);
    last ??= Math.min(shown.length, Math.ceil((window_.scrollTop + window_.clientHeight) / height) + SPARE);
    const rows = [];
    for (let place = first; place < last; place++) rows.push(row(place));
    if (!shown.length) rows.push(element("tr", element("td", "No person matches.", { colspan: head.children.length })));
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

  // ---- an opened person, perhaps beside another
  let opened = -1, other = -1;
  const named = (person) => `${data.id} ${plain(data.ids[person], 60)}`;
  const interval = (person) => {
    const unknown = data.highInputs[person] > data.lowInputs[person]
      ? ` If the missing inputs were known, it would lie from ${range(data.lowInputs[person], data.highInputs[person])} for 90\u00a0% of such people.` : "";
    const said = data.told.flatMap((each, k) => (each.said ? [` ${each.label}: ${told[k].text(person)}.`] : []));
    return `90\u00a0% interval ${range(data.low[person], data.high[person])}.${unknown}${said.join("")}`;
  };
  const headings = (...labels) => $("values-head").replaceChildren(element("tr", labels.map(([label, kind]) => element("th", label, { scope: "col", class: kind ?? "words" }))));
  const showOne = (person) => {
    const order = inOrder(person);
    $("heading").textContent = marked(`${named(person)}: risk ${percent(data.risk[person])}`);
    $("interval").textContent = interval(person);
    const steps = order.map((k) => ({ label: `${data.features[k].label}: ${valueText(k, person)}`, size: effect(k, person) }));
    waterfall($("waterfall"), { steps, from: data.base[person], risk: data.risk[person], low: data.low[person], high: data.high[person] });
    $("values-caption").textContent = "Value, development population and contribution of each feature, largest first";
    headings(["Feature"], ["Value"], ["Development population"], ["Contribution, log-odds", "number"]);
    $("values").replaceChildren(...order.map((k) => element("tr", [
      element("th", data.features[k].label, { scope: "row" }),
      element("td", valueText(k, person)),
      element("td", data.features[k].reference),
      element("td", fixed(effect(k, person), 3, true), { class: "number" }),
    ])));
  };
  const showTwo = (first, second) => {
    $("heading").textContent = marked(`${named(first)}: risk ${percent(data.risk[first])}; ${named(second)}: risk ${percent(data.risk[second])}`);
    $("interval").replaceChildren(...[first, second].map((person) => element("span", `${named(person)}: ${interval(person)} `)));
    const apart = (k) => effect(k, second) - effect(k, first);
    const order = bySize(data.features.map((_, k) => apart(k)));
    const rows = order.map((k) => ({
      label: data.features[k].label, values: [valueText(k, first), valueText(k, second)],
      changes: `${bare(k, data.values[k][first])} \u2192 ${valueText(k, second)}`, sizes: [effect(k, first), effect(k, second)],
    }));
    const bases = { label: "Base value, by missing inputs", values: ["", ""], sizes: [data.base[first], data.base[second]] };
    if (bases.sizes[0] !== bases.sizes[1]) rows.push(bases);
    const steps = rows.map(({ label, changes, sizes }) => ({ label: changes ? `${label}: ${changes}` : label, size: sizes[1] - sizes[0] }));
    const reached = data.base[first] + data.features.reduce((total, _, k) => total + effect(k, first), 0);
    waterfall($("waterfall"), { steps, from: reached, risk: data.risk[second], low: data.low[second], high: data.high[second], start: plain(named(first), 40), finish: `${plain(named(second), 24)}, 90\u00a0% interval` });
    $("values-caption").textContent = "Values and contributions of both people, largest difference first";
    headings(["Feature"], [named(first)], [named(second)], ["Contribution of the first", "number"], ["Contribution of the second", "number"], ["Difference, log-odds", "number"]);
    $("values").replaceChildren(...rows.map(({ label, values, sizes }) => element("tr", [
      element("th", label, { scope: "row" }),
      ...values.map((value) => element("td", value)),
      ...[...sizes, sizes[1] - sizes[0]].map((size) => element("td", fixed(size, 3, true), { class: "number" })),
    ])));
  };
  const show = () => {
    if (other >= 0 && other !== opened) showTwo(other, opened);
    else showOne(opened);
    $("compare").textContent = other < 0 ? "Compare with another person" : `Stop comparing with ${plain(data.ids[other], 40)}`;
    $("compare").setAttribute("aria-pressed", other >= 0);
    if (other === opened) $("interval").textContent += " Open another person to compare.";
    address();
  };
  const open = (place) => {
    opened = shown[place];
    active = place;
    draw();
    $("person").hidden = false;
    show();
    change(opened);
    say();
    $("heading").focus({ preventScroll: true });
    $("person").scrollIntoView({ block: "nearest" });
  };
  const shut = ({ keep = -1 } = {}) => {
    opened = -1;
    other = keep;
    $("person").hidden = true;
    address();
  };
  const close = () => {
    shut();
    say();
    draw();
    $("table").focus({ preventScroll: true });
  };
  // The address of the page says who is open, as #person=...&with=...
  const address = () => {
    const said = new URLSearchParams();
    if (opened >= 0) said.set("person", data.ids[opened]);
    if (opened >= 0 && other >= 0 && other !== opened) said.set("with", data.ids[other]);
    if (opened < 0 && !new URLSearchParams(location.hash.slice(1)).has("person")) return;
    try {
      history.replaceState(null, "", `#${said}`);
    } catch {
      // A page inside another has no address of its own.
    }
  };
  const arrive = () => {
    const said = new URLSearchParams(location.hash.slice(1));
    const find = (name) => (said.has(name) ? data.ids.indexOf(said.get(name)) : -1);
    const person = find("person"), beside = find("with");
    if (person < 0 || (person === opened && beside === other)) return;
    if (!shown.includes(person)) clear();
    other = beside;
    open(shown.indexOf(person));
    $("person").scrollIntoView({ block: "start" });
  };

  // ---- rows as a file
  const save = () => {
    const fields = [
      ...(data.mark ? [["data", () => data.mark]] : []),
      [data.id, (person) => data.ids[person]],
      ["risk", (person) => data.risk[person]], ["risk_low", (person) => data.low[person]], ["risk_high", (person) => data.high[person]],
      ...asked.map((each) => [each.label, (person) => (each.levels.length || each.of(person) === null ? (each.of(person) === null ? "" : each.text(person)) : each.of(person))]),
      ...reasons.flatMap((place, k) => [
        [`reason_${k + 1}`, (person) => data.features[place[person]]?.label],
        [`reason_${k + 1}_value`, (person) => (place[person] < 0 ? "" : valueText(place[person], person))],
        [`reason_${k + 1}_effect`, (person) => (place[person] < 0 ? "" : effect(place[person], person))],
      ]),
    ];
    const lines = [fields.map(([name]) => csvCell(name)), ...shown.map((person) => fields.map(([, of]) => csvCell(of(person))))];
    saveFile(`${data.mark ? `${data.mark}-` : ""}people.csv`, "text/csv", `${lines.map((each) => each.join(",")).join("\r\n")}\r\n`);
  };

  // ---- from the population to the person, or from one person to another
  const SVG = "http://www.w3.org/2000/svg";
  const logit = (p) => Math.log(p / (1 - p));
  const RISKS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9];
  const waterfall = (place, { steps, from: base, risk, low, high, start = "Base value (development population)", finish = "Reported risk, 90\u00a0% interval" }) => {
    // Where there is no room for labels beside the bars they stand above them.
    const narrow = place.clientWidth > 0 && place.clientWidth < 560;
    const [WIDTH, ROW, LEFT, RIGHT] = narrow ? [360, 40, 0, 310] : [760, 25, 300, 690];
    const TOP = 46, bottom = TOP + (steps.length + 2) * ROW;
    const reached = [base];
    for (const step of steps) reached.push(reached.at(-1) + step.size);
    const end = reached.at(-1), edges = [...reached, logit(low), logit(high)];
    const least = Math.min(...edges), span = Math.max(...edges) - least || 1;
    const x = (value) => LEFT + 12 + ((value - least) / span) * (RIGHT - LEFT - 24);
    const made = document.createElementNS(SVG, "svg");
    made.setAttribute("viewBox", `0 0 ${WIDTH} ${bottom + 40}`);
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
    words((LEFT + RIGHT) / 2, 14, "Risk", "middle");
    if (data.mark) add("text", { x: WIDTH - 4, y: narrow ? 28 : 14, "text-anchor": "end", class: "stamp" }, data.mark);
    const unit = span > 4 ? 1 : span > 1.6 ? 0.5 : span > 0.6 ? 0.2 : 0.05;
    for (let tick = Math.ceil(least / unit); tick * unit <= least + span; tick++) {
      line(x(tick * unit), bottom, x(tick * unit), bottom + 5, "axis");
      words(x(tick * unit), bottom + 18, fixed(tick * unit, unit < 0.1 ? 2 : unit < 1 ? 1 : 0), "middle");
    }
    words((LEFT + RIGHT) / 2, bottom + 35, "Log-odds of the reported risk", "middle");
    line(LEFT, bottom, RIGHT, bottom, "axis");
    const middle = (row) => TOP + (row + (narrow ? 0.7 : 0.5)) * ROW;
    const name = (row, text) => (narrow ? words(0, middle(row) - 12, plain(text, 52), "start") : words(LEFT - 8, middle(row) + 4, plain(text, 44), "end"));
    name(0, start);
    line(x(base), middle(0) - 9, x(base), middle(0) + 9, "mark");
    steps.forEach((step, k) => {
      const y = middle(k + 1), from = x(reached[k]), to = x(reached[k + 1]);
      line(from, y - ROW + 8, from, y + 8, "axis");
      add("rect", { x: Math.min(from, to), y: y - 8, width: Math.max(Math.abs(to - from), 0.5), height: 16, class: step.size > 0 ? "raises" : "lowers" });
      name(k + 1, step.label);
      words(RIGHT + 10, y + 4, fixed(step.size, 2, true), "start");
    });
    const y = middle(steps.length + 1), at = x(end);
    line(at, y - ROW + 8, at, y, "axis");
    line(x(logit(low)), y, x(logit(high)), y, "mark");
    for (const edge of [low, high]) line(x(logit(edge)), y - 5, x(logit(edge)), y + 5, "mark");
    add("path", { d: `M${at} ${y - 6}l6 6l-6 6l-6 -6z`, class: "point" });
    name(steps.length + 1, finish);
    place.replaceChildren(made);
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", `Waterfall from ${percent(expit(base))} to ${percent(risk)}; largest first: ` +
      steps.slice(0, 3).map((step) => `${step.label} ${fixed(step.size, 2, true)}`).join(", "));
  };

  // ---- hands: pointer, keyboard, paper
  const option = (parent, text, value) => parent.append(element("option", text, { value }));
  for (const [label, all] of [["Outcome, age and stability", told], ["Inputs", inputs], ["Contributions, log-odds", effects]]) {
    const made = element("optgroup", [], { label });
    all.forEach((each) => option(made, each.label, each.key));
    $("variable").append(made);
  }
  for (const [sign, label] of [[1, "raises the risk"], [-1, "lowers the risk"]]) {
    const made = element("optgroup", [], { label });
    data.features.forEach((feature, k) => option(made, `${feature.label} ${label}`, `${k}:${sign}`));
    $("reason").append(made);
  }
  for (const part of ["find", "from", "to", "reason"]) $(part).addEventListener("input", choose);
  $("find").addEventListener("keydown", (event) => { if (event.key === "Enter" && shown.length) open(0); });
  const clear = () => {
    for (const part of ["find", "from", "to", "reason"]) $(part).value = "";
    filters.clear();
    $("filters").replaceChildren();
    choose();
  };
  $("clear").addEventListener("click", clear);
  $("save").addEventListener("click", save);
  $("filter").addEventListener("click", () => addFilter(variables.get($("variable").value)));
  $("column").addEventListener("click", () => {
    const wanted = variables.get($("variable").value);
    if (!asked.includes(wanted)) asked.push(wanted);
    drawHead();
    draw();
    head.querySelector(`[data-by="${wanted.key}"] button`).focus();
  });
  $("compare").addEventListener("click", () => {
    other = other < 0 ? opened : -1;
    show();
    draw();
  });
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
  $("person").addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.target.closest(".inputs")) close(); });
  $("close").addEventListener("click", close);
  let waiting = false;
  $("rows").addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  });
  addEventListener("beforeprint", () => draw(0, Math.min(PRINTED, shown.length)));
  addEventListener("afterprint", () => draw());

  dotColours({ data, element, bare });
  const change = inputsPanel({ data, element, fixed, percent, range, marked, named, waterfall, valueWords });
  addEventListener("hashchange", arrive);
  $("all").hidden = false;
  drawHead();
  choose();
  const first = body.querySelector("tr[data-place]");
  if (first) height = first.offsetHeight || height;
  draw();
  arrive();
  $("all").dataset.ready = "yes";
})();
