#include "model/tensor_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/bfloat16.h"

namespace lsp {

namespace {

class File {
 public:
  File(const std::string& path, int flags, const char* purpose) : path_(path) {
    descriptor_ = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
    if (descriptor_ < 0) fail(purpose);
  }
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int64_t size() const {
    struct stat status;
    if (::fstat(descriptor_, &status) != 0) fail("inspect");
    LSP_CHECK(S_ISREG(status.st_mode), "INVALID_MODEL_FILE",
              "Expected a regular file but '" + path_ + "' is none.");
    return status.st_size;
  }
  void read(void* to, int64_t bytes, int64_t offset) const {
    char* at = static_cast<char*>(to);
    while (bytes > 0) {
      const ssize_t got = ::pread(descriptor_, at, static_cast<size_t>(bytes), offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("read");
      LSP_CHECK(got > 0, "INVALID_MODEL_FILE",
                "Expected more bytes in '" + path_ + "': the file ends early.");
      at += got;
      offset += got;
      bytes -= got;
    }
  }
  void write(const void* from, int64_t bytes) const {
    const char* at = static_cast<const char*>(from);
    while (bytes > 0) {
      const ssize_t put = ::write(descriptor_, at, static_cast<size_t>(bytes));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) fail("write");
      at += put;
      bytes -= put;
    }
  }
  void sync_and_close() {
    if (::fsync(descriptor_) != 0) fail("sync");
    const int descriptor = std::exchange(descriptor_, -1);
    if (::close(descriptor) != 0) fail("close");
  }

 private:
  [[noreturn]] void fail(const char* purpose) const {
    throw Error("IO_ERROR",
                std::string("Could not ") + purpose + " '" + path_ + "': " + std::strerror(errno) + ".");
  }
  std::string path_;
  int descriptor_ = -1;
};

// Row of the file that holds row `row` of the parameter. GGUF's `llama` interleaves the two halves of each
// head.
int64_t source_row(const ParameterSpec& spec, bool permuted, int64_t row) {
  if (!permuted) return row;
  const int64_t head = row / spec.head_size, i = row % spec.head_size, half = spec.head_size / 2;
  return head * spec.head_size + 2 * (i % half) + i / half;
}

void check_location(const TensorLocation& t, const ParameterSpec& spec, int64_t file_size) {
  const auto expect = [&](bool condition, const std::string& what) {
    LSP_CHECK(condition, "INVALID_MODEL_FILE",
              "Expected " + what + " for tensor '" + t.name + "' in '" + t.path + "'.");
  };
  expect(t.shape == spec.shape(), "the shape that the configuration asks for");
  const StoredFormat format = stored_format(t.type);
  const int64_t width = spec.is_matrix() ? spec.columns : spec.rows, count = spec.is_matrix() ? spec.rows : 1;
  expect(width % format.block_elements == 0, "rows of whole blocks");
  expect(t.bytes == count * (width / format.block_elements) * format.block_bytes,
         "a byte length that fits the shape");
  expect(t.offset >= 0 && t.offset <= file_size && t.bytes <= file_size - t.offset, "data inside the file");
  expect(!t.rope_permuted || spec.head_size > 0, "an unpermuted tensor");
}

}  // namespace

// Dequantizes, and refuses what no computation survives.
static void read_values(const TensorLocation& t, const uint8_t* raw, int64_t count, float* values) {
  dequantize(t.type, raw, count, values);
  bool finite = true;
  for (int64_t i = 0; i < count; ++i) finite = finite && values[i] - values[i] == 0.0f;
  LSP_CHECK(finite, "INVALID_MODEL_FILE",
            "Expected finite values but tensor '" + t.name + "' in '" + t.path + "' holds NaN or infinity.");
}

// A matrix in a file, 32 rows at a time.
class MatrixReader {
 public:
  MatrixReader(const TensorLocation& t, const ParameterSpec& spec)
      : t_(t),
        spec_(spec),
        // Without waiting: opening a pipe would block for ever.
        file_(t.path, O_RDONLY | O_NONBLOCK, "open") {
    check_location(t, spec, file_.size());
    row_bytes_ = t.bytes / (spec.is_matrix() ? spec.rows : 1);
  }

  const File& file() const { return file_; }
  int64_t row_bytes() const { return row_bytes_; }

  // Reads those of a panel and refuses values that are not finite; `values` gets them dequantized.
  void read_panel(int64_t panel, uint8_t* raw, float* values) const {
    const int64_t first = panel * kPanel, height = std::min<int64_t>(kPanel, spec_.rows - first);
    if (t_.rope_permuted) {
      for (int64_t i = 0; i < height; ++i) {
        file_.read(raw + i * row_bytes_, row_bytes_,
                   t_.offset + source_row(spec_, true, first + i) * row_bytes_);
      }
    } else {
      file_.read(raw, height * row_bytes_, t_.offset + first * row_bytes_);
    }
    read_values(t_, raw, height * spec_.columns, values);
  }

 private:
  const TensorLocation& t_;
  const ParameterSpec& spec_;
  const File file_;
  int64_t row_bytes_ = 0;
};

Buffer read_tensor(const TensorLocation& t, const ParameterSpec& spec, const Operation& operation) {
  const MatrixReader reader(t, spec);
  Buffer stored(spec.stored_floats());
  std::vector<uint8_t> raw(static_cast<size_t>(reader.row_bytes() * (spec.is_matrix() ? kPanel : 1)));
  if (!spec.is_matrix()) {
    reader.file().read(raw.data(), reader.row_bytes(), t.offset);
    read_values(t, raw.data(), spec.rows, stored.data());
    return stored;
  }
  std::vector<float> values(static_cast<size_t>(kPanel * spec.columns));
  for (int64_t panel = 0; panel < panel_count(spec.rows); ++panel) {
    operation.poll();
    reader.read_panel(panel, raw.data(), values.data());
    pack_panel(spec, panel, values.data(), stored.data());
  }
  return stored;
}

Buffer read_rows(const TensorLocation& t, const ParameterSpec& spec, const Operation& operation) {
  const MatrixReader reader(t, spec);
  Buffer rows((spec.rows * reader.row_bytes() + 3) / 4);
  uint8_t* raw = reinterpret_cast<uint8_t*>(rows.data());
  std::vector<float> values(static_cast<size_t>(kPanel * spec.columns));
  for (int64_t panel = 0; panel < panel_count(spec.rows); ++panel) {
    operation.poll();
    reader.read_panel(panel, raw + panel * kPanel * reader.row_bytes(), values.data());
  }
  return rows;
}

namespace {

std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string safetensors_header(StoredType type, const std::vector<TensorToWrite>& tensors,
                               const std::vector<std::pair<std::string, std::string>>& metadata) {
  const char* dtype = type == StoredType::f32 ? "F32" : type == StoredType::f16 ? "F16" : "BF16";
  const int64_t width = stored_format(type).block_bytes;
  std::string header = "{\"__metadata__\":{";
  for (size_t i = 0; i < metadata.size(); ++i) {
    header += (i > 0 ? "," : "") + json_string(metadata[i].first) + ":" + json_string(metadata[i].second);
  }
  header += "}";
  int64_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    const int64_t bytes = tensor.spec->rows * std::max<int64_t>(tensor.spec->columns, 1) * width;
    header += "," + json_string(tensor.name) + ":{\"dtype\":\"" + dtype + "\",\"shape\":[" +
              std::to_string(tensor.spec->rows);
    if (tensor.spec->is_matrix()) header += "," + std::to_string(tensor.spec->columns);
    header += "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(offset + bytes) + "]}";
    offset += bytes;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return header;
}

void write_values(const File& file, StoredType type, const float* values, int64_t count,
                  std::vector<uint16_t>& half) {
  if (type == StoredType::f32) {
    file.write(values, count * 4);
    return;
  }
  half.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    half[static_cast<size_t>(i)] =
        type == StoredType::f16 ? float_to_half(values[i]) : float_to_bfloat16(values[i]);
  }
  file.write(half.data(), count * 2);
}

void write_tensor(const File& file, StoredType type, const TensorToWrite& tensor,
                  const Operation& operation) {
  const ParameterSpec& spec = *tensor.spec;
  std::vector<uint16_t> half;
  if (!spec.is_matrix()) {
    write_values(file, type, tensor.stored.f32, spec.rows, half);
    return;
  }
  const Buffer made = tensor.make ? tensor.make() : Buffer();
  const Panels stored = tensor.make ? Panels(made.data()) : tensor.stored;
  std::vector<float> rows(static_cast<size_t>(kPanel * spec.columns));
  for (int64_t panel = 0; panel < panel_count(spec.rows); ++panel) {
    operation.poll();
    const int64_t height = std::min<int64_t>(kPanel, spec.rows - panel * kPanel);
    unpack_panel(spec, panel, stored, rows.data());
    write_values(file, type, rows.data(), height * spec.columns, half);
  }
}

}  // namespace

void write_safetensors(const std::string& path, StoredType type, const std::vector<TensorToWrite>& tensors,
                       const std::vector<std::pair<std::string, std::string>>& metadata,
                       const Operation& operation) {
  const std::string temporary = path + ".tmp" + std::to_string(::getpid());
  try {
    File file(temporary, O_WRONLY | O_CREAT | O_TRUNC, "create");
    const std::string header = safetensors_header(type, tensors, metadata);
    const uint64_t length = header.size();
    file.write(&length, 8);
    file.write(header.data(), static_cast<int64_t>(header.size()));
    for (const TensorToWrite& tensor : tensors) write_tensor(file, type, tensor, operation);
    file.sync_and_close();
    LSP_CHECK(std::rename(temporary.c_str(), path.c_str()) == 0, "IO_ERROR",
              "Could not rename '" + temporary + "': " + std::strerror(errno) + ".");
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

}  // namespace lsp
