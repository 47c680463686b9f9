"use strict";
// Sorts and filters the table, shows one task and one run at a time, and switches
// between light and dark. Nothing is drawn here: the page already holds all drawings.
(() => {
  const find = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Light and dark ------------------------------------------------------------
  const theme = find("#theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const remembered = {
    // Some browsers have no storage for pages from disk.
    get() { try { return localStorage.getItem("theme"); } catch { return null; } },
    set(value) { try { localStorage.setItem("theme", value); } catch { /* not stored */ } },
  };
  function light(choice) {
    const now = choice || (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = now;
    theme.textContent = now === "dark" ? "Light" : "Dark";
    theme.setAttribute("aria-label", `Use ${theme.textContent.toLowerCase()} colors`);
  }
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    remembered.set(next);
    light(next);
  });
  dark.addEventListener("change", () => light(remembered.get()));
  light(remembered.get());

  // Tasks: one at a time --------------------------------------------------------
  const tasks = all("article.task");
  const links = all(".tasks a");
  function showTask() {
    const wanted = tasks.find((task) => `#${task.id}` === location.hash);
    const shown = wanted || tasks.find((task) => !task.hidden) || tasks[0];
    for (const task of tasks) task.hidden = task !== shown;
    for (const link of links) {
      if (link.hash === `#${shown.id}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    if (wanted) wanted.scrollIntoView();
  }
  addEventListener("hashchange", showTask);
  showTask();

  // The table -------------------------------------------------------------------
  const body = find("#table tbody");
  const heads = all("#table th");
  const column = Object.fromEntries(heads.map((head, i) => [head.textContent, i]));
  const rows = all("tr", body).map((element) => ({
    element,
    number: element.dataset.run,
    cells: [...element.cells].map((cell) => cell.textContent),
  }));
  for (const row of rows) row.text = row.cells.join(" ").toLowerCase();
  const names = new Intl.Collator("en", { numeric: true });
  const figure = (text) => parseFloat(text.replaceAll(",", ""));

  function sort(head) {
    const i = heads.indexOf(head);
    const numeric = "numeric" in head.dataset;
    const before = head.getAttribute("aria-sort");
    const first = "bestFirst" in head.dataset ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = before === first ? other : first;
    for (const each of heads) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const value = numeric ? (row) => figure(row.cells[i]) : (row) => row.cells[i];
    const keyed = rows.map((row, place) => ({ row, place, key: value(row) }));
    const missing = (key) => key === "" || Number.isNaN(key);
    keyed.sort((a, b) => {
      // Missing figures are last in both orders.
      if (missing(a.key) || missing(b.key)) {
        return missing(a.key) - missing(b.key) || a.place - b.place;
      }
      const way = numeric ? a.key - b.key : names.compare(a.key, b.key);
      return sign * way || a.place - b.place;
    });
    keyed.forEach((each, place) => { rows[place] = each.row; });
    body.append(...rows.map((row) => row.element));
  }
  for (const head of heads) find("button", head).addEventListener("click", () => sort(head));

  const filters = find(".filters");
  const search = find("#find");
  const selects = all("select", filters);
  const drawn = new Map();
  for (const mark of all("article [data-run]")) {
    const number = mark.dataset.run;
    if (!drawn.has(number)) drawn.set(number, []);
    drawn.get(number).push(mark);
  }
  const thousands = (n) => n.toLocaleString("en");
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const shown = words.every((word) => row.text.includes(word))
        && selects.every(({ value, dataset }) => value === "" || value === (
          dataset.filter === "kind"
            ? row.element.dataset.kind : row.cells[column[dataset.filter]]));
      row.element.hidden = !shown;
      for (const mark of drawn.get(row.number) || []) mark.classList.toggle("off", !shown);
      count += shown;
    }
    find("#shown").textContent = `${thousands(count)} of ${thousands(rows.length)} runs`;
    find("#nothing").hidden = count > 0;
  }
  filters.hidden = false;
  filters.addEventListener("input", filter);
  filters.addEventListener("change", filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  // The form is cleared only after its reset event.
  filters.addEventListener("reset", () => setTimeout(filter));

  // A run's details ---------------------------------------------------------------
  const dialog = find("#run");
  const blocks = all("script.details").map((element) => ({
    element, first: Number(element.dataset.first), pages: null,
  }));
  let current = null;

  async function unpack(packed) {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }
  async function pageOf(number) {
    const block = blocks.findLast(({ first }) => first <= number);
    block.pages ||= unpack(block.element.textContent);
    return (await block.pages)[number - block.first];
  }
  async function open(number) {
    current = Number(number);
    const wanted = current;
    const page = await pageOf(wanted);
    if (wanted !== current) return;
    find("#run-body").innerHTML = page;
    const weights = find(`#w${wanted}`);
    if (weights) {
      const copy = weights.cloneNode(true);
      copy.removeAttribute("id");
      const title = document.createElement("h3");
      title.textContent = "First layer";
      find("#run-body [data-weights]").append(title, copy);
    }
    const [before, after] = neighbours();
    find("#previous").disabled = !before;
    find("#next").disabled = !after;
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    find("#run-title").focus();
  }
  function neighbours() {
    const shown = rows.filter(({ element }) => !element.hidden);
    const i = shown.findIndex(({ number }) => Number(number) === current);
    return i < 0 ? [] : [shown[i - 1], shown[i + 1]];
  }
  const step = (which) => { const to = neighbours()[which]; if (to) open(to.number); };

  body.addEventListener("click", (event) => {
    if (event.target.closest("button")) open(event.target.closest("tr").dataset.run);
  });
  find("#tasks").addEventListener("click", (event) => {
    const mark = event.target.closest("[data-run]");
    if (mark) open(mark.dataset.run);
  });
  find("#previous").addEventListener("click", () => step(0));
  find("#next").addEventListener("click", () => step(1));
  find("#close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.target.closest("[tabindex='0'], summary")) return;
    if (event.key === "ArrowLeft") step(0);
    if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
})();
