// Finds the sections that hold all the words typed; those with the words in their titles come first.
const box = document.querySelector("#search");
const found = document.querySelector("#found");
document.querySelector("#finder").hidden = false; // without scripts there is no search, and no box for it

function matches(typed) {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const scored = SECTIONS.map((section) => {
    const title = section.title.toLowerCase();
    const text = section.text.toLowerCase();
    if (!words.every((word) => title.includes(word) || text.includes(word))) return [0, section];
    const count = (word) => Math.min(9, text.split(word).length - 1) + (title.includes(word) ? 20 : 0);
    return [words.reduce((sum, word) => sum + count(word), 0), section];
  });
  return scored.filter(([score]) => score).sort((a, b) => b[0] - a[0]).slice(0, 12).map(([, section]) => [section, words[0]]);
}

function row([section, word]) {
  const item = document.createElement("li");
  const link = item.appendChild(document.createElement("a"));
  link.href = section.url;
  link.textContent = section.title;
  const where = Math.max(0, section.text.toLowerCase().indexOf(word));
  const around = section.text.slice(Math.max(0, where - 40), where + 80);
  item.appendChild(document.createElement("small")).textContent = `${section.lesson}: … ${around} …`;
  return item;
}

box.addEventListener("input", () => {
  const sections = matches(box.value);
  found.replaceChildren(...sections.map(row));
  if (!sections.length && box.value.trim()) {
    found.appendChild(document.createElement("li")).textContent = "nothing found";
  }
});
found.addEventListener("click", () => {
  box.value = "";
  setTimeout(() => found.replaceChildren());
});
document.querySelector("#finder").addEventListener("submit", (event) => {
  event.preventDefault();
  found.querySelector("a")?.click();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    box.value = "";
    found.replaceChildren();
  } else if (event.key === "/" && document.activeElement !== box) {
    event.preventDefault();
    box.focus();
  }
});
