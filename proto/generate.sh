#!/usr/bin/env bash
# Generates relgraph/v1/ from proto/relgraph/v1/. For maintainers: the result is committed and never edited by hand.
#
# The generator is old on purpose: code made by grpcio-tools 1.63 (protobuf 5.26) runs on every protobuf from 5.26 to 7
# and asks for no grpcio newer than 1.63; the newest generator would force the newest runtime on every user.
# It needs Python 3.11 or 3.12, for which that release has wheels: set PROTO_PYTHON if `python3` is another.
set -euo pipefail
cd "$(dirname "$0")/.."

python="${PROTO_PYTHON:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || {
  echo "proto/generate.sh: needs Python 3.11 or 3.12, found $("$python" --version); set PROTO_PYTHON" >&2
  exit 2
}
if [ ! -x .venv-proto/bin/protoc-gen-mypy ]; then
  "$python" -m venv .venv-proto
  # setuptools 81 dropped pkg_resources, which this grpcio-tools imports.
  .venv-proto/bin/pip install --quiet 'grpcio-tools==1.63.0' 'mypy-protobuf==3.6.0' 'protobuf<6' 'setuptools<81'
fi

PATH="$PWD/.venv-proto/bin:$PATH" .venv-proto/bin/python -m grpc_tools.protoc \
  --proto_path=proto \
  --python_out=. --grpc_python_out=. \
  --mypy_out=quiet:. --mypy_grpc_out=quiet:. \
  relgraph/v1/authorizer.proto
echo "generated relgraph/v1/ from proto/relgraph/v1/"
