// Topics: what is wanted of the server and what it has of it; asks for the difference, and hands on what comes.

import { Areas } from "./areas.ts";
import { boxOf } from "./box.ts";
import { Channel } from "./channel.ts";
import type { Service } from "./channel.ts";
import { errorOf, positionOf } from "./message.ts";
import type { Message } from "./message.ts";
import type { Subscription } from "./subscription.ts";

/** Most topics in a message (docs/wire.md, "Limits"). */
const MOST_TOPICS = 1_000;
/** Bytes of a message, as long as the server has not said how many it takes. */
const SHORT_MESSAGE = 1_000;

/** All topics of a client. */
export class Topics {
  readonly channels = new Set<Channel>();
  /** Bytes of a message that the server takes. */
  messageBytes = SHORT_MESSAGE;
  /** Channels by the topic that the server has. */
  readonly #held = new Map<string, Channel>();
  readonly #areas: Areas;
  /** Topics that the server may have and nobody wants any longer; true once it was told. Until it has said that it has not. */
  readonly #leaving = new Map<string, boolean>();
  readonly #send: (message: object) => void;
  readonly #id: () => string;

  /** `now` is the server's time, `send` sends a message, `id` makes one for a request. */
  constructor(now: () => number, send: (message: object) => void, id: () => string) {
    this.#areas = new Areas(now);
    this.#send = send;
    this.#id = id;
  }

  /** The channel of a topic. */
  join(topic: string): Channel {
    let channel = this.#find(topic);
    if (!channel) this.channels.add((channel = new Channel(topic)));
    return channel;
  }

  /** An area of `subscription` is to be somewhere else. */
  move(subscription: Subscription, topic: string): void {
    const old = subscription.channel;
    const there = this.#find(topic);
    if (old.subscriptions.size === 1 && (!there || there === old)) {
      if (old.held || old.asked) old.next = topic;
      else old.topic = topic;
      old.refused = undefined;
      return;
    }
    if (there === old) return;
    // Others look at the one place or at the other.
    const channel = this.join(topic);
    old.subscriptions.delete(subscription);
    channel.subscriptions.add(subscription);
    subscription.channel = channel;
    subscription.moved(old.devices);
  }

  /** The connection is gone: the server has nothing. */
  lost(): void {
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
      if (channel.held) {
        this.#leaving.set(channel.topic, false);
        this.#held.delete(channel.topic);
      }
      if (channel.asked) this.#leaving.set(channel.asked.topic, false);
      this.channels.delete(channel);
      this.#areas.end(channel);
    }
  }

  /** Asks the server, which is there, for what it is to do and has not been asked for. */
  ask(): void {
    const leaving = [...this.#leaving].filter(([, told]) => !told).map(([topic]) => topic);
    for (const topic of leaving) this.#leaving.set(topic, true);
    this.#sendTopics("unsubscribe", leaving, {}, () => {});
    const lists = new Map<string, { service: Service; channels: Map<string, Channel> }>();
    for (const channel of this.channels) {
      if (channel.asked || channel.refused) continue;
      if (channel.next === channel.topic) channel.next = undefined;
      const service = channel.wanted();
      const { every_ms, batch } = channel.service;
      if (channel.held && channel.next !== undefined) {
        channel.service = service;
        const replaces = channel.topic;
        this.#asked(channel, channel.next, replaces, (id) =>
          this.#send({ type: "subscribe", id, topic: channel.next, replaces, ...service }));
      } else if (!channel.held || every_ms !== service.every_ms || batch !== service.batch) {
        channel.service = service;
        const key = JSON.stringify(service);
        const list = lists.get(key) ?? { service, channels: new Map<string, Channel>() };
        lists.set(key, list);
        list.channels.set(channel.topic, channel);
      }
    }
    for (const { service, channels } of lists.values()) {
      this.#sendTopics("subscribe", [...channels.keys()], service, (topic, id) => {
        const channel = channels.get(topic);
        if (channel) this.#asked(channel, topic, undefined, () => {}, id);
      });
    }
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
    if (type === "position" && message.device_id !== undefined) {
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
      const box = topic.startsWith("area:") && boxOf(topic);
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
    let channel: Channel | undefined;
    for (const one of this.channels) {
      // Asked for, or a new snapshot of what is there, which may come unasked.
      if (one.asked ? one.asked.topic === topic && one.asked.id === id : one.held && one.topic === topic) channel = one;
    }
    channel ??= id === undefined ? this.#held.get(topic) : undefined;
    if (!channel) return;
    if (channel.asked?.id === id) channel.asked = undefined;
    this.#held.delete(channel.topic);
    this.#held.set(topic, channel);
    channel.held = true;
    const box = boxOf(topic);
    if (box) {
      this.#areas.snapshot(channel, topic, box, snapshot, replaces === undefined ? undefined : left);
    } else {
      channel.replace(snapshot);
    }
    this.ask();
  }

  #unsubscribed(topic: string): void {
    this.#leaving.delete(topic);
    // There is room for another.
    for (const channel of this.channels) {
      if (channel.refused?.code === "too-many-subscriptions") channel.refused = undefined;
    }
    this.ask();
  }

  /** An error: of a request, or the end of a subscription. */
  #refused(message: Message): boolean {
    const { id, topic } = message;
    const error = errorOf(message);
    let found = false;
    for (const channel of this.channels) {
      const { asked } = channel;
      const isAnswer = asked && (id === undefined ? asked.topic === topic : asked.id === id && (topic ?? asked.topic) === asked.topic);
      if (!isAnswer && !(id === undefined && channel.held && channel.topic === topic)) continue;
      found = true;
      if (isAnswer) channel.asked = undefined;
      // An area that could not be moved stays where it was.
      const stays = isAnswer && channel.held;
      if (channel.next === asked?.topic) channel.next = undefined;
      if (!stays) {
        channel.held = false;
        this.#held.delete(channel.topic);
        if (channel.next === undefined) channel.refused = error;
        else channel.topic = channel.next;
        channel.snapshot(() => {
          this.#areas.end(channel);
          for (const device of channel.devices.keys()) channel.remove(device);
        });
      }
      channel.emit("error", error);
    }
    this.ask();
    return found;
  }

  #asked(channel: Channel, topic: string, replaces: string | undefined, send: (id: string) => void, id = this.#id()): void {
    // Whoever asks for it anew does not want it gone.
    this.#leaving.delete(topic);
    channel.asked = { id, topic, replaces };
    send(id);
  }

  /** Sends lists of topics in as few messages as are allowed, and calls `each` with each topic and the id of its message. */
  #sendTopics(type: string, topics: string[], rest: object, each: (topic: string, id: string) => void): void {
    while (topics.length > 0) {
      const id = this.#id();
      // So many bytes are not in the list.
      let bytes = 200;
      const list: string[] = [];
      for (const topic of topics) {
        bytes += 3 * topic.length + 3;
        if (list.length > 0 && (bytes > this.messageBytes || list.length === MOST_TOPICS)) break;
        list.push(topic);
      }
      topics = topics.slice(list.length);
      for (const topic of list) each(topic, id);
      this.#send({ type, id, ...(list.length === 1 ? { topic: list[0] } : { topics: list }), ...rest });
    }
  }

  #find(topic: string): Channel | undefined {
    for (const channel of this.channels) if ((channel.next ?? channel.topic) === topic) return channel;
    return undefined;
  }
}
