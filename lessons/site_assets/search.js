// The box that finds sections; the index is loaded when somebody wants to search.
const box = document.querySelector("#search");
const found = document.querySelector("#found");
let index;
document.querySelector("#finder").hidden = false; // without scripts there is no search, and no box for it

function load() {
  const script = document.createElement("script"); // unlike fetch, it works on a page that was opened from a disk
  script.src = "sections.js";
  script.addEventListener("load", () => {
    index = indexed(SECTIONS);
    search();
  });
  document.head.append(script);
}

function row(section) {
  const item = document.createElement("li");
  const link = item.appendChild(document.createElement("a"));
  link.href = section.url;
  link.textContent = section.title;
  const text = around(section, box.value);
  item.appendChild(document.createElement("small")).textContent = `${section.lesson}: … ${text} …`;
  return item;
}

function search() {
  const sections = index ? matches(index, box.value) : [];
  found.replaceChildren(...sections.map(row));
  if (index && !sections.length && box.value.trim()) {
    found.appendChild(document.createElement("li")).textContent = "nothing found";
  }
}

box.addEventListener("focus", load, { once: true });
box.addEventListener("input", search);
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
  } else if (event.key === "/" && !event.target.closest("input, textarea, select")) {
    event.preventDefault();
    box.focus();
  }
});
