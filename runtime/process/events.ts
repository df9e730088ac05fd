/**
 * Named events: what the engine reports, without knowing who listens. A room declares its events and their contents,
 * and connects its log lines and metrics to them; a process can add more listeners. Events are for occasional things,
 * never one per record.
 */
import { messageOf } from './errors.js';
import type { Logger } from './logger.js';
import type { Metrics } from './metrics.js';

export class NamedEvent<Payload> {
  readonly name: string;
  /** A type only: the argument of the listeners. */
  declare readonly payload: Payload;

  constructor(name: string) {
    this.name = name;
  }
}

type Listener<Payload> = (payload: Payload) => void | Promise<void>;

/** Connects the log lines and metrics of a room to its events. */
export type Reports = (events: EventBus, to: { readonly logger: Logger; readonly metrics: Metrics }) => void;

export class EventBus {
  readonly #logger: Logger;
  readonly #listeners = new Map<object, Listener<never>[]>();

  /** `logger`: reports listeners that fail. */
  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** From now on `listener` is called with each event of this name, after the listeners that were added earlier. */
  on<Payload>(event: NamedEvent<Payload>, listener: Listener<Payload>): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  /** Calls the listeners in order. Never throws, and does not wait for them. */
  emit<Payload>(event: NamedEvent<Payload>, payload: Payload): void {
    for (const listener of this.#listeners.get(event) ?? [])
      void this.#call(event.name, listener as Listener<Payload>, payload);
  }

  async #call<Payload>(name: string, listener: Listener<Payload>, payload: Payload): Promise<void> {
    try {
      await listener(payload);
    } catch (error) {
      this.#logger.error({ event: 'listener_failed', of: name, error: messageOf(error) });
    }
  }
}
