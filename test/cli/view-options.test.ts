// SPDX-License-Identifier: MIT
// `--view` reads every option of every viewer, and says what is wrong with one that it does not take.

import { describe, expect, test } from "vitest";
import { viewHelp } from "../../lib/cli/view-help.js";
import { parseViews } from "../../lib/cli/view-options.js";
import { isTilecastError } from "../../lib/errors.js";

const message = (...texts: string[]): string => {
  try {
    parseViews(texts);
  } catch (error) {
    expect(isTilecastError(error, "ERR_USAGE")).toBe(true);
    return (error as Error).message;
  }
  throw new Error("it was taken");
};

describe("parseViews", () => {
  test("bare names have the family's ports", () => {
    const { viewers, web } = parseViews(["napari", "fiji", "web"]);
    expect(viewers.map((v) => v.name)).toEqual(["napari on port 5555", "fiji on port 5565"]);
    expect(web).toEqual({ port: 0 });
    expect(parseViews([])).toEqual({ viewers: [], web: null });
  });

  test("options go to the viewer they stand beside, components to its modes", () => {
    const text =
      "napari:port=5560,transport=tcp,flavour=openhcs,show=image+shapes,steps=a+b,policy=wait,wait=2.5,slots=4,memory=1.5G,channel=stack,colormap=viridis";
    const { viewers } = parseViews([text, "fiji:lut=Fire,contrast=off,well=frame"]);
    expect(viewers[0]?.options).toEqual({
      port: 5560,
      transport: "tcp",
      flavour: "openhcs",
      show: ["image", "shapes"],
      steps: ["a", "b"],
      policy: "wait",
      waitMs: 2500,
      slots: 4,
      memoryBudget: 1.5 * 2 ** 30,
      modes: { channel: "stack" },
      colormap: "viridis",
    });
    expect(viewers[0]?.endpoint.dataUrl).toBe("tcp://127.0.0.1:5560");
    expect(viewers[1]?.options).toEqual({ lut: "Fire", autoContrast: false, modes: { well: "frame" } });
    expect(viewers[0]?.wants).toMatchObject({ images: true, labels: false, shapes: true, steps: ["a", "b"] });
  });

  test.each([
    ["napri", '--view: VIEWER must be napari, fiji or web, and is "napri"'],
    ["napari:port=0", '--view: port must be a number from 1 to 64535, and is "0"'],
    ["napari:port", '--view: an option must be KEY=VALUE, and is "port"'],
    ["napari:lut=Fire", '--view napari has no option "lut"; it has port, '],
    ["napari:channel=window", '--view: channel must be one of stack, layer, and is "window"'],
    ["fiji:channel=layer", '--view: channel must be one of window, channel, slice, frame, and is "layer"'],
    ["napari:show=image+picture", "--view: show must be one of image, labels, "],
    ["napari:memory=lots", '--view: memory must be a size such as 500M or 2G, and is "lots"'],
    ["web:slots=3", '--view web has no option "slots"; it has port'],
    ["web:port=x", '--view: port must be a number from 1 to 65535, and is "x"'],
  ])("refuses %j", (text, why) => {
    expect(message(text)).toContain(why);
  });

  test("the help names every option", () => {
    for (const key of ["port", "transport", "flavour", "memory", "slots", "show", "steps", "policy", "wait"])
      expect(viewHelp).toContain(`${key}=`);
  });
});
