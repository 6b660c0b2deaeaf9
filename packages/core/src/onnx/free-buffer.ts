import { MessageChannel } from 'node:worker_threads';

/** Nobody receives what is sent here. */
const { port1: nowhere } = new MessageChannel();
nowhere.close();

/**
 * Gives the memory of an array back at once; the array is empty afterwards. A thread whose memory is nearly all in
 * buffers seldom collects its garbage: V8 lets 64 MB of dead ones stand. A message to a closed port still takes what is
 * transferred with it (HTML standard, message port post message steps), and dies with it. Shared memory is left alone,
 * and so is what holds nothing, such as an array that was freed before: Node 24 refuses to send that.
 */
export function freeBuffer({ buffer }: { readonly buffer: ArrayBufferLike }): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > 0) nowhere.postMessage(null, [buffer]);
}
