#!/usr/bin/env bash
# Sets up what ours is compared with, in a folder outside the project:
#
#   bench/peers/setup.sh FOLDER MODEL
#
#   FOLDER/venv        Python with torch (which carries MKL and oneDNN), transformers, TRL, NumPy (OpenBLAS)
#   FOLDER/llama.cpp   the sources that the package llama-cpp-python carries, built for this very processor
#   FOLDER/models/     MODEL (whatever `lsp` loads) as a Hugging Face directory in f32, and as f32 and q8_0 GGUF
#
# The project has been built (npm install). Takes a Python of 3.10 or newer, CMake and a C++ compiler, some 5 GB and, on
# two cores, half an hour. What is there is not made again: remove a part of FOLDER to have it made anew. JOBS
# (default 2) bounds the build.
set -euo pipefail

folder=${1:?usage: bench/peers/setup.sh FOLDER MODEL}
model=${2:?usage: bench/peers/setup.sh FOLDER MODEL}
project=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
python="$folder/venv/bin/python"

if [ ! -x "$python" ]; then
  python3 -m venv "$folder/venv"
fi
"$python" -m pip install --quiet --upgrade \
  torch numpy transformers trl accelerate datasets gguf safetensors sentencepiece protobuf

llama="$folder/llama.cpp"
if [ ! -d "$llama" ]; then
  download=$(mktemp -d)
  "$python" -m pip download --quiet --no-deps --no-binary llama-cpp-python --dest "$download" llama-cpp-python
  tar --extract --gzip --file "$download"/llama_cpp_python-*.tar.gz --directory "$download"
  mv "$download"/llama_cpp_python-*/vendor/llama.cpp "$llama"
  rm -rf "$download"
fi
if [ ! -x "$llama/build/bin/llama-batched-bench" ]; then
  # GCC before 13 takes this instruction to read 8 of the 64 bytes and drops the rest: an illegal instruction later.
  sed -i 's/^    _tile_loadconfig(&tc);/    __asm__ volatile("" : : "r"(\&tc) : "memory"); &/' \
    "$llama/ggml/src/ggml-cpu/amx/mmq.cpp"
  cmake -S "$llama" -B "$llama/build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF \
    -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF
  cmake --build "$llama/build" --target llama-bench llama-batched-bench --parallel "${JOBS:-2}"
fi

mkdir -p "$folder/models"
if [ ! -d "$folder/models/hf" ]; then
  node "$project/bin/lsp.js" export --model "$model" --out "$folder/models/hf"
fi
for type in f32 q8_0; do
  if [ ! -f "$folder/models/$type.gguf" ]; then
    "$python" "$llama/convert_hf_to_gguf.py" "$folder/models/hf" --outtype "$type" \
      --outfile "$folder/models/$type.gguf"
  fi
done
echo "peers are ready in $folder: npm run bench:peers -- --folder $folder"
