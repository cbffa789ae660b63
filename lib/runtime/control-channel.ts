// SPDX-License-Identifier: MIT
// Answers control messages: reads a pickled request, has its handler carry it out, writes the reply; whatever is wrong is answered as an error.

import type { Counters, serverCounters } from "./counters.js";
import type { Awaitable, HandlerRunner } from "./handler-runner.js";
import type { Generation } from "./message-schema.js";
import {
  type MessageKind,
  type MessageOf,
  messageKinds,
  type ProcessIdentity,
  type ReplyKind,
  type RequestKind,
  readMessage,
  replyTo,
  requestKind,
  writeMessage,
} from "./messages.js";
import { readPickle } from "./pickle-reader.js";
import { writePickle } from "./pickle-writer.js";
import { thisProcess } from "./process-identity.js";

/** What a handler gets besides its message. */
export interface RequestContext {
  /** Aborted when the server is closed by force, or the handler's time is up. */
  readonly signal: AbortSignal;
  /** The message as it came, with what its schema does not name. */
  readonly raw: unknown;
}

/** One handler a request; what it throws is answered as an error. A viewer control may be answered with any fields. */
export type Handlers = {
  readonly [K in Exclude<RequestKind, "ping">]?: (
    message: MessageOf<K>,
    context: RequestContext,
  ) => Awaitable<MessageOf<ReplyKind<K>> | { readonly [key: string]: unknown }>;
};

type Reply = { readonly [key: string]: unknown };

export interface ControlChannelOptions {
  readonly maxBytes: number;
  readonly generation: Generation;
  /** The whole reply to a ping, as it is to be pickled. */
  readonly pong: () => Reply;
  readonly handlers: Handlers;
  readonly runner: HandlerRunner;
  readonly counters: Counters<typeof serverCounters>;
}

export const errorOf = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error(String(thrown));

export class ControlChannel {
  constructor(private readonly options: ControlChannelOptions) {}

  /** Never rejects. */
  async answer(body: readonly Buffer[]): Promise<Buffer> {
    const { counters } = this.options;
    counters.add("control.requests");
    let reply: Buffer;
    try {
      reply = writePickle(await this.#reply(body));
    } catch (error) {
      counters.add("control.failed");
      reply = writePickle(controlError(errorOf(error).message));
    }
    counters.add("control.bytesOut", reply.length);
    return reply;
  }

  #reply(body: readonly Buffer[]): Awaitable<Reply> {
    const { counters, maxBytes } = this.options;
    const refuse = (counter: "control.malformed" | "control.oversized", message: string) => {
      counters.add(counter);
      return controlError(message);
    };
    const [frame] = body;
    const size = body.reduce((sum, f) => sum + f.length, 0);
    counters.add("control.bytesIn", size);
    if (frame === undefined || body.length !== 1)
      return refuse("control.malformed", `control message: expected one frame, and got ${body.length}`);
    if (size > maxBytes) {
      return refuse(
        "control.oversized",
        `control message: expected at most ${maxBytes} bytes, and got ${size}`,
      );
    }
    let raw: unknown;
    let request: ReturnType<typeof requestKind>;
    let message: MessageOf<MessageKind>;
    try {
      raw = readPickle(frame, { maxBytes });
      request = requestKind(raw);
      message = request.kind === undefined ? ({} as typeof message) : readMessage(request.kind, raw);
    } catch (error) {
      return refuse("control.malformed", errorOf(error).message);
    }
    return this.#carryOut(request, message, raw);
  }

  #carryOut(
    { type, kind }: ReturnType<typeof requestKind>,
    message: MessageOf<MessageKind>,
    raw: unknown,
  ): Awaitable<Reply> {
    const { counters, handlers, pong, runner } = this.options;
    if (kind === "ping") return pong();
    const handler = kind === undefined ? undefined : handlers[kind];
    if (kind === undefined || handler === undefined) {
      counters.add("control.unknown");
      const text = `Unknown message type: ${type}`;
      return { status: "error", type: "error", error: text, message: text };
    }
    const refusal = misaddressed(message as { readonly process_identity?: ProcessIdentity });
    if (refusal !== undefined) return { status: "error", type: "error", error: refusal, message: refusal };
    const call = handler as (m: unknown, c: RequestContext) => Awaitable<Reply>;
    return runner
      .run(type, (signal) => call(message, { signal, raw }))
      .then((reply) => this.#write(replyTo(kind), reply));
  }

  #write(kind: MessageKind, reply: Reply): Reply {
    // A viewer's replies have fields of their own.
    if (kind === "viewer_reply") return reply;
    // What a kind requires of a success is not in an error.
    if (reply.status !== "error")
      return writeMessage(kind, reply as MessageOf<typeof kind>, this.options.generation);
    const { tag } = messageKinds[kind] as { readonly tag?: readonly [string, string] };
    return { ...(tag && { [tag[0]]: tag[1] }), ...reply };
  }
}

const controlError = (message: string): Reply => writeMessage("control_error", { type: "error", message });

/** Generation D's shutdowns may say which process is meant, so that a server that took the address over is not ended in its place. */
function misaddressed({ process_identity: meant }: { readonly process_identity?: ProcessIdentity }) {
  const own = thisProcess();
  if (meant === undefined || own === undefined) return undefined;
  if (meant.pid === own.pid && meant.create_time === own.create_time) return undefined;
  const name = ({ pid, create_time }: ProcessIdentity) => `${pid}, started at ${create_time}`;
  return `the shutdown is meant for process ${name(meant)}, and this one is ${name(own)}; nothing is done`;
}
