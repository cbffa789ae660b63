// SPDX-License-Identifier: MIT
// Starts the page.

import { render } from "preact";
import { App } from "./app.js";
import { followMeasure } from "./plate/measures.js";
import { start } from "./state/model.js";
import { followTable } from "./state/table.js";

start();
followTable();
followMeasure();
render(<App />, document.getElementById("page") as HTMLElement);
