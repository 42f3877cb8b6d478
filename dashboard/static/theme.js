// Light or dark: as the reader's system is, or as they chose; in the head, so that no page flashes.
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => { try { return window.localStorage.getItem("brender-theme"); } catch { return null; } };
  const apply = () => document.documentElement.setAttribute("data-bs-theme", chosen() || (dark.matches ? "dark" : "light"));
  dark.addEventListener("change", apply);
  apply();
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme")?.addEventListener("click", () => {
      const other = document.documentElement.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
      try { window.localStorage.setItem("brender-theme", other); } catch { /* it is only for this page, then */ }
      document.documentElement.setAttribute("data-bs-theme", other);
    });
  });
})();
