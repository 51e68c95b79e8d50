"use strict";
(() => {
  const table = document.querySelector("table.flights");
  if (!table) return;
  const section = table.closest("section");
  const form = section.querySelector("form");
  const count = section.querySelector(".count");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows].map((row, place) => {
    const texts = [...row.cells].map((cell) => cell.textContent.replace(/\s+/g, " ").trim());
    return {
      row, place, texts,
      chance: parseFloat(texts[4]),
      exact: Number(row.dataset.p),
      search: texts.slice(0, 4).join(" ").toLowerCase(),
    };
  });
  const number = (value) => Math.round(value).toLocaleString("en");
  const show = () => {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const { origin, hour, carrier } = form.elements;
    let shown = 0;
    let late = 0;
    for (const one of rows) {
      const fits =
        (!origin.value || one.texts[1] === origin.value) &&
        (!hour.value || one.texts[0].startsWith(hour.value + ":")) &&
        (!carrier.value || one.texts[2].startsWith(carrier.value + " ")) &&
        words.every((word) => one.search.includes(word));
      one.row.hidden = !fits;
      if (fits) {
        shown += 1;
        late += one.exact;
      }
    }
    section.classList.toggle("filtered", shown < rows.length);
    count.textContent = shown
      ? `${number(shown)} of ${number(rows.length)} flights, about ${number(late)} of them late`
      : "No flight fits; clear the search to see all.";
  };
  const sort = (order) => {
    const column = Math.abs(order);
    const turn = order < 0 || Object.is(order, -0) ? -1 : 1;
    const words = new Intl.Collator("en", { numeric: true });
    const compare = (a, b) =>
      column === 4 ? a.exact - b.exact : words.compare(a.texts[column], b.texts[column]);
    rows.sort((a, b) => turn * compare(a, b) || a.place - b.place);
    body.append(...rows.map((one) => one.row));
    heads.forEach((head, place) => {
      if (place < 5) {
        const now = place === column ? (turn < 0 ? "descending" : "ascending") : "none";
        head.setAttribute("aria-sort", now);
      }
    });
    const option = [...form.elements.sort.options].find((one) => Object.is(Number(one.value), order));
    form.elements.sort.selectedIndex = option ? option.index : -1;
  };
  heads.slice(0, 5).forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      const first = place === 4 ? "descending" : "ascending";
      const turned = head.getAttribute("aria-sort") === first;
      const falls = (first === "descending") !== turned;
      sort(falls ? -place : place);
    });
    head.replaceChildren(button);
  });
  form.addEventListener("input", (event) => {
    if (event.target.name === "sort") sort(Number(event.target.value));
    else show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { sort(0); show(); }));
  for (const link of document.querySelectorAll(".heat a")) {
    link.addEventListener("click", () => {
      form.reset();
      form.elements.origin.value = link.dataset.origin;
      form.elements.hour.value = link.dataset.hour;
      setTimeout(show);
    });
  }
  form.hidden = false;
  sort(0);
  show();
})();
