// What the search does without the page: words brought to their stems, and the sections that hold all of them.

const ENDINGS = /(?:i[sz](?:ations?|ers?|ed|es?|ing)|ations?|ings?|ers?|ors?|(?<!mb)ed|ion|ment|ly|al|e)$/;

function stem(word) {
  let short = word.toLowerCase().replace(/['’]s?$/, "");
  if (/[^a-z]/.test(short)) return short; // a name in code, a number, another script
  if (/(?:[sxz]|[cs]h)es$/.test(short)) short = short.slice(0, -2);
  else if (/[^aeiou]ies$/.test(short)) short = `${short.slice(0, -3)}y`;
  else if (/[^su]s$/.test(short)) short = short.slice(0, -1);
  const bare = short.replace(ENDINGS, "");
  return bare.length < 3 ? short : bare.replace(/([^aeiouls])\1$/, "$1");
}

function wordsOf(text) {
  return text.match(/[\p{L}\p{N}_'’]+/gu) ?? [];
}

function counted(text) {
  const stems = new Map();
  for (const word of wordsOf(text)) stems.set(stem(word), (stems.get(stem(word)) ?? 0) + 1);
  return stems;
}

/** For each section what it holds, counted once. */
function indexed(sections) {
  return sections.map((section) => ({
    section,
    title: counted(section.title),
    text: counted(section.text),
    all: `${section.title} ${section.text}`.toLowerCase(),
  }));
}

/** How well an entry answers one word: its stem counts, most of all in the title; else it may be a part of a word. */
function score({ title, text, all }, word) {
  const wanted = stem(word);
  const exact = (title.get(wanted) ? 20 : 0) + Math.min(9, text.get(wanted) ?? 0);
  return exact || (all.includes(word.toLowerCase()) ? 0.5 : 0);
}

/** The best sections that hold every word that was typed, the best first. */
function matches(index, typed, most = 12) {
  const words = typed.split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const scored = index.map((entry) => {
    const scores = words.map((word) => score(entry, word));
    return [scores.every(Boolean) ? scores.reduce((sum, each) => sum + each) : 0, entry.section];
  });
  return scored.filter(([sum]) => sum).sort((a, b) => b[0] - a[0]).slice(0, most).map(([, section]) => section);
}

/** The words around the first place where the section holds what was typed. */
function around(section, typed) {
  const word = typed.trim().split(/\s+/)[0].toLowerCase();
  const text = section.text.toLowerCase();
  const places = [word, stem(word)].map((each) => text.indexOf(each)).filter((place) => place >= 0);
  const from = text.lastIndexOf(" ", Math.max(0, (places[0] ?? 0) - 40)) + 1;
  return section.text.slice(from, from + 120);
}
