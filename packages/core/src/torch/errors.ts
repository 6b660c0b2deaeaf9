import { ScorerError } from '../errors/index.js';

const HINT = "save it again with a present PyTorch's torch.save: plain lists, dicts, texts, numbers and tensors";

export function torchError(code: string, what: string, where: string, hint: string = HINT): ScorerError {
  return new ScorerError({ code, what, where, hint });
}
