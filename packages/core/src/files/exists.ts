import { stat } from 'node:fs/promises';

/** Whether something stands at the path; a link counts by what it leads to. */
export async function fileExists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
