/** Tasks that a test folds and commits by hand. */
import type { Log } from '../../runtime/log/log.js';
import type { ProcessorDeclaration } from '../../runtime/tasks/processor.js';
import { Task } from '../../runtime/tasks/task.js';
import type { TaskOptions } from '../../runtime/tasks/task-options.js';

/** What all tasks of a driver share. */
export type SharedTaskOptions = Omit<TaskOptions, 'declaration' | 'index' | 'inputs' | 'onCommitted'>;

/** One task per partition of the input; none is restored yet. */
export function tasksOf(declaration: ProcessorDeclaration, shared: SharedTaskOptions): Task[] {
  return Array.from(
    { length: shared.partitions },
    (_, index) =>
      new Task({
        ...shared,
        declaration,
        index,
        inputs: [{ topic: declaration.input, partition: index }],
        onCommitted: () => undefined,
      }),
  );
}

/** Whether its inputs hold something that it has not folded. */
export async function isBehind(task: Task, log: Log): Promise<boolean> {
  for (const { topic, partition, offset } of task.positions())
    if (offset < (await log.offsets({ topic, partition })).lastStable) return true;
  return false;
}
