// Light or dark, as the system or the reader wants it; what is wider than the page can be scrolled by keys.
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const kept = {
  read() { try { return localStorage.getItem("theme"); } catch { return null; } }, // where storage is refused
  write(theme) { try { localStorage.setItem("theme", theme); } catch { /* it holds for this page */ } },
};

function show(theme) {
  if (theme) root.dataset.theme = theme;
  const dark = theme ? theme === "dark" : system.matches;
  document.querySelector("#theme")?.setAttribute("aria-pressed", dark);
}

show(kept.read()); // before anything is drawn
document.addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector("#theme");
  button.hidden = false;
  show(kept.read());
  button.addEventListener("click", () => {
    const theme = button.getAttribute("aria-pressed") === "true" ? "light" : "dark";
    kept.write(theme);
    show(theme);
  });
  system.addEventListener("change", () => show(kept.read()));
  document.querySelector("#live a")?.addEventListener("click", (event) => {
    event.preventDefault();
    const frame = document.createElement("iframe");
    frame.src = event.currentTarget.href;
    frame.title = "Train a prompt: the live page";
    document.querySelector("#live").replaceChildren(frame);
    frame.focus();
  });
  reachable();
});
addEventListener("resize", reachable);

function reachable() {
  for (const each of document.querySelectorAll("main pre, main .scroll, main .output, main math[display=block]")) {
    if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
    else each.removeAttribute("tabindex");
  }
}
