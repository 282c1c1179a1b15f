// Sorts a table by a column: a click on the name of a column, or Enter on it, sorts; a second one turns the order round.
const UNITS = { k: 1e3, M: 1e6, G: 1e9 };

// The number that a cell begins with, such as 354000 for "354 k" and 1 for "1 of 4"; NaN without one.
function number(text) {
  const found = text.match(/^([+-]?\d+(?:\.\d+)?)(?: ([kMG])\b)?/);
  return found ? Number(found[1]) * (UNITS[found[2]] ?? 1) : NaN;
}

function compare(one, other, words) {
  return words ? one.localeCompare(other, "en", { numeric: true }) : number(one) - number(other);
}

function sort(table, column, descending) {
  const words = table.tHead.rows[0].cells[column].classList.contains("words");
  const text = (row) => row.cells[column].textContent.trim();
  const empty = (row) => (words ? text(row) === "–" : Number.isNaN(number(text(row))));
  const rows = [...table.tBodies[0].rows];
  const filled = rows.filter((row) => !empty(row));
  filled.sort((a, b) => compare(text(a), text(b), words) * (descending ? -1 : 1));
  table.tBodies[0].append(...filled, ...rows.filter(empty)); // a cell without a value stays last in both orders
}

for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      // The first click shows the largest figure, or the first name, on top.
      const first = head.classList.contains("words") ? "ascending" : "descending";
      const turned = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? turned : first;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      table.classList.add("sorted");
      sort(table, column, order === "descending");
    });
  });
}

// Paper shows every part that is folded on the screen.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((part) => (part.open = true));
});
addEventListener("afterprint", () => folded.forEach((part) => (part.open = false)));
