// Dots of a dependence plot in the colours of a second feature: fifths of the population, or levels of a category.
"use strict";
const dotColours = ({ data, element, bare }) => {
  const SCALE = ["var(--fig-blue, #0072b2)", "#487e9c", "#8f8a86", "#b27443", "var(--fig-vermilion, #d55e00)"];
  const LEVELS = ["var(--fig-blue, #0072b2)", "var(--fig-vermilion, #d55e00)", "var(--fig-green, #009e73)", "var(--fig-orange, #e69f00)", "var(--fig-purple, #cc79a7)", "var(--fig-ink, #1c2430)"];
  const MISSING = "var(--fig-grey, #9aa3ae)";

  // ---- which values have one colour: {label, colour, holds}
  const fifths = (k) => {
    const known = data.ids.map((_, person) => person).filter((person) => data.values[k][person] !== null);
    known.sort((a, b) => data.values[k][a] - data.values[k][b]);
    const weight = (person) => (data.weight ? data.weight[person] : 1);
    const total = known.reduce((sum, person) => sum + weight(person), 0);
    const ends = [];
    let reached = 0;
    for (const person of known) {
      reached += weight(person);
      while (ends.length < SCALE.length && reached >= (total * (ends.length + 1)) / SCALE.length - 1e-6) ends.push(data.values[k][person]);
    }
    const tops = [...new Set(ends)];
    return tops.map((top, place) => {
      const below = place ? tops[place - 1] : -Infinity;
      const low = data.values[k][known.find((person) => data.values[k][person] > below)];
      const colour = SCALE[tops.length > 1 ? Math.round((place * (SCALE.length - 1)) / (tops.length - 1)) : 2];
      return { label: low === top ? bare(k, top) : `${bare(k, low)} to ${bare(k, top)}`, colour, holds: (value) => value !== null && value > below && value <= top };
    });
  };
  const groups = (k) => [
    ...(data.features[k].levels.length
      ? data.features[k].levels.map((label, place) => ({ label, colour: LEVELS[place], holds: (value) => value === place }))
      : fifths(k)),
    { label: "missing", colour: MISSING, holds: (value) => value === null },
  ];

  // ---- the choice below each plot, and what its colours mean
  for (const figure of document.querySelectorAll("figure[data-people]")) {
    const dots = figure.querySelector(`[id="${figure.id}-dots"] path`), places = figure.dataset.people.split(" ").map(Number);
    const each = dots?.getAttribute("d").match(/M[^M]+/g) ?? [];
    if (each.length !== places.length) continue;
    const layer = dots.parentNode, axes = layer.parentNode, above = layer.nextSibling;
    const choice = element("select", [element("option", "none", { value: "" }), ...data.features.flatMap(({ label, unit, levels }, k) => (levels.length > LEVELS.length ? [] : [element("option", `${label}${unit ? `, ${unit}` : ""}`, { value: k })]))], { id: `${figure.id}-colour` });
    const legend = element("div", [], { class: "colours", role: "status", "aria-label": "Colours of the dots" });
    choice.addEventListener("input", () => {
      layer.replaceChildren(dots);
      const chosen = choice.value === "" ? [] : groups(Number(choice.value));
      dots.style.display = chosen.length ? "none" : "";
      // Coloured dots lie above the curves, where they are told apart.
      if (chosen.length) axes.append(layer);
      else axes.insertBefore(layer, above);
      legend.replaceChildren(...chosen.flatMap(({ label, colour, holds }) => {
        const here = each.filter((_, at) => holds(data.values[choice.value][places[at]]));
        if (!here.length) return [];
        const drawn = dots.cloneNode();
        drawn.setAttribute("d", here.join(""));
        drawn.style.display = "";
        drawn.style.stroke = colour;
        drawn.style.strokeWidth = 5;
        layer.append(drawn);
        const swatch = element("span", "\u25cf", { "aria-hidden": "true" });
        swatch.style.color = colour;
        return [element("span", [swatch, ` ${label}`])];
      }));
    });
    figure.querySelector("figcaption").before(element("label", ["Colour the dots by ", choice], { class: "colour" }), legend);
  }
};
