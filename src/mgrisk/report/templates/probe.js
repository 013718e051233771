// Inputs that are changed in the page. `modelOf` is the model: `additive` does with the numbers of the page what
// mgrisk.model.additive does, `tabulated` reads trees and shape functions off their tables. `inputsPanel` is the controls.
"use strict";
const modelOf = (model) => (model.tables ? tabulated(model) : additive(model));
const expit = (x) => 1 / (1 + Math.exp(-x));
// Places of numbers, the largest in size first.
const bySize = (numbers) => [...numbers.keys()].sort((a, b) => Math.abs(numbers[b]) - Math.abs(numbers[a]) || a - b);
const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);
// A value of an encoded column, NaN where it is missing; the model reads single precision.
const encoded = ({ owner, level }, inputs, values) => {
  const value = values[owner];
  if (value === null) return NaN;
  return level === null ? Math.fround(Math.min(value, inputs[owner].cap ?? Infinity)) : Number(value === level);
};
// A number and its restricted cubic spline.
const basis = (x, knots) => {
  if (!knots.length) return [x];
  const cube = (knot) => Math.max(x - knot, 0) ** 3;
  const last = knots.at(-1), before = knots.at(-2), width = (last - knots[0]) ** 2;
  return [x, ...knots.slice(0, -2).map((knot) =>
    (cube(knot) - (cube(before) * (last - knot)) / (last - before) + (cube(last) * (before - knot)) / (last - before)) / width)];
};
// The standard error of calibrated log-odds where only that of the calibration is known.
const errorOf = ({ covariance: [[v, cov], [, vSlope]] }, margin) => Math.sqrt(Math.max(v + 2 * cov * margin + vSlope * margin ** 2, 0));
// What is out of the training distribution: features by place, or pairs of them.
const outside = (inputs, values) => inputs.flatMap((input, k) => {
  const value = values[k];
  if (value === null) return [];
  if (input.unseen) return input.unseen.includes(value) ? [[k]] : [];
  const capped = (place) => Math.min(values[place], inputs[place].cap ?? Infinity), x = capped(k), found = [];
  if (input.low === null || x < input.low || x > input.high) found.push([k]);
  if (input.beside && values[input.beside.of] !== null) {
    const distance = x - input.beside.slope * capped(input.beside.of);
    if (distance < input.beside.low || distance > input.beside.high) found.push([k, input.beside.of]);
  }
  return found;
});

// ---- values: a number, the place of a level, or null for what is not known, one for each feature
const tabulated = ({ columns, base, tables, uncertainty, calibrator, reach, inputs }) => (values) => {
  const x = columns.map((column) => encoded(column, inputs, values));
  const contributions = Array(inputs.length).fill(0);
  for (const { columns: asked, cuts, missing, bins, players, entries } of tables) {
    const at = asked.reduce((place, column, k) =>
      place * bins[k] + (Number.isNaN(x[column]) ? missing[k] : cuts[k].filter((cut) => cut <= x[column]).length), 0);
    players.forEach((player, k) => { contributions[player] += entries[k][at]; });
  }
  const logOdds = base + sum(contributions);
  const error = () => {
    const { terms, loadings: [offset, ...loadings], centre } = uncertainty;
    const design = terms.flatMap(({ fill, knots }, k) => basis(Number.isNaN(x[k]) ? fill : x[k], knots));
    const forms = offset.map((each, c) => each + sum(design.map((z, i) => (z - centre[i]) * loadings[i][c])));
    return Math.sqrt(uncertainty.base + uncertainty.factor * sum(forms.map((each) => each ** 2)));
  };
  const se = uncertainty ? error() : errorOf(calibrator, (logOdds - calibrator.intercept) / calibrator.slope);
  return {
    logOdds, base, contributions,
    risk: expit(logOdds), low: expit(logOdds - reach * se), high: expit(logOdds + reach * se),
    // The model has no distribution of what a missing input may be: missing is a value of its own.
    lowInputs: null, highInputs: null,
    outside: outside(inputs, values),
  };
};

const additive = (model) => {
  const { columns, coefficients, mean, scale, ridge, lines, sampling, calibrator, inputs } = model;
  const p = mean.length, forms = 1 + (sampling ? sampling.offset.length : 0);
  // Of each standardised design column: its weight in the model, then in the forms of the sampling error.
  const weights = mean.map((_, i) => [coefficients[i], ...(sampling ? sampling.loadings[i] : [])].map((each) => each * scale[i]));
  const precision = (i, j) => model.precision[i >= j ? (i * (i + 1)) / 2 + j : (j * (j + 1)) / 2 + i];
  const owner = columns.flatMap(({ owner: of, knots }) => Array(Math.max(knots.length - 1, 1)).fill(of));

  const design = (values) => columns.flatMap((column) => basis(encoded(column, inputs, values), column.knots));

  // ---- weights of the columns that are there, once those that are absent are replaced by what is expected of them
  const expected = (out) => {
    const q = out.length, lower = out.map((i) => out.map((j) => precision(i, j))), right = out.map((i) => [...weights[i]]);
    for (let k = 0; k < q; k++) {
      const root = Math.sqrt(lower[k][k]);
      for (let i = k; i < q; i++) lower[i][k] /= root;
      for (let i = k + 1; i < q; i++) for (let j = k + 1; j <= i; j++) lower[i][j] -= lower[i][k] * lower[j][k];
    }
    for (let c = 0; c < forms; c++) {
      for (let k = 0; k < q; k++) {
        for (let i = 0; i < k; i++) right[k][c] -= lower[k][i] * right[i][c];
        right[k][c] /= lower[k][k];
      }
      for (let k = q - 1; k >= 0; k--) {
        for (let i = k + 1; i < q; i++) right[k][c] -= lower[i][k] * right[i][c];
        right[k][c] /= lower[k][k];
      }
    }
    const own = weights.map((each, j) => each.map((weight, c) => out.reduce((total, i, k) => total - precision(i, j) * right[k][c], weight)));
    const variance = sum(out.map((i, k) => weights[i][0] * (right[k][0] - ridge * weights[i][0])));
    return [own, Math.sqrt(Math.max(variance, 0))];
  };
  const interpolated = (at, x, y) => {
    if (at <= x[0]) return y[0];
    const k = x.findIndex((each) => each > at);
    return k < 0 ? y.at(-1) : y[k - 1] + ((y[k] - y[k - 1]) / (x[k] - x[k - 1])) * (at - x[k - 1]);
  };
  return (values) => {
    const z = design(values), out = [...z.keys()].filter((i) => Number.isNaN(z[i]));
    const [own, unknown] = expected(out);
    const contributions = Array(inputs.length).fill(0), totals = Array(forms).fill(0);
    z.forEach((each, i) => {
      if (Number.isNaN(each)) return;
      const away = (each - mean[i]) / scale[i];
      contributions[owner[i]] += away * own[i][0];
      for (let c = 1; c < forms; c++) totals[c] += away * own[i][c];
    });
    const slope = interpolated(unknown, lines.s, lines.slope), shift = interpolated(unknown, lines.s, lines.intercept);
    const mapped = (x) => calibrator.intercept + calibrator.slope * x;
    const margin = slope * (model.intercept + sum(contributions)) + shift;
    const se = sampling
      ? calibrator.slope * Math.sqrt(sampling.base + sampling.factor * slope ** 2 * sum(totals.slice(1).map((each, c) => (sampling.offset[c] + each) ** 2)))
      : errorOf(calibrator, margin);
    const logOdds = mapped(margin), centre = mapped(model.intercept + sum(contributions)), spread = calibrator.slope * unknown;
    return {
      logOdds,
      risk: expit(logOdds),
      low: expit(logOdds - model.reach * se),
      high: expit(logOdds + model.reach * se),
      lowInputs: expit(centre - model.reachInputs * spread),
      highInputs: expit(centre + model.reachInputs * spread),
      base: mapped(slope * model.intercept + shift),
      contributions: contributions.map((each) => calibrator.slope * slope * each),
      outside: outside(inputs, values),
    };
  };
};

// The controls of the inputs, and what the model makes of them; nothing where the page has no model.
const inputsPanel = ({ data, element, fixed, percent, range, marked, named, waterfall, valueWords }) => {
  const panel = document.getElementById("probe");
  if (!panel) return () => {};
  const $ = (part) => document.getElementById(`probe-${part}`);
  const { inputs } = data.model, { features } = data, answer = modelOf(data.model);
  const midpoint = (k) => inputs[k].usual ?? inputs[k].minimum;
  const STARTS = {
    person: (k) => data.values[k][person],
    usual: (k) => midpoint(k),
    required: (k) => (inputs[k].required ? data.values[k][person] ?? midpoint(k) : null),
  };
  const buttons = new Map([...panel.querySelectorAll("[data-start]")].map((each) => [each.dataset.start, each]));
  let person = -1, start = "person", before = NaN, own = [];

  // ---- one control for each input: a number with its slider, or a choice
  // A level that another input settles, such as what only women are asked, is no choice.
  const settled = (k) => {
    const rule = inputs[k].settled;
    return rule && own[rule.by] !== null ? rule.to[own[rule.by]] : null;
  };
  // What is derived from an input moves with it, as scoring would have it: body mass index with height, at the same weight.
  const last = features.map((_, k) => midpoint(k));
  const set = (k, value) => {
    const before = last[k];
    own[k] = value;
    if (value === null || features[k].levels.length) return;
    last[k] = value;
    inputs.forEach(({ moves }, j) => {
      const power = moves?.of[k];
      if (power === undefined || own[j] === null || value === before) return;
      const moved = moves.by === "ratio" ? own[j] * (value / before) ** power : own[j] + power * (value - before);
      if (Number.isFinite(moved)) own[j] = last[j] = Math.max(moved, 0);
      controls[j].fill();
    });
  };
  const effects = features.map(() => element("output", ""));
  const notes = features.map((_, k) => element("small", inputs[k].note ?? "", { id: `probe-note-${k}` }));
  const control = (k) => {
    const { label, unit, levels } = features[k], input = inputs[k];
    const title = element("label", `${label}${unit ? `, ${unit}` : ""}`, { for: `probe-${k}` });
    const change = (value) => { set(k, value); draw(); };
    const made = { fill: () => {}, row: null };
    if (levels.length) {
      const choice = element("select", levels.map((level, place) => element("option", level, { value: place })), { id: `probe-${k}`, "aria-describedby": `probe-note-${k}` });
      if (!input.required) choice.append(element("option", "not known", { value: "" }));
      choice.addEventListener("input", () => change(choice.value === "" ? null : Number(choice.value)));
      made.fill = () => {
        choice.value = (settled(k) ?? own[k]) ?? "";
        choice.disabled = settled(k) !== null;
        notes[k].textContent = choice.disabled ? `Follows from ${features[input.settled.by].label}.` : input.note;
      };
      made.row = [title, choice];
    } else {
      const number = element("input", [], { id: `probe-${k}`, type: "number", min: input.minimum, max: input.maximum, step: input.step, "aria-describedby": `probe-note-${k}` });
      // The slider is for the pointer: by keyboard the number does the same.
      const slider = element("input", [], { type: "range", min: input.low ?? input.minimum, max: input.high ?? input.maximum, step: input.step, tabindex: -1, "aria-hidden": true });
      const box = element("input", [], { type: "checkbox" });
      const wrong = (text) => {
        number.setAttribute("aria-invalid", text !== "");
        notes[k].textContent = text || input.note;
      };
      const fill = (but) => {
        if (own[k] !== null) last[k] = own[k];
        if (but !== number) number.value = own[k] === null ? "" : Number(own[k].toPrecision(6));
        if (but !== slider) slider.value = last[k];
        box.checked = own[k] === null;
        slider.classList.toggle("absent", box.checked);
      };
      slider.addEventListener("input", () => { wrong(""); set(k, Number(slider.value)); fill(slider); draw(); });
      number.addEventListener("input", () => {
        const value = number.value === "" ? null : Number(number.value);
        if (value === null ? input.required || number.validity.badInput : value < input.minimum || value > input.maximum) {
          wrong(`A number from ${input.minimum} to ${input.maximum.toLocaleString("en-US")} is needed; the risk shown is for ${last[k]}.`);
          return;
        }
        wrong("");
        set(k, value);
        fill(number);
        draw();
      });
      box.addEventListener("input", () => { wrong(""); set(k, box.checked ? null : last[k]); fill(); draw(); });
      made.fill = () => { wrong(""); fill(); };
      made.row = [title, number, slider, ...(input.required ? [] : [element("label", [box, " not known"], { class: "known" })])];
    }
    made.row = element("div", [...made.row, effects[k], notes[k]], { class: "input" });
    return made;
  };
  const controls = features.map((_, k) => control(k));
  for (const group of new Set(features.map((feature) => feature.group))) {
    const rows = controls.filter((_, k) => features[k].group === group).map((each) => each.row);
    $("inputs").append(element("fieldset", [element("legend", group[0].toUpperCase() + group.slice(1)), ...rows]));
  }

  // ---- the answer
  const draw = () => {
    const values = own.map((value, k) => settled(k) ?? value), found = answer(values);
    features.forEach((feature, k) => { if (feature.levels.length) controls[k].fill(); });
    const absent = values.filter((value) => value === null).length;
    if (Number.isNaN(before)) before = found.risk;
    const moved = 100 * (found.risk - before);
    const from = Math.abs(moved) < 0.005 ? "" : ` ${buttons.get(start).textContent}: ${percent(before)}; now ${fixed(Math.abs(moved), Math.abs(moved) < 1 ? 2 : 1)} percentage points ${moved > 0 ? "higher" : "lower"}.`;
    $("risk").textContent = marked(`Risk ${percent(found.risk)}, 90\u00a0% interval ${range(found.low, found.high)}.${from}`);
    const said = [];
    if (start === "person" && from === "" && percent(before) !== percent(data.risk[person]))
      said.push(`The values of this person are rounded here; the reported risk, from the measured values, is ${percent(data.risk[person])}.`);
    if (absent && found.lowInputs === null)
      said.push(`${absent === 1 ? "1 input is" : `${absent} inputs are`} not known; the model takes a missing value as a value of its own.`);
    else if (absent)
      said.push(`${absent === 1 ? "1 input is" : `${absent} inputs are`} not known and integrated out; if known, the risk would lie from ${range(found.lowInputs, found.highInputs)} for 90\u00a0% of such people.`);
    if (found.outside.length)
      said.push(`Out of the model\u2019s training distribution: ${found.outside.map((places) => places.map((k) => features[k].label).join(" beside ")).join("; ")}.`);
    $("said").textContent = said.join(" ");
    $("said").classList.toggle("warning", found.outside.length > 0);
    effects.forEach((output, k) => {
      const size = found.contributions[k];
      const integrated = values[k] === null && found.lowInputs !== null, none = integrated || Math.abs(size) < 0.005;
      output.textContent = integrated ? "integrated out" : `${none ? "" : size > 0 ? "\u25b2 " : "\u25bc "}${fixed(size, 2, true)}`;
      output.className = none ? "" : size > 0 ? "raises" : "lowers";
    });
    const steps = bySize(found.contributions).map((k) => ({ label: `${features[k].label}: ${valueWords(k, values[k])}`, size: found.contributions[k] }));
    waterfall($("waterfall"), { steps, from: found.base, risk: found.risk, low: found.low, high: found.high });
  };
  const begin = (name) => {
    start = name;
    own = features.map((_, k) => STARTS[start](k));
    before = NaN;
    controls.forEach((each) => each.fill());
    buttons.forEach((button, of) => button.setAttribute("aria-pressed", of === name));
    draw();
  };
  buttons.forEach((button, of) => button.addEventListener("click", () => begin(of)));
  panel.addEventListener("toggle", () => { if (panel.open) begin("person"); });
  return (opened) => {
    person = opened;
    buttons.get("person").textContent = named(person);
    if (panel.open) begin("person");
  };
};
