// The one file format of the project: a header in JSON, and behind it the numbers.

// Buffer -> {name: [Float32Array, shape]}; what is no such file is refused.
export function read(buffer) {
  const [header, begin] = headerOf(buffer);
  delete header.__metadata__;
  const entries = Object.entries(header).map(([name, { dtype, shape, data_offsets: [start, end] }]) => {
    if (dtype !== "F32") throw new TypeError(`${name} is ${dtype}; expected F32`);
    return [name, [new Float32Array(buffer.slice(begin + start, begin + end)), shape]];
  });
  return Object.fromEntries(entries);
}

export const metadata = (buffer) => headerOf(buffer)[0].__metadata__ ?? {};

function headerOf(buffer) {
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  return [JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size))), 8 + size];
}

// The way back, with metadata beside the tensors: the header ends at a multiple of eight bytes.
export function write(tensors, metadata) {
  const header = { __metadata__: metadata };
  let end = 0;
  for (const [name, [numbers, shape]] of Object.entries(tensors)) {
    header[name] = { dtype: "F32", shape, data_offsets: [end, (end += numbers.byteLength)] };
  }
  let text = JSON.stringify(header);
  text += " ".repeat((8 - (text.length % 8)) % 8);
  const size = new DataView(new ArrayBuffer(8));
  size.setBigUint64(0, BigInt(text.length), true);
  const numbers = Object.values(tensors).map(([each]) => new Uint8Array(each.buffer, each.byteOffset, each.byteLength));
  return new Blob([size.buffer, text, ...numbers]).arrayBuffer();
}
