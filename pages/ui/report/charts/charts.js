// Puts ready SVG on the page; no script inside it runs, because innerHTML runs none.
export default function ({ data, parentElement }) {
  let row = parentElement.querySelector(".charts");
  if (!row) {
    row = document.createElement("div");
    row.className = "charts";
    parentElement.appendChild(row);
  }
  if (row.shown !== data.html) {
    row.innerHTML = data.html;
    row.shown = data.html;
  }
}
