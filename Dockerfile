# The course in a container, for Docker, for a devcontainer (Codespaces), and for Binder:
#   docker build -t minitransformer .
#   docker run --rm -it -p 127.0.0.1:8888:8888 -v minitransformer:/home/student/minitransformer-lessons minitransformer
# The volume keeps the work. lessons/TEACHING.md says what of this was checked.
FROM python:3.11-slim

# Binder says which user it wants
ARG NB_USER=student
ARG NB_UID=1000
ENV HOME=/home/$NB_USER PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN useradd --create-home --uid "$NB_UID" "$NB_USER"

# The classroom's versions; CPU builds of torch are smaller. Binder starts `notebook`, which brings the same JupyterLab.
COPY requirements.txt /course/
RUN grep -v '^-e' /course/requirements.txt > /course/pins.txt \
 && pip install --extra-index-url https://download.pytorch.org/whl/cpu -r /course/pins.txt 'notebook>=7,<8'
# What the wheel is built from; .gitignore names what is not the repository's
COPY pyproject.toml README.md LICENSE .gitignore /course/
COPY minitransformer /course/minitransformer
COPY lessons /course/lessons
RUN pip install --no-deps --no-build-isolation /course && rm -rf /course

# Nothing but the student's own copies is in sight
USER $NB_USER
WORKDIR $HOME
RUN minitransformer lab --copy-only
EXPOSE 8888
CMD ["minitransformer", "lab", "--no-browser", "--port", "8888", "--", "--ip", "0.0.0.0"]
