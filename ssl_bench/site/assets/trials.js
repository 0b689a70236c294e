// The list of all trials of an entry: sorted, filtered and paged from the scripts beside the page.
"use strict";

(() => {
  const section = document.getElementById("all-trials");
  const shared = window.sslBenchTrials;
  const own = window.sslBenchScores;
  if (section === null || shared === undefined || own === undefined) {
    return;
  }
  const perPage = 25;
  const hasBlind = own.without.length > 0;
  const gain = (place) => (hasBlind ? own.scores[place] - own.without[place] : 0);
  const orders = {
    worst: (one, other) => own.scores[one] - own.scores[other],
    best: (one, other) => own.scores[other] - own.scores[one],
    gained: (one, other) => gain(other) - gain(one),
    lost: (one, other) => gain(one) - gain(other),
  };
  const order = section.querySelector("[data-order]");
  const category = section.querySelector("[data-category]");
  const where = section.querySelector(".where");
  const steps = [...section.querySelectorAll("[data-step]")];
  const body = section.querySelector("tbody");
  let rows = [];
  let page = 0;

  const cell = (row, text, kind = "td") => {
    const made = document.createElement(kind);
    made.textContent = text;
    if (kind === "th") {
      made.scope = "row";
    }
    row.append(made);
    return made;
  };
  const number = (row, value, signed = false) => {
    const text = `${signed && value > 0 ? "+" : ""}${value.toFixed(1)}`.replace("-", "\u2212");
    cell(row, text).className = "number";
  };
  const draw = () => {
    const first = page * perPage;
    const shown = rows.slice(first, first + perPage);
    body.replaceChildren(
      ...shown.map((place) => {
        const row = document.createElement("tr");
        const name = shared.trials[place];
        const head = cell(row, "", "th");
        const inGallery = document.getElementById(`trial-${name}`) !== null;
        const label = document.createElement(inGallery ? "a" : "span");
        if (inGallery) {
          label.href = `#${encodeURIComponent(`trial-${name}`)}`;
        }
        label.textContent = name;
        head.append(label);
        cell(row, shared.names[shared.categories[place]]);
        number(row, own.scores[place]);
        if (hasBlind) {
          number(row, own.without[place]);
          number(row, gain(place), true);
        }
        return row;
      }),
    );
    where.textContent =
      rows.length === 0 ? "none" : `${first + 1} to ${first + shown.length} of ${rows.length}`;
    for (const button of steps) {
      const next = page + Number(button.dataset.step);
      button.disabled = next < 0 || next * perPage >= rows.length;
    }
  };
  const choose = () => {
    rows = shared.trials
      .map((_, place) => place)
      .filter((place) => category.value === "" || shared.categories[place] === Number(category.value))
      .sort(orders[order.value]);
    page = 0;
    draw();
  };
  shared.names.forEach((name, number_) => category.add(new Option(name, String(number_))));
  for (const select of [order, category]) {
    select.addEventListener("change", choose);
  }
  for (const button of steps) {
    button.addEventListener("click", () => {
      page += Number(button.dataset.step);
      draw();
    });
  }
  section.hidden = false;
  choose();
})();
