/**
 * Named events: what the engine reports, without knowing who listens. A room declares its events and what they carry, and
 * connects its log lines and metrics to them; a process adds further listeners. Events are for what happens now and then,
 * never for each record.
 */
import { messageOf } from './errors.js';
import type { Logger } from './logger.js';
import type { Metrics } from './metrics.js';

export class NamedEvent<Payload> {
  readonly name: string;
  /** Only a type: what listeners are given. */
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

  /** `logger`: for listeners that fail. */
  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** From now on `listener` is called with each event of this name, after those that came before it. */
  on<Payload>(event: NamedEvent<Payload>, listener: Listener<Payload>): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  /** Calls the listeners in their order. Never throws, and waits for nothing. */
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
