const THINK_END = '</think>';

/**
 * Tokens of the prompt, which a shard does not tell: its share of the characters, between the bounds that the steps
 * set. Undefined where the texts are not those of one trace.
 * @param positions token index of each step end
 * @param regions 0 where the step ends inside the prompt, 1 in the reasoning
 */
export function estimatePromptTokens(
  { full_forward_text, original_response }: { full_forward_text: string; original_response: string },
  tokens: number,
  { positions, regions }: { positions: Int32Array; regions: Uint8Array },
): number | undefined {
  const end = original_response.indexOf(THINK_END);
  const forwardText = end === -1 ? original_response : original_response.slice(0, end);
  if (full_forward_text === '' || !full_forward_text.endsWith(forwardText)) return undefined;
  const share = 1 - forwardText.length / full_forward_text.length;
  const firstOfReasoning = regions.indexOf(1);
  const promptSteps = firstOfReasoning === -1 ? regions.length : firstOfReasoning;
  const least = promptSteps === 0 ? 0 : positions[promptSteps - 1]! + 1;
  const most = firstOfReasoning === -1 ? tokens : positions[firstOfReasoning]!;
  return Math.min(Math.max(Math.round(share * tokens), least), most);
}
