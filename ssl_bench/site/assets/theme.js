// Before anything is drawn: the theme that the reader chose, if there is one and it can be read.
"use strict";
(() => {
  // Until tables have pages, rows of later pages are not drawn.
  document.documentElement.classList.add("starting");
  let chosen = null;
  try {
    chosen = window.localStorage.getItem("ssl-bench-theme");
  } catch (error) {
    chosen = null;
  }
  if (chosen === "dark" || chosen === "light") {
    document.documentElement.dataset.theme = chosen;
  }
})();
