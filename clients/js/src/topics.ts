// Topics: what is wanted of the server and what it has of it; asks for the difference, and hands on what comes.

import { Areas } from "./areas.ts";
import { boxOf } from "./box.ts";
import { Channel } from "./channel.ts";
import type { Service } from "./channel.ts";
import { errorOf, positionOf } from "./message.ts";
import type { Message } from "./message.ts";
import type { ServerError } from "./types.ts";

/** Most topics in a message (docs/wire.md, "Limits"). */
const MOST_TOPICS = 1_000;
/** Bytes of a message, as long as the server has not said how many it takes. */
const SHORT_MESSAGE = 1_000;

/** What the ids of requests begin with, so that errors about what nobody wants any longer are known. */
const SUBSCRIBE = "s";
const UNSUBSCRIBE = "u";

/** All topics of a client. */
export class Topics {
  readonly channels = new Set<Channel>();
  /** Bytes of a message that the server takes. */
  messageBytes = SHORT_MESSAGE;
  /** Channels by the topic that the server has. Of areas, there may be several with one topic. */
  readonly #held = new Map<string, Channel>();
  readonly #areas: Areas;
  /** Topics that the server may have and nobody wants any longer; true once it was told. Until it has said that it has not. */
  readonly #leaving = new Map<string, boolean>();
  readonly #send: (message: object) => void;
  #requests = 0;

  /** `now` is the server's time, `send` sends a message. */
  constructor(now: () => number, send: (message: object) => void) {
    this.#areas = new Areas(now);
    this.#send = send;
  }

  /** The channel of a topic: all who want one share it, but each area has one of its own, as it may be moved. */
  join(topic: string): Channel {
    const channel = new Channel(topic);
    if (!channel.box) {
      for (const other of this.channels) if (other.topic === topic) return other;
    }
    this.channels.add(channel);
    return channel;
  }

  /** An area is to be somewhere else. */
  move(channel: Channel, topic: string): void {
    // A refusal that was no answer: whether one comes is not known.
    if (channel.refused) channel.asked = channel.refused = undefined;
    if (channel.held || channel.asked) channel.next = topic;
    else channel.topic = topic;
  }

  /** The connection is gone: the server has nothing. */
  lost(): void {
    this.messageBytes = SHORT_MESSAGE;
    this.#leaving.clear();
    this.#held.clear();
    for (const channel of this.channels) {
      channel.held = false;
      channel.asked = channel.refused = undefined;
      channel.topic = channel.next ?? channel.topic;
      channel.next = undefined;
    }
  }

  /** Forgets what nobody wants. */
  sweep(): void {
    for (const channel of this.channels) {
      if (channel.subscriptions.size > 0) continue;
      this.channels.delete(channel);
      this.#areas.end(channel);
      if (channel.held) this.#leave(channel.topic);
      if (channel.asked) this.#leave(channel.asked.topic);
    }
  }

  /** Asks the server, which is there, for what it is to do and has not been asked for. */
  ask(): void {
    const leaving = [...this.#leaving].filter(([, told]) => !told).map(([topic]) => topic);
    for (const topic of leaving) this.#leaving.set(topic, true);
    this.#sendTopics("unsubscribe", leaving, {});
    const lists = new Map<string, { service: Service; channels: Channel[] }>();
    for (const channel of this.channels) {
      if (channel.asked || channel.refused || channel.subscriptions.size === 0) continue;
      if (channel.next === channel.topic) {
        channel.next = undefined;
        // It is there already, and whoever asked for it waits for a snapshot.
        channel.snapshot(() => {});
      }
      const service = channel.wanted(), { every_ms, batch } = channel.service;
      if (channel.held && channel.next !== undefined) {
        channel.service = service;
        this.#move(channel, channel.next);
      } else if (!channel.held || every_ms !== service.every_ms || batch !== service.batch) {
        channel.service = service;
        const key = JSON.stringify(service);
        const list = lists.get(key) ?? { service, channels: [] };
        lists.set(key, list);
        list.channels.push(channel);
      }
    }
    for (const { service, channels } of lists.values()) {
      const ids = this.#sendTopics("subscribe", channels.map(({ topic }) => topic), service);
      channels.forEach((channel, n) => (channel.asked = { id: ids[n] ?? "", topic: channel.topic }));
    }
  }

  /** What was refused for this is to be asked again. */
  retry(code: string): void {
    for (const channel of this.channels) if (channel.refused?.code === code) channel.refused = undefined;
  }

  /** Some requests were not read: all that have no answer yet are to be asked again. */
  askAgain(): void {
    for (const channel of this.channels) channel.asked = undefined;
    for (const topic of this.#leaving.keys()) this.#leaving.set(topic, false);
    this.ask();
  }

  /** A message about topics; false if it is about none of these. */
  message(message: Message): boolean {
    const { type, topic = "" } = message;
    if (type === "position") {
      const position = positionOf(message);
      if (topic === "area") this.#areas.position(position);
      else this.#held.get(topic)?.set(position);
    } else if (type === "positions") {
      const channel = topic === "area" ? undefined : this.#held.get(topic);
      for (const position of message.positions ?? []) {
        if (topic === "area") this.#areas.position(position);
        else channel?.set(position);
      }
    } else if (type === "left") {
      const { device_id = "", timestamp = "" } = message;
      const box = boxOf(topic);
      if (box) this.#areas.left(box, device_id, timestamp);
      else this.#held.get(topic)?.remove(device_id, timestamp);
    } else if (type === "subscribed") {
      this.#subscribed(message, topic);
    } else if (type === "unsubscribed") {
      this.#unsubscribed(topic);
    } else {
      return type === "error" && this.#refused(message);
    }
    return true;
  }

  #subscribed({ id, replaces, left = [], snapshot = [] }: Message, topic: string): void {
    for (const channel of this.channels) {
      const { asked } = channel;
      const isAnswer = asked && asked.topic === topic && asked.id === id;
      // A new snapshot of what is there may come unasked.
      if (!isAnswer && !(id === undefined && channel.held && channel.topic === topic)) continue;
      if (isAnswer) {
        channel.asked = channel.refused = undefined;
        if (this.#held.get(channel.topic) === channel) this.#held.delete(channel.topic);
        this.#held.set(topic, channel);
      }
      channel.held = true;
      const box = boxOf(topic);
      if (box) this.#areas.snapshot(channel, topic, box, snapshot, replaces === undefined ? undefined : left);
      else channel.replace(snapshot);
    }
    this.ask();
  }

  #unsubscribed(topic: string): void {
    this.#leaving.delete(topic);
    // There is room for another.
    this.retry("too-many-subscriptions");
    this.ask();
  }

  /** An error: the answer to a request, or the end of a subscription. */
  #refused(message: Message): boolean {
    const { id, topic } = message;
    const error = errorOf(message);
    let isKnown = id?.[0] === SUBSCRIBE || id?.[0] === UNSUBSCRIBE;
    if (id?.[0] === UNSUBSCRIBE && topic !== undefined) this.#leaving.delete(topic);
    for (const channel of this.channels) {
      const { asked } = channel;
      if (id !== undefined) {
        // Without a topic it is about all that were asked for with it.
        if (asked?.id !== id || (topic ?? asked.topic) !== asked.topic) continue;
        channel.asked = undefined;
        if (channel.next === asked.topic) channel.next = undefined;
        // An area that could not be moved stays where it was.
        if (!channel.held) {
          channel.topic = asked.topic;
          this.#ended(channel, error);
        }
      } else if (topic !== undefined && channel.held && channel.topic === topic) {
        channel.held = false;
        this.#held.delete(topic);
        // What it was asked for since is answered.
        this.#ended(channel, asked ? undefined : error);
      } else if (topic !== undefined && asked?.topic === topic) {
        // It is about what was there before, or an answer whose snapshot could not be sent to its end.
        channel.refused = error;
      } else {
        continue;
      }
      isKnown = true;
      channel.emit("error", error);
    }
    this.ask();
    return isKnown;
  }

  /** The server has nothing of a channel any longer. */
  #ended(channel: Channel, why: ServerError | undefined): void {
    if (why && channel.next !== undefined) channel.topic = channel.next;
    else channel.refused = why;
    if (why) channel.next = undefined;
    channel.snapshot(() => {
      this.#areas.end(channel);
      for (const device of channel.devices.keys()) channel.remove(device);
    });
  }

  /** Nobody wants a topic any longer, unless another channel has it. */
  #leave(topic: string): void {
    if (this.#others(topic, undefined)) return;
    this.#held.delete(topic);
    this.#leaving.set(topic, false);
  }

  /** Whether another channel has a topic, or has asked for it. */
  #others(topic: string, not: Channel | undefined): boolean {
    for (const other of this.channels) {
      if (other !== not && ((other.held && other.topic === topic) || other.asked?.topic === topic)) return true;
    }
    return false;
  }

  #move(channel: Channel, topic: string): void {
    // Another subscription looks at the old place too: it must stay.
    const replaces = this.#others(channel.topic, channel) ? undefined : channel.topic;
    const id = SUBSCRIBE + ++this.#requests;
    this.#leaving.delete(topic);
    channel.asked = { id, topic };
    this.#send({ type: "subscribe", id, topic, replaces, ...channel.service });
  }

  /** Sends lists of topics in as few messages as are allowed; returns for each topic the id of its message. */
  #sendTopics(type: "subscribe" | "unsubscribe", topics: string[], rest: object): string[] {
    const ids: string[] = [];
    while (ids.length < topics.length) {
      const id = (type === "subscribe" ? SUBSCRIBE : UNSUBSCRIBE) + ++this.#requests;
      // So many bytes are not in the list.
      let bytes = 200;
      const list: string[] = [];
      for (const topic of topics.slice(ids.length)) {
        bytes += 3 * topic.length + 3;
        if (list.length > 0 && (bytes > this.messageBytes || list.length === MOST_TOPICS)) break;
        list.push(topic);
        ids.push(id);
        // Whoever asks for it anew does not want it gone.
        if (type === "subscribe") this.#leaving.delete(topic);
      }
      this.#send({ type, id, ...(list.length === 1 ? { topic: list[0] } : { topics: list }), ...rest });
    }
    return ids;
  }
}
