// Pages of a gallery, and what is shown on its pictures; without it all of it is shown.
"use strict";

(() => {
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
    if (opacity !== null) {
      opacity.addEventListener("input", () => {
        gallery.style.setProperty("--heat", String(Number(opacity.value) / 100));
      });
    }
    for (const box of gallery.querySelectorAll("[data-hides]")) {
      box.addEventListener("change", () => gallery.classList.toggle(box.dataset.hides, !box.checked));
    }
    // A trial that is linked to is shown, whatever page it is on.
    const showLinked = () => {
      const wanted = document.querySelector(":target");
      const place = pages.findIndex((page) => page.contains(wanted));
      if (wanted !== null && place >= 0) {
        show(place);
        wanted.scrollIntoView({ block: "center" });
        wanted.focus({ preventScroll: true });
      }
    };
    window.addEventListener("hashchange", showLinked);
    gallery.classList.add("paged");
    gallery.querySelector(".controls").hidden = false;
    show(0);
    showLinked();
  };
  for (const gallery of document.querySelectorAll(".gallery")) {
    startGallery(gallery);
  }
})();
