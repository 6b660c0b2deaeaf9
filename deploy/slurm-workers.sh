#!/bin/bash
# Workers of a queue, one for each GPU; tasks may come and go while the run lasts.
#   sbatch --export=ALL,REDIS_URL=redis://head:6379,RUN=1234567890abcdef deploy/slurm-workers.sh
# The password stands in a file that you alone can read.
#SBATCH --job-name=scorer-workers
#SBATCH --array=0-63
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=48G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120

set -uo pipefail

srun scorer-worker work \
  --run "$RUN" --root "${SHARED:-/shared}" --device cuda --drain 90 \
  --redis-password-file "${REDIS_PASSWORD_FILE:-$HOME/.redis-password}" --quiet --json
status=$?

if [ "$status" -eq 4 ] || [ "$status" -eq 143 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$status"
