"use strict";
// Draws the charts that stand in the page as data, and lets the header cells of `table.sortable` sort its rows.
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const options = { actions: false, ast: true, renderer: "svg", tooltip: { theme: "custom" } };
  const drawn = charts.map(({ name, spec }) => vegaEmbed(document.getElementById(`chart-${name}`), spec, options));
  Promise.all(drawn).then(
    () => document.documentElement.setAttribute("data-charts", "drawn"),
    (error) => document.documentElement.setAttribute("data-charts", String(error)),
  );

  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  const value = (row, place) => JSON.parse(row.cells[place].dataset.value);

  function sort(table, header) {
    const place = header.cellIndex;
    const direction = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const empty = (row) => value(row, place) === null;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => empty(a) - empty(b) || sign * compare(value(a, place), value(b, place)));
    table.tBodies[0].append(...rows);
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const header of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      button.addEventListener("click", () => sort(table, header));
      header.append(button);
    }
  }
})();
