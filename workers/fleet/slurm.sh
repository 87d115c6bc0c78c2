#!/bin/bash
# A worker, as an element of a Slurm job array whose index is the worker's number. The fleet says
# what no #SBATCH line says: --cpus-per-task and --gres=gpu of its --cpus and --gpus, --output, and
# --signal=B:TERM@120, at which the worker saves a checkpoint and hands its trial back.
#SBATCH --nodes=1
#SBATCH --ntasks=1
# In a copy of your own, for --script:
# #SBATCH --account=vision
# #SBATCH --partition=gpu
# #SBATCH --time=08:00:00
# #SBATCH --gres=gpu:a100:1

export SEGTUNE_THREADS="${SEGTUNE_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"
# Instead of the shell, so that the signal reaches it. In a container:
# exec apptainer exec --nv segtune.sif segtune worker --name …
exec "$SEGTUNE_PYTHON" -m tuner.cli.app worker --name "$SEGTUNE_FLEET_NAME-$SLURM_ARRAY_TASK_ID"
