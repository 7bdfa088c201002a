// JavaScript values to native ones and back. Everything is checked and copied before the call returns; a
// wrong value is an Error("INVALID_ARGUMENT") that names the option. `name` is how the caller would write it,
// e.g. `requests[2].prompt`.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/generate.h"
#include "model/learner.h"
#include "model/model.h"

namespace lsp::addon {

// Largest integer a JavaScript number holds exactly: 2^53 - 1.
constexpr int64_t kMaxSafeInteger = (int64_t{1} << 53) - 1;

// Throws "Expected `expected` for `name` but received ...".
[[noreturn]] void reject_value(const std::string& expected, const std::string& name,
                               const Napi::Value& received);

Napi::Object to_object(const Napi::Value& value, const std::string& name);
std::string to_string(const Napi::Value& value, const std::string& name);
bool to_bool(const Napi::Value& value, const std::string& name);
// Finite, in [minimum, maximum].
double to_number(const Napi::Value& value, const std::string& name, double minimum, double maximum);
int64_t to_integer(const Napi::Value& value, const std::string& name, int64_t minimum, int64_t maximum);
// A bigint modulo 2^64.
uint64_t to_uint64(const Napi::Value& value, const std::string& name);
std::vector<int32_t> to_int32s(const Napi::Value& value, const std::string& name);
std::vector<float> to_floats(const Napi::Value& value, const std::string& name);

// A JavaScript array, element by element: convert(value, name).
template <class Convert>
auto to_list(const Napi::Value& value, const std::string& name, const Convert& convert) {
  if (!value.IsArray()) reject_value("an array", name, value);
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<decltype(convert(value, name))> list;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::HandleScope scope(value.Env());
    list.push_back(convert(array.Get(i), name + "[" + std::to_string(i) + "]"));
  }
  return list;
}

ModelConfig to_config(const Napi::Value& value, const std::string& name);
// { rank, alpha, rsLora, matrices }, and back.
LoraShape to_lora_shape(const Napi::Value& value, const std::string& name);
Napi::Value from_lora_shape(Napi::Env env, const LoraShape& shape);
std::vector<TensorLocation> to_locations(const Napi::Value& value, const std::string& name);
std::vector<GenerateRequest> to_requests(const Napi::Value& value, const std::string& name);
// Everything but `onTokens`.
GenerateOptions to_generate_options(const Napi::Value& value, const std::string& name);
std::vector<std::vector<int32_t>> to_token_lists(const Napi::Value& value, const std::string& name);
std::vector<TrainSequence> to_train_sequences(const Napi::Value& value, const std::string& name);
AdamWOptions to_adamw_options(const Napi::Value& value, const std::string& name);
// The temperature of scoring and training, where logits are divided by it.
float to_temperature(const Napi::Value& value, const std::string& name);
// f32 (also when absent) or bf16.
Compute to_compute(const Napi::Value& value, const std::string& name);
WeightType to_weight_type(const Napi::Value& value, const std::string& name);
// Exact if it is undefined.
Precision to_precision(const Napi::Value& value, const std::string& name);
// f32, f16 or bf16.
StoredType to_float_type(const Napi::Value& value, const std::string& name);

Napi::Value from_floats(Napi::Env env, const std::vector<float>& values);
Napi::Value from_int32s(Napi::Env env, const std::vector<int32_t>& values);
Napi::Value from_float_lists(Napi::Env env, const std::vector<std::vector<float>>& lists);
Napi::Value from_strings(Napi::Env env, const std::vector<std::string>& strings);

}  // namespace lsp::addon
