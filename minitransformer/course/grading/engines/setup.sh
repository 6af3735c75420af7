#!/usr/bin/env bash
# Gradescope: zip this file, run_autograder and a clone of the repository as course/ (with secret, a file, beside it).
# The course needs Python 3.11; where the system's own is older, as on Ubuntu 22.04, a newer one is installed beside it.
# PIP_EXTRA_INDEX_URL may name an index with CPU builds of torch, which are gigabytes smaller.
set -euo pipefail
source=${AUTOGRADER:-/autograder}/source environment=${ENVIRONMENT:-/opt/python}

new_enough_python() {
  for name in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
      echo "$name"
      return
    fi
  done
  return 1
}

apt-get update
apt-get install -y python3 python3-venv
python=$(new_enough_python) || {
  apt-get install -y python3.11 python3.11-venv || true
  python=$(new_enough_python) || {
    echo "setup.sh: this system has no Python 3.11 or newer, and apt-get knows none: take a newer image" >&2
    exit 1
  }
}
"$python" -m venv "$environment"
"$environment/bin/pip" install -e "$source/course"
chmod -R go= "$source" # neither the course nor the secret is for the child to read
