#!/bin/bash
# Extraction without a queue: each task of the array makes every 64th shard.
#   sbatch --export=ALL,MODEL=/shared/models/Qwen3-4B,INPUT=/shared/pre/raw.jsonl,OUTPUT=/shared/hs/raw deploy/slurm-static.sh
#SBATCH --job-name=scorer-extract
#SBATCH --array=0-63
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=48G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120
# Of its whole time: two minutes before the end the step is told to stop, and puts its finished traces on disk.

set -uo pipefail

srun scorer-hidden-states \
  --model-name "$MODEL" --input-path "$INPUT" --output-path "$OUTPUT" \
  --shard-size 100 --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
  --device cuda --quiet --json
status=$?

# 4: try again (disk full, device lost, lock); 143: stopped by the clock or preempted. What is finished is kept.
if [ "$status" -eq 4 ] || [ "$status" -eq 143 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$status"
