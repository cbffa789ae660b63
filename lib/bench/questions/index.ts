// SPDX-License-Identifier: MIT
// Every question, in the order in which they are told.

import type { Question } from "../question.js";
import { disk } from "./disk.js";
import { handoff } from "./handoff.js";
import { kernels } from "./kernels.js";
import { memory } from "./memory.js";
import { plate } from "./plate.js";
import { tiffRead } from "./tiff-read.js";
import { zarrWrite } from "./zarr-write.js";

export const questions: readonly Question[] = [memory, handoff, disk, tiffRead, zarrWrite, kernels, plate];
