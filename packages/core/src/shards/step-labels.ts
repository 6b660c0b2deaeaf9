/** Stands where a step has no label. */
export const NO_STEP_LABEL = -1;

/** Whether there is a step with a label: all others are the same as no labels. */
export function hasStepLabel(labels: Float32Array | undefined): labels is Float32Array {
  return labels?.some((label) => label !== NO_STEP_LABEL) ?? false;
}

/** Index of the first value that is neither a label, 0 … 1, nor `NO_STEP_LABEL`; -1 where there is none. */
export function firstInvalidLabel(labels: Float32Array): number {
  return labels.findIndex((label) => !((label >= 0 && label <= 1) || label === NO_STEP_LABEL));
}
