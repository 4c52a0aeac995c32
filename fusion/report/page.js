document.documentElement.classList.add("scripted");
// Sorts a table by the column whose heading is pressed; without scripts the tables stay as written.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const words = heading.classList.contains("words");
      const rising = heading.getAttribute("aria-sort") ? heading.getAttribute("aria-sort") !== "ascending" : words;
      const key = (row) => {
        const { dataset, textContent } = row.cells[column];
        const text = textContent.trim();
        return words ? text : parseFloat(dataset.value ?? text.replaceAll(",", "").replace("−", "-"));
      };
      const compare = (one, other) => {
        const [a, b] = [key(one), key(other)];
        if (words) return a.localeCompare(b, undefined, { numeric: true }) * (rising ? 1 : -1);
        if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
        return (a - b) * (rising ? 1 : -1);
      };
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
      body.append(...[...body.rows].sort(compare));
    });
  });
}
// A link to a chapter opens it.
const open = () => document.querySelector(`${location.hash || "#none"} > details`)?.setAttribute("open", "");
addEventListener("hashchange", open);
open();
// A closed part would be missing on paper.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
