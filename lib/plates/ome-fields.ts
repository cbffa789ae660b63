// SPDX-License-Identifier: MIT
// Turns OME-XML documents, ImageJ descriptions and plain files into fields: images whose planes have a file and a page.

import { isTilecastError, TilecastError } from "../errors.js";
import type { DType } from "../image/dtype.js";
import type { ImageHead } from "./format.js";
import { type ImageJStack, parseImageJ } from "./imagej.js";
import type { ListedFile, Listing } from "./listing.js";
import { noticeOf, plural } from "./notice.js";
import {
  isOmeXml,
  maxPlanes,
  type OmeDocument,
  type OmeFile,
  type OmeImage,
  parseOmeXml,
} from "./ome-xml.js";
import type { Notice, Plate } from "./plate.js";
import { References } from "./references.js";
import { formatWell, maxColumns, maxRows } from "./well.js";

/** Indices of a plane within its field, from 0; `channel` counts samples too. */
interface Indices {
  readonly z: number;
  readonly channel: number;
  readonly t: number;
}

export interface FieldPlane extends Indices {
  readonly file: ListedFile;
  readonly page: number;
  readonly sample: number;
}

export interface Field {
  /** The file that names it: the first plane's. */
  readonly home: ListedFile;
  /** From a Plate in the metadata. */
  readonly place: { readonly well: string; readonly site: number } | null;
  /** `null`: the file is taken as it is, and its pages are what they are in every other layout. */
  readonly planes: readonly FieldPlane[] | null;
  readonly lost: readonly (Indices & { readonly reason: string })[];
  readonly channelNames: readonly (string | null)[];
  readonly sizeZ: number;
  readonly sizeT: number;
  readonly size: { readonly width: number; readonly height: number; readonly dtype: DType } | null;
  readonly pixelSizeUm: Plate["pixelSizeUm"];
  readonly zStepUm: number | null;
}

export interface Fields {
  readonly fields: readonly Field[];
  readonly plateName: string | null;
  readonly plateFormat: { readonly rows: number; readonly columns: number } | null;
  readonly notices: readonly Notice[];
}

interface Source {
  readonly document: OmeDocument;
  /** Relative path, for messages. */
  readonly name: string;
  readonly folder: string;
  /** `null` for a companion file. */
  readonly own: ListedFile | null;
}

const folderOf = (file: ListedFile) => file.folders.join("/");

class Collector {
  readonly fields: Field[] = [];
  readonly notices: Notice[] = [];
  plateName: string | null = null;
  plateFormat: { rows: number; columns: number } | null = null;
  readonly #references: References;
  readonly #byUuid = new Map<string, ListedFile>();
  readonly #used = new Set<ListedFile>();
  /** Fields of each well so far: fields of one well may come from several documents. */
  readonly #sites = new Map<string, number>();
  readonly #morePlates: string[] = [];
  readonly #unplaced: string[] = [];
  #planes = 0;

  constructor(references: References, sources: readonly Source[]) {
    this.#references = references;
    for (const { document, own } of sources)
      if (document.uuid !== null && own !== null) this.#byUuid.set(document.uuid, own);
  }

  isUsed(file: ListedFile): boolean {
    return this.#used.has(file);
  }

  addPlain(home: ListedFile): void {
    this.#used.add(home);
    this.fields.push({ ...plain, home });
  }

  addImageJ(home: ListedFile, stack: ImageJStack, samples: number): void {
    const { channels, slices, frames, zStepUm } = stack;
    this.#used.add(home);
    this.#count(channels * slices * frames * samples, home.relative);
    const planes: FieldPlane[] = [];
    for (let t = 0; t < frames; t++)
      for (let z = 0; z < slices; z++)
        for (let c = 0; c < channels; c++)
          for (let sample = 0; sample < samples; sample++) {
            const page = c + channels * (z + slices * t);
            planes.push({ z, t, channel: c * samples + sample, file: home, page, sample });
          }
    const channelNames = Array<null>(channels * samples).fill(null);
    this.fields.push({ ...plain, home, planes, channelNames, sizeZ: slices, sizeT: frames, zStepUm });
  }

  addDocument(source: Source): void {
    const { document } = source;
    const [plate, ...more] = document.plates.filter((p) => p.samples.length > 0);
    this.#morePlates.push(...more.map((p) => p.name ?? "a plate without a name"));
    const placeOf = new Map<string, { well: string; site: number }>();
    for (const { row, column, image } of plate?.samples ?? []) {
      if (row >= maxRows || column >= maxColumns || placeOf.has(image)) continue;
      const well = formatWell({ row, column });
      const site = (this.#sites.get(well) ?? 0) + 1;
      this.#sites.set(well, site);
      placeOf.set(image, { well, site });
    }
    if (plate !== undefined) {
      this.plateName ??= plate.name;
      const { rows, columns } = plate;
      if (rows !== null && columns !== null && rows <= maxRows && columns <= maxColumns)
        this.plateFormat ??= { rows, columns };
    }
    for (const image of document.images) {
      const place = placeOf.get(image.id) ?? null;
      // Beside a plate an image in no well is a label, an overview or the like.
      if (plate !== undefined && place === null)
        this.#unplaced.push(`${source.name}: ${image.name ?? image.id}`);
      else this.#addImage(source, image, place);
    }
  }

  #addImage(source: Source, image: OmeImage, place: Field["place"]): void {
    const { channels, sizeZ, sizeT } = image;
    const offsets: number[] = [];
    let sum = 0;
    for (const { samples } of channels) {
      offsets.push(sum);
      sum += samples;
    }
    const channelNames = channels.flatMap(({ name, samples }) =>
      samples === 1
        ? [name]
        : Array.from({ length: samples }, (_, s) => {
            const colour =
              samples <= 4 && samples >= 3 ? ["red", "green", "blue", "alpha"][s] : `sample ${s + 1}`;
            return name === null ? (colour as string) : `${name} ${colour}`;
          }),
    );
    this.#count(sizeZ * sizeT * channelNames.length, source.name);
    const planes: FieldPlane[] = [];
    const lost: (Indices & { reason: string })[] = [];
    const placed = new Set<string>();
    for (const { z, c, t, ifd, fileName, uuid } of image.places) {
      placed.add(`${t}/${c}/${z}`);
      const file = this.#fileOf(source, fileName, uuid);
      const { samples } = channels[c] as { samples: number };
      for (let sample = 0; sample < samples; sample++) {
        const indices = { z, t, channel: (offsets[c] as number) + sample };
        if (file) planes.push({ ...indices, file, page: ifd, sample });
        else
          lost.push({
            ...indices,
            reason: `${fileName ?? uuid}, which ${source.name} names, is not in the folder`,
          });
      }
    }
    const nowhere = `${source.name} has no page for ${planes.length + lost.length === 0 ? "any plane of the image" : "it"}`;
    for (let t = 0; t < sizeT; t++)
      for (let z = 0; z < sizeZ; z++)
        for (const [c, { samples }] of channels.entries()) {
          if (placed.has(`${t}/${c}/${z}`)) continue;
          for (let s = 0; s < samples; s++)
            lost.push({ z, t, channel: (offsets[c] as number) + s, reason: nowhere });
        }
    for (const { file } of planes) this.#used.add(file);
    const home = planes[0]?.file ?? source.own;
    if (home === null) {
      this.notices.push(
        noticeOf(
          "missing",
          [image.name ?? image.id],
          () => `an image of ${source.name} has no file in the folder`,
        ),
      );
      return;
    }
    const { width, height, dtype, pixelSizeUm, zStepUm } = image;
    this.fields.push({
      home,
      place,
      planes,
      lost,
      channelNames,
      sizeZ,
      sizeT,
      size: dtype === undefined ? null : { width, height, dtype },
      pixelSizeUm,
      zStepUm,
    });
  }

  #fileOf(source: Source, fileName: string | null, uuid: string | null): ListedFile | undefined {
    if (fileName === null && uuid === null) return source.own ?? undefined;
    const named = fileName === null ? undefined : this.#references.find(source.folder, fileName, source.name);
    if (named !== undefined) return named;
    // A renamed file still knows its own UUID, and so do others that have been read.
    if (uuid === null) return undefined;
    return uuid === source.document.uuid && source.own !== null ? source.own : this.#byUuid.get(uuid);
  }

  #count(planes: number, source: string): void {
    this.#planes += planes;
    if (this.#planes <= maxPlanes) return;
    throw new TilecastError(
      "ERR_METADATA",
      `${source}: with it the folder's metadata says ${this.#planes} planes, which is not believed; at most ${maxPlanes} are`,
    );
  }

  finish(): Fields {
    const { fields, plateName, plateFormat, notices } = this;
    const say: [string[], (n: number) => string][] = [
      [
        this.#morePlates,
        (n) => `${plural(n, "more plate")} in the metadata; only the first of a document is read`,
      ],
      [this.#unplaced, (n) => `${plural(n, "image")} that ${n === 1 ? "is" : "are"} in no well of the plate`],
    ];
    for (const [items, text] of say) if (items.length > 0) notices.push(noticeOf("ignored", items, text));
    return { fields, plateName, plateFormat, notices };
  }
}

const plain: Omit<Field, "home"> = {
  place: null,
  planes: null,
  lost: [],
  channelNames: [],
  sizeZ: 1,
  sizeT: 1,
  size: null,
  pixelSizeUm: null,
  zStepUm: null,
};

/** Throws ERR_METADATA where a document points outside the plate or says absurd sizes. */
export function collectFields(
  listing: Listing,
  texts: ReadonlyMap<string, string>,
  heads: ReadonlyMap<string, ImageHead>,
): Fields {
  const damaged: Notice[] = [];
  const sources: Source[] = [];
  const read = (text: string, file: ListedFile, own: ListedFile | null, head: OmeFile) => {
    try {
      const document = parseOmeXml(text, file.relative, head);
      sources.push({ document, name: file.relative, folder: folderOf(file), own });
      return true;
    } catch (error) {
      if (!isTilecastError(error, "ERR_METADATA")) throw error;
      const { message } = error;
      damaged.push(
        noticeOf("unreadable", [file.relative], () =>
          own === null ? message : `${message}; its pages are taken as a stack of slices`,
        ),
      );
      return false;
    }
  };
  // Companion files first: they speak for files that have nothing but a pointer to them.
  for (const file of listing.files) {
    const text = texts.get(file.relative);
    if (text !== undefined) read(text, file, null, { samples: 1, pages: 0 });
  }
  const stacks = new Map<ListedFile, { stack: ImageJStack; samples: number }>();
  const plains: ListedFile[] = [];
  const short: string[] = [];
  for (const file of listing.images) {
    const head = heads.get(file.relative);
    if (head !== undefined && isOmeXml(head.description)) {
      if (!read(head.description, file, file, head)) plains.push(file);
      continue;
    }
    const stack = head === undefined ? null : parseImageJ(head.description);
    if (stack !== null && head?.pages === stack.channels * stack.slices * stack.frames)
      stacks.set(file, { stack, samples: head.samples });
    else {
      plains.push(file);
      // Stacks above 4 GB keep one page, and converters copy descriptions of more than they wrote.
      if (stack !== null) short.push(`${file.relative} (${plural(head?.pages ?? 0, "page")})`);
    }
  }
  if (short.length > 0) {
    damaged.push(
      noticeOf(
        "mixed",
        short,
        (n) =>
          `${plural(n, "file")} whose ImageJ description says another number of images than there are pages; the pages are used`,
      ),
    );
  }

  const collector = new Collector(new References(listing), sources);
  collector.notices.push(...damaged);
  const pointers: ListedFile[] = [];
  for (const source of sources) {
    // Every file of a set repeats the metadata of all: the first that is read speaks for the rest.
    if (source.own !== null && collector.isUsed(source.own)) continue;
    if (source.document.metadataFile !== null && source.own !== null) pointers.push(source.own);
    else collector.addDocument(source);
  }
  for (const [file, { stack, samples }] of stacks)
    if (!collector.isUsed(file)) collector.addImageJ(file, stack, samples);
  const bare = [...plains, ...pointers].filter((file) => !collector.isUsed(file));
  const orphans = bare.filter((file) => pointers.includes(file)).map((file) => file.relative);
  if (orphans.length > 0) {
    collector.notices.push(
      noticeOf(
        "unreadable",
        orphans,
        (n) => `${plural(n, "file")} whose OME metadata lies in a file that is not in the folder`,
      ),
    );
  }
  for (const file of bare) collector.addPlain(file);
  return collector.finish();
}
