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
// the history that added most.
export function score(model, history, count, without = new Set()) {
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
  return order.slice(0, count).map((at) => ({
    id: model.items[at],
    title: model.titles[at],
    score: sums[at],
    because: because[at] < 0 ? null : model.items[because[at]],
  }));
}
