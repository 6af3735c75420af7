// Text to token ids and back, as tokenizer.py does it, and rows of them for a training step.

const TOKEN = /<end>|[A-Za-z\u00c0-\u024f']+|\S/gu;
const WORD = /^[A-Za-z\u00c0-\u024f]/u;
const IGNORED = -100n; // a target that the loss passes over

export class Words {
  constructor(vocabulary, end) {
    this.vocabulary = vocabulary;
    this.end = end;
    this.ids = new Map(vocabulary.map((token, id) => [token, id]));
  }

  encode(text) {
    const tokens = text.match(TOKEN) ?? [];
    const unknown = tokens.filter((token) => !this.ids.has(token));
    if (unknown.length) throw new UnknownWords(unknown, unknown.map((token) => this.near(token)));
    return tokens.map((token) => this.ids.get(token));
  }

  decode(ids) {
    let text = "", before = "";
    for (const token of ids.map((id) => this.vocabulary[id])) {
      const spaced = token === "→" || before === "→" || WORD.test(token);
      text += (spaced && text ? " " : "") + token;
      before = token;
    }
    return text;
  }

  // Known words that begin in the same way, longest common beginning first.
  near(token) {
    const common = (word) => {
      let length = 0;
      while (length < word.length && word[length].toLowerCase() === token[length]?.toLowerCase()) length += 1;
      return length;
    };
    const scored = this.vocabulary.map((word) => [common(word), word]).filter(([length]) => length > 1);
    return scored.sort((a, b) => b[0] - a[0]).slice(0, 3).map(([, word]) => word);
  }

  // Pairs (asked, answer) -> tokens and targets, padded to the longest row.
  batch(pairs) {
    const rows = pairs.map(([asked, answer]) => [this.encode(asked), [...this.encode(answer), this.end]]);
    const width = Math.max(...rows.map(([asked, answer]) => asked.length + answer.length - 1));
    const tokens = new BigInt64Array(rows.length * width).fill(BigInt(this.end));
    const targets = new BigInt64Array(rows.length * width).fill(IGNORED);
    rows.forEach(([asked, answer], row) => {
      const text = [...asked, ...answer].map(BigInt);
      tokens.set(text.slice(0, -1), row * width);
      targets.set(text.slice(asked.length), row * width + asked.length - 1);
    });
    return { tokens: [tokens, [rows.length, width]], targets: [targets, [rows.length, width]] };
  }
}

export class UnknownWords extends Error {
  constructor(words, near) {
    super(words.join(", "));
    this.words = words;
    this.near = near;
  }
}
