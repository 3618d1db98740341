#!/bin/sh
# The workers' image has no git.
if [ "${MWAA_AIRFLOW_COMPONENT}" = "worker" ]; then
  sudo dnf install -y git-core openssh-clients
fi
export AIRFLOW__NILUS__CACHE_DIR=/tmp/nilus-cache
