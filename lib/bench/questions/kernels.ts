// SPDX-License-Identifier: MIT
// How fast the CPU kernels are, beside moving as many bytes.

import { native } from "../../native.js";
import { coresName, limit, type Measurement, oneAndAll, type Question, us } from "../question.js";

/** The field of a usual screening camera with 2 x 2 binning. */
const side = 1080;

export const kernels: Question = {
  name: "kernels",
  title: "CPU kernels on 1080 x 1080 images: gaussian, otsu, label, flat-field",
  how: "Each thread has images of its own: gaussian (sigma 1.5) and flat-field take uint16 and make float32, otsu and label take the blurred float32. The limit moves as many bytes a pixel as the kernel must, in a working set of that size.",
  measurements(setting) {
    const b = native().bench;
    const out: Measurement[] = [];
    for (const { name, bytesRead, bytesWritten } of b.kernels) {
      const bytes = (bytesRead + bytesWritten) * side ** 2;
      const bound = bytesWritten === 0 ? "reading as many bytes" : "copying as many bytes";
      for (const threads of oneAndAll(setting)) {
        const where = `${name}, ${coresName(threads)}`;
        out.push({
          case: where,
          subject: us,
          unit: "Mpx/s",
          limit: { case: where, subject: limit(bound), name: bound },
          measure: async () => (await b.kernel(name, side, threads, setting.seconds)) / 1e6,
        });
        out.push({
          case: where,
          subject: limit(bound),
          unit: "Mpx/s",
          measure: async () => {
            // A copy of n bytes reads n and writes n.
            const moved =
              bytesWritten === 0
                ? await b.memory("read", bytes, threads, setting.seconds)
                : 2 * (await b.memory("copy", bytes, threads, setting.seconds));
            return moved / (bytesRead + bytesWritten) / 1e6;
          },
        });
      }
    }
    return out;
  },
};
