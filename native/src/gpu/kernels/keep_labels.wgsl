// SPDX-License-Identifier: MIT
// Labels whose area and place the options allow; 0 for the others.
fn pixel(i: u32) -> out_t {
  let label = load_labels(i);
  if (label <= 0 || u32(label) > params.labels) { return 0; }
  let word = areas[label - 1];
  let area = word & 0x7fffffffu;
  if (area < params.min_area || area > params.max_area) { return 0; }
  if (params.clear_border != 0u && (word >> 31u) != 0u) { return 0; }
  return label;
}
