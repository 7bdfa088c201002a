// The one error type of the native side. `code` is an LspErrorCode of the TypeScript library; the addon turns
// an Error into a rejected promise that carries it. Nothing here ever calls exit or abort.
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace lsp {

class Error : public std::exception {
 public:
  Error(std::string code, std::string message) : code_(std::move(code)), message_(std::move(message)) {}
  const std::string& code() const { return code_; }
  const std::string& message() const { return message_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string code_;
  std::string message_;
};

}  // namespace lsp

// Checks a condition that a caller (not only a bug) can violate.
#define LSP_CHECK(condition, code, message)            \
  do {                                                 \
    if (!(condition)) throw lsp::Error(code, message); \
  } while (false)
