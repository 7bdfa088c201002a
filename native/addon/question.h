// A question that a job has for JavaScript: the worker waits for the answer, JavaScript never waits for the
// worker.
#pragma once

#include <mutex>
#include <optional>
#include <utility>

#include "addon/session.h"
#include "core/operation.h"

namespace lsp::addon {

template <class Asked, class Answer>
class Question {
 public:
  // Worker thread, within a job whose `progress` calls answer(). Throws Error("ABORTED") when the operation
  // is aborted meanwhile, as it is when `reply` throws or the environment closes.
  Answer ask(Asked asked, Session& session, Operation& operation) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      asked_ = std::move(asked);
    }
    session.notify();
    try {
      operation.wait([this] {
        const std::lock_guard<std::mutex> lock(mutex_);
        return answer_.has_value();
      });
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      asked_.reset();  // nobody waits for the answer any more
      throw;
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    return *std::exchange(answer_, std::nullopt);
  }

  // JavaScript thread: answers with reply(asked) if something was asked; after an abort nobody wants to know.
  template <class Reply>
  void answer(Operation& operation, const Reply& reply) {
    std::optional<Asked> asked;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      asked = std::exchange(asked_, std::nullopt);
    }
    if (!asked || operation.aborted()) return;
    Answer answer = reply(*asked);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      answer_ = std::move(answer);
    }
    operation.wake();
  }

 private:
  std::mutex mutex_;
  std::optional<Asked> asked_;
  std::optional<Answer> answer_;
};

}  // namespace lsp::addon
