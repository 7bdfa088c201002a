#include "addon/convert.h"

#include <cfloat>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>

#include "core/error.h"

namespace lsp::addon {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string describe(const Napi::Value& value) {
  switch (value.Type()) {
    case napi_string: {
      const std::string text = value.As<Napi::String>().Utf8Value();
      return text.size() <= 60 ? "'" + text + "'" : "a string of " + std::to_string(text.size()) + " bytes";
    }
    case napi_undefined:
    case napi_null:
    case napi_boolean:
    case napi_number:
      return value.ToString().Utf8Value();
    case napi_bigint:
      return "a bigint";
    case napi_symbol:
      return "a symbol";
    case napi_function:
      return "a function";
    default:
      return value.IsArray() ? "an array" : value.IsTypedArray() ? "another typed array" : "an object";
  }
}

// %g shows bounds as people write them.
std::string show(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", number);
  return text;
}

struct View {
  const void* data;
  size_t count;
};

View view_of(const Napi::Value& value, napi_typedarray_type wanted, const char* expected,
             const std::string& name) {
  if (!value.IsTypedArray()) reject_value(expected, name, value);
  napi_typedarray_type type;
  size_t count = 0, offset = 0;
  void* data = nullptr;
  napi_value buffer = nullptr;
  const napi_status status =
      napi_get_typedarray_info(value.Env(), value, &type, &count, &data, &buffer, &offset);
  if (status != napi_ok || type != wanted) reject_value(expected, name, value);
  bool detached = false;
  if (napi_is_detached_arraybuffer(value.Env(), buffer, &detached) == napi_ok && detached) {
    throw Error("INVALID_ARGUMENT", std::string("Expected ") + expected + " for `" + name +
                                        "` but its memory was transferred elsewhere.");
  }
  return {data, data == nullptr ? 0 : count};
}

template <class T>
std::vector<T> copy_of(View view) {
  std::vector<T> values(view.count);
  if (view.count > 0) std::memcpy(values.data(), view.data, view.count * sizeof(T));
  return values;
}

// The fields of an options object, read by name.
class Fields {
 public:
  Fields(const Napi::Value& value, const std::string& name) : object_(to_object(value, name)), name_(name) {}

  Napi::Value get(const char* key) const { return object_.Get(key); }
  std::string name(const char* key) const { return name_ + "." + key; }
  int64_t integer(const char* key, int64_t minimum, int64_t maximum) const {
    return to_integer(get(key), name(key), minimum, maximum);
  }
  double number(const char* key, double minimum, double maximum) const {
    return to_number(get(key), name(key), minimum, maximum);
  }
  // False when absent.
  bool flag(const char* key) const {
    const Napi::Value value = get(key);
    return !value.IsUndefined() && to_bool(value, name(key));
  }

 private:
  Napi::Object object_;
  std::string name_;
};

RopeScaling to_rope_scaling(const Napi::Value& value, const std::string& name) {
  const Fields fields(value, name);
  RopeScaling scaling;
  scaling.factor = fields.number("factor", 1e-6, 1e6);
  scaling.low_frequency_factor = fields.number("lowFreqFactor", 1e-6, 1e6);
  scaling.high_frequency_factor = fields.number("highFreqFactor", 1e-6, 1e6);
  scaling.original_positions =
      static_cast<double>(fields.integer("originalMaxPositions", 1, int64_t{1} << 31));
  if (scaling.high_frequency_factor <= scaling.low_frequency_factor) {
    reject_value("more than `lowFreqFactor`", fields.name("highFreqFactor"), fields.get("highFreqFactor"));
  }
  return scaling;
}

StoredType to_stored_type(const Napi::Value& value, const std::string& name) {
  const std::string text = to_string(value, name);
  std::string names;
  for (const StoredFormat& format : kStoredFormats) {
    if (text == format.name) return format.type;
    names += (names.empty() ? "'" : ", '") + std::string(format.name) + "'";
  }
  reject_value("one of " + names, name, value);
}

}  // namespace

void reject_value(const std::string& expected, const std::string& name, const Napi::Value& received) {
  throw Error("INVALID_ARGUMENT",
              "Expected " + expected + " for `" + name + "` but received " + describe(received) + ".");
}

Napi::Object to_object(const Napi::Value& value, const std::string& name) {
  if (value.Type() != napi_object) reject_value("an object", name, value);
  return value.As<Napi::Object>();
}

std::string to_string(const Napi::Value& value, const std::string& name) {
  if (!value.IsString()) reject_value("a string", name, value);
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.find('\0') != std::string::npos) {
    throw Error("INVALID_ARGUMENT", "Expected a string without null characters for `" + name + "`.");
  }
  return text;
}

bool to_bool(const Napi::Value& value, const std::string& name) {
  if (!value.IsBoolean()) reject_value("true or false", name, value);
  return value.As<Napi::Boolean>().Value();
}

double to_number(const Napi::Value& value, const std::string& name, double minimum, double maximum) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= minimum && number <= maximum)) {
    reject_value(maximum == kInfinity ? "a number of at least " + show(minimum)
                                      : "a number from " + show(minimum) + " to " + show(maximum),
                 name, value);
  }
  return number;
}

int64_t to_integer(const Napi::Value& value, const std::string& name, int64_t minimum, int64_t maximum) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  // Bounds lie within 2^53, where doubles are exact.
  if (!(number >= static_cast<double>(minimum) && number <= static_cast<double>(maximum)) ||
      number != std::trunc(number)) {
    reject_value("an integer from " + std::to_string(minimum) + " to " + std::to_string(maximum), name,
                 value);
  }
  return static_cast<int64_t>(number);
}

uint64_t to_uint64(const Napi::Value& value, const std::string& name) {
  if (!value.IsBigInt()) reject_value("a bigint", name, value);
  bool lossless = false;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

std::vector<int32_t> to_int32s(const Napi::Value& value, const std::string& name) {
  return copy_of<int32_t>(view_of(value, napi_int32_array, "an Int32Array", name));
}

std::vector<float> to_floats(const Napi::Value& value, const std::string& name) {
  return copy_of<float>(view_of(value, napi_float32_array, "a Float32Array", name));
}

// Types and integers here; what sizes make a model is for ModelConfig::check to say.
ModelConfig to_config(const Napi::Value& value, const std::string& name) {
  constexpr int64_t kMost = int64_t{1} << 31;
  const Fields fields(value, name);
  ModelConfig config;
  config.hidden = fields.integer("hiddenSize", 1, kMost);
  config.ffn = fields.integer("intermediateSize", 1, kMost);
  config.layers = fields.integer("numLayers", 1, kMost);
  config.heads = fields.integer("numHeads", 1, kMost);
  config.kv_heads = fields.integer("numKeyValueHeads", 1, kMost);
  config.head_size = fields.integer("headSize", 2, kMost);
  config.vocab = fields.integer("vocabSize", 1, kMost);
  config.max_positions = fields.integer("maxPositions", 1, kMost);
  config.norm_eps = static_cast<float>(fields.number("rmsNormEps", 0.0, 1.0));
  config.rope_theta = fields.number("ropeTheta", 1.0, 1e15);
  const Napi::Value scaling = fields.get("ropeScaling");
  if (!scaling.IsUndefined()) config.rope_scaling = to_rope_scaling(scaling, fields.name("ropeScaling"));
  config.tied = to_bool(fields.get("tiedEmbeddings"), fields.name("tiedEmbeddings"));
  if (!fields.get("paddingTokenId").IsUndefined()) {
    config.padding_id = static_cast<int32_t>(fields.integer("paddingTokenId", 0, kMost - 1));
  }
  config.qkv_bias = fields.flag("qkvBias");
  config.qk_norm = fields.flag("qkNorm");
  const Napi::Value without_rope = fields.get("layersWithoutRope");
  if (!without_rope.IsUndefined()) {
    config.layers_without_rope =
        to_list(without_rope, fields.name("layersWithoutRope"),
                [](const Napi::Value& v, const std::string& n) { return to_integer(v, n, 0, kMost); });
  }
  if (!fields.get("scoreLabels").IsUndefined())
    config.score_labels = fields.integer("scoreLabels", 1, 1 << 16);
  config.check();
  return config;
}

LoraShape to_lora_shape(const Napi::Value& value, const std::string& name) {
  const Fields fields(value, name);
  LoraShape shape;
  shape.rank = fields.integer("rank", 1, 1 << 20);
  shape.alpha = fields.number("alpha", -1e30, 1e30);
  shape.rank_stabilized = fields.flag("rsLora");
  shape.matrices = to_list(fields.get("matrices"), fields.name("matrices"), to_string);
  return shape;
}

Napi::Value from_lora_shape(Napi::Env env, const LoraShape& shape) {
  const Napi::Object object = Napi::Object::New(env);
  object.Set("rank", static_cast<double>(shape.rank));
  object.Set("alpha", shape.alpha);
  object.Set("rsLora", shape.rank_stabilized);
  object.Set("matrices", from_strings(env, shape.matrices));
  return object;
}

std::vector<TensorLocation> to_locations(const Napi::Value& value, const std::string& name) {
  return to_list(value, name, [](const Napi::Value& element, const std::string& element_name) {
    const Fields fields(element, element_name);
    TensorLocation location;
    location.name = to_string(fields.get("name"), fields.name("name"));
    location.path = to_string(fields.get("path"), fields.name("path"));
    location.offset = fields.integer("offset", 0, kMaxSafeInteger);
    location.bytes = fields.integer("byteLength", 0, kMaxSafeInteger);
    location.type = to_stored_type(fields.get("type"), fields.name("type"));
    location.shape = to_list(
        fields.get("shape"), fields.name("shape"),
        [](const Napi::Value& v, const std::string& n) { return to_integer(v, n, 0, kMaxSafeInteger); });
    location.rope_permuted = fields.flag("ropePermuted");
    return location;
  });
}

std::vector<GenerateRequest> to_requests(const Napi::Value& value, const std::string& name) {
  return to_list(value, name, [](const Napi::Value& element, const std::string& element_name) {
    const Fields fields(element, element_name);
    GenerateRequest request;
    request.prompt = to_int32s(fields.get("prompt"), fields.name("prompt"));
    request.stream = to_uint64(fields.get("streamId"), fields.name("streamId"));
    return request;
  });
}

GenerateOptions to_generate_options(const Napi::Value& value, const std::string& name) {
  const Fields fields(value, name);
  GenerateOptions options;
  options.temperature = static_cast<float>(fields.number("temperature", 0.0, 1e6));
  options.top_k = fields.integer("topK", 0, kMaxSafeInteger);
  options.top_p = static_cast<float>(fields.number("topP", FLT_MIN, 1.0));
  options.min_new_tokens = fields.integer("minNewTokens", 0, kMaxSafeInteger);
  options.max_new_tokens = fields.integer("maxNewTokens", 1, kMaxSafeInteger);
  options.seed = to_uint64(fields.get("seed"), fields.name("seed"));
  options.eos_ids = to_int32s(fields.get("eosIds"), fields.name("eosIds"));
  options.max_batch = fields.integer("maxBatch", 1, 4096);
  options.precision = to_precision(fields.get("precision"), fields.name("precision"));
  return options;
}

std::vector<std::vector<int32_t>> to_token_lists(const Napi::Value& value, const std::string& name) {
  return to_list(value, name, to_int32s);
}

std::vector<TrainSequence> to_train_sequences(const Napi::Value& value, const std::string& name) {
  return to_list(value, name, [](const Napi::Value& element, const std::string& element_name) {
    const Fields fields(element, element_name);
    TrainSequence sequence;
    sequence.tokens = to_int32s(fields.get("tokens"), fields.name("tokens"));
    sequence.prompt_length = fields.integer("promptLength", 1, kMaxSafeInteger);
    if (!fields.get("group").IsUndefined())
      sequence.group = static_cast<int32_t>(fields.integer("group", 0, INT32_MAX));
    return sequence;
  });
}

AdamWOptions to_adamw_options(const Napi::Value& value, const std::string& name) {
  const Fields fields(value, name);
  // The kernel computes in floats: a beta that rounds to 1 would divide by zero, an eps that vanishes too.
  constexpr double kBelowOne = 1.0 - 6e-8;
  AdamWOptions options;
  options.learning_rate = static_cast<float>(fields.number("learningRate", 0.0, 1e6));
  options.beta1 = static_cast<float>(fields.number("beta1", 0.0, kBelowOne));
  options.beta2 = static_cast<float>(fields.number("beta2", 0.0, kBelowOne));
  options.eps = static_cast<float>(fields.number("eps", 1e-30, 1e6));
  options.weight_decay = static_cast<float>(fields.number("weightDecay", 0.0, 1e6));
  options.max_grad_norm = fields.number("maxGradNorm", DBL_MIN, kInfinity);
  return options;
}

// Below 1e-6 the scaled logits would no longer be finite floats.
float to_temperature(const Napi::Value& value, const std::string& name) {
  return static_cast<float>(to_number(value, name, 1e-6, 1e6));
}

namespace {

template <class T>
struct Named {
  const char* name;
  T value;
};

// One of the choices; the first where nothing is said.
template <class T>
T to_choice(const Napi::Value& value, const std::string& name, std::initializer_list<Named<T>> choices) {
  if (value.IsUndefined()) return choices.begin()->value;
  const std::string text = to_string(value, name);
  std::string expected;
  for (const Named<T>& choice : choices) {
    if (text == choice.name) return choice.value;
    expected += (expected.empty() ? "'" : ", '") + std::string(choice.name) + "'";
  }
  reject_value("one of " + expected, name, value);
}

}  // namespace

WeightType to_weight_type(const Napi::Value& value, const std::string& name) {
  return to_choice<WeightType>(value, name,
                               {{"f32", WeightType::f32},
                                {"bf16", WeightType::bf16},
                                {"stored", WeightType::stored},
                                {"int8", WeightType::int8}});
}

Precision to_precision(const Napi::Value& value, const std::string& name) {
  return to_choice<Precision>(value, name, {{"exact", Precision::exact}, {"int8", Precision::int8}});
}

Compute to_compute(const Napi::Value& value, const std::string& name) {
  return to_choice<Compute>(value, name, {{"f32", Compute::f32}, {"bf16", Compute::bf16}});
}

StoredType to_float_type(const Napi::Value& value, const std::string& name) {
  const StoredType type = to_stored_type(value, name);
  if (type != StoredType::f32 && type != StoredType::f16 && type != StoredType::bf16) {
    reject_value("'f32', 'f16' or 'bf16'", name, value);
  }
  return type;
}

Napi::Value from_floats(Napi::Env env, const std::vector<float>& values) {
  Napi::Float32Array array = Napi::Float32Array::New(env, values.size());
  if (!values.empty()) std::memcpy(array.Data(), values.data(), values.size() * sizeof(float));
  return array;
}

Napi::Value from_int32s(Napi::Env env, const std::vector<int32_t>& values) {
  Napi::Int32Array array = Napi::Int32Array::New(env, values.size());
  if (!values.empty()) std::memcpy(array.Data(), values.data(), values.size() * sizeof(int32_t));
  return array;
}

Napi::Value from_float_lists(Napi::Env env, const std::vector<std::vector<float>>& lists) {
  const Napi::Array array = Napi::Array::New(env, lists.size());
  for (size_t i = 0; i < lists.size(); ++i) {
    const Napi::HandleScope scope(env);
    array.Set(static_cast<uint32_t>(i), from_floats(env, lists[i]));
  }
  return array;
}

Napi::Value from_strings(Napi::Env env, const std::vector<std::string>& strings) {
  const Napi::Array array = Napi::Array::New(env, strings.size());
  for (size_t i = 0; i < strings.size(); ++i)
    array.Set(static_cast<uint32_t>(i), Napi::String::New(env, strings[i]));
  return array;
}

}  // namespace lsp::addon
