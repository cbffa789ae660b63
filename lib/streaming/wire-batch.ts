// SPDX-License-Identifier: MIT
// Writes batch messages: what OpenHCS's viewers read, and tilecast's own keys for viewers that say they know them.

import { stringifyJson } from "../runtime/json.js";
import type { ProcessIdentity } from "../runtime/messages.js";
import { ComponentCatalogue, type ValueDomain, type ValueNames } from "./component-values.js";
import { type DisplayOptions, displayConfig, type ViewerType } from "./display.js";
import { producerIdentity } from "./identity.js";
import { encodePointRoi, encodeRoi } from "./imagej-roi.js";
import type { StreamPayload } from "./payload.js";
import { wirePoints, wireShape } from "./wire-shapes.js";

/** `tilecast`: a viewer whose pong has that key. */
export type Flavour = "tilecast" | "openhcs";

/** Where acknowledgements of an item go (generation D's key, read by tilecast's viewers; C's viewers ignore it). */
export interface ReturnRoute {
  readonly url: string;
  /** Of the listener: one that restarted on the same address is another. */
  readonly incarnation: string;
  readonly owner: ProcessIdentity;
}

export interface BatchEncoderOptions {
  readonly flavour: Flavour;
  readonly viewer: ViewerType;
  readonly display?: DisplayOptions;
  /** Of the whole plate, where known: a viewer then need not lay out anew as values come. */
  readonly values?: ValueDomain;
  readonly names?: ValueNames;
  /** Without it items carry no `image_id`, and nothing is acknowledged. */
  readonly returnRoute?: ReturnRoute;
}

export interface ItemPlace {
  /** Shared-memory object of the pixels; absent when the plane is announced by its store. */
  readonly shmName?: string;
  readonly imageId?: string;
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");

/** An identifier that looks like a file name, for people: OpenHCS names things after it. */
function pathOf({ producer, components: c }: StreamPayload): string {
  return `${c.well}_s${c.site}_w${c.channel}_z${c.z_index}_t${c.timepoint}_${producer.output}`;
}

/** Encodes for one viewer. Items are texts: a batch is put together of them when it is sent. */
export class BatchEncoder {
  readonly #options: BatchEncoderOptions;
  readonly #catalogue: ComponentCatalogue;
  readonly #display: string;
  #tail = "";
  #tailRevision = -1;

  constructor(options: BatchEncoderOptions) {
    this.#options = options;
    this.#catalogue = new ComponentCatalogue(options);
    this.#display = stringifyJson(displayConfig(options.viewer, options.display, options.flavour));
  }

  /** Adds values and names of the plate. */
  declare(declared: { readonly values?: ValueDomain; readonly names?: ValueNames }): void {
    this.#catalogue.declare(declared);
  }

  /** Whether the viewer has anything to show for it: OpenHCS's viewers know neither tables nor tracks, nor planes by their store. */
  canShow(payload: StreamPayload): boolean {
    if (this.#options.flavour === "tilecast") return true;
    if (payload.kind === "tracks" || payload.kind === "table") return false;
    return !("shape" in payload) || payload.pixels !== undefined;
  }

  /** The JSON text of one item of `images`. */
  item(payload: StreamPayload, place: ItemPlace): string {
    const { flavour, returnRoute } = this.#options;
    this.#catalogue.add(payload.components);
    const body = this.#body(payload, place);
    const store = "store" in payload ? payload.store : undefined;
    const own = {
      ...(store && { store: { path: store.path, array: store.array, index: store.index } }),
      ...(payload.title !== undefined && { title: payload.title }),
      ...body.tilecast,
    };
    const { site, channel, z_index, timepoint, well } = payload.components;
    const item = {
      path: pathOf(payload),
      ...body.fields,
      ...(payload.pixelSize && {
        image_metadata: {
          source_voxel_spacing: { values_zyx: payload.pixelSize, unit: "micrometers" },
        },
      }),
      data_type: body.dataType,
      metadata: { site, channel, z_index, timepoint, well },
      producer_identity: producerIdentity(payload.producer, payload.kind),
      ...(place.imageId !== undefined &&
        returnRoute && {
          image_id: place.imageId,
          return_route: returnRoute,
          producer: returnRoute.owner,
        }),
      // Also when it is empty: it says that the sender hands shared memory over.
      ...(flavour === "tilecast" && { tilecast: own }),
    };
    // Only vectors and tables can hold what JSON.stringify would lose.
    return "shape" in payload ? JSON.stringify(item) : stringifyJson(item);
  }

  #body(
    payload: StreamPayload,
    { shmName }: ItemPlace,
  ): { dataType: string; fields: object; tilecast?: object } {
    const { flavour, viewer } = this.#options;
    switch (payload.kind) {
      case "image":
      case "labels":
        return {
          dataType: flavour === "openhcs" ? "image" : payload.kind,
          fields: {
            shape: payload.shape,
            dtype: payload.dtype,
            ...(shmName !== undefined && { shm_name: shmName }),
          },
        };
      case "shapes":
        return viewer === "fiji"
          ? { dataType: "rois", fields: { rois: payload.shapes.map((s) => base64(encodeRoi(s))) } }
          : { dataType: "shapes", fields: { shapes: payload.shapes.map(wireShape) } };
      case "points":
        return viewer === "fiji"
          ? { dataType: "rois", fields: { rois: [base64(encodePointRoi(payload.points))] } }
          : { dataType: "points", fields: { shapes: wirePoints(payload) } };
      case "tracks":
        return { dataType: "tracks", fields: {}, tilecast: { tracks: payload.tracks } };
      case "table": {
        const { title = payload.producer.output, columns, rows } = payload;
        return { dataType: "table", fields: {}, tilecast: { table: { title, columns, rows } } };
      }
    }
  }

  /** The whole message. */
  message(items: readonly string[]): string {
    if (this.#tailRevision !== this.#catalogue.revision) {
      this.#tailRevision = this.#catalogue.revision;
      const names = stringifyJson(this.#catalogue.names);
      const domain = stringifyJson(this.#catalogue.domain);
      this.#tail = `, "component_names_metadata": ${names}, "component_value_domain": ${domain}, "images_dir": null}`;
    }
    return `{"type": "batch", "images": [${items.join(", ")}], "display_config": ${this.#display}, "timestamp": ${Date.now() / 1000}${this.#tail}`;
  }
}
