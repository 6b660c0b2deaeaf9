import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where and how models are fetched, by the environment variables of Hugging Face's own tools. */
export interface HubSettings {
  /** Root of the cache: `HF_HUB_CACHE`, or `hub` in `HF_HOME`. */
  cacheFolder: string;
  /** `HF_ENDPOINT`: a mirror, or the public hub. */
  endpoint: string;
  /** `HF_HUB_OFFLINE`: nothing is fetched. */
  offline: boolean;
  /** `HF_TOKEN`, or what `hf auth login` left in `HF_HOME`. */
  token: string | undefined;
}

const PUBLIC_ENDPOINT = 'https://huggingface.co';

/** https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables */
export async function readHubSettings(env: NodeJS.ProcessEnv = process.env): Promise<HubSettings> {
  const home = env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
  return {
    cacheFolder: env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home, 'hub'),
    endpoint: (env.HF_ENDPOINT || PUBLIC_ENDPOINT).replace(/\/+$/, ''),
    offline: /^(1|on|yes|true)$/i.test(env.HF_HUB_OFFLINE ?? ''),
    token: env.HF_TOKEN?.trim() || (await tokenIn(env.HF_TOKEN_PATH || join(home, 'token'))),
  };
}

async function tokenIn(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.trim() || undefined;
}
