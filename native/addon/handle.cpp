// Handle: aborts or steers operations from JavaScript.
#include "addon/convert.h"
#include "addon/objects.h"

namespace lsp::addon {

namespace {

constexpr napi_type_tag kHandleTag = {0x1f6b0c5de24a4a0bULL, 0x9d0a7b1c35e84f21ULL};

class Handle : public Napi::ObjectWrap<Handle> {
 public:
  explicit Handle(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<Handle>(info), operation_(std::make_shared<Operation>()) {
    info.This().As<Napi::Object>().TypeTag(&kHandleTag);
  }
  const std::shared_ptr<Operation>& operation() const { return operation_; }

  void abort(const Napi::CallbackInfo&) { operation_->abort(); }
  void finish(const Napi::CallbackInfo& info) {
    guarded(info.Env(),
            [&] { operation_->finish(static_cast<int>(to_integer(info[0], "sequence", 0, INT32_MAX))); });
  }

 private:
  const std::shared_ptr<Operation> operation_;
};

}  // namespace

Napi::Function define_handle(Napi::Env env) {
  return Handle::DefineClass(
      env, "Handle",
      {Handle::InstanceMethod<&Handle::abort>("abort"), Handle::InstanceMethod<&Handle::finish>("finish")});
}

std::shared_ptr<Operation> to_operation(const Napi::Value& value, const std::string& name) {
  if (value.Type() != napi_object || !value.As<Napi::Object>().CheckTypeTag(&kHandleTag)) {
    reject_value("a Handle", name, value);
  }
  return Handle::Unwrap(value.As<Napi::Object>())->operation();
}

}  // namespace lsp::addon
