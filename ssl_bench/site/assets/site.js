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

  const startGallery = (gallery) => {
    const pages = [...gallery.querySelectorAll(".page")];
    const where = gallery.querySelector(".where");
    const kinds = [...gallery.querySelectorAll("[data-kind]")].filter((each) => each.matches("button"));
    const steps = [...gallery.querySelectorAll("[data-step]")];
    let current = 0;
    const show = (number) => {
      current = Math.max(0, Math.min(pages.length - 1, number));
      pages.forEach((page, place) => {
        page.hidden = place !== current;
        if (place !== current) {
          for (const sound of page.querySelectorAll("audio")) {
            sound.pause();
          }
        }
      });
      where.textContent = pages[current].dataset.title;
      for (const button of kinds) {
        button.setAttribute("aria-pressed", String(button.dataset.kind === pages[current].dataset.kind));
      }
      for (const button of steps) {
        const next = current + Number(button.dataset.step);
        button.disabled = next < 0 || next >= pages.length;
      }
    };
    for (const button of steps) {
      button.addEventListener("click", () => show(current + Number(button.dataset.step)));
    }
    for (const button of kinds) {
      button.addEventListener("click", () =>
        show(pages.findIndex((page) => page.dataset.kind === button.dataset.kind)),
      );
    }
    const opacity = gallery.querySelector("[data-opacity]");
    opacity.addEventListener("input", () => {
      gallery.style.setProperty("--heat", String(Number(opacity.value) / 100));
    });
    const outline = gallery.querySelector("[data-outline]");
    outline.addEventListener("change", () => gallery.classList.toggle("bare", !outline.checked));
    gallery.classList.add("paged");
    gallery.querySelector(".controls").hidden = false;
    show(0);
  };
  for (const gallery of document.querySelectorAll(".gallery")) {
    startGallery(gallery);
  }

  // Sorting and filtering come with the table library, which the build puts beside the pages.
  const startTables = () => {
    const DataTable = window.DataTable;
    if (DataTable === undefined) {
      return;
    }
    const form = document.getElementById("filters");
    const chosen = {};
    const origins = { measured: ["this project", "submitter"], reported: ["reported"] };
    DataTable.ext.search.push((settings, _texts, number) => {
      const row = settings.data[number].tr;
      return Object.entries(chosen).every(([name, value]) => value === "" || row.dataset[name] === value);
    });
    const tables = [...document.querySelectorAll("table.data[data-table]")].map((element) => {
      const unsorted = [...element.querySelectorAll("thead th")]
        .map((head, number) => (head.dataset.orderable === "false" ? number : -1))
        .filter((number) => number >= 0);
      return new DataTable(element, {
        order: [],
        autoWidth: false,
        columnDefs: [{ targets: unsorted, orderable: false }],
        paging: element.tBodies[0].rows.length > 100,
        pageLength: 50,
        lengthMenu: [50, 100, 500],
        deferRender: true,
        layout: {
          topStart: null,
          topEnd: null,
          bottomStart: element.tBodies[0].rows.length > 100 ? "pageLength" : null,
          bottomEnd: element.tBodies[0].rows.length > 100 ? "paging" : null,
        },
        language: { emptyTable: "Nothing here yet", zeroRecords: "No row fits the filters" },
      });
    });
    if (form === null || tables.length === 0) {
      return;
    }
    const search = form.querySelector("[data-search]");
    const told = form.querySelector("output");
    const tell = () => {
      const shown = tables.reduce((sum, table) => sum + table.rows({ search: "applied" }).count(), 0);
      const all = tables.reduce((sum, table) => sum + table.rows().count(), 0);
      told.textContent = shown === all ? `${all} rows` : `${shown} of ${all} rows`;
    };
    const apply = () => {
      for (const each of form.querySelectorAll("[data-filter]")) {
        chosen[each.dataset.filter] = each.value;
      }
      for (const table of tables) {
        table.search(search.value).draw();
      }
      for (const section of document.querySelectorAll("[data-origin-section]")) {
        const own = origins[section.dataset.originSection];
        section.hidden = Boolean(chosen.origin) && !own.includes(chosen.origin);
      }
      tell();
    };
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => window.setTimeout(apply));
    form.hidden = false;
    apply();
    // A page that is come back to has its choices filled in again, some browsers do so late.
    window.addEventListener("pageshow", apply);
  };
  if (document.readyState === "complete") {
    startTables();
  } else {
    document.addEventListener("DOMContentLoaded", startTables);
  }
})();
