// The one file format of the project: a header in JSON, and behind it the numbers.

// Buffer -> {name: [Float32Array, shape]}; what is no such file is refused.
export function read(buffer) {
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
  delete header.__metadata__;
  const entries = Object.entries(header).map(([name, { dtype, shape, data_offsets: [start, end] }]) => {
    if (dtype !== "F32") throw new TypeError(`${name} is ${dtype}; expected F32`);
    return [name, [new Float32Array(buffer.slice(8 + size + start, 8 + size + end)), shape]];
  });
  return Object.fromEntries(entries);
}
