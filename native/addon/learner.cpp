// Learner: training on a model, as jobs of the model's own worker.
#include "model/learner.h"

#include "addon/convert.h"
#include "addon/objects.h"
#include "addon/question.h"

namespace lsp::addon {

namespace {

// Made, used and freed on the worker; made at the first use, because tensors may still be loading when
// JavaScript constructs the Learner.
class LearnerState : public Dependent {
 public:
  LearnerState(std::shared_ptr<Session> session, int64_t activation_bytes, bool recompute)
      : session_(std::move(session)), activation_bytes_(activation_bytes), recompute_(recompute) {}
  ~LearnerState() override { set_bytes(0); }

  Learner& get(Model& model) {
    check_usable();
    if (learner_ == nullptr) learner_ = std::make_unique<Learner>(model, activation_bytes_, recompute_);
    return *learner_;
  }
  // After every job.
  void refresh() {
    if (learner_ == nullptr) return;
    steps_.store(learner_->step_count());
    set_bytes(learner_->bytes());
  }
  void release() override {
    disposed_.store(true);
    learner_.reset();
    set_bytes(0);
  }

  void check_usable() const {
    LSP_CHECK(!disposed_.load(), "DISPOSED", "Expected a live learner but it, or its model, was disposed.");
  }
  void mark_disposed() { disposed_.store(true); }
  bool disposed() const { return disposed_.load(); }
  int64_t steps() const { return steps_.load(); }
  const std::shared_ptr<Session>& session() const { return session_; }

 private:
  void set_bytes(int64_t bytes) { session_->add_dependent_bytes(bytes - std::exchange(bytes_, bytes)); }

  const std::shared_ptr<Session> session_;
  const int64_t activation_bytes_;
  const bool recompute_;
  std::unique_ptr<Learner> learner_;
  int64_t bytes_ = 0;
  std::atomic<int64_t> steps_{0};
  std::atomic<bool> disposed_{false};
};

using GroupLogprobs = std::pair<int32_t, SequenceValues>;
using GroupQuestion = Question<GroupLogprobs, SequenceValues>;

class LearnerObject : public Napi::ObjectWrap<LearnerObject> {
 public:
  explicit LearnerObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<LearnerObject>(info), state_(make_state(info)) {}
  ~LearnerObject() override {
    if (state_ == nullptr) return;
    // Pending jobs own the state, so none is under way, and the worker is done with it.
    const std::shared_ptr<Session> session = state_->session();
    state_.reset();
    session->report_memory();
  }

  Napi::Value accumulate(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      check_usable();
      const std::shared_ptr<Operation> operation = to_operation(info[3], "handle");
      const auto [loss, progress] = to_loss(info[1], operation);
      return submit(
          operation,
          [sequences = to_train_sequences(info[0], "sequences"), loss = loss,
           temperature = to_temperature(info[2], "temperature"), operation](Learner& learner) {
            return learner.accumulate(sequences, loss, temperature, *operation);
          },
          from_float_lists, progress);
    });
  }

  Napi::Value rehearse(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      check_usable();
      const std::shared_ptr<Operation> operation = to_operation(info[2], "handle");
      return submit(operation,
                    [sequences = to_train_sequences(info[0], "sequences"),
                     cache_bytes = to_integer(info[1], "cacheBytes", 0, kMaxSafeInteger),
                     operation](Learner& learner) { learner.rehearse(sequences, cache_bytes, *operation); });
    });
  }

  Napi::Value gradient(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      check_usable();
      return submit(
          nullptr, [name = to_string(info[0], "name")](Learner& learner) { return learner.gradient(name); },
          from_floats);
    });
  }

  Napi::Value step(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      check_usable();
      return submit(
          nullptr,
          [options = to_adamw_options(info[0], "options")](Learner& learner) {
            return learner.step(options);
          },
          [](Napi::Env env, double norm) -> Napi::Value {
            const Napi::Object object = Napi::Object::New(env);
            object.Set("gradNorm", norm);
            return object;
          });
    });
  }

  Napi::Value zero_gradient(const Napi::CallbackInfo& info) {
    return promised(info.Env(),
                    [&] { return submit(nullptr, [](Learner& learner) { learner.zero_gradient(); }); });
  }

  Napi::Value step_count(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      check_usable();
      return Napi::Number::New(info.Env(), static_cast<double>(state_->steps()));
    });
  }

  Napi::Value save_state(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      check_usable();
      const std::shared_ptr<Operation> operation = to_operation(info[1], "handle");
      return submit(operation, [path = to_string(info[0], "path"), operation](Learner& learner) {
        learner.save_state(path, *operation);
      });
    });
  }

  Napi::Value load_state(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      check_usable();
      const std::shared_ptr<Operation> operation = to_operation(info[2], "handle");
      return submit(operation, [tensors = to_locations(info[0], "tensors"),
                                steps = to_integer(info[1], "stepCount", 0, kMaxSafeInteger), operation](
                                   Learner& learner) { learner.load_state(tensors, steps, *operation); });
    });
  }

  Napi::Value dispose(const Napi::CallbackInfo& info) {
    return promised(info.Env(), [&] {
      state_->mark_disposed();
      // A job of the model's queue, so it waits for the operation under way. If the model is disposed, the
      // memory is gone or will be when the model's own dispose() settles.
      const std::shared_ptr<Session>& session = state_->session();
      if (session->disposed()) return session->dispose(info.Env());
      return session->submit(nullptr, [state = state_](Model&) { state->release(); });
    });
  }

 private:
  static std::shared_ptr<LearnerState> make_state(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const std::shared_ptr<Session> session = to_session(info[0], "model");
      const Napi::Object options = to_object(info[1], "options");
      const int64_t bytes = to_integer(options.Get("activationBudgetBytes"), "options.activationBudgetBytes",
                                       1, kMaxSafeInteger);
      const bool recompute = to_bool(options.Get("gradientCheckpointing"), "options.gradientCheckpointing");
      session->check_usable();
      auto state = std::make_shared<LearnerState>(session, bytes, recompute);
      session->add(state);
      return state;
    });
  }

  // A job's loss: values, or a function that the worker asks; and what answers on the JavaScript thread.
  std::pair<Loss, std::function<void(Napi::Env)>> to_loss(const Napi::Value& value,
                                                          const std::shared_ptr<Operation>& operation) const {
    if (!value.IsFunction()) return {to_list(value, "lossGradient", to_floats), {}};
    const auto function =
        std::make_shared<Napi::FunctionReference>(Napi::Persistent(value.As<Napi::Function>()));
    const auto question = std::make_shared<GroupQuestion>();
    // A plain pointer: the job owns the session until the work is over.
    GroupLoss loss = [question, session = state_->session().get(), operation](
                         int32_t group, const SequenceValues& logprobs) {
      return question->ask({group, logprobs}, *session, *operation);
    };
    return {std::move(loss), [question, function, operation](Napi::Env env) {
              question->answer(*operation, [&](const GroupLogprobs& asked) {
                const auto& [group, logprobs] = asked;
                return to_list(
                    function->Call({Napi::Number::New(env, group), from_float_lists(env, logprobs)}),
                    "lossGradient", to_floats);
              });
            }};
  }

  void check_usable() const {
    state_->check_usable();
    state_->session()->check_usable();
  }

  template <class Work, class Convert>
  Napi::Value submit(std::shared_ptr<Operation> operation, Work work, Convert convert,
                     std::function<void(Napi::Env)> progress = {}) {
    return state_->session()->submit(std::move(operation), on_learner(std::move(work)), std::move(convert),
                                     std::move(progress));
  }
  template <class Work>
  Napi::Value submit(std::shared_ptr<Operation> operation, Work work) {
    return state_->session()->submit(std::move(operation), on_learner(std::move(work)));
  }
  template <class Work>
  auto on_learner(Work work) const {
    return [state = state_, work = std::move(work)](Model& model) mutable {
      struct Refresh {
        LearnerState& state;
        ~Refresh() { state.refresh(); }
      } refresh{*state};
      return work(state->get(model));
    };
  }

  std::shared_ptr<LearnerState> state_;
};

}  // namespace

Napi::Function define_learner(Napi::Env env) {
  using L = LearnerObject;
  return L::DefineClass(env, "Learner",
                        {
                            L::InstanceMethod<&L::accumulate>("accumulate"),
                            L::InstanceMethod<&L::rehearse>("rehearse"),
                            L::InstanceMethod<&L::gradient>("gradient"),
                            L::InstanceMethod<&L::step>("step"),
                            L::InstanceMethod<&L::zero_gradient>("zeroGradient"),
                            L::InstanceMethod<&L::step_count>("stepCount"),
                            L::InstanceMethod<&L::save_state>("saveState"),
                            L::InstanceMethod<&L::load_state>("loadState"),
                            L::InstanceMethod<&L::dispose>("dispose"),
                        });
}

}  // namespace lsp::addon
