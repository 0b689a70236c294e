// What makes the pages handy; without it they are complete, only longer.
"use strict";

(() => {
  const root = document.documentElement;

  const themeButton = document.getElementById("theme");
  const darkPreferred = window.matchMedia("(prefers-color-scheme: dark)");
  const currentTheme = () => root.dataset.theme || (darkPreferred.matches ? "dark" : "light");
  const nameThemeButton = () => {
    const dark = currentTheme() === "dark";
    themeButton.textContent = dark ? "Light" : "Dark";
    themeButton.setAttribute("aria-label", `Switch to the ${dark ? "light" : "dark"} theme`);
  };
  themeButton.hidden = false;
  nameThemeButton();
  darkPreferred.addEventListener("change", nameThemeButton);
  themeButton.addEventListener("click", () => {
    root.dataset.theme = currentTheme() === "dark" ? "light" : "dark";
    try {
      window.localStorage.setItem("ssl-bench-theme", root.dataset.theme);
    } catch (error) {
      // The choice then lasts as long as the page.
    }
    nameThemeButton();
  });

  // Opening a fold that is linked to, or printed.
  window.addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details")) {
      fold.open = true;
    }
  });

  // Heads of tables stay in sight: in the window where a table fits, else in its frame.
  const frames = [...document.querySelectorAll(".scroll")].filter((each) => each.querySelector("thead"));
  const fitFrames = () => {
    for (const frame of frames) {
      const fits = frame.firstElementChild.scrollWidth <= frame.clientWidth;
      frame.classList.toggle("fits", fits);
      frame.classList.toggle("held", !fits);
    }
  };
  window.addEventListener("resize", fitFrames);

  // A narrow window begins where there is hearing; what stands before is a scroll away.
  const start = document.querySelector("[data-start]");
  if (start !== null && window.matchMedia("(max-width: 40rem)").matches && location.hash === "") {
    const frame = start.closest(".scroll");
    const name = frame.querySelector(".kept");
    frame.scrollLeft += start.getBoundingClientRect().left - name.getBoundingClientRect().right;
  }

  // What a reader has chosen stands in the address, after "#?", so that it can be sent on.
  const readAddress = () => new URLSearchParams(location.hash.startsWith("#?") ? location.hash.slice(2) : "");
  const writeAddress = (chosen) => {
    const text = chosen.toString();
    const known = location.hash.startsWith("#?") ? location.hash.slice(2) : "";
    if (text !== known) {
      window.history.replaceState(null, "", text ? `#?${text}` : location.pathname + location.search);
    }
  };

  // Columns that are not asked for are hidden before anything is drawn.
  const boxes = [...document.querySelectorAll("#filters [data-column]")];
  const hiding = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, hiding];
  const hideColumns = () => {
    const hidden = boxes.filter((box) => !box.checked).map((box) => box.dataset.column);
    const rules = hidden.map(
      (place) => `.board td:nth-child(${place}), .board th:nth-child(${place}) { display: none; }`,
    );
    hiding.replaceSync(rules.join("\n"));
  };
  hideColumns();

  // Sorting and filtering come with the table library, which the build puts beside the pages.
  const startTables = () => {
    const DataTable = window.DataTable;
    if (DataTable === undefined) {
      root.classList.remove("starting");
      fitFrames();
      return;
    }
    const form = document.getElementById("filters");
    const chosen = {};
    const origins = { measured: ["this project", "submitter"], reported: ["reported"] };
    DataTable.ext.search.push((settings, _texts, number) => {
      const row = settings.data[number].tr;
      return Object.entries(chosen).every(([name, value]) => value === "" || row.dataset[name] === value);
    });
    const keyOf = (head) => head.dataset.key || head.textContent.trim();
    const isNumber = (head) => ["number", "place"].some((kind) => head.classList.contains(kind));
    const orderIn = (address, heads, sort) => {
      const [key, direction] = (address.get(sort) || "").split("|");
      const place = heads.findIndex((head) => keyOf(head) === key);
      return place >= 0 && ["asc", "desc"].includes(direction) ? [[place, direction]] : [];
    };
    const tables = [...document.querySelectorAll("table.data[data-table]")].map((element) => {
      const heads = [...element.querySelectorAll("thead th")];
      const paged = "long" in element.dataset;
      const sort = `sort.${element.dataset.table}`;
      const table = new DataTable(element, {
        order: orderIn(readAddress(), heads, sort),
        autoWidth: false,
        // Their kinds are said, for to find them out every cell is read several times.
        columns: heads.map((head) => ({
          type: isNumber(head) ? "num" : "html",
          orderable: head.dataset.orderable !== "false",
          orderSequence: head.dataset.first === "desc" ? ["desc", "asc", ""] : ["asc", "desc", ""],
        })),
        paging: paged,
        pageLength: 50,
        lengthMenu: [50, 100, 500],
        layout: {
          topStart: null,
          topEnd: null,
          bottomStart: paged ? "pageLength" : null,
          bottomEnd: paged ? "paging" : null,
        },
        language: { emptyTable: "Nothing here yet", zeroRecords: "No row fits the filters" },
      });
      return { element, heads, table, sort };
    });
    root.classList.remove("starting");
    if (form === null || tables.length === 0) {
      fitFrames();
      return;
    }
    const search = form.querySelector("[data-search]");
    const told = form.querySelector("output");
    const filters = [...form.querySelectorAll("[data-filter]")];
    const keep = () => {
      const address = new URLSearchParams();
      for (const each of filters.filter((each) => each.value !== "")) {
        address.set(each.dataset.filter, each.value);
      }
      if (search.value !== "") {
        address.set("search", search.value);
      }
      if (boxes.some((box) => box.checked !== box.defaultChecked)) {
        address.set("columns", boxes.filter((box) => box.checked).map((box) => box.value).join("|"));
      }
      for (const { heads, table, sort } of tables) {
        const [order] = table.order();
        if (order !== undefined && order[1] !== "") {
          address.set(sort, `${keyOf(heads[order[0]])}|${order[1]}`);
        }
      }
      writeAddress(address);
    };
    const stateOf = (text, values) => JSON.stringify([text, values, tables.map(({ table }) => table.order())]);
    const wanted = () => stateOf(search.value, filters.map((each) => each.value));
    // To draw a long table takes time: what is drawn already stays.
    let drawn = stateOf("", filters.map(() => ""));
    const apply = () => {
      for (const each of filters) {
        chosen[each.dataset.filter] = each.value;
      }
      hideColumns();
      if (wanted() !== drawn) {
        for (const { table } of tables) {
          table.search(search.value).draw();
        }
        drawn = wanted();
      }
      for (const section of document.querySelectorAll("[data-origin-section]")) {
        const own = origins[section.dataset.originSection];
        section.hidden = Boolean(chosen.origin) && !own.includes(chosen.origin);
      }
      const shown = tables.reduce((sum, { table }) => sum + table.rows({ search: "applied" }).count(), 0);
      const all = tables.reduce((sum, { table }) => sum + table.rows().count(), 0);
      told.textContent = shown === all ? `${all} rows` : `${shown} of ${all} rows`;
      fitFrames();
    };
    const restore = () => {
      const address = readAddress();
      for (const each of filters) {
        const value = address.get(each.dataset.filter) || "";
        each.value = [...each.options].some((option) => option.value === value) ? value : "";
      }
      search.value = address.get("search") || "";
      const columns = address.get("columns");
      for (const box of boxes) {
        box.checked = columns === null ? box.defaultChecked : columns.split("|").includes(box.value);
      }
      for (const { heads, table, sort } of tables) {
        table.order(orderIn(address, heads, sort));
      }
      apply();
    };
    form.addEventListener("input", () => {
      apply();
      keep();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () =>
      window.setTimeout(() => {
        apply();
        keep();
      }),
    );
    for (const { table } of tables) {
      table.on("order", keep);
    }
    form.hidden = false;
    restore();
    // Also after the browser has filled a page that is come back to in again, which some do late.
    window.addEventListener("pageshow", restore);
    window.addEventListener("hashchange", restore);
  };
  if (document.readyState === "complete") {
    startTables();
  } else {
    document.addEventListener("DOMContentLoaded", startTables);
  }
})();
