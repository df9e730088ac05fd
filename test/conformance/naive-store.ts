/** The slow, obvious online store: operations run in turn on plain maps. The real stores are compared with it. */
import type { StoreOperation } from '../../runtime/stores/online-store.js';

export type NaiveValue =
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'hash'; readonly fields: Map<string, string> }
  | { readonly kind: 'zset'; readonly scores: Map<string, number> };

type Kind = NaiveValue['kind'] | 'nothing';

export class NaiveStore {
  readonly values = new Map<string, NaiveValue>();

  /** False if the batch is refused because it uses a key as another kind than it is. */
  apply(operations: readonly StoreOperation[]): boolean {
    if (!this.#kindsFit(operations)) return false;
    for (const operation of operations) this.#run(operation);
    return true;
  }

  /** The rule of the port: a key keeps its kind within a batch, except after set, del and hreplace. */
  #kindsFit(operations: readonly StoreOperation[]): boolean {
    const kinds = new Map<string, Kind>();
    const use = (key: string, kind: Kind) => {
      const now = kinds.get(key) ?? this.values.get(key)?.kind ?? 'nothing';
      kinds.set(key, kind);
      return now === 'nothing' || now === kind;
    };
    const fits = (operation: StoreOperation): boolean => {
      switch (operation.op) {
        case 'zadd':
        case 'zrem':
          return use(operation.key, 'zset');
        case 'hset':
        case 'hdel':
          return use(operation.key, 'hash');
        case 'regroup': {
          const inHash = use(operation.groups, 'hash');
          return operation.group === null ? inHash : use(operation.prefix + operation.group, 'zset') && inHash;
        }
        case 'hreplace':
        case 'hnumbers':
          kinds.set(operation.key, operation.fields.length > 0 ? 'hash' : 'nothing');
          return true;
        case 'set':
          kinds.set(operation.key, 'string');
          return true;
        case 'del':
          kinds.set(operation.key, 'nothing');
          return true;
      }
    };
    return operations.every(fits);
  }

  #run(operation: StoreOperation): void {
    switch (operation.op) {
      case 'zadd':
        this.#zadd(operation.key, operation.member, operation.score);
        return;
      case 'zrem':
        this.#zrem(operation.key, operation.member);
        return;
      case 'hset':
        this.#hset(operation.key, operation.field, operation.value);
        return;
      case 'hdel':
        this.#hdel(operation.key, operation.field);
        return;
      case 'hreplace':
        this.values.delete(operation.key);
        for (const [field, value] of operation.fields) this.#hset(operation.key, field, value);
        return;
      case 'hnumbers':
        this.values.delete(operation.key);
        for (const [i, field] of operation.fields.entries())
          this.#hset(operation.key, field, String(operation.values[i]));
        return;
      case 'set':
        this.values.set(operation.key, { kind: 'string', text: operation.value });
        return;
      case 'del':
        this.values.delete(operation.key);
        return;
      case 'regroup': {
        const { groups, prefix, member, group, score } = operation;
        const held = this.values.get(groups);
        const old = held?.kind === 'hash' ? held.fields.get(member) : undefined;
        if (old !== undefined && old !== group) this.#zrem(prefix + old, member);
        if (group === null) this.#hdel(groups, member);
        else {
          this.#zadd(prefix + group, member, score);
          this.#hset(groups, member, group);
        }
      }
    }
  }

  #zadd(key: string, member: string, score: number): void {
    const value = this.values.get(key);
    if (value?.kind === 'zset') value.scores.set(member, score);
    else this.values.set(key, { kind: 'zset', scores: new Map([[member, score]]) });
  }

  #zrem(key: string, member: string): void {
    const value = this.values.get(key);
    if (value?.kind !== 'zset') return;
    value.scores.delete(member);
    if (value.scores.size === 0) this.values.delete(key);
  }

  #hset(key: string, field: string, text: string): void {
    const value = this.values.get(key);
    if (value?.kind === 'hash') value.fields.set(field, text);
    else this.values.set(key, { kind: 'hash', fields: new Map([[field, text]]) });
  }

  #hdel(key: string, field: string): void {
    const value = this.values.get(key);
    if (value?.kind !== 'hash') return;
    value.fields.delete(field);
    if (value.fields.size === 0) this.values.delete(key);
  }
}

/** Highest score first, ties by the bytes of the member, descending. */
export function rankedNaively(scores: ReadonlyMap<string, number>): { member: string; score: number }[] {
  return [...scores]
    .map(([member, score]) => ({ member, score }))
    .sort((a, b) => b.score - a.score || Buffer.compare(Buffer.from(b.member), Buffer.from(a.member)));
}
