// SPDX-License-Identifier: MIT
// Pixels of each label, and in the highest bit whether it touches the plane's edge; a thread takes
// 16 px and adds once for neighbours. Labels above the table's size are the CPU's (doubt).
fn add(label: i32, area: u32, edge: bool) {
  if (label <= 0) { return; }
  if (u32(label) > params.labels) {
    atomicOr(&doubt[0], 1u);
    return;
  }
  atomicAdd(&areas[label - 1], area);
  if (edge) { atomicOr(&areas[label - 1], 0x80000000u); }
}

fn item(k: u32) {
  let first = k * 16u;
  let end = min(first + 16u, params.height * params.width);
  var label = 0i;
  var area = 0u;
  var edge = false;
  for (var i = first; i < end; i++) {
    let own = load_labels(i);
    if (own != label) {
      add(label, area, edge);
      label = own;
      area = 0u;
      edge = false;
    }
    area++;
    let y = i / params.width;
    let x = i - y * params.width;
    edge = edge || y == 0u || x == 0u || y == params.height - 1u || x == params.width - 1u;
  }
  add(label, area, edge);
}
