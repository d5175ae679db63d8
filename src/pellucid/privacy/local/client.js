// Local differential privacy in the browser: the same reports as pellucid.privacy.local, from the same words. No dependencies.
//
//   import { open, batch } from "./client.js";
//   const client = await open(text, { storage: localStorage });   // text: what `pellucid local declare` wrote
//   const report = client.report("a declared value", day);        // Uint8Array; throws Refused and spends nothing if it must not
//   client.spent();                                               // what this client has spent, over all collections and periods
//
// A report is decided by integers below 2^53, compared with the integer thresholds of the collection's text. Words come from
// crypto.getRandomValues; `bytes` may be given instead, for test vectors only.

const ONE = 2 ** 53, FINE = 2 ** 16, KEY = "pellucid.local";

export class Refused extends Error {}

export function systemBytes(count) {
  const found = new Uint8Array(count);
  for (let at = 0; at < count; at += 65536) crypto.getRandomValues(found.subarray(at, Math.min(count, at + 65536)));
  return found;
}

// --- the oracles: parameters, code and a source of bytes to the bytes of a report ------------------------------------------

const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const draw = (words, word) => words.getUint32(8 * word + 4, true) * 2 ** 21 + (words.getUint32(8 * word, true) >>> 11);
const quotient = (a, b) => (a - (a % b)) / b; // exact below 2^53, unlike a rounded division
const codeWidth = (size) => (size <= 2 ** 8 ? 1 : size <= 2 ** 16 ? 2 : 4);

function write(into, at, width, number) {
  for (let byte = 0; byte < width; byte++) into[at + byte] = Math.floor(number / 2 ** (8 * byte)) & 255;
}

function response(code, drawn, truth, other) {
  if (drawn < truth) return code;
  const place = quotient(drawn - truth, other);
  return place >= code ? place + 1 : place;
}

function unary(size, one, zero, isOne, bytes) {
  const words = view(bytes(8 * Math.ceil(size / 4)));
  const report = new Uint8Array(Math.ceil(size / 8));
  for (let value = 0; value < size; value++)
    if (words.getUint16(2 * value, true) < (isOne(value) ? one : zero)) report[value >> 3] |= 1 << (value & 7);
  return report;
}

function binomial(n, k) {
  if (k < 0 || k > n) return 0;
  let found = 1;
  for (let i = 1; i <= k; i++) found = (found * (n - k + i)) / i; // a whole number at every step, below 2^53 in these domains
  return found;
}

const ORACLES = {
  grr({ size, truth, other }, code, bytes) {
    const report = new Uint8Array(codeWidth(size));
    write(report, 0, report.length, response(code, draw(view(bytes(8)), 0), truth, other));
    return report;
  },
  hadamard({ order, flip }, code, bytes) {
    const words = view(bytes(8));
    const row = words.getUint32(0, true) % order;
    let parity = row & code;
    for (let shift = 16; shift; shift >>= 1) parity ^= parity >>> shift;
    const bit = (parity & 1) ^ (words.getUint32(4, true) < flip ? 1 : 0);
    const report = new Uint8Array(codeWidth(2 * order));
    write(report, 0, report.length, 2 * row + bit);
    return report;
  },
  olh({ buckets, truth, other, seeds }, code, bytes) {
    const seedWords = Math.ceil(seeds / 2);
    const raw = bytes(8 * (seedWords + 1)), words = view(raw);
    let mixed = Math.imul(words.getUint32(0, true), code % FINE) + words.getUint32(4, true);
    if (seeds === 3) mixed += Math.imul(words.getUint32(8, true), Math.floor(code / FINE));
    const bucket = Math.floor(((mixed >>> 16) * buckets) / FINE);
    const report = new Uint8Array(4 * seeds + codeWidth(buckets));
    report.set(raw.subarray(0, 4 * seeds));
    write(report, 4 * seeds, codeWidth(buckets), response(bucket, draw(words, seedWords), truth, other));
    return report;
  },
  oue: ({ size, one, zero }, code, bytes) => unary(size, one, zero, (value) => value === code, bytes),
  sue: ({ size, one, zero }, code, bytes) => unary(size, one, zero, (value) => value === code, bytes),
  subset({ size, chosen, inside, truth, other }, code, bytes) {
    const drawn = draw(view(bytes(8)), 0), kept = drawn < truth;
    let rank = kept ? drawn % inside : quotient(drawn - truth, other);
    let need = kept ? chosen - 1 : chosen;
    const report = new Uint8Array(Math.ceil(size / 8));
    const set = (value) => { report[value >> 3] |= 1 << (value & 7); };
    if (kept) set(code);
    for (let place = 0; place < size - 1; place++) {
      const withIt = need ? binomial(size - 2 - place, need - 1) : 0;
      if (rank < withIt) { need--; set(place >= code ? place + 1 : place); } else rank -= withIt;
    }
    return report;
  },
  rappor: (parameters, code, bytes) => respond(parameters, permanent(parameters, code, bytes), bytes),
};

export function permanent({ size, zero }, code, bytes) {
  return unary(size, FINE - zero, zero, (value) => value === code, bytes);
}

export function respond({ size, fresh }, kept, bytes) {
  return unary(size, fresh, fresh, () => false, bytes).map((flips, at) => flips ^ kept[at]);
}

// --- one of 256 directions: for vectors, by the table `directions.json` ---------------------------------------------------------

const CODES = 256, GRID = 2 ** 20;

// Where each coordinate of a vector goes under a public turn, and its sign: the same as pellucid.privacy.local.directions.turns.
function turned(vector, turn) {
  let state = (Math.imul(turn, 0x9e3779b1) + vector.length) >>> 0;
  const found = [...vector], signs = [];
  for (let last = vector.length - 1; last >= 0; last--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor(((state >>> 16) * (last + 1)) / 65536);
    [found[last], found[other]] = [found[other], found[last]];
    signs.push(state & 0x8000 ? 1 : -1);
  }
  return found.map((number, at) => number * signs[at]);
}

// The report of a vector: a turn and a code. A vector that says nothing (zeros, or not finite) gives every code alike.
export function direction({ size, nearest, near, far, rest }, vector, table, bytes = systemBytes) {
  const half = table?.[size];
  if (!Array.isArray(half) || half.length !== CODES / 2 || half.some((row) => row.length !== size)) throw new Refused("the table of directions is not there");
  if (!Array.isArray(vector) || vector.length !== size) throw new Refused(`a vector has ${size} coordinates`);
  const word = view(bytes(8)), turn = word.getUint8(0);
  const drawn = word.getUint32(4, true) * 65536 + word.getUint16(2, true);
  const largest = vector.every(Number.isFinite) ? Math.max(...vector.map(Math.abs)) : 0;
  if (!(largest > 0)) return Uint8Array.of(turn, Math.floor(drawn / 2 ** 40));
  const whole = turned(vector.map((number) => Math.floor((number / largest) * GRID + 0.5)), turn);
  const dots = half.map((row) => row.reduce((sum, number, at) => sum + number * whole[at], 0));
  const all = [...dots, ...dots.map((dot) => -dot)];
  const order = all.map((_, code) => code).sort((a, b) => all[b] - all[a] || a - b);
  const close = order.slice(0, nearest).sort((a, b) => a - b), others = order.slice(nearest).sort((a, b) => a - b);
  const past = drawn - nearest * near, edge = rest * (far + 1);
  if (past < 0) return Uint8Array.of(turn, close[quotient(drawn, near)]);
  return Uint8Array.of(turn, others[past < edge ? quotient(past, far + 1) : rest + quotient(past - edge, far)]);
}

export function perturb(parameters, code, bytes = systemBytes) {
  if (!Number.isInteger(code) || code < 0 || code >= parameters.size)
    throw new Refused("a value was never declared in the domain");
  return ORACLES[parameters.oracle](parameters, code, bytes);
}

// What each oracle is told, and nothing else. What follows from the size is worked out here: whoever asks does not choose it.
const TOLD = {
  grr: ["size", "truth", "other"],
  hadamard: ["size", "order", "flip"],
  olh: ["size", "buckets", "seeds", "truth", "other"],
  oue: ["size", "one", "zero"],
  sue: ["size", "one", "zero"],
  subset: ["size", "chosen", "inside", "truth", "other"],
  rappor: ["size", "zero", "fresh"],
  directions: ["size", "nearest", "near", "far", "rest"],
};
const MAX_SIZE = 2 ** 32, MAX_BUCKETS = 2982, MAX_BITS = 2 ** 22;

export function wellFormed(parameters) {
  const names = Object.hasOwn(TOLD, parameters.oracle) ? TOLD[parameters.oracle] : null;
  const told = Object.keys(parameters).filter((name) => name !== "oracle");
  if (!names || told.length !== names.length || !names.every((name) => told.includes(name))) return false;
  if (!names.every((name) => Number.isSafeInteger(parameters[name]) && parameters[name] >= (name === "rest" ? 0 : 1))) return false;
  const { oracle, size, order, seeds, buckets, fresh } = parameters;
  if (size < 2 || size > (["grr", "hadamard", "olh"].includes(oracle) ? MAX_SIZE : MAX_BITS)) return false;
  if (oracle === "hadamard") return order < 2 ** 31 && order >= size && order < 2 * size && (order & (order - 1)) === 0;
  if (oracle === "olh") return seeds === (size <= FINE ? 2 : 3) && buckets >= 2 && buckets <= MAX_BUCKETS;
  if (oracle === "rappor") return fresh < FINE;
  return true;
}

// Whether the masses add up to 2^53, exactly: as ordinary numbers 2^53 + 1 is 2^53.
const wholeIs = (truth, other, many) => BigInt(truth) + BigInt(other) * BigInt(many) === 2n ** 53n;

// What the thresholds really give: a text that claims a smaller epsilon than its probabilities have is not believed.
export function epsilonOf(parameters) {
  if (!wellFormed(parameters)) return Infinity;
  const { oracle, size, truth, other, flip, one, zero, inside } = parameters;
  const sound = (...numbers) => numbers.every((number) => Number.isSafeInteger(number) && number > 0);
  const flips = (mass, all) => (sound(mass) && mass <= all / 2 ? Math.log((all - mass) / mass) : Infinity);
  switch (oracle) {
    case "grr": return sound(truth, other, size) && wholeIs(truth, other, size - 1) ? Math.abs(Math.log(truth / other)) : Infinity;
    case "olh":
      return sound(truth, other, parameters.buckets) && wholeIs(truth, other, parameters.buckets - 1)
        ? Math.abs(Math.log(truth / other)) : Infinity;
    case "hadamard": return flips(flip, 2 ** 32);
    case "oue":
    case "sue":
      return sound(one, zero) && one < FINE && zero < FINE
        ? Math.abs(Math.log((one * (FINE - zero)) / (zero * (FINE - one)))) : Infinity;
    case "rappor": return 2 * flips(zero, FINE);
    case "subset": {
      if (!sound(truth, other, inside, parameters.chosen) || parameters.chosen >= size) return Infinity;
      if (!Number.isSafeInteger(binomial(size - 1, parameters.chosen)) || binomial(size, parameters.chosen) > ONE) return Infinity;
      if (inside !== binomial(size - 1, parameters.chosen - 1)) return Infinity;
      if (!wholeIs(truth, other, binomial(size - 1, parameters.chosen))) return Infinity;
      const low = quotient(truth, inside), high = truth % inside ? low + 1 : low;
      return Math.log(Math.max(high, other) / Math.min(low, other));
    }
    case "directions": {
      const { nearest, near, far, rest } = parameters;
      if (!sound(nearest, near, far) || nearest > CODES / 2 || rest >= CODES - nearest || near > 2 ** 48) return Infinity;
      if (nearest * near + (CODES - nearest) * far + rest !== 2 ** 48) return Infinity;
      return near >= 2 ** 40 && near > far ? Math.log(near / far) : Infinity;
    }
    default: return Infinity;
  }
}

// --- the client --------------------------------------------------------------------------------------------------------------

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const unhex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));

// Opens a collection from its text. `storage` has getItem and setItem and must last: what a client forgets, it pays for again.
// `table`: for directions, the text of `directions.json` read as JSON; it is public, and a wrong one costs accuracy only.
export async function open(text, { storage, table, bytes = systemBytes } = {}) {
  if (!storage) throw new Refused("a client needs storage that lasts, such as localStorage");
  let told;
  try { told = JSON.parse(text); } catch { throw new Refused("this is not a collection's text"); }
  if (!told || told.format !== 1) throw new Refused("the collection is of another version");
  const { parameters, values, epsilon, millionths } = told;
  if (![epsilon, millionths].every((number) => typeof number === "number" && Number.isFinite(number) && number > 0))
    throw new Refused("this is not a collection's text");
  if (!(millionths >= epsilon * 1e6 - 1e-3)) throw new Refused("this is not a collection's text");
  if (![told.reports_per_period, told.max_memoized_values].every((most) => Number.isSafeInteger(most) && most > 0)) throw new Refused("this is not a collection's text");
  if (!parameters || !Array.isArray(values) || values.length !== parameters.size || new Set(values).size !== values.length) throw new Refused("this is not a collection's text");
  if (!(epsilonOf(parameters) <= epsilon * (1 + 1e-9))) throw new Refused("the collection's probabilities give more than its epsilon");
  const id = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).slice(0, 16);
  const codes = new Map(values.map((value, code) => [value, code]));
  const name = hex(id);

  const load = () => {
    const state = JSON.parse(storage.getItem(KEY) || "null") || { token: hex(bytes(16)), collections: {} };
    state.collections[name] ||= { name: told.name, epsilon, reports: 0, last: null, sent: 0, kept: {} };
    return state;
  };
  const save = (state) => storage.setItem(KEY, JSON.stringify(state));

  function report(value, period) {
    const vectors = parameters.oracle === "directions", code = vectors ? null : codes.get(value);
    if (vectors) direction(parameters, value, table, () => new Uint8Array(8)); // refused now, before anything is spent
    if (code === undefined) throw new Refused("a value was never declared in the domain");
    if (!Number.isInteger(period) || period < 0 || period >= 2 ** 32) throw new Refused("a period is a whole number below 2^32");
    const state = load(), own = state.collections[name];
    if (own.last !== null && period < own.last) throw new Refused("this period is over");
    if (period !== own.last) { own.last = period; own.sent = 0; }
    if (own.sent >= told.reports_per_period) throw new Refused(`${told.reports_per_period} reports a period were sent already`);
    if (parameters.oracle === "rappor" && !(code in own.kept)) {
      if (Object.keys(own.kept).length >= told.max_memoized_values) throw new Refused(`${told.max_memoized_values} different values were reported already`);
      own.kept[code] = hex(permanent(parameters, code, bytes));
    }
    own.sent++;
    own.reports++;
    save(state); // spent before the report exists: what cannot be remembered must not be sent
    const payload =
      vectors ? direction(parameters, value, table, bytes) :
      parameters.oracle === "rappor" ? respond(parameters, unhex(own.kept[code]), bytes) : perturb(parameters, code, bytes);
    const found = new Uint8Array(56 + payload.length), head = view(found);
    found.set([0x50, 0x52, 1, 0]);
    found.set(id, 4);
    head.setUint32(20, millionths, true);
    head.setUint32(24, parameters.size, true);
    head.setUint32(28, period, true);
    found.set(unhex(state.token), 32);
    found.set(bytes(8), 48);
    found.set(payload, 56);
    return found;
  }

  return { report, spent: () => spent(storage) };
}

// What a client has spent: RAPPOR once for each value it keeps a response for, everything else once for each report.
export function spent(storage) {
  const state = JSON.parse(storage.getItem(KEY) || "null") || { collections: {} };
  const collections = Object.values(state.collections).map((own) => {
    const kept = Object.keys(own.kept).length;
    return { name: own.name, reports: own.reports, epsilon: own.epsilon * (kept || own.reports) };
  });
  return { epsilon: collections.reduce((sum, one) => sum + one.epsilon, 0), collections };
}

export function batch(reports) {
  const found = new Uint8Array(8 + reports.reduce((sum, one) => sum + 2 + one.length, 0)), head = view(found);
  found.set([0x50, 0x42, 1, 0]);
  head.setUint32(4, reports.length, true);
  let at = 8;
  for (const one of reports) {
    head.setUint16(at, one.length, true);
    found.set(one, at + 2);
    at += 2 + one.length;
  }
  return found;
}
