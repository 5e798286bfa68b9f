// Puts ready SVG on the page and replaces only what changed, so that nothing blinks; no script inside it runs.
export default function ({ data, parentElement }) {
  let grid = parentElement.querySelector(".curves");
  if (!grid) {
    grid = document.createElement("div");
    grid.className = "curves";
    parentElement.appendChild(grid);
  }
  data.figures.forEach((html, i) => {
    const figure = grid.children[i] ?? grid.appendChild(document.createElement("figure"));
    if (figure.shown !== html) {
      figure.innerHTML = html;
      figure.shown = html;
    }
  });
  while (grid.children.length > data.figures.length) grid.lastChild.remove();
}
