// The tensor formats of ggml that are written here: sizes, random blocks, and the quantisation of real values.
// May import random.ts.
import { normalTable, normalTableBits, type RandomStream } from "./random.ts";

export type TensorType = "f32" | "f16" | "q8_0" | "q4_0" | "q5_0" | "q4_k" | "q6_k";

interface TensorFormat {
  /** ggml's number for the format, as it stands in a GGUF file. */
  readonly id: number;
  /** Values in a block; a row must be a whole number of blocks. */
  readonly blockValues: number;
  readonly blockBytes: number;
  /** Writes one block for `blockValues` real values. */
  readonly encode: (values: Float32Array, at: number, out: Uint8Array, offset: number) => void;
  /** Turns blocks of random bytes into blocks of values with mean 0 and standard deviation `sigma`. */
  readonly scaleRandom: (out: Uint8Array, blocks: number, sigma: number) => void;
}

const signBit = 0x8000;

export const tensorFormats: Readonly<Record<TensorType, TensorFormat>> = {
  f32: {
    id: 0,
    blockValues: 1,
    blockBytes: 4,
    encode: (values, at, out, offset) => viewOf(out).setFloat32(offset, values[at] ?? 0, true),
    scaleRandom: (out, blocks, sigma) => {
      const view = viewOf(out);
      for (let block = 0; block < blocks; block += 1) {
        const quantile = normalTable[view.getUint32(block * 4, true) >>> (32 - normalTableBits)] ?? 0;
        view.setFloat32(block * 4, quantile * sigma, true);
      }
    },
  },
  f16: {
    id: 1,
    blockValues: 1,
    blockBytes: 2,
    encode: (values, at, out, offset) => writeHalf(out, offset, halfBits(values[at] ?? 0)),
    scaleRandom: (out, blocks, sigma) => {
      const table = Uint16Array.from(normalTable, (quantile) => halfBits(quantile * sigma));
      const halves = new Uint16Array(out.buffer, out.byteOffset, blocks);
      for (let block = 0; block < blocks; block += 1) {
        halves[block] = table[(halves[block] ?? 0) >>> (16 - normalTableBits)] ?? 0;
      }
    },
  },
  q8_0: {
    id: 8,
    blockValues: 32,
    blockBytes: 34,
    encode: (values, at, out, offset) => {
      const scale = Math.abs(extremeOf(values, at, 32)) / 127;
      writeHalf(out, offset, halfBits(scale));
      for (let index = 0; index < 32; index += 1) {
        out[offset + 2 + index] = scale === 0 ? 0 : Math.round((values[at + index] ?? 0) / scale);
      }
    },
    // Uniform in -128..127: deviation 73.9.
    scaleRandom: (out, blocks, sigma) => scaleSymmetric(out, blocks, 34, 0, sigma / 73.9),
  },
  q4_0: {
    id: 2,
    blockValues: 32,
    blockBytes: 18,
    encode: (values, at, out, offset) => {
      const scale = extremeOf(values, at, 32) / -8;
      writeHalf(out, offset, halfBits(scale));
      const quantum = (index: number): number => levelOf(values[at + index] ?? 0, scale, 8, 15);
      for (let index = 0; index < 16; index += 1) {
        out[offset + 2 + index] = quantum(index) | (quantum(index + 16) << 4);
      }
    },
    // Uniform in -8..7: deviation 4.61.
    scaleRandom: (out, blocks, sigma) => scaleSymmetric(out, blocks, 18, 0, sigma / 4.61),
  },
  q5_0: {
    id: 6,
    blockValues: 32,
    blockBytes: 22,
    encode: (values, at, out, offset) => {
      const scale = extremeOf(values, at, 32) / -16;
      writeHalf(out, offset, halfBits(scale));
      let highBits = 0;
      for (let index = 0; index < 16; index += 1) {
        const first = levelOf(values[at + index] ?? 0, scale, 16, 31);
        const second = levelOf(values[at + index + 16] ?? 0, scale, 16, 31);
        out[offset + 6 + index] = (first & 15) | ((second & 15) << 4);
        highBits |= ((first >> 4) << index) | ((second >> 4) << (index + 16));
      }
      viewOf(out).setUint32(offset + 2, highBits >>> 0, true);
    },
    // Uniform in -16..15: deviation 9.23.
    scaleRandom: (out, blocks, sigma) => scaleSymmetric(out, blocks, 22, 0, sigma / 9.23),
  },
  q4_k: {
    id: 12,
    blockValues: 256,
    blockBytes: 144,
    encode: encodeQ4K,
    // Every sub-block has scale 32 and minimum 32, and the super-block's minimum is 7.5 scales: values
    // 32 d (q - 7.5) with q uniform in 0..15, deviation 4.61.
    scaleRandom: (out, blocks, sigma) => {
      const scale = halfBits(sigma / (32 * 4.61));
      const minimum = halfBits(7.5 * halfValue(scale));
      const packedScales = new Uint8Array(12);
      packScales(new Uint8Array(8).fill(32), new Uint8Array(8).fill(32), packedScales, 0);
      for (let offset = 0; offset < blocks * 144; offset += 144) {
        writeHalf(out, offset, scale);
        writeHalf(out, offset + 2, minimum);
        out.set(packedScales, offset + 4);
      }
    },
  },
  q6_k: {
    id: 14,
    blockValues: 256,
    blockBytes: 210,
    encode: encodeQ6K,
    // Sub-block scales of ±8 with random signs, q uniform in -32..31: deviation 18.5.
    scaleRandom: (out, blocks, sigma) => {
      const scale = halfBits(sigma / (8 * 18.5));
      for (let offset = 0; offset < blocks * 210; offset += 210) {
        for (let index = offset + 192; index < offset + 208; index += 1) out[index] = (out[index] ?? 0) & 1 ? 8 : -8;
        writeHalf(out, offset + 208, scale);
      }
    },
  },
};

/** Bytes of a row of `columns` values. */
export function rowBytes(type: TensorType, columns: number): number {
  const { blockValues, blockBytes } = tensorFormats[type];
  return (columns / blockValues) * blockBytes;
}

/** Fills `out`, a whole number of blocks, with random values of standard deviation `sigma` (and mean 0). */
export function fillRandomBlocks(type: TensorType, out: Uint8Array, sigma: number, random: RandomStream): void {
  const format = tensorFormats[type];
  const wholeWords = out.byteLength >>> 2;
  random.fillWords(new Uint32Array(out.buffer, out.byteOffset, wholeWords));
  if (out.byteLength > wholeWords * 4) {
    const last = new Uint32Array(1);
    random.fillWords(last);
    out.set(new Uint8Array(last.buffer).subarray(0, out.byteLength - wholeWords * 4), wholeWords * 4);
  }
  format.scaleRandom(out, out.byteLength / format.blockBytes, sigma);
}

/** Writes a row of real values to `out` at `offset`. */
export function encodeRow(type: TensorType, values: Float32Array, out: Uint8Array, offset: number): void {
  const { blockValues, blockBytes, encode } = tensorFormats[type];
  for (let block = 0; block < values.length / blockValues; block += 1) {
    encode(values, block * blockValues, out, offset + block * blockBytes);
  }
}

/** IEEE half precision, rounded to nearest (ties to even); what is too large becomes infinity. */
export function halfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? signBit : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude)));
  const unit = 2 ** (exponent - 10);
  const scaled = magnitude / unit;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const mantissa = floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0);
  // A mantissa of 1024 or more carries into the exponent by itself; a subnormal one has none.
  return sign | (magnitude < 2 ** -14 ? mantissa : ((exponent + 15) << 10) + mantissa - 1024);
}

function halfValue(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  const magnitude = exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25);
  return bits & signBit ? -magnitude : magnitude;
}

/** Gives each block the scale ±`scale`, the sign at random: the quanta's small negative mean cancels out. */
function scaleSymmetric(out: Uint8Array, blocks: number, blockBytes: number, at: number, scale: number): void {
  const bits = halfBits(scale);
  for (let offset = at; offset < at + blocks * blockBytes; offset += blockBytes) {
    writeHalf(out, offset, bits | ((out[offset] ?? 0) & 1 ? signBit : 0));
  }
}

function encodeQ4K(values: Float32Array, at: number, out: Uint8Array, offset: number): void {
  const scales = new Float32Array(8);
  const minima = new Float32Array(8);
  for (let sub = 0; sub < 8; sub += 1) {
    const part = values.subarray(at + sub * 32, at + sub * 32 + 32);
    const minimum = Math.min(0, ...part);
    minima[sub] = -minimum;
    scales[sub] = (Math.max(0, ...part) - minimum) / 15;
  }
  const scaleBits = halfBits(Math.max(...scales) / 63);
  const minimumBits = halfBits(Math.max(...minima) / 63);
  const scale = halfValue(scaleBits);
  const minimum = halfValue(minimumBits);
  const sixBits = (amount: number, unit: number): number => (unit === 0 ? 0 : Math.min(63, Math.round(amount / unit)));
  const subScales = Uint8Array.from(scales, (amount) => sixBits(amount, scale));
  const subMinima = Uint8Array.from(minima, (amount) => sixBits(amount, minimum));
  writeHalf(out, offset, scaleBits);
  writeHalf(out, offset + 2, minimumBits);
  packScales(subScales, subMinima, out, offset + 4);
  const quantum = (index: number): number => {
    const unit = scale * (subScales[index >> 5] ?? 0);
    const raised = (values[at + index] ?? 0) + minimum * (subMinima[index >> 5] ?? 0);
    return unit === 0 ? 0 : Math.min(15, Math.max(0, Math.round(raised / unit)));
  };
  for (let index = 0; index < 128; index += 1) {
    const low = (index >> 5) * 64 + (index & 31);
    out[offset + 16 + index] = quantum(low) | (quantum(low + 32) << 4);
  }
}

/** Eight scales and eight minima of six bits each in twelve bytes. */
function packScales(scales: Uint8Array, minima: Uint8Array, out: Uint8Array, offset: number): void {
  for (let sub = 0; sub < 4; sub += 1) {
    const [scale, minimum] = [scales[sub] ?? 0, minima[sub] ?? 0];
    const [laterScale, laterMinimum] = [scales[sub + 4] ?? 0, minima[sub + 4] ?? 0];
    out[offset + sub] = scale | ((laterScale >> 4) << 6);
    out[offset + sub + 4] = minimum | ((laterMinimum >> 4) << 6);
    out[offset + sub + 8] = (laterScale & 15) | ((laterMinimum & 15) << 4);
  }
}

function encodeQ6K(values: Float32Array, at: number, out: Uint8Array, offset: number): void {
  const scales = Float32Array.from({ length: 16 }, (_, sub) => extremeOf(values, at + sub * 16, 16) / -32);
  const scaleBits = halfBits(Math.max(...scales.map(Math.abs)) / 127);
  const scale = halfValue(scaleBits);
  const subScales = Int8Array.from(scales, (amount) => (scale === 0 ? 0 : Math.round(amount / scale)));
  const quantum = (index: number): number =>
    levelOf(values[at + index] ?? 0, scale * (subScales[index >> 4] ?? 0), 32, 63);
  for (let half = 0; half < 2; half += 1) {
    for (let index = 0; index < 32; index += 1) {
      const [a, b, c, d] = [0, 32, 64, 96].map((step) => quantum(half * 128 + step + index)) as [
        number,
        number,
        number,
        number,
      ];
      out[offset + half * 64 + index] = (a & 15) | ((c & 15) << 4);
      out[offset + half * 64 + 32 + index] = (b & 15) | ((d & 15) << 4);
      out[offset + 128 + half * 32 + index] = (a >> 4) | ((b >> 4) << 2) | ((c >> 4) << 4) | ((d >> 4) << 6);
    }
  }
  for (let sub = 0; sub < 16; sub += 1) out[offset + 192 + sub] = subScales[sub] ?? 0;
  writeHalf(out, offset + 208, scaleBits);
}

/** The value of the greatest magnitude among `count` values, with its sign. */
function extremeOf(values: Float32Array, at: number, count: number): number {
  let extreme = 0;
  for (let index = at; index < at + count; index += 1) {
    const value = values[index] ?? 0;
    if (Math.abs(value) > Math.abs(extreme)) extreme = value;
  }
  return extreme;
}

/** The unsigned level of `value` in steps of `scale` around `zero`, within 0..highest. */
function levelOf(value: number, scale: number, zero: number, highest: number): number {
  return scale === 0 ? zero : Math.min(highest, Math.max(0, Math.round(value / scale) + zero));
}

function writeHalf(out: Uint8Array, offset: number, bits: number): void {
  out[offset] = bits & 255;
  out[offset + 1] = bits >> 8;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
