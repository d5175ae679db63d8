// The open model in its browser form (see docs/search.md): reading it, and scoring a history with it.

export function read(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const cells = head.items.length * head.row;
  return {
    ...head,
    place: new Map(head.items.map((id, at) => [id, at])),
    columns: new Uint32Array(buffer, 4 + length, cells),
    weights: new Int8Array(buffer, 4 + length + 4 * cells, cells),
  };
}

// The best items for a history of ids: sums of weights, equal ones by popularity, then in the order of items. `because` is the item of
// the history that added most. Of the best POOL, `diversity` (0 to 1) puts back what is like one above it, as `pellucid.models.diversity` does.
const POOL = 100;

export function score(model, history, count, { without = new Set(), diversity = 0 } = {}) {
  const known = [...new Set(history)].map((id) => model.place.get(id)).filter((at) => at !== undefined);
  const sums = new Float64Array(model.items.length);
  const most = new Float64Array(model.items.length);
  const because = new Int32Array(model.items.length).fill(-1);
  for (const at of known) {
    const begin = at * model.row;
    for (let cell = begin; cell < begin + model.row; cell += 1) {
      const added = model.weights[cell] * model.scale[at];
      const column = model.columns[cell];
      sums[column] += added;
      if (added > most[column]) {
        most[column] = added;
        because[column] = at;
      }
    }
  }
  const held = new Set(known);
  const order = [];
  for (let at = 0; at < sums.length; at += 1) {
    if (!held.has(at) && !without.has(model.items[at])) order.push(at);
  }
  order.sort((a, b) => sums[b] - sums[a] || model.popularity[b] - model.popularity[a] || a - b);
  const relevance = known.length ? sums : model.popularity; // as a person without history is scored
  const shown = diversity ? varied(model, order.slice(0, Math.max(POOL, count)), relevance, diversity, count) : order.slice(0, count);
  return shown.map((at) => ({
    id: model.items[at],
    title: model.titles[at],
    score: sums[at],
    because: because[at] < 0 ? null : model.items[because[at]],
  }));
}

function varied(model, pool, sums, diversity, count) {
  const first = sums[pool[0]], last = sums[pool[pool.length - 1]];
  const relevance = pool.map((at) => (first > last ? (sums[at] - last) / (first - last) : 1));
  const rows = pool.map((at) => profile(model, at));
  const nearest = new Float64Array(pool.length);
  const left = new Set(pool.keys());
  const order = [];
  while (order.length < count && left.size) {
    let best = -1, most = -Infinity;
    for (const one of left) {
      const value = Math.round(((1 - diversity) * relevance[one] - diversity * nearest[one]) * 1e9);
      if (value > most) [best, most] = [one, value];
    }
    order.push(pool[best]);
    left.delete(best);
    for (const one of left) {
      const like = likeness(rows[one], rows[best]);
      nearest[one] = order.length === 1 ? like : Math.max(nearest[one], like);
    }
  }
  return order;
}

// What an item leads to, as a row of length 1: an item leads to itself as much as to its nearest.
function profile(model, at) {
  const row = new Map();
  let own = 0, squares = 0;
  for (let cell = at * model.row; cell < (at + 1) * model.row; cell += 1) {
    const weight = model.weights[cell] * model.scale[at];
    if (model.columns[cell] === at || weight === 0) continue;
    row.set(model.columns[cell], (row.get(model.columns[cell]) ?? 0) + weight);
    own = Math.max(own, weight);
  }
  row.set(at, own);
  for (const weight of row.values()) squares += weight * weight;
  const length = Math.sqrt(squares);
  for (const [column, weight] of row) row.set(column, length > 1e-12 ? weight / length : 0);
  return row;
}

function likeness(a, b) {
  let sum = 0;
  for (const [column, weight] of a) sum += weight * (b.get(column) ?? 0);
  return sum;
}
