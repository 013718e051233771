// The page itself: contents that follow the scroll, figures that answer and can be saved, a threshold that is moved.
"use strict";
// A cell as mgrisk writes a CSV: an apostrophe before what a spreadsheet would run as a formula.
const csvCell = (value) => {
  const text = String(value ?? "");
  const formula = /^'*[\t\r\n]*[=+\-@]/.test(text) && !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);
  const inert = formula ? `'${text}` : text;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
};
const saveFile = (name, kind, content) => {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob([content], { type: kind })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};

(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const create = (tag, words = "") => Object.assign(document.createElement(tag), { textContent: words });

  // Contents: the section and the part that are at the top of the window.
  const places = all("nav a").map(link => ({ link, part: document.getElementById(link.hash.slice(1)) }))
    .filter(place => place.part);
  let waiting = false;
  function follow() {
    waiting = false;
    const passed = places.filter(({ part }) => part.getClientRects().length && part.getBoundingClientRect().top < 140);
    const last = passed.length ? passed[passed.length - 1].link : null;
    const open = last && last.closest("nav > ol > li");
    all("nav a[aria-current]").forEach(link => link.removeAttribute("aria-current"));
    all("nav > ol > li.here").forEach(item => item.classList.remove("here"));
    if (last) last.setAttribute("aria-current", "true");
    if (open) open.classList.add("here");
  }
  const soon = () => { if (!waiting) { waiting = true; requestAnimationFrame(follow); } };
  document.querySelector("nav").classList.add("follows");
  addEventListener("scroll", soon, { passive: true });
  addEventListener("resize", soon);
  follow();

  // A link into a closed part opens it.
  function reveal() {
    const aim = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!aim) return;
    const closed = [];
    const inner = aim.querySelector(":scope > details");
    if (inner) closed.push(inner);
    for (let at = aim.parentElement; at; at = at.parentElement) if (at.tagName === "DETAILS") closed.push(at);
    closed.forEach(each => { each.open = true; });
    aim.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  reveal();

  // Paper gets the sections that are closed too: what is looked up on a screen cannot be opened on paper.
  const opened = [];
  addEventListener("beforeprint", () => all(".folded:not([open])").forEach(each => { each.open = true; opened.push(each); }));
  addEventListener("afterprint", () => opened.splice(0).forEach(each => { each.open = false; }));

  // Figures: what is pointed at, or reached by the arrow keys, says its value.
  const bubble = create("div");
  bubble.className = "bubble";
  bubble.setAttribute("role", "status");
  document.body.append(bubble);
  function say(tip) {
    all(".tip.on").forEach(each => each.classList.remove("on"));
    bubble.textContent = tip ? tip.dataset.tip : "";
    bubble.hidden = !tip;
    if (!tip) return;
    tip.classList.add("on");
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(box.left + box.width / 2 - bubble.offsetWidth / 2, 8),
      document.documentElement.clientWidth - bubble.offsetWidth - 8);
    const above = box.top - bubble.offsetHeight - 6;
    bubble.style.left = `${left + scrollX}px`;
    bubble.style.top = `${(above > 4 ? above : box.bottom + 6) + scrollY}px`;
  }
  bubble.hidden = true;
  for (const drawing of all("figure .drawing")) {
    const tips = all(".tip", drawing);
    let at = -1;
    if (!tips.length) continue;
    drawing.addEventListener("pointerover", event => say(event.target.closest(".tip")));
    drawing.addEventListener("pointerleave", () => say(null));
    drawing.addEventListener("blur", () => say(null));
    drawing.addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") say(null);
      if (!step) return;
      event.preventDefault();
      at = (at + step + tips.length + (at < 0 && step < 0 ? 1 : 0)) % tips.length;
      say(tips[at]);
    });
  }

  // A picture and its numbers as files.
  const cell = text => csvCell(text.trim().replaceAll("\u2212", "-").replaceAll("\u00a0", " "));
  const csv = table => all("tr", table).map(line => all("th, td", line).map(each => cell(each.textContent)).join(","))
    .join("\r\n");
  for (const figure of all("figure")) {
    const picture = figure.querySelector(".drawing svg");
    const table = figure.querySelector("table");
    const buttons = create("p");
    buttons.className = "save";
    for (const [words, act] of [
      ["Save picture (SVG)", () => {
        const copy = picture.cloneNode(true);
        all(".tip", copy).forEach(each => each.remove());
        saveFile(`${figure.id}.svg`, "image/svg+xml", new XMLSerializer().serializeToString(copy));
      }],
      ["Save numbers (CSV)", () => saveFile(`${figure.id}.csv`, "text/csv", `\ufeff${csv(table)}\r\n`)],
    ]) {
      const button = create("button", words);
      button.type = "button";
      button.addEventListener("click", act);
      buttons.append(button);
    }
    figure.append(buttons);
  }

  // A risk threshold that is moved: what it comes to in 1,000 people.
  for (const box of all(".threshold")) {
    const points = JSON.parse(box.dataset.points);
    const share = Number(box.dataset.share);
    const range = box.querySelector("input");
    const put = (name, value, digits = 0) => {
      box.querySelector(`[data-of=${name}]`).textContent = Number.isFinite(value)
        ? value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "\u2212") : "–";
    };
    const show = () => {
      const [risk, sensitivity, falsePositive] = points[Number(range.value)];
      const cases = 1000 * share;
      const others = 1000 - cases;
      const found = cases * sensitivity;
      const alarms = others * falsePositive;
      range.setAttribute("aria-valuetext", `${(100 * risk).toFixed(1)} %`);
      put("risk", 100 * risk, 1);
      put("tp", found, 1); put("fn", cases - found, 1); put("fp", alarms, 1); put("tn", others - alarms, 1);
      put("cases", cases, 1); put("others", others, 1);
      put("positive", found + alarms, 1); put("negative", 1000 - found - alarms, 1);
      put("sensitivity", 100 * sensitivity, 1); put("specificity", 100 * (1 - falsePositive), 1);
      put("ppv", 100 * found / (found + alarms), 1);
      put("npv", 100 * (others - alarms) / (1000 - found - alarms), 1);
      put("nns", (found + alarms) / found, 1);
      put("benefit", found - alarms * risk / (1 - risk), 1);
      put("all", cases - others * risk / (1 - risk), 1);
    };
    range.addEventListener("input", show);
    box.hidden = false;
    show();
  }
})();
