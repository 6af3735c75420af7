#!/usr/bin/env bash
# Gradescope: zip this file, run_autograder and a clone of the repository as course/ (with secret, a file, beside it).
set -euo pipefail
apt-get update && apt-get install -y python3 python3-pip python3-venv
python3 -m venv /opt/python
/opt/python/bin/pip install -e /autograder/source/course
chmod -R go= /autograder/source # neither the course nor the secret is for the child to read
